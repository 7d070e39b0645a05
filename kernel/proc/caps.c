/* SPDX-License-Identifier: MIT */
/*
 * Capabilities: capget(2), capset(2), what uid changes and exec do to them (capabilities(7)), and the
 * bounding and ambient sets of prctl(2). They guard what the kernel inside lets a program do to
 * itself; outside they mean nothing.
 */
#include <kernel/syscall.h>
#include <kernel/uaccess.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include "caps.h"
#include <syscalls.gen.h>

#define CAP_FS_SET                                                                                 \
    (1UL << CAP_CHOWN | 1UL << CAP_MKNOD | 1UL << CAP_DAC_OVERRIDE | 1UL << CAP_DAC_READ_SEARCH |  \
     1UL << CAP_FOWNER | 1UL << CAP_FSETID | 1UL << CAP_LINUX_IMMUTABLE | 1UL << CAP_MAC_OVERRIDE)

static bool any_root(const struct cred *c)
{
    return !c->uid || !c->euid || !c->suid;
}

void cred_fix_caps(struct cred *c, const struct cred *old, bool keep_caps)
{
    if (c->securebits & (1u << SECURE_NO_SETUID_FIXUP))
        return;
    if (any_root(old) && !any_root(c)) {
        if (!keep_caps)
            c->cap_permitted = c->cap_effective = 0;
        c->cap_ambient = 0;
    }
    if (!old->euid && c->euid)
        c->cap_effective = 0;
    if (old->euid && !c->euid)
        c->cap_effective = c->cap_permitted;
    if (!old->fsuid && c->fsuid)
        c->cap_effective &= ~CAP_FS_SET;
    if (old->fsuid && !c->fsuid)
        c->cap_effective |= c->cap_permitted & CAP_FS_SET;
}

int cred_exec(void)
{
    struct cred *c = cred_prepare();

    if (!c)
        return -ENOMEM;
    if (!(c->securebits & (1u << SECURE_NOROOT)) && (!c->uid || !c->euid)) {
        c->cap_permitted = c->cap_inheritable | c->cap_bounding;
        c->cap_effective = !c->euid ? c->cap_permitted : 0;
    } else {
        c->cap_permitted = c->cap_effective = c->cap_ambient;
    }
    c->suid = c->fsuid = c->euid;
    c->sgid = c->fsgid = c->egid;
    c->securebits &= ~(1u << SECURE_KEEP_CAPS);
    cred_commit(c);
    return 0;
}

/* ---- capget(2), capset(2) ------------------------------------------------------------------------------ */

/*
 * Checks the header's version and sets *words (32-bit words per set; 0: the caller only probes).
 * An unknown version is -EINVAL with the preferred one written back.
 */
static int read_header(struct __user_cap_header_struct __user *header,
                       struct __user_cap_header_struct *h, unsigned *words)
{
    u32 preferred = _LINUX_CAPABILITY_VERSION_3;

    if (get_user(*h, header))
        return -EFAULT;
    switch (h->version) {
    case _LINUX_CAPABILITY_VERSION_1:
        *words = _LINUX_CAPABILITY_U32S_1;
        return 0;
    case _LINUX_CAPABILITY_VERSION_2:
    case _LINUX_CAPABILITY_VERSION_3:
        *words = _LINUX_CAPABILITY_U32S_3;
        return 0;
    }
    return copy_to_user(&header->version, &preferred, sizeof(preferred)) ? -EFAULT : -EINVAL;
}

long sys_capget(struct __user_cap_header_struct __user *header, void __user *data)
{
    struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3];
    struct __user_cap_header_struct h;
    struct task *t;
    struct cred *c;
    unsigned words = 0;
    int ret = read_header(header, &h, &words);

    if (ret)
        return !data && ret == -EINVAL ? 0 : ret;
    if (h.pid < 0)
        return -EINVAL;
    t = task_of_pid(h.pid);
    if (!t)
        return -ESRCH;
    c = task_cred(t);
    for (unsigned i = 0; i < words; i++) {
        d[i].effective = (u32)(c->cap_effective >> 32 * i);
        d[i].permitted = (u32)(c->cap_permitted >> 32 * i);
        d[i].inheritable = (u32)(c->cap_inheritable >> 32 * i);
    }
    cred_put(c);
    task_put(t);
    return data ? copy_to_user(data, d, words * sizeof(d[0])) : 0;
}

/* What a process may ask for: nothing that it is not permitted (and for inheritance, bound to). */
static int capset_check(const struct cred *c, u64 effective, u64 permitted, u64 inheritable)
{
    bool setpcap = c->cap_effective >> CAP_SETPCAP & 1;

    if (!setpcap && (inheritable & ~(c->cap_inheritable | c->cap_permitted)))
        return -EPERM;
    if (inheritable & ~(c->cap_inheritable | c->cap_bounding))
        return -EPERM;
    if ((permitted & ~c->cap_permitted) || (effective & ~permitted))
        return -EPERM;
    return 0;
}

static long capset_commit(u64 effective, u64 permitted, u64 inheritable)
{
    struct cred *c;
    int ret = capset_check(current_cred(), effective, permitted, inheritable);

    if (ret)
        return ret;
    c = cred_prepare();
    if (!c)
        return -ENOMEM;
    c->cap_effective = effective;
    c->cap_permitted = permitted;
    c->cap_inheritable = inheritable;
    c->cap_ambient &= permitted & inheritable;
    cred_commit(c);
    return 0;
}

long sys_capset(struct __user_cap_header_struct __user *header, const void __user *data)
{
    struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3] = {0};
    struct __user_cap_header_struct h;
    u64 effective = 0, permitted = 0, inheritable = 0;
    unsigned words = 0;
    int ret = read_header(header, &h, &words);

    if (ret)
        return ret;
    if (h.pid && h.pid != current->tid)
        return -EPERM;
    if (copy_from_user(d, data, words * sizeof(d[0])))
        return -EFAULT;
    for (unsigned i = 0; i < words; i++) {
        effective |= (u64)d[i].effective << 32 * i;
        permitted |= (u64)d[i].permitted << 32 * i;
        inheritable |= (u64)d[i].inheritable << 32 * i;
    }
    return capset_commit(effective & CAP_ALL, permitted & CAP_ALL, inheritable & CAP_ALL);
}

/* ---- prctl(2)'s part -------------------------------------------------------------------------------------- */

long caps_bounding_read(u64 cap)
{
    if (cap > CAP_LAST_CAP)
        return -EINVAL;
    return current_cred()->cap_bounding >> cap & 1;
}

long caps_bounding_drop(u64 cap)
{
    struct cred *c;

    if (!capable(CAP_SETPCAP))
        return -EPERM;
    if (cap > CAP_LAST_CAP)
        return -EINVAL;
    c = cred_prepare();
    if (!c)
        return -ENOMEM;
    c->cap_bounding &= ~(1UL << cap);
    cred_commit(c);
    return 0;
}

static long ambient_commit(u64 set)
{
    struct cred *c = cred_prepare();

    if (!c)
        return -ENOMEM;
    c->cap_ambient = set;
    cred_commit(c);
    return 0;
}

long caps_ambient(u64 what, u64 cap)
{
    const struct cred *c = current_cred();
    u64 bit;

    if (what == PR_CAP_AMBIENT_CLEAR_ALL)
        return cap ? -EINVAL : ambient_commit(0);
    if (cap > CAP_LAST_CAP)
        return -EINVAL;
    bit = 1UL << cap;
    switch (what) {
    case PR_CAP_AMBIENT_IS_SET:
        return !!(c->cap_ambient & bit);
    case PR_CAP_AMBIENT_RAISE:
        if (!(c->cap_permitted & c->cap_inheritable & bit) ||
            (c->securebits & (1u << SECURE_NO_CAP_AMBIENT_RAISE)))
            return -EPERM;
        return ambient_commit(c->cap_ambient | bit);
    case PR_CAP_AMBIENT_LOWER:
        return ambient_commit(c->cap_ambient & ~bit);
    }
    return -EINVAL;
}

/* Bits may change unless locked, locks may not be taken back. */
long caps_set_securebits(u64 bits)
{
    u32 old = current_cred()->securebits;
    u32 changed = old ^ (u32)bits;
    u32 locked = (old & SECURE_ALL_LOCKS) >> 1;
    struct cred *c;

    if ((changed & locked) || (old & SECURE_ALL_LOCKS & ~bits) ||
        (bits & ~(u64)(SECURE_ALL_LOCKS | SECURE_ALL_BITS)) || !capable(CAP_SETPCAP))
        return -EPERM;
    c = cred_prepare();
    if (!c)
        return -ENOMEM;
    c->securebits = (u32)bits;
    cred_commit(c);
    current->keep_caps = bits & (1u << SECURE_KEEP_CAPS);
    return 0;
}
