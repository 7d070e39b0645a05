/* SPDX-License-Identifier: MIT */
/*
 * Reads and checks ELF64 headers. Pure: input comes through struct elf_reader, output is a struct
 * elf_image; no state, no locks. Everything that elf_map() relies on is established here, before
 * the old program is given up.
 */
#include "elf.h"

#include <kernel/alloc.h>
#include <kernel/string.h>
#include <layout.h>

#define ALIGN_MAX (1UL << 30) /* no linker makes more; beyond it no base address could be found */

int elf_read(const struct elf_reader *r, void *buf, size_t size, u64 pos)
{
    ssize_t n;

    if (pos > r->size || size > r->size - pos)
        return -EIO;
    n = r->read(r->ctx, buf, size, pos);
    if (n < 0)
        return (int)n;
    return (size_t)n == size ? 0 : -EIO;
}

static bool header_ok(const Elf64_Ehdr *e)
{
    if (memcmp(e->e_ident, ELFMAG, SELFMAG) != 0)
        return false;
    if (e->e_ident[EI_CLASS] != ELFCLASS64 || e->e_ident[EI_DATA] != ELFDATA2LSB)
        return false;
    if (e->e_machine != EM_X86_64 || (e->e_type != ET_EXEC && e->e_type != ET_DYN))
        return false;
    if (e->e_phentsize != sizeof(Elf64_Phdr))
        return false;
    return e->e_phnum > 0 && e->e_phnum * sizeof(Elf64_Phdr) <= ELF_PHDRS_SIZE_MAX;
}

/* One PT_LOAD by itself. Afterwards no sum of its fields overflows. */
static int check_load(const Elf64_Phdr *p, u16 type, u64 file_size)
{
    if (p->p_filesz > p->p_memsz)
        return -EINVAL;
    if (p->p_memsz > USER_END || p->p_vaddr > USER_END - p->p_memsz)
        return -EINVAL;
    if (p->p_filesz > 0 && ((p->p_vaddr ^ p->p_offset) & ~PAGE_MASK))
        return -EINVAL;
    if (p->p_align > ALIGN_MAX)
        return -EINVAL;
    if (p->p_filesz > file_size || p->p_offset > file_size - p->p_filesz)
        return -ENOEXEC;
    if (type == ET_EXEC && page_down(p->p_vaddr) < USER_START && p->p_memsz > 0)
        return -EPERM;
    return 0;
}

static bool loads_overlap(const Elf64_Phdr *a, const Elf64_Phdr *b)
{
    if (a->p_type != PT_LOAD || b->p_type != PT_LOAD || a->p_memsz == 0 || b->p_memsz == 0)
        return false;
    return a->p_vaddr < b->p_vaddr + b->p_memsz && b->p_vaddr < a->p_vaddr + a->p_memsz;
}

static int check_loads(const struct elf_image *img, u64 file_size)
{
    for (unsigned i = 0; i < img->phdr_count; i++) {
        const Elf64_Phdr *p = &img->phdrs[i];
        int err;

        if (p->p_type != PT_LOAD)
            continue;
        err = check_load(p, img->type, file_size);
        if (err)
            return err;
        for (unsigned j = 0; j < i; j++) {
            if (loads_overlap(p, &img->phdrs[j]))
                return -EINVAL;
        }
    }
    return 0;
}

/* Adds one checked PT_LOAD to the image's extents. */
static void account_load(struct elf_image *img, const Elf64_Phdr *p, u64 phoff)
{
    u64 file_end = p->p_vaddr + p->p_filesz;

    if (p->p_offset <= phoff && phoff - p->p_offset < p->p_filesz)
        img->phdr_addr = phoff - p->p_offset + p->p_vaddr;
    img->low = min(img->low, page_down(p->p_vaddr));
    img->high = max(img->high, page_up(p->p_vaddr + p->p_memsz));
    img->brk = max(img->brk, p->p_vaddr + p->p_memsz);
    if (p->p_align > img->align && (p->p_align & (p->p_align - 1)) == 0)
        img->align = p->p_align;
    if (p->p_flags & PF_X) {
        img->start_code = min(img->start_code, p->p_vaddr);
        img->end_code = max(img->end_code, file_end);
    }
    img->start_data = max(img->start_data, p->p_vaddr);
    img->end_data = max(img->end_data, file_end);
}

static int account_loads(struct elf_image *img, u64 phoff)
{
    img->low = img->start_code = UINT64_MAX;
    img->align = PAGE_SIZE;
    for (unsigned i = 0; i < img->phdr_count; i++) {
        const Elf64_Phdr *p = &img->phdrs[i];

        if (p->p_type == PT_GNU_STACK) {
            img->has_stack = true;
            img->stack_exec = p->p_flags & PF_X;
        }
        if (p->p_type == PT_LOAD && p->p_memsz > 0)
            account_load(img, p, phoff);
    }
    if (img->high == 0)
        return -EINVAL;
    if (img->start_code == UINT64_MAX)
        img->start_code = 0;
    return img->entry < USER_END ? 0 : -EINVAL;
}

/* The path in PT_INTERP, as binfmt_elf bounds it: 2..PATH_MAX bytes that end with a NUL. */
static int read_interp(const struct elf_reader *r, const Elf64_Phdr *p, char **out)
{
    char *path;
    int err;

    if (p->p_filesz < 2 || p->p_filesz > 4096)
        return -ENOEXEC;
    path = kmalloc(p->p_filesz);
    if (!path)
        return -ENOMEM;
    err = elf_read(r, path, p->p_filesz, p->p_offset);
    if (!err && path[p->p_filesz - 1] != '\0')
        err = -ENOEXEC;
    if (err) {
        kfree(path);
        return err;
    }
    *out = path;
    return 0;
}

static int find_interp(const struct elf_reader *r, struct elf_image *img)
{
    for (unsigned i = 0; i < img->phdr_count; i++) {
        if (img->phdrs[i].p_type == PT_INTERP)
            return read_interp(r, &img->phdrs[i], &img->interp);
    }
    return 0;
}

static int read_phdrs(const struct elf_reader *r, const Elf64_Ehdr *e, struct elf_image *img)
{
    size_t size = e->e_phnum * sizeof(Elf64_Phdr);

    img->phdrs = kmalloc(size);
    if (!img->phdrs)
        return -ENOMEM;
    img->phdr_count = e->e_phnum;
    return elf_read(r, img->phdrs, size, e->e_phoff) ? -ENOEXEC : 0;
}

static int parse(const struct elf_reader *r, enum elf_role role, struct elf_image *img)
{
    Elf64_Ehdr e;
    int err;

    err = elf_read(r, &e, sizeof(e), 0);
    if (err)
        return err == -EIO ? -ENOEXEC : err;
    if (!header_ok(&e))
        return -ENOEXEC;
    img->type = e.e_type;
    img->entry = e.e_entry;
    err = read_phdrs(r, &e, img);
    if (!err && role == ELF_PROGRAM)
        err = find_interp(r, img);
    if (!err)
        err = check_loads(img, r->size);
    if (!err)
        err = account_loads(img, e.e_phoff);
    return err;
}

int elf_parse(const struct elf_reader *r, enum elf_role role, struct elf_image *img)
{
    struct elf_image new = {.interp = NULL};
    int err = parse(r, role, &new);

    if (err) {
        elf_free(&new);
        return err == -ENOEXEC && role == ELF_INTERPRETER ? -ELIBBAD : err;
    }
    *img = new;
    return 0;
}

void elf_free(struct elf_image *img)
{
    kfree(img->phdrs);
    kfree(img->interp);
    img->phdrs = NULL;
    img->interp = NULL;
}
