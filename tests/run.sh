#!/bin/bash
# Runs the tests and ends with the line "N passed, N failed", counting test cases, not programs.
# Arguments go to `bazel test` (say --config=asan); targets among them replace the default, all.
# Without arguments the sources' formatting (.clang-format) is one more case.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

targets=(//...)
for argument in "$@"; do
  [[ $argument == -* ]] || targets=()
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

formatting=()
if [ $# = 0 ]; then
  if find framework ops models tests bench -name '*.cc' -o -name '*.h' | LC_ALL=C sort |
      xargs clang-format --dry-run -Werror; then
    formatting=(formatting passed)
  else
    formatting=(formatting failed)
  fi
fi

# Bazel's own account names the test.xml of just the tests of this run; bazel-testlogs also keeps older ones.
status=0
bazel test --keep_going --build_event_json_file="$work/events" "$@" "${targets[@]}" </dev/null || status=$?

# Not whichever python3 comes first: Bazel's package brings this one.
/usr/bin/python3 tests/count_tests.py "$work/events" "$status" "${formatting[@]}"
