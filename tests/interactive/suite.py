# SPDX-License-Identifier: MIT
"""
Programs at a terminal: the same keys on a pseudo-terminal, natively first where a program runs natively as it
is, then inside. Each session checks what a person would see; the screen's bytes differ in timing, so
sessions are scripts of "send this, expect that" and both sides run the same script.

Terminal programs inside: vi, Python's prompt, bash, also on pseudo-terminals of script and tmux. What the host's terminal does with Adyton itself: resize,
Ctrl-C, Ctrl-Z and fg, SIGTERM, settings given back at the end.
"""
import os
import re
import shlex
import signal
import subprocess
import termios
import threading
import time
import uuid

import harness

try:
    import pexpect
except ImportError:
    pexpect = None

PYTHON = "/usr/bin/python3.11"
STDLIB = "/usr/lib/python3.11"
TERMINFO = "/lib/terminfo"
ENV = {"PATH": "/usr/bin:/bin", "HOME": "/root", "TERM": "xterm", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
WAIT = 30   # seconds for one expected text
CTRL_C, CTRL_D, CTRL_Z, ESC, UP = "\x03", "\x04", "\x1a", "\x1b", "\x1b[A"
ROWS, COLUMNS = 24, 80


def fresh_settings():
    """Those of a new terminal: what a session starts with, read without a race with its program."""
    ends = os.openpty()
    try:
        return termios.tcgetattr(ends[1])
    finally:
        os.close(ends[0])
        os.close(ends[1])


class Session:
    """A program on a terminal of its own. Unexpected silence or an early end is a Failure with the screen."""

    def __init__(self, argv, cwd="/", env=None):
        self.p = pexpect.spawn(str(argv[0]), [str(a) for a in argv[1:]], cwd=cwd, env=env or ENV, timeout=WAIT,
                               dimensions=(ROWS, COLUMNS), encoding="utf-8", codec_errors="replace")
        self.p.delaybeforesend = 0
        self.text = []
        self.p.logfile_read = self
        self.before = fresh_settings()

    def write(self, text):
        self.text.append(text)

    def flush(self):
        pass

    def settings(self):
        return termios.tcgetattr(self.p.child_fd)

    def screen(self):
        return "".join(self.text)

    def expect(self, pattern):
        if self.p.expect([pattern, pexpect.TIMEOUT, pexpect.EOF]) != 0:
            raise harness.Failure(f"no {pattern!r} on the terminal:\n{harness.clip(self.screen().encode())}")

    def send(self, text):
        self.p.send(text)

    def keys(self, *parts):
        """Each part by itself: an ESC that other bytes follow at once is the start of a function key."""
        for part in parts:
            self.p.send(part)
            time.sleep(0.2)

    def line(self, text):
        self.p.send(text + "\r")

    def resize(self, rows, columns):
        self.p.setwinsize(rows, columns)

    def end(self, want, settings=True):
        """The program's end with this status, as a shell shows it, and (settings) the terminal as it was."""
        if self.p.expect([pexpect.EOF, pexpect.TIMEOUT]) != 0:
            raise harness.Failure(f"no end:\n{harness.clip(self.screen().encode())}")
        after = self.settings()
        self.p.close()
        status = self.p.exitstatus if self.p.exitstatus is not None else 128 + self.p.signalstatus
        harness.expect(status == want, f"status {status}, not {want}:\n{harness.clip(self.screen().encode())}")
        harness.expect(not settings or after == self.before, "the terminal was left with other settings")

    def stop(self):
        if self.p.isalive():
            self.p.terminate(force=True)
        if not self.p.closed:
            self.p.close()


class Terminal:
    """Where programs run: natively, or inside a root that is collected when a case first asks."""

    def __init__(self, ctx):
        self.ctx = ctx
        self.archives = {}
        self.lock = threading.Lock()

    def root(self, programs, withs=()):
        with self.lock:
            return self.make_root(programs, withs)

    def make_root(self, programs, withs):
        key = (tuple(programs), tuple(withs))
        if key not in self.archives:
            root = self.ctx.tmp / f"terminal-{len(self.archives)}"
            argv = ["collect", "-o", root, *programs]
            for w in (*withs, TERMINFO):
                if os.path.exists(w):
                    argv += ["--with", w]
            r = self.ctx.cli(*argv, timeout=300)
            harness.expect(r.status == 0, f"collect: {r.errors()}")
            (root / "tmp").mkdir(exist_ok=True)
            (root / "root").mkdir(exist_ok=True)
            archive = root.with_suffix(".cpio")
            r = self.ctx.cli("mkcpio", root, archive, timeout=300)
            harness.expect(r.status == 0, f"mkcpio: {r.errors()}")
            harness.shutil.rmtree(root)
            self.archives[key] = archive
        return self.archives[key]

    def inside(self, argv, programs, withs=()):
        command = [self.ctx.adyton, "run", "--target", "sim", "--cwd", "/tmp"]
        for name, value in ENV.items():
            command += ["--env", f"{name}={value}"]
        return [*command, self.root(programs, withs), *argv]

    def play(self, script, argv, programs, withs=(), native=True):
        """script(session) on the native program, then inside."""
        if pexpect is None:
            raise harness.Skip("python3-pexpect is not installed")
        for p in programs:
            if not os.path.exists(p):
                raise harness.Skip(f"{p} is not installed")
        home = self.ctx.tmp / f"home-{uuid.uuid4().hex}"
        home.mkdir()
        runs = [("natively", argv)] if native else []
        for where, command in [*runs, ("inside", self.inside(argv, programs, withs))]:
            session = Session(command, cwd=home, env=ENV if where == "natively" else self.ctx.env | {"TERM": "xterm"})
            try:
                script(session)
            except harness.Failure as e:
                raise harness.Failure(f"{where}: {e}") from e
            finally:
                session.stop()


# ---- busybox ----------------------------------------------------------------------------------------------------

def vi(s):
    """Edits, saves, sees a resize."""
    s.expect("~")
    s.keys("ihello world", ESC)
    s.expect("world")
    s.keys("0cwgoodbye", ESC, "othird line", ESC, "yyp")
    s.expect("third line(?s:.*)third line")
    s.send(":w\r")
    s.expect("3L, ")
    s.resize(10, 40)
    s.expect(re.escape("\x1b[10;1H"))   # the status line's new place
    s.send("1Gx:w\r")
    s.expect("3L, 35C")
    s.send(":e!\r")                     # as it was saved
    s.expect("3L, 35C")
    s.send(":q\r")
    s.end(0)


def vi_discard(s):
    s.expect("~")
    s.keys("iabc", ESC, ":q\r")
    s.expect("[Nn]o write since last change")
    s.send(":q!\r")
    s.end(0)


def stty(s):
    s.expect(f"speed 38400 baud; rows {ROWS}; columns {COLUMNS};")
    s.expect("isig icanon")
    s.end(0)


def sh_cooked(s):
    """Line editing by the terminal: erase, kill, end of file."""
    s.line("helX\x7flo")
    s.expect("hello\r\n")
    s.line("gone\x15stay")
    s.expect("stay\r\nstay\r\n")
    s.send("no newline" + CTRL_D)
    s.expect("no newline")
    s.send(CTRL_D)
    s.end(0)


def interrupt(s):
    s.line("x")
    s.expect("x\r\nx\r\n")
    s.send(CTRL_C)
    s.end(130)


WINCH = """
import os, signal, time
signal.signal(signal.SIGWINCH, lambda *a: os.write(1, b'%d %d\\n' % os.get_terminal_size(0)))
os.write(1, b'ready\\n')
while True:
    time.sleep(10)
"""


def winch(s):
    """A sleeping program hears of each new size."""
    s.expect("ready\r\n")
    s.resize(33, 77)
    s.expect("77 33\r\n")
    s.resize(10, 20)
    s.expect("20 10\r\n")
    s.send(CTRL_C)
    s.expect("KeyboardInterrupt")
    s.end(130)


# ---- Python, bash --------------------------------------------------------------------------------------------------

def python(s):
    s.expect(">>> ")
    s.line("6 * 7")
    s.expect("42\r\n")
    s.expect(">>> ")
    s.line("for i in range(3):")
    s.expect(r"\.\.\. ")
    s.line("    print('row', i)")
    s.expect(r"\.\.\. ")
    s.line("")
    s.expect("row 0\r\nrow 1\r\nrow 2\r\n")
    s.expect(">>> ")
    s.line("import time; time.sleep(60)")
    time.sleep(0.5)
    s.send(CTRL_C)
    s.expect("KeyboardInterrupt")
    s.expect(">>> ")
    s.line("while True: pass")
    s.expect(r"\.\.\. ")
    s.line("")
    time.sleep(0.3)
    s.send(CTRL_C)
    s.expect("KeyboardInterrupt")
    s.expect(">>> ")
    s.line("print('again' * 2)")
    s.expect("againagain")
    s.expect(">>> ")
    s.send(UP)
    s.expect(re.escape("print('again' * 2)"))
    s.send("\r")
    s.expect("againagain")
    s.expect(">>> ")
    s.line("len(undefined)")
    s.expect("NameError")
    s.expect(">>> ")
    s.send(CTRL_D)
    s.end(0)


def bash(s):
    s.expect(r"[#$] ")
    s.line("echo $((6*7)) $-")
    s.expect("42 .*i.*\r\n")
    s.expect(r"[#$] ")
    s.send("echo forgotten" + CTRL_C)
    s.expect(r"\^C.*[#$] ")
    s.line("while :; do :; done")
    time.sleep(0.3)
    s.send(CTRL_C)
    s.expect(r"[#$] ")
    s.line("echo status $?")
    s.expect("status 130")
    s.expect(r"[#$] ")
    s.send("echo com\x7f\x7f\x7fplet\x1b[D\x1b[D\x1b[DX\x05ed\r")
    s.expect("plXeted\r\n|pXleted\r\n")
    s.send(CTRL_Z)          # a shell is not stopped
    s.line("echo still here")
    s.expect("here\r\n.*still here")
    s.line("exit 5")
    s.expect("exit")
    s.end(5)


def bash_jobs(s):
    """Job control of a shell inside: its jobs are process groups of the terminal that the host has."""
    prompt = "bash-5.2[#$] $"

    def run(command, *expected):
        s.line(command)
        for e in expected:
            s.expect(e)
        s.expect(prompt)

    s.expect(prompt)
    s.line("sleep 100")
    time.sleep(0.5)
    s.send(CTRL_Z)
    s.expect(r"\[1\]\+  Stopped +sleep 100\r\n")
    s.expect(prompt)
    run("jobs", r"\[1\]\+  Stopped +sleep 100\r\n")
    run("bg", r"\[1\]\+ sleep 100 &\r\n")
    run("jobs", r"\[1\]\+  Running +sleep 100 &\r\n")
    s.line("fg")
    s.expect("sleep 100\r\n")
    time.sleep(0.3)
    s.send(CTRL_C)
    s.expect(prompt)
    run("echo status $?", "status 130\r\n")
    s.line("cat")
    time.sleep(0.3)
    s.line("one")
    s.expect("one\r\none\r\n")
    s.send(CTRL_Z)
    s.expect("Stopped +cat\r\n")
    s.expect(prompt)
    s.line("fg")
    s.expect("cat\r\n")
    time.sleep(0.3)
    s.line("two")
    s.expect("two\r\ntwo\r\n")
    s.send(CTRL_D)
    s.expect(prompt)
    run("cat &", r"\[1\] \d+\r\n")                     # reads in the background: SIGTTIN
    time.sleep(0.5)
    run("echo now", "now\r\n", r"\[1\]\+  Stopped +cat\r\n")
    # The shell may hear of the end at any moment, or still take the job for stopped.
    run("kill %1; while kill -0 $! 2>&-; do sleep 0.1; done; wait $!; echo status $?", "status 143\r\n")
    run("stty tostop; echo loud &", r"\[1\] \d+\r\n")    # writes in the background: SIGTTOU
    time.sleep(0.5)
    run("jobs", r"\[1\]\+  Stopped +echo loud\r\n")
    run("fg", "loud\r\n")
    run("stty -tostop; sleep 100 | cat | cat &", r"\[1\] \d+\r\n")
    run("kill -STOP %1; sleep 0.3; jobs", r"\[1\]\+  Stopped")
    run("kill -CONT %1; sleep 0.3; jobs", r"\[1\]\+  Running")
    run("kill %1; sleep 0.3; echo gone", "gone\r\n")
    s.line("sleep 100 | cat")
    time.sleep(0.3)
    s.send(CTRL_C)
    s.expect(prompt)
    run("(exit 7) & wait $!; echo status $?", "status 7\r\n")
    s.line("exit 4")
    s.expect("exit")
    s.end(4)


# ---- Adyton's own process ------------------------------------------------------------------------------------------

def terminate(s):
    """SIGTERM while a program has the terminal raw: it dies of it, the terminal is given back."""
    s.expect("~")
    harness.expect(s.settings() != s.before, "vi has not changed the terminal")
    os.kill(s.p.pid, signal.SIGTERM)
    s.end(143)


def stop_and_continue(s):
    """Under an interactive shell with job control, outside: Ctrl-Z, fg, also while the terminal is raw."""
    s.expect("P> ")
    s.line("run cat")
    s.expect("cat\r\n")
    s.line("one")
    s.expect("one\r\n.*one\r\n")
    s.send(CTRL_Z)
    s.expect("Stopped")
    s.expect("P> ")
    s.line("fg")
    s.expect(r'busybox "\$@"\r\n')
    time.sleep(0.3)                     # the shell gives the terminal away after it says so
    s.line("two")
    s.expect("two\r\n.*two\r\n")
    s.send(CTRL_D)
    s.expect("P> ")
    s.line("run vi /tmp/x")
    s.expect("~")
    s.keys("iabc", ESC, CTRL_Z)
    s.expect("Stopped")
    s.expect("P> ")
    s.line("stty -a | grep -c ' icanon'")
    s.expect("1\r\n")
    s.line("fg")
    s.expect("abc")
    s.send("x:wq\r")
    s.expect("P> ")
    # Stopped by its child, which then ends: nobody inside runs any more.
    s.line("run sh -c '/bin/busybox sh -c \"kill -STOP \\$PPID\"; echo went on'")
    s.expect("Stopped")
    s.expect("P> ")
    s.line("fg")
    s.expect("went on\r\n")
    s.expect("P> ")
    s.line("exit 3")
    s.end(3, settings=False)   # the shell's own


def tmux_vi(terminal):
    """vi inside, in a tmux pane: what the pane shows is what a person sees."""
    if not harness.shutil.which("tmux"):
        raise harness.Skip("tmux is not installed")
    name = f"adyton-{uuid.uuid4().hex[:8]}"
    tmux = ["tmux", "-L", name, "-f", "/dev/null"]
    command = terminal.inside(["/bin/busybox", "vi", "/tmp/note"], ["/bin/busybox"])

    def pane():
        return subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=False).stdout

    def wait_for(pattern):
        for _ in range(WAIT * 10):
            if re.search(pattern, pane(), re.M | re.S):
                return
            time.sleep(0.1)
        raise harness.Failure(f"the pane never showed {pattern!r}:\n{pane()}")

    def keys(*k):
        subprocess.run([*tmux, "send-keys", *k], check=True)

    try:
        script = " ".join(shlex.quote(str(c)) for c in command) + "; echo left with $?; sleep 60"
        subprocess.run([*tmux, "new-session", "-d", "-x", "60", "-y", "15", "/bin/sh", "-c", script], check=True,
                       env=terminal.ctx.env)
        wait_for(r"^~$.*^- /tmp/note")
        keys("i", "first line", "Enter", "second", "Escape")
        wait_for(r"^first line\nsecond\n~")
        keys("g", "g", "d", "d", "p")
        wait_for(r"^second\nfirst line\n~")
        subprocess.run([*tmux, "resize-window", "-x", "40", "-y", "8"], check=True)
        wait_for(r"\Asecond\nfirst line\n(~\n){5}- /tmp/note")
        keys(":wq", "Enter")
        wait_for(r"left with 0")
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)


def tmux_inside(s):
    """tmux itself inside: a server, two windows side by side on pseudo-terminals of their own, and its end."""
    prompt = "bash-5.2[#$] "
    s.expect(prompt)
    s.line("stty size; test -t 0 && echo ter''minal")
    s.expect("23 80")
    s.expect("terminal")
    s.send("\x02%")  # a second pane
    time.sleep(0.5)
    s.line("stty size")
    s.expect("23 39")
    s.line("cat")
    time.sleep(0.3)
    s.send(CTRL_C)
    time.sleep(0.3)
    s.line("echo status $?; exit")
    s.expect("status 130")
    time.sleep(0.5)
    s.line("stty size")
    s.expect("23 80")
    s.line("exit")
    s.expect(r"\[exited\]")
    s.end(0)


def job_control(terminal):
    """An interactive shell outside in which `run` starts busybox inside."""
    if pexpect is None:
        raise harness.Skip("python3-pexpect is not installed")
    rc = terminal.ctx.tmp / "rc"
    command = terminal.inside(["/bin/busybox"], ["/bin/busybox"])
    quoted = " ".join(shlex.quote(str(c)) for c in command)
    rc.write_text(f"PS1='P> '\nbind 'set enable-bracketed-paste off'\nrun() {{ {quoted} \"$@\"; }}\n")
    session = Session(["/bin/bash", "--noprofile", "--rcfile", rc, "-i"],
                      env=terminal.ctx.env | {"TERM": "xterm"})
    try:
        stop_and_continue(session)
    finally:
        session.stop()


def cases(ctx):
    terminal = Terminal(ctx)
    busybox = ["/bin/busybox"]
    for name, script, argv in [
            ("vi", vi, [*busybox, "vi", "note"]), ("vi-discard", vi_discard, [*busybox, "vi"]),
            ("stty", stty, [*busybox, "stty", "-a"]), ("cooked", sh_cooked, [*busybox, "cat"]),
            ("interrupt", interrupt, [*busybox, "cat"])]:
        yield harness.Case(name, lambda s=script, a=argv: terminal.play(s, a, busybox))
    # Natively vi leaves the terminal raw when it is killed.
    yield harness.Case("sigterm", lambda: terminal.play(terminate, [*busybox, "vi"], busybox, native=False))
    yield harness.Case("python", lambda: terminal.play(python, [PYTHON, "-q"], [PYTHON], [STDLIB]))
    yield harness.Case("winch", lambda: terminal.play(winch, [PYTHON, "-c", WINCH], [PYTHON], [STDLIB]))
    yield harness.Case("bash", lambda: terminal.play(bash, ["/bin/bash", "--norc", "--noprofile", "-i"], ["/bin/bash"]))
    yield harness.Case("bash-jobs", lambda: terminal.play(
        bash_jobs, ["/bin/bash", "--norc", "--noprofile", "-i"], ["/bin/bash", "/bin/sleep", "/bin/cat", "/bin/stty"]))
    shell = "/bin/bash --norc --noprofile -i"
    yield harness.Case("script", lambda: terminal.play(
        bash_jobs, ["/usr/bin/script", "-q", "-e", "-c", "exec " + shell, "/dev/null"],
        ["/usr/bin/script", "/bin/sh", "/bin/bash", "/bin/sleep", "/bin/cat", "/bin/stty"]))
    yield harness.Case("tmux", lambda: terminal.play(
        tmux_inside, ["/usr/bin/tmux", "-L", uuid.uuid4().hex, "-f", "/dev/null", "new-session", shell],
        ["/usr/bin/tmux", "/bin/sh", "/bin/bash", "/bin/cat", "/bin/stty"], ["/usr/lib/locale/C.utf8"]))
    yield harness.Case("job-control", lambda: job_control(terminal))
    yield harness.Case("tmux-vi", lambda: tmux_vi(terminal))
