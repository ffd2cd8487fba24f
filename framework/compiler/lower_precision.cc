// LowerPrecision (lower_precision.h). Tested by tests/compiler/lower_precision_test.cc.
#include "framework/compiler/lower_precision.h"

#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"

namespace tape {
namespace {

// How many inputs of the node are to be read as bfloat16: all that can be, or
// none.
int LowInputs(const Program& program, const Node& node) {
  const int inputs = node.op->traits.low_precision.inputs;
  for (int i = 0; i < inputs; ++i) {
    if (program[node.inputs[i]].type.dtype != DType::kFloat32) return 0;
  }
  return inputs;
}

}  // namespace

absl::Status CheckMachine(const Program& program, Precision precision) {
  for (const Node& node : program.nodes) {
    if (node.op->machine == nullptr) continue;
    absl::InlinedVector<TensorType, 3> types;
    for (int input : node.inputs) types.push_back(program[input].type);
    if (precision == Precision::kBFloat16) {
      const int low = LowInputs(program, node);
      for (int i = 0; i < low; ++i) types[i].dtype = DType::kBFloat16;
    }
    const absl::Status status = CallOf(node, "rule for machines",
                                       [&] { return node.op->machine(types); });
    if (status.ok()) continue;
    return absl::Status(status.code(),
                        absl::StrCat(node.loc.ToString(), ": ", node.op->name,
                                     ": ", status.message()));
  }
  return absl::OkStatus();
}

Program LowerPrecision(Program program) {
  Program result;
  std::vector<int> new_id(program.size(), kNone);
  std::vector<int> rounded(program.size(), kNone);  // By old ids.
  for (int id = 0; id < program.size(); ++id) {
    Node node = program[id];
    const int low = LowInputs(program, node);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const int input = node.inputs[i];
      node.inputs[i] = new_id[input];
      if (static_cast<int>(i) >= low) continue;
      if (rounded[input] == kNone) {
        Node cast{.op = node.op->traits.low_precision.cast,
                  .inputs = {new_id[input]},
                  .attributes = {.dtype = DType::kBFloat16},
                  .type = {DType::kBFloat16, program[input].type.shape},
                  .loc = program[input].loc};
        rounded[input] = result.size();
        result.nodes.push_back(std::move(cast));
        result.tape_ids.push_back(kNone);
      }
      node.inputs[i] = rounded[input];
    }
    new_id[id] = result.size();
    result.nodes.push_back(std::move(node));
    result.tape_ids.push_back(program.tape_ids[id]);
  }
  for (int fetch : program.fetches) result.fetches.push_back(new_id[fetch]);
  for (const Program::Update& update : program.updates) {
    result.updates.push_back({update.variable, new_id[update.value]});
  }
  return result;
}

}  // namespace tape
