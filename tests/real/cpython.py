# SPDX-License-Identifier: MIT
"""
CPython's own tests (libpython3.11-testsuite). Those in COMPARED run natively in a chroot of the very files that they get
inside, and every single test must end as it does there: ok, skipped, failed. What differs is listed with its reason.
Of the others all tests must pass inside.

What takes minutes is here in part; the rest is run by hand:
adyton run --memory 2g ROOT /usr/bin/python3.11 -m test test_multiprocessing_fork test_concurrent_futures ...
"""
import re
import threading
import xml.etree.ElementTree

import harness

PYTHON = "/usr/bin/python3.11"
STDLIB = "/usr/lib/python3.11"
ENV = {"PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin", "HOME": "/root", "LC_ALL": "C"}

# What the tests run, and the files that name users and the host.
TOOLS = ["/bin/sh", *(f"/usr/bin/{t}" for t in "cat echo env false id kill ls ps rm sleep sort stty true tty uname".split())]
FILES = [STDLIB, "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf"]

# Modules that need neither threads nor processes, and short ones that do: all tests pass.
MODULES = """array binascii bisect collections complex copy csv datetime deque dict difflib float fractions glob heapq int
list long lzma math mmap operator queue set shlex statistics string textwrap thread threading time tuple urlparse wait3 wait4 fork1 zlib""".split()

# The parts of the suite on AF_UNIX; what is ignored opens AF_INET sockets.
UNIX_SOCKETS = {
    "socketserver-unix": ["test_socketserver", "-m", "*Unix*"],
    "socket-unix": ["test_socket", "-m", "*Unix*", "-m", "*SocketPair*", "-m", "SendRecvFdsTests"],
    "selectors": ["test_selectors"],
    "asyncio-unix": ["test_asyncio", "-m", "*[Uu]nix*", "-i", "*sendfile*", "-i", "*path_socket_error",
                     "-i", "*inetsock"],
}

INET = "IP networking"
DNOTIFY = "directory notification"

# name: (arguments, {test that differs: reason})
COMPARED = {
    "fcntl": (["test_fcntl"], {"TestFcntl.test_fcntl_64_bit": DNOTIFY}),
    "os": (["test_os"], {f"TestSendfile.test_{t}": INET for t in (
        "invalid_offset", "keywords", "offset_overflow", "send_at_certain_offset", "send_whole_file")}),
    "posix": (["test_posix"], {}),
    "pty": (["test_pty"], {}),
    "select": (["test_select"], {}),
    "tempfile": (["test_tempfile"], {}),
    "signal": (["test_signal", "-i", "SiginterruptTest"], {
        "WakeupFDTests.test_invalid_socket": INET, "WakeupFDTests.test_set_wakeup_fd_socket_result": INET}),
    "subprocess": (["test_subprocess", "-m", "POSIXProcessTestCase", "-m", "ContextManagerTests"], {}),
    "multiprocessing-fork": (["test_multiprocessing_fork", *(w for c in (
        "WithProcessesTestProcess", "WithProcessesTestQueue", "WithProcessesTestLock", "WithProcessesTestSemaphore",
        "WithProcessesTestEvent", "WithProcessesTestValue", "WithProcessesTestArray", "WithProcessesTestConnection",
        "WithProcessesTestHeap", "TestSyncManagerTypes")
        for w in ("-m", c))], {}),
    "multiprocessing-spawn": (["test_multiprocessing_spawn", "-m", "WithProcessesTestQueue", "-m", "WithProcessesTestEvent"], {}),
    "concurrent-futures": (["test_concurrent_futures", "-m", "ProcessPoolForkProcessPoolShutdownTest",
                            "-m", "ProcessPoolForkserverExecutorDeadlockTest", "-m", "ThreadPoolShutdownTest"], {}),
}

# One limit on descriptors for both: a test tries to use up all of them. The report comes last.
SCRIPT = ('ulimit -n 1024; cd /tmp; {python} -m test --junit-xml /tmp/report.xml "$@" 2>&1; s=$?; '
          'echo; echo ==REPORT==; cat /tmp/report.xml; rm -f /tmp/report.xml; exit $s').replace("{python}", PYTHON)
CHROOT = ('r=$1; shift; mount --rbind /dev "$r/dev" && mount -t proc proc "$r/proc" && mount -t tmpfs none "$r/tmp" && '
          'chmod 1777 "$r/tmp" && exec /usr/sbin/chroot "$r" "$@"')


def outcomes(result):
    """{test: (ok, skipped, failure or error; why)} from the report at the end of the output."""
    text = re.sub(r"[^\t\n -~]", "?", result.text().rpartition("==REPORT==")[2]).strip()
    harness.expect(text, f"no report: status {result.status}: {result.text()[-1500:]} {result.errors()[-500:]}")
    found = {}
    for case in xml.etree.ElementTree.fromstring(text).iter("testcase"):
        kinds = [(c.tag, c.text or "") for c in case if c.tag in ("skipped", "failure", "error")]
        found[case.get("name").split(".", 2)[-1]] = kinds[0] if kinds else ("ok", "")
    return found


def differences(native, inside):
    """{test: how it ended} of those that ended otherwise."""
    none = ("not run", "")
    found = {}
    for name in native.keys() | inside.keys():
        here, there = native.get(name, none), inside.get(name, none)
        if here[0] != there[0]:
            found[name] = f"{name}: natively {here[0]}, inside {there[0]}\n{here[1][-500:]}{there[1][-1500:]}"
    return found


class Suite:
    """The root that both sides run in, as a directory and as an archive."""

    def __init__(self, ctx):
        self.ctx = ctx
        self.lock = threading.Lock()
        self.dir = ctx.tmp / "cpython"
        self.archive = ctx.tmp / "cpython.cpio"

    def make(self):
        with self.lock:
            if self.archive.exists():
                return
            r = self.ctx.cli("collect", "-o", self.dir, PYTHON, *TOOLS, *(w for f in FILES for w in ("--with", f)), timeout=300)
            harness.expect(r.status == 0, f"collect: {r.errors()}")
            for name in ("dev", "proc", "sys", "tmp", "root"):
                (self.dir / name).mkdir(exist_ok=True)
            r = self.ctx.cli("mkcpio", self.dir, self.archive, timeout=300)
            harness.expect(r.status == 0, f"mkcpio: {r.errors()}")

    def native(self, args):
        """In a chroot, with processes, /dev, /proc and /tmp of its own."""
        return harness.run(["unshare", "-m", "-p", "--fork", "--kill-child", "/bin/sh", "-c", CHROOT, "sh", self.dir,
                            "/bin/sh", "-c", SCRIPT, "sh", *args], env=ENV, timeout=600)

    def inside(self, args):
        return self.ctx.inside(self.archive, ["/bin/sh", "-c", SCRIPT, "sh", *args], env=ENV, memory="2g", timeout=900)

    def compare(self, args, reasons):
        self.make()
        native, inside = outcomes(self.native(args)), outcomes(r := self.inside(args))
        wrong = differences(native, inside)
        stale = [f"{name}: the same now" for name in reasons.keys() - wrong.keys()]
        wrong = [text for name, text in sorted(wrong.items()) if name not in reasons]
        harness.expect(native and not wrong and not stale, "\n".join(wrong + stale) + f"\nstatus {r.status}\n{r.errors()[-1000:]}")


def cases(ctx, real):
    for module in MODULES:
        def suite(m=module):
            root = real.root([PYTHON], [STDLIB])
            r = ctx.inside(root, [PYTHON, "-m", "test", f"test_{m}"], env=ENV, memory="1g", timeout=900)
            harness.expect(r.status == 0, f"status {r.status}: {r.text()[-1500:]} {r.errors()[-800:]}")
        yield harness.Case(f"python-test-{module}", suite)
    for name, args in UNIX_SOCKETS.items():
        def sockets(a=args):
            root = real.root([PYTHON], [STDLIB])
            r = ctx.inside(root, [PYTHON, "-m", "test", "-u", "network", *a], env=ENV, memory="1g", timeout=300)
            harness.expect(r.status == 0 and b"SUCCESS" in r.out, f"status {r.status}: {r.text()[-1500:]}")
        yield harness.Case(f"python-test-{name}", sockets)
    suite = Suite(ctx)
    for name, (args, reasons) in COMPARED.items():
        yield harness.Case(f"python-test-{name}", lambda a=args, r=reasons: suite.compare(a, r))
