#!/bin/bash
# Runs tests of values and of compiled gradients with the vector code (tests/at_most_target.cc) and the products of
# older processors of four kinds. One that is better than this is run as this one. None of the four has products of
# bfloat16.
set -euo pipefail
cd "$(dirname "$0")"

op_tests='*.ComputesWhatItsReferenceDoes/*:*.IsTheReferences/*'
op_tests+=':-*MatMul*_bfloat16*'

# Kind by kind: the best of Highway's targets, and what oneDNN may use.
for processor in SSSE3=SSE41 SSE4=SSE41 AVX2=AVX2 AVX3=AVX512_CORE; do
  export TAPE_TEST_AT_MOST=${processor%=*} ONEDNN_MAX_CPU_ISA=${processor#*=}
  echo "$TAPE_TEST_AT_MOST, oneDNN's $ONEDNN_MAX_CPU_ISA:"
  ./op_test --gtest_brief=1 --gtest_filter="$op_tests"
  ./matmul_test --gtest_brief=1
  ./sums_test --gtest_brief=1
  ./tile_product_test --gtest_brief=1
  ../compiler/sums_in_passes_test --gtest_brief=1
done
