// Which epoch of a run is the best so far, and whether to go on: from one
// metric of one split, epoch by epoch. Asked by the trainer. Tested by
// tests/train/early_stopping_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_EARLY_STOPPING_H_
#define TAPE_FRAMEWORK_TRAIN_EARLY_STOPPING_H_

#include <optional>
#include <string>

#include "framework/metrics/metrics.h"

namespace tape {

// One of the sets of DataSplits (../data/dataset.h).
enum class DataSplit { kTrain, kValidation, kTest };
// Its values by an earlier name, which in a declaration of a variable is that of
// an op (../../ops/ops.h).
struct Split {
  static constexpr DataSplit kTrain = DataSplit::kTrain;
  static constexpr DataSplit kValidation = DataSplit::kValidation;
  static constexpr DataSplit kTest = DataSplit::kTest;
};

// What is watched, and in which direction it gets better.
enum class Metric {
  kLoss,      // The smaller the better.
  kAccuracy,  // The larger the better.
};

// Whether an epoch exactly as good as the best counts against patience.
enum class Ties { kCount, kForgive };

// Whose weights a run ends with.
enum class Keep {
  kLast,  // The last epoch's.
  kBest,  // A copy of the best epoch's, made when it was met.
};

struct EarlyStoppingOptions {
  DataSplit split = DataSplit::kValidation;
  Metric metric = Metric::kAccuracy;
  // If not empty, a metric of the model (ModelMetric) in place of that.
  std::string metric_name = {};
  bool larger_is_better = true;  // Of the metric of that name.
  // An epoch is a new best if it beats the best so far by more than this, in
  // units of the metric (accuracies are fractions). At least 0.
  double min_change = 0;
  // Metrics are rounded to so many decimals first; not at all if empty.
  std::optional<int> decimals = std::nullopt;
  // The run stops with this many epochs in a row that are no new best, at least
  // 1; never if empty.
  std::optional<int> patience = std::nullopt;
  Ties ties = Ties::kCount;
  Keep keep = Keep::kBest;
};

// For one run. A metric that is NaN is never a best, and counts against
// patience.
class EarlyStopping {
 public:
  enum class Verdict {
    kBest,     // A new best: the first epoch's is one unless it is NaN.
    kNotBest,  // Go on.
    kStop,     // No new best, and patience is at its end.
  };

  // What it knows of the epochs so far.
  struct State {
    std::optional<double> best = std::nullopt;  // The larger the better.
    int failures = 0;  // Epochs in a row that count against patience.
  };

  explicit EarlyStopping(EarlyStoppingOptions options) : options_(options) {}
  // Goes on from there.
  EarlyStopping(EarlyStoppingOptions options, State state)
      : options_(options), state_(state) {}

  // Takes note of the next epoch. If the watched split was not measured, it is
  // as if its metric were NaN.
  Verdict Observe(const EpochResult& epoch);

  const EarlyStoppingOptions& options() const { return options_; }
  const State& state() const { return state_; }

 private:
  EarlyStoppingOptions options_;
  State state_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_EARLY_STOPPING_H_
