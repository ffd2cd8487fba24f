// The training loop (trainer.h). Tested by tests/models_test.cc.
#include "framework/train/trainer.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/compiler/compile.h"

namespace tape {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Running means of loss and accuracy.
class Means {
 public:
  explicit Means(Averaging averaging) : averaging_(averaging) {}

  void Add(const Batch& batch, double loss, double accuracy) {
    const double weight = averaging_ == Averaging::kOverSamples
                              ? static_cast<double>(batch.size)
                              : 1;
    weight_ += weight;
    loss_ += weight * loss;
    accuracy_ += weight * accuracy;
  }
  double loss() const { return loss_ / weight_; }
  double accuracy() const { return accuracy_ / weight_; }

 private:
  Averaging averaging_;
  double weight_ = 0, loss_ = 0, accuracy_ = 0;
};

absl::Status RunBatch(Plan& plan, const Classifier& model, const Batch& batch,
                      Means& means) {
  absl::Status status =
      plan.Run({{model.images, batch.images}, {model.labels, batch.labels}});
  if (!status.ok()) return status;
  means.Add(batch, plan.Scalar(model.loss), plan.Scalar(model.accuracy));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TrainResult> Train(
    const Classifier& model, const DataSplits& data,
    const TrainOptions& options, Progress& progress,
    const std::function<absl::Status(const EpochResult&)>& on_epoch) {
  absl::StatusOr<Plan> train = Compile(
      *model.graph,
      {.fetch = {model.loss, model.accuracy, model.updates.learning_rate},
       .updates = model.updates,
       .threads = options.threads});
  if (!train.ok()) return train.status();
  absl::StatusOr<Plan> evaluate = Compile(
      *model.graph,
      {.fetch = {model.loss, model.accuracy}, .threads = options.threads});
  if (!evaluate.ok()) return evaluate.status();

  Batches train_batches(data.train, options.batches);
  if (train_batches.batches_per_epoch() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "Train: an epoch has no batch: one has ", options.batches.batch_size,
        " samples, the training set ", data.train.size(),
        ", and the last batch is dropped if it is short"));
  }
  Batches test_batches(data.test, {.batch_size = options.evaluation_batch_size,
                                   .order = Order::kFixed});
  TrainResult result;
  result.threads = train->threads();
  double train_seconds = 0;
  int64_t train_samples = 0;
  const Clock::time_point start = Clock::now();
  for (int epoch = 1; epoch <= options.epochs; ++epoch) {
    const Clock::time_point train_start = Clock::now();
    progress.StartEpoch(epoch);
    train_batches.StartEpoch(epoch);
    Means train_means(options.averaging);
    while (std::optional<Batch> batch = train_batches.Next()) {
      absl::Status status = RunBatch(*train, model, *batch, train_means);
      if (!status.ok()) return status;
      train_samples += batch->size;
      progress.Advance(batch->size, train_means.loss(), train_means.accuracy());
    }
    const double rate = train->Scalar(model.updates.learning_rate);
    const double epoch_seconds = SecondsSince(train_start);
    train_seconds += epoch_seconds;

    const Clock::time_point test_start = Clock::now();
    test_batches.StartEpoch(epoch);
    Means test_means(options.averaging);
    while (std::optional<Batch> batch = test_batches.Next()) {
      absl::Status status = RunBatch(*evaluate, model, *batch, test_means);
      if (!status.ok()) return status;
    }
    result.last = {.train = {.epoch = epoch,
                             .split = "train",
                             .loss = train_means.loss(),
                             .accuracy = train_means.accuracy(),
                             .learning_rate = rate,
                             .seconds = epoch_seconds},
                   .test = {.epoch = epoch,
                            .split = "test",
                            .loss = test_means.loss(),
                            .accuracy = test_means.accuracy(),
                            .learning_rate = rate,
                            .seconds = SecondsSince(test_start)}};
    progress.FinishEpoch(result.last.train, result.last.test);
    absl::Status status = on_epoch(result.last);
    if (!status.ok()) return status;
  }
  result.seconds = SecondsSince(start);
  result.samples_per_second =
      static_cast<double>(train_samples) / train_seconds;
  return result;
}

}  // namespace tape
