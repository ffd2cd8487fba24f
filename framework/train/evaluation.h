// What passes over data come to: the sums of their batches, and the passes
// without updates that follow an epoch of training. The trainer's own. Tested
// by tests/train/trainer_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_EVALUATION_H_
#define TAPE_FRAMEWORK_TRAIN_EVALUATION_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/data/batches.h"
#include "framework/data/data_source.h"
#include "framework/data/dataset.h"
#include "framework/data/table.h"
#include "framework/metrics/classification.h"
#include "framework/metrics/metrics.h"
#include "framework/runtime/plan.h"
#include "framework/train/model.h"
#include "framework/train/trainer.h"
#include "framework/train/training_state.h"

namespace tape {

// A fetch of one element, float32 or int32.
double Number(const Plan& plan, Var fetch);

// A number that training shows beside loss and accuracy: a sum of fetches.
struct ReportedSum {
  std::string name;
  std::vector<Var> terms;
};

// The samples of one split: a data set of images, with the columns "images" and
// "labels", a table, or a source. What it is of must outlive it.
class SplitView {
 public:
  SplitView(const Dataset& images) : images_(&images) {}  // NOLINT: implicit.
  SplitView(const DataTable& table) : table_(&table) {}   // NOLINT: implicit.
  SplitView(DataSource& source, int64_t window)
      : source_(&source), window_(window) {}

  int64_t size() const;
  std::unique_ptr<BatchSequence> MakeBatches(const BatchOptions& options) const;
  std::vector<std::string> columns() const;
  const TensorType& type(int column) const;
  // The samples, and the columns with the CRC-32C of their values if they are in
  // memory: what tells two splits apart.
  std::string Describe() const;

 private:
  const Dataset* images_ = nullptr;
  const DataTable* table_ = nullptr;
  DataSource* source_ = nullptr;
  int64_t window_ = 0;
};

struct SplitViews {
  SplitView train, test, validation;
};

// Which columns of a split feed a model, and which has its labels.
struct FedColumns {
  std::vector<int> feeds;
  int labels = kNone;  // Of a classifier.

  // Makes `fed` the feeds of a batch.
  void Feed(const Model& model, const Batch& batch,
            std::vector<tape::Feed>& fed) const;
};
// The error names the split ("the test set"), the column and what there is.
absl::StatusOr<FedColumns> FindColumns(const Model& model,
                                       const SplitView& samples,
                                       absl::string_view split);

// What a plan of a pass computes: the loss, the predictions of a classifier, and
// all metrics, or only those that are numbers of a batch.
enum class MetricKinds { kAll, kNumbers };
std::vector<Var> FetchesOf(const Model& model, MetricKinds kinds);

// Adds what `plan` has computed of a batch, of loss, predictions and metrics that
// are numbers, and of what is shown, to the sums of a pass. `labels`: of a
// classifier. An error if there is not a prediction for each sample.
absl::Status AddBatch(const Plan& plan, const Batch& batch, int labels,
                      const Model& model, Averaging averaging,
                      absl::Span<const ReportedSum> shown, PassSums& sums);

// The model's metrics after a pass, by their names; of a training pass those with
// accumulators, and of no batch all, are NaN.
std::vector<Measurement> MetricsOf(const Model& model, const PassSums& sums);

// Of the batches added; NaN of none.
double MeanLoss(const PassSums& sums);
// NaN of a model that is no classifier, too.
double MeanAccuracy(const Model& model, const PassSums& sums);
// Of the confusion matrix: 1 of a model that is no classifier.
int ClassesOf(const Model& model);

// Passes without updates, over one split in its order.
class Evaluation {
 public:
  // What `samples` are of must outlive this object. `split`: "the test set".
  Evaluation(const SplitView& samples, absl::string_view split,
             const PassOptions& options);

  // What does not fit of the data set, the model or the options.
  absl::Status Check(const Model& model);

  // Measures loss, accuracy, metrics and seconds; and the confusion. `plan`
  // fetches FetchesOf(model, MetricKinds::kAll).
  absl::StatusOr<EpochMetrics> Run(Plan& plan, const Model& model);

  // Of the last pass; of one class unless the model is a classifier.
  const ConfusionMatrix& confusion() const { return confusion_; }

 private:
  // What is wrong with the batches, now.
  absl::Status CheckBatches() const;

  const SplitView samples_;
  const std::string split_;
  const Averaging averaging_;
  std::unique_ptr<BatchSequence> batches_;
  FedColumns columns_;
  ConfusionMatrix confusion_ = ConfusionMatrix(1);
};

// All passes without updates that follow an epoch of training.
class Evaluations {
 public:
  // What `data` is of must outlive this object.
  Evaluations(const SplitViews& data, const TrainOptions& options);

  // What does not fit of the splits, the model or the options.
  absl::Status Check(const Model& model);

  // Completes the result of an epoch, of which the training pass is there.
  absl::Status Run(Plan& plan, const Model& model, EpochResult& epoch);

  const ConfusionMatrix& test_confusion() const { return test_.confusion(); }

 private:
  std::optional<Evaluation> train_, validation_;
  Evaluation test_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_EVALUATION_H_
