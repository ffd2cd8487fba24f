// libtorch_step: the steps of step_bench.cc in libtorch's C++ API, named
// LibtorchStep/<config>/threads:<n>. Its images are floats from the start,
// which saves it a conversion at each step.
#include <torch/torch.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/configs.h"
#include "benchmark/benchmark.h"
#include "framework/data/dataset.h"
#include "models/experiment.h"

namespace tape {
namespace {

struct Samples {
  torch::Tensor images;  // float [60000, 784] in [0, 1].
  torch::Tensor labels;  // int64 [60000].
};

const Samples& TrainingSet() {
  static const auto* const samples = [] {
    const absl::StatusOr<DataSplits> data = ReadMnistFolder(kFashionMnist);
    if (!data.ok()) {
      std::fprintf(stderr, "%s\n", data.status().ToString().c_str());
      std::exit(1);
    }
    const Dataset& train = data->train;
    return new Samples{
        torch::from_blob(const_cast<void*>(train.images.data()),
                         {train.size(), train.pixels()}, torch::kUInt8)
            .to(torch::kFloat32)
            .div(255),
        torch::from_blob(const_cast<void*>(train.labels.data()), {train.size()},
                         torch::kInt32)
            .to(torch::kInt64)};
  }();
  return *samples;
}

std::unique_ptr<torch::optim::Optimizer> MakeOptimizer(
    const StepConfig& config, std::vector<torch::Tensor> parameters) {
  switch (config.optimizer) {
    case StepConfig::Optimizer::kAdam:
      return std::make_unique<torch::optim::Adam>(
          parameters, torch::optim::AdamOptions(config.learning_rate));
    case StepConfig::Optimizer::kMomentum:
      return std::make_unique<torch::optim::SGD>(
          parameters,
          torch::optim::SGDOptions(config.learning_rate).momentum(0.9));
    case StepConfig::Optimizer::kSgd:
      break;
  }
  // Its decay adds decay w to the gradient, our L2 adds 2 lambda w.
  return std::make_unique<torch::optim::SGD>(
      parameters, torch::optim::SGDOptions(config.learning_rate)
                      .weight_decay(2 * config.l2));
}

void LibtorchStep(benchmark::State& state, const StepConfig& config,
                  int threads) {
  at::set_num_threads(threads);
  torch::nn::Sequential model;
  const size_t layers = config.sizes.size() - 1;
  for (size_t i = 0; i < layers; ++i) {
    model->push_back(torch::nn::Linear(config.sizes[i], config.sizes[i + 1]));
    if (i + 1 == layers) break;
    if (config.activation == StepConfig::Activation::kRelu) {
      model->push_back(torch::nn::ReLU());
    } else {
      model->push_back(torch::nn::Sigmoid());
    }
  }
  const auto optimizer = MakeOptimizer(config, model->parameters());
  const Samples& samples = TrainingSet();
  const int64_t size = samples.images.size(0);
  torch::Tensor order;
  int64_t next = size;
  const auto run = [&] {
    if (next + config.batch > size) {
      if (config.order != Order::kFixed) order = torch::randperm(size);
      next = 0;
    }
    torch::Tensor images, labels;
    if (config.order == Order::kFixed) {
      images = samples.images.narrow(0, next, config.batch);
      labels = samples.labels.narrow(0, next, config.batch);
    } else {
      const torch::Tensor drawn = order.narrow(0, next, config.batch);
      images = samples.images.index_select(0, drawn);
      labels = samples.labels.index_select(0, drawn);
    }
    next += config.batch;
    optimizer->zero_grad();
    const torch::Tensor loss =
        torch::nn::functional::cross_entropy(model->forward(images), labels);
    loss.backward();
    optimizer->step();
    benchmark::DoNotOptimize(loss.item<float>());
  };
  run();  // As ours, once before it is timed.
  for (auto _ : state) run();
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  for (int threads : {1, 2}) {
    for (const tape::StepConfig& config : tape::StepConfigs()) {
      benchmark::RegisterBenchmark(
          absl::StrCat("LibtorchStep/", config.name, "/threads:", threads)
              .c_str(),
          [&config, threads](benchmark::State& state) {
            tape::LibtorchStep(state, config, threads);
          })
          ->Unit(benchmark::kMicrosecond)
          ->UseRealTime();
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
