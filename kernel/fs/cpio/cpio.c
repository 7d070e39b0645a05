/* SPDX-License-Identifier: MIT */
/*
 * The walk over a newc archive. Every number is checked against the archive's size before it is used;
 * an archive that ends anywhere but behind its trailer is refused. With an index the headers are
 * not looked at: image and index are measured alike, and the index says the same in one place.
 */
#include "cpio.h"

#include <kernel/string.h>
#include <manifest.h>

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

static int walk_headers(struct walk_state *s)
{
    bool more = true;
    int ret = 0;

    while (more && !ret) {
        s->done = false;
        while (!s->done && !ret) {
            if (s->at >= s->r->size)
                ret = fail(s, s->r->size, "archive ends without its trailer");
            else
                ret = walk_entry(s);
        }
        if (!ret)
            ret = skip_padding(s, &more);
    }
    return ret;
}

/* ---- The index ------------------------------------------------------------------------------------ */

/* The record at s->at, which ends at or before `end`, with its name in s->name. */
static int read_record(struct walk_state *s, u64 end, struct archive_record *rec)
{
    u64 left = end - s->at;
    int ret;

    if (left < sizeof(*rec))
        return fail(s, s->at, "index ends inside a record");
    ret = read_at(s, s->at, rec, sizeof(*rec));
    if (ret)
        return ret;
    if (rec->name_size == 0 || rec->name_size > CPIO_NAME_MAX || rec->size > left ||
        rec->size % 8 || rec->size < sizeof(*rec) + rec->name_size)
        return fail(s, s->at, "index record has an impossible size");
    if (rec->data_size &&
        (rec->data_offset > s->r->end || rec->data_size > s->r->end - rec->data_offset))
        return fail(s, s->at, "index record's data lies outside the image");
    ret = read_at(s, s->at + sizeof(*rec), s->name, rec->name_size);
    if (!ret && s->name[rec->name_size - 1] != '\0')
        return fail(s, s->at, "name is not terminated");
    return ret;
}

static int walk_record(struct walk_state *s, u64 end)
{
    struct archive_record rec;
    int ret = read_record(s, end, &rec);
    struct cpio_entry e = {.name = s->name};

    if (ret)
        return ret;
    e.name_size = strlen(s->name);
    e.offset = rec.offset;
    e.data_offset = rec.data_offset;
    e.data_size = rec.data_size;
    e.ino = rec.ino;
    e.mode = rec.mode;
    e.uid = rec.uid;
    e.gid = rec.gid;
    e.nlink = rec.nlink;
    e.mtime = rec.mtime;
    e.dev_major = rec.dev_major;
    e.dev_minor = rec.dev_minor;
    e.rdev_major = rec.rdev_major;
    e.rdev_minor = rec.rdev_minor;
    s->at += rec.size;
    ret = s->sink->entry(s->sink->ctx, &e, &s->err->why);
    if (ret)
        s->err->offset = e.offset;
    return ret;
}

static int walk_index(struct walk_state *s)
{
    struct archive_index head;
    u64 end, room = s->r->end - s->r->index;
    int ret = room < sizeof(head) ? fail(s, s->at, "image ends inside its index")
                                  : read_at(s, s->r->index, &head, sizeof(head));

    if (ret)
        return ret;
    if (head.magic != ARCHIVE_INDEX_MAGIC || head.version != ARCHIVE_INDEX_VERSION ||
        head.size < sizeof(head) || head.size > room)
        return fail(s, s->r->index, "the index is none");
    end = s->r->index + head.size;
    s->at = s->r->index + sizeof(head);
    for (u64 i = 0; i < head.count && !ret; i++)
        ret = walk_record(s, end);
    return ret;
}

int cpio_walk(const struct cpio_reader *r, const struct cpio_sink *sink, struct cpio_error *err)
{
    struct walk_state s;

    s.r = r;
    s.sink = sink;
    s.err = err;
    s.at = 0;
    err->offset = 0;
    err->why = "unknown";
    return r->index ? walk_index(&s) : walk_headers(&s);
}
