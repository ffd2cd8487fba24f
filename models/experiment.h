// Experiments: named models with all their settings, declared as graphs, to be
// run by models/train. To add one, write its Experiment in a file of its own
// (or its document's) and list it in experiment.cc. Tested by
// tests/models_test.cc.
#ifndef TAPE_MODELS_EXPERIMENT_H_
#define TAPE_MODELS_EXPERIMENT_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/train/trainer.h"
#include "framework/train/transform.h"

namespace tape {

// What a user may change of an experiment on the command line.
struct Settings {
  double learning_rate;
  // Strengths of L1, L2 and proximal L1 (framework/train/regularizer.h) on the
  // weights, beside what the experiment has.
  double l1 = 0, l2 = 0, proximal_l1 = 0;
  TrainOptions train;
};

struct Experiment {
  std::string name;
  std::string variant;      // Of what its document has: "corrected"; or "own".
  std::string description;  // One line.
  std::string data_dir;     // Where its data set is installed.
  Settings defaults;
  // Declares the model in `graph`, for images of so many pixels. `updates` is
  // how many updates the run will make.
  std::function<Classifier(Graph& graph, int64_t pixels,
                           const Settings& settings, int64_t updates)>
      declare;
};

// `optimizer` behind the regularisers of the settings whose strength is not 0.
TransformPtr WithRegularizers(const Settings& settings, TransformPtr optimizer);

// All experiments, the default one first.
absl::Span<const Experiment> Experiments();

// The experiment of that name. The error of an unknown one lists the known
// ones.
absl::StatusOr<const Experiment*> FindExperiment(absl::string_view name);

// The experiments, by file.
Experiment FashionMlp();     // fashion_mlp.cc
Experiment Fashion40Relu();  // fashion_40.cc

}  // namespace tape

#endif  // TAPE_MODELS_EXPERIMENT_H_
