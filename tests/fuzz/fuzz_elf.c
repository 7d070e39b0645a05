/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a program: the ELF parser in both roles, the `#!` line, and the search for syscall
 * sites through unwind tables, symbols and sections. What is accepted must keep the promises that
 * mapping and rewriting rely on. A toy decoder stands in for Zydis, so that short inputs reach
 * deep.
 */
#include <kernel/printk.h>
#include <kernel/string.h>
#include <layout.h>

#include "../../kernel/loader/insn.h"
#include "../../kernel/loader/script.h"
#include "../../kernel/loader/sites.h"

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

/* Sites are inside the file, apart from each other, each within a page, and map back and forth. */
static void check_sites(const struct site_list *l, const struct bytes *b)
{
    u64 free_from = 0;

    for (size_t i = 0; i < l->count; i++) {
        const struct site *s = &l->sites[i];
        const u64 va = 0x400000, at = 0x500000;
        u8 code[TRAMPOLINE_MAX];

        ASSERT(s->offset >= free_from && site_size(s) >= SITE_PATCH_SIZE);
        free_from = s->offset + site_size(s);
        ASSERT(free_from <= b->size && page_down(s->offset) == page_down(s->offset + 4));
        ASSERT(memcmp(b->data + s->offset, s->bytes, site_size(s)) == 0);
        ASSERT(s->trampoline + trampoline_size(s) <= l->trampolines);
        ASSERT(trampoline_write(s, va, at, code));
        for (u64 k = 0; k < trampoline_size(s); k++) {
            struct regs r = {.rip = at + k};

            ASSERT(trampoline_hide(s, va, at, &r));
            ASSERT(r.rip >= va && r.rip <= va + site_size(s));
        }
    }
}

static void check_script(const u8 *data, size_t size)
{
    char head[SCRIPT_HEAD_SIZE] = {0};
    struct script s;

    memcpy(head, data, min(size, sizeof(head)));
    if (script_parse(head, &s))
        return;
    ASSERT(s.interp >= head + 2 && strlen(s.interp) < sizeof(head));
    ASSERT(!s.arg || (s.arg > s.interp && s.arg < head + sizeof(head) && s.arg[0] != '\0'));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct bytes b = {data, size};
    struct elf_reader r = {.read = read_bytes, .ctx = &b, .size = size};
    struct elf_image img;
    struct site_list l;

    check_script(data, size);
    for (enum elf_role role = ELF_PROGRAM; role <= ELF_INTERPRETER; role++) {
        if (elf_parse(&r, role, &img) == 0) {
            check_image(&img, size);
            elf_free(&img);
        }
    }
    if (sites_find(&r, &l) == 0) {
        check_sites(&l, &b);
        sites_free(&l);
    }
    return 0;
}
