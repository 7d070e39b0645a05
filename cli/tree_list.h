/* SPDX-License-Identifier: MIT */
/* All names below a directory, sorted, with what the archive's headers need. */
#ifndef CLI_TREE_LIST_H
#define CLI_TREE_LIST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct tree_entry {
    char *name; /* relative to the directory */
    struct stat st;
    uint32_t ino;   /* 1, 2, ...; the same for names of one file */
    uint32_t links; /* names of this file in the list */
    uint32_t last;  /* index of its last name */
};

struct tree_list {
    struct tree_entry *entries;
    size_t count;
};

/* -1 after a message. To be freed either way. */
int tree_list_read(struct tree_list *list, const char *path);
void tree_list_free(struct tree_list *list);

#endif
