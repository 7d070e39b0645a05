#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Fetches and unpacks a Debian source package, checked by apt's signatures, into a folder of its own.
#
#   fetch-source.sh PACKAGE DIR
#
# DIR/src then holds the unpacked, patched tree. Works as any user and touches nothing of the system's
# apt state: the deb-src lists are derived from the binary sources this system uses and kept under
# DIR/apt. A mirror's index may name a version whose files are gone, so every version that the index
# offers is tried, newest first.
set -eu

die()
{
    echo "fetch-source: $*" >&2
    exit 1
}

[ $# -eq 2 ] || die "usage: fetch-source.sh PACKAGE DIR"
package=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)

if [ -f "$dir/src/.fetched" ]; then
    echo "$package $(cat "$dir/src/.fetched"): already there"
    exit 0
fi

mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial"

# One deb-src line for each Debian repository that this system installs packages from.
apt-get indextargets --format '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)' \
    'Created-By: Packages' |
    awk -F'|' '$1 == "Debian" { print "deb-src " $2 " " $3 " " $4 }' |
    sort -u >"$dir/apt/sources.list"
[ -s "$dir/apt/sources.list" ] || die "no Debian repository among this system's apt sources"

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
if [ -r "$keyring" ]; then
    sed -i "s|^deb-src |deb-src [signed-by=$keyring] |" "$dir/apt/sources.list"
fi

private_apt()
{
    tool=$1
    shift
    "$tool" -o "Dir::Etc::SourceList=$dir/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::Lists=$dir/apt/lists" -o "Dir::Cache=$dir/apt/cache" \
        -o APT::Get::List-Cleanup=true -o "APT::Sandbox::User=$(id -un)" "$@"
}

private_apt apt-get -qq update || die "apt-get update failed"

versions=$(private_apt apt-cache showsrc "$package" 2>/dev/null |
    awk -v want="$package" '
        $1 == "Package:" { name = $2 }
        $1 == "Version:" && name == want { print $2 }' | sort -u)
[ -n "$versions" ] || die "no source package '$package'"

# Sorts the versions as dpkg compares them, newest first (there are rarely more than three).
sorted=
for v in $versions; do
    out=
    placed=
    for s in $sorted; do
        if [ -z "$placed" ] && dpkg --compare-versions "$v" gt "$s"; then
            out="$out $v"
            placed=1
        fi
        out="$out $s"
    done
    [ -n "$placed" ] || out="$out $v"
    sorted=$out
done

for v in $sorted; do
    rm -rf "$dir/unpack"
    mkdir "$dir/unpack"
    # dpkg-source checks the files against the .dsc; apt checked the .dsc against the signed index.
    if (cd "$dir/unpack" && private_apt apt-get -qq source --download-only "$package=$v" &&
        dpkg-source --no-check -x ./*.dsc tree) >"$dir/fetch.log" 2>&1; then
        rm -rf "$dir/src"
        mv "$dir/unpack/tree" "$dir/src"
        rm -rf "$dir/unpack"
        echo "$v" >"$dir/src/.fetched"
        echo "$package $v"
        exit 0
    fi
    echo "fetch-source: $package $v: not available, trying the next one" >&2
done
cat "$dir/fetch.log" >&2
die "no version of '$package' could be fetched"
