// Want of memory at any moment: whichever allocation of a declaration, its
// derivatives, its compilation and its first step fails, there is an error or
// std::bad_alloc, nothing crashes, and what has been declared stays whole.
#include <gtest/gtest.h>

#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "ops/ops.h"
#include "tests/allocation_testing.h"

namespace tape {
namespace {

// Declares a net whose names begin with `name`, and takes a step of training.
absl::StatusOr<float> TakeAStep(Graph& graph, const std::string& name) {
  const Var x = graph.Input(name + "x", {kBatch, 3});
  const Var label = graph.Input(name + "label", {kBatch}, DType::kInt32);
  const Var w1 = graph.Parameter(name + "w1", {3, 5}, Glorot(), Tag::kWeight);
  const Var b1 = graph.Parameter(name + "b1", {5}, Zeros(), Tag::kBias);
  const Var w2 = graph.Parameter(name + "w2", {5, 2}, Glorot(), Tag::kWeight);
  const Var h = Softplus(MatMul(x, w1) + b1);
  const Var loss = Mean(SoftmaxCrossEntropy(MatMul(Tanh(h), w2), label));
  const std::vector<Var> parameters = {w1, b1, w2};
  const Updates updates =
      Chain(L2(1e-4), Adam()).Apply(parameters, Gradients(loss, parameters));
  absl::StatusOr<Plan> plan = Compile(
      graph,
      {.fetch = {loss}, .updates = updates, .threads = 1, .batch_sizes = {2}});
  if (!plan.ok()) return plan.status();
  const Tensor images({2, 3}, std::vector<float>{0, 1, 2, 3, 4, 5});
  const Tensor labels({2}, std::vector<int32_t>{0, 1});
  if (absl::Status status = plan->Run({{x, images}, {label, labels}});
      !status.ok()) {
    return status;
  }
  return plan->Scalar(loss);
}

TEST(AnyAllocationTest, LeavesWhatHasBeenDeclaredWhole) {
  // What is made once for the process is there after a first step.
  Graph first;
  ASSERT_TRUE(TakeAStep(first, "").ok());
  int64_t threw = 0;
  int64_t errors = 0;
  for (int64_t allocation = 0;; ++allocation) {
    Graph graph;
    absl::StatusOr<float> loss = absl::UnknownError("threw");
    bool has_failed;
    {
      const FailingAllocation failing(allocation);
      try {
        loss = TakeAStep(graph, "");
      } catch (const std::bad_alloc&) {
        ++threw;
      }
      has_failed = failing.has_failed();
    }
    if (!has_failed) {
      EXPECT_TRUE(loss.ok()) << loss.status();
      break;  // There are no more of them.
    }
    errors += !loss.ok();
    const absl::StatusOr<float> again = TakeAStep(graph, "again_");
    // A graph that has kept the mistake says which it is.
    if (!again.ok()) {
      EXPECT_EQ(again.status().code(), absl::StatusCode::kResourceExhausted)
          << "after allocation " << allocation << ": " << again.status();
    }
  }
  // Some are thrown to the declaration, more end in an error.
  EXPECT_GT(threw, 50);
  EXPECT_GT(errors, 10 * threw);
}

}  // namespace
}  // namespace tape
