// The op contract's rules that several ops share (op.h). Tested by
// tests/compiler/simplify_test.cc.
#include "framework/core/op.h"

#include <bit>
#include <cstdint>

#include "framework/core/exceptions.h"

namespace tape {

bool SimplifyQuery::Input::IsAll(double value) const {
  return op->traits.uniform && std::bit_cast<uint64_t>(attributes.value) ==
                                   std::bit_cast<uint64_t>(value);
}

absl::StatusOr<TensorType> TypeOf(const OpDef& op,
                                  absl::Span<const TensorType> inputs,
                                  const Attributes& attributes) {
  try {
    return op.shape(inputs, attributes);
  } catch (...) {
    return CaughtStatus("its shape rule");
  }
}

Simplification SimplifyIdempotent(const SimplifyQuery& query) {
  if (query.inputs[0].op != query.op) return {};
  return {Simplification::kInput, 0};
}

Simplification SimplifyInvolution(const SimplifyQuery& query) {
  if (query.inputs[0].op != query.op) return {};
  return {Simplification::kInputOfInput, 0};
}

Simplification SimplifyRetyping(const SimplifyQuery& query) {
  if (query.inputs[0].type == query.output) return {Simplification::kInput, 0};
  if (query.inputs[0].op != query.op) return {};
  return {Simplification::kWithoutInput, 0};
}

}  // namespace tape
