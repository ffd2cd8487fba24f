// Metrics as JSON lines (json_lines.h), by nlohmann-json.
// Tested by tests/log/json_lines_test.cc.
#include "framework/log/json_lines.h"

#include "absl/strings/str_cat.h"
#include "framework/core/floating_point.h"
#include "framework/io/files.h"
#include "nlohmann/json.hpp"

namespace tape {
namespace {

using Json = nlohmann::ordered_json;

std::string Line(const EpochMetrics& metrics) {
  Json json = {{"epoch", metrics.epoch},
               {"split", metrics.split},
               {"loss", metrics.loss},
               {"accuracy", metrics.accuracy},
               {"learning_rate", metrics.learning_rate},
               {"seconds", metrics.seconds}};
  for (const Measurement& report : metrics.reports) {
    json[UnusedName(report.name, [&](const std::string& name) {
      return json.contains(name);
    })] = report.value;
  }
  // Names may come from users: what is no UTF-8 must not throw.
  return json.dump(/*indent=*/-1, /*indent_char=*/' ', /*ensure_ascii=*/false,
                   Json::error_handler_t::replace) +
         "\n";
}

}  // namespace

std::string JsonLines(const EpochResult& epoch) {
  const FloatingPointScope environment;
  return absl::StrCat(
      Line(epoch.train),
      epoch.validation.has_value() ? Line(*epoch.validation) : "",
      Line(epoch.test));
}

EpochLog JsonLinesLog(absl::string_view folder) {
  return EpochLog(PathIn(folder, kJsonLinesName),
                  {.beginning = "{\"epoch\":",
                   .epoch = [](const EpochResult& epoch, double) {
                     return JsonLines(epoch);
                   }});
}

}  // namespace tape
