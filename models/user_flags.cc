// The flags of train for a user's own data (user_flags.h). Tested by
// tests/models/user_data_program_test.cc.
#include "models/user_flags.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "models/program.h"
#include "models/user_mlp.h"

ABSL_DECLARE_FLAG(std::string, data_dir);

ABSL_FLAG(
    std::string, data, "",
    "your own data, in place of an experiment's: a CSV file with a header; an "
    ".npz file of x_train, y_train, x_test and y_test, or x and y; or a folder "
    "of images by class or of IDX files; a perceptron is trained on them");
ABSL_FLAG(std::string, target, "",
          "with --data: the column of a CSV file to predict");
ABSL_FLAG(std::string, task, "",
          "with --data: classification or regression; by default regression if "
          "the target is of numbers");
ABSL_FLAG(
    std::optional<double>, test, std::nullopt,
    "with --data: share of the rows to hold out as test set, at random by "
    "the seed; by default 0.2");
ABSL_FLAG(std::optional<std::string>, layers, std::nullopt,
          "with --data: units of the hidden layers; by default 256,128; "
          "--layers=none has no hidden layer");
ABSL_FLAG(std::string, activation, "",
          "with --data: after each hidden layer: relu, leaky_relu, elu, selu, "
          "gelu, silu, tanh, sigmoid or softplus; by default relu");
ABSL_FLAG(bool, batch_norm, false,
          "with --data: BatchNorm before each activation");
ABSL_FLAG(
    std::optional<double>, dropout, std::nullopt,
    "with --data: share of the hidden units to leave out in each training "
    "step; by default 0");
ABSL_FLAG(
    std::string, optimizer, "",
    "with --data: adam, adamw, nadam, rmsprop, adagrad, lion, sgd, momentum "
    "or nesterov; by default adam");
ABSL_FLAG(
    std::string, schedule, "",
    "with --data: how the learning rate goes on: constant, linear, cosine "
    "or one_cycle; by default constant");
ABSL_FLAG(std::optional<int>, patience, std::nullopt,
          "with --data and --validation: stop after so many epochs without a "
          "smaller validation loss, with the best epoch's weights; by default "
          "all epochs are made");
namespace tape {
namespace {

// A share of at least 0 and below 1, if the flag is given.
absl::Status ReadShare(absl::string_view flag,
                       const std::optional<double>& value, double& share) {
  if (!value.has_value()) return absl::OkStatus();
  if (!(*value >= 0 && *value < 1)) {
    return WrongFlag(flag, "at least 0 and below 1", absl::StrCat(*value));
  }
  share = *value;
  return absl::OkStatus();
}

// A name that `is_known`, if the flag is given.
absl::Status ReadName(absl::string_view flag, const std::string& value,
                      bool (*is_known)(absl::string_view),
                      const std::string& names, std::string& name) {
  if (value.empty()) return absl::OkStatus();
  if (!is_known(value)) return WrongFlag(flag, names, value);
  name = value;
  return absl::OkStatus();
}

absl::Status ReadLayers(std::vector<int64_t>& layers) {
  constexpr int64_t kMostUnits = 1 << 20;
  const std::optional<std::string> text = absl::GetFlag(FLAGS_layers);
  if (!text.has_value()) return absl::OkStatus();
  layers.clear();
  if (*text == "none") return absl::OkStatus();
  for (const absl::string_view units : absl::StrSplit(*text, ',')) {
    int64_t& layer = layers.emplace_back();
    if (!absl::SimpleAtoi(units, &layer) || layer < 1 || layer > kMostUnits) {
      return WrongFlag("layers",
                       absl::StrCat("units such as 256,128, each 1 to ",
                                    kMostUnits, ", or none"),
                       *text);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadUserFlags(RunSettings& run) {
  const std::pair<const char*, bool> given[] = {
      {"target", !absl::GetFlag(FLAGS_target).empty()},
      {"task", !absl::GetFlag(FLAGS_task).empty()},
      {"test", absl::GetFlag(FLAGS_test).has_value()},
      {"layers", absl::GetFlag(FLAGS_layers).has_value()},
      {"activation", !absl::GetFlag(FLAGS_activation).empty()},
      {"batch_norm", absl::GetFlag(FLAGS_batch_norm)},
      {"dropout", absl::GetFlag(FLAGS_dropout).has_value()},
      {"optimizer", !absl::GetFlag(FLAGS_optimizer).empty()},
      {"schedule", !absl::GetFlag(FLAGS_schedule).empty()},
      {"patience", absl::GetFlag(FLAGS_patience).has_value()}};
  if (!run.user.has_value()) {
    for (const auto& [flag, is_given] : given) {
      if (is_given) return WrongFlag(flag, "--data, which it is for", "none");
    }
    return absl::OkStatus();
  }
  if (!absl::GetFlag(FLAGS_data_dir).empty()) {
    return WrongFlag("data_dir", "--data alone", "both");
  }
  UserRun& user = *run.user;
  if (const std::string path = absl::GetFlag(FLAGS_data); !path.empty()) {
    user.data.path = path;
  }
  if (const std::string target = absl::GetFlag(FLAGS_target); !target.empty()) {
    user.data.target = target;
  }
  if (const std::string task = absl::GetFlag(FLAGS_task); !task.empty()) {
    user.data.task = TaskOf(task);
    if (!user.data.task.has_value()) {
      return WrongFlag("task", "classification or regression", task);
    }
  }
  absl::Status status =
      ReadShare("test", absl::GetFlag(FLAGS_test), user.data.test);
  status.Update(
      ReadShare("dropout", absl::GetFlag(FLAGS_dropout), user.mlp.dropout));
  user.mlp.batch_norm |= absl::GetFlag(FLAGS_batch_norm);
  status.Update(ReadLayers(user.mlp.layers));
  status.Update(ReadName("activation", absl::GetFlag(FLAGS_activation),
                         IsActivation, ActivationNames(), user.mlp.activation));
  status.Update(ReadName("optimizer", absl::GetFlag(FLAGS_optimizer),
                         IsOptimizer, OptimizerNames(), user.mlp.optimizer));
  status.Update(ReadName("schedule", absl::GetFlag(FLAGS_schedule), IsSchedule,
                         ScheduleNames(), user.mlp.schedule));
  if (!status.ok()) return status;
  if (const auto patience = absl::GetFlag(FLAGS_patience)) {
    if (*patience < 1) {
      return WrongFlag("patience", "at least 1", absl::StrCat(*patience));
    }
    if (run.settings.validation == 0) {
      return WrongFlag("patience", "a share with --validation", "none");
    }
    user.patience = patience;
  }
  user.data.test_is_given = absl::GetFlag(FLAGS_test).has_value();
  user.data.validation = run.settings.validation;
  user.data.stratification = run.settings.stratification;
  user.data.seed = run.seed;
  SetEarlyStopping(run);
  return absl::OkStatus();
}

}  // namespace tape
