/* SPDX-License-Identifier: MIT */
/*
 * Descriptors under way (SCM_RIGHTS): how many there are, and collecting sockets that keep each other alive in
 * their own queues only.
 *
 * A socket is a candidate when every reference on its file is a packet's: no program has it open, so nobody
 * reads its queue. References from candidates' queues are taken off; who has some left is reachable from a
 * living socket, as is all that its queue holds. The rest is garbage, whose packets are freed. A file changes
 * between "referenced by a packet" and "referenced otherwise" under g_inflight_lock only (landing, peeking).
 *
 * Locking: g_inflight_lock guards the lists, counts and marks; a candidate's sk.lock comes after it, and after
 * a listener's that of a connection in its backlog, which nothing else locks together with another.
 */
#include <linux/resource.h>

#include "unix.h"

enum gc_mark { GC_NONE, GC_CANDIDATE, GC_LIVE };

static spinlock_t g_inflight_lock = SPINLOCK_INIT("unix_inflight");
static struct list g_inflight GUARDED_BY(&g_inflight_lock) = LIST_INIT(g_inflight);
static u64 g_file_count; /* under way, sockets or not; read without the lock */

static struct unix_sock *file_unix(const struct file *f)
{
    struct socket *s = file_socket(f);

    return s && s->family == AF_UNIX ? unix_of(s) : NULL;
}

/* ---- Counting --------------------------------------------------------------------------------- */

int unix_take_off(struct scm_files *fp)
{
    if (READ_ONCE(g_file_count) > rlimit(RLIMIT_NOFILE) && !capable(CAP_SYS_RESOURCE) &&
        !capable(CAP_SYS_ADMIN))
        return -ETOOMANYREFS;
    spin_lock(&g_inflight_lock);
    for (unsigned i = 0; i < fp->count; i++) {
        struct unix_sock *u = file_unix(fp->files[i]);

        if (u && !u->inflight++) {
            u->file = fp->files[i];
            list_add_tail(&g_inflight, &u->inflight_link);
        }
    }
    WRITE_ONCE(g_file_count, g_file_count + fp->count);
    spin_unlock(&g_inflight_lock);
    return 0;
}

void unix_landed(struct scm_files *fp)
{
    spin_lock(&g_inflight_lock);
    for (unsigned i = 0; i < fp->count; i++) {
        struct unix_sock *u = file_unix(fp->files[i]);

        if (u && !--u->inflight)
            list_del(&u->inflight_link);
    }
    WRITE_ONCE(g_file_count, g_file_count - fp->count);
    spin_unlock(&g_inflight_lock);
}

struct scm_files *unix_peek_files(const struct scm_files *fp)
{
    struct scm_files *copy = kmalloc(sizeof(*copy));

    if (!copy)
        return NULL;
    spin_lock(&g_inflight_lock);
    copy->count = fp->count;
    for (unsigned i = 0; i < fp->count; i++)
        copy->files[i] = file_get(fp->files[i]);
    spin_unlock(&g_inflight_lock);
    return copy;
}

/* ---- Collecting ------------------------------------------------------------------------------- */

typedef void visit_fn(struct unix_sock *u, void *arg);

static void visit_queue(struct unix_sock *u, visit_fn *fn, void *arg) REQUIRES(&u->sk.lock)
{
    struct packet *p;

    list_for_each(p, &u->queue, link)
    {
        for (unsigned i = 0; p->files && i < p->files->count; i++) {
            struct unix_sock *held = file_unix(p->files->files[i]);

            if (held && held->gc_mark == GC_CANDIDATE)
                fn(held, arg);
        }
    }
}

/* Calls fn for each candidate in the queue of `u` and in those of its backlog. */
static void visit(struct unix_sock *u, visit_fn *fn, void *arg) NO_LOCK_ANALYSIS
{
    struct unix_sock *child;

    spin_lock(&u->sk.lock);
    visit_queue(u, fn, arg);
    list_for_each(child, &u->pending, pending_link)
    {
        spin_lock(&child->sk.lock);
        visit_queue(child, fn, arg);
        spin_unlock(&child->sk.lock);
    }
    spin_unlock(&u->sk.lock);
}

static void take_reference_off(struct unix_sock *u, void *arg)
{
    (void)arg;
    u->gc_refs--;
}

static void make_live(struct unix_sock *u, void *live)
{
    u->gc_mark = GC_LIVE;
    list_del(&u->inflight_link);
    list_add_tail(live, &u->inflight_link);
}

static void find_candidates(struct list *candidates) REQUIRES(&g_inflight_lock)
{
    struct unix_sock *u, *tmp;

    list_for_each_safe(u, tmp, &g_inflight, inflight_link)
    {
        if (__atomic_load_n(&u->file->ref.n, __ATOMIC_ACQUIRE) != u->inflight)
            continue;
        u->gc_mark = GC_CANDIDATE;
        u->gc_refs = u->inflight;
        list_del(&u->inflight_link);
        list_add_tail(candidates, &u->inflight_link);
    }
}

/* Moves all that is reachable to `live`, in order, so that each is visited once. */
static void find_live(struct list *candidates, struct list *live) REQUIRES(&g_inflight_lock)
{
    struct unix_sock *u, *tmp;

    list_for_each(u, candidates, inflight_link)
    {
        visit(u, take_reference_off, NULL);
    }
    list_for_each_safe(u, tmp, candidates, inflight_link)
    {
        if (u->gc_refs)
            make_live(u, live);
    }
    list_for_each(u, live, inflight_link)
    {
        visit(u, make_live, live);
    }
}

static void take_packets(struct unix_sock *u, struct list *garbage) REQUIRES(&u->sk.lock)
{
    struct packet *p, *tmp;

    list_for_each_safe(p, tmp, &u->queue, link)
    {
        if (!p->files)
            continue;
        packet_unlink(u, p);
        list_add_tail(garbage, &p->link);
    }
}

/* From its queue and those of its backlog. */
static void take_all_packets(struct unix_sock *u, struct list *garbage) NO_LOCK_ANALYSIS
{
    struct unix_sock *child;

    spin_lock(&u->sk.lock);
    take_packets(u, garbage);
    list_for_each(child, &u->pending, pending_link)
    {
        spin_lock(&child->sk.lock);
        take_packets(child, garbage);
        spin_unlock(&child->sk.lock);
    }
    spin_unlock(&u->sk.lock);
}

/* The packets of what is left among the candidates; all go back to g_inflight until their files are put. */
static void take_garbage(struct list *candidates, struct list *live, struct list *garbage)
    REQUIRES(&g_inflight_lock)
{
    struct unix_sock *u;

    list_for_each(u, candidates, inflight_link)
    {
        take_all_packets(u, garbage);
    }
    while (!list_empty(candidates))
        make_live(list_first(candidates, struct unix_sock, inflight_link), live);
    while (!list_empty(live)) {
        u = list_first(live, struct unix_sock, inflight_link);
        make_live(u, &g_inflight);
        u->gc_mark = GC_NONE;
    }
}

void unix_collect(void)
{
    struct list candidates, live, garbage;

    if (!READ_ONCE(g_file_count))
        return;
    list_init(&candidates);
    list_init(&live);
    list_init(&garbage);
    spin_lock(&g_inflight_lock);
    find_candidates(&candidates);
    find_live(&candidates, &live);
    take_garbage(&candidates, &live, &garbage);
    spin_unlock(&g_inflight_lock);
    while (!list_empty(&garbage)) {
        struct packet *p = list_first(&garbage, struct packet, link);

        list_del(&p->link);
        packet_free(p);
    }
}
