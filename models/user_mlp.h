// The perceptron that the program train declares for a user's own data (--data),
// by flags alone. Tested by tests/models/user_data_test.cc.
#ifndef TAPE_MODELS_USER_MLP_H_
#define TAPE_MODELS_USER_MLP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "framework/core/graph.h"
#include "framework/train/model.h"
#include "models/experiment.h"
#include "models/user_data.h"

namespace tape {

struct UserMlp {
  std::vector<int64_t> layers = {256, 128};  // Units of the hidden layers.
  std::string activation = "relu";
  bool batch_norm = false;  // Before each activation.
  double dropout = 0;       // After each hidden layer; at least 0, below 1.
  std::string optimizer = "adam";
  std::string schedule = "constant";
};

// A run on a user's own data, beside its settings.
struct UserRun {
  UserDataOptions data;
  UserMlp mlp;
  // Epochs without a smaller validation loss after which the run ends with the
  // best epoch's weights; none for all epochs.
  std::optional<int> patience = std::nullopt;
};

// What such runs have in place of an experiment: a name, "mlp", and defaults.
const Experiment& UserExperiment();

// The names that the fields may have, for errors: "relu, tanh or …".
std::string ActivationNames();
std::string OptimizerNames();
std::string ScheduleNames();
bool IsActivation(absl::string_view name);
bool IsOptimizer(absl::string_view name);
bool IsSchedule(absl::string_view name);

// "7-256-128-5 relu, adam".
std::string DescriptionOf(const UserMlp& mlp, const UserData& data);

// Declares the model in `graph`, for at most so many updates. Its columns are "x"
// and "y" (UserData). A classifier has the outputs "class" and "probabilities"; a
// regression has "value", in the units of the target, whose loss is the mean
// squared error over the target's variance on the training rows.
// Errors: mistakes of the declaration, a line each.
absl::StatusOr<Model> DeclareUserMlp(const UserMlp& mlp, const UserData& data,
                                     const Settings& settings, int64_t updates,
                                     Graph& graph);

}  // namespace tape

#endif  // TAPE_MODELS_USER_MLP_H_
