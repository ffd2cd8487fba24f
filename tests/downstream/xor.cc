// A user's program: learns exclusive or, and prints the last loss to the bit.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "framework/framework.h"
#include "ops/ops.h"

int main() {
  tape::Graph g;
  const tape::Var x = g.Input("x", {tape::kBatch, 2});
  const tape::Var label = g.Input("label", {tape::kBatch}, tape::DType::kInt32);
  const tape::Var w1 = g.Parameter("w1", {2, 8}, tape::Glorot());
  const tape::Var b1 = g.Parameter("b1", {8}, tape::Zeros());
  const tape::Var w2 = g.Parameter("w2", {8, 2}, tape::Glorot());
  const tape::Var logits = MatMul(Tanh(MatMul(x, w1) + b1), w2);
  const tape::Var loss = Mean(SoftmaxCrossEntropy(logits, label));
  const std::vector<tape::Var> gradients =
      tape::Gradients(loss, g.parameters());
  const tape::Updates updates =
      tape::Chain(tape::L2(1e-4), tape::Adam({.learning_rate = 0.02}))
          .Apply(g.parameters(), gradients);
  absl::StatusOr<tape::Plan> train =
      tape::Compile(g, {.fetch = {loss}, .updates = updates});
  if (!train.ok()) return tape::Fail(train.status());
  const tape::Tensor points({4, 2}, std::vector<float>{0, 0, 0, 1, 1, 0, 1, 1});
  const tape::Tensor classes({4}, std::vector<int32_t>{0, 1, 1, 0});
  for (int step = 0; step <= 200; ++step) {
    const absl::Status status = train->Run({{x, points}, {label, classes}});
    if (!status.ok()) return tape::Fail(status);
  }
  std::printf("loss %a\n", train->Scalar(loss));
}
