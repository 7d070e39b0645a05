/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/cmdline, environ, auxv and mem: what stands in a process' memory. Another address space
 * is read page by page through mm_peek(), which takes mm->lock itself; nothing is locked here.
 */
#include <linux/auxvec.h>
#include <kernel/alloc.h>
#include <linux/fs.h>
#include <linux/stat.h>

#include "proc.h"

/* How much of [addr, addr + size) lies in addr's page. */
static size_t in_page(uintptr_t addr, size_t size)
{
    return min(size, (size_t)(PAGE_SIZE - addr % PAGE_SIZE));
}

#define AREA_MAX (32UL << 20) /* more than execve accepts */

/* Appends the memory up to the first page that cannot be read. */
static void show_area(struct seq *s, struct mm *mm, uintptr_t start, uintptr_t end)
{
    if (end < start || end - start > AREA_MAX)
        return;
    while (start < end) {
        size_t n = in_page(start, end - start);
        char *p = seq_reserve(s, n);

        if (!p || mm_peek(mm, start, p, n))
            return;
        seq_commit(s, n);
        start += n;
    }
}

/*
 * A process that wrote a new title over its arguments has no NUL at their end; then the title goes
 * on through the environment to its first NUL (proc(5)).
 */
static void show_title(struct seq *s, struct mm *mm)
{
    size_t args = s->used;
    const char *nul;

    if (!args || !s->buf[args - 1] || mm->env_start != mm->arg_end)
        return;
    show_area(s, mm, mm->env_start, mm->env_end);
    if (s->failed)
        return;
    nul = memchr(s->buf, 0, s->used);
    if (nul)
        s->used = (size_t)(nul - s->buf);
}

int proc_cmdline(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    struct mm *mm = task_mm(t);

    if (!mm)
        return 0;
    show_area(s, mm, mm->arg_start, mm->arg_end);
    show_title(s, mm);
    mm_put(mm);
    return 0;
}

/* The memory of `t` for somebody who may look into it; NULL: none any more. ERR_PTR(-EACCES). */
static struct mm *mm_to_look(struct task *t)
{
    return proc_may_look(t) ? ERR_PTR(-EACCES) : task_mm(t);
}

int proc_environ(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    struct mm *mm = mm_to_look(t);

    if (!mm || IS_ERR(mm))
        return mm ? (int)PTR_ERR(mm) : 0;
    show_area(s, mm, mm->env_start, mm->env_end);
    mm_put(mm);
    return 0;
}

int proc_auxv(struct seq *s, const struct pseudo_node *node, struct task *t)
{
    struct mm *mm = mm_to_look(t);
    size_t words = 0;

    if (!mm || IS_ERR(mm))
        return mm ? (int)PTR_ERR(mm) : 0;
    do {
        words += 2;
    } while (words < ARRAY_COUNT(mm->auxv) && mm->auxv[words - 2] != AT_NULL);
    seq_write(s, mm->auxv, words * sizeof(u64));
    mm_put(mm);
    return 0;
}

/* ---- mem ------------------------------------------------------------------------------------ */

static struct mm *node_mm(const struct file *f)
{
    struct task *t = task_find(pseudo_node_of(f->inode)->tid);
    struct mm *mm = t ? mm_to_look(t) : NULL;

    if (t)
        task_put(t);
    return mm;
}

/* One page's worth between the iterator and memory. Bytes moved, -EIO where nothing is mapped. */
static ssize_t mem_page(struct mm *mm, uintptr_t addr, struct iov_iter *it, u8 *page, bool write)
{
    size_t n = in_page(addr, it->count);
    size_t moved;

    if (write) {
        moved = copy_from_iter(page, n, it);
        if (moved && mm_poke(mm, addr, page, moved))
            return -EIO;
    } else {
        if (mm_peek(mm, addr, page, n))
            return -EIO;
        moved = copy_to_iter(page, n, it);
    }
    return moved ? (ssize_t)moved : -EFAULT;
}

static ssize_t mem_transfer(struct file *f, struct iov_iter *it, loff_t *pos, bool write)
{
    struct mm *mm = node_mm(f);
    u8 *page;
    ssize_t done = 0, n = 0;

    if (!mm || IS_ERR(mm))
        return mm ? PTR_ERR(mm) : 0;
    page = kmalloc(PAGE_SIZE);
    if (!page)
        n = -ENOMEM;
    while (page && it->count && n >= 0) {
        n = mem_page(mm, (uintptr_t)*pos, it, page, write);
        if (n > 0) {
            done += n;
            *pos += n;
        }
    }
    kfree(page);
    mm_put(mm);
    return done ? done : n;
}

static ssize_t mem_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    return mem_transfer(f, to, pos, false);
}

static ssize_t mem_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    return mem_transfer(f, from, pos, true);
}

static loff_t mem_seek(struct file *f, loff_t offset, int whence) REQUIRES(&f->pos_lock)
{
    if (whence == SEEK_CUR)
        offset = (loff_t)((u64)f->pos + (u64)offset);
    else if (whence != SEEK_SET)
        return -EINVAL;
    return f->pos = offset;
}

const struct file_ops g_proc_mem_ops = {.read = mem_read, .write = mem_write, .seek = mem_seek};
