/* SPDX-License-Identifier: MIT */
/*
 * Trees of generated files: what proc and sysfs are made of. A file system describes itself with
 * constant tables; a directory may also have children that are found at the time of asking
 * (processes, descriptors, processors), told apart by the numbers in struct pseudo_node.
 *
 * An inode is made for each lookup and holds a copy of its node. A text file's content is generated
 * when it is read from its start and kept with the description, so that a reader sees one moment.
 */
#ifndef KERNEL_FS_PSEUDO_PSEUDO_H
#define KERNEL_FS_PSEUDO_PSEUDO_H

#include <kernel/fs.h>

#include "seq.h"

struct pseudo_entry;
struct task;

/* Which thing a file is about. A file system without processes uses `id` only. */
struct pseudo_node {
    const struct pseudo_entry *entry;
    pid_t tid;   /* 0: none */
    bool thread; /* below task/: the thread itself, not its process */
    u32 id;      /* descriptor, processor, ... */
    mode_t perm; /* permission bits instead of the entry's; 0: the entry's */
};

struct pseudo_dir {
    const struct pseudo_entry *entries;
    size_t count;
    /* A child that no table names: fills *child. -ENOENT. NULL: there are none. */
    int (*lookup)(const struct pseudo_node *dir, const char *name, size_t size,
                  struct pseudo_node *child);
    /* The first such child with a number >= *number: sets *number, its name and *child. */
    bool (*next)(const struct pseudo_node *dir, u32 *number, char name[16],
                 struct pseudo_node *child);
    /* Whether a name found or not found before is still so (node NULL: not found). NULL: yes. */
    bool (*holds)(const struct pseudo_node *dir, const char *name, size_t size,
                  const struct pseudo_node *node);
};

struct pseudo_entry {
    const char *name;
    mode_t mode; /* with its type, which says which of the following count */
    /* Text: all of it into `s`. 0 or -errno. For a link: what readlink gives. */
    int (*show)(struct seq *s, const struct pseudo_node *node);
    /* The same about node->tid's task, which is held meanwhile; -ESRCH when it is gone. */
    int (*show_task)(struct seq *s, const struct pseudo_node *node, struct task *t);
    /* write(2) with the program's text, NUL-terminated. Bytes taken or -errno. NULL: -EINVAL. */
    ssize_t (*store)(const struct pseudo_node *node, char *text, size_t size);
    /* A magic link's object, with a reference. */
    int (*follow)(const struct pseudo_node *node, struct path *out);
    const struct pseudo_dir *dir;
    const struct file_ops *fops; /* a file that is not text; finds its node with pseudo_node_of() */
    const char *text;            /* constant content, instead of show */
};

/* The superblock of a tree. 0 with *out, or -ENOMEM. */
int pseudo_mount(const struct fs_type *type, const struct pseudo_entry *root, u32 magic,
                 struct superblock **out);

static inline const struct pseudo_node *pseudo_node_of(const struct inode *inode)
{
    return inode->private;
}

/* The node of an open directory of such a tree; NULL: it is no such directory. */
const struct pseudo_node *pseudo_dir_node(const struct file *f);

/*
 * Set by proc: owner of the inodes of a task, refreshed at each stat. Gives false when the task is
 * gone.
 */
extern bool (*g_pseudo_owner)(pid_t tid, uid_t *uid, gid_t *gid);

/* A decimal number without sign or leading zeros that fits `max`; false otherwise. */
bool pseudo_number(const char *name, size_t size, u32 max, u32 *out);

#endif
