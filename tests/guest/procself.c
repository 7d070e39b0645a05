/* SPDX-License-Identifier: MIT */
/* guest: args=first --second=2 */
/* /proc/self: read as programs read it, and compared with what the process knows of itself. */
#include "guest.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;
static char g_text[65536];

static char *slurp(const char *path)
{
    int fd = open(path, O_RDONLY);
    ssize_t n, size = 0;

    CHECK(fd >= 0);
    while ((n = read(fd, g_text + size, 1000)) > 0 && size < 60000)
        size += n;
    CHECK(n == 0 && close(fd) == 0);
    g_text[size] = 0;
    return g_text;
}

/* The line of /proc/self/maps that holds an address; 0 when none does. */
static int map_of(const void *address, char perms[5], char path[PATH_MAX], unsigned long *offset)
{
    FILE *f = fopen("/proc/self/maps", "r");
    unsigned long start, end, last = 0;
    char line[PATH_MAX + 100];
    int found = 0, at;

    while (fgets(line, sizeof(line), f)) {
        unsigned long o, ino;
        unsigned major, minor;
        char p[5];
        CHECK(sscanf(line, "%lx-%lx %4s %lx %x:%x %lu %n", &start, &end, p, &o, &major, &minor, &ino,
                     &at) == 7);
        CHECK(start >= last && end > start && start % 4096 == 0 && end % 4096 == 0);
        last = end;
        if ((unsigned long)address < start || (unsigned long)address >= end)
            continue;
        found = 1;
        memcpy(perms, p, 5);
        line[strcspn(line, "\n")] = 0;
        strcpy(path, line + at);
        *offset = o + (unsigned long)address - start;
    }
    fclose(f);
    return found;
}

static void test_maps(void)
{
    char perms[5], path[PATH_MAX], here;
    unsigned long offset;
    static int data = 1;
    int fd = open("mapped", O_CREAT | O_RDWR, 0600);

    CHECK(ftruncate(fd, 3 * 4096) == 0);
    char *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 8192);
    char *anon = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mprotect(anon + 4096, 4096, PROT_NONE) == 0);
    CHECK(map_of((void *)(uintptr_t)test_maps, perms, path, &offset) && !strcmp(perms, "r-xp"));
    CHECK(!strcmp(strrchr(path, '/'), "/procself"));
    CHECK(map_of(&data, perms, path, &offset) && !strcmp(perms, "rw-p"));
    CHECK(map_of(&here, perms, path, &offset) && !strcmp(perms, "rw-p") && !strcmp(path, "[stack]"));
    CHECK(map_of(shared, perms, path, &offset) && !strcmp(perms, "r--s") && offset == 8192);
    CHECK(!strcmp(strrchr(path, '/'), "/mapped"));
    CHECK(map_of(anon, perms, path, &offset) && !strcmp(perms, "rw-p"));
    CHECK(map_of(anon + 4096, perms, path, &offset) && !strcmp(perms, "---p"));
    CHECK(unlink("mapped") == 0 && map_of(shared, perms, path, &offset) && strstr(path, " (deleted)"));
    /* the C library may have mapped something of its own there since */
    CHECK(munmap(shared, 4096) == 0 &&
          (!map_of(shared, perms, path, &offset) || !strstr(path, "/mapped")));
    CHECK(munmap(anon, 3 * 4096) == 0 && close(fd) == 0);
    CHECK(strstr(slurp("/proc/self/maps"), "[vdso]"));
    CHECK(strstr(slurp("/proc/self/smaps"), "Rss:") && strstr(g_text, "VmFlags:"));
}

static void test_stat(void)
{
    char state;
    int pid, ppid, pgrp, session, tty, tpgid, at;
    unsigned long v[19];
    char *p = slurp("/proc/self/stat"), name[64];

    CHECK(sscanf(p, "%d (%63[^)]) %c %d %d %d %d %d %n", &pid, name, &state, &ppid, &pgrp, &session, &tty,
                 &tpgid, &at) == 8);
    CHECK(pid == getpid() && !strcmp(name, "procself") && state == 'R' && ppid == getppid());
    CHECK(pgrp == getpgrp() && session == getsid(0));
    p += at;
    for (int i = 0; i < 19; i++)
        v[i] = strtoul(p, &p, 10);
    CHECK(v[11] == 1); /* threads */
    CHECK(v[14] > 0 && v[15] < v[14]); /* vsize, rss in pages: Linux counts a small rss late, as 0 */
    int fields = 8 + 19;
    while (*p == ' ') {
        strtoul(p, &p, 10);
        fields++;
    }
    CHECK(fields == 52);
    unsigned long m[7];
    CHECK(sscanf(slurp("/proc/self/statm"), "%lu %lu %lu %lu %lu %lu %lu", m, m + 1, m + 2, m + 3, m + 4,
                 m + 5, m + 6) == 7);
    CHECK(m[0] >= m[1] && m[1] >= m[2] && m[4] == 0 && m[6] == 0);
}

static long status_field(const char *name, int base)
{
    char *p = strstr(g_text, name);

    CHECK(p && (p == g_text || p[-1] == '\n'));
    return p ? (long)strtoul(p + strlen(name) + 1, NULL, base) : -1;
}

static void test_status(void)
{
    slurp("/proc/self/status");
    CHECK(!strncmp(g_text, "Name:\tprocself\n", 15) && status_field("Pid:", 10) == getpid());
    CHECK(status_field("PPid:", 10) == getppid() && status_field("Tgid:", 10) == getpid());
    CHECK(status_field("Umask:", 8) == 022 && status_field("Uid:", 10) == getuid());
    CHECK(status_field("Threads:", 10) == 1 && status_field("TracerPid:", 10) == 0);
    CHECK(status_field("VmPeak:", 10) >= status_field("VmRSS:", 10));
    CHECK(status_field("VmSize:", 10) > 0 && status_field("VmData:", 10) > 0);
    CHECK(status_field("VmStk:", 10) > 0 && status_field("FDSize:", 10) >= 3);
    CHECK(status_field("SigBlk:", 16) == 0 && status_field("SigCgt:", 16) == 0);
    CHECK(status_field("CapEff:", 16) & 1 && status_field("NoNewPrivs:", 10) == 0);
    CHECK(strstr(g_text, "State:\tR (running)\n") && strstr(g_text, "Cpus_allowed_list:"));
}

static void test_links(int argc, char **argv)
{
    char buf[PATH_MAX], cwd[PATH_MAX], *p;
    ssize_t n;
    int i, fd;

    CHECK(readlink("/proc/self", buf, sizeof(buf)) > 0 && atoi(buf) == getpid());
    n = readlink("/proc/self/exe", buf, sizeof(buf) - 1);
    buf[n > 0 ? n : 0] = 0;
    CHECK(!strcmp(buf, argv[0]));
    n = readlink("/proc/self/cwd", buf, sizeof(buf) - 1);
    buf[n > 0 ? n : 0] = 0;
    CHECK(getcwd(cwd, sizeof(cwd)) && !strcmp(buf, cwd));
    CHECK(readlink("/proc/self/root", buf, sizeof(buf)) == 1 && buf[0] == '/');
    fd = open("/proc/self/exe", O_RDONLY);
    CHECK(fd >= 0 && read(fd, buf, 4) == 4 && !memcmp(buf, "\177ELF", 4) && close(fd) == 0);
    p = slurp("/proc/self/cmdline");
    for (i = 0; i < argc; i++, p += strlen(p) + 1)
        CHECK(!strcmp(p, argv[i]));
    p = slurp("/proc/self/environ");
    for (i = 0; environ[i]; i++, p += strlen(p) + 1)
        CHECK(!strcmp(p, environ[i]));
    CHECK(!strcmp(slurp("/proc/self/comm"), "procself\n"));
    fd = open("/proc/self/comm", O_WRONLY);
    CHECK(write(fd, "renamed", 7) == 7 && close(fd) == 0 && !strcmp(slurp("/proc/self/comm"), "renamed\n"));
    CHECK_ERRNO(open("/proc/self/none", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("/proc/1234567", O_RDONLY), ENOENT);
    CHECK(open("/proc/self/newfile", O_CREAT | O_RDWR, 0600) == -1 && (errno == ENOENT || errno == EACCES));
    CHECK_ERRNO(unlink("/proc/self/stat"), EPERM);
}

static void test_fd(void)
{
    int fd = open("x", O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600), seen = 0, got;
    char path[64], buf[PATH_MAX];
    unsigned pos, flags;
    struct dirent *e;
    DIR *d = opendir("/proc/self/fd");

    CHECK(write(fd, "0123456789", 10) == 10);
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        got = atoi(e->d_name);
        CHECK(got >= 0 && fcntl(got, F_GETFD) >= 0 && e->d_type == DT_LNK);
        seen += got == fd || got == 0 || got == 1;
    }
    closedir(d);
    CHECK(seen == 3);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, buf, sizeof(buf) - 1);
    CHECK(n > 2 && !memcmp(buf + n - 2, "/x", 2));
    struct stat st;
    CHECK(lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && (st.st_mode & 0777) == 0700);
    CHECK(unlink("x") == 0 && readlink(path, buf, sizeof(buf) - 1) > 10 && strstr(buf, "/x (deleted)"));
    got = open(path, O_RDONLY);
    CHECK(got >= 0 && read(got, buf, 3) == 3 && close(got) == 0);
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    CHECK(sscanf(slurp(path), "pos:\t%u\nflags:\t%o\nmnt_id:", &pos, &flags) == 2);
    CHECK(pos == 10 && flags == (O_RDWR | O_APPEND | O_CLOEXEC | 0100000));
    close(fd);
    CHECK_ERRNO(open(path, O_RDONLY), ENOENT);
}

int main(int argc, char **argv)
{
    umask(022);
    test_stat();
    test_status();
    test_maps();
    test_fd();
    test_links(argc, argv);
    return guest_done();
}
