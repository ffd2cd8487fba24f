// A plan as text: the tables that Plan::Dump prints. Tested by
// tests/plan_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_DUMP_H_
#define TAPE_FRAMEWORK_COMPILER_DUMP_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "framework/compiler/fuse.h"
#include "framework/compiler/memory_plan.h"
#include "framework/compiler/plan.h"
#include "framework/compiler/program.h"

namespace tape {

using PlaceName = std::function<std::string(const Place&)>;

// A line for each step, numbered from 1, and one for their sums. `accesses`
// says of each step what it reads and writes.
std::string StepTable(absl::Span<const StepCost> costs,
                      absl::Span<const std::string> accesses);

// A line for each value that has a place, in the program's order: its bytes,
// the number of the step that makes it and of the last that reads it ("end" if
// it must outlive the run's steps), its place, and what it shares memory with.
std::string MemoryMap(const Program& program, const std::vector<Step>& steps,
                      const MemoryPlan& memory, const PlaceName& name_of);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_DUMP_H_
