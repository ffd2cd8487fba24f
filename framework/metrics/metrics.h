// What is measured of a run: after each epoch, and once at its end. Filled by
// the trainer; printed by progress.h and written by run_directory.h. Tested by
// tests/log/metrics_test.cc.
#ifndef TAPE_FRAMEWORK_METRICS_METRICS_H_
#define TAPE_FRAMEWORK_METRICS_METRICS_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tape {

// NaN: not measured.
inline constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

// A loss to four digits after the point; "nan", "inf" or "-inf" if it is not
// finite.
std::string LossText(double loss);

// A number with its name.
struct Measurement {
  std::string name;
  double value = kNotMeasured;
};

// `name`, or, where it is taken, the first of "name_2", "name_3" and so on that
// is not: reports of two groups of parameters may have one name.
std::string UnusedName(
    const std::string& name,
    const std::function<bool(const std::string& name)>& is_taken);

// One pass over one split of the data.
struct EpochMetrics {
  int epoch = 0;                        // The first is 1.
  std::string split = {};               // "train", "validation" or "test".
  double loss = kNotMeasured;           // As the model has it: a mean.
  double accuracy = kNotMeasured;       // A fraction, 0 to 1.
  double learning_rate = kNotMeasured;  // At the end of the epoch.
  double seconds = kNotMeasured;        // That this pass took.
  // What else a training pass showed, as means over its batches: "penalty",
  // the sum of the regularisers' terms, and what the updates report by name.
  std::vector<Measurement> reports = {};
};

// One epoch: every pass that was made.
struct EpochResult {
  EpochMetrics train;
  std::optional<EpochMetrics> validation = {};  // If there is such a split.
  EpochMetrics test = {};
};

// A whole run. Losses and accuracies are of the weights it ends with.
struct RunSummary {
  std::string experiment = {};
  std::string variant = {};
  uint64_t seed = 0;
  int threads = 0;
  int epochs = 0;  // That were made.
  int kept_epoch =
      0;  // Whose weights the run ends with: the last, or the best.
  double train_loss = kNotMeasured;
  double train_accuracy = kNotMeasured;  // A fraction, 0 to 1.
  double validation_loss = kNotMeasured;
  double validation_accuracy = kNotMeasured;  // A fraction, 0 to 1.
  double test_loss = kNotMeasured;
  double test_accuracy = kNotMeasured;  // A fraction, 0 to 1.
  double seconds = kNotMeasured;
  double samples_per_second = kNotMeasured;  // While training.
  // The model's own: "rmse", "r2", ….
  std::vector<Measurement> validation_metrics = {};
  std::vector<Measurement> test_metrics = {};
};

// How a summary stands in JSON: units as above; metrics as an object with a member
// for each; NaN and infinities, which JSON has not, are null; validation figures
// that nobody measured, and no metrics, are left out.
enum class JsonForm {
  kIndented,  // A line for each member, ends with a newline.
  kLine,      // One line, without its newline.
};
std::string ToJson(const RunSummary& summary, JsonForm form);
// The summary of such a text. Errors: no JSON, a member that is missing, of
// another type or unknown.
absl::StatusOr<RunSummary> RunSummaryFromJson(absl::string_view text);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_METRICS_METRICS_H_
