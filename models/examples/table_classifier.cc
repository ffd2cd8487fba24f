// A table of words and numbers becomes a classifier:
//
//   bazel run //models/examples:table_classifier -- TRAIN.csv TEST.csv TARGET [SEED]
//
// Numbers are standardised and categories one-hot, both as the training rows have
// them; a layer of 64 units with Dropout is trained by Adam for 100 epochs.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "framework/data/features.h"
#include "framework/data/tabular.h"
#include "framework/framework.h"
#include "models/examples/or_exit.h"
#include "ops/ops.h"

using tape::OrExit;

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s TRAIN.csv TEST.csv TARGET [SEED]\n", *argv);
    return 2;
  }
  const std::string target = argv[3];
  const uint64_t seed = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 0;
  const tape::Tabular train = OrExit(tape::ReadTabular(argv[1]));
  const tape::Tabular test = OrExit(tape::ReadTabular(argv[2]));
  const tape::Features features =
      OrExit(tape::Features::Fit(train, {.leave_out = {target}}));
  const std::vector<std::string> classes =
      OrExit(tape::ClassesOf(train, target));
  const auto columns = [&](const tape::Tabular& table) {
    return tape::DataTable{
        {{"x", OrExit(features.Apply(table))},
         {"y", OrExit(tape::EncodeLabels(table, target, classes))}}};
  };
  const tape::TableSplits data = {.train = columns(train),
                                  .test = columns(test)};

  const auto count = static_cast<int64_t>(classes.size());
  tape::Graph g({.seed = seed});
  tape::Var x = g.Input("x", {tape::kBatch, features.width()});
  tape::Var y = g.Input("y", {tape::kBatch}, tape::DType::kInt32);
  tape::Var w1 = g.Parameter("w1", {features.width(), 64}, tape::Glorot());
  tape::Var b1 = g.Parameter("b1", {64}, tape::Zeros());
  tape::Var w2 = g.Parameter("w2", {64, count}, tape::Glorot());
  tape::Var b2 = g.Parameter("b2", {count}, tape::Zeros());
  tape::Var hidden = Dropout(Relu(MatMul(x, w1) + b1), 0.1);
  tape::Var logits = MatMul(hidden, w2) + b2;
  tape::Var predicted = ArgMax(logits);
  tape::Var loss = Mean(SoftmaxCrossEntropy(logits, y));
  const tape::Model model = {
      .graph = &g,
      .feeds = {{x, "x"}, {y, "y"}},
      .loss = loss,
      .updates =
          tape::Chain(tape::Adam({.learning_rate = 1e-3})).Minimize(loss),
      .metrics = {tape::MacroAverage("f1", tape::ClassScore::kF1, predicted, y,
                                     static_cast<int>(count))},
      .classification =
          tape::Classification{predicted, "y", static_cast<int>(count)}};
  tape::Progress progress(stderr, 100, data.train.size());
  const tape::TrainResult result = OrExit(tape::Train(
      model, data,
      {.epochs = 100, .batches = {.seed = seed}, .evaluate_every = 20},
      progress));
  if (result.end != tape::End::kFinished) {
    return tape::Fail(absl::OutOfRangeError(result.divergence));
  }
  const tape::EpochMetrics& kept = result.kept.test;
  std::printf("test accuracy %.4f, f1 %.4f\n", kept.accuracy,
              kept.reports[0].value);
}
