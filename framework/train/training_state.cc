// The state of a run as JSON and back (training_state.h): one list of members
// for both ways. Tested by tests/train/training_state_test.cc.
#include "framework/train/training_state.h"

#include <cmath>
#include <concepts>
#include <limits>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/floating_point.h"
#include "framework/metrics/read_json.h"
#include "nlohmann/json.hpp"

namespace tape {
namespace {

using Json = nlohmann::ordered_json;
using json::Read;

// Calls visit(name, member) for each member. `Value` is the type or its const.
template <typename Value, typename Visit>
requires std::same_as<std::remove_const_t<Value>, Measurement>
void ForEachMember(Value& value, Visit visit) {
  visit("name", value.name);
  visit("value", value.value);
}

template <typename Value, typename Visit>
requires std::same_as<std::remove_const_t<Value>, EpochMetrics>
void ForEachMember(Value& value, Visit visit) {
  visit("epoch", value.epoch);
  visit("split", value.split);
  visit("loss", value.loss);
  visit("accuracy", value.accuracy);
  visit("learning_rate", value.learning_rate);
  visit("seconds", value.seconds);
  visit("reports", value.reports);
}

template <typename Value, typename Visit>
requires std::same_as<std::remove_const_t<Value>, EpochResult>
void ForEachMember(Value& value, Visit visit) {
  visit("train", value.train);
  visit("validation", value.validation);
  visit("test", value.test);
}

template <typename Value, typename Visit>
requires std::same_as<std::remove_const_t<Value>, PassSums>
void ForEachMember(Value& value, Visit visit) {
  visit("samples", value.samples);
  visit("weight", value.weight);
  visit("loss", value.loss);
  visit("accuracy", value.accuracy);
  visit("reports", value.reports);
  visit("metrics", value.metrics);
  visit("seconds", value.seconds);
  visit("learning_rate", value.learning_rate);
}

template <typename Value, typename Visit>
requires std::same_as<std::remove_const_t<Value>, BatchesState>
void ForEachMember(Value& value, Visit visit) {
  visit("epoch", value.epoch);
  visit("samples", value.samples);
  visit("random", value.random);
}

template <typename Value, typename Visit>
requires std::same_as<std::remove_const_t<Value>, LossWatch::State>
void ForEachMember(Value& value, Visit visit) {
  visit("recent", value.recent);
  visit("first", value.first);
  visit("beginning", value.beginning);
  visit("bad", value.bad);
  visit("bad_in_a_row", value.bad_in_a_row);
}

template <typename Value, typename Visit>
requires std::same_as<std::remove_const_t<Value>, EarlyStopping::State>
void ForEachMember(Value& value, Visit visit) {
  visit("best", value.best);
  visit("failures", value.failures);
}

template <typename Value, typename Visit>
requires std::same_as<std::remove_const_t<Value>, TrainingState>
void ForEachMember(Value& value, Visit visit) {
  visit("step", value.step);
  visit("epoch", value.epoch);
  visit("pass", value.pass);
  visit("batches", value.batches);
  visit("losses", value.losses);
  visit("early_stopping", value.early_stopping);
  visit("stopped_early", value.stopped_early);
  visit("history", value.history);
  visit("kept", value.kept);
  visit("confusion", value.confusion);
  visit("not_good", value.not_good);
  visit("seconds", value.seconds);
  visit("training_seconds", value.training_seconds);
  visit("training_samples", value.training_samples);
}

template <typename Value>
concept HasMembers = requires(Value& value) {
  ForEachMember(value, [](const char*, auto&) {});
};

// ---- To JSON ----

Json Written(bool value) { return value; }
Json Written(std::integral auto value) { return value; }
Json Written(const std::string& value) { return value; }

// JSON has no words for numbers that are not finite.
Json Written(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

Json Written(const ConfusionMatrix& matrix) {
  Json rows = Json::array();
  for (int label = 0; label < matrix.classes(); ++label) {
    Json row = Json::array();
    for (int predicted = 0; predicted < matrix.classes(); ++predicted) {
      row.push_back(matrix.count(label, predicted));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

template <typename Value>
Json Written(const std::vector<Value>& values);
template <typename Value>
Json Written(const std::optional<Value>& value);

template <HasMembers Value>
Json Written(const Value& value) {
  Json json = Json::object();
  ForEachMember(value, [&](const char* name, const auto& member) {
    json[name] = Written(member);
  });
  return json;
}

template <typename Value>
Json Written(const std::vector<Value>& values) {
  Json json = Json::array();
  for (const Value& value : values) json.push_back(Written(value));
  return json;
}

template <typename Value>
Json Written(const std::optional<Value>& value) {
  return value.has_value() ? Written(*value) : Json();
}

// ---- From JSON ----

// Whether states of earlier versions do not have the member, which then keeps
// its default.
bool IsNewer(absl::string_view name) {
  return name == "beginning" || name == "not_good" || name == "metrics";
}

bool Read(const Json& json, double& value) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (json.is_number()) {
    value = json.get<double>();
    return true;
  }
  value = json == "inf" ? kInfinity : json == "-inf" ? -kInfinity : NAN;
  return !std::isnan(value) || json == "nan";
}

bool Read(const Json& json, float& value) {
  double read;
  if (!Read(json, read)) return false;
  value = static_cast<float>(read);
  return true;
}

bool Read(const Json& json, ConfusionMatrix& matrix) {
  const size_t classes = json.size();
  if (!json.is_array() || classes == 0 || classes > kMostConfusedClasses) {
    return false;
  }
  for (const Json& row : json) {  // Before there is memory for all of them.
    if (!row.is_array() || row.size() != classes) return false;
  }
  matrix = ConfusionMatrix(static_cast<int>(classes));
  for (size_t label = 0; label < classes; ++label) {
    for (size_t predicted = 0; predicted < classes; ++predicted) {
      int64_t samples;
      if (!Read(json[label][predicted], samples)) return false;
      const absl::Status added = matrix.Add(
          static_cast<int>(label), static_cast<int>(predicted), samples);
      if (!added.ok()) return false;
    }
  }
  return true;
}

template <typename Value>
bool Read(const Json& json, std::vector<Value>& values);
template <typename Value>
bool Read(const Json& json, std::optional<Value>& value);

template <HasMembers Value>
bool Read(const Json& json, Value& value) {
  bool good = json.is_object();
  ForEachMember(value, [&](const char* name, auto& member) {
    if (!json.contains(name) && IsNewer(name)) return;
    good = good && json.contains(name) && Read(json[name], member);
  });
  return good;
}

template <typename Value>
bool Read(const Json& json, std::vector<Value>& values) {
  if (!json.is_array()) return false;
  values.clear();
  for (const Json& element : json) {
    if (!Read(element, values.emplace_back())) return false;
  }
  return true;
}

template <typename Value>
bool Read(const Json& json, std::optional<Value>& value) {
  value.reset();
  return json.is_null() || Read(json, value.emplace());
}

}  // namespace

std::string ToJson(const TrainingState& state) {
  const FloatingPointScope environment;
  // Train refuses names of reports that are not UTF-8; others must not throw.
  return Written(state).dump(/*indent=*/-1, /*indent_char=*/' ',
                             /*ensure_ascii=*/false,
                             Json::error_handler_t::replace);
}

absl::StatusOr<TrainingState> TrainingStateFromJson(absl::string_view text) {
  const FloatingPointScope environment;
  const Json json = Json::parse(text.begin(), text.end(), /*cb=*/nullptr,
                                /*allow_exceptions=*/false);
  TrainingState state;
  absl::Status status;
  if (!json.is_object()) {
    return absl::InvalidArgumentError(
        "expected the state of a run as a JSON object, found something else");
  }
  ForEachMember(state, [&](const char* name, auto& member) {
    if (!json.contains(name) && IsNewer(name)) return;
    if (!json.contains(name) || !Read(json[name], member)) {
      status.Update(absl::InvalidArgumentError(absl::StrCat(
          "expected \"", name, "\" of the state of a run, found ",
          json.contains(name) ? "another kind of value" : "no such member")));
    }
  });
  if (!status.ok()) return status;
  return state;
}

}  // namespace tape
