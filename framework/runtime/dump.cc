// The tables of a plan (dump.h). Tested by tests/runtime/plan_test.cc.
#include "framework/runtime/dump.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "framework/core/text.h"

namespace tape {
namespace {

// A whole number, of which there may be more than an int64 holds.
std::string Whole(double number) { return absl::StrFormat("%.0f", number); }

// Cells in columns, of which the `right` ones are aligned to the right.
class Table {
 public:
  Table(std::vector<std::string> titles, std::vector<bool> right)
      : right_(std::move(right)) {
    Add(std::move(titles));
  }

  void Add(std::vector<std::string> cells) {
    for (std::string& cell : cells) cell = Printable(cell);  // Users' names.
    lines_.push_back(std::move(cells));
  }

  std::string ToString() const {
    std::vector<size_t> widths(right_.size(), 0);
    for (const std::vector<std::string>& cells : lines_) {
      for (size_t i = 0; i < cells.size(); ++i) {
        widths[i] = std::max(widths[i], cells[i].size());
      }
    }
    std::string text;
    for (const std::vector<std::string>& cells : lines_) {
      for (size_t i = 0; i < cells.size(); ++i) {
        const std::string space(widths[i] - cells[i].size(), ' ');
        absl::StrAppend(&text, "  ", right_[i] ? space : "", cells[i],
                        right_[i] ? "" : space);
      }
      text.erase(text.find_last_not_of(' ') + 1);
      text += '\n';
    }
    return text;
  }

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> lines_;
};

bool IsSame(const Place& a, const Place& b) {
  return a.kind == b.kind && a.offset == b.offset && a.index == b.index;
}

// What value `id`, made by `step` (null: by none), has its memory from, if not
// for itself alone.
std::string Alias(const Program& program, const std::vector<int>& storages,
                  const MemoryPlan& memory, int id, const Step* step) {
  if (program[id].op->traits.view) {
    return absl::StrCat("view of %", storages[id]);
  }
  if (step == nullptr) return "";
  for (int input : step->inputs) {
    const int storage = storages[input];
    if (IsSame(memory.places[storage], memory.places[id])) {
      return absl::StrCat("over %", storage);
    }
  }
  return "";
}

std::string PlaceText(const Executable& executable, const Place& place) {
  switch (place.kind) {
    case Place::kArena:
      return absl::StrCat("arena+", place.offset);
    case Place::kVariable:
      return absl::StrCat("variable \"",
                          executable.variables()[place.index].name, "\"");
    case Place::kFed:
      return absl::StrCat(
          "input \"", executable.compiled().program[place.index].name, "\"");
    case Place::kNowhere:
      break;
  }
  return "nowhere";
}

// A line for each step, numbered from 1, and one for their sums. `accesses`
// says of each step what it reads and writes.
std::string StepTable(absl::Span<const StepCost> costs,
                      absl::Span<const std::string> accesses) {
  Table table({"step", "chunks", "FLOPs", "read", "written", "what"},
              {true, true, true, true, true, false});
  StepCost sum;
  for (size_t s = 0; s < costs.size(); ++s) {
    const StepCost& cost = costs[s];
    table.Add({absl::StrCat(s + 1), absl::StrCat(cost.chunks),
               Whole(cost.flops), Whole(cost.bytes_read),
               Whole(cost.bytes_written),
               absl::StrCat(cost.name, ": ", accesses[s])});
    sum.flops += cost.flops;
    sum.bytes_read += cost.bytes_read;
    sum.bytes_written += cost.bytes_written;
  }
  table.Add({"all", "", Whole(sum.flops), Whole(sum.bytes_read),
             Whole(sum.bytes_written), ""});
  return table.ToString();
}

// A line for each value that has a place, in the program's order: its bytes,
// the number of the step that makes it and of the last that reads it ("end" if
// it must outlive the run's steps), its place, and what it shares memory with.
std::string MemoryMap(const Executable& executable) {
  const Program& program = executable.compiled().program;
  const std::vector<Step>& steps = executable.compiled().steps;
  const MemoryPlan& memory = executable.compiled().memory;
  const std::vector<int> storages = program.Storages();
  std::vector<int> maker(program.size(), kNone), last(program.size(), kNone);
  for (size_t s = 0; s < steps.size(); ++s) {
    for (int output : steps[s].outputs) maker[output] = static_cast<int>(s);
    for (int input : steps[s].inputs) {
      last[input] = static_cast<int>(s);
      last[storages[input]] = static_cast<int>(s);
    }
  }
  std::vector<bool> outlives(program.size(), false);
  const auto keep = [&](int id) {
    outlives[id] = outlives[storages[id]] = true;
  };
  for (int fetch : program.fetches) keep(fetch);
  for (const Program::Update& update : program.updates) keep(update.value);
  const auto step_text = [](int step) {
    return step == kNone ? "-" : absl::StrCat(step + 1);
  };
  Table table({"value", "type", "bytes", "made", "read", "place", "shares"},
              {false, false, true, true, true, false, false});
  for (int id = 0; id < program.size(); ++id) {
    if (memory.places[id].kind == Place::kNowhere) continue;
    const Node& node = program[id];
    table.Add({absl::StrCat("%", id, " ", node.op->name), node.type.ToString(),
               absl::StrCat(node.type.bytes()), step_text(maker[id]),
               outlives[id] ? "end" : step_text(last[id]),
               PlaceText(executable, memory.places[id]),
               Alias(program, storages, memory, id,
                     maker[id] == kNone ? nullptr : &steps[maker[id]])});
  }
  return table.ToString();
}

}  // namespace

std::vector<StepCost> StepCosts(const Executable& executable) {
  std::vector<StepCost> steps;
  for (const Executable::Call& call : executable.calls()) {
    steps.push_back({.name = call.name,
                     .chunks = call.chunks,
                     .flops = call.flops,
                     .bytes_read = call.bytes_read,
                     .bytes_written = call.bytes_written});
  }
  return steps;
}

std::string Dump(const Executable& executable) {
  const CompiledProgram& compiled = executable.compiled();
  std::string text = absl::StrCat(
      compiled.single_threaded ? ""
                               : absl::StrCat("batch ", compiled.batch, ", "),
      executable.calls().size(), " steps, peak ", compiled.memory.arena_bytes,
      " bytes of arena (", compiled.memory.unshared_bytes, " unshared)\n");
  if (executable.calls().empty()) return text;
  const auto append_place = [&](std::string* out, const Place& place) {
    absl::StrAppend(out, PlaceText(executable, place));
  };
  std::vector<std::string> accesses;
  for (const Executable::Call& call : executable.calls()) {
    accesses.push_back(
        absl::StrCat(absl::StrJoin(call.read, ", ", append_place), " -> ",
                     absl::StrJoin(call.written, ", ", append_place)));
  }
  absl::StrAppend(&text, StepTable(StepCosts(executable), accesses),
                  MemoryMap(executable));
  return text;
}

}  // namespace tape
