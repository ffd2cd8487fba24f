// Experiments: named models with all their settings, declared as graphs, to be
// run by models/run.h. To add one, write it in a file of its own (or its
// document's) and list it in experiment.cc. Tested by
// tests/models/experiment_test.cc.
#ifndef TAPE_MODELS_EXPERIMENT_H_
#define TAPE_MODELS_EXPERIMENT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/data/subset.h"
#include "framework/metrics/metrics.h"
#include "framework/optim/transform.h"
#include "framework/train/trainer.h"

namespace tape {

// What a user may change of an experiment on the command line.
struct Settings {
  double learning_rate;
  // Strengths of L1, L2 and proximal L1 (framework/optim/regularizer.h) on the
  // weights, beside what the experiment has.
  double l1 = 0, l2 = 0, proximal_l1 = 0;
  // The share of the training set that is split off for validation, at random
  // by the run's seed: at least 0, below 1.
  double validation = 0;
  Stratification stratification = Stratification::kNone;
  TrainOptions train;
};

// The figures a document prints, as it prints them: accuracies as fractions,
// kNotMeasured where it has none.
struct Published {
  double train_accuracy = kNotMeasured;
  double train_loss = kNotMeasured;
  double validation_accuracy = kNotMeasured;
  double test_accuracy = kNotMeasured;
  double test_loss = kNotMeasured;
  double seconds_per_epoch = kNotMeasured;
  std::string remark = {};  // What else there is to say of them.
};

// What is made of a document: with its slips put right, or with them.
enum class Variant { kCorrected, kAsWritten };

// "corrected" or "as_written", as flags and files name it.
inline std::string VariantName(Variant variant) {
  return variant == Variant::kAsWritten ? "as_written" : "corrected";
}

struct Experiment {
  std::string name;
  // Of a document: "corrected", the mathematics it intends, by automatic
  // differentiation; or "as_written", its formulas with their slips. Else
  // "own".
  std::string variant;
  std::string description;  // One line.
  std::string data_dir;     // Where its data set is installed.
  // The labels whose samples it is about, all if empty.
  std::vector<int> labels = {};
  Settings defaults;
  Published published = {};
  // What a reader of our figures beside the document's should know.
  std::string note = {};
  // Declares the model in `graph`, for images of so many pixels. `updates` is
  // how many updates the run will make at most.
  std::function<Classifier(Graph& graph, int64_t pixels,
                           const Settings& settings, int64_t updates)>
      declare;
};

// `optimizer` behind the regularisers of the settings whose strength is not 0.
TransformPtr WithRegularizers(const Settings& settings, TransformPtr optimizer);

// All experiments, the default one first; the variants of one name stand
// together, the corrected one first.
absl::Span<const Experiment> Experiments();

// The experiment of that name and variant; any variant's first if that is
// empty. The error of an unknown one lists the known ones.
absl::StatusOr<const Experiment*> FindExperiment(
    absl::string_view name, absl::string_view variant = "");

// Where third_party/install.sh puts the data sets.
inline constexpr char kMnist[] = "/usr/local/share/datasets/mnist";
inline constexpr char kFashionMnist[] = "/usr/share/datasets/fashion-mnist";

// The experiments, by file.
std::vector<Experiment> FashionMlp();        // fashion_mlp.cc: our own
std::vector<Experiment> Fashion40();         // fashion_40.cc: document A
std::vector<Experiment> Mnist256x128();      // mnist_256_128.cc: document B
std::vector<Experiment> Mnist500x250x100();  // mnist_500_250_100.cc: document C
std::vector<Experiment>
FashionFullBatch();                      // fashion_full_batch.cc: document D
std::vector<Experiment> MnistSigmoid();  // mnist_sigmoid.cc: document E

}  // namespace tape

#endif  // TAPE_MODELS_EXPERIMENT_H_
