// The best epoch so far (early_stopping.h). In go the metrics of epochs, out
// come verdicts. Tested by tests/train/early_stopping_test.cc.
#include "framework/train/early_stopping.h"

#include <cmath>

#include "framework/core/floating_point.h"

namespace tape {
namespace {

// The watched metric as a score: the larger the better, NaN if not measured.
double Score(const EarlyStoppingOptions& options, const EpochResult& epoch) {
  const EpochMetrics* metrics = nullptr;
  switch (options.split) {
    case DataSplit::kTrain:
      metrics = &epoch.train;
      break;
    case DataSplit::kValidation:
      if (epoch.validation.has_value()) metrics = &*epoch.validation;
      break;
    case DataSplit::kTest:
      metrics = &epoch.test;
      break;
  }
  if (metrics == nullptr) return kNotMeasured;
  double score =
      options.metric == Metric::kLoss ? -metrics->loss : metrics->accuracy;
  if (!options.metric_name.empty()) {
    score = kNotMeasured;
    for (const Measurement& metric : metrics->reports) {
      if (metric.name != options.metric_name) continue;
      score = options.larger_is_better ? metric.value : -metric.value;
    }
  }
  if (options.decimals.has_value()) {
    const double scale = std::pow(10.0, *options.decimals);
    // To even, as NumPy rounds.
    score = std::nearbyint(score * scale) / scale;
  }
  return score;
}

}  // namespace

EarlyStopping::Verdict EarlyStopping::Observe(const EpochResult& epoch) {
  const FloatingPointScope environment;
  const double score = Score(options_, epoch);
  const bool is_best =
      !std::isnan(score) &&
      (!state_.best.has_value() || *state_.best + options_.min_change < score);
  if (is_best) {
    state_.best = score;
    state_.failures = 0;
    return Verdict::kBest;
  }
  const bool is_tie = state_.best.has_value() && score == *state_.best;
  if (!is_tie || options_.ties == Ties::kCount) ++state_.failures;
  return options_.patience.has_value() && state_.failures >= *options_.patience
             ? Verdict::kStop
             : Verdict::kNotBest;
}

}  // namespace tape
