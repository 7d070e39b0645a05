# SPDX-License-Identifier: MIT
"""
What every suite of tests shares: cases, running a command with a bound on time, and running the same
command natively and inside, where both must agree.

A suite is a file tests/*/suite.py with a function cases(ctx) that yields Case objects. A case is a
function that raises Failure (or Skip, with the reason) and otherwise has passed.
"""
import dataclasses
import os
import pathlib
import shutil
import subprocess
import tempfile
from typing import Callable, Optional, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT = 180  # seconds; generous, machines are noisy


class Failure(Exception):
    """The case failed; the text says how."""


class Skip(Exception):
    """The case cannot run here; the text says why."""


@dataclasses.dataclass
class Case:
    name: str
    run: Callable[[], None]
    alone: bool = False  # not beside another case: it is heavy, or it measures


@dataclasses.dataclass
class Result:
    status: int
    out: bytes
    err: bytes

    def text(self):
        return self.out.decode(errors="replace")

    def errors(self):
        return self.err.decode(errors="replace")


def run(argv: Sequence[str], stdin: bytes = b"", timeout: float = TIMEOUT, cwd=None, env=None,
        **more) -> Result:
    """Runs to the end. status is 128+N for a signal, as a shell shows it."""
    try:
        p = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, timeout=timeout,
                           cwd=cwd, env=env, check=False, **more)
    except subprocess.TimeoutExpired as e:
        raise Failure(f"no end after {timeout} s: {' '.join(map(str, argv))}\n"
                      f"stdout: {(e.stdout or b'')[-500:]!r}\nstderr: {(e.stderr or b'')[-500:]!r}") from e
    status = p.returncode if p.returncode >= 0 else 128 - p.returncode
    return Result(status, p.stdout, p.stderr)


def clip(data: bytes, size: int = 2000) -> str:
    text = data.decode(errors="replace")
    return text if len(text) <= size else text[:size] + f"... ({len(text)} characters)"


def expect(condition, text):
    if not condition:
        raise Failure(text)


def strip_note(err: bytes) -> bytes:
    """stderr without the one line that names the simulator."""
    return b"".join(l for l in err.splitlines(keepends=True) if not l.startswith(b"adyton: note:"))


class Context:
    """Where things are, and a scratch folder that lives as long as the run."""

    def __init__(self, build: pathlib.Path):
        self.build = build.resolve()
        self.adyton = self.build / "cli" / "adyton"
        self.tmp = pathlib.Path(tempfile.mkdtemp(prefix="adyton-check."))
        self.env = dict(os.environ, LC_ALL="C.UTF-8")

    def close(self):
        shutil.rmtree(self.tmp, ignore_errors=True)

    def cli(self, *argv, **more) -> Result:
        return run([self.adyton, *argv], env=more.pop("env", self.env), **more)

    def inside(self, root, argv: Sequence[str], env: Optional[dict] = None, cwd: Optional[str] = None,
               memory: Optional[str] = None, options: Sequence[str] = (), runner=run, **more) -> Result:
        """`adyton run` of argv in the root directory or archive `root`, on the simulator."""
        command = [self.adyton, "run", "--target", "sim", *options]
        if memory:
            command += ["--memory", memory]
        if cwd:
            command += ["--cwd", cwd]
        for name, value in (env or {}).items():
            command += ["--env", f"{name}={value}"]
        r = runner([*command, root, *argv], env=self.env, **more)
        r.err = strip_note(r.err)
        return r


def same(native: Result, inside: Result, what: str, stderr: bool = True):
    """Raises Failure unless status, output and (unless told otherwise) stderr are equal."""
    problems = []
    if native.status != inside.status:
        problems.append(f"status {inside.status}, natively {native.status}")
    if native.out != inside.out:
        problems.append(f"stdout differs\n--- natively\n{clip(native.out)}\n--- inside\n{clip(inside.out)}")
    if stderr and native.err != inside.err:
        problems.append(f"stderr differs\n--- natively\n{clip(native.err)}\n--- inside\n{clip(inside.err)}")
    if problems:
        if native.err == inside.err or not stderr:
            problems.append(f"stderr inside: {clip(inside.err, 1500)}")
        raise Failure(f"{what}: " + "; ".join(problems))
