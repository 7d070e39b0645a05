/* SPDX-License-Identifier: MIT */
#include "internal.h"
struct mm *mm_fork(struct mm *mm)
{
    return ERR_PTR(-ENOSYS);
}
