/* SPDX-License-Identifier: MIT */
/*
 * The search: every `0f 05` (syscall) and `0f a2` (cpuid) in executable segments is a candidate; the function around
 * each is decoded from a known start to its known end; what turns out to be such an instruction gets the
 * best window of whole instructions that five bytes of jump may cover.
 *
 * A window is refused when anything may enter it behind its first byte: a direct branch or an
 * address taken in the same function, or what looks like one anywhere in the file's code (branches
 * from other functions and from split-off cold parts). Landing pads need no look of their own:
 * control never falls into one, and every byte of a window but the first is reached by falling
 * through. Tables of jumps to an instruction next to a syscall cannot be seen; no compiler makes
 * one, since a case of a switch begins neither with the use of RAX nor inside a chain of argument
 * moves.
 */
#include "sites.h"
#include "functions.h"
#include "insn.h"

#include <kernel/alloc.h>
#include <kernel/string.h>

#define CANDIDATES_MAX    16384u
#define CHUNK_SIZE        65536u
#define CHUNK_OVERLAP     5u /* an operand needs four bytes and two before it to be known */
#define PRE_INSNS_MAX     3u
#define FUNCTION_SIZE_MAX (1UL << 20)
#define DECODE_MAX        (16UL << 20) /* bytes in one file; tables may claim overlapping functions */
#define NR_RT_SIGRETURN   15

/* Marks of one byte of decoded code. */
#define MARK_SIZE   0x0fu /* an instruction of this size starts here */
#define MARK_TARGET 0x10u
#define MARK_PLAIN  0x20u
#define MARK_CALL   0x40u /* a syscall or CPUID instruction */

/* Which 64-byte blocks of the image (modulo the filter's size) hold bytes near candidates. */
#define FILTER_SHIFT 6
#define FILTER_BITS  65536u

struct search {
    const struct elf_reader *reader;
    struct elf_image image;
    struct candidate *candidates;
    size_t count, room;
    struct site_list *out;
    size_t site_room;
    u64 decoded;            /* bytes */
    struct code *functions; /* latest first */
    u64 *filter;            /* FILTER_BITS */
    bool wide;              /* code may refer to code over 16 MiB away */
};

/* One function's code, decoded, with at least one syscall among candidates [first, last). */
struct code {
    struct code *next;
    u64 va;
    size_t size;
    size_t first, last;
    u8 *marks; /* `size` of them; in the same block */
    u8 bytes[];
};

/* A piece of an executable segment; its first bytes are the last of the piece before. */
struct chunk {
    const u8 *bytes;
    size_t size;
    size_t seen; /* CHUNK_OVERLAP, or 0 in the first piece */
    u64 va;      /* of bytes[0] */
};

/* ---- Candidates
 * ----------------------------------------------------------------------------------- */

static int add_candidate(struct search *s, u64 va)
{
    if (s->count == s->room) {
        size_t room = s->room ? 2 * s->room : 256;
        struct candidate *list;

        if (s->count >= CANDIDATES_MAX)
            return -E2BIG;
        list = krealloc(s->candidates, room * sizeof(*list));
        if (!list)
            return -ENOMEM;
        s->candidates = list;
        s->room = room;
    }
    s->candidates[s->count++] = (struct candidate){.va = va};
    return 0;
}

#define BYTES(b) (0x0101010101010101UL * (b))

/* The high bit of each byte that is 0, and perhaps of some that are 1. */
static u64 zero_bytes(u64 x)
{
    return (x - BYTES(0x01)) & ~x & BYTES(0x80);
}

/* False: none of eight bytes is 05 or a2. */
static bool has_second(const u8 *p)
{
    u64 x;

    memcpy(&x, p, sizeof(x));
    return zero_bytes(x ^ BYTES(0x05)) | zero_bytes(x ^ BYTES(0xa2));
}

/*
 * Pairs 0f 05 and 0f a2, but not the frequent ones inside displacements and constants: no code goes on with
 * 00 (ADD to a byte in memory) after a syscall.
 */
static int scan_chunk(struct search *s, const struct chunk *c)
{
    const u8 *b = c->bytes;
    size_t i = max(c->seen, (size_t)1);
    int err = 0;

    while (!err && i < c->size) {
        if (i + 8 <= c->size && !has_second(b + i)) {
            i += 8;
            continue;
        }
        if ((b[i] == 0x05 || b[i] == 0xa2) && b[i - 1] == 0x0f && (i + 1 == c->size || b[i + 1] != 0x00))
            err = add_candidate(s, c->va + i - 1);
        i++;
    }
    return err;
}

/*
 * Hands a segment's bytes to `fn` in chunks, each read to a page's start, as they mostly stand in the
 * file; what is kept of a chunk for the next one stands before.
 */
static int for_each_chunk(struct search *s, const Elf64_Phdr *p,
                          int (*fn)(struct search *s, const struct chunk *c))
{
    u8 *buf = kmalloc(PAGE_SIZE + CHUNK_SIZE), *fresh = buf + PAGE_SIZE;
    size_t seen = 0;
    int err = buf ? 0 : -ENOMEM;

    for (u64 pos = 0; !err && pos < p->p_filesz; pos += CHUNK_SIZE) {
        size_t size = min((u64)CHUNK_SIZE, p->p_filesz - pos);
        struct chunk c = {fresh - seen, size + seen, seen, p->p_vaddr + pos - seen};

        err = elf_read(s->reader, fresh, size, p->p_offset + pos);
        if (!err)
            err = fn(s, &c);
        memcpy(fresh - CHUNK_OVERLAP, fresh + CHUNK_SIZE - CHUNK_OVERLAP, CHUNK_OVERLAP);
        seen = CHUNK_OVERLAP;
    }
    kfree(buf);
    return err;
}

static int for_each_text(struct search *s, int (*fn)(struct search *s, const struct chunk *c))
{
    for (unsigned i = 0; i < s->image.phdr_count; i++) {
        const Elf64_Phdr *p = &s->image.phdrs[i];
        int err;

        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        err = for_each_chunk(s, p, fn);
        if (err)
            return err;
    }
    return 0;
}

/* Segments come in file order of their headers: nearly sorted. */
static void sort_candidates(struct search *s)
{
    for (size_t i = 1; i < s->count; i++) {
        struct candidate c = s->candidates[i];
        size_t j = i;

        for (; j > 0 && s->candidates[j - 1].va > c.va; j--)
            s->candidates[j] = s->candidates[j - 1];
        s->candidates[j] = c;
    }
}

/* ---- References
 * ------------------------------------------------------------------------------------- */

/* The bytes around a candidate that a window may cover, as bits of candidate.refs. */
#define REFS_BEFORE 15
#define REFS_COUNT  32

static void filter_add(u64 *filter, u64 va)
{
    u64 bit = (va >> FILTER_SHIFT) % FILTER_BITS;

    filter[bit / 64] |= 1UL << (bit % 64);
}

static bool filter_has(const u64 *filter, u64 va)
{
    u64 bit = (va >> FILTER_SHIFT) % FILTER_BITS;

    return filter[bit / 64] >> (bit % 64) & 1;
}

/* Something leads to `va`: noted with the candidates near it. */
static void refer(struct search *s, u64 va)
{
    size_t low = 0, high = s->count;

    while (low < high) { /* the first candidate whose bytes end behind va */
        size_t mid = low + (high - low) / 2;

        if (s->candidates[mid].va + (REFS_COUNT - REFS_BEFORE) <= va)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < s->count && s->candidates[low].va <= va + REFS_BEFORE; low++)
        s->candidates[low].refs |= 1u << (va + REFS_BEFORE - s->candidates[low].va);
}

/* Whether an operand relative to RIP may follow: after a branch's opcode, or a ModRM byte. */
static bool leads_operand(const u8 *p)
{
    return (u8)(*p - 0xe8) <= 1 || (*p & 0xc7) == 0x05 || ((*p & 0xf0) == 0x80 && p[-1] == 0x0f);
}

/* The four bytes at `i` (at least 2) as a displacement: does it lead to where we look? */
static void scan_operand(struct search *s, const struct chunk *c, size_t i)
{
    u64 target;
    s32 d;

    memcpy(&d, c->bytes + i, sizeof(d));
    target = c->va + i + 4 + (u64)(s64)d;
    if (unlikely(filter_has(s->filter, target)) && leads_operand(c->bytes + i - 1))
        refer(s, target);
}

/* The high bit of each byte that is 00 or ff, and perhaps of some that are 01 or fe. */
static u64 small_high_bytes(const u8 *p)
{
    u64 x;

    memcpy(&x, p, sizeof(x));
    return (((x - BYTES(0x01)) & ~x) | ((~x - BYTES(0x01)) & x)) & BYTES(0x80);
}

/*
 * Only operands whose high byte is that of a displacement within +-16 MiB, eight bytes at a time;
 * in larger images all.
 */
static int scan_references(struct search *s, const struct chunk *c)
{
    size_t high = CHUNK_OVERLAP; /* of the first operand with two bytes before it */

    for (; !s->wide && high + 8 <= c->size; high += 8) {
        u64 hits = small_high_bytes(c->bytes + high);

        for (; hits; hits &= hits - 1)
            scan_operand(s, c, high + (size_t)__builtin_ctzl(hits) / 8 - 3);
    }
    for (; high < c->size; high++)
        scan_operand(s, c, high - 3);
    return 0;
}

static int find_references(struct search *s)
{
    s->filter = kzalloc(FILTER_BITS / 8);
    if (!s->filter)
        return -ENOMEM;
    s->wide = s->image.high - s->image.low > (1UL << 24);
    for (size_t i = 0; i < s->count; i++) {
        filter_add(s->filter, s->candidates[i].va - REFS_BEFORE);
        filter_add(s->filter, s->candidates[i].va + REFS_COUNT - REFS_BEFORE - 1);
    }
    return for_each_text(s, scan_references);
}

/* Brings what was noted into a function's marks. */
static void mark_references(const struct candidate *cand, struct code *c)
{
    for (unsigned bit = 0; bit < REFS_COUNT; bit++) {
        u64 at = cand->va - c->va + bit - REFS_BEFORE;

        if ((cand->refs >> bit & 1) && at < c->size)
            c->marks[at] |= MARK_TARGET;
    }
}

/* ---- Decoding
 * --------------------------------------------------------------------------------------- */

/* Decodes all of it. False: some byte is no instruction, or the last one crosses the end. */
static bool decode(struct code *c)
{
    size_t at = 0;

    while (at < c->size) {
        struct insn insn;
        s64 target;

        if (!insn_decode(c->bytes + at, c->size - at, &insn))
            return false;
        c->marks[at] |= insn.size;
        if (insn.kind == INSN_PLAIN)
            c->marks[at] |= MARK_PLAIN;
        else if (insn.kind == INSN_SYSCALL || insn.kind == INSN_CPUID)
            c->marks[at] |= MARK_CALL;
        target = (s64)at + insn.target;
        if (insn.kind == INSN_TARGET && target >= 0 && (u64)target < c->size)
            c->marks[target] |= MARK_TARGET;
        at += insn.size;
    }
    return true;
}

static size_t mark_size(const struct code *c, size_t at)
{
    return c->marks[at] & MARK_SIZE;
}

/* The start of the instruction before `at`, or SIZE_MAX when there is none. */
static size_t previous(const struct code *c, size_t at)
{
    for (size_t n = 1; n <= 15 && n <= at; n++) {
        if (mark_size(c, at - n) == n)
            return at - n;
        if (mark_size(c, at - n) > 0)
            break;
    }
    return SIZE_MAX;
}

/* ---- The window
 * ------------------------------------------------------------------------------------- */

struct window {
    size_t start, end;
};

/* The jump keeps within a page, and nothing enters the replaced bytes behind the first. */
static bool window_ok(const struct code *c, struct window w)
{
    u64 va = c->va + w.start;

    if (w.end - w.start < SITE_PATCH_SIZE || page_down(va) != page_down(va + SITE_PATCH_SIZE - 1))
        return false;
    for (size_t i = w.start + 1; i < w.start + SITE_PATCH_SIZE; i++) {
        if (c->marks[i] & MARK_TARGET)
            return false;
    }
    return true;
}

/* Takes one more plain instruction in front. */
static bool extend_front(const struct code *c, struct window *w, size_t call)
{
    size_t p = previous(c, w->start);

    if (p == SIZE_MAX || !(c->marks[p] & MARK_PLAIN) || call - p > SITE_PART_MAX)
        return false;
    w->start = p;
    return true;
}

static bool extend_back(const struct code *c, struct window *w, size_t call)
{
    if (w->end >= c->size || !(c->marks[w->end] & MARK_PLAIN) ||
        w->end + mark_size(c, w->end) - (call + 2) > SITE_PART_MAX)
        return false;
    w->end += mark_size(c, w->end);
    return true;
}

/* Instructions in front only, until together with `tail` bytes of the syscall they reach five
 * bytes. */
static bool choose_front(const struct code *c, size_t call, size_t tail, unsigned insns,
                         struct window *w)
{
    *w = (struct window){call, call + 2};
    while (insns-- > 0 && extend_front(c, w, call)) {
        if (call + tail - w->start >= SITE_PATCH_SIZE)
            return window_ok(c, *w);
    }
    return false;
}

static bool choose_back(const struct code *c, size_t call, struct window *w)
{
    *w = (struct window){call, call + 2};
    while (w->end - w->start < SITE_PATCH_SIZE) {
        if (!extend_back(c, w, call))
            return false;
    }
    return window_ok(c, *w);
}

static bool choose_both(const struct code *c, size_t call, struct window *w)
{
    *w = (struct window){call, call + 2};
    for (unsigned i = 0; i < PRE_INSNS_MAX && extend_front(c, w, call); i++) {
        struct window wider = *w;

        while (wider.end - wider.start < SITE_PATCH_SIZE) {
            if (!extend_back(c, &wider, call))
                break;
        }
        if (window_ok(c, wider)) {
            *w = wider;
            return true;
        }
    }
    return false;
}

/*
 * Best first: one instruction in front that is replaced whole; some in front, with the syscall;
 * some behind. A syscall that is jumped to needs the jump at its own place to be fast; only when
 * that fails what stands in front of it is replaced, and the syscall stays for those who jump.
 */
static bool choose(const struct code *c, size_t call, struct window *w)
{
    if (!(c->marks[call] & MARK_TARGET))
        return choose_front(c, call, 0, 1, w) || choose_front(c, call, 2, PRE_INSNS_MAX, w) ||
               choose_back(c, call, w) || choose_both(c, call, w);
    return choose_back(c, call, w) || choose_front(c, call, 0, PRE_INSNS_MAX, w);
}

/* `mov $15,%eax` or `mov $15,%rax` right before: unwinders know a signal frame by these bytes. */
static bool is_sigreturn(const struct code *c, size_t call)
{
    static const u8 mov_eax[] = {0xb8, NR_RT_SIGRETURN, 0, 0, 0};
    static const u8 mov_rax[] = {0x48, 0xc7, 0xc0, NR_RT_SIGRETURN, 0, 0, 0};

    return (call >= sizeof(mov_eax) &&
            memcmp(c->bytes + call - sizeof(mov_eax), mov_eax, sizeof(mov_eax)) == 0) ||
           (call >= sizeof(mov_rax) &&
            memcmp(c->bytes + call - sizeof(mov_rax), mov_rax, sizeof(mov_rax)) == 0);
}

/* ---- Sites
 * ------------------------------------------------------------------------------------------ */

static bool va_to_offset(const struct elf_image *img, u64 va, u64 *offset)
{
    for (unsigned i = 0; i < img->phdr_count; i++) {
        const Elf64_Phdr *p = &img->phdrs[i];

        if (p->p_type == PT_LOAD && (p->p_flags & PF_X) && va >= p->p_vaddr &&
            va - p->p_vaddr < p->p_filesz) {
            *offset = p->p_offset + (va - p->p_vaddr);
            return true;
        }
    }
    return false;
}

static int add_site(struct search *s, const struct code *c, size_t call, struct window w)
{
    struct site_list *out = s->out;
    struct site *site;

    if (out->count == s->site_room) {
        size_t room = s->site_room ? 2 * s->site_room : 64;
        struct site *sites = krealloc(out->sites, room * sizeof(*sites));

        if (!sites)
            return -ENOMEM;
        out->sites = sites;
        s->site_room = room;
    }
    site = &out->sites[out->count];
    memset(site, 0, sizeof(*site));
    if (!va_to_offset(&s->image, c->va + w.start, &site->offset))
        return 0;
    site->pre = (u8)(call - w.start);
    site->post = (u8)(w.end - call - 2);
    site->cpuid = c->bytes[call + 1] == 0xa2;
    memcpy(site->bytes, c->bytes + w.start, w.end - w.start);
    out->count++;
    return 0;
}

static bool is_call(const struct code *c, u64 va)
{
    u64 at = va - c->va;

    return at + 2 <= c->size && (c->marks[at] & MARK_CALL);
}

static int take_sites(struct search *s, struct code *c)
{
    size_t free_from = 0;

    for (size_t i = c->first; i < c->last; i++)
        mark_references(&s->candidates[i], c);
    for (size_t i = c->first; i < c->last; i++) {
        size_t call = s->candidates[i].va - c->va;
        struct window w;
        int err;

        if (!is_call(c, s->candidates[i].va))
            continue;
        if (is_sigreturn(c, call) || !choose(c, call, &w) || w.start < free_from) {
            s->out->skipped++;
            continue;
        }
        err = add_site(s, c, call, w);
        if (err)
            return err;
        free_from = w.end;
    }
    return 0;
}

/* Decodes the function around candidates [first, last) and keeps it when there is a syscall in it.
 */
static int decode_function(struct search *s, size_t first, size_t last)
{
    struct range range = s->candidates[first].range;
    size_t size = range.end - range.start, calls = 0;
    struct code *c = kzalloc(sizeof(*c) + 2 * size);

    if (!c)
        return -ENOMEM;
    s->decoded += size;
    *c = (struct code){.va = range.start, .size = size, .first = first, .last = last};
    c->marks = c->bytes + size;
    if (elf_read_va(s->reader, &s->image, c->va, c->bytes, size) || !decode(c)) {
        s->out->unproven += last - first;
        kfree(c);
        return 0;
    }
    for (size_t i = first; i < last; i++)
        calls += is_call(c, s->candidates[i].va);
    s->out->data += last - first - calls;
    if (calls == 0) {
        kfree(c);
        return 0;
    }
    c->next = s->functions;
    s->functions = c;
    return 0;
}

static void free_functions(struct search *s)
{
    while (s->functions) {
        struct code *c = s->functions;

        s->functions = c->next;
        kfree(c);
    }
}

static int decode_functions(struct search *s)
{
    int err = 0;

    for (size_t i = 0, next; !err && i < s->count; i = next) {
        const struct candidate *c = &s->candidates[i];

        for (next = i + 1; next < s->count; next++) {
            if (s->candidates[next].range.start != c->range.start ||
                s->candidates[next].proof != c->proof)
                break;
        }
        if (c->proof == PROOF_NONE || c->range.end - c->range.start > FUNCTION_SIZE_MAX ||
            s->decoded > DECODE_MAX)
            s->out->unproven += next - i;
        else
            err = decode_function(s, i, next);
    }
    return err;
}

/* ---- The whole
 * ------------------------------------------------------------------------------------------ */

static void sort_sites(struct site_list *l)
{
    for (size_t i = 1; i < l->count; i++) {
        struct site site = l->sites[i];
        size_t j = i;

        for (; j > 0 && l->sites[j - 1].offset > site.offset; j--)
            l->sites[j] = l->sites[j - 1];
        l->sites[j] = site;
    }
}

/* Gives each site its place; drops what overlaps (malformed tables, a segment mapped twice). */
static void place_trampolines(struct site_list *l)
{
    u64 free_from = 0;
    size_t kept = 0;

    for (size_t i = 0; i < l->count; i++) {
        struct site *site = &l->sites[i];

        if (site->offset < free_from) {
            l->skipped++;
            continue;
        }
        free_from = site->offset + site_size(site);
        site->trampoline = l->trampolines;
        l->trampolines += (u32)trampoline_size(site);
        l->sites[kept++] = *site;
    }
    l->count = kept;
}

static int search(struct search *s)
{
    int err = for_each_text(s, scan_chunk);

    s->out->candidates = s->count;
    if (err || s->count == 0)
        return err;
    sort_candidates(s);
    err = functions_locate(s->reader, &s->image, s->candidates, s->count);
    if (!err)
        err = decode_functions(s);
    if (!err && s->functions)
        err = find_references(s);
    for (struct code *c = s->functions; !err && c; c = c->next)
        err = take_sites(s, c);
    if (err)
        return err;
    sort_sites(s->out);
    place_trampolines(s->out);
    return 0;
}

int sites_find(const struct elf_reader *r, struct site_list *out)
{
    struct site_list list = {.sites = NULL};
    struct search s = {.reader = r, .out = &list};
    int err = elf_parse(r, ELF_INTERPRETER, &s.image);

    if (!err) {
        err = search(&s);
        elf_free(&s.image);
    }
    free_functions(&s);
    kfree(s.candidates);
    kfree(s.filter);
    if (err)
        sites_free(&list);
    else
        *out = list;
    return err;
}

void sites_free(struct site_list *l)
{
    kfree(l->sites);
    l->sites = NULL;
    l->count = 0;
}

size_t sites_from(const struct site_list *l, u64 offset)
{
    size_t low = 0, high = l->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (l->sites[mid].offset < offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}
