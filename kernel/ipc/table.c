/* SPDX-License-Identifier: MIT */
/* Tables of System V IPC objects: numbers, keys, owners (ipc.h). */
#include <kernel/alloc.h>
#include <kernel/string.h>
#include "ipc.h"

#define SLOTS_FIRST 16u
#define INDEX_MASK  ((1u << IPC_INDEX_BITS) - 1)

/* ---- Finding ------------------------------------------------------------------------------------------- */

void *ipc_find_slot(struct ipc_table *t, int slot)
{
    assert_held(&t->lock);
    if (slot < 0 || (u32)slot >= t->size || !t->slots[slot])
        return ERR_PTR(-EINVAL);
    return t->slots[slot];
}

void *ipc_find(struct ipc_table *t, int id)
{
    struct ipc_object *o = id < 0 ? ERR_PTR(-EINVAL) : ipc_find_slot(t, (int)((u32)id & INDEX_MASK));

    assert_held(&t->lock);
    if (!IS_ERR(o) && o->id != id)
        return ERR_PTR(-EIDRM);
    return o;
}

void *ipc_find_key(struct ipc_table *t, int key)
{
    assert_held(&t->lock);
    for (u32 i = 0; i < t->size; i++) {
        if (t->slots[i] && t->slots[i]->key == key)
            return t->slots[i];
    }
    return NULL;
}

int ipc_max_slot(struct ipc_table *t)
{
    u32 i = t->size;

    assert_held(&t->lock);
    while (i && !t->slots[i - 1])
        i--;
    return i ? (int)i - 1 : 0;
}

/* ---- Adding and removing ----------------------------------------------------------------------------------- */

static int table_grow(struct ipc_table *t) REQUIRES(&t->lock)
{
    u32 size = t->size ? t->size * 2 : SLOTS_FIRST;
    struct ipc_object **slots = krealloc(t->slots, size * sizeof(*slots));

    if (!slots)
        return -ENOMEM;
    memset(slots + t->size, 0, (size - t->size) * sizeof(*slots));
    t->slots = slots;
    t->size = size;
    return 0;
}

static u32 free_slot(const struct ipc_table *t) NO_LOCK_ANALYSIS
{
    u32 i = 0;

    while (i < t->size && t->slots[i])
        i++;
    return i;
}

/* A number counts on each time the slots are used again. */
static u32 next_seq(struct ipc_table *t, u32 slot) REQUIRES(&t->lock)
{
    if (slot < t->used)
        t->seq = t->seq == IPC_SEQ_MAX ? 0 : t->seq + 1;
    t->used = slot + 1;
    return t->seq;
}

int ipc_add(struct ipc_table *t, struct ipc_object *o, int key, int flags)
{
    const struct cred *c = current_cred();
    u32 slot = free_slot(t);

    assert_held(&t->lock);
    if (t->count >= t->limit)
        return -ENOSPC;
    if (slot == t->size && table_grow(t))
        return -ENOMEM;
    o->seq = next_seq(t, slot);
    o->id = (int)(o->seq << IPC_INDEX_BITS | slot);
    o->key = key;
    o->uid = o->cuid = c->euid;
    o->gid = o->cgid = c->egid;
    o->mode = (mode_t)flags & 0777;
    o->ctime = (s64)time_realtime();
    t->slots[slot] = o;
    t->count++;
    return o->id;
}

void ipc_remove(struct ipc_table *t, struct ipc_object *o)
{
    assert_held(&t->lock);
    t->slots[(u32)o->id & INDEX_MASK] = NULL;
    t->count--;
    o->removed = true;
    ipc_put(t, o);
}

void ipc_put(struct ipc_table *t, struct ipc_object *o)
{
    if (ref_put(&o->ref))
        t->free(o);
}

/* ---- Rights --------------------------------------------------------------------------------------------------- */

static bool in_group(const struct cred *c, gid_t gid)
{
    if (c->egid == gid)
        return true;
    for (unsigned i = 0; i < c->ngroups; i++) {
        if (c->groups[i] == gid)
            return true;
    }
    return false;
}

int ipc_permission(const struct ipc_object *o, int want)
{
    const struct cred *c = current_cred();
    unsigned wanted = ((unsigned)want >> 6 | (unsigned)want >> 3 | (unsigned)want) & 7;
    unsigned granted = o->mode;

    if (c->euid == o->cuid || c->euid == o->uid)
        granted >>= 6;
    else if (in_group(c, o->cgid) || in_group(c, o->gid))
        granted >>= 3;
    return (wanted & ~granted) && !capable(CAP_IPC_OWNER) ? -EACCES : 0;
}

int ipc_owner(const struct ipc_object *o)
{
    const struct cred *c = current_cred();

    return c->euid == o->cuid || c->euid == o->uid || capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

void ipc_fill_perm(const struct ipc_object *o, struct ipc64_perm *out)
{
    memset(out, 0, sizeof(*out));
    out->key = o->key;
    out->uid = o->uid;
    out->gid = o->gid;
    out->cuid = o->cuid;
    out->cgid = o->cgid;
    out->mode = o->mode;
    out->seq = (unsigned short)o->seq;
}

void ipc_set_perm(struct ipc_object *o, const struct ipc64_perm *in)
{
    o->uid = in->uid;
    o->gid = in->gid;
    o->mode = (o->mode & ~0777u) | (in->mode & 0777u);
    o->ctime = (s64)time_realtime();
}

/* ---- *get(2) ---------------------------------------------------------------------------------------------------- */

static long get_new(struct ipc_table *t, const struct ipc_get *g) REQUIRES(&t->lock)
{
    struct ipc_object *o;
    int id;

    if (t->count >= t->limit)
        return -ENOSPC;
    o = g->make(g);
    if (IS_ERR(o))
        return PTR_ERR(o);
    ref_init(&o->ref);
    id = ipc_add(t, o, g->key, g->flags);
    if (id < 0)
        t->free(o);
    return id;
}

static long get_existing(struct ipc_object *o, const struct ipc_get *g)
{
    int err;

    if ((g->flags & IPC_CREAT) && (g->flags & IPC_EXCL))
        return -EEXIST;
    err = g->check ? g->check(o, g) : 0;
    if (!err)
        err = ipc_permission(o, g->flags);
    return err ? err : o->id;
}

long ipc_get(struct ipc_table *t, const struct ipc_get *g)
{
    struct ipc_object *o;
    long ret = -ENOENT;

    mutex_lock(&t->lock);
    o = g->key == (int)IPC_PRIVATE ? NULL : ipc_find_key(t, g->key);
    if (o)
        ret = get_existing(o, g);
    else if (g->key == (int)IPC_PRIVATE || (g->flags & IPC_CREAT))
        ret = get_new(t, g);
    mutex_unlock(&t->lock);
    return ret;
}

/* ---- /proc/sysvipc ------------------------------------------------------------------------------------------------ */

char *ipc_table_text(struct ipc_table *t, const char *head,
                     int (*line)(struct ipc_object *o, char *buf, size_t size))
{
    size_t used = strlen(head), size;
    char *text;

    mutex_lock(&t->lock);
    size = used + 1 + (size_t)t->count * IPC_LINE_MAX;
    text = kmalloc(size);
    if (text)
        memcpy(text, head, used + 1);
    for (u32 i = 0; text && i < t->size; i++) {
        if (t->slots[i])
            used += (size_t)line(t->slots[i], text + used, size - used);
    }
    mutex_unlock(&t->lock);
    return text;
}

char *ipc_list_text(enum ipc_kind kind)
{
    switch (kind) {
    case IPC_SHM:
        return shm_list_text();
    case IPC_SEM:
        return sem_list_text();
    case IPC_MSG:
        return msg_list_text();
    }
    return NULL;
}
