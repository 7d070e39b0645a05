/* SPDX-License-Identifier: MIT */
/*
 * Balanced trees come from libbsd's <bsd/sys/tree.h> (RB_HEAD, RB_ENTRY, RB_GENERATE_STATIC, ...): a
 * header of macros with no code of its own to link. Freestanding builds lack libbsd's definition of __unused
 * only when <sys/cdefs.h> does not bring it.
 */
#ifndef KERNEL_RBTREE_H
#define KERNEL_RBTREE_H

#include <bsd/sys/tree.h>

#ifndef __unused
#define __unused __attribute__((unused))
#endif

#endif
