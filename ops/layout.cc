// Shapes (ops.h). Tested by tests/op_test.cc through the sample table.
#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/ops.h"

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

}  // namespace

Var Reshape(Var x, Shape shape, Loc loc) {
  if (x.valid() && x.shape() == shape) return x;
  return Append(kReshape, {x}, {.shape = std::move(shape)}, loc);
}

}  // namespace tape
