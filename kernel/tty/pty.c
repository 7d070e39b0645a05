/* SPDX-License-Identifier: MIT */
/*
 * Pseudo-terminals come and go: /dev/ptmx makes a pair, which is in the table while its master is open. A
 * description holds a reference, so what a slave's user still has open outlives the table's entry, hung up.
 *
 * Locking: g_pty_lock guards the table; see pty.h.
 */
#include <kernel/alloc.h>
#include <kernel/pseudofs.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <linux/fcntl.h>
#include "pty.h"

static spinlock_t g_pty_lock = SPINLOCK_INIT("pty_table");

static struct list g_ptys GUARDED_BY(&g_pty_lock) = LIST_INIT(g_ptys); /* by number */

/* ---- Objects ---------------------------------------------------------------------------------------------- */

static bool ring_init(struct ring *r, u32 size)
{
    r->size = size;
    r->data = kmalloc(size);
    return r->data;
}

static void pty_free(struct pty *p) NO_LOCK_ANALYSIS /* the last one to know it */
{
    kfree(p->pending.data);
    kfree(p->echo.data);
    kfree(p->out.data);
    kfree(p);
}

void pty_put(struct pty *p)
{
    if (ref_put(&p->ref))
        pty_free(p);
}

static struct pty *pty_create(void) NO_LOCK_ANALYSIS /* nobody else knows it */
{
    struct pty *p = kzalloc(sizeof(*p));

    if (!p)
        return NULL;
    ref_init(&p->ref);
    mutex_init(&p->lock, "pty");
    waitqueue_init(&p->slave_wait);
    waitqueue_init(&p->master_wait);
    ldisc_init(p);
    p->uid = current_cred()->fsuid;
    p->gid = current_cred()->fsgid;
    p->made = (s64)time_realtime();
    p->slave_locked = p->master_open = true;
    if (ring_init(&p->pending, PENDING_SIZE) && ring_init(&p->echo, ECHO_SIZE) &&
        ring_init(&p->out, OUT_SIZE))
        return p;
    pty_free(p);
    return NULL;
}

/* ---- The table --------------------------------------------------------------------------------------------- */

/* The first free number; the host's terminal, when there is one, is 0. -ENOSPC. */
static int table_add(struct pty *p)
{
    unsigned index = tty_present() ? 1 : 0;
    struct list *after = &g_ptys;
    struct pty *other;

    spin_lock(&g_pty_lock);
    list_for_each(other, &g_ptys, link)
    {
        if (other->index != index)
            break;
        after = &other->link;
        index++;
    }
    if (index < PTY_MAX) {
        p->index = index;
        p->jobs.number = (unsigned)dev_make(PTY_MAJOR, index);
        list_add(after, &p->link);
    }
    spin_unlock(&g_pty_lock);
    return index < PTY_MAX ? 0 : -ENOSPC;
}

static void table_remove(struct pty *p)
{
    spin_lock(&g_pty_lock);
    list_del(&p->link);
    spin_unlock(&g_pty_lock);
}

static struct pty *table_find(unsigned index)
{
    struct pty *p, *found = NULL;

    spin_lock(&g_pty_lock);
    list_for_each(p, &g_ptys, link)
    {
        if (p->index == index) {
            ref_get(&p->ref);
            found = p;
            break;
        }
    }
    spin_unlock(&g_pty_lock);
    return found;
}

bool pty_next(unsigned from, struct pty_info *out)
{
    struct pty *p;
    bool found = false;

    spin_lock(&g_pty_lock);
    list_for_each(p, &g_ptys, link)
    {
        if (p->index < from)
            continue;
        *out = (struct pty_info){.index = p->index, .uid = p->uid, .gid = p->gid, .made = p->made};
        found = true;
        break;
    }
    spin_unlock(&g_pty_lock);
    return found;
}

/* The one that is the current process' controlling terminal, with a reference, or NULL. */
static struct pty *table_find_mine(void)
{
    struct pty *p, *found = NULL;
    struct tty_jobs *mine;

    spin_lock(&g_tty_lock);
    mine = current->group->tty;
    spin_unlock(&g_tty_lock);
    spin_lock(&g_pty_lock);
    list_for_each(p, &g_ptys, link)
    {
        if (&p->jobs == mine) {
            ref_get(&p->ref);
            found = p;
            break;
        }
    }
    spin_unlock(&g_pty_lock);
    return found;
}

void pty_signal(struct pty *p, int sig)
{
    pid_t pgid = tty_foreground(&p->jobs);

    if (pgid)
        (void)pgrp_signal(pgid, sig, NULL);
}

/* ---- Opening ------------------------------------------------------------------------------------------------- */

static void file_become(struct file *f, struct pty *p, const struct file_ops *ops)
{
    f->ops = ops;
    f->private = p;
    f->seekable = false;
}

int pty_open_master(struct file *f)
{
    struct pty *p = pty_create();
    int err;

    if (!p)
        return -ENOMEM;
    err = table_add(p);
    if (err)
        pty_put(p);
    else
        file_become(f, p, &pty_master_ops);
    return err;
}

/* Counts a description of the slave in. */
static int slave_add(struct pty *p)
{
    int err = 0;

    mutex_lock(&p->lock);
    if (p->slave_locked || !p->master_open) {
        err = -EIO;
    } else if (p->exclusive && !capable(CAP_SYS_ADMIN)) {
        err = -EBUSY;
    } else {
        p->slaves++;
        p->slave_closed = false;
    }
    mutex_unlock(&p->lock);
    return err;
}

/* Consumes the reference. */
static int slave_open(struct pty *p, struct file *f)
{
    int err = slave_add(p);

    if (err) {
        pty_put(p);
        return err;
    }
    file_become(f, p, &pty_slave_ops);
    tty_opened(&p->jobs, f);
    return 0;
}

int pty_open_slave(unsigned index, struct file *f)
{
    struct pty *p = table_find(index);

    return p ? slave_open(p, f) : -ENXIO;
}

int pty_open_controlling(struct file *f)
{
    struct pty *p = table_find_mine();

    return p ? slave_open(p, f) : -ENXIO;
}

/* ---- Closing ---------------------------------------------------------------------------------------------------- */

void pty_release_slave(struct file *f)
{
    struct pty *p = f->private;
    bool last;

    mutex_lock(&p->lock);
    last = --p->slaves == 0;
    if (last) {
        p->slave_closed = true;
        p->exclusive = false;
    }
    mutex_unlock(&p->lock);
    if (last) {
        tty_jobs_clear(&p->jobs);
        waitqueue_wake(&p->master_wait, ~0u);
    }
    pty_put(p);
}

void pty_release_master(struct file *f)
{
    struct pty *p = f->private;

    table_remove(p);
    mutex_lock(&p->lock);
    p->master_open = false;
    mutex_unlock(&p->lock);
    waitqueue_wake(&p->slave_wait, ~0u);
    tty_hang_up(&p->jobs);
    pty_put(p);
}
