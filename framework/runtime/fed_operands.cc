// Fed operands (fed_operands.h). Tested by tests/ops/loss_test.cc.
#include "framework/runtime/fed_operands.h"

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"

namespace tape {

std::vector<FedOperand> FindFedOperands(const Program& program) {
  std::vector<FedOperand> operands;
  std::map<int, int> fed_of_node;
  for (int input : program.Inputs()) {
    fed_of_node.emplace(input, static_cast<int>(fed_of_node.size()));
  }
  for (const Node& node : program.nodes) {
    if (node.op->refuses == nullptr) continue;
    std::vector<TensorType> types;
    for (int input : node.inputs) types.push_back(program[input].type);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      int from = node.inputs[i];
      while (program[from].op->traits.view) from = program[from].inputs[0];
      const auto fed = fed_of_node.find(from);
      if (fed == fed_of_node.end()) continue;
      // A loss and its derivative take the same labels: one look is enough.
      const FedOperand operand = {node, types, static_cast<int>(i),
                                  fed->second};
      const bool is_known = std::any_of(
          operands.begin(), operands.end(), [&](const FedOperand& other) {
            return other.node.op->refuses == node.op->refuses &&
                   other.node.attributes == node.attributes &&
                   other.inputs == types && other.operand == operand.operand &&
                   other.fed == operand.fed;
          });
      if (!is_known) operands.push_back(operand);
    }
  }
  return operands;
}

absl::Status CheckFed(absl::Span<const FedOperand> operands,
                      absl::Span<const void* const> fed) {
  for (const FedOperand& operand : operands) {
    const TensorView value(operand.inputs[operand.operand], fed[operand.fed]);
    const std::string wrong = CallOf(operand.node, "rule for fed numbers", [&] {
      return operand.node.op->refuses({.attributes = operand.node.attributes,
                                       .inputs = operand.inputs,
                                       .operand = operand.operand,
                                       .fed = value});
    });
    if (wrong.empty()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(operand.node.loc.ToString(), ": ", wrong));
  }
  return absl::OkStatus();
}

}  // namespace tape
