/* SPDX-License-Identifier: MIT */
/*
 * Which calls --strace shows. The set is made once at boot from a list such as
 * "openat,%memory,!brk": names, %classes and "all", each taken away instead with `!`. A list that
 * starts with `!` starts from all calls. Calls without a name are shown when all are.
 */
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <syscalls.gen.h>

#include "syscall_internal.h"

#define WORD_SIZE 48u

static bool g_wanted[SYSCALL_COUNT + 1]; /* the last: numbers that are no call */

static const struct {
    const char *name;
    u8 bit;
} g_classes[] = {
    {"file", CLASS_FILE},       {"desc", CLASS_DESC},     {"memory", CLASS_MEMORY},
    {"process", CLASS_PROCESS}, {"signal", CLASS_SIGNAL}, {"network", CLASS_NETWORK},
    {"net", CLASS_NETWORK},     {"ipc", CLASS_IPC},
};

bool strace_wants(unsigned nr)
{
    return g_wanted[nr];
}

static void want_all(bool wanted)
{
    for (unsigned nr = 0; nr <= SYSCALL_COUNT; nr++)
        g_wanted[nr] = wanted;
}

static bool want_class(const char *name, bool wanted)
{
    u8 bit = 0;

    for (size_t i = 0; i < ARRAY_COUNT(g_classes); i++)
        if (!strcmp(g_classes[i].name, name))
            bit = g_classes[i].bit;
    for (unsigned nr = 0; bit && nr < SYSCALL_COUNT; nr++)
        if (g_syscall_descs[nr].classes & bit)
            g_wanted[nr] = wanted;
    return bit;
}

static bool want_call(const char *name, bool wanted)
{
    for (unsigned nr = 0; nr < SYSCALL_COUNT; nr++) {
        if (g_syscall_descs[nr].name && !strcmp(g_syscall_descs[nr].name, name)) {
            g_wanted[nr] = wanted;
            return true;
        }
    }
    return false;
}

static bool want_word(const char *word)
{
    bool wanted = *word != '!';

    word += !wanted;
    if (!strcmp(word, "all")) {
        want_all(wanted);
        return true;
    }
    return *word == '%' ? want_class(word + 1, wanted) : want_call(word, wanted);
}

int strace_enable(const char *list)
{
    char word[WORD_SIZE];

    want_all(!list || !*list || *list == '!');
    while (list && *list) {
        const char *end = strchr(list, ',');
        size_t size = end ? (size_t)(end - list) : strlen(list);

        if (size >= sizeof(word))
            size = sizeof(word) - 1;
        memcpy(word, list, size);
        word[size] = 0;
        if (size && !want_word(word)) {
            pr_err("--strace: there is no system call or class \"%s\"", word);
            return -EINVAL;
        }
        list = end ? end + 1 : NULL;
    }
    strace_start();
    return 0;
}
