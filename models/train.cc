// train: the main program. Trains one experiment and says how it went; see
// --help. Flags are checked before anything is read, the data before anything
// is written. Tested by tests/train_program_test.cc.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "framework/compiler/compile.h"
#include "framework/data/batches.h"
#include "framework/data/dataset.h"
#include "framework/train/epoch_log.h"
#include "framework/train/event_file.h"
#include "framework/train/json_lines.h"
#include "framework/train/progress.h"
#include "framework/train/run_directory.h"
#include "framework/train/trainer.h"
#include "models/experiment.h"
#include "models/program.h"
#include "models/run.h"

ABSL_FLAG(
    std::string, experiment, "fashion_mlp",
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
ABSL_FLAG(double, l1, 0, "strength of L1 on the weights; by default 0");
ABSL_FLAG(double, l2, 0, "strength of L2 on the weights; by default 0");
ABSL_FLAG(double, proximal_l1, 0,
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
          "file to write a trace of the training steps to, for Perfetto; the "
          "costliest steps are printed; by default none");
ABSL_FLAG(uint64_t, seed, 0,
          "what initial weights and the order of samples are drawn from; by "
          "default 0");
ABSL_FLAG(std::optional<int>, threads, std::nullopt,
          "how many threads to use; by default all processors. The results are "
          "the same, bit by bit, for any number");
ABSL_FLAG(std::string, precision, "float32",
          "what matrix products read: float32, or bf16, which they add up in "
          "float32, on processors that have it; by default float32");
ABSL_FLAG(std::string, run_dir, "",
          "folder to write metrics.csv and summary.json to; made if missing, "
          "refused if it holds a run already. By default nothing is written");
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
    "  train --experiment=NAME --run_dir=DIR  another; keep the figures";

constexpr ShownFlag kFlags[] = {
    {"experiment", "NAME"}, {"variant", "NAME"}, {"list", ""},
    {"data_dir", "DIR"},    {"epochs", "N"},     {"batch_size", "N"},
    {"learning_rate", "X"}, {"l1", "X"},         {"l2", "X"},
    {"proximal_l1", "X"},   {"validation", "X"}, {"stratified", ""},
    {"report", ""},         {"seed", "N"},       {"threads", "N"},
    {"precision", "NAME"},  {"run_dir", "DIR"},  {"profile", "FILE"},
    {"jsonl", ""},          {"tensorboard", ""}};

// The experiment's settings with the flags' changes.
absl::StatusOr<Settings> SettingsFromFlags(const Experiment& experiment) {
  Settings settings = experiment.defaults;
  settings.train.batches.seed = absl::GetFlag(FLAGS_seed);

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
    settings.learning_rate = *rate;
  }
  settings.l1 = absl::GetFlag(FLAGS_l1);
  settings.l2 = absl::GetFlag(FLAGS_l2);
  settings.proximal_l1 = absl::GetFlag(FLAGS_proximal_l1);
  for (const auto& [flag, strength] :
       {std::pair("l1", settings.l1), std::pair("l2", settings.l2),
        std::pair("proximal_l1", settings.proximal_l1)}) {
    if (!(strength >= 0) || !std::isfinite(strength)) {
      return WrongFlag(flag, "a finite number of at least 0",
                       absl::StrCat(strength));
    }
  }
  if (const auto share = absl::GetFlag(FLAGS_validation)) {
    if (!(*share >= 0 && *share < 1)) {
      return WrongFlag("validation", "at least 0 and below 1",
                       absl::StrCat(*share));
    }
    if (*share == 0 && settings.train.early_stopping.has_value() &&
        settings.train.early_stopping->split == Split::kValidation) {
      return WrongFlag("validation",
                       absl::StrCat("a share for ", experiment.name,
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
  } else if (precision != "float32") {
    return WrongFlag("precision", "float32 or bf16", precision);
  }
  return settings;
}

// "1 epoch", "2 epochs".
std::string Count(int count, absl::string_view what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

// The share of exact zeros among the elements of all weights.
double ZeroShare(Graph& graph) {
  int64_t zeros = 0, elements = 0;
  for (Var parameter : graph.parameters()) {
    if (!IsWeight(graph, parameter)) continue;
    const auto values = graph.Value(parameter).values<float>();
    zeros += std::count(values.begin(), values.end(), 0.0f);
    elements += graph.Value(parameter).elements();
  }
  return static_cast<double>(zeros) / static_cast<double>(elements);
}

// The logs that flags ask for beside metrics.csv.
absl::StatusOr<std::vector<EpochLog>> LogsFromFlags() {
  const std::string folder = absl::GetFlag(FLAGS_run_dir);
  std::vector<EpochLog> logs;
  if (absl::GetFlag(FLAGS_jsonl)) {
    if (folder.empty()) return WrongFlag("jsonl", "a --run_dir", "none");
    logs.push_back(JsonLinesLog(folder));
  }
  if (absl::GetFlag(FLAGS_tensorboard)) {
    if (folder.empty()) return WrongFlag("tensorboard", "a --run_dir", "none");
    logs.push_back(NewEventFileLog(folder));
  }
  return logs;
}

absl::Status TrainExperiment(const Experiment& experiment) {
  const absl::StatusOr<Settings> settings = SettingsFromFlags(experiment);
  if (!settings.ok()) return settings.status();
  absl::StatusOr<std::vector<EpochLog>> logs = LogsFromFlags();
  if (!logs.ok()) return logs.status();

  std::string data_dir = absl::GetFlag(FLAGS_data_dir);
  if (data_dir.empty()) data_dir = experiment.data_dir;
  absl::StatusOr<DataSplits> all = ReadDatasetFolder(data_dir);
  if (!all.ok()) return all.status();
  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  const absl::StatusOr<DataSplits> data =
      SelectData(experiment, *settings, seed, *std::move(all));
  if (!data.ok()) return data.status();
  const int64_t samples = data->train.size();
  const BatchOptions& batches = settings->train.batches;
  // The experiment's own may exceed what --validation leaves: a full batch is
  // then that.
  if (batches.batch_size > samples &&
      (absl::GetFlag(FLAGS_batch_size).has_value() ||
       Batches(data->train, batches).batches_per_epoch() == 0)) {
    return WrongFlag("batch_size",
                     absl::StrCat("at most the ", samples, " training samples"),
                     absl::StrCat(batches.batch_size));
  }

  Graph graph({.seed = seed});
  const absl::StatusOr<Classifier> model =
      DeclareModel(experiment, *settings, *data, graph);
  if (!model.ok()) return model.status();

  if (settings->train.precision != Precision::kFloat32) {
    const absl::Status status =
        Compile(graph, {.fetch = {model->loss},
                        .precision = settings->train.precision})
            .status();
    if (!status.ok()) {
      return WrongFlag(
          "precision", "float32",
          absl::StrCat(absl::GetFlag(FLAGS_precision), ": ", status.message()));
    }
  }

  Profile profile;
  const std::string trace = absl::GetFlag(FLAGS_profile);
  TrainOptions options = settings->train;
  if (!trace.empty()) {
    options.profile = &profile;
    // An empty one: a wrong path is to be known before the run.
    if (absl::Status status = profile.WriteTrace(trace); !status.ok()) {
      return WrongFlag("profile", "a file to write", status.message());
    }
  }

  std::optional<RunDirectory> run_directory;
  if (const std::string path = absl::GetFlag(FLAGS_run_dir); !path.empty()) {
    absl::StatusOr<RunDirectory> created = RunDirectory::Create(path);
    if (!created.ok()) return created.status();
    run_directory = *std::move(created);
  }

  absl::PrintF("%s (%s): %s\nseed %d, %s of %d samples in batches of %d\n",
               experiment.name, experiment.variant, experiment.description,
               seed, Count(settings->train.epochs, "epoch"), samples,
               batches.batch_size);
  Progress progress(stdout, settings->train.epochs, samples);
  const absl::StatusOr<TrainResult> result =
      Train(*model, *data, options, progress, [&](const EpochResult& epoch) {
        if (!run_directory.has_value()) return absl::OkStatus();
        absl::Status status = run_directory->AppendMetrics(epoch.train);
        if (status.ok() && epoch.validation.has_value()) {
          status = run_directory->AppendMetrics(*epoch.validation);
        }
        if (status.ok()) status = run_directory->AppendMetrics(epoch.test);
        for (EpochLog& log : *logs) status.Update(log.Append(epoch));
        return status;
      });
  if (!result.ok()) return result.status();

  const EpochResult& kept = result->kept;
  const double loss = kept.test.loss;
  if (result->epochs < settings->train.epochs) {
    absl::PrintF("stopped early, after epoch %d\n", result->epochs);
  }
  if (kept.test.epoch < result->epochs) {
    absl::PrintF("kept the model of epoch %d, the best\n", kept.test.epoch);
  }
  if (absl::GetFlag(FLAGS_report)) {
    absl::PrintF("\n%s\n%s\n", result->confusion.ToString(),
                 MakeClassificationReport(result->confusion).ToString());
  }
  absl::PrintF(
      "test accuracy %.4f, test loss %s, after %.1f s (%.0f training samples a "
      "second, %s, plans made in %.0f ms)\n",
      kept.test.accuracy,
      std::isnan(loss) ? "nan" : absl::StrFormat("%.4f", loss), result->seconds,
      result->samples_per_second, Count(result->threads, "thread"),
      result->compile_seconds * 1e3);
  if (!std::isfinite(loss) || !std::isfinite(kept.train.loss)) {
    absl::FPrintF(
        stderr,
        "the loss is no longer finite: the run has diverged; a smaller "
        "--learning_rate may help\n");
  }
  if (settings->proximal_l1 > 0) {
    absl::PrintF("exact zeros among the weights: %.4f\n", ZeroShare(graph));
  }
  if (!trace.empty()) {
    absl::PrintF("\n%s", profile.Table());
    if (absl::Status status = profile.WriteTrace(trace); !status.ok()) {
      return status;
    }
  }
  if (!run_directory.has_value()) return absl::OkStatus();
  return run_directory->WriteSummary(Summarize(experiment, seed, *result));
}

absl::Status Main(int argc, char** argv) {
  if (absl::Status status = ParseFlags(argc, argv, kUsage, kFlags);
      !status.ok()) {
    return status;
  }
  if (absl::GetFlag(FLAGS_list)) {
    for (const Experiment& experiment : Experiments()) {
      absl::PrintF("%-26s %-11s %s\n", experiment.name, experiment.variant,
                   experiment.description);
    }
    return absl::OkStatus();
  }
  const std::string name = absl::GetFlag(FLAGS_experiment);
  const absl::StatusOr<const Experiment*> experiment =
      FindExperiment(name, absl::GetFlag(FLAGS_variant));
  if (!experiment.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        FindExperiment(name).ok() ? "--variant: " : "--experiment: ",
        experiment.status().message()));
  }
  return TrainExperiment(**experiment);
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  return tape::ExitCode(tape::Main(argc, argv));
}
