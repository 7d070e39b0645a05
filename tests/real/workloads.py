# SPDX-License-Identifier: MIT
"""
Programs that start many processes and threads, as suite.py's: natively and inside, and all that they say must be equal.
What is large, or is no part of every machine, is skipped where it is not installed.
"""
import pathlib

import harness

GCC = "/usr/lib/gcc/x86_64-linux-gnu/12"
LIB = "/usr/lib/x86_64-linux-gnu"
JAVA = pathlib.Path("/usr/lib/jvm/java-17-openjdk-amd64")
SHELL = ["/bin/sh", *(f"/usr/bin/{t}" for t in "cat cp env expr head md5sum mkdir rm sed seq sha256sum sort touch tr uniq wc".split())]
MODULES = 50

MAKEFILE = """objects := $(patsubst %.c,%.o,$(wildcard part*.c))
program: main.o $(objects)
\t$(CC) -o $@ $^
%.o: %.c project.h
\t$(CC) -O1 -Wall -c -o $@ $<
"""

GIT = """cd {dir} && cp -r project repo && cd repo && git init -q --template= && git add . && git commit -q -m one &&
for i in 1 2 3; do seq $i 300 > part$i.c && git add part$i.c && git commit -q -m "change $i"; done
git checkout -q -b side HEAD~2 && echo side > side && git add side && git commit -q -m side && git checkout -q master &&
git merge -q -m merged side && git log --format='%H %s' --graph && git gc -q && git fsck --no-progress && git status --short &&
git count-objects -v && git diff --stat HEAD~3 && git clone -q --template= . {dir}/other-repo && git -C {dir}/other-repo log -1 --format=%H"""

PERL = """$| = 1; use Socket;
my @to; for my $n (1 .. 4) {
    socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, 0) or die;
    unless (fork) { close $ours; my $s = 0; while (my $l = <$theirs>) { $s += $l * $n } print $theirs "$n: $s\\n"; close $theirs; exit $n }
    close $theirs; push @to, $ours;
}
for my $i (1 .. 500) { my $fh = $to[$i % 4]; syswrite $fh, "$i\\n" }
for my $fh (@to) { shutdown $fh, 1; print scalar <$fh> }
my %ends; while ((my $pid = wait) > 0) { $ends{$? >> 8}++ } print join(",", map { "$_=$ends{$_}" } sort keys %ends), "\\n";
local $SIG{CHLD} = sub { print "child ended\\n" }; my $out = `echo from a shell; exit 3`; print $out, $? >> 8, "\\n";
open my $p, "-|", "seq 1 1000 | sort -rn | head -2" or die; print <$p>; close $p;"""

RUBY = """r, w = IO.pipe
pids = 4.times.map { |n| fork { r.close; w.puts [n, (1..1000).sum { |i| i * n }].join(":"); exit! n } }
w.close
puts r.read.lines.sort
p pids.map { |pid| Process.wait2(pid)[1].exitstatus }
q = Queue.new
threads = 4.times.map { |n| Thread.new { 100.times { |i| q << n * i } } }
threads.each(&:join)
p Array.new(q.size) { q.pop }.sum
trap("USR1") { puts "usr1" }
child = fork { Process.kill("USR1", Process.ppid); exit!(0) }
Process.wait child
puts `echo sub | tr a-z A-Z`, $?.exitstatus
begin; Integer("x"); rescue ArgumentError => e; puts e.message; end
"""

OPENMP = """#include <omp.h>
#include <stdio.h>
int main(void)
{
    long sum = 0, count = 0;
    double x = 0;
    omp_set_num_threads(4);
#pragma omp parallel
    {
#pragma omp for reduction(+ : sum) schedule(dynamic, 100)
        for (long i = 0; i < 1000000; i++)
            sum += i % 7 * i;
#pragma omp critical
        count += omp_get_thread_num();
#pragma omp barrier
#pragma omp single
        for (int i = 0; i < 100; i++)
#pragma omp task
        {
#pragma omp atomic
            count++;
        }
    }
#pragma omp parallel for ordered reduction(+ : x)
    for (int i = 0; i < 8; i++) {
        x += i / 2.0;
#pragma omp ordered
        printf("%d\\n", i);
    }
    printf("%ld %ld %g\\n", sum, count, x);
    return 0;
}
"""

JAVA_SOURCE = """import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.stream.*;

public class Many {
    static int length(String s) { return s.length(); }

    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<Long>> sums = new ArrayList<>();
        for (int n = 0; n < 16; n++) {
            final int from = n;
            sums.add(pool.submit(() -> LongStream.range(from * 100000L, (from + 1) * 100000L).map(i -> i ^ i >> 3).sum()));
        }
        long total = 0;
        for (Future<Long> f : sums)
            total += f.get();
        System.out.println(total);
        pool.shutdown();
        System.out.println(pool.awaitTermination(60, TimeUnit.SECONDS));
        int caught = 0; /* a null that only the page fault tells */
        for (int i = 0; i < 200000; i++) {
            try {
                caught += length(i % 1000 == 999 ? null : "abc") - 3;
            } catch (NullPointerException e) {
                caught++;
            }
        }
        System.out.println(caught);
        ConcurrentHashMap<String, LongAdder> words = new ConcurrentHashMap<>();
        IntStream.range(0, 100000).parallel().forEach(i -> words.computeIfAbsent("w" + i % 10, k -> new LongAdder()).increment());
        System.out.println(new TreeMap<>(words));
        byte[][] garbage = new byte[64][];
        for (int i = 0; i < 4000; i++)
            garbage[i % 64] = new byte[100000];
        System.gc();
        Object lock = new Object();
        Thread waiter = new Thread(() -> { synchronized (lock) { lock.notify(); } });
        synchronized (lock) { waiter.start(); lock.wait(); }
        waiter.join();
        try { recurse(1); } catch (StackOverflowError e) { System.out.println("overflow"); }
    }

    static int recurse(int n) { return recurse(n + 1) + 1; }
}
"""

NODE = """const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
if (isMainThread) {
    const shared = new Int32Array(new SharedArrayBuffer(8));
    const work = [0, 1, 2, 3].map(n => new Promise((done, fail) => {
        const w = new Worker(__filename, { workerData: { n, shared } });
        w.on('message', done); w.on('error', fail);
    }));
    Promise.all(work).then(r => {
        console.log(r, shared[0]);
        require('zlib').gzip(Buffer.alloc(1000000, 'abc'), (e, z) => console.log(e, require('zlib').gunzipSync(z).length));
        require('crypto').pbkdf2('secret', 'salt', 1000, 16, 'sha256', (e, k) => console.log(k.toString('hex')));
        const { stdout, status } = require('child_process').spawnSync('/usr/bin/sort', { input: 'b\\na\\n' });
        console.log(stdout.toString(), status);
    });
} else {
    let sum = 0;
    for (let i = 0; i < 3000000; i++) sum = (sum + i * (workerData.n + 1)) % 1000003;
    Atomics.add(workerData.shared, 0, 1);
    parentPort.postMessage(sum);
}
"""


def make_data(work):
    """A C project of MODULES files, and the other programs' sources."""
    project = work / "project"
    project.mkdir()
    for n in range(MODULES):
        (project / f"part{n}.c").write_text(
            f'#include <stdio.h>\n#include <stdlib.h>\n#include "project.h"\nint part{n}(int x)\n{{\n    char text[32];\n'
            f'    snprintf(text, sizeof(text), "%d", x + {n});\n    return atoi(text) % {n + 3};\n}}\n')
    (project / "project.h").write_text("".join(f"int part{n}(int x);\n" for n in range(MODULES)))
    calls = "".join(f"    sum += part{n}(sum + {n});\n" for n in range(MODULES))
    (project / "main.c").write_text('#include <stdio.h>\n#include "project.h"\nint main(void)\n{\n    int sum = 1;\n'
                                    f'{calls}    printf("%d\\n", sum);\n    return 0;\n}}\n')
    (project / "Makefile").write_text(MAKEFILE)
    (work / "Many.java").write_text(JAVA_SOURCE)
    (work / "openmp.c").write_text(OPENMP)
    (work / "workers.js").write_text(NODE)


def installed(path):
    if not pathlib.Path(path).exists():
        raise harness.Skip(f"{path} is not installed")
    return str(path)


def shell(real, text, programs, withs=(), **more):
    for path in programs:
        installed(path)
    real.compare(["/bin/sh", "-c", real.fill(text)], [*SHELL, *programs], withs, **more)


def headers(real):
    """The system's headers that the project includes."""
    words = harness.run(["gcc", "-O1", "-M", real.dir / "project" / "part0.c"]).text().split()
    return [w for w in words if w.startswith("/usr/")]


def make_case(real):
    programs = ["/usr/bin/make", "/usr/bin/gcc", "/usr/bin/as", "/usr/bin/ld", f"{GCC}/cc1", f"{GCC}/collect2", f"{GCC}/lto-wrapper"]
    withs = [f"{GCC}/{f}" for f in "liblto_plugin.so crtbeginS.o crtendS.o libgcc.a libgcc_s.so".split()]
    withs += [f"{LIB}/{f}" for f in "Scrt1.o crti.o crtn.o libc.so libc_nonshared.a libm.so.6 libmvec.so.1 libgcc_s.so.1".split()]
    shell(real, "cd {dir}/project && make -s -j4 CC=gcc && ./program && make -s -j4 CC=gcc && touch part7.c && make -s -j4 CC=gcc && "
          "./program && sha256sum program *.o", programs, [*withs, *headers(real)], memory="2g", timeout=400)


def git_case(real):
    who = {f"GIT_{w}_{k}": v for w in ("AUTHOR", "COMMITTER") for k, v in (
        ("NAME", "A"), ("EMAIL", "a@example.org"), ("DATE", "2026-01-02T03:04:05Z"))}
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C", "GIT_CONFIG_COUNT": "1",
           "GIT_CONFIG_KEY_0": "init.defaultBranch", "GIT_CONFIG_VALUE_0": "master", **who}
    shell(real, GIT, ["/usr/bin/git", "/usr/bin/git-upload-pack"], env=env, memory="1g")


def openmp_case(real):
    program = str(real.ctx.tmp / "openmp")
    r = harness.run(["gcc", "-O1", "-fopenmp", "-o", program, real.dir / "openmp.c"])
    harness.expect(r.status == 0, r.errors())
    real.compare([program], [program], keep=False)


def java_case(real):
    java, classes = installed(JAVA / "bin" / "java"), str(real.ctx.tmp / "classes")
    r = harness.run([installed(JAVA / "bin" / "javac"), "-d", classes, real.dir / "Many.java"])
    harness.expect(r.status == 0, r.errors())
    real.compare([java, "-Xmx256m", "-cp", classes, "Many"], [java], [str(JAVA / "lib"), str(JAVA / "conf"), "/etc/java-17-openjdk", classes],
                 memory="4g", timeout=400, keep=False)


def cases(real):
    perl = ["/usr/bin/perl"]
    yield harness.Case("make-50", lambda: make_case(real))
    yield harness.Case("git", lambda: git_case(real))
    yield harness.Case("perl-forks", lambda: real.compare([*perl, "-e", PERL], [*SHELL, *perl], [
        f"{LIB}/perl-base", f"{LIB}/perl/5.36", "/usr/share/perl/5.36"]))
    yield harness.Case("ruby-forks", lambda: real.compare([installed("/usr/bin/ruby"), "--disable-gems", "-e", RUBY], [
        *SHELL, "/usr/bin/ruby"], [f"{LIB}/ruby/3.1.0"]))
    yield harness.Case("one-after-another", lambda: shell(
        real, "for p in tar gzip zstd sort git rg perl make as ld tar sort zstd gzip git; do $p --version 2>&1 | sha256sum; done",
        [f"/usr/bin/{p}" for p in "tar gzip zstd sort git rg perl make as ld".split()]))
    yield harness.Case("openmp", lambda: openmp_case(real))
    yield harness.Case("zstd-threads", lambda: shell(
        real, "for i in 1 2 3 4 5; do cat {big}; done > {dir}/bigger && zstd -q -T2 -B64K -c {dir}/bigger | sha256sum && "
        "zstd -q -T2 -c {dir}/bigger | zstd -d -q -c | sha256sum", ["/usr/bin/zstd"]))
    yield harness.Case("ripgrep", lambda: shell(
        real, "rg -j4 -c 'snprintf|atoi' {dir} | sort && rg -j4 --files {dir}/tree {dir}/project | sort | sha256sum; rg -j4 no-such-text {dir}; echo $?",
        ["/usr/bin/rg"]))
    yield harness.Case("rclone", lambda: shell(
        real, "export RCLONE_CONFIG=/dev/null; rclone copy --transfers 4 {dir}/project {dir}/copied && rclone check -q --checkers 4 {dir}/project {dir}/copied && "
        "rclone sha256sum --checkers 4 {dir}/copied 2>/dev/null | sort", ["/usr/bin/rclone"], memory="2g"))
    yield harness.Case("node-workers", lambda: real.compare(
        [installed("/usr/bin/node"), str(real.dir / "workers.js")], ["/usr/bin/node", "/usr/bin/sort"], memory="4g"))
    yield harness.Case("java-threads", lambda: java_case(real))
