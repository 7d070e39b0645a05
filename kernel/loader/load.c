/* SPDX-License-Identifier: MIT */
/*
 * Fills a fresh address space: where the program, its interpreter, heap and stack go (as Linux
 * places them, below USER_END, with in-enclave randomness), then maps them and sets the first
 * registers.
 *
 *   program (ET_DYN), heap .... from DYN_BASE up
 *   mappings, interpreter ..... from mm->mmap_base down
 *   stack ..................... from below USER_END down
 *
 * That is the first process' layout. Each later one has 4 GiB of its own for all of it (its home), so that
 * processes do not overlap but for programs linked at fixed addresses.
 */
#include "exec.h"

#include <kernel/boot.h>
#include <kernel/loader.h>
#include <kernel/mm.h>
#include <kernel/printk.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <kernel/target.h>
#include <kernel/task.h>
#include <layout.h>

#define DYN_BASE page_down(USER_END / 3 * 2)

/* Random bits of page numbers, as x86-64 Linux has them. */
#define MMAP_RANDOM_PAGES  (1UL << 28)
#define STACK_RANDOM_PAGES (1UL << 22)
#define BRK_RANDOM_PAGES   (1UL << 13)

#define STACK_GAP_MIN      (128UL << 20)
#define STACK_GAP_MAX      (USER_END / 6 * 5)
#define STACK_GUARD_SIZE   (1UL << 20)
#define STACK_EXTRA_SIZE   (128UL << 10) /* mapped at once below the arguments */

/* Where things go in a home; what remains is for mappings and the heap. */
#define HOME_SIZE         (1UL << 32)
#define HOME_BIAS_PAGES   (1UL << 16)
#define HOME_STACK_PAGES  (1UL << 12)
#define HOME_MMAP_PAGES   (1UL << 14)
#define HOME_STACK_MAX    (1UL << 30)

struct layout {
    u64 dyn_base, stack_top, mmap_base;
    u64 brk; /* 0: behind the program */
    u64 brk_gap;
};

static u64 random_pages(const struct program *p, u64 limit)
{
    return p->randomize ? (random_u64() % limit) << PAGE_SHIFT : 0;
}

/* ---- Addresses
 * ------------------------------------------------------------------------------------ */

/* Mappings start below the room that the stack may grow into. */
static u64 choose_mmap_base(const struct program *p)
{
    u64 limit = rlimit(RLIMIT_STACK);
    u64 gap = min(max(limit, STACK_GAP_MIN), STACK_GAP_MAX);

    gap = min(gap + STACK_GUARD_SIZE + (STACK_RANDOM_PAGES << PAGE_SHIFT), STACK_GAP_MAX);
    return page_down(USER_END - gap - random_pages(p, MMAP_RANDOM_PAGES));
}

static struct layout wide_layout(const struct program *p)
{
    return (struct layout){.dyn_base = DYN_BASE + random_pages(p, MMAP_RANDOM_PAGES),
                           .stack_top = USER_END - PAGE_SIZE - random_pages(p, STACK_RANDOM_PAGES),
                           .mmap_base = choose_mmap_base(p),
                           .brk_gap = random_pages(p, BRK_RANDOM_PAGES)};
}

/* A part of the home's random number, as a size of so many pages at most. */
static u64 seed_pages(const struct program *p, u64 *seed, u64 limit)
{
    u64 pages = *seed % limit;

    *seed /= limit;
    return p->randomize ? pages << PAGE_SHIFT : 0;
}

/* The same for all programs that get this home, one after the other: docs/adr/0009-kept-pages.md. */
static struct layout home_layout(const struct program *p, u64 home, u64 seed)
{
    u64 gap = min(max(rlimit(RLIMIT_STACK), STACK_GAP_MIN), HOME_STACK_MAX);
    u64 top = home + HOME_SIZE - PAGE_SIZE - seed_pages(p, &seed, HOME_STACK_PAGES);
    u64 bias = home + (STACK_GUARD_SIZE << 4) + seed_pages(p, &seed, HOME_BIAS_PAGES);

    return (struct layout){
        .dyn_base = bias,
        .stack_top = top,
        .mmap_base = page_down(top - gap - STACK_GUARD_SIZE - seed_pages(p, &seed, HOME_MMAP_PAGES)),
        .brk = p->image.type == ET_EXEC ? bias : 0,
        .brk_gap = seed_pages(p, &seed, BRK_RANDOM_PAGES),
    };
}

/*
 * Where the parts of the program go. What is linked at fixed addresses shares them with other such programs.
 */
static int choose_layout(struct mm *mm, const struct program *p, struct layout *l)
{
    int err = 0;
    u64 home, seed = 0;

    if (p->image.type == ET_EXEC)
        err = mm_share_range(mm, page_down(p->image.low), page_up(p->image.high));
    home = err ? 0 : mm_home(mm, &seed);
    *l = home ? home_layout(p, home, seed) : wide_layout(p);
    return err;
}

static u64 choose_program_bias(const struct program *p, const struct layout *l)
{
    const struct elf_image *img = &p->image;

    if (img->type == ET_EXEC)
        return 0;
    return align_down(l->dyn_base, img->align) - img->low;
}

/* An address for the whole interpreter. */
static int choose_interp_bias(struct mm *mm, const struct elf_image *img, u64 *bias)
{
    uintptr_t addr;

    *bias = 0;
    if (img->type == ET_EXEC)
        return 0;
    addr = mm_choose(mm, img->high - img->low + img->align - PAGE_SIZE);
    if (!addr)
        return -ENOMEM;
    *bias = align_up((u64)addr, img->align) - img->low;
    return 0;
}

/* ---- Images
 * ---------------------------------------------------------------------------------------- */

void loader_debug_map(const struct file *file, uintptr_t start, u64 offset)
{
    char buf[256];
    char *name;

    if (!manifest_flag(MANIFEST_DEBUG))
        return;
    name = path_name(&file->path, buf, sizeof(buf));
    if (!IS_ERR(name))
        target_debug_map(name, start - offset);
}

static int load_program(struct mm *mm, const struct program *p, const struct layout *l, u64 bias)
{
    const struct elf_image *img = &p->image;
    int err;

    if (img->high + bias > USER_END || img->high + bias < bias)
        return -ENOMEM;
    err = elf_map(mm, p->file, img, bias);
    if (err)
        return err;
    mm->start_code = img->start_code + bias;
    mm->end_code = img->end_code + bias;
    mm->start_data = img->start_data + bias;
    mm->end_data = img->end_data + bias;
    mm->brk_start = l->brk ? l->brk : page_up(img->brk + bias);
    mm->brk_start += l->brk_gap;
    mm->brk = mm->brk_start;
    return 0;
}

static int load_interp(struct mm *mm, const struct program *p, u64 *bias)
{
    int err = choose_interp_bias(mm, &p->interp, bias);

    if (!err)
        err = elf_map(mm, p->interp_file, &p->interp, *bias);
    return err;
}

/* ---- Stack
 * ----------------------------------------------------------------------------------------- */

static unsigned stack_flags(const struct program *p)
{
    unsigned flags = VM_READ | VM_WRITE | VM_MAYWRITE | VM_GROWSDOWN | VM_STACK;
    bool exec = p->image.stack_exec || manifest_flag(MANIFEST_EXEC_STACK);

    if (exec && manifest_flag(MANIFEST_FORBID_WX))
        pr_info("exec: ForbidWX: the stack stays without execute permission");
    else if (exec)
        flags |= VM_EXEC;
    return flags;
}

static int load_stack(struct mm *mm, const struct program *p, struct stack_spec *spec, u64 top,
                      u64 *sp)
{
    struct stack_image img;
    u64 size;
    long addr;
    int err;

    err = stack_build(spec, top, &img);
    if (err)
        return err;
    size = page_up(img.size + STACK_EXTRA_SIZE);
    addr = mm_map_special(mm, top - size, 0, 0, size, stack_flags(p), "[stack]");
    err = addr < 0 ? (int)addr : mm_poke(mm, img.sp, img.data, img.size);
    if (!err) {
        mm->start_stack = img.sp;
        mm->arg_start = img.arg_start;
        mm->arg_end = img.arg_end;
        mm->env_start = img.env_start;
        mm->env_end = img.env_end;
        *sp = img.sp;
    }
    stack_free(&img);
    return err;
}

static void add_image_auxv(const struct mm *mm, const struct program *p, struct stack_spec *s,
                           u64 bias, u64 interp_bias)
{
    const struct elf_image *img = &p->image;

    if (mm->vdso_base)
        auxv_set(s, AT_SYSINFO_EHDR, mm->vdso_base);
    auxv_set(s, AT_PHDR, img->phdr_addr + bias);
    auxv_set(s, AT_PHENT, sizeof(Elf64_Phdr));
    auxv_set(s, AT_PHNUM, img->phdr_count);
    auxv_set(s, AT_BASE, p->interp_file ? interp_bias : 0);
    auxv_set(s, AT_ENTRY, img->entry + bias);
}

static void keep_auxv(struct mm *mm, const struct stack_spec *s)
{
    memset(mm->auxv, 0, sizeof(mm->auxv));
    memcpy(mm->auxv, s->auxv, s->auxv_count * sizeof(s->auxv[0]));
}

_Static_assert(AUXV_COUNT_MAX * sizeof(struct auxv) <= sizeof(((struct mm *)0)->auxv), "");

int program_load(struct mm *mm, const struct program *p, struct stack_spec *stack,
                 struct regs *regs)
{
    u64 bias, interp_bias = 0, sp;
    struct layout l;
    int err = choose_layout(mm, p, &l);

    if (err)
        return err;
    bias = choose_program_bias(p, &l);
    mm->mmap_base = l.mmap_base;
    err = load_program(mm, p, &l, bias);
    if (!err && p->interp_file)
        err = load_interp(mm, p, &interp_bias);
    if (!err)
        err = vdso_map(mm);
    if (err)
        return err;
    add_image_auxv(mm, p, stack, bias, interp_bias);
    err = load_stack(mm, p, stack, l.stack_top, &sp);
    if (err)
        return err;
    keep_auxv(mm, stack);

    *regs = (struct regs){.orig_rax = -1, .rflags = 0x202, .rsp = sp};
    regs->rip = p->interp_file ? p->interp.entry + interp_bias : p->image.entry + bias;
    return 0;
}
