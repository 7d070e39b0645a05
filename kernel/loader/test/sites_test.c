/* SPDX-License-Identifier: MIT */
/*
 * Which syscall sites are found and how they are replaced: a corpus of small functions, byte for
 * byte, then the replaced code run for real, then the C libraries of this machine.
 */
#include "elf_make.h"
#include "hosted.h"
#include "../sites.h"

#include <kernel/alloc.h>
#include <kernel/string.h>

#include <cpuid.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

enum outcome { SITE, NONE };

/* A function and the window that must be chosen in it: where it starts, bytes before and behind. */
struct sample {
    const char *what;
    const char *code; /* hexadecimal */
    enum outcome outcome;
    size_t at, pre, post;
};

static const struct sample g_samples[] = {
    {"mov $110,%eax; syscall; ret", "b86e000000 0f05 c3", SITE, 0, 5, 0},
    {"mov $-1,%rax; syscall; ret", "48c7c0ffffffff 0f05 c3", SITE, 0, 7, 0},
    {"mov %r11,8(%rsp); syscall; ret", "4c895c2408 0f05 c3", SITE, 0, 5, 0},
    {"mov %rdi,%rax; syscall; ret", "4889f8 0f05 c3", SITE, 0, 3, 0},
    {"mov %rsi,%rdi; xor %eax,%eax; syscall; ret", "4889f7 31c0 0f05 c3", SITE, 0, 5, 0},
    {"nop; mov %r8,%rdi; mov %edx,%esi; xor %eax,%eax; syscall; ret", "90 4c89c7 89d6 31c0 0f05 c3",
     SITE, 4, 4, 0},
    {"ret; syscall; cmp $-4095,%rax; ret", "c3 0f05 483d01f0ffff c3", SITE, 1, 0, 6},
    {"ret; syscall; mov %rax,%rbx; ret", "c3 0f05 4889c3 c3", SITE, 1, 0, 3},
    {"ret; xor %eax,%eax; syscall; push %rax; ret", "c3 31c0 0f05 50 c3", SITE, 1, 2, 1},
    {"1: syscall; cmp $-4096,%rax; ja 1b; ret", "b827000000 31d2 0f05 483d00f0ffff 77f6 c3", SITE,
     7, 0, 6},
    {"mov $39,%eax; 1: syscall; test %eax,%eax; js 1b: the jump in front, the syscall stays",
     "b827000000 0f05 85c0 78fa c3", SITE, 0, 5, 0},
    {"syscall; syscall: one window each", "b827000000 0f05 b86e000000 0f05 c3", SITE, 0, 5, 0},
    {"jmp to the syscall behind three bytes", "eb03 4889f8 0f05 c3", NONE, 0, 0, 0},
    {"lea of the syscall behind three bytes", "488d0503000000 4889f8 0f05 c3", NONE, 0, 0, 0},
    {"jmp behind the syscall that would be covered", "eb03 c3 0f05 4889c3 c3", NONE, 0, 0, 0},
    {"only four bytes", "31c0 0f05 c3", NONE, 0, 0, 0},
    {"relative to RIP", "488d3500000000 0f05 c3", NONE, 0, 0, 0},
    {"call before, ret behind", "e800000000 0f05 c3", NONE, 0, 0, 0},
    {"rt_sigreturn", "b80f000000 0f05 c3", NONE, 0, 0, 0},
    {"rt_sigreturn as glibc has it", "48c7c00f000000 0f05", NONE, 0, 0, 0},
    {"inside a constant", "b80f050100 c3", NONE, 0, 0, 0},
    {"inside an instruction", "660f0f05 b827000000 c3", NONE, 0, 0, 0},
    {"no valid code before", "06 b86e000000 0f05 c3", NONE, 0, 0, 0},
    {"the last instruction crosses the end", "b86e000000 0f05 e800", NONE, 0, 0, 0},
};

static size_t from_hex(const char *hex, u8 *out)
{
    size_t n = 0;
    unsigned byte;

    for (; *hex; hex += 2) {
        while (*hex == ' ')
            hex++;
        if (sscanf(hex, "%2x", &byte) != 1)
            break;
        out[n++] = (u8)byte;
    }
    return n;
}

static void find(struct made *m, struct site_list *l)
{
    struct elf_reader r = made_reader(m);

    assert_int_equal(sites_find(&r, l), 0);
}

static void corpus(void **state)
{
    for (unsigned i = 0; i < ARRAY_COUNT(g_samples); i++) {
        const struct sample *s = &g_samples[i];
        static struct made m;
        struct site_list l;
        u8 code[64];
        size_t size = from_hex(s->code, code);

        made_init(&m);
        made_code(&m, code, size, (size_t[]){size, 0});
        find(&m, &l);
        if ((l.count > 0) != (s->outcome == SITE))
            fail_msg("%s: %zu sites", s->what, l.count);
        if (l.count > 0 && (l.sites[0].offset != MADE_CODE_OFF + s->at ||
                            l.sites[0].pre != s->pre || l.sites[0].post != s->post))
            fail_msg("%s: at %lu, %u before, %u behind", s->what,
                     (unsigned long)(l.sites[0].offset - MADE_CODE_OFF), l.sites[0].pre,
                     l.sites[0].post);
        if (l.count > 0)
            assert_memory_equal(l.sites[0].bytes, code + s->at, site_size(&l.sites[0]));
        sites_free(&l);
    }
}

/* A branch from another function leads to the syscall: the window must start there. */
static void referred_from_elsewhere(void **state)
{
    static struct made m;
    struct site_list l;
    u8 code[32];
    size_t size = from_hex("4889f8 0f05 4889c2 c3 e9f5ffffff", code); /* jmp to 3 */

    made_init(&m);
    made_code(&m, code, size, (size_t[]){9, 5, 0});
    find(&m, &l);
    assert_int_equal(l.count, 1);
    assert_int_equal(l.sites[0].offset, MADE_CODE_OFF + 3);
    assert_int_equal(l.sites[0].pre, 0);
    assert_int_equal(l.sites[0].post, 3);
    sites_free(&l);
}

/* A function without a symbol between two with: proven by a sweep that meets the next one's start.
 */
static void swept(void **state)
{
    static struct made m;
    struct site_list l;
    u8 code[32];
    size_t size = from_hex("31c0 c3 90 b827000000 0f05 c3 90 31c0 c3", code);

    made_init(&m);
    made_code(&m, code, size, (size_t[]){3, 10 | MADE_NO_SYMBOL, 3, 0});
    find(&m, &l);
    assert_int_equal(l.count, 1);
    sites_free(&l);

    code[4 + 8] = 0xe8; /* the sweep runs over the next function's start */
    made_init(&m);
    made_code(&m, code, size, (size_t[]){3, 10 | MADE_NO_SYMBOL, 3, 0});
    find(&m, &l);
    assert_int_equal(l.count, 0);
    sites_free(&l);
}

static void never_across_pages(void **state)
{
    static struct made m;
    static u8 code[0x1100];
    struct site_list l;

    for (size_t at = 0xff0; at < 0x1008; at++) {
        memset(code, 0x90, sizeof(code));
        from_hex("b827000000 0f05 483d01f0ffff c3", code + at);
        made_init(&m);
        made_code(&m, code, sizeof(code), (size_t[]){sizeof(code), 0});
        find(&m, &l);
        assert_int_equal(l.count, 1);
        assert_int_equal(page_down(l.sites[0].offset),
                         page_down(l.sites[0].offset + SITE_PATCH_SIZE - 1));
        /* Where the first instruction crosses, what stands behind the syscall serves. */
        assert_int_equal(l.sites[0].pre, at > 0xffb && at < 0x1000 ? 0 : 5);
        sites_free(&l);
    }
}

/* ---- Addresses
 * ------------------------------------------------------------------------------------ */

/* hide() undoes show() at every instruction of the site; what the trampoline adds is the syscall.
 */
static void check_addresses(const struct site *s, const size_t *starts)
{
    const u64 va = 0x10000, at = 0x20000;
    struct regs r;

    for (; *starts != SIZE_MAX; starts++) {
        bool behind_straight = *starts >= s->pre + 2u && s->post == 0;

        r = (struct regs){.rip = va + *starts};
        if (*starts == 0 || behind_straight) {
            assert_false(trampoline_show(s, va, at, &r));
            assert_int_equal(r.rip, va + *starts);
            continue;
        }
        assert_true(trampoline_show(s, va, at, &r));
        assert_in_range(r.rip, at + 1, at + trampoline_size(s) - 1);
        assert_true(trampoline_hide(s, va, at, &r, 77));
        assert_int_equal(r.rip, va + *starts);
    }
    /* Between RCX being set and the jump; RCX is dead there. */
    r = (struct regs){.rip = at + s->pre + 7, .rcx = 5};
    assert_true(trampoline_hide(s, va, at, &r, 77));
    assert_int_equal(r.rip, va + s->pre);
    r = (struct regs){.rip = at + trampoline_size(s)};
    assert_false(trampoline_hide(s, va, at, &r, 77));
    r = (struct regs){.rip = at - 1};
    assert_false(trampoline_hide(s, va, at, &r, 77));
}

static void addresses(void **state)
{
    struct site a = {.pre = 5}, b = {.pre = 0, .post = 6}, c = {.pre = 5, .post = 3};
    struct regs r;

    check_addresses(&a, (size_t[]){0, 5, SIZE_MAX});
    check_addresses(&b, (size_t[]){0, 2, SIZE_MAX});
    check_addresses(&c, (size_t[]){0, 3, 5, 7, SIZE_MAX});

    /* In the kernel, or just back: RIP and RCX are what the syscall would leave. */
    r = (struct regs){.rip = 0x20000 + 15, .rcx = 0x20000 + 15};
    assert_true(trampoline_hide(&b, 0x10000, 0x20000, &r, 77));
    assert_int_equal(r.rip, 0x10002);
    assert_int_equal(r.rcx, 0x10002);
    /* At the jump back. */
    r = (struct regs){.rip = 0x20000 + 15 + 6, .rcx = 7};
    assert_true(trampoline_hide(&b, 0x10000, 0x20000, &r, 77));
    assert_int_equal(r.rip, 0x10008);
    assert_int_equal(r.rcx, 7);
}

/* RCX is an input of CPUID: kept while the trampoline has another use for it. */
static void cpuid_addresses(void **state)
{
    struct site s = {.pre = 5, .post = 3, .cpuid = true};
    struct regs r;

    check_addresses(&s, (size_t[]){0, 3, 5, 7, SIZE_MAX});
    r = (struct regs){.rip = 0x20000 + 5 + 9, .rcx = 4}; /* at the LEA */
    assert_true(trampoline_hide(&s, 0x10000, 0x20000, &r, 77));
    assert_int_equal(r.rip, 0x10005);
    assert_int_equal(r.rcx, 4);
    r = (struct regs){.rip = 0x20000 + 5 + 16, .rcx = 0x20000 + 29}; /* at the jump */
    assert_true(trampoline_hide(&s, 0x10000, 0x20000, &r, 77));
    assert_int_equal(r.rip, 0x10005);
    assert_int_equal(r.rcx, 77);
    r = (struct regs){.rip = 0x20000 + 29, .rcx = 6}; /* behind it: a result */
    assert_true(trampoline_hide(&s, 0x10000, 0x20000, &r, 77));
    assert_int_equal(r.rip, 0x10007);
    assert_int_equal(r.rcx, 6);
}

static void out_of_reach(void **state)
{
    struct site s = {.pre = 5};
    u8 out[TRAMPOLINE_MAX];

    assert_true(trampoline_write(&s, 0x10000, 0x10000 + (1UL << 31) - 64, out));
    assert_false(trampoline_write(&s, 0x10000, 0x10000 + (1UL << 31) + 64, out));
    assert_false(trampoline_write(&s, 0x200000000, 0x10000, out));
}

/* ---- For real
 * ------------------------------------------------------------------------------------- */

#define CODE_MEMORY 0x20000

/* For text, and in its second half for trampolines. */
static u8 *code_memory(void)
{
    return mmap(NULL, CODE_MEMORY, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* The file at `text`, its sites replaced, their trampolines at `block`. */
static void install(const struct made *m, const struct site_list *l, u8 *text, u8 *block)
{
    memcpy(text, m->data, sizeof(m->data));
    for (size_t i = 0; i < l->count; i++) {
        u64 va = (u64)text + l->sites[i].offset, at = (u64)block + l->sites[i].trampoline;

        assert_true(trampoline_write(&l->sites[i], va, at, (u8 *)at));
        trampoline_patch(va, at, (u8 *)va);
    }
}

static void run_replaced(void **state)
{
    static struct made m;
    struct site_list l;
    u8 *text = code_memory(), *block = text + 0x10000;
    u8 code[256];
    /* getppid in front; getpid behind, in a loop; with a value kept in the red zone; both sides */
    size_t a = from_hex("b86e000000 0f05 c3", code);
    size_t b = from_hex("b827000000 31d2 0f05 483d00f0ffff 77f6 c3", code + a);
    size_t c = from_hex("c74424f8 2a000000 89f8 0f05 8b4424f8 c3", code + a + b);
    size_t d = from_hex("6a27 58 eb00 90 0f05 50 4889c2 58 c3", code + a + b + c);
    long (*fn)(long);
    u64 calls;

    made_init(&m);
    made_code(&m, code, a + b + c + d, (size_t[]){a, b, c, d, 0});
    find(&m, &l);
    assert_int_equal(l.count, 4);
    install(&m, &l, text, block);
    hosted_gs_install();
    calls = hosted_calls;
    fn = (void *)(text + MADE_CODE_OFF);
    assert_int_equal(fn(0), getppid());
    assert_int_equal(hosted_last_rcx, (u64)text + MADE_CODE_OFF + 7);
    fn = (void *)(text + MADE_CODE_OFF + a);
    assert_int_equal(fn(0), getpid());
    fn = (void *)(text + MADE_CODE_OFF + a + b);
    assert_int_equal(fn(39), 42);
    assert_int_equal(hosted_last_nr, 39);
    fn = (void *)(text + MADE_CODE_OFF + a + b + c);
    assert_int_equal(fn(0), getpid());
    assert_int_equal(hosted_calls, calls + 4);
    sites_free(&l);
    munmap(text, CODE_MEMORY);
}

/* With RCX as an input, and results that instructions behind it use. */
static void run_cpuid(void **state)
{
    static struct made m;
    struct site_list l;
    u8 *text = code_memory(), *block = text + 0x10000;
    u8 code[256];
    size_t a = from_hex("53 b804000000 b902000000 0fa2 89c8 5b c3", code); /* a move in front */
    size_t b = from_hex("53 89f8 89f1 eb00 0fa2 89d8 90 5b c3", code + a); /* jumped to: moves behind */
    unsigned (*fn)(unsigned leaf, unsigned subleaf);
    unsigned eax, ebx, ecx, edx;
    u64 calls;

    made_init(&m);
    made_code(&m, code, a + b, (size_t[]){a, b, 0});
    find(&m, &l);
    assert_int_equal(l.count, 2);
    install(&m, &l, text, block);
    assert_true(l.sites[0].cpuid && l.sites[1].cpuid);
    hosted_gs_install();
    calls = hosted_cpuids;
    __cpuid_count(4, 2, eax, ebx, ecx, edx);
    fn = (void *)(text + MADE_CODE_OFF);
    assert_int_equal(fn(0, 0), ecx);
    __cpuid_count(7, 0, eax, ebx, ecx, edx);
    fn = (void *)(text + MADE_CODE_OFF + a);
    assert_int_equal(fn(7, 0), ebx);
    assert_int_equal(hosted_cpuids, calls + 2);
    sites_free(&l);
    munmap(text, CODE_MEMORY);
}

static ssize_t read_fd(void *ctx, void *buf, size_t size, u64 pos)
{
    return pread(*(int *)ctx, buf, size, (off_t)pos);
}

/* Of what a C library's code really holds, at most 1 in 50 may be left to the trap. */
static void real_libraries(void **state)
{
    static const char *const names[] = {
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib64/ld-linux-x86-64.so.2",
        "/lib/ld-musl-x86_64.so.1",
        "/bin/busybox",
    };

    for (unsigned i = 0; i < ARRAY_COUNT(names); i++) {
        struct site_list l;
        int fd = open(names[i], O_RDONLY);
        size_t calls;

        if (fd < 0)
            continue;
        assert_int_equal(
            sites_find(&(struct elf_reader){read_fd, &fd, (u64)lseek(fd, 0, SEEK_END)}, &l), 0);
        close(fd);
        calls = l.candidates - l.data;
        printf("%s: %zu of %zu rewritten\n", names[i], l.count, calls);
        assert_true(calls == 0 || calls - l.count <= 2 + calls / 50);
        sites_free(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corpus),       cmocka_unit_test(referred_from_elsewhere),
        cmocka_unit_test(swept),        cmocka_unit_test(never_across_pages),
        cmocka_unit_test(addresses),    cmocka_unit_test(cpuid_addresses),
        cmocka_unit_test(out_of_reach),
        cmocka_unit_test(run_replaced), cmocka_unit_test(run_cpuid),
        cmocka_unit_test(real_libraries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
