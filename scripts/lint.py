#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Static checks; exits 1 when one finds something.

  edges            who may include whom (ARCHITECTURE.md)
  form             licence lines, functions of 60 lines, C files of 700
  clang            thread-safety analysis and address spaces over everything inside the enclave
  clang-tidy       .clang-tidy's checks, over everything
  cppcheck         warnings and portability, over everything

  lint.py [--build DIR] [--only TEXT] [edges|form|clang|tidy|cppcheck...]
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
UAPI = re.compile(r"^(linux|asm|asm-generic)/")
FREESTANDING = {"stdbool.h", "stddef.h", "stdint.h", "stdarg.h", "limits.h"}
SOURCE_SUFFIXES = {".c", ".h", ".S", ".py", ".sh"}
FUNCTION_MAX, FILE_MAX = 60, 700
BUILD_FOLDERS = ("abi", "kernel", "target/sgx", "cli")  # with generated headers
INSIDE = re.compile(r"^(kernel/|linux/|asm/|asm-generic/|bsd/sys/tree\.h$|Zydis/|Zycore/)")
ABI = {p.name for p in (ROOT / "abi").glob("*.h")} | {
    "hostcall_numbers.h", "hostcall_stubs.h", "hostcall_dispatch.h"}
# Folder: which headers it may include beside its own folder's.
EDGES = {
    "kernel": lambda h: bool(INSIDE.match(h)) or h in {"layout.h", "manifest.h"},
    "target": lambda h: bool(INSIDE.match(h)) or h in ABI,
    "abi": lambda h: h in ABI,
    "sim": lambda h: not h.startswith("kernel/") and h not in {"host.h", "manifest.h", "boundary.h"},
    "host": lambda h: not h.startswith("kernel/"),
    "cli": lambda h: not h.startswith("kernel/") and h != "hostcall_dispatch.h",
}


def sources(args, folder, *patterns):
    for pattern in patterns:
        for p in sorted((ROOT / folder).rglob(pattern)):
            name = p.relative_to(ROOT)
            if "test" not in name.parts and "null" not in name.parts and args.only in str(name):
                yield p


def check_edges(args):
    bad = []
    for folder, allowed in EDGES.items():
        for p in sources(args, folder, "*.c", "*.h", "*.S"):
            for n, line in enumerate(p.read_text().splitlines(), 1):
                m = re.match(r'\s*#\s*include\s+([<"])([^>"]+)', line)
                if not m:
                    continue
                header = m.group(2)
                own = m.group(1) == '"' and any((ROOT / folder).rglob(pathlib.Path(header).name))
                generated = header.endswith(".gen.h")
                libc = folder in ("kernel", "target", "abi") and header in FREESTANDING
                hosted = "ADYTON_HOSTED" in p.read_text() and folder in ("kernel", "target")
                if not (own or generated or libc or allowed(header) or hosted):
                    bad.append(f"{p.relative_to(ROOT)}:{n}: {folder}/ may not include {header}")
    return bad


def long_functions(lines):
    """(line, length) of every C function that is too long."""
    start = 0
    for n, line in enumerate(lines, 1):
        if line == "{":
            start = n
        elif line == "}" and start:
            if n - start - 1 > FUNCTION_MAX:
                yield start, n - start - 1
            start = 0


def check_form(args):
    listed = subprocess.run(["git", "-C", ROOT, "ls-files"], check=True, capture_output=True,
                            text=True).stdout.split()
    bad = []
    for name in listed:
        p = ROOT / name
        if p.suffix not in SOURCE_SUFFIXES and p.name != "meson.build" or args.only not in name:
            continue
        lines = p.read_text().splitlines() if p.exists() else ["SPDX-License-Identifier"]
        if not any("SPDX-License-Identifier" in line for line in lines[:3]):
            bad.append(f"{name}:1: no licence line")
        if p.suffix not in (".c", ".h"):
            continue
        if len(lines) > FILE_MAX:
            bad.append(f"{name}:{len(lines)}: more than {FILE_MAX} lines")
        bad += [f"{name}:{n}: a function of {length} lines" for n, length in long_functions(lines)]
    return bad


KERNEL_FLAGS = ["-std=gnu17", "-ffreestanding", "-fno-stack-protector", "-mno-red-zone", "-fPIE",
                "-mgeneral-regs-only", "-mfsgsbase", "-mpopcnt", "-Wall", "-Wextra",
                "-Wno-unused-parameter", "-Wthread-safety", "-Wswitch-enum", "-Werror"]


def include_flags(build):
    flags = [f"-I{ROOT}/kernel/include", f"-I{ROOT}/abi", f"-I{ROOT}/target/sgx"]
    made = {h.parent for folder in BUILD_FOLDERS for h in (build / folder).rglob("*.h")}
    if not made:
        sys.exit(f"lint: no generated headers in {build}: build first")
    return flags + [f"-I{p}" for p in sorted(made)]


COUNT = re.compile(r"^\d+ (warning|error)s?.* generated\.$|^Suppressed \d+|^Use -header-filter|"
                   r"^\d+ warnings? treated as errors?$")


def pool_run(commands):
    """What the failing ones print; a file's findings, not the count of those it holds back."""
    def one(command):
        p = subprocess.run(command, capture_output=True, text=True, check=False)
        text = "\n".join(p.stdout.splitlines() +
                         [l for l in p.stderr.splitlines() if not COUNT.match(l)])
        return "" if p.returncode == 0 else text.strip()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [text for text in pool.map(one, commands) if text]


def kernel_sources(args):
    yield from sources(args, "kernel", "*.c")
    yield from sources(args, "target/sgx", "*.c")


def check_clang(args):
    flags = KERNEL_FLAGS + include_flags(args.build)
    return pool_run([["clang-19", *flags, f"-I{p.parent}", "-fsyntax-only", str(p)]
                     for p in kernel_sources(args)])


def check_tidy(args):
    flags = ["-std=gnu17", "-D_GNU_SOURCE", f"-I{ROOT}/host/include", f"-I{ROOT}/sim/include",
             *include_flags(args.build)]
    commands = [["clang-tidy-19", "--quiet", str(p), "--", *KERNEL_FLAGS, "-Wno-error", *flags,
                 f"-I{p.parent}"] for p in kernel_sources(args)]
    for folder in ("host", "sim", "cli"):
        commands += [["clang-tidy-19", "--quiet", str(p), "--", *flags, f"-I{p.parent}"]
                     for p in sources(args, folder, "*.c")]
    return pool_run(commands)


def check_cppcheck(args):
    # It reads no system headers: their macros that stand for declarations are named here.
    macros = ["RB_HEAD(name,type)=struct name{struct type*rbh_root;}", "RB_ENTRY(type)=struct type*",
              "RB_PROTOTYPE(a,b,c,d)=", "RB_PROTOTYPE_STATIC(a,b,c,d)=", "RB_GENERATE(a,b,c,d)=",
              "RB_GENERATE_STATIC(a,b,c,d)="]
    command = ["cppcheck", "--quiet", "--enable=warning,portability", "--inline-suppr",
               "--error-exitcode=1", "--std=c11", "-j", str(os.cpu_count()),
               "--suppress=missingInclude", "--suppress=nullPointerArithmetic",
               "--suppress=preprocessorErrorDirective", *[f"-D{m}" for m in macros],
               *include_flags(args.build), f"-I{ROOT}/host/include", f"-I{ROOT}/sim/include"]
    files = [str(p) for folder in ("kernel", "target/sgx", "host", "sim", "cli")
             for p in sources(args, folder, "*.c")]
    return pool_run([[*command, *files]]) if files else []


CHECKS = {"edges": check_edges, "form": check_form, "clang": check_clang, "tidy": check_tidy, "cppcheck": check_cppcheck}


def main():
    parser = argparse.ArgumentParser(description="Static checks.")
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--only", default="", metavar="TEXT", help="files with TEXT in their path")
    parser.add_argument("checks", nargs="*", choices=[[], *CHECKS])
    args = parser.parse_args()
    args.build = args.build.resolve()
    failed = False
    for name in args.checks or CHECKS:
        found = CHECKS[name](args)
        print(f"{name}: {'clean' if not found else ''}", flush=True)
        for text in found:
            print(text)
        failed |= bool(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
