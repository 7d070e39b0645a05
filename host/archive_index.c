/* SPDX-License-Identifier: MIT */
/*
 * Walks a newc archive's headers (cpio(5)) and writes a record for each entry. Anything odd ends the
 * walk: an image without an index is complete, and the kernel walks the headers itself.
 */
#include "archive_index.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "manifest.h"

#define HEADER_SIZE 110U
#define NAME_MAX_   4096U /* with its NUL, as the kernel has it */
#define FIELDS      13
#define TRAILER     "TRAILER!!!"

struct walk {
    const uint8_t *archive;
    uint64_t size;
    uint64_t at;    /* of the next header */
    uint64_t place; /* of the index in the image */
    uint8_t *out;   /* head and records */
    uint64_t used, room;
    uint64_t count;
};

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

static int parse_field(const uint8_t *text, uint32_t *out)
{
    uint32_t value = 0;

    for (int i = 0; i < 8; i++) {
        uint8_t c = text[i];
        uint8_t letter = c | 0x20;

        if (c >= '0' && c <= '9')
            value = value << 4 | (uint32_t)(c - '0');
        else if (letter >= 'a' && letter <= 'f')
            value = value << 4 | (uint32_t)(letter - 'a' + 10);
        else
            return -EINVAL;
    }
    *out = value;
    return 0;
}

/* Order of the header's fields: ino mode uid gid nlink mtime size devs (4) namesize check. */
static int parse_header(const struct walk *w, struct archive_record *r)
{
    const uint8_t *header = w->archive + w->at;
    uint32_t f[FIELDS];

    if (w->size - w->at < HEADER_SIZE ||
        (memcmp(header, "070701", 6) != 0 && memcmp(header, "070702", 6) != 0))
        return -EINVAL;
    for (unsigned i = 0; i < FIELDS; i++)
        if (parse_field(header + 6 + (size_t)8 * i, &f[i]) < 0)
            return -EINVAL;
    *r = (struct archive_record){
        .offset = w->at, .ino = f[0], .mode = f[1], .uid = f[2], .gid = f[3], .nlink = f[4],
        .mtime = f[5], .data_size = f[6], .dev_major = f[7], .dev_minor = f[8],
        .rdev_major = f[9], .rdev_minor = f[10], .name_size = f[11]};
    if (r->name_size == 0 || r->name_size > NAME_MAX_ ||
        w->size - w->at - HEADER_SIZE < r->name_size ||
        header[HEADER_SIZE + r->name_size - 1] != '\0')
        return -EINVAL;
    r->data_offset = round_up(w->at + HEADER_SIZE + r->name_size, 4);
    if (r->data_size > 0 &&
        (r->data_offset > w->size || r->data_size > w->size - r->data_offset))
        return -EINVAL;
    return 0;
}

static int reserve(struct walk *w, uint64_t size)
{
    uint64_t room = w->room ? w->room : 1U << 16;
    uint8_t *out;

    while (room - w->used < size)
        room *= 2;
    if (room == w->room)
        return 0;
    out = realloc(w->out, room);
    if (!out)
        return -ENOMEM;
    memset(out + w->room, 0, room - w->room);
    w->out = out;
    w->room = room;
    return 0;
}

static int put_record(struct walk *w, struct archive_record *r)
{
    const uint8_t *name = w->archive + r->offset + HEADER_SIZE;
    uint32_t text_size = (r->mode & S_IFMT) == S_IFLNK ? r->data_size : 0;
    uint64_t size;

    r->name_size = (uint32_t)strlen((const char *)name) + 1; /* what follows the NUL is padding */
    size = round_up(sizeof(*r) + r->name_size + text_size, 8);
    if (text_size > NAME_MAX_ || reserve(w, size) < 0)
        return text_size > NAME_MAX_ ? -EINVAL : -ENOMEM;
    r->size = (uint32_t)size;
    memcpy(w->out + w->used + sizeof(*r), name, r->name_size);
    memcpy(w->out + w->used + sizeof(*r) + r->name_size, w->archive + r->data_offset, text_size);
    if (text_size > 0)
        r->data_offset = w->place + w->used + sizeof(*r) + r->name_size;
    memcpy(w->out + w->used, r, sizeof(*r));
    w->used += size;
    w->count++;
    return 0;
}

/* One archive up to its trailer. */
static int walk_archive(struct walk *w)
{
    for (;;) {
        struct archive_record r;
        const char *name = (const char *)w->archive + w->at + HEADER_SIZE;
        int ret = parse_header(w, &r);

        if (ret < 0)
            return ret;
        w->at = round_up(r.data_offset + r.data_size, 4);
        if (strcmp(name, TRAILER) == 0)
            return 0;
        ret = put_record(w, &r);
        if (ret < 0)
            return ret;
        if (w->at >= w->size)
            return -EINVAL;
    }
}

/* Archives one after the other, zeroes between and behind them. */
static int walk_all(struct walk *w)
{
    int ret = reserve(w, sizeof(struct archive_index));

    w->used = sizeof(struct archive_index);
    while (ret == 0) {
        ret = walk_archive(w);
        while (w->at < w->size && w->archive[w->at] == 0)
            w->at++;
        if (w->at >= w->size)
            break;
        if (ret == 0 && w->at % 4 != 0)
            ret = -EINVAL;
    }
    return ret;
}

int archive_index_build(const uint8_t *archive, uint64_t size, uint64_t place, uint8_t **index,
                        uint64_t *index_size)
{
    struct walk w = {.archive = archive, .size = size, .place = place};
    struct archive_index head = {.magic = ARCHIVE_INDEX_MAGIC, .version = ARCHIVE_INDEX_VERSION};
    int ret = walk_all(&w);

    if (ret < 0) {
        free(w.out);
        return ret;
    }
    head.count = w.count;
    head.size = w.used;
    memcpy(w.out, &head, sizeof(head));
    *index = w.out;
    *index_size = w.used;
    return 0;
}
