// Sessions (Plan::NewSession): one model answers several threads at once.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "framework/compiler/compile.h"
#include "framework/core/gradients.h"
#include "framework/core/random.h"
#include "ops/ops.h"

namespace tape {
namespace {

constexpr int kPixels = 20;

struct Net {
  std::unique_ptr<Graph> graph = std::make_unique<Graph>();
  Var x = graph->Input("x", {kBatch, kPixels});
  Var w1 = graph->Parameter("w1", {kPixels, 16}, Glorot());
  Var w2 = graph->Parameter("w2", {16, 4}, Glorot());
  Var y = Softmax(MatMul(Tanh(MatMul(x, w1)), w2));

  Plan Compiled() const {
    absl::StatusOr<Plan> plan =
        Compile(*graph, {.outputs = {{"y", y}}, .threads = 1});
    EXPECT_TRUE(plan.ok()) << plan.status();
    return *std::move(plan);
  }
};

Tensor Samples(uint64_t seed, int64_t count) {
  Tensor x({DType::kFloat32, {count, kPixels}});
  RandomStream random(seed, 0);
  for (float& one : x.values<float>()) {
    one = static_cast<float>(random.Uniform());
  }
  return x;
}

std::vector<float> Answer(Plan& plan, const Tensor& x) {
  const absl::Status status = plan.Run({{"x", x}});
  EXPECT_TRUE(status.ok()) << status;
  const auto y = plan.Value("y").values<float>();
  return {y.begin(), y.end()};
}

TEST(SessionsTest, ThreadsAnswerAtOnceAsOneDoes) {
  const Net net;
  Plan plan = net.Compiled();
  constexpr int kThreads = 4, kRequests = 300;
  // Of more sizes than a session stays prepared for.
  const auto request = [](int i) { return Samples(i, 1 + i * 7 % 20); };
  std::vector<std::vector<float>> expected;
  for (int i = 0; i < kRequests; ++i) {
    expected.push_back(Answer(plan, request(i)));
  }
  std::vector<int> wrong(kThreads, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      absl::StatusOr<Plan> session = plan.NewSession();
      if (!session.ok()) {
        wrong[t] = kRequests;
        return;
      }
      for (int i = 0; i < kRequests; ++i) {
        const int which = (i + t * 50) % kRequests;
        wrong[t] += Answer(*session, request(which)) != expected[which];
      }
    });
  }
  // And the plan itself, meanwhile.
  for (int i = 0; i < kRequests; ++i) {
    EXPECT_EQ(Answer(plan, request(i)), expected[i]);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(kThreads, 0));
}

TEST(SessionsTest, SeeWhatTheVariablesHold) {
  const Net net;
  Plan plan = net.Compiled();
  absl::StatusOr<Plan> session = plan.NewSession(2);
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ(session->threads(), 2);
  const Tensor x = Samples(1, 3);
  const std::vector<float> before = Answer(*session, x);
  ASSERT_TRUE(
      net.graph->SetValue(net.w2, Tensor({16, 4}, std::vector<float>(64, 0.0f)))
          .ok());
  EXPECT_NE(Answer(*session, x), before);
  EXPECT_EQ(Answer(*session, x), std::vector<float>(12, 0.25f));
}

TEST(SessionsTest, OutliveThePlanAndTheGraph) {
  std::optional<Plan> session;
  std::vector<float> expected;
  const Tensor x = Samples(1, 3);
  {
    const Net net;
    Plan plan = net.Compiled();
    expected = Answer(plan, x);
    absl::StatusOr<Plan> made = plan.NewSession();
    ASSERT_TRUE(made.ok()) << made.status();
    session = *std::move(made);
  }
  EXPECT_EQ(Answer(*session, x), expected);
  absl::StatusOr<Plan> again = session->NewSession();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(Answer(*again, x), expected);
}

TEST(SessionsTest, OfATrainingStepTrainTheSameVariables) {
  Graph graph;
  const Var w = graph.Parameter("w", {}, Constant(0));
  absl::StatusOr<Plan> plan =
      Compile(graph, {.updates = {.assignments = {{w, w + 1}}}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  absl::StatusOr<Plan> session = plan->NewSession();
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE(plan->Run().ok());
  ASSERT_TRUE(session->Run().ok());
  EXPECT_EQ(graph.Value(w).values<float>()[0], 2);
}

TEST(SessionsTest, MistakesAreRefused) {
  const Net net;
  Plan plan = net.Compiled();
  const Loc line{"serve.cc", 3};
  EXPECT_EQ(plan.NewSession(0, line).status().message(),
            "serve.cc:3: NewSession: expected 1 to 1024 threads, found 0");
  EXPECT_EQ(plan.NewSession(5000, line).status().message(),
            "serve.cc:3: NewSession: expected 1 to 1024 threads, found 5000");
  const Plan moved = std::move(plan);
  // NOLINTNEXTLINE(bugprone-use-after-move)
  EXPECT_EQ(plan.NewSession(1, line).status().message(),
            "serve.cc:3: NewSession: the plan has been moved from");
  EXPECT_TRUE(moved.NewSession().ok());
}

}  // namespace
}  // namespace tape
