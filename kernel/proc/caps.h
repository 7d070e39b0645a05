/* SPDX-License-Identifier: MIT */
/* prctl(2)'s calls on capability sets; errors as prctl(2) gives them. */
#ifndef KERNEL_PROC_CAPS_H
#define KERNEL_PROC_CAPS_H

#include "internal.h"

long caps_bounding_read(u64 cap);
long caps_bounding_drop(u64 cap);
long caps_ambient(u64 what, u64 cap);
long caps_set_securebits(u64 bits);

#endif
