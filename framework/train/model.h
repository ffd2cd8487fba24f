// A declared model, as the training loop, evaluation and prediction take it:
// what it is fed, its loss, what is measured of it, and what it gives. Tested by
// tests/train/model_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_MODEL_H_
#define TAPE_FRAMEWORK_TRAIN_MODEL_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "framework/compiler/compile.h"
#include "framework/core/graph.h"
#include "framework/core/tensor.h"
#include "framework/core/updates.h"

namespace tape {

// An input of the graph, and the column of the data (DataTable) that feeds it.
struct ModelFeed {
  Var input;  // [batch, …], of the column's dtype and shape.
  std::string column;
};

// How the numbers of batches become that of a pass.
enum class Aggregation {
  kMean,  // As TrainOptions::averaging.
  kSum,
  kLast,
};

// Adds up what a metric needs of all batches of a pass, where the mean of the
// batches' numbers is not what is asked for. There are some in accumulators.h.
class Accumulator {
 public:
  virtual ~Accumulator() = default;
  // What a batch has of ModelMetric::values, in their order. Its error ends the
  // pass.
  virtual absl::Status Add(absl::Span<const TensorView> values) = 0;
  // NaN of no samples.
  virtual double Result() const = 0;
};

// A number that is measured of each pass.
struct ModelMetric {
  std::string name;  // As tables and files show it: "rmse".
  // Without an accumulator one number, float32 or int32 of rank 0; with one,
  // what it adds up.
  std::vector<Var> values;
  Aggregation aggregation = Aggregation::kMean;
  // If given, makes one for each pass without updates. Training passes do not
  // have the metric: it is NaN there.
  std::function<std::unique_ptr<Accumulator>()> accumulator = nullptr;
};

// What makes a model a classifier: then accuracies are measured, and the
// confusion matrix of the test set.
struct Classification {
  Var predicted;       // int32 [batch], in 0 … classes - 1.
  std::string labels;  // The column of what is right: int32 [n].
  int classes = 0;     // At least 1.
};

struct Model {
  Graph* graph = nullptr;
  std::vector<ModelFeed> feeds = {};
  Var loss = Var();  // Of the batch, a mean: float32 of rank 0.
  Updates updates = {};
  std::vector<ModelMetric> metrics = {};
  // What Predict gives, each [batch, …].
  std::vector<Output> outputs = {};
  std::optional<Classification> classification = std::nullopt;
};

// OK if the model has a graph and a loss, each Var that is valid has its type,
// and names are there once. (What is not valid, Compile refuses, with the line
// of its mistake.) An error begins with "Train: ".
absl::Status CheckModel(const Model& model);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_MODEL_H_
