/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a program: the ELF parser in both roles, and the search for syscall sites through
 * unwind tables, symbols and sections. What is accepted must keep the promises that mapping and
 * rewriting rely on. A toy decoder stands in for Zydis, so that short inputs reach deep; fuzz_code
 * has the real one.
 */
#include <kernel/printk.h>
#include <kernel/string.h>
#include <layout.h>

#include "../../kernel/loader/insn.h"
#include "check_sites.h"

struct bytes {
    const u8 *data;
    size_t size;
};

static ssize_t read_bytes(void *ctx, void *buf, size_t size, u64 pos)
{
    const struct bytes *b = ctx;

    ASSERT(pos <= b->size && size <= b->size - pos);
    memcpy(buf, b->data + pos, size);
    return (ssize_t)size;
}

/* Real for what matters (SYSCALL, short and near branches, MOV to EAX), else one to four bytes. */
bool insn_decode(const u8 *code, size_t avail, struct insn *out)
{
    *out =
        (struct insn){.size = (u8)(1 + (*code & 3)), .kind = *code & 4 ? INSN_PLAIN : INSN_FIXED};
    if (avail >= 2 && code[0] == 0x0f && code[1] == 0x05)
        *out = (struct insn){.size = 2, .kind = INSN_SYSCALL};
    else if (avail >= 2 && (code[0] & 0xf0) == 0x70)
        *out = (struct insn){.size = 2, .kind = INSN_TARGET, .target = 2 + (s8)code[1]};
    else if (*code == 0xb8)
        *out = (struct insn){.size = 5, .kind = INSN_PLAIN};
    return *code != 0x06 && out->size <= avail;
}

static void check_image(const struct elf_image *img, u64 file_size)
{
    ASSERT(img->low < img->high && img->high <= USER_END + PAGE_SIZE && img->entry < USER_END);
    ASSERT(img->align >= PAGE_SIZE && (img->align & (img->align - 1)) == 0);
    for (unsigned i = 0; i < img->phdr_count; i++) {
        const Elf64_Phdr *p = &img->phdrs[i];

        if (p->p_type != PT_LOAD)
            continue;
        ASSERT(p->p_filesz <= p->p_memsz && p->p_memsz <= USER_END);
        ASSERT(p->p_offset <= file_size && p->p_filesz <= file_size - p->p_offset);
        ASSERT(p->p_vaddr <= USER_END - p->p_memsz);
        ASSERT(p->p_memsz == 0 || img->type == ET_DYN || p->p_vaddr >= USER_START);
    }
    if (img->interp)
        ASSERT(strlen(img->interp) < 4096);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct bytes b = {data, size};
    struct elf_reader r = {.read = read_bytes, .ctx = &b, .size = size};
    struct elf_image img;

    for (enum elf_role role = ELF_PROGRAM; role <= ELF_INTERPRETER; role++) {
        if (elf_parse(&r, role, &img) == 0) {
            check_image(&img, size);
            elf_free(&img);
        }
    }
    check_sites(&r, data, size);
    return 0;
}
