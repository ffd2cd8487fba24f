// The training loop (trainer.h). In go a declared model and data, out come
// metrics, and the weights in the model's graph. Tested by
// tests/trainer_test.cc.
#include "framework/train/trainer.h"

#include <chrono>
#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/compiler/compile.h"
#include "framework/core/check.h"
#include "framework/core/floating_point.h"
#include "framework/train/evaluation.h"

namespace tape {
namespace {

using Clock = std::chrono::steady_clock;

// What training shows of these updates.
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

// Whether all variables are finite.
bool AllFinite(const Variables& variables) {
  for (int i = 0; i < variables.size(); ++i) {
    const Tensor& value = variables[i].value;
    if (value.dtype() != DType::kFloat32) continue;
    for (const float element : value.values<float>()) {
      if (!std::isfinite(element)) return false;
    }
  }
  return true;
}

// The loop, and all that it keeps from step to step.
class Training {
 public:
  // All arguments must outlive the object.
  Training(const Classifier& model, const DataSplits& data,
           const TrainOptions& options, Progress& progress)
      : model_(model),
        options_(options),
        progress_(progress),
        shown_(ShownBy(model.updates)),
        batches_(data.train, options.batches),
        evaluations_(data, options) {
    state_.pass.reports.resize(shown_.size());
  }

  // Makes the plans, and goes to where the run is resumed.
  absl::Status Start(const DataSplits& data) {
    if (absl::Status status = Check(batches_, data, options_); !status.ok()) {
      return status;
    }
    if (options_.on_divergence == OnDivergence::kSkip) {
      limit_ = model_.graph->Input("loss_limit", {});
    }
    absl::StatusOr<Plan> train = CompileTraining();
    if (!train.ok()) return train.status();
    train_ = *std::move(train);
    train_->Record(options_.profile);
    absl::StatusOr<Plan> evaluate =
        Compile(*model_.graph, {.fetch = {model_.loss, model_.predicted},
                                .threads = options_.threads,
                                .precision = options_.precision});
    if (!evaluate.ok()) return evaluate.status();
    evaluate_ = *std::move(evaluate);
    return options_.resume_from == nullptr ? absl::OkStatus() : Resume();
  }

  absl::Status Run(
      const std::function<absl::Status(const EpochResult&)>& on_epoch) {
    start_ = last_save_ = Clock::now();
    if (options_.resume_from == nullptr) {
      if (absl::Status status = Save(); !status.ok()) return status;
    }
    while (end_ == End::kFinished && state_.epoch <= options_.epochs &&
           !state_.stopped_early) {
      if (absl::Status status = TrainEpoch(); !status.ok()) return status;
      if (end_ != End::kFinished) break;
      if (absl::Status status = FinishEpoch(on_epoch); !status.ok()) {
        return status;
      }
    }
    if (end_ == End::kDiverged) return absl::OkStatus();
    if (absl::Status status = Save(); !status.ok()) return status;
    return end_ == End::kFinished ? RestoreBest() : absl::OkStatus();
  }

  TrainResult Result() const {
    const FloatingPointScope environment;
    return {.end = end_,
            .step = state_.step,
            .divergence = divergence_,
            .kept = state_.kept,
            .confusion = state_.confusion,
            .history = state_.history,
            .epochs = state_.epoch - 1,
            .threads = train_->threads(),
            .seconds = state_.seconds + SecondsSince(start_),
            .samples_per_second = static_cast<double>(state_.training_samples) /
                                  state_.training_seconds,
            .compile_seconds =
                train_->compile_seconds() + evaluate_->compile_seconds()};
  }

 private:
  // The plan with the updates, ready for its first step.
  absl::StatusOr<Plan> CompileTraining() {
    std::vector<Var> fetch = {model_.loss, model_.predicted};
    if (!model_.updates.learning_rate.empty()) {
      fetch.push_back(model_.updates.learning_rate);
    }
    for (const Shown& number : shown_) {
      fetch.insert(fetch.end(), number.terms.begin(), number.terms.end());
    }
    return Compile(*model_.graph,
                   {.fetch = fetch,
                    .updates = limit_.empty() ? model_.updates
                                              : SkipAbove(model_.loss, limit_,
                                                          model_.updates),
                    .threads = options_.threads,
                    .precision = options_.precision,
                    .batch_sizes = batches_.sizes()});
  }

  absl::Status Resume() {
    state_ = *options_.resume_from;
    losses_ = LossWatch(state_.losses);
    if (state_.pass.reports.size() != shown_.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Train: expected a state with ", shown_.size(),
          " reports of a training pass, found ", state_.pass.reports.size()));
    }
    const std::vector<Var> parameters = model_.graph->parameters();
    bool same = state_.best.empty() || state_.best.size() == parameters.size();
    for (size_t i = 0; same && i < state_.best.size(); ++i) {
      same = state_.best[i].type() == parameters[i].type();
    }
    if (!same) {
      return absl::InvalidArgumentError(
          "Train: expected the best model's parameters to be those of the "
          "graph, found others");
    }
    in_epoch_ = state_.batches.samples > 0;
    if (options_.epochs < BegunEpochs(state_)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Train: expected at least the ", BegunEpochs(state_),
          " epochs that the state has begun, found ", options_.epochs));
    }
    if (!in_epoch_) return absl::OkStatus();
    absl::Status status = batches_.Restore(state_.batches);
    return status.ok() ? status
                       : absl::InvalidArgumentError(
                             absl::StrCat("Train: ", status.message()));
  }

  // One pass with updates over the training set, or the rest of one.
  absl::Status TrainEpoch() {
    PassSums& sums = state_.pass;
    if (!in_epoch_) batches_.StartEpoch(state_.epoch);
    in_epoch_ = true;
    progress_.StartEpoch(state_.epoch, batches_.samples());
    pass_start_ = Clock::now();
    while (std::optional<Batch> batch = batches_.Next()) {
      if (absl::Status status = Step(*batch); !status.ok()) return status;
      if (end_ == End::kDiverged) return absl::OkStatus();
      progress_.Advance(batch->size, MeanLoss(sums), MeanAccuracy(sums));
      const bool interrupted = options_.interrupted && options_.interrupted();
      if (interrupted) end_ = End::kInterrupted;
      if (interrupted) return absl::OkStatus();
      if (IsDueAfterStep()) {
        if (absl::Status status = Save(); !status.ok()) return status;
        if (end_ == End::kDiverged) return absl::OkStatus();
      }
    }
    return absl::OkStatus();
  }

  absl::Status Step(const Batch& batch) {
    absl::InlinedVector<Feed, 3> feeds = {{model_.images, batch.images},
                                          {model_.labels, batch.labels}};
    float limit;
    if (!limit_.empty()) {
      limit = losses_.limit();
      feeds.push_back({limit_, TensorView(TensorType{}, &limit)});
    }
    if (absl::Status status = train_->Run(feeds); !status.ok()) return status;
    ++state_.step;
    if (const Var rate = model_.updates.learning_rate; !rate.empty()) {
      state_.pass.learning_rate = train_->Scalar(rate);
    }
    const auto loss = static_cast<float>(train_->Scalar(model_.loss));
    if (options_.on_divergence == OnDivergence::kGoOn ||
        losses_.Observe(loss)) {
      AddBatch(*train_, batch, model_, options_.averaging, shown_, state_.pass);
    } else if (options_.on_divergence == OnDivergence::kStop) {
      Diverge(LossText(loss));
    } else if (losses_.state().bad_in_a_row > LossWatch::kMostSkipped) {
      Diverge(absl::StrCat(LossText(loss), ", after ", LossWatch::kMostSkipped,
                           " steps skipped in a row"));
    }
    return absl::OkStatus();
  }

  std::string LossText(float loss) const {
    return std::isfinite(loss)
               ? absl::StrFormat(
                     "the loss is %.4g, above %.4g, which is far "
                     "above its recent range",
                     loss, losses_.limit())
               : absl::StrCat("the loss is ", std::isnan(loss) ? "nan"
                                              : loss > 0       ? "inf"
                                                               : "-inf");
  }

  void Diverge(absl::string_view how) {
    end_ = End::kDiverged;
    divergence_ = absl::StrCat("step ", state_.step, ", in epoch ",
                               state_.epoch - (in_epoch_ ? 0 : 1), ": ", how);
  }

  // Evaluates the epoch if it is time to, and goes to the start of the next.
  absl::Status FinishEpoch(
      const std::function<absl::Status(const EpochResult&)>& on_epoch) {
    PassSums& sums = state_.pass;
    in_epoch_ = false;
    sums.seconds += SecondsSince(pass_start_);
    state_.training_seconds += sums.seconds;
    state_.training_samples += sums.samples;
    if (IsEvaluated(state_.epoch, options_)) {
      EpochResult current = {.train = TrainMetrics()};
      absl::Status status = evaluations_.Run(*evaluate_, model_, current);
      if (!status.ok()) return status;
      Choose(current);
      state_.history.push_back(current);
      progress_.FinishEpoch(current);
      if (status = on_epoch(current); !status.ok()) return status;
    }
    sums = {.reports = std::vector<double>(shown_.size())};
    const int finished = state_.epoch++;
    const int every = options_.checkpoint_every.epochs;
    return every > 0 && finished % every == 0 ? Save() : absl::OkStatus();
  }

  EpochMetrics TrainMetrics() const {
    const FloatingPointScope environment;
    const PassSums& sums = state_.pass;
    EpochMetrics metrics = {.epoch = state_.epoch,
                            .split = "train",
                            .loss = MeanLoss(sums),
                            .accuracy = MeanAccuracy(sums),
                            .learning_rate = sums.learning_rate,
                            .seconds = sums.seconds};
    for (size_t i = 0; i < shown_.size(); ++i) {
      metrics.reports.push_back(
          {shown_[i].name, sums.reports[i] / sums.weight});
    }
    return metrics;
  }

  // Whether the epoch, whose weights the graph still has, is the one to end
  // with, so far; and whether it is the last.
  void Choose(const EpochResult& epoch) {
    bool keep = true;
    if (options_.early_stopping.has_value()) {
      EarlyStopping early_stopping(*options_.early_stopping,
                                   state_.early_stopping);
      const EarlyStopping::Verdict verdict = early_stopping.Observe(epoch);
      state_.early_stopping = early_stopping.state();
      state_.stopped_early = verdict == EarlyStopping::Verdict::kStop;
      if (options_.early_stopping->keep == Keep::kBest) {
        const bool is_best = verdict == EarlyStopping::Verdict::kBest;
        if (is_best) CopyWeights();
        // There is no best as long as the metric has only been NaN.
        keep = is_best || state_.best.empty();
      }
    }
    if (!keep) return;
    state_.kept = epoch;
    state_.confusion = evaluations_.test_confusion();
  }

  void CopyWeights() {
    state_.best.clear();
    for (Var parameter : model_.graph->parameters()) {
      state_.best.push_back(model_.graph->Value(parameter));
    }
  }

  // Puts the copy, if there is one, back into the graph.
  absl::Status RestoreBest() {
    const std::vector<Var> parameters = model_.graph->parameters();
    for (size_t i = 0; i < state_.best.size(); ++i) {
      absl::Status status =
          model_.graph->SetValue(parameters[i], state_.best[i]);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  bool IsDueAfterStep() const {
    const CheckpointEvery& every = options_.checkpoint_every;
    return (every.steps > 0 && state_.step % every.steps == 0) ||
           (every.seconds > 0 && SecondsSince(last_save_) >= every.seconds);
  }

  absl::Status Save() {
    if (options_.on_divergence != OnDivergence::kGoOn &&
        !AllFinite(model_.graph->variables())) {
      Diverge("a variable is not finite");
      return absl::OkStatus();
    }
    if (!options_.save) return absl::OkStatus();
    TrainingState state = state_;
    state.batches = {};
    if (in_epoch_) {
      state.pass.seconds += SecondsSince(pass_start_);
      state.batches = batches_.state();
    }
    state.seconds += SecondsSince(start_);
    state.losses = losses_.state();
    last_save_ = Clock::now();
    return options_.save(state);
  }

  const Classifier& model_;
  const TrainOptions& options_;
  Progress& progress_;
  const std::vector<Shown> shown_;
  Batches batches_;
  Evaluations evaluations_;
  Var limit_;  // The loss above which a step is skipped, if any is.
  std::optional<Plan> train_, evaluate_;

  TrainingState state_;  // But for batches and losses, which are here:
  LossWatch losses_;
  bool in_epoch_ = false;
  End end_ = End::kFinished;
  std::string divergence_;
  Clock::time_point start_, pass_start_, last_save_;
};

}  // namespace

absl::StatusOr<TrainResult> Train(
    const Classifier& model, const DataSplits& data,
    const TrainOptions& options, Progress& progress,
    const std::function<absl::Status(const EpochResult&)>& on_epoch) {
  TAPE_CHECK_LE(1, options.evaluate_every);
  Training training(model, data, options, progress);
  absl::Status status = training.Start(data);
  if (status.ok()) status = training.Run(on_epoch);
  if (!status.ok()) return status;
  return training.Result();
}

}  // namespace tape
