// The training loop (trainer.h). In go a declared model and data, out come
// metrics, and the weights in the model's graph. Tested by
// tests/trainer_test.cc.
#include "framework/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "framework/compiler/compile.h"
#include "framework/core/check.h"

namespace tape {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A number that training shows beside loss and accuracy: a sum of fetches.
struct Shown {
  std::string name;
  std::vector<Var> terms;
};

std::vector<Shown> ShownBy(const Updates& updates) {
  std::vector<Shown> shown;
  if (!updates.penalties.empty()) {
    shown.push_back({"penalty", {}});
    for (const Report& penalty : updates.penalties) {
      shown.back().terms.push_back(penalty.value);
    }
  }
  for (const Report& report : updates.reports) {
    shown.push_back({report.name, {report.value}});
  }
  return shown;
}

// A fetch of one element.
double Number(const Plan& plan, Var fetch) {
  const TensorView value = plan.Value(fetch);
  return value.dtype() == DType::kInt32 ? value.values<int32_t>()[0]
                                        : value.values<float>()[0];
}

// One pass over a split: runs a plan on each batch, and keeps running means.
class Pass {
 public:
  Pass(const Classifier& model, Averaging averaging,
       absl::Span<const Shown> shown)
      : model_(model),
        averaging_(averaging),
        shown_(shown),
        shown_sums_(shown.size()) {}

  absl::Status Run(Plan& plan, const Batch& batch) {
    absl::Status status = plan.Run(
        {{model_.images, batch.images}, {model_.labels, batch.labels}});
    if (!status.ok()) return status;
    const auto labels = batch.labels.values<int32_t>();
    const auto predicted = plan.Value(model_.predicted).values<int32_t>();
    const int64_t right =
        std::inner_product(labels.begin(), labels.end(), predicted.begin(),
                           int64_t{0}, std::plus<>(), std::equal_to<>());
    const double weight = averaging_ == Averaging::kOverSamples
                              ? static_cast<double>(batch.size)
                              : 1;
    samples_ += batch.size;
    weight_ += weight;
    loss_sum_ += weight * plan.Scalar(model_.loss);
    accuracy_sum_ +=
        weight * static_cast<double>(right) / static_cast<double>(batch.size);
    for (size_t i = 0; i < shown_.size(); ++i) {
      for (Var term : shown_[i].terms) {
        shown_sums_[i] += weight * Number(plan, term);
      }
    }
    return absl::OkStatus();
  }

  int64_t samples() const { return samples_; }

  // The means so far.
  double loss() const { return loss_sum_ / weight_; }
  double accuracy() const { return accuracy_sum_ / weight_; }
  std::vector<Measurement> reports() const {
    std::vector<Measurement> reports;
    for (size_t i = 0; i < shown_.size(); ++i) {
      reports.push_back({shown_[i].name, shown_sums_[i] / weight_});
    }
    return reports;
  }

 private:
  const Classifier& model_;
  const Averaging averaging_;
  const absl::Span<const Shown> shown_;
  int64_t samples_ = 0;
  double weight_ = 0, loss_sum_ = 0, accuracy_sum_ = 0;
  std::vector<double> shown_sums_;
};

// Passes without updates, over one split in its order.
class Evaluation {
 public:
  // `dataset` must outlive this object.
  Evaluation(const Dataset& dataset, const TrainOptions& options)
      : classes_(std::max(dataset.classes, 1)),  // An empty one has none.
        averaging_(options.averaging),
        batches_(dataset, {.batch_size = options.evaluation_batch_size,
                           .order = Order::kFixed}) {}

  // Measures loss, accuracy and seconds; and the confusion.
  absl::StatusOr<EpochMetrics> Run(Plan& plan, const Classifier& model) {
    const Clock::time_point start = Clock::now();
    Pass pass(model, averaging_, {});
    confusion_ = ConfusionMatrix(classes_);
    batches_.StartEpoch(0);
    while (std::optional<Batch> batch = batches_.Next()) {
      absl::Status status = pass.Run(plan, *batch);
      if (!status.ok()) return status;
      confusion_.Add(batch->labels.values<int32_t>(),
                     plan.Value(model.predicted).values<int32_t>());
    }
    return EpochMetrics{.loss = pass.loss(),
                        .accuracy = pass.accuracy(),
                        .seconds = SecondsSince(start)};
  }

  // Of the last pass.
  const ConfusionMatrix& confusion() const { return confusion_; }

 private:
  const int classes_;
  const Averaging averaging_;
  Batches batches_;
  ConfusionMatrix confusion_ = ConfusionMatrix(1);
};

// All passes without updates that follow an epoch of training.
class Evaluations {
 public:
  // `data` must outlive this object.
  Evaluations(const DataSplits& data, const TrainOptions& options)
      : test_(data.test, options) {
    if (options.train_figures == TrainFigures::kAfterEpoch) {
      train_.emplace(data.train, options);
    }
    if (data.validation.size() > 0) {
      validation_.emplace(data.validation, options);
    }
  }

  // Completes the result of an epoch, of which the training pass is there.
  absl::Status Run(Plan& plan, const Classifier& model, EpochResult& epoch) {
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

  const ConfusionMatrix& test_confusion() const { return test_.confusion(); }

 private:
  std::optional<Evaluation> train_, validation_;
  Evaluation test_;
};

// Which epoch's figures and weights a run ends with: the last one's, or those
// of the best, of which it keeps a copy.
class Choice {
 public:
  Choice(Graph* graph, const std::optional<EarlyStoppingOptions>& options)
      : graph_(*graph) {
    if (options.has_value()) early_stopping_.emplace(*options);
  }

  struct Verdict {
    bool keep = true;  // The epoch is the one to end with, so far.
    bool stop = false;
  };

  // Takes note of the next epoch, whose weights the graph still has.
  Verdict Observe(const EpochResult& epoch) {
    if (!early_stopping_.has_value()) return {};
    const EarlyStopping::Verdict verdict = early_stopping_->Observe(epoch);
    const bool stop = verdict == EarlyStopping::Verdict::kStop;
    if (early_stopping_->options().keep == Keep::kLast) return {.stop = stop};
    const bool is_best = verdict == EarlyStopping::Verdict::kBest;
    if (is_best) CopyWeights();
    // There is no best as long as the metric has only been NaN.
    return {.keep = is_best || best_.empty(), .stop = stop};
  }

  // Puts the copy, if there is one, back into the graph.
  absl::Status Restore() {
    for (size_t i = 0; i < best_.size(); ++i) {
      absl::Status status = graph_.SetValue(graph_.parameters()[i], best_[i]);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  void CopyWeights() {
    best_.clear();
    for (Var parameter : graph_.parameters()) {
      best_.push_back(graph_.Value(parameter));
    }
  }

  Graph& graph_;
  std::optional<EarlyStopping> early_stopping_;
  std::vector<Tensor> best_;  // Of each parameter.
};

// What does not fit, said before anything is run.
absl::Status Check(const Batches& batches, const DataSplits& data,
                   const TrainOptions& options) {
  if (batches.batches_per_epoch() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "Train: an epoch has no batch: one has ", options.batches.batch_size,
        " samples, the training set ", data.train.size(),
        ", and batches that are not full are left out"));
  }
  if (options.early_stopping.has_value() &&
      options.early_stopping->split == Split::kValidation &&
      data.validation.size() == 0) {
    return absl::InvalidArgumentError(
        "Train: early stopping watches the validation set, which has no "
        "sample");
  }
  return absl::OkStatus();
}

// Which epochs of those that train are evaluated too.
bool IsEvaluated(int epoch, const TrainOptions& options) {
  return (epoch - 1) % options.evaluate_every == 0 || epoch == options.epochs;
}

// The plan with the updates, ready for its first step.
absl::StatusOr<Plan> CompileTraining(const Classifier& model,
                                     absl::Span<const Shown> shown,
                                     const Batches& batches,
                                     const TrainOptions& options) {
  std::vector<Var> fetch = {model.loss, model.predicted};
  if (!model.updates.learning_rate.empty()) {
    fetch.push_back(model.updates.learning_rate);
  }
  for (const Shown& number : shown) {
    fetch.insert(fetch.end(), number.terms.begin(), number.terms.end());
  }
  return Compile(*model.graph, {.fetch = fetch,
                                .updates = model.updates,
                                .threads = options.threads,
                                .precision = options.precision,
                                .batch_sizes = batches.sizes()});
}

// One pass with updates over the training set, and what it came to.
absl::StatusOr<EpochMetrics> TrainEpoch(int epoch, const Classifier& model,
                                        Plan& plan, Batches& batches,
                                        Pass& pass, Progress& progress) {
  const Clock::time_point start = Clock::now();
  progress.StartEpoch(epoch);
  batches.StartEpoch(epoch);
  while (std::optional<Batch> batch = batches.Next()) {
    absl::Status status = pass.Run(plan, *batch);
    if (!status.ok()) return status;
    progress.Advance(batch->size, pass.loss(), pass.accuracy());
  }
  EpochMetrics metrics = {.epoch = epoch,
                          .split = "train",
                          .loss = pass.loss(),
                          .accuracy = pass.accuracy(),
                          .seconds = SecondsSince(start),
                          .reports = pass.reports()};
  if (const Var rate = model.updates.learning_rate; !rate.empty()) {
    metrics.learning_rate = plan.Scalar(rate);
  }
  return metrics;
}

}  // namespace

absl::StatusOr<TrainResult> Train(
    const Classifier& model, const DataSplits& data,
    const TrainOptions& options, Progress& progress,
    const std::function<absl::Status(const EpochResult&)>& on_epoch) {
  TAPE_CHECK_LE(1, options.evaluate_every);
  Batches batches(data.train, options.batches);
  if (absl::Status status = Check(batches, data, options); !status.ok()) {
    return status;
  }
  const std::vector<Shown> shown = ShownBy(model.updates);
  absl::StatusOr<Plan> train = CompileTraining(model, shown, batches, options);
  if (!train.ok()) return train.status();
  train->Record(options.profile);
  absl::StatusOr<Plan> evaluate =
      Compile(*model.graph, {.fetch = {model.loss, model.predicted},
                             .threads = options.threads,
                             .precision = options.precision});
  if (!evaluate.ok()) return evaluate.status();

  Evaluations evaluations(data, options);
  Choice choice(model.graph, options.early_stopping);
  TrainResult result;
  result.threads = train->threads();
  double train_seconds = 0;
  int64_t train_samples = 0;
  bool stop = false;
  const Clock::time_point start = Clock::now();
  for (int epoch = 1; epoch <= options.epochs && !stop; ++epoch) {
    Pass pass(model, options.averaging, shown);
    absl::StatusOr<EpochMetrics> trained =
        TrainEpoch(epoch, model, *train, batches, pass, progress);
    if (!trained.ok()) return trained.status();
    train_seconds += trained->seconds;
    train_samples += pass.samples();
    result.epochs = epoch;
    if (!IsEvaluated(epoch, options)) continue;

    EpochResult current = {.train = *std::move(trained)};
    if (absl::Status status = evaluations.Run(*evaluate, model, current);
        !status.ok()) {
      return status;
    }
    const Choice::Verdict verdict = choice.Observe(current);
    stop = verdict.stop;
    if (verdict.keep) {
      result.kept = current;
      result.confusion = evaluations.test_confusion();
    }
    result.history.push_back(current);
    progress.FinishEpoch(current);
    if (absl::Status status = on_epoch(current); !status.ok()) return status;
  }
  if (absl::Status status = choice.Restore(); !status.ok()) return status;
  result.seconds = SecondsSince(start);
  result.samples_per_second =
      static_cast<double>(train_samples) / train_seconds;
  result.compile_seconds =
      train->compile_seconds() + evaluate->compile_seconds();
  return result;
}

}  // namespace tape
