// The program char_rnn.cc of models/examples in libtorch.
#include <torch/torch.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

constexpr int kWindow = 24, kUnits = 64, kBytes = 256;

struct NetImpl : torch::nn::Module {
  NetImpl() {
    register_module("embedding", embedding);
    register_module("cell", cell);
    register_module("output", output);
  }
  // The logits, and the state after the last character.
  std::tuple<torch::Tensor, torch::Tensor> forward(
      const torch::Tensor& bytes, const torch::Tensor& state = {}) {
    const auto [states, last] = cell(embedding(bytes), state);
    return {output(states), last};
  }

  torch::nn::Embedding embedding{kBytes, kUnits};
  torch::nn::RNN cell{torch::nn::RNNOptions(kUnits, kUnits).batch_first(true)};
  torch::nn::Linear output{kUnits, kBytes};
};
TORCH_MODULE(Net);

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::ifstream file(argv[1], std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  if (text.size() <= kWindow) return 2;
  const auto bytes =
      torch::tensor(std::vector<uint8_t>(text.begin(), text.end()))
          .to(torch::kLong);
  const auto rows = bytes.unfold(0, kWindow + 1, 1);
  Net net;
  torch::optim::Adam optimizer(net->parameters(),
                               torch::optim::AdamOptions(3e-3));
  double mean = 0;
  for (int epoch = 1; epoch <= 10; ++epoch) {
    double sum = 0;
    for (const torch::Tensor& samples :
         torch::randperm(rows.size(0)).split(64)) {
      const auto batch = rows.index_select(0, samples);
      optimizer.zero_grad();
      const auto [logits, last] = net(batch.narrow(1, 0, kWindow));
      const auto loss = torch::nn::functional::cross_entropy(
          logits.flatten(0, 1), batch.narrow(1, 1, kWindow).flatten());
      loss.backward();
      torch::nn::utils::clip_grad_norm_(net->parameters(), 1);
      optimizer.step();
      sum += loss.item<double>() * samples.size(0);
    }
    mean = sum / rows.size(0);
    std::fprintf(stderr, "%d %.4f\n", epoch, mean);
  }
  const torch::NoGradGuard no_gradients;
  auto [logits, state] = net(bytes.narrow(0, 0, kWindow).unsqueeze(0));
  std::string said;
  while (said.size() < std::strtoul(argv[2], nullptr, 10)) {
    const auto next = logits.select(1, logits.size(1) - 1).argmax(1);
    said.push_back(static_cast<char>(next.item<int64_t>()));
    std::tie(logits, state) = net(next.unsqueeze(0), state);
  }
  std::printf("loss %.4f\n%s\n", mean, said.c_str());
}
