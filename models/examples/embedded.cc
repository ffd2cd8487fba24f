// A training inside an application, which watches, steers and cancels it:
//
//   bazel run //models/examples:embedded -- FOLDER [STEP]
//
// Ctrl-C or STEP cancels it after a step. The next call continues it, also
// after a kill at any moment, and ends with the same bits as one run of all.
// Exits with 3 if the training is cancelled or diverges.
#include <cmath>
#include <csignal>
#include <cstdio>

#include "framework/framework.h"
#include "framework/serving/saved_model.h"
#include "models/examples/or_exit.h"
#include "ops/ops.h"

using tape::OrExit;
volatile std::sig_atomic_t is_cancelled = 0;

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
  const std::string folder = argc > 1 ? argv[1] : "embedded_run";
  const int64_t cancel_at = argc > 2 ? std::atoll(argv[2]) : -1;
  std::signal(SIGINT, [](int) { is_cancelled = 1; });
  tape::Graph g;
  tape::Var x = g.Input("x", {tape::kBatch, 2});
  tape::Var y = g.Input("y", {tape::kBatch}, tape::DType::kInt32);
  tape::Var h = MatMul(x, g.Parameter("w1", {2, 64}, tape::He()));
  h = Dropout(Relu(BatchNorm(h, "norm")), 0.05);
  tape::Var logits = MatMul(h, g.Parameter("w2", {64, 2}, tape::Glorot()));
  tape::Var loss = Mean(SoftmaxCrossEntropy(logits, y));
  tape::ReduceOnPlateau plateau({.rate = 0.05, .factor = 0.3, .patience = 4});
  const tape::Model model = {
      .graph = &g,
      .feeds = {{x, "x"}, {y, "y"}},
      .loss = loss,
      .updates = tape::Chain(tape::AverageWeights(0.9),
                             tape::Adam({.learning_rate = plateau.schedule()}))
                     .Minimize(loss),
      .outputs = {{"probabilities", Softmax(logits)}},
      .classification = {{ArgMax(logits), "y", 2}}};
  tape::TrainOptions options = {.epochs = 40, .checkpoints = folder};
  options.evaluate_with = tape::AveragedWeights(g);
  options.checkpoint_every.steps = 10;
  options.on_step = [&](const tape::StepResult& made) {
    const bool stops = is_cancelled != 0 || made.step == cancel_at;
    return stops ? tape::AfterStep::kStop : tape::AfterStep::kGoOn;
  };
  options.after_epoch = [&](const tape::EpochResult& epoch) {
    plateau.Observe(epoch.validation->loss);
    return tape::AfterStep::kGoOn;
  };
  tape::Progress progress(stderr, options.epochs, 1000);
  const auto result =
      OrExit(Train(model, {Points(1000, 1), Points(500, 2), Points(500, 3)},
                   options, progress));
  if (result.end != tape::End::kFinished) return 3;
  OrExit(tape::SaveModel(folder + "/model.safetensors", model, {},
                         {.replace = options.evaluate_with}));
  std::printf("test accuracy %.4f, rate %.2g\n", result.kept.test.accuracy,
              result.kept.train.learning_rate);
}
