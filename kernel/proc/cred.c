/* SPDX-License-Identifier: MIT */
/*
 * Credentials as objects: copied, changed, published. They are immutable once published, so readers
 * of their own task's need no lock. Rules of change: ids.c, caps.c.
 */
#include <kernel/alloc.h>
#include <kernel/string.h>
#include "internal.h"

const struct cred *current_cred(void)
{
    return current->cred;
}

bool capable(int cap)
{
    return current->cred->cap_effective >> cap & 1;
}

struct cred *cred_create_root(void)
{
    struct cred *c = kzalloc(sizeof(*c));

    if (!c)
        return NULL;
    ref_init(&c->ref);
    c->cap_effective = c->cap_permitted = c->cap_bounding = CAP_ALL;
    return c;
}

struct cred *cred_prepare(void)
{
    const struct cred *old = current->cred;
    struct cred *c = kmalloc(sizeof(*c));

    if (!c)
        return NULL;
    *c = *old;
    ref_init(&c->ref);
    c->groups = NULL;
    if (!c->ngroups)
        return c;
    c->groups = kcalloc(c->ngroups, sizeof(gid_t));
    if (!c->groups) {
        kfree(c);
        return NULL;
    }
    memcpy(c->groups, old->groups, c->ngroups * sizeof(gid_t));
    return c;
}

void cred_commit(struct cred *c)
{
    struct task *t = current;
    struct cred *old = t->cred;

    if (old->euid != c->euid || old->egid != c->egid || old->fsuid != c->fsuid ||
        old->fsgid != c->fsgid)
        t->pdeath_signal = t->group->dumpable = 0;
    spin_lock(&t->group->lock); /* others look at it with this lock */
    __atomic_store_n(&t->cred, c, __ATOMIC_RELEASE);
    spin_unlock(&t->group->lock);
    cred_put(old);
}

void cred_put(struct cred *c)
{
    if (!c || !ref_put(&c->ref))
        return;
    kfree(c->groups);
    kfree(c);
}
