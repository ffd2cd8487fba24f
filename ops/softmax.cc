// Softmax, its logarithm and the logarithm of its denominator, along an axis
// (ops.h). Tested by tests/ops/op_test.cc through the sample table.
#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/lines.h"
#include "ops/op_lists.h"
#include "ops/ops.h"
#include "ops/reduce.h"
#include "ops/rules.h"
#include "ops/vector.h"

namespace tape {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// ln sum e^x of one line, in double, as two parts whose sum it is: of their sum
// itself, logits of 1e38 would leave nothing of the second.
struct LogSum {
  double max;
  double log_sum;  // Of e^(x - max).
};
LogSum LogSumOf(const ReferenceLine& line) {
  const double max = *std::max_element(line.begin(), line.end());
  const double shift = std::isfinite(max) ? max : 0;
  double sum = 0;
  for (double x : line) sum += std::exp(x - shift);
  return {shift, std::log(sum)};
}

// The reference of a map f(x - ln sum e^x). Infinity against infinity is NaN for
// the whole line.
template <auto f>
void MapOfLine(const Attributes&, absl::Span<const ReferenceLine> x,
               ReferenceLine& y) {
  const auto [max, log_sum] = LogSumOf(x[0]);
  const double total = std::isinf(log_sum) ? std::nan("") : log_sum;
  for (size_t i = 0; i < y.size(); ++i) y[i] = f(x[0][i] - max - total);
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
    .reference =
        LineReference<MapOfLine<[](double log_p) { return std::exp(log_p); }>>,
    .kernel = MakeLinesKernel<
        RunLines<float, vector::SoftmaxRows, vector::SoftmaxColumns, false>>,
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
    .reference = LineReference<MapOfLine<[](double log_p) { return log_p; }>>,
    .kernel = MakeLinesKernel<RunLines<float, vector::LogSoftmaxRows,
                                       vector::LogSoftmaxColumns, false>>,
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
                         ReferenceLine& y) {
          const auto [max, log_sum] = LogSumOf(x[0]);
          y[0] = max + log_sum;
        }>,
    .kernel = MakeLinesKernel<
        RunLines<float, vector::LogSumExpRows, vector::LogSumExpColumns, true>>,
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

absl::Span<const OpDef* const> OpsOfSoftmax() {
  static constexpr const OpDef* kOps[] = {&kSoftmax, &kLogSoftmax, &kLogSumExp};
  return kOps;
}

}  // namespace tape
