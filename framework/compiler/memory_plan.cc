// The memory planner (memory_plan.h): from steps to places. Tested by
// tests/compiler/memory_plan_test.cc.
#include "framework/compiler/memory_plan.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "framework/core/check.h"
#include "framework/core/tensor.h"

namespace tape {
namespace {

// The free stretches of an arena that grows as needed.
class Arena {
 public:
  // The smallest free stretch that is large enough, of several the first, or
  // new space at the end.
  size_t Take(size_t bytes) {
    const auto best = by_length_.lower_bound({bytes, 0});
    if (best == by_length_.end()) {
      // Space at the very end that is free, but too short, is made longer.
      size_t offset = size_;
      if (!free_.empty()) {
        const auto last = std::prev(free_.end());
        if (last->first + last->second == size_) {
          offset = last->first;
          Erase(last);
        }
      }
      size_ = offset + bytes;
      return offset;
    }
    const auto [length, offset] = *best;
    Erase(free_.find(offset));
    if (length > bytes) Add(offset + bytes, length - bytes);
    return offset;
  }

  void GiveBack(size_t offset, size_t bytes) {
    auto next = free_.upper_bound(offset);
    if (next != free_.end() && offset + bytes == next->first) {
      bytes += next->second;
      next = Erase(next);
    }
    if (next != free_.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second == offset) {
        offset = before->first;
        bytes += before->second;
        Erase(before);
      }
    }
    Add(offset, bytes);
  }

  size_t size() const { return size_; }

 private:
  using Stretches = std::map<size_t, size_t>;

  void Add(size_t offset, size_t length) {
    free_.emplace(offset, length);
    by_length_.emplace(length, offset);
  }
  Stretches::iterator Erase(Stretches::iterator stretch) {
    by_length_.erase({stretch->second, stretch->first});
    return free_.erase(stretch);
  }

  Stretches free_;  // Offset to length; no two touch.
  std::set<std::pair<size_t, size_t>> by_length_;  // The same, length first.
  size_t size_ = 0;
};

class Planner {
 public:
  Planner(const Program& program, const std::vector<Step>& steps, bool reuse)
      : program_(program),
        steps_(steps),
        storages_(program.Storages()),
        reuse_(reuse),
        last_read_(program.size(), -1),
        reads_(steps.size()) {
    plan_.places.resize(program.size());
  }

  MemoryPlan Plan() {
    FindLastReads();
    PlaceSources();
    PlaceUpdates();
    for (size_t s = 0; s < steps_.size(); ++s) PlaceStep(static_cast<int>(s));
    for (int id = 0; id < program_.size(); ++id) {
      plan_.places[id] = plan_.places[StorageOf(id)];
    }
    plan_.arena_bytes = arena_.size();
    return std::move(plan_);
  }

 private:
  // How a pass reads a storage.
  struct Reads {
    int last = -1;  // The last instruction that does.
    // The size of its elements; 0 if it is read other than element by element,
    // so that no output of the pass may lie there.
    size_t element_bytes = 0;
  };
  // What decides what the outputs of a pass may be written over. Asked for one
  // by one, these would take time quadratic in the size of a pass.
  struct PassReads {
    std::map<int, Reads> of_storage;
    std::map<int, int> maker;  // Of outputs: the instruction.
  };

  int End() const { return static_cast<int>(steps_.size()); }
  int StorageOf(int id) const { return storages_[id]; }
  size_t Bytes(int id) const {
    return RoundUpToAlignment(std::max<size_t>(program_[id].type.bytes(), 1));
  }

  void FindLastReads() {
    for (size_t s = 0; s < steps_.size(); ++s) {
      for (int input : steps_[s].inputs) {
        last_read_[StorageOf(input)] = static_cast<int>(s);
      }
    }
    for (int fetch : program_.fetches) {
      last_read_[StorageOf(fetch)] = End();
    }
    KeepInvariants();
    // What is read to the end keeps its memory.
    if (!reuse_) std::fill(last_read_.begin(), last_read_.end(), End());
  }

  // Invariant steps are not run again, but the steps that read their outputs are.
  void KeepInvariants() {
    std::vector<bool> is_kept(program_.size());
    for (const Step& step : steps_) {
      if (!step.invariant) continue;
      for (int output : step.outputs) is_kept[output] = true;
    }
    for (const Step& step : steps_) {
      if (step.invariant) continue;
      for (int input : step.inputs) {
        const int storage = StorageOf(input);
        if (is_kept[storage]) last_read_[storage] = End();
      }
    }
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
      const int value = StorageOf(update.value);
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
  bool MayReplace(int s, int value, int old_node) {
    TAPE_CHECK(s != kNone);  // Materialize has seen to it.
    if (!reuse_) return false;
    if (old_node == kNone || last_read_[old_node] < s) return true;
    if (last_read_[old_node] > s) return false;
    if (!steps_[s].code.has_value()) return MayWorkInPlace(steps_[s], old_node);
    const PassReads& pass = ReadsOf(s);
    const Reads& reads = pass.of_storage.at(old_node);
    return reads.last <= pass.maker.at(value) &&
           reads.element_bytes == SizeOf(program_[value].type.dtype);
  }

  const PassReads& ReadsOf(int s) {
    if (reads_[s] != nullptr) return *reads_[s];
    const Step& step = steps_[s];
    reads_[s] = std::make_unique<PassReads>();
    const std::vector<int> last_reads = step.code->LastReads();
    // All of what a product reads is read for each of its regions.
    const size_t of_product =
        step.product == kNone ? 0 : program_[step.product].inputs.size();
    for (size_t p = 0; p < step.inputs.size(); ++p) {
      // One storage may be read under several shapes.
      const auto [found, is_new] =
          reads_[s]->of_storage.try_emplace(StorageOf(step.inputs[p]));
      Reads& reads = found->second;
      const TensorType& type = program_[step.inputs[p]].type;
      const bool by_element =
          p >= of_product &&
          type.shape.elements() == step.code->shape.elements();
      if (!by_element) {
        reads.element_bytes = 0;
      } else if (is_new) {
        reads.element_bytes = SizeOf(type.dtype);
      }
      if (p >= of_product) {
        reads.last = std::max(reads.last, last_reads[p - of_product]);
      }
    }
    for (size_t k = 0; k < step.code->outputs.size(); ++k) {
      reads_[s]->maker[step.outputs[k]] =
          step.code->outputs[k] - step.code->FirstResult();
    }
    return *reads_[s];
  }

  // Whether a step that is no pass may write its output over what it reads at
  // `storage`: if its op can, and reads the memory nowhere else.
  bool MayWorkInPlace(const Step& step, int storage) const {
    const int in_place = program_[step.outputs[0]].op->traits.in_place;
    for (size_t p = 0; p < step.inputs.size(); ++p) {
      const bool is_read = StorageOf(step.inputs[p]) == storage;
      if (is_read != (static_cast<int>(p) == in_place)) return false;
    }
    return true;
  }

  // For each output of step `s` that has no place yet, the dying storage that
  // it may be written over, the first that no output before it has; kNone if
  // there is none.
  std::vector<int> Overwritten(int s, const std::vector<int>& dying) {
    const Step& step = steps_[s];
    std::vector<int> over(step.outputs.size(), kNone);
    if (dying.empty()) return over;
    if (!step.code.has_value()) {
      const int in_place = program_[step.outputs[0]].op->traits.in_place;
      if (in_place < 0) return over;
      const int storage = StorageOf(step.inputs[in_place]);
      const bool dies =
          std::find(dying.begin(), dying.end(), storage) != dying.end();
      if (dies && Bytes(storage) == Bytes(step.outputs[0]) &&
          MayWorkInPlace(step, storage)) {
        over[0] = storage;
      }
      return over;
    }
    // The outputs are in the order in which instructions make them, so what one
    // may be written over, the next may too.
    const PassReads& pass = ReadsOf(s);
    std::vector<std::pair<int, int>> by_last_read;  // And place among `dying`.
    for (size_t i = 0; i < dying.size(); ++i) {
      const Reads& reads = pass.of_storage.at(dying[i]);
      if (reads.element_bytes == 0) continue;
      by_last_read.emplace_back(reads.last, static_cast<int>(i));
    }
    std::sort(by_last_read.begin(), by_last_read.end());
    size_t next = 0;
    std::map<size_t, std::set<int>> free;  // By the size of elements.
    for (size_t k = 0; k < step.code->outputs.size(); ++k) {
      const int output = step.outputs[k];
      const int maker = pass.maker.at(output);
      for (; next < by_last_read.size() && by_last_read[next].first <= maker;
           ++next) {
        const int i = by_last_read[next].second;
        free[pass.of_storage.at(dying[i]).element_bytes].insert(i);
      }
      if (plan_.places[output].kind != Place::kNowhere) continue;
      std::set<int>& fitting = free[SizeOf(program_[output].type.dtype)];
      if (fitting.empty()) continue;
      over[k] = dying[*fitting.begin()];
      fitting.erase(fitting.begin());
    }
    return over;
  }

  void PlaceStep(int s) {
    const Step& step = steps_[s];
    std::vector<int> dying;
    std::set<int> seen;
    for (int input : step.inputs) {
      const int storage = StorageOf(input);
      if (plan_.places[storage].kind == Place::kArena &&
          last_read_[storage] == s && seen.insert(storage).second) {
        dying.push_back(storage);
      }
    }
    const std::vector<int> over = Overwritten(s, dying);
    std::set<int> lives_on;  // The memory of what was dying.
    for (size_t k = 0; k < step.outputs.size(); ++k) {
      const int output = step.outputs[k];
      if (plan_.places[output].kind != Place::kNowhere) continue;
      plan_.unshared_bytes += Bytes(output);
      if (over[k] != kNone) {
        plan_.places[output] = plan_.places[over[k]];
        lives_on.insert(over[k]);
      } else {
        plan_.places[output] = {.kind = Place::kArena,
                                .offset = arena_.Take(Bytes(output))};
      }
    }
    // Only now: an output must not take the place of an input that the step is
    // still reading.
    for (int storage : dying) {
      if (lives_on.contains(storage)) continue;
      arena_.GiveBack(plan_.places[storage].offset, Bytes(storage));
    }
    for (int output : step.outputs) {
      if (plan_.places[output].kind == Place::kArena &&
          last_read_[output] < s) {
        arena_.GiveBack(plan_.places[output].offset, Bytes(output));
      }
    }
    reads_[s] = nullptr;
  }

  const Program& program_;
  const std::vector<Step>& steps_;
  const std::vector<int> storages_;  // Of each node.
  const bool reuse_;
  std::vector<int> last_read_;  // Of each storage, the last step that reads it.
  // Of the passes that were asked about and have no places yet.
  std::vector<std::unique_ptr<PassReads>> reads_;
  Arena arena_;
  MemoryPlan plan_;
};

}  // namespace

MemoryPlan PlanMemory(const Program& program, const std::vector<Step>& steps,
                      bool reuse) {
  return Planner(program, steps, reuse).Plan();
}

}  // namespace tape
