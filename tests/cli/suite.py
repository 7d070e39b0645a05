# SPDX-License-Identifier: MIT
"""
The adyton command: each subcommand, and what it says to bad input. Every refusal is one clear line that
starts with "adyton", the documented status, and nothing left behind.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import harness
from harness import Case, Failure, Skip, expect

HERE = pathlib.Path(__file__).resolve().parent
BUSYBOX = pathlib.Path("/bin/busybox")
COMMANDS = ["run", "collect", "check", "mkcpio", "excpio", "measure", "gdb"]
ECHO = ["/bin/busybox", "echo", "ok"]


class Suite:
    """The context with what the cases share, all made before the first of them runs."""

    def __init__(self, ctx):
        self.ctx = ctx
        self.dir = ctx.tmp / "cli"
        self.dir.mkdir()
        self.root = self.make_root("root")
        self.archive = self.dir / "root.cpio"
        self.cli("mkcpio", self.root, self.archive)

    def make_root(self, name, program=BUSYBOX):
        root = self.dir / name
        (root / "bin").mkdir(parents=True)
        (root / "etc").mkdir()
        (root / "tmp").mkdir()
        shutil.copy(program, root / "bin" / program.name)
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        os.symlink("busybox", root / "bin/sh")
        return root

    def cli(self, *argv, status=0, **more):
        r = self.ctx.cli(*argv, **more)
        expect(r.status == status, f"{' '.join(map(str, argv))}: status {r.status}, not {status}: "
                                   f"{r.text()[-500:]}{r.errors()[-500:]}")
        return r

    def run(self, *argv, **more):
        return self.cli("run", "--target", "sim", *argv, **more)

    def refused(self, *argv, says="", status=125, lines=1, **more):
        """One line (or `lines` at most) that starts with adyton and holds the pattern."""
        r = self.cli(*argv, status=status, **more)
        text = r.errors()
        expect(re.search(says, text), f"'{says}' is not in: {text!r}")
        expect(0 < len(text.splitlines()) <= lines, f"not {lines} line(s): {text!r}")
        expect(text.splitlines()[-1].startswith(("adyton", "Try 'adyton")), f"who says it? {text!r}")
        return r

    def compile(self, source, name, *flags):
        program = self.dir / name
        r = harness.run(["gcc", *flags, "-o", program, source])
        expect(r.status == 0, f"does not compile: {r.errors()}")
        return program


# ---- run ----------------------------------------------------------------------------------------------

def run_options(s):
    expect(s.run(s.root, *ECHO).text() == "ok\n", "no output from a directory")
    expect(s.run(s.archive, *ECHO).text() == "ok\n", "no output from an archive")
    out = s.run("--env", "A=1", "--env=B=x y", "--env", "A=2", "--cwd", "/etc", "-m", "64m", "--",
                s.root, "/bin/busybox", "sh", "-c", "echo $A $B $PWD $HOME").text()
    expect(out == "2 x y /etc /root\n", f"--env and --cwd: {out!r}")
    env = dict(s.ctx.env, SECRET="no", TERM="vt100")
    out = s.run(s.root, "/bin/busybox", "env", env=env).text()
    expect("SECRET" not in out and "TERM" not in out, f"the environment leaked: {out!r}")
    out = s.run(s.root, "/bin/busybox", "echo", "--help", "--stats").text()
    expect(out == "--help --stats\n", f"the program's options are not ours: {out!r}")


def run_status(s):
    for status, argv in ((0, ["true"]), (1, ["false"]), (7, ["sh", "-c", "exit 7"]),
                         (128 + 15, ["sh", "-c", "kill -TERM $$"])):
        s.run(s.root, "/bin/busybox", *argv, status=status)
    for status, program in ((127, "/bin/none"), (127, "/bin/busybox/x"), (126, "/etc/passwd"), (126, "/etc")):
        r = s.run(s.root, program, status=status)
        expect(r.err.startswith(b"adyton: cannot run " + program.encode()), f"{r.errors()!r}")


def run_cwd(s):
    for where in ("/none", "/bin/busybox", "none"):
        s.refused("run", "--target", "sim", "--cwd", where, s.root, *ECHO, says=f"working directory {where}: ")


def run_note(s):
    if os.path.exists("/dev/sgx_enclave"):
        raise Skip("this machine has SGX")
    r = s.cli("run", s.root, *ECHO)
    expect(re.fullmatch(r"adyton: note: [^\n]*simulator[^\n]*\n", r.errors()), f"{r.errors()!r}")
    expect(s.run(s.root, *ECHO).err == b"", "--target sim is not silent")
    s.refused("run", "--target", "sgx", s.root, *ECHO, says="sgx")


def run_stats_strace(s):
    path = s.dir / "stats.json"
    s.run(f"--stats={path}", s.root, *ECHO)
    stats = json.loads(path.read_text())
    expect(stats["host"]["transitions"]["eenter"] > 0, "no transitions in --stats")
    expect("write" in stats["enclave"]["syscalls"], "no syscalls in --stats")
    r = s.refused("run", "--target", "sim", f"--stats={s.dir}/none/x", s.root, *ECHO, says="none/x: No such file")
    expect(r.out == b"", "the program ran before its report was refused")
    r = s.run("--stats", s.root, *ECHO)
    expect(r.text() == "ok\n" and "eenter" in r.errors(), f"--stats: {r.errors()[:300]!r}")
    r = s.run("--strace=write", s.root, *ECHO)
    expect('write(1, "ok\\n", 3) = 3' in re.sub(r"\s+=", " =", r.errors()), f"--strace: {r.errors()!r}")
    expect("brk" not in r.errors(), "--strace=LIST does not filter")
    expect(s.run("--strict", s.root, *ECHO).text() == "ok\n", "--strict")


def run_stdin(s):
    for redirect in ("<&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"):
        for what in ("cat", "true"):
            native = harness.run(["/bin/sh", "-c", f"exec /bin/busybox {what} {redirect}"])
            inside = harness.run(["/bin/sh", "-c",
                                  f"exec {s.ctx.adyton} run --target sim {s.root} /bin/busybox {what} {redirect}"])
            harness.same(native, inside, f"{what} {redirect}")
    r = s.run(s.root, "/bin/busybox", "cat", stdin=b"x" * 200000)
    expect(r.out == b"x" * 200000, "stdin does not arrive whole")


def run_missing_features(s):
    deny = s.compile(HERE / "deny.c", "deny")
    command = [s.ctx.adyton, "run", "--target", "sim", s.archive, *ECHO]
    r = harness.run([deny, "dispatch", *command], env=s.ctx.env)
    expect(r.status == 125 and r.err.startswith(b"adyton: ") and r.err.count(b"\n") == 1 and
           re.search(r"user dispatch", r.errors(), re.I), f"without user dispatch: {r.status} {r.errors()!r}")
    r = harness.run([deny, "dispatch", s.ctx.adyton, "run", s.archive, *ECHO], env=s.ctx.env)
    expect(r.status == 125 and r.err.count(b"\n") == 1, f"auto, without either: {r.errors()!r}")
    r = harness.run([deny, "pkeys", *command], env=s.ctx.env)
    expect(r.status == 0 and r.out == b"ok\n", f"without protection keys: {r.status} {r.errors()!r}")
    r = harness.run([deny, "cpuid", *command], env=s.ctx.env)
    expect((r.status == 0 and r.out == b"ok\n") or (r.status == 125 and r.err.count(b"\n") == 1),
           f"without CPUID faulting: {r.status} {r.errors()!r}")


def run_limited_space(s):
    r = harness.run(["/bin/sh", "-c", f"ulimit -v 1000000; exec {s.ctx.adyton} run --target sim {s.archive} "
                                      "/bin/busybox echo ok"], env=s.ctx.env)
    expect(r.status == 125 and b"ulimit -v" in r.err and r.err.count(b"\n") == 1, f"{r.status} {r.errors()!r}")


def run_unlimited_stack(s):
    r = harness.run(["/bin/sh", "-c", f"ulimit -s unlimited 2>/dev/null; exec {s.ctx.adyton} run --target sim "
                                      f"{s.archive} /bin/busybox echo ok"], env=s.ctx.env)
    expect(r.status == 0 and r.out == b"ok\n", f"with an unlimited stack: {r.status} {r.errors()!r}")


def run_memory(s):
    for size in ("0", "4k", "64k", "400k"):
        s.refused("run", "--target", "sim", "-m", size, s.root, *ECHO, says="Memory", lines=2)
    for size in ("64m", "16g"):
        expect(s.run("-m", size, s.root, *ECHO).text() == "ok\n", f"--memory {size}")
    r = s.ctx.cli("run", "--target", "sim", "-m", "32m", s.root, "/bin/busybox", "sh", "-c",
                  "x=0123456789abcdef; while :; do x=$x$x; done")
    expect(r.status in (1, 2, 137), f"exhaustion: status {r.status} {r.errors()[-300:]!r}")


def usage(s):
    s.refused("run", says="ROOTFS is missing", lines=2)
    s.refused("run", s.root, says="PROGRAM is missing", lines=2)
    s.refused("run", "--nonsense", s.root, "/x", says="--nonsense", lines=2)
    s.refused("run", "--target", "tpm", s.root, "/x", says="auto, sgx or sim", lines=2)
    s.refused("run", "--memory", "1q", s.root, "/x", says="1q", lines=2)
    s.refused("run", "--memory", "99999999999g", s.root, "/x", says="99999999999g", lines=2)
    s.refused("run", "--env", "NOVALUE", s.root, "/x", says="NAME=VALUE", lines=2)
    s.refused("run", "--json", s.root, "/x", says="not an option", lines=2)
    s.refused("mesure", says="did you mean 'measure'", lines=2)
    s.refused(says="which command", lines=2)
    s.refused("collect", "ls", says="-o DIR", lines=2)
    s.refused("mkcpio", "a", says="directory and a file", lines=2)
    s.refused("excpio", "a", says="archive and a directory", lines=2)
    s.refused("run", s.dir / "none", "/x", says="none: No such file")
    s.refused("run", "/dev/null", "/x", says="neither a directory nor a file")


def help_texts(s):
    for name in COMMANDS:
        r = s.cli(name, "--help")
        expect(r.err == b"" and r.text().startswith(f"Usage: adyton {name}"), f"{name} --help")
        expect("Example" in r.text(), f"{name} --help has no example")
        expect(max(map(len, r.text().splitlines())) <= 100, f"{name} --help has long lines")
    listing = s.cli("--help").text()
    expect(all(f"  {name} " in listing for name in COMMANDS), "a command is missing in --help")
    expect(re.fullmatch(r"adyton \d+\.\d+\.\d+\n", s.cli("--version").text()), "--version")
    with open("/dev/full", "w", encoding="ascii") as full:
        p = subprocess.run([s.ctx.adyton, "--help"], stdout=full, stderr=subprocess.PIPE, check=False)
    expect(p.returncode == 125, "a full stdout goes unnoticed")


def man_page(_s):
    page = harness.ROOT / "cli/adyton.1"
    r = harness.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page],
                    env=dict(os.environ, MANROFFSEQ="", MANWIDTH="80", LC_ALL="C.UTF-8"))
    expect(r.status == 0 and r.err == b"", f"man: {r.errors()}")
    text = page.read_text(encoding="utf-8")
    expect(all(f".B {name}\n" in text for name in COMMANDS), "a command is missing in the manual page")


def completion(_s):
    script = harness.ROOT / "cli/completion/adyton"
    r = harness.run(["bash", "-c", f". {script}; COMP_WORDS=(adyton me); COMP_CWORD=1; _adyton; "
                                   "echo ${COMPREPLY[@]}; COMP_WORDS=(adyton run --target s); COMP_CWORD=3; "
                                   "_adyton; echo ${COMPREPLY[@]}"])
    expect(r.text() == "measure\nsgx sim\n", f"{r.text()!r} {r.errors()!r}")


# ---- Configuration ----------------------------------------------------------------------------------------

MYSTIKOS = """{
    // OpenEnclave specific values
    "version": "0.1",
    "Debug": 1,
    "ProductID": 1,
    "SecurityVersion": 1,
    /* Mystikos specific values */
    "MemorySize": "40m",
    "MainStackSize": "1536k", "ThreadStackSize": "1m", "MaxAffinityCPUs": 1,
    "NoBrk": false, "ExecStack": false,
    "ApplicationPath": "/bin/busybox",
    "ApplicationParameters": ["sh", "-c", "echo $A $H $0 $1; pwd; hostname; ulimit -s", "zero"],
    "HostApplicationParameters": true,
    "EnvironmentVariables": ["A=1 // no comment", "PATH=/bin"],
    "HostEnvironmentVariables": ["H", "UNSET"],
    "CurrentWorkingDirectory": "/etc", "Hostname": "inside",
    "ForkMode": "pseudo_wait_for_exit_exec", "Mount": [], "UnhandledSyscallEnosys": true, "HostUDS": false,
    "SyslogLevel": "err", "Secret": [], "CreateZeroBaseEnclave": true, "EnclaveStartAddress": "0x10000"
}
"""


def config_file(s, text, name="config.json"):
    path = s.dir / name
    path.write_text(text)
    return path


def config_good(s):
    path = config_file(s, MYSTIKOS, "mystikos.json")
    env = dict(s.ctx.env, H="host")
    out = s.run("--config", path, s.root, "/bin/busybox", "one", env=env).text()
    expect(out == "1 // no comment host zero one\n/etc\ninside\n1536\n", f"{out!r}")
    out = s.run("--config", path, "--cwd", "/bin", "--env", "A=9", s.root, env=env).text()
    expect(out == "9 host zero\n/bin\ninside\n1536\n", f"{out!r}")
    report = json.loads(s.cli("measure", "--json", "-c", path, s.root).text())
    expect(report["product_id"] == 1 and report["security_version"] == 1 and report["debug"] and
           report["manifest"]["memory_size"] == 40 << 20 and
           report["manifest"]["main_stack_size"] == 1536 << 10, f"{report}")
    core = config_file(s, MYSTIKOS.replace("{", '{ "CoreDump": "/tmp/c%p",', 1), "core.json")
    dumps = json.loads(s.cli("measure", "--json", "-c", core, s.root).text())
    expect(dumps["manifest"]["core_dump"] == "/tmp/c%p" and dumps["mrenclave"] != report["mrenclave"], f"{dumps}")
    expect("core_dump" not in report["manifest"], f"{report}")
    host = json.loads(s.cli("measure", "--json", "-c", path, s.root, "/bin/busybox", "one").text())
    expect(host["mrenclave"] == report["mrenclave"], "the host's arguments are measured")


CONFIG_ERRORS = [
    ('{\n  "MemorySize": "1g",\n  "Bad" 3\n}', r"bad\.json:3:9: a colon"),
    ('{ "MemorySize": "1g", }', r"bad\.json:1:23: a comma before"),
    ('{\n\t"Hostname": "a\n"}', r"bad\.json:2:16: a string must end"),
    ('{ /* open\n', r"bad\.json:1:3: this comment"),
    ('{ "Debug": tru }', r"bad\.json:1:12: not a JSON value"),
    ('{ "Debug": true } x', r"bad\.json:1:19: more text"),
    ('', r"bad\.json:1:1: the file ends"),
    ('{ "Hostname": "\\u0000" }', r"NUL"),
    ('{ "Hostname": "a\\ud800" }', r"bad\.json:1:18: half of a surrogate"),
    ('{ "Hostname": "\\udc00\\ud800" }', r"half of a surrogate"),
    ('[' * 100, r"nested too deeply"),
    ('[]', r"must be an object"),
    ('{ "MemorySiz": "1g" }', r"unknown key 'MemorySiz'; did you mean 'MemorySize'"),
    ('{ "applicationpath": "/x" }', r"did you mean 'ApplicationPath'"),
    ('{ "Quux": 1 }', r"unknown key 'Quux'$"),
    ('{ "Debug": true, "Debug": false }', r"'Debug' appears twice"),
    ('{ "version": "9" }', r"version: '9'"),
    ('{ "MemorySize": "1x" }', r"MemorySize: '1x'"),
    ('{ "MemorySize": -1 }', r"MemorySize: must be"),
    ('{ "MemorySize": [] }', r"MemorySize: must be a size"),
    ('{ "ProductID": 70000 }', r"ProductID: .* 65535"),
    ('{ "Debug": "yes" }', r"Debug: must be true or false"),
    ('{ "ApplicationParameters": ["a", 2] }', r"ApplicationParameters\[1\]: must be a string"),
    ('{ "ApplicationParameters": "a" }', r"ApplicationParameters: must be a list"),
    ('{ "EnvironmentVariables": ["A"] }', r"EnvironmentVariables\[0\]: 'A' is not NAME=VALUE"),
    ('{ "Mount": [{"Target": "/x"}] }', r"Mount: .*not served"),
    ('{ "ForkMode": "psuedo" }', r"ForkMode: 'psuedo' is unknown"),
    ('{ "CoreDump": true }', r"CoreDump: must be a string"),
    ('{ "CoreDump": "|/bin/x" }', r"CoreDump: must name a file"),
    ('{ "CoreDump": "c%q" }', r"CoreDump: '%q' is not one of"),
    ('{ "CoreDump": "c%" }', r"CoreDump: '%' is not one of"),
    ('{ "CoreDump": "%s" }' % ("c" * 128), r"CoreDump: longer than 127"),
    ('{ "HostUDS": true }', r"HostUDS: .*not served"),
    ('{ "Secret": [{"ID": "x"}] }', r"Secret: .*not served"),
    ('{ "EnclaveStartAddress": 1099511627776 }', r"EnclaveStartAddress: .*starts at 0"),
]


def config_bad(s):
    for text, says in CONFIG_ERRORS:
        path = config_file(s, text, "bad.json")
        s.refused("run", "-c", path, s.root, "/x", says=says)
        s.cli("check", "-c", path, s.root, "/bin/busybox", status=1)
    s.refused("run", "-c", s.dir / "none.json", s.root, "/x", says="No such file")
    s.refused("run", "-c", s.dir, s.root, "/x", says="Is a directory")


# ---- Archives ----------------------------------------------------------------------------------------------

def make_tree(s, name):
    """Every kind of file an archive holds."""
    tree = s.dir / name
    (tree / "a/b/c").mkdir(parents=True)
    (tree / "a/file").write_bytes(b"contents\n" * 1000)
    (tree / "a/empty").write_bytes(b"")
    os.link(tree / "a/file", tree / "a/b/hard")
    os.symlink("../file", tree / "a/b/soft")
    os.symlink("/nowhere", tree / "dangling")
    os.mkfifo(tree / "fifo")
    (tree / "a/tool").write_text("#!/bin/sh\n")
    (tree / "a/tool").chmod(0o4755)
    (tree / "a/b/c").chmod(0o1777)
    (tree / "ü ß\n").write_text("odd name")
    for path in ("a/file", "a/empty", "a/b/c", "a/b", "a"):
        os.utime(tree / path, (1000000000, 1234567890))
    return tree


def listing(tree):
    found = {}
    for path in sorted(tree.rglob("*")):
        st = path.lstat()
        kind = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(tree))] = (st.st_mode, st.st_uid, st.st_gid, int(st.st_mtime), kind)
    return found


def archives_round_trip(s):
    tree = make_tree(s, "tree")
    one, two, back = s.dir / "one.cpio", s.dir / "two.cpio", s.dir / "back"
    s.cli("mkcpio", tree, one)
    copy = s.dir / "copy"
    harness.run(["cp", "-a", tree, copy])
    s.cli("mkcpio", f"{copy}/", two)
    expect(one.read_bytes() == two.read_bytes(), "two archives of the same tree differ")
    s.cli("excpio", one, back)
    expect(listing(back) == listing(tree), "unpacking does not give the tree back")
    expect((back / "a/file").stat().st_ino == (back / "a/b/hard").stat().st_ino, "hard link lost")
    out = harness.run(["sh", "-c", f"cpio -t --quiet <{one}"])
    expect(out.status == 0 and b"a/b/hard\n" in out.out, f"cpio(1) cannot read it: {out.errors()}")
    s.cli("mkcpio", tree, one)
    expect(one.read_bytes() == two.read_bytes(), "replacing an archive")


def archives_big(s):
    tree = s.dir / "big"
    for i in range(100):
        folder = tree / f"d{i:02}"
        folder.mkdir(parents=True)
        for k in range(499):
            (folder / f"f{k}").write_bytes(b"")
    with open(tree / "large", "wb") as f:
        f.truncate(1 << 30)
    (tree / "bin").mkdir()
    shutil.copy(BUSYBOX, tree / "bin/busybox")
    archive = s.dir / "big.cpio"
    try:
        s.cli("mkcpio", tree, archive)
        r = s.run("-m", "1g", archive, "/bin/busybox", "sh", "-c", "set -- /d99/*; echo $#; stat -c %s /large")
        expect(r.text() == "499\n1073741824\n", f"{r.text()!r}")
    finally:
        shutil.rmtree(tree)
        archive.unlink(missing_ok=True)


def archives_refuse(s):
    s.refused("mkcpio", s.dir / "none", s.dir / "x", says="No such file")
    s.refused("mkcpio", s.archive, s.dir / "x", says="Not a directory")
    s.refused("mkcpio", s.root, "/dev/full", says="no regular file")
    s.refused("mkcpio", s.root, s.root / "x.cpio", says="lies inside")
    s.refused("mkcpio", s.root, s.dir / "none/x.cpio", says="No such file")
    garbage = s.dir / "garbage"
    garbage.write_bytes(b"garbage" * 1000)
    s.refused("run", "--target", "sim", garbage, "/x", says="neither a directory nor a newc")
    s.refused("excpio", garbage, s.dir / "out", says="garbage")
    expect(not (s.dir / "out").exists(), "a directory is left behind")
    (s.dir / "empty").write_bytes(b"")
    s.refused("run", "--target", "sim", s.dir / "empty", "/x", says="empty")
    s.refused("excpio", s.archive, s.root, says="not empty")
    packed = s.dir / "packed.cpio.gz"
    packed.write_bytes(b"\x1f\x8b\x08\0" + b"\0" * 100)
    s.refused("run", packed, "/x", says="compressed")


def entry(name, mode=0o100644, data=b"", ino=1, links=1, size=None):
    raw = name.encode()
    fields = [ino, mode, 0, 0, links, 0, len(data) if size is None else size, 0, 0, 8, 0, len(raw) + 1, 0]
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + raw + b"\0"
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)


def archives_mount_points(s):
    """The kernel's own file systems are mounted on directories, not where a link of the archive leads."""
    tiny = small_archive(s).read_bytes()
    path = s.dir / "mounts.cpio"
    for mode, data in ((0o120777, b"/bin"), (0o100644, b"x")):
        path.write_bytes(entry("bin", 0o40755) + entry("bin/tiny", 0o100755, tiny, ino=2) +
                         entry("proc", mode, data, ino=3) + entry("TRAILER!!!", 0))
        s.refused("run", "--target", "sim", path, "/bin/tiny", says="cannot mount /proc: Not a directory")


def archives_hostile(s):
    trailer = entry("TRAILER!!!", 0)
    victim = s.dir / "victim"
    cases = {
        "dotdot": entry("../victim", data=b"x"),
        "inner dotdot": entry("a", 0o40755) + entry("a/../../victim", data=b"x"),
        "absolute": entry(str(victim), data=b"x"),
        "symlink": entry("l", 0o120777, b"..") + entry("l/victim", data=b"x"),
        "absolute symlink": entry("l", 0o120777, str(s.dir).encode()) + entry("l/victim", data=b"x"),
        "huge": entry("big", size=0xffffffff),
        "huge name": b"070701" + b"%08x" % 1 * 11 + b"ffffffff" + b"0" * 8,
    }
    for name, data in cases.items():
        path, out = s.dir / "hostile.cpio", s.dir / "hostile-out"
        path.write_bytes(data + trailer)
        r = s.refused("excpio", path, out, says="hostile.cpio", lines=2)
        expect(not victim.exists(), f"{name}: wrote outside")
        expect(b"(null)" not in r.err, f"{name}: {r.errors()!r}")
        shutil.rmtree(out, ignore_errors=True)
    path.write_bytes(entry("dev", 0o60600) + entry("f", data=b"x") + trailer)
    r = s.cli("excpio", path, out)
    expect("left out" in r.errors() and not (out / "dev").exists() and (out / "f").exists(), "device node")


def small_archive(s):
    program = s.dir / "tiny.S"
    program.write_text('.globl _start\n_start: mov $1,%eax\n mov $1,%edi\n lea m(%rip),%rsi\n mov $3,%edx\n'
                       ' syscall\n mov $60,%eax\n xor %edi,%edi\n syscall\nm: .ascii "ok\\n"\n')
    return s.compile(program, "tiny", "-nostdlib", "-static", "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-s")


def archives_cut(s):
    """A plain archive cut in its headers: every byte for `check`, a sample for runs."""
    tiny = small_archive(s).read_bytes()
    data = (entry("bin", 0o40755, ino=1) + entry("bin/tiny", 0o100755, tiny, ino=2) +
            entry("link", 0o120777, b"bin/tiny", ino=3) + entry("TRAILER!!!", 0))
    path = s.dir / "cut.cpio"
    path.write_bytes(data)
    expect(s.run(path, "/bin/tiny").text() == "ok\n", "the whole archive does not run")
    first = len(entry("bin", 0o40755))
    second = first + len(entry("bin/tiny", 0o100755))
    tail = second + len(tiny) + (-len(tiny) % 4)
    cuts = list(range(1, second)) + list(range(tail, len(data) - 1))
    for n, cut in enumerate(cuts):
        path.write_bytes(data[:cut])
        s.refused("check", path, "/bin/tiny", says="cut.cpio")
        if n % 9 == 0 or cut in (first, second, tail):
            r = s.ctx.cli("run", "--target", "sim", path, "/bin/tiny")
            expect(r.status == 125 and r.out == b"" and r.err.startswith(b"adyton: ") and r.err.count(b"\n") == 1,
                   f"cut at {cut}: status {r.status} {r.errors()!r}")


def archives_changed(s):
    """A prepared archive changed later: refused before a changed byte is used."""
    data = s.archive.read_bytes()
    path = s.dir / "changed.cpio"
    trailer = len(data) - 4096
    for where in (8, 300, 4096 * 3, trailer - 4096, trailer + 75, trailer + 90):
        path.write_bytes(data[:where] + bytes([data[where] ^ 1]) + data[where + 1:])
        r = s.ctx.cli("run", "--target", "sim", path, *ECHO)
        # Before the start (125), when the program is loaded (126), or a SIGBUS where it is touched.
        refused = r.status in (125, 126, 135) and r.out == b"" and b"was changed" in r.err
        # A block that this run never needs may be any: it is not believed, and not used.
        unused = r.status == 0 and r.out == b"ok\n"
        expect(refused or unused, f"byte {where}: status {r.status} {r.errors()!r}")
        told = r.err.startswith(b"adyton: ") and r.err.count(b"\n") == 1 and b"mkcpio" in r.err
        expect(told or (unused and not r.err), f"byte {where}: not told in one line: {r.errors()!r}")
        expect(refused or 4096 <= where < trailer - 4096, f"byte {where} was believed")
    for name, changed in (("short", data[:-4096]), ("size", data[:trailer + 24] + b"\1" + data[trailer + 25:])):
        path.write_bytes(changed)
        r = s.ctx.cli("run", "--target", "sim", path, *ECHO)
        expect(r.status == 125 and r.out == b"" and r.err.startswith(b"adyton: ") and r.err.count(b"\n") == 1,
               f"{name}: {r.status} {r.errors()!r}")
    other = s.make_root("other-root")
    (other / "etc/passwd").write_text("changed\n")
    one, two = (json.loads(s.cli("measure", "--json", root, *ECHO).text()) for root in (s.root, other))
    expect(one["mrenclave"] != two["mrenclave"], "another root has the same MRENCLAVE")


def disk_full(s):
    small = s.dir / "small"
    small.mkdir()
    if harness.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small]).status != 0:
        raise Skip("cannot mount a small file system")
    try:
        s.refused("mkcpio", s.root, small / "x.cpio", says="No space left")
        expect(not any(small.iterdir()), f"left behind: {list(small.iterdir())}")
        r = s.refused("collect", "-o", small / "root", "/usr/bin/python3.11", says="No space left", lines=3)
        expect(r.err, "no message")
        s.refused("excpio", s.archive, small / "out", says="No space left", lines=2)
    finally:
        harness.run(["umount", small])


# ---- Programs that are broken --------------------------------------------------------------------------------

def try_program(s, root, data, what):
    (root / "bin/tiny").write_bytes(data)
    r = s.ctx.cli("run", "--target", "sim", root, "/bin/tiny", timeout=60)
    expect(b"enclave stopped" not in r.err and b"panic" not in r.err, f"{what}: {r.errors()!r}")
    return r


def broken_programs(s):
    tiny = small_archive(s)
    root = s.make_root("broken", tiny)
    data = tiny.read_bytes()
    expect(try_program(s, root, data, "whole").text() == "ok\n", "the whole program does not run")
    for size in [*range(0, 64, 7), 63, 64, 65, *range(70, 64 + 56 * 3, 16), 4095, 4096, 4097, 4100]:
        r = try_program(s, root, data[:size], f"cut at {size}")
        expect(r.status in (126, 139, 137, 135), f"cut at {size}: status {r.status} {r.errors()!r}")
    for offset in [*range(4, 64, 3), *range(64, 64 + 56 * 2, 5)]:
        for value in (0x00, 0xff):
            try_program(s, root, data[:offset] + bytes([value]) + data[offset + 1:], f"byte {offset}")


def wrong_programs(s):
    tiny = small_archive(s).read_bytes()
    root = s.make_root("wrong")
    tool = root / "bin/tool"
    cases = {"aarch64": tiny[:18] + b"\xb7\0" + tiny[20:], "32-bit": tiny[:4] + b"\1" + tiny[5:],
             "big-endian": tiny[:5] + b"\2" + tiny[6:], "text": b"hello\n", "zeroes": b"\0" * 1000,
             "relocatable": tiny[:16] + b"\1\0" + tiny[18:]}
    for name, data in cases.items():
        tool.write_bytes(data)
        tool.chmod(0o755)
        r = s.run(root, "/bin/tool", status=126)
        expect(b"Exec format error" in r.err, f"{name}: {r.errors()!r}")
        s.cli("check", root, "/bin/tool", status=1)
    tool.write_bytes(b"#!/bin/none\n")
    expect(b"/bin/tool" in s.run(root, "/bin/tool", status=127).err, "script without interpreter")
    dynamic = s.make_root("no-interpreter", pathlib.Path("/usr/bin/env"))
    expect(b"/bin/env" in s.run(dynamic, "/bin/env", status=127).err, "program without interpreter")


# ---- measure, check, collect -----------------------------------------------------------------------------------

def measure(s):
    def mrenclave(*argv):
        return json.loads(s.cli("measure", "--json", *argv).text())["mrenclave"]

    base = mrenclave(s.archive, *ECHO)
    expect(re.fullmatch("[0-9a-f]{64}", base), f"{base!r}")
    expect(base == mrenclave(s.root, *ECHO), "a directory and its archive differ")
    expect(base == mrenclave(s.archive, *ECHO), "not the same twice")
    others = [mrenclave(*argv) for argv in (
        (s.archive, *ECHO, "x"), ("--env", "A=1", s.archive, *ECHO), ("-m", "2g", s.archive, *ECHO),
        ("--cwd", "/etc", s.archive, *ECHO), ("--debug", s.archive, *ECHO), ("--stats", s.archive, *ECHO))]
    expect(len({base, *others}) == 1 + len(others), "something is not measured")
    text = s.cli("measure", s.archive, *ECHO).text()
    expect(base in text and "/bin/busybox" in text and "root hash" in text, f"{text}")


def check(s):
    r = s.cli("check", s.root, "/bin/busybox")
    expect("nothing is missing" in r.text(), r.text())
    expect("nothing is missing" in s.cli("check", s.archive, "/bin/sh").text(), "through a link, in an archive")
    for program, says in (("/bin/none", "missing program"), ("/etc", "Is a directory"),
                          ("/etc/passwd", "mode is 0644")):
        expect(says in s.cli("check", s.root, program, status=1).text(), program)
    s.cli("check", s.dir / "none", "/x", status=125)

    root = s.dir / "check-root"
    s.cli("collect", "-o", root, "/usr/bin/python3.11")
    s.cli("check", root, "/usr/bin/python3.11")
    libc = next(root.glob("usr/lib/x86_64-linux-gnu/libc.so.6"))
    libc.rename(libc.with_suffix(".away"))
    out = s.cli("check", root, "/usr/bin/python3.11", status=1).text()
    expect("missing library: libc.so.6" in out, out)
    shutil.copy(root / "usr/lib/x86_64-linux-gnu/libm.so.6", libc)
    out = s.cli("check", root, "/usr/bin/python3.11", status=1).text()
    expect("missing symbol: " in out and "@GLIBC_" in out, out)
    for link in root.rglob("ld-linux-x86-64.so.2"):
        link.unlink()
    out = s.cli("check", root, "/usr/bin/python3.11", status=1).text()
    expect("missing interpreter: /lib64/ld-linux-x86-64.so.2" in out, out)
    (s.root / "bin/script").write_text("#!/usr/bin/env perl\n")
    (s.root / "bin/script").chmod(0o755)
    out = s.cli("check", s.root, "/bin/script", status=1).text()
    expect("missing script's interpreter" in out and "perl" in out, out)


def collect(s):
    root = s.dir / "collected"
    s.cli("collect", "-o", root, "/usr/bin/python3.11", "/bin/sh", "--with", "/usr/lib/python3.11/json",
          "--with", "/usr/lib/python3.11/encodings", *[w for m in (
              "codecs", "io", "abc", "site", "os", "stat", "posixpath", "genericpath", "_collections_abc",
              "_sitebuiltins", "re", "enum", "types", "operator", "functools", "collections", "keyword",
              "reprlib", "copyreg", "sitecustomize") if os.path.exists(f"/usr/lib/python3.11/{m}.py")
              or os.path.isdir(f"/usr/lib/python3.11/{m}")
              for w in ("--with", f"/usr/lib/python3.11/{m}" + (
                  "" if os.path.isdir(f"/usr/lib/python3.11/{m}") else ".py"))])
    for link in ("bin", "lib", "lib64", "usr/bin/../bin/sh"):
        here = pathlib.Path("/") / link
        expect(here.is_symlink() == (root / link).is_symlink(), f"{link}: a link here and there")
    expect((root / "tmp").stat().st_mode & 0o7777 == 0o1777, "/tmp")
    r = s.run(root, "/usr/bin/python3.11", "-c", "import json; print(json.dumps([1]))")
    expect(r.text() == "[1]\n", r.errors())
    native = harness.run(["/bin/sh", "-c", "echo $((6*7))"])
    harness.same(native, s.run(root, "/bin/sh", "-c", "echo $((6*7))"), "sh")
    s.cli("collect", "-o", root, "/usr/bin/env")  # again: adds
    expect((root / "usr/bin/python3.11").exists() and (root / "usr/bin/env").exists(), "collecting again")
    s.refused("collect", "-o", s.root, "/usr/bin/env", says="not empty")
    s.refused("collect", "-o", s.dir / "c1", "/usr/bin/none-such", says="none-such", lines=2)
    s.refused("collect", "-o", s.dir / "c2", "/etc", says="a directory, not a program")
    s.refused("collect", "-o", s.dir / "c3", "/etc/passwd", says="not an executable")
    s.refused("collect", "-o", s.dir / "c4", "/bin/sh", "--with", "/none-such", says="none-such")


def collect_search(s):
    """RUNPATH with $ORIGIN, a library in a place of its own, hard links, scripts, musl."""
    place = s.dir / "place"
    (place / "lib").mkdir(parents=True)
    lib, program = place / "lib.c", place / "prog.c"
    lib.write_text("int answer(void) { return 42; }\n")
    program.write_text('#include <stdio.h>\nint answer(void);\nint main(void) { printf("%d\\n", answer()); }\n')
    r = harness.run(["gcc", "-shared", "-fPIC", "-o", place / "lib/libanswer.so.1", "-Wl,-soname,libanswer.so.1", lib])
    r2 = harness.run(["gcc", "-o", place / "prog", program, place / "lib/libanswer.so.1",
                      "-Wl,-rpath,$ORIGIN/lib"])
    expect(r.status == 0 and r2.status == 0, f"does not compile: {r.errors()}{r2.errors()}")
    os.link(place / "prog", place / "again")
    script = place / "script"
    script.write_text(f"#!{place}/prog\n")
    script.chmod(0o755)
    root = s.dir / "search-root"
    s.cli("collect", "-o", root, place / "prog", place / "again", script)
    inside = root / str(place).lstrip("/")
    expect((inside / "lib/libanswer.so.1").exists(), "RUNPATH with $ORIGIN")
    expect((inside / "prog").stat().st_ino == (inside / "again").stat().st_ino, "hard link lost")
    for name in ("prog", "script"):
        expect(s.run(root, place / name).text() == "42\n", name)
    # what "env NAME" means is the run's affair, not that of the PATH outside
    (place / "bin").mkdir()
    shim = place / "bin/busybox"
    shim.write_text("#!/bin/false\n")
    shim.chmod(0o755)
    script.write_text("#!/usr/bin/env busybox\n")
    s.cli("collect", "-o", s.dir / "env-root", script, env=dict(s.ctx.env, PATH=f"{place}/bin:/usr/bin:/bin"))
    expect(any((s.dir / "env-root").rglob("bin/busybox")) and not (s.dir / "env-root" / str(shim)[1:]).exists(),
           "the interpreter of 'env' comes from the PATH outside")
    broken = place / "broken"
    broken.write_bytes((place / "prog").read_bytes()[:1000])
    broken.chmod(0o755)
    s.refused("collect", "-o", s.dir / "broken-root", broken, says="broken: cannot be executed: truncated")
    (place / "lib/libanswer.so.1").unlink()
    s.refused("collect", "-o", s.dir / "search-2", place / "prog", says="libanswer.so.1: not found, needed by")
    if shutil.which("musl-gcc"):
        hello = place / "hello.c"
        hello.write_text('#include <stdio.h>\nint main(void) { puts("musl"); }\n')
        expect(harness.run(["musl-gcc", "-o", place / "hello", hello]).status == 0, "musl-gcc")
        s.cli("collect", "-o", s.dir / "musl-root", place / "hello")
        s.cli("check", s.dir / "musl-root", place / "hello")
        expect(s.run(s.dir / "musl-root", place / "hello").text() == "musl\n", "musl")


def collect_unprivileged(s):
    """A copy that is not its owner's is no set-user-id program."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="adyton-collect-"))
    try:
        program = shutil.copy("/usr/bin/env", place / "setuid")
        program.chmod(0o6755)
        place.chmod(0o777)
        r = harness.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", s.ctx.adyton, "collect",
                         "-o", place / "root", program])
        if r.status == 126 or os.geteuid() != 0:
            raise Skip("no other user can run the build")
        expect(r.status == 0, f"{r.status} {r.errors()}")
        mode = (place / "root" / str(program)[1:]).stat().st_mode & 0o7777
        expect(mode == 0o755, f"the copy has mode {mode:04o}")
    finally:
        shutil.rmtree(place)


# ---- gdb -------------------------------------------------------------------------------------------------------

def gdb(s, root, program, *commands, options=()):
    ex = [word for c in commands for word in ("--ex", c)]
    r = s.ctx.cli("gdb", "--batch", *options, *ex, root, program, timeout=120)
    return r.text() + r.errors()


def gdb_root(s):
    root = s.dir / "gdb-root"
    if not root.exists():
        program = s.compile(HERE / "debuggee.c", "debuggee", "-g", "-O0")
        s.cli("collect", "-o", root, program)
    return root, s.dir / "debuggee"


def ordered(text, *patterns):
    at = 0
    for p in patterns:
        m = re.compile(p).search(text, at)
        if not m:
            raise Failure(f"'{p}' is not in what follows {at} of:\n{text}")
        at = m.end()


def gdb_program(s):
    root, program = gdb_root(s)
    text = gdb(s, root, program, "break main", "continue", "bt", "next", "next", "next", "print text", "print sum",
               "tbreak work", "continue")
    ordered(text, r"at its first instruction", r"Breakpoint 1, main \(argc=1", r"#0 .* main ", r"#\d .* _start",
            r"snprintf", r'\$1 = "1 arguments', r"\$2 = 100", r"1 arguments, sum 100, seen 10", r"exited normally")


def gdb_step(s):
    root, program = gdb_root(s)
    text = gdb(s, root, program, "break work", "continue", "step", "step", "step", "print depth", "finish",
               "delete", "continue")
    ordered(text, r"work \(depth=4\)", r"work \(depth=3\)", r"\$1 = 3")


def gdb_handler(s):
    root, program = gdb_root(s)
    text = gdb(s, root, program, "break handler", "continue", "bt", "frame function work", "print local", "continue")
    ordered(text, r"handler \(sig=10\)", r"#1 +<signal handler called>", r"raise", r"work \(depth=3\)",
            r"work \(depth=4\)", r"main \(argc=1", r"\$1 = 30", r"exited normally")


def gdb_kernel(s):
    root, program = gdb_root(s)
    text = gdb(s, root, program, "break sys_write", "continue", "bt", "frame function main", "print sum")
    ordered(text, r"Breakpoint 1, sys_write \(fd=1", r"syscall_dispatch", r"<signal handler called>",
            r"write \(fd=1", r"main \(argc=1", r"\$1 = 100")


def gdb_crash(s):
    root, program = gdb_root(s)
    archive = s.dir / "gdb.cpio"
    s.cli("mkcpio", root, archive)
    r = s.ctx.cli("gdb", "--batch", "--ex", "continue", "--ex", "bt", archive, program, "crash", timeout=120)
    ordered(r.text() + r.errors(), r"Signal 11 is about to end the program", r"signal_die",
            r"main \(argc=2.*debuggee\.c:\d+")
    text = gdb(s, root, "/bin/none", "info breakpoints")
    expect("cannot run /bin/none" in text, text)


def gdb_plugin(s):
    """A library's symbols and breakpoints come and go with it, by dlopen, dlclose and mprotect."""
    root, program = s.dir / "gdb-plugin-root", s.compile(HERE / "debuggee_plugin.c", "debuggee_plugin", "-g", "-O0")
    plugin = s.compile(HERE / "plugin.c", "plugin.so", "-g", "-O0", "-shared", "-fPIC")
    s.cli("collect", "-o", root, program)
    shutil.copy(plugin, root / "plugin.so")
    stop = ("continue", "bt 1", "next", "print twice")
    commands = ("break plugin_work", "break puts", *stop, "continue", "info breakpoints", *stop, "delete", "continue")
    r = s.ctx.cli("gdb", "--batch", *[w for c in commands for w in ("--ex", c)], root, program, "/plugin.so",
                  timeout=120)
    ordered(r.text() + r.errors(), r"\(plugin_work\) pending", r"plugin_work \(n=20\) at .*plugin\.c",
            r"\$1 = 40", r"puts", r"<PENDING> +plugin_work", r"plugin_work \(n=30\) at .*plugin\.c", r"\$2 = 60",
            r"exited normally")
    for line in ("opened 41", "changed 0", "mapped 61"):
        expect(line in r.text(), f"'{line}' is not in:\n{r.text()}")


# ---- Everything ------------------------------------------------------------------------------------------------

CASES = [
    run_options, run_status, run_cwd, run_note, run_stats_strace, run_stdin, run_missing_features,
    run_unlimited_stack, run_limited_space, run_memory, usage, help_texts, man_page, completion,
    config_good, config_bad,
    archives_round_trip, archives_refuse, archives_hostile, archives_mount_points, archives_cut,
    archives_changed, disk_full,
    broken_programs, wrong_programs, measure, check, collect, collect_search, collect_unprivileged,
    gdb_program, gdb_step,
    gdb_handler, gdb_kernel, gdb_crash, gdb_plugin,
]


def cases(ctx):
    suite = Suite(ctx)
    gdb_root(suite)
    for function in CASES:
        yield Case(function.__name__.replace("_", "-"), lambda f=function: f(suite))
    yield Case("archives-big", lambda: archives_big(suite), alone=True)
