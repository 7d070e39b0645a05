/* SPDX-License-Identifier: MIT */
/* Who may become whom: the set*id family and the capabilities that follow (capabilities(7)). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <kernel/string.h>
#include <linux/securebits.h>
#include <syscalls.gen.h>
#include "../caps.h"
#include "null.h"

#define KEEP ((uid_t)-1)
#define ALL  CAP_ALL

static struct task g_task;
static struct group g_group;

struct task *task_find(pid_t tid)
{
    if (tid != g_task.tid)
        return NULL;
    ref_get(&g_task.ref);
    return &g_task;
}

struct task *task_of_pid(pid_t pid)
{
    return task_find(pid ? pid : g_task.tid);
}

struct cred *task_cred(struct task *t)
{
    ref_get(&t->cred->ref);
    return t->cred;
}

void task_put(struct task *t)
{
    (void)ref_put(&t->ref);
}

static int setup(void **state)
{
    memset(&g_task, 0, sizeof(g_task));
    ref_init(&g_task.ref);
    g_task.tid = g_group.tgid = 1;
    g_task.group = &g_group;
    g_task.cred = cred_create_root();
    null_task_set(&g_task);
    return !g_task.cred;
}

static int teardown(void **state)
{
    cred_put(g_task.cred);
    null_task_set(NULL);
    return 0;
}

static void expect_uids(uid_t r, uid_t e, uid_t s, uid_t fs)
{
    const struct cred *c = current_cred();

    assert_int_equal(c->uid, r);
    assert_int_equal(c->euid, e);
    assert_int_equal(c->suid, s);
    assert_int_equal(c->fsuid, fs);
}

static void root_drops_for_good(void **state)
{
    assert_int_equal(sys_setuid(1000), 0);
    expect_uids(1000, 1000, 1000, 1000);
    assert_int_equal(current_cred()->cap_permitted, 0);
    assert_int_equal(sys_setuid(0), -EPERM);
    assert_int_equal(sys_setresuid(0, KEEP, KEEP), -EPERM);
    assert_int_equal(sys_setreuid(KEEP, 0), -EPERM);
    expect_uids(1000, 1000, 1000, 1000);
}

static void root_drops_for_a_while(void **state)
{
    assert_int_equal(sys_setresuid(KEEP, 1000, KEEP), 0);
    expect_uids(0, 1000, 0, 1000);
    assert_int_equal(current_cred()->cap_effective, 0);
    assert_int_equal(current_cred()->cap_permitted, ALL);
    assert_int_equal(sys_setuid(0), 0);
    expect_uids(0, 0, 0, 0);
    assert_int_equal(current_cred()->cap_effective, ALL);
}

static void keep_caps_keeps_permitted_only(void **state)
{
    g_task.keep_caps = true;
    assert_int_equal(sys_setresuid(1000, 1000, 1000), 0);
    assert_int_equal(current_cred()->cap_permitted, ALL);
    assert_int_equal(current_cred()->cap_effective, 0);
}

static void no_fixup_keeps_all(void **state)
{
    assert_int_equal(caps_set_securebits(1u << SECURE_NO_SETUID_FIXUP), 0);
    assert_int_equal(sys_setresuid(1000, 1000, 1000), 0);
    assert_int_equal(current_cred()->cap_effective, ALL);
}

static void saved_id_follows_setreuid(void **state)
{
    assert_int_equal(sys_setreuid(1000, 2000), 0);
    expect_uids(1000, 2000, 2000, 2000);
    assert_int_equal(sys_setreuid(2000, 1000), 0);
    expect_uids(2000, 1000, 1000, 1000);
    assert_int_equal(sys_setreuid(KEEP, 3000), -EPERM);
}

static void invalid_and_kept_ids(void **state)
{
    assert_int_equal(sys_setuid(KEEP), -EINVAL);
    assert_int_equal(sys_setgid(KEEP), -EINVAL);
    assert_int_equal(sys_setresuid(KEEP, KEEP, KEEP), 0);
    expect_uids(0, 0, 0, 0);
}

static void setfsuid_answers_the_old_one(void **state)
{
    assert_int_equal(sys_setfsuid(1000), 0);
    assert_int_equal(sys_setfsuid(KEEP), 1000);
    assert_int_equal(current_cred()->cap_effective >> CAP_CHOWN & 1, 0);
    assert_int_equal(current_cred()->cap_effective >> CAP_SETUID & 1, 1);
    assert_int_equal(sys_setfsuid(0), 1000);
    assert_int_equal(current_cred()->cap_effective, ALL);
}

static void groups_are_sorted_and_checked(void **state)
{
    gid_t in[4] = {30, 10, 20, 10}, out[4];

    assert_int_equal(sys_setgroups(4, in), 0);
    assert_int_equal(sys_getgroups(0, NULL), 4);
    assert_int_equal(sys_getgroups(3, out), -EINVAL);
    assert_int_equal(sys_getgroups(4, out), 4);
    assert_int_equal(out[0], 10);
    assert_int_equal(out[3], 30);
    assert_int_equal(sys_setgroups(-1, in), -EINVAL);
    assert_int_equal(sys_setresgid(5, 6, 7), 0);
    assert_int_equal(sys_setuid(1000), 0);
    assert_int_equal(sys_setgroups(0, NULL), -EPERM);
    assert_int_equal(sys_setgid(7), 0);
    assert_int_equal(sys_setgid(8), -EPERM);
}

static void no_memory_changes_nothing(void **state)
{
    null_alloc_fail_after(0);
    assert_int_equal(sys_setuid(1000), -ENOMEM);
    null_alloc_fail_after(UINT64_MAX);
    expect_uids(0, 0, 0, 0);
}

static long capset3(u64 effective, u64 permitted, u64 inheritable)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2] = {
        {(u32)effective, (u32)permitted, (u32)inheritable},
        {(u32)(effective >> 32), (u32)(permitted >> 32), (u32)(inheritable >> 32)},
    };

    return sys_capset(&h, d);
}

static void capset_only_gives_away(void **state)
{
    assert_int_equal(capset3(1, 3, 1), 0);
    assert_int_equal(current_cred()->cap_effective, 1);
    assert_int_equal(capset3(4, 7, 0), -EPERM);
    assert_int_equal(capset3(4, 3, 0), -EPERM);
    assert_int_equal(capset3(3, 3, 3), 0);
    assert_int_equal(capset3(0, 0, 8), -EPERM);
}

static void capget_versions(void **state)
{
    struct __user_cap_header_struct h = {.version = 0x1234};
    struct __user_cap_data_struct d[2];

    assert_int_equal(sys_capget(&h, NULL), 0);
    assert_int_equal(h.version, _LINUX_CAPABILITY_VERSION_3);
    h.version = 0x1234;
    assert_int_equal(sys_capget(&h, d), -EINVAL);
    assert_int_equal(sys_capget(&h, d), 0);
    assert_int_equal(d[0].permitted, (u32)ALL);
    assert_int_equal(d[1].permitted, (u32)(ALL >> 32));
    h.pid = 99;
    assert_int_equal(sys_capget(&h, d), -ESRCH);
    h.pid = -1;
    assert_int_equal(sys_capget(&h, d), -EINVAL);
}

static void exec_gives_root_all_and_others_ambient(void **state)
{
    assert_int_equal(sys_setresuid(1000, 1000, 0), 0);
    assert_int_equal(cred_exec(), 0);
    expect_uids(1000, 1000, 1000, 1000);
    assert_int_equal(current_cred()->cap_permitted, 0);
}

static void bounding_set_only_shrinks(void **state)
{
    assert_int_equal(caps_bounding_read(CAP_CHOWN), 1);
    assert_int_equal(caps_bounding_drop(CAP_CHOWN), 0);
    assert_int_equal(caps_bounding_read(CAP_CHOWN), 0);
    assert_int_equal(caps_bounding_read(64), -EINVAL);
    assert_int_equal(cred_exec(), 0);
    assert_int_equal(current_cred()->cap_permitted, ALL & ~1UL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(root_drops_for_good),
        T(root_drops_for_a_while),
        T(keep_caps_keeps_permitted_only),
        T(no_fixup_keeps_all),
        T(saved_id_follows_setreuid),
        T(invalid_and_kept_ids),
        T(setfsuid_answers_the_old_one),
        T(groups_are_sorted_and_checked),
        T(no_memory_changes_nothing),
        T(capset_only_gives_away),
        T(capget_versions),
        T(exec_gives_root_all_and_others_ambient),
        T(bounding_set_only_shrinks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
