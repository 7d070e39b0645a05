/* SPDX-License-Identifier: MIT */
/* guest: args=one two */
/* The initial stack and the auxiliary vector, and what they point to; the vDSO as a shared object. */
#include "guest.h"
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* As the kernel gave it: the C libraries' getauxval() may answer for some types themselves. */
static unsigned long value(unsigned long type)
{
    char **end = environ;

    while (*end)
        end++;
    for (ElfW(auxv_t) *a = (ElfW(auxv_t) *)(end + 1); a->a_type != AT_NULL; a++) {
        if (a->a_type == type)
            return a->a_un.a_val;
    }
    return 0;
}

static void test_vector(char **argv)
{
    char **end = environ;
    unsigned char *random = (unsigned char *)value(AT_RANDOM);
    int seen[64] = {0}, zeros = 0;

    while (*end)
        end++;
    for (ElfW(auxv_t) *a = (ElfW(auxv_t) *)(end + 1); a->a_type != AT_NULL; a++) {
        if (a->a_type < 64)
            CHECK(seen[a->a_type]++ == 0);
    }
    CHECK(value(AT_PAGESZ) == 4096 && value(AT_CLKTCK) == 100 && value(AT_SECURE) == 0);
    CHECK(value(AT_UID) == getuid() && value(AT_EUID) == geteuid() && value(AT_GID) == getgid());
    CHECK(value(AT_EGID) == getegid() && seen[AT_UID] && seen[AT_SECURE] && seen[AT_FLAGS]);
    CHECK(!strcmp((char *)value(AT_PLATFORM), "x86_64") && !strcmp((char *)value(AT_EXECFN), argv[0]));
    for (int i = 0; i < 16; i++)
        zeros += random[i] == 0;
    CHECK(zeros < 8);
    CHECK(value(AT_HWCAP) & (1u << 26)); /* CPUID 1 EDX: SSE2 */
    CHECK(value(AT_MINSIGSTKSZ) >= 1024 && value(AT_MINSIGSTKSZ) < 65536);
    CHECK((uintptr_t)argv % 8 == 0 && argv[3] == NULL && environ == argv + 4);
    CHECK(((uintptr_t)argv - 8) % 16 == 0 && *((long *)argv - 1) == 3);
    CHECK(argv[1] == argv[0] + strlen(argv[0]) + 1); /* strings lie one after another */
}

static void test_program_headers(void)
{
    ElfW(Phdr) *ph = (ElfW(Phdr) *)value(AT_PHDR);
    int loads = 0;

    CHECK(value(AT_PHENT) == sizeof(*ph) && value(AT_PHNUM) > 3 && value(AT_ENTRY) != 0);
    for (unsigned long i = 0; i < value(AT_PHNUM); i++)
        loads += ph[i].p_type == PT_LOAD;
    CHECK(loads >= 2);
    if (value(AT_BASE)) {
        unsigned char *interp = (unsigned char *)value(AT_BASE);
        CHECK(!memcmp(interp, ELFMAG, SELFMAG));
    }
}

/* Looks a symbol of the vDSO up as the C libraries do: dynamic section, symbol and string tables, hash. */
static void *vdso_symbol(const char *name)
{
    char *base = (char *)value(AT_SYSINFO_EHDR);
    ElfW(Ehdr) *eh = (ElfW(Ehdr) *)base;
    ElfW(Phdr) *ph = (ElfW(Phdr) *)(base + eh->e_phoff);
    ElfW(Dyn) *dyn = NULL;
    ElfW(Sym) *sym = NULL;
    char *strings = NULL, *load = NULL;
    uint32_t *hash = NULL, *gnu = NULL, count = 0;

    for (int i = 0; i < eh->e_phnum; i++) {
        if (ph[i].p_type == PT_LOAD && !load)
            load = base + ph[i].p_offset - ph[i].p_vaddr;
        if (ph[i].p_type == PT_DYNAMIC)
            dyn = (ElfW(Dyn) *)(base + ph[i].p_offset);
    }
    for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
        if (dyn->d_tag == DT_SYMTAB)
            sym = (ElfW(Sym) *)(load + dyn->d_un.d_ptr);
        if (dyn->d_tag == DT_STRTAB)
            strings = load + dyn->d_un.d_ptr;
        if (dyn->d_tag == DT_HASH)
            hash = (uint32_t *)(load + dyn->d_un.d_ptr);
        if (dyn->d_tag == DT_GNU_HASH)
            gnu = (uint32_t *)(load + dyn->d_un.d_ptr);
    }
    count = hash ? hash[1] : gnu ? 20 : 0;
    for (uint32_t i = 0; sym && strings && i < count; i++) {
        if (sym[i].st_shndx != SHN_UNDEF && !strcmp(strings + sym[i].st_name, name))
            return load + sym[i].st_value;
    }
    return NULL;
}

static void test_vdso(void)
{
    unsigned char *base = (unsigned char *)value(AT_SYSINFO_EHDR);
    long (*gettime)(clockid_t, struct timespec *);
    struct timespec a, b;

    CHECK(base && (uintptr_t)base % 4096 == 0 && !memcmp(base, ELFMAG, SELFMAG));
    CHECK(((ElfW(Ehdr) *)base)->e_type == ET_DYN);
    gettime = (long (*)(clockid_t, struct timespec *))(uintptr_t)vdso_symbol("__vdso_clock_gettime");
    CHECK(gettime && gettime(CLOCK_MONOTONIC, &a) == 0 && clock_gettime(CLOCK_MONOTONIC, &b) == 0);
    CHECK(b.tv_sec - a.tv_sec <= 5 && b.tv_sec >= a.tv_sec);
    CHECK(vdso_symbol("__vdso_gettimeofday") && vdso_symbol("__vdso_time") && vdso_symbol("__vdso_getcpu"));
}

static int visit(struct dl_phdr_info *info, size_t size, void *count)
{
    (void)size;
    (void)info;
    ++*(int *)count;
    return 0;
}

static void test_file(void)
{
    char buf[8192];
    int fd = open("/proc/self/auxv", O_RDONLY), count = 0;
    ssize_t n = read(fd, buf, sizeof(buf));
    ElfW(auxv_t) *a = (ElfW(auxv_t) *)buf;

    CHECK(n > 100 && n % (ssize_t)sizeof(*a) == 0);
    for (; (char *)a < buf + n && a->a_type != AT_NULL; a++)
        CHECK(value(a->a_type) == a->a_un.a_val);
    CHECK(getauxval(AT_PAGESZ) == 4096 && getauxval(AT_ENTRY) == value(AT_ENTRY));
    CHECK(dl_iterate_phdr(visit, &count) == 0 && count >= 1);
    close(fd);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    test_vector(argv);
    test_program_headers();
    test_vdso();
    test_file();
    return guest_done();
}
