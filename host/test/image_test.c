/* SPDX-License-Identifier: MIT */
/* image.c: damaged kernel files end in -ENOEXEC, and the page list is what layout.h says. */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "image.h"
#include "layout.h"
#include "manifest.h"

static uint8_t g_elf[0x4000] __attribute__((aligned(16)));
static uint8_t g_manifest[sizeof(struct manifest)];
static char g_why[256];

static Elf64_Ehdr *header(void)
{
    return (void *)g_elf;
}

static Elf64_Phdr *segment(int i)
{
    return (Elf64_Phdr *)(void *)(g_elf + sizeof(Elf64_Ehdr)) + i;
}

static int setup(void **state)
{
    static const uint32_t flags[] = {PF_R | PF_X, PF_R, PF_R | PF_W};

    (void)state;
    memset(g_elf, 0, sizeof(g_elf));
    memcpy(header()->e_ident, ELFMAG, SELFMAG);
    header()->e_ident[EI_CLASS] = ELFCLASS64;
    header()->e_ident[EI_DATA] = ELFDATA2LSB;
    header()->e_machine = EM_X86_64;
    header()->e_type = ET_EXEC;
    header()->e_phentsize = sizeof(Elf64_Phdr);
    header()->e_phoff = sizeof(Elf64_Ehdr);
    header()->e_phnum = 3;
    header()->e_entry = KIMAGE_START + 8;
    for (int i = 0; i < 3; i++) {
        segment(i)->p_type = PT_LOAD;
        segment(i)->p_flags = flags[i];
        segment(i)->p_vaddr = KIMAGE_START + (uint64_t)i * 0x2000;
        segment(i)->p_offset = 0x1000 * (uint64_t)(i + 1);
        segment(i)->p_filesz = 0x1000;
        segment(i)->p_memsz = 0x1001;
    }
    memset(g_elf + 0x1000, 0xab, 0x3000);
    return 0;
}

static int build(size_t elf_size)
{
    struct image image;
    int ret = image_build_from(&image, g_elf, elf_size, g_manifest, sizeof(g_manifest), g_why,
                               sizeof(g_why));

    if (ret == 0)
        image_free(&image);
    return ret;
}

static void test_page_list(void **state)
{
    struct image image;
    uint64_t end = 0;

    (void)state;
    assert_int_equal(image_build_from(&image, g_elf, sizeof(g_elf), g_manifest, sizeof(g_manifest),
                                      g_why, sizeof(g_why)),
                     0);
    assert_int_equal(image.run_count, 1 + 5 + 3);
    assert_int_equal(image.page_count, 1 + (1 + 8 + 2 + 1 + 8) + 3 * 2);
    for (size_t i = 0; i < image.run_count; i++) {
        assert_true(image.runs[i].va >= end);
        assert_int_equal((uintptr_t)image.runs[i].data % ENCLAVE_PAGE_SIZE, 0);
        end = image.runs[i].va + image.runs[i].size;
    }
    assert_int_equal(image.tcs, BOOT_START);
    assert_int_equal(((const uint8_t *)image.runs[8].data)[0xfff], 0xab);
    assert_int_equal(((const uint8_t *)image.runs[8].data)[0x1000], 0);
    image_free(&image);
}

static void test_cut_anywhere(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof(g_elf); size++)
        assert_int_equal(build(size), -ENOEXEC);
    assert_int_equal(build(sizeof(g_elf)), 0);
}

#define REFUSED(change)                                                                            \
    do {                                                                                           \
        (void)setup(NULL);                                                                         \
        change;                                                                                    \
        assert_int_equal(build(sizeof(g_elf)), -ENOEXEC);                                          \
    } while (0)

static void test_bad_headers(void **state)
{
    (void)state;
    REFUSED(header()->e_ident[0] = 0);
    REFUSED(header()->e_machine = EM_AARCH64);
    REFUSED(header()->e_ident[EI_CLASS] = ELFCLASS32);
    REFUSED(header()->e_type = ET_REL);
    REFUSED(header()->e_phnum = 0);
    REFUSED(header()->e_phnum = 0xffff);
    REFUSED(header()->e_phoff = UINT64_MAX - 7);
    REFUSED(header()->e_phoff = 65);
    REFUSED(header()->e_entry = KIMAGE_START + 0x2000);
    REFUSED(header()->e_entry = 0);
}

static void test_bad_segments(void **state)
{
    (void)state;
    REFUSED(segment(1)->p_vaddr = KIMAGE_START + 0x1000); /* overlaps the first */
    REFUSED(segment(0)->p_vaddr = USER_START);
    REFUSED(segment(2)->p_vaddr += 8);
    REFUSED(segment(2)->p_vaddr = UINT64_MAX & ~0xfffUL);
    REFUSED(segment(2)->p_memsz = UINT64_MAX);
    REFUSED(segment(2)->p_filesz = 0x1002);
    REFUSED(segment(2)->p_offset = UINT64_MAX);
    REFUSED(segment(2)->p_flags = PF_R | PF_W | PF_X);
    REFUSED(segment(2)->p_flags = PF_W);
    REFUSED(segment(1)->p_type = PT_INTERP);
    REFUSED(for (int i = 0; i < 3; i++) segment(i)->p_type = PT_NULL);
}

static void test_manifest_size(void **state)
{
    static uint8_t large[MANIFEST_SIZE_MAX + 1];
    struct image image;

    (void)state;
    assert_int_equal(image_build_from(&image, g_elf, sizeof(g_elf), large, sizeof(large), g_why,
                                      sizeof(g_why)),
                     -E2BIG);
    assert_int_equal(image_build_from(&image, g_elf, sizeof(g_elf), large, 8, g_why, sizeof(g_why)),
                     -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_page_list, setup),
        cmocka_unit_test_setup(test_cut_anywhere, setup),
        cmocka_unit_test_setup(test_bad_headers, setup),
        cmocka_unit_test_setup(test_bad_segments, setup),
        cmocka_unit_test_setup(test_manifest_size, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
