// A classifier whose labels do not exclude each other:
//
//   bazel run //models/examples:multi_label -- TRAIN.csv TEST.csv LABEL …
//
// Each LABEL is a column of two classes. Prints the area under the ROC curve of
// each, and the share of test rows whose labels are all right.
#include <cstdio>
#include <string>
#include <vector>

#include "framework/data/features.h"
#include "framework/data/tabular.h"
#include "framework/framework.h"
#include "models/examples/or_exit.h"
#include "ops/ops.h"

using tape::OrExit;

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s TRAIN.csv TEST.csv LABEL …\n", *argv);
    return 2;
  }
  const tape::Tabular train = OrExit(tape::ReadTabular(argv[1]));
  const tape::Tabular test = OrExit(tape::ReadTabular(argv[2]));
  const std::vector<std::string> labels(argv + 3, argv + argc);
  const auto features =
      OrExit(tape::Features::Fit(train, {.leave_out = labels}));
  const auto columns = [&](const tape::Tabular& table) {
    tape::DataTable of = {{{"x", OrExit(features.Apply(table))}}};
    for (const std::string& label : labels) {
      const auto classes = OrExit(tape::ClassesOf(train, label));
      of.columns.push_back(
          {label, OrExit(tape::EncodeLabels(table, label, classes))});
    }
    return of;
  };

  const auto count = static_cast<int64_t>(labels.size());
  tape::Graph g;
  tape::Var x = g.Input("x", {tape::kBatch, features.width()});
  tape::Var w1 = g.Parameter("w1", {features.width(), 64}, tape::He());
  tape::Var b1 = g.Parameter("b1", {64}, tape::Zeros());
  tape::Var w2 = g.Parameter("w2", {64, count}, tape::Glorot());
  tape::Var b2 = g.Parameter("b2", {count}, tape::Zeros());
  tape::Var logits = MatMul(Relu(MatMul(x, w1) + b1), w2) + b2;
  tape::Model model = {.graph = &g, .feeds = {{x, "x"}}};
  std::vector<tape::Var> targets;
  for (int i = 0; i < count; ++i) {
    tape::Var label = g.Input(labels[i], {tape::kBatch}, tape::DType::kInt32);
    tape::Var score = Slice(logits, 1, {.begin = i, .length = 1});
    model.feeds.push_back({label, labels[i]});
    model.metrics.push_back(tape::AreaUnderRoc(labels[i], score, label));
    targets.push_back(ExpandDims(Cast(label, tape::DType::kFloat32), 1));
  }
  tape::Var y = Concat(targets, 1);
  tape::Var wrong =
      Cast((NotEqual(Round(Sigmoid(logits)), y)), tape::DType::kFloat32);
  model.metrics.push_back(tape::MeanOf("all right", 1 - Mean(Max(wrong, {1}))));
  model.loss = Mean(SigmoidCrossEntropy(logits, y));
  model.updates =
      tape::Chain(tape::Adam({.learning_rate = 3e-3}))
          .Apply(g.parameters(), Gradients(model.loss, g.parameters()));
  tape::Progress progress(stderr, 60, train.rows);
  const auto result = OrExit(
      tape::Train(model, {.train = columns(train), .test = columns(test)},
                  {.epochs = 60, .evaluate_every = 20}, progress));
  if (result.end != tape::End::kFinished) {
    return tape::Fail(absl::OutOfRangeError(result.divergence));
  }
  for (const tape::Measurement& found : result.kept.test.reports) {
    std::printf("%s %.4f\n", found.name.c_str(), found.value);
  }
}
