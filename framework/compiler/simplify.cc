// Simplify (passes.h): asks each node's op what it is the same as. Tested by
// tests/compiler/simplify_test.cc.
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "framework/compiler/passes.h"
#include "framework/compiler/rewriter.h"

namespace tape {
namespace {

// Throws a StatusError unless `simpler`, of the inputs of `node`, is possible.
void CheckSimpler(const Program& program, const Node& node,
                  const Simplification& simpler) {
  const auto count = static_cast<int>(node.inputs.size());
  const auto fail = [&](absl::string_view found) {
    throw MistakeOf(
        node, absl::StrCat("its rule for simpler values: expected ", found));
  };
  if (simpler.kind < Simplification::kNothing ||
      simpler.kind > Simplification::kWithoutInput) {
    fail(absl::StrCat("a kind, found ", static_cast<int>(simpler.kind)));
  }
  if (simpler.kind == Simplification::kNothing) return;
  if (simpler.input < 0 || simpler.input >= count) {
    fail(absl::StrCat("one of ", count, " inputs, found number ",
                      simpler.input));
  }
  const Node& input = program[node.inputs[simpler.input]];
  if (simpler.kind != Simplification::kInput && input.inputs.empty()) {
    fail(absl::StrCat("an input that has inputs, found ", input.op->name));
  }
}

// What the rule of node's op, if there is one, says of it.
Simplification Ask(const Program& program, const Node& node) {
  if (node.op->simplify == nullptr || node.op->traits.side_effects) return {};
  std::vector<SimplifyQuery::Input> inputs;
  for (int input : node.inputs) {
    const Node& from = program[input];
    inputs.push_back({from.op, from.attributes, from.type, input});
  }
  Simplification simpler = CallOf(node, "rule for simpler values", [&] {
    return node.op->simplify({node.op, node.attributes, inputs, node.type});
  });
  CheckSimpler(program, node, simpler);
  return simpler;
}

// Makes `node`, which is about to be appended to `program`, simpler by one
// step. Returns the earlier node that it is the same as, or kNone; `changed`
// says whether it should be asked again.
int SimplifyOnce(const Program& program, Node& node, bool& changed) {
  changed = false;
  const Simplification simpler = Ask(program, node);
  if (simpler.kind == Simplification::kNothing) return kNone;
  const int input = node.inputs[simpler.input];
  if (simpler.kind == Simplification::kInput) {
    return program[input].type == node.type ? input : kNone;
  }
  const int source = program[input].inputs[0];
  if (simpler.kind == Simplification::kInputOfInput) {
    return program[source].type == node.type ? source : kNone;
  }
  Node without = node;
  without.inputs[simpler.input] = source;
  if (simpler.attributes.has_value()) without.attributes = *simpler.attributes;
  std::vector<TensorType> types;
  for (int id : without.inputs) types.push_back(program[id].type);
  const absl::StatusOr<TensorType> type =
      TypeOf(*without.op, types, without.attributes);
  if (!type.ok() || !(*type == node.type)) return kNone;
  node = std::move(without);
  changed = true;
  return kNone;
}

}  // namespace

Program Simplify(Program program) {
  Rewriter rewriter(std::move(program));
  for (int id = 0; id < rewriter.old().size(); ++id) {
    Node node = rewriter.Renumbered(id);
    int same = kNone;
    for (bool changed = true; changed && same == kNone;) {
      same = SimplifyOnce(rewriter.so_far(), node, changed);
    }
    rewriter.Replace(
        id, same != kNone
                ? same
                : rewriter.Add(std::move(node), rewriter.old().tape_ids[id]));
  }
  return rewriter.Finish();
}

}  // namespace tape
