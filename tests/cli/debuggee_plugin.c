/* SPDX-License-Identifier: MIT */
/*
 * What the tests of `adyton gdb` debug: a library that comes (dlopen), goes, leaves its place to data that
 * no breakpoint may change, and comes again by hand: mapped, and made executable by mprotect.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096UL
#define MAP_SIZE (4 * PAGE)

typedef int work_fn(int);

static work_fn *use_library(const char *path, uintptr_t *offset)
{
    void *library = dlopen(path, RTLD_NOW);
    work_fn *work = library ? (work_fn *)dlsym(library, "plugin_work") : NULL;
    Dl_info info;

    if (!work || !dladdr((void *)work, &info))
        return NULL;
    *offset = (uintptr_t)work - (uintptr_t)info.dli_fbase;
    printf("opened %d\n", work(20));
    dlclose(library);
    return work;
}

static int changed(unsigned char *data)
{
    int count = 0;

    memset(data, 7, PAGE);
    puts("filled");
    for (size_t i = 0; i < PAGE; i++)
        count += data[i] != 7;
    return count;
}

static int use_mapped(const char *path, uintptr_t offset)
{
    int fd = open(path, O_RDONLY);
    char *text = mmap(NULL, MAP_SIZE, PROT_READ, MAP_PRIVATE, fd, 0);

    if (text == MAP_FAILED || mprotect(text, MAP_SIZE, PROT_READ | PROT_EXEC) < 0)
        return -1;
    return ((work_fn *)(uintptr_t)(text + offset))(30);
}

int main(int argc, char **argv)
{
    uintptr_t offset = 0;
    work_fn *work = argc > 1 ? use_library(argv[1], &offset) : NULL;
    unsigned char *data;

    if (!work)
        return 1;
    data = mmap((void *)((uintptr_t)work & -PAGE), PAGE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    printf("changed %d\n", data == MAP_FAILED ? -1 : changed(data));
    printf("mapped %d\n", use_mapped(argv[1], offset));
    return 0;
}
