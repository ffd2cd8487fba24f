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

std::string DataText(const Dataset& data) {
  const auto bytes = [](const Tensor& tensor) {
    return absl::string_view(static_cast<const char*>(tensor.data()),
                             tensor.type().bytes());
  };
  return absl::StrFormat(
      "%d samples, CRC-32C %08x", data.size(),
      Crc32c(bytes(data.labels), Crc32c(bytes(data.images))));
}

}  // namespace

Settings RunSettings::now() const {
  Settings now = settings;
  now.learning_rate = std::ldexp(settings.learning_rate, -returns);
  return now;
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

Metadata RunRecord(const RunSettings& run, const DataSplits& data) {
  Metadata record = {{"tape", kVersion},
                     {"experiment", run.experiment->name},
                     {"variant", run.experiment->variant}};
  ForEachNumber(run, [&](const char* key, const auto& number) {
    record.emplace_back(key, Text(number));
  });
  record.emplace_back("pixels", Text(data.train.pixels()));
  if (data.train.rows > 0) record.emplace_back("rows", Text(data.train.rows));
  const Settings& settings = run.settings;
  record.emplace_back(
      "stratified",
      settings.stratification == Stratification::kByLabel ? "true" : "false");
  record.emplace_back(
      "precision",
      settings.train.precision == Precision::kBFloat16 ? "bf16" : "float32");
  record.emplace_back("on_divergence", NameOfOnDivergence(run));
  if (run.goes_back && run.back_to_newest > 0) {
    ForEachNumberOfGoingBack(run, [&](const char* key, const auto& number) {
      record.emplace_back(key, Text(number));
    });
  }
  record.emplace_back("sampling", SamplingText(settings.train));
  record.emplace_back("early_stopping",
                      EarlyStoppingText(settings.train.early_stopping));
  record.emplace_back("train_data", DataText(data.train));
  if (data.validation.size() > 0) {
    record.emplace_back("validation_data", DataText(data.validation));
  }
  record.emplace_back("test_data", DataText(data.test));
  return record;
}

absl::StatusOr<RunSettings> RunOfRecord(const Metadata& record,
                                        absl::string_view path) {
  const auto wrong = [&](absl::string_view message) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", message));
  };
  const absl::StatusOr<const Experiment*> experiment =
      FindExperiment(ValueOf(record, "experiment"), ValueOf(record, "variant"));
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
  if (!ValueOf(record, "back_to_newest").empty()) {
    ForEachNumberOfGoingBack(run, read);
    if (run.back_to.steps < 0 || run.back_to.epochs < 0 ||
        run.back_to.steps + run.back_to.epochs == 0 || run.back_to_newest < 1) {
      status.Update(wrong("expected a plan of going back, found none"));
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
