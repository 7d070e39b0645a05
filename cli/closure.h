/* SPDX-License-Identifier: MIT */
/*
 * A program with its interpreter and all libraries it needs, found as the dynamic linker would find
 * them (ld.so(8); musl's ldso/dynlink.c for programs with musl's interpreter), without running it.
 */
#ifndef CLI_CLOSURE_H
#define CLI_CLOSURE_H

#include "elf_info.h"
#include "view.h"

#define CLOSURE_MAX 1024

struct object {
    char *name; /* as it was asked for */
    char *path; /* where it was found, links and all; NULL: nowhere */
    char *real; /* the same without links */
    const uint8_t *data;
    size_t size;
    struct elf_info info;
    int parent;        /* index of who asked for it first; -1: the program */
    int by_cache;      /* found through /etc/ld.so.cache, in a directory that is not searched else */
    const char *why;   /* an interpreter that is there but is not usable */
};

struct closure {
    struct view *view;
    const char *library_path; /* LD_LIBRARY_PATH, or NULL */
    int musl;
    struct object objects[CLOSURE_MAX]; /* [0]: the program; [1]: its interpreter if it has one */
    size_t count;
    const uint8_t *cache; /* /etc/ld.so.cache */
    size_t cache_size;
};

/*
 * Fills *c for the ELF file at `path`. Objects without a path are missing. 0; -1 after a message, when
 * the file itself cannot be used. closure_free() either way.
 */
int closure_read(struct closure *c, struct view *view, const char *path, const char *library_path);
void closure_free(struct closure *c);

/* symbols.c: calls `report` for each symbol that nothing in the closure defines. The number of them. */
typedef void closure_report(void *ctx, const struct object *object, const struct elf_symbol *symbol);
int closure_check_symbols(const struct closure *c, closure_report *report, void *ctx);

#endif
