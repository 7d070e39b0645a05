/* SPDX-License-Identifier: MIT */
/* /proc/net/unix as proc(5) has it: a line for each socket, the newest last. */
#include "unix.h"

#define LINE_SIZE (96 + UNIX_PATH_MAX)
#define NAME_AT   offsetof(struct sockaddr_un, sun_path)

/* Linux's SS_* and __SO_ACCEPTCON */
#define SS_UNCONNECTED 1u
#define SS_CONNECTING  2u
#define SS_CONNECTED   3u
#define ACCEPTING      0x10000u

/* " NAME", with "@" for the bytes that are 0. At most 1 + UNIX_PATH_MAX. */
static size_t show_name(const struct unix_addr *a, char *to)
{
    size_t size = a->size - NAME_AT;

    if (a->name.sun_path[0])
        size--; /* its NUL */
    *to++ = ' ';
    for (size_t i = 0; i < size; i++)
        to[i] = a->name.sun_path[i] ? a->name.sun_path[i] : '@';
    return 1 + size;
}

static size_t show_line(struct unix_sock *u, char line[LINE_SIZE])
{
    const struct unix_addr *a = unix_addr_of(u);
    ino_t ino = READ_ONCE(u->sk.ino);
    bool listening, connected;
    unsigned state, refs;
    size_t n;

    spin_lock(&u->sk.lock);
    listening = u->state == UNIX_LISTENING;
    connected = u->state == UNIX_CONNECTED;
    spin_unlock(&u->sk.lock);
    if (ino)
        state = connected ? SS_CONNECTED : SS_UNCONNECTED;
    else
        state = SS_CONNECTING; /* not accepted yet */
    refs = __atomic_load_n(&u->sk.ref.n, __ATOMIC_RELAXED) - 1; /* without the caller's */
    n = (size_t)snprintf(line, LINE_SIZE, "%016x: %08X %08X %08X %04X %02X %5lu", 0u, refs, 0u,
                         listening ? ACCEPTING : 0u, (unsigned)u->sk.type, state, (unsigned long)ino);
    if (a)
        n += show_name(a, line + n);
    line[n] = '\n';
    return n + 1;
}

static size_t append(char *buf, size_t size, size_t at, const char *text, size_t n)
{
    if (at < size)
        memcpy(buf + at, text, min(n, size - at));
    return at + n;
}

size_t unix_show(char *buf, size_t size)
{
    static const char head[] = "Num       RefCount Protocol Flags    Type St Inode Path\n";
    size_t max = unix_snapshot(NULL, 0) + 16; /* some more may come meanwhile */
    struct unix_sock **all = kcalloc(max, sizeof(*all));
    size_t count = all ? min(unix_snapshot(all, max), max) : 0;
    size_t n = append(buf, size, 0, head, sizeof(head) - 1);

    while (count--) {
        char line[LINE_SIZE];

        n = append(buf, size, n, line, show_line(all[count], line));
        unix_put(all[count]);
    }
    kfree(all);
    return n;
}
