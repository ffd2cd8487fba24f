// Updates: what a training step does to variables, as nodes. Made by
// optim/transform.h or by hand; run by a plan.
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

// A number to be shown beside the loss: float32 or int32 of rank 0.
struct Report {
  std::string name;
  Var value;
};

// For a plan that reads one variable in place of another, by their names.
struct Replacement {
  std::string variable;
  std::string by;
};

struct Updates {
  std::vector<Assignment> assignments = {};  // At most one for a variable.
  // How many updates have been made so far: int32 of rank 0, advanced by the
  // assignments. Empty if they were made by hand.
  Var step = Var();
  // uint8 of rank 0: 0 in a run that a transformation leaves out, which changes
  // no variable. Empty: no run is left out. See AddAssignments
  // (../optim/transform.h).
  Var not_skipped = Var();
  // What the optimiser's rate is at this step: rank 0; the last optimiser's if
  // there are several, empty without one.
  Var learning_rate = Var();
  // The terms that regularisers add to the loss, and what else transformations
  // count or measure.
  std::vector<Report> penalties = {};
  std::vector<Report> reports = {};
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_UPDATES_H_
