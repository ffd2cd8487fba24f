// Shape rules that several ops share (rules.h). Tested by tests/ops/op_test.cc
// through the sample table.
#include "ops/rules.h"

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/basic_ops.h"

namespace tape {

Shape WithLength(const Shape& shape, int axis, int64_t length) {
  absl::InlinedVector<int64_t, 4> dims(shape.dims().begin(),
                                       shape.dims().end());
  dims[*ResolveAxis(axis, shape.rank())] = length;
  return Shape(dims);
}

absl::Status ExpectFloat32(const TensorType& type) {
  if (type.dtype == DType::kFloat32) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("expected float32, found ", Name(type.dtype)));
}

absl::StatusOr<TensorType> SameAsFloatInput(absl::Span<const TensorType> inputs,
                                            const Attributes&) {
  if (absl::Status status = ExpectFloat32(inputs[0]); !status.ok()) {
    return status;
  }
  return inputs[0];
}

absl::StatusOr<TensorType> RowsRule(absl::Span<const TensorType> inputs,
                                    const Attributes& attributes) {
  if (attributes.axis < 0 || attributes.axis > inputs[0].shape.rank()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected rows from an axis of ", inputs[0].shape.ToString(),
        " on, found axis ", attributes.axis));
  }
  return SameAsFloatInput(inputs, attributes);
}

absl::StatusOr<TensorType> BroadcastNumbers(absl::Span<const TensorType> inputs,
                                            const Attributes&) {
  const DType dtype = inputs[0].dtype;
  if (dtype != DType::kFloat32 && dtype != DType::kInt32) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected float32 or int32, found ", Name(dtype)));
  }
  Shape shape = inputs[0].shape;
  for (const TensorType& input : inputs) {
    if (input.dtype != dtype) {
      return absl::InvalidArgumentError(absl::StrCat(
          "dtypes ", Name(dtype), " and ", Name(input.dtype), " differ"));
    }
    absl::StatusOr<Shape> both = Broadcast(shape, input.shape);
    if (!both.ok()) return both.status();
    shape = *both;
  }
  return TensorType{dtype, shape};
}

absl::StatusOr<TensorType> BroadcastFloats(absl::Span<const TensorType> inputs,
                                           const Attributes& attributes) {
  for (const TensorType& input : inputs) {
    if (absl::Status status = ExpectFloat32(input); !status.ok()) return status;
  }
  return BroadcastNumbers(inputs, attributes);
}

absl::StatusOr<TensorType> SameFloats(absl::Span<const TensorType> inputs,
                                      const Attributes&) {
  for (const TensorType& input : inputs) {
    if (absl::Status status = ExpectFloat32(input); !status.ok()) return status;
    if (!(input.shape == inputs[0].shape)) {
      return absl::InvalidArgumentError(
          absl::StrCat("shapes ", inputs[0].shape.ToString(), " and ",
                       input.shape.ToString(), " differ"));
    }
  }
  return inputs[0];
}

absl::Status ExpectLastAxis(const TensorType& type) {
  if (absl::Status status = ExpectFloat32(type); !status.ok()) return status;
  const Shape& shape = type.shape;
  if (shape.rank() == 0 || shape[shape.rank() - 1] == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a last axis of at least one element, found ",
                     "shape ", shape.ToString()));
  }
  return absl::OkStatus();
}

CompositeScope::CompositeScope(Composite& op,
                               std::initializer_list<Var> operands, Loc loc,
                               const Attributes& attributes)
    : graph_(GraphOf(operands)) {
  if (graph_ == nullptr) return;
  if (!graph_->Infer(op, operands, attributes, loc).has_value()) return;
  scope_.emplace(graph_, graph_->loc_scope().line > 0 ? Loc() : loc);
}

Var Constant(Var x, double value) {
  return Fill(x.graph(), {}, value, x.dtype());
}

}  // namespace tape
