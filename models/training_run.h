// A run as the program train makes it: an experiment's training, with what is
// kept of it in its folder, and what becomes of it when it diverges. Tested by
// tests/models/resume_program_test.cc and tests/models/training_run_test.cc.
#ifndef TAPE_MODELS_TRAINING_RUN_H_
#define TAPE_MODELS_TRAINING_RUN_H_

#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/core/graph.h"
#include "framework/data/dataset.h"
#include "framework/log/epoch_log.h"
#include "framework/log/progress.h"
#include "framework/log/run_directory.h"
#include "framework/train/checkpoint.h"
#include "framework/train/trainer.h"
#include "models/run.h"
#include "models/run_record.h"

namespace tape {

// The files of a run's folder, but for the report.
struct RunFiles {
  RunDirectory directory;
  std::vector<EpochLog> logs;  // Beside metrics.csv.
  // None are kept if `checkpoint_every` is all 0.
  CheckpointFolder checkpoints;
  CheckpointEvery checkpoint_every;
};
bool KeepsCheckpoints(const RunFiles& files);

// Which checkpoints a run that goes back may go back to, and therefore writes
// too: those that are due by steps or epochs, or, where `every` has neither,
// each epoch's. What the clock or an interruption makes it write is none of
// them, so that where it goes back to does not depend on either.
CheckpointEvery PlanOfGoingBack(CheckpointEvery every);

// The folder of checkpoints in that of a run.
std::string CheckpointsIn(const std::string& run_dir);
// The model that a run ends with, as safetensors: its parameters and the states
// that its loss, predictions and logits read (ModelVariables, weights.h), by
// their names; RunRecord and, for programs that know no experiments,
// ModelMetadata (../framework/serving/saved_model.h) as metadata, as checkpoints
// have them too.
std::string ModelFileIn(const std::string& run_dir);

// The newest good checkpoint of the run in `run_dir`, or none if there is no
// run yet. Those that are damaged are named on `messages`, a line each. Errors:
// a run that has no checkpoint, or no good one; what a run may write, of no run.
absl::StatusOr<std::optional<Checkpoint>> FindCheckpoint(
    const std::string& run_dir, std::FILE* messages);

struct TrainingRun {
  RunSettings run;                 // If it goes back, it needs checkpoints.
  std::optional<Checkpoint> from;  // Where to go on.
  // Null if nothing is kept, and on all ranks but rank 0.
  RunFiles* files = nullptr;
  // Without files: that of rank 0's, by which every rank goes.
  CheckpointEvery checkpoint_every = {};

  static constexpr int kMostReturns = 10;
};

// A run at its end.
struct TrainedRun {
  std::unique_ptr<Graph> graph;
  Classifier model;      // Of an experiment.
  DeclaredRun declared;  // Of any run.
  TrainResult result;
  Settings settings;  // With the learning rate that it ended with.
};

// Trains, and keeps what is to be kept; says on `messages` what it does beyond
// that. If the run is finished, the folder gets its model file, in the place of
// an earlier one; the summary is the caller's. A run that ends with a loss that
// is not finite has diverged, unless such losses are to be passed over. Errors:
// those of DeclareRun, Restore, Train and the files.
absl::StatusOr<TrainedRun> RunTraining(TrainingRun& run, const RunData& data,
                                       Progress& progress, std::FILE* messages);

}  // namespace tape

#endif  // TAPE_MODELS_TRAINING_RUN_H_
