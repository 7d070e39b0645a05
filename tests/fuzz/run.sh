#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs each fuzzer for 60 seconds (or SECONDS_EACH) on its seed corpus: tests/fuzz/run.sh [NAME...].
#
# A fuzzer is fuzz_NAME.c with libFuzzer's entry point, fuzz_NAME.sources (the kernel sources it
# needs beside the hosted kernel library) and a folder seeds/NAME. What it finds is left in OUT.
set -eu
cd "$(dirname "$0")/../.."
seconds=${SECONDS_EACH:-60}
out=${OUT:-build/fuzz}
clang=${CLANG:-clang-19}
flags=(-std=gnu17 -O1 -g -DADYTON_HOSTED -D_GNU_SOURCE -fno-strict-aliasing -Wno-everything
       -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
       -Ikernel/include -Iabi -Itarget/null "-I$out/gen")
library=(target/null/*.c kernel/lib/*.c kernel/sync/*.c kernel/event/wait.c
         kernel/syscall/iov.c kernel/syscall/uaccess.c kernel/arch/x86_64/usercopy.S)

mkdir -p "$out/gen"
/usr/bin/python3 scripts/gen-syscalls.py --tables kernel/syscall --header "$out/gen/syscalls.gen.h"

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for f in tests/fuzz/fuzz_*.sources; do
        f=${f##*/fuzz_}
        names+=("${f%.sources}")
    done
fi

passed=0 failed=0
for name in "${names[@]}"; do
    read -r -d '' -a sources < "tests/fuzz/fuzz_$name.sources" || true
    mkdir -p "$out/corpus-$name" "$out/lib-$name"
    objects=()
    for s in "${library[@]}"; do # an archive: a fuzzer may bring its own of anything in it
        o="$out/lib-$name/${s//\//_}.o"
        "$clang" "${flags[@]/fuzzer,/fuzzer-no-link,}" -c "$s" -o "$o"
        objects+=("$o")
    done
    rm -f "$out/lib-$name.a"
    ar rcs "$out/lib-$name.a" "${objects[@]}"
    "$clang" "${flags[@]}" "tests/fuzz/fuzz_$name.c" "${sources[@]}" "$out/lib-$name.a" \
        -lcmocka -o "$out/fuzz_$name"
    echo "fuzz $name: $seconds s"
    if "$out/fuzz_$name" -max_total_time="$seconds" -max_len=65536 -timeout=10 -verbosity=0 \
        -print_final_stats=1 -artifact_prefix="$out/$name-" \
        "$out/corpus-$name" "tests/fuzz/seeds/$name"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
