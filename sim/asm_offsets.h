/* SPDX-License-Identifier: MIT */
/* Offsets in struct sim_thread for entry.S; device.c asserts each of them. */
#ifndef SIM_ASM_OFFSETS_H
#define SIM_ASM_OFFSETS_H

#define T_RAX       0
#define T_RCX       8
#define T_RDX       16
#define T_RBX       24
#define T_RSP       32
#define T_RBP       40
#define T_RSI       48
#define T_RDI       56
#define T_R8        64
#define T_R9        72
#define T_R10       80
#define T_R11       88
#define T_R12       96
#define T_R13       104
#define T_R14       112
#define T_R15       120
#define T_RFLAGS    128
#define T_RIP       136
#define T_FS        144
#define T_GS        152
#define T_HOST_FS   160
#define T_HOST_GS   168
#define T_BUSY      176
#define T_DEFERRED  180
#define T_EXIT_MODE 184
#define T_DO_XRSTOR 188
#define T_XFRM      192
#define T_PKRU_HOST 200
#define T_PKRU_ENCL 204
#define T_PKEYS     208
#define T_SET_PKRU  212
#define T_ENCL_GS   216

/* The block of a thread: struct, leaf stack, alternate signal stack. */
#define SIM_THREAD_SIZE     0x80000
#define SIM_LEAF_STACK_TOP  0x20000
#define SIM_ALTSTACK_OFF    0x30000
#define T_XSAVE             1024

#define SIM_THREAD_SLOTS_MASK 16383

/* The table of threads inside by their GS base: bits 32 and up of the product, as an index. */
#define SIM_GS_FACTOR     0x61c88647
#define SIM_GS_SLOTS_MASK 4095

#endif
