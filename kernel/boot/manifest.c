/* SPDX-License-Identifier: MIT */
/*
 * The manifest's reader. It is measured, so an attacker cannot choose it, but whoever signs an
 * enclave may have made a broken one: everything is checked before anything is used. No state, no
 * target calls: the fuzzer runs it hosted.
 */
#include <kernel/boot.h>
#include <kernel/string.h>

struct reader {
    const char *data;
    size_t size;
};

static bool string_ok(const struct reader *r, const struct manifest_string *s)
{
    if (!s->offset)
        return !s->size;
    return s->offset >= sizeof(struct manifest) && s->size >= 1 && s->offset <= r->size &&
           s->size <= r->size - s->offset &&
           memchr(r->data + s->offset, 0, s->size) == r->data + s->offset + s->size - 1;
}

static bool list_ok(const struct reader *r, const struct manifest_list *l)
{
    size_t count = 0;

    if (l->reserved || l->count > MANIFEST_STRINGS_MAX)
        return false;
    if (!l->offset)
        return !l->size && !l->count;
    if (l->offset < sizeof(struct manifest) || l->offset > r->size ||
        l->size > r->size - l->offset)
        return false;
    for (u32 i = 0; i < l->size; i++)
        count += !r->data[l->offset + i];
    return count == l->count && (!l->size || !r->data[l->offset + l->size - 1]);
}

static const char *header_error(const struct manifest *m, size_t size)
{
    if (m->magic != MANIFEST_MAGIC)
        return "no manifest there";
    if (m->version != MANIFEST_VERSION)
        return "its version is not this kernel's";
    if (m->size != size)
        return "its size does not match";
    if (m->flags & ~(u32)MANIFEST_FLAGS_ALL)
        return "it has switches that this kernel does not know";
    for (size_t i = 0; i < ARRAY_COUNT(m->reserved); i++)
        if (m->reserved[i])
            return "a reserved field is set";
    return NULL;
}

static const char *root_error(const struct manifest_root *root)
{
    const u64 block = 4096;

    if (root->kind == MANIFEST_ROOT_NONE)
        return NULL;
    if (root->kind != MANIFEST_ROOT_CPIO)
        return "its root is of an unknown kind";
    if (root->salt_size > sizeof(root->salt))
        return "its salt is too long";
    if (!root->data_blocks || root->data_blocks > (1ULL << 40) / block ||
        root->archive_size > root->data_blocks * block || root->hash_offset % block ||
        root->hash_offset < root->data_blocks * block || root->hash_offset > (1ULL << 41))
        return "its root image's sizes cannot be";
    return NULL;
}

int manifest_check(const void *data, size_t size, const char **why)
{
    const struct manifest *m = data;
    const struct reader r = {data, size};

    *why = "it is too short";
    if (size < sizeof(*m) || size > MANIFEST_SIZE_MAX)
        return -EINVAL;
    *why = header_error(m, size);
    if (!*why)
        *why = root_error(&m->root);
    if (!*why && !(string_ok(&r, &m->program) && string_ok(&r, &m->cwd) &&
                   string_ok(&r, &m->hostname) && string_ok(&r, &m->strace) &&
                   string_ok(&r, &m->core_dump)))
        *why = "a string lies outside";
    if (!*why && !(list_ok(&r, &m->argv) && list_ok(&r, &m->env) && list_ok(&r, &m->host_env)))
        *why = "a list of strings lies outside";
    if (!*why && (!m->program.offset || !m->argv.count))
        *why = "it names no program";
    return *why ? -EINVAL : 0;
}

const char *manifest_string(const struct manifest_string *s)
{
    return s->offset ? (const char *)g_manifest + s->offset : NULL;
}
