// Fed operands (fed_operands.h). Tested by tests/ops/loss_test.cc.
#include "framework/runtime/fed_operands.h"

#include <algorithm>
#include <map>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"

namespace tape {
namespace {

// The part of a fed value that this rank reads.
TensorView RowsOfThisRank(const TensorView& value, int64_t batch,
                          const DataParallel& parallel) {
  const Shape& shape = value.shape();
  if (parallel.ranks().size() == 1 || batch == 0 || shape.rank() == 0 ||
      shape[0] != batch) {
    return value;
  }
  const RowRange rows = RowsOfRank(batch, parallel);
  absl::InlinedVector<int64_t, 4> dims(shape.dims().begin(),
                                       shape.dims().end());
  dims[0] = rows.size();
  const size_t row_bytes = value.type().bytes() / static_cast<size_t>(batch);
  return {{value.dtype(), Shape(dims)},
          static_cast<const std::byte*>(value.data()) +
              static_cast<size_t>(rows.begin) * row_bytes};
}

}  // namespace

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

absl::Status CheckFed(absl::Span<const FedOperand> operands, int64_t batch,
                      const DataParallel& parallel,
                      absl::Span<const void* const> fed) {
  for (const FedOperand& operand : operands) {
    const TensorView value = RowsOfThisRank(
        {operand.inputs[operand.operand], fed[operand.fed]}, batch, parallel);
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
