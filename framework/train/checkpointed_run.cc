// Runs with checkpoints of their own (checkpointed_run.h). Tested by
// tests/train/checkpointed_run_test.cc.
#include "framework/train/checkpointed_run.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "framework/train/ranks.h"

namespace tape {
namespace {

constexpr double kSecondsBetween = 60;

}  // namespace

CheckpointedRun::CheckpointedRun(const Graph& graph,
                                 const TrainOptions& options)
    : folder_(options.checkpoints, options.keep_checkpoints),
      options_(options) {
  CheckpointEvery& every = options_.checkpoint_every;
  if (every.steps == 0 && every.epochs == 0 && every.seconds == 0) {
    every.seconds = kSecondsBetween;
  }
  options_.save = [this, &graph](const TrainingState& state) {
    return folder_.Save(graph, state, options_.checkpoint_metadata);
  };
}

absl::StatusOr<std::unique_ptr<CheckpointedRun>> CheckpointedRun::Open(
    Graph& graph, const TrainOptions& options) {
  if (options.save != nullptr || options.resume_from != nullptr) {
    return absl::InvalidArgumentError(
        "Train: expected checkpoints, or save and resume_from, found both");
  }
  if (options.keep_checkpoints < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("Train: expected keep_checkpoints of at least 1, found ",
                     options.keep_checkpoints));
  }
  std::unique_ptr<CheckpointedRun> run(new CheckpointedRun(graph, options));
  const absl::StatusOr<std::optional<Checkpoint>> newest =
      OnRankZero(options.parallel.ranks(),
                 [&]() -> absl::StatusOr<std::optional<Checkpoint>> {
                   if (absl::Status status = run->folder_.RemoveUnfinished();
                       !status.ok()) {
                     return status;
                   }
                   return run->folder_.Newest(run->damaged_);
                 });
  if (!newest.ok()) return newest.status();
  if (!newest->has_value()) return run;
  absl::StatusOr<TrainingState> state = Restore(**newest, graph);
  if (!state.ok()) return state.status();
  run->state_ = *std::move(state);
  run->options_.resume_from = &run->state_;
  return run;
}

}  // namespace tape
