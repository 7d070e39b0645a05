# SPDX-License-Identifier: MIT
"""The cheap part of `make lint`. (That the generated page is fresh: unit/syscall-docs.)"""
import ast

import harness


def lint(ctx, check):
    r = harness.run([harness.ROOT / "scripts" / "lint.py", "--build", ctx.build, check])
    harness.expect(r.status == 0, r.text()[-3000:])


def shell_scripts(ctx):
    """They parse."""
    for path in [*harness.ROOT.glob("scripts/*.sh"), *harness.ROOT.glob("tests/*/*.sh")]:
        first = path.read_text().split("\n", 1)[0]
        r = harness.run(["bash" if "bash" in first else "sh", "-n", path], cwd=ctx.tmp)
        harness.expect(r.status == 0, r.errors())


def python_scripts(_ctx):
    for path in [*harness.ROOT.glob("scripts/*.py"), *harness.ROOT.glob("tests/*/*.py")]:
        ast.parse(path.read_text(), str(path))


def cases(ctx):
    for check in ("edges", "form"):
        yield harness.Case(check, lambda check=check: lint(ctx, check))
    for check in (shell_scripts, python_scripts):
        yield harness.Case(check.__name__.replace("_", "-"), lambda check=check: check(ctx))
