// Shapes (ops.h). Tested by tests/ops/op_test.cc through the sample table.
#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/op_lists.h"
#include "ops/ops.h"
#include "ops/rules.h"

namespace tape {
namespace {

// How many elements a shape has: `number` times the batch size to the power
// `batches`.
struct Size {
  int64_t number = 1;
  int batches = 0;
  friend bool operator==(const Size&, const Size&) = default;
};

Size SizeOf(const Shape& shape) {
  Size size;
  for (int64_t dim : shape.dims()) {
    if (dim == kBatch) {
      ++size.batches;
    } else {
      size.number *= dim;
    }
  }
  return size;
}

// ---- Reshape: y = x under another shape; dx = gy under x's ----
constexpr OpDef kReshape = {
    .name = "Reshape",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (!attributes.shape.is_valid() ||
          !(SizeOf(x[0].shape) == SizeOf(attributes.shape))) {
        return absl::InvalidArgumentError(
            absl::StrCat("shape ", x[0].shape.ToString(),
                         " does not have as many elements as shape ",
                         attributes.shape.ToString()));
      }
      return TensorType{x[0].dtype, attributes.shape};
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy, const Attributes&)
        -> Adjoints { return {Reshape(gy, x[0].shape())}; },
    .reference =
        [](const Attributes&, absl::Span<const Tensor> x, Tensor& y) {
          std::copy(x[0].values<double>().begin(), x[0].values<double>().end(),
                    y.values<double>().begin());
        },
    .simplify = SimplifyRetyping,
    .traits = {.view = true},
};

// ---- What is another shape by rule ----

// attributes.axis: the first axis of those that become one.
constexpr Composite kFlatten = {
    .name = "Flatten",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const Shape& shape = x[0].shape;
      // One past the last axis, there is none to flatten.
      const auto first = attributes.axis == shape.rank()
                             ? absl::StatusOr<int>(shape.rank())
                             : ResolveAxis(attributes.axis, shape.rank());
      if (!first.ok()) return first.status();
      const Size size = SizeOf(Shape(shape.dims().subspan(*first)));
      if (size.batches > 1 || (size.batches == 1 && size.number != 1)) {
        return absl::InvalidArgumentError(
            absl::StrCat("no number, nor batch, is the product of the axes of ",
                         shape.ToString(), " from axis ", *first, " on"));
      }
      absl::InlinedVector<int64_t, 4> dims(shape.dims().begin(),
                                           shape.dims().begin() + *first);
      dims.push_back(size.batches == 1 ? kBatch : size.number);
      return TensorType{x[0].dtype, Shape(dims)};
    }};

// attributes.axes: those to drop.
constexpr Composite kSqueeze = {
    .name = "Squeeze",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const Shape& shape = x[0].shape;
      absl::InlinedVector<bool, 4> gone(shape.rank(), false);
      for (int axis : attributes.axes) {
        const auto at = ResolveAxis(axis, shape.rank());
        if (!at.ok()) return at.status();
        if (shape[*at] != 1 || gone[*at]) {
          return absl::InvalidArgumentError(
              gone[*at] ? absl::StrCat("axis ", axis, " is given twice")
                        : absl::StrCat("expected 1 along axis ", axis,
                                       ", found ", DimText(shape[*at])));
        }
        gone[*at] = true;
      }
      absl::InlinedVector<int64_t, 4> dims;
      for (int axis = 0; axis < shape.rank(); ++axis) {
        const bool drop =
            attributes.axes.empty() ? shape[axis] == 1 : gone[axis];
        if (!drop) dims.push_back(shape[axis]);
      }
      return TensorType{x[0].dtype, Shape(dims)};
    }};

// attributes.axis: of the result.
constexpr Composite kExpandDims = {
    .name = "ExpandDims",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const Shape& shape = x[0].shape;
      const auto at = ResolveAxis(attributes.axis, shape.rank() + 1);
      if (!at.ok()) return at.status();
      absl::InlinedVector<int64_t, 4> dims(shape.dims().begin(),
                                           shape.dims().end());
      dims.insert(dims.begin() + *at, 1);
      return TensorType{x[0].dtype, Shape(dims)};
    }};

// x under the shape that `op` gives it.
Var Reshaped(Composite& op, Var x, const Attributes& attributes, Loc loc) {
  const CompositeScope reshaped(op, {x}, loc, attributes);
  if (!reshaped.ok()) return reshaped.mistake();
  return Reshape(x, op.shape({x.type()}, attributes)->shape, loc);
}

}  // namespace

Var Flatten(Var x, int first, Loc loc) {
  return Reshaped(kFlatten, x, {.axis = first}, loc);
}
Var Squeeze(Var x, absl::Span<const int> axes, Loc loc) {
  Attributes attributes;
  attributes.axes.assign(axes.begin(), axes.end());
  return Reshaped(kSqueeze, x, attributes, loc);
}
Var ExpandDims(Var x, int axis, Loc loc) {
  return Reshaped(kExpandDims, x, {.axis = axis}, loc);
}

Var Reshape(Var x, Shape shape, Loc loc) {
  if (x.valid() && x.shape() == shape) return x;
  return Append(kReshape, {x}, {.shape = std::move(shape)}, loc);
}

absl::Span<const OpDef* const> OpsOfLayout() {
  static constexpr const OpDef* kOps[] = {&kReshape};
  return kOps;
}

}  // namespace tape
