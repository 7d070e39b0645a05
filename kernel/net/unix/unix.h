/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX: what the files of this folder share. Source: unix(7), and Linux's behaviour where the page is
 * silent.
 *
 * A message is a packet in the receiver's queue. It is charged to the sender's SO_SNDBUF (unix_sock.wmem)
 * until it is read, and holds the sender, whose address the reader may want.
 *
 * Locking. sk.lock (spinlock) guards the fields marked; two of them are taken in the order of their
 * addresses (unix_lock_two). read_lock (mutex) keeps one socket's readers in order: it is held across copies
 * to the program, never by a sender, and not while its holder waits for data; it comes before sk.lock.
 * bind_lock (mutex) serialises bind(2) and comes before every lock of the VFS. g_names_lock (spinlock)
 * guards the tables of names and sockets; g_inflight_lock (spinlock, gc.c) what is known of descriptors
 * under way; both come before sk.lock, and neither is taken inside the other.
 */
#ifndef KERNEL_NET_UNIX_UNIX_H
#define KERNEL_NET_UNIX_UNIX_H

#include <kernel/alloc.h>
#include <kernel/poll.h>
#include <kernel/socket.h>
#include <kernel/string.h>
#include <kernel/task.h>

#define UNIX_DGRAM_QUEUE 10u /* net.unix.max_dgram_qlen */
#define UNIX_ADDR_MIN    sizeof(__kernel_sa_family_t)

#define POLL_READ  (POLLIN | POLLRDNORM)
#define POLL_WRITE (POLLOUT | POLLWRNORM | POLLWRBAND)
#define POLL_STATE (POLL_READ | POLL_WRITE | POLLRDHUP | POLLHUP | POLLERR)

struct unix_sock;

/* A name, constant and shared by a listener and its connections. */
struct unix_addr {
    ref_t ref;
    unsigned size; /* of `name` in use, family included */
    struct sockaddr_un name;
};

struct packet {
    struct list link;        /* in the receiver's queue; guarded by its sk.lock */
    struct unix_sock *from;  /* referenced; charged with `charge` */
    u32 size, offset;        /* [offset, size) is not read yet; offset guarded by the receiver's read_lock */
    u32 charge;
    bool has_cred;
    struct user_ucred cred;
    struct scm_files *files; /* counted in flight; NULL: none, or taken. Guarded as offset. */
    u8 data[];
};

enum unix_state { UNIX_CLOSED, UNIX_LISTENING, UNIX_CONNECTED };

struct unix_sock {
    struct socket sk;
    /* These, down to backlog: guarded by sk.lock, which clang's annotations cannot name from here. */
    enum unix_state state; /* a connection's is constant until its file is closed */
    bool dead;             /* released */
    struct unix_sock *peer; /* referenced; as state */
    struct list queue;     /* packets */
    unsigned queued;       /* of them */
    size_t unread;         /* bytes in them */
    struct list pending;   /* connections to accept, each with a reference */
    unsigned pending_count;
    unsigned backlog;
    struct list pending_link;                   /* in the listener's list; guarded by its sk.lock */
    u32 wmem;                                   /* bytes charged; atomic */
    mutex_t read_lock;
    struct waitqueue room_wait;                 /* a datagram was read, a connection accepted: there is room */
    struct waiter relay;                        /* on the peer's room_wait for who polls this one; dgram.c */
    bool relay_on;                              /* guarded by sk.lock */
    u32 relay_armed;                            /* atomic */

    mutex_t bind_lock;
    struct unix_addr *addr; /* set once, with release order, under bind_lock */
    struct path path;       /* the name's place in the file system, or NULLs; set once before addr */
    struct list name_link;  /* in a table of names; guarded by g_names_lock */
    struct list all_link;   /* guarded by g_names_lock */

    struct file *file;      /* of an open socket, without a reference; guarded by g_inflight_lock */
    struct list inflight_link; /* these four: guarded by g_inflight_lock */
    unsigned inflight;      /* references on its file by packets */
    unsigned gc_refs;       /* of these, not explained by candidates */
    unsigned gc_mark;       /* gc.c; not GC_NONE only while a collection runs */
};

static inline struct unix_sock *unix_of(struct socket *s)
{
    return container_of(s, struct unix_sock, sk);
}

static inline struct unix_sock *unix_get(struct unix_sock *u)
{
    socket_get(&u->sk);
    return u;
}

static inline void unix_put(struct unix_sock *u)
{
    if (u)
        socket_put(&u->sk);
}

static inline struct unix_addr *unix_addr_of(const struct unix_sock *u)
{
    return __atomic_load_n(&u->addr, __ATOMIC_ACQUIRE);
}

static inline bool unix_is_dgram(const struct unix_sock *u)
{
    return u->sk.type == SOCK_DGRAM;
}

/* unix.c */
struct unix_sock *unix_create(int type); /* NULL: no memory */
void unix_lock_two(struct unix_sock *a, struct unix_sock *b) ACQUIRES(&a->sk.lock, &b->sk.lock);
void unix_unlock_two(struct unix_sock *a, struct unix_sock *b) RELEASES(&a->sk.lock, &b->sk.lock);
/* The peer with a reference, or NULL. */
struct unix_sock *unix_peer_get(struct unix_sock *u);
/* The file is gone, or (for a connection nobody accepted) never came. */
void unix_shut(struct unix_sock *u, bool embryo);
struct user_ucred unix_current_cred(void); /* SO_PEERCRED: effective ids */

/* name.c */
int unix_bind(struct socket *s, const struct sock_addr *addr);
/* Gives a socket without a name an abstract one. 0, -ENOMEM, -ENOSPC. */
int unix_autobind(struct unix_sock *u);
/* The socket of that name with a reference: -EINVAL, -ECONNREFUSED, -EPROTOTYPE, path walk's errors. */
struct unix_sock *unix_find(const struct sock_addr *addr, int type);
void unix_unbind(struct unix_sock *u);
void unix_addr_put(struct unix_addr *a);
void unix_table_add(struct unix_sock *u);
void unix_table_remove(struct unix_sock *u);
void unix_addr_copy(const struct unix_sock *u, struct sock_addr *out);

/* connect.c */
int unix_listen(struct socket *s, int backlog);
int unix_accept(struct socket *s, bool nonblock, struct socket **out);
int unix_connect_stream(struct socket *s, const struct sock_addr *addr, bool nonblock);

/* packet.c */
/*
 * Waits for room in SO_SNDBUF, then makes a packet of the next `size` bytes of `from`; the files of m->scm move
 * into it when `with_files`. ERR_PTR: the pending error, -EPIPE, -EAGAIN, -EFAULT, -ENOMEM, -ETOOMANYREFS,
 * -ERESTARTSYS, -EINTR.
 */
struct packet *packet_create(struct unix_sock *u, struct sock_msg *m, struct iov_iter *from, size_t size,
                             u64 deadline);
/* Frees it with what it carries; the sender may have room again. */
void packet_free(struct packet *p);
void packet_set_cred(struct packet *p, const struct sock_msg *m, const struct unix_sock *to);
void packet_append(struct unix_sock *to, struct packet *p) REQUIRES(&to->sk.lock);
/* Takes it out of the queue it is in. */
void packet_unlink(struct unix_sock *u, struct packet *p) REQUIRES(&u->sk.lock);
/* The oldest one or NULL. read_lock held: it stays. */
struct packet *packet_first(struct unix_sock *u);
bool unix_has_room(const struct unix_sock *u); /* for POLLOUT */
/* What a reader gets beside the bytes: names, credentials, files (taken, or with MSG_PEEK copied). */
int packet_give(struct unix_sock *u, struct packet *p, struct sock_msg *m);

/* stream.c */
ssize_t unix_stream_send(struct socket *s, struct sock_msg *m, struct iov_iter *from);
ssize_t unix_stream_receive(struct socket *s, struct sock_msg *m, struct iov_iter *to);

/* dgram.c */
int unix_dgram_connect(struct socket *s, const struct sock_addr *addr, bool nonblock);
ssize_t unix_dgram_send(struct socket *s, struct sock_msg *m, struct iov_iter *from);
ssize_t unix_dgram_receive(struct socket *s, struct sock_msg *m, struct iov_iter *to);
ssize_t unix_seqpacket_send(struct socket *s, struct sock_msg *m, struct iov_iter *from);
ssize_t unix_seqpacket_receive(struct socket *s, struct sock_msg *m, struct iov_iter *to);
/* Poll's part about a connected datagram socket's peer: whether its queue has room. */
bool unix_dgram_peer_has_room(struct unix_sock *u);
void unix_relay_start(struct unix_sock *u, struct unix_sock *peer);
void unix_relay_stop(struct unix_sock *u);

/* proc.c: every socket. name.c: a copy of the list, `max` of them at most, with references. How many there are. */
size_t unix_snapshot(struct unix_sock **to, size_t max);

/* gc.c */
/* Counts the files as under way; 0 or -ETOOMANYREFS. unix_landed() undoes it. */
int unix_take_off(struct scm_files *fp);
void unix_landed(struct scm_files *fp);
/* Copies for MSG_PEEK. NULL: no memory. */
struct scm_files *unix_peek_files(const struct scm_files *fp);
/* Frees sockets that only their own queues still refer to. */
void unix_collect(void);

#endif
