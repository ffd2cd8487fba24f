// HoistInvariants (hoist_invariants.h).
#include "framework/compiler/hoist_invariants.h"

#include <algorithm>

namespace tape {

std::vector<Step> HoistInvariants(const Program& program,
                                  std::vector<Step> steps) {
  if (!program.updates.empty()) return steps;
  const std::vector<int> storages = program.Storages();
  std::vector<bool> is_invariant(program.size());
  for (int id = 0; id < program.size(); ++id) {
    is_invariant[id] = program[id].variable != kNone;
  }
  for (Step& step : steps) {
    step.invariant =
        !step.inputs.empty() &&
        std::all_of(step.inputs.begin(), step.inputs.end(),
                    [&](int id) { return is_invariant[storages[id]]; }) &&
        std::none_of(step.outputs.begin(), step.outputs.end(), [&](int id) {
          return program[id].op->traits.side_effects;
        });
    for (int id : step.outputs) is_invariant[id] = step.invariant;
  }
  std::stable_partition(steps.begin(), steps.end(),
                        [](const Step& step) { return step.invariant; });
  return steps;
}

}  // namespace tape
