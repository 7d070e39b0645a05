# SPDX-License-Identifier: MIT
"""
Standard input, output and error: the same shell script runs natively and inside, in a folder of its own
with the same files. In it $P stands before the program under test: nothing, or `adyton run ROOT`. Status,
output, errors and what the folder holds afterwards must be equal.
"""
import fcntl
import os
import pty
import select
import shlex
import signal
import socket
import subprocess
import threading
import time

import harness

PYTHON = "/usr/bin/python3.11"
STDLIB = "/usr/lib/python3.11"
PROGRAMS = ["/bin/busybox", "/bin/bash", "/bin/cat", "/usr/bin/sort", "/usr/bin/dd", "/usr/bin/head",
            "/usr/bin/tail", "/usr/bin/wc", "/usr/bin/truncate", "/usr/bin/stat", "/usr/bin/tee",
            "/usr/bin/sqlite3", PYTHON]
ENV = {"PATH": "/usr/bin:/bin", "HOME": "/", "LC_ALL": "C.UTF-8"}
BIG = 10 << 20

# Descriptor 0 to 2 as a path. /dev/stdin and its kin are links to these, where they are not broken.
IN, OUT = "/proc/self/fd/0", "/proc/self/fd/1"

SCRIPTS = {
    # Files, and the offset that is shared with the shell
    "from-file": "$P /bin/cat < in",
    "to-file": "$P /bin/cat < in > out",
    "append": "echo first > out; $P /bin/cat < in >> out",
    "append-flag-kept": "echo first > out; { $P /bin/bash -c 'echo a'; : > out; $P /bin/bash -c 'echo b'; } >> out",
    "in-place": "$P /bin/bash -c 'read -r -u 1 a; echo XY >&1; echo $a >&2' 1<> small",
    "err-to-out": "$P /bin/bash -c 'echo a; echo b >&2; echo c' > out 2>&1",
    "err-to-old-out": "$P /bin/bash -c 'echo a; echo b >&2; echo c' 2>&1 > out",
    "two-opens": "$P /bin/bash -c 'echo aaa; echo b >&2; echo c' > out 2> out",
    "among-others": "{ echo a; $P /bin/cat; $P /bin/bash -c 'echo b; echo c >&2'; echo d; } < in > out 2>&1",
    "head-leaves-rest": "{ $P /usr/bin/head -n 3; cat; } < in",
    "read-leaves-rest": "{ $P /bin/bash -c 'read a; read b; echo $b-$a'; head -c 9; } < in",
    "after-others": "{ head -c 5 > /dev/null; $P /usr/bin/head -c 7; $P /usr/bin/tail -n 1; } < in",
    "tail-file": "$P /usr/bin/tail -c 20 < in; $P /usr/bin/tail -n 2 < in",
    "sort-file": "$P /usr/bin/sort -rn < in",
    "wc-file": "$P /usr/bin/wc -c < in; { read x; $P /usr/bin/wc -c; } < in",
    "stat-file": "$P /usr/bin/stat -L -c '%s %F %a %u %g %h %b %Y' - < in",
    "own-output": "$P /bin/cat < small >> small",
    "empty-file": "$P /bin/cat < /dev/null > out; $P /usr/bin/wc -c < out",
    "bash-script": "$P /bin/bash < script",
    "python-script": f"$P {PYTHON} -ISE < script.py",
    "sqlite-script": "$P /usr/bin/sqlite3 < script.sql",
    "big-both-ways": "$P /bin/cat < big > out; cmp big out",
    "big-appended": "$P /usr/bin/dd bs=1M status=none < big >> out; cmp big out",
    "limit": "$P /bin/bash -c \"trap '' XFSZ; ulimit -f 4; exec /bin/cat\" < in > out",
    "two-readers": "{ $P /usr/bin/head -c 6 & wait; head -c 6; } < in",

    # Opened again by name: a description of its own
    "again-seek": f"$P /usr/bin/dd bs=4 seek=1 conv=notrunc of={OUT} status=none < small 1<> out",
    "again-truncate": f"echo gone > out; $P /usr/bin/dd bs=4 seek=1 of={OUT} status=none < small 1<> out",
    "again-resize": f"$P /usr/bin/truncate -s 5000 {OUT} > out",
    "again-from-start": f"$P /bin/bash -c 'read a; read b < {IN}; echo $a $b' < in",
    "again-write": f"$P /bin/bash -c 'echo one; echo 2 > {OUT}; echo three' > out",
    "again-append": f"$P /bin/bash -c 'echo one; echo two >> {OUT}; echo three' > out",
    "again-tee": f"$P /usr/bin/tee -a {OUT} < small > out",
    "again-pipe": f"cat small | $P /bin/cat {IN} | cat",

    # Closed ones
    "closed-in": "$P /bin/cat <&-",
    "closed-out": "$P /bin/cat < in >&-",
    "closed-err": "$P /bin/cat /nonexistent 2>&-",
    "closed-all": "$P /bin/bash -c 'exit 3' <&- >&- 2>&-",
    "closed-reused": f"$P {PYTHON} -ISEc 'import os; print(os.open(\"/proc/version\", 0), os.open(\"/\", 0))' <&-",

    # Devices
    "null-in": "$P /bin/cat < /dev/null; $P /usr/bin/stat -L -c '%F %t:%T %a' - < /dev/null",
    "null-out": "$P /bin/cat < in > /dev/null",
    "null-name": "$P /bin/busybox readlink /proc/self/fd/0 < /dev/null",
    "full": "$P /bin/cat < small > /dev/full",
    "full-bash": "$P /bin/bash -c 'echo a; echo $? >&2' > /dev/full",
    "full-python": f"$P {PYTHON} -ISEc 'print(1)' > /dev/full",
    "zero": "$P /usr/bin/head -c 70000 < /dev/zero",
    "urandom": "$P /usr/bin/head -c 1000 < /dev/urandom | wc -c; $P /usr/bin/stat -L -c '%F %t:%T' - < /dev/urandom",

    # Pipes
    "pipe-in": "cat in | $P /bin/cat > out",
    "pipe-out": "$P /bin/cat < in | cat > out",
    "pipe-big": "cat big | $P /bin/cat | cmp - big",
    "pipe-bits": "{ echo a; sleep 0.3; echo b; } | $P /bin/bash -c 'read x; echo $x; read y; echo $y; read z; echo $?'",
    "pipe-head": "seq 5 | { $P /bin/bash -c 'read a; echo $a'; cat; }",
    "pipe-slow-reader": f"$P {PYTHON} -ISEc 'import os, sys; sys.stderr.write(str(os.write(1, b\"x\" * 1048576)))' | "
                        "{ sleep 0.5; wc -c; }",
    "pipe-broken": "{ $P /bin/busybox yes; echo $? >&2; } | head -n 1",
    "pipe-broken-ignored": "{ trap '' PIPE; $P /bin/busybox yes; echo $? >&2; } | head -n 1",
    "pipe-broken-python": f"{{ $P {PYTHON} -ISEc 'while True: print(1)' 2> /dev/null; echo $? >&2; }} | head -n 1",
    "pipe-seek": f"cat in | $P {PYTHON} -ISEc '\nimport os\nfor f in (lambda: os.lseek(0, 0, 1), lambda: os.pread(0, 1, 0), "
                 "lambda: os.fsync(0)):\n  try: f()\n  except OSError as e: print(e)'",

    # Signals that the parent ignored: the first 28, since make's own library leaves 32 ignored
    "ignored-none": "$P /bin/busybox awk '/SigIgn/ {print substr($2, 10)}' /proc/self/status",
    "ignored-some": "trap '' HUP INT QUIT PIPE TERM USR1 TSTP CHLD; $P /bin/busybox awk '/SigIgn/ {print substr($2, 10)}' /proc/self/status",
    "ignored-nohup": "nohup $P /bin/busybox awk '/SigIgn/ {print substr($2, 10)}' /proc/self/status 2> /dev/null < /dev/null | cat",
    "ignored-background": "$P /bin/busybox awk '/SigIgn/ {print substr($2, 10)}' /proc/self/status & wait $!",
    "ignored-then-sent": "trap '' TERM; $P /bin/busybox sh -c 'kill -TERM $$; echo alive'",
}

PYTHONS = {
    "positioned": ("print(os.pread(0, 5, 100), os.lseek(0, 0, 1), os.fstat(0).st_size, os.lseek(0, -5, 2), os.read(0, 9),"
                   " os.preadv(0, [bytearray(3)], 8))", "< in"),
    "write-at": ("os.write(1, b'0123456789'); os.pwrite(1, b'XY', 3); os.write(1, b'end'); os.fsync(1); os.fdatasync(1);"
                 " os.lseek(1, 2, 0); os.write(1, b'Z'); os.lseek(1, 100, 0); os.write(1, b'far')", "> out"),
    "shared-by-two": ("os.write(1, b'a'); os.write(2, b'b'); os.pwrite(1, b'Z', 0); os.write(1, b'c');"
                      " os.ftruncate(2, 2); os.write(2, str(os.path.sameopenfile(1, 2)).encode())", "> out 2>&1"),
    "not-shared": ("os.write(2, str((os.path.sameopenfile(0, 1), os.path.sameopenfile(1, 1))).encode())", "< in > out"),
    "sizes": ("print(os.fstat(1).st_size, flush=True); print(os.fstat(1).st_size, flush=True); os.ftruncate(1, 4000);"
              " print(os.fstat(1).st_size, os.lseek(1, 0, 1))", "> out"),
    "allocate": ("os.posix_fallocate(1, 0, 100); os.lseek(1, 0, 2); print(os.fstat(1).st_size)", "> out"),
    "copies": ("print(os.sendfile(1, 0, None, 1000), os.sendfile(1, 0, 5, 10), os.lseek(0, 0, 1), os.lseek(1, 0, 1));"
               " print(os.copy_file_range(0, 1, 100, 50), os.lseek(0, 0, 1), os.lseek(1, 0, 1))", "< in > out"),
    "hole": ("print([os.lseek(0, n, w) for n, w in ((0, os.SEEK_DATA), (0, os.SEEK_HOLE))])\n"
             "try: os.lseek(0, 1 << 30, os.SEEK_DATA)\nexcept OSError as e: print(e)", "< in"),
    "flags": ("import fcntl\nfor fd in (0, 1, 2): print(oct(fcntl.fcntl(fd, fcntl.F_GETFL)))", "< in >> out 2<> small"),
    "set-append": ("import fcntl\nos.write(1, b'abc'); fcntl.fcntl(1, fcntl.F_SETFL, os.O_APPEND); os.lseek(1, 0, 0);"
                   " os.write(1, b'def'); fcntl.fcntl(1, fcntl.F_SETFL, 0); os.lseek(1, 0, 0); os.write(1, b'X')", "> out"),
    "append-outlives": ("import fcntl\nfcntl.fcntl(1, fcntl.F_SETFL, os.O_APPEND)", "> out; echo after >> out"),
    "poll": ("import select\np = select.poll(); p.register(0); p.register(1); print(p.poll(0), select.select([0], [1], [], 0))",
             "< in > out"),
    "pollable": ("import select\np = select.poll(); p.register(0, select.POLLIN); print(p.poll())", "< /dev/null"),
    "readable-bytes": ("import fcntl, struct\nos.read(0, 10); print(fcntl.ioctl(0, 0x541b, b'....'), os.isatty(0))", "< in"),
    "fdinfo": ("os.read(0, 10); print(open('/proc/self/fdinfo/0').readline())", "< in"),
    "mode-checked": ("for f in (lambda: os.write(0, b'x'), lambda: os.read(1, 1), lambda: os.ftruncate(0, 1), lambda: os.lseek(0, -1, 0)):\n"
                     "  try: f()\n  except OSError as e: print(e, file=sys.stderr)", "< in > out"),
    "big-read": ("print(len(os.read(0, 1 << 20)), len(os.read(0, 1 << 24)), os.read(0, 9))", "< big"),
    "big-write": ("sys.stderr.write(str(os.write(1, bytes(3 << 20))))", "> out"),
    "read-at-end": ("print(os.lseek(0, 5, 2), os.read(0, 5), os.pread(0, 5, 1 << 40))", "< in"),
}


class Stdio:
    """The collected root, made when a case first asks, and the folders that scripts run in."""

    def __init__(self, ctx):
        self.ctx = ctx
        self.archive = None
        self.lock = threading.Lock()

    def root(self):
        with self.lock:
            self.archive = self.archive or self.make_root()
        return self.archive

    def make_root(self):
        root, archive = self.ctx.tmp / "stdio-root", self.ctx.tmp / "stdio-root.cpio"
        for argv in (["collect", "-o", root, *PROGRAMS, "--with", STDLIB], ["mkcpio", root, archive]):
            r = self.ctx.cli(*argv, timeout=300)
            harness.expect(r.status == 0, f"{argv[0]}: {r.errors()}")
        harness.shutil.rmtree(root)
        return archive

    def folder(self, name):
        place = self.ctx.tmp / "stdio" / name
        place.mkdir(parents=True)
        files = {
            "in": "".join(f"{i}\n" for i in range(1, 20001)), "small": "alpha\nbeta\ngamma\n",
            "script": "read a\nline two\necho \"$a\"\nexec /bin/cat\nthe rest\nis data\n",
            "script.py": "import sys\nprint(6 * 7)\nprint(sys.stdin.read())\n",
            "script.sql": "create table t(a);\ninsert into t values (1), (2);\nselect sum(a) from t;\n",
        }
        for file, text in files.items():
            (place / file).write_text(text)
        (place / "big").write_bytes(bytes(range(251)) * (BIG // 251))
        for path in place.iterdir():
            os.utime(path, (1000000000, 1000000000))
        return place

    def prefix(self):
        return [self.ctx.adyton, "run", "--target", "sim", self.root()]

    def both(self, name, runner):
        """runner(folder, prefix) -> Result, natively and inside; folders are compared too."""
        results, left = [], []
        for where, prefix in (("native", []), ("inside", self.prefix())):
            place = self.folder(f"{name}-{where}")
            results.append(runner(place, [str(p) for p in prefix]))
            left.append({p.name: p.read_bytes() for p in sorted(place.iterdir())})
            harness.shutil.rmtree(place)
        harness.expect(b"Traceback" not in results[0].err, f"fails natively: {results[0].errors()}")
        harness.same(*results, name)
        for file in sorted(left[0].keys() | left[1].keys()):
            native, inside = (l.get(file) for l in left)
            harness.expect(native == inside, f"{file} differs\n--- natively ({len(native or b'')})\n{clip(native)}\n"
                           f"--- inside ({len(inside or b'')})\n{clip(inside)}")

    def script(self, name, text, shell="/bin/sh"):
        def runner(place, prefix):
            env = dict(ENV, P=" ".join(prefix))
            return harness.run([shell, "-c", text], cwd=place, env=env)
        self.both(name, runner)


def clip(data):
    return repr(data[:300] + b"..." + data[-100:] if data and len(data) > 400 else data)


# ---- Where a shell does not suffice ---------------------------------------------------------------

def spawn(place, argv, **more):
    return subprocess.run(argv, cwd=place, env=ENV, timeout=harness.TIMEOUT, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def result(p):
    return harness.Result(p.returncode if p.returncode >= 0 else 128 - p.returncode, p.stdout, p.stderr)


def nonblocking(place, prefix):
    """A pipe that the parent made non-blocking, first empty, then with data, then made blocking."""
    code = ("import os, sys\nprint(os.get_blocking(0))\ntry: os.read(0, 10)\nexcept OSError as e: print(e)\n"
            "sys.stdout.flush()\nos.set_blocking(0, True); print(os.read(0, 10), os.read(0, 10))")
    r, w = os.pipe()
    os.set_blocking(r, False)
    with subprocess.Popen([*prefix, PYTHON, "-ISEc", code], cwd=place, env=ENV, stdin=r, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as p:
        os.close(r)
        lines = p.stdout.readline() + p.stdout.readline()
        time.sleep(0.3)
        os.write(w, b"data")
        # What the program set is not seen outside: there the description stays as it was.
        os.close(w)
        out, err = p.communicate(timeout=harness.TIMEOUT)
    return harness.Result(p.returncode, lines + out, err)


def partial_reads(place, prefix):
    """Each read gets what is there, not what was asked for."""
    code = "import os\nfor i in range(3): print(os.read(0, 100), flush=True)"
    with subprocess.Popen([*prefix, PYTHON, "-ISEc", code], cwd=place, env=ENV, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as p:
        out = b""
        for part in (b"abc", b"de"):
            p.stdin.write(part)
            out += p.stdout.read(100)
        more, err = p.communicate(timeout=harness.TIMEOUT)
    return harness.Result(p.returncode, out + more, err)


def over_socket(place, prefix):
    code = ("import os, stat\nst = os.fstat(0)\nprint(oct(st.st_mode), stat.S_ISSOCK(st.st_mode), os.read(0, 10),"
            " os.readlink('/proc/self/fd/0')[:8])\n"
            "try: os.lseek(0, 0, 0)\nexcept OSError as e: print(e)\n"
            "try: open('/proc/self/fd/0')\nexcept OSError as e: print(e)")
    ours, theirs = socket.socketpair()
    ours.send(b"hello")
    with ours, theirs:
        return result(spawn(place, [*prefix, PYTHON, "-ISEc", code], stdin=theirs))


def partial_writes(place, prefix):
    """One write of 1 MiB to a reader that takes a little at a time."""
    code = "import os, sys; sys.stderr.write(str(os.write(1, bytes(range(256)) * 4096)))"
    with subprocess.Popen([*prefix, PYTHON, "-ISEc", code], cwd=place, env=ENV, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as p:
        out = b""
        while part := p.stdout.read(5000):
            out += part
            time.sleep(0.001)
        err = p.stderr.read()
    return harness.Result(p.returncode, out, err)


def caught_after_ignored(place, prefix):
    """A signal that the parent ignored, for which the program then installs a handler."""
    code = ("import signal, time\ngot = []\nsignal.signal(signal.SIGUSR1, lambda s, f: got.append(s))\n"
            "print('ready', flush=True)\nfor i in range(600):\n  if got: break\n  time.sleep(0.05)\nprint(got)")
    script = f"trap '' USR1; exec {shlex.join([*prefix, PYTHON, '-ISEc', code])}"
    with subprocess.Popen(["/bin/sh", "-c", script], cwd=place, env=ENV, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        first = p.stdout.readline()
        p.send_signal(signal.SIGUSR1)
        out, err = p.communicate(timeout=harness.TIMEOUT)
    return harness.Result(p.returncode, first + out, err)


def on_terminal(argv, typed, place):
    """Runs argv on a terminal of its own, types each text after something was shown."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(place)
        os.execve(argv[0], argv, ENV)
    fcntl.ioctl(fd, 0x5414, b"\x1d\x00\x4d\x00\x00\x00\x00\x00")  # TIOCSWINSZ: 29 lines of 77
    out, end, quiet = b"", time.monotonic() + 60, 0
    while time.monotonic() < end:
        ready = select.select([fd], [], [], 0.5)[0]
        try:
            part = os.read(fd, 4096) if ready else None
        except OSError:
            break
        if part:
            out, quiet = out + part, 0
        elif out and typed:
            os.write(fd, typed.pop(0))
        elif out:
            quiet += 1
            harness.expect(quiet < 60, f"the terminal is silent after {out!r}")
    os.close(fd)
    return harness.Result(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out, b"")


def terminal_lines(place, prefix):
    script = "read -r -p 'name? ' a; echo \"hi $a\"; test -t 0 && test -t 1 && echo terminal; read -r b; echo \"end $?\""
    return on_terminal([*prefix, "/bin/bash", "-c", script], [b"world\n", b"\x04"], place)


def terminal_raw(place, prefix):
    code = ("import os, tty, termios\nold = termios.tcgetattr(0)\nprint(os.get_terminal_size(0), flush=True)\ntty.setraw(0)\n"
            "os.write(1, b'?'); a = os.read(0, 10)\ntermios.tcsetattr(0, termios.TCSADRAIN, old)\nprint(a)")
    return on_terminal([*prefix, PYTHON, "-ISEc", code], [b"\x03q"], place)


def cases(ctx):
    stdio = Stdio(ctx)
    for name, text in SCRIPTS.items():
        yield harness.Case(name, lambda n=name, t=text: stdio.script(n, t))
    for name, (code, redirections) in PYTHONS.items():
        line = f"$P {PYTHON} -ISEc {shlex.quote('import os, sys' + chr(10) + code)} {redirections}"
        yield harness.Case(f"python-{name}", lambda n=name, t=line: stdio.script(f"python-{n}", t))
    for runner in (nonblocking, partial_reads, over_socket, partial_writes, caught_after_ignored, terminal_lines, terminal_raw):
        yield harness.Case(runner.__name__.replace("_", "-"),
                           lambda r=runner: stdio.both(r.__name__, r))
