// How exact elementwise ops are: value, first and second derivatives of each,
// as a plan computes them in float32, beside exact formulas in long double, over
// the whole range of float32. Printed by the program tests/ops/print_accuracy.cc
// and held to its bounds by tests/ops/accuracy_test.cc.
#ifndef TAPE_TESTS_OPS_ACCURACY_H_
#define TAPE_TESTS_OPS_ACCURACY_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "framework/core/graph.h"

namespace tape {

// Of one or two operands.
using ExactOperands = absl::Span<const long double>;
using ExactFunction = std::function<long double(ExactOperands x)>;

// The value of an op, or one of its derivatives.
struct Quantity {
  ExactFunction exact;
  // The largest error, in roundings of 2^-24, relative to |exact| or, where
  // terms cancel, to what `scale` gives.
  double bound = 0;
  ExactFunction scale = nullptr;
  // A result below so many times FLT_MIN may be flushed to 0, or be made of
  // what was.
  double floor = 1;
  // A result beyond so many times less than the largest float32 may be made of
  // what was infinite, and so be infinite.
  double ceiling = 1;
  // Where it is asked for; null: everywhere.
  std::function<bool(ExactOperands x)> domain = nullptr;
};

struct AccuracyRow {
  std::string op;
  std::function<Var(absl::Span<const Var> x)> build;
  int operands;
  // The value; the derivatives by each operand; the second derivatives by a a,
  // and of two operands by a b and b b.
  std::vector<Quantity> quantities;
  // Operands are brought into this range, if it is not all of float32.
  double low = -1e39;
  double high = 1e39;
};

const std::vector<AccuracyRow>& AccuracyTable();

// What was found of one quantity.
struct FoundAccuracy {
  double error = 0;             // The largest, in roundings.
  std::vector<float> where;     // Its operands,
  double found = 0, exact = 0;  // and values.
  // Of the reference, in double: in roundings of 2^-53 of the scale.
  double reference_error = 0;
};

// For each quantity of the row, over `points` operands, the special ones and
// others drawn evenly from all bit patterns.
std::vector<FoundAccuracy> MeasureAccuracy(const AccuracyRow& row,
                                           int64_t points);

// "a", "d/da", "d2/dadb": the names of a row's quantities.
std::vector<std::string> QuantityNames(const AccuracyRow& row);

}  // namespace tape

#endif  // TAPE_TESTS_OPS_ACCURACY_H_
