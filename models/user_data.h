// A user's own data for the program train (--data): a table or images
// (user_files.h), split, with features fitted on the training rows. Tested by
// tests/models/user_data_program_test.cc.
#ifndef TAPE_MODELS_USER_DATA_H_
#define TAPE_MODELS_USER_DATA_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/data/batches.h"
#include "framework/data/dataset.h"
#include "framework/data/subset.h"
#include "framework/data/table.h"
#include "framework/data/tabular.h"
#include "framework/serving/saved_model.h"

namespace tape {

enum class Task { kClassification, kRegression };
// "classification", "regression".
const char* Name(Task task);
// The task of that name, or none.
std::optional<Task> TaskOf(absl::string_view name);

struct UserDataOptions {
  std::string path;
  // Of a table: the column to predict. An .npz file has its own.
  std::string target = {};
  // By default regression for a target of numbers, else classification.
  std::optional<Task> task = std::nullopt;
  // The shares of all rows that are held out, drawn at random by the seed.
  double test = 0.2;
  // Whether a user has asked for `test`, which data with a test set refuse.
  bool test_is_given = false;
  double validation = 0;
  Stratification stratification = Stratification::kNone;
  uint64_t seed = 0;
};

struct UserData {
  Task task = Task::kClassification;
  // Columns "x", features float32 [n, width] or images uint8 [n, pixels], and
  // "y", classes int32 [n] or numbers float32 [n, 1].
  TableSplits splits = {};
  // Classes, target, features or images.
  ModelCard card = {};
  // What a user should know of the reading, a line each.
  std::vector<std::string> notes = {};
};

// Reads what user_files.h does. Data with a test set of their own are not split
// for one. Errors name the file, or the flag that must change.
absl::StatusOr<UserData> ReadUserData(const UserDataOptions& options);

// What a run trains on: an experiment's images, or a user's data. Not owned.
struct RunData {
  RunData(const DataSplits& of) : images(&of) {}  // NOLINT: implicit by design.
  RunData(const UserData& of) : user(&of) {}      // NOLINT

  int64_t training_samples() const;
  // Of an epoch, with a last batch as the options have it.
  int64_t batches_per_epoch(const BatchOptions& options) const;

  const DataSplits* images = nullptr;
  const UserData* user = nullptr;  // Null unless `images` is.
};

// The same, owned.
struct OwnedRunData {
  RunData view() const { return user.has_value() ? RunData(*user) : images; }

  DataSplits images = {};
  std::optional<UserData> user = std::nullopt;
};

// Some rows of a table, in the order of `rows`, which are in it.
Tabular SelectRows(const Tabular& table, absl::Span<const int32_t> rows);

}  // namespace tape

#endif  // TAPE_MODELS_USER_DATA_H_
