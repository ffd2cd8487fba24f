// ReadBytes (passes.h). Tested by tests/compiler/read_bytes_test.cc.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "framework/compiler/passes.h"

namespace tape {
namespace {

// value * float(bytes).
struct ScaledBytes {
  int bytes;  // The node.
  double value;
};

// What node `id` is as a product of a number and bytes that `cast` makes floats.
std::optional<ScaledBytes> ScaledBytesOf(const Program& program, int id,
                                         const OpDef* cast) {
  double value = 1;
  const Node& node = program[id];
  if (node.op->traits.elementwise &&
      node.op->traits.linearity == Linearity::kBilinear) {
    const int number = program[node.inputs[0]].op->traits.uniform ? 0 : 1;
    const Node& factor = program[node.inputs[number]];
    const int other = node.inputs[1 - number];
    if (!factor.op->traits.uniform || !(program[other].type == node.type)) {
      return std::nullopt;
    }
    std::vector<double> inputs = {1, 1};
    inputs[number] = AsInRun(factor.type.dtype, factor.attributes.value);
    value = ReferenceOfOne(node, inputs);
    id = other;
  }
  const Node& floats = program[id];
  if (floats.op != cast || floats.type.dtype != DType::kFloat32 ||
      program[floats.inputs[0]].type.dtype != DType::kUint8) {
    return std::nullopt;
  }
  return ScaledBytes{floats.inputs[0], value};
}

// What the node's first input is as bytes, if the node can read them.
std::optional<ScaledBytes> BytesReadBy(const Program& program,
                                       const Node& node) {
  const Traits& traits = node.op->traits;
  if (traits.of_bytes == nullptr || traits.side_effects) return std::nullopt;
  const std::optional<ScaledBytes> scaled =
      ScaledBytesOf(program, node.inputs[0], traits.low_precision.cast);
  if (!scaled.has_value()) return std::nullopt;
  absl::InlinedVector<TensorType, 3> types;
  for (int input : node.inputs) types.push_back(program[input].type);
  if (!traits.of_bytes->pays(types, node.attributes)) return std::nullopt;
  return scaled;
}

}  // namespace

Program ReadBytes(Program program) {
  std::vector<std::optional<ScaledBytes>> read;  // By each node.
  // Whether something else reads a node's floats, which must be made then.
  std::vector<bool> is_needed(program.size(), false);
  for (const Node& node : program.nodes) {
    read.push_back(BytesReadBy(program, node));
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (i > 0 || !read.back().has_value()) is_needed[node.inputs[i]] = true;
    }
  }
  for (int fetch : program.fetches) is_needed[fetch] = true;
  for (const Program::Update& update : program.updates) {
    is_needed[update.value] = true;
  }
  for (int id = 0; id < program.size(); ++id) {
    Node& node = program.nodes[id];
    if (!read[id].has_value() || is_needed[node.inputs[0]]) continue;
    node.op = node.op->traits.of_bytes->op;
    node.inputs[0] = read[id]->bytes;
    node.attributes.value = read[id]->value;
  }
  return program;
}

}  // namespace tape
