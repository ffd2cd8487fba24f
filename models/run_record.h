// What there is to know of a run beside its numbers: which experiment with
// which settings on which data. Kept as the metadata of its checkpoints and
// models. Tested by tests/models/run_record_test.cc.
#ifndef TAPE_MODELS_RUN_RECORD_H_
#define TAPE_MODELS_RUN_RECORD_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/data/dataset.h"
#include "framework/io/safetensors.h"
#include "models/experiment.h"
#include "models/user_data.h"
#include "models/user_mlp.h"

namespace tape {

// A run of an experiment: what its bits depend on, but for the data.
struct RunSettings {
  const Experiment* experiment = nullptr;  // UserExperiment() of a user's data.
  std::optional<UserRun> user = std::nullopt;
  Settings settings;  // As the run began.
  uint64_t seed = 0;
  // With OnDivergence::kStop, a run that diverges goes back to the last good
  // checkpoint with half the learning rate. So often it has already.
  bool goes_back = false;
  int returns = 0;
  // If it goes back: to the checkpoints of this plan, of which so many are kept
  // (CheckpointFolder). Kept in the record, as the run's end depends on them.
  CheckpointEvery back_to = {};
  int back_to_newest = 0;

  // The settings as they are by now.
  Settings now() const;
};

// Gives the settings of a run on a user's data the early stopping that its
// patience asks for.
void SetEarlyStopping(RunSettings& run);

// "stop", "skip", "go_back" or "go_on".
const char* NameOfOnDivergence(const RunSettings& run);
// Sets it; false if the name is none of these.
bool SetOnDivergence(absl::string_view name, RunSettings& run);

// As keys and values: "tape", the version of this program; "experiment" and
// "variant"; "seed" and the settings by the names of train's flags; of a run
// a user's data, the flags that name them and the perceptron; of a run
// of several shards, "shards" and "bf16_sums"; of a run
// that goes back, "back_to_steps", "back_to_epochs" and "back_to_newest";
// "sampling" and "early_stopping", which are the experiment's; "pixels" of an
// image, and "rows", if the data tell; and "train_data", "validation_data" and "test_data", the samples of
// each split and the CRC-32C of its images and labels.
Metadata RunRecord(const RunSettings& run, const RunData& data);

// The run of such a record. Errors, which call it `path`: an experiment that
// nobody knows; a setting that is missing or no number.
absl::StatusOr<RunSettings> RunOfRecord(const Metadata& record,
                                        absl::string_view path);

// The value of a key; empty if there is none.
absl::string_view ValueOf(const Metadata& record, absl::string_view key);

}  // namespace tape

#endif  // TAPE_MODELS_RUN_RECORD_H_
