/* SPDX-License-Identifier: MIT */
/* System V IPC between processes: segments, semaphores, queues, their limits and what /proc shows. */
#include "children.h"
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#define PAGE 4096
#ifndef SHM_DEST
#define SHM_DEST 01000
#endif

union arg {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
};

/* ---- Shared memory ------------------------------------------------------------------------------------ */

static unsigned long attached(int id)
{
    struct shmid_ds ds;

    CHECK(shmctl(id, IPC_STAT, &ds) == 0);
    return ds.shm_nattch;
}

static void test_shm_basics(void)
{
    int id = shmget(IPC_PRIVATE, 3 * PAGE + 5, IPC_CREAT | 0600);
    volatile int *a, *b;
    struct shmid_ds ds;
    char *fixed;

    CHECK(id >= 0 && attached(id) == 0);
    CHECK((a = shmat(id, NULL, 0)) != (void *)-1 && (b = shmat(id, NULL, SHM_RDONLY)) != (void *)-1);
    CHECK(a != b && attached(id) == 2);
    a[0] = 7;
    a[3 * PAGE / 4] = 9;
    CHECK(b[0] == 7 && b[3 * PAGE / 4] == 9);
    CHECK_ERRNO(mprotect((void *)b, PAGE, PROT_READ | PROT_WRITE), EACCES);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_segsz == 3 * PAGE + 5 && ds.shm_cpid == getpid());
    CHECK(ds.shm_lpid == getpid() && ds.shm_atime > 0 && ds.shm_dtime == 0 && ds.shm_perm.uid == geteuid());
    CHECK((ds.shm_perm.mode & 0777) == 0600);
    fixed = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_ERRNO((long)shmat(id, fixed, 0), EINVAL);
    CHECK_ERRNO((long)shmat(id, fixed + 1, SHM_REMAP), EINVAL);
    CHECK(shmat(id, fixed + 1, SHM_REMAP | SHM_RND) == fixed);
    CHECK(*(volatile int *)fixed == 7);
    *(volatile int *)fixed = 8;
    CHECK(a[0] == 8 && b[0] == 8);
    CHECK(shmdt(fixed) == 0 && shmdt((void *)b) == 0 && attached(id) == 1);
    CHECK_ERRNO(shmdt((void *)b), EINVAL);
    CHECK_ERRNO(shmdt((char *)a + 1), EINVAL);
    CHECK(mprotect((void *)a, PAGE, PROT_READ) == 0 && shmdt((void *)a) == 0); /* in two pieces */
    CHECK(attached(id) == 0 && shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_dtime > 0);
    CHECK((a = shmat(id, NULL, 0)) != (void *)-1 && a[0] == 8 && a[3 * PAGE / 4] == 9);
    CHECK(shmdt((void *)a) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
    CHECK_ERRNO(shmctl(id, IPC_STAT, &ds), EINVAL);
    CHECK_ERRNO((long)shmat(id, NULL, 0), EINVAL);
}

static void test_shm_keys(void)
{
    key_t key = 0x41440001 ^ (getpid() << 8);
    int id = shmget(key, PAGE, IPC_CREAT | IPC_EXCL | 0640);

    CHECK(id >= 0 && shmget(key, 0, 0) == id && shmget(key, PAGE / 2, IPC_CREAT | 0600) == id);
    CHECK_ERRNO(shmget(key, PAGE, IPC_CREAT | IPC_EXCL), EEXIST);
    CHECK_ERRNO(shmget(key, 2 * PAGE, 0), EINVAL);
    CHECK_ERRNO(shmget(key + 1, PAGE, 0), ENOENT);
    CHECK_ERRNO(shmget(key + 1, 0, IPC_CREAT | 0600), EINVAL);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    CHECK_ERRNO(shmget(key, 0, 0), ENOENT);
    CHECK_ERRNO(shmctl(-1, IPC_STAT, NULL), EINVAL);
    CHECK_ERRNO(shmctl(id, 99, NULL), EINVAL);
}

/* Removed while attached: it lives on until the last detach, also by the end of a process. */
static void test_shm_processes(void)
{
    int id = shmget(IPC_PRIVATE, 64 * PAGE, 0600), other, status;
    volatile unsigned *m = shmat(id, NULL, 0);
    struct shmid_ds ds;
    pid_t pid;
    int go[2];

    CHECK(pipe(go) == 0);
    pid = start();
    if (pid == 0) {
        char c;

        if (attached(id) != 2 || m[0] != 0)
            _exit(1);
        for (unsigned i = 0; i < 64; i++)
            m[i * PAGE / 4 + 1] = i + 1;
        m[0] = 1;
        if (read(go[0], &c, 1) != 1 || m[5] != 55)
            _exit(2);
        other = shmget(IPC_PRIVATE, PAGE, 0600);
        if (other < 0 || shmat(other, NULL, 0) == (void *)-1 || shmctl(other, IPC_RMID, NULL))
            _exit(3);
        m[2] = (unsigned)other;
        _exit(g_guest_failures ? 4 : 0);
    }
    while (m[0] == 0)
        usleep(1000);
    for (unsigned i = 0; i < 64; i++)
        CHECK(m[i * PAGE / 4 + 1] == i + 1);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0 && (ds.shm_perm.mode & SHM_DEST) && ds.shm_nattch == 2);
    m[5] = 55;
    CHECK(write(go[1], "x", 1) == 1);
    status = child_status(pid);
    CHECK(status == 0);
    other = (int)m[2];
    CHECK_ERRNO(shmctl(other, IPC_STAT, &ds), EINVAL); /* went with the child */
    CHECK(attached(id) == 1);
    CHECK(shmdt((void *)m) == 0);
    CHECK_ERRNO(shmctl(id, IPC_STAT, &ds), EINVAL);
    close(go[0]);
    close(go[1]);
}

/* ---- Semaphores ---------------------------------------------------------------------------------------------- */

static int op(int id, int num, int what, int flags)
{
    struct sembuf b = {.sem_num = num, .sem_op = what, .sem_flg = flags};

    return semop(id, &b, 1);
}

static void test_sem_basics(void)
{
    int id = semget(IPC_PRIVATE, 3, 0600);
    unsigned short values[3] = {1, 2, 3}, got[3];
    struct sembuf both[] = {{0, -1, IPC_NOWAIT}, {1, -5, IPC_NOWAIT}}, many[501];
    struct semid_ds ds;
    union arg a;

    CHECK(id >= 0);
    a.array = values;
    CHECK(semctl(id, 0, SETALL, a) == 0);
    a.array = got;
    CHECK(semctl(id, 0, GETALL, a) == 0 && memcmp(values, got, sizeof(got)) == 0);
    CHECK_ERRNO(semop(id, both, 2), EAGAIN);
    CHECK(semctl(id, 0, GETVAL) == 1 && semctl(id, 1, GETVAL) == 2); /* all or nothing */
    both[1].sem_op = -2;
    CHECK(semop(id, both, 2) == 0 && semctl(id, 0, GETVAL) == 0 && semctl(id, 1, GETVAL) == 0);
    CHECK(semctl(id, 0, GETPID) == getpid() && op(id, 0, 0, 0) == 0);
    CHECK_ERRNO(op(id, 2, 0, IPC_NOWAIT), EAGAIN);
    CHECK_ERRNO(op(id, 3, 1, 0), EFBIG);
    CHECK_ERRNO(op(id, 0, 32767, 0) ? -1 : op(id, 0, 1, 0), ERANGE);
    a.val = 32768;
    CHECK_ERRNO(semctl(id, 0, SETVAL, a), ERANGE);
    a.val = -1;
    CHECK_ERRNO(semctl(id, 0, SETVAL, a), ERANGE);
    CHECK_ERRNO(semctl(id, 3, GETVAL), EINVAL);
    CHECK_ERRNO(semop(id, NULL, 1), EFAULT);
    CHECK_ERRNO(semop(id, many, 0), EINVAL);
    CHECK_ERRNO(semop(id, many, 501), E2BIG);
    a.buf = &ds;
    CHECK(semctl(id, 0, IPC_STAT, a) == 0 && ds.sem_nsems == 3 && ds.sem_otime > 0);
    CHECK(semctl(id, 0, IPC_RMID) == 0);
    CHECK_ERRNO(op(id, 0, 1, 0), EINVAL);
    CHECK_ERRNO(semget(IPC_PRIVATE, 0, 0600), EINVAL);
    CHECK_ERRNO(semget(IPC_PRIVATE, 32001, 0600), EINVAL);
}

static volatile sig_atomic_t g_alarms;

static void on_alarm(int sig)
{
    (void)sig;
    g_alarms++;
}

static void test_sem_waits(void)
{
    struct sembuf down = {.sem_num = 0, .sem_op = -1, .sem_flg = 0};
    struct sigaction act = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct timespec soon = {0, 20000000}, bad = {0, 1000000000};
    struct itimerval in = {{0, 0}, {0, 30000}};
    int id = semget(IPC_PRIVATE, 2, 0600);
    pid_t pid;

    CHECK_ERRNO(syscall(SYS_semtimedop, id, &down, 1, &soon), EAGAIN);
    CHECK_ERRNO(syscall(SYS_semtimedop, id, &down, 1, &bad), EINVAL);
    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &in, NULL);
    CHECK_ERRNO(semop(id, &down, 1), EINTR); /* whatever SA_RESTART says */
    pid = start();
    if (pid == 0)
        _exit(op(id, 0, -2, 0) == 0 && op(id, 1, 0, 0) == 0 ? 5 : 6);
    for (int i = 0; i < 1000 && semctl(id, 0, GETNCNT) != 1; i++)
        usleep(1000);
    CHECK(semctl(id, 0, GETNCNT) == 1 && semctl(id, 0, GETZCNT) == 0);
    CHECK(op(id, 1, 1, 0) == 0 && op(id, 0, 1, 0) == 0 && semctl(id, 0, GETVAL) == 1);
    CHECK(op(id, 0, 1, 0) == 0);
    for (int i = 0; i < 1000 && semctl(id, 1, GETZCNT) != 1; i++)
        usleep(1000);
    CHECK(semctl(id, 1, GETZCNT) == 1 && op(id, 1, -1, 0) == 0);
    CHECK(child_status(pid) == 5 && semctl(id, 0, GETVAL) == 0);
    pid = start();
    if (pid == 0)
        _exit(op(id, 0, -1, 0) == -1 && errno == EIDRM ? 7 : 8);
    for (int i = 0; i < 1000 && semctl(id, 0, GETNCNT) != 1; i++)
        usleep(1000);
    CHECK(semctl(id, 0, IPC_RMID) == 0 && child_status(pid) == 7);
}

static void test_sem_undo(void)
{
    int id = semget(IPC_PRIVATE, 2, 0600);
    union arg a = {.val = 5};
    pid_t pid;

    CHECK(semctl(id, 0, SETVAL, a) == 0 && semctl(id, 1, SETVAL, a) == 0);
    pid = start();
    if (pid == 0) {
        if (op(id, 0, -3, SEM_UNDO) || op(id, 1, 4, SEM_UNDO) || op(id, 1, 1, 0))
            _exit(1);
        if (fork() == 0) /* inherits none of it */
            _exit(0);
        wait(NULL);
        _exit(semctl(id, 0, GETVAL) == 2 && semctl(id, 1, GETVAL) == 10 ? 0 : 2);
    }
    CHECK(child_status(pid) == 0);
    CHECK(semctl(id, 0, GETVAL) == 5 && semctl(id, 1, GETVAL) == 6);
    pid = start();
    if (pid == 0) {
        if (op(id, 0, -1, SEM_UNDO))
            _exit(1);
        a.val = 9; /* forgets it */
        _exit(semctl(id, 0, SETVAL, a) ? 2 : 0);
    }
    CHECK(child_status(pid) == 0 && semctl(id, 0, GETVAL) == 9);
    /* a lock that its killed holder gives back */
    a.val = 1;
    CHECK(semctl(id, 0, SETVAL, a) == 0);
    pid = start();
    if (pid == 0) {
        op(id, 0, -1, SEM_UNDO);
        op(id, 1, 1, 0);
        pause();
    }
    CHECK(op(id, 1, -7, 0) == 0 && semctl(id, 0, GETVAL) == 0);
    kill(pid, SIGKILL);
    CHECK(op(id, 0, -1, 0) == 0);
    child_status(pid);
    CHECK(semctl(id, 0, IPC_RMID) == 0);
}

/* Two processes take turns over a segment under a semaphore. */
static void test_sem_turns(void)
{
    int sem = semget(IPC_PRIVATE, 1, 0600), shm = shmget(IPC_PRIVATE, PAGE, 0600);
    volatile long *count = shmat(shm, NULL, 0);
    union arg a = {.val = 1};
    pid_t pid[3];

    CHECK(semctl(sem, 0, SETVAL, a) == 0 && shmctl(shm, IPC_RMID, NULL) == 0);
    for (int p = 0; p < 3; p++) {
        pid[p] = start();
        if (pid[p] == 0) {
            for (int i = 0; i < 300; i++) {
                if (op(sem, 0, -1, SEM_UNDO))
                    _exit(1);
                *count = *count + 1;
                if (op(sem, 0, 1, SEM_UNDO))
                    _exit(2);
            }
            _exit(0);
        }
    }
    for (int p = 0; p < 3; p++)
        CHECK(child_status(pid[p]) == 0);
    CHECK(*count == 900 && semctl(sem, 0, GETVAL) == 1);
    CHECK(semctl(sem, 0, IPC_RMID) == 0 && shmdt((void *)count) == 0);
}

/* ---- Queues ---------------------------------------------------------------------------------------------------- */

struct msg {
    long type;
    char text[8192];
};

static struct msg g_msg;

static int put(int id, long type, const char *text, int flags)
{
    g_msg.type = type;
    strcpy(g_msg.text, text);
    return msgsnd(id, &g_msg, strlen(text), flags);
}

static const char *get(int id, long type, int flags)
{
    ssize_t n = msgrcv(id, &g_msg, sizeof(g_msg.text), type, flags | IPC_NOWAIT);

    if (n < 0)
        return errno == ENOMSG ? "ENOMSG" : "?";
    g_msg.text[n] = 0;
    return g_msg.text;
}

static void test_msg_basics(void)
{
    int id = msgget(IPC_PRIVATE, 0600);
    struct msqid_ds ds;

    CHECK(put(id, 3, "three", 0) == 0 && put(id, 1, "one", 0) == 0 && put(id, 2, "two", 0) == 0 &&
          put(id, 1, "uno", 0) == 0 && put(id, 5, "", 0) == 0);
    CHECK(msgctl(id, IPC_STAT, &ds) == 0 && ds.msg_qnum == 5 && ds.msg_qbytes == 16384);
    CHECK(ds.msg_lspid == getpid() && ds.msg_lrpid == 0 && ds.msg_stime > 0 && ds.msg_rtime == 0);
    CHECK(strcmp(get(id, 2, 0), "two") == 0 && strcmp(get(id, -2, 0), "one") == 0);
    CHECK(strcmp(get(id, 3, MSG_EXCEPT), "uno") == 0 && strcmp(get(id, 9, 0), "ENOMSG") == 0);
    CHECK_ERRNO(msgrcv(id, &g_msg, 2, 0, IPC_NOWAIT), E2BIG);
    CHECK(msgrcv(id, &g_msg, 2, 0, MSG_NOERROR) == 2 && memcmp(g_msg.text, "th", 2) == 0);
    CHECK(strcmp(get(id, 0, 0), "") == 0 && g_msg.type == 5 && strcmp(get(id, 0, 0), "ENOMSG") == 0);
    CHECK_ERRNO(put(id, 0, "x", 0), EINVAL);
    CHECK_ERRNO(msgsnd(id, &g_msg, 8193, 0), EINVAL);
    CHECK_ERRNO(msgsnd(id, (void *)8, 1, 0), EFAULT);
    g_msg.type = 1;
    CHECK(msgsnd(id, &g_msg, 8192, 0) == 0 && msgsnd(id, &g_msg, 8192, 0) == 0);
    CHECK_ERRNO(msgsnd(id, &g_msg, 1, IPC_NOWAIT), EAGAIN);
    ds.msg_qbytes = 100;
    CHECK(msgctl(id, IPC_STAT, &ds) == 0 && ds.msg_cbytes == 16384);
    CHECK(msgctl(id, IPC_RMID, NULL) == 0);
    CHECK_ERRNO(put(id, 1, "x", 0), EINVAL);
}

static void test_msg_waits(void)
{
    int id = msgget(IPC_PRIVATE, 0600), back = msgget(IPC_PRIVATE, 0600);
    struct sigaction act = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval in = {{0, 0}, {0, 30000}};
    pid_t pid;

    pid = start();
    if (pid == 0) {
        for (int i = 0; i < 200; i++) {
            if (msgrcv(id, &g_msg, sizeof(g_msg.text), i + 1, 0) < 0)
                _exit(1);
            g_msg.type = i + 1;
            if (msgsnd(back, &g_msg, 1000, 0))
                _exit(2);
        }
        _exit(msgrcv(id, &g_msg, 1, 0, 0) == -1 && errno == EIDRM ? 3 : 4);
    }
    for (int i = 0; i < 200; i++) { /* more than fits: both sides wait for each other */
        g_msg.type = i + 1;
        CHECK(msgsnd(id, &g_msg, 1000, 0) == 0);
        if (i >= 20)
            CHECK(msgrcv(back, &g_msg, 1000, i - 19, 0) == 1000);
    }
    for (int i = 180; i < 200; i++)
        CHECK(msgrcv(back, &g_msg, 1000, 0, 0) == 1000 && g_msg.type == i + 1);
    usleep(30000);
    CHECK(msgctl(id, IPC_RMID, NULL) == 0 && child_status(pid) == 3);
    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &in, NULL);
    CHECK_ERRNO(msgrcv(back, &g_msg, 1, 0, 0), EINTR);
    CHECK(msgctl(back, IPC_RMID, NULL) == 0);
}

/* ---- Rights, limits and lists ---------------------------------------------------------------------------------------- */

static void test_rights(void)
{
    int id = semget(IPC_PRIVATE, 1, 0644), mine;
    union arg a = {.val = 3};
    struct semid_ds ds;
    pid_t pid = start();

    if (pid == 0) {
        if (setgid(7) || setuid(7))
            _exit(1);
        CHECK(semctl(id, 0, GETVAL) == 0);
        CHECK_ERRNO(semctl(id, 0, SETVAL, a), EACCES);
        CHECK_ERRNO(op(id, 0, 1, 0), EACCES);
        CHECK_ERRNO(semctl(id, 0, IPC_RMID), EPERM);
        mine = semget(IPC_PRIVATE, 1, 0);
        CHECK_ERRNO(semctl(mine, 0, GETVAL), EACCES);
        a.buf = &ds;
        memset(&ds, 0, sizeof(ds));
        ds.sem_perm.uid = 7;
        ds.sem_perm.gid = 7;
        ds.sem_perm.mode = 0600;
        CHECK(semctl(mine, 0, IPC_SET, a) == 0 && semctl(mine, 0, GETVAL) == 0);
        CHECK(semctl(mine, 0, IPC_RMID) == 0);
        _exit(g_guest_failures ? 2 : 0);
    }
    CHECK(child_status(pid) == 0);
    CHECK(semctl(id, 0, IPC_RMID) == 0);
}

static int listed(const char *path, int id)
{
    FILE *f = fopen(path, "r");
    char line[512];
    int found = 0, key, number;

    CHECK(f != NULL);
    while (f && fgets(line, sizeof(line), f))
        found += sscanf(line, "%d %d", &key, &number) == 2 && number == id;
    if (f)
        fclose(f);
    return found;
}

static void test_lists(void)
{
    int shm = shmget(IPC_PRIVATE, PAGE, 0600), sem = semget(IPC_PRIVATE, 2, 0600), msg = msgget(IPC_PRIVATE, 0600);
    struct shmid_ds ds;
    int top, found = 0;

    CHECK(listed("/proc/sysvipc/shm", shm) == 1 && listed("/proc/sysvipc/sem", sem) == 1);
    CHECK(listed("/proc/sysvipc/msg", msg) == 1);
    top = shmctl(0, 14 /* SHM_INFO */, (void *)g_msg.text);
    CHECK(top >= 0);
    for (int i = 0; i <= top; i++)
        found += shmctl(i, 13 /* SHM_STAT */, &ds) == shm;
    CHECK(found == 1);
    CHECK(shmctl(shm, IPC_RMID, NULL) == 0 && semctl(sem, 0, IPC_RMID) == 0 && msgctl(msg, IPC_RMID, NULL) == 0);
    CHECK(listed("/proc/sysvipc/shm", shm) == 0 && listed("/proc/sysvipc/sem", sem) == 0);
}

int main(void)
{
    test_shm_basics();
    test_shm_keys();
    test_shm_processes();
    test_sem_basics();
    test_sem_waits();
    test_sem_undo();
    test_sem_turns();
    test_msg_basics();
    test_msg_waits();
    test_rights();
    test_lists();
    return guest_done();
}
