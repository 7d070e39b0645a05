/* SPDX-License-Identifier: MIT */
/*
 * Balanced trees come from libbsd's <bsd/sys/tree.h> (RB_HEAD, RB_ENTRY, RB_GENERATE_STATIC, ...): a
 * header of macros with no code of its own to link.
 */
#ifndef KERNEL_RBTREE_H
#define KERNEL_RBTREE_H

#include <bsd/sys/tree.h>

#endif
