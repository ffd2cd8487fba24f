// Passes over data and their sums (evaluation.h). In go batches and plans, out
// come metrics. Tested by tests/train/trainer_test.cc.
#include "framework/train/evaluation.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/clock.h"
#include "framework/core/floating_point.h"
#include "framework/core/text.h"
#include "framework/io/checksum.h"

namespace tape {
namespace {

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

double Number(const Plan& plan, Var fetch) {
  const TensorView value = plan.Value(fetch);
  return value.dtype() == DType::kInt32 ? value.values<int32_t>()[0]
                                        : value.values<float>()[0];
}

int64_t SplitView::size() const {
  if (source_ != nullptr) return source_->size();
  return images_ != nullptr ? images_->size() : table_->size();
}

std::unique_ptr<BatchSequence> SplitView::MakeBatches(
    const BatchOptions& options) const {
  if (source_ != nullptr) {
    return std::make_unique<SourceBatches>(*source_, window_, options);
  }
  return images_ != nullptr ? std::make_unique<Batches>(*images_, options)
                            : std::make_unique<Batches>(*table_, options);
}

std::vector<std::string> SplitView::columns() const {
  if (images_ != nullptr) return {"images", "labels"};
  std::vector<std::string> names;
  if (source_ != nullptr) {
    for (const SourceColumn& column : source_->columns()) {
      names.push_back(column.name);
    }
    return names;
  }
  for (const Column& column : table_->columns) names.push_back(column.name);
  return names;
}

std::string SplitView::Describe() const {
  std::string text = absl::StrCat(size(), " samples");
  // The order of a source's samples depends on the blocks.
  if (source_ != nullptr) absl::StrAppend(&text, " in blocks of ", window_);
  const std::vector<std::string> names = columns();
  for (size_t i = 0; i < names.size(); ++i) {
    absl::StrAppend(&text, ", ", names[i], " ",
                    type(static_cast<int>(i)).ToString());
    if (source_ != nullptr) continue;
    const Tensor& values = table_ != nullptr ? table_->columns[i].values
                           : i == 0          ? images_->images
                                             : images_->labels;
    absl::StrAppend(&text, " of CRC-32C ",
                    absl::Hex(Crc32c({static_cast<const char*>(values.data()),
                                      values.type().bytes()}),
                              absl::kZeroPad8));
  }
  return text;
}

void FedColumns::Feed(const Model& model, const Batch& batch,
                      std::vector<tape::Feed>& fed) const {
  fed.clear();
  for (size_t i = 0; i < feeds.size(); ++i) {
    fed.push_back({model.feeds[i].input, batch.columns[feeds[i]]});
  }
}

const TensorType& SplitView::type(int column) const {
  if (source_ != nullptr) return source_->columns()[column].type;
  if (table_ != nullptr) return table_->columns[column].values.type();
  return (column == 0 ? images_->images : images_->labels).type();
}

absl::StatusOr<FedColumns> FindColumns(const Model& model,
                                       const SplitView& samples,
                                       absl::string_view split) {
  const std::vector<std::string> columns = samples.columns();
  const auto find = [&](const std::string& name, int& index) -> absl::Status {
    const auto found = std::find(columns.begin(), columns.end(), name);
    index = static_cast<int>(found - columns.begin());
    if (found != columns.end()) return absl::OkStatus();
    std::vector<std::string> quoted;
    for (const std::string& column : columns) {
      quoted.push_back(absl::StrCat("\"", Printable(column), "\""));
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "Train: in ", split, ": expected a column \"", Printable(name),
        "\", found ",
        quoted.empty() ? "no column" : absl::StrJoin(quoted, ", ")));
  };
  FedColumns fed;
  for (const ModelFeed& feed : model.feeds) {
    absl::Status status = find(feed.column, fed.feeds.emplace_back());
    if (!status.ok()) return status;
  }
  if (model.classification.has_value()) {
    absl::Status status = find(model.classification->labels, fed.labels);
    if (!status.ok()) return status;
    const TensorType& type = samples.type(fed.labels);
    const TensorType expected = {DType::kInt32, {samples.size()}};
    if (!(type == expected)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Train: in ", split, ": expected labels ", expected.ToString(),
          " in column \"", Printable(model.classification->labels),
          "\", found ", Name(type.dtype), type.shape.ToString()));
    }
  }
  return fed;
}

std::vector<Var> FetchesOf(const Model& model, MetricKinds kinds) {
  std::vector<Var> fetches = {model.loss};
  if (model.classification.has_value()) {
    fetches.push_back(model.classification->predicted);
  }
  for (const ModelMetric& metric : model.metrics) {
    if (kinds == MetricKinds::kNumbers && metric.accumulator) continue;
    fetches.insert(fetches.end(), metric.values.begin(), metric.values.end());
  }
  return fetches;
}

absl::Status AddBatch(const Plan& plan, const Batch& batch, int labels_column,
                      const Model& model, Averaging averaging,
                      absl::Span<const ReportedSum> shown, PassSums& sums) {
  const FloatingPointScope environment;
  const double weight = averaging == Averaging::kOverSamples
                            ? static_cast<double>(batch.size)
                            : 1;
  if (model.classification.has_value()) {
    const auto labels = batch.columns[labels_column].values<int32_t>();
    const auto predicted =
        plan.Value(model.classification->predicted).values<int32_t>();
    if (predicted.size() != labels.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("Train: expected a prediction for each of the batch's ",
                       labels.size(), " samples, found ", predicted.size()));
    }
    const int64_t right =
        std::inner_product(labels.begin(), labels.end(), predicted.begin(),
                           int64_t{0}, std::plus<>(), std::equal_to<>());
    sums.accuracy +=
        weight * static_cast<double>(right) / static_cast<double>(batch.size);
  }
  sums.samples += batch.size;
  sums.weight += weight;
  sums.loss += weight * plan.Scalar(model.loss);
  for (size_t i = 0; i < shown.size(); ++i) {
    for (Var term : shown[i].terms) {
      sums.reports[i] += weight * Number(plan, term);
    }
  }
  sums.metrics.resize(model.metrics.size());
  for (size_t i = 0; i < model.metrics.size(); ++i) {
    const ModelMetric& metric = model.metrics[i];
    if (metric.accumulator) continue;
    const double value = Number(plan, metric.values[0]);
    switch (metric.aggregation) {
      case Aggregation::kMean:
        sums.metrics[i] += weight * value;
        break;
      case Aggregation::kSum:
        sums.metrics[i] += value;
        break;
      case Aggregation::kLast:
        sums.metrics[i] = value;
        break;
    }
  }
  return absl::OkStatus();
}

std::vector<Measurement> MetricsOf(const Model& model, const PassSums& sums) {
  const FloatingPointScope environment;
  std::vector<Measurement> metrics;
  for (size_t i = 0; i < model.metrics.size(); ++i) {
    const ModelMetric& metric = model.metrics[i];
    Measurement& measured = metrics.emplace_back();
    measured.name = metric.name;
    if (metric.accumulator || i >= sums.metrics.size()) continue;
    measured.value = metric.aggregation == Aggregation::kMean
                         ? sums.metrics[i] / sums.weight
                         : sums.metrics[i];
  }
  return metrics;
}

double MeanLoss(const PassSums& sums) {
  const FloatingPointScope environment;
  return sums.loss / sums.weight;
}
double MeanAccuracy(const Model& model, const PassSums& sums) {
  if (!model.classification.has_value()) return kNotMeasured;
  const FloatingPointScope environment;
  return sums.accuracy / sums.weight;
}
int ClassesOf(const Model& model) {
  return model.classification.has_value() ? model.classification->classes : 1;
}

Evaluation::Evaluation(const SplitView& samples, absl::string_view split,
                       const PassOptions& options)
    : samples_(samples),
      split_(split),
      averaging_(options.averaging),
      batches_(samples.MakeBatches(
          {.batch_size = options.batch_size, .order = Order::kFixed})) {}

absl::Status Evaluation::CheckBatches() const {
  if (batches_->status().ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("Train: in evaluation: ", batches_->status().message()));
}

absl::Status Evaluation::Check(const Model& model) {
  if (absl::Status status = CheckBatches(); !status.ok()) return status;
  // An empty split may be without columns.
  if (samples_.size() == 0) return absl::OkStatus();
  absl::StatusOr<FedColumns> columns = FindColumns(model, samples_, split_);
  if (!columns.ok()) return columns.status();
  columns_ = *std::move(columns);
  return absl::OkStatus();
}

absl::StatusOr<EpochMetrics> Evaluation::Run(Plan& plan, const Model& model) {
  const auto start = std::chrono::steady_clock::now();
  PassSums sums;
  const int classes = ClassesOf(model);
  confusion_ = ConfusionMatrix(classes);
  std::vector<std::unique_ptr<Accumulator>> accumulators;
  for (const ModelMetric& metric : model.metrics) {
    accumulators.push_back(metric.accumulator ? metric.accumulator() : nullptr);
    if (metric.accumulator && accumulators.back() == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("Train: expected an accumulator of the metric \"",
                       Printable(metric.name), "\", found null"));
    }
  }
  batches_->StartEpoch(0);
  std::vector<Feed> feeds;
  while (std::optional<Batch> batch = batches_->Next()) {
    columns_.Feed(model, *batch, feeds);
    absl::Status status = plan.Run(feeds, Loc{});
    if (!status.ok()) return status;
    status =
        AddBatch(plan, *batch, columns_.labels, model, averaging_, {}, sums);
    if (!status.ok()) return status;
    for (size_t i = 0; i < accumulators.size(); ++i) {
      if (accumulators[i] == nullptr) continue;
      std::vector<TensorView> values;
      for (Var value : model.metrics[i].values) {
        values.push_back(plan.Value(value));
      }
      status = accumulators[i]->Add(values);
      if (!status.ok()) return status;
    }
    if (!model.classification.has_value()) continue;
    const auto labels = batch->columns[columns_.labels].values<int32_t>();
    const auto predicted =
        plan.Value(model.classification->predicted).values<int32_t>();
    status = CheckClasses("labels", labels, classes);
    status.Update(CheckClasses("predictions", predicted, classes));
    if (status.ok()) status = confusion_.Add(labels, predicted);
    if (!status.ok()) return status;
  }
  if (absl::Status status = CheckBatches(); !status.ok()) return status;
  EpochMetrics metrics = {.loss = MeanLoss(sums),
                          .accuracy = MeanAccuracy(model, sums),
                          .seconds = SecondsSince(start),
                          .reports = MetricsOf(model, sums)};
  for (size_t i = 0; i < accumulators.size(); ++i) {
    if (accumulators[i] == nullptr) continue;
    metrics.reports[i].value = accumulators[i]->Result();
  }
  return metrics;
}

namespace {

PassOptions PassOf(const TrainOptions& options) {
  return {.batch_size = options.evaluation_batch_size,
          .averaging = options.averaging};
}

}  // namespace

Evaluations::Evaluations(const SplitViews& data, const TrainOptions& options)
    : test_(data.test, "the test set", PassOf(options)) {
  if (options.train_figures == TrainFigures::kAfterEpoch) {
    train_.emplace(data.train, "the training set", PassOf(options));
  }
  if (data.validation.size() > 0) {
    validation_.emplace(data.validation, "the validation set", PassOf(options));
  }
}

absl::Status Evaluations::Check(const Model& model) {
  absl::Status status = test_.Check(model);
  if (train_.has_value()) status.Update(train_->Check(model));
  if (validation_.has_value()) status.Update(validation_->Check(model));
  return status;
}

absl::Status Evaluations::Run(Plan& plan, const Model& model,
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
    // The model's metrics are the last ones.
    std::copy_backward(after.reports.begin(), after.reports.end(),
                       epoch.train.reports.end());
  }
  if (validation_.has_value()) {
    absl::Status status =
        measure(*validation_, "validation", epoch.validation.emplace());
    if (!status.ok()) return status;
  }
  return measure(test_, "test", epoch.test);
}

}  // namespace tape
