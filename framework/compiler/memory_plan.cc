// The memory planner (memory_plan.h): from steps to places. Tested by
// tests/memory_plan_test.cc.
#include "framework/compiler/memory_plan.h"

#include <algorithm>
#include <map>

#include "framework/core/check.h"
#include "framework/core/tensor.h"

namespace tape {
namespace {

// The free stretches of an arena that grows as needed.
class Arena {
 public:
  // The smallest free stretch that is large enough, or new space at the end.
  size_t Take(size_t bytes) {
    auto best = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      if (it->second >= bytes &&
          (best == free_.end() || it->second < best->second)) {
        best = it;
      }
    }
    if (best == free_.end()) {
      // Space at the very end that is free, but too short, is made longer.
      size_t offset = size_;
      if (!free_.empty()) {
        const auto last = std::prev(free_.end());
        if (last->first + last->second == size_) {
          offset = last->first;
          free_.erase(last);
        }
      }
      size_ = offset + bytes;
      return offset;
    }
    const auto [offset, length] = *best;
    free_.erase(best);
    if (length > bytes) free_.emplace(offset + bytes, length - bytes);
    return offset;
  }

  void GiveBack(size_t offset, size_t bytes) {
    auto next = free_.upper_bound(offset);
    if (next != free_.end() && offset + bytes == next->first) {
      bytes += next->second;
      next = free_.erase(next);
    }
    if (next != free_.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second == offset) {
        before->second += bytes;
        return;
      }
    }
    free_.emplace(offset, bytes);
  }

  size_t size() const { return size_; }

 private:
  std::map<size_t, size_t> free_;  // Offset to length; no two touch.
  size_t size_ = 0;
};

class Planner {
 public:
  Planner(const Program& program, const std::vector<Step>& steps,
          PassSet passes)
      : program_(program),
        steps_(steps),
        reuse_(passes.Has(Pass::kReuseMemory)),
        last_read_(program.size(), -1) {
    plan_.places.resize(program.size());
  }

  MemoryPlan Plan() {
    FindLastReads();
    PlaceSources();
    PlaceUpdates();
    for (size_t s = 0; s < steps_.size(); ++s) PlaceStep(static_cast<int>(s));
    for (int id = 0; id < program_.size(); ++id) {
      plan_.places[id] = plan_.places[program_.StorageOf(id)];
    }
    plan_.arena_bytes = arena_.size();
    return std::move(plan_);
  }

 private:
  int End() const { return static_cast<int>(steps_.size()); }
  size_t Bytes(int id) const {
    return RoundUpToAlignment(std::max<size_t>(program_[id].type.bytes(), 1));
  }

  void FindLastReads() {
    for (size_t s = 0; s < steps_.size(); ++s) {
      for (int input : steps_[s].inputs) {
        last_read_[program_.StorageOf(input)] = static_cast<int>(s);
      }
    }
    for (int fetch : program_.fetches) {
      last_read_[program_.StorageOf(fetch)] = End();
    }
    // What is read to the end keeps its memory.
    if (!reuse_) std::fill(last_read_.begin(), last_read_.end(), End());
  }

  void PlaceSources() {
    for (int id = 0; id < program_.size(); ++id) {
      const Node& node = program_[id];
      if (!node.op->traits.source) continue;
      if (node.variable != kNone) {
        plan_.places[id] = {.kind = Place::kVariable, .index = node.variable};
      } else {
        plan_.places[id] = {.kind = Place::kFed, .index = id};
      }
    }
  }

  // The step that makes a node, or kNone.
  std::vector<int> Makers() const {
    std::vector<int> maker(program_.size(), kNone);
    for (size_t s = 0; s < steps_.size(); ++s) {
      for (int output : steps_[s].outputs) maker[output] = static_cast<int>(s);
    }
    return maker;
  }

  // Puts each new value of a variable into the variable's own memory, or leaves
  // it to a copy at the end.
  void PlaceUpdates() {
    const std::vector<int> maker = Makers();
    std::map<int, int> node_of_variable;
    for (int id = 0; id < program_.size(); ++id) {
      if (program_[id].variable != kNone) {
        node_of_variable[program_[id].variable] = id;
      }
    }
    for (const Program::Update& update : program_.updates) {
      const int value = program_.StorageOf(update.value);
      const auto old = node_of_variable.find(update.variable);
      const int old_node = old == node_of_variable.end() ? kNone : old->second;
      if (plan_.places[value].kind == Place::kNowhere &&
          MayReplace(maker[value], value, old_node)) {
        plan_.places[value] = {.kind = Place::kVariable,
                               .index = update.variable};
      } else {
        plan_.copies.push_back({update.variable, value});
        last_read_[value] = End();
      }
    }
  }

  // Whether step `s` may write `value` over the variable that `old_node` reads
  // (kNone: nobody reads it).
  bool MayReplace(int s, int value, int old_node) const {
    TAPE_CHECK(s != kNone);  // Materialize has seen to it.
    if (old_node == kNone || last_read_[old_node] < s) return true;
    if (last_read_[old_node] > s) return false;
    return MayOverwrite(steps_[s], value, old_node);
  }

  // Whether step may write its output `output` over what it reads at `storage`.
  bool MayOverwrite(const Step& step, int output, int storage) const {
    if (!step.code.has_value()) return MayWorkInPlace(step, storage);
    const int k = static_cast<int>(
        std::find(step.outputs.begin(), step.outputs.end(), output) -
        step.outputs.begin());
    const size_t of_product =
        step.product == kNone ? 0 : program_[step.product].inputs.size();
    for (size_t p = 0; p < step.inputs.size(); ++p) {
      // It may be read under several shapes; and all of what a product reads is
      // read for each of its regions.
      if (program_.StorageOf(step.inputs[p]) == storage &&
          (p < of_product ||
           !step.code->MayOverwrite(k, static_cast<int>(p - of_product)))) {
        return false;
      }
    }
    return true;
  }

  // The same of a step that is no pass: if its op can, and reads the memory
  // nowhere else.
  bool MayWorkInPlace(const Step& step, int storage) const {
    const int in_place = program_[step.outputs[0]].op->traits.in_place;
    for (size_t p = 0; p < step.inputs.size(); ++p) {
      const bool is_read = program_.StorageOf(step.inputs[p]) == storage;
      if (is_read != (static_cast<int>(p) == in_place)) return false;
    }
    return true;
  }

  void PlaceStep(int s) {
    const Step& step = steps_[s];
    std::vector<int> dying;
    for (int input : step.inputs) {
      const int storage = program_.StorageOf(input);
      if (plan_.places[storage].kind == Place::kArena &&
          last_read_[storage] == s &&
          std::find(dying.begin(), dying.end(), storage) == dying.end()) {
        dying.push_back(storage);
      }
    }
    for (int output : step.outputs) {
      if (plan_.places[output].kind != Place::kNowhere) continue;
      plan_.unshared_bytes += Bytes(output);
      const auto over =
          std::find_if(dying.begin(), dying.end(), [&](int storage) {
            return Bytes(storage) == Bytes(output) &&
                   MayOverwrite(step, output, storage);
          });
      if (over != dying.end()) {
        plan_.places[output] = plan_.places[*over];
        dying.erase(over);  // Its memory lives on.
      } else {
        plan_.places[output] = {.kind = Place::kArena,
                                .offset = arena_.Take(Bytes(output))};
      }
    }
    // Only now: an output must not take the place of an input that the step is
    // still reading.
    for (int storage : dying) {
      arena_.GiveBack(plan_.places[storage].offset, Bytes(storage));
    }
    for (int output : step.outputs) {
      if (plan_.places[output].kind == Place::kArena &&
          last_read_[output] < s) {
        arena_.GiveBack(plan_.places[output].offset, Bytes(output));
      }
    }
  }

  const Program& program_;
  const std::vector<Step>& steps_;
  const bool reuse_;
  std::vector<int> last_read_;  // Of each storage, the last step that reads it.
  Arena arena_;
  MemoryPlan plan_;
};

}  // namespace

MemoryPlan PlanMemory(const Program& program, const std::vector<Step>& steps,
                      PassSet passes) {
  return Planner(program, steps, passes).Plan();
}

}  // namespace tape
