// Shape rules and choices of kernels that several ops share.
#ifndef TAPE_OPS_RULES_H_
#define TAPE_OPS_RULES_H_

#include <initializer_list>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/core/floating_point.h"
#include "framework/core/graph.h"

namespace tape {

// `shape` with another length along an axis that it has.
Shape WithLength(const Shape& shape, int axis, int64_t length);

// An error unless `type` is float32.
absl::Status ExpectFloat32(const TensorType& type);

// Cast (compare.cc), which other ops name in their traits.
extern const OpDef kCast;
// Transpose (transpose.cc), which products take in.
extern const OpDef kTranspose;
// MatMul of more than two axes (batch_matmul.cc).
extern const OpDef kBatchMatMul;
// The rule of products (matmul.cc) that take in a transpose.
Simplification SimplifyTransposed(const SimplifyQuery& query);

// The shape of the first input, which must be float32.
absl::StatusOr<TensorType> SameAsFloatInput(absl::Span<const TensorType> inputs,
                                            const Attributes& attributes);

// The same, of rows: all axes from attributes.axis on, which counts from the
// front and may be the rank.
absl::StatusOr<TensorType> RowsRule(absl::Span<const TensorType> inputs,
                                    const Attributes& attributes);

// The shape of all inputs broadcast together. All must have one dtype, float32
// or int32, which is the output's.
absl::StatusOr<TensorType> BroadcastNumbers(absl::Span<const TensorType> inputs,
                                            const Attributes& attributes);
// The same for float32 alone.
absl::StatusOr<TensorType> BroadcastFloats(absl::Span<const TensorType> inputs,
                                           const Attributes& attributes);

// The shape of two inputs, both float32, which must be the same.
absl::StatusOr<TensorType> SameFloats(absl::Span<const TensorType> inputs,
                                      const Attributes& attributes);

// An error unless `type` is float32 and its last axis has at least one element.
absl::Status ExpectLastAxis(const TensorType& type);

// The one block there is.
template <const Block& block>
Block Only(absl::Span<const DType>, DType) {
  return block;
}
// One block for float32, another for int32.
template <const Block& for_float, const Block& for_int>
Block ByDType(absl::Span<const DType> inputs, DType) {
  return inputs[0] == DType::kInt32 ? for_int : for_float;
}

// The gradient rule of what is constant wherever it has a derivative.
inline Adjoints ZeroGradient(absl::Span<const Var>, Var, Var,
                             const Attributes&) {
  return {};
}

// What is composed of other ops: only its name, operands and shape rule are
// used, to refuse as an op of that name would.
using Composite = const OpDef;

// The declaration of a composite. While it lives, what is appended bears the
// line of the call, unless a scope that is open already has another.
class CompositeScope {
 public:
  CompositeScope(Composite& op, std::initializer_list<Var> operands, Loc loc,
                 const Attributes& attributes = {});
  // False if the operands are refused; the result then is `mistake`.
  bool ok() const { return scope_.has_value(); }
  Var mistake() const { return graph_ == nullptr ? Var() : Var(graph_, kNone); }

 private:
  FloatingPointScope environment_;  // Composites compute constants.
  Graph* graph_;
  std::optional<Graph::LocScope> scope_;
};

// A number that broadcasts to x's shape, of its dtype.
Var Constant(Var x, double value);

// e^(-scale x^2), for a scale of 1/2 or 1 (elementwise.cc).
Var Gaussian(Var x, double scale);
// The derivative of Sigmoid at x (activation.cc).
Var SigmoidSlope(Var x);

}  // namespace tape

#endif  // TAPE_OPS_RULES_H_
