// Ops declared outside of the repository: those that framework/README.md shows,
// by the public headers alone, at the places where built-in ones are used.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "ops/ops.h"

namespace user {
namespace {

#include "tests/ops/readme_ops.inc"

using tape::CheckKernels;
using tape::Graph;
using tape::kBatch;
using tape::Tensor;
using tape::Var;

Tensor Floats(tape::Shape shape, std::vector<float> values) {
  return Tensor(std::move(shape), std::move(values));
}

// A network with one of the ops as its activation and the other in its loss.
struct Network {
  Network() {
    x = graph.Input("x", {kBatch, 2});
    target = graph.Input("target", {kBatch, 1});
    w1 = graph.Parameter("w1", {2, 8}, tape::Glorot());
    b1 = graph.Parameter("b1", {8}, tape::Zeros());
    w2 = graph.Parameter("w2", {8, 1}, tape::Glorot());
    hidden = Bump(MatMul(x, w1) + b1);
    loss = Mean(RowSquares(MatMul(hidden, w2) - target));
  }
  tape::ReferenceFeeds Feeds() const {
    return {{x, Floats({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1})},
            {target, Floats({4, 1}, {0, 1, 1, 0})}};
  }

  Graph graph;
  Var x, target, w1, b1, w2, hidden, loss;
};

TEST(UserOpTest, HasRightGradientsToSecondOrder) {
  Network net;
  const absl::Status status = CheckGradients(
      net.loss, {net.x, net.w1, net.b1, net.w2}, net.Feeds(), {.order = 2});
  EXPECT_TRUE(status.ok()) << status;
}

TEST(UserOpTest, ComputesWhatItsReferenceDoesWithItsGradientsOfBothOrders) {
  Network net;
  std::vector<Var> fetches = {net.loss, net.hidden};
  for (Var gradient : Gradients(net.loss, {net.w1, net.w2})) {
    fetches.push_back(gradient);
    fetches.push_back(Gradients(Sum(Square(gradient)), {net.w1})[0]);
  }
  const absl::Status status = CheckKernels(fetches, net.Feeds());
  EXPECT_TRUE(status.ok()) << status;
}

TEST(UserOpTest, IsFusedLikeABuiltInOne) {
  Graph graph;
  const Var x = graph.Input("x", {4});
  const std::vector<tape::StepCost> steps =
      Compile(graph, {.fetch = {Bump(x * 2) + x}})->Steps();
  ASSERT_EQ(steps.size(), 1);
  EXPECT_EQ(steps[0].name, "Mul+Bump+Add");
}

TEST(UserOpTest, IsTrained) {
  Network net;
  const tape::Updates updates =
      tape::Chain(tape::Adam({.learning_rate = 0.05}))
          .Apply(net.graph.parameters(),
                 Gradients(net.loss, net.graph.parameters()));
  absl::StatusOr<tape::Plan> plan =
      Compile(net.graph, {.fetch = {net.loss}, .updates = updates});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const tape::ReferenceFeeds feeds = net.Feeds();
  float first = 0;
  for (int step = 0; step < 300; ++step) {
    ASSERT_TRUE(plan->Run({{feeds[0].first, feeds[0].second},
                           {feeds[1].first, feeds[1].second}})
                    .ok());
    if (step == 0) first = plan->Scalar(net.loss);
  }
  EXPECT_GT(first, 0.1);
  EXPECT_LT(plan->Scalar(net.loss), 1e-3);
}

TEST(UserOpTest, WorksInChunksOnSeveralThreads) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 3});
  std::vector<float> values(3 * 1000);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(std::sin(i));
  }
  const absl::Status status =
      CheckKernels({RowSquares(x)}, {{x, Floats({1000, 3}, values)}});
  EXPECT_TRUE(status.ok()) << status;
}

TEST(UserOpTest, RefusesInTheSameWords) {
  Graph graph;
  const Var n = graph.Input("n", {2}, tape::DType::kInt32, {"my.cc", 1});
  Bump(n, {"my.cc", 2});
  RowSquares(n, {"my.cc", 3});
  EXPECT_EQ(graph.status().message(),
            "my.cc:2: Bump: expected float32, found int32 (x int32[2] is input "
            "\"n\", my.cc:1)\n"
            "my.cc:3: RowSquares: expected a float32 matrix, found int32[2] (x "
            "int32[2] is input \"n\", my.cc:1)");
}

}  // namespace
}  // namespace user
