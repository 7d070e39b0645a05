/* SPDX-License-Identifier: MIT */
/*
 * What mm's unit tests share: a fresh mm with a current task, files with pages, and the program's
 * touches with faults as the trap entry would take them.
 */
#ifndef MM_TEST_HARNESS_H
#define MM_TEST_HARNESS_H

#include "../internal.h"
#include "host_target.h"
#include <kernel/task.h>
#include <linux/mman.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* mm_init() once per process with this limit. */
#define TEST_MEMORY (64UL << 20)

void harness_init(void);
/* A new mm as current->mm; drops the one before. */
struct mm *harness_mm(void);
void harness_mm_drop(void);
/* The calling thread becomes `task`, with the first one's mm. */
struct thread_area;
void harness_thread(struct thread_area *area, struct task *task);
extern u64 g_rlimits[16];
extern unsigned g_manifest_flags;

/* A file of `pages` pages; byte 0 of page i is i + 1. Freed with its last reference. */
struct file *file_make(u64 pages, int flags);
u8 *file_page(struct file *f, u64 index); /* where its content is now */
extern bool g_files_pristine;
/* Where the system calls of all text go. */
struct rewritten;
extern struct rewritten g_rewritten;
void file_resize(struct file *f, u64 size);

/*
 * Touches a byte as the program would: 0, or the signal it earns with its code in *code. A write
 * stores `value`; a read gives the byte in *seen.
 */
int touch_read(uintptr_t addr, u8 *seen, int *code);
int touch_write(uintptr_t addr, u8 value, int *code);

/* The tree's order, gaps and counters against what the VMAs and the page state say. */
void check_tree(struct mm *mm);

/* The last test: no page is owned by anybody but the kernel and the free pool. */
void harness_nothing_left(void **state);

/* Small deterministic random numbers. */
u64 test_random(void);
void test_seed(u64 seed);

#endif
