/* SPDX-License-Identifier: MIT */
/* The line discipline's input, as programs read it. pty->lock is held throughout. */
#include <kernel/string.h>
#include "pty.h"

static bool canonical(const struct pty *p)
{
    return term_l(p, ICANON) && !term_l(p, EXTPROC);
}

bool ldisc_readable(const struct pty *p, bool poll)
{
    u32 least = 1;

    if (canonical(p))
        return READ_ONCE(p->canon_head) != READ_ONCE(p->tail);
    if (poll && !p->termios.c_cc[VTIME] && p->termios.c_cc[VMIN])
        least = p->termios.c_cc[VMIN];
    return READ_ONCE(p->head) - READ_ONCE(p->tail) >= least;
}

static bool is_end(const struct pty *p, u32 at) NO_LOCK_ANALYSIS
{
    at %= LINE_SIZE;
    return p->ends[at / 64] >> at % 64 & 1;
}

static bool is_eof(const struct pty *p, u32 at) NO_LOCK_ANALYSIS
{
    return is_end(p, at) && !p->line[at % LINE_SIZE] && !(p->pushed && at + 1 == p->canon_head);
}

/* The byte at the tail is read. */
static void consume(struct pty *p) REQUIRES(&p->lock)
{
    u32 at = p->tail % LINE_SIZE;

    p->ends[at / 64] &= ~(1UL << at % 64);
    WRITE_ONCE(p->tail, p->tail + 1);
    if (p->tail == p->canon_head)
        p->pushed = false;
}

static size_t take_line(struct pty *p, u8 *buf, size_t size, bool *eof) REQUIRES(&p->lock)
{
    size_t done = 0;
    bool end = false;

    while (p->tail != p->canon_head && done < size && !end) {
        end = is_end(p, p->tail);
        if (!is_eof(p, p->tail))
            buf[done++] = p->line[p->tail % LINE_SIZE];
        consume(p);
    }
    *eof = end && !done;
    /* VEOF right after what filled the buffer belongs to it: it is not an end of file of its own. */
    if (!end && done && p->tail != p->canon_head && is_eof(p, p->tail))
        consume(p);
    return done;
}

size_t ldisc_take(struct pty *p, u8 *buf, size_t size, bool *eof)
{
    size_t done = 0;

    assert_held(&p->lock);
    *eof = false;
    if (canonical(p)) {
        done = take_line(p, buf, size, eof);
    } else {
        for (; done < size && p->tail != p->head; done++) {
            buf[done] = p->line[p->tail % LINE_SIZE];
            WRITE_ONCE(p->tail, p->tail + 1);
        }
        p->canon_head = p->tail;
    }
    ldisc_run(p);
    return done;
}

int ldisc_count(const struct pty *p)
{
    int count = 0;

    if (!canonical(p))
        return (int)(p->head - p->tail);
    for (u32 at = p->tail; at != p->canon_head; at++)
        count += !is_eof(p, at);
    return count;
}
