/* SPDX-License-Identifier: MIT */
/*
 * What --strace knows, made from the three tables. Only data: names and offsets of the uAPI
 * headers, which cannot stand beside libc's, so this file is built the same way for the kernel and
 * for tests.
 */
#undef ADYTON_HOSTED
#include <kernel/signal.h>
#include <kernel/socket.h>
#include <kernel/syscall.h>

#include <asm/ioctls.h>
#include <asm/prctl.h>
#include <asm/socket.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/fadvise.h>
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/mqueue.h>
#include <linux/msg.h>
#include <linux/openat2.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/random.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <linux/sem.h>
#include <linux/shm.h>
#include <linux/signal.h>
#include <linux/stat.h>
#include <linux/sysinfo.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <linux/times.h>
#include <linux/utime.h>
#include <linux/utsname.h>
#include <linux/wait.h>
#include <linux/xattr.h>

#include "syscall_desc.h"

#include <trace_tables.gen.h>
