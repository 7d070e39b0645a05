/* SPDX-License-Identifier: MIT */
/* Any bytes as a script's first line: names lie in the head and end there. */
#include <kernel/printk.h>
#include <kernel/string.h>

#include "../../kernel/loader/script.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    char head[SCRIPT_HEAD_SIZE] = {0};
    const char *end = head + sizeof(head);
    struct script s;

    memcpy(head, data, min(size, sizeof(head)));
    if (script_parse(head, &s))
        return 0;
    ASSERT(s.interp >= head + 2 && s.interp < end);
    ASSERT(strnlen(s.interp, (size_t)(end - s.interp)) < (size_t)(end - s.interp));
    if (s.arg) {
        ASSERT(s.arg > s.interp && s.arg < end && s.arg[0] != '\0');
        ASSERT(strnlen(s.arg, (size_t)(end - s.arg)) < (size_t)(end - s.arg));
    }
    return 0;
}
