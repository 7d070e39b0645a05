/* SPDX-License-Identifier: MIT */
/* The dispatch table, made from syscalls.tbl: a wrapper with the handler's own types for each call.
 */
#include <kernel/syscall.h>

#include "syscall_desc.h"

#include <syscall_table.gen.h>
