/* SPDX-License-Identifier: MIT */
/* Any bytes as the manifest: what the check accepts can be walked as the kernel does at boot. */
#include <kernel/boot.h>
#include <kernel/printk.h>
#include <kernel/string.h>

const struct manifest *g_manifest;

static void walk_string(const struct manifest_string *s)
{
    const char *text = manifest_string(s);

    ASSERT(!text || strlen(text) + 1 == s->size);
}

static void walk_list(const struct manifest_list *l)
{
    const char *start = (const char *)g_manifest + l->offset, *s = start;

    for (u32 i = 0; i < l->count; i++)
        s += strlen(s) + 1;
    ASSERT(s == start + l->size);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    const char *why = NULL;

    if (manifest_check(data, size, &why)) {
        ASSERT(why && *why);
        return 0;
    }
    ASSERT(!why);
    g_manifest = (const void *)data;
    if (g_manifest->root.kind != MANIFEST_ROOT_NONE)
        ASSERT(g_manifest->root.salt_size <= sizeof(g_manifest->root.salt));
    walk_string(&g_manifest->program);
    walk_string(&g_manifest->cwd);
    walk_string(&g_manifest->hostname);
    walk_string(&g_manifest->strace);
    walk_list(&g_manifest->argv);
    walk_list(&g_manifest->env);
    walk_list(&g_manifest->host_env);
    ASSERT(manifest_string(&g_manifest->program) && g_manifest->argv.count);
    return 0;
}
