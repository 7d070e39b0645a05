/* SPDX-License-Identifier: MIT */
/* kernel/net's part for unit tests of others: there are no sockets. */
#include <kernel/socket.h>

size_t unix_show(char *buf, size_t size)
{
    (void)buf;
    (void)size;
    return 0;
}

struct socket *file_socket(const struct file *f)
{
    (void)f;
    return NULL;
}

void socket_set_async(struct socket *s, struct file *f, int fd, bool on)
{
    (void)s;
    (void)f;
    (void)fd;
    (void)on;
}
