/* SPDX-License-Identifier: MIT */
/* Pseudo-terminals: pairs, the line discipline, packets, job control, hangup. */
#include "guest.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif
#ifndef TIOCGPTLCK
#define TIOCGPTLCK 0x80045439
#endif
#ifndef TIOCGPKT
#define TIOCGPKT 0x80045438
#endif

static int g_master, g_slave;
static char g_buf[16384];

static void open_pair(void)
{
    CHECK((g_master = posix_openpt(O_RDWR | O_NOCTTY)) >= 0);
    CHECK(grantpt(g_master) == 0 && unlockpt(g_master) == 0);
    CHECK((g_slave = open(ptsname(g_master), O_RDWR | O_NOCTTY)) >= 0);
}

static void close_pair(void)
{
    CHECK(close(g_slave) == 0 && close(g_master) == 0);
}

static void set_flags(tcflag_t off, tcflag_t on)
{
    struct termios t;

    CHECK(tcgetattr(g_slave, &t) == 0);
    t.c_lflag = (t.c_lflag & ~off) | on;
    CHECK(tcsetattr(g_slave, TCSANOW, &t) == 0);
}

static void type(const char *text)
{
    CHECK(write(g_master, text, strlen(text)) == (ssize_t)strlen(text));
}

/* Everything that one side has to read, without waiting long. */
static int drain(int fd, char *buf, int size)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n = 0;

    while (n < size && poll(&p, 1, 60) == 1 && (p.revents & POLLIN)) {
        ssize_t got = read(fd, buf + n, size - n);

        if (got <= 0)
            break;
        n += got;
    }
    buf[n < size ? n : size - 1] = 0;
    return n;
}

static void show(const char *what, const char *text, int size)
{
    printf("%s:", what);
    for (int i = 0; i < size; i++)
        printf(text[i] >= ' ' && text[i] < 127 ? " %c" : " %02x", (unsigned char)text[i]);
    printf("\n");
}

/* What the terminal shows. */
static void screen(const char *what)
{
    show(what, g_buf, drain(g_master, g_buf, 4000));
}

/* What the program reads, one read at a time. */
static void line(const char *what)
{
    struct pollfd p = {.fd = g_slave, .events = POLLIN};
    ssize_t n;

    if (poll(&p, 1, 60) != 1) {
        printf("%s: nothing\n", what);
        return;
    }
    n = read(g_slave, g_buf, sizeof(g_buf));
    show(what, g_buf, (int)n);
}

/* ---- Pairs ------------------------------------------------------------------------------------------- */

static void test_names(void)
{
    struct stat st, node;
    char name[64];
    unsigned n;
    int lock = 7, peer;

    CHECK((g_master = open("/dev/ptmx", O_RDWR | O_NOCTTY)) >= 0);
    CHECK(isatty(g_master) && ioctl(g_master, TIOCGPTN, &n) == 0);
    CHECK(ioctl(g_master, TIOCGPTLCK, &lock) == 0 && lock == 1);
    snprintf(name, sizeof(name), "/dev/pts/%u", n);
    CHECK_ERRNO(open(name, O_RDWR | O_NOCTTY), EIO);
    CHECK(unlockpt(g_master) == 0 && strcmp(ptsname(g_master), name) == 0);
    CHECK((g_slave = open(name, O_RDWR | O_NOCTTY)) >= 0 && strcmp(ttyname(g_slave), name) == 0);
    CHECK(fstat(g_slave, &st) == 0 && stat(name, &node) == 0 && st.st_ino == node.st_ino);
    CHECK(S_ISCHR(st.st_mode) && major(st.st_rdev) == 136 && minor(st.st_rdev) == n);
    CHECK(st.st_uid == geteuid());
    CHECK(fstat(g_master, &st) == 0 && st.st_rdev == makedev(5, 2));
    CHECK(stat("/dev/pts/ptmx", &st) == 0 && st.st_rdev == makedev(5, 2));
    CHECK((peer = ioctl(g_master, TIOCGPTPEER, O_RDWR | O_NOCTTY)) >= 0);
    CHECK(peer < 0 || strcmp(ttyname(peer), name) == 0);
    close(peer);
    CHECK_ERRNO(ioctl(g_slave, TIOCGPTN, &n), ENOTTY);
    CHECK_ERRNO(lseek(g_slave, 0, SEEK_SET), ESPIPE);
    CHECK(close(g_slave) == 0 && close(g_master) == 0);
    CHECK_ERRNO(open(name, O_RDWR | O_NOCTTY), ENOENT);
}

static int count_pts(void)
{
    DIR *d = opendir("/dev/pts");
    struct dirent *e;
    int n = 0;

    CHECK(d != NULL);
    while (d && (e = readdir(d)))
        n += e->d_name[0] >= '0' && e->d_name[0] <= '9';
    closedir(d);
    return n;
}

static void test_many(void)
{
    int master[20], slave[20];
    int before = count_pts();

    for (int i = 0; i < 20; i++)
        CHECK(openpty(&master[i], &slave[i], NULL, NULL, NULL) == 0);
    CHECK(count_pts() >= 20);
    for (int i = 0; i < 20; i++) {
        CHECK(write(slave[i], "x", 1) == 1 && read(master[i], g_buf, 10) == 1);
        CHECK(close(master[i]) == 0 && close(slave[i]) == 0);
    }
    CHECK(count_pts() <= before + 5); /* others may come and go natively */
}

/* ---- The line discipline ------------------------------------------------------------------------------- */

static void test_canonical(void)
{
    open_pair();
    type("hello\n");
    line("line");
    screen("echo");
    type("ab\x7f" "c\x03");
    screen("interrupted");
    type("one two\x17three\n");
    line("werase");
    screen("werase echo");
    type("gone\x15kept\n");
    line("kill");
    screen("kill echo");
    type("a\tb\t\x7f\x7f" "c\x01\x7f" "d\n");
    line("tabs");
    screen("tabs echo");
    type("\x16\x03\x16\x7f\n");
    line("lnext");
    screen("lnext echo");
    type("re\x12print\n");
    line("reprint");
    screen("reprint echo");
    type("part\x04");
    line("eof after text");
    type("\x04");
    line("eof");
    type("two\nlines\n");
    line("first");
    line("second");
    type("\rx\r");
    line("cr");
    line("cr 2");
    screen("cr echo");
    CHECK(read(g_slave, g_buf, 0) == 0);
    type("longer\n");
    CHECK(read(g_slave, g_buf, 3) == 3 && memcmp(g_buf, "lon", 3) == 0);
    line("rest");
    type("abc\x04");
    CHECK(read(g_slave, g_buf, 3) == 3);
    fcntl(g_slave, F_SETFL, O_NONBLOCK);
    CHECK_ERRNO(read(g_slave, g_buf, 3), EAGAIN);
    close_pair();
}

static void test_echo_modes(void)
{
    struct termios t;

    open_pair();
    set_flags(ECHO, 0);
    type("secret\n");
    line("no echo");
    screen("silent");
    set_flags(ECHO, ECHONL);
    type("x\n");
    line("echonl");
    screen("newline only");
    set_flags(ECHOCTL, ECHO);
    type("a\x01\x7f\x7f" "b\n");
    line("no echoctl");
    screen("raw controls");
    set_flags(ECHOKE, ECHOCTL | ECHO);
    type("abc\x15" "d\n");
    line("no echoke");
    screen("kill shown");
    set_flags(ECHOE, ECHOKE);
    type("abc\x7f\n");
    line("no echoe");
    screen("erase shown");
    set_flags(0, ECHOE | ECHOPRT);
    type("abc\x7f\x7fz\x7f\n");
    line("echoprt");
    screen("printed");
    set_flags(ECHOPRT, 0);
    tcgetattr(g_slave, &t);
    t.c_iflag |= IUTF8;
    tcsetattr(g_slave, TCSANOW, &t);
    type("a\xc3\xa9\x7f" "b\n");
    line("utf8");
    screen("utf8 echo");
    t.c_iflag = (t.c_iflag & ~(IUTF8 | ICRNL)) | INLCR | ISTRIP;
    t.c_cc[VEOL] = ';';
    t.c_cc[VEOL2] = ',';
    tcsetattr(g_slave, TCSANOW, &t);
    type("a\nb;c,\xe1\n;");
    line("eol");
    line("eol2");
    line("inlcr and istrip");
    screen("their echo");
    close_pair();
}

static void test_output(void)
{
    static const tcflag_t modes[] = {0, OPOST, OPOST | ONLCR, OPOST | OCRNL, OPOST | ONOCR, OPOST | XTABS,
                                     OPOST | ONLRET | ONOCR, OPOST | OLCUC};
    struct termios t;

    open_pair();
    tcgetattr(g_slave, &t);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        char what[32];

        t.c_oflag = modes[i];
        CHECK(tcsetattr(g_slave, TCSADRAIN, &t) == 0);
        CHECK(write(g_slave, "\r\rab\tc\b\n\rd\n\t\t\r", 15) == 15 && tcdrain(g_slave) == 0);
        snprintf(what, sizeof(what), "oflag %zu", i);
        screen(what);
    }
    close_pair();
}

static void test_raw(void)
{
    struct termios t;
    struct pollfd p;

    open_pair();
    tcgetattr(g_slave, &t);
    cfmakeraw(&t);
    CHECK(tcsetattr(g_slave, TCSANOW, &t) == 0);
    type("\x03\x04\r\n\x11\x13\xff");
    line("raw");
    t.c_cc[VMIN] = 0;
    t.c_cc[VTIME] = 0;
    tcsetattr(g_slave, TCSANOW, &t);
    CHECK(read(g_slave, g_buf, 10) == 0);
    t.c_cc[VTIME] = 1;
    tcsetattr(g_slave, TCSANOW, &t);
    CHECK(read(g_slave, g_buf, 10) == 0);
    type("q");
    CHECK(read(g_slave, g_buf, 10) == 1);
    t.c_cc[VMIN] = 3;
    tcsetattr(g_slave, TCSANOW, &t);
    type("ab");
    CHECK(read(g_slave, g_buf, 10) == 2); /* the gap ends it */
    t.c_cc[VTIME] = 0;
    tcsetattr(g_slave, TCSANOW, &t);
    type("ab");
    p = (struct pollfd){.fd = g_slave, .events = POLLIN};
    CHECK(poll(&p, 1, 50) == 0);
    type("c");
    CHECK(poll(&p, 1, 1000) == 1 && read(g_slave, g_buf, 10) == 3);
    type("xy");
    CHECK(read(g_slave, g_buf, 2) == 2);
    t.c_cc[VMIN] = 1;
    tcsetattr(g_slave, TCSANOW, &t);
    screen("nothing echoed");
    type("left\nover");
    usleep(20000);
    set_flags(0, ICANON); /* what is there becomes a line */
    line("pushed");
    close_pair();
}

static void test_flow(void)
{
    struct pollfd p;

    open_pair();
    type("\x13");
    usleep(20000);
    fcntl(g_slave, F_SETFL, O_NONBLOCK);
    CHECK_ERRNO(write(g_slave, "x", 1), EAGAIN);
    p = (struct pollfd){.fd = g_slave, .events = POLLOUT};
    CHECK(poll(&p, 1, 20) == 0);
    type("echoed later");
    screen("stopped");
    type("\x11");
    screen("started");
    CHECK(write(g_slave, "x", 1) == 1 && tcflow(g_slave, TCOOFF) == 0);
    CHECK_ERRNO(write(g_slave, "y", 1), EAGAIN);
    CHECK(tcflow(g_slave, TCOON) == 0 && write(g_slave, "z", 1) == 1);
    CHECK(tcflow(g_slave, TCIOFF) == 0 && tcflow(g_slave, TCION) == 0);
    CHECK_ERRNO(tcflow(g_slave, 9), EINVAL);
    screen("flow");
    type("unread\nmore");
    usleep(20000);
    CHECK(tcflush(g_slave, TCIFLUSH) == 0);
    CHECK_ERRNO(read(g_slave, g_buf, 10), EAGAIN);
    CHECK_ERRNO(tcflush(g_slave, 9), EINVAL);
    CHECK(tcsendbreak(g_slave, 0) == 0);
    close_pair();
}

static void test_full(void)
{
    size_t sent = 0, got = 0;
    ssize_t n;
    int avail;

    open_pair();
    set_flags(ECHO, 0);
    memset(g_buf, 'l', 5000);
    for (int i = 0; i < 5; i++)
        CHECK(write(g_master, g_buf, 1000) == 1000);
    type("\n");
    usleep(20000);
    CHECK(ioctl(g_slave, FIONREAD, &avail) == 0 && avail == 4096);
    CHECK(read(g_slave, g_buf, sizeof(g_buf)) == 4096 && g_buf[4095] == '\n');
    set_flags(ICANON, 0);
    fcntl(g_master, F_SETFL, O_NONBLOCK);
    while ((n = write(g_master, g_buf, 512)) > 0 && sent < 100000)
        sent += n;
    CHECK(n == -1 && errno == EAGAIN && sent >= 4095);
    fcntl(g_slave, F_SETFL, O_NONBLOCK);
    for (int idle = 0; got < sent && idle < 100;) {
        n = read(g_slave, g_buf, sizeof(g_buf));
        if (n > 0)
            got += n;
        else
            idle++, usleep(1000);
    }
    CHECK(got == sent);
    for (sent = 0; (n = write(g_slave, g_buf, 512)) > 0 && sent < 100000;)
        sent += n;
    CHECK(n == -1 && errno == EAGAIN && sent >= 4096);
    for (got = 0; got < sent && (n = read(g_master, g_buf, sizeof(g_buf))) > 0;)
        got += n;
    CHECK(got >= sent); /* newlines count twice */
    close_pair();
}

static void test_settings(void)
{
    struct winsize w = {25, 80, 0, 0}, v;
    struct termios t, u;
    int on = 1, off = 0, n = -1;

    open_pair();
    CHECK(tcgetattr(g_master, &t) == 0 && (t.c_lflag & ICANON) && cfgetospeed(&t) == B38400);
    show("cc", (char *)t.c_cc, 19);
    printf("flags %x %x %x %x\n", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
    CHECK(cfsetospeed(&t, B115200) == 0 && cfsetispeed(&t, B115200) == 0);
    t.c_cflag = (t.c_cflag & ~CSIZE) | CS5 | PARENB;
    CHECK(tcsetattr(g_slave, TCSANOW, &t) == 0 && tcgetattr(g_slave, &u) == 0);
    CHECK(cfgetospeed(&u) == B115200 && (u.c_cflag & CSIZE) == CS8 && !(u.c_cflag & PARENB));
    CHECK(ioctl(g_slave, TIOCGWINSZ, &v) == 0 && v.ws_row == 0 && v.ws_col == 0);
    CHECK(ioctl(g_master, TIOCSWINSZ, &w) == 0 && ioctl(g_slave, TIOCGWINSZ, &v) == 0);
    CHECK(v.ws_row == 25 && v.ws_col == 80);
    CHECK_ERRNO(ioctl(g_slave, TIOCGWINSZ, (void *)8), EFAULT);
    CHECK_ERRNO(ioctl(g_slave, TIOCPKT, &on), ENOTTY);
    CHECK_ERRNO(ioctl(g_slave, 0x12345, &on), ENOTTY);
    CHECK(ioctl(g_slave, TIOCGETD, &n) == 0 && n == 0);
    CHECK(ioctl(g_slave, TIOCOUTQ, &n) == 0 && n == 0);
    CHECK(write(g_slave, "abc\n", 4) == 4);
    usleep(20000);
    CHECK(ioctl(g_master, FIONREAD, &n) == 0 && n == 5);
    screen("counted");
    type("12\n\x04" "34");
    usleep(20000);
    CHECK(ioctl(g_slave, FIONREAD, &n) == 0 && n == 3);
    (void)off;
    close_pair();
}

static void test_packets(void)
{
    struct pollfd p;
    struct termios t;
    int on = 1, is = 0;

    open_pair();
    CHECK(ioctl(g_master, TIOCPKT, &on) == 0 && ioctl(g_master, TIOCGPKT, &is) == 0 && is == 1);
    CHECK(write(g_slave, "hi", 2) == 2);
    CHECK(read(g_master, g_buf, 10) == 3 && memcmp(g_buf, "\0hi", 3) == 0);
    CHECK(tcflush(g_slave, TCIFLUSH) == 0);
    p = (struct pollfd){.fd = g_master, .events = POLLIN | POLLPRI};
    CHECK(poll(&p, 1, 1000) == 1 && p.revents == (POLLIN | POLLPRI));
    CHECK(read(g_master, g_buf, 10) == 1 && g_buf[0] == TIOCPKT_FLUSHREAD);
    CHECK(tcflow(g_slave, TCOOFF) == 0 && tcflow(g_slave, TCOON) == 0);
    CHECK(read(g_master, g_buf, 10) == 1 && g_buf[0] == TIOCPKT_START);
    tcgetattr(g_slave, &t);
    t.c_iflag &= ~IXON;
    tcsetattr(g_slave, TCSANOW, &t);
    CHECK(read(g_master, g_buf, 10) == 1 && g_buf[0] == TIOCPKT_NOSTOP);
    t.c_iflag |= IXON;
    tcsetattr(g_slave, TCSANOW, &t);
    CHECK(read(g_master, g_buf, 10) == 1 && g_buf[0] == TIOCPKT_DOSTOP);
    close_pair();
}

static void test_poll(void)
{
    int e = epoll_create1(0), master, slave;
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = 1}, got;
    struct timeval tv = {1, 0};
    struct pollfd p;
    fd_set set;

    open_pair();
    ev.data.fd = g_slave;
    CHECK(epoll_ctl(e, EPOLL_CTL_ADD, g_slave, &ev) == 0);
    ev.data.fd = g_master;
    CHECK(epoll_ctl(e, EPOLL_CTL_ADD, g_master, &ev) == 0 && epoll_wait(e, &got, 1, 0) == 0);
    type("no line yet");
    screen("shown");
    CHECK(epoll_wait(e, &got, 1, 20) == 0);
    type("\n");
    screen("newline");
    CHECK(epoll_wait(e, &got, 1, 1000) == 1 && got.data.fd == g_slave && got.events == EPOLLIN);
    line("polled");
    CHECK(write(g_slave, "m", 1) == 1);
    FD_ZERO(&set);
    FD_SET(g_master, &set);
    CHECK(select(g_master + 1, &set, NULL, NULL, &tv) == 1 && FD_ISSET(g_master, &set));
    master = g_master, slave = g_slave;
    CHECK(close(slave) == 0);
    p = (struct pollfd){.fd = master, .events = POLLIN | POLLOUT};
    CHECK(poll(&p, 1, 1000) == 1 && p.revents == (POLLIN | POLLOUT | POLLHUP));
    CHECK(read(master, g_buf, 10) == 1);
    CHECK_ERRNO(read(master, g_buf, 10), EIO);
    CHECK((slave = open(ptsname(master), O_RDWR | O_NOCTTY)) >= 0); /* and it goes on */
    CHECK(write(slave, "n", 1) == 1 && read(master, g_buf, 10) == 1);
    CHECK(close(master) == 0);
    p = (struct pollfd){.fd = slave, .events = POLLIN | POLLOUT};
    CHECK(poll(&p, 1, 1000) == 1 && p.revents == (POLLIN | POLLOUT | POLLERR | POLLHUP));
    CHECK(read(slave, g_buf, 10) == 0);
    CHECK_ERRNO(write(slave, "x", 1), EIO);
    CHECK_ERRNO(ioctl(slave, TIOCGWINSZ, g_buf), EIO);
    close(slave);
    close(e);
}

/* ---- Job control ------------------------------------------------------------------------------------------ */

static volatile sig_atomic_t g_signals[65];

static void note(int sig)
{
    g_signals[sig]++;
}

static int wait_child(pid_t pid)
{
    int status = -1;

    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

/* In a new session with the slave as its terminal. */
static void session_child(void)
{
    struct winsize w = {1, 2, 3, 4};
    int tty;
    pid_t pgrp;

    CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
    CHECK(ioctl(g_slave, TIOCSCTTY, 0) == 0 && ioctl(g_slave, TIOCSCTTY, 0) == 0);
    CHECK((tty = open("/dev/tty", O_RDWR)) >= 0 && strcmp(ttyname(tty), "/dev/tty") == 0);
    CHECK(tcgetsid(tty) == getpid() && tcgetpgrp(tty) == getpid());
    CHECK(ioctl(g_master, TIOCGPGRP, &pgrp) == 0 && pgrp == getpid());
    CHECK_ERRNO(tcsetpgrp(tty, -1), EINVAL);
    CHECK_ERRNO(tcsetpgrp(tty, 99999999), ESRCH);
    for (int s = 1; s < 32; s++) {
        if (s != SIGKILL && s != SIGSTOP && s != SIGCHLD)
            signal(s, note);
    }
    type("\x03");
    for (int i = 0; i < 1000 && !g_signals[SIGINT]; i++)
        usleep(1000);
    type("\x1c\x1a");
    for (int i = 0; i < 1000 && !(g_signals[SIGQUIT] && g_signals[SIGTSTP]); i++)
        usleep(1000);
    CHECK(g_signals[SIGINT] == 1 && g_signals[SIGQUIT] == 1 && g_signals[SIGTSTP] == 1);
    CHECK(ioctl(g_master, TIOCSWINSZ, &w) == 0);
    for (int i = 0; i < 1000 && !g_signals[SIGWINCH]; i++)
        usleep(1000);
    CHECK(g_signals[SIGWINCH] == 1 && ioctl(g_master, TIOCSWINSZ, &w) == 0);
    usleep(20000);
    CHECK(g_signals[SIGWINCH] == 1); /* no news */
    CHECK(ioctl(tty, TIOCNOTTY) == 0);
    CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
    CHECK_ERRNO(tcgetpgrp(g_slave), ENOTTY);
    CHECK(g_signals[SIGHUP] == 1 && g_signals[SIGCONT] == 1);
    exit(g_guest_failures ? 1 : 0);
}

static void test_session(void)
{
    pid_t pid;

    open_pair();
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (setsid() < 0)
            exit(2);
        session_child();
    }
    CHECK(wait_child(pid) == 0);
    close_pair();
}

/* The terminal becomes the session's by opening it; the master's end hangs everything up. */
static void hangup_child(const char *name, int ready)
{
    int tty;

    if (setsid() < 0)
        exit(2);
    signal(SIGHUP, note);
    signal(SIGCONT, note);
    close(g_master);
    CHECK((tty = open(name, O_RDWR)) >= 0 && tcgetsid(tty) == getpid());
    CHECK(write(ready, "r", 1) == 1);
    while (!g_signals[SIGHUP] || !g_signals[SIGCONT])
        usleep(1000);
    CHECK(read(tty, g_buf, 10) == 0);
    CHECK_ERRNO(write(tty, "x", 1), EIO);
    CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
    exit(g_guest_failures ? 1 : 0);
}

static void test_hangup(void)
{
    char name[64];
    int ready[2];
    pid_t pid;

    CHECK(pipe(ready) == 0);
    open_pair();
    strcpy(name, ptsname(g_master));
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        close(g_slave);
        hangup_child(name, ready[1]);
    }
    CHECK(read(ready[0], g_buf, 1) == 1);
    CHECK(close(g_master) == 0);
    CHECK(wait_child(pid) == 0);
    close(g_slave);
    close(ready[0]);
    close(ready[1]);
}

static void test_forkpty(void)
{
    struct winsize w = {10, 20, 0, 0};
    int n, status;
    pid_t pid;

    fflush(stdout);
    pid = forkpty(&g_master, NULL, NULL, &w);
    if (pid == 0) {
        struct winsize v;
        char b[32];

        n = ioctl(0, TIOCGWINSZ, &v) == 0 && isatty(0) && isatty(1) && isatty(2) && tcgetsid(0) == getpid();
        printf("size %dx%d, terminal %d\n", v.ws_row, v.ws_col, n);
        fflush(stdout);
        n = (int)read(0, b, sizeof(b));
        printf("got %.*s", n, b);
        exit(7);
    }
    n = drain(g_master, g_buf, 30);
    type("word\n");
    status = wait_child(pid);
    n += drain(g_master, g_buf + n, 4000);
    show("forkpty", g_buf, n);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK_ERRNO(read(g_master, g_buf, 1), EIO);
    close(g_master);
}

/* A reader that waits, and its master that closes. */
static void test_blocked(void)
{
    pid_t pid;

    open_pair();
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        close(g_master);
        exit(read(g_slave, g_buf, 10) <= 0 ? 3 : 4);
    }
    usleep(50000);
    CHECK(close(g_master) == 0);
    CHECK(WEXITSTATUS(wait_child(pid)) == 3);
    close(g_slave);
    open_pair();
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        close(g_slave);
        exit(read(g_master, g_buf, 10) == -1 && errno == EIO ? 5 : 6);
    }
    usleep(50000);
    CHECK(close(g_slave) == 0);
    CHECK(WEXITSTATUS(wait_child(pid)) == 5);
    close(g_master);
}

int main(void)
{
    test_names();
    test_many();
    test_canonical();
    test_echo_modes();
    test_output();
    test_raw();
    test_flow();
    test_full();
    test_settings();
    test_packets();
    test_poll();
    test_session();
    test_hangup();
    test_forkpty();
    test_blocked();
    return guest_done();
}
