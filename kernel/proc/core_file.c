/* SPDX-License-Identifier: MIT */
/*
 * The core file itself: ELF header, program headers, notes, then from the next page on the memory of each
 * PT_LOAD. What of a mapping is in the file is decided as Linux's vma_dump_size() does; see core(5),
 * /proc/PID/coredump_filter. Pages that hold nothing are left out of the file: it is sparse.
 */
#include <kernel/alloc.h>
#include <kernel/string.h>
#include <linux/elf.h>
#include "core.h"

/* Bits of the filter: core(5). */
#define FILTER_ANON_PRIVATE 0x01u
#define FILTER_ANON_SHARED  0x02u
#define FILTER_FILE_PRIVATE 0x04u
#define FILTER_FILE_SHARED  0x08u
#define FILTER_ELF_HEADERS  0x10u

/* ---- How much of each mapping ----------------------------------------------------------------------- */

/* The first page of a program or library tells a debugger which one it was. */
static bool begins_elf(const struct mm_segment *s, u8 *page)
{
    if (s->pgoff || !(s->flags & VM_READ))
        return false;
    return (s->file->inode->mode & 0111) ||
           (mm_dump_page(current->mm, s->start, page) && !memcmp(page, ELFMAG, SELFMAG));
}

static u64 dump_size(const struct mm_segment *s, u32 filter, u8 *page)
{
    const u64 whole = s->end - s->start;

    if (s->flags & VM_VDSO)
        return whole;
    if (s->flags & VM_DONTDUMP)
        return 0;
    if (s->flags & VM_SHARED) {
        bool named = s->file && READ_ONCE(s->file->inode->nlink);

        return filter & (named ? FILTER_FILE_SHARED : FILTER_ANON_SHARED) ? whole : 0;
    }
    if (s->written && (filter & FILTER_ANON_PRIVATE))
        return whole;
    if (!s->file || s->anonymous)
        return 0;
    if (filter & FILTER_FILE_PRIVATE)
        return whole;
    return (filter & FILTER_ELF_HEADERS) && begins_elf(s, page) ? PAGE_SIZE : 0;
}

/* ---- Output ----------------------------------------------------------------------------------------- */

/* False: no more can be written, by the limit, the file system or the end that the writer was told to make. */
static bool emit(struct core *c, const void *data, size_t size)
{
    ssize_t n;

    if (task_must_end() || c->written + size > c->limit)
        return false;
    n = file_pwrite(c->file, data, size, (loff_t)c->pos);
    if (n != (ssize_t)size)
        return false;
    c->written += size;
    c->pos += size;
    return true;
}

static u64 notes_offset(const struct core *c)
{
    return sizeof(Elf64_Ehdr) + (c->segment_count + 1) * sizeof(Elf64_Phdr);
}

static bool emit_header(struct core *c)
{
    Elf64_Ehdr h = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = (u16)(c->segment_count + 1),
    };
    const Elf64_Phdr notes = {
        .p_type = PT_NOTE,
        .p_offset = notes_offset(c),
        .p_filesz = c->notes_used,
        .p_align = 4,
    };

    return emit(c, &h, sizeof(h)) && emit(c, &notes, sizeof(notes));
}

static bool emit_segment_headers(struct core *c, u64 offset)
{
    for (size_t i = 0; i < c->segment_count; i++) {
        const struct mm_segment *s = &c->segments[i];
        const Elf64_Phdr h = {
            .p_type = PT_LOAD,
            .p_flags = (s->flags & VM_READ ? PF_R : 0u) | (s->flags & VM_WRITE ? PF_W : 0u) |
                       (s->flags & VM_EXEC ? PF_X : 0u),
            .p_offset = offset,
            .p_vaddr = s->start,
            .p_filesz = s->dump,
            .p_memsz = s->end - s->start,
            .p_align = PAGE_SIZE,
        };

        if (!emit(c, &h, sizeof(h)))
            return false;
        offset += s->dump;
    }
    return true;
}

static bool emit_segment(struct core *c, const struct mm_segment *s, u8 *page)
{
    const u64 offset = c->pos;
    const uintptr_t end = s->start + s->dump;

    for (uintptr_t at = s->start; (at = mm_dump_next(current->mm, at, end)) < end; at += PAGE_SIZE) {
        if (task_must_end())
            return false;
        mm_leave(); /* relatives at the same addresses get their turns meanwhile */
        c->pos = offset + (at - s->start);
        if (mm_dump_page(current->mm, at, page) && !emit(c, page, PAGE_SIZE))
            return false;
    }
    c->pos = offset + s->dump;
    return true;
}

static bool emit_all(struct core *c, u8 *page)
{
    u64 data = align_up(notes_offset(c) + c->notes_used, PAGE_SIZE);

    if (!emit_header(c) || !emit_segment_headers(c, data) || !emit(c, c->notes, c->notes_used))
        return false;
    c->pos = data;
    for (size_t i = 0; i < c->segment_count; i++) {
        if (!emit_segment(c, &c->segments[i], page))
            return false;
    }
    return true;
}

void core_write(struct core *c)
{
    u32 filter = READ_ONCE(current->group->core_filter);
    u8 *page = kmalloc(PAGE_SIZE);

    if (!page)
        return;
    for (size_t i = 0; i < c->segment_count; i++)
        c->segments[i].dump = dump_size(&c->segments[i], filter, page);
    if (emit_all(c, page))
        (void)inode_truncate(c->file->inode, c->pos); /* a hole may be the last */
    kfree(page);
}
