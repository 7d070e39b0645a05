/* SPDX-License-Identifier: MIT */
/*
 * The x86-64 signal frame, as Linux puts it on the program's stack; debuggers and unwinders know it.
 * The structures repeat the layout of <asm/sigcontext.h> and <asm/ucontext.h> under names of our own,
 * because hosted tests include libc's versions of the same; test/layout.c compares them.
 *
 * From high addresses to low: the red zone (128 bytes, the program's), the XSAVE image (64-byte
 * aligned) with a closing magic, then struct rt_frame so that (its address + 8) is 16-byte aligned,
 * as after a call.
 */
#ifndef KERNEL_SIGNAL_FRAME_H
#define KERNEL_SIGNAL_FRAME_H

#include <kernel/signal.h>

struct frame_sigcontext {
    u64 r8, r9, r10, r11, r12, r13, r14, r15;
    u64 rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
    u16 cs, gs, fs, ss;
    u64 err, trapno, oldmask, cr2;
    u64 fpstate; /* address of the XSAVE image; 0: none */
    u64 reserved[8];
};

struct frame_ucontext {
    u64 flags; /* UC_* */
    u64 link;
    stack_t stack;
    struct frame_sigcontext mcontext;
    sigset64_t mask;
};

struct rt_frame {
    u64 restorer; /* the handler returns there */
    struct frame_ucontext uc;
    siginfo_t info;
};

#define FRAME_UC_FP_XSTATE         1u
#define FRAME_UC_SIGCONTEXT_SS     2u
#define FRAME_UC_STRICT_RESTORE_SS 4u

/* Software-reserved bytes of the XSAVE image's legacy part, at offset 464. */
#define FRAME_SW_RESERVED_OFF 464u
#define FRAME_XSTATE_MAGIC1   0x46505853u
#define FRAME_XSTATE_MAGIC2   0x46505845u
#define FRAME_MAGIC2_SIZE     4u
struct frame_sw_reserved {
    u32 magic1;
    u32 extended_size; /* image and closing magic */
    u64 xfeatures;
    u32 xstate_size;   /* image */
    u32 padding[7];
};

#define FXSAVE_SIZE       512u
#define XSAVE_HEADER_SIZE 64u
#define MXCSR_OFF         24u

_Static_assert(sizeof(struct frame_sigcontext) == 256, "Linux's struct sigcontext");
_Static_assert(sizeof(struct frame_ucontext) == 304, "Linux's struct ucontext");
_Static_assert(sizeof(struct rt_frame) == 440, "Linux's struct rt_sigframe");
_Static_assert(sizeof(struct frame_sw_reserved) == 48, "Linux's struct _fpx_sw_bytes");

#endif
