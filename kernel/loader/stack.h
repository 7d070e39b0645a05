/* SPDX-License-Identifier: MIT */
/*
 * The initial stack of a program, built in kernel memory as an image to be copied below the stack's
 * top. Source: x86-64 psABI, "Process Initialization"; getauxval(3); execve(2) for the limits.
 */
#ifndef LOADER_STACK_H
#define LOADER_STACK_H

#include <kernel/types.h>
#include <linux/auxvec.h>

/* Missing from older uAPI headers. */
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

#define STACK_STRING_MAX  (32 * PAGE_SIZE) /* one argument with its NUL */
#define STACK_ARGS_MIN    (32 * PAGE_SIZE) /* always allowed, whatever RLIMIT_STACK says */
#define STACK_ARGS_MAX    (6UL << 20)      /* three quarters of the default 8 MiB */
#define STACK_RANDOM_SIZE 16u
#define AUXV_COUNT_MAX    32u /* pairs, AT_NULL included; struct mm keeps as many */

struct auxv {
    u64 type, value;
};

struct stack_spec {
    char *const *argv; /* argc strings; at least one */
    size_t argc;
    char *const *envp;
    size_t envc;
    const char *execfn;
    u8 random[STACK_RANDOM_SIZE];
    u64 jitter; /* bytes to leave unused below the strings, < 8192 */
    struct auxv
        auxv[AUXV_COUNT_MAX]; /* stack_build() completes AT_RANDOM, AT_EXECFN, AT_PLATFORM */
    size_t auxv_count;        /* without AT_NULL */
};

struct stack_image {
    u8 *data; /* owned; goes to [sp, top) */
    size_t size;
    u64 sp; /* where argc stands: the program's first RSP, 16-byte aligned */
    u64 arg_start, arg_end, env_start, env_end;
};

/*
 * 0 when strings and pointers keep within what a stack limit of `rlimit_stack` bytes allows, else
 * -E2BIG: a string over STACK_STRING_MAX, or all of them over a quarter of the limit.
 */
int stack_check(const struct stack_spec *s, u64 rlimit_stack);

/* Builds the image for a stack that ends at `top`. The spec passed stack_check(). -ENOMEM. */
int stack_build(struct stack_spec *s, u64 top, struct stack_image *out);
void stack_free(struct stack_image *img);

/* Sets a pair's value, adding the pair when it is not there yet. */
void auxv_set(struct stack_spec *s, u64 type, u64 value);

#endif
