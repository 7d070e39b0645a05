/* SPDX-License-Identifier: MIT */
/*
 * signalfd(2): the reader's own pending signals and its process', of a set. Waits on group->signal_wait, which
 * every signal that is queued wakes. The set is one word, read and changed whole without a lock.
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/poll.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <linux/fcntl.h>
#include <linux/signalfd.h>

struct signalfd {
    sigset64_t set; /* atomic */
};

static sigset64_t set_of(const struct file *f)
{
    return READ_ONCE(((const struct signalfd *)f->private)->set);
}

/* ---- One signal as signalfd(2) lays it out ---------------------------------------------------- */

static void fill_sender(struct signalfd_siginfo *out, const siginfo_t *in)
{
    out->ssi_pid = (u32)in->si_pid;
    out->ssi_uid = in->si_uid;
}

static void fill_value(struct signalfd_siginfo *out, const siginfo_t *in)
{
    out->ssi_ptr = (u64)(uintptr_t)in->si_ptr;
    out->ssi_int = in->si_int;
}

/* What a kernel event tells, by signal. */
static void fill_event(struct signalfd_siginfo *out, const siginfo_t *in)
{
    switch (in->si_signo) {
    case SIGCHLD:
        fill_sender(out, in);
        out->ssi_status = in->si_status;
        out->ssi_utime = (u64)in->si_utime;
        out->ssi_stime = (u64)in->si_stime;
        break;
    case SIGPOLL:
        out->ssi_band = (u32)in->si_band;
        out->ssi_fd = in->si_fd;
        break;
    case SIGILL:
    case SIGFPE:
    case SIGSEGV:
    case SIGBUS:
    case SIGTRAP:
        out->ssi_addr = (u64)(uintptr_t)in->si_addr;
        break;
    }
}

static void fill(struct signalfd_siginfo *out, const siginfo_t *in)
{
    memset(out, 0, sizeof(*out));
    out->ssi_signo = (u32)in->si_signo;
    out->ssi_errno = in->si_errno;
    out->ssi_code = in->si_code;
    if (in->si_code == SI_TIMER) {
        out->ssi_tid = (u32)in->si_tid;
        out->ssi_overrun = (u32)in->si_overrun;
        fill_value(out, in);
    } else if (in->si_code == SI_USER || in->si_code == SI_TKILL) {
        fill_sender(out, in);
    } else if (in->si_code < 0) {
        fill_sender(out, in);
        fill_value(out, in);
    } else if (in->si_code != SI_KERNEL) {
        fill_event(out, in);
    }
}

/* ---- File ops --------------------------------------------------------------------------------- */

static ssize_t signalfd_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    struct group *g = current->group;
    struct signalfd_siginfo out;
    siginfo_t info;
    ssize_t done = 0;
    int sig, err = 0;

    if (to->count < sizeof(out))
        return -EINVAL;
    sig = signal_take(set_of(f), &info);
    if (!sig && (READ_ONCE(f->flags) & O_NONBLOCK))
        return -EAGAIN;
    if (!sig)
        wait_event(err, &g->signal_wait, (sig = signal_take(set_of(f), &info)) != 0, DEADLINE_NONE,
                   true);
    if (err)
        return -ERESTARTSYS;
    while (sig) {
        fill(&out, &info);
        if (copy_to_iter(&out, sizeof(out), to) < sizeof(out))
            return done ? done : -EFAULT;
        done += (ssize_t)sizeof(out);
        sig = to->count >= sizeof(out) ? signal_take(set_of(f), &info) : 0;
    }
    return done;
}

static unsigned signalfd_poll(struct file *f, struct poll_table *pt)
{
    struct group *g = current->group;
    sigset64_t waiting;

    poll_wait(pt, &g->signal_wait);
    spin_lock(&g->lock);
    waiting = (current->pending.set | g->pending.set) & set_of(f);
    spin_unlock(&g->lock);
    return waiting ? POLLIN : 0;
}

static void signalfd_release(struct file *f)
{
    kfree(f->private);
}

static ssize_t signalfd_fdinfo(struct file *f, char *buf, size_t size)
{
    return snprintf(buf, size, "sigmask:\t%016lx\n", set_of(f));
}

static const struct file_ops g_signalfd_ops = {
    .read = signalfd_read,
    .poll = signalfd_poll,
    .release = signalfd_release,
    .fdinfo = signalfd_fdinfo,
};

/* ---- System calls ----------------------------------------------------------------------------- */

static long signalfd_create(sigset64_t set, int flags)
{
    struct signalfd *s = kmalloc(sizeof(*s));
    struct file *f;

    if (!s)
        return -ENOMEM;
    s->set = set;
    f = file_create_anon("anon_inode:[signalfd]", &g_signalfd_ops, s, O_RDWR | (flags & O_NONBLOCK));
    if (IS_ERR(f)) {
        kfree(s);
        return PTR_ERR(f);
    }
    return fd_install(f, 0, flags & SFD_CLOEXEC);
}

/* Another set for one that is open; who waits on it looks again. */
static long signalfd_change(int fd, sigset64_t set)
{
    struct file *f = fd_get(fd);
    long ret = fd;

    if (!f)
        return -EBADF;
    if (f->ops == &g_signalfd_ops) {
        WRITE_ONCE(((struct signalfd *)f->private)->set, set);
        waitqueue_wake(&current->group->signal_wait, ~0u);
    } else {
        ret = -EINVAL;
    }
    file_put(f);
    return ret;
}

long sys_signalfd4(int fd, const sigset64_t __user *mask, size_t size, int flags)
{
    sigset64_t set;

    if (size != sizeof(set))
        return -EINVAL;
    if (get_user(set, mask))
        return -EFAULT;
    if (flags & ~(SFD_CLOEXEC | SFD_NONBLOCK))
        return -EINVAL;
    set &= ~(sigmask(SIGKILL) | sigmask(SIGSTOP));
    return fd == -1 ? signalfd_create(set, flags) : signalfd_change(fd, set);
}

long sys_signalfd(int fd, const sigset64_t __user *mask, size_t size)
{
    return sys_signalfd4(fd, mask, size, 0);
}
