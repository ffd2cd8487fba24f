// The training loop: epochs of mini-batches over a data set, with evaluations
// between them. Tested by tests/train/trainer_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_TRAINER_H_
#define TAPE_FRAMEWORK_TRAIN_TRAINER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/compiler/precision.h"
#include "framework/core/graph.h"
#include "framework/core/updates.h"
#include "framework/data/batches.h"
#include "framework/data/data_source.h"
#include "framework/data/dataset.h"
#include "framework/data/table.h"
#include "framework/distributed/data_parallel.h"
#include "framework/io/safetensors.h"
#include "framework/log/progress.h"
#include "framework/metrics/classification.h"
#include "framework/metrics/metrics.h"
#include "framework/runtime/profile.h"
#include "framework/train/divergence.h"
#include "framework/train/early_stopping.h"
#include "framework/train/model.h"
#include "framework/train/training_state.h"

namespace tape {

// A classifier of images, for data sets of labelled images (Dataset): a Model
// with less to fill in.
struct Classifier {
  Graph* graph = nullptr;
  Var images;     // Input [batch, pixels], of the data set's dtype: uint8, ….
  Var labels;     // Input int32 [batch].
  Var loss;       // The mean loss of the batch, for reports: float32 of rank 0.
  Var predicted;  // The class each image is taken for, in 0 … classes - 1 of
                  // the data set: int32 [batch].
  Updates updates;
  // For predictions and reports, which do without what is left empty: what the
  // classes' probabilities are the softmax of, float32 [batch, classes]; and
  // the outputs of hidden layers, the first one first, [batch, units].
  Var logits = Var();
  std::vector<Var> hidden = {};
};

// How the metrics of batches become those of an epoch. They differ if the last
// batch is short.
enum class Averaging {
  kOverSamples,  // Each sample counts alike.
  kOverBatches,  // Each batch counts alike, whatever its size.
};

// When the metrics of the training split are measured.
enum class TrainFigures {
  kDuringEpoch,  // On each batch, before its update.
  kAfterEpoch,  // The weights after the epoch, by a pass of its own over all of
                // the training set.
};

// A checkpoint is due after so many steps, epochs or seconds; 0 disables a
// trigger.
struct CheckpointEvery {
  int64_t steps = 0;
  int epochs = 0;
  double seconds = 0;

  // Whether the checkpoint of a step is of the plan: of step 0, or due by steps
  // or epochs. It follows from the step alone, whatever else made the run save.
  bool IsPlanned(int64_t step, int64_t batches_per_epoch) const;
};

// A training step that has been made.
struct StepResult {
  int64_t step = 0;  // The first is 1.
  int epoch = 0;
  double loss = kNotMeasured;  // Of the weights before it.
  double learning_rate = kNotMeasured;
  std::vector<Measurement> watched = {};  // TrainOptions::watch.
};
enum class AfterStep { kGoOn, kStop };

struct TrainOptions {
  int epochs = 1;             // At most, with early stopping.
  BatchOptions batches = {};  // Of the training set.
  int64_t evaluation_batch_size =
      1000;  // Of passes without updates, which take all samples in order.
  // Variables that passes without updates read in place of others:
  // AveragedWeights(graph) (wrappers.h) evaluates the averages.
  std::vector<Replacement> evaluate_with = {};
  Averaging averaging = Averaging::kOverSamples;
  TrainFigures train_figures = TrainFigures::kDuringEpoch;
  // Epochs 1, 1 + evaluate_every, … and the last are evaluated and reported. At
  // least 1.
  int evaluate_every = 1;
  // Asked after each epoch that is evaluated. Without it the run makes all its
  // epochs, and ends with the last one's weights.
  std::optional<EarlyStoppingOptions> early_stopping = std::nullopt;
  int threads = 0;  // As CompileOptions::threads.
  // As CompileOptions::precision; of training and evaluations.
  Precision precision = Precision::kFloat32;
  // Shards of each batch, and the ranks that divide them among themselves
  // (../distributed/data_parallel.h). Every rank calls Train with equal models,
  // data and options, but for what follows, and gets the same result. Rank 0 alone
  // calls `save` and reads and writes `checkpoints`; all ranks stop if
  // `interrupted` says so on any of them; what on_step and after_epoch return must
  // be the same on all. A rank that fails must end the others
  // (Communicator::Abort).
  DataParallel parallel = {};
  Profile* profile = nullptr;  // If given, the training steps are added to it.
  OnDivergence on_divergence = OnDivergence::kStop;

  // A folder, made in a parent that is there, for checkpoints (checkpoint.h): the
  // run keeps them there when due by `checkpoint_every`, by default each minute,
  // and goes on from the newest that is sound; one that has finished is not
  // repeated. None by default. In place of `save` and `resume_from`.
  std::string checkpoints = "";
  int keep_checkpoints = 2;  // So many of the newest are kept; at least 1.
  // Of each checkpoint: with ModelMetadata (../serving/saved_model.h) it is a saved
  // model too.
  Metadata checkpoint_metadata = {};

  // Where another run of the same model, data and options was; the variables of
  // the graph must be those of that moment. The run then ends with the same
  // bits as one that was never interrupted.
  const TrainingState* resume_from = nullptr;
  // Keeps the state, with the variables as they are now; its error ends the
  // run. Called before the first step, when due by `checkpoint_every`, when the
  // run is interrupted, and at its end. Not called with variables that are not
  // finite, unless on_divergence is kGoOn.
  std::function<absl::Status(const TrainingState&)> save = nullptr;
  CheckpointEvery checkpoint_every = {};
  // Asked after each step, whether to leave the rest of the run to another one.
  // What these functions throw ends the run with an error that names the
  // function.
  std::function<bool()> interrupted = nullptr;
  // Numbers of the training steps, float32 or int32 of rank 0, which on_step
  // sees: norms of gradients, say. They are computed in each step.
  std::vector<Report> watch = {};
  // Called after each step, or each `step_every` of them; kStop leaves the rest
  // of the run to another one, as `interrupted` does. It may set variables of
  // the graph: the State that a Schedule reads, for one (FromVariable,
  // ../optim/schedule.h).
  std::function<AfterStep(const StepResult&)> on_step = nullptr;
  int step_every = 1;
  // Called after each epoch that is evaluated, after on_epoch. kStop ends the
  // run as if it was the last epoch.
  std::function<AfterStep(const EpochResult&)> after_epoch = nullptr;
};

// How a run ended.
enum class End {
  kFinished,
  kInterrupted,
  kDiverged,  // Its last step is not to be trusted, nor are the variables.
};

// What a whole run came to.
struct TrainResult {
  End end = End::kFinished;
  int64_t step = 0;  // Batches trained on.
  // If it diverged, in what way: "step 7, in epoch 2: the loss is nan".
  std::string divergence;
  // And the first step of those with a bad loss that it ended with, or the last
  // step; and as TrainingState has it.
  int64_t first_bad_step = 0;
  std::vector<int64_t> not_good;
  // Of the model that a finished run leaves in the graph: the last epoch's, or
  // the best one's if early stopping keeps that. Its variables are the
  // parameters and all that an evaluation reads (ModelVariables, weights.h).
  EpochResult kept;
  ConfusionMatrix confusion = ConfusionMatrix(1);  // Of them, on the test set.
  std::vector<EpochResult> history;                // Of all epochs evaluated.
  // Why checkpoints of TrainOptions::checkpoints were passed over, newer than the
  // one that the run went on from.
  std::vector<absl::Status> damaged_checkpoints = {};
  int epochs = 0;  // That were completed.
  int threads = 0;
  double seconds = 0;             // Of the whole run, evaluations included.
  double samples_per_second = 0;  // Of training alone.
  // Of making the plans (Plan::compile_seconds), which for the training steps
  // is done before `seconds` begin.
  double compile_seconds = 0;
};

// Trains `model` on data.train; evaluates it, in its form for inference, on
// data.validation, if that has samples, and on data.test, whose metrics are NaN
// if it has none, and calls `on_epoch`, whose error, or exception, ends the run.
// Draws on `progress`. Errors: mistakes in the model's declaration, before
// anything is run; options out of their range; early stopping that watches a set
// without samples or a metric that is not there; data that CheckDataset or
// CheckDataTable refuses, without a column that is fed, of another type than the
// inputs, or changed during the run; a state to go on from that is not of such a
// run. Those of the call have its line. All computes in the framework's floating-point environment,
// the functions of the options too.
absl::StatusOr<TrainResult> Train(
    const Model& model, const TableSplits& data, const TrainOptions& options,
    Progress& progress,
    const std::function<absl::Status(const EpochResult&)>& on_epoch = nullptr,
    Loc loc = Loc::Current());
// The same on a source (../data/data_source.h), whose columns feed the model.
// TrainFigures::kAfterEpoch reads it once more for each epoch that is evaluated.
absl::StatusOr<TrainResult> Train(
    const Model& model, const SourceSplits& data, const TrainOptions& options,
    Progress& progress,
    const std::function<absl::Status(const EpochResult&)>& on_epoch = nullptr,
    Loc loc = Loc::Current());
absl::StatusOr<TrainResult> Train(
    const Classifier& model, const DataSplits& data,
    const TrainOptions& options, Progress& progress,
    const std::function<absl::Status(const EpochResult&)>& on_epoch,
    Loc loc = Loc::Current());

// For passes without updates.
struct PassOptions {
  int64_t batch_size = 1000;
  Averaging averaging = Averaging::kOverSamples;
  std::vector<Replacement> replace = {};  // As CompileOptions::replace.
  int threads = 0;                        // As CompileOptions::threads.
  Precision precision = Precision::kFloat32;
};

// Measures the model's loss, metrics and accuracy on a table, in its order.
// Errors: those of Train.
absl::StatusOr<EpochMetrics> Evaluate(const Model& model,
                                      const DataTable& table,
                                      const PassOptions& options = {},
                                      Loc loc = Loc::Current());

// A table with a column for each output of the model, of all samples of `table`
// in its order; columns that the outputs do not depend on, such as targets, may
// be missing. Errors: those of Train; an output that is not [batch, …].
absl::StatusOr<DataTable> Predict(const Model& model, const DataTable& table,
                                  const PassOptions& options = {},
                                  Loc loc = Loc::Current());

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_TRAINER_H_
