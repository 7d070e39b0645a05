/* SPDX-License-Identifier: MIT */
/*
 * Names of anonymous memory (PR_SET_VMA_ANON_NAME), as Linux built with CONFIG_ANON_VMA_NAME has them. A
 * VMA holds the text that /proc/PID/maps shows. Names of the kernel's own ([heap], [stack]) go before
 * those of the program there, so such VMAs keep theirs.
 */
#include "internal.h"
#include <kernel/uaccess.h>

#define NAME_MAX_SIZE 80 /* with its NUL; prctl(2) */
#define TEXT_SIZE     (sizeof("[anon_shmem:]") + NAME_MAX_SIZE)

static bool name_valid(const char *name)
{
    for (; *name; name++) {
        if (*name <= 0x1f || *name >= 0x7f || strchr("\\`$[]", *name))
            return false;
    }
    return true;
}

/* Gives a VMA a copy of the name, or none. -EBADF, -EAGAIN. */
static int name_vma(struct vma *v, const char *name)
{
    char text[TEXT_SIZE], *copy = NULL;
    if (!vma_anonymous(v) || (v->file && !(v->flags & VM_SHARED)))
        return -EBADF;
    if (v->name && !v->name_owned)
        return 0;
    if (name) {
        (void)snprintf(text, sizeof(text), v->flags & VM_SHARED ? "[anon_shmem:%s]" : "[anon:%s]",
                       name);
        copy = kstrdup(text);
        if (!copy)
            return -EAGAIN;
    }
    kfree((void *)v->name);
    v->name = copy;
    v->name_owned = copy != NULL;
    return 0;
}

static int name_locked(struct mm *mm, uintptr_t start, uintptr_t end, const char *name,
                       struct list *dead) REQUIRES(&mm->lock)
{
    uintptr_t at = start;
    int hole = 0;
    if (mm->vma_count + 2 > MAX_MAP_COUNT || vma_isolate(mm, start, end))
        return -EAGAIN;
    for (struct vma *v = mm_find_next(mm, start); v && v->start < end; v = vma_next(v)) {
        if (v->start > at)
            hole = -ENOMEM;
        int err = name_vma(v, name);
        v = vma_merge(mm, v, dead);
        if (err)
            return err;
        at = v->end;
    }
    return at < end ? -ENOMEM : hole;
}

/* Copies the name in. -EFAULT, -EINVAL. */
static int name_get(char buf[NAME_MAX_SIZE], const char __user *name)
{
    ssize_t n = strncpy_from_user(buf, name, NAME_MAX_SIZE);
    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : (int)n;
    return name_valid(buf) ? 0 : -EINVAL;
}

long mm_set_anon_name(struct mm *mm, uintptr_t addr, size_t size, const char __user *name)
{
    struct list dead = LIST_INIT(dead);
    char buf[NAME_MAX_SIZE];
    uintptr_t end = addr + page_up(size);
    int err = name ? name_get(buf, name) : 0;
    if (err)
        return err;
    if ((addr & ~PAGE_MASK) || (size && page_up(size) == 0) || end < addr)
        return -EINVAL;
    if (end == addr)
        return 0;
    mm_lock(mm);
    err = name_locked(mm, addr, end, name ? buf : NULL, &dead);
    mm_unlock(mm);
    vma_free_list(&dead);
    return err;
}
