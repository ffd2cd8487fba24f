// An executable as text: the tables that Plan::Dump prints. Tested by
// tests/plan_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_DUMP_H_
#define TAPE_FRAMEWORK_COMPILER_DUMP_H_

#include <string>
#include <vector>

#include "framework/compiler/executable.h"
#include "framework/compiler/plan.h"

namespace tape {

// The cost of each step, in the order in which they run.
std::vector<StepCost> StepCosts(const Executable& executable);

// Plan::Dump of one batch size, without its tiles: the steps with what they
// read, write and cost, and the map of memory.
std::string Dump(const Executable& executable);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_DUMP_H_
