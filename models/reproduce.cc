// reproduce: runs the documents' experiments and puts our figures beside
// theirs; see --help. Tested by tests/models/reproduce_program_test.cc.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "framework/compiler/compile.h"
#include "framework/data/dataset.h"
#include "framework/io/files.h"
#include "framework/log/progress.h"
#include "framework/train/trainer.h"
#include "models/experiment.h"
#include "models/program.h"
#include "models/reproduction.h"
#include "models/run.h"

ABSL_FLAG(bool, all, false,
          "run every experiment and variant; runs that --results has are kept, "
          "and the table in --readme is written anew");
ABSL_FLAG(std::string, experiment, "",
          "run this one; //models:train --list names them");
ABSL_FLAG(std::string, variant, "",
          "which variant of it; by default all it has");
ABSL_FLAG(std::string, seeds, "0,1,2,3,4",
          "seeds to run it with; by default 0,1,2,3,4");
ABSL_FLAG(bool, json, false,
          "with --experiment: print the runs as JSON lines, not as a table");
ABSL_FLAG(std::string, results, "",
          "with --all: the file of JSON lines that keeps the runs; by default "
          "models/reproduced.jsonl of the repository");
ABSL_FLAG(std::string, readme, "",
          "with --all: the file with the table; by default models/README.md of "
          "the repository");
ABSL_FLAG(std::optional<int>, threads, std::nullopt,
          "how many threads to use; by default all processors. The figures are "
          "the same for any number");

namespace tape {
namespace {

constexpr char kUsage[] =
    "Runs the documents' experiments and puts our figures beside theirs.\n\n"
    "  reproduce --experiment=NAME [--variant=NAME] [--seeds=0,1] [--json]\n"
    "  reproduce --all     goes on where an interrupted one stopped; to start\n"
    "                      anew, remove models/reproduced.jsonl";

constexpr ShownFlag kFlags[] = {{"all", ""},         {"experiment", "NAME"},
                                {"variant", "NAME"}, {"seeds", "LIST"},
                                {"json", ""},        {"results", "FILE"},
                                {"readme", "FILE"},  {"threads", "N"}};

absl::StatusOr<std::vector<uint64_t>> SeedsFromFlag() {
  std::vector<uint64_t> seeds;
  const std::string text = absl::GetFlag(FLAGS_seeds);
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    uint64_t seed;
    if (!absl::SimpleAtoi(part, &seed)) {
      return WrongFlag("seeds", "numbers with commas between", text);
    }
    if (std::find(seeds.begin(), seeds.end(), seed) != seeds.end()) {
      return WrongFlag("seeds", "each seed once", text);
    }
    seeds.push_back(seed);
  }
  return seeds;
}

// The experiments that the flags ask for.
absl::StatusOr<std::vector<Experiment>> ExperimentsFromFlags() {
  const std::string name = absl::GetFlag(FLAGS_experiment);
  const std::string variant = absl::GetFlag(FLAGS_variant);
  const bool all = absl::GetFlag(FLAGS_all);
  if (all == !name.empty()) {
    return absl::InvalidArgumentError(
        "expected one of --all and --experiment=NAME; --help tells more");
  }
  if (all && (!variant.empty() || absl::GetFlag(FLAGS_json))) {
    return absl::InvalidArgumentError(
        "--variant and --json go with --experiment, not with --all");
  }
  if (!all && (!absl::GetFlag(FLAGS_results).empty() ||
               !absl::GetFlag(FLAGS_readme).empty())) {
    return absl::InvalidArgumentError(
        "--results and --readme go with --all, not with --experiment");
  }
  std::vector<Experiment> experiments;
  for (const Experiment& experiment : Experiments()) {
    if (all ? experiment.variant != "own"
            : experiment.name == name &&
                  (variant.empty() || experiment.variant == variant)) {
      experiments.push_back(experiment);
    }
  }
  if (experiments.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        FindExperiment(name).ok() ? "--variant: " : "--experiment: ",
        FindExperiment(name, variant).status().message()));
  }
  return experiments;
}

// A file of the repository: bazel run tells where that is.
std::string InRepository(absl::string_view path) {
  const char* const root = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  return (std::filesystem::path(root == nullptr ? "" : root) /
          std::string(path))
      .string();
}

// Runs experiments. Reads each data set once.
class Runner {
 public:
  explicit Runner(int threads) : threads_(threads) {}

  absl::StatusOr<RunSummary> Run(const Experiment& experiment, uint64_t seed) {
    const absl::StatusOr<DataSplits>& all = Read(experiment.data_dir);
    if (!all.ok()) return all.status();
    Settings settings = experiment.defaults;
    settings.train.batches.seed = seed;
    settings.train.threads = threads_;
    const absl::StatusOr<DataSplits> data =
        SelectData(experiment, settings, seed, *all);
    if (!data.ok()) return data.status();
    Graph graph({.seed = seed});
    const absl::StatusOr<Classifier> model =
        DeclareModel(experiment, settings, *data, graph);
    if (!model.ok()) return model.status();
    // A line for the run will do.
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> nowhere(
        std::fopen("/dev/null", "w"), std::fclose);
    Progress progress(nowhere.get(), settings.train.epochs, data->train.size());
    const absl::StatusOr<TrainResult> result = Train(
        *model, *data, settings.train, progress,
        [](const EpochResult&) { return absl::OkStatus(); }, Loc{});
    if (!result.ok()) return result.status();
    if (result->end == End::kDiverged) {
      return absl::FailedPreconditionError(
          absl::StrCat(experiment.name, ": ", result->divergence));
    }
    return Summarize(experiment, seed, *result);
  }

 private:
  const absl::StatusOr<DataSplits>& Read(const std::string& folder) {
    const auto found = data_.find(folder);
    if (found != data_.end()) return found->second;
    return data_.emplace(folder, ReadMnistFolder(folder)).first->second;
  }

  const int threads_;
  std::map<std::string, absl::StatusOr<DataSplits>> data_;
};

// Runs what is not kept yet, keeps it, and writes the table anew after each
// run.
absl::Status ReproduceAll(absl::Span<const Experiment> experiments,
                          absl::Span<const uint64_t> seeds, int threads) {
  std::string results = absl::GetFlag(FLAGS_results);
  if (results.empty()) results = InRepository("models/reproduced.jsonl");
  std::string readme = absl::GetFlag(FLAGS_readme);
  if (readme.empty()) readme = InRepository("models/README.md");
  absl::StatusOr<Reproduction> kept = Reproduction::Read(results);
  if (!kept.ok()) return kept.status();

  const auto write_table = [&] {
    const absl::StatusOr<FileBytes> text =
        ReadWholeFile(readme, "a file with a table");
    if (!text.ok()) return text.status();
    const absl::StatusOr<std::string> replaced =
        ReplaceTable(text->view(), FiguresTable(experiments, kept->runs()));
    if (!replaced.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(readme, ": ", replaced.status().message()));
    }
    return *replaced == text->view() ? absl::OkStatus()
                                     : ReplaceFile(readme, *replaced);
  };
  // At once: the runs take an hour, and must not end in a wrong path.
  if (absl::Status status = write_table(); !status.ok()) return status;

  Runner runner(threads);
  const size_t all = experiments.size() * seeds.size();
  size_t number = 0;
  // Seed by seed, so that an interrupted one has something of everything.
  for (uint64_t seed : seeds) {
    for (const Experiment& experiment : experiments) {
      ++number;
      if (kept->Find(experiment, seed) != nullptr) continue;
      const absl::StatusOr<RunSummary> run = runner.Run(experiment, seed);
      if (!run.ok()) return run.status();
      absl::PrintF("[%d/%d] %s (%s), seed %d: test accuracy %.4f, %.1f s\n",
                   number, all, experiment.name, experiment.variant, seed,
                   run->test_accuracy, run->seconds);
      std::fflush(stdout);
      if (absl::Status status = kept->Add(*run); !status.ok()) return status;
      if (absl::Status status = write_table(); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::Status ReproduceSome(absl::Span<const Experiment> experiments,
                           absl::Span<const uint64_t> seeds, int threads) {
  Runner runner(threads);
  std::vector<RunSummary> runs;
  for (const Experiment& experiment : experiments) {
    for (uint64_t seed : seeds) {
      absl::StatusOr<RunSummary> run = runner.Run(experiment, seed);
      if (!run.ok()) return run.status();
      if (absl::GetFlag(FLAGS_json)) {
        absl::PrintF("%s\n", ToJson(*run, JsonForm::kLine));
        std::fflush(stdout);
      }
      runs.push_back(*std::move(run));
    }
  }
  if (!absl::GetFlag(FLAGS_json)) {
    absl::PrintF("%s", FiguresTable(experiments, runs));
  }
  return absl::OkStatus();
}

absl::Status Main(int argc, char** argv) {
  if (absl::Status status = ParseFlags(argc, argv, kUsage, kFlags);
      !status.ok()) {
    return status;
  }
  const absl::StatusOr<std::vector<Experiment>> experiments =
      ExperimentsFromFlags();
  if (!experiments.ok()) return experiments.status();
  const absl::StatusOr<std::vector<uint64_t>> seeds = SeedsFromFlag();
  if (!seeds.ok()) return seeds.status();
  const absl::StatusOr<int> threads =
      ThreadsFromFlag(absl::GetFlag(FLAGS_threads));
  if (!threads.ok()) return threads.status();
  return absl::GetFlag(FLAGS_all)
             ? ReproduceAll(*experiments, *seeds, *threads)
             : ReproduceSome(*experiments, *seeds, *threads);
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  return tape::ExitCode([&] { return tape::Main(argc, argv); });
}
