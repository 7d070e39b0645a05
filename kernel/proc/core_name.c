/* SPDX-License-Identifier: MIT */
/* Core files' names: core(5), "Naming of core dump files". Letters that are not known stand for nothing. */
#include <kernel/boot.h>
#include <kernel/string.h>
#include <kernel/time.h>
#include <kernel/uts.h>
#include "core.h"

const char *core_pattern(void)
{
    const char *pattern = manifest_string(&g_manifest->core_dump);

    return pattern ? pattern : "";
}

struct name {
    char *buf;
    size_t size, used;
};

static void put(struct name *n, char c)
{
    if (n->used < n->size)
        n->buf[n->used] = c;
    n->used++;
}

static void put_number(struct name *n, u64 value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%lu", value);
    for (const char *p = text; *p; p++)
        put(n, *p);
}

/* A name that programs choose: one component of the path whatever it is, as Linux makes it. */
static void put_component(struct name *n, const char *text)
{
    bool dots = !strcmp(text, "") || !strcmp(text, ".") || !strcmp(text, "..");

    for (const char *p = dots ? "!" : text; *p; p++)
        put(n, *p == '/' ? '!' : *p);
}

static void put_field(struct name *n, char letter, int sig)
{
    const struct task *t = current;
    char node[UTS_NODE_MAX + 1];

    switch (letter) {
    case '%':
        put(n, '%');
        break;
    case 'p':
    case 'P':
        put_number(n, (u64)t->group->tgid);
        break;
    case 'i':
    case 'I':
        put_number(n, (u64)t->tid);
        break;
    case 'u':
        put_number(n, current_cred()->uid);
        break;
    case 'g':
        put_number(n, current_cred()->gid);
        break;
    case 's':
        put_number(n, (u64)sig);
        break;
    case 't':
        put_number(n, time_realtime() / NSEC_PER_SEC);
        break;
    case 'h':
        uts_node_name(node);
        put_component(n, node);
        break;
    case 'e':
        put_component(n, t->comm);
        break;
    }
}

int core_name(int sig, char *buf, size_t size)
{
    struct name n = {.buf = buf, .size = size};

    for (const char *p = core_pattern(); *p; p++) {
        if (*p != '%')
            put(&n, *p);
        else if (*++p)
            put_field(&n, *p, sig);
        else
            break;
    }
    put(&n, 0);
    return n.used <= size ? 0 : -ENAMETOOLONG;
}
