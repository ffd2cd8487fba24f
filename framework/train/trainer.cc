// The training loop (trainer.h). Tested by tests/train/trainer_test.cc.
#include "framework/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <set>
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
#include "framework/core/clock.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
#include "framework/train/check_training.h"
#include "framework/train/checkpointed_run.h"
#include "framework/train/evaluation.h"
#include "framework/train/ranks.h"
#include "framework/train/weights.h"

namespace tape {
namespace {

using Clock = std::chrono::steady_clock;

// The input of the loss above which a step is skipped. Users' variables have no
// such name.
constexpr char kLossLimit[] = "@loss_limit";

// What training shows of these updates.
std::vector<ReportedSum> ShownBy(const Updates& updates) {
  std::vector<ReportedSum> shown;
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

// Calls a function of the options. What it throws is an error that names it.
template <typename Function, typename... Arguments>
auto CallBack(const char* name, const Function& function,
              const Arguments&... arguments) {
  try {
    return function(arguments...);
  } catch (...) {
    throw StatusError(CaughtStatus(absl::StrCat("Train: ", name)));
  }
}

// Which epochs of those that train are evaluated too.
bool IsEvaluated(int epoch, const TrainOptions& options) {
  return (epoch - 1) % options.evaluate_every == 0 || epoch == options.epochs;
}

// The batches of the training set, of which a rank reads its own rows, and the
// labels of all.
BatchOptions BatchesOf(const Model& model, const TrainOptions& options) {
  BatchOptions batches = options.batches;
  batches.parallel = options.parallel;
  if (model.classification.has_value()) {
    batches.whole_column = model.classification->labels;
  }
  return batches;
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
  Training(const Model& model, const SplitViews& data,
           const TrainOptions& options, Progress& progress, Loc loc)
      : model_(model),
        data_(data),
        options_(options),
        progress_(progress),
        loc_(loc),
        skips_(options.on_divergence == OnDivergence::kSkip),
        shown_(ShownBy(model.updates)),
        ranks_(options.parallel.ranks()),
        batches_(data.train.MakeBatches(BatchesOf(model, options))),
        evaluations_(data_, options) {
    state_.pass.reports.resize(shown_.size());
  }

  // Makes the plans, and goes to where the run is resumed.
  absl::Status Start() {
    absl::Status status = CheckModel(model_);
    if (!status.ok()) return status;
    status.Update(CheckRun(*batches_, data_, model_, options_, shown_));
    absl::StatusOr<FedColumns> columns =
        FindColumns(model_, data_.train, "the training set");
    status.Update(columns.status());
    status.Update(evaluations_.Check(model_));
    if (!status.ok()) return status;
    columns_ = *std::move(columns);
    status = CheckRanksAgree(ranks_, IdentityOf(model_, data_, options_));
    if (!status.ok()) return status;
    status = CompileTraining();
    if (!status.ok()) return status;
    train_->Record(options_.profile);
    absl::StatusOr<Plan> evaluate =
        Compile(*model_.graph,
                {.fetch = FetchesOf(model_, MetricKinds::kAll),
                 .mode = Mode::kInference,
                 .replace = options_.evaluate_with,
                 .threads = options_.threads,
                 .precision = options_.precision,
                 .parallel = options_.parallel},
                loc_);
    if (!evaluate.ok()) return evaluate.status();
    evaluate_ = *std::move(evaluate);
    kept_variables_ = KeptVariables();
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
    return {.end = end_,
            .step = state_.step,
            .divergence = divergence_,
            .first_bad_step = first_bad_step_,
            .not_good = state_.not_good,
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
  // Makes the plan with the updates, ready for its first step.
  absl::Status CompileTraining() {
    // The plan keeps what it needs of what is declared for it alone.
    const Graph::Rollback rollback(model_.graph);
    const Graph::LocScope scope(model_.graph, loc_);
    Updates updates = model_.updates;
    if (skips_) {
      const Var limit =
          model_.graph->Input(kLossLimit, {}, DType::kFloat32, loc_);
      updates = SkipAbove(model_.loss, limit, std::move(updates));
    }
    std::vector<Var> fetch = FetchesOf(model_, MetricKinds::kNumbers);
    for (const Report& watched : options_.watch) fetch.push_back(watched.value);
    if (!model_.updates.learning_rate.empty()) {
      fetch.push_back(model_.updates.learning_rate);
    }
    for (const ReportedSum& number : shown_) {
      fetch.insert(fetch.end(), number.terms.begin(), number.terms.end());
    }
    absl::StatusOr<Plan> train = Compile(*model_.graph,
                                         {.fetch = fetch,
                                          .updates = std::move(updates),
                                          .mode = Mode::kTraining,
                                          .threads = options_.threads,
                                          .precision = options_.precision,
                                          .parallel = options_.parallel,
                                          .batch_sizes = batches_->sizes()},
                                         loc_);
    if (!train.ok()) return train.status();
    train_ = *std::move(train);
    return absl::OkStatus();
  }

  absl::Status Resume() {
    state_ = *options_.resume_from;
    losses_ = LossWatch(state_.losses);
    if (state_.pass.reports.size() != shown_.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Train: expected a state with ", shown_.size(),
          " reports of a training pass, found ", state_.pass.reports.size()));
    }
    const size_t metrics = state_.pass.metrics.size();
    if (metrics != 0 && metrics != model_.metrics.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("Train: expected a state with ", model_.metrics.size(),
                       " metrics of a training pass, found ", metrics));
    }
    if (absl::Status status = CheckResults(ClassesOf(model_)); !status.ok()) {
      return status;
    }
    if (absl::Status status = CheckBest(); !status.ok()) return status;
    in_epoch_ = state_.batches.samples > 0;
    if (options_.epochs < BegunEpochs(state_)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Train: expected at least the ", BegunEpochs(state_),
          " epochs that the state has begun, found ", options_.epochs));
    }
    if (!in_epoch_) return absl::OkStatus();
    absl::Status status = batches_->Restore(state_.batches);
    return status.ok() ? status
                       : absl::InvalidArgumentError(
                             absl::StrCat("Train: ", status.message()));
  }

  // Whether a state has the results of the epochs that it has made, on a test
  // set of so many classes.
  absl::Status CheckResults(int classes) const {
    const int made = state_.epoch - 1;
    if (made > 0 && state_.history.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("Train: expected the results of the ", made,
                       " epochs that the state has made, found none"));
    }
    if (made > 0 && state_.confusion.classes() != classes) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Train: expected a state with a confusion matrix of ", classes,
          " classes, found ", state_.confusion.classes()));
    }
    return absl::OkStatus();
  }

  // Whether the best model of a state has the variables that are kept here.
  absl::Status CheckBest() const {
    if (state_.best.empty()) return absl::OkStatus();
    for (Var variable : kept_variables_) {
      const absl::string_view name = model_.graph->NameOf(variable);
      const auto found = std::find_if(
          state_.best.begin(), state_.best.end(),
          [&](const NamedTensor& best) { return best.name == name; });
      if (found == state_.best.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("Train: expected \"", name,
                         "\" among the best model's variables, found none: the "
                         "state may be of an earlier version, which kept "
                         "parameters alone"));
      }
      if (!(found->value.type() == variable.type())) {
        return absl::InvalidArgumentError(
            absl::StrCat("Train: expected the best model's \"", name,
                         "\" to be ", variable.type().ToString(), ", found ",
                         found->value.type().ToString()));
      }
    }
    if (state_.best.size() != kept_variables_.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Train: expected the best model's ", kept_variables_.size(),
          " variables, found ", state_.best.size()));
    }
    return absl::OkStatus();
  }

  // The model's variables, and those that evaluations read in place of them.
  std::vector<Var> KeptVariables() const {
    Graph& graph = *model_.graph;
    std::vector<Var> outputs = FetchesOf(model_, MetricKinds::kAll);
    for (const Output& output : model_.outputs) outputs.push_back(output.value);
    std::set<absl::string_view> read;
    for (Var variable : ModelVariables(graph, outputs)) {
      read.insert(graph.NameOf(variable));
    }
    for (const Replacement& replacement : options_.evaluate_with) {
      if (read.contains(replacement.variable)) read.insert(replacement.by);
    }
    std::vector<Var> kept;
    for (int id = 0; id < graph.size(); ++id) {
      const Node& node = graph.node(id);
      if (node.variable != kNone && read.contains(node.name)) {
        kept.push_back(Var(&graph, id));
      }
    }
    return kept;
  }

  // One pass with updates over the training set, or the rest of one.
  absl::Status TrainEpoch() {
    PassSums& sums = state_.pass;
    if (!in_epoch_) batches_->StartEpoch(state_.epoch);
    in_epoch_ = true;
    progress_.StartEpoch(state_.epoch, batches_->samples());
    pass_start_ = Clock::now();
    while (std::optional<Batch> batch = batches_->Next()) {
      if (absl::Status status = Step(*batch); !status.ok()) return status;
      if (end_ == End::kDiverged) return absl::OkStatus();
      progress_.Advance(batch->size, MeanLoss(sums),
                        MeanAccuracy(model_, sums));
      // on_step sees each step, whatever else ends the run.
      const bool is_stopped = OnStep() == AfterStep::kStop;
      const bool interrupted =
          (ranks_.size() > 1 ? ranks_.Votes(kBallotStop) > 0
                             : IsInterrupted()) ||
          is_stopped;
      if (interrupted) end_ = End::kInterrupted;
      if (interrupted) return absl::OkStatus();
      if (IsDueAfterStep()) {
        if (absl::Status status = Save(); !status.ok()) return status;
        if (end_ == End::kDiverged) return absl::OkStatus();
      }
    }
    const absl::Status& status = batches_->status();
    return status.ok() ? status : InTraining(status);
  }

  // Tells on_step of the step that was made, if it is to know.
  AfterStep OnStep() {
    if (!options_.on_step || state_.step % options_.step_every != 0) {
      return AfterStep::kGoOn;
    }
    StepResult made = {.step = state_.step,
                       .epoch = state_.epoch,
                       .loss = train_->Scalar(model_.loss),
                       .learning_rate = state_.pass.learning_rate};
    for (const Report& watched : options_.watch) {
      made.watched.push_back({watched.name, Number(*train_, watched.value)});
    }
    return CallBack("on_step", options_.on_step, made);
  }

  bool IsInterrupted() const {
    return options_.interrupted &&
           CallBack("interrupted", options_.interrupted);
  }

  // What ranks decide by the clock or a signal, they decide together.
  void Vote() {
    if (ranks_.size() == 1) return;
    ranks_.Vote(kBallotStop, IsInterrupted());
    ranks_.Vote(kBallotSave, ranks_.rank() == 0 && IsDueByTheClock());
  }

  absl::Status Step(const Batch& batch) {
    Vote();
    std::vector<Feed>& feeds = feeds_;
    columns_.Feed(model_, batch, feeds);
    float limit;
    if (skips_) {
      limit = losses_.limit();
      feeds.push_back({kLossLimit, TensorView(TensorType{}, &limit)});
    }
    absl::Status status = train_->Run(feeds, loc_);
    if (!status.ok()) return status;
    ++state_.step;
    if (const Var rate = model_.updates.learning_rate; !rate.empty()) {
      state_.pass.learning_rate = train_->Scalar(rate);
    }
    const auto loss = static_cast<float>(train_->Scalar(model_.loss));
    bool is_skipped = false;
    if (options_.on_divergence != OnDivergence::kGoOn) {
      // It is the loss of the weights that the step before has left.
      if (IsPlanned(state_.step - 1) && !losses_.IsLikeTheBeginning(loss)) {
        MarkNotGood(state_.step - 1);
      }
      is_skipped = !losses_.Observe(loss) && skips_;
      if (IsPlanned(state_.step) && !losses_.IsGood()) {
        MarkNotGood(state_.step);
      }
    }
    const int bad = losses_.state().bad_in_a_row;
    if (options_.on_divergence == OnDivergence::kStop &&
        losses_.HasDiverged(loss)) {
      Diverge(LossText(loss));
      first_bad_step_ = state_.step - bad + 1;
    } else if (is_skipped && bad > LossWatch::kMostSkipped) {
      Diverge(absl::StrCat(LossText(loss), ", after ", LossWatch::kMostSkipped,
                           " steps skipped in a row"));
    } else if (!is_skipped) {
      status = AddBatch(*train_, batch, columns_.labels, model_,
                        options_.averaging, shown_, state_.pass);
    }
    return status;
  }

  bool IsPlanned(int64_t step) const {
    return options_.checkpoint_every.IsPlanned(step,
                                               batches_->batches_per_epoch());
  }

  // Each state that is kept has the list: no more of it than is of use.
  void MarkNotGood(int64_t step) {
    constexpr size_t kMost = 1000;
    std::vector<int64_t>& not_good = state_.not_good;
    if (!not_good.empty() && not_good.back() >= step) return;
    not_good.push_back(step);
    if (not_good.size() > kMost) not_good.erase(not_good.begin());
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
    first_bad_step_ = state_.step;
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
    if (absl::Status status =
            CheckSameVariables(ranks_, *model_.graph, state_.epoch);
        !status.ok()) {
      return status;
    }
    if (IsEvaluated(state_.epoch, options_)) {
      EpochResult current = {.train = TrainMetrics()};
      absl::Status status = evaluations_.Run(*evaluate_, model_, current);
      if (!status.ok()) return status;
      Choose(current);
      state_.history.push_back(current);
      progress_.FinishEpoch(current);
      if (on_epoch != nullptr) status = CallBack("on_epoch", on_epoch, current);
      if (!status.ok()) return status;
      if (options_.after_epoch && CallBack("after_epoch", options_.after_epoch,
                                           current) == AfterStep::kStop) {
        state_.stopped_early = true;
      }
    }
    sums = {.reports = std::vector<double>(shown_.size())};
    const int finished = state_.epoch++;
    const int every = options_.checkpoint_every.epochs;
    return every > 0 && finished % every == 0 ? Save() : absl::OkStatus();
  }

  EpochMetrics TrainMetrics() const {
    const PassSums& sums = state_.pass;
    EpochMetrics metrics = {.epoch = state_.epoch,
                            .split = "train",
                            .loss = MeanLoss(sums),
                            .accuracy = MeanAccuracy(model_, sums),
                            .learning_rate = sums.learning_rate,
                            .seconds = sums.seconds};
    for (size_t i = 0; i < shown_.size(); ++i) {
      metrics.reports.push_back(
          {shown_[i].name, sums.reports[i] / sums.weight});
    }
    for (Measurement& metric : MetricsOf(model_, sums)) {
      metrics.reports.push_back(std::move(metric));
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
        if (is_best) CopyModel();
        // There is no best as long as the metric has only been NaN.
        keep = is_best || state_.best.empty();
      }
    }
    if (!keep) return;
    state_.kept = epoch;
    state_.confusion = evaluations_.test_confusion();
  }

  void CopyModel() {
    state_.best.clear();
    for (Var variable : kept_variables_) {
      state_.best.push_back({std::string(model_.graph->NameOf(variable)),
                             model_.graph->Value(variable)});
    }
  }

  // Puts the copy, if there is one, back into the graph.
  absl::Status RestoreBest() {
    for (Var variable : kept_variables_) {
      for (const NamedTensor& best : state_.best) {
        if (best.name != model_.graph->NameOf(variable)) continue;
        absl::Status status = model_.graph->SetValue(variable, best.value);
        if (!status.ok()) return status;
      }
    }
    return absl::OkStatus();
  }

  bool IsDueAfterStep() const {
    const CheckpointEvery& every = options_.checkpoint_every;
    return (every.steps > 0 && state_.step % every.steps == 0) ||
           (ranks_.size() > 1 ? ranks_.Votes(kBallotSave) > 0
                              : IsDueByTheClock());
  }

  bool IsDueByTheClock() const {
    const double seconds = options_.checkpoint_every.seconds;
    return seconds > 0 && SecondsSince(last_save_) >= seconds;
  }

  absl::Status Save() {
    if (options_.on_divergence != OnDivergence::kGoOn &&
        !AllFinite(model_.graph->variables())) {
      Diverge("a variable is not finite");
      return absl::OkStatus();
    }
    if (!options_.save || ranks_.rank() != 0) {
      last_save_ = Clock::now();
      return absl::OkStatus();
    }
    TrainingState state = state_;
    state.batches = {};
    if (in_epoch_) {
      state.pass.seconds += SecondsSince(pass_start_);
      state.batches = batches_->state();
    }
    state.seconds += SecondsSince(start_);
    state.losses = losses_.state();
    last_save_ = Clock::now();
    return CallBack("save", options_.save, state);
  }

  const Model& model_;
  const SplitViews data_;
  const TrainOptions& options_;
  Progress& progress_;
  const Loc loc_;
  const bool skips_;  // Steps whose loss is above a limit that is fed.
  const std::vector<ReportedSum> shown_;
  Communicator& ranks_;
  const std::unique_ptr<BatchSequence> batches_;
  FedColumns columns_;
  std::vector<Feed> feeds_;  // Of a step; kept, so that none allocates.
  Evaluations evaluations_;
  std::optional<Plan> train_, evaluate_;
  // The model's, in order of declaration: what early stopping keeps the best of.
  std::vector<Var> kept_variables_;

  TrainingState state_;  // But for batches and losses, which are here:
  LossWatch losses_;
  bool in_epoch_ = false;
  End end_ = End::kFinished;
  std::string divergence_;
  int64_t first_bad_step_ = 0;
  Clock::time_point start_, pass_start_, last_save_;
};

}  // namespace

bool CheckpointEvery::IsPlanned(int64_t step, int64_t batches_per_epoch) const {
  return step == 0 || (steps > 0 && step % steps == 0) ||
         (epochs > 0 && step % (epochs * batches_per_epoch) == 0);
}

namespace {

absl::StatusOr<TrainResult> TrainOn(
    const Model& model, const SplitViews& data, const TrainOptions& options,
    Progress& progress,
    const std::function<absl::Status(const EpochResult&)>& on_epoch, Loc loc) {
  const FloatingPointScope environment;
  absl::Status status;
  try {
    std::unique_ptr<CheckpointedRun> run;
    if (!options.checkpoints.empty() && model.graph != nullptr) {
      absl::StatusOr<std::unique_ptr<CheckpointedRun>> opened =
          CheckpointedRun::Open(*model.graph, options);
      if (!opened.ok()) return AtCall(loc, "Train", opened.status());
      run = *std::move(opened);
    }
    Training training(model, data, run == nullptr ? options : run->options(),
                      progress, loc);
    status = training.Start();
    if (status.ok()) status = training.Run(on_epoch);
    if (status.ok()) {
      TrainResult result = training.Result();
      if (run != nullptr) result.damaged_checkpoints = run->damaged();
      return result;
    }
  } catch (...) {
    status = CaughtStatus("Train");
  }
  return AtCall(loc, "Train", status);
}

}  // namespace

absl::StatusOr<TrainResult> Train(
    const Model& model, const TableSplits& data, const TrainOptions& options,
    Progress& progress,
    const std::function<absl::Status(const EpochResult&)>& on_epoch, Loc loc) {
  return TrainOn(
      model,
      {.train = data.train, .test = data.test, .validation = data.validation},
      options, progress, on_epoch, loc);
}

absl::StatusOr<TrainResult> Train(
    const Model& model, const SourceSplits& data, const TrainOptions& options,
    Progress& progress,
    const std::function<absl::Status(const EpochResult&)>& on_epoch, Loc loc) {
  if (data.train == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        CallText(loc, "Train"), ": expected a source to train on, found null"));
  }
  return TrainOn(model,
                 {.train = SplitView(*data.train, data.window),
                  .test = data.test,
                  .validation = data.validation},
                 options, progress, on_epoch, loc);
}

absl::StatusOr<TrainResult> Train(
    const Classifier& model, const DataSplits& data,
    const TrainOptions& options, Progress& progress,
    const std::function<absl::Status(const EpochResult&)>& on_epoch, Loc loc) {
  // A test set that is empty has no classes.
  Model of = {.graph = model.graph,
              .feeds = {{model.images, "images"}, {model.labels, "labels"}},
              .loss = model.loss,
              .updates = model.updates,
              .classification =
                  Classification{.predicted = model.predicted,
                                 .labels = "labels",
                                 .classes = std::max(data.test.classes, 1)}};
  if (!model.logits.empty()) of.outputs.push_back({"logits", model.logits});
  return TrainOn(
      of,
      {.train = data.train, .test = data.test, .validation = data.validation},
      options, progress, on_epoch, loc);
}

}  // namespace tape
