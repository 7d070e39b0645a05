/* SPDX-License-Identifier: MIT */
/*
 * The pieces of a device's mapping with the permissions that mmap and mprotect gave them: what the
 * VMAs of a real driver would be. A sorted array of disjoint ranges; neighbours with equal
 * permissions are one. Hidden ones hold the contents of pages added before the host maps them; only
 * segment_next() shows them. All under the device lock. segment_find() is vector-free.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

/* Index of the first segment that ends above addr. */
static size_t segment_index(const struct sgx_device *dev, uint64_t addr)
{
    size_t low = 0;
    size_t high = dev->seg_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (dev->segs[mid].end <= addr) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

const struct sim_segment *segment_find(struct sgx_device *dev, uint64_t addr)
{
    size_t i = segment_index(dev, addr);

    return i < dev->seg_count && dev->segs[i].start <= addr && !dev->segs[i].hidden ? &dev->segs[i]
                                                                                   : NULL;
}

const struct sim_segment *segment_next(struct sgx_device *dev, uint64_t addr)
{
    size_t i = segment_index(dev, addr);

    return i < dev->seg_count ? &dev->segs[i] : NULL;
}

bool segment_covers(struct sgx_device *dev, uint64_t start, uint64_t end)
{
    while (start < end) {
        const struct sim_segment *seg = segment_find(dev, start);

        if (seg == NULL) {
            return false;
        }
        start = seg->end;
    }
    return true;
}

static int segment_room(struct sgx_device *dev, size_t count)
{
    struct sim_segment *segs;
    size_t room = dev->seg_room;

    if (dev->seg_count + count <= room) {
        return 0;
    }
    room = room * 2 + count + 8;
    segs = realloc(dev->segs, room * sizeof(*segs));
    if (segs == NULL) {
        return -ENOMEM;
    }
    dev->segs = segs;
    dev->seg_room = room;
    return 0;
}

static void segment_insert(struct sgx_device *dev, size_t at, struct sim_segment seg)
{
    for (size_t i = dev->seg_count; i > at; i--) {
        dev->segs[i] = dev->segs[i - 1];
    }
    dev->segs[at] = seg;
    dev->seg_count++;
}

static void segment_erase(struct sgx_device *dev, size_t at)
{
    dev->seg_count--;
    for (size_t i = at; i < dev->seg_count; i++) {
        dev->segs[i] = dev->segs[i + 1];
    }
}

/* Splits the segment that holds addr in its middle, if one does. Room must be there. */
static void segment_split(struct sgx_device *dev, uint64_t addr)
{
    size_t i = segment_index(dev, addr);
    struct sim_segment tail;

    if (i == dev->seg_count || dev->segs[i].start >= addr) {
        return;
    }
    tail = dev->segs[i];
    tail.start = addr;
    dev->segs[i].end = addr;
    segment_insert(dev, i + 1, tail);
}

int segment_clear(struct sgx_device *dev, uint64_t start, uint64_t end)
{
    int ret = segment_room(dev, 2);

    if (ret != 0) {
        return ret;
    }
    segment_split(dev, start);
    segment_split(dev, end);
    for (size_t i = segment_index(dev, start); i < dev->seg_count && dev->segs[i].start < end;) {
        segment_erase(dev, i);
    }
    return 0;
}

static void segment_merge(struct sgx_device *dev, size_t at)
{
    if (at + 1 < dev->seg_count && dev->segs[at].end == dev->segs[at + 1].start &&
        dev->segs[at].prot == dev->segs[at + 1].prot &&
        dev->segs[at].hidden == dev->segs[at + 1].hidden) {
        dev->segs[at].end = dev->segs[at + 1].end;
        segment_erase(dev, at + 1);
    }
}

int segment_set(struct sgx_device *dev, uint64_t start, uint64_t end, uint32_t prot, bool hidden)
{
    int ret = segment_room(dev, 3);
    size_t at;

    if (ret != 0) {
        return ret;
    }
    ret = segment_clear(dev, start, end);
    if (ret != 0) {
        return ret;
    }
    at = segment_index(dev, start);
    segment_insert(dev, at, (struct sim_segment){
                                .start = start, .end = end, .prot = prot, .hidden = hidden});
    segment_merge(dev, at);
    if (at > 0) {
        segment_merge(dev, at - 1);
    }
    return 0;
}
