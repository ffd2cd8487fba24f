// An executable as text: the tables that Plan::Dump prints. Tested by
// tests/runtime/plan_test.cc.
#ifndef TAPE_FRAMEWORK_RUNTIME_DUMP_H_
#define TAPE_FRAMEWORK_RUNTIME_DUMP_H_

#include <string>
#include <vector>

#include "framework/runtime/executable.h"
#include "framework/runtime/plan.h"

namespace tape {

// The cost of each step, in the order in which they run.
std::vector<StepCost> StepCosts(const Executable& executable);

// Plan::Dump of one batch size, without its tiles: the steps with what they
// read, write and cost, and the map of memory.
std::string Dump(const Executable& executable);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_RUNTIME_DUMP_H_
