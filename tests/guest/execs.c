/* SPDX-License-Identifier: MIT */
/*
 * execve: what is handed on, what is not, scripts, and every way it fails. The program runs itself again
 * in stages, named by its first argument.
 */
#include "guest.h"
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static char g_self[PATH_MAX];

static void put(const char *path, const void *data, size_t size, mode_t mode)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);

    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size && fchmod(fd, mode) == 0 && close(fd) == 0);
}

static int go(const char *path, char *const argv[], char *const envp[])
{
    return execve(path, argv, envp);
}

static void test_failures(void)
{
    char *argv[] = {"x", NULL}, *bad[] = {"x", (char *)8, NULL}, *big[3] = {"x", NULL, NULL};
    char head[128] = "#!/", deep[PATH_MAX];
    unsigned char elf[4096];
    int fd = open(g_self, O_RDONLY), wr;

    CHECK(read(fd, elf, sizeof(elf)) == sizeof(elf) && close(fd) == 0);
    CHECK_ERRNO(go("none", argv, environ), ENOENT);
    CHECK_ERRNO(go("", argv, environ), ENOENT);
    CHECK_ERRNO(go(".", argv, environ), EACCES);
    put("plain", "text\n", 5, 0644);
    CHECK_ERRNO(go("plain", argv, environ), EACCES);
    CHECK_ERRNO(go("plain/x", argv, environ), ENOTDIR);
    put("text", "echo no interpreter\n", 20, 0755);
    CHECK_ERRNO(go("text", argv, environ), ENOEXEC);
    put("empty", "", 0, 0755);
    CHECK_ERRNO(go("empty", argv, environ), ENOEXEC);
    put("cut", elf, 40, 0755);
    CHECK_ERRNO(go("cut", argv, environ), ENOEXEC);
    elf[18] = 40; /* ARM */
    put("arm", elf, sizeof(elf), 0755);
    CHECK_ERRNO(go("arm", argv, environ), ENOEXEC);
    put("script", "#!/none/such\n", 13, 0755);
    CHECK_ERRNO(go("script", argv, environ), ENOENT);
    put("script", "#!\n", 3, 0755);
    CHECK_ERRNO(go("script", argv, environ), ENOEXEC);
    put("script", "#!/proc\n", 8, 0755);
    CHECK_ERRNO(go("script", argv, environ), EACCES);
    CHECK(getcwd(deep, sizeof(deep) - 20) && strcat(deep, "/loop"));
    snprintf(head, sizeof(head), "#!%.100s\n", deep);
    put("loop", head, strlen(head), 0755);
    CHECK_ERRNO(go("loop", argv, environ), ELOOP);
    CHECK(symlink("circle", "circle") == 0);
    CHECK_ERRNO(go("circle", argv, environ), ELOOP);
    CHECK_ERRNO(go((char *)8, argv, environ), EFAULT);
    CHECK_ERRNO(go(g_self, bad, environ), EFAULT);
    CHECK_ERRNO(go(g_self, (char **)8, environ), EFAULT);
    big[1] = malloc(200000);
    memset(big[1], 'x', 199999);
    big[1][199999] = 0;
    CHECK_ERRNO(go(g_self, big, environ), E2BIG);
    free(big[1]);
    CHECK_ERRNO(syscall(SYS_execveat, AT_FDCWD, "circle", argv, environ, AT_SYMLINK_NOFOLLOW), ELOOP);
    CHECK_ERRNO(syscall(SYS_execveat, AT_FDCWD, "text", argv, environ, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_execveat, 99, "text", argv, environ, 0), EBADF);
    wr = open("text", O_WRONLY);
    CHECK_ERRNO(go("text", argv, environ), ETXTBSY);
    close(wr);
    CHECK_ERRNO(open(g_self, O_WRONLY), ETXTBSY);
}

static void on_signal(int sig)
{
    (void)sig;
}

/* State that stays or goes is made here and looked at in the next stage. */
static void stage_start(void)
{
    char *argv[] = {"renamed", "handed", "", "with space", NULL}, *env[] = {"A=1", "EMPTY=", "ODD", NULL};
    sigset_t set;
    static char stack[65536];
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};

    test_failures();
    CHECK(dup2(open("/dev/null", O_RDONLY), 50) == 50 && fcntl(50, F_SETFD, FD_CLOEXEC) == 0);
    CHECK(dup2(open("plain", O_RDONLY), 51) == 51 && lseek(51, 2, SEEK_SET) == 2);
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && raise(SIGTERM) == 0 && sigaltstack(&ss, NULL) == 0);
    CHECK(prctl(PR_SET_NAME, "oldname") == 0 && umask(077) == 022);
    CHECK(mmap((void *)0x10000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    printf("first stage%s\n", g_guest_failures ? " FAILED" : "");
    fflush(stdout);
    if (!g_guest_failures)
        CHECK(go(g_self, argv, env) == 0);
}

static void stage_handed(int argc, char **argv)
{
    char name[16], c;
    struct sigaction sa;
    sigset_t set;
    stack_t ss;

    CHECK(argc == 4 && !strcmp(argv[0], "renamed") && !*argv[2] && !strcmp(argv[3], "with space"));
    CHECK(!strcmp(environ[0], "A=1") && !strcmp(environ[1], "EMPTY=") && !strcmp(environ[2], "ODD"));
    CHECK(!environ[3] && !strcmp(getenv("A"), "1"));
    CHECK_ERRNO(fcntl(50, F_GETFD), EBADF);
    CHECK(fcntl(51, F_GETFD) == 0 && read(51, &c, 1) == 1 && c == 'x');
    CHECK(sigaction(SIGUSR1, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL);
    CHECK(sigaction(SIGUSR2, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN);
    CHECK(sigprocmask(SIG_SETMASK, NULL, &set) == 0 && sigismember(&set, SIGTERM));
    CHECK(sigpending(&set) == 0 && sigismember(&set, SIGTERM));
    CHECK(sigaltstack(NULL, &ss) == 0 && ss.ss_flags == SS_DISABLE);
    CHECK(prctl(PR_GET_NAME, name) == 0 && !strcmp(name, strrchr(g_self, '/') + 1) && umask(022) == 077);
    /* now a script, whose interpreter is this program */
    char head[PATH_MAX + 32], *sargv[] = {"ignored", "arg", NULL};
    snprintf(head, sizeof(head), "#! %s  script and more \n", g_self);
    put("script", head, strlen(head), 0755);
    if (!g_guest_failures)
        CHECK(go("./script", sargv, environ) == 0);
}

static void stage_script(int argc, char **argv)
{
    char *next[] = {"x", "count", "0", NULL};
    int fd = open(g_self, O_PATH);

    CHECK(argc == 4 && !strcmp(argv[0], g_self) && !strcmp(argv[1], "script and more"));
    CHECK(!strcmp(argv[2], "./script") && !strcmp(argv[3], "arg"));
    puts("script stage");
    fflush(stdout);
    CHECK(syscall(SYS_execveat, fd, "", next, environ, AT_EMPTY_PATH) == 0);
}

static int stage_count(const char *text)
{
    char number[16], *next[] = {"x", "count", number, NULL};

    if (atoi(text) == 50)
        return guest_done();
    snprintf(number, sizeof(number), "%d", atoi(text) + 1);
    CHECK(malloc(1 << 20) != NULL);
    CHECK(go(g_self, next, environ) == 0);
    return 1;
}

int main(int argc, char **argv)
{
    CHECK(readlink("/proc/self/exe", g_self, sizeof(g_self) - 1) > 0);
    if (argc == 1)
        stage_start();
    else if (!strcmp(argv[1], "handed"))
        stage_handed(argc, argv);
    else if (!strcmp(argv[1], "script and more"))
        stage_script(argc, argv);
    else
        return stage_count(argv[2]);
    return guest_done();
}
