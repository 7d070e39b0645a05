/* SPDX-License-Identifier: MIT */
/*
 * Says for each ELF file what the rewriter would do with its syscall sites, and with -v where:
 *
 *   rewrite_report [-v] FILE...
 */
#include "../sites.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>
#include <sys/stat.h>

static ssize_t read_fd(void *ctx, void *buf, size_t size, u64 pos)
{
    ssize_t n = pread(*(int *)ctx, buf, size, (off_t)pos);

    return n < 0 ? -EIO : n;
}

static double now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void print_sites(const struct site_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct site *s = &l->sites[i];

        printf("  %#lx: %u before, %u behind:", (unsigned long)s->offset, s->pre, s->post);
        for (size_t j = 0; j < site_size(s); j++)
            printf(" %02x", s->bytes[j]);
        printf("\n");
    }
}

static void report(const char *name, bool verbose)
{
    struct site_list l = {.sites = NULL};
    struct stat st;
    int fd = open(name, O_RDONLY);
    size_t front = 0;
    double start;
    int err;

    if (fd < 0 || fstat(fd, &st) != 0) {
        perror(name);
        return;
    }
    start = now_ms();
    err = sites_find(&(struct elf_reader){read_fd, &fd, (u64)st.st_size}, &l);
    close(fd);
    if (err) {
        printf("%s: %s\n", name, strerror(-err));
        return;
    }
    for (size_t i = 0; i < l.count; i++)
        front += l.sites[i].post == 0;
    printf("%s: %zu byte pairs: %zu rewritten (%zu return straight), %zu skipped, %zu unproven, "
           "%zu no syscall; %u bytes of trampolines; %.1f ms\n",
           name, l.candidates, l.count, front, l.skipped, l.unproven, l.data, l.trampolines,
           now_ms() - start);
    if (verbose)
        print_sites(&l);
    sites_free(&l);
}

int main(int argc, char **argv)
{
    bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;

    for (int i = verbose ? 2 : 1; i < argc; i++)
        report(argv[i], verbose);
    return 0;
}
