/* SPDX-License-Identifier: MIT */
/* Finds functions around candidates: unwind tables first, then symbols. Pure; no locks. */
#include "functions.h"

#include <kernel/alloc.h>
#include <kernel/string.h>

#define SECTIONS_MAX   4096u
#define SYMBOLS_CHUNK  1024u /* read at a time */
#define SWEEP_SIZE_MAX (1UL << 20)

struct search {
    const struct elf_reader *reader;
    const struct elf_image *image;
    struct candidate *list; /* range: the known starts around while there is no proof */
    size_t count;
    Elf64_Shdr *sections;
    size_t section_count;
};

/* The index of the first candidate at or behind `va`. */
static size_t first_at(const struct search *s, u64 va)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (s->list[mid].va < va)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void prove(struct search *s, struct range range, enum proof proof)
{
    for (size_t i = first_at(s, range.start); i < s->count && s->list[i].va < range.end; i++) {
        if (s->list[i].proof == PROOF_NONE) {
            s->list[i].range = range;
            s->list[i].proof = proof;
        }
    }
}

static void prove_unwind(void *ctx, struct range range)
{
    prove(ctx, range, PROOF_UNWIND);
}

/* Code is known to start at `va`: narrows the sweeps of the neighbours. */
static void know_start(struct search *s, u64 va)
{
    size_t i = first_at(s, va);

    if (i < s->count && s->list[i].proof == PROOF_NONE)
        s->list[i].range.start = max(s->list[i].range.start, va);
    if (i > 0 && s->list[i - 1].proof == PROOF_NONE)
        s->list[i - 1].range.end = min(s->list[i - 1].range.end, va);
}

static size_t unproven(const struct search *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->count; i++)
        n += s->list[i].proof == PROOF_NONE;
    return n;
}

/* ---- Unwind tables
 * -------------------------------------------------------------------------------- */

static void search_table(struct search *s)
{
    struct eh_table *t = eh_table_load(s->reader, s->image);

    for (size_t i = 0; t && i < s->count; i++) {
        struct candidate *c = &s->list[i];
        u64 before, after;

        if (eh_table_find(t, c->va, &c->range)) {
            c->proof = PROOF_UNWIND;
            continue;
        }
        eh_table_around(t, c->va, &before, &after);
        c->range = (struct range){before, after};
    }
    eh_table_free(t);
}

/* ---- Sections and symbols
 * --------------------------------------------------------------------------- */

static int load_sections(struct search *s)
{
    Elf64_Ehdr e;
    size_t size;
    int err = elf_read(s->reader, &e, sizeof(e), 0);

    if (err || e.e_shentsize != sizeof(Elf64_Shdr) || e.e_shnum == 0 || e.e_shnum > SECTIONS_MAX)
        return err;
    size = e.e_shnum * sizeof(Elf64_Shdr);
    s->sections = kmalloc(size);
    if (!s->sections)
        return -ENOMEM;
    if (elf_read(s->reader, s->sections, size, e.e_shoff) == 0)
        s->section_count = e.e_shnum;
    return 0;
}

/* .eh_frame without a search table: a section of program data that starts with a CIE. */
static void search_frames(struct search *s)
{
    for (size_t i = 0; i < s->section_count; i++) {
        const Elf64_Shdr *h = &s->sections[i];
        u32 head[2];

        if (!(h->sh_flags & SHF_ALLOC) || (h->sh_flags & (SHF_EXECINSTR | SHF_WRITE)) ||
            h->sh_type != SHT_PROGBITS || h->sh_size < 16)
            continue;
        if (elf_read_va(s->reader, s->image, h->sh_addr, head, sizeof(head)) == 0 &&
            head[0] >= 12 && head[0] <= 64 && head[1] == 0)
            (void)eh_frame_walk(s->reader, s->image, h->sh_addr, h->sh_size, prove_unwind, s);
    }
}

static void use_symbol(struct search *s, const Elf64_Sym *sym, bool starts)
{
    if (ELF_ST_TYPE(sym->st_info) != STT_FUNC || sym->st_shndx == SHN_UNDEF ||
        sym->st_value >= UINT64_MAX - sym->st_size)
        return;
    if (starts)
        know_start(s, sym->st_value);
    else if (sym->st_size > 0)
        prove(s, (struct range){sym->st_value, sym->st_value + sym->st_size}, PROOF_SYMBOL);
}

static int search_symbols(struct search *s, const Elf64_Shdr *h, bool starts)
{
    size_t chunk = SYMBOLS_CHUNK * sizeof(Elf64_Sym);
    Elf64_Sym *syms = kmalloc(chunk);
    int err = 0;

    if (!syms)
        return -ENOMEM;
    for (u64 at = 0; !err && h->sh_size - at >= sizeof(Elf64_Sym); at += chunk) {
        size_t size = min((u64)chunk, align_down(h->sh_size - at, 8));

        err = elf_read(s->reader, syms, size, h->sh_offset + at);
        for (size_t i = 0; !err && i < size / sizeof(Elf64_Sym); i++)
            use_symbol(s, &syms[i], starts);
        if (h->sh_size - at <= chunk)
            break;
    }
    kfree(syms);
    return err == -EIO ? 0 : err;
}

/* First what symbols prove by themselves, then the starts they give to the rest. */
static int search_all_symbols(struct search *s, bool starts)
{
    for (size_t i = 0; i < s->section_count; i++) {
        const Elf64_Shdr *h = &s->sections[i];
        int err;

        if ((h->sh_type != SHT_SYMTAB && h->sh_type != SHT_DYNSYM) ||
            h->sh_entsize != sizeof(Elf64_Sym))
            continue;
        err = search_symbols(s, h, starts);
        if (err)
            return err;
    }
    return 0;
}

static void search_section_ends(struct search *s)
{
    for (size_t i = 0; i < s->section_count; i++) {
        const Elf64_Shdr *h = &s->sections[i];

        if (!(h->sh_flags & SHF_EXECINSTR) || h->sh_addr >= UINT64_MAX - h->sh_size)
            continue;
        know_start(s, h->sh_addr);
        know_start(s, h->sh_addr + h->sh_size);
    }
    know_start(s, s->image->entry);
}

/* What is known to start around one candidate holds for its neighbours without any in between. */
static void share_starts(struct search *s)
{
    u64 start = 0, end = UINT64_MAX;

    for (size_t i = 0; i < s->count; i++) {
        struct candidate *c = &s->list[i];

        if (c->proof == PROOF_NONE)
            start = c->range.start = max(c->range.start, start);
    }
    for (size_t i = s->count; i-- > 0;) {
        struct candidate *c = &s->list[i];

        if (c->proof == PROOF_NONE)
            end = c->range.end = min(c->range.end, end);
    }
}

static void accept_sweeps(struct search *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct candidate *c = &s->list[i];

        if (c->proof == PROOF_NONE && c->range.start > 0 && c->range.end < UINT64_MAX &&
            c->range.end - c->range.start <= SWEEP_SIZE_MAX)
            c->proof = PROOF_SWEEP;
    }
}

int functions_locate(const struct elf_reader *r, const struct elf_image *img,
                     struct candidate *list, size_t count)
{
    struct search s = {.reader = r, .image = img, .list = list, .count = count};
    int err = 0;

    for (size_t i = 0; i < count; i++) {
        list[i].range = (struct range){0, UINT64_MAX};
        list[i].proof = PROOF_NONE;
    }
    search_table(&s);
    if (unproven(&s) > 0)
        err = load_sections(&s);
    if (!err && unproven(&s) > 0) {
        search_frames(&s);
        err = search_all_symbols(&s, false);
    }
    if (!err && unproven(&s) > 0) {
        err = search_all_symbols(&s, true);
        search_section_ends(&s);
        share_starts(&s);
        accept_sweeps(&s);
    }
    kfree(s.sections);
    return err;
}
