// Program (program.h): from a tape to the compiler's own copy. Tested by
// tests/passes_test.cc.
#include "framework/compiler/program.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/check.h"

namespace tape {

Program Extract(const Graph& graph, absl::Span<const Var> fetches,
                absl::Span<const Assignment> assignments,
                absl::Span<const Replacement> replace) {
  std::vector<bool> needed(graph.size(), false);
  for (Var fetch : fetches) needed[fetch.id()] = true;
  for (const Assignment& assignment : assignments) {
    needed[assignment.value.id()] = true;
  }
  for (int id = graph.size(); id-- > 0;) {
    if (!needed[id]) continue;
    for (int input : graph.node(id).inputs) needed[input] = true;
  }

  Program program;
  std::vector<int> new_id(graph.size(), kNone);
  for (int id = 0; id < graph.size(); ++id) {
    if (!needed[id]) continue;
    new_id[id] = program.size();
    program.nodes.push_back(graph.node(id));
    program.tape_ids.push_back(id);
    for (int& input : program.nodes.back().inputs) input = new_id[input];
  }
  for (Node& node : program.nodes) {
    for (const Replacement& replacement : replace) {
      if (node.variable != kNone && node.name == replacement.variable) {
        node.variable = graph.variables().Find(replacement.by);
        node.name = replacement.by;
        break;
      }
    }
  }
  for (Var fetch : fetches) program.fetches.push_back(new_id[fetch.id()]);
  for (const Assignment& assignment : assignments) {
    program.updates.push_back({graph.node(assignment.variable).variable,
                               new_id[assignment.value.id()]});
  }
  return program;
}

std::vector<int> Program::Inputs() const {
  std::vector<int> inputs;
  for (int id = 0; id < size(); ++id) {
    if (nodes[id].op->traits.source && nodes[id].variable == kNone) {
      inputs.push_back(id);
    }
  }
  return inputs;
}

Program Bind(const Program& program, int64_t batch) {
  Program bound = program;
  for (Node& node : bound.nodes) {
    node.type.shape = node.type.shape.Bind(batch);
    node.attributes.shape = node.attributes.shape.Bind(batch);
  }
  return bound;
}

std::string Dump(const Program& program) {
  const auto append_id = [](std::string* out, int id) {
    absl::StrAppend(out, "%", id);
  };
  std::string text;
  for (int id = 0; id < program.size(); ++id) {
    const Node& node = program[id];
    absl::StrAppend(&text, "%", id, " = ", node.op->name, "(",
                    absl::StrJoin(node.inputs, ", ", append_id));
    const std::string attributes = node.attributes.ToString();
    if (node.op->traits.source) {
      absl::StrAppend(&text, "\"", node.name, "\"");
    } else {
      absl::StrAppend(&text,
                      node.inputs.empty() || attributes.empty() ? "" : "; ",
                      attributes);
    }
    absl::StrAppend(&text, ") ", node.type.ToString(), "\n");
  }
  absl::StrAppend(&text, "fetch ",
                  absl::StrJoin(program.fetches, ", ", append_id), "\n");
  for (const Program::Update& update : program.updates) {
    absl::StrAppend(&text, "variable ", update.variable, " becomes %",
                    update.value, "\n");
  }
  return text;
}

absl::Status CheckTypes(const Program& program) {
  absl::InlinedVector<TensorType, 3> types;
  for (const Node& node : program.nodes) {
    types.clear();
    for (int input : node.inputs) types.push_back(program[input].type);
    const absl::StatusOr<TensorType> type =
        node.op->shape(types, node.attributes);
    if (type.ok() && *type == node.type) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        node.loc.ToString(), ": ", node.op->name, ": ",
        type.ok() ? absl::StrCat("has type ", node.type.ToString(),
                                 ", but its op gives ", type->ToString())
                  : type.status().message()));
  }
  return absl::OkStatus();
}

void Verify(const Program& program) {
  TAPE_CHECK_EQ(program.nodes.size(), program.tape_ids.size());
  for (int id = 0; id < program.size(); ++id) {
    for (int input : program[id].inputs) {
      TAPE_CHECK_LE(0, input);
      TAPE_CHECK_LT(input, id);
    }
  }
  const absl::Status types = CheckTypes(program);
  if (!types.ok()) {
    internal::CheckFailed(__FILE__, __LINE__, types.ToString());
  }
  for (int fetch : program.fetches) TAPE_CHECK_LT(fetch, program.size());
  for (const Program::Update& update : program.updates) {
    TAPE_CHECK_LT(update.value, program.size());
  }
}

}  // namespace tape
