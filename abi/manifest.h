/* SPDX-License-Identifier: MIT */
/*
 * The manifest: what may influence a run, in binary, made outside from the configuration and the
 * command line, measured into the enclave at MANIFEST_START, and the only configuration the kernel
 * sees. Little-endian; every offset counts from the manifest's start; strings are NUL-terminated and
 * lie in [sizeof(struct manifest), size); a string list is `count` strings one after the other.
 * The kernel checks all of it once (kernel/boot/manifest.c) before it uses any of it.
 */
#ifndef ABI_MANIFEST_H
#define ABI_MANIFEST_H

#include <stdint.h>

#define MANIFEST_MAGIC    0x4e54594441ULL /* "ADYTN" */
#define MANIFEST_VERSION  1u
#define MANIFEST_SIZE_MAX (1u << 20) /* 1 MiB */
#define MANIFEST_STRINGS_MAX 65536u

/* Switches. */
#define MANIFEST_DEBUG           0x01u /* debug enclave: logs at debug level, debugger's events */
#define MANIFEST_FORBID_WX       0x02u /* ForbidWX */
#define MANIFEST_NO_BRK          0x04u /* brk fails, malloc uses mmap */
#define MANIFEST_EXEC_STACK      0x08u
#define MANIFEST_HOST_ARGS       0x10u /* HostApplicationParameters: host may append arguments */
#define MANIFEST_STRACE          0x20u
#define MANIFEST_STATS           0x40u
#define MANIFEST_UNHANDLED_ENOSYS 0x80u /* UnhandledSyscallEnosys: accepted, always so */
#define MANIFEST_FLAGS_ALL        0xffu

struct manifest_string {
    uint32_t offset; /* 0: absent */
    uint32_t size;   /* with its NUL */
};

struct manifest_list {
    uint32_t offset; /* 0: empty */
    uint32_t size;   /* of all strings with their NULs */
    uint32_t count;
    uint32_t reserved;
};

/* The hash tree of the root archive: dm-verity's format, version 1, SHA-256, 4,096-byte blocks. */
#define MANIFEST_ROOT_NONE   0u
#define MANIFEST_ROOT_CPIO   1u /* newc archive in a dm-verity protected image */
struct manifest_root {
    uint32_t kind;
    uint32_t salt_size;      /* at most 32 */
    uint8_t salt[32];
    uint8_t root_hash[32];
    uint64_t data_blocks;    /* of 4,096 bytes that the tree covers */
    uint64_t hash_offset;    /* where the tree's first (top) level starts in the image, in bytes */
    uint64_t archive_size;   /* bytes of the image that are archive (the rest is padding, or index) */
};

/*
 * What an image may hold behind its archive, from the next multiple of 4,096 to the end of its data
 * blocks: all of the archive's headers together, so that a boot need not read (and hash) a block for
 * each of them. This head, `count` records in the archive's order, each a multiple of 8 bytes, and
 * zeroes. It is data like the archive: the tree covers it.
 */
#define ARCHIVE_INDEX_MAGIC   0x5844494e59544441ULL /* "ADTYNIDX" */
#define ARCHIVE_INDEX_VERSION 1u
struct archive_index {
    uint64_t magic;
    uint32_t version;
    uint32_t reserved; /* 0 */
    uint64_t count;    /* of records */
    uint64_t size;     /* in bytes, this head included */
};

/* The header's fields; after it the name, for a symbolic link its text, and zeroes. */
struct archive_record {
    uint64_t offset;      /* of the header in the archive: for messages */
    uint64_t data_offset; /* in the image; a symbolic link's text lies here in the index */
    uint32_t data_size;
    uint32_t name_size;   /* with its NUL */
    uint32_t ino, mode, uid, gid, nlink, mtime;
    uint32_t dev_major, dev_minor, rdev_major, rdev_minor;
    uint32_t size;        /* of the record */
    uint32_t reserved;    /* 0 */
};

struct manifest {
    uint64_t magic;
    uint32_t version;
    uint32_t size;           /* of the whole manifest */
    uint32_t flags;
    uint32_t log_level;      /* enum log_level of the kernel */
    uint64_t memory_size;    /* bytes that programs and kernel may commit */
    uint64_t main_stack_size;
    uint64_t thread_stack_size;
    uint32_t max_cpus;       /* 0: all */
    uint32_t fork_mode;      /* reserved, 0 */
    uint64_t abi_digest;     /* first 8 bytes of SHA-256 of hostcalls.tbl: both sides must agree */
    struct manifest_root root;
    struct manifest_string program;   /* path inside the root */
    struct manifest_string cwd;
    struct manifest_string hostname;
    struct manifest_string strace;    /* filter list */
    struct manifest_list argv;        /* argv[0] included */
    struct manifest_list env;         /* NAME=VALUE */
    struct manifest_list host_env;    /* names that the host may supply */
    struct manifest_string core_dump; /* CoreDump: the pattern of core files' names; absent: none are written */
    uint64_t reserved[7];             /* zero */
};

#endif
