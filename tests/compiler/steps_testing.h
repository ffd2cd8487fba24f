// The steps of a program, for tests of fuse.h and memory_plan.h.
#ifndef TAPE_TESTS_COMPILER_STEPS_TESTING_H_
#define TAPE_TESTS_COMPILER_STEPS_TESTING_H_

#include <vector>

#include "framework/compiler/fuse.h"
#include "framework/compiler/verify.h"

namespace tape {

// Which of the fusing passes are made.
enum class Fusing { kElementwise, kProductsToo, kJointToo };

inline std::vector<Step> StepsOf(const Program& program, Fusing fusing) {
  std::vector<Group> groups = FuseElementwise(program);
  if (fusing != Fusing::kElementwise) FuseProducts(program, groups);
  if (fusing == Fusing::kJointToo) JoinKernels(program, groups);
  VerifyGroups(program, groups);
  std::vector<Step> steps = MakeSteps(program, groups);
  VerifySteps(program, steps);
  return steps;
}

}  // namespace tape

#endif  // TAPE_TESTS_COMPILER_STEPS_TESTING_H_
