/* SPDX-License-Identifier: MIT */
/*
 * Doubly linked circular lists with the head as a node. A node that is in no list is initialised by
 * list_init() and list_empty() says so. Locking is the caller's.
 */
#ifndef KERNEL_LIST_H
#define KERNEL_LIST_H

#include <kernel/types.h>

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name) {&(name), &(name)}

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert_(struct list *n, struct list *prev, struct list *next)
{
    n->next = next;
    n->prev = prev;
    prev->next = n;
    next->prev = n;
}

static inline void list_add(struct list *head, struct list *n)
{
    list_insert_(n, head, head->next);
}

static inline void list_add_tail(struct list *head, struct list *n)
{
    list_insert_(n, head->prev, head);
}

/* Takes a node out and leaves it initialised, so that a second call does nothing. */
static inline void list_del(struct list *n)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not follow that neighbours unlink */
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_last(head, type, member)  list_entry((head)->prev, type, member)

#define list_for_each(pos, head, member)                                                           \
    for (pos = list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head);         \
         pos = list_entry(pos->member.next, __typeof__(*pos), member))

/* As list_for_each; the body may delete `pos`. */
#define list_for_each_safe(pos, tmp, head, member)                                                 \
    for (pos = list_entry((head)->next, __typeof__(*pos), member),                                 \
        tmp = list_entry(pos->member.next, __typeof__(*pos), member);                              \
         &pos->member != (head);                                                                   \
         pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))

#endif
