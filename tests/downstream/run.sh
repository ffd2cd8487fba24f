#!/bin/bash
# Builds and runs one of the projects here as its user would, and expects of it the loss that this tree's own build has:
#
#   tests/downstream/run.sh bazel
#   tests/downstream/run.sh cmake|make|static PREFIX    where third_party/install_library.sh has installed Tape
set -euo pipefail
kind=${1:-}
prefix=$(realpath "${2:-/}")
cd "$(dirname "${BASH_SOURCE[0]}")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case $kind in
  bazel)
    trap 'rm -rf "$work"; (cd bazel && bazel shutdown)' EXIT
    found=$(cd bazel && bazel run --compilation_mode=opt --symlink_prefix=/ //:xor </dev/null)
    ;;
  cmake)
    cmake -S cmake -B "$work" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$prefix"
    cmake --build "$work"
    found=$("$work/xor")
    ;;
  make | static)
    cp make/Makefile xor.cc "$work"
    PKG_CONFIG_PATH=$prefix/lib/pkgconfig make -C "$work" LINK="$kind" SOURCE=xor.cc
    found=$("$work/xor")
    ;;
  *)
    echo "downstream: error: expected bazel, cmake, make or static, found '$kind'" >&2
    exit 1
    ;;
esac

expected=$(bazel run --config=strict --symlink_prefix=/ //tests/downstream/bazel:xor </dev/null) # As the tests are built.
echo "downstream: $kind: $found, in this tree $expected"
[[ $found == loss\ 0x* && $found == "$expected" ]]
