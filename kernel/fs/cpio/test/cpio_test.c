/* SPDX-License-Identifier: MIT */
/* Archives into ramfs: names, links, types, replacing; and archives cut or spoilt at every byte. */
#include "../../../vfs/test/vfs_host.h"

#include <kernel/alloc.h>
#include <kernel/time.h>

#include <manifest.h>

#include "../../../vfs/internal.h"
#include "../../../vfs/pagecache.h"
#include "../../ramfs/ramfs.h"
#include "../populate.h"

/* ---- Making archives ---------------------------------------------------------------------------- */

static char g_archive[1 << 16];
static size_t g_size;

struct item {
    const char *name;
    u32 mode;
    const char *data;
    u32 ino, nlink, rdev_minor;
};

static void pad(void)
{
    while (g_size % 4)
        g_archive[g_size++] = '\0';
}

static void add(const struct item *it)
{
    u32 size = it->data ? (u32)strlen(it->data) : 0;
    int n = snprintf(g_archive + g_size, sizeof(g_archive) - g_size,
                     "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", it->ino, it->mode,
                     7, 8, it->nlink ? it->nlink : 1, 1000000000, size, 3, 1, 1, it->rdev_minor,
                     (u32)strlen(it->name) + 1, 0);

    assert_int_equal(n, CPIO_HEADER_SIZE);
    g_size += (size_t)n;
    memcpy(g_archive + g_size, it->name, strlen(it->name) + 1);
    g_size += strlen(it->name) + 1;
    pad();
    if (size)
        memcpy(g_archive + g_size, it->data, size);
    g_size += size;
    pad();
}

static void begin(void)
{
    g_size = 0;
}

static void end(void)
{
    add(&(struct item){.name = "TRAILER!!!"});
}

/* ---- Unpacking them -------------------------------------------------------------------------------- */

static int read_archive(void *ctx, u64 offset, void *buf, size_t size)
{
    (void)ctx;
    assert_true(offset + size <= g_size);
    memcpy(buf, g_archive + offset, size);
    return 0;
}

static int fill(struct inode *inode, u64 index, void *page)
{
    u64 start = index * PAGE_SIZE;

    memcpy(page, g_archive + ramfs_info(inode)->archive_offset + start,
           min(inode->cache->backed_size - start, PAGE_SIZE));
    return 0;
}

static const struct pagecache_ops g_ops = {.fill = fill};
static struct cpio_error g_error;

static struct superblock *fresh_sb(void)
{
    static struct fs_type type = {.name = "test"};
    struct superblock *sb = sb_create(&type, NULL, 0);

    sb->root = ramfs_inode_create(sb, S_IFDIR | 0755, 0, NULL);
    sb->root->nlink = 2;
    return sb;
}

static int unpack(struct superblock *sb, u64 size)
{
    struct cpio_reader r = {.read = read_archive, .size = size};

    return cpio_populate(sb, &r, &g_ops, &g_error);
}

/* The archive must be refused for that reason. */
static void refused(const char *why)
{
    struct superblock *sb = fresh_sb();

    assert_int_equal(unpack(sb, g_size), -EINVAL);
    assert_string_equal(g_error.why, why);
    sb_put(sb);
}

/* The archive onto the root that the calls see. */
static void unpack_here(void)
{
    struct path root;

    mount_root_path(&root);
    assert_int_equal(unpack(root.mnt->sb, g_size), 0);
    path_put(&root);
    dcache_shrink(1000000);
}

static void types_and_attributes(void **state)
{
    char text[16];

    begin();
    add(&(struct item){.name = ".", .mode = S_IFDIR | 0751});
    add(&(struct item){.name = "t", .mode = S_IFDIR | 0700});
    add(&(struct item){.name = "./t/file", .mode = S_IFREG | 04751, .data = "content"});
    add(&(struct item){.name = "/t/link", .mode = S_IFLNK | 0777, .data = "file"});
    add(&(struct item){.name = "t//null", .mode = S_IFCHR | 0666, .rdev_minor = 3});
    add(&(struct item){.name = "t/fifo", .mode = S_IFIFO | 0600});
    add(&(struct item){.name = "t/sock", .mode = S_IFSOCK | 0600});
    add(&(struct item){.name = "t/empty", .mode = S_IFREG | 0600});
    end();
    unpack_here();
    assert_int_equal(stat_of("/").st_mode, S_IFDIR | 0751);
    assert_int_equal(stat_of("/t").st_mode, S_IFDIR | 0700);
    assert_int_equal(stat_of("/t").st_nlink, 2);
    assert_int_equal(stat_of("/t/file").st_mode, S_IFREG | 04751);
    assert_int_equal(stat_of("/t/file").st_uid, 7);
    assert_int_equal(stat_of("/t/file").st_gid, 8);
    assert_int_equal(stat_of("/t/file").st_mtime, 1000000000);
    assert_int_equal(stat_of("/t/file").st_size, 7);
    assert_int_equal(stat_of("/t/file").st_blocks, 8);
    assert_string_equal(text_of("/t/link"), "content");
    assert_int_equal(sys_readlink("/t/link", text, sizeof(text)), 4);
    assert_int_equal(stat_of("/t/null").st_rdev, 0x103);
    assert_true(S_ISFIFO(stat_of("/t/fifo").st_mode));
    assert_true(S_ISSOCK(stat_of("/t/sock").st_mode));
    assert_int_equal(stat_of("/t/empty").st_size, 0);
    /* written like any other file */
    make_file("/t/file", "new");
    assert_string_equal(text_of("/t/file"), "new");
}

static void implied_and_repeated(void **state)
{
    begin();
    add(&(struct item){.name = "i/am/deep/file", .mode = S_IFREG | 0644, .data = "1"});
    add(&(struct item){.name = "i/am", .mode = S_IFDIR | 0711});
    add(&(struct item){.name = "i/am/deep/file", .mode = S_IFREG | 0600, .data = "later"});
    add(&(struct item){.name = "i/x", .mode = S_IFLNK | 0777, .data = "am/deep"});
    add(&(struct item){.name = "i/x/through", .mode = S_IFREG | 0600, .data = "link"});
    add(&(struct item){.name = "i/x/../up", .mode = S_IFREG | 0600, .data = "up"});
    add(&(struct item){.name = "i/swap", .mode = S_IFREG | 0600, .data = "f"});
    add(&(struct item){.name = "i/swap/", .mode = S_IFDIR | 0700});
    add(&(struct item){.name = "i/swap/in", .mode = S_IFREG | 0600, .data = "in"});
    end();
    unpack_here();
    assert_int_equal(stat_of("/i").st_mode, S_IFDIR | 0755);
    assert_int_equal(stat_of("/i/am").st_mode, S_IFDIR | 0711);
    assert_string_equal(text_of("/i/am/deep/file"), "later");
    assert_int_equal(stat_of("/i/am/deep/file").st_mode, S_IFREG | 0600);
    assert_string_equal(text_of("/i/am/deep/through"), "link");
    assert_string_equal(text_of("/i/am/up"), "up");
    assert_string_equal(text_of("/i/swap/in"), "in");
}

static void hard_links(void **state)
{
    begin(); /* data with the last, as GNU cpio writes them */
    add(&(struct item){.name = "h1", .mode = S_IFREG | 0644, .ino = 5, .nlink = 3});
    add(&(struct item){.name = "h2", .mode = S_IFREG | 0644, .ino = 5, .nlink = 3});
    add(&(struct item){.name = "h3", .mode = S_IFREG | 0644, .ino = 5, .nlink = 3, .data = "shared"});
    add(&(struct item){.name = "g1", .mode = S_IFREG | 0644, .ino = 6, .nlink = 2, .data = "first"});
    add(&(struct item){.name = "g2", .mode = S_IFREG | 0644, .ino = 6, .nlink = 2});
    add(&(struct item){.name = "b1", .mode = S_IFREG | 0644, .ino = 7, .nlink = 2, .data = "old"});
    add(&(struct item){.name = "b2", .mode = S_IFREG | 0644, .ino = 7, .nlink = 2, .data = "both"});
    add(&(struct item){.name = "single1", .mode = S_IFREG | 0644, .ino = 0, .data = "a"});
    add(&(struct item){.name = "single2", .mode = S_IFREG | 0644, .ino = 0, .data = "b"});
    for (u32 i = 100; i < 800; i++) {
        char name[16];

        snprintf(name, sizeof(name), "m%u", i / 2);
        if (i % 2)
            name[0] = 'n';
        if (g_size < sizeof(g_archive) - 1000)
            add(&(struct item){.name = name, .mode = S_IFREG | 0644, .ino = i / 2, .nlink = 2});
    }
    end();
    unpack_here();
    assert_int_equal(stat_of("/h1").st_nlink, 3);
    assert_int_equal(stat_of("/h1").st_ino, stat_of("/h3").st_ino);
    assert_string_equal(text_of("/h1"), "shared");
    assert_string_equal(text_of("/g2"), "first");
    assert_string_equal(text_of("/b1"), "both");
    assert_string_equal(text_of("/single1"), "a");
    assert_string_equal(text_of("/single2"), "b");
    assert_int_equal(stat_of("/m50").st_ino, stat_of("/n50").st_ino);
    assert_int_equal(stat_of("/m250").st_ino, stat_of("/n250").st_ino);
}

static void escapes(void **state)
{
    begin();
    add(&(struct item){.name = "../x", .mode = S_IFREG});
    refused("name leads out of the root");
    begin();
    add(&(struct item){.name = "a/../../x", .mode = S_IFREG});
    refused("name leads out of the root");
    begin();
    add(&(struct item){.name = "a/../..", .mode = S_IFDIR});
    refused("name leads out of the root");
    begin(); /* a link's own ".." stays at the root, as for programs */
    add(&(struct item){.name = "l", .mode = S_IFLNK, .data = "../../.."});
    add(&(struct item){.name = "l/x", .mode = S_IFREG, .data = "in"});
    add(&(struct item){.name = "loop", .mode = S_IFLNK, .data = "loop"});
    end();
    unpack_here();
    assert_string_equal(text_of("/x"), "in");
    g_size = 0;
    add(&(struct item){.name = "loop", .mode = S_IFLNK, .data = "loop"});
    add(&(struct item){.name = "loop/x", .mode = S_IFREG});
    refused("name goes through too many symbolic links");
}

static void impossible_entries(void **state)
{
    begin();
    add(&(struct item){.name = "f", .mode = S_IFREG});
    add(&(struct item){.name = "f/x", .mode = S_IFREG});
    refused("name goes through something that is no directory");
    begin();
    add(&(struct item){.name = "d/x", .mode = S_IFREG});
    add(&(struct item){.name = "d", .mode = S_IFREG});
    refused("entry would replace a directory that is not empty");
    begin();
    add(&(struct item){.name = "x", .mode = 0});
    refused("entry has an unknown file type");
    begin();
    add(&(struct item){.name = "", .mode = S_IFREG});
    refused("entry has no name");
    begin();
    add(&(struct item){.name = "/", .mode = S_IFREG});
    refused("entry would replace the root directory");
    begin();
    add(&(struct item){.name = "l", .mode = S_IFLNK});
    refused("symbolic link has an impossible size");
    begin();
    refused("archive ends without its trailer");
    begin();
    add(&(struct item){.name = "x", .mode = S_IFREG});
    refused("archive ends without its trailer");
    end();
    memcpy(g_archive + g_size, "\0\0\0\0junk", 8);
    g_size += 8;
    refused("archive ends inside a header");
}

static void sample(void)
{
    begin();
    add(&(struct item){.name = "dir", .mode = S_IFDIR | 0755});
    add(&(struct item){.name = "dir/file", .mode = S_IFREG | 0644, .data = "some data"});
    add(&(struct item){.name = "dir/link", .mode = S_IFLNK | 0777, .data = "file"});
    end();
}

static void cut_everywhere(void **state)
{
    size_t whole;

    sample();
    whole = g_size;
    for (size_t size = 0; size < whole; size++) {
        struct superblock *sb = fresh_sb();
        bool only_padding = true;

        for (size_t i = size; i < whole; i++)
            only_padding &= size > whole - 4 && !g_archive[i];
        assert_int_equal(unpack(sb, size), only_padding ? 0 : -EINVAL);
        if (!only_padding) {
            assert_true(g_error.offset <= size);
            assert_non_null(strstr(g_error.why, "ends"));
        }
        sb_put(sb);
    }
}

/* Any byte changed to anything: an answer, and nothing read outside. */
static void spoilt_everywhere(void **state)
{
    static const char values[] = {'\0', '0', '1', 'f', 'F', 'g', '/', '.', '\xff'};
    size_t whole;

    sample();
    whole = g_size;
    for (size_t i = 0; i < whole; i++) {
        char saved = g_archive[i];

        for (size_t v = 0; v < sizeof(values); v++) {
            struct superblock *sb = fresh_sb();

            g_archive[i] = values[v];
            (void)unpack(sb, whole);
            sb_put(sb);
        }
        g_archive[i] = saved;
    }
}

static void concatenated(void **state)
{
    begin();
    add(&(struct item){.name = "cat1", .mode = S_IFREG, .data = "1"});
    end();
    while (g_size % 512)
        g_archive[g_size++] = '\0';
    add(&(struct item){.name = "cat2", .mode = S_IFREG, .data = "2"});
    end();
    memset(g_archive + g_size, 0, 512);
    g_size += 512;
    unpack_here();
    assert_string_equal(text_of("/cat1"), "1");
    assert_string_equal(text_of("/cat2"), "2");
}

/* Padding behind the name's NUL inside the name's size: how archives align their data. */
static void padded_names(void **state)
{
    begin();
    add(&(struct item){.name = "padded", .mode = S_IFREG, .data = "DATA"});
    memmove(g_archive + 110 + 12, g_archive + 110 + 10, g_size - 120);
    memcpy(g_archive + 94, "0000000c", 8);
    memset(g_archive + 116, 0, 12);
    memcpy(g_archive + 124, "DATA", 4);
    g_size = 128;
    end();
    unpack_here();
    assert_string_equal(text_of("/padded"), "DATA");
}

static void no_memory(void **state)
{
    sample();
    for (u64 n = 0; n < 40; n++) {
        struct superblock *sb = fresh_sb();
        int err;

        null_alloc_fail_after(n);
        err = unpack(sb, g_size);
        null_alloc_fail_after(UINT64_MAX);
        assert_true(err == 0 || err == -ENOMEM);
        sb_put(sb);
    }
}

/* ---- The index -------------------------------------------------------------------------------------- */

static size_t g_index, g_end;

static int add_record(void *ctx, const struct cpio_entry *e, const char **why)
{
    struct archive_record rec = {.offset = e->offset,
                                 .data_offset = e->data_offset,
                                 .data_size = (u32)e->data_size,
                                 .name_size = (u32)e->name_size + 1,
                                 .ino = e->ino,
                                 .mode = e->mode,
                                 .uid = e->uid,
                                 .gid = e->gid,
                                 .nlink = e->nlink,
                                 .mtime = e->mtime,
                                 .dev_major = e->dev_major,
                                 .dev_minor = e->dev_minor};
    struct archive_index *head = ctx;

    (void)why;
    rec.size = (u32)align_up(sizeof(rec) + rec.name_size, 8);
    memset(g_archive + g_end, 0, rec.size);
    memcpy(g_archive + g_end, &rec, sizeof(rec));
    memcpy(g_archive + g_end + sizeof(rec), e->name, rec.name_size);
    g_end += rec.size;
    head->count++;
    return 0;
}

/* The sample and, behind it, its index. */
static void sample_indexed(void)
{
    struct archive_index head = {.magic = ARCHIVE_INDEX_MAGIC, .version = ARCHIVE_INDEX_VERSION};
    struct cpio_sink sink = {.entry = add_record, .ctx = &head};
    struct cpio_reader r = {.read = read_archive};

    sample();
    r.size = g_size;
    g_index = align_up(g_size, 8);
    g_end = g_index + sizeof(head);
    assert_int_equal(cpio_walk(&r, &sink, &g_error), 0);
    head.size = g_end - g_index;
    memcpy(g_archive + g_index, &head, sizeof(head));
}

static int unpack_indexed(struct superblock *sb, u64 end)
{
    struct cpio_reader r = {.read = read_archive, .size = g_size, .index = g_index, .end = end};
    size_t archive = g_size;
    int err;

    g_size = end;
    err = cpio_populate(sb, &r, &g_ops, &g_error);
    g_size = archive;
    return err;
}

/* The tree that the index gives is the one of the headers, which are not looked at. */
static void indexed(void **state)
{
    struct superblock *by_header = fresh_sb(), *by_index = fresh_sb();

    sample_indexed();
    assert_int_equal(unpack(by_header, g_size), 0);
    memset(g_archive, 'x', 6);
    assert_int_equal(unpack_indexed(by_index, g_end), 0);
    assert_int_equal(ramfs_info(by_header->root)->dir.count, ramfs_info(by_index->root)->dir.count);
    sb_put(by_header);
    sb_put(by_index);
}

static void index_cut_everywhere(void **state)
{
    sample_indexed();
    for (size_t end = g_index; end < g_end; end++) {
        struct superblock *sb = fresh_sb();

        assert_int_equal(unpack_indexed(sb, end), -EINVAL);
        sb_put(sb);
    }
}

static void index_spoilt_everywhere(void **state)
{
    sample_indexed();
    for (size_t i = g_index; i < g_end; i++) {
        for (unsigned bit = 0; bit < 8; bit += 7) {
            struct superblock *sb = fresh_sb();
            int err;

            g_archive[i] ^= (char)(1 << bit);
            err = unpack_indexed(sb, g_end);
            assert_true(err == 0 || err == -EINVAL);
            g_archive[i] ^= (char)(1 << bit);
            sb_put(sb);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_and_attributes), cmocka_unit_test(implied_and_repeated),
        cmocka_unit_test(hard_links),           cmocka_unit_test(escapes),
        cmocka_unit_test(impossible_entries),   cmocka_unit_test(cut_everywhere),
        cmocka_unit_test(spoilt_everywhere),    cmocka_unit_test(concatenated),
        cmocka_unit_test(padded_names),         cmocka_unit_test(no_memory),
        cmocka_unit_test(indexed),              cmocka_unit_test(index_cut_everywhere),
        cmocka_unit_test(index_spoilt_everywhere),
    };

    return cmocka_run_group_tests_name("cpio", tests, host_vfs_start, NULL);
}
