/* SPDX-License-Identifier: MIT */
/*
 * From the target's first entry to the first program.
 */
#include <kernel/alloc.h>
#include <kernel/arch.h>
#include <kernel/boot.h>
#include <kernel/core.h>
#include <kernel/files.h>
#include <kernel/fs.h>
#include <kernel/loader.h>
#include <kernel/mm.h>
#include <kernel/printk.h>
#include <kernel/pseudofs.h>
#include <kernel/socket.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/target.h>
#include <kernel/task.h>
#include <kernel/thread_area.h>
#include <kernel/time.h>
#include <kernel/traps.h>
#include <kernel/uts.h>
#include <kernel/vdso_data.h>
#include <linux/resource.h>

const struct manifest *g_manifest;

static u64 g_phases[PHASE_COUNT];

void boot_phase(enum boot_phase phase)
{
    g_phases[phase] = arch_tsc();
}

void boot_phases_ns(u64 ns[PHASE_COUNT])
{
    const struct vdso_data *clock = time_vdso_data();

    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        u64 cycles = g_phases[i] ? g_phases[i] - g_phases[PHASE_ENTERED] : 0;

        ns[i] = (u64)((unsigned __int128)cycles * clock->mult >> clock->shift);
    }
}

#define STATUS_ERROR 125 /* an error of adyton's own, as the command line documents */

static _Noreturn void boot_fail(const char *what, const char *name, int err, int status)
{
    pr_err("%s%s%s: %s", what, name ? " " : "", name ? name : "", pr_reason_for(err));
    target_exit(status << 8);
}

/* Not found, not executable, anything else. */
static int program_status(int err)
{
    if (err == -ENOENT || err == -ENOTDIR)
        return 127;
    if (err == -EACCES || err == -ENOEXEC || err == -EISDIR || err == -ELIBBAD)
        return 126;
    return STATUS_ERROR;
}

static void manifest_load(void)
{
    size_t size;
    const void *data = target_manifest(&size);
    const char *why;

    if (manifest_check(data, size, &why))
        panic("manifest refused: %s", why);
    g_manifest = data;
    g_log_level = (enum log_level)min(g_manifest->log_level, (u32)LOG_DEBUG);
}

/* Pointers to the strings of a list, with `extra` empty slots and a NULL at the end. */
static char **list_pointers(const struct manifest_list *l, unsigned extra)
{
    char **v = kcalloc((size_t)l->count + extra + 1, sizeof(*v));
    const char *s = (const char *)g_manifest + l->offset;

    if (!v)
        panic("no memory for the program's arguments: raise MemorySize");
    for (u32 i = 0; i < l->count; i++) {
        v[i] = (char *)s;
        s += strlen(s) + 1;
    }
    return v;
}

#define HOST_STRINGS_SIZE 131072u

/* Appends what the host supplies to v[count..]; `max` slots are free. Strings stay allocated. */
static void append_host_strings(enum target_host_strings which, char **v, unsigned count,
                                unsigned max)
{
    unsigned told = 0;
    char *buf = kmalloc(HOST_STRINGS_SIZE);
    ssize_t size;

    if (!buf)
        panic("no memory for the host's strings: raise MemorySize");
    size = target_host_strings(which, buf, HOST_STRINGS_SIZE, &told);
    for (ssize_t at = 0; at < size && told && max; told--, max--) {
        size_t n = strnlen(buf + at, (size_t)(size - at));

        if (at + (ssize_t)n == size)
            break;
        v[count++] = buf + at;
        at += (ssize_t)n + 1;
    }
}

static bool name_allowed(const char *entry, char *const *names)
{
    const char *eq = strchr(entry, '=');

    for (; eq && *names; names++)
        if (strlen(*names) == (size_t)(eq - entry) && !memcmp(*names, entry, (size_t)(eq - entry)))
            return true;
    return false;
}

#define HOST_STRINGS_MAX 256u

static char **program_argv(void)
{
    char **argv = list_pointers(&g_manifest->argv, HOST_STRINGS_MAX);

    if (manifest_flag(MANIFEST_HOST_ARGS))
        append_host_strings(TARGET_HOST_ARGS, argv, g_manifest->argv.count, HOST_STRINGS_MAX);
    return argv;
}

/* The measured variables, then those that the host gives for names it may set. */
static char **program_env(void)
{
    char **env = list_pointers(&g_manifest->env, HOST_STRINGS_MAX);
    char **names = list_pointers(&g_manifest->host_env, 0);
    u32 count = g_manifest->env.count, kept = count;

    if (g_manifest->host_env.count)
        append_host_strings(TARGET_HOST_ENV, env, count, HOST_STRINGS_MAX);
    for (u32 i = count; env[i]; i++)
        if (name_allowed(env[i], names))
            env[kept++] = env[i];
    env[kept] = NULL;
    kfree(names);
    return env;
}

static void enter_directory(void)
{
    const char *name = manifest_string(&g_manifest->cwd);
    struct path path, old;
    int err;

    if (!name)
        return;
    err = path_lookup_at(-100 /* AT_FDCWD */, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);
    if (err)
        boot_fail("cannot enter the working directory", name, err, STATUS_ERROR);
    spin_lock(&current->fs->lock);
    old = current->fs->cwd;
    current->fs->cwd = path;
    spin_unlock(&current->fs->lock);
    path_put(&old);
}

static void set_hostname(void)
{
    const char *name = manifest_string(&g_manifest->hostname);

    if (name)
        uts_set_node_name(name, strlen(name));
}

static void set_limits(void)
{
    struct group *g = current->group;

    spin_lock(&g->lock);
    if (g_manifest->main_stack_size)
        g->rlimits[RLIMIT_STACK].cur = g_manifest->main_stack_size;
    if (core_pattern()[0]) /* who measured CoreDump asked for the files */
        g->rlimits[RLIMIT_CORE].cur = RLIM_INFINITY_;
    spin_unlock(&g->lock);
}

static _Noreturn void run_program(void)
{
    struct thread_area *area = thread_area();
    struct regs *regs = (struct regs *)(area->kstack - sizeof(*regs));
    const char *program = manifest_string(&g_manifest->program);
    char **argv = program_argv();
    char **env = program_env();
    int err;

    memset(regs, 0, sizeof(*regs));
    current->regs = regs;
    set_limits();
    err = exec_file(-100 /* AT_FDCWD */, program, LOOKUP_FOLLOW, argv, env, regs);
    if (err)
        boot_fail("cannot run", program, err, program_status(err));
    pr_started();
    kfree(argv);
    kfree(env);
    arch_xreset();
    boot_phase(PHASE_USER);
    arch_enter_user(regs);
}

_Noreturn void kernel_main(void)
{
    int err;

    manifest_load();
    boot_phase(PHASE_ENTERED);
    arch_init();
    err = mm_init(g_manifest->memory_size);
    if (err)
        boot_fail("cannot start with this MemorySize", NULL, err, STATUS_ERROR);
    time_init();
    boot_phase(PHASE_MEMORY);
    thread_area()->task = task_create_first();
    current->target = target_thread_self();
    signal_inherit_ignored(current, target_ignored_signals());
    net_init();
    membarrier_init();
    err = vfs_init();
    if (err)
        boot_fail("cannot use the root file system", NULL, err, STATUS_ERROR);
    err = console_install();
    if (err)
        boot_fail("cannot open standard input and output", NULL, err, STATUS_ERROR);
    boot_phase(PHASE_FILES);
    if (manifest_flag(MANIFEST_STRACE) && strace_enable(manifest_string(&g_manifest->strace)))
        target_exit(STATUS_ERROR << 8); /* it said why */
    if (manifest_flag(MANIFEST_STATS))
        syscall_stats_enable();
    set_hostname();
    enter_directory();
    run_program();
}
