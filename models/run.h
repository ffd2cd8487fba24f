// One run of an experiment: from its settings and data to its figures. Shared
// by the programs train and reproduce. Tested by tests/models/run_test.cc.
#ifndef TAPE_MODELS_RUN_H_
#define TAPE_MODELS_RUN_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "framework/core/graph.h"
#include "framework/data/dataset.h"
#include "framework/metrics/metrics.h"
#include "framework/serving/saved_model.h"
#include "framework/train/model.h"
#include "framework/train/trainer.h"
#include "models/experiment.h"
#include "models/run_record.h"
#include "models/user_data.h"

namespace tape {

// What an experiment has of a data set: the samples with its labels, of which
// settings.validation are split off for validation by `seed`. Errors: those of
// SelectLabels and SplitAtRandom (framework/data/subset.h).
absl::StatusOr<DataSplits> SelectData(const Experiment& experiment,
                                      const Settings& settings, uint64_t seed,
                                      DataSplits all);

// Declares the experiment's model in `graph`, whose seed is that of the initial
// weights, for `data`. Errors: mistakes of the declaration, a line each;
// regularisers for a variant that has its own updates.
absl::StatusOr<Classifier> DeclareModel(const Experiment& experiment,
                                        const Settings& settings,
                                        const DataSplits& data, Graph& graph);

// A run's model as it was declared.
struct DeclaredRun {
  // With the outputs "class" and "probabilities" of a classifier, "value" of a
  // regression.
  Model model;
  Classifier classifier = {};  // Of an experiment.
  ModelCard card = {};
};
// Declares it. Errors: those of DeclareModel and DeclareUserMlp.
absl::StatusOr<DeclaredRun> DeclareRun(const RunSettings& run,
                                       const RunData& data, Graph& graph);

// Whether the model's logits of an image follow from that image alone, and not
// from others of its batch. False without logits.
bool ScoresImagesApart(const Classifier& model);

// What is kept of a run.
RunSummary Summarize(const Experiment& experiment, uint64_t seed,
                     const TrainResult& result);

}  // namespace tape

#endif  // TAPE_MODELS_RUN_H_
