// Checks of what Train (trainer.h) is given, before anything is run. Errors begin
// with "Train: " and have no line: the caller adds it. Tested by
// tests/train/trainer_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_CHECK_TRAINING_H_
#define TAPE_FRAMEWORK_TRAIN_CHECK_TRAINING_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "framework/data/batches.h"
#include "framework/data/dataset.h"
#include "framework/train/evaluation.h"
#include "framework/train/trainer.h"

namespace tape {

// Returns an error unless the options are in their ranges, training has batches,
// early stopping watches samples and a metric that is there, and reports can be
// written.
absl::Status CheckRun(const BatchSequence& batches, const SplitViews& data,
                      const Model& model, const TrainOptions& options,
                      absl::Span<const ReportedSum> shown);

// Returns an error of batches of the training set as one of Train.
absl::Status InTraining(const absl::Status& status);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_CHECK_TRAINING_H_
