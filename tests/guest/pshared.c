/* SPDX-License-Identifier: MIT */
/* POSIX shared memory, semaphores, and mutexes and condition variables that processes share. */
#include "children.h"
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define ROUNDS 300

static void test_shm(void)
{
    char name[64];
    struct stat st;
    volatile int *m;
    pid_t pid;
    int fd;

    snprintf(name, sizeof(name), "/guest-%d", (int)getpid());
    CHECK((fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600)) >= 0 && ftruncate(fd, 8192) == 0);
    CHECK_ERRNO(shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
    m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(m != MAP_FAILED);
    pid = start();
    if (pid == 0) {
        volatile int *own;
        int again = shm_open(name, O_RDWR, 0);

        own = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0);
        if (own == MAP_FAILED || own == m)
            _exit(1);
        own[0] = 1;
        m[1024] = 2;
        while (own[1] != 3)
            usleep(100);
        _exit(own[1024] == 2 && m[0] == 1 ? 0 : 2);
    }
    while (m[0] != 1 || m[1024] != 2)
        usleep(100);
    m[1] = 3;
    CHECK(child_status(pid) == 0 && fstat(fd, &st) == 0 && st.st_size == 8192);
    CHECK(shm_unlink(name) == 0);
    CHECK_ERRNO(shm_open(name, O_RDWR, 0), ENOENT);
    CHECK(m[1] == 3 && munmap((void *)m, 8192) == 0 && close(fd) == 0);
}

static void test_named_semaphore(void)
{
    struct timespec past = {0, 0};
    char name[64];
    sem_t *s, *t;
    pid_t pid;
    int value;

    snprintf(name, sizeof(name), "/guest-%d", (int)getpid());
    CHECK((s = sem_open(name, O_CREAT | O_EXCL, 0600, 1)) != SEM_FAILED);
    CHECK((t = sem_open(name, O_RDWR)) == s && sem_close(t) == 0);
    CHECK(sem_wait(s) == 0);
    CHECK_ERRNO(sem_trywait(s), EAGAIN);
    CHECK_ERRNO(sem_timedwait(s, &past), ETIMEDOUT);
    pid = start();
    if (pid == 0) {
        usleep(20000);
        _exit(sem_post(s) || sem_post(s) ? 1 : 0);
    }
    CHECK(sem_wait(s) == 0 && child_status(pid) == 0 && sem_getvalue(s, &value) == 0 && value == 1);
    CHECK(sem_unlink(name) == 0 && sem_close(s) == 0);
}

struct shared {
    pthread_mutex_t lock, robust;
    pthread_cond_t turn;
    sem_t ping, pong;
    int whose, count;
};

static void play(struct shared *s, int me)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&s->lock);
        while (s->whose != me)
            pthread_cond_wait(&s->turn, &s->lock);
        s->whose = !me;
        s->count++;
        pthread_cond_broadcast(&s->turn);
        pthread_mutex_unlock(&s->lock);
    }
}

static void test_shared(void)
{
    struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t ma;
    pthread_condattr_t ca;
    pid_t pid;

    CHECK(s != MAP_FAILED && pthread_mutexattr_init(&ma) == 0 && pthread_condattr_init(&ca) == 0);
    CHECK(pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_mutex_init(&s->lock, &ma) == 0 && pthread_cond_init(&s->turn, &ca) == 0);
    CHECK(pthread_mutexattr_setrobust(&ma, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutex_init(&s->robust, &ma) == 0);
    CHECK(sem_init(&s->ping, 1, 0) == 0 && sem_init(&s->pong, 1, 0) == 0);
    pid = start();
    if (pid == 0) {
        play(s, 1);
        for (int i = 0; i < ROUNDS; i++) {
            sem_wait(&s->ping);
            sem_post(&s->pong);
        }
        pthread_mutex_lock(&s->robust); /* and dies with it */
        sem_post(&s->pong);
        pause();
    }
    play(s, 0);
    for (int i = 0; i < ROUNDS; i++)
        CHECK(sem_post(&s->ping) == 0 && sem_wait(&s->pong) == 0);
    CHECK(s->count == 2 * ROUNDS && sem_wait(&s->pong) == 0);
    CHECK(pthread_mutex_trylock(&s->robust) == EBUSY);
    kill(pid, SIGKILL);
    CHECK(pthread_mutex_lock(&s->robust) == EOWNERDEAD);
    CHECK(pthread_mutex_consistent(&s->robust) == 0 && pthread_mutex_unlock(&s->robust) == 0);
    child_status(pid);
    CHECK(munmap(s, sizeof(*s)) == 0);
}

int main(void)
{
    test_shm();
    test_named_semaphore();
    test_shared();
    return guest_done();
}
