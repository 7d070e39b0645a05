/* SPDX-License-Identifier: MIT */
/*
 * The line discipline: what the terminal's user types, byte by byte, as termios(3) says: flow control, signals,
 * translation, editing, lines. pty->lock is held throughout.
 */
#include <kernel/signal.h>
#include <kernel/string.h>
#include "pty.h"

void ldisc_init(struct pty *p) NO_LOCK_ANALYSIS /* nobody else knows it */
{
    static const u8 cc[] = {
        [VINTR] = CTRL_CHAR('C'), [VQUIT] = CTRL_CHAR('\\'), [VERASE] = 0x7f,
        [VKILL] = CTRL_CHAR('U'), [VEOF] = CTRL_CHAR('D'),   [VMIN] = 1,
        [VSTART] = CTRL_CHAR('Q'), [VSTOP] = CTRL_CHAR('S'), [VSUSP] = CTRL_CHAR('Z'),
        [VREPRINT] = CTRL_CHAR('R'), [VDISCARD] = CTRL_CHAR('O'),
        [VWERASE] = CTRL_CHAR('W'), [VLNEXT] = CTRL_CHAR('V'),
    };

    p->termios = (struct termios2){
        .c_iflag = ICRNL | IXON,
        .c_oflag = OPOST | ONLCR,
        .c_cflag = B38400 | CS8 | CREAD,
        .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
        .c_ispeed = 38400,
        .c_ospeed = 38400,
    };
    memcpy(p->termios.c_cc, cc, sizeof(cc));
}

/* ---- The line ------------------------------------------------------------------------------------------- */

static void line_put(struct pty *p, u8 c) REQUIRES(&p->lock)
{
    p->line[p->head % LINE_SIZE] = c;
    WRITE_ONCE(p->head, p->head + 1);
}

static void mark_end(struct pty *p, u32 at) REQUIRES(&p->lock)
{
    at %= LINE_SIZE;
    p->ends[at / 64] |= 1UL << at % 64;
}

static void wake_reader(struct pty *p) REQUIRES(&p->lock)
{
    waitqueue_wake(&p->slave_wait, POLLIN | POLLRDNORM);
}

/* PARMRK: a byte that would look like the start of a mark is doubled. */
static void line_put_marked(struct pty *p, u8 c) REQUIRES(&p->lock)
{
    if (c == 0xff && term_i(p, PARMRK))
        line_put(p, c);
    line_put(p, c);
}

/* The line is complete with `c`. */
static void line_end(struct pty *p, u8 c) REQUIRES(&p->lock)
{
    mark_end(p, p->head);
    line_put(p, c);
    WRITE_ONCE(p->canon_head, p->head);
    wake_reader(p);
}

static void forget_line(struct pty *p) REQUIRES(&p->lock)
{
    memset(p->ends, 0, sizeof(p->ends));
    WRITE_ONCE(p->tail, p->head);
    WRITE_ONCE(p->canon_head, p->head);
    p->pushed = p->lnext = p->erasing = false;
}

void ldisc_flush_input(struct pty *p)
{
    forget_line(p);
    p->pending.tail = p->pending.head;
    if (p->packet)
        pty_packet_tell(p, TIOCPKT_FLUSHREAD);
    waitqueue_wake(&p->master_wait, POLLOUT | POLLWRNORM);
}

void ldisc_set(struct pty *p, const struct termios2 *old)
{
    if ((old->c_lflag ^ p->termios.c_lflag) & (ICANON | EXTPROC)) {
        memset(p->ends, 0, sizeof(p->ends));
        p->lnext = p->erasing = false;
        p->pushed = term_l(p, ICANON) && p->head != p->tail;
        if (p->pushed)
            mark_end(p, p->head - 1);
        WRITE_ONCE(p->canon_head, p->pushed ? p->head : p->tail);
    }
    if ((old->c_iflag & IXON) && !term_i(p, IXON) && !p->stopped_tco)
        ldisc_start(p);
    ldisc_run(p);
    waitqueue_wake(&p->slave_wait, ~0u);
    waitqueue_wake(&p->master_wait, ~0u);
}

/* ---- One byte --------------------------------------------------------------------------------------------- */

/* Echoes a byte that goes into the line. */
static void echo_typed(struct pty *p, u8 c) REQUIRES(&p->lock)
{
    echo_finish_erasing(p);
    if (p->canon_head == p->head)
        p->canon_column = p->column;
    echo_char(p, c);
}

static void take_plain(struct pty *p, u8 c) REQUIRES(&p->lock)
{
    if (term_l(p, ECHO)) {
        if (c == '\n')
            ldisc_echo(p, c);
        else
            echo_typed(p, c);
    }
    line_put_marked(p, c);
}

/* Ctrl-C and its like. */
static void take_signal(struct pty *p, u8 c, int sig) REQUIRES(&p->lock)
{
    pty_signal(p, sig);
    if (!term_l(p, NOFLSH)) {
        p->echo.tail = p->echo.head;
        ldisc_flush_output(p);
        forget_line(p);
        if (p->packet)
            pty_packet_tell(p, TIOCPKT_FLUSHREAD);
    }
    if (term_i(p, IXON))
        ldisc_start(p);
    if (term_l(p, ECHO))
        echo_char(p, c);
    waitqueue_wake(&p->slave_wait, ~0u);
}

/* Flow control. True: the byte was for it. */
static bool take_flow(struct pty *p, u8 c) REQUIRES(&p->lock)
{
    if (!term_i(p, IXON))
        return false;
    if (term_is(p, VSTART, c)) {
        if (!p->stopped_tco)
            ldisc_start(p);
        return true;
    }
    if (!term_is(p, VSTOP, c))
        return false;
    ldisc_stop(p);
    return true;
}

static bool take_job(struct pty *p, u8 c) REQUIRES(&p->lock)
{
    if (!term_l(p, ISIG))
        return false;
    if (term_is(p, VINTR, c))
        take_signal(p, c, SIGINT);
    else if (term_is(p, VQUIT, c))
        take_signal(p, c, SIGQUIT);
    else if (term_is(p, VSUSP, c))
        take_signal(p, c, SIGTSTP);
    else
        return false;
    return true;
}

static void take_newline(struct pty *p) REQUIRES(&p->lock)
{
    if (term_l(p, ECHO) || term_l(p, ECHONL))
        ldisc_echo(p, '\n');
    line_end(p, '\n');
}

static void take_end_of_line(struct pty *p, u8 c) REQUIRES(&p->lock)
{
    if (term_l(p, ECHO)) {
        if (p->canon_head == p->head)
            p->canon_column = p->column;
        echo_char(p, c);
    }
    if (c == 0xff && term_i(p, PARMRK))
        line_put(p, c);
    line_end(p, c);
}

static void take_lnext(struct pty *p) REQUIRES(&p->lock)
{
    p->lnext = true;
    if (!term_l(p, ECHO))
        return;
    echo_finish_erasing(p);
    if (term_l(p, ECHOCTL)) {
        ldisc_echo(p, '^');
        ldisc_echo(p, '\b');
    }
}

/* Canonical mode's editing characters. True: the byte was one. */
static bool take_editing(struct pty *p, u8 c) REQUIRES(&p->lock)
{
    bool extended = term_l(p, IEXTEN);

    if (term_is(p, VERASE, c))
        ldisc_erase(p, VERASE);
    else if (term_is(p, VKILL, c))
        ldisc_erase(p, VKILL);
    else if (extended && term_is(p, VWERASE, c))
        ldisc_erase(p, VWERASE);
    else if (extended && term_is(p, VLNEXT, c))
        take_lnext(p);
    else if (extended && term_l(p, ECHO) && term_is(p, VREPRINT, c))
        ldisc_reprint(p);
    else if (c == '\n')
        take_newline(p);
    else if (term_is(p, VEOF, c))
        line_end(p, 0);
    else if (term_is(p, VEOL, c) || (extended && term_is(p, VEOL2, c)))
        take_end_of_line(p, c);
    else
        return false;
    return true;
}

/* ICRNL and its like. False: the byte is dropped. */
static bool translate(const struct pty *p, u8 *c)
{
    if (*c == '\r') {
        if (term_i(p, IGNCR))
            return false;
        if (term_i(p, ICRNL))
            *c = '\n';
    } else if (*c == '\n' && term_i(p, INLCR)) {
        *c = '\r';
    }
    return true;
}

static void take_literal(struct pty *p, u8 c) REQUIRES(&p->lock)
{
    p->lnext = false;
    if (term_l(p, ECHO))
        echo_typed(p, c);
    line_put_marked(p, c);
}

static void take(struct pty *p, u8 c) REQUIRES(&p->lock)
{
    if (term_i(p, ISTRIP))
        c &= 0x7f;
    if (term_i(p, IUCLC) && term_l(p, IEXTEN) && c >= 'A' && c <= 'Z')
        c = (u8)(c + ('a' - 'A'));
    if (term_l(p, EXTPROC)) {
        line_put(p, c);
        return;
    }
    if (p->lnext) {
        take_literal(p, c);
        return;
    }
    if (take_flow(p, c) || take_job(p, c))
        return;
    if (p->stopped && !p->stopped_tco && term_i(p, IXON) && term_i(p, IXANY))
        ldisc_start(p);
    if (!translate(p, &c) || (term_l(p, ICANON) && take_editing(p, c)))
        return;
    take_plain(p, c);
}

/*
 * Whether the line has room. In canonical mode a line that fills all of it loses its last byte, so that its end
 * can still come.
 */
static bool has_room(struct pty *p) REQUIRES(&p->lock)
{
    u32 used = p->head - p->tail, most = LINE_SIZE - 1 - (term_i(p, PARMRK) ? 1 : 0);

    if (used < most)
        return true;
    if (!term_l(p, ICANON) || p->canon_head != p->tail)
        return false;
    if (used > most)
        WRITE_ONCE(p->head, p->head - 1);
    return true;
}

void ldisc_run(struct pty *p)
{
    u32 head = p->head;
    bool took = false;

    assert_held(&p->lock);
    while (ring_used(&p->pending) && has_room(p)) {
        take(p, ring_get(&p->pending));
        took = true;
    }
    if (!took)
        return;
    ldisc_echo_run(p);
    if (!term_l(p, ICANON) && p->head != head)
        wake_reader(p);
    waitqueue_wake(&p->master_wait, POLLOUT | POLLWRNORM);
}
