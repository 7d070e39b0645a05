/* SPDX-License-Identifier: MIT */
/* guest: native=no */
/* guest: memory=64m */
/* guest: status=137 */
/* guest: link=dynamic,musl */
/* Touching more than there is, of memory that was only reserved, kills with a report. */
#include "guest.h"
#include <sys/mman.h>

int main(void)
{
    const size_t size = 1ul << 30;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return 1;
    for (size_t i = 0; i < size; i += 4096)
        p[i] = 1;
    return 0;
}
