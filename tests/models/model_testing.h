// What the tests of the documents' experiments have in common: the real data,
// quiet runs, and models small enough for a second opinion in double.
#ifndef TAPE_TESTS_MODELS_MODEL_TESTING_H_
#define TAPE_TESTS_MODELS_MODEL_TESTING_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "framework/core/graph.h"
#include "framework/core/tensor.h"
#include "framework/data/dataset.h"
#include "framework/metrics/metrics.h"
#include "framework/runtime/plan.h"
#include "framework/train/trainer.h"
#include "gtest/gtest.h"
#include "models/experiment.h"
#include "tests/models/matrix.h"

namespace tape {

// The data sets in full, read once. A test ends if they are not installed.
const DataSplits& RealMnist();
const DataSplits& RealFashionMnist();

// The first n training samples, as training and as test set.
DataSplits FirstSamples(const DataSplits& data, int64_t n);

// How many numbers are trained, with 784 pixels.
int64_t ParameterCount(const Experiment& experiment);

// Whether the gradients of the experiment's loss are right: of a twin with
// twelve pixels, on five samples, as CheckGradients finds it. Its initial
// weights are multiplied by `scale` first, for models whose loss does not
// depend on theirs. An error also if the gradient of a parameter is zero
// throughout, since then nothing was checked.
absl::Status CheckGradientsOf(const Experiment& experiment, double scale = 1);

// A run of the experiment with these settings, its seed that of the weights,
// the order and the split. The weights it ends with are left in `graph`, which
// must be new and of the same seed. Appends to `epochs`, if it is not null. A
// run that fails is a failure of the test. Runs on one thread if the settings
// leave it open: other tests want the machine's others.
TrainResult TrainQuietly(const Experiment& experiment, const Settings& settings,
                         const DataSplits& data, uint64_t seed, Graph& graph,
                         std::vector<EpochResult>* epochs = nullptr);

// The same, with the graph thrown away.
TrainResult TrainQuietly(const Experiment& experiment, const Settings& settings,
                         const DataSplits& data, uint64_t seed,
                         std::vector<EpochResult>* epochs = nullptr);

struct OverfitOptions {
  double learning_rate;
  int epochs;
  int64_t batch_size = 16;
  uint64_t seed = 0;
};

// What the experiment makes of its first 32 training samples with other
// settings than it has for all: loss and accuracy of kept.train are those of
// the weights it ends with, on these.
TrainResult Overfit(const Experiment& experiment, const DataSplits& all,
                    const OverfitOptions& options);

// "<name> (<variant>)", for failure messages.
std::string Title(const Experiment& experiment);

// An experiment's twin with twelve pixels, updated step by step on one batch of
// five samples. A mistake is a failure of the test.
class SmallModel {
 public:
  static constexpr int64_t kPixels = 12, kSamples = 5;

  explicit SmallModel(const Experiment& experiment)
      : SmallModel(experiment, experiment.defaults) {}
  SmallModel(const Experiment& experiment, const Settings& settings);

  // The batch: pixels as they are in the files, and labels.
  static Tensor Images();
  static Tensor Labels();
  // The same as the documents have them: pixels / 255 and one-hot labels, a
  // sample a row.
  static Matrix X();
  static Matrix Y();

  // One update. Loss and reports are then those of the weights before it.
  void Update();
  double Loss() const;
  double Report(absl::string_view name) const;

  // The parameters' values in order of declaration, weight before bias; a bias
  // is a row.
  std::vector<Matrix> Parameters();
  // Replaces them, of matrices of the same sizes.
  void SetParameters(const std::vector<Matrix>& values);

  Graph& graph() { return graph_; }
  const Classifier& model() const { return model_; }

 private:
  Graph graph_;
  Classifier model_;
  std::optional<Plan> plan_;
};

// Whether `found` is `expected` to within `tolerance` of the way that each
// parameter has come from `start`, and the rounding of float32 numbers as large
// as the parameter. The failure's message names the worst of them.
testing::AssertionResult SameWay(const std::vector<Matrix>& start,
                                 const std::vector<Matrix>& expected,
                                 const std::vector<Matrix>& found,
                                 double tolerance);

}  // namespace tape

#endif  // TAPE_TESTS_MODELS_MODEL_TESTING_H_
