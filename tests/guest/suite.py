# SPDX-License-Identifier: MIT
"""
Guest tests: each tests/guest/*.c, built in five ways, runs natively first and then inside. Output and
status must agree, and a test that fails natively is a broken test.

A source may say, in comments of its first lines:
  guest: link=static,dynamic   only these builds (of dynamic, static, static-pie, musl, musl-static)
  guest: args=...              arguments
  guest: runs=a b,c            several runs instead of one, each with these arguments
  guest: native=fail           the native run may fail, in the same way as inside: how a process dies
  guest: native=no             no native run: what the machine must not be asked, or has too much of
  guest: status=137            the status inside when there is no native run (0 if absent)
  guest: stdin=TEXT            standard input stays open and silent for a while after the first line of output,
                               then holds TEXT and ends (otherwise: empty)
  guest: memory=128m           MemorySize
"""
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

import harness

HERE = pathlib.Path(__file__).resolve().parent
CFLAGS = ["-std=gnu17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", f"-I{HERE}",
          # tests pass bad sizes and pointers on purpose
          "-Wno-stringop-overflow", "-Wno-stringop-overread", "-Wno-nonnull", "-Wno-array-bounds"]
BUILDS = {
    "dynamic": ["gcc"],
    "static": ["gcc", "-static", "-no-pie"],
    "static-pie": ["gcc", "-static-pie", "-fPIE"],
    "musl": ["musl-gcc"],
    "musl-static": ["musl-gcc", "-static", "-no-pie"],
}
GLIBC = ["/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6",
         "/lib/x86_64-linux-gnu/libm.so.6"]
MUSL = ["/lib/ld-musl-x86_64.so.1"]

UAPI = {"linux": "/usr/include/linux", "asm-generic": "/usr/include/asm-generic",
        "asm": "/usr/include/x86_64-linux-gnu/asm"}


def directives(source):
    found = {}
    for line in source.read_text().splitlines()[:20]:
        m = re.search(r"guest: (\w+)=(.*?)\s*(\*/)?$", line)
        if m:
            found[m.group(1)] = m.group(2)
    return found


def make_root(ctx, build):
    """A root directory with what a build's programs need; made once per build."""
    root = ctx.tmp / f"guest-{build}"
    if root.exists():
        return root
    part = ctx.tmp / f"guest-{build}.part"
    for d in ("bin", "tmp", "etc"):
        (part / d).mkdir(parents=True)
    (part / "tmp").chmod(0o1777)
    (part / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    files = GLIBC if build == "dynamic" else MUSL if build == "musl" else []
    for f in files:
        target = part / f.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pathlib.Path(f).resolve(), target)
    part.rename(root)
    return root


def prepare(ctx):
    uapi = ctx.tmp / "uapi"  # Linux's own headers, which musl does not bring
    uapi.mkdir(exist_ok=True)
    for name, target in UAPI.items():
        if not (uapi / name).exists():
            (uapi / name).symlink_to(target)
    for build in BUILDS:
        make_root(ctx, build)


def run_waiting(argv, text, **more):
    """Runs argv; gives it the text only a while after its first line of output, as a person would."""
    with subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **more) as p:
        timer = threading.Timer(harness.TIMEOUT, p.kill)
        timer.start()
        first = p.stdout.readline()
        time.sleep(0.5)
        out, err = p.communicate(text.encode() + b"\n")
        timer.cancel()
    status = p.returncode if p.returncode >= 0 else 128 - p.returncode
    return harness.Result(status, first + out, err)


def run_native(program, args, home, options):
    home.mkdir()
    runner = harness.run
    if "stdin" in options:
        def runner(argv, **more):
            return run_waiting(argv, options["stdin"], **more)
    r = runner([program, *args], cwd=home, env={"PATH": "/bin", "GUEST": "1"})
    harness.expect(r.status == 0 or options.get("native") == "fail",
                   f"fails natively with status {r.status}: {r.text()[-800:]}{r.errors()[-800:]}")
    return r


def run_one(ctx, source, build, options):
    root = make_root(ctx, build)
    program = root / "bin" / source.stem
    r = harness.run([*BUILDS[build], *CFLAGS, "-idirafter", ctx.tmp / "uapi", "-o", program, source])
    harness.expect(r.status == 0, f"does not compile: {r.errors()}")
    single = ctx.tmp / f"root-{source.stem}-{build}"
    shutil.copytree(root, single, symlinks=True, ignore=lambda d, names: [
        n for n in names if pathlib.Path(d).name == "bin" and n != source.stem])
    more = {"runner": lambda argv, **m: run_waiting(argv, options["stdin"], **m)} if "stdin" in options else {}
    for i, args in enumerate(options.get("runs", options.get("args", "")).split(",")):
        args = args.split()
        what = " ".join([f"{source.name} ({build})", *args])
        inside = ctx.inside(single, [f"/bin/{source.stem}", *args], env={"PATH": "/bin", "GUEST": "1"},
                            cwd="/tmp", memory=options.get("memory"), **more)
        if options.get("native") == "no":
            want = int(options.get("status", "0"))
            harness.expect(inside.status == want, f"{what}: status {inside.status}, not {want}: "
                           f"{inside.text()[-800:]}{inside.errors()[-1500:]}")
        else:
            native = run_native(program, args, ctx.tmp / f"home-{source.stem}-{build}-{i}", options)
            harness.same(native, inside, what)
    shutil.rmtree(single)


def cases(ctx):
    prepare(ctx)
    for source in sorted(HERE.glob("*.c")):
        options = directives(source)
        for build in options.get("link", ",".join(BUILDS)).split(","):
            if build not in BUILDS:
                sys.exit(f"{source}: no build is called {build}")
            yield harness.Case(f"{source.stem}-{build}",
                               lambda s=source, b=build, o=options: run_one(ctx, s, b, o))
