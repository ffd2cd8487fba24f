// Program (program.h): from a tape to the compiler's own copy. Tested by
// tests/compiler/passes_test.cc.
#include "framework/runtime/program.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/check.h"
#include "framework/core/text.h"

namespace tape {

Program Extract(const Graph& graph, absl::Span<const Var> fetches,
                absl::Span<const Assignment> assignments,
                absl::Span<const Replacement> replace, Mode mode) {
  std::vector<Var> wanted(fetches.begin(), fetches.end());
  for (const Assignment& assignment : assignments) {
    wanted.push_back(assignment.value);
  }
  const std::vector<bool> needed = NodesNeededBy(graph, wanted, mode);

  Program program;
  std::vector<int> new_id(graph.size(), kNone);
  for (int id = 0; id < graph.size(); ++id) {
    if (!needed[id]) continue;
    const int forwards = graph.node(id).op->traits.Forwards(mode);
    if (forwards >= 0) {
      new_id[id] = new_id[graph.node(id).inputs[forwards]];
      continue;
    }
    new_id[id] = program.size();
    program.nodes.push_back(graph.node(id));
    program.tape_ids.push_back(id);
    for (int& input : program.nodes.back().inputs) input = new_id[input];
  }
  std::map<absl::string_view, absl::string_view> replaced_by;
  for (const Replacement& replacement : replace) {
    replaced_by.emplace(replacement.variable, replacement.by);
  }
  for (Node& node : program.nodes) {
    if (node.variable == kNone) continue;
    const auto by = replaced_by.find(node.name);
    if (by == replaced_by.end()) continue;
    node.variable = graph.variables().Find(by->second);
    node.name = std::string(by->second);
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

std::vector<int> Program::Storages() const {
  std::vector<int> storages(size());
  for (int id = 0; id < size(); ++id) {
    storages[id] =
        nodes[id].op->traits.view ? storages[nodes[id].inputs[0]] : id;
  }
  return storages;
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
    absl::StrAppend(&text, "%", id, " = ", Printable(node.op->name), "(",
                    absl::StrJoin(node.inputs, ", ", append_id));
    const std::string attributes = node.attributes.ToString();
    if (node.op->traits.source) {
      absl::StrAppend(&text, "\"", Printable(node.name), "\"");
    } else {
      absl::StrAppend(&text,
                      node.inputs.empty() || attributes.empty() ? "" : "; ",
                      Printable(attributes));
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

namespace {

// What is wrong with the type of `node`; empty if nothing is.
std::string TypeMistake(const Program& program, const Node& node) {
  // Rules count elements.
  if (!node.type.shape.is_valid() || !node.attributes.shape.is_valid()) {
    return absl::StrCat("the result would have shape ",
                        node.type.shape.ToString(),
                        ", more than 2^40 elements");
  }
  absl::InlinedVector<TensorType, 3> types;
  for (int input : node.inputs) {
    types.push_back(program[input].type);
    if (!types.back().shape.is_valid()) return "";  // Which is reported.
  }
  const absl::StatusOr<TensorType> type =
      TypeOf(*node.op, types, node.attributes);
  if (!type.ok()) return std::string(type.status().message());
  if (*type == node.type) return "";
  return absl::StrCat("has type ", node.type.ToString(), ", but its op gives ",
                      type->ToString());
}

}  // namespace

absl::Status CheckTypes(const Program& program, absl::string_view suffix) {
  constexpr size_t kMaxErrors = 20;
  std::vector<std::string> errors;
  int64_t left_out = 0;
  for (const Node& node : program.nodes) {
    const std::string mistake = TypeMistake(program, node);
    if (mistake.empty()) continue;
    if (errors.size() == kMaxErrors) {
      ++left_out;
      continue;
    }
    errors.push_back(absl::StrCat(node.loc.ToString(), ": ", node.op->name,
                                  ": ", mistake, suffix));
  }
  if (errors.empty()) return absl::OkStatus();
  if (left_out > 0) errors.push_back(absl::StrCat("and ", left_out, " more"));
  return absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
}

double AsInRun(DType dtype, double value) {
  float rounded = 0;
  switch (dtype) {
    case DType::kFloat32:
      rounded = static_cast<float>(value);
      break;
    case DType::kBFloat16:
      rounded = static_cast<float>(static_cast<BFloat16>(value));
      break;
    case DType::kInt32:
    case DType::kUint8:
    case DType::kFloat64:
      return value;
  }
  const bool is_denormal = std::fpclassify(rounded) == FP_SUBNORMAL;
  return is_denormal ? std::copysign(0.0, value) : rounded;
}

std::string WithBatch(int64_t batch) {
  return absl::StrCat(", with a batch of ", batch, " samples");
}

StatusError MistakeOf(const Node& node, absl::string_view mistake) {
  return StatusError(absl::InvalidArgumentError(
      absl::StrCat(node.loc.ToString(), ": ", node.op->name, ": ", mistake)));
}

std::vector<int> InputTapeIds(const Program& program) {
  std::vector<int> ids;
  for (int input : program.Inputs()) ids.push_back(program.tape_ids[input]);
  return ids;
}

}  // namespace tape
