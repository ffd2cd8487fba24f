// The registry of experiments (experiment.h). Tested by tests/models_test.cc.
#include "models/experiment.h"

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tape {

absl::Span<const Experiment> Experiments() {
  static const auto* const experiments = new std::vector<Experiment>{
      FashionMlp(),
      Fashion40Relu(),
  };
  return *experiments;
}

absl::StatusOr<const Experiment*> FindExperiment(absl::string_view name) {
  for (const Experiment& experiment : Experiments()) {
    if (experiment.name == name) return &experiment;
  }
  return absl::NotFoundError(absl::StrCat(
      "there is no experiment \"", name, "\"; known are ",
      absl::StrJoin(Experiments(), ", ",
                    [](std::string* out, const Experiment& experiment) {
                      out->append(experiment.name);
                    })));
}

}  // namespace tape
