// What a step makes along (fuse.h): sums over pieces, and the output of a second op.
// Tested by tests/compiler/sums_in_passes_test.cc, tests/compiler/fuse_test.cc and
// tests/ops/op_test.cc.
//
// A pass takes in sums only if no step that it waits for waits for them. Passes that
// could take in any run as early as they can. What else there is, such as the norms
// that are made of sums, may run as late as those passes allow: a sum may go to a
// pass that is early enough for that, and all of this holds for all sums together.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "framework/compiler/fuse.h"

namespace tape {
namespace {

// Whether `node` can make the other along.
bool CanMakeAlong(const Node& node, const Node& other) {
  return other.op == node.op->joint->with && other.inputs == node.inputs &&
         other.attributes == node.attributes;
}

// Puts what a block of a pass can make along behind the node of that block.
void JoinBlocks(const Program& program, Group& group) {
  // Nodes by the op that they can make along, and by their first input.
  const auto first_input = [](const Node& node) {
    return node.inputs.empty() ? kNone : node.inputs[0];
  };
  std::map<std::pair<const OpDef*, int>, std::vector<int>> makers;
  for (int id : group.nodes) {
    const Node& node = program[id];
    if (node.op->joint == nullptr || node.op->joint->block == nullptr) continue;
    makers[{node.op->joint->with, first_input(node)}].push_back(id);
  }
  if (makers.empty()) return;
  std::map<int, int> other_of;  // Of each of the two.
  for (int id : group.nodes) {
    const Node& node = program[id];
    const auto found = makers.find({node.op, first_input(node)});
    if (found == makers.end()) continue;
    std::vector<int>& those = found->second;
    const auto maker = std::find_if(those.begin(), those.end(), [&](int one) {
      return CanMakeAlong(program[one], node);
    });
    if (maker == those.end()) continue;
    other_of[id] = *maker;
    other_of[*maker] = id;
    group.with_next.insert(*maker);
    those.erase(maker);
  }
  // Both go where the first of the two was: what it reads, the other reads too.
  std::vector<int> nodes;
  std::set<int> placed;
  for (int id : group.nodes) {
    if (placed.contains(id)) continue;
    const auto other = other_of.find(id);
    if (other == other_of.end()) {
      nodes.push_back(id);
      continue;
    }
    const bool makes = group.with_next.contains(id);
    nodes.push_back(makes ? id : other->second);
    nodes.push_back(makes ? other->second : id);
    placed.insert(other->second);
  }
  group.nodes = std::move(nodes);
}

// Whether a pass of the group can make sums over pieces.
bool CanSum(const Program& program, const Group& group) {
  const Shape& shape = program[group.nodes[0]].type.shape;
  if (group.product != kNone) return false;
  return std::all_of(group.nodes.begin(), group.nodes.end(), [&](int id) {
    const auto& inputs = program[id].inputs;
    return program[id].op->traits.elementwise &&
           std::all_of(inputs.begin(), inputs.end(), [&](int input) {
             const int64_t elements = program[input].type.shape.elements();
             return program[input].op->traits.uniform || elements == 1 ||
                    elements == shape.elements();
           });
  });
}

// When groups can run, as numbers: a group comes after all that it reads. Groups that
// `stay` run as early as they can; any other may run then, or later, until what
// stays needs it.
struct Times {
  std::vector<int> early, late;
};
Times TimesOf(const Program& program, const std::vector<Group>& groups,
              const std::vector<bool>& stay) {
  const std::vector<int> storages = program.Storages();
  const int count = static_cast<int>(groups.size());
  std::vector<int> maker(program.size(), kNone);
  for (int g = 0; g < count; ++g) {
    for (int id : groups[g].nodes) maker[id] = g;
    if (groups[g].product != kNone) maker[groups[g].product] = g;
  }
  std::vector<std::vector<int>> readers(count);
  std::vector<int> waits_for(count, 0);
  const auto add_reads = [&](int reader, int id) {
    for (int input : program[id].inputs) {
      const int from = maker[storages[input]];
      if (from == kNone || from == reader) continue;
      readers[from].push_back(reader);
      ++waits_for[reader];
    }
  };
  for (int g = 0; g < count; ++g) {
    for (int id : groups[g].nodes) add_reads(g, id);
    if (groups[g].product != kNone) add_reads(g, groups[g].product);
  }
  Times times = {std::vector<int>(count, 0),
                 std::vector<int>(count, std::numeric_limits<int>::max())};
  std::vector<int> order;
  for (int g = 0; g < count; ++g) {
    if (waits_for[g] == 0) order.push_back(g);
  }
  for (size_t i = 0; i < order.size(); ++i) {
    const int g = order[i];
    for (int reader : readers[g]) {
      times.early[reader] = std::max(times.early[reader], times.early[g] + 1);
      if (--waits_for[reader] == 0) order.push_back(reader);
    }
  }
  for (size_t i = order.size(); i-- > 0;) {
    const int g = order[i];
    for (int reader : readers[g]) {
      times.late[g] = std::min(times.late[g], times.late[reader] - 1);
    }
    if (stay[g]) times.late[g] = times.early[g];
  }
  return times;
}

// The groups that are not taken in by others.
std::vector<Group> Without(const std::vector<bool>& taken_in,
                           std::vector<Group> groups) {
  std::vector<Group> left;
  for (size_t g = 0; g < groups.size(); ++g) {
    if (!taken_in[g]) left.push_back(std::move(groups[g]));
  }
  return left;
}

}  // namespace

void FuseSums(const Program& program, std::vector<Group>& groups) {
  const auto is_sum = [&](const Group& group) {
    return program[group.nodes[0]].op->traits.piecewise;
  };
  std::map<int, std::vector<int>> passes;  // By the values that are summed.
  for (const Group& group : groups) {
    if (is_sum(group)) passes[program[group.nodes[0]].inputs[0]] = {};
  }
  if (passes.empty()) return;
  std::vector<bool> stay(groups.size(), false);
  for (int g = 0; g < std::ssize(groups); ++g) {
    const int64_t elements = program[groups[g].nodes[0]].type.shape.elements();
    stay[g] = elements > kPieceElements && CanSum(program, groups[g]);
    if (!stay[g]) continue;
    const auto add = [&](int value) {
      const auto found = passes.find(value);
      if (found == passes.end() ||
          program[value].type.shape.elements() != elements ||
          (!found->second.empty() && found->second.back() == g)) {
        return;
      }
      found->second.push_back(g);
    };
    // What the pass itself makes, but for an identity, which need not be made; and
    // what it reads.
    const std::vector<int>& nodes = groups[g].nodes;
    for (int id : nodes) {
      if (!program[id].op->traits.identity) add(id);
      for (int input : program[id].inputs) {
        if (!std::binary_search(nodes.begin(), nodes.end(), input)) add(input);
      }
    }
  }
  const Times times = TimesOf(program, groups, stay);
  std::vector<bool> taken_in(groups.size(), false);
  for (int g = 0; g < std::ssize(groups); ++g) {
    if (!is_sum(groups[g])) continue;
    const int sums = groups[g].nodes[0];
    // The pass that makes the value is before all that read it.
    int first = kNone;
    for (int pass : passes.at(program[sums].inputs[0])) {
      if (times.early[pass] > times.late[g]) continue;
      if (first == kNone || times.early[pass] < times.early[first]) {
        first = pass;
      }
    }
    if (first == kNone) continue;
    groups[first].sums.push_back(sums);
    taken_in[g] = true;
  }
  groups = Without(taken_in, std::move(groups));
}

void JoinKernels(const Program& program, std::vector<Group>& groups) {
  // What reads the same cannot read each other's results, so this closes no cycle.
  std::set<const OpDef*> along;
  for (Group& group : groups) {
    JoinBlocks(program, group);
    const Joint* const joint = program[group.nodes[0]].op->joint;
    if (joint != nullptr && joint->kernel != nullptr) along.insert(joint->with);
  }
  if (along.empty()) return;
  // By first input: the groups that may be made along.
  std::map<int, std::vector<size_t>> of_input;
  for (size_t g = 0; g < groups.size(); ++g) {
    const Node& node = program[groups[g].nodes[0]];
    if (along.contains(node.op)) of_input[node.inputs[0]].push_back(g);
  }
  std::vector<bool> taken_in(groups.size(), false);
  for (Group& group : groups) {
    const Node& node = program[group.nodes[0]];
    if (node.op->joint == nullptr || node.op->joint->kernel == nullptr) {
      continue;
    }
    const auto found = of_input.find(node.inputs[0]);
    if (found == of_input.end()) continue;
    const auto other =
        std::find_if(found->second.begin(), found->second.end(), [&](size_t g) {
          return CanMakeAlong(node, program[groups[g].nodes[0]]);
        });
    if (other == found->second.end()) continue;
    group.nodes.push_back(groups[*other].nodes[0]);
    taken_in[*other] = true;
    found->second.erase(other);
  }
  groups = Without(taken_in, std::move(groups));
}

}  // namespace tape
