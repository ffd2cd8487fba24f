#!/bin/bash
# Runs the tests and ends with the line "N passed, N failed", counting test cases, not programs.
#
# Arguments go to `bazel test` (say --config=asan); targets among them replace the default, all. Without arguments more
# is run, each part of it a case: the formats of sources and BUILD files, clang-tidy, the unit tests by clang with its
# address and undefined-behaviour sanitizers, what has threads under the thread sanitizer, each fuzzer for ten seconds,
# and the program of a user's own workspace or build (tests/downstream).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
results=() # As tests/count_tests.py reads them.

# Runs `bazel test`, whose own account of it names the test.xml of just these tests; bazel-testlogs keeps older ones too.
run_tests() { # NAME [ARGUMENT…]
  local name=$1 status=0
  shift
  bazel test --keep_going --build_event_json_file="$work/$name" "$@" </dev/null || status=$?
  results+=("$work/$name=$status")
}

# Runs a command that is one case.
check() { # NAME COMMAND [ARGUMENT…]
  local name=$1
  shift
  if "$@"; then results+=("$name=passed"); else results+=("$name=failed"); fi
}

# The same by one of clang's tools, whose findings differ from release to release: only by Debian 12's.
check_by() { # TOOL NAME COMMAND
  local found
  found=$("$1" --version | grep -o -m 1 'version [0-9]*') || true
  if [ "$found" = 'version 14' ]; then
    check "$2" "$3"
  else
    echo "tests: $2 is skipped: expected $1 of version 14, found $found" >&2
    results+=("$2=skipped")
  fi
}

sources() { # FOLDER… ; ends each name with a zero byte.
  find "$@" \( -name '*.cc' -o -name '*.h' \) -print0 | LC_ALL=C sort -z
}

format_sources() {
  sources framework ops models tests bench | xargs -0 clang-format --dry-run -Werror
}

format_build_files() {
  find . -path './bazel-*' -prune -o \
    \( -name 'BUILD.bazel' -o -name '*.bzl' -o -name 'WORKSPACE' -o -name 'MODULE.bazel' \) -type f -print0 |
    xargs -0 buildifier -mode=check
}

# The headers are looked at from the sources that include them; what tests are made of is only compiled by clang.
tidy() {
  local includes
  includes=$(pkg-config --cflags-only-I librsvg-2.0 libgvc mpi-c) || return
  find framework ops models bench -name '*.cc' ! -name 'libtorch_*' ! -name 'onnxruntime_*' -print0 |
    xargs -0 -n 1 -P "$(nproc)" sh -c 'clang-tidy --quiet "$2" -- -std=c++20 -Wall -Wextra -I. $1 2>/dev/null' \
      clang-tidy "$includes"
}

fuzz() { # FUZZER
  cp -r "tests/fuzz/seeds/${1%_fuzzer}" "$work/$1" || return
  # A finding outlives this run, to be looked at.
  bazel run --config=fuzz --symlink_prefix=/ "//tests/fuzz:$1" -- \
    -max_total_time=10 -verbosity=0 -print_final_stats=1 -artifact_prefix="${TMPDIR:-/tmp}/" "$work/$1" </dev/null
}

if [ $# = 0 ]; then
  for tool in buildifier clang clang-format clang-tidy cmake make; do
    command -v "$tool" >/dev/null || { echo "tests: error: no $tool: run third_party/install.sh --tests" >&2; exit 1; }
  done
  check_by clang-format formatting format_sources
  check build_file_formatting format_build_files
  check_by clang-tidy clang_tidy tidy
  run_tests fuzz --config=fuzz --symlink_prefix=/ --test_size_filters=small --build_tests_only \
    //tests/{check,compiler,core,data,distributed,io,log,metrics,optim,runtime}/...
  fuzzers=$(bazel query 'filter("_fuzzer$", //tests/fuzz:*)' --output=label </dev/null | sed 's/.*://')
  for fuzzer in ${fuzzers:?bazel query names no fuzzers}; do
    check "$fuzzer" fuzz "$fuzzer"
  done
  check downstream_bazel tests/downstream/run.sh bazel
  check install_library third_party/install_library.sh "$work/prefix"
  for build in make static cmake; do
    check "downstream_$build" tests/downstream/run.sh "$build" "$work/prefix"
  done
  run_tests tsan --config=tsan --symlink_prefix=/ //tests/data/... //tests/distributed/... \
    //tests/runtime/... //tests/core:uninterrupted_test
fi

targets=(//...)
for argument in "$@"; do
  [[ $argument == -* ]] || targets=()
done
[ $# != 0 ] || set -- --config=strict
run_tests opt "$@" "${targets[@]}"

# Not whichever python3 comes first: Bazel's package brings this one.
/usr/bin/python3 tests/count_tests.py "${results[@]}"
