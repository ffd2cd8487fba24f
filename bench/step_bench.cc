// step_bench: whole training steps beside their matrix products alone.
//
//   bazel run -c opt //bench:step_bench -- --benchmark_filter=b64
//
// TrainStep/<config>/threads:<n> takes the next batch of Fashion-MNIST and runs
// a plan: forward, loss, backward, regulariser, update.
// GemmFloor/<config>/threads:<n> is oneDNN (gemm_floor.h).
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/configs.h"
#include "bench/gemm_floor.h"
#include "benchmark/benchmark.h"
#include "framework/framework.h"
#include "models/experiment.h"
#include "models/mlp.h"
#include "ops/ops.h"

namespace tape {
namespace {

const Dataset& Images() {
  static const auto* const data = [] {
    absl::StatusOr<DataSplits> splits = ReadMnistFolder(kFashionMnist);
    if (!splits.ok()) std::exit(Fail(splits.status()));
    return new Dataset(std::move(splits->train));
  }();
  return *data;
}

TransformPtr MakeOptimizer(const StepConfig& config) {
  TransformPtr optimizer;
  switch (config.optimizer) {
    case StepConfig::Optimizer::kSgd:
      optimizer = Sgd({.learning_rate = config.learning_rate});
      break;
    case StepConfig::Optimizer::kMomentum:
      optimizer = Momentum({.learning_rate = config.learning_rate});
      break;
    case StepConfig::Optimizer::kAdam:
      optimizer = Adam({.learning_rate = config.learning_rate});
      break;
  }
  if (config.l2 == 0) return optimizer;
  return std::make_unique<Chain>(L2(config.l2), std::move(optimizer));
}

void TrainStep(benchmark::State& state, const StepConfig& config, int threads) {
  Graph graph;
  const auto [images, labels] = SampleInputs(graph, config.sizes[0]);
  const bool relu = config.activation == StepConfig::Activation::kRelu;
  const Var logits = Mlp(
      ScaledPixels(images),
      {.units = {config.sizes.begin() + 1, config.sizes.end()},
       .activation = [relu](Var x) { return relu ? Relu(x) : Sigmoid(x); }});
  const Var loss = Mean(SoftmaxCrossEntropy(logits, labels));
  const std::vector<Var> parameters = graph.parameters();
  const Updates updates = Chain(MakeOptimizer(config))
                              .Apply(parameters, Gradients(loss, parameters));
  absl::StatusOr<Plan> plan =
      Compile(graph, {.fetch = {loss}, .updates = updates, .threads = threads});
  if (!plan.ok()) std::exit(Fail(plan.status()));

  Batches batches(Images(), {.batch_size = config.batch,
                             .order = config.order,
                             .last = LastBatch::kDrop});
  int epoch = 0;
  for (auto _ : state) {
    std::optional<Batch> batch = batches.Next();
    if (!batch.has_value()) {
      batches.StartEpoch(++epoch);
      batch = batches.Next();
    }
    const absl::Status status =
        plan->Run({{images, batch->images}, {labels, batch->labels}});
    if (!status.ok()) std::exit(Fail(status));
    benchmark::DoNotOptimize(plan->Scalar(loss));
  }
}

void Floor(benchmark::State& state, const StepConfig& config, int threads) {
  GemmFloor floor(config.sizes, config.batch, threads);
  for (auto _ : state) floor.Run();
}

void Register(int threads) {
  for (const StepConfig& config : StepConfigs()) {
    const std::string of = absl::StrCat(config.name, "/threads:", threads);
    for (const auto& [name, run] : {std::pair("TrainStep/", &TrainStep),
                                    std::pair("GemmFloor/", &Floor)}) {
      benchmark::RegisterBenchmark(
          (name + of).c_str(),
          [run, &config, threads](benchmark::State& state) {
            run(state, config, threads);
          })
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  for (int threads : {1, 2}) tape::Register(threads);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
