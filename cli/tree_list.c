/* SPDX-License-Identifier: MIT */
/* See tree_list.h. Sockets mean nothing in an archive and are left out. */
#include "tree_list.h"
#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"
#include "root.h"

static int compare_names(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int add_entry(struct tree_list *list, const char *name, const struct stat *st)
{
    struct tree_entry *e;

    if ((list->count & (list->count - 1)) == 0) {
        size_t room = list->count ? list->count * 2 : 1;
        struct tree_entry *grown = realloc(list->entries, room * sizeof(*grown));

        if (!grown)
            return cli_no_memory();
        list->entries = grown;
    }
    e = &list->entries[list->count];
    memset(e, 0, sizeof(*e));
    e->name = strdup(name);
    if (!e->name)
        return cli_no_memory();
    e->st = *st;
    e->links = 1;
    e->last = (uint32_t)list->count++;
    return 0;
}

static int visit(struct tree_list *list, const FTSENT *f, size_t skip)
{
    switch (f->fts_info) {
    case FTS_DP:
        return 0;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return cli_error("%s: %s", f->fts_path, strerror(f->fts_errno));
    case FTS_DC:
        return cli_error("%s: a directory that contains itself", f->fts_path);
    }
    if (f->fts_level == 0 || S_ISSOCK(f->fts_statp->st_mode) ||
        (f->fts_level == 1 && strcmp(f->fts_name, COLLECT_MARKER) == 0))
        return 0;
    return add_entry(list, f->fts_path + skip, f->fts_statp);
}

/* ---- Names of one file ------------------------------------------------------------------------------ */

static const struct tree_entry *g_sorting;

static int compare_files(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    const struct stat *s = &g_sorting[i].st, *t = &g_sorting[j].st;

    if (s->st_dev != t->st_dev)
        return s->st_dev < t->st_dev ? -1 : 1;
    if (s->st_ino != t->st_ino)
        return s->st_ino < t->st_ino ? -1 : 1;
    return i < j ? -1 : i > j;
}

static int same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && !S_ISDIR(a->st_mode);
}

/* Numbers each file by its first name's place in the list. */
static int number_files(struct tree_list *list)
{
    AUTO_FREE uint32_t *order = malloc((list->count + 1) * sizeof(*order));
    struct tree_entry *entries = list->entries;

    if (!order)
        return cli_no_memory();
    for (size_t i = 0; i < list->count; i++)
        order[i] = (uint32_t)i;
    g_sorting = entries;
    qsort(order, list->count, sizeof(*order), compare_files);
    for (size_t i = 0, end; i < list->count; i = end) {
        for (end = i + 1; end < list->count &&
                          same_file(&entries[order[i]].st, &entries[order[end]].st);)
            end++;
        for (size_t k = i; k < end; k++) {
            entries[order[k]].ino = order[i] + 1;
            entries[order[k]].links = (uint32_t)(end - i);
            entries[order[k]].last = order[end - 1];
        }
    }
    return 0;
}

int tree_list_read(struct tree_list *list, const char *path)
{
    char *const paths[] = {(char *)path, NULL};
    size_t skip = strlen(path);
    FTSENT *f = NULL;
    int ret = 0;
    FTS *fts;

    memset(list, 0, sizeof(*list));
    skip += skip > 0 && path[skip - 1] == '/' ? 0 : 1;
    fts = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, compare_names);
    if (!fts)
        return cli_error("%s: %s", path, strerror(errno));
    errno = 0;
    while (ret == 0 && (f = fts_read(fts)) != NULL) {
        ret = visit(list, f, skip);
        errno = 0;
    }
    if (ret == 0 && errno != 0)
        ret = cli_error("%s: %s", path, strerror(errno));
    (void)fts_close(fts);
    return ret == 0 ? number_files(list) : ret;
}

void tree_list_free(struct tree_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entries[i].name);
    free(list->entries);
}
