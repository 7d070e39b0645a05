/* SPDX-License-Identifier: MIT */
/*
 * What the files that write core files share. A dump belongs to the thread that writes it; the process' other
 * threads rest meanwhile (core.c), so that what it points at stays.
 */
#ifndef KERNEL_PROC_CORE_H
#define KERNEL_PROC_CORE_H

#include <kernel/core.h>
#include <kernel/mm.h>
#include "internal.h"

struct core {
    const siginfo_t *info;        /* the signal */
    sigset64_t blocked;           /* the writer's mask before it began */
    struct task **threads;        /* the writer first; owned */
    size_t thread_count;
    struct mm_segment *segments;  /* in order of addresses; owned */
    size_t segment_count;
    u8 *notes;                    /* owned */
    size_t notes_used, notes_room;
    bool failed;                  /* no memory for the notes */
    struct file *file;
    u64 limit;                    /* RLIMIT_CORE */
    u64 written, pos;             /* bytes without the holes, and where the next ones go */
};

/* core_name.c: the file's name into `buf`. -ENAMETOOLONG. */
int core_name(int sig, char *buf, size_t size);

/* core_notes.c: what PT_NOTE holds. -ENOMEM. */
int core_notes(struct core *c);

/* core_file.c: the ELF file. Ends early when it cannot be written further or the writer must end. */
void core_write(struct core *c);

#endif
