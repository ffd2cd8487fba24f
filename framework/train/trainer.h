// The training loop: epochs of mini-batches over a labelled data set, an
// evaluation after each. Tested by tests/models_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_TRAINER_H_
#define TAPE_FRAMEWORK_TRAIN_TRAINER_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/core/graph.h"
#include "framework/core/updates.h"
#include "framework/data/batches.h"
#include "framework/data/dataset.h"
#include "framework/train/metrics.h"
#include "framework/train/progress.h"

namespace tape {

// What the loop needs to know of a declared model.
struct Classifier {
  Graph* graph = nullptr;
  Var images;    // Input uint8 [batch, pixels].
  Var labels;    // Input int32 [batch].
  Var loss;      // The mean loss of the batch, for reports: float32 of rank 0.
  Var accuracy;  // The share of the batch that is classified rightly: float32
                 // of rank 0.
  Updates updates;
};

// How the metrics of batches become those of an epoch. They differ if the last
// batch is short.
enum class Averaging {
  kOverSamples,  // Each sample counts alike.
  kOverBatches,  // Each batch counts alike, as the documents do it.
};

struct TrainOptions {
  int epochs = 1;
  BatchOptions batches;  // Of the training set.
  int64_t evaluation_batch_size =
      1000;  // Of the test set, all of it in fixed order.
  Averaging averaging = Averaging::kOverSamples;
  int threads = 0;  // As CompileOptions::threads.
};

// What an epoch came to. The training figures are of each batch as it was met,
// before the update made on it; the test figures are of the weights after the
// epoch.
struct EpochResult {
  EpochMetrics train;
  EpochMetrics test;
};

// What a whole run came to.
struct TrainResult {
  EpochResult last;
  int threads = 0;
  double seconds = 0;             // Of the whole run, evaluations included.
  double samples_per_second = 0;  // Of training alone.
};

// Trains `model` on data.train, and after each epoch evaluates it on data.test
// and calls `on_epoch`, whose error ends the run. Draws on `progress`. Errors:
// mistakes in the model's declaration, before anything is run.
absl::StatusOr<TrainResult> Train(
    const Classifier& model, const DataSplits& data,
    const TrainOptions& options, Progress& progress,
    const std::function<absl::Status(const EpochResult&)>& on_epoch);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_TRAINER_H_
