// A linear regression on a table, by gradient descent:
//
//   bazel run //models/examples:table_regression -- TRAIN.csv TEST.csv TARGET [UNITS]
//
// With UNITS, a perceptron with a hidden layer of so many.
#include <cmath>
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
    std::fprintf(stderr, "usage: %s TRAIN TEST TARGET [UNITS]\n", *argv);
    return 2;
  }
  const std::string target = argv[3];
  const int units = argc > 4 ? std::atoi(argv[4]) : 0;
  const tape::Tabular train = OrExit(tape::ReadTabular(argv[1]));
  const tape::Tabular test = OrExit(tape::ReadTabular(argv[2]));
  const tape::Features features =
      OrExit(tape::Features::Fit(train, {.leave_out = {target}}));
  const auto columns = [&](const tape::Tabular& table) {
    return tape::DataTable{{{"x", OrExit(features.Apply(table))},
                            {"y", OrExit(tape::NumbersOf(table, target))}}};
  };
  const tape::TableSplits data = {.train = columns(train),
                                  .test = columns(test)};
  double mean = 0, squares = 0;
  const auto targets = data.train.Find("y")->values<float>();
  for (float one : targets) mean += one / static_cast<double>(targets.size());
  for (float one : targets) squares += (one - mean) * (one - mean);
  const double unit = std::sqrt(squares / static_cast<double>(targets.size()));

  tape::Graph g;
  tape::Var x = g.Input("x", {tape::kBatch, features.width()});
  tape::Var y = g.Input("y", {tape::kBatch, 1});
  const auto dense = [&](tape::Var in, int64_t out, const std::string& name) {
    const int64_t inputs = in.shape()[1];
    return MatMul(in, g.Parameter(name + "/w", {inputs, out}, tape::Glorot())) +
           g.Parameter(name + "/b", {out}, tape::Zeros());
  };
  tape::Var hidden = units > 0 ? Relu(dense(x, units, "hidden")) : x;
  tape::Var scaled = dense(hidden, 1, "output");
  tape::Var predicted = scaled * unit + mean;
  tape::Var loss = MeanSquaredError(scaled, (y - mean) * (1 / unit));
  tape::TransformPtr optimizer =
      units > 0 ? tape::Adam({.learning_rate = 1e-3})
                : tape::Momentum({.learning_rate = 0.1, .momentum = 0.95});
  const tape::Model model = {
      .graph = &g,
      .feeds = {{x, "x"}, {y, "y"}},
      .loss = loss,
      .updates = tape::Chain(std::move(optimizer)).Minimize(loss),
      .metrics = {tape::RootMeanSquaredError("rmse", predicted, y),
                  tape::R2("r2", predicted, y)}};
  const int epochs = units > 0 ? 200 : 5000;
  const int64_t count = data.train.size(), batch = units > 0 ? 32 : count;
  tape::Progress progress(stderr, epochs, count);
  const auto result = OrExit(tape::Train(
      model, data, {.epochs = epochs, .batches = {.batch_size = batch}},
      progress));
  if (result.end != tape::End::kFinished) {
    return tape::Fail(absl::OutOfRangeError(result.divergence));
  }
  const auto& m = result.kept.test.reports;
  std::printf("test rmse %.6g, r2 %.6f\n", m[0].value, m[1].value);
}
