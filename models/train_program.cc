// The programs train and train_mpi (train_program.h). Flags are checked before
// anything is read, the data before anything is written. Tested by
// tests/models/train_program_test.cc and tests/models/train_mpi_test.cc.
#include "models/train_program.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "framework/core/check.h"
#include "framework/core/exceptions.h"
#include "framework/core/text.h"
#include "framework/core/version.h"
#include "framework/log/progress.h"
#include "framework/metrics/classification.h"
#include "framework/runtime/profile.h"
#include "framework/train/ranks.h"
#include "framework/train/trainer.h"
#include "models/experiment.h"
#include "models/interrupt.h"
#include "models/program.h"
#include "models/report_run.h"
#include "models/run.h"
#include "models/train_flags.h"
#include "models/training_run.h"

namespace tape {
namespace {

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

// Whether the model takes all test images for one class.
bool IsOfOneClass(const ConfusionMatrix& confusion) {
  int classes = 0;
  for (int predicted = 0; predicted < confusion.classes(); ++predicted) {
    int64_t samples = 0;
    for (int label = 0; label < confusion.classes(); ++label) {
      samples += confusion.count(label, predicted);
    }
    classes += samples > 0;
  }
  return classes <= 1;
}

// The error of a run with a model of no use: one whose weights are all 0, or one
// that went on to its end although its loss was not finite, unless it tells
// classes apart all the same: some documents' losses are infinite where a
// probability is 0.
absl::Status CheckModel(const TrainedRun& trained) {
  const EpochResult& kept = trained.result.kept;
  // A run on a user's data may be without a test set.
  const bool has_test = trained.model.graph != nullptr;
  bool diverged = ((has_test && !std::isfinite(kept.test.loss)) ||
                   !std::isfinite(kept.train.loss)) &&
                  IsOfOneClass(trained.result.confusion);
  for (Var parameter : trained.graph->parameters()) {
    for (const float value : trained.graph->Value(parameter).values<float>()) {
      diverged |= !std::isfinite(value);
    }
  }
  if (!diverged && ZeroShare(*trained.graph) == 1) {
    return absl::FailedPreconditionError(absl::StrCat(
        "all weights are 0: the model is of no use",
        trained.settings.proximal_l1 > 0 ? "; a smaller --proximal_l1 may help"
                                         : ""));
  }
  if (!diverged) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the loss is no longer finite: the run has diverged, and its model is of "
      "no use; a smaller --learning_rate may help");
}

void PrintHead(const TrainingRun& training, const RunData& data) {
  const RunSettings& run = training.run;
  const Experiment& experiment = *run.experiment;
  absl::PrintF("%s (%s): %s\nseed %d, %s of %d samples in batches of %d\n",
               experiment.name, experiment.variant,
               data.user == nullptr ? experiment.description
                                    : DescriptionOf(run.user->mlp, *data.user),
               run.seed, Count(run.settings.train.epochs, "epoch"),
               data.training_samples(), run.settings.train.batches.batch_size);
  if (training.from.has_value()) {
    const TrainingState& state = training.from->state;
    absl::PrintF("going on after step %d, in epoch %d\n", state.step,
                 state.epoch);
  } else if (absl::GetFlag(FLAGS_resume)) {
    absl::PrintF("there is no run yet to go on with: from the start\n");
  }
}

// The model's own figures: "test rmse 2.9, r2 0.86, loss 0.14".
std::string MetricsText(const EpochMetrics& test) {
  std::vector<std::string> parts;
  for (const Measurement& metric : test.reports) {
    parts.push_back(absl::StrFormat("%s %.4g", metric.name, metric.value));
  }
  parts.push_back(absl::StrCat("loss ", LossText(test.loss)));
  return absl::StrCat("test ", absl::StrJoin(parts, ", "));
}

void PrintResult(const Experiment& experiment, const TrainedRun& trained,
                 const RunData& data) {
  const TrainResult& result = trained.result;
  const EpochResult& kept = result.kept;
  if (result.epochs < trained.settings.train.epochs) {
    absl::PrintF("stopped early, after epoch %d\n", result.epochs);
  }
  if (kept.test.epoch < result.epochs) {
    absl::PrintF("kept the model of epoch %d, the best\n", kept.test.epoch);
  }
  const bool is_users = trained.model.graph == nullptr;
  const bool is_classifier =
      !is_users || trained.declared.model.classification.has_value();
  const std::vector<std::string> names =
      is_users ? trained.declared.card.classes : ClassNames(experiment);
  const bool has_test =
      data.user == nullptr || data.user->splits.test.size() > 0;
  if (absl::GetFlag(FLAGS_report) && is_classifier && has_test) {
    absl::PrintF("\n%s\n%s\n", result.confusion.ToString(),
                 MakeClassificationReport(result.confusion)
                     .ToString({.class_names = names}));
  }
  std::string figures;
  if (!has_test) {
    figures =
        absl::StrCat("no test set, training loss ", LossText(kept.train.loss));
  } else if (is_classifier) {
    figures = absl::StrFormat("test accuracy %.4f, test loss %s",
                              kept.test.accuracy, LossText(kept.test.loss));
  } else {
    figures = MetricsText(kept.test);
  }
  absl::PrintF(
      "%s, after %.1f s (%.0f training samples a "
      "second, %s, plans made in %.0f ms)\n",
      figures, result.seconds, result.samples_per_second,
      Count(result.threads, "thread"), result.compile_seconds * 1e3);
  if (trained.settings.proximal_l1 > 0) {
    absl::PrintF("exact zeros among the weights: %.4f\n",
                 ZeroShare(*trained.graph));
  }
}

// How a run that was interrupted may go on.
std::string NextStep(const TrainingRun& training) {
  const bool keeps =
      training.files != nullptr && KeepsCheckpoints(*training.files);
  if (keeps) return "--resume goes on from there";
  if (!training.from.has_value()) {
    return "without checkpoints in a --run_dir it cannot go on";
  }
  return absl::StrCat("without newer checkpoints --resume goes on after step ",
                      training.from->state.step);
}

// Prints the costliest steps, and writes the trace of all ranks, if --profile asks
// for one. Every rank calls it.
absl::Status WriteTraceAsAsked(const Profile& profile, Communicator& ranks) {
  const std::string trace = absl::GetFlag(FLAGS_profile);
  if (trace.empty()) return absl::OkStatus();
  absl::PrintF("\n%s", profile.Table());
  if (ranks.size() == 1) return profile.WriteTrace(trace);
  // The ranks' clocks may differ: the moment at which all have met is one.
  ranks.AllGather("");
  const Profile::Clock::time_point met = Profile::Clock::now();
  const auto count = std::chrono::nanoseconds(met - profile.start()).count();
  int64_t since_start = 0;
  if (!absl::SimpleAtoi(ranks.Broadcast(absl::StrCat(count)), &since_start)) {
    since_start = 0;
  }
  const std::vector<std::string> events = ranks.AllGather(
      profile.Events(Profile::kFirstProcess + ranks.rank(),
                     met - std::chrono::nanoseconds(since_start),
                     absl::StrCat("rank ", ranks.rank())));
  if (ranks.rank() != 0) return absl::OkStatus();
  return Profile::WriteTrace(trace, absl::StrJoin(events, ",\n"));
}

// What is left to do when a run has come to its end: to tell of it, and to
// write what its folder is to have.
absl::Status Finish(const TrainingRun& training, const TrainedRun& trained,
                    const RunData& data, const Profile& profile) {
  PrintResult(*training.run.experiment, trained, data);
  absl::Status status =
      WriteTraceAsAsked(profile, training.run.settings.train.parallel.ranks());
  if (training.files == nullptr) return status;
  const RunSettings& run = training.run;
  const RunDirectory& directory = training.files->directory;
  status.Update(directory.WriteSummary(
      Summarize(*run.experiment, run.seed, trained.result)));
  if (!status.ok() || !absl::GetFlag(FLAGS_html_report)) return status;
  return ReportRun(
      {*run.experiment, trained.settings, run.seed, DataFolder(run), data,
       trained.model, trained.result, profile, &trained.declared, &run},
      directory.path());
}

// Ends the run of all ranks after an error in training on this one. An error that
// all have, such as one of the model, rank 0 prints alone: it is given the time.
[[noreturn]] void EndOthers(const absl::Status& status, Communicator& ranks) {
  constexpr auto kForRankZero = std::chrono::milliseconds(500);
  if (ranks.rank() != 0) std::this_thread::sleep_for(kForRankZero);
  ranks.Abort(status);
  std::exit(Fail(status));
}

// The record of a run as what must be the same on all ranks.
absl::Status CheckRecords(const TrainingRun& training, const RunData& data,
                          Communicator& ranks) {
  Identity identity = {{"the program", absl::StrCat("Tape ", kVersion)}};
  for (const auto& [key, value] : RunRecord(training.run, data)) {
    identity.emplace_back(key, value);
  }
  return CheckRanksAgree(ranks, identity);
}

// The files of the run, which rank 0 has, and when it saves.
absl::StatusOr<std::optional<RunFiles>> FilesOf(TrainingRun& training,
                                                Communicator& ranks) {
  if (absl::GetFlag(FLAGS_run_dir).empty()) return std::nullopt;
  const absl::StatusOr<CheckpointEvery> every = CheckpointEveryOf(training.run);
  if (!every.ok()) return every.status();
  training.checkpoint_every = *every;
  if (ranks.rank() != 0) return std::nullopt;
  return OpenFiles(training);
}

absl::Status TrainAsAsked(Communicator& ranks, int& signal) {
  absl::StatusOr<TrainingRun> training = RunFromFlags(ranks);
  absl::Status status = ErrorOfAny(ranks, training.status());
  if (!status.ok()) return status;
  const RunSettings& run = training->run;
  const absl::StatusOr<OwnedRunData> owned = ReadData(run);
  status = ErrorOfAny(ranks, owned.status());
  if (!status.ok()) return status;
  const RunData data = owned->view();
  status = ErrorOfAny(ranks, CheckRun(*training, data));
  if (!status.ok()) return status;
  status = CheckRecords(*training, data, ranks);
  if (!status.ok()) ranks.Abort(status);
  if (!status.ok()) return status;
  absl::StatusOr<std::optional<RunFiles>> files = FilesOf(*training, ranks);
  status = ErrorOfAny(ranks, files.status());
  if (!status.ok()) return status;
  if (files->has_value()) training->files = &**files;

  TrainOptions& options = training->run.settings.train;
  const std::string trace = absl::GetFlag(FLAGS_profile);
  // The report has the table alone.
  Profile profile = trace.empty() ? Profile(/*max_events=*/0) : Profile();
  if (!trace.empty() || training->files != nullptr) options.profile = &profile;
  if (!trace.empty() && ranks.rank() == 0) {
    // A wrong path is to be known before the run.
    status = Profile::CheckTrace(trace);
    if (!status.ok()) {
      status = WrongFlag("profile", "a file to write", status.message());
    }
  }
  status = ErrorOfAny(ranks, status);
  if (!status.ok()) return status;

  PrintHead(*training, data);
  if (data.user != nullptr) {
    for (const std::string& note : data.user->notes) {
      absl::PrintF("%s\n", Printable(note));
    }
  }
  absl::StatusOr<TrainedRun> trained;
  {
    const InterruptScope interrupt;
    options.interrupted = [&] { return interrupt.signal() != 0; };
    // mpirun gives its programs a pseudo-terminal, wherever the output goes.
    const auto terminal =
        ranks.size() > 1 ? std::optional<bool>(false) : std::nullopt;
    Progress progress(ranks.rank() == 0 ? stdout : nullptr, options.epochs,
                      data.training_samples(), {.terminal = terminal});
    trained = RunTraining(*training, data, progress, stderr);
    if (!trained.ok() && ranks.size() > 1) EndOthers(trained.status(), ranks);
    if (trained.ok() && trained->result.end == End::kInterrupted) {
      signal = interrupt.signal();
    }
  }
  const bool finished = trained.ok() && trained->result.end == End::kFinished;
  // The steps until something went wrong. An earlier trace stays if there are
  // none.
  if (!finished && !profile.empty()) {
    status = WriteTraceAsAsked(profile, ranks);
  }
  if (!trained.ok()) return trained.status();
  const TrainResult& result = trained->result;
  switch (result.end) {
    case End::kFinished:
      status = Finish(*training, *trained, data, profile);
      status.Update(CheckModel(*trained));
      return status;
    case End::kInterrupted:
      absl::PrintF("interrupted after step %d; %s\n", result.step,
                   NextStep(*training));
      return status;
    case End::kDiverged:
      return absl::FailedPreconditionError(
          absl::StrCat(result.divergence,
                       ": the run has diverged; a smaller --learning_rate may "
                       "help, or --on_divergence"));
  }
  TAPE_CHECK(false);
}

absl::Status Main(Communicator& ranks, int& signal) {
  if (absl::GetFlag(FLAGS_list)) {
    for (const Experiment& experiment : Experiments()) {
      absl::PrintF("%-26s %-11s %s\n", experiment.name, experiment.variant,
                   experiment.description);
    }
    return absl::OkStatus();
  }
  return TrainAsAsked(ranks, signal);
}

}  // namespace

int RunTrainProgram(Communicator& ranks) {
  int signal = 0;  // That ended the run.
  const int code = ExitCode([&] {
    const absl::Status status = Main(ranks, signal);
    // Rank 0 prints the error.
    if (ranks.rank() != 0 && !status.ok()) std::exit(1);
    return status;
  });
  // As shells say it of a program that a signal ended.
  return code == 0 && signal != 0 ? 128 + signal : code;
}

}  // namespace tape
