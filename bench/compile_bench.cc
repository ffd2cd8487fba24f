// compile_bench: what it takes until an experiment trains at full speed.
//
//   bazel run -c opt //bench:compile_bench -- --benchmark_filter=fashion_40
//
// Compile/<experiment> makes the plan of the training steps, for the
// experiment's batch size; FirstStep/<experiment> is that plan's first run, and
// LaterStep/<experiment> the median of its next ones. Each iteration is a
// process of its own, so that oneDNN, too, starts from nothing.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "framework/core/clock.h"
#include "framework/framework.h"
#include "models/experiment.h"
#include "models/run.h"

namespace tape {
namespace {

using Clock = std::chrono::steady_clock;

struct Times {
  double compile = 0, first = 0, later = 0;  // In seconds.
};

const DataSplits& DataOf(const std::string& folder) {
  static auto* const read = new std::map<std::string, DataSplits>();
  const auto found = read->find(folder);
  if (found != read->end()) return found->second;
  absl::StatusOr<DataSplits> splits = ReadMnistFolder(folder);
  if (!splits.ok()) std::exit(Fail(splits.status()));
  return read->emplace(folder, *std::move(splits)).first->second;
}

absl::StatusOr<Times> Measure(const Experiment& experiment) {
  const Settings& settings = experiment.defaults;
  const absl::StatusOr<DataSplits> data =
      SelectData(experiment, settings, 0, DataOf(experiment.data_dir));
  if (!data.ok()) return data.status();
  Graph graph;
  const absl::StatusOr<Classifier> model =
      DeclareModel(experiment, settings, *data, graph);
  if (!model.ok()) return model.status();
  Batches batches(data->train, settings.train.batches);
  const std::optional<Batch> batch = batches.Next();
  if (!batch.has_value()) return absl::InternalError("an epoch has no batch");

  Times times;
  Clock::time_point start = Clock::now();
  absl::StatusOr<Plan> plan =
      Compile(graph, {.fetch = {model->loss, model->predicted},
                      .updates = model->updates,
                      .batch_sizes = {batch->size}});
  if (!plan.ok()) return plan.status();
  times.compile = SecondsSince(start);
  constexpr int kSteps = 12;
  std::vector<double> steps;
  for (int step = 0; step < kSteps; ++step) {
    start = Clock::now();
    const absl::Status status = plan->Run(
        {{model->images, batch->images}, {model->labels, batch->labels}});
    if (!status.ok()) return status;
    steps.push_back(SecondsSince(start));
  }
  times.first = steps[0];
  std::nth_element(steps.begin() + 1, steps.begin() + kSteps / 2, steps.end());
  times.later = steps[kSteps / 2];
  return times;
}

// Measured by a process that has run nothing before.
Times MeasureApart(const Experiment& experiment) {
  DataOf(experiment.data_dir);  // Read once, by this process.
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) std::exit(1);
  const pid_t child = fork();
  if (child == 0) {
    const absl::StatusOr<Times> times = Measure(experiment);
    if (!times.ok()) _exit(Fail(times.status()));
    const bool written =
        write(pipe_ends[1], &*times, sizeof(Times)) == sizeof(Times);
    _exit(written ? 0 : 1);
  }
  close(pipe_ends[1]);
  Times times;
  const bool is_read =
      read(pipe_ends[0], &times, sizeof(times)) == sizeof(times);
  close(pipe_ends[0]);
  waitpid(child, nullptr, 0);
  if (!is_read) std::exit(1);
  return times;
}

void Register(const char* name, double Times::*time) {
  for (const Experiment& experiment : Experiments()) {
    benchmark::RegisterBenchmark(
        absl::StrCat(name, "/", experiment.name, "/", experiment.variant)
            .c_str(),
        [&experiment, time](benchmark::State& state) {
          for (auto _ : state) {
            state.SetIterationTime(MeasureApart(experiment).*time);
          }
        })
        ->UseManualTime()
        ->Iterations(5)
        ->Unit(benchmark::kMillisecond);
  }
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  tape::Register("Compile", &tape::Times::compile);
  tape::Register("FirstStep", &tape::Times::first);
  tape::Register("LaterStep", &tape::Times::later);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
