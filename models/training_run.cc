// A run with its folder (training_run.h). Tested by
// tests/models/resume_program_test.cc and tests/models/training_run_test.cc.
#include "models/training_run.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "framework/core/text.h"
#include "framework/data/batches.h"
#include "framework/io/files.h"
#include "framework/train/ranks.h"
#include "framework/train/weights.h"
#include "models/run.h"

namespace tape {
namespace {

// Goes on with all logs after a run's history.
absl::Status Continue(RunFiles& files, absl::Span<const EpochResult> history) {
  absl::Status status = files.directory.ContinueMetrics(history);
  for (EpochLog& log : files.logs) {
    if (status.ok()) status = log.Continue(history);
  }
  return status;
}

absl::Status Append(RunFiles& files, const EpochResult& epoch) {
  absl::Status status = files.directory.AppendMetrics(epoch.train);
  if (epoch.validation.has_value()) {
    status.Update(files.directory.AppendMetrics(*epoch.validation));
  }
  status.Update(files.directory.AppendMetrics(epoch.test));
  for (EpochLog& log : files.logs) status.Update(log.Append(epoch));
  return status;
}

// A run may end without a bad step, and yet with a model whose losses are not
// finite: that its last steps have ruined.
std::string DivergenceAtTheEnd(const EpochResult& kept, bool has_test) {
  for (const EpochMetrics* metrics : {&kept.train, &kept.test}) {
    if (std::isfinite(metrics->loss) || (metrics == &kept.test && !has_test)) {
      continue;
    }
    return absl::StrCat("epoch ", metrics->epoch, ": the loss on the ",
                        metrics->split, " set is no longer finite");
  }
  return "";
}

absl::Status WriteModel(const std::string& path, const DeclaredRun& declared,
                        const Metadata& record) {
  std::vector<Var> outputs = {declared.model.loss};
  for (const Output& output : declared.model.outputs) {
    outputs.push_back(output.value);
  }
  const absl::StatusOr<SavedWeights> weights =
      SaveWeights(*declared.model.graph, {}, outputs);
  if (!weights.ok()) return weights.status();
  return WriteSafetensors(path, weights->arrays, record);
}

// The record of a run, and its model.
absl::StatusOr<Metadata> MetadataOf(const RunSettings& run, const RunData& data,
                                    const DeclaredRun& declared) {
  Metadata record = RunRecord(run, data);
  // A formula of a document that scores an image by the others of its batch is
  // of no use to who predicts.
  if (data.user == nullptr && !ScoresImagesApart(declared.classifier)) {
    return record;
  }
  absl::StatusOr<Metadata> model =
      ModelMetadata(declared.model, declared.card, Loc{});
  if (!model.ok()) return model.status();
  record.insert(record.end(), model->begin(), model->end());
  return record;
}

// The checkpoint to go back to from a run that has diverged. The one made just
// before the first bad loss is not good: that loss is of its weights. Nor will
// this one be, if the run diverges again before there is a newer one.
absl::StatusOr<Checkpoint> LastGood(RunFiles& files, const TrainResult& result,
                                    std::FILE* messages) {
  std::vector<absl::Status> damaged;
  absl::StatusOr<std::optional<Checkpoint>> found =
      files.checkpoints.NewestGood(damaged, result.first_bad_step - 2,
                                   result.not_good);
  if (!found.ok()) return found.status();
  for (const absl::Status& status : damaged) {
    absl::FPrintF(messages, "%s\n", Printable(status.message()));
  }
  if (!found->has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(
        result.divergence, "; there is no checkpoint to go back to"));
  }
  absl::Status status = files.checkpoints.RemoveAfter((*found)->state.step);
  if (!status.ok()) return status;
  return **std::move(found);
}

// Of the state that a run goes back to.
void MarkNotGood(const TrainResult& result, TrainingState& state) {
  state.not_good = result.not_good;
  std::erase_if(state.not_good,
                [&](int64_t step) { return step >= state.step; });
  state.not_good.push_back(state.step);
}

// Whether a checkpoint is ever due.
bool IsEver(const CheckpointEvery& every) {
  return every.steps > 0 || every.epochs > 0 || every.seconds > 0;
}

}  // namespace

CheckpointEvery PlanOfGoingBack(CheckpointEvery every) {
  if (every.steps == 0 && every.epochs == 0) every.epochs = 1;
  every.seconds = 0;
  return every;
}

bool KeepsCheckpoints(const RunFiles& files) {
  return IsEver(files.checkpoint_every);
}

std::string CheckpointsIn(const std::string& run_dir) {
  return PathIn(run_dir, kCheckpointsName);
}

std::string ModelFileIn(const std::string& run_dir) {
  return PathIn(run_dir, kModelName);
}

absl::StatusOr<std::optional<Checkpoint>> FindCheckpoint(
    const std::string& run_dir, std::FILE* messages) {
  std::vector<absl::Status> damaged;
  absl::StatusOr<std::optional<Checkpoint>> found =
      CheckpointFolder(CheckpointsIn(run_dir), 1).Newest(damaged);
  if (!found.ok()) return found.status();
  for (const absl::Status& status : damaged) {
    absl::FPrintF(messages, "%s\n", Printable(status.message()));
  }
  if (found->has_value()) return found;
  if (!damaged.empty()) {
    return absl::DataLossError(absl::StrCat(CheckpointsIn(run_dir),
                                            ": expected a good checkpoint, "
                                            "found damaged ones only"));
  }
  absl::StatusOr<std::vector<std::string>> names = RunFilesIn(run_dir);
  if (!names.ok()) return names.status();
  if (names->empty()) return found;
  const auto has_metrics =
      std::find_if(names->begin(), names->end(), [](absl::string_view name) {
        return name == kMetricsName || name == kSummaryName;
      });
  if (has_metrics != names->end()) {
    return absl::FailedPreconditionError(
        absl::StrCat(run_dir, ": expected a run with checkpoints, found ",
                     *has_metrics, " of one without"));
  }
  // An empty folder of checkpoints is that of a run killed at its start.
  names->erase(std::remove(names->begin(), names->end(), kCheckpointsName),
               names->end());
  if (names->empty()) return found;
  return absl::FailedPreconditionError(absl::StrCat(
      run_dir, ": expected a run, found only ", absl::StrJoin(*names, ", ")));
}

absl::StatusOr<TrainedRun> RunTraining(TrainingRun& run, const RunData& data,
                                       Progress& progress,
                                       std::FILE* messages) {
  RunFiles* const files = run.files;
  Communicator& ranks = run.run.settings.train.parallel.ranks();
  CheckpointEvery every =
      files != nullptr ? files->checkpoint_every : run.checkpoint_every;
  const bool keeps_checkpoints = IsEver(every);
  if (keeps_checkpoints && run.run.goes_back) {
    const CheckpointEvery plan = PlanOfGoingBack(every);
    every.steps = plan.steps;
    every.epochs = plan.epochs;
    const int64_t batches =
        data.batches_per_epoch(run.run.settings.train.batches);
    if (files != nullptr) {
      files->checkpoints.KeepForGoingBack(
          [=](int64_t step) { return plan.IsPlanned(step, batches); });
    }
  }
  while (true) {
    const Settings settings = run.run.now();
    TrainedRun trained = {
        .graph = std::make_unique<Graph>(GraphOptions{.seed = run.run.seed}),
        .model = {},
        .declared = {},
        .result = {},
        .settings = settings};
    Graph& graph = *trained.graph;
    absl::StatusOr<DeclaredRun> declared = DeclareRun(run.run, data, graph);
    if (!declared.ok()) return declared.status();
    trained.declared = *std::move(declared);
    trained.model = trained.declared.classifier;

    const absl::StatusOr<Metadata> metadata =
        MetadataOf(run.run, data, trained.declared);
    if (!metadata.ok()) return metadata.status();
    const Metadata& record = *metadata;
    TrainOptions options = settings.train;
    std::optional<TrainingState> state;
    if (run.from.has_value()) {
      absl::StatusOr<TrainingState> restored = Restore(*run.from, graph);
      if (!restored.ok()) return restored.status();
      state = *std::move(restored);
      options.resume_from = &*state;
    }
    if (files != nullptr) {
      absl::Status status =
          Continue(*files, state.has_value() ? state->history
                                             : std::vector<EpochResult>());
      if (!status.ok()) return status;
    }
    if (keeps_checkpoints) {
      options.checkpoint_every = every;
      options.save = [&](const TrainingState& now) {
        return files->checkpoints.Save(graph, now, record);
      };
      // A run that is made longer stays so, though it be killed before its next
      // checkpoint.
      if (files != nullptr && state.has_value() &&
          ValueOf(run.from->file.metadata, "epochs") !=
              ValueOf(record, "epochs")) {
        absl::Status status = options.save(*state);
        if (!status.ok()) return status;
      }
    }
    const auto on_epoch = [&](const EpochResult& epoch) {
      return files == nullptr ? absl::OkStatus() : Append(*files, epoch);
    };
    absl::StatusOr<TrainResult> result =
        data.user != nullptr ? Train(trained.declared.model, data.user->splits,
                                     options, progress, on_epoch, Loc{})
                             : Train(trained.model, *data.images, options,
                                     progress, on_epoch, Loc{});
    if (!result.ok()) return result.status();
    trained.result = *std::move(result);
    if (trained.result.end == End::kFinished &&
        options.on_divergence != OnDivergence::kGoOn) {
      trained.result.divergence = DivergenceAtTheEnd(
          trained.result.kept,
          data.user == nullptr || data.user->splits.test.size() > 0);
      if (!trained.result.divergence.empty()) {
        trained.result.end = End::kDiverged;
        trained.result.first_bad_step = trained.result.step;
      }
    }
    if (trained.result.end == End::kFinished && files != nullptr) {
      absl::Status status = WriteModel(ModelFileIn(files->directory.path()),
                                       trained.declared, record);
      if (!status.ok()) return status;
    }
    if (trained.result.end != End::kDiverged || !run.run.goes_back ||
        run.run.returns >= TrainingRun::kMostReturns) {
      return trained;
    }

    absl::StatusOr<std::optional<Checkpoint>> good =
        OnRankZero(ranks, [&]() -> absl::StatusOr<std::optional<Checkpoint>> {
          return LastGood(*files, trained.result, messages);
        });
    if (!good.ok()) return good.status();
    MarkNotGood(trained.result, (*good)->state);
    ++run.run.returns;
    absl::FPrintF(messages,
                  "%s; going back to step %d, with a learning rate of %g\n",
                  trained.result.divergence, (*good)->state.step,
                  run.run.now().learning_rate);
    run.from = **std::move(good);
  }
}

}  // namespace tape
