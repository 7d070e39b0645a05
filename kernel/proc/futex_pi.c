/* SPDX-License-Identifier: MIT */
/*
 * Futexes that are locks with priority inheritance. proc/futex.c has the whole; Linux'
 * kernel/futex/pi.c the rules.
 */
#include <kernel/alloc.h>
#include <kernel/signal.h>
#include <kernel/uaccess.h>
#include <linux/sched.h>
#include "futex.h"

#define MUTEX_COUNT 64u
#define CHAIN_MAX   1024u /* as Linux' max_lock_depth */

static mutex_t g_pi_mutexes[MUTEX_COUNT];
static spinlock_t g_pi_lock = SPINLOCK_INIT("pi");

mutex_t *pi_mutex_of(const struct futex_key *key)
{
    u64 h = (key->addr >> 2) * 0x9e3779b97f4a7c15UL;

    return &g_pi_mutexes[h >> 58];
}

void pi_waiter_init(struct pi_waiter *w, u32 __user *word, const struct futex_key *key)
{
    *w = (struct pi_waiter){.word = word, .key = *key, .task = current};
    w->q.pi = w;
    w->q.wq = &w->wq;
    waitqueue_init(&w->wq);
    list_init(&w->state_link);
    list_init(&w->q.link);
    w->q.bucket = futex_bucket_of(key);
}

/* ---- Owners and waiters --------------------------------------------------------------------- */

/* The order in which waiters get a lock: others may change it while they wait, which has no effect. */
static int rank(const struct task *t)
{
    switch (READ_ONCE(t->sched.policy)) {
    case SCHED_DEADLINE:
        return 100;
    case SCHED_FIFO:
    case SCHED_RR:
        return READ_ONCE(t->sched.priority);
    }
    return 0;
}

static void state_own(struct pi_state *s, struct task *t) REQUIRES(&g_pi_lock)
{
    if (!t->pi_states.next)
        list_init(&t->pi_states);
    list_del(&s->owned);
    list_add_tail(&t->pi_states, &s->owned);
    s->owner = t;
}

/* Whether a task, or who it waits for, is `t`. */
static bool waits_for(const struct task *owner, const struct task *t) REQUIRES(&g_pi_lock)
{
    for (unsigned depth = 0; owner; depth++) {
        if (owner == t || depth == CHAIN_MAX)
            return true;
        owner = owner->pi_blocked ? owner->pi_blocked->state->owner : NULL;
    }
    return false;
}

/*
 * Waits behind those who come before it. `owner`: gets the state, which is new; NULL: it has one,
 * or had. -ESRCH: the owner is gone; -EDEADLK: it waits for the task.
 */
static int state_join(struct pi_state *s, struct task *owner, struct pi_waiter *w)
    REQUIRES(&g_pi_lock)
{
    struct list *at;

    if (owner && owner->futex_gone)
        return -ESRCH;
    if (waits_for(owner ? owner : s->owner, w->task))
        return -EDEADLK;
    if (owner)
        state_own(s, owner);
    for (at = s->waiters.prev; at != &s->waiters; at = at->prev) {
        if (rank(list_entry(at, struct pi_waiter, state_link)->task) >= rank(w->task))
            break;
    }
    list_add(at, &w->state_link);
    w->state = s;
    w->task->pi_blocked = w;
    return 0;
}

/* Somebody has to take an ownerless lock. */
static void state_call_first(struct pi_state *s) REQUIRES(&g_pi_lock)
{
    struct pi_waiter *first = list_first(&s->waiters, struct pi_waiter, state_link);

    first->called = true;
    waitqueue_wake(&first->wq, ~0u);
}

/* Returns the state when that was its last waiter: it has left its owner, and the caller kfree()s it. */
static struct pi_state *state_part(struct pi_waiter *w) REQUIRES(&g_pi_lock)
{
    struct pi_state *s = w->state;

    if (!s)
        return NULL;
    list_del(&w->state_link);
    w->state = NULL;
    w->task->pi_blocked = NULL;
    if (list_empty(&s->waiters)) {
        list_del(&s->owned);
        return s;
    }
    if (!s->owner && w->called)
        state_call_first(s);
    return NULL;
}

/*
 * The state of the lock `key`, or NULL when nobody waits for it; it stays as long as the lock's
 * mutex is held. -EINVAL: who is there waits for a plain wake.
 */
static int state_find(const struct futex_key *key, struct pi_state **s)
{
    struct futex_bucket *b = futex_bucket_of(key);
    struct futex_waiter *w;
    int ret;

    futex_bucket_lock(b);
    w = futex_first(b, key);
    *s = w && w->pi ? READ_ONCE(w->pi->state) : NULL;
    ret = w && !*s ? -EINVAL : 0;
    spin_unlock(&b->lock);
    return ret;
}

/* Whether the word fits who owns the lock: 0 or -EINVAL. */
static int state_check(const struct pi_state *s, u32 word)
{
    pid_t tid = (pid_t)(word & FUTEX_TID_MASK);
    bool ok;

    spin_lock(&g_pi_lock);
    if (!s->owner)
        ok = true; /* the waiter that was called has not written itself into the word yet */
    else if ((word & FUTEX_OWNER_DIED) && !tid)
        ok = true; /* the owner ends and has gone through its robust list */
    else
        ok = tid == s->owner->tid;
    spin_unlock(&g_pi_lock);
    return ok ? 0 : -EINVAL;
}

/* ---- Taking a lock -------------------------------------------------------------------------- */

/*
 * Writes a free lock's word for `t`, or FUTEX_WAITERS into another's. 1: got it; 0: it is
 * another's, `*s` if somebody waits for it already, else *word's; -EAGAIN: the word changed;
 * -EDEADLK, -EINVAL, -EFAULT. The lock's mutex is held.
 */
static int try_word(u32 __user *addr, const struct futex_key *key, const struct task *t,
                    bool contended, struct pi_state **s, u32 *word)
{
    u32 v, seen, new_value;
    int ret;

    if (get_user(v, addr))
        return -EFAULT;
    if ((v & FUTEX_TID_MASK) == (u32)t->tid)
        return -EDEADLK;
    ret = state_find(key, s);
    if (ret)
        return ret;
    if (*s)
        return state_check(*s, v);
    if (v & FUTEX_TID_MASK)
        new_value = v | FUTEX_WAITERS;
    else
        new_value = (v & FUTEX_OWNER_DIED) | (u32)t->tid | (contended ? FUTEX_WAITERS : 0);
    if (cmpxchg_user(addr, v, new_value, &seen))
        return -EFAULT;
    *word = new_value;
    if (seen != v)
        return -EAGAIN;
    return !(v & FUTEX_TID_MASK);
}

/* The word names a task that is no more: had that time to change the word? -EAGAIN, or -ESRCH. */
static int owner_gone(u32 __user *addr, u32 word)
{
    int ret = futex_check(addr, word);

    return ret ? ret : -ESRCH;
}

/* Puts `w` into the lock's bucket, from where it is if `moved`, and into the state. As state_join(). */
static int enqueue(struct pi_waiter *w, struct pi_state *s, struct task *owner,
                   bool moved) NO_LOCK_ANALYSIS
{
    struct futex_bucket *to = futex_bucket_of(&w->key);
    struct futex_bucket *from = moved ? w->q.bucket : to;
    int ret;

    futex_lock_two(from, to);
    spin_lock(&g_pi_lock);
    ret = state_join(s, owner, w);
    spin_unlock(&g_pi_lock);
    if (!ret) {
        list_del(&w->q.link);
        w->q.key = w->key;
        WRITE_ONCE(w->q.bucket, to);
        list_add_tail(&to->waiters, &w->q.link);
    }
    futex_unlock_two(from, to);
    return ret;
}

/* The first to wait behind the task that the word names. */
static int enqueue_first(struct pi_waiter *w, u32 __user *addr, u32 word, bool moved)
{
    struct task *owner = task_find((pid_t)(word & FUTEX_TID_MASK));
    struct pi_state *s = kzalloc(sizeof(*s));
    int ret = -ENOMEM;

    if (s) {
        list_init(&s->waiters);
        list_init(&s->owned);
        ret = owner ? enqueue(w, s, owner, moved) : -ESRCH;
    }
    if (ret)
        kfree(s);
    if (owner)
        task_put(owner);
    return ret == -ESRCH ? owner_gone(addr, word) : ret;
}

int pi_lock_or_queue(struct pi_waiter *w, u32 __user *word, bool moved, bool contended)
{
    struct pi_state *s = NULL;
    u32 seen;
    int ret = try_word(word, &w->key, w->task, contended, &s, &seen);

    if (ret)
        return ret;
    return s ? enqueue(w, s, NULL, moved) : enqueue_first(w, word, seen, moved);
}

/* ---- Getting it after a wait ---------------------------------------------------------------- */

bool pi_over(const struct pi_waiter *w)
{
    return READ_ONCE(w->granted) || READ_ONCE(w->called);
}

void pi_grant(struct pi_waiter *w)
{
    struct pi_state *last;

    (void)futex_leave(&w->q);
    spin_lock(&g_pi_lock);
    if (w->state)
        state_own(w->state, w->task);
    last = state_part(w);
    w->granted = true;
    waitqueue_wake(&w->wq, ~0u);
    spin_unlock(&g_pi_lock);
    kfree(last);
}

/* Writes the task into the word of a lock whose owner died. */
static int claim_word(const struct pi_waiter *w)
{
    u32 v, seen;

    if (get_user(seen, w->word))
        return -EFAULT;
    do {
        v = seen;
        if (cmpxchg_user(w->word, v, (u32)w->task->tid | FUTEX_WAITERS | FUTEX_OWNER_DIED, &seen))
            return -EFAULT;
    } while (seen != v);
    return 0;
}

int pi_finish(struct pi_waiter *w)
{
    struct pi_state *last;
    int ret = 0;

    if (READ_ONCE(w->granted))
        return 1;
    if (READ_ONCE(w->called)) {
        ret = claim_word(w);
        if (!ret) {
            pi_grant(w);
            return 1;
        }
    }
    (void)futex_leave(&w->q);
    spin_lock(&g_pi_lock);
    last = state_part(w);
    spin_unlock(&g_pi_lock);
    kfree(last);
    return ret;
}

void futex_pi_exit(struct task *t, bool ends)
{
    struct pi_state *s, *tmp;

    spin_lock(&g_pi_lock);
    t->futex_gone = ends;
    if (t->pi_states.next) {
        list_for_each_safe(s, tmp, &t->pi_states, owned)
        {
            list_del(&s->owned);
            s->owner = NULL;
            state_call_first(s);
        }
    }
    spin_unlock(&g_pi_lock);
}

/* ---- The operations ------------------------------------------------------------------------- */

long futex_do_lock_pi(u32 __user *addr, bool shared, u64 deadline)
{
    struct pi_waiter w;
    struct futex_key key;
    mutex_t *m;
    int won, ret = futex_key(addr, shared, &key);

    if (ret)
        return ret;
    pi_waiter_init(&w, addr, &key);
    m = pi_mutex_of(&key);
    do {
        mutex_lock(m);
        won = pi_lock_or_queue(&w, addr, false, false);
        mutex_unlock(m);
    } while (won == -EAGAIN);
    if (won)
        return min(won, 0);
    wait_event(ret, &w.wq, pi_over(&w), deadline, true);
    mutex_lock(m);
    won = pi_finish(&w);
    mutex_unlock(m);
    if (won)
        return min(won, 0);
    return ret == -EINTR ? -ERESTARTNOINTR : ret;
}

/* 1: got it; 0: another has it; -EAGAIN: look again. The lock's mutex is held. */
static int trylock(u32 __user *addr, const struct futex_key *key)
{
    struct pi_state *s = NULL;
    struct task *owner;
    bool gone;
    u32 word;
    int ret = try_word(addr, key, current, false, &s, &word);

    if (ret || s)
        return ret;
    owner = task_find((pid_t)(word & FUTEX_TID_MASK));
    gone = !owner || READ_ONCE(owner->futex_gone);
    if (owner)
        task_put(owner);
    return gone ? owner_gone(addr, word) : 0;
}

/* Calls `fn` with the lock's mutex held until the word did not change meanwhile. */
static int settle(u32 __user *addr, bool shared, int (*fn)(u32 __user *addr, const struct futex_key *key))
{
    struct futex_key key;
    int ret = futex_key(addr, shared, &key);

    if (ret)
        return ret;
    do {
        mutex_lock(pi_mutex_of(&key));
        ret = fn(addr, &key);
        mutex_unlock(pi_mutex_of(&key));
    } while (ret == -EAGAIN);
    return ret;
}

long futex_do_trylock_pi(u32 __user *addr, bool shared)
{
    int ret = settle(addr, shared, trylock);

    return ret > 0 ? 0 : ret ? ret : -EAGAIN;
}

/* Who gets the current task's lock next; NULL: it is not the task's. The lock's mutex is held. */
static struct pi_waiter *next_owner(struct pi_state *s)
{
    struct pi_waiter *w = NULL;

    spin_lock(&g_pi_lock);
    if (s->owner == current)
        w = list_first(&s->waiters, struct pi_waiter, state_link);
    spin_unlock(&g_pi_lock);
    return w;
}

/* -EAGAIN: the word changed meanwhile. The lock's mutex is held. */
static int unlock(u32 __user *addr, const struct futex_key *key)
{
    struct pi_waiter *next = NULL;
    struct pi_state *s;
    u32 v, seen;
    int ret;

    if (get_user(v, addr))
        return -EFAULT;
    if ((v & FUTEX_TID_MASK) != (u32)current->tid)
        return -EPERM;
    ret = state_find(key, &s);
    if (ret)
        return ret;
    if (s) {
        next = next_owner(s);
        if (!next)
            return -EINVAL;
    }
    if (cmpxchg_user(addr, v, next ? (u32)next->task->tid | FUTEX_WAITERS : 0, &seen))
        return -EFAULT;
    if (seen != v)
        return -EAGAIN;
    if (next)
        pi_grant(next);
    return 0;
}

long futex_do_unlock_pi(u32 __user *addr, bool shared)
{
    u32 word;

    if (get_user(word, addr))
        return -EFAULT;
    if ((word & FUTEX_TID_MASK) != (u32)current->tid)
        return -EPERM;
    return settle(addr, shared, unlock);
}
