// Summaries of runs as JSON (metrics.h). Tested by tests/log/metrics_test.cc.
#include "framework/metrics/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "framework/core/floating_point.h"
#include "framework/metrics/read_json.h"
#include "nlohmann/json.hpp"

namespace tape {
namespace {

using Json = nlohmann::ordered_json;
using json::Read;

// Calls visit(name, member) for each member of a summary, in the order they are
// written.
template <typename Summary, typename Visit>
void ForEachMember(Summary& summary, Visit visit) {
  visit("experiment", summary.experiment);
  visit("variant", summary.variant);
  visit("seed", summary.seed);
  visit("threads", summary.threads);
  visit("epochs", summary.epochs);
  visit("kept_epoch", summary.kept_epoch);
  visit("train_loss", summary.train_loss);
  visit("train_accuracy", summary.train_accuracy);
  visit("validation_loss", summary.validation_loss);
  visit("validation_accuracy", summary.validation_accuracy);
  visit("test_loss", summary.test_loss);
  visit("test_accuracy", summary.test_accuracy);
  visit("seconds", summary.seconds);
  visit("samples_per_second", summary.samples_per_second);
  visit("validation_metrics", summary.validation_metrics);
  visit("test_metrics", summary.test_metrics);
}

bool MayBeMissing(absl::string_view name) {
  return name == "validation_loss" || name == "validation_accuracy" ||
         name == "validation_metrics" || name == "test_metrics";
}

bool IsMissing(const std::vector<Measurement>& metrics) {
  return metrics.empty();
}
bool IsMissing(double figure) { return std::isnan(figure); }

Json ToJson(const std::vector<Measurement>& metrics) {
  Json json = Json::object();
  for (const Measurement& metric : metrics) {
    const std::string name = UnusedName(
        metric.name,
        [&](const std::string& taken) { return json.contains(taken); });
    json[name] = metric.value;
  }
  return json;
}
template <typename Member>
Json ToJson(const Member& member) {
  return member;
}

const char* Kind(const std::string&) { return "a text"; }
const char* Kind(double) { return "a number or null"; }
const char* Kind(const std::vector<Measurement>&) {
  return "an object of numbers or null";
}
template <typename Integer>
std::string Kind(Integer) {
  return absl::StrCat("a whole number of 0 to ",
                      std::numeric_limits<Integer>::max());
}

bool Read(const Json& json, double& member) {
  if (!json.is_number() && !json.is_null()) return false;
  member = json.is_null() ? kNotMeasured : json.get<double>();
  return true;
}

bool Read(const Json& json, std::vector<Measurement>& member) {
  if (!json.is_object()) return false;
  for (const auto& [name, value] : json.items()) {
    member.push_back({name});
    if (!Read(value, member.back().value)) return false;
  }
  return true;
}

// "line 6: ", of the member of a text that has lines.
std::string LineOf(absl::string_view text, absl::string_view name) {
  const size_t at = text.find(absl::StrCat("\"", name, "\""));
  const auto before = text.substr(0, std::min(at, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  return at == text.npos || line == 1 ? "" : absl::StrCat("line ", line, ": ");
}

}  // namespace

std::string LossText(double loss) {
  const FloatingPointScope environment;
  if (std::isfinite(loss)) return absl::StrFormat("%.4f", loss);
  return std::isnan(loss) ? "nan" : loss > 0 ? "inf" : "-inf";
}

std::string UnusedName(
    const std::string& name,
    const std::function<bool(const std::string& name)>& is_taken) {
  std::string unused = name;
  for (int i = 2; is_taken(unused); ++i) unused = absl::StrCat(name, "_", i);
  return unused;
}

std::string ToJson(const RunSummary& summary, JsonForm form) {
  const FloatingPointScope environment;
  Json json;
  ForEachMember(summary, [&](const char* name, const auto& member) {
    if constexpr (requires { IsMissing(member); }) {
      if (MayBeMissing(name) && IsMissing(member)) return;
    }
    json[name] = ToJson(member);
  });
  // Names come from the command line: what is no UTF-8 must not throw.
  const std::string text =
      json.dump(form == JsonForm::kLine ? -1 : 2, /*indent_char=*/' ',
                /*ensure_ascii=*/false, Json::error_handler_t::replace);
  return form == JsonForm::kLine ? text : text + "\n";
}

absl::StatusOr<RunSummary> RunSummaryFromJson(absl::string_view text) {
  const FloatingPointScope environment;
  const Json json = Json::parse(text.begin(), text.end(), /*cb=*/nullptr,
                                /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError(
        "expected the summary of a run as a JSON object, found something else");
  }
  RunSummary summary;
  std::set<std::string> known;
  absl::Status status;
  ForEachMember(summary, [&](const char* name, auto& member) {
    known.insert(name);
    const auto found = json.find(name);
    if (found == json.end()) {
      if (!MayBeMissing(name)) {
        status.Update(absl::InvalidArgumentError(
            absl::StrCat("expected \"", name, "\", found no such member")));
      }
    } else if (!Read(*found, member)) {
      status.Update(absl::InvalidArgumentError(
          absl::StrCat(LineOf(text, name), "expected ", Kind(member), " for \"",
                       name, "\", found ", found->dump())));
    }
  });
  for (const auto& [name, value] : json.items()) {
    if (!known.contains(name)) {
      status.Update(absl::InvalidArgumentError(
          absl::StrCat(LineOf(text, name),
                       "expected the summary of a run, found \"", name, "\"")));
    }
  }
  if (!status.ok()) return status;
  return summary;
}

}  // namespace tape
