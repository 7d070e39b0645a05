/* SPDX-License-Identifier: MIT */
/*
 * Control messages: SCM_RIGHTS and SCM_CREDENTIALS in and out, and how descriptors under way are dropped.
 * Source: cmsg(3), unix(7).
 *
 * Dropping a file can close a socket whose queue carries more files, and so on: each task that drops works off
 * a list of its own in a loop, and what turns up on the way joins that list (g_drains, guarded by
 * g_drain_lock) instead of the stack.
 */
#include <kernel/alloc.h>
#include <kernel/files.h>
#include <kernel/socket.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <asm/socket.h>

#define CMSG_ALIGN(n) align_up((size_t)(n), sizeof(u64))
#define CMSG_HEADER   sizeof(struct user_cmsghdr)

/* ---- Dropping --------------------------------------------------------------------------------- */

struct drain {
    struct list link;    /* in g_drains */
    struct task *task;
    struct list pending; /* scm_files */
};

static spinlock_t g_drain_lock = SPINLOCK_INIT("scm_drain");
static struct list g_drains GUARDED_BY(&g_drain_lock) = LIST_INIT(g_drains);

/* Whether this task is at it already: then *fp joins its list. Else `own` becomes its drain. */
static bool drain_join(struct drain *own, struct scm_files *fp)
{
    struct drain *d, *found = NULL;

    spin_lock(&g_drain_lock);
    list_for_each(d, &g_drains, link)
    {
        if (d->task == current)
            found = d;
    }
    if (!found)
        list_add(&g_drains, &own->link);
    list_add_tail(found ? &found->pending : &own->pending, &fp->link);
    spin_unlock(&g_drain_lock);
    return found;
}

/* The next list of files, or NULL with the drain gone. */
static struct scm_files *drain_next(struct drain *d)
{
    struct scm_files *fp = NULL;

    spin_lock(&g_drain_lock);
    if (list_empty(&d->pending)) {
        list_del(&d->link);
    } else {
        fp = list_first(&d->pending, struct scm_files, link);
        list_del(&fp->link);
    }
    spin_unlock(&g_drain_lock);
    return fp;
}

void scm_files_drop(struct scm_files *fp)
{
    struct drain own = {.task = current};

    list_init(&own.link);
    list_init(&own.pending);
    if (!fp || drain_join(&own, fp))
        return;
    while ((fp = drain_next(&own))) {
        for (unsigned i = 0; i < fp->count; i++)
            file_put(fp->files[i]);
        kfree(fp);
    }
}

void scm_drop(struct scm *scm)
{
    scm_files_drop(scm->files);
    scm->files = NULL;
}

/* ---- In --------------------------------------------------------------------------------------- */

static int parse_rights(struct scm *scm, const void *data, size_t size)
{
    unsigned count = (unsigned)(size / sizeof(int));
    int fd;

    if (!count)
        return 0;
    if (count > SCM_MAX_FD)
        return -EINVAL;
    if (!scm->files) {
        scm->files = kmalloc(sizeof(*scm->files));
        if (!scm->files)
            return -ENOMEM;
        scm->files->count = 0;
    }
    if (count > SCM_MAX_FD - scm->files->count)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++) {
        struct file *f;

        memcpy(&fd, (const char *)data + i * sizeof(int), sizeof(fd));
        f = fd_get_path(fd);
        if (!f)
            return -EBADF;
        scm->files->files[scm->files->count++] = f;
    }
    return 0;
}

/* unix(7): what a process may claim to be. */
static int check_cred(const struct user_ucred *c)
{
    const struct cred *own = current_cred();

    if (c->pid != current->group->tgid && !capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (c->uid != own->uid && c->uid != own->euid && c->uid != own->suid && !capable(CAP_SETUID))
        return -EPERM;
    if (c->gid != own->gid && c->gid != own->egid && c->gid != own->sgid && !capable(CAP_SETGID))
        return -EPERM;
    return 0;
}

static bool process_exists(pid_t pid)
{
    struct group *g = pid == current->group->tgid ? NULL : group_find(pid);

    if (g)
        group_put(g);
    return g || pid == current->group->tgid;
}

static int parse_cred(struct scm *scm, const void *data, size_t size)
{
    struct user_ucred c;
    int err;

    if (size != sizeof(c))
        return -EINVAL;
    memcpy(&c, data, sizeof(c));
    err = check_cred(&c);
    if (err)
        return err;
    if (c.uid == (uid_t)-1 || c.gid == (gid_t)-1)
        return -EINVAL;
    if (!process_exists(c.pid))
        return -ESRCH;
    scm->cred = c;
    scm->has_cred = true;
    return 0;
}

static int parse_one(struct scm *scm, const struct user_cmsghdr *h, const void *data)
{
    size_t size = h->cmsg_len - CMSG_HEADER;

    if (h->cmsg_level != SOL_SOCKET)
        return 0;
    switch (h->cmsg_type) {
    case SCM_RIGHTS:
        return parse_rights(scm, data, size);
    case SCM_CREDENTIALS:
        return parse_cred(scm, data, size);
    }
    return -EINVAL;
}

int scm_parse(struct scm *scm, const void *control, size_t size)
{
    const char *p = control;
    struct user_cmsghdr h;
    int err = 0;

    *scm = (struct scm){0};
    while (!err && size >= CMSG_HEADER) {
        memcpy(&h, p, CMSG_HEADER);
        err = h.cmsg_len < CMSG_HEADER || h.cmsg_len > size ? -EINVAL
                                                            : parse_one(scm, &h, p + CMSG_HEADER);
        if (err || CMSG_ALIGN(h.cmsg_len) > size)
            break;
        p += CMSG_ALIGN(h.cmsg_len);
        size -= CMSG_ALIGN(h.cmsg_len);
    }
    if (err)
        scm_drop(scm);
    return err;
}

/* ---- Out -------------------------------------------------------------------------------------- */

struct control_out {
    char __user *at;
    size_t left, used;
    unsigned *flags;
};

static int put_header(struct control_out *o, int type, size_t size)
{
    struct user_cmsghdr h = {.cmsg_len = CMSG_HEADER + size, .cmsg_level = SOL_SOCKET, .cmsg_type = type};

    return copy_to_user(o->at, &h, sizeof(h));
}

/* `size` bytes of data stand behind a header at o->at. */
static void advance(struct control_out *o, size_t size)
{
    size_t step = min(CMSG_ALIGN(CMSG_HEADER + size), o->left);

    o->at += step;
    o->left -= step;
    o->used += step;
}

static void put_cred(struct control_out *o, const struct user_ucred *cred)
{
    size_t size = sizeof(*cred);

    if (o->left < CMSG_HEADER) {
        *o->flags |= MSG_CTRUNC;
        return;
    }
    if (o->left < CMSG_HEADER + size) {
        *o->flags |= MSG_CTRUNC;
        size = o->left - CMSG_HEADER;
    }
    if (!put_header(o, SCM_CREDENTIALS, size) && !copy_to_user(o->at + CMSG_HEADER, cred, size))
        advance(o, size);
}

/* One descriptor for the program at the place of its number. */
static int put_fd(int __user *place, struct file *f, bool cloexec)
{
    int fd = fd_reserve(0, cloexec);
    int err = fd < 0 ? fd : put_user(fd, place);

    if (!err)
        fd_commit(fd, file_get(f));
    else if (fd >= 0)
        fd_cancel(fd);
    return err;
}

static void put_rights(struct control_out *o, const struct scm_files *fp, bool cloexec)
{
    size_t max = o->left > CMSG_HEADER ? (o->left - CMSG_HEADER) / sizeof(int) : 0;
    int __user *place = (int __user *)(o->at + CMSG_HEADER);
    unsigned i;

    for (i = 0; i < min((size_t)fp->count, max); i++) {
        if (put_fd(place + i, fp->files[i], cloexec))
            break;
    }
    if (i < fp->count)
        *o->flags |= MSG_CTRUNC;
    if (i && !put_header(o, SCM_RIGHTS, i * sizeof(int)))
        advance(o, i * sizeof(int));
}

size_t scm_deliver(struct scm *scm, bool passcred, void __user *control, size_t size, unsigned *flags)
{
    static const struct user_ucred nobody = {0, 65534, 65534};
    struct control_out o = {.at = control, .left = control ? size : 0, .flags = flags};

    if (!control) {
        if (passcred || scm->files)
            *flags |= MSG_CTRUNC;
    } else {
        if (passcred)
            put_cred(&o, scm->has_cred ? &scm->cred : &nobody);
        if (scm->files)
            put_rights(&o, scm->files, *flags & MSG_CMSG_CLOEXEC);
    }
    scm_drop(scm);
    return o.used;
}
