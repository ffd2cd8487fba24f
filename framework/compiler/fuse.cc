// Fusion (fuse.h). Tested by tests/compiler/fuse_test.cc.
//
// Which nodes may share a pass is decided by levels. Call an edge between two
// elementwise nodes of one shape *soft*; it can lie within a pass. Give each
// node a level such that a soft edge never goes down and every other edge goes
// up by at least one. Then the nodes of one shape and one level that soft edges
// connect can be one step: a path that leaves the step and comes back would
// have to go up in between, and could not come down again. Levels take one
// sweep over the program, so fusion takes time linear in its size.
//
// The sweep puts each node as early as it can be. An elementwise node that only
// feeds later passes of its shape is then moved down to the first of them: in
// Adam, beta * m could be computed before the gradient is known, but belongs to
// the pass that adds the gradient to it. And nodes that feed nobody, such as
// Lion's new moment, join the first pass of their shape, on their level or
// below, that reads an operand of theirs: so the gradient is read once.
#include "framework/compiler/fuse.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <set>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/check.h"

namespace tape {
namespace {

bool IsFusible(const Node& node) { return node.op->traits.elementwise; }

// Whether `product` has the shape of the pass that `to` is in.
bool IsSoftShape(const Node& product, const Node& to) {
  return IsFusible(to) && product.type.shape == to.type.shape;
}

bool IsSoftEdge(const Node& from, const Node& to) {
  return IsFusible(from) && IsFusible(to) && from.type.shape == to.type.shape;
}

std::vector<int> Levels(const Program& program) {
  const int size = program.size();
  std::vector<int> level(size, 0);
  for (int id = 0; id < size; ++id) {
    for (int input : program[id].inputs) {
      const int step = IsSoftEdge(program[input], program[id]) ? 0 : 1;
      level[id] = std::max(level[id], level[input] + step);
    }
  }
  // Move down what only feeds passes of its own shape. Walking backwards, a
  // node's consumers have been moved before it. To be fetched or assigned holds
  // nothing back: that is not wanted before the end.
  constexpr int kNoConsumer = -1, kStays = -2;
  std::vector<int> lowest(size, kNoConsumer);
  for (int id = size; id-- > 0;) {
    if (IsFusible(program[id]) && lowest[id] >= 0) level[id] = lowest[id];
    for (int input : program[id].inputs) {
      if (!IsSoftEdge(program[input], program[id])) {
        lowest[input] = kStays;
      } else if (lowest[input] == kNoConsumer) {
        lowest[input] = level[id];
      } else if (lowest[input] != kStays) {
        lowest[input] = std::min(lowest[input], level[id]);
      }
    }
  }
  return level;
}

// Joins each group that feeds no other node to another one of its shape that
// reads a value of that shape which it reads too: to the first such group that
// is not above it. Then the two are on one level, and share a pass.
void JoinReaders(const Program& program, const std::vector<int>& level,
                 const std::function<int(int)>& root,
                 std::vector<int>& parent) {
  // Of each value, the nodes that read it in a pass of its shape.
  std::vector<std::vector<int>> readers(program.size());
  std::vector<bool> feeds(program.size(), false);  // By group.
  for (int id = 0; id < program.size(); ++id) {
    for (int input : program[id].inputs) {
      const Node& from = program[input];
      const bool fusible = IsFusible(program[id]);
      if (fusible && !from.op->traits.uniform &&
          from.type.shape == program[id].type.shape) {
        readers[input].push_back(id);
      }
      if (IsFusible(from) && (!fusible || root(input) != root(id))) {
        feeds[root(input)] = true;
      }
    }
  }
  // The groups, and the values that they read, for which that was done.
  std::set<std::pair<int, int>> done;
  for (int id = 0; id < program.size(); ++id) {
    for (int input : program[id].inputs) {
      if (!IsFusible(program[id]) || feeds[root(id)]) break;
      if (!(program[input].type.shape == program[id].type.shape) ||
          !done.insert({root(id), input}).second) {
        continue;
      }
      // A group that was joined is on the level of its root.
      int first = kNone;
      for (int reader : readers[input]) {
        if (root(reader) == root(id) || level[root(reader)] < level[root(id)]) {
          continue;
        }
        if (first == kNone || level[root(reader)] < level[root(first)]) {
          first = reader;
        }
        if (level[root(first)] == level[root(id)]) break;  // None is higher.
      }
      if (first == kNone) continue;
      // On one level either may be the root: that which was `done`, so that no
      // value is gone through again for each group that reads it.
      int joined = root(id), to = root(first);
      if (level[joined] == level[to]) std::swap(joined, to);
      parent[joined] = to;
      feeds[to] = feeds[to] || feeds[joined];
    }
  }
}

// The computed nodes by their roots.
std::vector<Group> GroupsOf(const Program& program,
                            const std::function<int(int)>& root) {
  std::vector<Group> groups;
  std::map<int, size_t> group_of_root;
  for (int id = 0; id < program.size(); ++id) {
    if (!IsComputed(program[id])) continue;
    const auto [found, is_new] =
        group_of_root.try_emplace(root(id), groups.size());
    if (is_new) groups.emplace_back();
    groups[found->second].nodes.push_back(id);
  }
  return groups;
}

// For each node, whether it is read by a node outside its own group, fetched or
// assigned, or to be run for its own sake.
std::vector<bool> Escaping(const Program& program,
                           const std::vector<Group>& groups) {
  std::vector<int> group_of(program.size(), kNone);
  for (size_t g = 0; g < groups.size(); ++g) {
    for (int id : groups[g].nodes) group_of[id] = static_cast<int>(g);
    for (int id : groups[g].sums) group_of[id] = static_cast<int>(g);
  }
  std::vector<bool> escapes(program.size(), false);
  for (int id = 0; id < program.size(); ++id) {
    for (int input : program[id].inputs) {
      if (group_of[input] == kNone || group_of[input] != group_of[id]) {
        escapes[input] = true;
      }
    }
  }
  for (int id = 0; id < program.size(); ++id) {
    if (program[id].op->traits.side_effects) escapes[id] = true;
  }
  for (int fetch : program.fetches) escapes[fetch] = true;
  for (const Program::Update& update : program.updates) {
    escapes[update.value] = true;
  }
  return escapes;
}

// For each group, the product whose value it alone reads and can take in; kNone
// if there is none. Of several it is the largest, which saves most.
//
// Nothing but the group depends on the product, so taking it in closes no
// circle.
std::vector<int> ProductsOf(const Program& program,
                            const std::vector<Group>& groups) {
  const std::vector<int> storages = program.Storages();
  std::vector<bool> wanted_outside(program.size(), false);
  for (int fetch : program.fetches) wanted_outside[storages[fetch]] = true;
  for (const Program::Update& update : program.updates) {
    wanted_outside[storages[update.value]] = true;
  }
  std::vector<int> reading_group(program.size(), kNone);
  constexpr int kSeveral = -2;
  for (size_t g = 0; g < groups.size(); ++g) {
    for (int id : groups[g].nodes) {
      for (int input : program[id].inputs) {
        int& reader = reading_group[input];
        const bool is_only = reader == kNone || reader == static_cast<int>(g);
        reader = is_only ? static_cast<int>(g) : kSeveral;
      }
    }
  }
  // A view is in no group; what it shows is read by others.
  for (int id = 0; id < program.size(); ++id) {
    if (!program[id].op->traits.view) continue;
    reading_group[program[id].inputs[0]] = kSeveral;
  }
  // Terms of an element: as many as the second factor has rows, and about one of
  // what makes rows of rows.
  const auto terms = [&](int id) -> int64_t {
    const Node& node = program[id];
    const int rank = node.type.shape.rank();
    if (node.inputs.size() < 2 || rank == 0) return 1;
    return program[node.inputs[1]].type.shape.elements() /
           std::max<int64_t>(1, node.type.shape[rank - 1]);
  };
  const auto has_regions = [&](const Node& node) {
    if (!node.op->traits.regions || node.op->traits.side_effects) return false;
    if (node.op->by_regions == nullptr) return true;
    absl::InlinedVector<TensorType, 3> types;
    for (int input : node.inputs) types.push_back(program[input].type);
    return node.op->by_regions(node.attributes, types, node.type);
  };
  // Whether a pass reads what the product does: it may want to write over it,
  // which it cannot while there are regions to be made of it.
  std::map<int, std::set<int>> read_by_group;
  const auto share_operand = [&](int group, int product) {
    const auto [read, is_new] = read_by_group.try_emplace(group);
    if (is_new) {
      for (int id : groups[group].nodes) {
        for (int input : program[id].inputs) {
          read->second.insert(storages[input]);
        }
      }
    }
    for (int operand : program[product].inputs) {
      if (read->second.contains(storages[operand])) return true;
    }
    return false;
  };
  std::vector<int> products(groups.size(), kNone);
  for (int id = 0; id < program.size(); ++id) {
    const int g = reading_group[id];
    if (!has_regions(program[id]) || g < 0 || wanted_outside[id] ||
        !IsSoftShape(program[id], program[groups[g].nodes[0]]) ||
        share_operand(g, id)) {
      continue;
    }
    if (products[g] == kNone || terms(id) > terms(products[g])) {
      products[g] = id;
    }
  }
  return products;
}

Block MakeBlock(const Node& node, BlockMaker maker,
                absl::Span<const DType> inputs) {
  const Block block = CallOf(node, "maker of blocks",
                             [&] { return maker(inputs, node.type.dtype); });
  if (block == nullptr) throw MistakeOf(node, "made no block");
  return block;
}

std::string NameOf(const Program& program, const std::vector<int>& nodes) {
  return absl::StrJoin(nodes, "+", [&](std::string* out, int id) {
    out->append(program[id].op->name);
  });
}

// The fused pass of one group.
Step MakePass(const Program& program, const Group& fused,
              const std::vector<bool>& escapes) {
  const std::vector<int>& group = fused.nodes;
  const int product = fused.product;
  // Values are numbered operands first, then constants, then results
  // (elementwise.h), so a first walk counts the former.
  Step step;
  ElementwiseCode code;
  code.shape = program[group[0]].type.shape;
  std::map<int, int> value_of;  // From node to value.
  // By their bits, which tell 0 from -0, and a NaN from everything else.
  using Constant = std::pair<DType, uint64_t>;
  const auto constant_in = [](const Node& fill) {
    return Constant(fill.type.dtype,
                    std::bit_cast<uint64_t>(fill.attributes.value));
  };
  std::map<Constant, int> constant_of;
  for (int id : group) value_of[id] = kNone;
  for (int id : group) {
    for (int input : program[id].inputs) {
      const Node& node = program[input];
      if (input == product) continue;
      if (node.op->traits.uniform) {
        constant_of.try_emplace(constant_in(node),
                                static_cast<int>(constant_of.size()));
      } else if (value_of.try_emplace(input, code.operands.size()).second) {
        step.inputs.push_back(input);
        code.operands.push_back(node.type);
      }
    }
  }
  if (product != kNone) {
    value_of[product] = static_cast<int>(code.operands.size());
    code.operands.push_back(program[product].type);
    step.product = product;
    step.inputs.insert(step.inputs.begin(), program[product].inputs.begin(),
                       program[product].inputs.end());
    step.nodes.push_back(product);
  }
  code.constants.resize(constant_of.size());
  for (const auto& [constant, index] : constant_of) {
    code.constants[index] = {constant.first,
                             std::bit_cast<double>(constant.second)};
  }

  for (int id : group) {
    const Node& node = program[id];
    std::vector<int> inputs;
    std::vector<DType> dtypes;
    for (int input : node.inputs) {
      const Node& from = program[input];
      dtypes.push_back(from.type.dtype);
      inputs.push_back(from.op->traits.uniform
                           ? static_cast<int>(code.operands.size()) +
                                 constant_of.at(constant_in(from))
                           : value_of.at(input));
    }
    if (node.op->traits.identity && !escapes[id]) {
      value_of[id] = inputs[0];  // The operand itself, stretched as it is read.
      continue;
    }
    value_of[id] =
        code.FirstResult() + static_cast<int>(code.instructions.size());
    const bool with_next = fused.with_next.contains(id);
    const BlockMaker maker = with_next ? node.op->joint->block : node.op->block;
    code.instructions.push_back({.block = MakeBlock(node, maker, dtypes),
                                 .attributes = node.attributes,
                                 .inputs = std::move(inputs),
                                 .dtype = node.type.dtype,
                                 .with_next = with_next});
    step.nodes.push_back(id);
    if (escapes[id]) {
      step.outputs.push_back(id);
      code.outputs.push_back(value_of[id]);
    }
  }
  for (int id : fused.sums) {
    const Node& node = program[id];
    const DType dtype = program[node.inputs[0]].type.dtype;
    code.sums.push_back({.block = MakeBlock(node, node.op->block, {&dtype, 1}),
                         .attributes = node.attributes,
                         .value = value_of.at(node.inputs[0])});
    step.nodes.push_back(id);
    step.outputs.push_back(id);
  }
  step.name = NameOf(program, step.nodes);
  step.code = std::move(code);
  return step;
}

Step MakeStep(const Program& program, const std::vector<int>& nodes) {
  Step step{.name = NameOf(program, nodes), .outputs = nodes, .nodes = nodes};
  const auto& inputs = program[nodes[0]].inputs;
  step.inputs.assign(inputs.begin(), inputs.end());
  return step;
}

// Puts each step after those that make what it reads, and otherwise in the
// order in which the tape ends them. (A group may hold early nodes, so its
// place is that of its last.)
std::vector<Step> Order(const Program& program, std::vector<Step> steps,
                        const std::vector<int>& storages,
                        const std::vector<int>& last_node) {
  std::vector<int> maker(program.size(), kNone);
  for (size_t s = 0; s < steps.size(); ++s) {
    for (int output : steps[s].outputs) maker[output] = static_cast<int>(s);
  }
  std::vector<std::vector<int>> readers(steps.size());
  std::vector<int> waits_for(steps.size(), 0);
  for (size_t s = 0; s < steps.size(); ++s) {
    for (int input : steps[s].inputs) {
      const int from = maker[storages[input]];
      if (from == kNone) continue;  // A source.
      readers[from].push_back(static_cast<int>(s));
      ++waits_for[s];
    }
  }
  using Ready = std::pair<int, int>;  // Last node, step.
  std::priority_queue<Ready, std::vector<Ready>, std::greater<Ready>> ready;
  for (size_t s = 0; s < steps.size(); ++s) {
    if (waits_for[s] == 0) ready.push({last_node[s], static_cast<int>(s)});
  }
  std::vector<Step> ordered;
  while (!ready.empty()) {
    const int s = ready.top().second;
    ready.pop();
    for (int reader : readers[s]) {
      if (--waits_for[reader] == 0) ready.push({last_node[reader], reader});
    }
    ordered.push_back(std::move(steps[s]));
  }
  TAPE_CHECK_EQ(ordered.size(), steps.size());  // No step waits for itself.
  return ordered;
}

}  // namespace

bool IsComputed(const Node& node) {
  const Traits& traits = node.op->traits;
  return !traits.source && !traits.uniform && !traits.view;
}

std::vector<Group> EachByItself(const Program& program) {
  return GroupsOf(program, [](int id) { return id; });
}

std::vector<Group> FuseElementwise(const Program& program) {
  const std::vector<int> level = Levels(program);
  std::vector<int> parent(program.size());
  for (int id = 0; id < program.size(); ++id) parent[id] = id;
  const auto root = [&](int id) {
    while (parent[id] != id) id = parent[id] = parent[parent[id]];
    return id;
  };
  for (int id = 0; id < program.size(); ++id) {
    for (int input : program[id].inputs) {
      if (IsSoftEdge(program[input], program[id]) &&
          level[input] == level[id]) {
        parent[root(id)] = root(input);
      }
    }
  }
  JoinReaders(program, level, root, parent);
  return GroupsOf(program, root);
}

void FuseProducts(const Program& program, std::vector<Group>& groups) {
  const std::vector<int> products = ProductsOf(program, groups);
  std::vector<bool> taken_in(program.size(), false);
  for (size_t g = 0; g < groups.size(); ++g) {
    groups[g].product = products[g];
    if (products[g] != kNone) taken_in[products[g]] = true;
  }
  std::erase_if(groups,
                [&](const Group& group) { return taken_in[group.nodes[0]]; });
}

std::vector<Step> MakeSteps(const Program& program,
                            const std::vector<Group>& groups) {
  const std::vector<bool> escapes = Escaping(program, groups);
  std::vector<Step> steps;
  std::vector<int> last_node;
  for (const Group& group : groups) {
    steps.push_back(IsFusible(program[group.nodes[0]])
                        ? MakePass(program, group, escapes)
                        : MakeStep(program, group.nodes));
    last_node.push_back(
        *std::max_element(group.nodes.begin(), group.nodes.end()));
    for (int id : group.sums) last_node.back() = std::max(last_node.back(), id);
  }
  return Order(program, std::move(steps), program.Storages(), last_node);
}

}  // namespace tape
