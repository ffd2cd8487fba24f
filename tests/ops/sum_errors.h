// The table of errors of sums: what ops that add up many float32 numbers are off
// by, and what they may be. sums_test.cc checks it for short sums;
// bench/sum_errors.cc prints it for long ones.
#ifndef TAPE_TESTS_OPS_SUM_ERRORS_H_
#define TAPE_TESTS_OPS_SUM_ERRORS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace tape {

struct SumError {
  std::string op;
  std::string axis;  // "0" of [n / 4, 4], "1" of [4, n / 4], or "all" of [n].
  std::string data;
  int64_t elements;
  // The largest error of an element of the result against one in long double,
  // and its bound. Both are relative: of Variance and Softmax to the exact
  // result, of LogSumExp to the larger of that and 1, of the others, which may
  // cancel, to the sum of all |x| that the element is made of.
  double error;
  double bound;
};

// The rows of the table for tensors of some `elements`, at least 4.
std::vector<SumError> MeasureSumErrors(int64_t elements);

}  // namespace tape

#endif  // TAPE_TESTS_OPS_SUM_ERRORS_H_
