// Checks of what Train is given (check_training.h). Tested by
// tests/train/trainer_test.cc.
#include "framework/train/check_training.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "framework/core/text.h"

namespace tape {
namespace {

// Whether a Var of the model, called `what`, is of the type that it must have,
// if it is valid at all: what is not, Compile or Run says.
absl::Status CheckType(absl::string_view what, Var var,
                       const TensorType& type) {
  if (!var.valid() || var.type() == type) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "Train: expected ", what, " of type ", Name(type.dtype),
      type.shape.ToString(), ", found ", Name(var.dtype()),
      var.shape().ToString(), " (", var.graph()->Describe(var.id()), ")"));
}

// Whether a Var that is valid is a number, float32 or int32.
absl::Status CheckNumber(absl::string_view what, Var var) {
  const DType dtype =
      var.dtype() == DType::kInt32 ? DType::kInt32 : DType::kFloat32;
  return CheckType(what, var, {dtype, {}});
}

// Whether what is shown can be.
absl::Status CheckShown(absl::Span<const ReportedSum> shown) {
  for (const ReportedSum& number : shown) {
    if (!IsUtf8(number.name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("Train: expected names of reports in UTF-8, found \"",
                       Printable(number.name), "\""));
    }
    for (Var term : number.terms) {
      absl::Status status = CheckNumber(
          absl::StrCat("the report \"", Printable(number.name), "\""), term);
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

// Whether the options make sense by themselves.
absl::Status CheckOptions(const TrainOptions& options) {
  const auto fail = [](absl::string_view what, auto found) {
    return absl::InvalidArgumentError(
        absl::StrCat("Train: expected ", what, ", found ", found));
  };
  if (const absl::Status status = CheckDataParallel(options.parallel);
      !status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("Train: ", status.message()));
  }
  if (options.epochs < 1) {
    return fail("epochs of at least 1", options.epochs);
  }
  if (options.evaluate_every < 1) {
    return fail("evaluate_every of at least 1", options.evaluate_every);
  }
  if (options.step_every < 1) {
    return fail("step_every of at least 1", options.step_every);
  }
  const CheckpointEvery& every = options.checkpoint_every;
  if (every.steps < 0) {
    return fail("checkpoint_every.steps of at least 0", every.steps);
  }
  if (every.epochs < 0) {
    return fail("checkpoint_every.epochs of at least 0", every.epochs);
  }
  if (!(every.seconds >= 0)) {
    return fail("checkpoint_every.seconds of at least 0", every.seconds);
  }
  if (!options.early_stopping.has_value()) return absl::OkStatus();
  const EarlyStoppingOptions& stopping = *options.early_stopping;
  if (!(stopping.min_change >= 0 && std::isfinite(stopping.min_change))) {
    return fail("a finite min_change of early stopping of at least 0",
                stopping.min_change);
  }
  if (stopping.patience.has_value() && *stopping.patience < 1) {
    return fail("a patience of early stopping of at least 1",
                *stopping.patience);
  }
  constexpr int kMostDecimals = 100;  // 10 to their number is a double.
  if (stopping.decimals.has_value() &&
      (*stopping.decimals < 0 || *stopping.decimals > kMostDecimals)) {
    return fail(
        absl::StrCat("decimals of early stopping in 0 to ", kMostDecimals),
        *stopping.decimals);
  }
  return absl::OkStatus();
}

// Whether early stopping watches what is measured.
absl::Status CheckWatched(const Model& model, const TrainOptions& options) {
  const EarlyStoppingOptions& stopping = *options.early_stopping;
  if (stopping.metric_name.empty()) {
    if (stopping.metric == Metric::kLoss || model.classification.has_value()) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        "Train: early stopping watches the accuracy, which only classifiers "
        "have: choose Metric::kLoss or a metric_name");
  }
  const auto metric = std::find_if(
      model.metrics.begin(), model.metrics.end(),
      [&](const ModelMetric& one) { return one.name == stopping.metric_name; });
  const std::string watches =
      absl::StrCat("Train: early stopping watches the metric \"",
                   Printable(stopping.metric_name), "\"");
  if (metric == model.metrics.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(watches, ", which the model does not have"));
  }
  if (metric->accumulator && stopping.split == DataSplit::kTrain &&
      options.train_figures == TrainFigures::kDuringEpoch) {
    return absl::InvalidArgumentError(absl::StrCat(
        watches,
        " of the training set, which is measured after an epoch only "
        "(TrainFigures::kAfterEpoch)"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status InTraining(const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat("Train: in training: ", status.message()));
}

absl::Status CheckModel(const Model& model) {
  if (model.graph == nullptr) {
    return absl::InvalidArgumentError("Train: the model has no graph");
  }
  const TensorType number, classes = {DType::kInt32, {kBatch}};
  absl::Status status = CheckType("a loss", model.loss, number);
  if (model.classification.has_value()) {
    status.Update(
        CheckType("predictions", model.classification->predicted, classes));
    if (model.classification->classes < 1) {
      status.Update(absl::InvalidArgumentError(
          absl::StrCat("Train: expected at least 1 class, found ",
                       model.classification->classes)));
    }
  }
  status.Update(
      CheckType("a learning rate", model.updates.learning_rate, number));
  std::set<absl::string_view> names;
  for (const ModelMetric& metric : model.metrics) {
    const std::string what =
        absl::StrCat("the metric \"", Printable(metric.name), "\"");
    if (metric.name.empty() || !IsUtf8(metric.name)) {
      status.Update(absl::InvalidArgumentError(
          absl::StrCat("Train: expected names of metrics in UTF-8, found \"",
                       Printable(metric.name), "\"")));
    }
    if (!names.insert(metric.name).second) {
      status.Update(absl::InvalidArgumentError(
          absl::StrCat("Train: ", what, " is there twice")));
    }
    if (metric.accumulator) continue;
    if (metric.values.size() != 1) {
      status.Update(absl::InvalidArgumentError(
          absl::StrCat("Train: expected one number for ", what, ", found ",
                       metric.values.size())));
      continue;
    }
    status.Update(CheckNumber(what, metric.values[0]));
  }
  return status;
}

absl::Status CheckRun(const BatchSequence& batches, const SplitViews& data,
                      const Model& model, const TrainOptions& options,
                      absl::Span<const ReportedSum> shown) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  if (!batches.status().ok()) return InTraining(batches.status());
  if (absl::Status status = CheckShown(shown); !status.ok()) return status;
  for (const Report& watched : options.watch) {
    absl::Status status = CheckNumber(
        absl::StrCat("the watched \"", Printable(watched.name), "\""),
        watched.value);
    if (!status.ok()) return status;
  }
  if (batches.batches_per_epoch() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "Train: an epoch has no batch: one has ", options.batches.batch_size,
        " samples, the training set ", data.train.size(),
        ", and batches that are not full are left out"));
  }
  if (options.early_stopping.has_value()) {
    const DataSplit split = options.early_stopping->split;
    const char* const empty =
        split == DataSplit::kValidation && data.validation.size() == 0
            ? "validation"
        : split == DataSplit::kTest && data.test.size() == 0 ? "test"
                                                             : nullptr;
    if (empty != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("Train: early stopping watches the ", empty,
                       " set, which has no sample"));
    }
    if (absl::Status status = CheckWatched(model, options); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace tape
