// Training steps, timed (step.h).
#include "bench/step.h"

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/gemm_floor.h"
#include "benchmark/benchmark.h"
#include "framework/framework.h"
#include "models/mlp.h"
#include "ops/ops.h"

namespace tape {
namespace {

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

void SetRate(benchmark::State& state, const StepConfig& config) {
  state.counters["FLOP/s"] =
      benchmark::Counter(Flops(StepProducts(config)),
                         benchmark::Counter::kIsIterationInvariantRate);
}

void TrainStep(benchmark::State& state, const StepConfig& config,
               const Dataset& data, int threads, Precision precision) {
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
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {loss},
                                              .updates = updates,
                                              .threads = threads,
                                              .precision = precision});
  if (absl::IsFailedPrecondition(plan.status())) {  // No bfloat16 here.
    state.SkipWithError(std::string(plan.status().message()).c_str());
    return;
  }
  if (!plan.ok()) std::exit(Fail(plan.status()));

  Batches batches(data, {.batch_size = config.batch,
                         .order = config.order,
                         .last = LastBatch::kDrop});
  int epoch = 0;
  const auto run = [&, images = images, labels = labels] {
    std::optional<Batch> batch = batches.Next();
    if (!batch.has_value()) {
      batches.StartEpoch(++epoch);
      batch = batches.Next();
    }
    const absl::Status status =
        plan->Run({{images, batch->images}, {labels, batch->labels}});
    if (!status.ok()) std::exit(Fail(status));
    benchmark::DoNotOptimize(plan->Scalar(loss));
  };
  run();
  for (auto _ : state) run();
  SetRate(state, config);
}

void Floor(benchmark::State& state, const StepConfig& config, int threads) {
  GemmFloor floor(config, threads);
  floor.Run();
  for (auto _ : state) floor.Run();
  SetRate(state, config);
}

}  // namespace

void RegisterSteps(absl::Span<const StepConfig> configs,
                   const Dataset& (*data)()) {
  for (int threads : {1, 2}) {
    for (const StepConfig& config : configs) {
      const std::string of = absl::StrCat(config.name, "/threads:", threads);
      for (benchmark::internal::Benchmark* registered :
           {benchmark::RegisterBenchmark(
                ("TrainStep/" + of).c_str(),
                [&config, data, threads](benchmark::State& state) {
                  TrainStep(state, config, data(), threads,
                            Precision::kFloat32);
                }),
            benchmark::RegisterBenchmark(
                ("BFloat16Step/" + of).c_str(),
                [&config, data, threads](benchmark::State& state) {
                  TrainStep(state, config, data(), threads,
                            Precision::kBFloat16);
                }),
            benchmark::RegisterBenchmark(
                ("GemmFloor/" + of).c_str(),
                [&config, threads](benchmark::State& state) {
                  Floor(state, config, threads);
                })}) {
        registered->Unit(benchmark::kMicrosecond)->UseRealTime();
      }
    }
  }
}

}  // namespace tape
