// What a saved model is fed by programs that know nothing of it but its file: a
// table as CSV or images, as its card says. Tested by
// tests/models/user_data_program_test.cc.
#ifndef TAPE_MODELS_MODEL_DATA_H_
#define TAPE_MODELS_MODEL_DATA_H_

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
};

// Reads what `model` is fed from a file or folder. Errors name it: those of the
// readers; a table without a column that the features are of; a model whose card
// has neither features nor images.
absl::StatusOr<ModelData> ReadModelData(const SavedModel& model,
                                        const std::string& path);

}  // namespace tape

#endif  // TAPE_MODELS_MODEL_DATA_H_
