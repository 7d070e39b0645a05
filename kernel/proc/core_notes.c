/* SPDX-License-Identifier: MIT */
/*
 * A core file's notes, as Linux's fs/binfmt_elf.c orders them: of the thread that died NT_PRSTATUS, then what the
 * process has (NT_PRPSINFO, NT_SIGINFO, NT_AUXV, NT_FILE), then its vector state; of each other thread NT_PRSTATUS and
 * its vector state. The layouts are the x86-64 ones of Linux's elf_prstatus, elf_prpsinfo and user_regs_struct.
 */
#include <kernel/alloc.h>
#include <kernel/arch.h>
#include <kernel/loader.h>
#include <kernel/string.h>
#include <kernel/time.h>
#include <linux/auxvec.h>
#include <linux/elf.h>
#include "core.h"

#define USER_CS 0x33
#define USER_SS 0x2b

#define FXSAVE_SIZE   512u
#define XCR0_OFFSET   464u /* in the bytes that XSAVE leaves to software: which components there can be */
#define NOTE_ALIGN    4u

/* <linux/elf.h> has these where its version is new enough. */
#define NOTE_SIGINFO    0x53494749u
#define NOTE_FILE       0x46494c45u
#define NOTE_X86_XSTATE 0x202u

struct core_regs {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax;
    u64 rip, cs, rflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
};

struct core_prstatus {
    s32 signo, code, err;
    s16 cursig;
    u64 sigpend, sighold;
    s32 pid, ppid, pgrp, sid;
    struct __kernel_old_timeval utime, stime, cutime, cstime;
    struct core_regs regs;
    s32 fpvalid;
};

struct core_prpsinfo {
    char state, sname, zombie, nice;
    u64 flag;
    u32 uid, gid;
    s32 pid, ppid, pgrp, sid;
    char fname[16];
    char psargs[80];
};

_Static_assert(sizeof(struct core_regs) == 27 * 8, "Linux's struct user_regs_struct");
_Static_assert(sizeof(struct core_prstatus) == 336, "Linux's struct elf_prstatus");
_Static_assert(sizeof(struct core_prpsinfo) == 136, "Linux's struct elf_prpsinfo");

/* ---- The buffer ------------------------------------------------------------------------------------- */

/* `size` bytes more, zeroed; NULL, and c->failed: no memory. */
static u8 *extend(struct core *c, size_t size)
{
    u8 *grown;

    if (c->failed)
        return NULL;
    if (size > c->notes_room - c->notes_used) {
        size_t room = max(c->notes_room * 2, c->notes_used + size + PAGE_SIZE);

        grown = krealloc(c->notes, room);
        if (!grown) {
            c->failed = true;
            return NULL;
        }
        c->notes = grown;
        c->notes_room = room;
    }
    grown = c->notes + c->notes_used;
    memset(grown, 0, size);
    c->notes_used += size;
    return grown;
}

/* The note's head, and room for what it says. NULL as extend(). */
static void *note_begin(struct core *c, const char *owner, u32 type, size_t size)
{
    const Elf64_Nhdr head = {.n_namesz = (u32)strlen(owner) + 1, .n_descsz = (u32)size, .n_type = type};
    size_t name_size = align_up((size_t)head.n_namesz, NOTE_ALIGN);
    u8 *p = extend(c, sizeof(head) + name_size + align_up(size, NOTE_ALIGN));

    if (!p)
        return NULL;
    memcpy(p, &head, sizeof(head));
    memcpy(p + sizeof(head), owner, head.n_namesz);
    return p + sizeof(head) + name_size;
}

static void note(struct core *c, const char *owner, u32 type, const void *data, size_t size)
{
    void *p = note_begin(c, owner, type, size);

    if (p)
        memcpy(p, data, size);
}

/* ---- Threads ---------------------------------------------------------------------------------------- */

static void fill_regs(struct core_regs *to, const struct task *t)
{
    struct regs r = *t->regs;

    (void)rewrite_hide(t->mm, &r, t == current ? arch_cpuid_rcx() : 0);
    memcpy(to, &r, offsetof(struct regs, rip));
    to->rip = r.rip;
    to->rflags = r.rflags;
    to->rsp = r.rsp;
    to->cs = USER_CS;
    to->ss = USER_SS;
    to->fs_base = t->fs_base;
}

/* A leader's times are those of the process (fill_prstatus()). */
static void fill_times(struct core_prstatus *s, const struct task *t)
{
    struct group *g = t->group;
    struct usage u = {.utime_ns = cputime_task(t)}, children = {0};

    if (t->tid == g->tgid)
        group_usage(g, &u);
    usage_add_children(&children, g);
    s->utime = time_to_timeval(u.utime_ns);
    s->stime = time_to_timeval(u.stime_ns);
    s->cutime = time_to_timeval(children.utime_ns);
    s->cstime = time_to_timeval(children.stime_ns);
}

static void put_status(struct core *c, const struct task *t)
{
    struct group *g = t->group;
    struct core_prstatus s = {
        .signo = c->info->si_signo,
        .cursig = (s16)c->info->si_signo,
        .sigpend = t->pending.set,
        .sighold = t == current ? c->blocked : t->blocked,
        .pid = t->tid,
        .ppid = READ_ONCE(g->ppid),
        .pgrp = READ_ONCE(g->pgid),
        .sid = READ_ONCE(g->sid),
        .fpvalid = t->xsave_buffer != NULL,
    };

    fill_times(&s, t);
    fill_regs(&s.regs, t);
    note(c, "CORE", NT_PRSTATUS, &s, sizeof(s));
}

static void put_vectors(struct core *c, const struct task *t)
{
    const u64 xcr0 = arch_xfeatures();
    u8 *p;

    if (!t->xsave_buffer)
        return;
    note(c, "CORE", NT_PRFPREG, t->xsave_buffer, FXSAVE_SIZE);
    p = note_begin(c, "LINUX", NOTE_X86_XSTATE, arch_xsave_size());
    if (p) {
        memcpy(p, t->xsave_buffer, arch_xsave_size());
        memcpy(p + XCR0_OFFSET, &xcr0, sizeof(xcr0));
    }
}

/* ---- The process ------------------------------------------------------------------------------------ */

/* The arguments as they are in memory now, with blanks between them. */
static void fill_arguments(char *to, size_t size)
{
    struct mm *mm = current->mm;
    size_t n = min((size_t)(mm->arg_end - mm->arg_start), size - 1);

    if (mm_peek(mm, mm->arg_start, to, n)) {
        memset(to, 0, size);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (!to[i])
            to[i] = ' ';
    }
}

static void put_process(struct core *c)
{
    struct task *t = current;
    struct group *g = t->group;
    struct core_prpsinfo p = {
        .sname = 'R',
        .nice = (char)t->sched.nice,
        .uid = current_cred()->uid,
        .gid = current_cred()->gid,
        .pid = g->tgid,
        .ppid = READ_ONCE(g->ppid),
        .pgrp = READ_ONCE(g->pgid),
        .sid = READ_ONCE(g->sid),
    };

    memcpy(p.fname, t->comm, sizeof(p.fname));
    fill_arguments(p.psargs, sizeof(p.psargs));
    note(c, "CORE", NT_PRPSINFO, &p, sizeof(p));
}

static void put_auxv(struct core *c)
{
    const struct mm *mm = current->mm;
    size_t words = 0;

    do {
        words += 2;
    } while (words < ARRAY_COUNT(mm->auxv) && mm->auxv[words - 2] != AT_NULL);
    note(c, "CORE", NT_AUXV, mm->auxv, words * sizeof(u64));
}

/* ---- Mapped files ----------------------------------------------------------------------------------- */

/* NT_FILE: how many, the page size; of each where it lies; then all names. Names go in behind the rest. */
static void put_names(struct core *c, size_t *size)
{
    char *buf = kmalloc(PATH_MAX_);

    c->failed |= !buf;
    for (size_t i = 0; buf && i < c->segment_count; i++) {
        const struct file *f = c->segments[i].file;
        const char *name = f ? path_name(&f->path, buf, PATH_MAX_) : NULL;
        u8 *p;

        if (!f)
            continue;
        if (IS_ERR(name))
            name = "";
        p = extend(c, strlen(name) + 1);
        if (!p)
            break;
        memcpy(p, name, strlen(name) + 1);
        *size += strlen(name) + 1;
    }
    kfree(buf);
}

static void put_files(struct core *c)
{
    size_t count = 0, head = c->notes_used, size;
    u64 *words;

    for (size_t i = 0; i < c->segment_count; i++)
        count += c->segments[i].file != NULL;
    size = (2 + 3 * count) * sizeof(u64);
    words = note_begin(c, "CORE", NOTE_FILE, size);
    if (!words)
        return;
    *words++ = count;
    *words++ = PAGE_SIZE;
    for (size_t i = 0; i < c->segment_count; i++) {
        const struct mm_segment *s = &c->segments[i];

        if (!s->file)
            continue;
        *words++ = s->start;
        *words++ = s->end;
        *words++ = s->pgoff;
    }
    put_names(c, &size);
    if (c->failed)
        return;
    ((Elf64_Nhdr *)(void *)(c->notes + head))->n_descsz = (u32)size;
    (void)extend(c, align_up(size, NOTE_ALIGN) - size);
}

int core_notes(struct core *c)
{
    put_status(c, c->threads[0]);
    put_process(c);
    note(c, "CORE", NOTE_SIGINFO, c->info, sizeof(*c->info));
    put_auxv(c);
    put_files(c);
    put_vectors(c, c->threads[0]);
    for (size_t i = 1; i < c->thread_count; i++) {
        put_status(c, c->threads[i]);
        put_vectors(c, c->threads[i]);
    }
    return c->failed ? -ENOMEM : 0;
}
