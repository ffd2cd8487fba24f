// Products, running sums and recurrences along an axis (ops.h), in double.
// Tested by tests/ops/op_test.cc through the sample table.
#include <algorithm>

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

// Lines that lie side by side are worked on together.
constexpr int64_t kTile = 64;

const float* Floats(const KernelArguments& arguments, int input,
                    const Piece& piece) {
  return static_cast<const float*>(arguments.inputs[input]) + piece.begin;
}

absl::StatusOr<TensorType> SameLines(absl::Span<const TensorType> x,
                                     const Attributes& attributes) {
  if (absl::Status status = ExpectAxis(x[0], attributes.axis); !status.ok()) {
    return status;
  }
  return SameFloats(x, attributes);
}

// ---- CumSum: y[i] = x[0] + … + x[i]; dx = the same of gy, from the end ----
// If `reverse`, y[i] = x[i] + … + x[n - 1].
void AddUp(const Attributes& attributes, const KernelArguments& arguments,
           const Piece& piece) {
  const float* const x = Floats(arguments, 0, piece);
  float* const y = static_cast<float*>(arguments.outputs[0]) + piece.begin;
  const int64_t first =
      attributes.reverse ? (piece.length - 1) * piece.step : 0;
  const int64_t step = attributes.reverse ? -piece.step : piece.step;
  if (piece.line_step == 1) {
    vector::RunningSums(x + first, piece.length, step, piece.count, y + first);
    return;
  }
  vector::RunningSumsOfRows(x + first, piece.count, piece.line_step,
                            piece.length, step, y + first);
}

constexpr OpDef kCumSum = {
    .name = "CumSum",
    .operands = {"x"},
    .shape = SameLines,
    .gradient = [](absl::Span<const Var>, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {CumSum(gy, attributes.axis, {.reverse = !attributes.reverse})};
    },
    .reference =
        LineReference<[](const Attributes& attributes,
                         absl::Span<const ReferenceLine> x, ReferenceLine& y) {
          const int n = static_cast<int>(y.size());
          for (int i = 0; i < n; ++i) {
            const int begin = attributes.reverse ? i : 0;
            const int end = attributes.reverse ? n : i + 1;
            for (int j = begin; j < end; ++j) y[i] += x[0][j];
          }
        }>,
    .kernel = MakeLinesKernel<AddUp>,
    .rows = RowsOfLines,
};

// ---- Recurrence: y[0] = value, y[i] = b[i-1] + a[i-1] y[i-1] ----
// or, if `reverse`, the same from the end. An op whose gradient is made of
// itself: with v the recurrence of gy and a the other way round, from 0,
// db = v and da = y v. With b = 0 and value 1, y[i] is the product of all a
// before i.
Var Recurrence(Var b, Var a, int axis, bool reverse, double value);

void Recur(const Attributes& attributes, const KernelArguments& arguments,
           const Piece& piece) {
  const int64_t tile = piece.line_step == 1 ? kTile : 1;
  for (int64_t first = 0; first < piece.count; first += tile) {
    const int64_t count = std::min(tile, piece.count - first);
    double values[kTile];
    std::fill_n(values, count, attributes.value);
    for (int64_t k = 0; k < piece.length; ++k) {
      const int64_t i = attributes.reverse ? piece.length - 1 - k : k;
      const int64_t at = first * piece.line_step + i * piece.step;
      const float* const b = Floats(arguments, 0, piece) + at;
      const float* const a = Floats(arguments, 1, piece) + at;
      float* const y =
          static_cast<float*>(arguments.outputs[0]) + piece.begin + at;
      for (int64_t j = 0; j < count; ++j) {
        y[j] = static_cast<float>(values[j]);
        values[j] = b[j] + a[j] * values[j];
      }
    }
  }
}

constexpr OpDef kRecurrence = {
    .name = "Recurrence",
    .operands = {"b", "a"},
    .shape = SameLines,
    .gradient = [](absl::Span<const Var> x, Var y, Var gy,
                   const Attributes& attributes) -> Adjoints {
      const Var v =
          Recurrence(gy, x[1], attributes.axis, !attributes.reverse, 0);
      return {v, y * v};
    },
    .reference =
        LineReference<[](const Attributes& attributes,
                         absl::Span<const ReferenceLine> x, ReferenceLine& y) {
          const int n = static_cast<int>(y.size());
          const int step = attributes.reverse ? -1 : 1;
          const int start = attributes.reverse ? n - 1 : 0;
          for (int i = start; i >= 0 && i < n; i += step) {
            y[i] = i == start ? attributes.value
                              : x[0][i - step] + x[1][i - step] * y[i - step];
          }
        }>,
    .kernel = MakeLinesKernel<Recur>,
    .rows = RowsOfLines,
};

Var Recurrence(Var b, Var a, int axis, bool reverse, double value) {
  return Append(kRecurrence, {b, a},
                {.value = value, .axis = axis, .reverse = reverse},
                Loc::Current());
}

// ---- Prod: y = the product along an axis; dx = gy times the product of the
// others, even where some are 0 ----
void Multiply(const Attributes&, const KernelArguments& arguments,
              const Piece& piece) {
  const float* const x = Floats(arguments, 0, piece);
  float* const y = static_cast<float*>(arguments.outputs[0]) + piece.line;
  if (piece.step == 1) {
    vector::ProductsOfRows(x, piece.count, piece.length, y);
    return;
  }
  for (int64_t first = 0; first < piece.count; first += kTile) {
    const int64_t count = std::min(kTile, piece.count - first);
    double products[kTile];
    std::fill_n(products, count, 1.0);
    for (int64_t i = 0; i < piece.length; ++i) {
      const float* const row = x + first + i * piece.step;
      for (int64_t j = 0; j < count; ++j) products[j] *= row[j];
    }
    for (int64_t j = 0; j < count; ++j) {
      y[first + j] = static_cast<float>(products[j]);
    }
  }
}

constexpr OpDef kProd = {
    .name = "Prod",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      absl::StatusOr<TensorType> type = SameLines(x, attributes);
      if (type.ok()) type->shape = WithAxisOne(type->shape, attributes.axis);
      return type;
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      const int axis = attributes.axis;
      const Var none = Fill(x[0].graph(), x[0].shape(), 0);
      return {gy * (Recurrence(none, x[0], axis, /*reverse=*/false, 1) *
                    Recurrence(none, x[0], axis, /*reverse=*/true, 1))};
    },
    .reference =
        LineReference<[](const Attributes&, absl::Span<const ReferenceLine> x,
                         ReferenceLine& y) {
          y[0] = 1;
          for (double factor : x[0]) y[0] *= factor;
        }>,
    .kernel = MakeLinesKernel<Multiply>,
    .rows = RowsOfLines,
};

}  // namespace

Var CumSum(Var x, int axis, CumSumOptions options, Loc loc) {
  return Append(kCumSum, {x}, {.axis = axis, .reverse = options.reverse}, loc);
}
Var Prod(Var x, absl::Span<const int> axes, Axes reduced, Loc loc) {
  return ReduceEach(kProd, x, axes, reduced, loc);
}

absl::Span<const OpDef* const> OpsOfScan() {
  static constexpr const OpDef* kOps[] = {&kCumSum, &kRecurrence, &kProd};
  return kOps;
}

}  // namespace tape
