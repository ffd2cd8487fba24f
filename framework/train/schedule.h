// Schedules: a number for each step, such as a learning rate, as a program on
// the tape. Tested by tests/transform_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_SCHEDULE_H_
#define TAPE_FRAMEWORK_TRAIN_SCHEDULE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "framework/core/graph.h"

namespace tape {

class Schedule {
 public:
  // From the number of updates made so far, as float32 of rank 0, to the value:
  // float32 of rank 0.
  using Function = std::function<Var(Var step)>;

  // The same number at every step.
  Schedule(double constant);  // NOLINT: a rate may be given as a number.
  // `error` tells of a bad argument; whoever uses the schedule reports it.
  explicit Schedule(Function function, std::string error = "")
      : function_(std::move(function)), error_(std::move(error)) {}

  // Empty, or what is wrong with the arguments.
  const std::string& error() const { return error_; }
  // The value at the step that `graph` counts (Graph::Step).
  Var At(Graph& graph, Loc loc) const;

 private:
  Function function_;
  std::string error_;
};

// From `rate` at step 0 in a straight line to 0 at step `steps`, and 0 from
// there on. Refused unless steps >= 1.
Schedule LinearDecay(double rate, int64_t steps);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_SCHEDULE_H_
