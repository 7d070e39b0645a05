/* SPDX-License-Identifier: MIT */
/* ELF headers (each way to be malformed), `#!` lines and the initial stack. */
#include "elf_make.h"
#include "../script.h"
#include "../stack.h"

#include <kernel/alloc.h>
#include <kernel/string.h>
#include <layout.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* ---- ELF
 * ------------------------------------------------------------------------------------------ */

static int parse(struct made *m, enum elf_role role, struct elf_image *img)
{
    struct elf_reader r = made_reader(m);

    return elf_parse(&r, role, img);
}

static void well_formed(void **state)
{
    static struct made m;
    struct elf_image img;

    made_init(&m);
    assert_int_equal(parse(&m, ELF_PROGRAM, &img), 0);
    assert_int_equal(img.low, 0);
    assert_int_equal(img.high, 0x6000);
    assert_int_equal(img.brk, 0x5800);
    assert_int_equal(img.phdr_addr, sizeof(Elf64_Ehdr));
    assert_int_equal(img.entry, MADE_CODE_VA);
    assert_int_equal(img.align, PAGE_SIZE);
    assert_true(img.has_stack);
    assert_false(img.stack_exec);
    assert_null(img.interp);
    assert_int_equal(img.start_code, 0);
    assert_int_equal(img.end_code, 0x3000);
    assert_int_equal(img.start_data, 0x3000);
    assert_int_equal(img.end_data, 0x4000);
    elf_free(&img);
}

static void interpreter_path(void **state)
{
    static struct made m;
    struct elf_image img;
    Elf64_Phdr *p;

    made_init(&m);
    p = made_phdr(&m, PT_INTERP, 0x1800, 8);
    memcpy(m.data + 0x1800, "/lib/ld", 8);
    assert_int_equal(parse(&m, ELF_PROGRAM, &img), 0);
    assert_string_equal(img.interp, "/lib/ld");
    elf_free(&img);
    /* An interpreter's own is not looked at. */
    assert_int_equal(parse(&m, ELF_INTERPRETER, &img), 0);
    assert_null(img.interp);
    elf_free(&img);

    p->p_filesz = 7; /* no NUL */
    assert_int_equal(parse(&m, ELF_PROGRAM, &img), -ENOEXEC);
    p->p_filesz = 1;
    assert_int_equal(parse(&m, ELF_PROGRAM, &img), -ENOEXEC);
    p->p_filesz = 4097;
    assert_int_equal(parse(&m, ELF_PROGRAM, &img), -ENOEXEC);
    p->p_filesz = 8;
    p->p_offset = m.size - 4;
    assert_int_equal(parse(&m, ELF_PROGRAM, &img), -EIO);
    p->p_offset = UINT64_MAX - 2;
    assert_int_equal(parse(&m, ELF_PROGRAM, &img), -EIO);
}

/* One change to a well-formed file, and what becomes of it. */
struct change {
    const char *what;
    size_t offset, size;
    u64 value;
    int err;
};

#define EHDR(field, v, e)                                                                          \
    {                                                                                              \
#field, offsetof(Elf64_Ehdr, field), sizeof(((Elf64_Ehdr *)0)->field), v, e                \
    }
#define PHDR(n, field, v, e)                                                                       \
    {                                                                                              \
#n "." #field,                                                                             \
            sizeof(Elf64_Ehdr) + (n) * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, field),           \
            sizeof(((Elf64_Phdr *)0)->field), v, e                                                 \
    }

static void malformed(void **state)
{
    static const struct change changes[] = {
        {"magic", 0, 1, 'E', -ENOEXEC},
        {"class", EI_CLASS, 1, ELFCLASS32, -ENOEXEC},
        {"data", EI_DATA, 1, ELFDATA2MSB, -ENOEXEC},
        EHDR(e_type, ET_REL, -ENOEXEC),
        EHDR(e_type, ET_CORE, -ENOEXEC),
        EHDR(e_machine, 183, -ENOEXEC),
        EHDR(e_machine, 3, -ENOEXEC),
        EHDR(e_phentsize, 32, -ENOEXEC),
        EHDR(e_phnum, 0, -ENOEXEC),
        EHDR(e_phnum, 0xffff, -ENOEXEC),
        EHDR(e_phoff, UINT64_MAX - 8, -ENOEXEC),
        EHDR(e_phoff, 0x6000 - 8, -ENOEXEC),
        EHDR(e_entry, USER_END, -EINVAL),
        EHDR(e_type, ET_EXEC, -EPERM), /* at 0 */
        PHDR(0, p_type, PT_NULL, 0),
        PHDR(0, p_filesz, 0x3001, -EINVAL),
        PHDR(0, p_filesz, UINT64_MAX, -EINVAL),
        PHDR(0, p_offset, 0x123, -EINVAL),
        PHDR(0, p_offset, UINT64_MAX - 0xfff, -ENOEXEC),
        PHDR(0, p_offset, 0x5000, -ENOEXEC),
        PHDR(0, p_vaddr, 1, -EINVAL),
        PHDR(0, p_align, 1UL << 40, -EINVAL),
        PHDR(1, p_memsz, USER_END + 1, -EINVAL),
        PHDR(1, p_memsz, UINT64_MAX, -EINVAL),
        PHDR(1, p_vaddr, UINT64_MAX - 0xfff, -EINVAL),
        PHDR(1, p_vaddr, USER_END - 0x1000, -EINVAL),
        PHDR(1, p_vaddr, 0x1000, -EINVAL), /* overlaps the first */
        PHDR(1, p_memsz, 0x1000, 0),
        PHDR(2, p_type, 0x12345678, 0),
        PHDR(2, p_flags, PF_X, 0),
    };

    for (unsigned i = 0; i < ARRAY_COUNT(changes); i++) {
        const struct change *c = &changes[i];
        static struct made m;
        struct elf_image img;
        int err;

        made_init(&m);
        memcpy(m.data + c->offset, &c->value, c->size);
        err = parse(&m, ELF_PROGRAM, &img);
        if (err != c->err)
            fail_msg("%s = %#lx: %d instead of %d", c->what, (unsigned long)c->value, err, c->err);
        if (!err)
            elf_free(&img);
        err = parse(&m, ELF_INTERPRETER, &img);
        assert_int_equal(err, c->err == -ENOEXEC ? -ELIBBAD : c->err);
        if (!err)
            elf_free(&img);
    }
}

static void cut_anywhere(void **state)
{
    static struct made m;
    struct elf_image img;

    made_init(&m);
    for (m.size = 0; m.size < 0x4000; m.size++)
        assert_int_equal(parse(&m, ELF_PROGRAM, &img), -ENOEXEC);
    assert_int_equal(parse(&m, ELF_PROGRAM, &img), 0);
    elf_free(&img);
}

static void nothing_to_load(void **state)
{
    static struct made m;
    struct elf_image img;

    made_init(&m);
    m.phdrs[0].p_type = m.phdrs[1].p_type = PT_NULL;
    assert_int_equal(parse(&m, ELF_PROGRAM, &img), -EINVAL);
}

/* ---- Scripts
 * -------------------------------------------------------------------------------------- */

static int script(const char *text, size_t size, struct script *out)
{
    static char head[SCRIPT_HEAD_SIZE];

    memset(head, 0, sizeof(head));
    memcpy(head, text, min(size, sizeof(head)));
    return script_parse(head, out);
}

static void script_lines(void **state)
{
    struct script s;

    assert_int_equal(script("#!/bin/sh\necho", 14, &s), 0);
    assert_string_equal(s.interp, "/bin/sh");
    assert_null(s.arg);
    assert_int_equal(script("#! \t/bin/sh  -e x \t\n", 20, &s), 0);
    assert_string_equal(s.interp, "/bin/sh");
    assert_string_equal(s.arg, "-e x");
    assert_int_equal(script("#!/bin/sh \n", 11, &s), 0);
    assert_null(s.arg);
    assert_int_equal(script("#!/bin/sh -x  ", 14, &s), 0); /* no newline: blanks stay */
    assert_string_equal(s.arg, "-x  ");
    assert_int_equal(script("#!/bin/sh\0-x\n", 13, &s), 0);
    assert_null(s.arg);
    assert_int_equal(script("#!", 2, &s), 0);
    assert_string_equal(s.interp, "");
    assert_int_equal(script("#!\n", 3, &s), -ENOEXEC);
    assert_int_equal(script("#! \t\n", 5, &s), -ENOEXEC);
    assert_int_equal(script("#/bin/sh\n", 9, &s), -ENOEXEC);
    assert_int_equal(script("", 0, &s), -ENOEXEC);
}

static void script_limit(void **state)
{
    char text[400];
    struct script s;

    memset(text, 'x', sizeof(text));
    memcpy(text, "#!/", 3);
    assert_int_equal(script(text, 400, &s), -ENOEXEC); /* may be cut off */
    assert_int_equal(script(text, 255, &s), 0);
    assert_int_equal(strlen(s.interp), 253);
    text[255] = ' ';
    assert_int_equal(script(text, 400, &s), 0);
    text[100] = ' ';
    text[255] = 'x';
    assert_int_equal(script(text, 400, &s), 0); /* the argument is cut at the limit */
    assert_int_equal(strlen(s.arg), 154);
    memset(text + 2, ' ', 398);
    assert_int_equal(script(text, 400, &s), -ENOEXEC);
}

/* ---- The stack
 * ------------------------------------------------------------------------------------ */

#define TOP 0x7fff0000UL

static const u64 *word_at(const struct stack_image *img, u64 va)
{
    return (const u64 *)(const void *)(img->data + (va - img->sp));
}

static const char *string_at(const struct stack_image *img, u64 va)
{
    assert_true(va >= img->sp && va < TOP);
    return (const char *)img->data + (va - img->sp);
}

static void stack_layout(void **state)
{
    static char a0[] = "prog", a1[] = "", a2[] = "an argument", e0[] = "A=1", e1[] = "PATH=/bin";
    char *argv[] = {a0, a1, a2, NULL}, *envp[] = {e0, e1, NULL};

    for (u64 jitter = 0; jitter < 64; jitter += 16) {
        struct stack_spec s = {.argv = argv,
                               .argc = 3,
                               .envp = envp,
                               .envc = 2,
                               .execfn = "/bin/prog",
                               .random = "0123456789abcde",
                               .jitter = jitter};
        struct stack_image img;
        const u64 *w;

        auxv_set(&s, AT_PAGESZ, PAGE_SIZE);
        auxv_set(&s, AT_ENTRY, 1);
        auxv_set(&s, AT_ENTRY, 2);
        assert_int_equal(stack_check(&s, 8UL << 20), 0);
        assert_int_equal(stack_build(&s, TOP, &img), 0);
        assert_int_equal(img.sp % 16, 0);
        assert_int_equal(img.sp + img.size, TOP);
        w = word_at(&img, img.sp);
        assert_int_equal(*w++, 3);
        assert_int_equal(w[0], img.arg_start);
        for (unsigned i = 0; i < 3; i++)
            assert_string_equal(string_at(&img, *w++), argv[i]);
        assert_int_equal(*w++, 0);
        assert_int_equal(w[0], img.env_start);
        for (unsigned i = 0; i < 2; i++)
            assert_string_equal(string_at(&img, *w++), envp[i]);
        assert_int_equal(*w++, 0);
        assert_int_equal(w[0], AT_PAGESZ);
        assert_int_equal(w[1], PAGE_SIZE);
        assert_int_equal(w[2], AT_ENTRY);
        assert_int_equal(w[3], 2);
        assert_int_equal(w[4], AT_RANDOM);
        assert_memory_equal(string_at(&img, w[5]), s.random, STACK_RANDOM_SIZE);
        assert_int_equal(w[6], AT_EXECFN);
        assert_string_equal(string_at(&img, w[7]), "/bin/prog");
        assert_int_equal(w[7], img.env_end);
        assert_int_equal(w[8], AT_PLATFORM);
        assert_string_equal(string_at(&img, w[9]), "x86_64");
        assert_int_equal(w[10], AT_NULL);
        assert_int_equal(*word_at(&img, TOP - 8), 0);
        stack_free(&img);
    }
}

static void stack_limits(void **state)
{
    size_t count = 40000;
    char *big = kzalloc(STACK_STRING_MAX + 1), *small = kstrdup("x");
    char **argv = kcalloc(count + 1, sizeof(char *)), *none[] = {NULL};
    struct stack_spec s = {.argv = argv, .argc = 1, .envp = none, .execfn = "x"};

    memset(big, 'y', STACK_STRING_MAX);
    argv[0] = big;
    assert_int_equal(stack_check(&s, 8UL << 20), -E2BIG);
    big[STACK_STRING_MAX - 1] = '\0';
    assert_int_equal(stack_check(&s, 8UL << 20), 0);
    assert_int_equal(stack_check(&s, 64 << 10), -E2BIG); /* 128 KiB, less the pointers */
    for (size_t i = 0; i < count; i++)
        argv[i] = small;
    s.argc = 13000; /* 10 bytes each */
    assert_int_equal(stack_check(&s, 0), 0);
    s.argc = 13200;
    assert_int_equal(stack_check(&s, 0), -E2BIG);
    assert_int_equal(stack_check(&s, 1UL << 20), 0);
    s.argc = SIZE_MAX / 8;
    assert_int_equal(stack_check(&s, UINT64_MAX), -E2BIG);
    kfree(big);
    kfree(small);
    kfree(argv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed),     cmocka_unit_test(interpreter_path),
        cmocka_unit_test(malformed),       cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(nothing_to_load), cmocka_unit_test(script_lines),
        cmocka_unit_test(script_limit),    cmocka_unit_test(stack_layout),
        cmocka_unit_test(stack_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
