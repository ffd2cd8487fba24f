// The largest and the smallest elements along axes, and where they are (ops.h).
// Tested by tests/ops/op_test.cc through the sample table.
#include <algorithm>
#include <cmath>

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

// Where a line's extreme is.
template <bool largest>
int64_t PlaceOfExtreme(const ReferenceLine& line) {
  const auto nan = std::find_if(line.begin(), line.end(),
                                [](double x) { return std::isnan(x); });
  if (nan != line.end()) return nan - line.begin();
  return (largest ? std::max_element(line.begin(), line.end())
                  : std::min_element(line.begin(), line.end())) -
         line.begin();
}

template <bool largest>
void ExtremeOfLine(const Attributes&, absl::Span<const ReferenceLine> x,
                   ReferenceLine& y) {
  y[0] = x[0][PlaceOfExtreme<largest>(x[0])];
}

template <bool largest>
void PlaceInLine(const Attributes&, absl::Span<const ReferenceLine> x,
                 ReferenceLine& y) {
  y[0] = static_cast<double>(PlaceOfExtreme<largest>(x[0]));
}

template <DType dtype>
absl::StatusOr<TensorType> ExtremeRule(absl::Span<const TensorType> x,
                                       const Attributes& attributes) {
  if (absl::Status status = ExpectElements(x[0], attributes.axis);
      !status.ok()) {
    return status;
  }
  return TensorType{dtype, WithAxisOne(x[0].shape, attributes.axis)};
}

// ---- AtIndex: y = 1 where the place along an axis is the index, else 0 ----
// x gives the shape alone.
void MarkIndex(const Attributes&, const KernelArguments& arguments,
               const Piece& piece) {
  const int32_t* const index =
      static_cast<const int32_t*>(arguments.inputs[1]) + piece.line;
  uint8_t* const y = static_cast<uint8_t*>(arguments.outputs[0]) + piece.begin;
  if (piece.step == 1) {
    std::fill_n(y, piece.count * piece.length, uint8_t{0});
    for (int64_t j = 0; j < piece.count; ++j) {
      if (index[j] >= 0 && index[j] < piece.length) {
        y[j * piece.length + index[j]] = 1;
      }
    }
    return;
  }
  for (int64_t i = 0; i < piece.length; ++i) {
    for (int64_t j = 0; j < piece.count; ++j) {
      y[i * piece.step + j] = index[j] == i;
    }
  }
}

constexpr OpDef kAtIndex = {
    .name = "AtIndex",
    .operands = {"x", "index"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const absl::StatusOr<TensorType> places =
          ExtremeRule<DType::kInt32>(x, attributes);
      if (!places.ok()) return places.status();
      if (x[1] == *places) return TensorType{DType::kUint8, x[0].shape};
      return absl::InvalidArgumentError(
          absl::StrCat("expected the index ", places->ToString(), ", found ",
                       x[1].ToString()));
    },
    .gradient = ZeroGradient,
    .reference =
        LineReference<[](const Attributes&, absl::Span<const ReferenceLine> x,
                         ReferenceLine& y) {
          for (size_t i = 0; i < y.size(); ++i) y[i] = x[1][0] == i;
        }>,
    .kernel = MakeLinesKernel<MarkIndex>,
    .rows = RowsOfLines,
};

// gy where `index` is along the axis, else 0.
Var ToIndex(Var x, Var index, Var gy, int axis) {
  return Select(Append(kAtIndex, {x, index}, {.axis = axis}, Loc::Current()),
                gy, Constant(gy, 0));
}

// ---- ArgMax, ArgMin: y = the place of the largest or smallest element along an
// axis ----
constexpr OpDef kArgMax = {
    .name = "ArgMax",
    .operands = {"x"},
    .shape = ExtremeRule<DType::kInt32>,
    .reference = LineReference<PlaceInLine<true>>,
    .kernel = MakeLinesKernel<
        RunLines<int32_t, vector::ArgMaxRows, vector::ArgMaxColumns, true>>,
    .rows = RowsOfLines,
};

constexpr OpDef kArgMin = {
    .name = "ArgMin",
    .operands = {"x"},
    .shape = ExtremeRule<DType::kInt32>,
    .reference = LineReference<PlaceInLine<false>>,
    .kernel = MakeLinesKernel<
        RunLines<int32_t, vector::ArgMinRows, vector::ArgMinColumns, true>>,
    .rows = RowsOfLines,
};

// ---- Max, Min: y = the largest or smallest element along an axis ----
// gy goes to it, of equals to the first.
constexpr OpDef kMax = {
    .name = "Max",
    .operands = {"x"},
    .shape = ExtremeRule<DType::kFloat32>,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      const int axis = attributes.axis;
      return {ToIndex(x[0], ArgMax(x[0], axis, Axes::kKeep), gy, axis)};
    },
    .reference = LineReference<ExtremeOfLine<true>>,
    .kernel = MakeLinesKernel<
        RunLines<float, vector::MaxRows, vector::MaxColumns, true>>,
    .rows = RowsOfLines,
};

constexpr OpDef kMin = {
    .name = "Min",
    .operands = {"x"},
    .shape = ExtremeRule<DType::kFloat32>,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      const int axis = attributes.axis;
      return {ToIndex(x[0], ArgMin(x[0], axis, Axes::kKeep), gy, axis)};
    },
    .reference = LineReference<ExtremeOfLine<false>>,
    .kernel = MakeLinesKernel<
        RunLines<float, vector::MinRows, vector::MinColumns, true>>,
    .rows = RowsOfLines,
};

}  // namespace

Var Max(Var x, absl::Span<const int> axes, Axes reduced, Loc loc) {
  return ReduceEach(kMax, x, axes, reduced, loc);
}
Var Min(Var x, absl::Span<const int> axes, Axes reduced, Loc loc) {
  return ReduceEach(kMin, x, axes, reduced, loc);
}
Var ArgMax(Var x, int axis, Axes reduced, Loc loc) {
  return ReduceEach(kArgMax, x, {axis}, reduced, loc);
}
Var ArgMin(Var x, int axis, Axes reduced, Loc loc) {
  return ReduceEach(kArgMin, x, {axis}, reduced, loc);
}

absl::Span<const OpDef* const> OpsOfExtremum() {
  static constexpr const OpDef* kOps[] = {&kAtIndex, &kArgMax, &kArgMin, &kMax,
                                          &kMin};
  return kOps;
}

}  // namespace tape
