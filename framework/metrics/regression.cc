// Scores of regressions (regression.h). Tested by
// tests/models/user_data_program_test.cc.
#include "framework/metrics/regression.h"

#include <cmath>
#include <cstddef>

#include "framework/core/floating_point.h"

namespace tape {

RegressionScores ScoreRegression(absl::Span<const float> targets,
                                 absl::Span<const float> predicted) {
  const FloatingPointScope environment;
  const auto n = static_cast<double>(targets.size());
  RegressionScores scores;
  double mean = 0, squares = 0, variance = 0;
  for (const float target : targets) mean += target / n;
  for (size_t i = 0; i < targets.size(); ++i) {
    const double target = targets[i];
    const double error = predicted[i] - target;
    scores.mean_absolute += std::fabs(error) / n;
    squares += error * error;
    variance += (target - mean) * (target - mean);
  }
  scores.root_mean_square = std::sqrt(squares / n);
  scores.r2 = variance > 0 ? 1 - squares / variance : (squares == 0 ? 1 : 0);
  return scores;
}

}  // namespace tape
