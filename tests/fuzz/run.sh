#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builds the fuzzers with clang and runs each for FUZZ_SECONDS (60; 0: only what is in the corpus).
#
#   run.sh [NAME...]
#
# Works in BUILD/fuzz (BUILD: build). Ends with "N passed, N failed"; what broke one is left there as
# NAME-crash-* or the like, and runs again with: BUILD/fuzz/tests/fuzz/fuzz_NAME FILE
set -eu
cd "$(dirname "$0")/../.."
seconds=${FUZZ_SECONDS:-60}
main=${BUILD:-build}
out=$main/fuzz
log=$out/build.log
symbolizer=/usr/lib/llvm-19/bin/llvm-symbolizer
[ ! -x "$symbolizer" ] || export ASAN_SYMBOLIZER_PATH="$symbolizer"

mkdir -p "$out"
exec 9>"$out/lock"
flock 9
# The decoder's source is the main build's.
if [ -d "$main/fetched" ] && [ ! -e "$out/fetched" ]; then
    cp -r "$main/fetched" "$out/fetched"
fi
if [ ! -f "$out/build.ninja" ]; then
    CC=${CLANG:-clang-19} meson setup "$out" >"$log" 2>&1 || { tail -n 20 "$log" >&2; exit 1; }
fi
names=${*:-$(cd tests/fuzz && for f in fuzz_*.c; do f=${f#fuzz_}; echo "${f%.c}"; done)}
targets=""
for name in $names; do
    targets="$targets tests/fuzz/fuzz_$name"
done
# shellcheck disable=SC2086 # a list of words
ninja -C "$out" $targets >"$log" 2>&1 || { tail -n 40 "$log" >&2; exit 1; }
/usr/bin/python3 tests/fuzz/seeds.py "$out/seeds"
flock -u 9

passed=0 failed=""
for name in $names; do
    mkdir -p "$out/corpus/$name"
    set -- -max_len=65536 -timeout=10 -verbosity=0 -print_final_stats=1 "-artifact_prefix=$out/$name-"
    if [ "$seconds" -eq 0 ]; then
        set -- "$@" -runs=0
    else
        set -- "$@" "-max_total_time=$seconds"
    fi
    if "$out/tests/fuzz/fuzz_$name" "$@" "$out/corpus/$name" "$out/seeds/$name" \
        >"$out/$name.log" 2>&1; then
        passed=$((passed + 1))
        echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log") inputs, no failure"
    else
        failed="$failed $name"
        tail -n 60 "$out/$name.log" >&2
        echo "$name: failed, see $out/$name.log"
    fi
done
# shellcheck disable=SC2086 # a list of words
set -- $failed
echo "$passed passed, $# failed"
[ $# -eq 0 ]
