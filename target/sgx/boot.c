/* SPDX-License-Identifier: MIT */
/*
 * The first entry: checks what the host gave, sets the first thread's area up, starts the kernel.
 * Runs on the first thread's kernel stack with the host's vector registers still loaded; nothing
 * here uses them, and the kernel resets them before the program starts.
 */
#include "sgx_target.h"
#include <kernel/boot.h>
#include <kernel/printk.h>
#include <kernel/target.h>

struct boot_info g_boot_info;

const u64 boot_kstack_top = BOOT_START + THREAD_KSTACK_OFF + THREAD_KSTACK_SIZE;

static bool region_ok(u64 base, u64 size)
{
    return !base || outside_ok(base, size);
}

/* Copies the host's words in once and drops what does not lie outside. */
static bool boot_info_take(u64 addr)
{
    struct boot_info *b = &g_boot_info;

    if (!outside_ok(addr, sizeof(*b)) || addr % 8)
        return false;
    target_host_copy(b, (const void __host *)addr, sizeof(*b));
    return b->magic == BOOT_INFO_MAGIC && b->size == sizeof(*b) &&
           region_ok(b->rootfs_base, b->rootfs_size) && b->rootfs_base % PAGE_SIZE == 0 &&
           region_ok(b->args_base, b->args_size) && region_ok(b->env_base, b->env_size);
}

void sgx_boot(u64 boot_info, u64 host_thread, u64 tcs)
{
    struct thread_area *area;

    if (tcs != BOOT_START + THREAD_TCS_OFF || host_thread % PAGE_SIZE ||
        !outside_ok(host_thread, sizeof(struct host_thread)))
        target_abort("entered with a host thread that does not lie outside");
    area = sgx_area_init(BOOT_START, 0);
    area->host = (struct host_thread __host *)host_thread;
    area->xfrm = SGX_XFRM_LEGACY;
    if (!boot_info_take(boot_info))
        target_abort("entered with boot information that cannot be");
    sgx_report_init();
    area->xfrm = g_xfrm;
    kernel_main();
}
