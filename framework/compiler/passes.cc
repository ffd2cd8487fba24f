// The passes over a program (passes.h). Tested by tests/compiler/passes_test.cc.
#include "framework/compiler/passes.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "framework/compiler/rewriter.h"
#include "framework/core/basic_ops.h"

namespace tape {
namespace {

Node MakeFill(double value, TensorType type, Loc loc) {
  Node node{.op = &kFill, .loc = loc};
  node.attributes = {.value = value, .dtype = type.dtype, .shape = type.shape};
  node.type = std::move(type);
  return node;
}

}  // namespace

double ReferenceOfOne(const Node& node, const std::vector<double>& inputs) {
  std::vector<Tensor> tensors;
  for (double input : inputs) {
    tensors.push_back(Tensor(Shape(), std::vector<double>{input}));
  }
  Tensor output(TensorType{DType::kFloat64, {}});
  CallOf(node, "reference", [&] {
    node.op->ReferenceFor(node.type.dtype)(node.attributes, tensors, output);
  });
  return output.values<double>()[0];
}

Program FoldConstants(Program program) {
  Rewriter rewriter(std::move(program));
  for (int id = 0; id < rewriter.old().size(); ++id) {
    const Node& node = rewriter.old()[id];
    const Traits& traits = node.op->traits;
    const bool by_element = traits.elementwise || traits.view;
    bool constant = !traits.source && !traits.uniform && !traits.side_effects &&
                    node.op->ReferenceFor(node.type.dtype) != nullptr &&
                    (by_element || node.type.shape.rank() == 0);
    std::vector<double> inputs;
    for (int input : node.inputs) {
      const Node& from = rewriter.NewNode(input);
      constant = constant && by_element && from.op->traits.uniform;
      inputs.push_back(AsInRun(from.type.dtype, from.attributes.value));
    }
    if (!constant) {
      rewriter.Keep(id);
      continue;
    }
    const double value = AsInRun(node.type.dtype, ReferenceOfOne(node, inputs));
    if (!CanHold(node.type.dtype, value)) {  // The kernel knows what it gives.
      rewriter.Keep(id);
      continue;
    }
    rewriter.Replace(id, rewriter.Add(MakeFill(value, node.type, node.loc),
                                      rewriter.old().tape_ids[id]));
  }
  return rewriter.Finish();
}

Program ShareCommonSubexpressions(Program program) {
  Rewriter rewriter(std::move(program));
  std::map<std::string, int, std::less<>> seen;
  for (int id = 0; id < rewriter.old().size(); ++id) {
    const Node node = rewriter.Renumbered(id);
    if (node.op->traits.source || node.op->traits.side_effects) {
      rewriter.Keep(id);
      continue;
    }
    std::string key =
        absl::StrCat(absl::Hex(reinterpret_cast<uintptr_t>(node.op)), " ",
                     node.attributes.ToString());
    // ToString rounds; the numbers themselves decide.
    for (double number :
         {node.attributes.value, node.attributes.alpha, node.attributes.beta}) {
      absl::StrAppend(&key, " ", absl::Hex(std::bit_cast<uint64_t>(number)));
    }
    for (int input : node.inputs) absl::StrAppend(&key, " ", input);
    const auto found = seen.find(key);
    if (found != seen.end()) {
      rewriter.Replace(id, found->second);
    } else {
      rewriter.Keep(id);
      seen.emplace(std::move(key), rewriter.New(id));
    }
  }
  return rewriter.Finish();
}

Program Prune(Program program) {
  std::vector<bool> needed(program.size(), false);
  for (int fetch : program.fetches) needed[fetch] = true;
  for (const Program::Update& update : program.updates) {
    needed[update.value] = true;
  }
  for (int id = program.size(); id-- > 0;) {
    needed[id] = needed[id] || program[id].op->traits.side_effects;
    if (!needed[id]) continue;
    for (int input : program[id].inputs) needed[input] = true;
  }
  Rewriter rewriter(std::move(program));
  for (int id = 0; id < rewriter.old().size(); ++id) {
    if (needed[id]) rewriter.Keep(id);
  }
  return rewriter.Finish();
}

Program CutSums(Program program) {
  Rewriter rewriter(std::move(program));
  for (int id = 0; id < rewriter.old().size(); ++id) {
    const Node& node = rewriter.old()[id];
    const SumInPieces* const cut = node.op->traits.in_pieces;
    if (cut == nullptr || node.type.shape.elements() != cut->numbers ||
        rewriter.NewNode(node.inputs[0]).type.shape.elements() <=
            kPieceElements) {
      rewriter.Keep(id);
      continue;
    }
    Node total = rewriter.Renumbered(id);
    Node sums = {
        .op = cut->pieces, .inputs = {total.inputs[0]}, .loc = node.loc};
    const TensorType x[] = {rewriter.so_far()[total.inputs[0]].type};
    sums.type = *TypeOf(*sums.op, x, sums.attributes);
    total.inputs[0] = rewriter.Add(std::move(sums), kNone);
    total.op = cut->total;
    const int tape_id = rewriter.old().tape_ids[id];
    rewriter.Replace(id, rewriter.Add(std::move(total), tape_id));
  }
  return rewriter.Finish();
}

Program Materialize(Program program) {
  Program result;
  result.nodes.reserve(program.size());
  std::vector<int> storages;  // Of the nodes of `result`.
  const auto add = [&](Node node, int tape_id) {
    const int id = result.size();
    storages.push_back(node.op->traits.view ? storages[node.inputs[0]] : id);
    result.nodes.push_back(std::move(node));
    result.tape_ids.push_back(tape_id);
    return id;
  };
  const auto storage_traits = [&](int id) -> const Traits& {
    return result[storages[id]].op->traits;
  };
  std::map<int, int> copy_of;
  const auto copy = [&](int id) {
    const auto [found, is_new] = copy_of.try_emplace(id, result.size());
    if (is_new) {
      add({.op = &kBroadcastTo,
           .inputs = {id},
           .attributes = {.shape = result[id].type.shape},
           .type = result[id].type,
           .loc = result[id].loc},
          kNone);
    }
    return found->second;
  };
  // The same numbers as node `id` by a node that a pass can read: a Fill has no
  // memory that could be seen under another shape.
  const auto readable = [&](int id) {
    if (!result[id].op->traits.view || !storage_traits(id).uniform) return id;
    const double value = result[storages[id]].attributes.value;
    return add(MakeFill(value, result[id].type, result[id].loc), kNone);
  };

  std::vector<int> new_id(program.size(), kNone);
  for (int id = 0; id < program.size(); ++id) {
    Node node = program[id];
    for (int& input : node.inputs) {
      input = new_id[input];
      if (node.op->traits.view) continue;
      input = readable(input);
      if (storage_traits(input).uniform && !node.op->traits.elementwise) {
        input = copy(input);
      }
    }
    new_id[id] = add(std::move(node), program.tape_ids[id]);
  }
  // What is wanted outside has memory that this plan makes for it.
  const auto own = [&](int id) {
    id = readable(new_id[id]);
    const Traits& traits = storage_traits(id);
    return traits.source || traits.uniform ? copy(id) : id;
  };
  for (int fetch : program.fetches) result.fetches.push_back(own(fetch));
  for (const Program::Update& update : program.updates) {
    result.updates.push_back({update.variable, own(update.value)});
  }
  return result;
}

}  // namespace tape
