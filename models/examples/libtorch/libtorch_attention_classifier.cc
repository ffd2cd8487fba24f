// The program attention_classifier.cc of models/examples in libtorch.
#include <torch/torch.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

constexpr int kItems = 6, kKeys = 20, kClasses = 5, kWidth = 32;

struct Questions {
  torch::Tensor keys, classes, asked, answer;

  Questions At(const torch::Tensor& samples) const {
    return {keys.index_select(0, samples), classes.index_select(0, samples),
            asked.index_select(0, samples), answer.index_select(0, samples)};
  }
};

// Each sample has kItems of the keys, in random order.
Questions MakeQuestions(int count) {
  const auto keys = torch::rand({count, kKeys})
                        .argsort(/*stable=*/false, /*dim=*/1)
                        .narrow(1, 0, kItems);
  const auto classes = torch::randint(kClasses, {count, kItems}, torch::kLong);
  const auto one = torch::randint(kItems, {count, 1}, torch::kLong);
  return {keys, classes, keys.gather(1, one),
          classes.gather(1, one).squeeze(1)};
}

struct NetImpl : torch::nn::Module {
  NetImpl() {
    register_module("embedding", embedding);
    register_module("v", v);
    register_module("q", q);
    register_module("k", k);
    register_module("output", output);
  }
  torch::Tensor forward(const Questions& x) {
    const auto keys = k(embedding(x.keys)).transpose(1, 2);
    const auto scores =
        torch::matmul(q(embedding(x.asked)), keys) / std::sqrt(kWidth);
    return output(torch::matmul(scores.softmax(-1), v(x.classes)).squeeze(1));
  }

  static torch::nn::Linear Matrix(int rows, int columns) {
    return torch::nn::Linear(
        torch::nn::LinearOptions(rows, columns).bias(false));
  }
  torch::nn::Embedding embedding{kKeys, kWidth}, v{kClasses, kWidth};
  torch::nn::Linear q = Matrix(kWidth, kWidth), k = Matrix(kWidth, kWidth);
  torch::nn::Linear output = Matrix(kWidth, kClasses);
};
TORCH_MODULE(Net);

int main(int argc, char** argv) {
  torch::manual_seed(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0);
  const Questions train = MakeQuestions(4000), test = MakeQuestions(1000);
  Net net;
  torch::optim::Adam optimizer(net->parameters(),
                               torch::optim::AdamOptions(3e-3));
  for (int epoch = 1; epoch <= 20; ++epoch) {
    double sum = 0;
    for (const torch::Tensor& samples : torch::randperm(4000).split(64)) {
      const Questions batch = train.At(samples);
      optimizer.zero_grad();
      const auto loss =
          torch::nn::functional::cross_entropy(net(batch), batch.answer);
      loss.backward();
      optimizer.step();
      sum += loss.item<double>() * samples.size(0);
    }
    const torch::NoGradGuard no_gradients;
    const auto right = net(test).argmax(1) == test.answer;
    const double accuracy = right.to(torch::kFloat).mean().item<double>();
    std::fprintf(stderr, "%d %.4f %.4f\n", epoch, sum / 4000, accuracy);
    if (epoch == 20) std::printf("test accuracy %.4f\n", accuracy);
  }
}
