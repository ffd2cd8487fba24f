// Reductions that are made of sums (ops.h), which are the framework's SumTo,
// and what all reductions share (reduce.h). Tested by tests/op_test.cc through
// the sample table.
#include "ops/reduce.h"

#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/ops.h"
#include "ops/rules.h"

namespace tape {
namespace {

class ElementCountKernel : public Kernel {
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
  return Div(KeepOrDrop(SumTo(x, over->kept, loc), *over, reduced, loc),
             ElementCount(x.graph(), over->gone, loc), loc);
}

// ---- Variance: y = Sum((x - Mean(x))^2) / (n - correction) ----
Var Variance(Var x, absl::Span<const int> axes, VarianceOptions options,
             Loc loc) {
  const Composing variance(kVariance, {x}, loc, {.value = options.correction});
  if (!variance.ok()) return variance.mistake();
  const std::optional<Reduced> over = CheckReduction("Variance", x, axes, loc);
  if (!over.has_value()) return variance.mistake();
  const Var count = ElementCount(x.graph(), over->gone);
  const Var from_mean = x - SumTo(x, over->kept) / count;
  const Var sum = SumTo(Square(from_mean), over->kept);
  return KeepOrDrop(sum, *over, options.reduced, loc) /
         (options.correction == 0 ? count : count - options.correction);
}

// ---- Norm: y = Sum(|x|), sqrt(Sum(x^2)) or Max(|x|) ----
Var Norm(Var x, absl::Span<const int> axes, NormOptions options, Loc loc) {
  const Composing norm(kNorm, {x}, loc, {.value = options.order});
  if (!norm.ok()) return norm.mistake();
  const std::optional<Reduced> over = CheckReduction("Norm", x, axes, loc);
  if (!over.has_value()) return norm.mistake();
  if (options.order == 1) {
    return KeepOrDrop(SumTo(Abs(x), over->kept), *over, options.reduced, loc);
  }
  if (options.order != 2) return Max(Abs(x), axes, options.reduced, loc);
  const Var sum =
      KeepOrDrop(SumTo(Square(x), over->kept), *over, options.reduced, loc);
  // The root's derivative at 0 would be infinite, and the norm's NaN. A choice
  // on either side keeps it away from all derivatives.
  const Var is_zero = Equal(sum, Constant(sum, 0));
  return Select(is_zero, Constant(sum, 0),
                Sqrt(Select(is_zero, Constant(sum, 1), sum)));
}

}  // namespace tape
