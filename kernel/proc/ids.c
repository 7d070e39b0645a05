/* SPDX-License-Identifier: MIT */
/*
 * User and group ids: who the program is. The rules are those of setuid(2), setreuid(2), setresuid(2),
 * setfsuid(2) and their group twins; capabilities follow uids as capabilities(7) says (caps.c). Set-id
 * bits of files are ignored by exec, so ids change here only.
 */
#include <kernel/alloc.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>
#include "internal.h"
#include <syscalls.gen.h>

#define ID_KEEP ((u32)-1)

long sys_getuid(void)
{
    return current_cred()->uid;
}

long sys_geteuid(void)
{
    return current_cred()->euid;
}

long sys_getgid(void)
{
    return current_cred()->gid;
}

long sys_getegid(void)
{
    return current_cred()->egid;
}

static long put_three(unsigned __user *r, unsigned __user *e, unsigned __user *s, u32 rv, u32 ev,
                      u32 sv)
{
    return put_user(rv, r) || put_user(ev, e) || put_user(sv, s) ? -EFAULT : 0;
}

long sys_getresuid(unsigned __user *ruid, unsigned __user *euid, unsigned __user *suid)
{
    const struct cred *c = current_cred();

    return put_three(ruid, euid, suid, c->uid, c->euid, c->suid);
}

long sys_getresgid(unsigned __user *rgid, unsigned __user *egid, unsigned __user *sgid)
{
    const struct cred *c = current_cred();

    return put_three(rgid, egid, sgid, c->gid, c->egid, c->sgid);
}

/* ---- Changing ------------------------------------------------------------------------------------------ */

/* Real, effective and saved id, of users or of groups. */
struct id_set {
    u32 real, effective, saved;
};

static struct id_set uids_of(const struct cred *c)
{
    return (struct id_set){c->uid, c->euid, c->suid};
}

static struct id_set gids_of(const struct cred *c)
{
    return (struct id_set){c->gid, c->egid, c->sgid};
}

static bool is_any(u32 id, const struct id_set *s)
{
    return id == s->real || id == s->effective || id == s->saved;
}

static long commit_uids(const struct id_set *s)
{
    const struct cred *old = current_cred();
    struct cred *c = cred_prepare();

    if (!c)
        return -ENOMEM;
    c->uid = s->real;
    c->euid = c->fsuid = s->effective;
    c->suid = s->saved;
    cred_fix_caps(c, old, current->keep_caps);
    cred_commit(c);
    return 0;
}

static long commit_gids(const struct id_set *s)
{
    struct cred *c = cred_prepare();

    if (!c)
        return -ENOMEM;
    c->gid = s->real;
    c->egid = c->fsgid = s->effective;
    c->sgid = s->saved;
    cred_commit(c);
    return 0;
}

/* set[ug]id: with the capability all three, else the effective one to real or saved. */
static int set_one(struct id_set *s, u32 id, bool privileged)
{
    if (id == ID_KEEP)
        return -EINVAL;
    if (privileged)
        s->real = s->saved = id;
    else if (id != s->real && id != s->saved)
        return -EPERM;
    s->effective = id;
    return 0;
}

/* setre[ug]id: the saved id follows the effective one when the real id is set or it leaves the real. */
static int set_two(struct id_set *s, u32 real, u32 effective, bool privileged)
{
    struct id_set old = *s;

    if (real != ID_KEEP) {
        if (!privileged && real != old.real && real != old.effective)
            return -EPERM;
        s->real = real;
    }
    if (effective != ID_KEEP) {
        if (!privileged && !is_any(effective, &old))
            return -EPERM;
        s->effective = effective;
    }
    if (real != ID_KEEP || (effective != ID_KEEP && effective != old.real))
        s->saved = s->effective;
    return 0;
}

static int set_three(struct id_set *s, u32 real, u32 effective, u32 saved, bool privileged)
{
    struct id_set old = *s;

    if (!privileged && ((real != ID_KEEP && !is_any(real, &old)) ||
                        (effective != ID_KEEP && !is_any(effective, &old)) ||
                        (saved != ID_KEEP && !is_any(saved, &old))))
        return -EPERM;
    if (real != ID_KEEP)
        s->real = real;
    if (effective != ID_KEEP)
        s->effective = effective;
    if (saved != ID_KEEP)
        s->saved = saved;
    return 0;
}

long sys_setuid(uid_t uid)
{
    struct id_set s = uids_of(current_cred());
    int ret = set_one(&s, uid, capable(CAP_SETUID));

    return ret ? ret : commit_uids(&s);
}

long sys_setgid(gid_t gid)
{
    struct id_set s = gids_of(current_cred());
    int ret = set_one(&s, gid, capable(CAP_SETGID));

    return ret ? ret : commit_gids(&s);
}

long sys_setreuid(uid_t ruid, uid_t euid)
{
    struct id_set s = uids_of(current_cred());
    int ret = set_two(&s, ruid, euid, capable(CAP_SETUID));

    return ret ? ret : commit_uids(&s);
}

long sys_setregid(gid_t rgid, gid_t egid)
{
    struct id_set s = gids_of(current_cred());
    int ret = set_two(&s, rgid, egid, capable(CAP_SETGID));

    return ret ? ret : commit_gids(&s);
}

long sys_setresuid(uid_t ruid, uid_t euid, uid_t suid)
{
    struct id_set s = uids_of(current_cred());
    int ret = set_three(&s, ruid, euid, suid, capable(CAP_SETUID));

    return ret ? ret : commit_uids(&s);
}

long sys_setresgid(gid_t rgid, gid_t egid, gid_t sgid)
{
    struct id_set s = gids_of(current_cred());
    int ret = set_three(&s, rgid, egid, sgid, capable(CAP_SETGID));

    return ret ? ret : commit_gids(&s);
}

/* setfs[ug]id return the old id, whether they changed it or not. */
long sys_setfsuid(uid_t uid)
{
    const struct cred *old = current_cred();
    struct id_set s = uids_of(old);
    uid_t was = old->fsuid;
    struct cred *c;

    if (uid == ID_KEEP || (uid != was && !is_any(uid, &s) && !capable(CAP_SETUID)))
        return was;
    c = cred_prepare();
    if (!c)
        return was;
    c->fsuid = uid;
    cred_fix_caps(c, old, current->keep_caps);
    cred_commit(c);
    return was;
}

long sys_setfsgid(gid_t gid)
{
    const struct cred *old = current_cred();
    struct id_set s = gids_of(old);
    gid_t was = old->fsgid;
    struct cred *c;

    if (gid == ID_KEEP || (gid != was && !is_any(gid, &s) && !capable(CAP_SETGID)))
        return was;
    c = cred_prepare();
    if (!c)
        return was;
    c->fsgid = gid;
    cred_commit(c);
    return was;
}

/* ---- Supplementary groups --------------------------------------------------------------------------------- */

long sys_getgroups(int size, void __user *list)
{
    const struct cred *c = current_cred();

    if (size < 0)
        return -EINVAL;
    if (!size)
        return c->ngroups;
    if ((unsigned)size < c->ngroups)
        return -EINVAL;
    if (copy_to_user(list, c->groups, c->ngroups * sizeof(gid_t)))
        return -EFAULT;
    return c->ngroups;
}

/* Linux keeps the list sorted, and getgroups shows it so. */
static void sort_groups(gid_t *g, unsigned count)
{
    for (unsigned gap = count / 2; gap; gap /= 2) {
        for (unsigned i = gap; i < count; i++) {
            gid_t v = g[i];
            unsigned j = i;

            for (; j >= gap && g[j - gap] > v; j -= gap)
                g[j] = g[j - gap];
            g[j] = v;
        }
    }
}

static int import_groups(const void __user *list, unsigned count, gid_t **out)
{
    gid_t *groups = NULL;

    if (count) {
        groups = kcalloc(count, sizeof(gid_t));
        if (!groups)
            return -ENOMEM;
        if (copy_from_user(groups, list, count * sizeof(gid_t))) {
            kfree(groups);
            return -EFAULT;
        }
        sort_groups(groups, count);
    }
    *out = groups;
    return 0;
}

long sys_setgroups(int size, const void __user *list)
{
    gid_t *groups;
    struct cred *c;
    int ret;

    if (!capable(CAP_SETGID))
        return -EPERM;
    if ((unsigned)size > NGROUPS_MAX)
        return -EINVAL;
    ret = import_groups(list, (unsigned)size, &groups);
    if (ret)
        return ret;
    c = cred_prepare();
    if (!c) {
        kfree(groups);
        return -ENOMEM;
    }
    kfree(c->groups);
    c->groups = groups;
    c->ngroups = (unsigned)size;
    cred_commit(c);
    return 0;
}
