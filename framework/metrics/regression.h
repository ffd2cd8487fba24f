// How far a regression's predictions are from their targets. Tested by
// tests/models/user_data_program_test.cc.
#ifndef TAPE_FRAMEWORK_METRICS_REGRESSION_H_
#define TAPE_FRAMEWORK_METRICS_REGRESSION_H_

#include "absl/types/span.h"

namespace tape {

struct RegressionScores {
  double mean_absolute = 0;     // mean |predicted - target|
  double root_mean_square = 0;  // sqrt(mean (predicted - target)^2)
  // 1 - sum (predicted - target)^2 / sum (target - mean target)^2. Of equal
  // targets 1 if all are met, else 0.
  double r2 = 0;
};

// Of as many targets as predictions, at least one; in their units.
RegressionScores ScoreRegression(absl::Span<const float> targets,
                                 absl::Span<const float> predicted);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_METRICS_REGRESSION_H_
