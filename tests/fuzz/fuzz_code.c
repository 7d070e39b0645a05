/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as machine code, through the real decoder: no instruction reaches behind its bytes, and
 * the sites found in a function of them keep their promises. The first byte says how far into the
 * code the function symbol reaches, so that code outside of functions is there as well.
 */
#include <kernel/printk.h>
#include <kernel/string.h>

#include "../../kernel/loader/insn.h"
#include "../../kernel/loader/test/elf_make.h"
#include "check_sites.h"

#define CODE_MAX 0x1f00u /* leaves the last bytes of the segment's third page zero */

static void decode_everywhere(const u8 *code, size_t size)
{
    struct insn insn;

    for (size_t i = 0; i < size; i++) {
        if (!insn_decode(code + i, size - i, &insn))
            continue;
        ASSERT(insn.size >= 1 && insn.size <= 15 && insn.size <= size - i);
        ASSERT(insn.kind == INSN_TARGET || insn.target == 0 || insn.kind == INSN_FIXED);
        ASSERT(insn.kind != INSN_SYSCALL || (code[i + insn.size - 2] == 0x0f &&
                                             code[i + insn.size - 1] == 0x05));
    }
}

static void search(const u8 *code, size_t size, size_t first)
{
    static struct made m;
    const size_t functions[] = {first, size - first, 0};
    struct elf_reader r;

    made_init(&m);
    made_code(&m, code, size, first ? functions : functions + 1);
    r = made_reader(&m);
    check_sites(&r, m.data, m.size);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    size_t first;

    if (size < 2 || size - 1 > CODE_MAX)
        return -1;
    first = data[0] * (size - 1) / 256;
    decode_everywhere(data + 1, size - 1);
    search(data + 1, size - 1, first);
    return 0;
}
