/* SPDX-License-Identifier: MIT */
/*
 * The hardware device: /dev/sgx_enclave and the kernel's vDSO. Nothing here interprets; the driver's
 * and the CPU's answers go through as they are.
 *
 * Counters: what the runtime itself can count is counted in loop.c; EPC operations are not visible.
 */
#include "sgx_device.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEVICE_PATH "/dev/sgx_enclave"

struct sgx_device {
    int fd;
    uint64_t ioctls;
};

/* ---- The vDSO's entry ---------------------------------------------------------------------------- */

/* enter.S: jumps to the vDSO's function, as a C function in between would not survive the enclave. */
extern vdso_sgx_enter_enclave_t host_vdso_entry;
int host_vdso_enter(unsigned long rdi, unsigned long rsi, unsigned long rdx, unsigned int function,
                    unsigned long r8, unsigned long r9, struct sgx_enclave_run *run);

struct vdso {
    uintptr_t bias;
    const Elf64_Sym *symbols;
    const char *strings;
    size_t symbol_count;
};

static int vdso_dynamic(struct vdso *vdso, const Elf64_Dyn *dyn)
{
    for (; dyn->d_tag != DT_NULL; dyn++) {
        const void *p = (const void *)(vdso->bias + dyn->d_un.d_ptr);

        if (dyn->d_tag == DT_SYMTAB)
            vdso->symbols = p;
        else if (dyn->d_tag == DT_STRTAB)
            vdso->strings = p;
        else if (dyn->d_tag == DT_HASH)
            vdso->symbol_count = ((const uint32_t *)p)[1];
    }
    return vdso->symbols && vdso->strings ? 0 : -ENOENT;
}

/* A vDSO without DT_HASH: its section headers give the number of symbols. */
static size_t vdso_count_symbols(const Elf64_Ehdr *eh)
{
    const Elf64_Shdr *sh = (const void *)((const char *)eh + eh->e_shoff);

    for (unsigned i = 0; i < eh->e_shnum; i++)
        if (sh[i].sh_type == SHT_DYNSYM)
            return sh[i].sh_size / sizeof(Elf64_Sym);
    return 0;
}

static int vdso_open(struct vdso *vdso)
{
    const Elf64_Ehdr *eh = (const void *)getauxval(AT_SYSINFO_EHDR);
    const Elf64_Dyn *dyn = NULL;
    int have_bias = 0;

    memset(vdso, 0, sizeof(*vdso));
    if (!eh)
        return -ENOENT;
    for (unsigned i = 0; i < eh->e_phnum; i++) {
        const Elf64_Phdr *ph = (const Elf64_Phdr *)((uintptr_t)eh + eh->e_phoff) + i;

        if (ph->p_type == PT_LOAD && !have_bias) {
            vdso->bias = (uintptr_t)eh + ph->p_offset - ph->p_vaddr;
            have_bias = 1;
        } else if (ph->p_type == PT_DYNAMIC) {
            dyn = (const void *)((uintptr_t)eh + ph->p_offset);
        }
    }
    if (!have_bias || !dyn || vdso_dynamic(vdso, dyn) < 0)
        return -ENOENT;
    if (vdso->symbol_count == 0)
        vdso->symbol_count = vdso_count_symbols(eh);
    return 0;
}

static vdso_sgx_enter_enclave_t find_enter(void)
{
    struct vdso vdso;

    if (vdso_open(&vdso) < 0)
        return NULL;
    for (size_t i = 0; i < vdso.symbol_count; i++) {
        const Elf64_Sym *sym = &vdso.symbols[i];

        if (sym->st_shndx != SHN_UNDEF &&
            strcmp(vdso.strings + sym->st_name, "__vdso_sgx_enter_enclave") == 0)
            return (vdso_sgx_enter_enclave_t)(vdso.bias + sym->st_value);
    }
    return NULL;
}

/* ---- The driver ---------------------------------------------------------------------------------- */

static int hw_open(const struct sgx_device_config *config, struct sgx_device **dev, char *why,
                   size_t why_size)
{
    struct sgx_device *d;
    int fd;

    (void)config;
    fd = open(DEVICE_PATH, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        int error = -errno;

        (void)snprintf(why, why_size, "cannot open %s: %s", DEVICE_PATH, strerror(-error));
        return error;
    }
    host_vdso_entry = find_enter();
    d = calloc(1, sizeof(*d));
    if (!host_vdso_entry || !d) {
        (void)snprintf(why, why_size, "%s",
                       host_vdso_entry ? "out of memory" : "the kernel's vDSO has no SGX entry");
        free(d);
        (void)close(fd);
        return host_vdso_entry ? -ENOMEM : -ENOSYS;
    }
    d->fd = fd;
    *dev = d;
    return 0;
}

static int hw_ioctl(struct sgx_device *dev, unsigned long request, void *arg)
{
    int ret = ioctl(dev->fd, request, arg);

    dev->ioctls++;
    return ret < 0 ? -errno : ret;
}

static int hw_mmap(struct sgx_device *dev, void *addr, size_t size, int prot, int fixed, void **out)
{
    void *p = mmap(addr, size, prot, MAP_SHARED | (fixed ? MAP_FIXED : 0), dev->fd, 0);

    if (p == MAP_FAILED)
        return -errno;
    *out = p;
    return 0;
}

static int hw_munmap(struct sgx_device *dev, void *addr, size_t size)
{
    (void)dev;
    return munmap(addr, size) < 0 ? -errno : 0;
}

static int hw_mprotect(struct sgx_device *dev, void *addr, size_t size, int prot)
{
    (void)dev;
    return mprotect(addr, size, prot) < 0 ? -errno : 0;
}

static int hw_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
    return sigaction(sig, act, old) < 0 ? -errno : 0;
}

static int hw_thread_start(struct sgx_device *dev)
{
    (void)dev;
    return 0;
}

static void hw_thread_stop(struct sgx_device *dev)
{
    (void)dev;
}

static void hw_counters(struct sgx_device *dev, struct sgx_counters *out)
{
    memset(out, 0, sizeof(*out));
    out->ioctl = dev->ioctls;
}

static void hw_close(struct sgx_device *dev)
{
    (void)close(dev->fd);
    free(dev);
}

const struct sgx_device_ops sgx_device_hw = {
    .name = "sgx",
    .open = hw_open,
    .ioctl = hw_ioctl,
    .mmap = hw_mmap,
    .munmap = hw_munmap,
    .mprotect = hw_mprotect,
    .enter = host_vdso_enter,
    .sigaction = hw_sigaction,
    .thread_start = hw_thread_start,
    .thread_stop = hw_thread_stop,
    .counters = hw_counters,
    .close = hw_close,
};
