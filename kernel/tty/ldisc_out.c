/* SPDX-License-Identifier: MIT */
/*
 * The line discipline's output: OPOST, flow control, and echoes on their way to the master. pty->lock is held
 * throughout.
 */
#include "pty.h"

static void wake_master(struct pty *p) REQUIRES(&p->lock)
{
    waitqueue_wake(&p->master_wait, POLLIN | POLLRDNORM);
}

/* ---- Processing --------------------------------------------------------------------------------------- */

#define PROCESSED_MAX 8 /* bytes that one becomes: a tab's spaces */

static u32 out_newline(struct pty *p, u8 *to) REQUIRES(&p->lock)
{
    if (term_o(p, ONLRET))
        p->column = 0;
    if (!term_o(p, ONLCR)) {
        p->canon_column = p->column;
        to[0] = '\n';
        return 1;
    }
    p->column = p->canon_column = 0;
    to[0] = '\r';
    to[1] = '\n';
    return 2;
}

static u32 out_return(struct pty *p, u8 *to) REQUIRES(&p->lock)
{
    if (term_o(p, ONOCR) && !p->column)
        return 0;
    to[0] = '\r';
    if (term_o(p, OCRNL))
        to[0] = '\n';
    if (!term_o(p, OCRNL) || term_o(p, ONLRET))
        p->column = p->canon_column = 0;
    return 1;
}

static u32 out_tab(struct pty *p, u8 *to) REQUIRES(&p->lock)
{
    u32 spaces = 8 - p->column % 8;

    p->column += spaces;
    to[0] = '\t';
    if ((p->termios.c_oflag & TABDLY) != XTABS)
        return 1;
    for (u32 i = 0; i < spaces; i++)
        to[i] = ' ';
    return spaces;
}

static u32 out_plain(struct pty *p, u8 *to, u8 c) REQUIRES(&p->lock)
{
    bool follows = term_i(p, IUTF8) && (c & 0xc0) == 0x80;

    if (c >= 0x20 && c != 0x7f) {
        if (term_o(p, OLCUC) && c >= 'a' && c <= 'z')
            c = (u8)(c - ('a' - 'A'));
        p->column += !follows;
    }
    to[0] = c;
    return 1;
}

/* What the terminal gets for one byte: how many. The cursor moves. */
static u32 process(struct pty *p, u8 c, u8 to[PROCESSED_MAX]) REQUIRES(&p->lock)
{
    if (!term_o(p, OPOST)) {
        to[0] = c;
        return 1;
    }
    switch (c) {
    case '\n':
        return out_newline(p, to);
    case '\r':
        return out_return(p, to);
    case '\t':
        return out_tab(p, to);
    case '\b':
        p->column -= p->column > 0;
        break;
    }
    return out_plain(p, to, c);
}

static void put_all(struct ring *r, const u8 *from, u32 count)
{
    for (u32 i = 0; i < count; i++)
        ring_put(r, from[i]);
}

/* ---- Printing ----------------------------------------------------------------------------------------- */

size_t ldisc_print(struct pty *p, const u8 *buf, size_t size)
{
    u8 to[PROCESSED_MAX];
    size_t done;

    assert_held(&p->lock);
    if (p->stopped)
        return 0;
    ldisc_echo_run(p);
    for (done = 0; done < size && ring_room(&p->out) >= PROCESSED_MAX; done++)
        put_all(&p->out, to, process(p, buf[done], to));
    if (done)
        wake_master(p);
    return done;
}

void ldisc_echo(struct pty *p, u8 c)
{
    u8 to[PROCESSED_MAX];
    u32 count = process(p, c, to);

    assert_held(&p->lock);
    if (ring_room(&p->echo) < count)
        ldisc_echo_run(p);
    if (ring_room(&p->echo) >= count) /* else nobody has read for so long that it is lost */
        put_all(&p->echo, to, count);
}

void ldisc_echo_run(struct pty *p)
{
    bool any = false;

    assert_held(&p->lock);
    while (!p->stopped && ring_used(&p->echo) && ring_room(&p->out)) {
        ring_put(&p->out, ring_get(&p->echo));
        any = true;
    }
    if (any)
        wake_master(p);
}

/* ---- Flow --------------------------------------------------------------------------------------------- */

void pty_packet_tell(struct pty *p, u8 status)
{
    assert_held(&p->lock);
    p->packet_status |= status;
    waitqueue_wake(&p->master_wait, POLLIN | POLLRDNORM | POLLPRI);
}

void ldisc_stop(struct pty *p)
{
    assert_held(&p->lock);
    if (p->stopped)
        return;
    p->stopped = true;
    if (p->packet) {
        p->packet_status &= (u8)~TIOCPKT_START;
        pty_packet_tell(p, TIOCPKT_STOP);
    }
}

void ldisc_start(struct pty *p)
{
    assert_held(&p->lock);
    if (!p->stopped)
        return;
    p->stopped = false;
    if (p->packet) {
        p->packet_status &= (u8)~TIOCPKT_STOP;
        pty_packet_tell(p, TIOCPKT_START);
    }
    ldisc_echo_run(p);
    waitqueue_wake(&p->slave_wait, POLLOUT | POLLWRNORM);
}

/* The first LINE_SIZE bytes count as the master's: on Linux they lie in its own line discipline. */
void ldisc_flush_output(struct pty *p)
{
    assert_held(&p->lock);
    if (ring_used(&p->out) > LINE_SIZE - 1)
        WRITE_ONCE(p->out.head, p->out.tail + LINE_SIZE - 1);
    if (p->packet)
        pty_packet_tell(p, TIOCPKT_FLUSHWRITE);
    waitqueue_wake(&p->slave_wait, POLLOUT | POLLWRNORM);
}
