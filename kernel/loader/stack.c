/* SPDX-License-Identifier: MIT */
/*
 * Lays out a program's initial stack. From the top down: a null word, the file's name, environment
 * and argument strings, the platform's name, 16 random bytes, padding, then auxiliary vector, envp,
 * argv and argc in ascending order from the 16-byte aligned stack pointer. Pure; no locks.
 */
#include "stack.h"

#include <kernel/alloc.h>
#include <kernel/printk.h>
#include <kernel/string.h>

static const char g_platform[] = "x86_64";

void auxv_set(struct stack_spec *s, u64 type, u64 value)
{
    for (size_t i = 0; i < s->auxv_count; i++) {
        if (s->auxv[i].type == type) {
            s->auxv[i].value = value;
            return;
        }
    }
    ASSERT(s->auxv_count + 1 < AUXV_COUNT_MAX);
    s->auxv[s->auxv_count++] = (struct auxv){type, value};
}

/* Takes a list's strings with their NULs off *budget. */
static int take_strings(char *const *list, size_t count, u64 *budget)
{
    for (size_t i = 0; i < count; i++) {
        size_t size = strnlen(list[i], STACK_STRING_MAX) + 1;

        if (size > STACK_STRING_MAX || size > *budget)
            return -E2BIG;
        *budget -= size;
    }
    return 0;
}

int stack_check(const struct stack_spec *s, u64 rlimit_stack)
{
    u64 budget = max(min(rlimit_stack / 4, STACK_ARGS_MAX), STACK_ARGS_MIN);
    char *const execfn = (char *)s->execfn;

    if (s->argc > budget / sizeof(u64) || s->envc > budget / sizeof(u64) - s->argc)
        return -E2BIG;
    budget -= (s->argc + s->envc) * sizeof(u64);
    if (take_strings(&execfn, 1, &budget) || take_strings(s->argv, s->argc, &budget))
        return -E2BIG;
    return take_strings(s->envp, s->envc, &budget);
}

static u64 strings_size(char *const *list, size_t count)
{
    u64 size = 0;

    for (size_t i = 0; i < count; i++)
        size += strlen(list[i]) + 1;
    return size;
}

/* Addresses of everything, counted down from the top. */
struct layout {
    u64 execfn, env, args, platform, random, sp;
};

static struct layout plan(const struct stack_spec *s, u64 top)
{
    u64 words = 1 + s->argc + 1 + s->envc + 1 + 2 * (s->auxv_count + 1);
    struct layout l;

    l.execfn = top - sizeof(u64) - (strlen(s->execfn) + 1);
    l.env = l.execfn - strings_size(s->envp, s->envc);
    l.args = l.env - strings_size(s->argv, s->argc);
    l.platform = align_down(l.args - s->jitter, 16) - sizeof(g_platform);
    l.random = l.platform - STACK_RANDOM_SIZE;
    l.sp = align_down(l.random - words * sizeof(u64), 16);
    return l;
}

/* Copies strings to `at` and their addresses to *words, with a null pointer behind them. */
static u64 *put_strings(const struct stack_image *img, u64 *words, u64 at, char *const *list,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(list[i]) + 1;

        memcpy(img->data + (at - img->sp), list[i], size);
        *words++ = at;
        at += size;
    }
    *words++ = 0;
    return words;
}

static void fill(const struct stack_spec *s, const struct layout *l, const struct stack_image *img)
{
    u64 *words = (u64 *)(void *)img->data;

    *words++ = s->argc;
    words = put_strings(img, words, l->args, s->argv, s->argc);
    words = put_strings(img, words, l->env, s->envp, s->envc);
    memcpy(words, s->auxv, s->auxv_count * sizeof(s->auxv[0])); /* AT_NULL: already zero */
    memcpy(img->data + (l->random - l->sp), s->random, STACK_RANDOM_SIZE);
    memcpy(img->data + (l->platform - l->sp), g_platform, sizeof(g_platform));
    memcpy(img->data + (l->execfn - l->sp), s->execfn, strlen(s->execfn) + 1);
}

int stack_build(struct stack_spec *s, u64 top, struct stack_image *out)
{
    struct layout l;

    auxv_set(s, AT_RANDOM, 0);
    auxv_set(s, AT_EXECFN, 0);
    auxv_set(s, AT_PLATFORM, 0);
    l = plan(s, top);
    auxv_set(s, AT_RANDOM, l.random);
    auxv_set(s, AT_EXECFN, l.execfn);
    auxv_set(s, AT_PLATFORM, l.platform);

    out->size = top - l.sp;
    out->data = kzalloc(out->size);
    if (!out->data)
        return -ENOMEM;
    out->sp = l.sp;
    out->arg_start = l.args;
    out->arg_end = out->env_start = l.env;
    out->env_end = l.execfn;
    fill(s, &l, out);
    return 0;
}

void stack_free(struct stack_image *img)
{
    kfree(img->data);
    img->data = NULL;
}
