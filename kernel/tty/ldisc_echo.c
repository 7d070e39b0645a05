/* SPDX-License-Identifier: MIT */
/*
 * The line discipline's screen side of editing: echo, and taking characters back. pty->lock is held throughout.
 */
#include "pty.h"

static bool is_control(u8 c)
{
    return c < 0x20 || c == 0x7f;
}

static bool is_word(u8 c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           (c >= 0xc0 && c != 0xd7 && c != 0xf7) || c == 0xaa || c == 0xb5 || c == 0xba; /* Latin-1 */
}

/* A byte of a UTF-8 character that is not its first. */
static bool is_continuation(const struct pty *p, u8 c)
{
    return term_i(p, IUTF8) && (c & 0xc0) == 0x80;
}

void echo_char(struct pty *p, u8 c)
{
    if (term_l(p, ECHOCTL) && is_control(c) && c != '\t') {
        ldisc_echo(p, '^');
        c ^= 0x40;
    }
    ldisc_echo(p, c);
}

void echo_finish_erasing(struct pty *p)
{
    if (!p->erasing)
        return;
    ldisc_echo(p, '/');
    p->erasing = false;
}

static u8 line_at(const struct pty *p, u32 at) NO_LOCK_ANALYSIS
{
    return p->line[at % LINE_SIZE];
}

/* ---- Taking back -------------------------------------------------------------------------------------- */

/* How many columns the tab at the end of the line [canon_head, head) took. */
static u32 tab_width(const struct pty *p) NO_LOCK_ANALYSIS
{
    u32 column = 0, at = p->head;
    bool from_start = true;

    while (at != p->canon_head) {
        u8 c = line_at(p, --at);

        if (c == '\t') {
            from_start = false;
            break;
        }
        if (is_control(c))
            column += term_l(p, ECHOCTL) ? 2 : 0;
        else if (!is_continuation(p, c))
            column++;
    }
    if (from_start)
        column += p->canon_column;
    return 8 - column % 8;
}

static void echo_back(struct pty *p) REQUIRES(&p->lock)
{
    ldisc_echo(p, '\b');
    ldisc_echo(p, ' ');
    ldisc_echo(p, '\b');
}

/* ECHOE: the character disappears from the screen. */
static void erase_shown(struct pty *p, u8 c) REQUIRES(&p->lock)
{
    if (c == '\t') {
        for (u32 n = tab_width(p); n; n--)
            ldisc_echo(p, '\b');
        return;
    }
    if (is_control(c) && !term_l(p, ECHOCTL))
        return;
    if (is_control(c))
        echo_back(p);
    echo_back(p);
}

/* ECHOPRT: erased characters are printed between \ and /. [from, to) are the bytes of one. */
static void erase_printed(struct pty *p, u32 from, u32 to) REQUIRES(&p->lock)
{
    if (!p->erasing)
        ldisc_echo(p, '\\');
    p->erasing = true;
    echo_char(p, line_at(p, from));
    while (++from != to)
        ldisc_echo(p, line_at(p, from));
}

/* Where the last character of the line begins. False: there is no whole one. */
static bool last_char(const struct pty *p, u32 *start) NO_LOCK_ANALYSIS
{
    u32 at = p->head;

    do
        at--;
    while (at != p->canon_head && is_continuation(p, line_at(p, at)));
    *start = at;
    return !is_continuation(p, line_at(p, at));
}

/* One character less. */
static void erase_one(struct pty *p, unsigned which, u32 start) REQUIRES(&p->lock)
{
    u32 end = p->head;
    u8 c = line_at(p, start);

    WRITE_ONCE(p->head, start);
    if (!term_l(p, ECHO))
        return;
    if (term_l(p, ECHOPRT))
        erase_printed(p, start, end);
    else if (which == VERASE && !term_l(p, ECHOE))
        echo_char(p, p->termios.c_cc[VERASE]);
    else
        erase_shown(p, c);
}

/* VKILL where the line is not taken back character by character. True: it was dropped at once. */
static bool kill_at_once(struct pty *p) REQUIRES(&p->lock)
{
    bool shown = term_l(p, ECHOK) && term_l(p, ECHOKE) && term_l(p, ECHOE);

    if (term_l(p, ECHO) && shown)
        return false;
    WRITE_ONCE(p->head, p->canon_head);
    if (!term_l(p, ECHO))
        return true;
    echo_finish_erasing(p);
    echo_char(p, p->termios.c_cc[VKILL]);
    if (term_l(p, ECHOK))
        ldisc_echo(p, '\n');
    return true;
}

void ldisc_erase(struct pty *p, unsigned which)
{
    bool in_word = false;
    u32 start;

    assert_held(&p->lock);
    if (p->head == p->canon_head || (which == VKILL && kill_at_once(p)))
        return;
    while (p->head != p->canon_head && last_char(p, &start)) {
        bool word = is_word(line_at(p, start));

        if (which == VWERASE && in_word && !word)
            break;
        in_word |= word;
        erase_one(p, which, start);
        if (which == VERASE)
            break;
    }
    if (p->head == p->canon_head && term_l(p, ECHO))
        echo_finish_erasing(p);
}

void ldisc_reprint(struct pty *p)
{
    assert_held(&p->lock);
    echo_finish_erasing(p);
    echo_char(p, p->termios.c_cc[VREPRINT]);
    ldisc_echo(p, '\n');
    for (u32 at = p->canon_head; at != p->head; at++)
        echo_char(p, line_at(p, at));
}
