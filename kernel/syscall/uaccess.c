/* SPDX-License-Identifier: MIT */
/*
 * Copies to and from the program's memory (kernel/uaccess.h). The range check keeps every access
 * inside what programs may use, whatever they pass; within it, the exception table turns a fault
 * that mm_fault() cannot resolve into a short copy (arch/x86_64/usercopy.S).
 */
#include <kernel/string.h>
#include <kernel/mm.h>
#include <kernel/task.h>
#include <kernel/uaccess.h>
#include <layout.h>

#ifdef ADYTON_HOSTED
#define USER_LIMIT (1UL << 47) /* a unit test's "program" is the test itself */
#else
#define USER_LIMIT SHARED_END
#endif

/* usercopy.S: how many bytes were not done; user_move*: 0 when done. */
size_t user_copy(void *dst, const void *src, size_t size);
size_t user_clear(void *dst, size_t size);
ssize_t user_strncpy(char *dst, const char *src, size_t max);
int user_move8(void *dst, const void *src);
int user_move4(void *dst, const void *src);
int user_cmpxchg(u32 *word, u32 expected, u32 value, u32 *old);

#define plain(p) ((void *)(uintptr_t)(p))

/* Whether a program may have memory there; its memory is in place from then on, until the task blocks. */
static inline bool access_begin(uintptr_t addr, size_t size)
{
    struct task *t = current_task();

    if (unlikely(t->in_mm != t->mm)) {
        mm_enter();
        if (unlikely(t->mm && READ_ONCE(t->mm->lost))) { /* the program is about to end */
            mm_leave();
            return false;
        }
    }
    return addr >= USER_START && addr <= USER_LIMIT && size <= USER_LIMIT - addr;
}

bool user_range_ok(const void __user *addr, size_t size)
{
    return (uintptr_t)addr <= USER_LIMIT && size <= USER_LIMIT - (uintptr_t)addr;
}

static inline int copy_all(void *dst, const void *src, size_t size)
{
    if (size == 8)
        return user_move8(dst, src) ? -EFAULT : 0;
    if (size == 4)
        return user_move4(dst, src) ? -EFAULT : 0;
    return user_copy(dst, src, size) ? -EFAULT : 0;
}

int copy_from_user(void *dst, const void __user *src, size_t size)
{
    if (unlikely(!access_begin((uintptr_t)src, size)))
        return size ? -EFAULT : 0;
    return copy_all(dst, plain(src), size);
}

int copy_to_user(void __user *dst, const void *src, size_t size)
{
    if (unlikely(!access_begin((uintptr_t)dst, size)))
        return size ? -EFAULT : 0;
    return copy_all(plain(dst), src, size);
}

int clear_user(void __user *dst, size_t size)
{
    if (!access_begin((uintptr_t)dst, size))
        return size ? -EFAULT : 0;
    return user_clear(plain(dst), size) ? -EFAULT : 0;
}

/* The program's part that we do not know, 64 bytes at a time. */
static int check_rest_zero(const char __user *src, size_t size)
{
    char part[64];

    while (size) {
        size_t n = min(size, sizeof(part));

        if (copy_from_user(part, src, n))
            return -EFAULT;
        for (size_t i = 0; i < n; i++)
            if (part[i])
                return -E2BIG;
        src += n;
        size -= n;
    }
    return 0;
}

int copy_struct_from_user(void *dst, size_t size, const void __user *src, size_t usize)
{
    size_t known = min(size, usize);
    int err = check_rest_zero((const char __user *)src + known, usize - known);

    memset((char *)dst + known, 0, size - known);
    return err ? err : copy_from_user(dst, src, known);
}

int cmpxchg_user(u32 __user *word, u32 expected, u32 value, u32 *old)
{
    if (!access_begin((uintptr_t)word, sizeof(*word)))
        return -EFAULT;
    return user_cmpxchg(plain(word), expected, value, old) ? -EFAULT : 0;
}

size_t copy_from_user_partial(void *dst, const void __user *src, size_t size)
{
    return access_begin((uintptr_t)src, size) ? size - user_copy(dst, plain(src), size) : 0;
}

size_t copy_to_user_partial(void __user *dst, const void *src, size_t size)
{
    return access_begin((uintptr_t)dst, size) ? size - user_copy(plain(dst), src, size) : 0;
}

ssize_t strncpy_from_user(char *dst, const char __user *src, size_t size)
{
    size_t max = size;
    ssize_t length;

    if (!access_begin((uintptr_t)src, 1))
        return -EFAULT;
    max = min(max, USER_LIMIT - (uintptr_t)src);
    length = user_strncpy(dst, plain(src), max);
    if (length < 0)
        return -EFAULT;
    if ((size_t)length == max)
        return max == size ? -ENAMETOOLONG : -EFAULT;
    return length;
}
