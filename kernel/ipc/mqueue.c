/* SPDX-License-Identifier: MIT */
/* POSIX message queues: messages, notification, the file's ops (mqueue.h has the rules). */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/signal.h>
#include <kernel/socket.h>
#include <kernel/string.h>
#include <kernel/time.h>
#include <linux/fcntl.h>
#include <linux/signal.h>
#include <syscalls.gen.h>
#include "mqueue.h"

/* ---- Queues ----------------------------------------------------------------------------------------------- */

#define MESSAGE_CHARGE 64 /* bytes that a message costs beside its text, about as on Linux */

static spinlock_t g_charge_lock = SPINLOCK_INIT("mq_charge");
static u64 g_charged GUARDED_BY(&g_charge_lock); /* by all queues: there is one user who makes any */

static bool charge(u64 bytes)
{
    u64 limit = rlimit(RLIMIT_MSGQUEUE);
    bool fits;

    spin_lock(&g_charge_lock);
    fits = g_charged + bytes >= bytes && g_charged + bytes <= limit;
    if (fits)
        g_charged += bytes;
    spin_unlock(&g_charge_lock);
    return fits;
}

static void uncharge(u64 bytes)
{
    spin_lock(&g_charge_lock);
    g_charged -= bytes;
    spin_unlock(&g_charge_lock);
}

static int attr_check(const struct mq_attr *attr)
{
    bool more = capable(CAP_SYS_RESOURCE);

    if (attr->mq_maxmsg <= 0 || attr->mq_msgsize <= 0)
        return -EINVAL;
    if (attr->mq_maxmsg > (more ? MQ_MESSAGES_HARD : MQ_MESSAGES_MAX) ||
        attr->mq_msgsize > (more ? MQ_SIZE_HARD : MQ_SIZE_MAX))
        return -EINVAL;
    return 0;
}

struct mqueue *mqueue_create(const struct mq_attr *attr)
{
    static const struct mq_attr usual = {.mq_maxmsg = MQ_MESSAGES_DEFAULT, .mq_msgsize = MQ_SIZE_DEFAULT};
    struct mqueue *q;
    u64 cost;
    int err;

    attr = attr ? attr : &usual;
    err = attr_check(attr);
    if (err)
        return ERR_PTR(err);
    cost = (u64)attr->mq_maxmsg * ((u64)attr->mq_msgsize + MESSAGE_CHARGE);
    if (!charge(cost))
        return ERR_PTR(-EMFILE);
    q = kzalloc(sizeof(*q));
    if (!q) {
        uncharge(cost);
        return ERR_PTR(-ENOMEM);
    }
    mutex_init(&q->lock, "mqueue");
    list_init(&q->messages);
    waitqueue_init(&q->read_wait);
    waitqueue_init(&q->write_wait);
    q->count_max = (u64)attr->mq_maxmsg;
    q->size_max = (u64)attr->mq_msgsize;
    q->charge = cost;
    return q;
}

void mqueue_destroy(struct mqueue *q) NO_LOCK_ANALYSIS /* the last one to know it */
{
    struct mq_message *m, *tmp;

    list_for_each_safe(m, tmp, &q->messages, link)
    {
        kfree(m);
    }
    if (q->notify_message)
        netlink_message_drop(q->notify_message);
    uncharge(q->charge);
    kfree(q);
}

struct mqueue *file_mqueue(const struct file *f)
{
    return f->ops == &mqueue_ops ? f->inode->private : NULL;
}

/* ---- Notification ------------------------------------------------------------------------------------------- */

/*
 * SIGEV_THREAD is libc's: it gives the descriptor of a netlink socket in sigev_signo and the address of a cookie,
 * which comes back through the socket with its last byte telling why (NOTIFY_*). It is made at once, so that a
 * sender of messages need not wait or fail for it.
 */
static struct netlink_message *thread_message(const struct sigevent *e)
{
    u8 cookie[NOTIFY_COOKIE_LEN];

    if (copy_from_user(cookie, (const void __user *)e->sigev_value.sival_ptr, sizeof(cookie)))
        return ERR_PTR(-EFAULT);
    return netlink_message_create(e->sigev_signo, cookie, sizeof(cookie));
}

/* The registration ends; SIGEV_THREAD's hears why. */
static void end_notify(struct mqueue *q, u8 why) REQUIRES(&q->lock)
{
    struct netlink_message *m = q->notify_message;

    q->notify_pid = 0;
    q->notify_message = NULL;
    if (!m)
        return;
    m->data[NOTIFY_COOKIE_LEN - 1] = why;
    netlink_message_send(m);
}

/* A message came to an empty queue for which nobody waits: once. */
static void notify(struct mqueue *q) REQUIRES(&q->lock)
{
    siginfo_t info = {.si_signo = q->notify_signal, .si_code = SI_MESGQ};
    struct group *g;

    if (!q->notify_pid)
        return;
    info.si_pid = current->group->tgid;
    info.si_uid = current_cred()->uid;
    info.si_value = q->notify_value;
    g = q->notify_how == SIGEV_SIGNAL ? group_find(q->notify_pid) : NULL;
    if (g) {
        (void)signal_send_group(g, info.si_signo, &info);
        group_put(g);
    }
    end_notify(q, NOTIFY_WOKENUP);
}

static void unregister_notify(struct mqueue *q)
{
    mutex_lock(&q->lock);
    if (q->notify_pid == current->group->tgid)
        end_notify(q, NOTIFY_REMOVED);
    mutex_unlock(&q->lock);
}

/* Takes `message` unless it fails. */
static int register_notify(struct mqueue *q, const struct sigevent *event, struct netlink_message *message)
{
    pid_t me = current->group->tgid;
    int err = 0;

    mutex_lock(&q->lock);
    if (q->notify_pid) {
        err = -EBUSY;
    } else {
        q->notify_pid = me;
        q->notify_how = event->sigev_notify;
        q->notify_signal = event->sigev_signo;
        q->notify_value = event->sigev_value;
        q->notify_message = message;
    }
    mutex_unlock(&q->lock);
    return err;
}

static int event_check(const struct sigevent *e)
{
    switch (e->sigev_notify) {
    case SIGEV_NONE:
    case SIGEV_THREAD:
        return 0;
    case SIGEV_SIGNAL:
        return e->sigev_signo >= 0 && e->sigev_signo <= NSIG_K ? 0 : -EINVAL;
    }
    return -EINVAL;
}

/* `event` NULL: no notification any more. Takes `message` unless it fails. */
static int set_notify(int fd, const struct sigevent *event, struct netlink_message *message)
{
    struct file *f = fd_get(fd);
    struct mqueue *q = f ? file_mqueue(f) : NULL;
    int err = q ? 0 : -EBADF;

    if (q && event)
        err = register_notify(q, event, message);
    else if (q)
        unregister_notify(q);
    if (f)
        file_put(f);
    return err;
}

long sys_mq_notify(int fd, const struct sigevent __user *uevent)
{
    struct netlink_message *message = NULL;
    struct sigevent event;
    int err;

    if (!uevent)
        return set_notify(fd, NULL, NULL);
    if (get_user(event, uevent))
        return -EFAULT;
    err = event_check(&event);
    if (!err && event.sigev_notify == SIGEV_THREAD)
        message = thread_message(&event);
    if (err || IS_ERR(message))
        return err ? err : (long)PTR_ERR(message);
    err = set_notify(fd, &event, message);
    if (err && message)
        netlink_message_drop(message);
    return err;
}

/* ---- Messages ------------------------------------------------------------------------------------------------ */

static int mq_wait(struct mqueue *q, struct waitqueue *wq, u64 deadline) REQUIRES(&q->lock)
{
    struct waiter w;
    int err;

    waiter_add(&w, wq, ~0u);
    mutex_unlock(&q->lock);
    err = task_block(deadline, true);
    mutex_lock(&q->lock);
    waiter_remove(&w);
    return err == -EINTR ? -ERESTARTSYS : err;
}

/* Behind all of its priority. */
static void insert(struct mqueue *q, struct mq_message *m) REQUIRES(&q->lock)
{
    struct list *at = q->messages.prev;

    while (at != &q->messages && list_entry(at, struct mq_message, link)->priority < m->priority)
        at = at->prev;
    list_add(at, &m->link);
    q->bytes += m->size;
    if (!q->count++ && !q->receivers)
        notify(q);
    waitqueue_wake(&q->read_wait, POLLIN | POLLRDNORM);
}

/* How a call waits. */
struct patience {
    bool nonblock;
    u64 deadline; /* monotonic */
};

static int send(struct mqueue *q, struct mq_message *m, const struct patience *how)
{
    int err = 0;

    mutex_lock(&q->lock);
    while (!err && q->count >= q->count_max)
        err = how->nonblock ? -EAGAIN : mq_wait(q, &q->write_wait, how->deadline);
    if (!err)
        insert(q, m);
    mutex_unlock(&q->lock);
    return err;
}

static struct mq_message *receive(struct mqueue *q, const struct patience *how)
{
    struct mq_message *m = NULL;
    int err = 0;

    mutex_lock(&q->lock);
    q->receivers++;
    while (!err && !q->count)
        err = how->nonblock ? -EAGAIN : mq_wait(q, &q->read_wait, how->deadline);
    q->receivers--;
    if (!err) {
        m = list_first(&q->messages, struct mq_message, link);
        list_del(&m->link);
        q->count--;
        q->bytes -= m->size;
        waitqueue_wake(&q->write_wait, POLLOUT | POLLWRNORM);
    }
    mutex_unlock(&q->lock);
    return err ? ERR_PTR(err) : m;
}

/* The descriptor's file, opened for `access` and not its opposite. ERR_PTR(-EBADF). */
static struct file *mq_file(int fd, unsigned opposite)
{
    struct file *f = fd_get(fd);

    if (!f)
        return ERR_PTR(-EBADF);
    if (file_mqueue(f) && (f->flags & O_ACCMODE) != opposite)
        return f;
    file_put(f);
    return ERR_PTR(-EBADF);
}

static struct mq_message *message_import(const void __user *text, size_t size, unsigned priority)
{
    struct mq_message *m = kmalloc(sizeof(*m) + size);

    if (!m)
        return ERR_PTR(-ENOMEM);
    m->size = size;
    m->priority = priority;
    if (!copy_from_user(m->text, text, size))
        return m;
    kfree(m);
    return ERR_PTR(-EFAULT);
}

static long send_file(struct file *f, const void __user *text, size_t size, unsigned priority,
                      struct patience *how)
{
    struct mqueue *q = file_mqueue(f);
    struct mq_message *m;
    long ret;

    if (size > q->size_max)
        return -EMSGSIZE;
    m = message_import(text, size, priority);
    if (IS_ERR(m))
        return PTR_ERR(m);
    how->nonblock = READ_ONCE(f->flags) & O_NONBLOCK;
    ret = send(q, m, how);
    if (ret)
        kfree(m);
    return ret;
}

long sys_mq_timedsend(int fd, const void __user *text, size_t size, unsigned priority,
                      const struct __kernel_timespec __user *timeout)
{
    struct patience how;
    struct file *f;
    long ret = deadline_import_at(timeout, true, &how.deadline);

    if (ret)
        return ret;
    if (priority >= MQ_PRIO_MAX)
        return -EINVAL;
    f = mq_file(fd, O_RDONLY);
    if (IS_ERR(f))
        return PTR_ERR(f);
    ret = send_file(f, text, size, priority, &how);
    file_put(f);
    return ret;
}

static long receive_file(struct file *f, void __user *text, size_t size, unsigned __user *priority,
                         struct patience *how)
{
    struct mqueue *q = file_mqueue(f);
    struct mq_message *m;
    long ret;

    if (size < q->size_max)
        return -EMSGSIZE;
    how->nonblock = READ_ONCE(f->flags) & O_NONBLOCK;
    m = receive(q, how);
    if (IS_ERR(m))
        return PTR_ERR(m);
    ret = (long)m->size;
    if ((priority && put_user(m->priority, priority)) || copy_to_user(text, m->text, m->size))
        ret = -EFAULT;
    kfree(m);
    return ret;
}

long sys_mq_timedreceive(int fd, void __user *text, size_t size, unsigned __user *priority,
                         const struct __kernel_timespec __user *timeout)
{
    struct patience how;
    struct file *f;
    long ret = deadline_import_at(timeout, true, &how.deadline);

    if (ret)
        return ret;
    f = mq_file(fd, O_WRONLY);
    if (IS_ERR(f))
        return PTR_ERR(f);
    ret = receive_file(f, text, size, priority, &how);
    file_put(f);
    return ret;
}

/* ---- The file ------------------------------------------------------------------------------------------------- */

/* What read(2) gives: the queue's state in a line. */
static ssize_t mq_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    struct mqueue *q = file_mqueue(f);
    char line[80];
    size_t size, n;

    mutex_lock(&q->lock);
    size = (size_t)snprintf(line, sizeof(line), "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n",
                            (unsigned long)q->bytes, q->notify_pid ? q->notify_how : 0,
                            q->notify_pid && q->notify_how == SIGEV_SIGNAL ? q->notify_signal : 0,
                            q->notify_pid);
    mutex_unlock(&q->lock);
    size = min(size, sizeof(line) - 1);
    if (*pos < 0 || (u64)*pos >= size)
        return 0;
    n = copy_to_iter(line + *pos, min(size - (size_t)*pos, to->count), to);
    *pos += (loff_t)n;
    return n || !to->count ? (ssize_t)n : -EFAULT;
}

static unsigned mq_poll(struct file *f, struct poll_table *pt) NO_LOCK_ANALYSIS
{
    struct mqueue *q = file_mqueue(f);
    unsigned ready = 0;

    poll_wait(pt, &q->read_wait);
    poll_wait(pt, &q->write_wait);
    if (READ_ONCE(q->count))
        ready |= POLLIN | POLLRDNORM;
    if (READ_ONCE(q->count) < q->count_max)
        ready |= POLLOUT | POLLWRNORM;
    return ready;
}

/* A process that closes the queue wants no notification any more. */
static int mq_flush(struct file *f)
{
    struct mqueue *q = file_mqueue(f);

    unregister_notify(q);
    return 0;
}

const struct file_ops mqueue_ops = {.read = mq_read, .poll = mq_poll, .flush = mq_flush};

/* ---- mq_open(2), mq_unlink(2), mq_getsetattr(2) ------------------------------------------------------------------ */

static int name_get(char name[NAME_MAX_ + 1], const char __user *uname)
{
    ssize_t size = strncpy_from_user(name, uname, NAME_MAX_ + 1);

    if (size < 0)
        return (int)size;
    if (!size)
        return -ENOENT;
    return strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..") ? -EACCES : 0;
}

static int access_mask(int flags)
{
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return 4;
    case O_WRONLY:
        return 2;
    }
    return 6;
}

static struct file *mq_open_file(const char *name, int flags, mode_t mode, const struct mq_attr *attr)
{
    char shown[NAME_MAX_ + 2];
    struct inode *inode;
    int err;

    if ((flags & O_ACCMODE) == O_ACCMODE)
        return ERR_PTR(-EINVAL);
    inode = mqueue_lookup(name, flags, mode, attr);
    if (IS_ERR(inode))
        return ERR_PTR(PTR_ERR(inode));
    err = inode_permission(inode, access_mask(flags));
    if (err) {
        inode_put(inode);
        return ERR_PTR(err);
    }
    (void)snprintf(shown, sizeof(shown), "/%s", name);
    return file_create_on(inode, shown, flags & (O_ACCMODE | O_NONBLOCK));
}

long sys_mq_open(const char __user *uname, int flags, mode_t mode, const struct mq_attr __user *uattr)
{
    char name[NAME_MAX_ + 1];
    struct mq_attr attr;
    struct file *f;
    int err;

    if (uattr && get_user(attr, uattr))
        return -EFAULT;
    err = name_get(name, uname);
    if (err)
        return err;
    f = mq_open_file(name, flags, mode & ~READ_ONCE(current->fs->umask), uattr ? &attr : NULL);
    if (IS_ERR(f))
        return PTR_ERR(f);
    return fd_install(f, 0, flags & O_CLOEXEC);
}

long sys_mq_unlink(const char __user *uname)
{
    char name[NAME_MAX_ + 1];
    int err = name_get(name, uname);

    return err ? err : mqueue_unlink(name);
}

static void attr_fill(struct file *f, struct mqueue *q, struct mq_attr *out)
{
    memset(out, 0, sizeof(*out));
    out->mq_flags = READ_ONCE(f->flags) & O_NONBLOCK;
    out->mq_maxmsg = (long)q->count_max;
    out->mq_msgsize = (long)q->size_max;
    mutex_lock(&q->lock);
    out->mq_curmsgs = (long)q->count;
    mutex_unlock(&q->lock);
}

static void attr_set(struct file *f, const struct mq_attr *attr)
{
    mutex_lock(&f->pos_lock);
    WRITE_ONCE(f->flags, (f->flags & ~(unsigned)O_NONBLOCK) | (unsigned)(attr->mq_flags & O_NONBLOCK));
    mutex_unlock(&f->pos_lock);
}

long sys_mq_getsetattr(int fd, const struct mq_attr __user *uattr, struct mq_attr __user *uold)
{
    struct mq_attr attr, old;
    struct mqueue *q;
    struct file *f;

    if (uattr && get_user(attr, uattr))
        return -EFAULT;
    if (uattr && (attr.mq_flags & ~(long)O_NONBLOCK))
        return -EINVAL;
    f = fd_get(fd);
    if (!f)
        return -EBADF;
    q = file_mqueue(f);
    if (q) {
        attr_fill(f, q, &old);
        if (uattr)
            attr_set(f, &attr);
    }
    file_put(f);
    if (!q)
        return -EBADF;
    return uold && put_user(old, uold) ? -EFAULT : 0;
}
