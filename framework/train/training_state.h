// Where a run stands between two steps: all that is needed to go on to the same
// bits, beside the variables of its graph. Kept by the trainer, written and
// read by checkpoint.h. Tested by tests/train/training_state_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_TRAINING_STATE_H_
#define TAPE_FRAMEWORK_TRAIN_TRAINING_STATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "framework/core/tensor.h"
#include "framework/data/batches.h"
#include "framework/metrics/classification.h"
#include "framework/metrics/metrics.h"
#include "framework/train/divergence.h"
#include "framework/train/early_stopping.h"

namespace tape {

// Of the batches of one pass over a split so far, each with its weight in the
// means.
struct PassSums {
  int64_t samples = 0;
  double weight = 0, loss = 0, accuracy = 0;
  std::vector<double> reports = {};     // Of each number that training shows,
  std::vector<double> metrics = {};     // and of each metric of the model.
  double seconds = 0;                   // Of a training pass,
  double learning_rate = kNotMeasured;  // and of its last step.
};

// A variable's value.
struct NamedTensor {
  std::string name;
  Tensor value;
};

struct TrainingState {
  int64_t step = 0;      // Batches trained on, skipped ones included.
  int epoch = 1;         // That goes on, or starts next.
  PassSums pass;         // Of this epoch.
  BatchesState batches;  // Its order, and where in it; no samples at its start.
  LossWatch::State losses;
  EarlyStopping::State early_stopping;
  bool stopped_early = false;
  std::vector<EpochResult> history;  // Of all epochs evaluated.
  EpochResult kept;                  // As in TrainResult.
  ConfusionMatrix confusion = ConfusionMatrix(1);
  // The model's variables after the kept epoch, in order of declaration, if
  // early stopping keeps a copy.
  std::vector<NamedTensor> best;
  // Steps of the plan (CheckpointEvery) whose states are not to be gone back to:
  // the losses around them were out of the range of the run's beginning, or the
  // run has gone back there once and diverged again. Rising.
  std::vector<int64_t> not_good;
  double seconds = 0;            // Of the whole run,
  double training_seconds = 0;   // of its finished training passes,
  int64_t training_samples = 0;  // and their samples.
};

// How many epochs the run has begun.
inline int BegunEpochs(const TrainingState& state) {
  return state.batches.samples > 0 ? state.epoch : state.epoch - 1;
}

// All but the tensors, `best` and `batches.order`, as JSON. Numbers come back
// to the same bits, but for the sign of a NaN.
std::string ToJson(const TrainingState& state);
// The state of such a text, without tensors. Errors: no JSON; a member that is
// missing or of another kind.
absl::StatusOr<TrainingState> TrainingStateFromJson(absl::string_view text);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_TRAINING_STATE_H_
