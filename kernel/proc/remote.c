/* SPDX-License-Identifier: MIT */
/*
 * process_vm_readv(2), process_vm_writev(2): another process' memory, a page at a time through a buffer, with the
 * rights that its mappings give it.
 */
#include <kernel/alloc.h>
#include <kernel/mm.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>
#include "internal.h"
#include <syscalls.gen.h>

static bool page_allows(struct mm *mm, uintptr_t addr, unsigned access)
{
    const struct vma *v;
    bool allows;

    mutex_lock(&mm->lock);
    v = mm_find(mm, addr);
    allows = v && (v->flags & access) && !(v->flags & VM_TRAMPOLINE);
    mutex_unlock(&mm->lock);
    return allows;
}

/* What lies in one page of the other's. Bytes moved, or -EFAULT. */
static ssize_t move_page(struct mm *mm, uintptr_t addr, size_t size, struct iov_iter *local, u8 *page,
                         bool write)
{
    size_t n = min(min(size, local->count), (size_t)(PAGE_SIZE - addr % PAGE_SIZE));

    if (!page_allows(mm, addr, write ? VM_WRITE : VM_READ))
        return -EFAULT;
    if (write) {
        n = copy_from_iter(page, n, local);
        return n && !mm_poke(mm, addr, page, n) ? (ssize_t)n : -EFAULT;
    }
    if (mm_peek(mm, addr, page, n))
        return -EFAULT;
    n = copy_to_iter(page, n, local);
    return n ? (ssize_t)n : -EFAULT;
}

/* Bytes moved until one end is used up or something fails; -errno when that was at once. */
static ssize_t move_all(struct mm *mm, const struct iovec *remote, unsigned long count,
                        struct iov_iter *local, u8 *page, bool write)
{
    ssize_t done = 0, n = 0;

    for (unsigned long i = 0; i < count && local->count && n >= 0; i++) {
        uintptr_t addr = (uintptr_t)remote[i].iov_base;
        size_t left = remote[i].iov_len;

        while (left && local->count) {
            n = move_page(mm, addr, left, local, page, write);
            if (n < 0)
                break;
            done += n;
            addr += (size_t)n;
            left -= (size_t)n;
        }
    }
    return done ? done : n;
}

static ssize_t move_between(pid_t pid, const struct iovec *remote, unsigned long count,
                            struct iov_iter *local, bool write)
{
    struct task *t = task_find(pid);
    struct mm *mm = t ? task_mm(t) : NULL;
    u8 *page = mm ? kmalloc(PAGE_SIZE) : NULL;
    ssize_t ret = -ESRCH;

    if (mm && !page)
        ret = -ENOMEM;
    else if (mm && task_may_access(t, ACCESS_REAL))
        ret = -EPERM;
    else if (mm)
        ret = move_all(mm, remote, count, local, page, write);
    kfree(page);
    if (mm)
        mm_put(mm);
    if (t)
        task_put(t);
    return ret;
}

static long process_vm(pid_t pid, const struct iovec __user *ulocal, unsigned long local_count,
                       const void __user *uremote, unsigned long remote_count, unsigned long flags,
                       bool write)
{
    struct iovec local_fast[IOV_FAST], remote_fast[IOV_FAST], *local_heap = NULL, *remote_heap = NULL;
    struct iov_iter local, remote;
    ssize_t ret;

    if (flags)
        return -EINVAL;
    ret = iov_import(&local, ulocal, local_count, local_fast, &local_heap);
    if (ret > 0) {
        ret = iov_import(&remote, uremote, remote_count, remote_fast, &remote_heap);
        if (ret >= 0)
            ret = move_between(pid, remote.iov, remote_count, &local, write);
    }
    kfree(local_heap);
    kfree(remote_heap);
    return ret;
}

long sys_process_vm_readv(pid_t pid, const struct iovec __user *local, unsigned long local_count,
                          const void __user *remote, unsigned long remote_count, unsigned long flags)
{
    return process_vm(pid, local, local_count, remote, remote_count, flags, false);
}

long sys_process_vm_writev(pid_t pid, const struct iovec __user *local, unsigned long local_count,
                           const void __user *remote, unsigned long remote_count,
                           unsigned long flags)
{
    return process_vm(pid, local, local_count, remote, remote_count, flags, true);
}
