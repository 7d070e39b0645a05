#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs what is missing of Debian's packages, and only that.
#
#   install-deps.sh build|check|lint|fuzz...
#
# Each word names a set below; "build" is what `make` needs, "run" adds the program that `make run`
# shows, "check" what the tests run. Says what it does; needs root (or sudo) only when something is
# missing.
set -eu

build="gcc libc6-dev make meson ninja-build pkg-config python3 libssl-dev libarchive-dev libcjson-dev
    libbsd-dev libcmocka-dev libzydis-dev libzycore-dev dpkg-dev ca-certificates binutils"
run="python3.11 python3.11-minimal libpython3.11-stdlib"
check="$run gdb musl-tools busybox-static libc6-dbg cpio tmux python3-pexpect libpython3.11-testsuite
    bash coreutils perl lua5.4 sqlite3 gcc xz-utils gzip bzip2 jq openssl gawk bc libc6-dev git
    man-db groff-base cryptsetup-bin util-linux clang-19 libclang-rt-19-dev ruby zstd ripgrep"
lint="clang-19 clang-tidy-19 clang-tools-19 cppcheck clang-format"
fuzz="clang-19 libclang-rt-19-dev llvm-19 util-linux" # llvm: names in reports

die()
{
    echo "install-deps: $*" >&2
    exit 1
}

wanted=""
for set in "$@"; do
    case $set in
    build) wanted="$wanted $build" ;;
    run) wanted="$wanted $run" ;;
    check) wanted="$wanted $check" ;;
    lint) wanted="$wanted $lint" ;;
    fuzz) wanted="$wanted $fuzz" ;;
    *) die "no set of packages is called '$set'" ;;
    esac
done
[ -n "$wanted" ] || die "usage: install-deps.sh build|run|check|lint|fuzz..."

missing=""
for package in $wanted; do
    case " $missing " in *" $package "*) continue ;; esac
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || die "not a Debian system; install these by hand:$missing"
if [ "$(id -u)" -eq 0 ]; then
    sudo=""
elif command -v sudo >/dev/null; then
    sudo=sudo
else
    die "run this as root once: apt-get install$missing"
fi
echo "installing from Debian:$missing"
# Another apt may hold the lock for a while: wait for it rather than fail.
wait="-o DPkg::Lock::Timeout=300"
# shellcheck disable=SC2086 # lists of words
{
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get $wait -q update >/dev/null &&
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get $wait -q -y --no-install-recommends install $missing \
        >/dev/null
} || die "apt-get could not install:$missing"
