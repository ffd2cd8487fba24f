// A run that keeps its checkpoints and goes on from them by itself
// (TrainOptions::checkpoints). Tested by tests/train/checkpointed_run_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_CHECKPOINTED_RUN_H_
#define TAPE_FRAMEWORK_TRAIN_CHECKPOINTED_RUN_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/core/graph.h"
#include "framework/train/checkpoint.h"
#include "framework/train/trainer.h"

namespace tape {

class CheckpointedRun {
 public:
  // Gives the graph's variables the values of the newest checkpoint that is sound,
  // if there is one. Errors: `save` or `resume_from` beside the folder; fewer than
  // 1 to keep; those of CheckpointFolder::Newest and Restore.
  static absl::StatusOr<std::unique_ptr<CheckpointedRun>> Open(
      Graph& graph, const TrainOptions& options);

  // Those of the caller, with `save` and `resume_from`; they last as long as this.
  const TrainOptions& options() const { return options_; }
  // Of checkpoints that were passed over, why.
  const std::vector<absl::Status>& damaged() const { return damaged_; }

 private:
  CheckpointedRun(const Graph& graph, const TrainOptions& options);

  CheckpointFolder folder_;
  TrainingState state_;
  std::vector<absl::Status> damaged_;
  TrainOptions options_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_CHECKPOINTED_RUN_H_
