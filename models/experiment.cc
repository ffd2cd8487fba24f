// The registry of experiments (experiment.h). Tested by
// tests/models/experiment_test.cc.
#include "models/experiment.h"

#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/optim/regularizer.h"

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
  static const auto* const experiments = [] {
    auto* const all = new std::vector<Experiment>();
    for (const auto& of_file :
         {FashionMlp, Fashion40, Mnist256x128, Mnist500x250x100,
          FashionFullBatch, MnistSigmoid}) {
      std::vector<Experiment> some = of_file();
      for (Experiment& experiment : some) {
        // What a document wrote is to be seen to its end.
        if (experiment.variant == "as_written") {
          experiment.defaults.train.on_divergence = OnDivergence::kGoOn;
        }
      }
      std::move(some.begin(), some.end(), std::back_inserter(*all));
    }
    return all;
  }();
  return *experiments;
}

absl::StatusOr<const Experiment*> FindExperiment(absl::string_view name,
                                                 absl::string_view variant) {
  std::vector<absl::string_view> names, variants;
  for (const Experiment& experiment : Experiments()) {
    if (names.empty() || names.back() != experiment.name) {
      names.push_back(experiment.name);
    }
    if (experiment.name != name) continue;
    if (variant.empty() || experiment.variant == variant) return &experiment;
    variants.push_back(experiment.variant);
  }
  if (variants.empty()) {
    return absl::NotFoundError(absl::StrCat("there is no experiment \"", name,
                                            "\"; known are ",
                                            absl::StrJoin(names, ", ")));
  }
  return absl::NotFoundError(absl::StrCat("there is no variant \"", variant,
                                          "\" of ", name, "; known are ",
                                          absl::StrJoin(variants, ", ")));
}

}  // namespace tape
