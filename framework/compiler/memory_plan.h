// LAY OUT: where each value of a plan lies. Values that are never alive at the
// same time share memory of one arena. Tested by tests/memory_plan_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_MEMORY_PLAN_H_
#define TAPE_FRAMEWORK_COMPILER_MEMORY_PLAN_H_

#include <cstddef>
#include <vector>

#include "framework/compiler/fuse.h"
#include "framework/compiler/program.h"

namespace tape {

struct Place {
  enum Kind {
    kNowhere,   // Not a value of the plan: a Fill, or within a fused pass.
    kArena,     // `offset` bytes into the arena.
    kVariable,  // The memory of variable `index`.
    kFed,       // The memory given for input node `index`.
  };
  Kind kind = kNowhere;
  size_t offset = 0;
  int index = kNone;
};

struct MemoryPlan {
  std::vector<Place> places;  // Of each node.
  size_t arena_bytes = 0;
  // What the arena would be if no memory were used twice.
  size_t unshared_bytes = 0;
  // Updates whose value was not made in the variable's own memory, because a
  // later step still reads the old one: copied there after the last step.
  std::vector<Program::Update> copies;
};

// The layout for `steps`, run one after the other. A value is alive from the
// step that makes it to the last that reads it; what is fetched, and what a
// copy reads, to the end. A fused pass may write a result over an operand that
// dies with it. The new value of a variable is made in the variable's own
// memory, if every other read of the old one comes before.
// Without kReuseMemory, every value has memory of its own, and every update is
// copied to its variable.
MemoryPlan PlanMemory(const Program& program, const std::vector<Step>& steps,
                      PassSet passes = {});

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_MEMORY_PLAN_H_
