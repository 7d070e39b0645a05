# SPDX-License-Identifier: MIT
"""
The kernel under a host that lies: every host call with every lie, told the first few times, and
random lies by seed. The run must end by itself: the program copes, or the kernel stops with a report
(status 125), or it kills the program. A crash of the process, a fault of the kernel or silence is a
failure.
"""
import pathlib
import re
import stat

import harness

LIES = ["too-long", "negative", "huge", "out-of-range", "error", "inconsistent", "flip", "random"]
TIMES = 3
CRASHED, UNUSABLE = 99, 98
SEEDS = 24
TIMEOUT = 60
SCRIPT = ("read line; echo \"got $line\"; read more; echo \"then $more\"; x=0; "
          "while [ $x -lt 200 ]; do x=$((x+1)); done; test -t 0; test -e /bin/busybox && echo here; "
          "echo error >&2; exit 5")
INPUT = b"first\nsecond\n"
# The same with regular files at both ends, which are asked for sizes, cut, and written in place.
FILES_SCRIPT = ("read line; echo \"got $line\"; read first < /proc/self/fd/0; echo \"again $first\"; test -s /proc/self/fd/0 && "
                "echo sized; echo cut > /proc/self/fd/1; echo more >> /proc/self/fd/1; exit 5")
FILES_LEFT = b"cut\nmore\n"
# Several processes and their threads: they park, wake each other and take turns. A host that starts no thread, or wakes
# none, keeps them waiting, which is its right: such a run is ended.
THREADS_SCRIPT = ("(echo one; echo two) | while read w; do echo \"got $w\"; done; x=$(echo inner | cat); echo $x; "
                  "(exit 3) & (exit 4) & wait $!; echo \"status $?\"; exit 5")
THREADS_LEFT = b"got one\ngot two\ninner\nstatus 4\n"
THREADS_CALLS = ["thread_start", "park", "unpark", "kick", "mem_type", "yield"]
SECONDS = 20
THREADS_SECONDS = 5
THREADS_SEEDS = 8
FILES_CALLS = ["fd_kind", "fd_stat", "pread", "pwrite", "truncate", "read", "write"]


def newc(entries):
    """A newc archive of (name, mode, bytes)."""
    out = bytearray()
    for ino, (name, mode, data) in enumerate(entries + [("TRAILER!!!", 0, b"")], 1):
        raw = name.encode() + b"\0"
        fields = (ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def make_archive(ctx):
    path = ctx.tmp / "hostile.cpio"
    busybox = pathlib.Path("/bin/busybox").resolve()
    if not busybox.exists():
        raise harness.Skip("busybox-static is not installed")
    folder, program = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755
    path.write_bytes(newc([("bin", folder, b""), ("tmp", folder, b""), ("dev", folder, b""),
                           ("bin/busybox", program, busybox.read_bytes())]))
    return path


def judge(result):
    err = result.errors()
    harness.expect(result.status not in (UNUSABLE, CRASHED), f"status {result.status}\n{err[-2000:]}")
    harness.expect(not re.search(r"kernel (page )?fault|faulted in its own|BUG", err),
                   f"the kernel faulted\n{err[-2000:]}")
    if result.status == 125:
        harness.expect("adyton: " in err, "stopped without a report")


def command(ctx, seed, script):
    archive = ctx.tmp / "hostile.cpio"
    if not archive.exists():
        make_archive(ctx)
    kernel = ctx.build / "target" / "sgx" / "adyton-kernel"
    return [ctx.build / "tests" / "boundary" / "adyton-hostile", seed, kernel, archive, "/bin/busybox", "sh", "-c", script]


def bounded(seconds):
    """A host may keep an enclave waiting, or say that its terminal is in the background and stop it: that run is ended."""
    return ["timeout", "-k", "1", str(seconds)]


def attempt(ctx, seed):
    return harness.run([*bounded(SECONDS), *command(ctx, seed, SCRIPT)], stdin=INPUT, timeout=TIMEOUT, env=ctx.env)


def attempt_files(ctx, seed):
    """Its stdout is what the output file holds at the end."""
    source, target = (ctx.tmp / f"hostile-{seed}.{name}" for name in ("in", "out"))
    source.write_bytes(INPUT)
    target.write_bytes(b"")
    redirect = 'source=$1 target=$2; shift 2; exec "$@" < "$source" 1<> "$target"'
    result = harness.run(["/bin/sh", "-c", redirect, "sh", source, target, *bounded(SECONDS),
                          *command(ctx, seed, FILES_SCRIPT)],
                         timeout=TIMEOUT, env=ctx.env)
    result.out = target.read_bytes()
    source.unlink()
    target.unlink()
    return result


def attempt_threads(ctx, seed, seconds=THREADS_SECONDS):
    return harness.run([*bounded(seconds), *command(ctx, seed, THREADS_SCRIPT)],
                       timeout=TIMEOUT, env=ctx.env)


def honest_threads(ctx):
    result = attempt_threads(ctx, "0", TIMEOUT)
    harness.expect(result.status == 5 and result.out == THREADS_LEFT,
                   f"an honest host: status {result.status}, {result.out!r}, {result.err[-500:]!r}")


def honest(ctx):
    result = attempt(ctx, "0")
    harness.expect(result.status == 5 and result.out == b"got first\nthen second\nhere\n",
                   f"an honest host: status {result.status}, {result.out!r}, {result.err[-500:]!r}")


def honest_files(ctx):
    result = attempt_files(ctx, "0")
    harness.expect(result.status == 5 and result.out == FILES_LEFT,
                   f"an honest host: status {result.status}, {result.out!r}, {result.err[-500:]!r}")


def cases(ctx):
    tool = ctx.build / "tests" / "boundary" / "adyton-hostile"
    yield harness.Case("honest", lambda: honest(ctx))
    yield harness.Case("honest-files", lambda: honest_files(ctx))
    yield harness.Case("honest-threads", lambda: honest_threads(ctx))
    calls = harness.run([tool, "--list"]).text().split("\n")
    for number, name in (c.split() for c in calls if c):
        for i, lie in enumerate(LIES):
            seed = f"{number}:{i}:{TIMES}"
            yield harness.Case(f"{name}-{lie}", lambda seed=seed: judge(attempt(ctx, seed)))
            if name in FILES_CALLS:
                yield harness.Case(f"{name}-{lie}-files", lambda seed=seed: judge(attempt_files(ctx, seed)))
            if name in THREADS_CALLS:
                yield harness.Case(f"{name}-{lie}-threads", lambda seed=seed: judge(attempt_threads(ctx, seed)))
    for seed in range(1, SEEDS + 1):
        yield harness.Case(f"seed-{seed}", lambda seed=seed: judge(attempt(ctx, str(seed))))
    for seed in range(1, THREADS_SEEDS + 1):
        yield harness.Case(f"seed-{seed}-threads", lambda seed=seed: judge(attempt_threads(ctx, str(seed))))
