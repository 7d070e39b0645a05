/* SPDX-License-Identifier: MIT */
/* uname(2), sethostname(2), setdomainname(2). g_uts_lock guards the two names that change. */
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>
#include <kernel/uts.h>
#include <linux/utsname.h>
#include "internal.h"
#include <syscalls.gen.h>

static spinlock_t g_uts_lock = SPINLOCK_INIT("uts");
static struct new_utsname g_uts = {
    .sysname = "Linux",
    .nodename = "adyton",
    .release = UTS_RELEASE,
    .version = UTS_VERSION,
    .machine = "x86_64",
    .domainname = "(none)",
};

_Static_assert(sizeof(g_uts.nodename) == UTS_NODE_MAX + 1, "Linux's name size");

static void set_name(char dst[UTS_NODE_MAX + 1], const char *name, size_t size)
{
    spin_lock(&g_uts_lock);
    memset(dst, 0, UTS_NODE_MAX + 1);
    memcpy(dst, name, size);
    spin_unlock(&g_uts_lock);
}

void uts_node_name(char buf[UTS_NODE_MAX + 1])
{
    spin_lock(&g_uts_lock);
    memcpy(buf, g_uts.nodename, UTS_NODE_MAX + 1);
    spin_unlock(&g_uts_lock);
}

void uts_set_node_name(const char *name, size_t size)
{
    set_name(g_uts.nodename, name, min(size, (size_t)UTS_NODE_MAX));
}

long sys_uname(struct new_utsname __user *buf)
{
    struct new_utsname uts;

    spin_lock(&g_uts_lock);
    uts = g_uts;
    spin_unlock(&g_uts_lock);
    return copy_to_user(buf, &uts, sizeof(uts));
}

static long change_name(char dst[UTS_NODE_MAX + 1], const void __user *name, size_t size)
{
    char buf[UTS_NODE_MAX];

    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (size > UTS_NODE_MAX)
        return -EINVAL;
    if (copy_from_user(buf, name, size))
        return -EFAULT;
    set_name(dst, buf, size);
    return 0;
}

long sys_sethostname(const void __user *name, size_t size)
{
    return change_name(g_uts.nodename, name, size);
}

long sys_setdomainname(const void __user *name, size_t size)
{
    return change_name(g_uts.domainname, name, size);
}
