/* SPDX-License-Identifier: MIT */
/*
 * clone(2), clone3(2), fork(2), vfork(2): new threads and processes. Sources: the man pages, and Linux's order
 * of checks.
 *
 * Everything that can fail is done before the new task is published; from then on it exists. It starts with
 * a copy of its creator's registers and vector state.
 */
#include <kernel/alloc.h>
#include <kernel/arch.h>
#include <kernel/files.h>
#include <kernel/mm.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/time.h>
#include <kernel/thread_area.h>
#include <kernel/traps.h>
#include <kernel/uaccess.h>
#include <linux/sched.h>
#include "internal.h"
#include <syscalls.gen.h>

/* What both calls ask for. */
struct clone_request {
    u64 flags; /* without the exit signal */
    int exit_signal;
    u64 stack; /* the new stack pointer, 0: the creator's */
    u64 tls;
    pid_t __user *parent_tid, *child_tid;
    int __user *pidfd;
};

#define CLONE_LEGACY_FLAGS 0xffffffffUL
#define CLONE_NAMESPACES                                                                           \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET | CLONE_NEWTIME)

/* As Linux's copy_process(). Namespaces and control groups are not built in; the first process has no parent. */
static int check_flags(u64 flags)
{
    if ((flags & (CLONE_NEWNS | CLONE_FS)) == (CLONE_NEWNS | CLONE_FS) ||
        ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND)) ||
        ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM)) || (flags & CLONE_NAMESPACES))
        return -EINVAL;
    if ((flags & CLONE_INTO_CGROUP) || ((flags & CLONE_PARENT) && !current->group->parent) ||
        ((flags & CLONE_PIDFD) && (flags & (CLONE_DETACHED | CLONE_THREAD))))
        return -EINVAL;
    return 0;
}

/* ---- Making the task ----------------------------------------------------------------------------------- */

static int share_files(struct task *t, u64 flags)
{
    struct task *from = current;

    if (flags & CLONE_FILES) {
        t->files = from->files;
        ref_get(&t->files->ref);
    } else {
        t->files = files_copy(from->files);
    }
    if (flags & CLONE_FS) {
        t->fs = from->fs;
        ref_get(&t->fs->ref);
    } else {
        t->fs = fs_context_copy(from->fs);
    }
    return t->files && t->fs ? 0 : -ENOMEM;
}

static int share_sighand(struct task *t, u64 flags)
{
    if (flags & CLONE_SIGHAND) {
        t->sighand = current->sighand;
        ref_get(&t->sighand->ref);
    } else {
        t->sighand = sighand_copy(current->sighand, flags & CLONE_CLEAR_SIGHAND);
    }
    return t->sighand ? 0 : -ENOMEM;
}

/* The registers that the new thread starts with: the creator's, in the middle of its system call. */
static int copy_registers(struct task *t, const struct clone_request *rq)
{
    t->xsave_buffer = kzalloc(max(arch_xsave_size(), PAGE_SIZE));
    t->regs = kmalloc(sizeof(*t->regs));
    if (!t->xsave_buffer || !t->regs)
        return -ENOMEM;
    arch_xsave(t->xsave_buffer);
    *t->regs = *current->regs;
    t->regs->rax = 0;
    t->regs->orig_rax = -1;
    if (rq->stack)
        t->regs->rsp = rq->stack;
    t->fs_base = rq->flags & CLONE_SETTLS ? rq->tls : arch_get_fs_base();
    return 0;
}

/* What sched(7) gives a child: all of it, unless its parent asked for a reset. */
static void copy_sched(struct task *t)
{
    t->sched = current->sched;
    if (!(t->sched.flags & SCHED_FLAG_RESET_ON_FORK))
        return;
    t->sched.flags = 0;
    if (t->sched.policy == SCHED_FIFO || t->sched.policy == SCHED_RR) {
        t->sched.policy = SCHED_NORMAL;
        t->sched.priority = 0;
    }
    t->sched.nice = max(t->sched.nice, 0);
}

static void copy_plain(struct task *t, const struct clone_request *rq)
{
    struct task *from = current;

    memcpy(t->comm, from->comm, sizeof(t->comm));
    t->blocked = from->blocked;
    t->cred = from->cred;
    ref_get(&t->cred->ref);
    t->timer_slack_ns = from->timer_slack_ns;
    t->no_new_privs = from->no_new_privs;
    t->keep_caps = from->keep_caps;
    if (!(rq->flags & CLONE_VM) || (rq->flags & CLONE_VFORK))
        t->altstack = from->altstack;
    if (rq->flags & CLONE_CHILD_CLEARTID)
        t->clear_child_tid = rq->child_tid;
    if (rq->flags & CLONE_CHILD_SETTID)
        t->set_child_tid = rq->child_tid;
    copy_sched(t);
}

/* A task that was never published. */
static void task_discard(struct task *t)
{
    if (t->files)
        files_put(t->files);
    fs_context_put(t->fs);
    if (t->mm)
        mm_put(t->mm);
    kfree(t->regs);
    task_put(t);
}

static int task_fill(struct task *t, const struct clone_request *rq)
{
    int err;

    copy_plain(t, rq);
    err = share_files(t, rq->flags);
    if (!err)
        err = share_sighand(t, rq->flags);
    if (!err)
        err = copy_registers(t, rq);
    if (!err)
        err = cpu_limit_prepare(t->group);
    return err;
}

static bool count_mine(struct task *t, void *arg)
{
    *(u64 *)arg += t->cred->uid == current->cred->uid; /* group->lock is held */
    return true;
}

/* setrlimit(2): RLIMIT_NPROC bounds a user's threads; root and the privileged may exceed it. */
static int check_limit(void)
{
    u64 count = 0;

    if (!current->cred->uid || task_count() < rlimit(RLIMIT_NPROC) || capable(CAP_SYS_RESOURCE) ||
        capable(CAP_SYS_ADMIN))
        return 0;
    task_for_each(count_mine, &count);
    return count < rlimit(RLIMIT_NPROC) ? 0 : -EAGAIN;
}

static struct group *choose_group(const struct clone_request *rq, pid_t tid)
{
    struct group *g = current->group;

    if (!(rq->flags & CLONE_THREAD))
        return group_create_child(tid, rq->exit_signal);
    ref_get(&g->ref);
    return g;
}

/* A task with its own number and all it needs but memory, or ERR_PTR. */
static struct task *create(const struct clone_request *rq)
{
    struct group *g;
    struct task *t;
    pid_t tid = pid_alloc();
    int err;

    if (tid < 0)
        return ERR_PTR(tid);
    g = choose_group(rq, tid);
    if (!g)
        return ERR_PTR(-ENOMEM);
    t = task_create(g, tid);
    if (!t) {
        group_put(g);
        return ERR_PTR(-ENOMEM);
    }
    err = task_fill(t, rq);
    if (err) {
        task_discard(t);
        return ERR_PTR(err);
    }
    return t;
}

/* ---- The call ------------------------------------------------------------------------------------------- */

static int check_request(const struct clone_request *rq)
{
    int err = check_flags(rq->flags);

    if (!err && rq->exit_signal > NSIG_K)
        err = -EINVAL;
    if (!err && (rq->flags & CLONE_SETTLS) && !user_range_ok((void __user *)rq->tls, 0))
        err = -EPERM;
    if (!err)
        err = check_limit();
    if (!err && signal_pending())
        err = -ERESTARTNOINTR;
    return err;
}

/* The creator's memory, or a copy of it that the new process shall see. */
static int give_memory(struct task *t, u64 flags)
{
    struct mm *mm = current->mm;

    if (flags & CLONE_VM)
        ref_get(&mm->ref);
    else
        mm = mm_fork(mm);
    if (IS_ERR(mm))
        return (int)PTR_ERR(mm);
    t->mm = mm;
    return 0;
}

/* From here on the new task exists. */
static void publish(struct task *t, const struct clone_request *rq)
{
    task_publish(t);
    if (!(rq->flags & CLONE_THREAD)) {
        ref_get(&t->group->ref); /* the table's */
        group_add_child(t->group, rq->flags & CLONE_PARENT);
    }
    (void)cpu_limit_update(t->group); /* prepared by task_fill() */
}

/* vfork(2): sleeps until the child has other memory. A deadly signal ends the wait, not the child. */
static void wait_vfork(struct group *child)
{
    int ret;

    current->uninterruptible = true;
    while (!READ_ONCE(child->vfork_done) && !signal_fatal_pending())
        wait_event(ret, &child->exit_wait,
                   READ_ONCE(child->vfork_done) || signal_fatal_pending(), DEADLINE_NONE, false);
    current->uninterruptible = false;
}

/* ---- CLONE_PIDFD --------------------------------------------------------------------------------------- */

/* A descriptor on its way: its number has been told, its file not installed. */
struct new_pidfd {
    int fd;
    struct file *file; /* NULL: none asked for */
};

static int new_pidfd_prepare(struct new_pidfd *p, struct group *g, const struct clone_request *rq)
{
    struct file *f;
    int fd;

    if (!(rq->flags & CLONE_PIDFD))
        return 0;
    fd = fd_reserve(0, true);
    if (fd < 0)
        return fd;
    f = pidfd_file(g, 0);
    if (!IS_ERR(f) && !put_user(fd, rq->pidfd)) {
        *p = (struct new_pidfd){.fd = fd, .file = f};
        return 0;
    }
    fd_cancel(fd);
    if (IS_ERR(f))
        return (int)PTR_ERR(f);
    file_put(f);
    return -EFAULT;
}

static void new_pidfd_discard(struct new_pidfd *p)
{
    if (!p->file)
        return;
    fd_cancel(p->fd);
    file_put(p->file);
}

static long run(struct task *t, struct target_thread *thread, const struct clone_request *rq)
{
    struct group *child = t->group;
    pid_t tid = t->tid;

    if ((rq->flags & CLONE_PARENT_SETTID) && rq->parent_tid)
        (void)put_user(tid, rq->parent_tid);
    ref_get(&child->ref);
    publish(t, rq);
    target_thread_run(thread, t);
    if (rq->flags & CLONE_VFORK)
        wait_vfork(child);
    group_put(child);
    return tid;
}

static long do_clone(const struct clone_request *rq)
{
    struct target_thread *thread;
    struct new_pidfd pidfd = {0};
    struct task *t;
    int err = check_request(rq);

    if (err)
        return err;
    t = create(rq);
    if (IS_ERR(t))
        return PTR_ERR(t);
    thread = target_thread_get();
    err = thread ? new_pidfd_prepare(&pidfd, t->group, rq) : -EAGAIN;
    if (!err)
        err = give_memory(t, rq->flags);
    if (!err) {
        if (pidfd.file)
            fd_commit(pidfd.fd, pidfd.file);
        return run(t, thread, rq);
    }
    new_pidfd_discard(&pidfd);
    if (thread)
        target_thread_put(thread);
    task_discard(t);
    return err;
}

long sys_fork(void)
{
    struct clone_request rq = {.exit_signal = SIGCHLD};

    return do_clone(&rq);
}

long sys_vfork(void)
{
    struct clone_request rq = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD};

    return do_clone(&rq);
}

long sys_clone(unsigned long flags, unsigned long stack, void __user *parent_tid,
               void __user *child_tid, unsigned long tls)
{
    struct clone_request rq = {.flags = (u32)flags & ~(u32)CSIGNAL,
                               .exit_signal = (int)(flags & CSIGNAL),
                               .stack = stack,
                               .tls = tls,
                               .parent_tid = parent_tid,
                               .child_tid = child_tid,
                               .pidfd = parent_tid};

    if ((flags & CLONE_PIDFD) && (flags & CLONE_PARENT_SETTID)) /* one place for two results */
        return -EINVAL;
    return do_clone(&rq);
}

/* Copies clone3's structure, whose older and newer sizes are legal as long as what is unknown is zero. */
static int import_args(struct clone_args *args, const void __user *uargs, size_t size)
{
    if (size > PAGE_SIZE)
        return -E2BIG;
    if (size < CLONE_ARGS_SIZE_VER0)
        return -EINVAL;
    return copy_struct_from_user(args, sizeof(*args), uargs, size);
}

static int check_args(const struct clone_args *a)
{
    if (a->flags & ~(u64)(CLONE_LEGACY_FLAGS | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP))
        return -EINVAL;
    if (a->flags & (CLONE_DETACHED | (CSIGNAL & ~(u64)CLONE_NEWTIME)))
        return -EINVAL;
    if ((a->flags & (CLONE_SIGHAND | CLONE_CLEAR_SIGHAND)) == (CLONE_SIGHAND | CLONE_CLEAR_SIGHAND))
        return -EINVAL;
    if ((a->flags & (CLONE_THREAD | CLONE_PARENT)) && a->exit_signal)
        return -EINVAL;
    if (a->exit_signal > NSIG_K || (a->set_tid != 0) != (a->set_tid_size != 0))
        return -EINVAL;
    if (a->set_tid_size) /* one level of process numbers, and those are given out */
        return a->set_tid_size > 1 ? -EINVAL : -EPERM;
    if ((a->stack != 0) != (a->stack_size != 0))
        return -EINVAL;
    return a->stack && !user_range_ok((void __user *)a->stack, a->stack_size) ? -EINVAL : 0;
}

long sys_clone3(void __user *uargs, size_t size)
{
    struct clone_args args;
    struct clone_request rq;
    int err = import_args(&args, uargs, size);

    if (!err)
        err = check_args(&args);
    if (err)
        return err;
    rq = (struct clone_request){.flags = args.flags,
                                .exit_signal = (int)args.exit_signal,
                                .stack = args.stack + args.stack_size,
                                .tls = args.tls,
                                .parent_tid = (pid_t __user *)args.parent_tid,
                                .child_tid = (pid_t __user *)args.child_tid,
                                .pidfd = (int __user *)args.pidfd};

    if ((rq.flags & CLONE_PIDFD) && (rq.flags & CLONE_PARENT_SETTID) &&
        args.pidfd == args.parent_tid)
        return -EINVAL;
    return do_clone(&rq);
}

/* ---- exec(2) ---------------------------------------------------------------------------------------------- */

int task_unshare_exec(void)
{
    struct task *t = current;
    struct files *files = NULL;
    struct sighand *sighand = NULL;

    if (__atomic_load_n(&t->files->ref.n, __ATOMIC_ACQUIRE) > 1 && !(files = files_copy(t->files)))
        return -ENOMEM;
    if (__atomic_load_n(&t->sighand->ref.n, __ATOMIC_ACQUIRE) > 1 &&
        !(sighand = sighand_copy(t->sighand, false))) {
        if (files)
            files_put(files);
        return -ENOMEM;
    }
    spin_lock(&t->group->lock);
    if (files)
        swap(t->files, files);
    if (sighand)
        swap(t->sighand, sighand);
    spin_unlock(&t->group->lock);
    if (files)
        files_put(files);
    sighand_put(sighand);
    return 0;
}

/* ---- The new task ----------------------------------------------------------------------------------------- */

_Noreturn void task_main(struct task *t)
{
    struct regs *regs = (struct regs *)(thread_area()->kstack - sizeof(*regs));

    *regs = *t->regs;
    kfree(t->regs);
    t->regs = regs;
    arch_set_fs_base(t->fs_base);
    arch_xrstor(t->xsave_buffer);
    if (t->set_child_tid)
        (void)put_user(t->tid, t->set_child_tid);
    arch_enter_user(regs);
}
