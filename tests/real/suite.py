# SPDX-License-Identifier: MIT
"""
Debian's own programs, as they are: each command runs natively first, then inside on the same files at
the same paths; status, output and error output must be equal.

The files a command works on live in a folder that the collected root holds at the same path. What a command
leaves there is lost inside when it ends (the root is in memory), so a case that changes files prints them.
"""
import pathlib
import random
import shlex
import sys
import threading

import harness

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cpython  # noqa: E402
import workloads  # noqa: E402
from cpython import ENV as PYTHON_ENV, PYTHON, STDLIB  # noqa: E402

ENV = {"PATH": "/usr/bin:/bin", "HOME": "/root", "LC_ALL": "C"}

BUSYBOX = [
    "echo one two", "printf %05d\\n 42", "expr 6 * 7", "seq 3", "factor 1234567890", "basename /a/b.c .c",
    "dirname /a/b/c", "cat {data}", "head -n 2 {data}", "tail -n 2 {data}", "wc {data}", "sort -r {data}",
    "uniq -c {data}", "cut -c1-3 {data}", "tr a-z A-Z", "md5sum {data}", "sha1sum {data}", "sha512sum {data}",
    "cksum {data}", "od -c {data}", "hexdump -C {data}", "base64 {data}", "rev {data}", "tac {data}", "nl {data}",
    "fold -w 20 {data}", "grep -n e {data}", "sed -n 2p {data}", "awk {{print$1}} {data}", "cmp {data} {data}",
    "diff {data} {other}", "comm {data} {data}", "paste {data} {other}", "strings {data}", "ls -la {dir}/tree/d1",
    "find {dir}/tree/d1 -name f2", "du -s {dir}/tree", "stat -c %s:%a {data}", "readlink -f {dir}/tree/link",
    "test -d {dir}", "test -f {dir}", "true", "false", "sleep 0", "uname -s", "id -u", "printenv HOME",
    "pwd", "date -u -d @1000000000", "cal 9 2026", "dc -e 2_3+p", "bc", "tar -cf /dev/null {dir}/tree",
    "gzip -c {data}", "bzip2 -c {data}", "cpio --help", "nproc --help", "sh -c 'echo $((6*7)); exit 9'",
    "sh -c 'for i in a b; do echo $i; done'", "sh -c 'kill -TERM $$'", "sh -c 'kill -SEGV $$'",
    "mktemp --help", "unknown-applet", "cat /no/such/file", "ls /no/such/dir", "dd if={data} bs=7 count=3",
]

COREUTILS = {
    "ls": ["ls -lR {dir}/tree", "ls /no/such"], "sort": ["sort {data}", "sort -n -k2 {other}", "sort -u {big}"],
    "sha256sum": ["sha256sum {data} {big}", "sha256sum -c {dir}/sums"], "wc": ["wc {data} {big}"],
    "cut": ["cut -d' ' -f2 {other}"], "tr": ["tr a-z A-Z"], "od": ["od -A x -t x1z {data}"],
    "stat": ["stat -c '%n %s %a %h %F' {data} {dir}/tree/link"], "cp": ["cp -v {data} {dir}/copy"],
    "mv": ["mv -v {dir}/moveme {dir}/moved"], "ln": ["ln -sv {data} {dir}/symlink"],
    "rm": ["rm -rfv {dir}/removeme"], "mkdir": ["mkdir -pv {dir}/x/y/z"], "truncate": ["truncate -s 5 {dir}/trunc"],
    "dd": ["dd if={big} of={dir}/dd.out bs=64k status=none"], "cat": ["cat {data} - {other}"], "head": ["head -c 100 {big}"],
    "tail": ["tail -c 100 {big}"], "uniq": ["uniq -c {data}"], "tac": ["tac {data}"], "seq": ["seq 1 1000"],
    "md5sum": ["md5sum {big}"], "base64": ["base64 {data}"], "date": ["date -u -d @1234567890"], "expr": ["expr 5 + 7"],
    "printf": ["printf '%s-%d\\n' a 1 b 2"], "touch": ["touch {dir}/touched"], "du": ["du -sb {dir}/tree"], "test": ["test -e {data}"],
    "realpath": ["realpath {dir}/tree/link"], "shuf": ["shuf --random-source={big} -n 3 {data}"], "join": ["join {data} {data}"],
    "comm": ["comm {data} {data}"], "fmt": ["fmt -w 30 {data}"], "nl": ["nl {data}"], "pr": ["pr -h x -D x {data}"],
    "numfmt": ["numfmt --to=iec 123456789"], "factor": ["factor 9999999967"], "split": ["split -n 3 {data} {dir}/part"],
    "csplit": ["csplit -f {dir}/cs {data} 2"], "b2sum": ["b2sum {data}"], "env": ["env -i A=1 B=2 env"], "id": ["id"], "whoami": ["whoami"],
    "uname": ["uname -sm"], "pathchk": ["pathchk -p {data}"], "readlink": ["readlink {dir}/tree/link"], "sync": ["sync"],
}

BASH = [
    "echo $((2**40)) ${BASH_VERSINFO[0]}", "for i in {1..5}; do printf '%d ' $i; done; echo",
    "declare -A m=([a]=1 [b]=2); echo ${m[a]} ${#m[@]}", "x=hello; echo ${x^^} ${x:1:3} ${x/l/L}",
    "[[ abc =~ ^a(.)c$ ]] && echo ${BASH_REMATCH[1]}", "printf -v v '%03d' 7; echo $v",
    "read -r a b; echo \"$b-$a\"", "mapfile -t l; echo ${#l[@]} ${l[0]}", "exec 3>&1; echo to three >&3; exec 3>&-",
    "trap 'echo bye' EXIT; exit 3", "trap 'echo usr1' USR1; kill -USR1 $$; echo after", "set -e; false; echo never",
    "f() { local x=$1; (( x < 2 )) && { REPLY=$x; return; }; f $((x-1)); local a=$REPLY; f $((x-2)); "
    "REPLY=$((a+REPLY)); }; f 12; echo $REPLY", "cd {dir}/tree && echo * && pwd", "type -t cd; hash -r; umask; ulimit -n >/dev/null",
    "echo one > {dir}/out; echo two >> {dir}/out; while read -r l; do echo \"[$l]\"; done < {dir}/out",
    "cat <<< here 2>&1; test -r /etc/passwd; echo $?", "kill -9 $$", "exec /nonexistent", "times > /dev/null; echo ok",
    "shopt -s globstar; cd {dir}; echo tree/**", "printf '%(%Y)T\\n' 0", "echo \"${RANDOM:+set}\" | wc -c",
]
# Subshells, pipelines, substitutions, jobs, and what runs many processes.
BASH_PROCESSES = [
    "echo $(echo one; (echo two; exit 3)) $?", "(exit 7); echo $?", "seq 1 100 | sort -rn | head -3 | tr '\\n' ' '; echo ${PIPESTATUS[@]}",
    "cat <(echo a) <(echo b)", "echo to-process > >(cat); wait; sleep 0.1", "x=$(seq 1000 | md5sum); echo \"$x\"",
    "trap 'echo got usr1' USR1; (kill -USR1 $$); echo after", "for i in 1 2 3; do (exit $i) & p[i]=$!; done; s=0; for i in 1 2 3; do wait ${p[i]}; s=$((s + $?)); done; echo $s",
    "sleep 100 & kill $!; wait $! 2>/dev/null; echo $?", "set -o pipefail; false | true; echo $?", "coproc cat; echo hi >&${COPROC[1]}; read -r x <&${COPROC[0]}; echo $x",
    "cat <<A | tr a-z A-Z\nfirst\nsecond\nA", "f() { echo in-$BASHPID | sed 's/[0-9].*//'; }; f | cat; f", "yes | head -2",
    "find {dir}/tree -type f | sort | xargs -P4 -n2 sha256sum | sort | head -4", "tar -C {dir} -cf - tree | gzip | gzip -d | tar -tf - | sort | head -4",
    "for i in 1 2 3 4 5; do echo $i | (read -r n; echo $((n * n))); done | paste -sd+ | bc", "perl -e 'for (1..5) { fork or exit $_ } my $s = 0; $s += $? >> 8 while wait > 0; print \"$s\\n\"'",
    "seq 20000 | sort -R --parallel=2 | sort -n --parallel=2 | md5sum", "awk 'BEGIN { \"echo from a command\" | getline x; print x; print \"b\\na\" | \"sort\" }'",
]
BASH_TOOLS = ["/bin/bash", "/bin/sh", *(f"/usr/bin/{t}" for t in (
    "cat sort head tr seq md5sum sleep sed yes find xargs sha256sum tar gzip paste bc perl awk wc true false".split()))]

PYTHON_SNIPPETS = {
    "asyncio-unix": '''
import asyncio, os, tempfile
async def handle(r, w):
    while line := await r.readline():
        w.write(line.upper()); await w.drain()
    w.close()
async def client(path, n):
    r, w = await asyncio.open_unix_connection(path)
    for i in range(20):
        w.write(b"hello %d %d\\n" % (n, i)); await w.drain()
        line = await r.readline()
    w.close(); await w.wait_closed()
    return line
async def main():
    with tempfile.TemporaryDirectory() as d:
        server = await asyncio.start_unix_server(handle, d + "/s")
        print(await asyncio.gather(*[client(d + "/s", n) for n in range(10)]))
        server.close(); await server.wait_closed()
    p = await asyncio.create_subprocess_exec("/usr/bin/python3.11", "-c", "print(input()[::-1])", stdin=-1, stdout=-1)
    print(await p.communicate(b"abc\\n"), p.returncode)
asyncio.run(main())
''',
    "json": "import json; print(json.dumps({'a': [1, 2.5, None, True], 'b': {'c': 'd'}}, sort_keys=True, indent=1))",
    "zlib": "import zlib; d = zlib.compress(b'x' * 100000, 9); print(len(d), zlib.crc32(zlib.decompress(d)))",
    "hashlib": "import hashlib; print([hashlib.new(n, b'abc').hexdigest() for n in ('md5', 'sha1', 'sha256', 'sha3_256', 'blake2b')])",
    "sqlite3": "import sqlite3; c = sqlite3.connect('/tmp/x.db'); c.execute('create table t(a, b)'); "
               "c.executemany('insert into t values(?, ?)', [(i, str(i)) for i in range(1000)]); c.commit(); "
               "print(c.execute('select sum(a), max(b) from t').fetchall()); c.close(); import os; os.unlink('/tmp/x.db')",
    "decimal": "from decimal import *; getcontext().prec = 50; print(Decimal(2).sqrt(), Decimal(1) / 7)",
    "re": "import re; print(re.sub(r'(\\w+) (\\w+)', r'\\2 \\1', 'hello world'), re.findall('[a-c]+', 'abcxbca'))",
    "struct": "import struct; print(struct.pack('<IhQd', 1, -2, 3, 4.5).hex(), struct.unpack('>H', b'\\x01\\x02'))",
    "mmap": "import mmap, tempfile; f = tempfile.TemporaryFile(); f.write(b'hello world'); f.flush(); m = mmap.mmap(f.fileno(), 0); "
            "print(m[0:5], m.find(b'world')); m[0:5] = b'HELLO'; m.flush(); f.seek(0); print(f.read())",
    "datetime": "from datetime import *; print(datetime(2026, 1, 2, tzinfo=timezone.utc) + timedelta(days=60, hours=3))",
    "pathlib": "from pathlib import *; p = Path('/tmp/adyton-p'); p.mkdir(); (p / 'f').write_text('x'); "
               "print(sorted(q.name for q in p.iterdir()), (p / 'f').stat().st_size); (p / 'f').unlink(); p.rmdir()",
    "tempfile": "import tempfile, os; d = tempfile.TemporaryDirectory(); f = tempfile.NamedTemporaryFile(dir=d.name); "
                "f.write(b'abc'); f.flush(); print(os.path.getsize(f.name)); f.close(); d.cleanup()",
    "signals": "import signal, os; signal.signal(signal.SIGUSR1, lambda s, f: print('got', s)); os.kill(os.getpid(), signal.SIGUSR1)",
    "exit": "import sys; sys.exit(77)",
    "exception": "raise ValueError('to stderr')",
    "float": "import math; print(math.pi, 0.1 + 0.2, math.fsum([.1] * 10), 1e308 * 10, float('nan'))",
    "big": "print(pow(3, 20000) % (10 ** 50))",
    "segfault": "import ctypes; ctypes.string_at(0)",
    "stdin": "import sys; print(sys.stdin.read().upper())",
}


class Real:
    """The collected roots, made when a case first asks, and the data that commands read."""

    def __init__(self, ctx):
        self.ctx = ctx
        self.dir = ctx.tmp / "work"
        self.roots = {}
        self.lock = threading.Lock()
        self.make_data()

    def make_data(self):
        rng = random.Random(7)
        self.dir.mkdir()
        (self.dir / "data").write_text("alpha one\nbeta two\nbeta two\ndelta four\nepsilon five\n")
        (self.dir / "other").write_text("".join(f"k{i} {rng.randrange(1000)}\n" for i in range(50)))
        (self.dir / "big").write_text("".join(f"{rng.random()}\n" for i in range(20000)))
        tree = self.dir / "tree"
        for i in range(3):
            (tree / f"d{i}").mkdir(parents=True)
            for j in range(4):
                (tree / f"d{i}" / f"f{j}").write_text("x" * (i * 100 + j))
        (tree / "link").symlink_to("d1/f2")
        for name in ("moveme", "trunc"):
            (self.dir / name).write_text("0123456789")
        (self.dir / "removeme").mkdir()
        (self.dir / "removeme" / "f").write_text("")
        (self.dir / "sums").write_text(harness.run(["sha256sum", self.dir / "data"]).text())
        (self.dir / "t.c").write_text("static int f(int n) { return n < 2 ? n : f(n - 1) + f(n - 2); }\n"
                                      "int main(void) { return f(10); }\n")
        workloads.make_data(self.dir)
        for path in [self.dir, *self.dir.rglob("*")]:
            if not path.is_symlink():
                harness.os.utime(path, (1000000000, 1000000000))

    def fill(self, text):
        return text.format(dir=self.dir, data=self.dir / "data", other=self.dir / "other", big=self.dir / "big")

    def root(self, programs, withs=()):
        key = (tuple(programs), tuple(withs))
        with self.lock:
            return self.make_root(key, programs, withs)

    def make_root(self, key, programs, withs):
        if key not in self.roots:
            root = self.ctx.tmp / f"root-{len(self.roots)}"
            argv = ["collect", "-o", root, *programs, "--with", self.dir]
            for w in withs:
                argv += ["--with", w]
            r = self.ctx.cli(*argv, timeout=300)
            harness.expect(r.status == 0, f"collect: {r.errors()}")
            archive = self.ctx.tmp / f"root-{len(self.roots)}.cpio"
            r = self.ctx.cli("mkcpio", root, archive, timeout=300)
            harness.expect(r.status == 0, f"mkcpio: {r.errors()}")
            harness.shutil.rmtree(root)
            self.roots[key] = archive
        return self.roots[key]

    def compare(self, argv, programs, withs=(), stdin=b"", env=None, memory=None, stderr=True, timeout=harness.TIMEOUT,
                keep=True):
        """keep: the native run must not leave changes for the run inside, which has the files as they were."""
        env = env or ENV
        root = self.root(programs, withs)
        native = self.native(argv, stdin, env, timeout) if keep else harness.run(
            argv, stdin=stdin, env=env, timeout=timeout, cwd="/")
        inside = self.ctx.inside(root, argv, env=env, cwd="/", memory=memory, stdin=stdin, timeout=timeout)
        harness.same(native, inside, shlex.join(map(str, argv)), stderr)

    def native(self, argv, stdin, env, timeout):
        """On a private copy of the data, bound at its place, so that commands may change files."""
        script = ('mount -t tmpfs none "$0" && cp -a "$1"/. "$0"/ && cd / && shift && unset PWD OLDPWD && exec "$@"')
        copy = self.ctx.tmp / "pristine"
        with self.lock:
            if not copy.exists():
                harness.run(["cp", "-a", self.dir, copy])
        return harness.run(["unshare", "-m", "--propagation", "private", "/bin/sh", "-c", script, self.dir, copy, *argv],
                           stdin=stdin, env=env, timeout=timeout)


def words(real, text):
    return shlex.split(real.fill(text))


def file_cases(real):
    """Single large file, and a tree of 50,000."""
    def one_gib():
        root = real.root(["/bin/busybox"])
        script = ("dd if=/dev/zero of=/tmp/big bs=1048576 count=1024 2>/dev/null && ls -l /tmp/big | awk '{print $5}'")
        argv = ["/bin/busybox", "dd", "if=/dev/zero", "of=/tmp/big", "bs=1048576", "count=1024"]
        r = real.ctx.inside(root, argv, memory="1400m", timeout=600)
        harness.expect(r.status == 0 and b"1024+0 records out" in r.err, f"{script}: {r.errors()}")

    def many():
        tree = real.ctx.tmp / "many"
        root = real.ctx.tmp / "many-root"
        r = real.ctx.cli("collect", "-o", root, "/bin/busybox")
        harness.expect(r.status == 0, r.errors())
        tree = root / "tree"
        for d in range(100):
            (tree / f"d{d}").mkdir(parents=True)
            for f in range(500):
                (tree / f"d{d}" / f"f{f}").write_bytes(b"%d" % f)
        r = real.ctx.inside(root, ["/bin/busybox", "find", "/tree", "-type", "f"], timeout=300)
        harness.expect(r.status == 0 and len(r.out.splitlines()) == 50000,
                       f"{len(r.out.splitlines())} files: {r.errors()}")
        r = real.ctx.inside(root, ["/bin/busybox", "cat", "/tree/d99/f499"])
        harness.expect(r.out == b"499", r.errors())
        harness.shutil.rmtree(root)

    yield harness.Case("file-1g", one_gib, alone=True)
    yield harness.Case("tree-50000", many, alone=True)


def sqlite_case(real):
    sql = ("create table t(a integer primary key, b text);"
           "with recursive n(i) as (select 1 union all select i+1 from n where i<1000000) "
           "insert into t select i, 'row '||i from n; create index x on t(b); "
           "select count(*), sum(a), min(b), max(b) from t; select a from t where b='row 777777';")
    real.compare(["/usr/bin/sqlite3", "/tmp/adyton-real.db", sql], ["/usr/bin/sqlite3"], memory="512m", timeout=400)
    pathlib.Path("/tmp/adyton-real.db").unlink(missing_ok=True)


def openssl_cases(real):
    openssl = ["/usr/bin/openssl"]
    withs = ["/usr/lib/ssl/openssl.cnf"]
    for name, args in {
            "dgst": ["dgst", "-sha256", "-sha256", str(real.dir / "big")],
            "enc": ["enc", "-aes-256-cbc", "-K", "00" * 32, "-iv", "11" * 16, "-in", str(real.dir / "big"), "-a"],
            "prime": ["prime", "-checks", "5", "1000000007"], "version": ["version"]}.items():
        yield harness.Case(f"openssl-{name}", lambda a=args: real.compare([*openssl, *a], openssl, withs))

    def speed():
        r = real.ctx.inside(real.root(openssl, withs), [*openssl, "speed", "-mr", "-seconds", "1", "-bytes", "1024", "-evp", "sha256"])
        harness.expect(r.status == 0 and b"+F:" in r.out, f"status {r.status}: {r.errors()}")
    yield harness.Case("openssl-speed", speed)


def program_cases(real):
    cc1 = harness.run(["gcc", "-print-prog-name=cc1"]).text().strip()
    one = {
        "perl": (["/usr/bin/perl", "-e", 'my %h = map { $_ => $_ ** 2 } 1..10; print join(",", map { "$_=$h{$_}" } sort { $a <=> $b } keys %h), "\\n"; '
                  'print scalar reverse("abc"), sprintf("%.3f", 1/3), "\\n"; die "to stderr\\n"'], ()),
        "perl-modules": (["/usr/bin/perl", "-MList::Util=sum", "-MPOSIX=floor", "-MData::Dumper", "-e",
                          '$Data::Dumper::Sortkeys = 1; print sum(1..100), floor(3.7), Dumper({a => [1, 2]})'],
                         ("/usr/lib/x86_64-linux-gnu/perl-base", "/usr/lib/x86_64-linux-gnu/perl/5.36", "/usr/share/perl/5.36")),
        "lua": (["/usr/bin/lua5.4", "-e", 'local t = {} for i = 1, 10 do t[i] = i * i end print(table.concat(t, " "), string.format("%5.2f", math.pi)) error("bad")'], ()),
        "xz": (["/usr/bin/xz", "-T1", "-k", "-c", str(real.dir / "big")], ()),
        "gzip": (["/usr/bin/gzip", "-9", "-n", "-c", str(real.dir / "big")], ()),
        "bzip2": (["/usr/bin/bzip2", "-c", str(real.dir / "big")], ()),
        "jq": (["/usr/bin/jq", "-n", '[range(10)] | map(. * 2) | {sum: add, max: max, s: (map(tostring) | join("-"))}'], ()),
        "gawk": (["/usr/bin/gawk", '{ n[$1] += $2 } END { PROCINFO["sorted_in"] = "@ind_str_asc"; for (k in n) print k, n[k] }', str(real.dir / "other")], ()),
        "bc": (["/usr/bin/bc", "-l"], ()),
        "cc1": ([cc1, "-quiet", "-O2", "-nostdinc", str(real.dir / "t.c"), "-o", "-"], ()),
    }
    for name, (argv, withs) in one.items():
        stdin = b"scale=40; 4*a(1); 2^200\n" if name == "bc" else b""
        yield harness.Case(name, lambda a=argv, w=withs, s=stdin: real.compare(a, [a[0]], w, s, memory="512m", stderr=a[0] != cc1))


def cases(ctx):
    real = Real(ctx)
    for n, text in enumerate(BUSYBOX):
        yield harness.Case(f"busybox-{n:02}-{text.split()[0]}",
                           lambda t=text: real.compare(["/bin/busybox", *words(real, t)], ["/bin/busybox"], stdin=b"some input\nsecond\n"))
    tools = [f"/usr/bin/{t}" for t in COREUTILS]
    for tool, commands in COREUTILS.items():
        for n, text in enumerate(commands):
            argv = words(real, text)
            yield harness.Case(f"coreutils-{tool}-{n}", lambda a=argv: real.compare(
                [f"/usr/bin/{a[0]}", *a[1:]], tools, stdin=b"some input\n"))
    for n, text in enumerate(BASH):
        script = text.replace("{dir}", str(real.dir))
        yield harness.Case(f"bash-{n:02}", lambda s=script: real.compare(["/bin/bash", "-c", s], BASH_TOOLS, stdin=b"in put\nsecond\n"))
    for n, text in enumerate(BASH_PROCESSES):
        script = text.replace("{dir}", str(real.dir))
        yield harness.Case(f"bash-processes-{n:02}", lambda s=script: real.compare(["/bin/bash", "-c", s], BASH_TOOLS, stdin=b"in put\n"))
    for name, code in PYTHON_SNIPPETS.items():
        yield harness.Case(f"python-{name}", lambda c=code: real.compare(
            [PYTHON, "-c", c], [PYTHON], [STDLIB], b"text in\n", PYTHON_ENV))
    yield from cpython.cases(ctx, real)
    yield from workloads.cases(real)
    yield from program_cases(real)
    yield from openssl_cases(real)
    yield harness.Case("sqlite-1m", lambda: sqlite_case(real))
    yield from file_cases(real)
