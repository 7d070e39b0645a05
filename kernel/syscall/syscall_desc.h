/* SPDX-License-Identifier: MIT */
/*
 * What the generator makes of the tables: the dispatch table, and for each call how to print it.
 * Everything here is constant data.
 */
#ifndef KERNEL_SYSCALL_DESC_H
#define KERNEL_SYSCALL_DESC_H

#include <kernel/regs.h>
#include <kernel/types.h>

typedef long (*syscall_fn)(const struct regs *r);

/* One entry for each number below SYSCALL_COUNT, never NULL. */
extern const syscall_fn g_syscall_table[];

/* Answers for every number without a handler; logs each number once at debug level. */
long syscall_unserved(const struct regs *r);

/* How a value is printed: of an argument or of a structure's field. */
enum value_kind {
    KIND_NONE, /* not at all */
    KIND_DEC,
    KIND_UDEC,
    KIND_HEX,
    KIND_ADDR, /* hexadecimal, NULL for 0 */
    KIND_OCT,
    KIND_OMODE, /* octal, when argument `len` has O_CREAT or O_TMPFILE */
    KIND_FD,
    KIND_SIGNAL,
    KIND_MASK, /* param: flag set */
    KIND_ENUM, /* param: flag set */
    /* Arguments: addresses of ... */
    KIND_STR, /* param: 1 for a path */
    KIND_STRV,
    KIND_BUF, /* len: argument with the size */
    KIND_IOV, /* len: argument with the count */
    KIND_SIGSET,
    KIND_NUM,    /* one number of `width` bytes */
    KIND_PAIR,   /* two of them */
    KIND_STRUCT, /* param: structure; len: argument with the count, or LEN_FIXED | count */
    KIND_BY,     /* param: variant; len: the argument that decides */
    /* Fields. */
    KIND_CHARS,
    KIND_FILEMODE,
    KIND_RLIM,
    KIND_SIGSET_VALUE,
    KIND_HANDLER,
    KIND_MORE, /* the rest is left out */
};

#define LEN_NONE  0xffu
#define LEN_FIXED 0x80u

struct arg_desc {
    u8 kind;
    u8 param;
    u8 len;
    u8 width; /* bytes of the number */
    bool out; /* printed after the call */
};

/* strace's classes of calls. */
#define CLASS_FILE    0x01u
#define CLASS_DESC    0x02u
#define CLASS_MEMORY  0x04u
#define CLASS_PROCESS 0x08u
#define CLASS_SIGNAL  0x10u
#define CLASS_NETWORK 0x20u
#define CLASS_IPC     0x40u

enum result_kind { RESULT_DEC, RESULT_FD, RESULT_HEX, RESULT_OCT, RESULT_NONE };

struct syscall_desc {
    const char *name; /* NULL: no such call */
    u8 error;         /* what an unserved call answers; 0: ENOSYS */
    u8 classes;
    u8 result;
    u8 argc;
    struct arg_desc args[6];
};

extern const struct syscall_desc g_syscall_descs[];

struct flag_name {
    u32 value, mask; /* matches when (v & mask) == value */
    const char *name;
};

struct flag_set {
    const struct flag_name *names;
    u16 count;
    bool is_enum;
};

struct struct_field {
    const char *name;
    u16 offset, size;
    u8 kind, param;
};

struct struct_desc {
    const struct struct_field *fields;
    u16 count, size;
};

struct variant_case {
    u32 value;
    struct arg_desc arg;
};

struct variant_desc {
    const struct variant_case *cases;
    u16 count;
};

extern const struct flag_set g_flag_sets[];
extern const struct struct_desc g_struct_descs[];
extern const struct variant_desc g_variants[];
extern const unsigned g_set_signal, g_set_sicode, g_set_sigcode;

#endif
