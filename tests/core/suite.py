# SPDX-License-Identifier: MIT
"""
Core files: a program that died inside is looked at outside with gdb and readelf; and who leaves one, with what in it.
"""
import json
import pathlib
import re
import struct

import harness
from harness import expect

HERE = pathlib.Path(__file__).parent


class Suite:
    def __init__(self, ctx):
        self.ctx = ctx
        self.dir = ctx.tmp / "core"
        self.dir.mkdir(exist_ok=True)

    def program(self, name, folder=None):
        """A static build in a root of its own."""
        root = self.dir / (folder or name)
        for d in ("bin", "tmp"):
            (root / d).mkdir(parents=True)
        r = harness.run(["cc", "-D_GNU_SOURCE", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-static",
                         "-o", root / "bin" / name, HERE / f"{name}.c"])
        expect(r.status == 0, f"does not compile: {r.errors()}")
        return root

    def run(self, root, pattern, *argv, memory="256m"):
        config = self.dir / f"{root.name}.json"
        config.write_text(json.dumps({"CoreDump": pattern, "CurrentWorkingDirectory": "/tmp",
                                      "EnvironmentVariables": ["PATH=/bin"], "MemorySize": memory}))
        return self.ctx.inside(root, argv, options=["--config", config])


def unpack(data, path):
    """The file that crash.c sent in pieces."""
    at = 0
    with open(path, "wb") as f:
        while at < len(data):
            where, size = struct.unpack_from("<QQ", data, at)
            at += 16
            if not size:
                f.truncate(where)
            f.seek(where)
            f.write(data[at:at + size])
            at += size


GDB = [  # in this order
    "signal SIGSEGV", r"#0 +0x\w+ in fail \(p=0x10, depth=(?:depth@entry=)?0\)", r"#1 +0x\w+ in fail \(",
    r"#2 +0x\w+ in fail \(", r"#3 +0x\w+ in child \(\)", r"#4 +0x\w+ in main \(", r"\$1 = 0x1122334455667788",
    r"\$2 = \{0x123456789abcdef, 0xfedcba9876543210\}", r"\$3 = 4711", r"\$4 = \(void \*\) 0x10",
    r"\* 1 .* in fail \(", r"  2 +Thread", r"  3 +Thread", r"\bcompute \(", r"in computing_thread \(", r"in start_thread \(",
    r"in wait_in_kernel \(", r"in kernel_thread \(", r"in start_thread \("]


def in_order(text, patterns):
    at = 0
    for pattern in patterns:
        found = re.compile(pattern).search(text, at)
        expect(found, f"no {pattern} after {at} in: {text[-4000:]}")
        at = found.end()


def gdb_reads(s):
    root = s.program("crash")
    r = s.run(root, "/tmp/core.%e.%p.%s", "/bin/crash", "/tmp")
    expect(r.status == 0 and r.errors() == "signal 11, core 1\n", f"status {r.status}: {r.errors()}")
    core = s.dir / "crash.core"
    unpack(r.out, core)
    expect(core.stat().st_size > 1 << 34 > core.stat().st_blocks * 512 + (1 << 33), f"{core.stat()}")
    commands = [a for c in ("bt", "p/x $r12", "p/x $xmm5.v2_int64", "p g_value", "p $_siginfo._sifields._sigfault.si_addr",
                            "info threads", "thread apply all bt") for a in ("-ex", c)]
    r = harness.run(["gdb", "-nx", "-batch", *commands, root / "bin/crash", core])
    in_order(r.text(), GDB)
    r = harness.run(["readelf", "-hlnW", core])
    expect(r.text().count("NT_PRSTATUS") == 3 and r.text().count("NT_X86_XSTATE") == 3 and
           all(n in r.text() for n in ("NT_PRPSINFO", "NT_SIGINFO", "NT_AUXV", "NT_FILE", "CORE (Core file)")) and
           "warning" not in r.errors().lower(), f"readelf: {r.text()[:3000]}{r.errors()[-1000:]}")


def rules(s):
    r = s.run(s.program("rules"), "core.%s", "/bin/rules", memory="80m")
    expect(r.status == 0 and r.text() == "ok\n", f"status {r.status}: {r.text()[-3000:]}{r.errors()[-2000:]}")


def off(s):
    """Without CoreDump nothing is written."""
    root = s.program("crash", "off")
    r = s.run(root, "", "/bin/crash", "/tmp")
    expect(r.status == 1 and r.errors() == "signal 11, core 0\n", f"status {r.status}: {r.errors()}")


def first(s):
    """The first process' own death is told outside as any."""
    config = s.dir / "first.json"
    config.write_text(json.dumps({"CoreDump": "/tmp/core", "EnvironmentVariables": []}))
    root = s.dir / "first"
    (root / "bin").mkdir(parents=True)
    (root / "tmp").mkdir()
    (s.dir / "first.c").write_text("#include <stdlib.h>\nint main(void) { abort(); }\n")
    r = harness.run(["cc", "-static", "-o", root / "bin/first", s.dir / "first.c"])
    expect(r.status == 0, r.errors())
    r = s.ctx.inside(root, ["/bin/first"], options=["--config", config])
    expect(r.status == 128 + 6, f"status {r.status}: {r.errors()}")


def cases(ctx):
    s = Suite(ctx)
    for case in (gdb_reads, rules, off, first):
        yield harness.Case(case.__name__.replace("_", "-"), lambda c=case: c(s))
