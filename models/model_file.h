// The file that programs read a trained model from: a model that a run or
// SaveModel left, or a checkpoint. Tested by tests/models/predictor_test.cc.
#ifndef TAPE_MODELS_MODEL_FILE_H_
#define TAPE_MODELS_MODEL_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/io/safetensors.h"

namespace tape {

struct ModelFile {
  std::string path;
  SafetensorsFile content;
  // Why newer checkpoints than that are passed over.
  std::vector<absl::Status> skipped_checkpoints = {};
  // What a user should know of the choice of the file, a line each: that the run
  // has not finished, or has gone on since.
  std::vector<std::string> notes = {};
};

// Reads the file of that path; of a run's folder, its model.safetensors or, if
// there is none yet, the newest checkpoint that is sound. Errors, which name the
// file: those of ReadSafetensors; kNotFound if a folder has neither.
absl::StatusOr<ModelFile> ReadModelFile(const std::string& path);

}  // namespace tape

#endif  // TAPE_MODELS_MODEL_FILE_H_
