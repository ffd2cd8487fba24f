// One model answers several threads at once:
//
//   bazel run //models/examples:serving -- THREADS REQUESTS
//
// Each thread has a session of the plan: the weights are shared, and nothing is
// locked while it computes. Prints how many answers differ from those of a plan
// that nobody else uses, and how many were given in a second.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "framework/framework.h"
#include "ops/ops.h"

constexpr int kPixels = 784, kClasses = 10, kImages = 1000;

// A plan that gives the class of images; it needs the graph no more.
absl::StatusOr<tape::Plan> MakeModel() {
  tape::Graph g;
  tape::Var x = g.Input("x", {tape::kBatch, kPixels});
  tape::Var w1 = g.Parameter("w1", {kPixels, 128}, tape::He());
  tape::Var w2 = g.Parameter("w2", {128, kClasses}, tape::Glorot());
  tape::Var predicted = ArgMax(MatMul(Relu(MatMul(x, w1)), w2));
  return tape::Compile(g, {.outputs = {{"class", predicted}}, .threads = 1});
}

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 4;
  const int requests = argc > 2 ? std::atoi(argv[2]) : 100000;
  absl::StatusOr<tape::Plan> model = MakeModel();
  if (!model.ok()) return tape::Fail(model.status());
  std::vector<float> pixels(kImages * kPixels);
  for (size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<float>(i * 2654435761 % 1000) / 1000;
  }
  const auto image = [&](int i) {
    return tape::TensorView(
        {tape::DType::kFloat32, {1, kPixels}},
        &pixels[static_cast<size_t>(i % kImages) * kPixels]);
  };
  std::vector<int32_t> expected;
  for (int i = 0; i < kImages; ++i) {
    const absl::Status status = model->Run({{"x", image(i)}});
    if (!status.ok()) return tape::Fail(status);
    expected.push_back(model->Value("class").values<int32_t>()[0]);
  }

  std::vector<int> wrong(threads, 0);
  std::vector<std::thread> callers;
  const auto start = std::chrono::steady_clock::now();
  for (int t = 0; t < threads; ++t) {
    callers.emplace_back([&, t] {
      absl::StatusOr<tape::Plan> session = model->NewSession();
      for (int i = t; i < t + requests; ++i) {
        const bool right = session.ok() &&
                           session->Run({{"x", image(i)}}).ok() &&
                           session->Value("class").values<int32_t>()[0] ==
                               expected[i % kImages];
        wrong[t] += right ? 0 : 1;
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
