// A run of an experiment (run.h). Tested by tests/models/run_test.cc.
#include "models/run.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "framework/data/batches.h"
#include "framework/data/subset.h"

namespace tape {

absl::StatusOr<DataSplits> SelectData(const Experiment& experiment,
                                      const Settings& settings, uint64_t seed,
                                      DataSplits all) {
  if (!experiment.labels.empty()) {
    for (Dataset* split : {&all.train, &all.test}) {
      absl::StatusOr<Dataset> selected =
          SelectLabels(*split, experiment.labels);
      if (!selected.ok()) return selected.status();
      *split = *std::move(selected);
    }
  }
  if (settings.validation > 0) {
    absl::StatusOr<RandomSplit> split =
        SplitAtRandom(all.train, {.fraction = settings.validation,
                                  .seed = seed,
                                  .stratification = settings.stratification});
    if (!split.ok()) return split.status();
    all.train = std::move(split->rest);
    all.validation = std::move(split->part);
  }
  return all;
}

absl::StatusOr<Classifier> DeclareModel(const Experiment& experiment,
                                        const Settings& settings,
                                        const DataSplits& data, Graph& graph) {
  if (experiment.variant == "as_written" &&
      (settings.l1 != 0 || settings.l2 != 0 || settings.proximal_l1 != 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat(experiment.name,
                     ": the variant as_written has the updates of its "
                     "document, and takes no regularisers"));
  }
  const int64_t updates =
      settings.train.epochs *
      Batches(data.train, settings.train.batches).batches_per_epoch();
  const Classifier model =
      experiment.declare(graph, data.train.pixels(), settings, updates);
  if (!graph.status().ok()) return graph.status();
  return model;
}

RunSummary Summarize(const Experiment& experiment, uint64_t seed,
                     const TrainResult& result) {
  const EpochResult& kept = result.kept;
  RunSummary summary = {.experiment = experiment.name,
                        .variant = experiment.variant,
                        .seed = seed,
                        .threads = result.threads,
                        .epochs = result.epochs,
                        .kept_epoch = kept.test.epoch,
                        .train_loss = kept.train.loss,
                        .train_accuracy = kept.train.accuracy,
                        .test_loss = kept.test.loss,
                        .test_accuracy = kept.test.accuracy,
                        .seconds = result.seconds,
                        .samples_per_second = result.samples_per_second};
  if (kept.validation.has_value()) {
    summary.validation_loss = kept.validation->loss;
    summary.validation_accuracy = kept.validation->accuracy;
  }
  return summary;
}

}  // namespace tape
