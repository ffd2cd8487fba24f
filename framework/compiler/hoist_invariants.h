// HOIST INVARIANTS: steps that depend on variables alone, such as the rounding of
// weights to bfloat16. A run of the plan leaves them out while no variable has changed
// since its last one. Tested by tests/compiler/hoist_invariants_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_HOIST_INVARIANTS_H_
#define TAPE_FRAMEWORK_COMPILER_HOIST_INVARIANTS_H_

#include <vector>

#include "framework/runtime/compiled_program.h"
#include "framework/runtime/program.h"

namespace tape {

// Marks these steps (Step::invariant) and moves them before all others. Returns the
// steps unchanged if the program updates variables. A step with side effects is none
// of these, and neither is what reads its output.
std::vector<Step> HoistInvariants(const Program& program,
                                  std::vector<Step> steps);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_HOIST_INVARIANTS_H_
