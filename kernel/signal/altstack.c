/* SPDX-License-Identifier: MIT */
/*
 * Alternate signal stacks (sigaltstack(2)). Own thread only; no locks.
 */
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>
#include "internal.h"
#include <syscalls.gen.h>

bool altstack_active(const struct altstack *a, u64 sp)
{
    /* With SS_AUTODISARM the stack was given up at entry: the handler is never "on" it. */
    if (a->flags & SS_AUTODISARM_K)
        return false;
    return sp > a->sp && sp - a->sp <= a->size;
}

stack_t altstack_get(const struct altstack *a, u64 sp)
{
    stack_t st;
    u32 state = !a->size ? SS_DISABLE : altstack_active(a, sp) ? SS_ONSTACK : 0;

    memset(&st, 0, sizeof(st));
    st.ss_sp = (void *)a->sp;
    st.ss_size = a->size;
    st.ss_flags = (int)(state | (a->flags & SS_AUTODISARM_K));
    return st;
}

int altstack_set(struct altstack *a, const stack_t *st, u64 sp)
{
    u32 flags = (u32)st->ss_flags;
    u32 mode = flags & ~SS_AUTODISARM_K;

    if (altstack_active(a, sp))
        return -EPERM;
    if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
        return -EINVAL;
    if (mode == SS_DISABLE) {
        *a = (struct altstack){.flags = flags};
        return 0;
    }
    if (st->ss_size < MINSIGSTKSZ)
        return -ENOMEM;
    *a = (struct altstack){.sp = (u64)st->ss_sp, .size = st->ss_size, .flags = flags};
    return 0;
}

long sys_sigaltstack(const stack_t __user *stack, stack_t __user *old)
{
    struct task *t = current;
    stack_t new_stack, was = altstack_get(&t->altstack, t->regs->rsp);
    int ret;

    if (stack) {
        if (copy_from_user(&new_stack, stack, sizeof(new_stack)))
            return -EFAULT;
        ret = altstack_set(&t->altstack, &new_stack, t->regs->rsp);
        if (ret)
            return ret;
    }
    return old && copy_to_user(old, &was, sizeof(was)) ? -EFAULT : 0;
}
