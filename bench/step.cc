// Training steps, timed (step.h).
#include "bench/step.h"

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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
  TrainingStep step(config, data, threads, precision);
  if (absl::IsFailedPrecondition(step.status())) {  // No bfloat16 here.
    state.SkipWithError(std::string(step.status().message()).c_str());
    return;
  }
  if (!step.status().ok()) std::exit(Fail(step.status()));
  step.Run();
  for (auto _ : state) step.Run();
  SetRate(state, config);
}

void Floor(benchmark::State& state, const StepConfig& config, int threads) {
  GemmFloor floor(config, threads);
  floor.Run();
  for (auto _ : state) floor.Run();
  SetRate(state, config);
}

}  // namespace

std::string LineOf(const StepConfig& config) {
  const char* const optimizer =
      config.optimizer == StepConfig::Optimizer::kAdam       ? "adam"
      : config.optimizer == StepConfig::Optimizer::kMomentum ? "momentum"
                                                             : "sgd";
  return absl::StrCat(
      config.name, " sizes=", absl::StrJoin(config.sizes, ","),
      " batch=", config.batch, " optimizer=", optimizer, " activation=",
      config.activation == StepConfig::Activation::kRelu ? "relu" : "sigmoid",
      " order=", config.order == Order::kFixed ? "fixed" : "drawn",
      " learning_rate=", config.learning_rate, " l2=", config.l2);
}

StepConfig ConfigOf(const StepLine& line) {
  return {.name = "",
          .sizes = line.sizes,
          .batch = line.batch,
          .optimizer = line.optimizer == "adam" ? StepConfig::Optimizer::kAdam
                       : line.optimizer == "momentum"
                           ? StepConfig::Optimizer::kMomentum
                           : StepConfig::Optimizer::kSgd,
          .activation = line.activation == "relu"
                            ? StepConfig::Activation::kRelu
                            : StepConfig::Activation::kSigmoid,
          .learning_rate = line.learning_rate,
          .l2 = line.l2,
          .order = line.order == "fixed" ? Order::kFixed : Order::kShuffled};
}

TrainingStep::TrainingStep(const StepConfig& config, const Dataset& data,
                           int threads, Precision precision,
                           const DataParallel& parallel)
    : batches_(data, {.batch_size = config.batch,
                      .order = config.order,
                      .last = LastBatch::kDrop,
                      .parallel = parallel}) {
  const bool bytes = data.images.dtype() == DType::kUint8;
  images_ = graph_.Input("images", {kBatch, config.sizes[0]},
                         bytes ? DType::kUint8 : DType::kFloat32);
  labels_ = graph_.Input("labels", {kBatch}, DType::kInt32);
  const bool relu = config.activation == StepConfig::Activation::kRelu;
  const Var logits = Mlp(
      bytes ? ScaledPixels(images_) : images_,
      {.units = {config.sizes.begin() + 1, config.sizes.end()},
       .activation = [relu](Var x) { return relu ? Relu(x) : Sigmoid(x); }});
  loss_ = Mean(SoftmaxCrossEntropy(logits, labels_));
  const std::vector<Var> parameters = graph_.parameters();
  const Updates updates = Chain(MakeOptimizer(config))
                              .Apply(parameters, Gradients(loss_, parameters));
  absl::StatusOr<Plan> plan = Compile(graph_, {.fetch = {loss_},
                                               .updates = updates,
                                               .threads = threads,
                                               .precision = precision,
                                               .parallel = parallel});
  status_ = plan.status();
  if (plan.ok()) plan_ = *std::move(plan);
}

void TrainingStep::Run() {
  std::optional<Batch> batch = batches_.Next();
  if (!batch.has_value()) {
    batches_.StartEpoch(++epoch_);
    batch = batches_.Next();
  }
  const absl::Status status =
      plan_->Run({{images_, batch->images}, {labels_, batch->labels}});
  if (!status.ok()) std::exit(Fail(status));
  benchmark::DoNotOptimize(plan_->Scalar(loss_));
}

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
