#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs programs of this machine with every syscall site rewritten (preload.c), and natively: output and
# exit status must agree, and calls must have come through the trampolines.
set -u
preload=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

compare()
{
    "$@" >"$work/native" 2>&1
    native=$?
    LD_PRELOAD="$preload" PRELOAD_REPORT="$work/report" "$@" >"$work/rewritten" 2>&1
    rewritten=$?
    calls=$(sed 's/.*sites, \([0-9]*\) calls/\1/' "$work/report" 2>/dev/null)
    if [ "$native" -ne "$rewritten" ] || ! cmp -s "$work/native" "$work/rewritten"; then
        echo "FAIL: $* (status $native, rewritten $rewritten)"
        diff "$work/native" "$work/rewritten" | head -20
        failed=1
    elif [ "${calls:-0}" -lt 10 ]; then
        echo "FAIL: $*: only ${calls:-0} calls came through trampolines"
        failed=1
    else
        echo "ok: $1: $calls calls"
    fi
    rm -f "$work/report"
}

compare /bin/ls -l /usr/include
compare /bin/bash -c 'for i in 1 2 3; do echo $(echo $i | cat); done; trap "echo caught" USR1; kill -USR1 $$; exit 7'
compare /usr/bin/python3 -S -c '
import os, signal, subprocess, threading, time
def work(out, n):
    time.sleep(0.001); out.append(n)
out = []
threads = [threading.Thread(target=work, args=(out, n)) for n in range(20)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(out))
print(subprocess.run(["/bin/echo", "child"], capture_output=True).stdout)
pid = os.fork()
if pid == 0:
    os._exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
got = []
signal.signal(signal.SIGALRM, lambda *a: got.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
end = time.monotonic() + 0.2
while time.monotonic() < end:
    os.getppid(); os.stat("/")
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(got) > 5)
'
exit $failed
