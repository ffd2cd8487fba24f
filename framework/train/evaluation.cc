// Passes over data and their sums (evaluation.h). In go batches and plans, out
// come metrics. Tested by tests/train/trainer_test.cc.
#include "framework/train/evaluation.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "framework/core/clock.h"
#include "framework/core/floating_point.h"

namespace tape {
namespace {

// A fetch of one element.
double Number(const Plan& plan, Var fetch) {
  const TensorView value = plan.Value(fetch);
  return value.dtype() == DType::kInt32 ? value.values<int32_t>()[0]
                                        : value.values<float>()[0];
}

// Whether all of `found` are classes of the data set, which has so many.
absl::Status CheckClasses(absl::string_view what,
                          absl::Span<const int32_t> found, int classes) {
  for (const int32_t one : found) {
    if (one >= 0 && one < classes) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("Train: expected ", what, " in 0 to ", classes - 1,
                     ", the classes of the data set, found ", one));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AddBatch(const Plan& plan, const Batch& batch,
                      const Classifier& model, Averaging averaging,
                      absl::Span<const ReportedSum> shown, PassSums& sums) {
  const FloatingPointScope environment;
  const auto labels = batch.labels.values<int32_t>();
  const auto predicted = plan.Value(model.predicted).values<int32_t>();
  if (predicted.size() != labels.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("Train: expected a prediction for each of the batch's ",
                     labels.size(), " samples, found ", predicted.size()));
  }
  const int64_t right =
      std::inner_product(labels.begin(), labels.end(), predicted.begin(),
                         int64_t{0}, std::plus<>(), std::equal_to<>());
  const double weight = averaging == Averaging::kOverSamples
                            ? static_cast<double>(batch.size)
                            : 1;
  sums.samples += batch.size;
  sums.weight += weight;
  sums.loss += weight * plan.Scalar(model.loss);
  sums.accuracy +=
      weight * static_cast<double>(right) / static_cast<double>(batch.size);
  for (size_t i = 0; i < shown.size(); ++i) {
    for (Var term : shown[i].terms) {
      sums.reports[i] += weight * Number(plan, term);
    }
  }
  return absl::OkStatus();
}

double MeanLoss(const PassSums& sums) {
  const FloatingPointScope environment;
  return sums.loss / sums.weight;
}
double MeanAccuracy(const PassSums& sums) {
  const FloatingPointScope environment;
  return sums.accuracy / sums.weight;
}

Evaluation::Evaluation(const Dataset& dataset, const TrainOptions& options)
    : classes_(std::max(dataset.classes, 1)),  // An empty one has none.
      averaging_(options.averaging),
      batches_(dataset, {.batch_size = options.evaluation_batch_size,
                         .order = Order::kFixed}) {}

absl::Status Evaluation::Check() const {
  if (batches_.status().ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("Train: in evaluation: ", batches_.status().message()));
}

absl::StatusOr<EpochMetrics> Evaluation::Run(Plan& plan,
                                             const Classifier& model) {
  if (absl::Status status = Check(); !status.ok()) return status;
  const auto start = std::chrono::steady_clock::now();
  PassSums sums;
  confusion_ = ConfusionMatrix(classes_);
  batches_.StartEpoch(0);
  while (std::optional<Batch> batch = batches_.Next()) {
    absl::Status status = plan.Run(
        {{model.images, batch->images}, {model.labels, batch->labels}}, Loc{});
    if (!status.ok()) return status;
    status = AddBatch(plan, *batch, model, averaging_, {}, sums);
    if (!status.ok()) return status;
    const auto labels = batch->labels.values<int32_t>();
    const auto predicted = plan.Value(model.predicted).values<int32_t>();
    status = CheckClasses("labels", labels, classes_);
    status.Update(CheckClasses("predictions", predicted, classes_));
    if (status.ok()) status = confusion_.Add(labels, predicted);
    if (!status.ok()) return status;
  }
  return EpochMetrics{.loss = MeanLoss(sums),
                      .accuracy = MeanAccuracy(sums),
                      .seconds = SecondsSince(start)};
}

Evaluations::Evaluations(const DataSplits& data, const TrainOptions& options)
    : test_(data.test, options) {
  if (options.train_figures == TrainFigures::kAfterEpoch) {
    train_.emplace(data.train, options);
  }
  if (data.validation.size() > 0) {
    validation_.emplace(data.validation, options);
  }
}

absl::Status Evaluations::Check() const {
  absl::Status status = test_.Check();
  if (validation_.has_value()) status.Update(validation_->Check());
  return status;
}

absl::Status Evaluations::Run(Plan& plan, const Classifier& model,
                              EpochResult& epoch) {
  const auto measure = [&](Evaluation& split, const char* name,
                           EpochMetrics& metrics) {
    absl::StatusOr<EpochMetrics> measured = split.Run(plan, model);
    if (!measured.ok()) return measured.status();
    metrics = *std::move(measured);
    metrics.epoch = epoch.train.epoch;
    metrics.split = name;
    metrics.learning_rate = epoch.train.learning_rate;
    return absl::OkStatus();
  };
  if (train_.has_value()) {
    EpochMetrics after;
    absl::Status status = measure(*train_, "train", after);
    if (!status.ok()) return status;
    epoch.train.loss = after.loss;
    epoch.train.accuracy = after.accuracy;
  }
  if (validation_.has_value()) {
    absl::Status status =
        measure(*validation_, "validation", epoch.validation.emplace());
    if (!status.ok()) return status;
  }
  return measure(test_, "test", epoch.test);
}

}  // namespace tape
