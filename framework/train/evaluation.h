// What passes over data come to: the sums of their batches, and the passes
// without updates that follow an epoch of training. The trainer's own. Tested
// by tests/train/trainer_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_EVALUATION_H_
#define TAPE_FRAMEWORK_TRAIN_EVALUATION_H_

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/data/batches.h"
#include "framework/data/dataset.h"
#include "framework/metrics/classification.h"
#include "framework/metrics/metrics.h"
#include "framework/runtime/plan.h"
#include "framework/train/trainer.h"
#include "framework/train/training_state.h"

namespace tape {

// A number that training shows beside loss and accuracy: a sum of fetches.
struct ReportedSum {
  std::string name;
  std::vector<Var> terms;
};

// Adds what `plan` has computed of a batch, of loss and predictions and of what
// is shown, to the sums of a pass. An error if there is not a prediction for
// each sample.
absl::Status AddBatch(const Plan& plan, const Batch& batch,
                      const Classifier& model, Averaging averaging,
                      absl::Span<const ReportedSum> shown, PassSums& sums);

// Of the batches added; NaN of none.
double MeanLoss(const PassSums& sums);
double MeanAccuracy(const PassSums& sums);

// Passes without updates, over one split in its order.
class Evaluation {
 public:
  // `dataset` must outlive this object.
  Evaluation(const Dataset& dataset, const TrainOptions& options);

  // What does not fit of the data set or the options.
  absl::Status Check() const;

  // Measures loss, accuracy and seconds; and the confusion. `plan` fetches the
  // model's loss and predictions.
  absl::StatusOr<EpochMetrics> Run(Plan& plan, const Classifier& model);

  // Of the last pass.
  const ConfusionMatrix& confusion() const { return confusion_; }

 private:
  const int classes_;
  const Averaging averaging_;
  Batches batches_;
  ConfusionMatrix confusion_ = ConfusionMatrix(1);
};

// All passes without updates that follow an epoch of training.
class Evaluations {
 public:
  // `data` must outlive this object.
  Evaluations(const DataSplits& data, const TrainOptions& options);

  // What does not fit of the splits or the options.
  absl::Status Check() const;

  // Completes the result of an epoch, of which the training pass is there.
  absl::Status Run(Plan& plan, const Classifier& model, EpochResult& epoch);

  const ConfusionMatrix& test_confusion() const { return test_.confusion(); }

 private:
  std::optional<Evaluation> train_, validation_;
  Evaluation test_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_EVALUATION_H_
