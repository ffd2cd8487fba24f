// What a saved model is fed by programs that know nothing of it but its file: a
// table or images, as its card says. Tested by
// tests/models/user_data_program_test.cc.
#ifndef TAPE_MODELS_MODEL_DATA_H_
#define TAPE_MODELS_MODEL_DATA_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "framework/data/table.h"
#include "framework/data/tabular.h"
#include "framework/serving/saved_model.h"

namespace tape {

struct ModelData {
  DataTable inputs;                // The columns that the model is fed.
  std::vector<std::string> names;  // Of each sample: its file or its index.
  // What a user should know of them, a line each.
  std::vector<std::string> notes = {};
  // What the file holds beside features, of a table.
  std::optional<Tabular> table = std::nullopt;
  // Of images, if they were asked for: each one's place among the model's classes.
  std::vector<int32_t> labels = {};
};

// Reads what `model` is fed from a file or folder (user_files.h; images without
// labels also as one file, PNG, JPEG, IDX or CSV); of data with a test set of
// their own, that. `needs_targets`: whether there must be answers to measure the
// model by. Errors name the file: those of the readers; a table without a column
// that the features are of; images of another size; a class that the model does
// not have; a model whose card has neither features nor images.
absl::StatusOr<ModelData> ReadModelData(const SavedModel& model,
                                        const std::string& path,
                                        bool needs_targets);

}  // namespace tape

#endif  // TAPE_MODELS_MODEL_DATA_H_
