// Models' files (model_file.h). Tested by tests/models/predictor_test.cc and
// tests/models/predict_program_test.cc.
#include "models/model_file.h"

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "framework/io/files.h"
#include "framework/train/checkpoint.h"
#include "models/run_record.h"
#include "models/training_run.h"

namespace tape {
namespace {

// "step 441, in epoch 147".
std::string PlaceOf(const Checkpoint& checkpoint) {
  return absl::StrCat("step ", checkpoint.state.step, ", in epoch ",
                      checkpoint.state.epoch);
}

// The newest checkpoint of a run that is sound.
absl::StatusOr<ModelFile> ReadNewestCheckpoint(const std::string& run) {
  const CheckpointFolder checkpoints(CheckpointsIn(run), /*keep=*/1);
  std::vector<absl::Status> damaged;
  absl::StatusOr<std::optional<Checkpoint>> newest =
      checkpoints.Newest(damaged);
  if (!newest.ok()) return newest.status();
  if (newest->has_value()) {
    const std::string note = absl::StrCat("a checkpoint of ", PlaceOf(**newest),
                                          ": the run has not finished");
    return ModelFile{std::move((*newest)->path),
                     std::move((*newest)->file),
                     std::move(damaged),
                     {note}};
  }
  if (!damaged.empty()) return damaged.front();
  return absl::NotFoundError(
      absl::StrCat(run, ": expected the folder of a run, with its model or ",
                   "checkpoints, found neither"));
}

absl::StatusOr<ModelFile> ReadFinishedModel(std::string path) {
  absl::StatusOr<SafetensorsFile> file = ReadSafetensors(path);
  if (!file.ok()) return file.status();
  return ModelFile{std::move(path), *std::move(file)};
}

}  // namespace

absl::StatusOr<ModelFile> ReadModelFile(const std::string& path) {
  std::error_code ignored;  // What we may not look at, its reader names.
  if (!std::filesystem::is_directory(path, ignored)) {
    return ReadFinishedModel(path);
  }
  const std::string model = ModelFileIn(path);
  if (!std::filesystem::exists(model, ignored)) {
    return ReadNewestCheckpoint(path);
  }
  absl::StatusOr<ModelFile> file = ReadFinishedModel(model);
  if (!file.ok()) return file;
  // A run that was made longer keeps its model until it has the next one.
  std::vector<absl::Status> damaged;
  const absl::StatusOr<std::optional<Checkpoint>> newest =
      CheckpointFolder(CheckpointsIn(path), /*keep=*/1).Newest(damaged);
  if (!newest.ok() || !newest->has_value()) return file;
  const auto epochs_of = [](const Metadata& record) {
    int epochs = 0;  // Of a file that does not tell.
    return absl::SimpleAtoi(ValueOf(record, "epochs"), &epochs) ? epochs : 0;
  };
  const int finished = epochs_of(file->content.metadata);
  const int planned = epochs_of((*newest)->file.metadata);
  if (planned == finished) return file;
  file->notes.push_back(absl::StrCat(
      "of the finished run of ", finished, " epochs; ",
      planned > finished ? "it has gone on, to a checkpoint of "
                         : "its newest checkpoint is an older one, of ",
      PlaceOf(**newest)));
  return file;
}

}  // namespace tape
