// The program serving.cc of models/examples in libtorch.
#include <torch/torch.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

constexpr int kPixels = 784, kClasses = 10, kImages = 1000;

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 4;
  const int requests = argc > 2 ? std::atoi(argv[2]) : 100000;
  at::set_num_threads(1);
  const auto without_bias = [](int inputs, int outputs) {
    return torch::nn::Linear(
        torch::nn::LinearOptions(inputs, outputs).bias(false));
  };
  torch::nn::Sequential model(without_bias(kPixels, 128), torch::nn::ReLU(),
                              without_bias(128, kClasses));
  std::vector<float> pixels(kImages * kPixels);
  for (size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<float>(i * 2654435761 % 1000) / 1000;
  }
  const auto classify = [&](int i) {
    const torch::NoGradGuard no_gradients;
    const auto image = torch::from_blob(
        &pixels[static_cast<size_t>(i % kImages) * kPixels], {1, kPixels});
    return model->forward(image).argmax(1).item<int64_t>();
  };
  std::vector<int64_t> expected;
  for (int i = 0; i < kImages; ++i) expected.push_back(classify(i));

  std::vector<int> wrong(threads, 0);
  std::vector<std::thread> callers;
  const auto start = std::chrono::steady_clock::now();
  for (int t = 0; t < threads; ++t) {
    callers.emplace_back([&, t] {
      at::set_num_threads(1);
      for (int i = t; i < t + requests; ++i) {
        wrong[t] += classify(i) == expected[i % kImages] ? 0 : 1;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - start;
  int all = 0;
  for (int one : wrong) all += one;
  std::printf("%d of %d answers differ\n", all, threads * requests);
  std::fprintf(stderr, "%.0f answers a second\n",
               threads * requests / took.count());
  return all == 0 ? 0 : 1;
}
