// The references' interpreter: what a graph means, slowly and in double.
//
// It is the oracle that kernels, fusion and gradients are tested against, and
// lets a user check any graph of their own (gradient_check.h). Nothing of the
// compiler is used. Tested by tests/core/reference_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_REFERENCE_H_
#define TAPE_FRAMEWORK_CORE_REFERENCE_H_

#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/core/op.h"
#include "framework/core/tensor.h"

namespace tape {

// Numbers for a source. A variable may be given other numbers than it holds.
using ReferenceFeeds = std::vector<std::pair<Var, Tensor>>;

// Sees, and may change, the numbers that EvaluateReference computes with: what
// the errors of a machine do to a graph is found by adding such errors. A change
// of a tensor's type is an error.
class ReferenceObserver {
 public:
  virtual ~ReferenceObserver() = default;
  // The value of node `operand`, about to be read by node `reader`. A change is
  // for this reading alone.
  virtual void OnOperand(int /*reader*/, int /*operand*/, Tensor& /*value*/) {}
  // The value of a node that has just been computed.
  virtual void OnResult(int /*node*/, Tensor& /*value*/) {}
};

// The values of `fetches`, as float64 tensors, computed by each op's reference.
// Every input that they depend on must be in `feeds` (of any dtype, of its
// shape with kBatch one and the same number); variables have the values they
// hold unless fed. An error names the fetch or input that is missing or does
// not fit, or the op that refuses the batch size.
//
// Denormals are kept. The caller's floating-point environment does not matter.
//
// What is in `held`, any nodes of the graph, each but once, has these values
// (float64, of the node's bound shape) and is not computed. What differs between
// training and inference (ByMode) has the form of `mode`.
absl::StatusOr<std::vector<Tensor>> EvaluateReference(
    absl::Span<const Var> fetches, const ReferenceFeeds& feeds = {},
    const ReferenceFeeds& held = {}, ReferenceObserver* observer = nullptr,
    Loc loc = Loc::Current(), Mode mode = Mode::kInference);

// `value` in the range of int32, modulo 2^32: for OpDef::integer_reference.
inline double WrapToInt32(int64_t value) {
  return static_cast<int32_t>(static_cast<uint32_t>(value));
}

// `tensor` with its elements as doubles.
Tensor ToFloat64(const TensorView& tensor);

// For writing references: calls visit(i, at) for each element i of `shape` in
// row-major order, where at[k] is the element of a tensor of shape operands[k]
// that broadcasting puts there. Each operand must broadcast to `shape`.
template <typename Visit>
void ForEachBroadcast(const Shape& shape, std::vector<Shape> operands,
                      Visit visit) {
  const int rank = shape.rank();
  const size_t count = operands.size();
  // How far an operand moves in memory for a step along an axis: 0 where it is
  // stretched.
  std::vector<absl::InlinedVector<int64_t, 4>> strides(count);
  for (size_t k = 0; k < count; ++k) {
    strides[k].assign(rank, 0);
    int64_t stride = 1;
    for (int back = 1; back <= operands[k].rank(); ++back) {
      const int64_t dim = operands[k][operands[k].rank() - back];
      if (dim != 1) strides[k][rank - back] = stride;
      stride *= dim;
    }
  }
  absl::InlinedVector<int64_t, 4> index(rank, 0);
  absl::InlinedVector<int64_t, 3> at(count, 0);
  const int64_t elements = shape.elements();
  for (int64_t i = 0; i < elements; ++i) {
    visit(i, absl::MakeConstSpan(at));
    for (int axis = rank; axis-- > 0;) {  // Add one to the index, with carry.
      for (size_t k = 0; k < count; ++k) at[k] += strides[k][axis];
      if (++index[axis] < shape[axis]) break;
      for (size_t k = 0; k < count; ++k) {
        at[k] -= strides[k][axis] * shape[axis];
      }
      index[axis] = 0;
    }
  }
}

// The reference of an elementwise op of one to three inputs, from its formula:
// f(x, …) or f(attributes, x, …).
template <auto f>
void MapReference(const Attributes& attributes, absl::Span<const Tensor> inputs,
                  Tensor& output) {
  std::vector<Shape> shapes;
  for (const Tensor& input : inputs) shapes.push_back(input.shape());
  const auto y = output.values<double>();
  ForEachBroadcast(
      output.shape(), shapes, [&](int64_t i, absl::Span<const int64_t> at) {
        const auto x = [&](int k) { return inputs[k].values<double>()[at[k]]; };
        using F = decltype(f);
        if constexpr (std::is_invocable_v<F, double>) {
          y[i] = f(x(0));
        } else if constexpr (std::is_invocable_v<F, double, double>) {
          y[i] = f(x(0), x(1));
        } else if constexpr (std::is_invocable_v<F, double, double, double>) {
          y[i] = f(x(0), x(1), x(2));
        } else if constexpr (std::is_invocable_v<F, const Attributes&,
                                                 double>) {
          y[i] = f(attributes, x(0));
        } else {
          y[i] = f(attributes, x(0), x(1));
        }
      });
}

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_REFERENCE_H_
