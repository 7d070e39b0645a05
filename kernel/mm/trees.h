/* SPDX-License-Identifier: MIT */
/*
 * libbsd's tree macros as mm uses them: freestanding builds lack libbsd's definition of __unused
 * only when <sys/cdefs.h> does not bring it.
 */
#ifndef KERNEL_MM_TREES_H
#define KERNEL_MM_TREES_H

#include <kernel/rbtree.h>

#ifndef __unused
#define __unused __attribute__((unused))
#endif

#endif
