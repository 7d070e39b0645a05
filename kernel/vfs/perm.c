/* SPDX-License-Identifier: MIT */
/*
 * Who may do what to an inode: mode bits, the capabilities that override them, sticky directories.
 * Source: path_resolution(7), capabilities(7), inode(7).
 */
#include "internal.h"

bool cred_capable(const struct cred *c, int cap)
{
    return c->cap_effective >> cap & 1;
}

bool cred_in_group(const struct cred *c, gid_t gid)
{
    if (c->fsgid == gid)
        return true;
    for (unsigned i = 0; i < c->ngroups; i++) {
        if (c->groups[i] == gid)
            return true;
    }
    return false;
}

int cred_permission(const struct cred *c, const struct inode *inode, int mask)
{
    mode_t mode = inode->mode;
    unsigned bits = mode;

    if (c->fsuid == inode->uid)
        bits >>= 6;
    else if ((bits ^ bits >> 3) & 7 && cred_in_group(c, inode->gid))
        bits >>= 3;
    if (likely(!(mask & ~bits & 7)))
        return 0;
    if (cred_capable(c, CAP_DAC_OVERRIDE) &&
        (S_ISDIR(mode) || !(mask & MAY_EXEC) || (mode & 0111)))
        return 0;
    if (cred_capable(c, CAP_DAC_READ_SEARCH) &&
        (S_ISDIR(mode) ? !(mask & MAY_WRITE) : mask == MAY_READ))
        return 0;
    return -EACCES;
}

int inode_permission(struct inode *inode, int mask)
{
    return cred_permission(current_cred(), inode, mask);
}

bool inode_owner_or_capable(const struct inode *inode)
{
    const struct cred *c = current_cred();

    return c->fsuid == inode->uid || cred_capable(c, CAP_FOWNER);
}

static bool sticky_forbids(const struct inode *dir, const struct inode *victim)
{
    const struct cred *c = current_cred();

    return (dir->mode & S_ISVTX) && c->fsuid != victim->uid && c->fsuid != dir->uid &&
           !cred_capable(c, CAP_FOWNER);
}

int may_delete(struct inode *dir, const struct inode *victim, bool is_dir)
{
    int err = inode_permission(dir, MAY_WRITE | MAY_EXEC);

    if (err)
        return err;
    if (sticky_forbids(dir, victim))
        return -EPERM;
    if (is_dir && !S_ISDIR(victim->mode))
        return -ENOTDIR;
    if (!is_dir && S_ISDIR(victim->mode))
        return -EISDIR;
    return inode_is_dead(dir) ? -ENOENT : 0;
}

int may_create(struct inode *dir)
{
    if (inode_is_dead(dir))
        return -ENOENT;
    return inode_permission(dir, MAY_WRITE | MAY_EXEC);
}
