// The flags of train (train_flags.h). In goes a command line, out come runs,
// their data and folders. Tested by tests/models/train_program_test.cc and
// tests/models/resume_program_test.cc.
#include "models/train_flags.h"

#include <cmath>
#include <cstdio>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "framework/compiler/compile.h"
#include "framework/data/batches.h"
#include "framework/io/files.h"
#include "framework/log/run_directory.h"
#include "framework/train/ranks.h"
#include "models/experiment.h"
#include "models/program.h"
#include "models/run.h"
#include "models/user_flags.h"

ABSL_FLAG(
    std::string, experiment, "",
    "which experiment to train, by default fashion_mlp; --list names them");
ABSL_FLAG(
    std::string, variant, "",
    "corrected, or as_written: with the slips of the document; by default "
    "the first that --list shows");
ABSL_FLAG(bool, list, false, "print the experiments and leave");
ABSL_FLAG(
    std::string, data_dir, "",
    "folder of the data set: IDX files, plain or gzipped, CSV files or PNG "
    "images by label (see //models:convert_dataset); by default where "
    "third_party/install.sh puts the experiment's data set");
ABSL_FLAG(std::optional<int>, epochs, std::nullopt,
          "times to go through the training set; by default the experiment's");
ABSL_FLAG(std::optional<int64_t>, batch_size, std::nullopt,
          "samples of one update; by default the experiment's");
ABSL_FLAG(std::optional<double>, learning_rate, std::nullopt,
          "the optimiser's rate; by default the experiment's");
ABSL_FLAG(std::optional<double>, l1, std::nullopt,
          "strength of L1 on the weights; by default 0");
ABSL_FLAG(std::optional<double>, l2, std::nullopt,
          "strength of L2 on the weights; by default 0");
ABSL_FLAG(std::optional<double>, proximal_l1, std::nullopt,
          "strength of proximal L1 on the weights, which makes exact zeros; by "
          "default 0");
ABSL_FLAG(std::optional<double>, validation, std::nullopt,
          "share of the training set to split off for validation, at random by "
          "the seed; by default the experiment's");
ABSL_FLAG(bool, stratified, false,
          "let every class have its share of the validation set");
ABSL_FLAG(
    bool, report, false,
    "print the confusion matrix and the classification report of the test "
    "set at the end");
ABSL_FLAG(std::string, profile, "",
          "file to write a trace of the training steps to, for Perfetto, "
          "replaced if it is a trace; the costliest steps are printed; by "
          "default none");
ABSL_FLAG(std::optional<uint64_t>, seed, std::nullopt,
          "what initial weights and the order of samples are drawn from; by "
          "default 0");
ABSL_FLAG(std::optional<int>, threads, std::nullopt,
          "how many threads to use; by default all processors. The results are "
          "the same, bit by bit, for any number");
ABSL_FLAG(std::string, precision, "",
          "what matrix products read: float32, or bf16, which they add up in "
          "float32, on processors that have it; by default float32");
ABSL_FLAG(std::optional<int>, shards, std::nullopt,
          "parts of each batch that are summed by themselves, a power of two: "
          "train_mpi divides them among its processes, and the results are the "
          "same, bit by bit, for any number of processes; by default 1");
ABSL_FLAG(bool, bf16_sums, false,
          "let processes exchange large gradients as bfloat16: half the bytes, "
          "and sums that are rounded to it");
ABSL_FLAG(double, mpi_timeout, 60,
          "seconds that a process of train_mpi waits for another one before it "
          "ends the run");
ABSL_FLAG(
    std::string, run_dir, "",
    "folder to keep the run in: figures, checkpoints, the model, report.html; "
    "made if missing, refused if it holds any of these already. By default "
    "nothing is written");
ABSL_FLAG(std::string, checkpoint_every, "60s",
          "how often to write a checkpoint to --run_dir: after so many steps "
          "(500steps), epochs (2epochs) or seconds (60s); or never. By default "
          "60s; and when interrupted, and at the end. Going back uses those by "
          "steps or epochs alone, with seconds each epoch's");
ABSL_FLAG(std::optional<int>, keep_checkpoints, std::nullopt,
          "how many checkpoints to keep, the newest; by default 3. To go back, "
          "as many of those it can go back to, and that of step 0");
ABSL_FLAG(bool, resume, false,
          "go on with the run in --run_dir from its newest good checkpoint, "
          "with its settings, to the same bits as if it had never stopped; a "
          "larger --epochs makes it longer, from there on with the learning "
          "rates of the longer run");
ABSL_FLAG(std::string, on_divergence, "",
          "if the loss is not finite or far above its recent range: stop; skip "
          "the step; go_back to the last good checkpoint with half the rate; "
          "or go_on. By default stop, and go_on with what a document wrote");
ABSL_FLAG(bool, html_report, true,
          "write report.html and its pictures to --run_dir at the end; "
          "--nohtml_report does not");
ABSL_FLAG(bool, jsonl, false,
          "write metrics.jsonl to --run_dir too: the figures as JSON lines");
ABSL_FLAG(bool, tensorboard, false,
          "write an event file to --run_dir too, for TensorBoard");

namespace tape {
namespace {

constexpr char kUsage[] =
    "Trains a model and prints how it went.\n\n"
    "  train                                  fashion_mlp on Fashion-MNIST\n"
    "  train --list                           the names of the experiments\n"
    "  train --experiment=NAME --run_dir=DIR  another; keep the figures\n"
    "  train --data=FILE.csv --target=COLUMN  your own data\n"
    "  train --data=FILE.npz|FOLDER           arrays of NumPy, or images\n\n"
    "Exits with 0 if the run has finished with a model that is of use; with 1\n"
    "after an error, which stderr tells, and if the run has diverged; with "
    "128\n"
    "and the signal's number if it was interrupted: 130 after Ctrl-C.";

constexpr ShownFlag kFlags[] = {{"experiment", "NAME"},
                                {"variant", "NAME"},
                                {"list", ""},
                                {"data_dir", "DIR"},
                                {"data", "PATH"},
                                {"target", "COLUMN"},
                                {"task", "NAME"},
                                {"test", "X"},
                                {"layers", "N,N"},
                                {"activation", "NAME"},
                                {"batch_norm", ""},
                                {"dropout", "X"},
                                {"optimizer", "NAME"},
                                {"schedule", "NAME"},
                                {"patience", "N"},
                                {"epochs", "N"},
                                {"batch_size", "N"},
                                {"learning_rate", "X"},
                                {"l1", "X"},
                                {"l2", "X"},
                                {"proximal_l1", "X"},
                                {"validation", "X"},
                                {"stratified", ""},
                                {"report", ""},
                                {"seed", "N"},
                                {"threads", "N"},
                                {"precision", "NAME"},
                                {"shards", "N"},
                                {"bf16_sums", ""},
                                {"mpi_timeout", "X"},
                                {"run_dir", "DIR"},
                                {"checkpoint_every", "N"},
                                {"keep_checkpoints", "N"},
                                {"resume", ""},
                                {"on_divergence", "NAME"},
                                {"html_report", ""},
                                {"jsonl", ""},
                                {"tensorboard", ""},
                                {"profile", "FILE"}};

absl::Status NotOfFloat32(absl::string_view flag, double value) {
  return WrongFlag(flag,
                   absl::StrCat("a number that float32 has, ",
                                std::numeric_limits<float>::denorm_min(),
                                " to ", std::numeric_limits<float>::max()),
                   absl::StrCat(value));
}

// What the flags say of a number that must be at least 0, if they say it.
absl::Status ReadStrength(absl::string_view flag,
                          const std::optional<double>& value,
                          double& strength) {
  if (!value.has_value()) return absl::OkStatus();
  if (!(*value >= 0) || !std::isfinite(*value)) {
    return WrongFlag(flag, "a finite number of at least 0",
                     absl::StrCat(*value));
  }
  if (*value > std::numeric_limits<float>::max())
    return NotOfFloat32(flag, *value);
  strength = *value;
  return absl::OkStatus();
}

// Changes the run to what the flags ask for.
absl::Status ReadFlags(RunSettings& run) {
  Settings& settings = run.settings;
  run.seed = absl::GetFlag(FLAGS_seed).value_or(run.seed);
  settings.train.batches.seed = run.seed;

  if (const auto epochs = absl::GetFlag(FLAGS_epochs)) {
    if (*epochs < 1)
      return WrongFlag("epochs", "at least 1", absl::StrCat(*epochs));
    settings.train.epochs = *epochs;
  }
  if (const auto size = absl::GetFlag(FLAGS_batch_size)) {
    if (*size < 1)
      return WrongFlag("batch_size", "at least 1", absl::StrCat(*size));
    settings.train.batches.batch_size = *size;
  }
  if (const auto rate = absl::GetFlag(FLAGS_learning_rate)) {
    if (!(*rate > 0) || !std::isfinite(*rate)) {
      return WrongFlag("learning_rate", "a finite number above 0",
                       absl::StrCat(*rate));
    }
    if (*rate < std::numeric_limits<float>::denorm_min() ||
        *rate > std::numeric_limits<float>::max()) {
      return NotOfFloat32("learning_rate", *rate);
    }
    settings.learning_rate = *rate;
  }
  absl::Status status =
      ReadStrength("l1", absl::GetFlag(FLAGS_l1), settings.l1);
  status.Update(ReadStrength("l2", absl::GetFlag(FLAGS_l2), settings.l2));
  status.Update(ReadStrength("proximal_l1", absl::GetFlag(FLAGS_proximal_l1),
                             settings.proximal_l1));
  if (!status.ok()) return status;
  if (const auto share = absl::GetFlag(FLAGS_validation)) {
    if (!(*share >= 0 && *share < 1)) {
      return WrongFlag("validation", "at least 0 and below 1",
                       absl::StrCat(*share));
    }
    if (*share == 0 && settings.train.early_stopping.has_value() &&
        settings.train.early_stopping->split == DataSplit::kValidation) {
      return WrongFlag("validation",
                       absl::StrCat("a share for ", run.experiment->name,
                                    ", which chooses its best model by it"),
                       "0");
    }
    settings.validation = *share;
  }
  if (absl::GetFlag(FLAGS_stratified)) {
    if (settings.validation == 0) {
      return WrongFlag("stratified", "a share with --validation", "none");
    }
    settings.stratification = Stratification::kByLabel;
  }
  const absl::StatusOr<int> threads =
      ThreadsFromFlag(absl::GetFlag(FLAGS_threads));
  if (!threads.ok()) return threads.status();
  settings.train.threads = *threads;
  const std::string precision = absl::GetFlag(FLAGS_precision);
  if (precision == "bf16") {
    settings.train.precision = Precision::kBFloat16;
  } else if (precision == "float32") {
    settings.train.precision = Precision::kFloat32;
  } else if (!precision.empty()) {
    return WrongFlag("precision", "float32 or bf16", precision);
  }
  return absl::OkStatus();
}

// What --shards and --bf16_sums say, which a run that is resumed keeps.
absl::Status ReadParallel(bool resumes, DataParallel& parallel) {
  const int had = parallel.shards;
  const std::optional<int> shards = absl::GetFlag(FLAGS_shards);
  if (shards.has_value()) parallel.shards = *shards;
  const int ranks = parallel.ranks().size();
  if (!CheckDataParallel({.shards = parallel.shards}).ok()) {
    return WrongFlag("shards",
                     absl::StrCat("a power of two, 1 to ", kMaxShards),
                     absl::StrCat(parallel.shards));
  }
  if (parallel.shards < ranks) {
    return WrongFlag(
        "shards", absl::StrCat("at least as many as the ", ranks, " processes"),
        absl::StrCat(parallel.shards));
  }
  if (!CheckDataParallel(parallel).ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "mpirun: expected a power of two of processes, found ", ranks));
  }
  if (resumes && parallel.shards != had) {
    return WrongFlag("shards", absl::StrCat(had, ", as the run began"),
                     absl::StrCat(*shards));
  }
  if (const double seconds = absl::GetFlag(FLAGS_mpi_timeout);
      seconds > 0 && std::isfinite(seconds)) {
    parallel.ranks().set_timeout_seconds(seconds);
  } else {
    return WrongFlag("mpi_timeout", "a finite number of seconds above 0",
                     absl::StrCat(seconds));
  }
  if (!absl::GetFlag(FLAGS_bf16_sums)) return absl::OkStatus();
  if (resumes && !parallel.bfloat16_sums) {
    return WrongFlag("bf16_sums", "false, as the run began", "true");
  }
  if (parallel.shards == 1) {
    return WrongFlag("bf16_sums", "--shards of at least 2", "1");
  }
  parallel.bfloat16_sums = true;
  return absl::OkStatus();
}

// Sets what --on_divergence asks for: by default what the run had, if it is
// resumed, or the experiment has.
absl::Status ReadOnDivergence(RunSettings& run) {
  const std::string name = absl::GetFlag(FLAGS_on_divergence);
  if (!name.empty() && !SetOnDivergence(name, run)) {
    return WrongFlag("on_divergence", "stop, skip, go_back or go_on", name);
  }
  if (run.goes_back && (absl::GetFlag(FLAGS_run_dir).empty() ||
                        absl::GetFlag(FLAGS_checkpoint_every) == "never")) {
    return WrongFlag("on_divergence", "a --run_dir with checkpoints to go back",
                     "none");
  }
  return absl::OkStatus();
}

// Says which setting of a run that is resumed the flags, or this version of the
// program, contradict, if they do. It may be made longer, and take another way
// out of a divergence.
absl::Status CheckAgainst(const Metadata& record, const Metadata& now,
                          const std::string& path) {
  for (const auto& [key, value] : now) {
    const absl::string_view then = ValueOf(record, key);
    // Data may have moved; the splits' checksums tell whether they are the same.
    if (key == "epochs" || key == "on_divergence" || key == "data" ||
        absl::StartsWith(key, "back_to_") || then == value) {
      continue;
    }
    // Some forms of data tell no rows.
    if (key == "rows" && then.empty()) continue;
    const bool of_data =
        key == "pixels" || key == "rows" || absl::EndsWith(key, "_data");
    return absl::InvalidArgumentError(absl::StrCat(
        "--resume: ", path, ": expected ", key, " ",
        then.empty() ? "(none)" : then, ", as the run began, found ", value,
        !of_data                          ? ""
        : ValueOf(record, "data").empty() ? "; --data_dir names the data"
                                          : "; --data names the data"));
  }
  return absl::OkStatus();
}

// Whether the trace goes to a file that the run itself does not write.
absl::Status CheckProfileFlag() {
  const std::string trace = absl::GetFlag(FLAGS_profile);
  const std::string run_dir = absl::GetFlag(FLAGS_run_dir);
  if (trace.empty() || run_dir.empty()) return absl::OkStatus();
  const std::string in_run = PathFrom(run_dir, trace);
  if (!IsRunFile(in_run.substr(0, in_run.find('/')))) return absl::OkStatus();
  return WrongFlag("profile", "a file that the run itself does not write",
                   trace);
}

// Whether the flags about files make sense: said before anything is read.
absl::Status CheckFileFlags() {
  if (absl::Status status = CheckProfileFlag(); !status.ok()) return status;
  const bool has_folder = !absl::GetFlag(FLAGS_run_dir).empty();
  if (absl::GetFlag(FLAGS_jsonl) && !has_folder) {
    return WrongFlag("jsonl", "a --run_dir", "none");
  }
  if (absl::GetFlag(FLAGS_tensorboard) && !has_folder) {
    return WrongFlag("tensorboard", "a --run_dir", "none");
  }
  if (const int keep = KeepCheckpoints(); keep < 1) {
    return WrongFlag("keep_checkpoints", "at least 1", absl::StrCat(keep));
  }
  return CheckpointEveryFromFlag().status();
}

// Sets what a run that goes back goes back to: what it had, if it is resumed,
// which the flags must not change.
absl::Status ReadPlanOfGoingBack(RunSettings& run) {
  if (!run.goes_back) return absl::OkStatus();
  const absl::StatusOr<CheckpointEvery> every = CheckpointEveryFromFlag();
  if (!every.ok()) return every.status();
  const CheckpointEvery plan = PlanOfGoingBack(*every);
  const bool is_new = run.back_to_newest == 0;
  if (is_new) run.back_to = plan;
  if (is_new) run.back_to_newest = KeepCheckpoints();
  const CheckpointEvery& had = run.back_to;
  // By the clock as well it may always save.
  if (every->seconds == 0 &&
      (had.steps != plan.steps || had.epochs != plan.epochs)) {
    return WrongFlag(
        "checkpoint_every",
        absl::StrCat(had.steps > 0 ? had.steps : had.epochs,
                     had.steps > 0 ? "steps" : "epochs",
                     ", to which the run goes back since it began"),
        absl::GetFlag(FLAGS_checkpoint_every));
  }
  if (run.back_to_newest != KeepCheckpoints() &&
      absl::GetFlag(FLAGS_keep_checkpoints).has_value()) {
    return WrongFlag(
        "keep_checkpoints",
        absl::StrCat(run.back_to_newest,
                     ", to which the run goes back since it began"),
        absl::StrCat(KeepCheckpoints()));
  }
  return absl::OkStatus();
}

// Whether this machine can train the model as the flags ask for.
absl::Status CheckModel(const RunSettings& run, const RunData& data) {
  Graph graph({.seed = run.seed});
  const absl::StatusOr<DeclaredRun> model = DeclareRun(run, data, graph);
  if (!model.ok()) return model.status();
  const Precision precision = run.settings.train.precision;
  if (precision == Precision::kFloat32) return absl::OkStatus();
  const absl::Status status =
      Compile(graph, {.fetch = {model->model.loss}, .precision = precision},
              Loc{})
          .status();
  if (status.ok()) return status;
  return WrongFlag(
      "precision", "float32",
      absl::StrCat(absl::GetFlag(FLAGS_precision), ": ", status.message()));
}

}  // namespace

int KeepCheckpoints() {
  return absl::GetFlag(FLAGS_keep_checkpoints).value_or(3);
}

absl::StatusOr<CheckpointEvery> CheckpointEveryFromFlag() {
  const std::string text = absl::GetFlag(FLAGS_checkpoint_every);
  CheckpointEvery every;
  if (text == "never") return every;
  const size_t unit_at = text.find_first_not_of("0123456789.");
  const absl::string_view number = absl::string_view(text).substr(0, unit_at);
  const std::string unit =
      unit_at == std::string::npos ? "" : text.substr(unit_at);
  bool good = false;
  if (unit == "step" || unit == "steps") {
    good = absl::SimpleAtoi(number, &every.steps) && every.steps > 0;
  } else if (unit == "epoch" || unit == "epochs") {
    good = absl::SimpleAtoi(number, &every.epochs) && every.epochs > 0;
  } else if (unit == "s") {
    good = absl::SimpleAtod(number, &every.seconds) && every.seconds > 0;
  }
  if (good) return every;
  return WrongFlag("checkpoint_every",
                   "such as 500steps, 2epochs or 60s, or never", text);
}

absl::StatusOr<CheckpointEvery> CheckpointEveryOf(const RunSettings& run) {
  absl::StatusOr<CheckpointEvery> every = CheckpointEveryFromFlag();
  if (every.ok() && run.goes_back) {
    every->steps = run.back_to.steps;
    every->epochs = run.back_to.epochs;
  }
  return every;
}

absl::Status ParseTrainFlags(int argc, char** argv) {
  return ParseFlags(argc, argv, kUsage, kFlags);
}

absl::StatusOr<TrainingRun> RunFromFlags(Communicator& ranks) {
  TrainingRun training;
  RunSettings& run = training.run;
  const std::string run_dir = absl::GetFlag(FLAGS_run_dir);
  const std::string name = absl::GetFlag(FLAGS_experiment);
  const std::string variant = absl::GetFlag(FLAGS_variant);
  if (absl::GetFlag(FLAGS_resume)) {
    if (run_dir.empty()) return WrongFlag("resume", "a --run_dir", "none");
    absl::StatusOr<std::optional<Checkpoint>> found =
        OnRankZero(ranks, [&] { return FindCheckpoint(run_dir, stderr); });
    if (!found.ok()) return found.status();
    training.from = *std::move(found);
    if (!training.from.has_value() && name.empty() &&
        absl::GetFlag(FLAGS_data).empty()) {
      return WrongFlag("resume",
                       absl::StrCat("a run with a checkpoint in ", run_dir,
                                    ", or --experiment or --data to begin one"),
                       "none");
    }
  }
  if (training.from.has_value()) {
    absl::StatusOr<RunSettings> kept =
        RunOfRecord(training.from->file.metadata, training.from->path);
    if (!kept.ok()) return kept.status();
    run = *std::move(kept);
    for (const auto& [flag, asked, had] :
         {std::tuple("experiment", &name, &run.experiment->name),
          std::tuple("variant", &variant, &run.experiment->variant)}) {
      if (!asked->empty() && *asked != *had) {
        return WrongFlag(flag, absl::StrCat(*had, ", as the run began"),
                         *asked);
      }
    }
  } else if (!absl::GetFlag(FLAGS_data).empty()) {
    if (!name.empty()) return WrongFlag("experiment", "--data alone", "both");
    if (!variant.empty()) return WrongFlag("variant", "--data alone", "both");
    run = {.experiment = &UserExperiment(),
           .user = UserRun(),
           .settings = UserExperiment().defaults};
  } else {
    const absl::StatusOr<const Experiment*> experiment =
        FindExperiment(name.empty() ? "fashion_mlp" : name, variant);
    if (!experiment.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          name.empty() || FindExperiment(name).ok() ? "--variant: "
                                                    : "--experiment: ",
          experiment.status().message()));
    }
    run = {.experiment = *experiment, .settings = (*experiment)->defaults};
  }
  run.settings.train.parallel.communicator = &ranks;
  absl::Status status = ReadFlags(run);
  if (status.ok()) {
    status =
        ReadParallel(training.from.has_value(), run.settings.train.parallel);
  }
  if (status.ok()) status = ReadUserFlags(run);
  if (status.ok()) status = ReadOnDivergence(run);
  if (status.ok()) status = CheckFileFlags();
  if (status.ok()) status = ReadPlanOfGoingBack(run);
  if (!status.ok()) return status;
  if (training.from.has_value()) {
    const int begun = BegunEpochs(training.from->state);
    if (run.settings.train.epochs < begun) {
      return WrongFlag(
          "epochs",
          absl::StrCat("at least the ", begun, " that the run has begun"),
          absl::StrCat(run.settings.train.epochs));
    }
  }
  return training;
}

std::string DataFolder(const RunSettings& run) {
  if (run.user.has_value()) return run.user->data.path;
  const std::string folder = absl::GetFlag(FLAGS_data_dir);
  return folder.empty() ? run.experiment->data_dir : folder;
}

absl::StatusOr<OwnedRunData> ReadData(const RunSettings& run) {
  OwnedRunData data;
  if (run.user.has_value()) {
    absl::StatusOr<UserData> user = ReadUserData(run.user->data);
    if (!user.ok()) return user.status();
    data.user = *std::move(user);
  } else {
    absl::StatusOr<DataSplits> all = ReadDatasetFolder(DataFolder(run));
    if (!all.ok()) return all.status();
    absl::StatusOr<DataSplits> splits =
        SelectData(*run.experiment, run.settings, run.seed, *std::move(all));
    if (!splits.ok()) {
      const auto share = absl::GetFlag(FLAGS_validation);
      if (!share.has_value() || !absl::IsInvalidArgument(splits.status())) {
        return splits.status();
      }
      return WrongFlag("validation", "a share that can be split off",
                       absl::StrCat(*share, ": ", splits.status().message()));
    }
    data.images = *std::move(splits);
  }
  // The experiment's own batch size may exceed what --validation leaves: a full
  // batch is then that.
  const BatchOptions& batches = run.settings.train.batches;
  const int64_t samples = data.view().training_samples();
  if (batches.batch_size > samples &&
      (absl::GetFlag(FLAGS_batch_size).has_value() ||
       data.view().batches_per_epoch(batches) == 0)) {
    return WrongFlag("batch_size",
                     absl::StrCat("at most the ", samples, " training samples"),
                     absl::StrCat(batches.batch_size));
  }
  return data;
}

absl::Status CheckRun(const TrainingRun& training, const RunData& data) {
  absl::Status status = CheckModel(training.run, data);
  if (!status.ok() || !training.from.has_value()) return status;
  return CheckAgainst(training.from->file.metadata,
                      RunRecord(training.run, data), training.from->path);
}

}  // namespace tape
