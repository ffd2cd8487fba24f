// What is measured of a run: after each epoch, and once at its end. Filled by
// the trainer; printed by progress.h and written by run_directory.h.
#ifndef TAPE_FRAMEWORK_TRAIN_METRICS_H_
#define TAPE_FRAMEWORK_TRAIN_METRICS_H_

#include <cstdint>
#include <limits>
#include <string>

namespace tape {

// A number that nobody has measured (yet) is NaN.
inline constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

// One pass over one split of the data.
struct EpochMetrics {
  int epoch = 0;                        // The first is 1.
  std::string split = {};               // "train" or "test".
  double loss = kNotMeasured;           // Mean over the samples.
  double accuracy = kNotMeasured;       // A fraction, 0 to 1.
  double learning_rate = kNotMeasured;  // At the end of the epoch.
  double seconds = kNotMeasured;        // That this pass took.
};

// A whole run. Losses and accuracies are those of its last epoch.
struct RunSummary {
  std::string experiment = {};
  std::string variant = {};
  uint64_t seed = 0;
  int threads = 0;
  int epochs = 0;
  double train_loss = kNotMeasured;
  double train_accuracy = kNotMeasured;  // A fraction, 0 to 1.
  double test_loss = kNotMeasured;
  double test_accuracy = kNotMeasured;  // A fraction, 0 to 1.
  double seconds = kNotMeasured;
  double samples_per_second = kNotMeasured;  // While training.
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_METRICS_H_
