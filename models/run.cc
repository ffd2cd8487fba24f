// A run of an experiment (run.h). Tested by tests/models/run_test.cc.
#include "models/run.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "framework/data/batches.h"
#include "framework/data/subset.h"
#include "models/user_mlp.h"
#include "ops/ops.h"

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

namespace {

// The experiment's classifier as a model with outputs.
DeclaredRun OfClassifier(const Classifier& classifier, const DataSplits& data) {
  DeclaredRun declared = {
      .model = {.graph = classifier.graph,
                .feeds = {{classifier.images, "images"},
                          {classifier.labels, "labels"}},
                .loss = classifier.loss,
                .updates = classifier.updates,
                .outputs = {{"class", classifier.predicted}}},
      .classifier = classifier};
  if (!classifier.logits.empty()) {
    declared.model.outputs.push_back(
        {"probabilities", Softmax(classifier.logits)});
  }
  const absl::StatusOr<ImageSize> size = SizeOfImages(data.train);
  if (size.ok()) {
    declared.card.images = ImageLayout{static_cast<int64_t>(size->rows),
                                       static_cast<int64_t>(size->columns)};
  }
  return declared;
}

}  // namespace

absl::StatusOr<DeclaredRun> DeclareRun(const RunSettings& run,
                                       const RunData& data, Graph& graph) {
  const Settings settings = run.now();
  DeclaredRun declared;
  if (data.user != nullptr) {
    const int64_t updates =
        settings.train.epochs * data.batches_per_epoch(settings.train.batches);
    absl::StatusOr<Model> model =
        DeclareUserMlp(run.user->mlp, *data.user, settings, updates, graph);
    if (!model.ok()) return model.status();
    declared.model = *std::move(model);
    declared.card = data.user->card;
  } else {
    const absl::StatusOr<Classifier> classifier =
        DeclareModel(*run.experiment, settings, *data.images, graph);
    if (!classifier.ok()) return classifier.status();
    declared = OfClassifier(*classifier, *data.images);
  }
  declared.card.precision = settings.train.precision;
  return declared;
}

bool ScoresImagesApart(const Classifier& model) {
  if (!model.logits.valid()) return false;
  const Graph& graph = *model.graph;
  const Var images = model.images, output = model.logits;
  std::vector<bool> in_rows(graph.size(), false);
  in_rows[images.id()] = true;
  const std::vector<bool> needed =
      NodesNeededBy(graph, {output}, Mode::kInference);
  for (int id = 0; id <= output.id(); ++id) {
    const Node& node = graph.node(id);
    const bool reads_rows =
        std::any_of(node.inputs.begin(), node.inputs.end(),
                    [&](int input) { return in_rows[input]; });
    if (!needed[id] || !reads_rows) continue;
    const Traits& traits = node.op->traits;
    if (const int from = traits.Forwards(Mode::kInference); from >= 0) {
      in_rows[id] = in_rows[node.inputs[from]];
      continue;
    }
    if (traits.elementwise || traits.view) {
      // Axis 0 must stay what it is.
      if (node.type.shape.rank() == 0 || node.type.shape[0] != kBatch) {
        return false;
      }
    } else {
      std::vector<TensorType> types;
      absl::InlinedVector<bool, 3> inputs_in_rows;
      for (int input : node.inputs) {
        types.push_back(graph.node(input).type);
        inputs_in_rows.push_back(in_rows[input]);
      }
      if (node.op->rows == nullptr ||
          node.op->rows({.attributes = node.attributes,
                         .inputs = types,
                         .in_rows = inputs_in_rows,
                         .output = node.type}) != RowRole::kApart) {
        return false;
      }
    }
    in_rows[id] = true;
  }
  return true;
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
                        .samples_per_second = result.samples_per_second,
                        .test_metrics = kept.test.reports};
  if (kept.validation.has_value()) {
    summary.validation_loss = kept.validation->loss;
    summary.validation_accuracy = kept.validation->accuracy;
    summary.validation_metrics = kept.validation->reports;
  }
  return summary;
}

}  // namespace tape
