/* SPDX-License-Identifier: MIT */
/*
 * Programs: exec(2)'s work, ELF images, scripts, the initial stack and auxiliary vector, the vDSO and
 * the rewriting of syscall sites.
 */
#ifndef KERNEL_LOADER_H
#define KERNEL_LOADER_H

#include <kernel/fs.h>
#include <kernel/mm.h>
#include <kernel/regs.h>

/*
 * Replaces the current program: kernel-owned NULL-terminated argv and envp. On success the current
 * task has a new mm, regs hold the entry state and the caller returns to the program. On failure
 * before the point of no return nothing changed. Errors: execve(2)'s (-ENOENT, -EACCES, -ENOEXEC,
 * -ELIBBAD, -ENOMEM, -E2BIG, -ELOOP, -EISDIR...); afterwards the process dies with SIGKILL/SIGSEGV.
 */
int exec_file(int dfd, const char *path, unsigned lookup_flags, char *const argv[],
              char *const envp[], struct regs *regs);

/*
 * Makes a private executable file mapping known to the rewriter: called by mm without mm->lock after
 * the VMA exists, before any page is filled for execution, and by mprotect for file pages that become
 * executable. Never fails: what it cannot do is left to the trap.
 */
void rewrite_mapping(struct mm *mm, uintptr_t start, size_t size, struct file *file, u64 offset);

/*
 * Debug enclaves only: tells a debugger that the file's bytes from `offset` on are mapped at `start`
 * for execution. The pages are present: the debugger's breakpoints are written into them.
 */
void loader_debug_map(const struct file *file, uintptr_t start, u64 offset);

/*
 * Changes the content at `page` of one page just being filled, which will be mapped at `va`: in text
 * the certain syscall sites become jumps, a page of a VM_SPECIAL mapping (zeroed before) gets its code. Called by the fault path with mm->lock held; reads the file through the page cache.
 */
void rewrite_page(struct mm *mm, uintptr_t va, void *page);

/* Forgets what is known of a range that is unmapped or replaced. mm->lock held. */
void rewrite_unmap(struct mm *mm, uintptr_t start, size_t size);
/* fork(2): what is known of mm's mappings holds for the child's. mm->lock held. 0 or -ENOMEM. */
int rewrite_fork(struct mm *mm, struct mm *child);
/* Where a mapping's system calls go: its file's first trampoline would stand at `base`; its own pages of them. */
struct rewritten {
    u64 base;
    uintptr_t start, end;
};
/* That of the text at `va`; zeros: they stay as they are. */
void rewrite_where(const struct mm *mm, uintptr_t va, struct rewritten *out);
/*
 * Whether text that both map at `va`, from the same place of the same file, is filled alike for both: its sites
 * jump to the same places, or nowhere.
 */
bool rewrite_alike(const struct mm *a, const struct mm *b, uintptr_t va);

/*
 * When regs->rip lies in a trampoline: sets it (and what the trampoline changed) back to the original
 * site, so that signal frames show the program's own code. Returns true when it did. `kept_rcx`: the thread's
 * arch_cpuid_rcx(), where it was interrupted right before a rewritten CPUID.
 */
bool rewrite_hide(struct mm *mm, struct regs *regs, u64 kept_rcx);

/*
 * The reverse, for rt_sigreturn: a frame says to go on at an original address, and Linux' restart rule
 * points at the `syscall` instruction itself. When regs->rip lies inside replaced bytes (not at their
 * first), sets it to the same point in the site's trampoline. Returns true when it did.
 */
bool rewrite_show(struct mm *mm, struct regs *regs);

/* Sites rewritten so far, for --stats. */
u64 rewrite_count(void);

#endif
