/* SPDX-License-Identifier: MIT */
/*
 * Signal frames: building them on the program's stack (frame_build) and coming back from a handler
 * (rt_sigreturn(2)). Layout: frame.h.
 *
 * Nothing in a frame is trusted on the way back: of RFLAGS only the program's bits are taken, RIP must
 * lie where programs may be, segments must be the flat ones, and the XSAVE image is copied in and
 * loaded by a call that refuses what the processor would fault on. A frame that fails any of this
 * raises SIGSEGV.
 */
#include <kernel/alloc.h>
#include <kernel/arch.h>
#include <kernel/loader.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/uaccess.h>
#include <layout.h>
#include "frame.h"
#include "internal.h"
#include <syscalls.gen.h>

#define USER_CS 0x33
#define USER_SS 0x2b
#define RED_ZONE_SIZE 128u

#define RFLAGS_CF 0x1u
#define RFLAGS_PF 0x4u
#define RFLAGS_AF 0x10u
#define RFLAGS_ZF 0x40u
#define RFLAGS_SF 0x80u
#define RFLAGS_TF 0x100u
#define RFLAGS_DF 0x400u
#define RFLAGS_OF 0x800u
#define RFLAGS_RF 0x10000u
#define RFLAGS_AC 0x40000u
/* TF is not among them: an opt-out enclave cannot single-step. */
#define RFLAGS_USER                                                                                \
    (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_DF | RFLAGS_OF | RFLAGS_AC)

/* One XSAVE image per task, made with its first frame and kept. NULL: no memory. */
static u8 *xsave_buffer(struct task *t)
{
    if (!t->xsave_buffer)
        t->xsave_buffer = kzalloc(max(arch_xsave_size(), PAGE_SIZE)); /* page-aligned */
    return t->xsave_buffer;
}

u8 *signal_save_vectors(void)
{
    u8 *buf = xsave_buffer(current);

    if (buf)
        arch_xsave(buf);
    return buf;
}

size_t signal_frame_size(void)
{
    return sizeof(struct rt_frame) + 8 + arch_xsave_size() + FRAME_MAGIC2_SIZE + 63 + RED_ZONE_SIZE;
}

/* ---- Building --------------------------------------------------------------------------------------- */

/* Where a frame goes. */
struct frame_place {
    u64 image; /* XSAVE image */
    u64 frame; /* struct rt_frame */
};

/* -EFAULT when the frame would run out of the alternate stack, or below address 0. */
static int frame_place(const struct ksignal *ks, u64 sp, struct frame_place *p)
{
    const struct altstack *a = &current->altstack;
    bool nested = altstack_active(a, sp);
    bool entering = false;
    u64 top = sp - RED_ZONE_SIZE;

    if ((ks->action.flags & SA_ONSTACK) && a->size && !nested) {
        top = a->sp + a->size;
        entering = true;
    }
    if (top < signal_frame_size() || top > SHARED_END)
        return -EFAULT;
    p->image = align_down(top - arch_xsave_size() - FRAME_MAGIC2_SIZE, 64);
    p->frame = align_down(p->image - sizeof(struct rt_frame), 16) - 8;
    if ((entering || nested) && (p->frame <= a->sp || p->frame - a->sp > a->size))
        return -EFAULT;
    return 0;
}

static int put_image(u64 where)
{
    size_t size = arch_xsave_size();
    u32 magic2 = FRAME_XSTATE_MAGIC2;
    u8 *buf = signal_save_vectors();
    struct frame_sw_reserved sw = {.magic1 = FRAME_XSTATE_MAGIC1,
                                   .extended_size = (u32)size + FRAME_MAGIC2_SIZE,
                                   .xfeatures = target_xfrm(),
                                   .xstate_size = (u32)size};

    if (!buf)
        return -EFAULT;
    memcpy(buf + FRAME_SW_RESERVED_OFF, &sw, sizeof(sw));
    if (copy_to_user((void __user *)where, buf, size))
        return -EFAULT;
    return copy_to_user((void __user *)(where + size), &magic2, sizeof(magic2));
}

static void fill_context(struct frame_sigcontext *c, const struct regs *r, sigset64_t mask, u64 image)
{
    const struct task *t = current;

    *c = (struct frame_sigcontext){
        .r8 = r->r8, .r9 = r->r9, .r10 = r->r10, .r11 = r->r11,
        .r12 = r->r12, .r13 = r->r13, .r14 = r->r14, .r15 = r->r15,
        .rdi = r->rdi, .rsi = r->rsi, .rbp = r->rbp, .rbx = r->rbx,
        .rdx = r->rdx, .rax = r->rax, .rcx = r->rcx, .rsp = r->rsp,
        .rip = r->rip, .eflags = r->rflags,
        .cs = USER_CS, .ss = USER_SS,
        .err = t->fault_error, .trapno = t->fault_trapno, .cr2 = t->fault_addr,
        .oldmask = mask,
        .fpstate = image,
    };
}

/*
 * The code that a handler returns to. A restorer that does nothing but rt_sigreturn (every libc's) is
 * replaced by the vDSO's, which does the same without the trap that libc's unrewritten one costs; one
 * that does more is used as it is.
 */
static u64 choose_restorer(const struct ksigaction *a)
{
    static const u8 plain[9] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
    static const u8 shorter[7] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};
    u64 ours = current->mm->vdso_restorer;
    u8 code[sizeof(plain)];

    if (!(a->flags & SA_RESTORER_K))
        return ours;
    if (!ours || copy_from_user(code, (const void __user *)a->restorer, sizeof(code)))
        return a->restorer;
    if (!memcmp(code, plain, sizeof(plain)) || !memcmp(code, shorter, sizeof(shorter)))
        return ours;
    return a->restorer;
}

static int put_frame(const struct ksignal *ks, const struct frame_place *p, sigset64_t mask,
                     const struct regs *regs)
{
    struct rt_frame f;

    memset(&f, 0, sizeof(f));
    f.restorer = choose_restorer(&ks->action);
    f.uc.flags = FRAME_UC_FP_XSTATE | FRAME_UC_SIGCONTEXT_SS | FRAME_UC_STRICT_RESTORE_SS;
    f.uc.stack = altstack_get(&current->altstack, regs->rsp);
    f.uc.mask = mask;
    f.info = ks->info;
    fill_context(&f.uc.mcontext, regs, mask, p->image);
    if (!f.restorer || copy_to_user((void __user *)p->frame, &f, sizeof(f)))
        return -EFAULT;
    return put_image(p->image);
}

int frame_build(const struct ksignal *ks, sigset64_t mask, struct regs *regs)
{
    struct task *t = current;
    struct frame_place p;

    if (frame_place(ks, regs->rsp, &p) || put_frame(ks, &p, mask, regs))
        return -EFAULT;
    if (t->altstack.flags & SS_AUTODISARM_K)
        t->altstack = (struct altstack){.flags = SS_DISABLE};
    regs->rdi = (u64)ks->sig;
    regs->rsi = p.frame + offsetof(struct rt_frame, info);
    regs->rdx = p.frame + offsetof(struct rt_frame, uc);
    regs->rax = 0;
    regs->rsp = p.frame;
    regs->rip = ks->action.handler;
    regs->rflags &= ~(u64)(RFLAGS_DF | RFLAGS_RF | RFLAGS_TF);
    arch_xreset(); /* a handler starts with the default rounding, exceptions masked, none pending */
    return 0;
}

/* ---- Coming back -------------------------------------------------------------------------------------- */

/* What size the frame's image has: all of it, or the legacy part when its marks do not fit. */
static int image_size(u64 where, size_t *size)
{
    struct frame_sw_reserved sw;
    u32 magic2;

    *size = FXSAVE_SIZE;
    if (copy_from_user(&sw, (const void __user *)(where + FRAME_SW_RESERVED_OFF), sizeof(sw)))
        return -EFAULT;
    if (sw.magic1 != FRAME_XSTATE_MAGIC1 || sw.xstate_size < FXSAVE_SIZE + XSAVE_HEADER_SIZE ||
        sw.xstate_size > arch_xsave_size() || sw.xstate_size > sw.extended_size)
        return 0;
    if (copy_from_user(&magic2, (const void __user *)(where + sw.xstate_size), sizeof(magic2)))
        return -EFAULT;
    if (magic2 == FRAME_XSTATE_MAGIC2)
        *size = sw.xstate_size;
    return 0;
}

/* A legacy image says nothing of newer components: they get their initial state. */
static void legacy_header(u8 *buf)
{
    u64 xstate_bv = 3; /* x87 and SSE */

    memset(buf + FXSAVE_SIZE, 0, XSAVE_HEADER_SIZE);
    memcpy(buf + FXSAVE_SIZE, &xstate_bv, sizeof(xstate_bv));
}

static int restore_vectors(u64 where)
{
    u8 *buf = xsave_buffer(current);
    size_t size;

    if (!where) {
        arch_xreset();
        return 0;
    }
    if (!buf || where % 64 || image_size(where, &size))
        return -EFAULT;
    if (copy_from_user(buf, (const void __user *)where, size))
        return -EFAULT;
    if (size == FXSAVE_SIZE) {
        legacy_header(buf);
        size += XSAVE_HEADER_SIZE;
    }
    return arch_xrstor_checked(buf, size);
}

/* Without UC_STRICT_RESTORE_SS, SS is what an old program left there and means nothing. */
static bool context_ok(const struct frame_ucontext *uc)
{
    const struct frame_sigcontext *c = &uc->mcontext;

    if ((uc->flags & FRAME_UC_STRICT_RESTORE_SS) && c->ss != USER_SS)
        return false;
    return c->cs == USER_CS && c->rip < SHARED_END;
}

static void restore_registers(const struct frame_sigcontext *c, struct regs *r)
{
    r->r8 = c->r8;
    r->r9 = c->r9;
    r->r10 = c->r10;
    r->r11 = c->r11;
    r->r12 = c->r12;
    r->r13 = c->r13;
    r->r14 = c->r14;
    r->r15 = c->r15;
    r->rdi = c->rdi;
    r->rsi = c->rsi;
    r->rbp = c->rbp;
    r->rbx = c->rbx;
    r->rdx = c->rdx;
    r->rax = c->rax;
    r->rcx = c->rcx;
    r->rsp = c->rsp;
    r->rip = c->rip;
    r->rflags = (r->rflags & ~(u64)RFLAGS_USER) | (c->eflags & RFLAGS_USER);
    r->orig_rax = -1;
}

/* Everything checked, then everything changed. */
static int frame_restore(u64 frame, struct regs *regs)
{
    struct task *t = current;
    struct frame_ucontext uc;

    if (copy_from_user(&uc, (const void __user *)(frame + offsetof(struct rt_frame, uc)),
                       sizeof(uc)))
        return -EFAULT;
    if (!context_ok(&uc) || restore_vectors(uc.mcontext.fpstate))
        return -EFAULT;
    restore_registers(&uc.mcontext, regs);
    (void)rewrite_show(t->mm, regs);
    signal_set_blocked(uc.mask);
    (void)altstack_set(&t->altstack, &uc.stack, regs->rsp); /* Linux: errors change nothing */
    return 0;
}

long sys_rt_sigreturn(void)
{
    struct regs *regs = current->regs;
    u64 frame = regs->rsp - offsetof(struct rt_frame, uc);

    current->restart.fn = NULL;
    if (frame_restore(frame, regs)) {
        signal_force_segv(0);
        regs->orig_rax = -1;
        return 0;
    }
    return (long)regs->rax;
}
