// Plans for training and for inference from one declaration (ByMode,
// core/basic_ops.h): Dropout and BatchNorm, their gradients, and the assignments
// that belong to them.
#include "framework/core/mode.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "framework/compiler/compile.h"
#include "framework/core/basic_ops.h"
#include "framework/core/gradients.h"
#include "framework/core/reference.h"
#include "framework/optim/optimizer.h"
#include "framework/optim/transform.h"
#include "framework/optim/wrappers.h"
#include "framework/train/weights.h"
#include "ops/ops.h"

namespace tape {
namespace {

using Numbers = std::vector<float>;

Numbers ValuesIn(Plan& plan, Var fetch, const std::vector<Feed>& feeds) {
  const absl::Status status = plan.Run(feeds);
  EXPECT_TRUE(status.ok()) << status;
  const auto values = plan.Value(fetch).values<float>();
  return {values.begin(), values.end()};
}

Plan CompileIn(const Graph& graph, const CompileOptions& options) {
  absl::StatusOr<Plan> plan = Compile(graph, options);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

Numbers ValueOf(const Graph& graph, Var variable) {
  const auto values = graph.Value(variable).values<float>();
  return {values.begin(), values.end()};
}

TEST(ModeTest, EachPlanHasTheFormOfItsMode) {
  Graph graph;
  const Var w = graph.Parameter("w", {2}, Values(Tensor({2}, Numbers{3, 5})));
  const Var y = ByMode(2 * w, 10 * w);
  const Updates updates = {.assignments = {{w, w}}};
  struct Case {
    const char* name;
    CompileOptions options;
    Numbers expected;
  };
  const std::vector<Case> cases = {
      {"without updates", {.fetch = {y}}, {30, 50}},
      {"with updates", {.fetch = {y}, .updates = updates}, {6, 10}},
      {"training", {.fetch = {y}, .mode = Mode::kTraining}, {6, 10}},
      {"inference",
       {.fetch = {y}, .updates = updates, .mode = Mode::kInference},
       {30, 50}},
  };
  for (const Case& c : cases) {
    Plan plan = CompileIn(graph, c.options);
    EXPECT_EQ(ValuesIn(plan, y, {}), c.expected) << c.name;
  }
}

TEST(ModeTest, TheReferenceHasBothForms) {
  Graph graph;
  const Var w = graph.Parameter("w", {}, Constant(3));
  const Var y = ByMode(2 * w, 10 * w);
  for (const auto& [mode, expected] :
       {std::pair(Mode::kTraining, 6), std::pair(Mode::kInference, 30)}) {
    const auto values = EvaluateReference({y}, {}, {}, nullptr, Loc(), mode);
    ASSERT_TRUE(values.ok()) << values.status();
    EXPECT_EQ((*values)[0].values<double>()[0], expected);
  }
}

TEST(ModeTest, GradientsAreThoseOfTheForm) {
  Graph graph;
  const Var w = graph.Parameter("w", {}, Constant(3));
  // w^2 or w^3, and what follows: 2 w and 3 w^2; again: 2 and 6 w.
  const Var y = ByMode(Square(w), w * w * w);
  const Var slope = Gradients(y, {w})[0];
  const Var curvature = Gradients(slope, {w})[0];
  Plan training =
      CompileIn(graph, {.fetch = {slope, curvature}, .mode = Mode::kTraining});
  EXPECT_EQ(ValuesIn(training, slope, {}), Numbers{6});
  EXPECT_EQ(ValuesIn(training, curvature, {}), Numbers{2});
  Plan inference = CompileIn(graph, {.fetch = {slope, curvature}});
  EXPECT_EQ(ValuesIn(inference, slope, {}), Numbers{27});
  EXPECT_EQ(ValuesIn(inference, curvature, {}), Numbers{18});
}

TEST(ModeTest, AParameterOfOneFormAloneHasAGradientOfZeroInTheOther) {
  Graph graph;
  const Var w = graph.Parameter("w", {}, Constant(3));
  const Var x = graph.Parameter("x", {}, Constant(4));
  const Var slope = Gradients(ByMode(w * x, x), {w})[0];
  ASSERT_TRUE(graph.status().ok()) << graph.status();
  Plan training = CompileIn(graph, {.fetch = {slope}, .mode = Mode::kTraining});
  EXPECT_EQ(ValuesIn(training, slope, {}), Numbers{4});
  Plan inference = CompileIn(graph, {.fetch = {slope}});
  EXPECT_EQ(ValuesIn(inference, slope, {}), Numbers{0});
}

TEST(ModeTest, TheOtherFormCostsNothing) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 4});
  const Var y = ByMode(Dropout(x, 0.5), x);
  Plan inference = CompileIn(graph, {.fetch = {y}, .batch_sizes = {3}});
  EXPECT_EQ(inference.Dump().find("Random"), std::string::npos);
  Plan training = CompileIn(
      graph, {.fetch = {y}, .mode = Mode::kTraining, .batch_sizes = {3}});
  EXPECT_NE(training.Dump().find("Random"), std::string::npos);
}

TEST(ModeTest, FormsOfTwoTypesAreRefused) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, Loc{"net.cc", 1});
  const Var y = graph.Input("y", {3}, DType::kFloat32, Loc{"net.cc", 2});
  EXPECT_FALSE(ByMode(x, y, Loc{"net.cc", 3}).valid());
  EXPECT_EQ(graph.status().message(),
            "net.cc:3: ByMode: expected two of one type (training [2] is input "
            "\"x\", net.cc:1; inference [3] is input \"y\", net.cc:2)");
}

// ---- Dropout ----

struct Dropped {
  Graph graph;
  Var x = graph.Input("x", {kBatch, 100});
  Var w = graph.Parameter("w", {100}, Constant(1));
  Var y = Dropout(x * w, 0.25);
  Var z = Dropout(x * w, 0.25);
  Tensor ones{{20, 100}, Numbers(2000, 1)};
};

TEST(ModeTest, DropoutIsOneDeclaration) {
  Dropped net;
  Plan inference = CompileIn(net.graph, {.fetch = {net.y}});
  EXPECT_EQ(ValuesIn(inference, net.y, {{net.x, net.ones}}), Numbers(2000, 1));

  const Updates updates = Chain(Sgd({.learning_rate = 0.5}))
                              .Apply({net.w}, Gradients(Sum(net.y), {net.w}));
  Plan training =
      CompileIn(net.graph, {.fetch = {net.y, net.z}, .updates = updates});
  const Numbers first = ValuesIn(training, net.y, {{net.x, net.ones}});
  int kept = 0;
  for (float y : first) {
    EXPECT_TRUE(y == 0 || y == 4.0f / 3) << y;
    kept += y != 0;
  }
  EXPECT_NEAR(kept, 1500, 100);  // Five standard deviations.
  // Another one, and another run, leave out other elements.
  const auto other = training.Value(net.z).values<float>();
  EXPECT_NE(first, Numbers(other.begin(), other.end()));
  // w has changed: by what was kept of its column.
  for (int i = 0; i < 100; ++i) {
    float sum = 0;
    for (int row = 0; row < 20; ++row) sum += first[row * 100 + i];
    EXPECT_NEAR(ValueOf(net.graph, net.w)[i], 1 - sum / 2, 1e-4) << i;
  }
  EXPECT_EQ(net.graph.Value(net.graph.Step()).values<int32_t>()[0], 1);
  ASSERT_TRUE(net.graph.SetValue(net.w, Tensor({100}, Numbers(100, 1))).ok());
  EXPECT_NE(ValuesIn(training, net.y, {{net.x, net.ones}}), first);
  EXPECT_EQ(net.graph.Value(net.graph.Step()).values<int32_t>()[0], 2);
}

TEST(ModeTest, TheStepStaysAtTheLargestNumber) {
  Graph graph;
  const Var w = graph.Parameter("w", {}, Constant(1));
  const Var y = Dropout(w, 0.5);
  Plan training =
      CompileIn(graph, {.fetch = {y}, .updates = {.assignments = {{w, w}}}});
  constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
  const std::vector<int32_t> before = {kMost - 1};
  ASSERT_TRUE(graph.SetValue(graph.Step(), Tensor({}, before)).ok());
  for (int i = 0; i < 3; ++i) {
    ValuesIn(training, y, {});
    EXPECT_EQ(graph.Value(graph.Step()).values<int32_t>()[0], kMost);
  }
}

TEST(ModeTest, APlanThatDropsNothingDoesNotCount) {
  Dropped net;
  Plan training = CompileIn(
      net.graph,
      {.fetch = {net.w}, .updates = {.assignments = {{net.w, net.w * 2}}}});
  ValuesIn(training, net.w, {});
  EXPECT_EQ(net.graph.Value(net.graph.Step()).values<int32_t>()[0], 0);
}

// ---- BatchNorm ----

struct Normalised {
  Graph graph;
  Var x = graph.Input("x", {kBatch, 1});
  Var y = BatchNorm(x, "norm");
  std::vector<Var> gradients = Gradients(Sum(Square(y)), graph.parameters());
  Tensor batch{{4, 1}, Numbers{1, 3, 5, 7}};  // Mean 4, variance 5.

  Numbers Value(const char* name) const {
    const int index = graph.variables().Find(name);
    const auto values = graph.variables()[index].value.values<float>();
    return {values.begin(), values.end()};
  }
};

TEST(ModeTest, BatchNormIsOneDeclaration) {
  Normalised net;
  const Updates updates = Chain(Sgd({.learning_rate = 0.125}))
                              .Apply(net.graph.parameters(), net.gradients);
  Plan inference = CompileIn(net.graph, {.fetch = {net.y}});
  const float one = 1 / std::sqrt(1 + 1e-5);  // By the variance at the start.
  EXPECT_NEAR(ValuesIn(inference, net.y, {{net.x, net.batch}})[3], 7 * one,
              1e-5);

  Plan training = CompileIn(net.graph, {.fetch = {net.y}, .updates = updates});
  const Numbers trained = ValuesIn(training, net.y, {{net.x, net.batch}});
  EXPECT_NEAR(trained[3], 3 / std::sqrt(5 + 1e-5), 1e-5);
  // 0.9 of what was, 0.1 of the batch's.
  EXPECT_NEAR(net.Value("norm/running_mean")[0], 0.4, 1e-6);
  EXPECT_NEAR(net.Value("norm/running_var")[0], 0.9 + 0.5, 1e-6);
  // d sum y^2 / d weight = 2 sum of normalised^2 = 8.
  EXPECT_NEAR(net.Value("norm/weight")[0], 1 - 0.125 * 8, 1e-4);
  EXPECT_NEAR(net.Value("norm/bias")[0], 0, 1e-6);
}

TEST(ModeTest, UpdatesByHandHaveTheStatisticsToo) {
  Normalised net;
  const Var weight = net.graph.parameters()[0];
  Plan training = CompileIn(
      net.graph,
      {.updates = {.assignments = {{weight, weight - net.gradients[0]}}}});
  ASSERT_TRUE(training.Run({{net.x, net.batch}}).ok());
  EXPECT_NEAR(net.Value("norm/running_mean")[0], 0.4, 1e-6);
}

TEST(ModeTest, OnesOwnAssignmentTakesTheirPlace) {
  Normalised net;
  const Var weight = net.graph.parameters()[0];
  const auto variables = VariablesOf(net.graph, {net.y});
  const Var mean = variables[2];
  ASSERT_EQ(net.graph.NameOf(mean), "norm/running_mean");
  Plan training = CompileIn(
      net.graph,
      {.updates = {.assignments = {{weight, weight - net.gradients[0]},
                                   {mean, mean + 100}}}});
  ASSERT_TRUE(training.Run({{net.x, net.batch}}).ok());
  EXPECT_EQ(net.Value("norm/running_mean")[0], 100);
  EXPECT_NEAR(net.Value("norm/running_var")[0], 1.4, 1e-6);
}

TEST(ModeTest, SkippedStepsLeaveTheStatistics) {
  Normalised net;
  const Updates updates = Chain(SkipIfNotFinite(Sgd({.learning_rate = 0.125})))
                              .Apply(net.graph.parameters(), net.gradients);
  Plan training = CompileIn(net.graph, {.fetch = {net.y}, .updates = updates});
  // Its mean is finite, its square's sum is not: the step is skipped.
  const Tensor bad({4, 1}, Numbers{1, 3, 5, std::nanf("")});
  ASSERT_TRUE(training.Run({{net.x, bad}}).ok());
  EXPECT_EQ(net.Value("norm/running_mean")[0], 0);
  EXPECT_EQ(net.Value("norm/weight")[0], 1);
  ASSERT_TRUE(training.Run({{net.x, net.batch}}).ok());
  EXPECT_NEAR(net.Value("norm/running_mean")[0], 0.4, 1e-6);
}

TEST(ModeTest, SkippedStepsLeaveWhatTheGradientsDoNotReadToo) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 1});
  const Var w = graph.Parameter("w", {}, Constant(1));
  const Var seen = graph.Input("seen", {kBatch, 1});
  const Updates updates = Chain(SkipIfNotFinite(Sgd({.learning_rate = 0.125})))
                              .Apply({w}, Gradients(Mean(x * w), {w}));
  // Declared after the chain, and only fetched.
  const Var norm = BatchNorm(seen, "norm");
  Plan training = CompileIn(graph, {.fetch = {norm}, .updates = updates});
  const Tensor good({4, 1}, Numbers{1, 3, 5, 7});
  const Tensor bad({4, 1}, Numbers{1, 3, 5, std::nanf("")});
  const int mean = graph.variables().Find("norm/running_mean");
  ASSERT_TRUE(training.Run({{x, bad}, {seen, good}}).ok());
  EXPECT_EQ(graph.variables()[mean].value.values<float>()[0], 0);
  ASSERT_TRUE(training.Run({{x, good}, {seen, good}}).ok());
  EXPECT_NEAR(graph.variables()[mean].value.values<float>()[0], 0.4, 1e-6);
}

TEST(ModeTest, TwoChainsInOnePlanShareADeclaration) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 1});
  const Var norm = BatchNorm(x, "norm");
  const Var a = graph.Parameter("a", {}, Constant(1));
  const Var b = graph.Parameter("b", {}, Constant(1));
  const auto chain = [&](Var w) {
    return Chain(SkipIfNotFinite(Sgd({.learning_rate = 0.125})))
        .Apply({w}, Gradients(Mean(Square(norm) * w), {w}));
  };
  Updates both = chain(a);
  const Updates other = chain(b);
  both.assignments.insert(both.assignments.end(), other.assignments.begin(),
                          other.assignments.end());
  Plan training = CompileIn(graph, {.updates = both});
  ASSERT_TRUE(training.Run({{x, Tensor({4, 1}, Numbers{1, 3, 5, 7})}}).ok());
  const int mean = graph.variables().Find("norm/running_mean");
  EXPECT_NEAR(graph.variables()[mean].value.values<float>()[0], 0.4, 1e-6);
}

TEST(ModeTest, WrongTrainingAssignmentsAreMistakes) {
  const Loc line{"net.cc", 9};
  const auto refusal = [&](auto make) {
    Graph graph, other;
    const Var w = graph.Parameter("w", {2}, Zeros());
    const Var of_other = other.Parameter("w", {2}, Zeros());
    graph.AddTrainingAssignment(make(w, of_other), line);
    EXPECT_TRUE(graph.training_assignments().empty());
    return std::string(graph.status().message());
  };
  using Assigned = Graph::TrainingAssignment;
  EXPECT_EQ(refusal([](Var w, Var) {
              return Assigned{Var(), w, w};
            }),
            "net.cc:9: AddTrainingAssignment: a Var is an empty Var");
  EXPECT_EQ(refusal([](Var w, Var other) {
              return Assigned{w, w, other};
            }),
            "net.cc:9: AddTrainingAssignment: a Var is of another graph");
  EXPECT_NE(refusal([](Var w, Var) {
              return Assigned{w, w, Sum(w)};
            })
                .find("net.cc:9: AddTrainingAssignment: expected a variable "
                      "and a value of its type, found [2] is parameter"),
            std::string::npos);
  EXPECT_NE(refusal([](Var w, Var) {
              return Assigned{w, w * 2, w * 3};
            }).find("expected a variable and a value of its type"),
            std::string::npos);
}

TEST(ModeTest, AModelHasWhatInferenceReads) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 1});
  const Var y = Dropout(BatchNorm(x, "norm"), 0.5);
  std::vector<std::string> names;
  for (Var variable : ModelVariables(graph, {y})) {
    names.emplace_back(graph.NameOf(variable));
  }
  EXPECT_EQ(names, (std::vector<std::string>{"norm/weight", "norm/bias",
                                             "norm/running_mean",
                                             "norm/running_var"}));
}

TEST(ModeTest, MistakesHaveTheUsersLine) {
  Graph graph;
  const Loc line{"net.cc", 7};
  const Var x = graph.Input("x", {kBatch, 3}, DType::kFloat32, line);
  EXPECT_FALSE(BatchNorm(x, "norm", {.axis = 2}, line).valid());
  EXPECT_FALSE(Dropout(x, 1.5, RandomKey(), line).valid());
  for (const std::string& mistake :
       {std::string("net.cc:7: BatchNorm: "),
        std::string("net.cc:7: Dropout: expected a rate of at least 0 and "
                    "below 1, found 1.5")}) {
    EXPECT_NE(graph.status().message().find(mistake), std::string::npos)
        << graph.status();
  }
  EXPECT_FALSE(Dropout(Var(), 0.5).valid());
  EXPECT_FALSE(BatchNorm(Var(), "norm").valid());
}

}  // namespace
}  // namespace tape
