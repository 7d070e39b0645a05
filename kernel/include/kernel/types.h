/* SPDX-License-Identifier: MIT */
/*
 * Base types and small helpers of the kernel. Freestanding; Linux's uAPI headers supply the ABI's
 * structures and numbers (<linux/...>, <asm/...>), libc's headers are not used inside.
 */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H

#include <linux/stat.h> /* first: it leaves S_IFMT and its like out once glibc's headers were seen */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/errno.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

/* As libc has them: unit tests see both. */
typedef long ssize_t;
typedef long off_t;
typedef long loff_t;
typedef int pid_t;
typedef unsigned uid_t;
typedef unsigned gid_t;
typedef unsigned mode_t;
typedef u64 dev_t;
typedef u64 ino_t;
typedef int clockid_t;

/*
 * Pointers that must not be dereferenced directly: __user points where the program says, __host into
 * untrusted memory. Clang checks the address spaces; gcc sees plain pointers.
 */
#if defined(__clang__) && !defined(ADYTON_HOSTED) /* a test hands over its own memory */
#define __user __attribute__((noderef, address_space(1)))
#define __host __attribute__((noderef, address_space(2)))
#else
#define __user
#define __host
#endif

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1UL << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))

#define page_down(x) ((x)&PAGE_MASK)
#define page_up(x)   (((x) + PAGE_SIZE - 1) & PAGE_MASK) /* caller checks for wrap */

#define align_down(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define align_up(x, a)   (((x) + (__typeof__(x))(a)-1) & ~((__typeof__(x))(a)-1))

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define min(a, b)                                                                                  \
    ({                                                                                             \
        __typeof__(a) min_a_ = (a);                                                                \
        __typeof__(b) min_b_ = (b);                                                                \
        min_a_ < min_b_ ? min_a_ : min_b_;                                                         \
    })
#define swap(a, b)                                                                                 \
    do {                                                                                           \
        __typeof__(a) swap_a_ = (a);                                                               \
        (a) = (b);                                                                                 \
        (b) = swap_a_;                                                                             \
    } while (0)
#define max(a, b)                                                                                  \
    ({                                                                                             \
        __typeof__(a) max_a_ = (a);                                                                \
        __typeof__(b) max_b_ = (b);                                                                \
        max_a_ > max_b_ ? max_a_ : max_b_;                                                         \
    })

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

/* An error number carried in a pointer, as Linux does it: the top page is never an object. */
#define MAX_ERRNO 4095
#define ERR_PTR(e)  ((void *)(long)(e))
#define PTR_ERR(p)  ((long)(p))
#define IS_ERR(p)   ((unsigned long)(p) >= (unsigned long)-MAX_ERRNO)

#endif
