// Graphs of 200,000 nodes in one chain: each phase, from the first declaration
// to the end of the graph, on a thread with a stack so small that a recursion
// along the chain would overflow it. What takes time quadratic in the length
// would not end within the test's time limit; bench/chain_bench.cc measures.
#include <gtest/gtest.h>
#include <pthread.h>

#include <functional>
#include <string>
#include <vector>

#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

constexpr int kLength = 200'000;
// Of pages of 4 KiB 64: less than two bytes for a node.
constexpr size_t kStackBytes = 256 << 10;

void RunOnASmallStack(std::function<void()> work) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, kStackBytes), 0);
  pthread_t thread;
  ASSERT_EQ(pthread_create(
                &thread, &attributes,
                [](void* work) -> void* {
                  (*static_cast<std::function<void()>*>(work))();
                  return nullptr;
                },
                &work),
            0);
  ASSERT_EQ(pthread_join(thread, nullptr), 0);
  pthread_attr_destroy(&attributes);
}

// Expects the chain of `next` from x = `start` to be `last`, with the
// derivative `slope` of the sum of all its elements.
void ExpectChain(Var (*next)(Var y, int i), int length,
                 const std::vector<float>& start,
                 const std::vector<float>& last,
                 const std::vector<float>& slope,
                 const std::vector<std::string>& without = {}) {
  RunOnASmallStack([&] {
    Graph graph;
    const Var x = graph.Input("x", {static_cast<int64_t>(start.size())});
    Var y = x;
    for (int i = 0; i < length; ++i) y = next(y, i);
    const Var seed = Fill(&graph, y.shape(), 1);
    const Var gradient = Gradients(y, {x}, {.seed = seed})[0];
    EXPECT_GE(graph.size(), kLength);
    absl::StatusOr<Plan> plan = Compile(
        graph, {.fetch = {y, gradient}, .threads = 1, .without = without});
    ASSERT_TRUE(plan.ok()) << plan.status();
    const absl::Status status =
        plan->Run({{x, Tensor({static_cast<int64_t>(start.size())}, start)}});
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(plan->Value(y).values<float>(), last);
    EXPECT_EQ(plan->Value(gradient).values<float>(), slope);
  });
}

TEST(LongChainTest, OfElementwiseOpsThatTheGradientReadsAgain) {
  // |x| keeps every value for its derivative, a sign.
  ExpectChain([](Var y, int i) { return i % 2 == 0 ? Abs(y) : Neg(y); },
              kLength, {-1, 2}, {-1, -2}, {1, -1});
}

TEST(LongChainTest, WithoutAnyPass) {
  const std::vector<std::string> all(PassNames().begin(), PassNames().end());
  ExpectChain([](Var y, int i) { return i % 2 == 0 ? Abs(y) : Neg(y); },
              kLength, {-1, 2}, {-1, -2}, {1, -1}, all);
}

TEST(LongChainTest, OfSteps) {
  ExpectChain(
      [](Var y, int i) {
        return Abs(Reshape(y, i % 2 == 0 ? Shape{2, 2} : Shape{4}));
      },
      kLength / 2, {1, -2, 3, -4}, {1, 2, 3, 4}, {1, -1, 1, -1});
}

TEST(LongChainTest, OfViews) {
  ExpectChain(
      [](Var y, int i) {
        return Reshape(y, i % 2 == 0 ? Shape{2, 2} : Shape{4});
      },
      kLength, {1, 2, 3, 4}, {1, 2, 3, 4}, {1, 1, 1, 1});
}

TEST(LongChainTest, OfOneNodeUsedByAll) {
  // A tree of one trunk: every node is read by the next and by the sum.
  RunOnASmallStack([] {
    Graph graph;
    const Var x = graph.Input("x", {2});
    std::vector<Var> all;
    Var y = x;
    for (int i = 0; i < kLength; ++i) all.push_back(y = -y);
    const Var sum = Sum(AddN(all) + x);
    const Var gradient = Gradients(sum, {x})[0];
    absl::StatusOr<Plan> plan =
        Compile(graph, {.fetch = {sum, gradient}, .threads = 1});
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_TRUE(plan->Run({{x, Tensor({2}, std::vector<float>{1, 2})}}).ok());
    EXPECT_EQ(plan->Scalar(sum), 3);
    EXPECT_EQ(plan->Value(gradient).values<float>(),
              (std::vector<float>{1, 1}));
  });
}

TEST(LongChainTest, OfProductsThatOnePassAdds) {
  // The products are of one pass's shape, and all are candidates for it.
  constexpr int kProducts = 20'000;
  RunOnASmallStack([] {
    Graph graph;
    const Var x = graph.Input("x", {1, 1});
    Var y = x;
    for (int i = 0; i < kProducts; ++i) y = y + MatMul(x * (i % 2), x);
    absl::StatusOr<Plan> plan = Compile(
        graph,
        {.fetch = {y},
         .threads = 1,
         .without = {"share_common_subexpressions", "fold_into_products"}});
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_TRUE(plan->Run({{x, Tensor({1, 1}, std::vector<float>{2})}}).ok());
    EXPECT_EQ(plan->Scalar(y), 2 + 4 * kProducts / 2);
  });
}

TEST(LongChainTest, OfReadersOfOneValue) {
  // Each feeds nobody, so that all are candidates to join each other.
  constexpr int kReaders = 50'000;
  RunOnASmallStack([] {
    Graph graph;
    const Var x = graph.Input("x", {});
    std::vector<Var> fetches;
    for (int i = 0; i < kReaders; ++i) fetches.push_back(x * (2.0 + i));
    absl::StatusOr<Plan> plan =
        Compile(graph, {.fetch = fetches, .threads = 1});
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_TRUE(plan->Run({{x, Tensor(Shape(), std::vector<float>{3})}}).ok());
    EXPECT_EQ(plan->Scalar(fetches.back()), 3 * (1.0f + kReaders));
    EXPECT_EQ(plan->Steps().size(), 1);
  });
}

TEST(LongChainTest, IsEvaluatedByTheReferencesAndPrinted) {
  RunOnASmallStack([] {
    Graph graph;
    const Var x = graph.Input("x", {});
    Var y = x;
    for (int i = 0; i < kLength; ++i) y = -y;
    const Var gradient = Gradients(y, {x})[0];
    const auto values = EvaluateReference(
        {y, gradient}, {{x, Tensor(Shape(), std::vector<float>{3})}});
    ASSERT_TRUE(values.ok()) << values.status();
    EXPECT_EQ((*values)[0].values<double>()[0], 3);
    EXPECT_EQ((*values)[1].values<double>()[0], 1);
    EXPECT_GT(graph.Dump().size(), 2u * kLength);
    EXPECT_GT(graph.Graphviz().size(), 2u * kLength);
  });
}

}  // namespace
}  // namespace tape
