/* SPDX-License-Identifier: MIT */
/*
 * Maps a checked ELF image into an address space that nobody else uses yet. Locking: mm's calls
 * take mm->lock themselves.
 */
#include "elf.h"

#include <kernel/mm.h>

static const u8 g_zeros[PAGE_SIZE];

static unsigned segment_prot(const Elf64_Phdr *p)
{
    unsigned prot = 0;

    if (p->p_flags & PF_R)
        prot |= PROT_READ;
    if (p->p_flags & PF_W)
        prot |= PROT_WRITE;
    if (p->p_flags & PF_X)
        prot |= PROT_EXEC;
    return prot;
}

static int map_fixed(struct mm *mm, u64 start, u64 end, unsigned prot, struct file *file,
                     u64 offset)
{
    unsigned flags = MAP_PRIVATE | MAP_FIXED | (file ? 0 : MAP_ANONYMOUS);
    long addr;

    if (start >= end)
        return 0;
    addr = mm_map(mm, start, end - start, prot, flags, file, offset);
    return addr < 0 ? (int)addr : 0;
}

/* The file's part, the rest of its last page zeroed, then anonymous pages up to p_memsz. */
static int map_segment(struct mm *mm, struct file *file, const Elf64_Phdr *p, u64 bias)
{
    u64 start = p->p_vaddr + bias;
    u64 file_end = start + p->p_filesz;
    u64 file_pages_end = page_up(file_end);
    unsigned prot = segment_prot(p);
    int err;

    if (p->p_filesz == 0) /* no file page at all, not even for an odd start */
        return map_fixed(mm, page_down(start), page_up(start + p->p_memsz), prot, NULL, 0);

    err = map_fixed(mm, page_down(start), file_pages_end, prot, file, page_down(p->p_offset));
    if (err)
        return err;
    if (p->p_memsz > p->p_filesz && file_pages_end > file_end) {
        err = mm_poke(mm, file_end, g_zeros, file_pages_end - file_end);
        if (err)
            return err;
    }
    return map_fixed(mm, file_pages_end, page_up(start + p->p_memsz), prot, NULL, 0);
}

int elf_map(struct mm *mm, struct file *file, const struct elf_image *img, u64 bias)
{
    for (unsigned i = 0; i < img->phdr_count; i++) {
        const Elf64_Phdr *p = &img->phdrs[i];
        int err;

        if (p->p_type != PT_LOAD || p->p_memsz == 0)
            continue;
        err = map_segment(mm, file, p, bias);
        if (err)
            return err;
    }
    return 0;
}
