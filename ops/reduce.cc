// Reductions that are functions of a sum (ops.h), and what all reductions share
// (reduce.h). Tested by tests/ops/op_test.cc through the sample table, and by
// tests/ops/sums_test.cc.
#include "ops/reduce.h"

#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/calculus.h"
#include "framework/core/reference.h"
#include "framework/core/sum_kernels.h"
#include "framework/core/sums_in_pieces.h"
#include "ops/op_lists.h"
#include "ops/ops.h"
#include "ops/ranges.h"
#include "ops/rules.h"
#include "ops/vector.h"

namespace tape {
namespace {

class ElementCountKernel : public PlainKernel {
 public:
  explicit ElementCountKernel(int64_t count)
      : count_(static_cast<float>(count)) {}
  void Run(int, const KernelArguments& arguments) const override {
    *static_cast<float*>(arguments.outputs[0]) = count_;
  }

 private:
  float count_;
};

// ---- ElementCount: y = how many elements a shape has ----
// It has no inputs, so the compiler folds it into a number, unless told not to.
constexpr OpDef kElementCount = {
    .name = "ElementCount",
    .shape = [](absl::Span<const TensorType>,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (!attributes.shape.is_valid()) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected dimensions of at least 0, or kBatch, found ",
                         attributes.shape.ToString()));
      }
      return TensorType();
    },
    .gradient = ZeroGradient,
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor>, Tensor& y) {
          y.values<double>()[0] =
              static_cast<double>(attributes.shape.elements());
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      return std::make_unique<ElementCountKernel>(
          spec.attributes.shape.elements());
    },
};

// ---- Functions of a sum (framework/core/sum_kernels.h) ----
// attributes.shape is the output's.

// The rule of a sum over the axes in which x is larger than attributes.shape. Its
// divisor, where there is one, is a number, or one for each sum.
absl::StatusOr<TensorType> ReductionRule(absl::Span<const TensorType> x,
                                         const Attributes& attributes) {
  for (const TensorType& type : x) {
    if (absl::Status status = ExpectFloat32(type); !status.ok()) return status;
  }
  const Shape& y = attributes.shape;
  if (!BroadcastsTo(y, x[0].shape)) {
    return absl::InvalidArgumentError(
        absl::StrCat("shape ", x[0].shape.ToString(), " does not sum to shape ",
                     y.ToString()));
  }
  if (x.size() > 1 && x[1].shape.rank() != 0 && !(x[1].shape == y)) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a divisor of rank 0 or of shape ", y.ToString(),
                     ", found ", x[1].shape.ToString()));
  }
  return TensorType{DType::kFloat32, y};
}

// The same, of two numbers for each sum, along a last axis.
absl::StatusOr<TensorType> PartsRule(absl::Span<const TensorType> x,
                                     const Attributes& attributes) {
  const Shape& y = attributes.shape;
  if (y.rank() == 0 || y[y.rank() - 1] != 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected a result with a last axis of 2, found ", y.ToString()));
  }
  Attributes sums = attributes;
  sums.shape = Shape(y.dims().first(y.rank() - 1));
  const absl::StatusOr<TensorType> type = ReductionRule(x, sums);
  if (!type.ok()) return type.status();
  return TensorType{DType::kFloat32, y};
}

// Each reduces rows, which are apart, or all of them. A sum over all is a sum
// of what the rows give if `sums`: its divisor does not depend on them.
template <bool sums>
RowRole RowsOfReduction(const RowQuery& query) {
  const Shape& x = query.inputs[0].shape;
  const Shape& y = query.output.shape;
  const bool one_divisor =
      query.inputs.size() == 1 || query.inputs[1].shape.rank() == 0;
  if (!query.in_rows[0]) return RowRole::kMixed;
  if (y.rank() >= x.rank() && y[0] == x[0]) {
    return one_divisor || query.in_rows[1] ? RowRole::kApart : RowRole::kMixed;
  }
  return sums && one_divisor && !query.in_rows[1] ? RowRole::kSummed
                                                  : RowRole::kMixed;
}

// y[i] = finish(the sum of term(x) that y[i] is of, divisor).
template <auto term, auto finish>
void SumReference(const Attributes&, absl::Span<const Tensor> x, Tensor& y) {
  ForEachBroadcast(
      x[0].shape(), {y.shape()}, [&](int64_t i, absl::Span<const int64_t> at) {
        y.values<double>()[at[0]] += term(x[0].values<double>()[i]);
      });
  const absl::Span<const double> divisor = x[1].values<double>();
  for (int64_t i = 0; i < y.elements(); ++i) {
    double& sum = y.values<double>()[i];
    sum = finish(sum, divisor[divisor.size() == 1 ? 0 : i]);
  }
}
double Itself(double x) { return x; }
double Squared(double x) { return x * x; }
double Quotient(double sum, double divisor) { return sum / divisor; }
double RootQuotient(double sum, double divisor) {
  return std::sqrt(sum) / divisor;
}

// ---- MeanTo: y = sum x / count over the axes in which x is larger than y ----
// dx = gy / count, repeated. Count is a constant of rank 0.
constexpr OpDef kMeanTo = {
    .name = "MeanTo",
    .operands = {"x", "count"},
    .shape = ReductionRule,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      return {BroadcastTo(gy / x[1], x[0].shape()), Var()};
    },
    .reference = SumReference<Itself, Quotient>,
    .kernel = MakeSumKernel<SumForm::kMean>,
    .rows = RowsOfReduction<true>,
    .traits = {.in_pieces = InPieces(SumForm::kMean)},
};

// ---- MeanSquareTo: y = sum x^2 / count; dx = gy 2 x / count ----
constexpr OpDef kMeanSquareTo = {
    .name = "MeanSquareTo",
    .operands = {"x", "count"},
    .shape = ReductionRule,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      return {x[0] * (gy * (2 / x[1])), Var()};
    },
    .reference = SumReference<Squared, Quotient>,
    .kernel = MakeSumKernel<SumForm::kMeanSquare>,
    .rows = RowsOfReduction<true>,
    .traits = {.in_pieces = InPieces(SumForm::kMeanSquare)},
};

// gy x / (y unit^2), 0 where y is.
Var NormAdjoint(Var x, Var unit, Var y, Var gy) {
  // A choice on either side keeps 0 / 0 away from all derivatives.
  const Var is_zero = Equal(y, Constant(y, 0));
  const Var divisor = Select(is_zero, Constant(y, 1), y);
  return (x / unit) / divisor * Select(is_zero, Constant(y, 0), gy / unit);
}

// ---- NormTo: y = sqrt(sum x^2) / unit; dx = gy x / (y unit^2), 0 where y is
// ---- unit is a constant, of rank 0 or of y's shape.
constexpr OpDef kNormTo = {
    .name = "NormTo",
    .operands = {"x", "unit"},
    .shape = ReductionRule,
    .gradient = [](absl::Span<const Var> x, Var y, Var gy,
                   const Attributes&) -> Adjoints {
      return {NormAdjoint(x[0], x[1], y, gy), Var()};
    },
    .reference = SumReference<Squared, RootQuotient>,
    .kernel = MakeSumKernel<SumForm::kNorm>,
    .rows = RowsOfReduction<false>,
    .traits = {.in_pieces = InPieces(SumForm::kNorm)},
};

// Of a result of two numbers for each sum.
Var PartOf(Var parts, int part, const Shape& shape, Loc loc = Loc::Current()) {
  return Reshape(Slice(parts, -1, {.begin = part, .length = 1}, loc), shape,
                 loc);
}
Shape WithParts(const Shape& sums) {
  absl::InlinedVector<int64_t, 5> dims(sums.dims().begin(), sums.dims().end());
  dims.push_back(2);
  return Shape(dims);
}
Shape WithoutLastAxis(const Shape& shape) {
  return Shape(shape.dims().first(shape.rank() - 1));
}

// ---- MeanParts: y[…,0] + y[…,1] = sum x / count, the first being the mean
// rounded to float32; d x = gy[…,0] / count ----
// In exact arithmetic the second is 0. Over the axes in which x is larger than
// y, of whose shape attributes.shape has the last axis more.
constexpr OpDef kMeanParts = {
    .name = "MeanParts",
    .operands = {"x", "count"},
    .shape = PartsRule,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      const Var of_mean = PartOf(gy, 0, WithoutLastAxis(attributes.shape));
      return {BroadcastTo(of_mean / x[1], x[0].shape()), Var()};
    },
    .reference =
        [](const Attributes&, absl::Span<const Tensor> x, Tensor& y) {
          Tensor mean({DType::kFloat64, WithoutLastAxis(y.shape())});
          std::fill_n(mean.values<double>().begin(), mean.elements(), 0.0);
          SumReference<Itself, Quotient>({}, x, mean);
          for (int64_t i = 0; i < mean.elements(); ++i) {
            y.values<double>()[2 * i] = mean.values<double>()[i];
          }
        },
    .kernel = MakeSumKernel<SumForm::kMeanParts>,
    .rows = RowsOfReduction<false>,
    .traits = {.in_pieces = InPieces(SumForm::kMeanParts)},
};

// ---- NormParts: y[…,0] y[…,1] = sqrt(sum x^2); d x = gy[…,1] x / (y[…,0]^2
// y[…,1]), 0 where the norm is 0 ----
// The first is the power of two next below the norm, but within 2^-126 … 2^126, of
// what is not finite 2^126. It is a constant for Gradients. Shapes as MeanParts'.
constexpr OpDef kNormParts = {
    .name = "NormParts",
    .operands = {"x"},
    .shape = PartsRule,
    .gradient = [](absl::Span<const Var> x, Var y, Var gy,
                   const Attributes& attributes) -> Adjoints {
      const Shape norms = WithoutLastAxis(attributes.shape);
      const Var scale = StopGradient(PartOf(y, 0, norms));
      return {
          NormAdjoint(x[0], scale, PartOf(y, 1, norms), PartOf(gy, 1, norms))};
    },
    .reference =
        [](const Attributes&, absl::Span<const Tensor> x, Tensor& y) {
          Tensor norm({DType::kFloat64, WithoutLastAxis(y.shape())});
          Tensor one({DType::kFloat64, {}});
          std::fill_n(norm.values<double>().begin(), norm.elements(), 0.0);
          one.values<double>()[0] = 1;
          SumReference<Squared, RootQuotient>({}, {x[0], one}, norm);
          for (int64_t i = 0; i < norm.elements(); ++i) {
            const double size = norm.values<double>()[i];
            const double limited = std::isfinite(size)
                                       ? std::clamp(size, 0x1p-126, 0x1p126)
                                       : 0x1p126;
            const double scale = std::ldexp(1, std::ilogb(limited));
            y.values<double>()[2 * i] = scale;
            y.values<double>()[2 * i + 1] = size / scale;
          }
        },
    .kernel = MakeSumKernel<SumForm::kNormParts>,
    .rows = RowsOfReduction<false>,
    .traits = {.in_pieces = InPieces(SumForm::kNormParts)},
};

// ---- CenterRows: y = x - the mean of its row; dx = the same of gy ----
// A row has all axes from attributes.axis on.
int64_t RowLength(const Shape& shape, const Attributes& attributes) {
  return Shape(shape.dims().subspan(attributes.axis)).elements();
}
constexpr OpDef kCenterRows = {
    .name = "CenterRows",
    .operands = {"x"},
    .shape = RowsRule,
    .gradient = [](absl::Span<const Var>, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {CenterRows(gy, attributes.axis)};
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          const int64_t length = RowLength(y.shape(), attributes);
          for (int64_t i = 0; i < y.elements(); i += length) {
            const auto row = x[0].values<double>().subspan(i, length);
            double sum = 0;
            for (double each : row) sum += each;
            for (int64_t k = 0; k < length; ++k) {
              y.values<double>()[i + k] =
                  row[k] - sum / static_cast<double>(length);
            }
          }
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const Shape& shape = spec.output.shape;
      const int64_t length = RowLength(shape, spec.attributes);
      const int64_t rows = length == 0 ? 0 : shape.elements() / length;
      return MakeRangesKernel(
          rows, 2 * spec.output.bytes(),
          [length](const KernelArguments& arguments, int64_t begin,
                   int64_t end) {
            vector::CenterRows(
                static_cast<const float*>(arguments.inputs[0]) + begin * length,
                end - begin, length,
                static_cast<float*>(arguments.outputs[0]) + begin * length);
          });
    },
    .rows =
        [](const RowQuery& query) {
          return query.attributes.axis > 0 ? RowRole::kApart : RowRole::kMixed;
        },
};

// ---- ScaleTo: y = 2^floor(log2 max |x|), within 2^-126 … 2^126 ----
constexpr OpDef kScaleTo = {
    .name = "ScaleTo",
    .operands = {"x"},
    .shape = ReductionRule,
    .gradient = ZeroGradient,
    .reference =
        [](const Attributes&, absl::Span<const Tensor> x, Tensor& y) {
          ForEachBroadcast(x[0].shape(), {y.shape()},
                           [&](int64_t i, absl::Span<const int64_t> at) {
                             double& most = y.values<double>()[at[0]];
                             const double size =
                                 std::fabs(x[0].values<double>()[i]);
                             if (size > most) most = size;
                           });
          for (double& most : y.values<double>()) {
            const double limited = std::clamp(most, 0x1p-126, 0x1p126);
            most = std::exp2(std::floor(std::log2(limited)));
          }
        },
    .kernel = MakeSumKernel<SumForm::kScale>,
    .rows = RowsOfReduction<false>,
    .traits = {.in_pieces = InPieces(SumForm::kScale)},
};

// ---- What is composed ----

constexpr Composite kVariance = {
    .name = "Variance",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (!(attributes.value >= 0) || !std::isfinite(attributes.value)) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected a finite correction of at least 0, found ",
                         attributes.value));
      }
      return SameAsFloatInput(x, attributes);
    }};

constexpr Composite kNorm = {
    .name = "Norm",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const double order = attributes.value;
      if (order != 1 && order != 2 &&
          order != std::numeric_limits<double>::infinity()) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected order 1, 2 or infinity, found ", order));
      }
      return SameAsFloatInput(x, attributes);
    }};

// The shape of x with the given axes (none: all) kept as 1, dropped, and alone.
absl::StatusOr<Reduced> Reduce(const TensorType& x,
                               absl::Span<const int> axes) {
  if (absl::Status status = ExpectFloat32(x); !status.ok()) return status;
  const Shape& shape = x.shape;
  std::vector<bool> reduced(shape.rank(), axes.empty());
  for (int axis : axes) {
    const absl::StatusOr<int> resolved = ResolveAxis(axis, shape.rank());
    if (!resolved.ok()) return resolved.status();
    if (reduced[*resolved]) {
      return absl::InvalidArgumentError(
          absl::StrCat("axis ", axis, " is given twice"));
    }
    reduced[*resolved] = true;
  }
  absl::InlinedVector<int64_t, 4> kept, dropped, gone;
  Reduced over;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (reduced[axis]) over.axes.push_back(axis);
    kept.push_back(reduced[axis] ? 1 : shape[axis]);
    (reduced[axis] ? gone : dropped).push_back(shape[axis]);
  }
  over.kept = Shape(kept);
  over.dropped = Shape(dropped);
  over.gone = Shape(gone);
  return over;
}

}  // namespace

std::optional<Reduced> CheckReduction(absl::string_view name, Var x,
                                      absl::Span<const int> axes, Loc loc) {
  absl::StatusOr<Reduced> over = Reduce(x.type(), axes);
  if (over.ok()) return *std::move(over);
  x.graph()->ReportError(loc, name,
                         absl::StrCat(over.status().message(), " (x ",
                                      x.graph()->Describe(x.id()), ")"));
  return std::nullopt;
}

Var KeepOrDrop(Var y, const Reduced& over, Axes reduced, Loc loc) {
  return reduced == Axes::kKeep ? y : Reshape(y, over.dropped, loc);
}

Var ReduceEach(const OpDef& op, Var x, absl::Span<const int> axes, Axes reduced,
               Loc loc) {
  if (!x.valid()) return x;
  const Var mistake(x.graph(), kNone);
  const std::optional<Reduced> over = CheckReduction(op.name, x, axes, loc);
  if (!over.has_value()) return mistake;
  // All axes before the first node, so that an error tells of x itself, by the
  // axis that the caller gave if it is the only one.
  const auto attributes = [&](int axis) {
    return Attributes{.axis = axes.size() == 1 ? axes[0] : axis};
  };
  for (int axis : over->axes) {
    if (!x.graph()->Infer(op, {x}, attributes(axis), loc).has_value()) {
      return mistake;
    }
  }
  Var y = x;
  for (size_t i = over->axes.size(); i-- > 0;) {
    y = Append(op, {y}, attributes(over->axes[i]), loc);
  }
  return KeepOrDrop(y, *over, reduced, loc);
}

Var ElementCount(Graph* graph, Shape shape, Loc loc) {
  if (graph == nullptr) return Var::WithoutGraph("ElementCount", loc);
  return graph->Append(kElementCount, {}, {.shape = std::move(shape)}, loc);
}

// ---- Sum: y = the sum of x over some axes; dx = gy, repeated ----
Var Sum(Var x, absl::Span<const int> axes, Axes reduced, Loc loc) {
  if (!x.valid()) return x;
  const std::optional<Reduced> over = CheckReduction("Sum", x, axes, loc);
  if (!over.has_value()) return Var(x.graph(), kNone);
  return KeepOrDrop(SumTo(x, over->kept, loc), *over, reduced, loc);
}

// ---- Mean: y = Sum(x) / n, n elements to a sum; dx = gy / n, repeated ----
Var Mean(Var x, absl::Span<const int> axes, Axes reduced, Loc loc) {
  if (!x.valid()) return x;
  const std::optional<Reduced> over = CheckReduction("Mean", x, axes, loc);
  if (!over.has_value()) return Var(x.graph(), kNone);
  const Var count = ElementCount(x.graph(), over->gone, loc);
  return KeepOrDrop(Append(kMeanTo, {x, count}, {.shape = over->kept}, loc),
                    *over, reduced, loc);
}

Centered Center(Var x, const Shape& kept, Var count) {
  const Var parts = Append(kMeanParts, {x, count}, {.shape = WithParts(kept)},
                           Loc::Current());
  const Var mean = PartOf(parts, 0, kept);
  return {mean, (x - mean) - StopGradient(PartOf(parts, 1, kept))};
}

Var CenterRows(Var x, int first) {
  return Append(kCenterRows, {x}, {.axis = first}, Loc::Current());
}

Var MeanSquare(Var x, const Shape& kept, Var count) {
  return Append(kMeanSquareTo, {x, count}, {.shape = kept}, Loc::Current());
}

// ---- Variance: y = Sum((x - Mean(x))^2) / (n - correction) ----
Var Variance(Var x, absl::Span<const int> axes, VarianceOptions options,
             Loc loc) {
  const CompositeScope variance(kVariance, {x}, loc,
                                {.value = options.correction});
  if (!variance.ok()) return variance.mistake();
  const std::optional<Reduced> over = CheckReduction("Variance", x, axes, loc);
  if (!over.has_value()) return variance.mistake();
  const Var count = ElementCount(x.graph(), over->gone);
  const bool of_rows =
      !over->axes.empty() &&
      over->axes.front() + static_cast<int>(over->axes.size()) ==
          x.shape().rank();
  const Var from_mean = of_rows ? CenterRows(x, over->axes.front())
                                : Center(x, over->kept, count).from_mean;
  const Var square =
      MeanSquare(from_mean, over->kept,
                 options.correction == 0 ? count : count - options.correction);
  return KeepOrDrop(square, *over, options.reduced, loc);
}

// ---- Norm: y = Sum(|x|), sqrt(Sum(x^2)) or Max(|x|) ----
Var Norm(Var x, absl::Span<const int> axes, NormOptions options, Loc loc) {
  const CompositeScope norm(kNorm, {x}, loc, {.value = options.order});
  if (!norm.ok()) return norm.mistake();
  const std::optional<Reduced> over = CheckReduction("Norm", x, axes, loc);
  if (!over.has_value()) return norm.mistake();
  if (options.order == 1) {
    return KeepOrDrop(SumTo(Abs(x), over->kept), *over, options.reduced, loc);
  }
  if (options.order != 2) return Max(Abs(x), axes, options.reduced, loc);
  const Var one = Fill(x.graph(), {}, 1);
  return KeepOrDrop(Append(kNormTo, {x, one}, {.shape = over->kept}, loc),
                    *over, options.reduced, loc);
}

// ---- ScaledNorm: Norm(x) = scale ratio ----
ScaledNorm NormWithScale(Var x, absl::Span<const int> axes, Loc loc) {
  if (!x.valid()) return {x, x};
  const std::optional<Reduced> over = CheckReduction("NormParts", x, axes, loc);
  if (!over.has_value()) {
    const Var mistake(x.graph(), kNone);
    return {mistake, mistake};
  }
  const Shape& norms = axes.empty() ? Shape() : over->kept;
  const Var parts = Append(kNormParts, {x}, {.shape = WithParts(norms)}, loc);
  return {PartOf(parts, 0, norms, loc), PartOf(parts, 1, norms, loc)};
}

Var NormScale(Var x, absl::Span<const int> axes, Loc loc) {
  if (!x.valid()) return x;
  const std::optional<Reduced> over = CheckReduction("ScaleTo", x, axes, loc);
  if (!over.has_value()) return Var(x.graph(), kNone);
  const Shape& shape = axes.empty() ? Shape() : over->kept;
  return Append(kScaleTo, {x}, {.shape = shape}, loc);
}

Var NormOverScale(Var x, Var scale, Loc loc) {
  if (!x.valid() || !scale.valid()) return x.valid() ? scale : x;
  return Append(kNormTo, {x, scale}, {.shape = scale.shape()}, loc);
}

absl::Span<const OpDef* const> OpsOfReduce() {
  static constexpr const OpDef* kOps[] = {
      &kElementCount, &kMeanTo,    &kMeanSquareTo, &kNormTo,
      &kMeanParts,    &kNormParts, &kCenterRows,   &kScaleTo};
  return kOps;
}

}  // namespace tape
