/* SPDX-License-Identifier: MIT */
/*
 * memfd_create(2) and seals (F_ADD_SEALS, F_GET_SEALS). A memfd is a regular file of ramfs in no
 * directory. Seals live in inode->seals, guarded by inode->lock; writes, truncation and fallocate
 * check them (read_write.c, sync.c), mmap checks F_SEAL_WRITE and F_SEAL_FUTURE_WRITE.
 */
#include <kernel/files.h>
#include <kernel/mm.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <linux/memfd.h>
#include <linux/stat.h>

#include "rw.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#define MFD_EXEC        16u
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif

#define MFD_NAME_MAX 249 /* without "memfd:"; memfd_create(2) */
#define MFD_VALID    (MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC)

#define SEALS_ALL                                                                                  \
    (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC)
#define SEALS_OF_EXEC (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

/* The mode and the first seals: without MFD_ALLOW_SEALING nothing may be sealed ever. */
static struct file *memfd_open(const char *name, unsigned flags)
{
    bool noexec = flags & MFD_NOEXEC_SEAL;
    struct inode *inode;
    int err = ramfs_create_anon(S_IFREG | (noexec ? 0666 : 0777), &inode);

    if (err)
        return ERR_PTR(err);
    if (noexec)
        inode->seals = F_SEAL_EXEC;
    else
        inode->seals = flags & MFD_ALLOW_SEALING ? 0 : F_SEAL_SEAL;
    return file_create_on(inode, name, O_RDWR | O_LARGEFILE);
}

#define MFD_PREFIX "/memfd:"
#define MFD_SUFFIX " (deleted)"
#define MFD_NAME_SIZE (sizeof(MFD_PREFIX) + MFD_NAME_MAX + sizeof(MFD_SUFFIX))

/* The name as /proc/self/fd shows it. 0, -EFAULT, or -EINVAL when it is too long. */
static int memfd_name(char buf[MFD_NAME_SIZE], const char __user *uname)
{
    size_t prefix = strlcpy_k(buf, MFD_PREFIX, MFD_NAME_SIZE);
    ssize_t n = strncpy_from_user(buf + prefix, uname, MFD_NAME_MAX + 1);

    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : (int)n;
    (void)strlcpy_k(buf + prefix + n, MFD_SUFFIX, sizeof(MFD_SUFFIX));
    return 0;
}

/* Huge pages (MFD_HUGETLB) are refused as by a kernel without hugetlbfs. */
long sys_memfd_create(const char __user *uname, unsigned flags)
{
    char name[MFD_NAME_SIZE];
    struct file *f;
    int err;

    if (flags & ~MFD_VALID)
        return -EINVAL;
    if ((flags & MFD_EXEC) && (flags & MFD_NOEXEC_SEAL))
        return -EINVAL;
    err = memfd_name(name, uname);
    if (err)
        return err;
    f = memfd_open(name, flags);
    if (IS_ERR(f))
        return PTR_ERR(f);
    return fd_install(f, 0, flags & MFD_CLOEXEC);
}

static bool is_memfd(const struct file *f)
{
    return S_ISREG(f->inode->mode) && (f->path.dentry->flags & DENTRY_ANON);
}

/* F_SEAL_EXEC on an executable file also seals its contents, as Linux does. */
static unsigned seals_implied(const struct inode *inode, unsigned seals)
{
    return (seals & F_SEAL_EXEC) && (inode->mode & 0111) ? seals | SEALS_OF_EXEC : seals;
}

long memfd_add_seals(struct file *f, unsigned seals)
{
    long ret = 0;

    if (!file_writable(f))
        return -EPERM;
    if (!is_memfd(f) || (seals & ~(unsigned)SEALS_ALL))
        return -EINVAL;
    mutex_lock(&f->inode->lock);
    if (f->inode->seals & F_SEAL_SEAL)
        ret = -EPERM;
    else if ((seals & ~f->inode->seals & F_SEAL_WRITE) &&
             __atomic_load_n(&f->inode->writable_maps, __ATOMIC_RELAXED) > 0)
        ret = -EBUSY;
    else
        f->inode->seals |= seals_implied(f->inode, seals);
    mutex_unlock(&f->inode->lock);
    return ret;
}

long memfd_get_seals(struct file *f)
{
    long seals;

    if (!is_memfd(f))
        return -EINVAL;
    mutex_lock(&f->inode->lock);
    seals = (long)f->inode->seals;
    mutex_unlock(&f->inode->lock);
    return seals;
}

int inode_seals_map(const struct inode *inode, unsigned *vm_flags)
{
    assert_held(&inode->lock);
    if (!(inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
        return 0;
    if (*vm_flags & VM_WRITE)
        return -EPERM;
    *vm_flags &= ~VM_MAYWRITE;
    return 0;
}
