#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Measures native and inside in alternation and prints medians, ratios and transitions, with the bar of
each. Bars are on wall time; the processor's time stands beside it, for machines that others use.
Speed is measured here and nowhere else; no test depends on it.

  bench.py --build DIR [--rounds N] [--json FILE] [--strict] [PATTERN...]

Exit status 0 even when a bar is missed, unless --strict.
"""
import argparse
import dataclasses
import fnmatch
import json
import os
import pathlib
import resource
import shutil
import statistics
import sys
import time
from typing import Callable, Optional

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
import harness  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass
class Row:
    """native and inside in `unit`; the bar is inside <= ratio * native + plus."""
    name: str
    native: list
    inside: list
    unit: str
    ratio: float = 0.0
    plus: float = 0.0
    higher: bool = False  # throughput: inside >= ratio * native
    note: str = ""

    def verdict(self):
        n, i = statistics.median(self.native), statistics.median(self.inside)
        bar = self.ratio * n + self.plus
        good = i >= bar if self.higher else i <= bar
        return n, i, bar, good


def show(row, more):
    n, i, bar, good = row.verdict()
    sign = ">=" if row.higher else "<="
    ratio = f"{i / n:5.2f}x" if n else "     -"
    print(f"{row.name:22} native {n:10.2f} inside {i:10.2f} {row.unit:4} {ratio}  bar {sign} {bar:10.2f} "
          f"{'ok    ' if good else 'MISSED'} {row.note}".rstrip(), flush=True)
    return {"name": row.name, "native": n, "inside": i, "unit": row.unit, "bar": bar, "ok": good,
            **more}


class Bench:
    def __init__(self, ctx, rounds, patterns):
        self.ctx, self.rounds, self.patterns = ctx, rounds, patterns
        self.results = []

    def wanted(self, name):
        return not self.patterns or any(fnmatch.fnmatch(name, p) for p in self.patterns)

    def add(self, row, **more):
        self.results.append(show(row, more))

    def collect(self, name, *programs):
        """A root directory, and the archive made of it once."""
        root = self.ctx.tmp / name
        archive = self.ctx.tmp / f"{name}.cpio"
        if not archive.exists():
            r = self.ctx.cli("collect", "-o", root, *programs)
            harness.expect(r.status == 0, r.errors())
            (root / "tmp").mkdir(exist_ok=True)
            r = self.ctx.cli("mkcpio", root, archive)
            harness.expect(r.status == 0, r.errors())
        return archive

    def stats(self, archive, argv, **more):
        """Runs once with --stats and returns (result, the report)."""
        path = self.ctx.tmp / "stats.json"
        r = self.ctx.inside(archive, argv, options=[f"--stats={path}"], **more)
        harness.expect(r.status == 0, f"{argv}: status {r.status}: {r.errors()}")
        return r, json.loads(path.read_text())


def transitions_of(stats):
    """Ways into the enclave: entries, and resumptions after exits for a fault or an interrupt."""
    t = stats["host"]["transitions"]
    return t["eenter"] + t["eresume"]


def trap_share(stats):
    """Of the executed system calls, how many took the trap."""
    e = stats["enclave"]
    return e["syscalls_trapped"] / max(e["syscalls_total"], 1)


def cpu_ms():
    """Of all children so far, which no other load on the machine adds to."""
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (r.ru_utime + r.ru_stime) * 1000


def timed(run: Callable[[], harness.Result]):
    """(milliseconds, of which the processor's)"""
    before, start = cpu_ms(), time.monotonic()
    r = run()
    took = (time.monotonic() - start) * 1000
    harness.expect(r.status == 0, f"status {r.status}: {r.errors()}")
    return took, cpu_ms() - before


def pair(bench, name, archive, argv, ratio, plus, rounds: Optional[int] = None, native=None,
         traps=False, **more):
    """Whole runs, alternating, in milliseconds; with `traps` how many system calls trapped."""
    if not bench.wanted(name):
        return
    nat, ins = [], []
    for _ in range(rounds or bench.rounds):
        nat.append(timed(lambda: harness.run(native or argv)))
        ins.append(timed(lambda: bench.ctx.inside(archive, argv, **more)))
    _, stats = bench.stats(archive, argv, **more)
    cpu = [statistics.median(c for _, c in runs) for runs in (nat, ins)]
    transitions = transitions_of(stats)
    bench.add(Row(name, [t for t, _ in nat], [t for t, _ in ins], "ms", ratio, plus,
                  note=f"processor {cpu[0]:.0f} and {cpu[1]:.0f} ms, {transitions} transitions"),
              native_cpu=cpu[0], inside_cpu=cpu[1], transitions=transitions)
    if traps:
        bench.add(Row(f"{name}-trapped", [0], [trap_share(stats) * 100], "%", 0, 0.1,
                      note=f"{stats['enclave']['sites_rewritten']} sites rewritten"))


MICRO = {
    "getpid": 0.4, "clock_gettime": 1.3, "pread-1": 0.6, "open-close": 0.6, "stat": 0.6,
    "mmap-64k-touch-munmap": 1.3, "signal-self": 0.4,
}


def parse_micro(text):
    return {k: float(v) for k, v in (line.split() for line in text.splitlines())}


# name: (ratio, microseconds besides). A forked pair may take 0.4 us for each KiB by which it differs; the least that
# one does is 60 KiB. A process that forks has 0.1 MiB of its own besides.
PROCS = {
    "mutex": (1.0, 0), "condvar-pingpong": (1.3, 0), "thread-create-join": (1.0, 0), "compute-two-threads": (1.05, 0),
    "pipe-threads": (1.3, 0), "pipe-spawned": (1.3, 0), "pipe-forked": (1.0, 0.4 * 60),
    "pipe-forked-256k": (1.0, 0.4 * 316), "spawn-wait": (0.6, 0), "fork-wait-512k": (2.0, 0),
    "fork-wait-2m": (3.0, 0), "fork-wait-16m": (0.0, 1000 + 300 * 16.1), "fork-exec-wait": (1.0, 0),
}
MICRO_ROUNDS = 3  # times --rounds: they are short, and neighbours on the machine disturb


def built(bench, name):
    """The program of that name and an archive with it."""
    program = bench.ctx.tmp / name
    if not program.exists():
        r = harness.run(["gcc", "-O2", "-pthread", "-o", program, HERE / f"{name}.c"])
        harness.expect(r.status == 0, r.errors())
    return program, bench.collect(f"{name}-root", program)


def measure_both(bench, program, archive, names, rounds):
    """Medians come from these: {name: values} natively and inside."""
    native, inside = {n: [] for n in names}, {n: [] for n in names}
    for _ in range(rounds):
        for name in names:
            native[name].append(parse_micro(harness.run([program, name]).text())[name])
            inside[name].append(parse_micro(bench.ctx.inside(archive, [program, name], memory="1g").text())[name])
    return native, inside


def bench_micro(bench):
    names = [n for n in MICRO if bench.wanted(n)]
    if not names:
        return
    native, inside = measure_both(bench, *built(bench, "micro"), names, bench.rounds * MICRO_ROUNDS)
    for name in names:
        bench.add(Row(name, native[name], inside[name], "ns", MICRO[name]))


def bench_procs(bench):
    names = [n for n in PROCS if bench.wanted(n)]
    if not names:
        return
    program, archive = built(bench, "procs")
    native, inside = measure_both(bench, program, archive, names, bench.rounds)
    for name in names:
        few, many = (transitions_of(bench.stats(archive, [program, name, str(n)], memory="1g")[1]) for n in (10, 60))
        ratio, plus = PROCS[name]
        bench.add(Row(name, [n / 1000 for n in native[name]], [n / 1000 for n in inside[name]], "us", ratio, plus,
                      note=f"{(many - few) / 50:.1f} transitions each"), transitions=(many - few) / 50)


COUNTED = {  # exits, each with its way back in, that one operation may cost once it is warm
    "write-stdout": 1, "mmap-64k-touch-munmap": 0, "getpid": 0, "signal-self": 0,
}
COUNT_NOISE = 0.01  # two starts differ by some faults, as addresses are random


def bench_counts(bench):
    """Exits an operation: the difference of two runs of different length. Counts, so no medians."""
    for op, bar in COUNTED.items():
        name = f"{op}-exits"
        if not bench.wanted(name):
            continue
        program, archive = built(bench, "micro")
        few, many = (bench.stats(archive, [program, op, str(n)])[1] for n in (100, 20100))
        cost = (transitions_of(many) - transitions_of(few)) / 20000
        bench.add(Row(name, [0], [cost], "", 0, bar + COUNT_NOISE))


def bench_start(bench):
    busybox = bench.collect("busybox-root", "/bin/busybox")
    hello = ["/bin/busybox", "echo", "hello"]
    pair(bench, "hello", busybox, hello, 0, 60)
    if bench.wanted("hello-16g-vs-64m"):
        small, large = [], []
        for _ in range(bench.rounds * 2):
            small.append(timed(lambda: bench.ctx.inside(busybox, hello, memory="64m"))[0])
            large.append(timed(lambda: bench.ctx.inside(busybox, hello, memory="16g"))[0])
        bench.add(Row("hello-16g-vs-64m", small, large, "ms", 1.1,
                      note="both inside: MemorySize 64m and 16g"))
    if bench.wanted("hello-1g-archive"):
        big = bench.ctx.tmp / "busybox-root" / "big"
        with open(big, "wb") as f:
            block = bytes(range(256)) * 4096
            for _ in range(1024):
                f.write(block)
        archive = bench.ctx.tmp / "big.cpio"
        r = bench.ctx.cli("mkcpio", bench.ctx.tmp / "busybox-root", archive)
        harness.expect(r.status == 0, r.errors())
        big.unlink()
        pair(bench, "hello-1g-archive", archive, hello, 0, 100)
        archive.unlink()
    if bench.wanted("hello-50k-files"):
        pair(bench, "hello-50k-files", many_files(bench), hello, 0, 300)


def many_files(bench):
    """busybox and 50,000 small files."""
    root, archive = bench.ctx.tmp / "busybox-root", bench.ctx.tmp / "many.cpio"
    for folder in range(500):
        path = root / "many" / str(folder)
        path.mkdir(parents=True, exist_ok=True)
        for i in range(100):
            (path / f"file{i}").write_text("x" * (i * 37 % 900))
    r = bench.ctx.cli("mkcpio", root, archive)
    harness.expect(r.status == 0, r.errors())
    shutil.rmtree(root / "many")
    return archive


def bench_python(bench):
    if not any(bench.wanted(n) for n in ("python-pass", "python-imports")):
        return
    root = bench.collect("python-root", "/usr/bin/python3.11", "--with", "/usr/lib/python3.11",
                         "--with", "/usr/lib/python3", "--with", "/etc/python3.11")
    env = {"PYTHONDONTWRITEBYTECODE": "1"}
    python = ["/usr/bin/python3.11"]
    pair(bench, "python-pass", root, [*python, "-c", "pass"], 1.0, 60, env=env)
    imports = "import json, re, struct, decimal, datetime, pathlib, tempfile, hashlib, zlib, argparse"
    pair(bench, "python-imports", root, [*python, "-c", imports], 1.4, 60, traps=True, env=env)


def bench_programs(bench):
    sql = ("create table t(a integer primary key, b text, c real);"
           "with recursive n(i) as (select 1 union all select i+1 from n where i<1000000) "
           "insert into t select i, 'row '||i, i*0.5 from n; create index x on t(b); "
           "select count(*), sum(a) from t;")
    if bench.wanted("sqlite-1m"):
        root = bench.collect("sqlite-root", "/usr/bin/sqlite3")
        pair(bench, "sqlite-1m", root, ["/usr/bin/sqlite3", ":memory:", sql], 1.05, 60, rounds=3,
             traps=True, memory="1g")
    if any(bench.wanted(n) for n in ("sha256", "aes-gcm")):
        bench_openssl(bench)
    if bench.wanted("cc1"):
        bench_cc1(bench)


def openssl_rate(text):
    """Bytes a second of the largest block, from `openssl speed -mr`."""
    line = [l for l in text.splitlines() if l.startswith("+F:")][-1]
    return float(line.split(":")[-1])


def bench_openssl(bench):
    root = bench.collect("openssl-root", "/usr/bin/openssl", "--with", "/etc/ssl/openssl.cnf")
    for name, evp in (("sha256", "sha256"), ("aes-gcm", "aes-256-gcm")):
        if not bench.wanted(name):
            continue
        argv = ["/usr/bin/openssl", "speed", "-elapsed", "-mr", "-seconds", "1", "-bytes", "16384",
                "-evp", evp]
        nat, ins = [], []
        for _ in range(bench.rounds):
            nat.append(openssl_rate(harness.run(argv).text()) / 1e6)
            ins.append(openssl_rate(bench.ctx.inside(root, argv).text()) / 1e6)
        bench.add(Row(name, nat, ins, "MB/s", 0.98, higher=True))


def bench_cc1(bench):
    cc1 = harness.run(["gcc", "-print-prog-name=cc1"]).text().strip()
    source = bench.ctx.tmp / "big.c"
    source.write_text("\n".join(
        f"static int f{i}(int *p, int n) {{ int s = {i}; for (int j = 0; j < n; j++) "
        f"s += p[j] * {i + 3} ^ s >> 3; return s; }} int g{i}(int *p) {{ return f{i}(p, {i}); }}"
        for i in range(400)))
    root = bench.collect("cc1-root", cc1, "--with", source)
    pair(bench, "cc1", root, [cc1, "-quiet", "-fpreprocessed", "-O2", source, "-o", "/dev/null"], 1.2, 0, rounds=3,
         memory="1g")


def main():
    parser = argparse.ArgumentParser(description="Benchmarks: native against inside.")
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--strict", action="store_true", help="exit 1 when a bar is missed")
    parser.add_argument("patterns", nargs="*")
    args = parser.parse_args()
    ctx = harness.Context(args.build)
    bench = Bench(ctx, args.rounds, args.patterns)
    try:
        for part in (bench_micro, bench_procs, bench_counts, bench_start, bench_python, bench_programs):
            part(bench)
    finally:
        ctx.close()
    if args.json:
        args.json.write_text(json.dumps(bench.results, indent=1))
    missed = [r["name"] for r in bench.results if not r["ok"]]
    load = os.getloadavg()[0]
    if load > 1.5:
        print(f"the machine was busy (load {load:.1f} on {os.cpu_count()} processors): wall times mean "
              "little, see the processor's")
    print(f"{len(bench.results) - len(missed)} of {len(bench.results)} bars met" +
          (f"; missed: {' '.join(missed)}" if missed else ""))
    return 1 if missed and args.strict else 0


if __name__ == "__main__":
    sys.exit(main())
