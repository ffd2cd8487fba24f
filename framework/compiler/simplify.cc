// Simplify (passes.h): asks each node's op what it is the same as. Tested by
// tests/compiler/simplify_test.cc.
#include <utility>
#include <vector>

#include "framework/compiler/passes.h"
#include "framework/compiler/rewriter.h"

namespace tape {
namespace {

// What the rule of node's op, if there is one, says of it.
Simpler Ask(const Program& program, const Node& node) {
  if (node.op->simplify == nullptr || node.op->traits.side_effects) return {};
  std::vector<SimplifyQuery::Input> inputs;
  for (int input : node.inputs) {
    const Node& from = program[input];
    inputs.push_back({from.op, from.attributes, from.type, input});
  }
  return CallOf(node, "rule for simpler values", [&] {
    return node.op->simplify({node.op, node.attributes, inputs, node.type});
  });
}

// Makes `node`, which is about to be appended to `program`, simpler by one
// step. Returns the earlier node that it is the same as, or kNone; `changed`
// says whether it should be asked again.
int SimplifyOnce(const Program& program, Node& node, bool& changed) {
  changed = false;
  const Simpler simpler = Ask(program, node);
  if (simpler.kind == Simpler::kNothing) return kNone;
  const int input = node.inputs[simpler.input];
  if (simpler.kind == Simpler::kInput) {
    return program[input].type == node.type ? input : kNone;
  }
  const int source = program[input].inputs[0];
  if (simpler.kind == Simpler::kInputOfInput) {
    return program[source].type == node.type ? source : kNone;
  }
  node.inputs[simpler.input] = source;
  if (simpler.attributes.has_value()) node.attributes = *simpler.attributes;
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
