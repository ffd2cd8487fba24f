// The registry of experiments (experiment.h). Tested by tests/models_test.cc.
#include "models/experiment.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/train/regularizer.h"

namespace tape {

TransformPtr WithRegularizers(const Settings& settings,
                              TransformPtr optimizer) {
  const auto add = [&](double strength, auto make) {
    if (strength == 0) return;
    optimizer = std::make_unique<Chain>(Only(IsWeight, make(strength)),
                                        std::move(optimizer));
  };
  add(settings.l1, [](double strength) { return L1(strength); });
  add(settings.l2, [](double strength) { return L2(strength); });
  add(settings.proximal_l1,
      [](double strength) { return ProximalL1(strength); });
  return optimizer;
}

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
