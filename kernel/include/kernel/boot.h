/* SPDX-License-Identifier: MIT */
/*
 * From the target's first entry to the first program, and the report at the end.
 */
#ifndef KERNEL_BOOT_H
#define KERNEL_BOOT_H

#include <kernel/types.h>
#include <manifest.h>

/* Called by the target once, on the first thread's kernel stack. */
_Noreturn void kernel_main(void);

/* The checked manifest. Valid after manifest_check() in kernel_main(). */
extern const struct manifest *g_manifest;

/*
 * Checks every length, offset and string of a manifest of `size` bytes. 0, or -EINVAL with *why
 * pointing at a static text that says what is wrong.
 */
int manifest_check(const void *data, size_t size, const char **why);

/* A string of the manifest, NULL when absent. The manifest has been checked. */
const char *manifest_string(const struct manifest_string *s);

static inline bool manifest_flag(u32 flag)
{
    return g_manifest && (g_manifest->flags & flag);
}

/* --stats: hands the kernel's counters to the host; called once, when the first process ends. */
void kernel_report(void);

/* Phases of the start for --stats. */
enum boot_phase { PHASE_ENTERED, PHASE_MEMORY, PHASE_FILES, PHASE_USER, PHASE_COUNT };
void boot_phase(enum boot_phase phase);
/* When each was reached, in nanoseconds after the first entry; 0: not reached. */
void boot_phases_ns(u64 ns[PHASE_COUNT]);

#endif
