/* SPDX-License-Identifier: MIT */
/*
 * The VFS as a library for its unit tests: a first process with its tables, an empty ramfs as root,
 * and the calls with plain arguments ("user" memory is the test's own).
 */
#ifndef VFS_HOST_H
#define VFS_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kernel/files.h>
#include <kernel/fs.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <syscalls.gen.h>
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>

#include "null.h"

/* Credentials of the current task. */
void host_become(uid_t uid, gid_t gid);
void host_become_root(void);

/* A root file system and a process, as vfs_init() leaves them; cmocka group setup and teardown. */
int host_vfs_start(void **state);

/* How often the fault path's hooks were called. */
extern unsigned g_truncate_notes;

#define ok(call)         assert_int_equal((call), 0)
#define fails(call, err) assert_int_equal((call), -(err))

/* Open or fail the test. */
int must_open(const char *path, int flags, mode_t mode);
void make_file(const char *path, const char *text);
void make_dir(const char *path);
/* st_mode, st_size... of a path, links followed. */
struct stat stat_of(const char *path);
bool exists(const char *path);
/* The whole file as a string (at most 255 bytes). */
const char *text_of(const char *path);

#endif
