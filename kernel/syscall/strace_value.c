/* SPDX-License-Identifier: MIT */
/*
 * Values as strace(1) prints them, by the kinds of syscall_desc.h. Everything that a pointer leads
 * to is copied in piece by piece; what cannot be read prints as its address.
 */
#include <kernel/printk.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

#include "syscall_internal.h"

#define STRING_MAX 32u
#define PATH_SHOWN 256u
#define ARRAY_MAX  32u

static u64 truncate_to(u64 v, unsigned width)
{
    return width >= 8 ? v : v & ((1UL << width * 8) - 1);
}

static s64 sign_extend(u64 v, unsigned width)
{
    unsigned shift = 64 - 8 * min(width, 8u);

    return (s64)(v << shift) >> shift;
}

static void print_address(struct trace_line *l, u64 v)
{
    if (v)
        trace_printf(l, "%#lx", v);
    else
        trace_puts(l, "NULL");
}

/* ---- Names ---------------------------------------------------------------------------------- */

static void print_mask(struct trace_line *l, const struct flag_set *set, u64 v)
{
    const char *separator = "";
    u64 rest = v;

    for (unsigned i = 0; i < set->count; i++) {
        const struct flag_name *n = &set->names[i];
        /* A name for zero stands for the whole value, unless it is one value of a field of bits. */
        bool match = n->mask == UINT32_MAX ? v == n->value : (rest & n->mask) == n->value;
        if (!match)
            continue;
        trace_printf(l, "%s%s", separator, n->name);
        separator = "|";
        rest &= ~(u64)n->mask;
    }
    if (rest || !*separator)
        trace_printf(l, rest ? "%s%#lx" : "%s%lu", separator, rest);
}

static void print_enum(struct trace_line *l, const struct flag_set *set, u64 v, unsigned width)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (set->names[i].value == (u32)v) {
            trace_puts(l, set->names[i].name);
            return;
        }
    }
    trace_printf(l, "%ld", sign_extend(v, width));
}

static void print_set(struct trace_line *l, unsigned index, u64 v, unsigned width)
{
    const struct flag_set *set = &g_flag_sets[index];

    v = truncate_to(v, width);
    if (set->is_enum)
        print_enum(l, set, v, width);
    else
        print_mask(l, set, v);
}

#define SIGNAL_RT 32 /* the kernel's first real-time signal */

static void print_signal(struct trace_line *l, int sig, bool prefix)
{
    const struct flag_set *set = &g_flag_sets[g_set_signal];

    if (sig == SIGNAL_RT)
        trace_puts(l, prefix ? "SIGRTMIN" : "RTMIN");
    else if (sig > SIGNAL_RT && sig <= NSIG_K)
        trace_printf(l, "%sRT_%d", prefix ? "SIG" : "", sig - SIGNAL_RT);
    else if (sig > 0 && sig <= set->count)
        trace_puts(l, set->names[sig - 1].name + (prefix ? 0 : sizeof("SIG") - 1));
    else
        trace_printf(l, "%d", sig);
}

/* [INT TERM], or ~[KILL] when most are in it. */
static void print_sigset(struct trace_line *l, sigset64_t set)
{
    const char *separator = "";
    bool inverted = __builtin_popcountl(set) > NSIG_K / 2;

    trace_puts(l, inverted ? "~[" : "[");
    for (int sig = 1; sig <= NSIG_K; sig++) {
        if (!!(set & sigmask(sig)) == inverted)
            continue;
        trace_puts(l, separator);
        print_signal(l, sig, false);
        separator = " ";
    }
    trace_puts(l, "]");
}

static void print_filemode(struct trace_line *l, u32 mode)
{
    static const char *const names[16] = {
        [S_IFIFO >> 12] = "S_IFIFO|",   [S_IFCHR >> 12] = "S_IFCHR|", [S_IFDIR >> 12] = "S_IFDIR|",
        [S_IFBLK >> 12] = "S_IFBLK|",   [S_IFREG >> 12] = "S_IFREG|", [S_IFLNK >> 12] = "S_IFLNK|",
        [S_IFSOCK >> 12] = "S_IFSOCK|",
    };
    const char *type = names[(mode >> 12) & 15];

    trace_printf(l, "%s%#03o", type ? type : "", type ? mode & 07777 : mode);
}

static void print_rlim(struct trace_line *l, u64 v)
{
    if (v == UINT64_MAX)
        trace_puts(l, "RLIM64_INFINITY");
    else if (v > 1024 && v % 1024 == 0)
        trace_printf(l, "%lu*1024", v / 1024);
    else
        trace_printf(l, "%lu", v);
}

static void print_handler(struct trace_line *l, u64 v)
{
    if (v <= 1)
        trace_puts(l, v ? "SIG_IGN" : "SIG_DFL");
    else
        trace_printf(l, "%#lx", v);
}

/* ---- Strings -------------------------------------------------------------------------------- */

static void print_char(struct trace_line *l, u8 c, bool digit_follows)
{
    static const char letters[] = "abtnvfr";
    const char *named = c >= 8 && c <= 13 ? &letters[c - 7] : NULL;

    if (c == '"' || c == '\\')
        trace_printf(l, "\\%c", c);
    else if (named)
        trace_printf(l, "\\%c", *named);
    else if (c >= 0x20 && c < 0x7f)
        trace_printf(l, "%c", c);
    else
        trace_printf(l, digit_follows ? "\\%03o" : "\\%o", c);
}

static void print_quoted(struct trace_line *l, const char *s, size_t size, bool more)
{
    trace_puts(l, "\"");
    for (size_t i = 0; i < size; i++)
        print_char(l, (u8)s[i], i + 1 < size && s[i + 1] >= '0' && s[i + 1] <= '9');
    trace_puts(l, more ? "\"..." : "\"");
}

static void print_buffer(struct trace_line *l, u64 addr, u64 size)
{
    char text[STRING_MAX];
    size_t shown = min(size, (u64)STRING_MAX);

    if (!addr || copy_from_user(text, (const void __user *)addr, shown))
        print_address(l, addr);
    else
        print_quoted(l, text, shown, size > shown);
}

static void print_string(struct trace_line *l, u64 addr, size_t limit)
{
    char text[PATH_SHOWN + 1];
    ssize_t n;

    if (!addr) {
        print_address(l, addr);
        return;
    }
    n = strncpy_from_user(text, (const char __user *)addr, limit + 1);
    if (n == -EFAULT)
        print_address(l, addr);
    else
        print_quoted(l, text, n < 0 ? limit : (size_t)n, n < 0);
}

static void print_strings(struct trace_line *l, u64 addr)
{
    const char *separator = "";

    if (!addr) {
        print_address(l, addr);
        return;
    }
    trace_puts(l, "[");
    for (unsigned i = 0; i < ARRAY_MAX; i++, addr += 8) {
        u64 s;
        if (get_user(s, (const u64 __user *)addr) || !s)
            break;
        trace_puts(l, separator);
        print_string(l, s, STRING_MAX);
        separator = i + 2 < ARRAY_MAX ? ", " : ", ...";
    }
    trace_puts(l, "]");
}

/* ---- Structures ----------------------------------------------------------------------------- */

static void print_value(struct trace_line *l, unsigned kind, unsigned param, u64 v, unsigned width)
{
    switch (kind) {
    case KIND_DEC:
        trace_printf(l, "%ld", sign_extend(v, width));
        break;
    case KIND_UDEC:
        trace_printf(l, "%lu", truncate_to(v, width));
        break;
    case KIND_OCT:
    case KIND_OMODE:
        trace_printf(l, "%#03o", (u32)v);
        break;
    case KIND_FD:
        if ((int)v == AT_FDCWD)
            trace_puts(l, "AT_FDCWD");
        else
            trace_printf(l, "%d", (int)v);
        break;
    case KIND_SIGNAL:
        print_signal(l, (int)v, true);
        break;
    case KIND_MASK:
    case KIND_ENUM:
        print_set(l, param, v, width);
        break;
    case KIND_RLIM:
        print_rlim(l, v);
        break;
    case KIND_FILEMODE:
        print_filemode(l, (u32)v);
        break;
    case KIND_SIGSET_VALUE:
        print_sigset(l, v);
        break;
    case KIND_HANDLER:
        print_handler(l, v);
        break;
    case KIND_ADDR:
        print_address(l, v);
        break;
    default: /* KIND_HEX and what is only known as a number */
        trace_printf(l, "%#lx", truncate_to(v, width));
        break;
    }
}

static bool print_struct(struct trace_line *l, u64 addr, unsigned index);

static bool print_field(struct trace_line *l, u64 addr, const struct struct_field *f)
{
    u64 v = 0;

    if (f->kind == KIND_MORE) {
        trace_puts(l, "...");
        return true;
    }
    trace_printf(l, "%s=", f->name);
    addr += f->offset;
    if (f->kind == KIND_STRUCT)
        return print_struct(l, addr, f->param);
    if (f->kind == KIND_CHARS) {
        print_string(l, addr, min((size_t)f->size, (size_t)STRING_MAX));
        return true;
    }
    if (copy_from_user(&v, (const void __user *)addr, min((size_t)f->size, sizeof(v))))
        return false;
    print_value(l, f->kind, f->param, v, f->size);
    return true;
}

/* False, with what was printed left in the line, when some of it cannot be read. */
static bool print_struct(struct trace_line *l, u64 addr, unsigned index)
{
    const struct struct_desc *s = &g_struct_descs[index];

    trace_puts(l, "{");
    for (unsigned i = 0; i < s->count; i++) {
        if (i)
            trace_puts(l, ", ");
        if (!print_field(l, addr, &s->fields[i]))
            return false;
    }
    trace_puts(l, "}");
    return true;
}

static void print_struct_arg(struct trace_line *l, u64 addr, unsigned index)
{
    size_t start = l->size;

    if (!addr || !print_struct(l, addr, index)) {
        l->size = start;
        print_address(l, addr);
    }
}

static void print_struct_array(struct trace_line *l, u64 addr, unsigned index, u64 count)
{
    u16 size = g_struct_descs[index].size;

    if (!addr) {
        print_address(l, addr);
        return;
    }
    trace_puts(l, "[");
    for (u64 i = 0; i < min(count, (u64)ARRAY_MAX); i++) {
        if (i)
            trace_puts(l, ", ");
        print_struct_arg(l, addr + i * size, index);
    }
    trace_puts(l, count > ARRAY_MAX ? ", ...]" : "]");
}

/* ---- Other pointers ------------------------------------------------------------------------- */

/* `limit`: bytes of data there are over all segments. */
static void print_iov(struct trace_line *l, u64 addr, u64 count, u64 limit)
{
    struct iovec v;

    trace_puts(l, "[");
    for (u64 i = 0; i < min(count, (u64)ARRAY_MAX); i++) {
        if (copy_from_user(&v, (const void __user *)(addr + i * sizeof(v)), sizeof(v)))
            break;
        trace_puts(l, i ? ", {iov_base=" : "{iov_base=");
        print_buffer(l, (u64)(uintptr_t)v.iov_base, min((u64)v.iov_len, limit));
        trace_printf(l, ", iov_len=%lu}", (u64)v.iov_len);
        limit -= min((u64)v.iov_len, limit);
    }
    trace_puts(l, count > ARRAY_MAX ? ", ...]" : "]");
}

static void print_numbers(struct trace_line *l, u64 addr, unsigned width, unsigned count)
{
    u64 v[2] = {0, 0};

    for (unsigned i = 0; i < count; i++) {
        if (copy_from_user(&v[i], (const void __user *)(addr + i * width), width)) {
            print_address(l, addr);
            return;
        }
    }
    trace_printf(l, count == 2 ? "[%ld, %ld]" : "[%ld]", sign_extend(v[0], width),
                 sign_extend(v[1], width));
}

static void print_sigset_arg(struct trace_line *l, u64 addr)
{
    sigset64_t set;

    if (!addr || get_user(set, (const sigset64_t __user *)addr))
        print_address(l, addr);
    else
        print_sigset(l, set);
}

/* ---- Arguments ------------------------------------------------------------------------------ */

/* The size or count that belongs to an argument. */
static u64 length_of(const struct trace_call *call, const struct arg_desc *a)
{
    if (a->len == LEN_NONE)
        return 1;
    return a->len & LEN_FIXED ? a->len & ~LEN_FIXED : call->args[a->len];
}

struct arg_desc trace_resolve(const struct trace_call *call, const struct arg_desc *a)
{
    const struct variant_desc *v;

    if (a->kind == KIND_OMODE && !(call->args[a->len] & (O_CREAT | __O_TMPFILE)))
        return (struct arg_desc){.kind = KIND_NONE};
    if (a->kind != KIND_BY)
        return *a;
    v = &g_variants[a->param];
    for (unsigned i = 0; i < v->count; i++)
        if (v->cases[i].value == (u32)call->args[a->len])
            return v->cases[i].arg;
    return (struct arg_desc){.kind = KIND_HEX, .len = LEN_NONE, .width = 8};
}

static void print_pointer(struct trace_line *l, const struct trace_call *call,
                          const struct arg_desc *a, u64 v)
{
    u64 length = length_of(call, a);
    u64 result = call->result < 0 ? 0 : (u64)call->result;

    if (a->kind == KIND_STR)
        print_string(l, v, a->param ? PATH_SHOWN : STRING_MAX);
    else if (a->kind == KIND_STRV)
        print_strings(l, v);
    else if (a->kind == KIND_BUF)
        print_buffer(l, v, a->out ? min(result, length) : length);
    else if (a->kind == KIND_IOV)
        print_iov(l, v, length, a->out ? result : UINT64_MAX);
    else if (a->kind == KIND_SIGSET)
        print_sigset_arg(l, v);
    else if (a->kind == KIND_STRUCT && a->len == LEN_NONE)
        print_struct_arg(l, v, a->param);
    else if (a->kind == KIND_STRUCT)
        print_struct_array(l, v, a->param, length);
    else
        print_numbers(l, v, a->width, a->kind == KIND_PAIR ? 2 : 1);
}

void trace_arg(struct trace_line *l, const struct trace_call *call, const struct arg_desc *a, u64 v)
{
    bool pointer = a->kind >= KIND_STR && a->kind <= KIND_STRUCT;

    if (pointer && (!v || (a->out && call->result < 0)))
        print_address(l, v);
    else if (pointer)
        print_pointer(l, call, a, v);
    else
        print_value(l, a->kind, a->param, v, a->width);
}

/* ---- Signals -------------------------------------------------------------------------------- */

void trace_signal_name(struct trace_line *l, int sig)
{
    print_signal(l, sig, true);
}

static bool has_address(int sig)
{
    return sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGTRAP;
}

/* {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x8} */
/* Of SIGCHLD: who, and the status, which is a signal's name unless the child exited. */
static void trace_child(struct trace_line *l, const siginfo_t *info)
{
    trace_printf(l, ", si_pid=%d, si_uid=%u, si_status=", info->si_pid, info->si_uid);
    if (info->si_code == CLD_EXITED)
        trace_printf(l, "%d", info->si_status);
    else
        print_signal(l, info->si_status, true);
    trace_printf(l, ", si_utime=%ld, si_stime=%ld", (long)info->si_utime, (long)info->si_stime);
}

void trace_signal(struct trace_line *l, const siginfo_t *info)
{
    int sig = info->si_signo, code = info->si_code;
    bool own = code > 0 && code < SI_KERNEL;

    trace_puts(l, "{si_signo=");
    print_signal(l, sig, true);
    trace_puts(l, ", si_code=");
    print_set(l, own ? g_set_sigcode : g_set_sicode, own ? (u32)sig << 16 | (u32)code : (u32)code,
              4);
    if (code == SI_USER || code == SI_QUEUE || code == SI_TKILL) {
        trace_printf(l, ", si_pid=%d, si_uid=%u", info->si_pid, info->si_uid);
    } else if (own && has_address(sig)) {
        trace_puts(l, ", si_addr=");
        print_address(l, (u64)(uintptr_t)info->si_addr);
    } else if (own && sig == SIGCHLD) {
        trace_child(l, info);
    }
    trace_puts(l, "}");
}
