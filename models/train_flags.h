// The flags of the program train, and what they ask for. Errors name the flag,
// what was expected and what was found. Tested by tests/models/train_program_test.cc
// and tests/models/resume_program_test.cc.
#ifndef TAPE_MODELS_TRAIN_FLAGS_H_
#define TAPE_MODELS_TRAIN_FLAGS_H_

#include <optional>
#include <string>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/data/dataset.h"
#include "framework/distributed/communicator.h"
#include "models/run_record.h"
#include "models/training_run.h"

// Those that say what is printed and written beside the run.
ABSL_DECLARE_FLAG(bool, list);
ABSL_DECLARE_FLAG(bool, report);
ABSL_DECLARE_FLAG(bool, resume);
ABSL_DECLARE_FLAG(bool, html_report);
ABSL_DECLARE_FLAG(std::string, run_dir);
ABSL_DECLARE_FLAG(std::string, profile);
ABSL_DECLARE_FLAG(bool, jsonl);
ABSL_DECLARE_FLAG(bool, tensorboard);

namespace tape {

// Reads the command line, and prints help if it is asked for.
absl::Status ParseTrainFlags(int argc, char** argv);

// The run that the flags ask for, but for its files: from its experiment's
// settings, or, if it is resumed, from those it had.
// `ranks` must outlive it; rank 0 alone looks for a checkpoint.
absl::StatusOr<TrainingRun> RunFromFlags(Communicator& ranks);

// What --checkpoint_every says: "500steps", "2epochs", "60s" or "never".
absl::StatusOr<CheckpointEvery> CheckpointEveryFromFlag();
// When the run saves: as the flag says, or as it goes back.
absl::StatusOr<CheckpointEvery> CheckpointEveryOf(const RunSettings& run);
// What --keep_checkpoints says.
int KeepCheckpoints();

// The folder or file of its data.
std::string DataFolder(const RunSettings& run);
// Its data. Errors: those of ReadDatasetFolder and SelectData, or of
// ReadUserData; a batch that they do not fill.
absl::StatusOr<OwnedRunData> ReadData(const RunSettings& run);

// Whether this machine can train the model, on these data, and, if the run is
// resumed, whether model and data are those it began with (but that it may be
// made longer): known before anything is written.
absl::Status CheckRun(const TrainingRun& training, const RunData& data);

// Makes or opens the run's folder, if it has one (train_files.cc). Errors: those
// of RunDirectory; a checkpoint newer than the one the run is to go on from;
// results of a run that goes on that are no run's, or a longer one's, or cannot
// be replaced.
absl::StatusOr<std::optional<RunFiles>> OpenFiles(const TrainingRun& training);

}  // namespace tape

#endif  // TAPE_MODELS_TRAIN_FLAGS_H_
