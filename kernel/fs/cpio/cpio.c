/* SPDX-License-Identifier: MIT */
/*
 * The walk over a newc archive. Every number is checked against the archive's size before it is used;
 * an archive that ends anywhere but behind its trailer is refused.
 */
#include "cpio.h"

#include <kernel/string.h>

#define FIELDS 13

/* Order of the header's fields after the magic. */
enum field {
    F_INO, F_MODE, F_UID, F_GID, F_NLINK, F_MTIME, F_FILESIZE,
    F_MAJOR, F_MINOR, F_RMAJOR, F_RMINOR, F_NAMESIZE, F_CHECK,
};

struct walk_state {
    const struct cpio_reader *r;
    const struct cpio_sink *sink;
    struct cpio_error *err;
    u64 at; /* offset of the next header */
    bool done;
    char name[CPIO_NAME_MAX];
};

static const char g_trailer[] = "TRAILER!!!";

static int fail(struct walk_state *s, u64 offset, const char *why)
{
    s->err->offset = offset;
    s->err->why = why;
    return -EINVAL;
}

static int read_at(struct walk_state *s, u64 offset, void *buf, size_t size)
{
    int ret = s->r->read(s->r->ctx, offset, buf, size);

    if (ret) {
        s->err->offset = offset;
        s->err->why = "cannot be read";
    }
    return ret;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool parse_field(const char *text, u32 *out)
{
    u32 n = 0;

    for (int i = 0; i < 8; i++) {
        int d = hex_digit(text[i]);

        if (d < 0)
            return false;
        n = n << 4 | (u32)d;
    }
    *out = n;
    return true;
}

static int parse_header(struct walk_state *s, u32 field[FIELDS])
{
    char header[CPIO_HEADER_SIZE];
    int ret;

    if (s->r->size - s->at < CPIO_HEADER_SIZE)
        return fail(s, s->at, "archive ends inside a header");
    ret = read_at(s, s->at, header, sizeof(header));
    if (ret)
        return ret;
    if (memcmp(header, "070701", 6) != 0 && memcmp(header, "070702", 6) != 0)
        return fail(s, s->at, "no newc header");
    for (unsigned i = 0; i < FIELDS; i++) {
        if (!parse_field(header + 6 + (size_t)8 * i, &field[i]))
            return fail(s, s->at + 6 + (u64)8 * i, "header field is not hexadecimal");
    }
    return 0;
}

/* The name into s->name. A size beyond the name's NUL is padding. */
static int read_name(struct walk_state *s, u32 size)
{
    u64 offset = s->at + CPIO_HEADER_SIZE;
    int ret;

    if (size == 0 || size > CPIO_NAME_MAX)
        return fail(s, s->at, "name has an impossible size");
    if (s->r->size - offset < size)
        return fail(s, s->at, "archive ends inside a name");
    ret = read_at(s, offset, s->name, size);
    if (ret)
        return ret;
    if (s->name[size - 1] != '\0')
        return fail(s, s->at, "name is not terminated");
    return 0;
}

static void fill_entry(struct cpio_entry *e, const u32 field[FIELDS])
{
    e->ino = field[F_INO];
    e->mode = field[F_MODE];
    e->uid = field[F_UID];
    e->gid = field[F_GID];
    e->nlink = field[F_NLINK];
    e->mtime = field[F_MTIME];
    e->dev_major = field[F_MAJOR];
    e->dev_minor = field[F_MINOR];
    e->rdev_major = field[F_RMAJOR];
    e->rdev_minor = field[F_RMINOR];
    e->data_size = field[F_FILESIZE];
}

/* The entry at s->at, given to the sink; moves on. */
static int walk_entry(struct walk_state *s)
{
    struct cpio_entry e;
    u32 field[FIELDS];
    int ret = parse_header(s, field);

    if (!ret)
        ret = read_name(s, field[F_NAMESIZE]);
    if (ret)
        return ret;
    fill_entry(&e, field);
    e.name = s->name;
    e.name_size = strlen(s->name);
    e.offset = s->at;
    e.data_offset = align_up(s->at + CPIO_HEADER_SIZE + field[F_NAMESIZE], 4);
    if (e.data_size && (e.data_offset > s->r->size || e.data_size > s->r->size - e.data_offset))
        return fail(s, s->at, "archive ends inside the data of an entry");
    s->at = align_up(e.data_offset + e.data_size, 4);
    s->done = strcmp(s->name, g_trailer) == 0;
    if (s->done)
        return 0;
    ret = s->sink->entry(s->sink->ctx, &e, &s->err->why);
    if (ret)
        s->err->offset = e.offset;
    return ret;
}

/* Over the zeroes behind a trailer: true at another archive's first byte. */
static int skip_padding(struct walk_state *s, bool *more)
{
    char part[512];

    *more = false;
    while (s->at < s->r->size) {
        size_t n = (size_t)min(s->r->size - s->at, (u64)sizeof(part)), i = 0;
        int ret = read_at(s, s->at, part, n);

        if (ret)
            return ret;
        while (i < n && !part[i])
            i++;
        s->at += i;
        if (i < n) {
            *more = true;
            return s->at % 4 ? fail(s, s->at, "unaligned bytes behind the trailer") : 0;
        }
    }
    return 0;
}

int cpio_walk(const struct cpio_reader *r, const struct cpio_sink *sink, struct cpio_error *err)
{
    struct walk_state s;
    bool more = true;
    int ret = 0;

    s.r = r;
    s.sink = sink;
    s.err = err;
    s.at = 0;
    err->offset = 0;
    err->why = "unknown";
    while (more && !ret) {
        s.done = false;
        while (!s.done && !ret) {
            if (s.at >= r->size)
                ret = fail(&s, r->size, "archive ends without its trailer");
            else
                ret = walk_entry(&s);
        }
        if (!ret)
            ret = skip_padding(&s, &more);
    }
    return ret;
}
