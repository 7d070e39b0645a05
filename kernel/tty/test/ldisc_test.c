/* SPDX-License-Identifier: MIT */
/*
 * The line discipline by itself: what random typing, settings and reads may do to its bounds, and what a reader
 * gets of typed lines whatever pieces they come in.
 */
#include <kernel/string.h>
#include <null.h>

#include "../pty.h"

#include <stdarg.h>
#include <cmocka.h>

static struct pty g_pty;
static u8 g_pending[PENDING_SIZE], g_echo[ECHO_SIZE], g_out[OUT_SIZE];
static unsigned g_signals;
static u32 g_seed = 12345;

void pty_signal(struct pty *p, int sig)
{
    g_signals++;
}

static u32 number(u32 below)
{
    g_seed = g_seed * 1103515245 + 12345;
    return (g_seed >> 8) % below;
}

static struct pty *fresh(void)
{
    struct pty *p = &g_pty;

    memset(p, 0, sizeof(*p));
    mutex_init(&p->lock, "pty");
    waitqueue_init(&p->slave_wait);
    waitqueue_init(&p->master_wait);
    p->pending = (struct ring){.data = g_pending, .size = PENDING_SIZE};
    p->echo = (struct ring){.data = g_echo, .size = ECHO_SIZE};
    p->out = (struct ring){.data = g_out, .size = OUT_SIZE};
    p->master_open = true;
    ldisc_init(p);
    mutex_lock(&p->lock);
    return p;
}

static void check_bounds(const struct pty *p)
{
    assert_true(p->head - p->tail <= LINE_SIZE);
    assert_true(p->canon_head - p->tail <= p->head - p->tail);
    assert_true(ring_used(&p->pending) <= PENDING_SIZE);
    assert_true(ring_used(&p->echo) <= ECHO_SIZE);
    assert_true(ring_used(&p->out) <= OUT_SIZE);
}

static void type(struct pty *p, const u8 *bytes, size_t size)
{
    for (size_t i = 0; i < size && ring_room(&p->pending); i++)
        ring_put(&p->pending, bytes[i]);
    ldisc_run(p);
}

static void random_settings(struct pty *p)
{
    struct termios2 old = p->termios;

    p->termios.c_lflag ^= 1u << number(17);
    p->termios.c_iflag ^= 1u << number(15);
    p->termios.c_oflag ^= 1u << number(14);
    if (!number(8))
        p->termios.c_cc[number(NCCS)] = (u8)number(256);
    ldisc_set(p, &old);
}

static void random_step(struct pty *p, u8 *buf, size_t size)
{
    bool eof;
    size_t n = number((u32)size);

    switch (number(8)) {
    case 0:
        random_settings(p);
        break;
    case 1:
        (void)ldisc_take(p, buf, n, &eof);
        break;
    case 2:
        (void)ldisc_print(p, buf, n);
        break;
    case 3:
        p->out.tail += number(ring_used(&p->out) + 1);
        ldisc_echo_run(p);
        break;
    case 4:
        (void)ldisc_count(p);
        (void)ldisc_readable(p, number(2));
        break;
    default:
        for (size_t i = 0; i < n; i++)
            buf[i] = (u8)(number(3) ? number(256) : number(32));
        type(p, buf, n);
    }
}

static void test_random(void **state)
{
    static u8 buf[6000];
    struct pty *p = fresh();

    for (int i = 0; i < 20000; i++) {
        random_step(p, buf, number(4) ? 200 : sizeof(buf));
        check_bounds(p);
    }
    assert_true(g_signals > 0);
    mutex_unlock(&p->lock);
}

/* Lines of any length below the limit come out as they went in, typed and read in pieces of any size. */
static void test_lines(void **state)
{
    static u8 sent[LINE_SIZE], got[LINE_SIZE];
    struct pty *p = fresh();

    p->termios.c_lflag &= ~(unsigned)ECHO;
    for (u32 round = 0; round < 300; round++) {
        u32 size = number(round % 10 ? 100 : LINE_SIZE - 2), done = 0;
        bool eof = false;

        memset(sent, 'a' + (int)(round % 26), size);
        sent[size] = '\n';
        for (u32 at = 0; at <= size;) {
            u32 piece = min(1 + number(700), size + 1 - at);

            assert_false(ldisc_readable(p, false));
            type(p, sent + at, piece);
            at += piece;
        }
        assert_int_equal(ldisc_count(p), size + 1);
        while (ldisc_readable(p, false))
            done += (u32)ldisc_take(p, got + done, 1 + number(900), &eof);
        assert_int_equal(done, size + 1);
        assert_memory_equal(got, sent, done);
    }
    mutex_unlock(&p->lock);
}

/* A line that is too long keeps its end, and the reader gets what fits. */
static void test_long_line(void **state)
{
    static u8 sent[PENDING_SIZE], got[LINE_SIZE];
    struct pty *p = fresh();
    bool eof;

    memset(sent, 'x', 6000);
    type(p, sent, 6000);
    type(p, (const u8 *)"\n", 1);
    assert_int_equal(ldisc_take(p, got, sizeof(got), &eof), LINE_SIZE);
    assert_int_equal(got[LINE_SIZE - 1], '\n');
    assert_false(ldisc_readable(p, false));
    mutex_unlock(&p->lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
