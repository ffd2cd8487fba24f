// Records of runs (run_record.h). Tested by tests/models/run_record_test.cc.
#include "models/run_record.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "framework/core/check.h"
#include "framework/core/version.h"
#include "framework/io/checksum.h"

namespace tape {
namespace {

// Calls visit(key, setting) for each setting that is a number.
template <typename Run, typename Visit>
void ForEachNumber(Run& run, Visit visit) {
  auto& settings = run.settings;
  visit("seed", run.seed);
  visit("epochs", settings.train.epochs);
  visit("batch_size", settings.train.batches.batch_size);
  visit("learning_rate", settings.learning_rate);
  visit("l1", settings.l1);
  visit("l2", settings.l2);
  visit("proximal_l1", settings.proximal_l1);
  visit("validation", settings.validation);
  visit("returns", run.returns);
}

// Of a run that goes back; earlier versions kept none of them.
template <typename Run, typename Visit>
void ForEachNumberOfGoingBack(Run& run, Visit visit) {
  visit("back_to_steps", run.back_to.steps);
  visit("back_to_epochs", run.back_to.epochs);
  visit("back_to_newest", run.back_to_newest);
}

// Of a run on a user's data.
template <typename Run, typename Visit>
void ForEachOfUser(Run& user, Visit visit) {
  visit("data", user.data.path);
  visit("target", user.data.target);
  visit("test", user.data.test);
  visit("activation", user.mlp.activation);
  visit("batch_norm", user.mlp.batch_norm);
  visit("dropout", user.mlp.dropout);
  visit("optimizer", user.mlp.optimizer);
  visit("schedule", user.mlp.schedule);
}

struct NamedPolicy {
  const char* name;
  OnDivergence on_divergence;
  bool goes_back;
};
constexpr NamedPolicy kPolicies[] = {
    {"stop", OnDivergence::kStop, false},
    {"skip", OnDivergence::kSkip, false},
    {"go_back", OnDivergence::kStop, true},
    {"go_on", OnDivergence::kGoOn, false},
};

// As few digits as read back to the same number.
std::string Text(auto number) {
  char text[32];
  const std::to_chars_result result =
      std::to_chars(text, text + sizeof(text), number);
  return std::string(text, result.ptr);
}

bool Read(absl::string_view text, auto& number) {
  const char* const end = text.data() + text.size();
  const std::from_chars_result result =
      std::from_chars(text.data(), end, number);
  return result.ec == std::errc() && result.ptr == end;
}

// What no flag sets, but a run's bits depend on: "order 1, last batch 0, …", by
// the enums' numbers.
std::string SamplingText(const TrainOptions& train) {
  return absl::StrFormat(
      "order %d, last batch %d, averaging %d, training figures %d, evaluated "
      "every %d in batches of %d",
      static_cast<int>(train.batches.order),
      static_cast<int>(train.batches.last), static_cast<int>(train.averaging),
      static_cast<int>(train.train_figures), train.evaluate_every,
      train.evaluation_batch_size);
}

std::string EarlyStoppingText(
    const std::optional<EarlyStoppingOptions>& options) {
  if (!options.has_value()) return "none";
  return absl::StrFormat(
      "split %d, metric %d, patience %s, min change %s, decimals %s, "
      "ties %d, keep %d",
      static_cast<int>(options->split), static_cast<int>(options->metric),
      options->patience.has_value() ? Text(*options->patience) : "none",
      Text(options->min_change),
      options->decimals.has_value() ? Text(*options->decimals) : "none",
      static_cast<int>(options->ties), static_cast<int>(options->keep));
}

std::string DataText(const Tensor& samples, const Tensor& labels) {
  const auto bytes = [](const Tensor& tensor) {
    return absl::string_view(static_cast<const char*>(tensor.data()),
                             tensor.type().bytes());
  };
  return absl::StrFormat("%d samples, CRC-32C %08x", samples.shape()[0],
                         Crc32c(bytes(labels), Crc32c(bytes(samples))));
}
std::string DataText(const Dataset& data) {
  return DataText(data.images, data.labels);
}
std::string DataText(const DataTable& data) {
  return DataText(*data.Find("x"), *data.Find("y"));
}

// The splits of either kind of data.
template <typename Splits>
void AddSplits(const Splits& splits, Metadata& record) {
  record.emplace_back("train_data", DataText(splits.train));
  if (splits.validation.size() > 0) {
    record.emplace_back("validation_data", DataText(splits.validation));
  }
  record.emplace_back("test_data", DataText(splits.test));
}

std::string Text(const std::string& text) { return text; }
std::string Text(bool value) { return value ? "true" : "false"; }
bool Read(absl::string_view text, bool& value) {
  value = text == "true";
  return value || text == "false";
}
bool Read(absl::string_view text, std::string& value) {
  value = std::string(text);
  return true;
}

void AddUser(const UserRun& user, const UserData& data, Metadata& record) {
  ForEachOfUser(user, [&](const char* key, const auto& value) {
    record.emplace_back(key, Text(value));
  });
  record.emplace_back("task", Name(data.task));
  record.emplace_back("layers", absl::StrJoin(user.mlp.layers, ","));
  if (user.patience.has_value()) {
    record.emplace_back("patience", Text(*user.patience));
  }
}

}  // namespace

Settings RunSettings::now() const {
  Settings now = settings;
  now.learning_rate = std::ldexp(settings.learning_rate, -returns);
  return now;
}

void SetEarlyStopping(RunSettings& run) {
  if (!run.user.has_value() || !run.user->patience.has_value()) return;
  run.settings.train.early_stopping =
      EarlyStoppingOptions{.split = DataSplit::kValidation,
                           .metric = Metric::kLoss,
                           .patience = *run.user->patience,
                           .keep = Keep::kBest};
}

const char* NameOfOnDivergence(const RunSettings& run) {
  for (const NamedPolicy& policy : kPolicies) {
    if (policy.on_divergence == run.settings.train.on_divergence &&
        policy.goes_back == run.goes_back) {
      return policy.name;
    }
  }
  TAPE_CHECK(false);
}

bool SetOnDivergence(absl::string_view name, RunSettings& run) {
  for (const NamedPolicy& policy : kPolicies) {
    if (policy.name != name) continue;
    run.settings.train.on_divergence = policy.on_divergence;
    run.goes_back = policy.goes_back;
    return true;
  }
  return false;
}

Metadata RunRecord(const RunSettings& run, const RunData& data) {
  Metadata record = {{"tape", kVersion},
                     {"experiment", run.experiment->name},
                     {"variant", run.experiment->variant}};
  ForEachNumber(run, [&](const char* key, const auto& number) {
    record.emplace_back(key, Text(number));
  });
  if (data.user != nullptr) {
    AddUser(*run.user, *data.user, record);
  } else {
    const Dataset& images = data.images->train;
    record.emplace_back("pixels", Text(images.pixels()));
    if (images.rows > 0) record.emplace_back("rows", Text(images.rows));
  }
  const Settings& settings = run.settings;
  record.emplace_back(
      "stratified",
      settings.stratification == Stratification::kByLabel ? "true" : "false");
  record.emplace_back(
      "precision",
      settings.train.precision == Precision::kBFloat16 ? "bf16" : "float32");
  // Runs of one shard, as all were before version 0.9, have no such keys.
  const DataParallel& parallel = settings.train.parallel;
  if (parallel.shards > 1) {
    record.emplace_back("shards", Text(parallel.shards));
    record.emplace_back("bf16_sums", Text(parallel.bfloat16_sums));
  }
  record.emplace_back("on_divergence", NameOfOnDivergence(run));
  if (run.goes_back && run.back_to_newest > 0) {
    ForEachNumberOfGoingBack(run, [&](const char* key, const auto& number) {
      record.emplace_back(key, Text(number));
    });
  }
  record.emplace_back("sampling", SamplingText(settings.train));
  record.emplace_back("early_stopping",
                      EarlyStoppingText(settings.train.early_stopping));
  if (data.user != nullptr) {
    AddSplits(data.user->splits, record);
  } else {
    AddSplits(*data.images, record);
  }
  return record;
}

absl::StatusOr<RunSettings> RunOfRecord(const Metadata& record,
                                        absl::string_view path) {
  const auto wrong = [&](absl::string_view message) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", message));
  };
  const bool is_users = ValueOf(record, "experiment") == UserExperiment().name;
  absl::StatusOr<const Experiment*> experiment = &UserExperiment();
  if (!is_users) {
    experiment = FindExperiment(ValueOf(record, "experiment"),
                                ValueOf(record, "variant"));
  }
  if (!experiment.ok()) return wrong(experiment.status().message());
  RunSettings run = {.experiment = *experiment,
                     .settings = (*experiment)->defaults};
  absl::Status status;
  const auto read = [&](const char* key, auto& number) {
    const absl::string_view text = ValueOf(record, key);
    if (!Read(text, number)) {
      status.Update(wrong(absl::StrCat("expected a number for \"", key,
                                       "\", found \"", text, "\"")));
    }
  };
  ForEachNumber(run, read);
  if (!ValueOf(record, "shards").empty()) {
    DataParallel& parallel = run.settings.train.parallel;
    read("shards", parallel.shards);
    read("bf16_sums", parallel.bfloat16_sums);
    if (const absl::Status shards =
            CheckDataParallel({.shards = parallel.shards});
        !shards.ok()) {
      status.Update(wrong(shards.message()));
    }
  }
  if (!ValueOf(record, "back_to_newest").empty()) {
    ForEachNumberOfGoingBack(run, read);
    if (run.back_to.steps < 0 || run.back_to.epochs < 0 ||
        run.back_to.steps + run.back_to.epochs == 0 || run.back_to_newest < 1) {
      status.Update(wrong("expected a plan of going back, found none"));
    }
  }
  if (is_users) {
    UserRun& user = run.user.emplace();
    ForEachOfUser(user, read);
    user.data.task = TaskOf(ValueOf(record, "task"));
    user.mlp.layers.clear();
    for (const absl::string_view text :
         absl::StrSplit(ValueOf(record, "layers"), ',', absl::SkipEmpty())) {
      int64_t& units = user.mlp.layers.emplace_back();
      if (!Read(text, units) || units < 1) {
        status.Update(wrong("expected units for \"layers\", found others"));
      }
    }
    if (!ValueOf(record, "patience").empty()) {
      read("patience", user.patience.emplace());
    }
    if (!user.data.task.has_value() || !IsActivation(user.mlp.activation) ||
        !IsOptimizer(user.mlp.optimizer) || !IsSchedule(user.mlp.schedule)) {
      status.Update(
          wrong("expected the record of a perceptron, found another"));
    }
  }
  if (!status.ok()) return status;
  const absl::string_view policy = ValueOf(record, "on_divergence");
  if (!SetOnDivergence(policy, run)) {
    return wrong(
        absl::StrCat("expected stop, skip, go_back or go_on for "
                     "\"on_divergence\", found \"",
                     policy, "\""));
  }
  Settings& settings = run.settings;
  settings.train.batches.seed = run.seed;
  SetEarlyStopping(run);
  settings.stratification = ValueOf(record, "stratified") == "true"
                                ? Stratification::kByLabel
                                : Stratification::kNone;
  settings.train.precision = ValueOf(record, "precision") == "bf16"
                                 ? Precision::kBFloat16
                                 : Precision::kFloat32;
  return run;
}

absl::string_view ValueOf(const Metadata& record, absl::string_view key) {
  for (const auto& [name, value] : record) {
    if (name == key) return value;
  }
  return "";
}

}  // namespace tape
