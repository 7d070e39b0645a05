/* SPDX-License-Identifier: MIT */
/* The kernel's own string functions under names of their own, beside libc's to compare with. */
#undef ADYTON_HOSTED
#define memcpy    k_memcpy
#define memmove   k_memmove
#define memset    k_memset
#define memcmp    k_memcmp
#define memchr    k_memchr
#define memmem    k_memmem
#define strlen    k_strlen
#define strnlen   k_strnlen
#define strcmp    k_strcmp
#define strncmp   k_strncmp
#define strchr    k_strchr
#define strrchr   k_strrchr
#define strstr    k_strstr
#define strlcpy_k k_strlcpy
#define snprintf  k_snprintf
#define vsnprintf k_vsnprintf

#include "../string.c"

#include "../printf.c"
