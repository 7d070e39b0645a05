/* SPDX-License-Identifier: MIT */
/*
 * Who may look into another process: ptrace(2), "Ptrace access mode checking". The same user in all its ids, and
 * not more capable than the caller; or CAP_SYS_PTRACE.
 */
#include "internal.h"

static bool same_user(const struct cred *c, uid_t uid, gid_t gid)
{
    return uid == c->euid && uid == c->suid && uid == c->uid && gid == c->egid && gid == c->sgid &&
           gid == c->gid;
}

int task_may_access(struct task *t, enum access_ids ids)
{
    const struct cred *self = current_cred();
    uid_t uid = ids == ACCESS_FS ? self->fsuid : self->uid;
    gid_t gid = ids == ACCESS_FS ? self->fsgid : self->gid;
    struct cred *c;
    bool allowed;

    if (t->group == current->group || capable(CAP_SYS_PTRACE))
        return 0;
    c = task_cred(t);
    allowed = same_user(c, uid, gid) && !(c->cap_permitted & ~self->cap_permitted) &&
              READ_ONCE(t->group->dumpable) == 1;
    cred_put(c);
    return allowed ? 0 : -EPERM;
}

bool cred_owns(const struct cred *c)
{
    return current_cred()->euid == c->euid || current_cred()->euid == c->uid;
}
