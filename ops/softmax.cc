// Softmax, its logarithm and the logarithm of its denominator, along an axis
// (ops.h). Tested by tests/op_test.cc through the sample table.
#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/lines.h"
#include "ops/ops.h"
#include "ops/reduce.h"
#include "ops/rules.h"
#include "ops/vector.h"

namespace tape {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The kernel of a map from lines to lines: lines that lie one after another, or
// side by side.
using RowMap = void (*)(const float*, int64_t, int64_t, float*);
using ColumnMap = void (*)(const float*, int64_t, int64_t, int64_t, float*);
template <RowMap rows, ColumnMap columns, bool reduces>
void RunLines(const Attributes&, const KernelArguments& arguments,
              const Piece& piece) {
  const float* const x =
      static_cast<const float*>(arguments.inputs[0]) + piece.begin;
  float* const y = static_cast<float*>(arguments.outputs[0]) +
                   (reduces ? piece.line : piece.begin);
  if (piece.step == 1) {
    rows(x, piece.count, piece.length, y);
  } else {
    columns(x, piece.length, piece.step, piece.count, y);
  }
}

// ln sum e^x of one line, in double.
double LogSumOf(const ReferenceLine& line) {
  const double max = *std::max_element(line.begin(), line.end());
  const double shift = std::isfinite(max) ? max : 0;
  double sum = 0;
  for (double x : line) sum += std::exp(x - shift);
  return shift + std::log(sum);
}

// The reference of a map f(x, ln sum e^x). Infinity against infinity is NaN for
// the whole line.
template <auto f>
void MapOfLine(const Attributes&, absl::Span<const ReferenceLine> x,
               ReferenceLine& y) {
  const double log_sum = LogSumOf(x[0]);
  const double total = std::isinf(log_sum) ? std::nan("") : log_sum;
  for (size_t i = 0; i < y.size(); ++i) y[i] = f(x[0][i], total);
}

absl::StatusOr<TensorType> LineMapRule(absl::Span<const TensorType> x,
                                       const Attributes& attributes) {
  if (absl::Status status = ExpectElements(x[0], attributes.axis);
      !status.ok()) {
    return status;
  }
  return x[0];
}

// ---- Softmax: y = e^x / sum e^x; dx = y (gy - sum(gy y)) ----
constexpr OpDef kSoftmax = {
    .name = "Softmax",
    .operands = {"x"},
    .shape = LineMapRule,
    .gradient = [](absl::Span<const Var>, Var y, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {y * (gy - SumAlong(gy * y, attributes.axis))};
    },
    .reference = LineReference<MapOfLine<[](double x, double log_sum) {
      return std::exp(x - log_sum);
    }>>,
    .kernel = MakeLinesKernel<
        RunLines<vector::SoftmaxRows, vector::SoftmaxColumns, false>>,
    .rows = RowsOfLines,
};

// ---- LogSoftmax: y = x - ln sum e^x; dx = gy - softmax(x) sum(gy) ----
constexpr OpDef kLogSoftmax = {
    .name = "LogSoftmax",
    .operands = {"x"},
    .shape = LineMapRule,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      const int axis = attributes.axis;
      return {gy - Softmax(x[0], axis) * SumAlong(gy, axis)};
    },
    .reference = LineReference<
        MapOfLine<[](double x, double log_sum) { return x - log_sum; }>>,
    .kernel = MakeLinesKernel<
        RunLines<vector::LogSoftmaxRows, vector::LogSoftmaxColumns, false>>,
    .rows = RowsOfLines,
};

// ---- LogSumExp: y = ln sum e^x; dx = gy softmax(x) ----
// or 0 where all of x is -infinity. (Not gy e^(x - y), of which a y near 10,000
// leaves three digits.)
constexpr OpDef kLogSumExp = {
    .name = "LogSumExp",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      absl::StatusOr<TensorType> type = LineMapRule(x, attributes);
      if (type.ok()) type->shape = WithAxisOne(type->shape, attributes.axis);
      return type;
    },
    .gradient = [](absl::Span<const Var> x, Var y, Var gy,
                   const Attributes& attributes) -> Adjoints {
      const Var nothing = Equal(y, Constant(y, -kInfinity));
      const Var none = Constant(y, 0);
      return {Select(nothing, none, gy) *
              Softmax(Select(nothing, none, x[0]), attributes.axis)};
    },
    .reference =
        LineReference<[](const Attributes&, absl::Span<const ReferenceLine> x,
                         ReferenceLine& y) { y[0] = LogSumOf(x[0]); }>,
    .kernel = MakeLinesKernel<
        RunLines<vector::LogSumExpRows, vector::LogSumExpColumns, true>>,
    .rows = RowsOfLines,
};

}  // namespace

Var Softmax(Var x, int axis, Loc loc) {
  return Append(kSoftmax, {x}, {.axis = axis}, loc);
}
Var LogSoftmax(Var x, int axis, Loc loc) {
  return Append(kLogSoftmax, {x}, {.axis = axis}, loc);
}
Var LogSumExp(Var x, absl::Span<const int> axes, Axes reduced, Loc loc) {
  return ReduceEach(kLogSumExp, x, axes, reduced, loc);
}

}  // namespace tape
