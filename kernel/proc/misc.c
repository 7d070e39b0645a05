/* SPDX-License-Identifier: MIT */
/* Small calls of a thread: its number's address, processor, randomness. */
#include <kernel/arch.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/uaccess.h>
#include <linux/random.h>
#include "internal.h"
#include <syscalls.gen.h>

long sys_set_tid_address(void __user *tid)
{
    current->clear_child_tid = tid;
    return current->tid;
}

/* Which processor is a hint of the host's; it is folded into what the program may know of. */
long sys_getcpu(unsigned __user *cpu, unsigned __user *node, void __user *unused)
{
    u32 aux = arch_tsc_aux();
    unsigned c = (aux & 0xfff) % target_cpu_count();

    if (cpu && put_user(c, cpu))
        return -EFAULT;
    return node && put_user(0u, node) ? -EFAULT : 0;
}

/* Randomness never runs out and never blocks, so GRND_NONBLOCK and GRND_RANDOM change nothing. */
long sys_getrandom(void __user *buf, size_t size, unsigned flags)
{
    char *dst = (char *)(uintptr_t)buf;
    size_t max = min(size, (size_t)INT32_MAX);
    size_t done = 0;
    u8 block[256];

    if ((flags & ~(unsigned)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) ||
        (flags & (GRND_INSECURE | GRND_RANDOM)) == (GRND_INSECURE | GRND_RANDOM))
        return -EINVAL;
    while (done < max) {
        size_t n = min(max - done, sizeof(block));

        random_bytes(block, n);
        if (copy_to_user((void __user *)(dst + done), block, n))
            break;
        done += n;
        if (done % PAGE_SIZE == 0 && signal_pending())
            break;
    }
    memset(block, 0, sizeof(block));
    __asm__ volatile("" : : "r"(block) : "memory"); /* keep the clearing */
    return done || !max ? (long)done : -EFAULT;
}
