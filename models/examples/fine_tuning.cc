// A layer that PyTorch has trained, frozen below a new one:
//
//   bazel run //models/examples:fine_tuning -- WEIGHTS.safetensors TRAIN.csv
//       TEST.csv TARGET MODEL.safetensors
//
// WEIGHTS is the state_dict of an nn.Sequential that begins with a Linear and a
// ReLU. Its other layers are not used. The tables' numbers are not scaled.
#include <cstdio>
#include <string>
#include <vector>

#include "framework/data/features.h"
#include "framework/data/tabular.h"
#include "framework/framework.h"
#include "framework/serving/saved_model.h"
#include "models/examples/or_exit.h"
#include "ops/ops.h"

using tape::OrExit;

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: %s WEIGHTS TRAIN TEST TARGET MODEL\n", *argv);
    return 2;
  }
  const std::string target = argv[4];
  const tape::Tabular train = OrExit(tape::ReadTabular(argv[2]));
  const tape::Tabular test = OrExit(tape::ReadTabular(argv[3]));
  const tape::Features features = OrExit(tape::Features::Fit(
      train, {.leave_out = {target}, .scaling = tape::Scaling::kNone}));
  const std::vector<std::string> classes =
      OrExit(tape::ClassesOf(train, target));
  const auto columns = [&](const tape::Tabular& table) {
    return tape::DataTable{
        {{"x", OrExit(features.Apply(table))},
         {"y", OrExit(tape::EncodeLabels(table, target, classes))}}};
  };

  // The new layer is declared after the old one's weights are loaded.
  const auto file = OrExit(tape::ReadSafetensors(argv[1]));
  std::vector<tape::StoredArray> arrays;
  for (const char* const name : {"0.weight", "0.bias"}) {
    if (file.Find(name) != nullptr) arrays.push_back(*file.Find(name));
  }
  const int64_t units = arrays.empty() ? 1 : arrays.back().shape[0];
  const auto count = static_cast<int64_t>(classes.size());
  tape::Graph g;
  tape::Var x = g.Input("x", {tape::kBatch, features.width()});
  tape::Var y = g.Input("y", {tape::kBatch}, tape::DType::kInt32);
  tape::Var w1 = g.Parameter("layer1/w", {features.width(), units}, tape::He());
  tape::Var b1 = g.Parameter("layer1/b", {units}, tape::Zeros());
  OrExit(tape::LoadWeights(g, arrays, tape::TorchLinears({"0"})));
  tape::Var w2 = g.Parameter("layer2/w", {units, count}, tape::Glorot());
  tape::Var b2 = g.Parameter("layer2/b", {count}, tape::Zeros());
  tape::Var logits = MatMul(Relu(MatMul(x, w1) + b1), w2) + b2;
  tape::Var loss = Mean(SoftmaxCrossEntropy(logits, y));
  const tape::Model model = {
      .graph = &g,
      .feeds = {{x, "x"}, {y, "y"}},
      .loss = loss,
      .updates = tape::Chain(tape::Freeze(tape::NameMatches("layer1/*")),
                             tape::Adam({.learning_rate = 0.05}))
                     .Minimize(loss),
      .outputs = {{"probabilities", Softmax(logits)}},
      .classification =
          tape::Classification{ArgMax(logits), "y", static_cast<int>(count)}};
  tape::Progress progress(stderr, 100, train.rows);
  const auto result = OrExit(
      tape::Train(model, {.train = columns(train), .test = columns(test)},
                  {.epochs = 100, .evaluate_every = 20}, progress));
  if (result.end != tape::End::kFinished) {
    return tape::Fail(absl::OutOfRangeError(result.divergence));
  }
  OrExit(tape::SaveModel(
      argv[5], model,
      {.classes = classes, .target = target, .features = features}));
  std::printf("test accuracy %.4f\n", result.kept.test.accuracy);
}
