/* SPDX-License-Identifier: MIT */
/* Sites are inside the file, apart from each other, each within a page, and map back and forth. */
#include "check_sites.h"

#include <kernel/printk.h>
#include <kernel/string.h>

static void check_trampoline(const struct site *s)
{
    const u64 va = 0x400000, at = 0x500000;
    u8 code[TRAMPOLINE_MAX];

    ASSERT(trampoline_write(s, va, at, code));
    for (u64 k = 0; k < trampoline_size(s); k++) {
        struct regs r = {.rip = at + k};

        ASSERT(trampoline_hide(s, va, at, &r, 0));
        ASSERT(r.rip >= va && r.rip <= va + site_size(s));
    }
}

static void check_list(const struct site_list *l, const u8 *data, size_t size)
{
    u64 free_from = 0;

    for (size_t i = 0; i < l->count; i++) {
        const struct site *s = &l->sites[i];

        ASSERT(s->offset >= free_from && site_size(s) >= SITE_PATCH_SIZE);
        free_from = s->offset + site_size(s);
        ASSERT(free_from <= size && page_down(s->offset) == page_down(s->offset + 4));
        ASSERT(memcmp(data + s->offset, s->bytes, site_size(s)) == 0);
        ASSERT(s->trampoline + trampoline_size(s) <= l->trampolines);
        check_trampoline(s);
    }
}

void check_sites(const struct elf_reader *r, const u8 *data, size_t size)
{
    struct site_list l;

    if (sites_find(r, &l))
        return;
    check_list(&l, data, size);
    sites_free(&l);
}
