// Updates: what a training step does to variables, as nodes. Made by
// train/transform.h or by hand; run by a plan.
#ifndef TAPE_FRAMEWORK_CORE_UPDATES_H_
#define TAPE_FRAMEWORK_CORE_UPDATES_H_

#include <string>
#include <vector>

#include "framework/core/graph.h"

namespace tape {

// After every read of `variable` in the step, it becomes `value`, which has its
// type.
struct Assignment {
  Var variable;
  Var value;
};

// A term that a regulariser adds to the loss.
struct Penalty {
  std::string name;
  Var value;  // float32 of rank 0.
};

struct Updates {
  std::vector<Assignment> assignments = {};  // At most one for a variable.
  // For reports: what the optimiser's rate is at this step (rank 0; empty if
  // there is no optimiser), and the penalties.
  Var learning_rate = {};
  std::vector<Penalty> penalties = {};
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_UPDATES_H_
