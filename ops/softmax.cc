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

// ---- The derivatives of Softmax and LogSoftmax ----

absl::StatusOr<TensorType> SlopeRule(absl::Span<const TensorType> x,
                                     const Attributes& attributes) {
  if (x[0] != x[1]) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected gradients of the type ", x[0].ToString(),
                     ", found ", x[1].ToString()));
  }
  return LineMapRule(x, attributes);
}

using PairOfRows = void (*)(const float*, const float*, int64_t, int64_t,
                            float*);
using PairOfColumns = void (*)(const float*, const float*, int64_t, int64_t,
                               int64_t, float*);
template <PairOfRows rows, PairOfColumns columns>
void RunPairOfLines(const Attributes&, const KernelArguments& arguments,
                    const Piece& piece) {
  const auto operand = [&](int i) {
    return static_cast<const float*>(arguments.inputs[i]) + piece.begin;
  };
  float* const y = static_cast<float*>(arguments.outputs[0]) + piece.begin;
  if (piece.step == 1) {
    rows(operand(0), operand(1), piece.count, piece.length, y);
  } else {
    columns(operand(0), operand(1), piece.length, piece.step, piece.count, y);
  }
}

Var SoftmaxSlope(Var s, Var g, int axis);

// ---- SoftmaxSlope: y = s (g - sum(g s)) ----
// ds = gy (g - sum(g s)) - g sum(gy s), dg = s (gy - sum(gy s))
constexpr OpDef kSoftmaxSlope = {
    .name = "SoftmaxSlope",
    .operands = {"softmax", "g"},
    .shape = SlopeRule,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      const Var s = x[0], g = x[1];
      const int axis = attributes.axis;
      return {gy * (g - SumAlong(g * s, axis)) - g * SumAlong(gy * s, axis),
              SoftmaxSlope(s, gy, axis)};
    },
    .reference =
        LineReference<[](const Attributes&, absl::Span<const ReferenceLine> x,
                         ReferenceLine& y) {
          double sum = 0;
          for (size_t i = 0; i < y.size(); ++i) sum += x[0][i] * x[1][i];
          for (size_t i = 0; i < y.size(); ++i) {
            y[i] = x[0][i] * (x[1][i] - sum);
          }
        }>,
    .kernel = MakeLinesKernel<
        RunPairOfLines<vector::SoftmaxSlopeRows, vector::SoftmaxSlopeColumns>>,
    .rows = RowsOfLines,
};

Var SoftmaxSlope(Var s, Var g, int axis) {
  return Append(kSoftmaxSlope, {s, g}, {.axis = axis}, Loc::Current());
}

// ---- LogSoftmaxSlope: y = g - softmax(x) sum(g) ----
// dx = -sum(g) SoftmaxSlope(softmax(x), gy), dg = gy - sum(gy softmax(x))
constexpr OpDef kLogSoftmaxSlope = {
    .name = "LogSoftmaxSlope",
    .operands = {"x", "g"},
    .shape = SlopeRule,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      const int axis = attributes.axis;
      const Var s = Softmax(x[0], axis);
      return {-(SumAlong(x[1], axis) * SoftmaxSlope(s, gy, axis)),
              gy - SumAlong(gy * s, axis)};
    },
    .reference =
        LineReference<[](const Attributes&, absl::Span<const ReferenceLine> x,
                         ReferenceLine& y) {
          const auto [max, log_sum] = LogSumOf(x[0]);
          const double total = std::isinf(log_sum) ? std::nan("") : log_sum;
          double sum = 0;
          for (double g : x[1]) sum += g;
          for (size_t i = 0; i < y.size(); ++i) {
            y[i] = x[1][i] - std::exp(x[0][i] - max - total) * sum;
          }
        }>,
    .kernel = MakeLinesKernel<RunPairOfLines<vector::LogSoftmaxSlopeRows,
                                             vector::LogSoftmaxSlopeColumns>>,
    .rows = RowsOfLines,
};

// ---- Softmax: y = e^x / sum e^x; dx = SoftmaxSlope(y, gy) ----
constexpr OpDef kSoftmax = {
    .name = "Softmax",
    .operands = {"x"},
    .shape = LineMapRule,
    .gradient = [](absl::Span<const Var>, Var y, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {SoftmaxSlope(y, gy, attributes.axis)};
    },
    .reference =
        LineReference<MapOfLine<[](double log_p) { return std::exp(log_p); }>>,
    .kernel = MakeLinesKernel<
        RunLines<float, vector::SoftmaxRows, vector::SoftmaxColumns, false>>,
    .rows = RowsOfLines,
};

// ---- LogSoftmax: y = x - ln sum e^x; dx = LogSoftmaxSlope(x, gy) ----
constexpr OpDef kLogSoftmax = {
    .name = "LogSoftmax",
    .operands = {"x"},
    .shape = LineMapRule,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {Append(kLogSoftmaxSlope, {x[0], gy}, {.axis = attributes.axis},
                     Loc::Current())};
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
  static constexpr const OpDef* kOps[] = {&kSoftmaxSlope, &kLogSoftmaxSlope,
                                          &kSoftmax, &kLogSoftmax, &kLogSumExp};
  return kOps;
}

}  // namespace tape
