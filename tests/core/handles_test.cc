// Handles that do not fit (framework/core/graph.h, op_store.h, variables.h):
// Vars that are invalid, empty, of another graph or of one that has gone; ops
// that are no constants; plans that outlive their graph.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

using Floats = std::vector<float>;

Loc At(int line) { return Loc{"net.cc", line}; }

std::string Errors(const Graph& graph) {
  return std::string(graph.status().message());
}

// What Compile says of fetching `var`.
std::string Refusal(const Graph& graph, Var var) {
  return std::string(
      Compile(graph, {.fetch = {var}}, At(99)).status().message());
}

// ---- Invalid Vars ----

TEST(InvalidVarTest, MayBeAskedForAnything) {
  Graph graph;
  const Var x = graph.Input("x", {2, 3}, DType::kInt32, At(1));
  const Var h = Relu(x, At(2));
  ASSERT_FALSE(h.valid());
  for (const Var var : {h, Var(), Var(&graph, 77), Var(&graph, -5)}) {
    EXPECT_EQ(var.type(), TensorType());
    EXPECT_EQ(var.shape().rank(), 0);
    EXPECT_EQ(var.shape()[1], kNoDim);
    EXPECT_EQ(var.shape().elements(), 1);
    EXPECT_EQ(var.dtype(), DType::kFloat32);
    EXPECT_EQ(graph.NameOf(var), "");
    EXPECT_EQ(graph.TagOf(var), Tag::kAuto);
    EXPECT_STREQ(graph.node(var).op->name, "Nothing");
    EXPECT_EQ(graph.Describe(var.id()), "an invalid Var");
    EXPECT_FALSE(graph.SetValue(var, Tensor()).ok());
  }
}

TEST(InvalidVarTest, LeadsToNoSecondMistake) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 3}, DType::kInt32, At(1));
  const Var h = Relu(x, At(2));
  const Var w =
      graph.Parameter("w", {h.shape()[1], 10}, Glorot(), Tag::kAuto, At(3));
  const Var s = graph.State("s", {h.shape()[0]}, Zeros(), h.dtype(), At(4));
  const Var y = MatMul(h, w, {}, At(5)) + s;
  const Var reshaped = Reshape(h, {h.shape()[0], 2}, At(6));
  Gradients(Mean(y), {w});
  const std::string message =
      "net.cc:2: Relu: expected float32, found int32 (x int32[batch,3] is "
      "input \"x\", net.cc:1)";
  EXPECT_EQ(Errors(graph), message);
  EXPECT_EQ(Refusal(graph, y), message);
  EXPECT_EQ(Refusal(graph, reshaped), message);
}

TEST(InvalidVarTest, ADimensionThatIsNotThereIsAMistakeByItself) {
  Graph graph;
  const Var x = graph.Input("x", {4}, DType::kFloat32, At(1));
  graph.Parameter("w", {x.shape()[1], 10}, Glorot(), Tag::kAuto, At(2));
  EXPECT_EQ(Errors(graph),
            "net.cc:2: Variable \"w\": expected dimensions of at least 0, or "
            "kBatch, and at most 2^40 elements, found [unknown,10]");
}

TEST(InvalidVarTest, NamesTheLineThatAnEmptyOneComesFrom) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Var h = Relu(Var(), At(3));
  EXPECT_FALSE(h.valid());
  EXPECT_TRUE(h.empty());
  EXPECT_EQ(Refusal(graph, h),
            "net.cc:99: Compile: fetch 0 is an empty Var (net.cc:3: Relu of no "
            "graph)");
  EXPECT_EQ(Refusal(graph, Var()),
            "net.cc:99: Compile: fetch 0 is an empty Var");
  EXPECT_FALSE(
      Add(x, Fill(nullptr, {2}, 1, DType::kFloat32, At(4)), At(5)).valid());
  EXPECT_EQ(Errors(graph),
            "net.cc:5: Add: operand rhs is an empty Var (net.cc:4: Fill of no "
            "graph)");
}

// ---- Graphs that have gone ----

TEST(GoneGraphTest, ItsVarsAreEmpty) {
  auto gone = std::make_unique<Graph>();
  const Var x = gone->Input("x", {2}), w = gone->Parameter("w", {2}, Zeros());
  EXPECT_TRUE(x.valid());
  gone.reset();
  EXPECT_FALSE(x.valid());
  EXPECT_TRUE(x.empty());
  EXPECT_EQ(x.graph(), nullptr);
  EXPECT_EQ(x.type(), TensorType());
  EXPECT_FALSE(x == w);
  Graph graph;
  EXPECT_EQ(Refusal(graph, x),
            "net.cc:99: Compile: fetch 0 is a Var whose graph has gone");
  EXPECT_FALSE(Relu(x).valid());
  EXPECT_EQ(Gradients(x, {w}).size(), 1u);
  EXPECT_FALSE(Gradients(x, {w})[0].valid());
  EXPECT_EQ(graph.NameOf(w), "");
}

TEST(GoneGraphTest, AnotherOneInItsPlaceIsAnother) {
  std::optional<Graph> graph(std::in_place);
  const Var old = graph->Input("x", {2});
  for (int i = 0; i < 3; ++i) {
    const Graph* const place = &*graph;
    graph.emplace();
    ASSERT_EQ(place, &*graph);
    const Var x = graph->Input("x", {2});
    EXPECT_EQ(old.id(), x.id());
    EXPECT_FALSE(old == x);
    EXPECT_FALSE(graph->Has(old));
    EXPECT_FALSE(Add(x, old, At(7)).valid());
    EXPECT_EQ(Errors(*graph),
              "net.cc:7: Add: operand rhs is a Var whose graph has gone");
  }
}

// ---- Vars of another graph, in every function that takes one ----

TEST(ForeignVarTest, IsRefusedByEveryFunction) {
  Graph other;
  for (int i = 0; i < 20; ++i) other.Input(absl::StrCat("x", i), {3, 3});
  const Var large = other.Input("large", {5}, DType::kInt32);
  const Var foreign = other.Parameter("w", {2}, Zeros());
  const Var scalar = Mean(foreign);
  using Use = std::function<void(Graph & graph, Var x, Var wrong)>;
  const std::vector<Use> uses = {
      [](Graph&, Var x, Var wrong) { x + wrong; },
      [](Graph&, Var x, Var wrong) {
        Concat({x, wrong}, 0);
      },
      [](Graph&, Var x, Var wrong) {
        AddN({x, wrong});
      },
      [](Graph&, Var x, Var wrong) { Select(x, x, wrong); },
      [](Graph&, Var x, Var wrong) { Gradients(Mean(x), {wrong}); },
      [](Graph&, Var x, Var wrong) { Gradients(x, {x}, {.seed = wrong}); },
      [](Graph&, Var x, Var wrong) {
        Vjp({x, wrong}, {x, x}, {x});
      },
      [](Graph&, Var x, Var wrong) { Jvp(x, {wrong}, {x}); },
      [](Graph&, Var x, Var wrong) {
        HessianVectorProduct(Mean(x), {x}, {wrong});
      },
      [](Graph&, Var x, Var wrong) { Jacobian(x, wrong); },
      [](Graph&, Var x, Var wrong) {
        WithGradient(x, {wrong}, [](absl::Span<const Var>, Var, Var gy) {
          return Adjoints{gy};
        });
      },
      [](Graph&, Var x, Var wrong) {
        Chain(Sgd({.learning_rate = 0.1})).Apply({x}, {wrong});
      },
      [](Graph&, Var x, Var wrong) {
        Chain(Sgd({.learning_rate = 0.1})).Apply({x, wrong}, {x, x});
      },
      [](Graph&, Var x, Var wrong) { LayerNorm(x, wrong, x); },
  };
  for (size_t i = 0; i < uses.size(); ++i) {
    for (const Var wrong : {foreign, large, scalar}) {
      Graph graph;
      const Var x = graph.Parameter("x", {2}, Zeros());
      uses[i](graph, x, wrong);
      EXPECT_TRUE(absl::StrContains(Errors(graph), "another graph"))
          << i << ": " << Errors(graph);
      EXPECT_TRUE(absl::StrContains(Errors(graph), "handles_test.cc:"))
          << i << ": " << Errors(graph);
    }
  }
  EXPECT_TRUE(other.status().ok()) << other.status();
}

TEST(ForeignVarTest, IsRefusedByEveryFunctionWithAStatus) {
  Graph graph, other;
  const Var x = graph.Parameter("x", {2}, Zeros());
  for (int i = 0; i < 20; ++i) other.Input(absl::StrCat("x", i), {3, 3});
  const Var foreign = other.Parameter("w", {2}, Zeros());
  const Var y = Mean(x);
  for (const Var wrong : {foreign, Var(), Var(&graph, kNone)}) {
    EXPECT_FALSE(graph.SetValue(wrong, Tensor({2}, Floats{1, 2})).ok());
    EXPECT_FALSE(EvaluateReference({y, wrong}).ok());
    EXPECT_FALSE(EvaluateReference({y}, {{wrong, Tensor()}}).ok());
    EXPECT_FALSE(EvaluateReference({y}, {}, {{wrong, Tensor()}}).ok());
    EXPECT_FALSE(CheckGradients(y, {wrong}).ok());
    EXPECT_FALSE(CheckGradients(wrong, {x}).ok());
    EXPECT_FALSE(CheckKernels({y, wrong}).ok());
    EXPECT_FALSE(CheckKernels({y}, {{wrong, Tensor()}}).ok());
    EXPECT_FALSE(Compile(graph, {.outputs = {{"y", wrong}}}).ok());
    EXPECT_TRUE(VariablesOf(graph, {wrong}).empty());
    EXPECT_EQ(ModelVariables(graph, {wrong}), (std::vector<Var>{x}));
  }
  EXPECT_TRUE(graph.status().ok()) << graph.status();
}

// ---- Ops that may go ----

// y = factor x, by an op that is a local variable of this function.
Var Scaled(Var x, double factor, const char* name) {
  std::string text(name);  // Goes too.
  OpDef op;
  op.name = text.c_str();
  op.operands = {"x"};
  op.shape = [](absl::Span<const TensorType> x,
                const Attributes&) -> absl::StatusOr<TensorType> {
    return x[0];
  };
  op.gradient = [](absl::Span<const Var>, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
    return {gy * attributes.value};
  };
  op.reference = MapReference<[](const Attributes& attributes, double x) {
    return attributes.value * x;
  }>;
  op.block = [](absl::Span<const DType>, DType) -> Block {
    return [](const BlockArguments& block) {
      const auto* const x = static_cast<const float*>(block.inputs[0]);
      auto* const y = static_cast<float*>(block.output);
      for (size_t i = 0; i < block.count; ++i) {
        y[i] = static_cast<float>(block.attributes.value) * x[i];
      }
    };
  };
  op.traits = {.elementwise = true};
  return Append(op, {x}, {.value = factor}, At(8));
}

// Writes over the stack below the caller.
[[gnu::noinline]] int Overwrite() {
  volatile char bytes[8192];
  for (volatile char& byte : bytes) byte = 0x5A;
  return bytes[17];
}

TEST(LocalOpTest, IsUsedLikeAConstantOne) {
  std::optional<Graph> graph(std::in_place);
  const Var x = graph->Parameter("x", {2}, Values(Tensor({2}, Floats{1, -2})));
  const Var y = Scaled(Scaled(x, 3, "Scaled"), 5, "Scaled");
  Overwrite();
  ASSERT_TRUE(y.valid());
  EXPECT_STREQ(graph->node(y).op->name, "Scaled");
  EXPECT_EQ(graph->Describe(y.id()), "[2] from Scaled at net.cc:8");
  const Var gradient = Gradients(Sum(y), {x})[0];
  EXPECT_TRUE(CheckGradients(y, {x}).ok());
  EXPECT_TRUE(CheckKernels({y, gradient}).ok());
  absl::StatusOr<Plan> plan =
      Compile(*graph, {.fetch = {y}, .outputs = {{"gradient", gradient}}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  graph.reset();
  Overwrite();
  ASSERT_TRUE(plan->Run().ok());
  EXPECT_EQ(plan->Value(y).values<float>(), (Floats{15, -30}));
  EXPECT_EQ(plan->Value("gradient").values<float>(), (Floats{15, 15}));
  EXPECT_TRUE(absl::StrContains(plan->Dump(), "Scaled")) << plan->Dump();
}

TEST(LocalOpTest, IsKnownAgainByWhatItIs) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Var a = Scaled(x, 3, "Scaled"), b = Scaled(x, 3, "Scaled"),
            c = Scaled(x, 3, "Tripled");
  EXPECT_EQ(graph.node(a).op, graph.node(b).op);
  EXPECT_NE(graph.node(a).op, graph.node(c).op);
  EXPECT_STREQ(graph.node(c).op->name, "Tripled");
  // A constant is pointed to, so that it is the same one in each graph.
  static constexpr OpDef kStatic = {
      .name = "Static",
      .shape = [](absl::Span<const TensorType>, const Attributes&)
          -> absl::StatusOr<TensorType> { return TensorType(); },
      .traits = {.uniform = true}};
  const Var d = graph.Append(kStatic, {}, {}, At(1));
  EXPECT_EQ(graph.node(d).op, &kStatic);
}

TEST(OpDefinitionTest, IsRefusedIfItLacksWhatARunNeeds) {
  const auto refusal = [](const std::function<void(OpDef&)>& change,
                          int operands) {
    Graph graph;
    const Var x = graph.Input("x", {2});
    OpDef op;
    op.name = "Mine";
    op.operands = {"x"};
    op.shape = [](absl::Span<const TensorType>,
                  const Attributes&) -> absl::StatusOr<TensorType> {
      return TensorType();
    };
    op.traits.uniform = true;
    change(op);
    graph.Append(op, std::vector<Var>(operands, x), {}, At(4));
    return Errors(graph);
  };
  const std::string start = "net.cc:4: Mine: ";
  EXPECT_EQ(refusal([](OpDef&) {}, 1), "");
  EXPECT_EQ(refusal([](OpDef&) {}, 0), start + "expected 1 operands, found 0");
  EXPECT_EQ(refusal([](OpDef&) {}, 3), start + "expected 1 operands, found 3");
  EXPECT_EQ(refusal([](OpDef& op) { op.shape = nullptr; }, 1),
            start + "the op has no shape rule");
  EXPECT_EQ(refusal([](OpDef& op) { op.traits = {.same_as = 1}; }, 1),
            start + "a trait of the op names an operand that it does not have");
  EXPECT_EQ(refusal([](OpDef& op) { op.traits.in_place = 2; }, 1),
            start + "a trait of the op names an operand that it does not have");
  EXPECT_EQ(
      refusal(
          [](OpDef& op) {
            op.shape = [](absl::Span<const TensorType>,
                          const Attributes&) -> absl::StatusOr<TensorType> {
              return TensorType{DType::kFloat64, {}};
            };
          },
          1),
      start + "the result would be float64, which nodes cannot be");
}

TEST(OpDefinitionTest, IsRefusedByCompileIfItCanOnlyBeEvaluated) {
  for (const bool elementwise : {false, true}) {
    Graph graph;
    const Var x = graph.Parameter("x", {2}, Constant(3));
    OpDef op;
    op.name = "Mine";
    op.operands = {"x"};
    op.shape = [](absl::Span<const TensorType> x,
                  const Attributes&) -> absl::StatusOr<TensorType> {
      return x[0];
    };
    op.reference = MapReference<[](double x) { return 2 * x; }>;
    op.traits.elementwise = elementwise;
    const Var y = Append(op, {x}, {}, At(4));
    const auto values = EvaluateReference({y});
    ASSERT_TRUE(values.ok()) << values.status();
    EXPECT_EQ((*values)[0].values<double>()[1], 6);
    EXPECT_EQ(Refusal(graph, y),
              absl::StrCat("net.cc:4: Mine: the op has no ",
                           elementwise ? "block" : "kernel", " to be run by"));
    op.reference = nullptr;
    EXPECT_EQ(
        EvaluateReference({Append(op, {x}, {}, At(5))}).status().message(),
        "net.cc:5: Mine has no reference to be evaluated by");
  }
}

// ---- Shared variables ----

TEST(SharedVariablesTest, AreNotAssigned) {
  using Shared = decltype((*std::declval<Graph&>().shared_variables())[0]);
  static_assert(!std::is_assignable_v<Shared, Variable>);
  static_assert(
      !std::is_assignable_v<decltype((std::declval<Shared>().value)), Tensor>);
}

// ---- Plans that outlive their graph ----

TEST(OutlivingPlanTest, IsFedAndReadByNameOrByKeptVars) {
  std::optional<Graph> graph(std::in_place);
  const Var x = graph->Input("x", {kBatch, 2}, DType::kFloat32, At(1));
  const Var w = graph->Parameter("w", {2}, Constant(3));
  const Var y = x * w;
  absl::StatusOr<Plan> plan =
      Compile(*graph, {.fetch = {y}, .outputs = {{"sum", Sum(y)}}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  // Another graph in the same place, whose input has the same number.
  graph.emplace();
  const Var other = graph->Input("x", {kBatch, 2});
  const Tensor numbers({1, 2}, Floats{1, 2});
  EXPECT_TRUE(plan->Run({{x, numbers}}).ok());
  EXPECT_EQ(plan->Value(y).values<float>(), (Floats{3, 6}));
  EXPECT_EQ(plan->Scalar("sum"), 9);
  const std::string name = "x";
  EXPECT_TRUE(plan->Run({{name, numbers}}).ok());
  EXPECT_TRUE(plan->Run({{"x", numbers}}).ok());
  EXPECT_EQ(plan->Value("sum").values<float>()[0], 9);
  EXPECT_EQ(plan->Run({{other, numbers}}, At(5)).message(),
            "net.cc:5: Run: what is fed is not an input of the plan's graph: "
            "it is of another one\n"
            "net.cc:5: Run: input \"x\" (net.cc:1) is not fed");
  EXPECT_EQ(plan->Run({{"x", numbers}, {"z\n", numbers}}, At(6)).message(),
            "net.cc:6: Run: there is no input \"z\\n\" to feed, only \"x\"");
  EXPECT_EQ(plan->Run({{"x", numbers}, {x, numbers}}, At(6)).message(),
            "net.cc:6: Run: input \"x\" (net.cc:1) is fed twice");
}

TEST(OutlivingPlanTest, RefusesWhatIsComputedOfItsGraph) {
  std::optional<Graph> graph(std::in_place);
  const Var x = graph->Input("x", {2});
  const Var y = Exp(x);
  absl::StatusOr<Plan> plan = Compile(*graph, {.fetch = {y}});
  ASSERT_TRUE(plan.ok());
  graph.reset();
  const Tensor numbers({2}, Floats{0, 0});
  EXPECT_EQ(plan->Run({{x, numbers}, {y, numbers}}, At(3)).message(),
            "net.cc:3: Run: what is fed is not an input of the plan's graph: "
            "it is computed");
  EXPECT_TRUE(plan->Run({{x, numbers}}).ok());
}

}  // namespace
}  // namespace tape
