/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a native program: rewrites the syscall sites of everything that is mapped, as the
 * kernel would, and serves them through the fake entry. So the choice of sites and the trampolines
 * run real programs without an enclave around them. With PRELOAD_REPORT set to a file's name, that
 * file tells at exit how many sites and how many calls there were; trapped calls are not seen.
 */
#include "hosted.h"
#include "../sites.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t g_sites;

static ssize_t read_fd(void *ctx, void *buf, size_t size, u64 pos)
{
    ssize_t n = pread(*(int *)ctx, buf, size, (off_t)pos);

    return n < 0 ? -EIO : n;
}

/* Executable at once: the C library that protects the text is being rewritten itself. */
static u8 *map_near(u64 text, size_t size)
{
    for (u64 gap = 0; gap < 1UL << 30; gap += 1UL << 20) {
        u64 want = page_down(text - gap - size);
        void *p = mmap((void *)want, size, PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

        if (p != MAP_FAILED)
            return p;
    }
    return NULL;
}

/* Patches a mapping [start, end) of the file at `offset`. */
static void rewrite(const struct site_list *l, u64 start, u64 end, u64 offset)
{
    u8 *block = map_near(start, l->trampolines);

    if (!block || mprotect((void *)start, end - start, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        return;
    for (size_t i = sites_from(l, offset); i < l->count; i++) {
        const struct site *s = &l->sites[i];
        u64 va = start + (s->offset - offset), at = (u64)block + s->trampoline;

        if (va + site_size(s) > end)
            break;
        if (memcmp((void *)va, s->bytes, site_size(s)) != 0 ||
            !trampoline_write(s, va, at, (u8 *)at))
            continue;
        trampoline_patch(va, at, (u8 *)va);
        g_sites++;
    }
    mprotect((void *)start, end - start, PROT_READ | PROT_EXEC);
}

static void rewrite_line(const char *line)
{
    struct site_list l;
    struct stat st;
    unsigned long start, end, offset;
    char prot[5], path[4096];
    int fd, err;

    if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %4095s", &start, &end, prot, &offset, path) != 5 ||
        prot[2] != 'x' || path[0] != '/')
        return;
    if ((u64)rewrite_line >= start && (u64)rewrite_line < end) /* the entry's own syscall stays */
        return;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return;
    err = sites_find(&(struct elf_reader){read_fd, &fd, (u64)st.st_size}, &l);
    close(fd);
    if (err)
        return;
    if (l.count > 0)
        rewrite(&l, start, end, offset);
    sites_free(&l);
}

static __attribute__((constructor)) void start(void)
{
    static char maps[1 << 18];
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    ssize_t n;

    hosted_gs_install();
    while ((n = read(fd, maps + size, sizeof(maps) - 1 - size)) > 0)
        size += (size_t)n;
    close(fd);
    for (char *line = strtok(maps, "\n"); line; line = strtok(NULL, "\n"))
        rewrite_line(line);
}

static __attribute__((destructor)) void finish(void)
{
    const char *name = getenv("PRELOAD_REPORT");
    FILE *f = name ? fopen(name, "w") : NULL;

    if (!f)
        return;
    fprintf(f, "%zu sites, %lu calls\n", g_sites, (unsigned long)hosted_calls);
    fclose(f);
}
