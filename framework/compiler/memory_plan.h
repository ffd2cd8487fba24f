// LAY OUT: where each value of a plan lies. Values that are never alive at the
// same time share memory of one arena. Tested by tests/compiler/memory_plan_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_MEMORY_PLAN_H_
#define TAPE_FRAMEWORK_COMPILER_MEMORY_PLAN_H_

#include <vector>

#include "framework/runtime/compiled_program.h"
#include "framework/runtime/program.h"

namespace tape {

// The layout for `steps`, run one after the other. A value is alive from the
// step that makes it to the last that reads it; what is fetched, what a copy reads,
// and what an invariant step makes for others, to the end. A fused pass may write a result over an operand that
// dies with it. The new value of a variable is made in the variable's own
// memory, if every other read of the old one comes before.
// Without `reuse`, every value has memory of its own, and every update is copied
// to its variable.
MemoryPlan PlanMemory(const Program& program, const std::vector<Step>& steps,
                      bool reuse = true);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_MEMORY_PLAN_H_
