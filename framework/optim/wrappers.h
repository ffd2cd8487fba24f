// Transformations (transform.h) around others: updates made less often or not
// at all; and averages and noise. Tested by tests/optim/wrappers_test.cc.
#ifndef TAPE_FRAMEWORK_OPTIM_WRAPPERS_H_
#define TAPE_FRAMEWORK_OPTIM_WRAPPERS_H_

#include <cstdint>
#include <vector>

#include "framework/optim/transform.h"

namespace tape {

// Wrappers may stand in one another, in any order, and each group of parameters
// may have its own. Their states are named as below; where a name is taken, the
// next one is "<name>/2" and so on. Refused by both: a `transform` that has no
// optimiser for a parameter that reaches it.

// Adds up gradients and hands every `steps`-th run of the plan their mean to
// `transform`, which ends with an optimiser; on the runs between nothing but
// the sums changes, and no step is counted (ApplyIf). A run with a batch of no
// samples changes nothing, and is not one of the `steps`. State:
// "<parameter>/accumulated", and "accumulated_runs". If a checkpoint has left as
// many runs or more, of an Accumulate of more steps, the next run makes an
// update of the mean of them all. Refused unless steps >= 1.
TransformPtr Accumulate(int steps, TransformPtr transform,
                        Loc loc = Loc::Current());

// Lets `transform`, which ends with an optimiser, act only if every element of
// every gradient is finite; otherwise nothing changes, and no step is counted
// (ApplyIf). Assignments that are not the chain's, such as those of BatchNorm,
// are left out too if they are added by AddAssignments (transform.h). Reports
// (Updates::reports) "skipped": how many runs were left out so far, this one
// included. State: "skipped", int32, which stays at the largest int32.
TransformPtr SkipIfNotFinite(TransformPtr transform, Loc loc = Loc::Current());

// Keeps an exponential moving average of the parameters, a = decay a + (1 -
// decay) w', in "<parameter>/average", from the values that the parameters have
// when it is declared; w' is what the optimiser and the adjustments before this
// one make of w. The decay must be in [0, 1).
TransformPtr AverageWeights(double decay, Loc loc = Loc::Current());

// For CompileOptions::replace: a plan that reads the averages in place of the
// parameters that have one. Of several averages of a parameter, those of the
// chain applied last. A State of that name that no chain has declared is none.
std::vector<Replacement> AveragedWeights(const Graph& graph);

// g' = g + sqrt(scale / (1 + t)^0.55) n, n standard normal and t as for
// schedules: other numbers at each step, and for each AddNoise of a parameter,
// drawn from the graph's seed and the parameter's name. From step 2^31 - 1 on,
// where step counters stay, the numbers are those of that step. Neelakantan et al., "Adding gradient noise improves
// learning for very deep networks", 2015, formula 1. The scale must be at least
// 0.
TransformPtr AddNoise(double scale, Loc loc = Loc::Current());

}  // namespace tape

#endif  // TAPE_FRAMEWORK_OPTIM_WRAPPERS_H_
