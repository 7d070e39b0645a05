/* SPDX-License-Identifier: MIT */
/*
 * Rewriting of syscall sites. Nothing is rewritten yet: every site takes the trap, which is always
 * correct.
 */
#include <kernel/loader.h>

void rewrite_mapping(struct mm *mm, uintptr_t start, size_t size, struct file *file, u64 offset)
{
    (void)mm, (void)start, (void)size, (void)file, (void)offset;
}

void rewrite_page(struct mm *mm, uintptr_t va, void *page)
{
    (void)mm, (void)va, (void)page;
}

void rewrite_unmap(struct mm *mm, uintptr_t start, size_t size)
{
    (void)mm, (void)start, (void)size;
}

bool rewrite_hide(struct mm *mm, struct regs *regs)
{
    (void)mm, (void)regs;
    return false;
}

bool rewrite_show(struct mm *mm, struct regs *regs)
{
    (void)mm, (void)regs;
    return false;
}

u64 rewrite_count(void)
{
    return 0;
}
