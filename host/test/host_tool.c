/* SPDX-License-Identifier: MIT */
/*
 * Runs one function of the runtime on files, for host_check.py to compare with its own computation:
 *   host_tool sigstruct KERNEL MANIFEST OUT   MRENCLAVE on stdout, SIGSTRUCT in OUT
 *   host_tool manifest OUT                    a manifest with every field set
 *   host_tool verity FILE SALT                appends the tree; root hash on stdout
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "host_manifest.h"
#include "host_verity.h"
#include "image.h"
#include "measure.h"
#include "sign.h"

static void print_hex(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        (void)printf("%02x", bytes[i]);
    (void)printf("\n");
}

static int write_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "we");
    int ok = f && fwrite(data, 1, size, f) == size;

    if (f)
        ok &= fclose(f) == 0;
    return ok ? 0 : 1;
}

static int do_sigstruct(char **args)
{
    static uint8_t manifest[1 << 20];
    struct sgx_sigstruct sig;
    struct sgx_secs secs;
    struct image image;
    uint8_t mrenclave[32];
    char why[256] = "";
    size_t size = 0;
    FILE *f = fopen(args[1], "re");
    EVP_PKEY *key;

    if (f) {
        size = fread(manifest, 1, sizeof(manifest), f);
        (void)fclose(f);
    }
    key = sign_development_key(why, sizeof(why));
    image_secs(&secs, 1);
    if (!key || image_build(&image, args[0], manifest, size, why, sizeof(why)) < 0 ||
        measure_image(&image, &secs, mrenclave) < 0 ||
        sign_sigstruct(&sig, key, &secs, mrenclave, 0x1234, 0x5678) < 0) {
        (void)fprintf(stderr, "%s\n", why);
        return 1;
    }
    image_free(&image);
    EVP_PKEY_free(key);
    print_hex(mrenclave, sizeof(mrenclave));
    return write_file(args[2], &sig, sizeof(sig));
}

static int do_manifest(char **args)
{
    static const char *const argv[] = {"prog", "", "two words", NULL};
    static const char *const env[] = {"A=1", "B=", NULL};
    static const char *const host_env[] = {"TERM", NULL};
    struct host_manifest in = {
        .flags = MANIFEST_STATS | MANIFEST_NO_BRK,
        .log_level = 2,
        .memory_size = 0x123456789000,
        .main_stack_size = 0x100000,
        .thread_stack_size = 0x200000,
        .max_cpus = 3,
        .root = {.kind = MANIFEST_ROOT_CPIO, .data_blocks = 7, .hash_offset = 7 * 4096,
                 .archive_size = 28000},
        .program = "/bin/prog",
        .cwd = "/tmp",
        .hostname = "host",
        .argv = argv,
        .env = env,
        .host_env = host_env,
    };
    size_t size;
    void *out;
    int ret;

    if (host_manifest_build(&in, &out, &size) < 0)
        return 1;
    ret = write_file(args[0], out, size);
    free(out);
    return ret;
}

static int do_verity(char **args)
{
    uint64_t size = 0, read_size = 0;
    struct manifest_root root, again;
    int fd = open(args[0], O_RDWR | O_CLOEXEC);
    int ret;

    if (fd < 0)
        return 1;
    ret = verity_append(fd, (const uint8_t *)args[1], (uint32_t)strlen(args[1]), &root, &size);
    if (ret == 0)
        ret = verity_read(fd, &again, &read_size);
    (void)close(fd);
    if (ret < 0 || read_size != size || memcmp(&root, &again, sizeof(root)) != 0)
        return 1;
    print_hex(root.root_hash, sizeof(root.root_hash));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "sigstruct") == 0)
        return do_sigstruct(argv + 2);
    if (argc == 3 && strcmp(argv[1], "manifest") == 0)
        return do_manifest(argv + 2);
    if (argc == 4 && strcmp(argv[1], "verity") == 0)
        return do_verity(argv + 2);
    return 2;
}
