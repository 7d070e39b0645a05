# SPDX-License-Identifier: MIT
"""
Guest tests: each tests/guest/*.c, built in five ways, runs natively first and then inside. Output and
status must agree, and a test that fails natively is a broken test.

A source may say, in comments of its first lines:
  guest: link=static,dynamic   only these builds (of dynamic, static, static-pie, musl, musl-static)
  guest: args=...              arguments
  guest: native=fail           the native run may fail (it shows what only Adyton refuses); never for agreement
  guest: memory=128m           MemorySize
"""
import pathlib
import re
import shutil
import sys

import harness

HERE = pathlib.Path(__file__).resolve().parent
CFLAGS = ["-std=gnu17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", f"-I{HERE}",
          # tests pass bad sizes and pointers on purpose
          "-Wno-stringop-overflow", "-Wno-stringop-overread", "-Wno-nonnull"]
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
    for build in BUILDS:
        make_root(ctx, build)


def run_one(ctx, source, build, options):
    root = make_root(ctx, build)
    program = root / "bin" / source.stem
    r = harness.run([*BUILDS[build], *CFLAGS, "-o", program, source])
    harness.expect(r.status == 0, f"does not compile: {r.errors()}")
    args = options.get("args", "").split()
    home = ctx.tmp / f"home-{source.stem}-{build}"
    home.mkdir()
    native = harness.run([program, *args], cwd=home, env={"PATH": "/bin", "GUEST": "1"})
    harness.expect(native.status == 0 or options.get("native") == "fail",
                   f"fails natively with status {native.status}: {native.text()[-800:]}{native.errors()[-800:]}")
    single = ctx.tmp / f"root-{source.stem}-{build}"
    shutil.copytree(root, single, symlinks=True, ignore=lambda d, names: [
        n for n in names if pathlib.Path(d).name == "bin" and n != source.stem])
    inside = ctx.inside(single, [f"/bin/{source.stem}", *args], env={"PATH": "/bin", "GUEST": "1"},
                        cwd="/tmp", memory=options.get("memory"))
    shutil.rmtree(single)
    harness.same(native, inside, f"{source.name} ({build})")


def cases(ctx):
    prepare(ctx)
    for source in sorted(HERE.glob("*.c")):
        options = directives(source)
        for build in options.get("link", ",".join(BUILDS)).split(","):
            if build not in BUILDS:
                sys.exit(f"{source}: no build is called {build}")
            yield harness.Case(f"{source.stem}-{build}",
                               lambda s=source, b=build, o=options: run_one(ctx, s, b, o))
