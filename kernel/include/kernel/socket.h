/* SPDX-License-Identifier: MIT */
/*
 * Sockets: what the calls of socket(2) and a protocol family agree on. A family registers once at boot and
 * gives each socket an ops table; kernel/net/ does descriptors, copies from and to the program, control
 * messages and SOL_SOCKET. Source: socket(2), socket(7), unix(7), cmsg(3) and the calls' own pages.
 *
 * Life: a socket is reference counted. Its file holds one reference and is gone after ops->release; peers,
 * messages under way and name tables hold others.
 *
 * Locking: socket->lock (spinlock) guards what is marked; two sockets' locks are taken in the order of their
 * addresses. No user copy and no allocation under it. Options are single words: written under the lock, read
 * without it. Waits use socket->wait; its lock and epoll's come after socket->lock.
 */
#ifndef KERNEL_SOCKET_H
#define KERNEL_SOCKET_H

#include <kernel/fs.h>
#include <kernel/list.h>
#include <kernel/lock.h>
#include <kernel/wait.h>
#include <linux/fcntl.h>
#include <linux/socket.h>
#include <linux/un.h>

/* Linux's numbers that its uAPI headers leave to libc's <sys/socket.h>. */
#define AF_UNSPEC      0
#define AF_UNIX        1
#define AF_NETLINK     16
#define SOCK_STREAM    1
#define SOCK_DGRAM     2
#define SOCK_RAW       3
#define SOCK_SEQPACKET 5
#define SOCK_TYPE_MASK 0xf
#define SOCK_TYPE_MAX  11
#define SOCK_CLOEXEC   O_CLOEXEC
#define SOCK_NONBLOCK  O_NONBLOCK

#define MSG_OOB          0x1u
#define MSG_PEEK         0x2u
#define MSG_CTRUNC       0x8u
#define MSG_TRUNC        0x20u
#define MSG_DONTWAIT     0x40u
#define MSG_EOR          0x80u
#define MSG_WAITALL      0x100u
#define MSG_ERRQUEUE     0x2000u
#define MSG_NOSIGNAL     0x4000u
#define MSG_WAITFORONE   0x10000u
#define MSG_CMSG_CLOEXEC 0x40000000u

#define SHUT_RD        0
#define SHUT_WR        1
#define SHUT_RDWR      2
#define SHUTDOWN_RECV  1u /* bits of socket->shutdown */
#define SHUTDOWN_SEND  2u
#define SHUTDOWN_BOTH  3u

#define SCM_RIGHTS      1
#define SCM_CREDENTIALS 2
#define SCM_MAX_FD      253u
#define SOMAXCONN       4096

#define SOCK_BUF_DEFAULT 212992u /* net.core.wmem_default, wmem_max */
#define SOCK_SNDBUF_MIN  4608u
#define SOCK_RCVBUF_MIN  2304u

/* The program's structures, as the x86-64 ABI has them (recvmsg(2), cmsg(3), recvmmsg(2), unix(7)). */
struct user_msghdr {
    void __user *msg_name;
    int msg_namelen;
    struct iovec __user *msg_iov;
    u64 msg_iovlen;
    void __user *msg_control;
    u64 msg_controllen;
    u32 msg_flags;
};

struct user_mmsghdr {
    struct user_msghdr msg_hdr;
    u32 msg_len;
};

struct user_cmsghdr {
    u64 cmsg_len;
    int cmsg_level, cmsg_type;
};

struct user_ucred {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

/* An address of any family in kernel memory. */
struct sock_addr {
    unsigned size; /* bytes in use; 0: none */
    union {
        __kernel_sa_family_t family;
        struct sockaddr_un un;
        u8 bytes[128];
    };
};

/* ---- Control messages (net/scm.c) -------------------------------------------------------------- */

/* Descriptors under way; `files` holds references. */
struct scm_files {
    struct list link; /* scm_files_drop's */
    unsigned count;
    struct file *files[SCM_MAX_FD];
};

struct scm {
    struct scm_files *files; /* owned, or NULL */
    bool has_cred;
    struct user_ucred cred;
};

/* Frees what it owns. Files are put without recursion, however deep sockets carry each other. */
void scm_drop(struct scm *scm);
void scm_files_drop(struct scm_files *fp);
/*
 * Control messages of sendmsg(2), copied in. 0 with *scm filled, -EINVAL, -EBADF, -EPERM, -ESRCH, -ENOMEM;
 * nothing is owned after an error.
 */
int scm_parse(struct scm *scm, const void *control, size_t size);
/*
 * Gives *scm to the program as recvmsg(2)'s control data at `control` with room for `size` bytes (0 without).
 * Consumes scm->files. Returns the bytes used; MSG_CTRUNC joins *flags where something did not fit.
 */
size_t scm_deliver(struct scm *scm, bool passcred, void __user *control, size_t size, unsigned *flags);

/* ---- Messages ---------------------------------------------------------------------------------- */

struct sock_msg {
    unsigned flags;      /* MSG_*, MSG_DONTWAIT too for descriptors that do not block */
    unsigned out_flags;  /* receive: MSG_TRUNC, MSG_EOR... */
    struct sock_addr *name; /* send: where to (size 0: none); receive: gets the sender's, or NULL */
    struct scm scm;      /* send: owned by the caller unless taken; receive: gets what came along */
};

/* ---- Sockets ----------------------------------------------------------------------------------- */

struct socket;

/*
 * What a family does. NULL: -EOPNOTSUPP. All return 0, a count or -errno; calls hold a reference on the file.
 */
struct socket_ops {
    int (*bind)(struct socket *s, const struct sock_addr *addr);
    int (*connect)(struct socket *s, const struct sock_addr *addr, bool nonblock);
    int (*listen)(struct socket *s, int backlog);
    /* A connection with a reference and without a file yet. */
    int (*accept)(struct socket *s, bool nonblock, struct socket **out);
    int (*pair)(struct socket *a, struct socket *b);
    int (*name)(struct socket *s, struct sock_addr *addr, bool peer);
    int (*shutdown)(struct socket *s, unsigned how); /* SHUTDOWN_* bits */
    ssize_t (*send)(struct socket *s, struct sock_msg *m, struct iov_iter *from);
    ssize_t (*receive)(struct socket *s, struct sock_msg *m, struct iov_iter *to);
    unsigned (*poll)(struct socket *s, struct poll_table *pt);
    long (*ioctl)(struct socket *s, unsigned cmd, unsigned long arg);
    /* Options of other levels than SOL_SOCKET; `size` bytes in kernel memory. get: the size used. */
    int (*set_option)(struct socket *s, int level, int name, const void *value, unsigned size);
    int (*get_option)(struct socket *s, int level, int name, void *value, unsigned size);
    /* The file is closed; the caller's reference stays. */
    void (*release)(struct socket *s);
    /* The last reference: frees the object that holds *s. */
    void (*destroy)(struct socket *s);
};

/* socket->options */
#define SOCK_OPT_PASSCRED  1u
#define SOCK_OPT_REUSEADDR 2u
#define SOCK_OPT_BROADCAST 4u
#define SOCK_OPT_KEEPALIVE 8u
#define SOCK_OPT_OOBINLINE 16u
#define SOCK_OPT_LINGER    32u
#define SOCK_OPT_DONTROUTE 64u
#define SOCK_OPT_REUSEPORT 128u

struct socket {
    ref_t ref;
    const struct socket_ops *ops;
    int family, type, protocol;
    struct inode *inode;     /* of its file; the calls' only, whose file keeps it */
    ino_t ino;               /* its number; 0: not accepted yet */
    spinlock_t lock;
    struct waitqueue wait;
    bool listening GUARDED_BY(&lock);
    u8 shutdown GUARDED_BY(&lock);
    struct file *async;      /* O_ASYNC is set: its file, without a reference; guarded by lock */
    int async_fd;            /* by which descriptor; guarded by lock */
    u32 no_space;            /* a sender found no room since the last POLLOUT signal; atomic */
    int error;               /* SO_ERROR: positive, taken by whoever sees it first; atomic */
    u32 options;
    u32 sndbuf, rcvbuf, rcvlowat;
    u64 sndtimeo, rcvtimeo;  /* ns, DEADLINE_NONE */
    int linger_seconds, priority;
    struct user_ucred peercred; /* pid 0: none; guarded by lock */
};

struct socket_family {
    int family;
    /* A socket of a valid type with one reference; -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -ENOMEM. */
    int (*create)(int type, int protocol, struct socket **out);
    struct socket_family *next; /* the registry's */
};

/* Boot only. */
void socket_family_register(struct socket_family *f);
void net_init(void);

/* Prepares a family's new object; the caller set nothing yet. */
void socket_init(struct socket *s, const struct socket_ops *ops, int family, int type, int protocol);
static inline void socket_get(struct socket *s)
{
    ref_get(&s->ref);
}
void socket_put(struct socket *s);

/* The socket behind a file, borrowed; NULL for other files. */
struct socket *file_socket(const struct file *f);
/* A file for `s`, whose reference it consumes, also on failure (then released). O_NONBLOCK in flags. ERR_PTR. */
struct file *socket_file_create(struct socket *s, int flags);

/* O_ASYNC of its file turned on through descriptor `fd`, or off. */
void socket_set_async(struct socket *s, struct file *f, int fd, bool on);
/* Wakes who waits on socket->wait, and signals its owner if it has one. No lock may be held. */
void socket_wake(struct socket *s, unsigned key);

/* Takes the pending error: 0 or -errno. */
int socket_take_error(struct socket *s);
void socket_set_error(struct socket *s, int err);

/* When a call that may take so long must end. */
u64 socket_deadline(u64 timeo);
/*
 * Blocks on `wq` until `ready` says so. 0, -EAGAIN at the deadline, or for a signal -ERESTARTSYS (no deadline)
 * or -EINTR, as Linux's sock_intr_errno().
 */
int socket_wait(struct waitqueue *wq, unsigned events, bool (*ready)(void *arg), void *arg, u64 deadline);

/* ---- AF_NETLINK (net/netlink.c) --------------------------------------------------------------------- */

void netlink_init(void);

/* A message of the kernel for one netlink socket, which it keeps until it is received or dropped. */
struct netlink_message {
    struct list link;
    struct socket *to; /* with a reference */
    size_t size;
    u8 data[];
};

/*
 * One for the socket of a descriptor; waits while its SO_RCVBUF is full of others. ERR_PTR(-EBADF), (-ENOTSOCK),
 * (-EINVAL) (another family's), (-ENOMEM), (-ERESTARTSYS). The caller owns it until it calls one of the next two.
 */
struct netlink_message *netlink_message_create(int fd, const void *data, size_t size);
/* Into the socket's queue; gone if the socket was closed. No spinlock may be held. Consumes it. */
void netlink_message_send(struct netlink_message *m);
/* Not to be sent after all. Consumes it. */
void netlink_message_drop(struct netlink_message *m);

/* ---- AF_UNIX (net/unix) ------------------------------------------------------------------------ */

void unix_init(void);
/* Text of /proc/net/unix; as snprintf, without the NUL. */
size_t unix_show(char *buf, size_t size);

#endif
