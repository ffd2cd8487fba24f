// A training on several processes, to the same bits for any number of them:
//
//   bazel build //models/examples:several_processes
//   mpirun -n 4 bazel-bin/models/examples/several_processes FOLDER
//
// Rank 0 keeps checkpoints in FOLDER and prints. If a process dies, the next call
// goes on from the newest one, with as many processes as there are then.
#include <cmath>
#include <cstdio>

#include "framework/distributed/mpi.h"
#include "framework/framework.h"
#include "models/examples/or_exit.h"
#include "ops/ops.h"

using tape::OrExit;

// Points of a square, and whether each is in a circle.
tape::DataTable Points(int count, uint64_t seed) {
  std::vector<float> x(2 * count);
  std::vector<int32_t> y(count);
  tape::RandomStream random(seed, 0);
  for (float& one : x) one = static_cast<float>(4 * random.Uniform() - 2);
  for (int i = 0; i < count; ++i)
    y[i] = std::hypot(x[2 * i], x[2 * i + 1]) < 1.5 ? 1 : 0;
  return {{{"x", {{count, 2}, x}}, {"y", {{count}, y}}}};
}

int main(int argc, char** argv) {
  const auto mpi = OrExit(tape::Mpi::Start(argc, argv));
  const bool is_first = mpi->rank() == 0;
  tape::Graph g;
  tape::Var x = g.Input("x", {tape::kBatch, 2});
  tape::Var y = g.Input("y", {tape::kBatch}, tape::DType::kInt32);
  tape::Var h = MatMul(x, g.Parameter("w1", {2, 64}, tape::He()));
  h = Dropout(Relu(BatchNorm(h, "norm")), 0.05);
  tape::Var logits = MatMul(h, g.Parameter("w2", {64, 2}, tape::Glorot()));
  tape::Var loss = Mean(SoftmaxCrossEntropy(logits, y));
  const tape::Model model = {
      .graph = &g,
      .feeds = {{x, "x"}, {y, "y"}},
      .loss = loss,
      .updates =
          tape::Chain(tape::Adam({.learning_rate = 0.02})).Minimize(loss),
      .classification = {{ArgMax(logits), "y", 2}}};
  tape::TrainOptions options = {.epochs = 20, .threads = 1};
  options.parallel = {.shards = 8, .communicator = mpi.get()};
  options.checkpoints = argc > 1 ? argv[1] : "several_processes_run";
  tape::Progress progress(is_first ? stderr : nullptr, options.epochs, 1000);
  const auto result =
      Train(model, {Points(1000, 1), Points(500, 2)}, options, progress);
  if (!result.ok()) mpi->Abort(result.status());
  if (is_first) {
    std::printf("test accuracy %.4f, loss %.17g\n", result->kept.test.accuracy,
                result->kept.test.loss);
  }
}
