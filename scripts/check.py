#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Runs the tests and ends with `N passed, N failed` (and `N skipped`, each with its reason above).

  check.py --build DIR [--list] [--jobs N] [PATTERN...]

PATTERNs (with * and ?) choose cases by name: unit/*, guest/*, real/python*, ...
"""
import argparse
import concurrent.futures
import fnmatch
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "lib"))
import harness  # noqa: E402

PRINT = threading.Lock()


def say(text):
    with PRINT:
        print(text, flush=True)


def unit_cases(ctx):
    """Each test of `meson test` is a case."""
    listing = subprocess.run(["meson", "introspect", "--tests", str(ctx.build)], check=True,
                             capture_output=True, text=True)
    for t in json.loads(listing.stdout):
        def case(t=t):
            env = dict(ctx.env, **t.get("env", {}))
            r = harness.run(t["cmd"], env=env, cwd=t.get("workdir") or ctx.build, timeout=300)
            if r.status == 77:
                raise harness.Skip(harness.clip(r.out + r.err, 300).strip())
            harness.expect(r.status == 0, f"status {r.status}\n" +
                           harness.clip((r.out + r.err)[-3000:], 3000))
        yield harness.Case(f"unit/{t['name']}", case)


def suite_cases(ctx):
    for path in sorted((ROOT / "tests").glob("*/suite.py")):
        name = path.parent.name
        spec = importlib.util.spec_from_file_location(f"suite_{name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for case in module.cases(ctx):
            case.name = f"{name}/{case.name}"
            yield case


def run_case(case, counts):
    start = time.monotonic()
    try:
        case.run()
        kind, text = "passed", ""
    except harness.Skip as e:
        kind, text = "skipped", str(e)
    except harness.Failure as e:
        kind, text = "failed", str(e)
    except Exception:  # pylint: disable=broad-except
        kind, text = "failed", traceback.format_exc()
    took = time.monotonic() - start
    with PRINT:
        counts[kind].append(case.name)
        print(f"{kind:8}{case.name} ({took:.1f} s)" + (f": {text}" if text else ""), flush=True)


def default_signals():
    """A shell's background job starts with some signals ignored, and the programs under test would too."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTSTP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def main():
    default_signals()
    parser = argparse.ArgumentParser(description="Runs Adyton's tests.")
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--jobs", default=os.cpu_count() or 1, type=int)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("patterns", nargs="*")
    args = parser.parse_args()
    ctx = harness.Context(args.build)
    try:
        cases = [c for make in (unit_cases, suite_cases) for c in make(ctx)]
        if args.patterns:
            cases = [c for c in cases if any(fnmatch.fnmatch(c.name, p) for p in args.patterns)]
        if args.list:
            print("\n".join(c.name for c in cases))
            return 0
        counts = {"passed": [], "failed": [], "skipped": []}
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            list(pool.map(lambda c: run_case(c, counts), [c for c in cases if not c.alone]))
        for case in [c for c in cases if c.alone]:
            run_case(case, counts)
    finally:
        ctx.close()
    if counts["failed"]:
        say("failed: " + " ".join(sorted(counts["failed"])))
    summary = f"{len(counts['passed'])} passed, {len(counts['failed'])} failed"
    if counts["skipped"]:
        summary += f", {len(counts['skipped'])} skipped"
    say(summary)
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
