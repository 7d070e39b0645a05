/* SPDX-License-Identifier: MIT */
/*
 * Builds the list of the enclave's initial pages: manifest, first thread's block, kernel segments.
 *
 * Deterministic: the same kernel file and manifest give the same bytes at the same
 * addresses in the same order, on every machine. The kernel file comes from the same place as this
 * program, but is still checked: a damaged one must end in a message.
 */
#include "image.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "layout.h"
#include "manifest.h"

#define PAGE         ENCLAVE_PAGE_SIZE
#define KIMAGE_MAX   (64UL << 20)
#define SEGMENTS_MAX 12

static uint64_t page_up(uint64_t value)
{
    return (value + PAGE - 1) & ~(PAGE - 1);
}

static int fail(char *why, size_t why_size, int error, const char *text)
{
    (void)snprintf(why, why_size, "%s", text);
    return error;
}

/* ---- ELF ---------------------------------------------------------------------------------------- */

static int check_header(const Elf64_Ehdr *eh, size_t size)
{
    if (memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 || eh->e_ident[EI_CLASS] != ELFCLASS64 ||
        eh->e_ident[EI_DATA] != ELFDATA2LSB || eh->e_machine != EM_X86_64)
        return -ENOEXEC;
    if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
        return -ENOEXEC;
    if (eh->e_phentsize != sizeof(Elf64_Phdr) || eh->e_phnum == 0 || eh->e_phoff > size ||
        eh->e_phnum > (size - eh->e_phoff) / sizeof(Elf64_Phdr) || eh->e_phoff % 8 != 0)
        return -ENOEXEC;
    return 0;
}

static const char *check_segment(const Elf64_Phdr *ph, size_t size, uint64_t previous_end)
{
    if (ph->p_type == PT_INTERP || ph->p_type == PT_TLS)
        return "the kernel image is not static";
    if (ph->p_type != PT_LOAD || ph->p_memsz == 0)
        return NULL;
    if (ph->p_vaddr % PAGE != 0 || ph->p_vaddr < KIMAGE_START || ph->p_memsz > KIMAGE_MAX ||
        ph->p_vaddr - KIMAGE_START > KIMAGE_MAX || ph->p_vaddr < previous_end)
        return "a segment of the kernel image lies outside its place";
    if (ph->p_filesz > ph->p_memsz || ph->p_offset > size || ph->p_filesz > size - ph->p_offset)
        return "the kernel image is cut short";
    if ((ph->p_flags & (PF_W | PF_X)) == (PF_W | PF_X) || !(ph->p_flags & PF_R))
        return "a segment of the kernel image is writable and executable, or not readable";
    return NULL;
}

/* Checks all segments; *total gets their bytes in whole pages. NULL, or what is wrong. */
static const char *check_segments(const Elf64_Ehdr *eh, const Elf64_Phdr *ph, size_t size,
                                  uint64_t *total)
{
    uint64_t end = 0;
    unsigned segments = 0;
    int entry_ok = 0;

    *total = 0;
    for (unsigned i = 0; i < eh->e_phnum; i++) {
        const char *wrong = check_segment(&ph[i], size, end);

        if (wrong)
            return wrong;
        if (ph[i].p_type != PT_LOAD || ph[i].p_memsz == 0)
            continue;
        end = ph[i].p_vaddr + page_up(ph[i].p_memsz);
        *total += page_up(ph[i].p_memsz);
        segments++;
        if ((ph[i].p_flags & PF_X) && eh->e_entry >= ph[i].p_vaddr &&
            eh->e_entry - ph[i].p_vaddr < ph[i].p_filesz)
            entry_ok = 1;
    }
    if (segments == 0 || segments > SEGMENTS_MAX)
        return "the kernel image has no or too many segments";
    return entry_ok ? NULL : "the kernel image's entry lies in no executable segment";
}

/* ---- The page list ------------------------------------------------------------------------------ */

static uint8_t *add_run(struct image *image, size_t *used, uint64_t va, uint64_t size,
                        uint64_t secinfo)
{
    struct image_run *run = &image->runs[image->run_count++];
    uint8_t *data = image->buffer + *used;

    *run = (struct image_run){.va = va, .size = size, .secinfo = secinfo, .data = data};
    *used += size;
    image->page_count += size / PAGE;
    return data;
}

static void add_thread(struct image *image, size_t *used)
{
    uint64_t reg_rw = SGX_SECINFO_PT(SGX_PT_REG) | SGX_SECINFO_R | SGX_SECINFO_W;
    uint64_t base = BOOT_START;
    struct sgx_tcs *tcs;

    tcs = (struct sgx_tcs *)(void *)add_run(image, used, base + THREAD_TCS_OFF, PAGE,
                                            SGX_SECINFO_PT(SGX_PT_TCS));
    tcs->flags = 0; /* DBGOPTIN must be clear at EADD; a debugger sets it */
    tcs->ossa = base + THREAD_SSA_OFF - ENCLAVE_BASE;
    tcs->nssa = NSSA;
    tcs->oentry = image->entry - ENCLAVE_BASE;
    tcs->ofs_base = base + THREAD_AREA_OFF - ENCLAVE_BASE;
    tcs->ogs_base = base + THREAD_AREA_OFF - ENCLAVE_BASE;
    tcs->fs_limit = 0xfff;
    tcs->gs_limit = 0xfff;
    image->tcs = base + THREAD_TCS_OFF;
    add_run(image, used, base + THREAD_SSA_OFF, NSSA * SSA_FRAME_PAGES * PAGE, reg_rw);
    add_run(image, used, base + THREAD_AREA_OFF, THREAD_AREA_SIZE, reg_rw);
    add_run(image, used, base + THREAD_ESTACK_OFF, THREAD_ESTACK_SIZE, reg_rw);
    add_run(image, used, base + THREAD_KSTACK_OFF, THREAD_KSTACK_SIZE, reg_rw);
}

static void add_segments(struct image *image, size_t *used, const uint8_t *elf,
                         const Elf64_Ehdr *eh, const Elf64_Phdr *ph)
{
    for (unsigned i = 0; i < eh->e_phnum; i++) {
        uint64_t secinfo = SGX_SECINFO_PT(SGX_PT_REG) | SGX_SECINFO_R;
        uint8_t *data;

        if (ph[i].p_type != PT_LOAD || ph[i].p_memsz == 0)
            continue;
        if (ph[i].p_flags & PF_W)
            secinfo |= SGX_SECINFO_W;
        if (ph[i].p_flags & PF_X)
            secinfo |= SGX_SECINFO_X;
        data = add_run(image, used, ph[i].p_vaddr, page_up(ph[i].p_memsz), secinfo);
        memcpy(data, elf + ph[i].p_offset, ph[i].p_filesz);
    }
}

int image_build_from(struct image *image, const uint8_t *elf, size_t elf_size, const void *manifest,
                     size_t manifest_size, char *why, size_t why_size)
{
    const Elf64_Ehdr *eh = (const void *)elf;
    const Elf64_Phdr *ph;
    const char *wrong;
    uint64_t segments_size;
    size_t used = 0;
    void *buffer;

    memset(image, 0, sizeof(*image));
    if (elf_size < sizeof(*eh) || check_header(eh, elf_size) != 0)
        return fail(why, why_size, -ENOEXEC, "the kernel image is no x86-64 ELF file");
    ph = (const void *)(elf + eh->e_phoff);
    wrong = check_segments(eh, ph, elf_size, &segments_size);
    if (wrong)
        return fail(why, why_size, -ENOEXEC, wrong);
    if (manifest_size < sizeof(struct manifest) || manifest_size > MANIFEST_SIZE_MAX)
        return fail(why, why_size, -E2BIG, "the manifest is larger than 1 MiB");
    image->buffer_size = page_up(manifest_size) + THREAD_BLOCK_SIZE + segments_size;
    buffer = mmap(NULL, image->buffer_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                  0);
    if (buffer == MAP_FAILED)
        return fail(why, why_size, -ENOMEM, "no memory for the kernel image");
    image->buffer = buffer;
    image->entry = eh->e_entry;
    memcpy(add_run(image, &used, MANIFEST_START, page_up(manifest_size),
                   SGX_SECINFO_PT(SGX_PT_REG) | SGX_SECINFO_R),
           manifest, manifest_size);
    add_thread(image, &used);
    add_segments(image, &used, elf, eh, ph);
    return 0;
}

int image_build(struct image *image, const char *kernel_path, const void *manifest,
                size_t manifest_size, char *why, size_t why_size)
{
    struct stat st;
    void *elf;
    int fd, ret;

    memset(image, 0, sizeof(*image));
    fd = open(kernel_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        ret = -errno;
        (void)snprintf(why, why_size, "cannot open the kernel image %s: %s", kernel_path,
                       strerror(-ret));
        goto out;
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0) {
        ret = fail(why, why_size, -ENOEXEC, "the kernel image is no x86-64 ELF file");
        goto out;
    }
    elf = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (elf == MAP_FAILED) {
        ret = fail(why, why_size, -errno, "cannot map the kernel image");
        goto out;
    }
    ret = image_build_from(image, elf, (size_t)st.st_size, manifest, manifest_size, why,
                           why_size);
    (void)munmap(elf, (size_t)st.st_size);
out:
    if (fd >= 0)
        (void)close(fd);
    return ret;
}

void image_free(struct image *image)
{
    if (image->buffer)
        (void)munmap(image->buffer, image->buffer_size);
    memset(image, 0, sizeof(*image));
}

/* ---- SECS ---------------------------------------------------------------------------------------- */

/* XCR0, or just the legacy components on a CPU without XSAVE. */
static uint64_t cpu_xcr0(void)
{
    uint32_t eax, ebx, ecx, edx;

    __asm__ volatile("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(1), "c"(0));
    if (!(ecx & (1U << 27))) /* OSXSAVE */
        return SGX_XFRM_LEGACY;
    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return ((uint64_t)edx << 32) | eax;
}

static uint64_t image_xfrm(void)
{
    uint64_t xfrm = cpu_xcr0() & (SGX_XFRM_LEGACY | SGX_XFRM_AVX | SGX_XFRM_AVX512);

    if ((xfrm & SGX_XFRM_AVX512) != SGX_XFRM_AVX512 || !(xfrm & SGX_XFRM_AVX))
        xfrm &= ~SGX_XFRM_AVX512;
    return xfrm | SGX_XFRM_LEGACY;
}

void image_secs(struct sgx_secs *secs, int debug)
{
    memset(secs, 0, sizeof(*secs));
    secs->size = ENCLAVE_SIZE;
    secs->base = ENCLAVE_BASE;
    secs->ssa_frame_size = SSA_FRAME_PAGES;
    secs->misc_select = SGX_MISC_EXINFO;
    secs->attributes.flags = SGX_ATTR_MODE64BIT | (debug ? SGX_ATTR_DEBUG : 0);
    secs->attributes.xfrm = image_xfrm();
}
