/* SPDX-License-Identifier: MIT */
/*
 * vsnprintf and snprintf (kernel/string.h says which conversions). No locale, no floating point, no
 * allocation; safe in any context.
 */
#include <kernel/string.h>

#ifndef ADYTON_HOSTED

struct out {
    char *buf;
    size_t size;   /* of buf; 0: count only */
    size_t length; /* of the whole text so far */
};

struct spec {
    bool left, plus, space, alt, zero;
    int width;
    int precision; /* -1: none */
    char length;   /* 'H' for hh, 'L' for ll, else the letter, 0 for none */
};

static void put(struct out *o, char c)
{
    if (o->length + 1 < o->size)
        o->buf[o->length] = c;
    o->length++;
}

static void put_n(struct out *o, const char *s, size_t n)
{
    if (o->length < o->size) {
        size_t room = o->size - o->length - 1;
        memcpy(o->buf + o->length, s, min(n, room));
    }
    o->length += n;
}

static void pad(struct out *o, char c, int n)
{
    while (n-- > 0)
        put(o, c);
}

static void put_padded(struct out *o, const struct spec *sp, const char *s, size_t n)
{
    int fill = sp->width > (int)n ? sp->width - (int)n : 0;

    if (!sp->left)
        pad(o, ' ', fill);
    put_n(o, s, n);
    if (sp->left)
        pad(o, ' ', fill);
}

/* Digits of v in `base` to the end of buf[24]; returns their start. No digits for zero. */
static char *digits(char *end, u64 v, unsigned base, bool upper)
{
    const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";

    for (; v; v /= base)
        *--end = set[v % base];
    return end;
}

/* Sign or prefix, zeros up to the precision (or the width with the 0 flag), digits. */
static void put_number(struct out *o, const struct spec *sp, u64 v, unsigned base, bool upper,
                       const char *prefix)
{
    char buf[24];
    char *end = buf + sizeof(buf), *start = digits(end, v, base, upper);
    int count = (int)(end - start), before = (int)strlen(prefix);
    int precision = sp->precision < 0 ? 1 : sp->precision;
    int zeros, fill;

    if (base == 8 && sp->alt && precision <= count)
        precision = count + 1;
    zeros = precision > count ? precision - count : 0;
    fill = sp->width - before - zeros - count;
    if (sp->zero && !sp->left && sp->precision < 0 && fill > 0) {
        zeros += fill;
        fill = 0;
    }
    if (!sp->left)
        pad(o, ' ', fill);
    put_n(o, prefix, (size_t)before);
    pad(o, '0', zeros);
    put_n(o, start, (size_t)count);
    if (sp->left)
        pad(o, ' ', fill);
}

/* A number that fits an int, or -1 when `*p` is not at one; `*` takes it from the arguments. */
#define PARSE_LIMIT 1000000

static int parse_digits(const char **p)
{
    int n = 0;

    while (**p >= '0' && **p <= '9') {
        n = min(n * 10 + (**p - '0'), PARSE_LIMIT);
        ++*p;
    }
    return n;
}

static const char *parse_flags(const char *p, struct spec *sp)
{
    for (;; p++) {
        if (*p == '-')
            sp->left = true;
        else if (*p == '+')
            sp->plus = true;
        else if (*p == ' ')
            sp->space = true;
        else if (*p == '#')
            sp->alt = true;
        else if (*p == '0')
            sp->zero = true;
        else
            return p;
    }
}

static const char *parse_length(const char *p, struct spec *sp)
{
    if (p[0] == 'h' && p[1] == 'h') {
        sp->length = 'H';
        return p + 2;
    }
    if (p[0] == 'l' && p[1] == 'l') {
        sp->length = 'L';
        return p + 2;
    }
    if (*p == 'h' || *p == 'l' || *p == 'z' || *p == 'j' || *p == 't')
        sp->length = *p++;
    return p;
}

static s64 arg_signed(va_list *ap, char length)
{
    if (length == 'H')
        return (signed char)va_arg(*ap, int);
    if (length == 'h')
        return (short)va_arg(*ap, int);
    return length ? va_arg(*ap, long) : va_arg(*ap, int);
}

static u64 arg_unsigned(va_list *ap, char length)
{
    if (length == 'H')
        return (unsigned char)va_arg(*ap, unsigned);
    if (length == 'h')
        return (unsigned short)va_arg(*ap, unsigned);
    return length ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned);
}

static void convert_signed(struct out *o, const struct spec *sp, s64 v)
{
    const char *sign = v < 0 ? "-" : sp->plus ? "+" : sp->space ? " " : "";

    put_number(o, sp, v < 0 ? 0 - (u64)v : (u64)v, 10, false, sign);
}

static void convert_string(struct out *o, const struct spec *sp, const char *s)
{
    if (!s)
        s = "(null)";
    put_padded(o, sp, s, sp->precision < 0 ? strlen(s) : strnlen(s, (size_t)sp->precision));
}

static void convert(struct out *o, struct spec *sp, char c, va_list *ap)
{
    if (c == 'd' || c == 'i') {
        convert_signed(o, sp, arg_signed(ap, sp->length));
    } else if (c == 'u') {
        put_number(o, sp, arg_unsigned(ap, sp->length), 10, false, "");
    } else if (c == 'x' || c == 'X') {
        u64 v = arg_unsigned(ap, sp->length);
        put_number(o, sp, v, 16, c == 'X', sp->alt && v ? (c == 'X' ? "0X" : "0x") : "");
    } else if (c == 'o') {
        put_number(o, sp, arg_unsigned(ap, sp->length), 8, false, "");
    } else if (c == 'p') {
        put_number(o, sp, (u64)va_arg(*ap, void *), 16, false, "0x");
    } else if (c == 's') {
        convert_string(o, sp, va_arg(*ap, const char *));
    } else if (c == 'c') {
        char ch = (char)va_arg(*ap, int);
        put_padded(o, sp, &ch, 1);
    } else if (c) {
        put(o, c); /* %% and what is unknown */
    }
}

/* One conversion after '%'; returns what follows it. */
static const char *format_one(struct out *o, const char *p, va_list *ap)
{
    struct spec sp = {.precision = -1};

    p = parse_flags(p, &sp);
    if (*p == '*') {
        sp.width = va_arg(*ap, int);
        sp.left |= sp.width < 0;
        sp.width = sp.width < 0 ? -max(sp.width, -PARSE_LIMIT) : min(sp.width, PARSE_LIMIT);
        p++;
    } else {
        sp.width = parse_digits(&p);
    }
    if (*p == '.') {
        p++;
        if (*p == '*') {
            sp.precision = max(va_arg(*ap, int), -1);
            p++;
        } else {
            sp.precision = parse_digits(&p);
        }
    }
    p = parse_length(p, &sp);
    convert(o, &sp, *p, ap);
    return *p ? p + 1 : p;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct out o = {.buf = buf, .size = size};
    va_list args;

    va_copy(args, ap);
    while (*fmt) {
        if (*fmt == '%')
            fmt = format_one(&o, fmt + 1, &args);
        else
            put(&o, *fmt++);
    }
    va_end(args);
    if (size)
        buf[min(o.length, size - 1)] = 0;
    return (int)min(o.length, (size_t)INT32_MAX);
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(buf, size, fmt, ap);
    va_end(ap);
    return n;
}

#endif /* !ADYTON_HOSTED */
