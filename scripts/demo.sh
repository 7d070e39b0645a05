#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What `make run` shows: a Python program inside an enclave, from this machine's own Python.
#
#   demo.sh BUILD
set -eu

[ $# -eq 1 ] || { echo "usage: demo.sh BUILD" >&2; exit 1; }
adyton=$1/cli/adyton
[ -x "$adyton" ] || { echo "demo.sh: $adyton is not there: run make first" >&2; exit 1; }
python=/usr/bin/python3.11
work=$(mktemp -d "${TMPDIR:-/tmp}/adyton-demo.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

say()
{
    printf '\n\033[1m%s\033[0m\n' "$*"
}
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

cat >"$work/hello.py" <<'PYTHON'
import hashlib, os, platform, sqlite3, sys

db = sqlite3.connect(":memory:")
db.execute("create table t(n integer, square integer)")
db.executemany("insert into t values (?, ?)", ((n, n * n) for n in range(1000)))
total, = db.execute("select sum(square) from t").fetchone()
print(f"Python {platform.python_version()}, process {os.getpid()} on host '{platform.node()}'")
print(f"sum of 1000 squares, by SQLite: {total}")
print(f"SHA-256 of it: {hashlib.sha256(str(total).encode()).hexdigest()}")
print("what this program can see of /etc:", ", ".join(sorted(os.listdir("/etc"))))
PYTHON

say "1. Collect Debian's own $python and its modules, unmodified, into a directory"
with=""
for path in /usr/lib/python3.11/*; do
    case $path in
    */test | */config-3.11-* | */idlelib | */tkinter | */lib2to3 | */pydoc_data | */ensurepip) ;;
    *) with="$with --with $path" ;;
    esac
done
# shellcheck disable=SC2086 # a list of options
"$adyton" collect -o "$work/root" "$python" $with
cp "$work/hello.py" "$work/root/hello.py"
du -sh "$work/root" | cut -f 1

say "2. Make it an archive whose every block is checked against one hash before its first use"
"$adyton" mkcpio "$work/root" "$work/root.cpio"
ls -lh "$work/root.cpio" | awk '{ print $5 }'

say "3. Who it will be: what the CPU measures, and a verifier would expect"
"$adyton" measure --stats "$work/root.cpio" "$python" /hello.py | head -n 6

say "4. Run it in an enclave"
"$adyton" run --stats="$work/stats.json" "$work/root.cpio" "$python" /hello.py

say "5. What happened"
/usr/bin/python3 - "$work/stats.json" <<'PYTHON'
import json, sys

stats = json.load(open(sys.argv[1]))
inside, host = stats["enclave"], stats["host"]
t = host["transitions"]
print(f"The program made {inside['syscalls_total']} system calls; the kernel inside the enclave served them.")
print(f"For {sum(host['host_calls'].values())} things it asked the host. Of {t['eaug']} pages that came when they "
      f"were first touched, each was checked inside.")
print(f"{t['eadd']} pages were measured before the start; {inside['sites_rewritten']} syscall instructions "
      f"became jumps, {inside['syscalls_trapped']} calls took the slow trap.")
print(f"On hardware the transitions and page operations would take about "
      f"{host['hardware_estimate']['total_us'] / 1000:.0f} ms.")
PYTHON
echo "Try it yourself: $adyton run --help"
