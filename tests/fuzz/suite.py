# SPDX-License-Identifier: MIT
"""
Each fuzzer for a few seconds, from its seeds and whatever earlier runs have found. `make fuzz` runs
them for longer.
"""
import os
import pathlib
import shutil

import harness

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = os.environ.get("FUZZ_SECONDS", "2")
TIMEOUT = 900  # the first one builds


def need_fuzzer_runtime(ctx):
    if not shutil.which("clang-19"):
        raise harness.Skip("clang-19 is not installed (make check installs it)")
    probe = ctx.tmp / "probe.c"
    probe.write_text("int LLVMFuzzerTestOneInput(const char *p, long n) { return 0; }\n")
    r = harness.run(["clang-19", "-fsanitize=fuzzer,address", probe, "-o", ctx.tmp / "probe"])
    if r.status:
        raise harness.Skip("libclang-rt-19-dev, libFuzzer's library, is not installed")


def fuzz(ctx, name):
    need_fuzzer_runtime(ctx)
    env = dict(ctx.env, BUILD=str(ctx.build), FUZZ_SECONDS=SECONDS)
    r = harness.run([HERE / "run.sh", name], env=env, timeout=TIMEOUT)
    harness.expect(r.status == 0, (r.text() + r.errors())[-4000:])


def cases(ctx):
    for path in sorted(HERE.glob("fuzz_*.c")):
        name = path.stem.removeprefix("fuzz_")
        yield harness.Case(name, lambda name=name: fuzz(ctx, name))
