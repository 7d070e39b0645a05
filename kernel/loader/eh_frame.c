/* SPDX-License-Identifier: MIT */
/*
 * Reads .eh_frame and .eh_frame_hdr. Input is a program's file: every length and pointer is checked
 * against the bytes at hand. Pure; no locks.
 */
#include "eh_frame.h"

#include <kernel/alloc.h>
#include <kernel/string.h>

/* DW_EH_PE_* */
#define ENC_ABSPTR        0x00u
#define ENC_UDATA4        0x03u
#define ENC_UDATA8        0x04u
#define ENC_SDATA4        0x0bu
#define ENC_SDATA8        0x0cu
#define ENC_FORMAT        0x0fu
#define ENC_PCREL         0x10u
#define ENC_DATAREL       0x30u
#define ENC_APPLY         0x70u
#define ENC_INDIRECT      0x80u
#define ENC_OMIT          0xffu

#define TABLE_ENTRIES_MAX (1u << 20) /* 8 MiB */
#define FRAME_SIZE_MAX    (16u << 20)
#define CIE_HEAD_SIZE     64u /* up to and including the pointers' encoding */
#define FDE_HEAD_SIZE     32u /* up to and including the range */

/* Bytes with the address they are linked at. */
struct cursor {
    const u8 *p, *end;
    u64 va;
};

struct eh_entry {
    s32 start, fde; /* relative to the header's address; sorted by start */
};

struct eh_table {
    const struct elf_reader *reader;
    const struct elf_image *image;
    u64 base;
    u32 count;
    struct eh_entry entries[];
};

int elf_read_va(const struct elf_reader *r, const struct elf_image *img, u64 va, void *buf,
                size_t size)
{
    for (unsigned i = 0; i < img->phdr_count; i++) {
        const Elf64_Phdr *p = &img->phdrs[i];

        if (p->p_type == PT_LOAD && va >= p->p_vaddr && va - p->p_vaddr <= p->p_filesz &&
            size <= p->p_filesz - (va - p->p_vaddr))
            return elf_read(r, buf, size, p->p_offset + (va - p->p_vaddr));
    }
    return -EINVAL;
}

static bool take(struct cursor *c, void *out, size_t size)
{
    if ((size_t)(c->end - c->p) < size)
        return false;
    memcpy(out, c->p, size);
    c->p += size;
    c->va += size;
    return true;
}

static bool skip_leb128(struct cursor *c)
{
    u8 byte;

    do {
        if (!take(c, &byte, 1))
            return false;
    } while (byte & 0x80);
    return true;
}

static bool take_sized(struct cursor *c, unsigned format, u64 *out)
{
    u32 u;

    switch (format) {
    case ENC_ABSPTR:
    case ENC_UDATA8:
    case ENC_SDATA8:
        return take(c, out, sizeof(*out));
    case ENC_UDATA4:
        if (!take(c, &u, sizeof(u)))
            return false;
        *out = u;
        return true;
    case ENC_SDATA4:
        if (!take(c, &u, sizeof(u)))
            return false;
        *out = (u64)(s64)(s32)u;
        return true;
    }
    return false;
}

/* A pointer in one of the encodings that linkers use. */
static bool take_pointer(struct cursor *c, u8 encoding, u64 *out)
{
    u64 at = c->va;

    if ((encoding & ENC_INDIRECT) || !take_sized(c, encoding & ENC_FORMAT, out))
        return false;
    switch (encoding & ENC_APPLY) {
    case ENC_ABSPTR:
        return true;
    case ENC_PCREL:
        *out += at;
        return true;
    }
    return false;
}

/* ---- CIE and FDE --------------------------------------------------------------------------------
 */

/* The augmentation's data: finds 'R', the encoding of an FDE's addresses. */
static bool parse_augmentation(struct cursor *c, const char *text, u8 *encoding)
{
    u64 ignored;
    u8 byte;

    for (text++; *text; text++) {
        switch (*text) {
        case 'R':
            return take(c, encoding, 1);
        case 'L':
            if (!take(c, &byte, 1))
                return false;
            break;
        case 'P':
            /* Only its size matters. */
            if (!take(c, &byte, 1) || !take_sized(c, byte & ENC_FORMAT, &ignored))
                return false;
            break;
        case 'S':
        case 'B':
            break;
        default:
            return false;
        }
    }
    return true;
}

/* A CIE's start, at its version byte: the encoding of its FDEs' addresses. */
static bool parse_cie(struct cursor c, u8 *encoding)
{
    char augmentation[8];
    u8 version, byte;
    size_t n = 0;

    if (!take(&c, &version, 1) || (version != 1 && version != 3))
        return false;
    do {
        if (n == sizeof(augmentation) || !take(&c, &augmentation[n], 1))
            return false;
    } while (augmentation[n++]);
    if (!skip_leb128(&c)) /* code alignment */
        return false;
    if (!skip_leb128(&c)) /* data alignment */
        return false;
    if (version == 1 ? !take(&c, &byte, 1) : !skip_leb128(&c)) /* return address column */
        return false;
    *encoding = ENC_ABSPTR;
    if (augmentation[0] == '\0')
        return true;
    if (augmentation[0] != 'z' || !skip_leb128(&c))
        return false;
    return parse_augmentation(&c, augmentation, encoding);
}

/* An FDE's addresses, at the field behind its CIE pointer. */
static bool parse_fde(struct cursor c, u8 encoding, struct range *out)
{
    u64 size;

    if (!take_pointer(&c, encoding, &out->start) || !take_sized(&c, encoding & ENC_FORMAT, &size))
        return false;
    /* The length has the pointer's size but is never negative. */
    if ((encoding & ENC_FORMAT) == ENC_SDATA4)
        size = (u32)size;
    out->end = out->start + size;
    return size > 0 && out->end > out->start;
}

/* ---- The search table
 * ----------------------------------------------------------------------------- */

struct eh_table *eh_table_load(const struct elf_reader *r, const struct elf_image *img)
{
    struct eh_table *t;
    u8 head[12]; /* version, three encodings, .eh_frame's address, entry count */
    u64 va = 0;
    u32 count;

    for (unsigned i = 0; i < img->phdr_count; i++) {
        if (img->phdrs[i].p_type == PT_GNU_EH_FRAME)
            va = img->phdrs[i].p_vaddr;
    }
    if (!va || elf_read_va(r, img, va, head, sizeof(head)))
        return NULL;
    /* What every linker writes; anything else is left alone. */
    if (head[0] != 1 || head[1] != (ENC_PCREL | ENC_SDATA4) || head[2] != ENC_UDATA4 ||
        head[3] != (ENC_DATAREL | ENC_SDATA4))
        return NULL;
    memcpy(&count, head + 8, sizeof(count));
    if (count == 0 || count > TABLE_ENTRIES_MAX)
        return NULL;
    t = kmalloc(sizeof(*t) + count * sizeof(t->entries[0]));
    if (!t)
        return NULL;
    *t = (struct eh_table){.reader = r, .image = img, .base = va, .count = count};
    if (elf_read_va(r, img, va + sizeof(head), t->entries, count * sizeof(t->entries[0]))) {
        kfree(t);
        return NULL;
    }
    return t;
}

void eh_table_free(struct eh_table *t)
{
    kfree(t);
}

static u64 entry_start(const struct eh_table *t, u32 i)
{
    return t->base + (u64)(s64)t->entries[i].start;
}

/* The number of entries that start at or before `va`. */
static u32 entries_up_to(const struct eh_table *t, u64 va)
{
    u32 low = 0, high = t->count;

    while (low < high) {
        u32 mid = low + (high - low) / 2;

        if (entry_start(t, mid) <= va)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void eh_table_around(const struct eh_table *t, u64 va, u64 *before, u64 *after)
{
    u32 n = entries_up_to(t, va);

    *before = n > 0 ? entry_start(t, n - 1) : 0;
    *after = n < t->count ? entry_start(t, n) : UINT64_MAX;
}

static bool read_cie(const struct eh_table *t, u64 va, u8 *encoding)
{
    u8 buf[CIE_HEAD_SIZE];
    u32 head[2];
    size_t size;

    if (elf_read_va(t->reader, t->image, va, head, sizeof(head)) || head[1] != 0 || head[0] < 4 ||
        head[0] == UINT32_MAX)
        return false;
    size = min((size_t)head[0] - 4, sizeof(buf));
    if (elf_read_va(t->reader, t->image, va + 8, buf, size))
        return false;
    return parse_cie((struct cursor){buf, buf + size, va + 8}, encoding);
}

bool eh_table_find(const struct eh_table *t, u64 va, struct range *out)
{
    u8 buf[FDE_HEAD_SIZE];
    u32 n = entries_up_to(t, va), head[2];
    u8 encoding;
    size_t size;
    u64 fde;

    if (n == 0)
        return false;
    fde = t->base + (u64)(s64)t->entries[n - 1].fde;
    if (elf_read_va(t->reader, t->image, fde, head, sizeof(head)) || head[1] == 0 || head[0] < 4 ||
        head[0] == UINT32_MAX)
        return false;
    size = min((size_t)head[0] - 4, sizeof(buf));
    if (elf_read_va(t->reader, t->image, fde + 8, buf, size) ||
        !read_cie(t, fde + 4 - head[1], &encoding) ||
        !parse_fde((struct cursor){buf, buf + size, fde + 8}, encoding, out))
        return false;
    return out->start == entry_start(t, n - 1) && va < out->end;
}

/* ---- A whole section
 * -------------------------------------------------------------------------------- */

/* One record: a CIE is passed over, an FDE reported. False: the end, or nothing to make sense of.
 */
static bool walk_record(const u8 *frame, u64 size, u64 va, u64 *pos,
                        void (*fn)(void *ctx, struct range range), void *ctx)
{
    u32 head[2];
    u64 at = *pos, end, cie;
    struct range range;
    u8 encoding;

    if (size - at < sizeof(head))
        return false;
    memcpy(head, frame + at, sizeof(head));
    if (head[0] < 4 || head[0] > size - at - 4)
        return false;
    end = at + 4 + head[0];
    *pos = end;
    if (head[1] == 0 || head[1] > at + 4)
        return true;
    cie = at + 4 - head[1];
    if (size - cie < 8)
        return true;
    if (parse_cie((struct cursor){frame + cie + 8, frame + size, va + cie + 8}, &encoding) &&
        parse_fde((struct cursor){frame + at + 8, frame + end, va + at + 8}, encoding, &range))
        fn(ctx, range);
    return true;
}

int eh_frame_walk(const struct elf_reader *r, const struct elf_image *img, u64 va, u64 size,
                  void (*fn)(void *ctx, struct range range), void *ctx)
{
    u64 pos = 0;
    u8 *frame;
    int err;

    if (size == 0 || size > FRAME_SIZE_MAX)
        return -EINVAL;
    frame = kmalloc(size);
    if (!frame)
        return -ENOMEM;
    err = elf_read_va(r, img, va, frame, size);
    while (!err && walk_record(frame, size, va, &pos, fn, ctx))
        ;
    kfree(frame);
    return err;
}
