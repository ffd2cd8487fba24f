// The program embedded.cc of models/examples in libtorch, whose C++ interface has
// no training loop, checkpoints, averages or schedule by a metric.
#include <fcntl.h>
#include <torch/torch.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>

volatile std::sig_atomic_t is_cancelled = 0;

struct Points {
  torch::Tensor x, y;
};

// Points of a square, and whether each is in a circle.
Points MakePoints(int count, uint64_t seed) {
  torch::manual_seed(seed);
  const auto x = 4 * torch::rand({count, 2}) - 2;
  return {x, (x.norm(2, {1}) < 1.5).to(torch::kLong)};
}

torch::nn::Sequential MakeNet() {
  const auto linear = [](int inputs, int outputs) {
    return torch::nn::Linear(
        torch::nn::LinearOptions(inputs, outputs).bias(false));
  };
  return torch::nn::Sequential(linear(2, 64), torch::nn::BatchNorm1d(64),
                               torch::nn::ReLU(), torch::nn::Dropout(0.05),
                               linear(64, 2));
}

// All that a run needs to continue.
struct Run {
  Run() {
    const torch::NoGradGuard no_gradients;
    for (size_t i = 0; i < net->parameters().size(); ++i) {
      averaged->parameters()[i].copy_(net->parameters()[i]);
    }
  }
  torch::Tensor Numbers() const {
    const std::vector<double> numbers = {
        rate, best, sum, double(failures), double(step), double(epoch)};
    return torch::tensor(numbers, torch::kFloat64);
  }
  void Save(const std::string& path) {
    torch::serialize::OutputArchive archive, of_net, of_averaged, of_optimizer;
    net->save(of_net);
    averaged->save(of_averaged);
    optimizer.save(of_optimizer);
    archive.write("net", of_net);
    archive.write("averaged", of_averaged);
    archive.write("optimizer", of_optimizer);
    archive.write("numbers", Numbers());
    archive.write("order", order);
    archive.write("random", random.get_state());
    archive.save_to(path + ".new");
    const int file = open((path + ".new").c_str(), O_RDONLY);
    if (file < 0 || fsync(file) != 0) std::exit(1);
    close(file);
    std::filesystem::rename(path + ".new", path);
  }
  void Load(const std::string& path) {
    torch::serialize::InputArchive archive, of_net, of_averaged, of_optimizer;
    archive.load_from(path);
    archive.read("net", of_net);
    archive.read("averaged", of_averaged);
    archive.read("optimizer", of_optimizer);
    net->load(of_net);
    averaged->load(of_averaged);
    optimizer.load(of_optimizer);
    torch::Tensor numbers, state;
    archive.read("numbers", numbers);
    archive.read("order", order);
    archive.read("random", state);
    random.set_state(state);
    const double* const number = numbers.data_ptr<double>();
    rate = number[0], best = number[1], sum = number[2];
    failures = int(number[3]), step = int(number[4]), epoch = int(number[5]);
    SetRate();
  }
  void SetRate() {
    for (auto& group : optimizer.param_groups()) {
      static_cast<torch::optim::AdamOptions&>(group.options()).lr(rate);
    }
  }
  void Average() {
    const torch::NoGradGuard no_gradients;
    for (size_t i = 0; i < net->parameters().size(); ++i) {
      averaged->parameters()[i].lerp_(net->parameters()[i], 0.1);
    }
    for (size_t i = 0; i < net->buffers().size(); ++i) {
      averaged->buffers()[i].copy_(net->buffers()[i]);
    }
  }
  void ReduceOnPlateau(double loss) {
    failures = loss < (1 - 1e-4) * best ? 0 : failures + 1;
    best = std::min(best, loss);
    if (failures <= 4) return;
    failures = 0;
    rate *= 0.3;
    SetRate();
  }

  torch::nn::Sequential net = MakeNet(), averaged = MakeNet();
  torch::optim::Adam optimizer{net->parameters(),
                               torch::optim::AdamOptions(0.05)};
  double rate = 0.05, best = std::numeric_limits<double>::infinity(), sum = 0;
  int failures = 0, step = 0, epoch = 1;
  at::Generator random = at::detail::getDefaultCPUGenerator();
  torch::Tensor order = torch::empty({0}, torch::kLong);  // Of this epoch.
};

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "embedded_run";
  const int cancel_at = argc > 2 ? std::atoi(argv[2]) : -1;
  std::signal(SIGINT, [](int) { is_cancelled = 1; });
  const Points train = MakePoints(1000, 1), test = MakePoints(500, 2),
               validation = MakePoints(500, 3);
  torch::manual_seed(0);
  Run run;
  const std::string checkpoint = folder + "/checkpoint.pt";
  std::filesystem::create_directories(folder);
  if (std::filesystem::exists(checkpoint)) run.Load(checkpoint);
  constexpr int kEpochs = 40, kBatch = 64,
                kBatches = (1000 + kBatch - 1) / kBatch;
  double accuracy = 0;
  const auto evaluate = [&](const Points& points) {
    const torch::NoGradGuard no_gradients;
    run.averaged->eval();
    const auto logits = run.averaged->forward(points.x);
    accuracy =
        (logits.argmax(1) == points.y).to(torch::kFloat).mean().item<double>();
    return torch::nn::functional::cross_entropy(logits, points.y)
        .item<double>();
  };
  while (run.epoch <= kEpochs) {
    if (run.order.size(0) == 0 && run.step < run.epoch * kBatches)
      run.order = torch::randperm(1000);
    run.net->train();
    while (run.order.size(0) > 0) {
      const auto samples =
          run.order.narrow(0, 0, std::min<int64_t>(kBatch, run.order.size(0)));
      run.order =
          run.order
              .narrow(0, samples.size(0), run.order.size(0) - samples.size(0))
              .clone();
      run.optimizer.zero_grad();
      const auto loss = torch::nn::functional::cross_entropy(
          run.net->forward(train.x.index_select(0, samples)),
          train.y.index_select(0, samples));
      loss.backward();
      run.optimizer.step();
      run.Average();
      run.sum += loss.item<double>() * samples.size(0);
      ++run.step;
      const bool stops = is_cancelled != 0 || run.step == cancel_at;
      if (stops || run.step % 10 == 0) run.Save(checkpoint);
      if (stops) return 3;
    }
    run.ReduceOnPlateau(evaluate(validation));
    std::fprintf(stderr, "%d %.4f %.4f\n", run.epoch, run.sum / 1000, accuracy);
    run.sum = 0;
    ++run.epoch;
  }
  evaluate(test);
  torch::save(run.averaged, folder + "/model.pt");
  std::printf("test accuracy %.4f, rate %.2g\n", accuracy, run.rate);
}
