// Simplify (framework/compiler/passes.h), rule by rule, by the text of the
// program; and what it must leave, since the bits would not be the same.
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/compiler/compile.h"
#include "framework/compiler/passes.h"
#include "framework/compiler/verify.h"
#include "framework/core/basic_ops.h"
#include "framework/core/graph.h"
#include "framework/core/reference.h"
#include "framework/runtime/program.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/ops/op_samples.h"

namespace tape {
namespace {

// What is left of `fetches` once it is simplified: a node a line.
std::string Simplified(const std::vector<Var>& fetches) {
  const Graph& graph = *fetches[0].graph();
  EXPECT_TRUE(graph.status().ok()) << graph.status();
  Program program = Bind(Extract(graph, fetches, {}), 4);
  program = Simplify(std::move(program));
  Verify(program);
  program = Prune(std::move(program));
  Verify(program);
  return Dump(program);
}

class SimplifyTest : public testing::Test {
 protected:
  Var Number(double value, DType dtype = DType::kFloat32) {
    return Fill(&graph_, {}, value, dtype);
  }
  // Expects that `y` becomes `x`, an input.
  void ExpectInput(Var y, Var x) {
    EXPECT_EQ(Simplified({y}), Simplified({x}));
  }
  // Expects that `y` is left as it is.
  void ExpectLeft(Var y) {
    EXPECT_EQ(Simplified({y}), Dump(Bind(Extract(graph_, {y}, {}), 4)));
  }

  Graph graph_;
  Var x_ = graph_.Input("x", {2, 3});
  Var i_ = graph_.Input("i", {2, 3}, DType::kInt32);
};

Simplification said;  // By the rule of kOdd.
constexpr OpDef kOdd = {
    .name = "Odd",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x, const Attributes&)
        -> absl::StatusOr<TensorType> { return x[0]; },
    .kernel = [](const KernelSpec&) { return std::unique_ptr<Kernel>(); },
    .simplify = [](const SimplifyQuery&) { return said; },
};

TEST_F(SimplifyTest, AWrongResultOfARuleIsAnErrorWithTheLine) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Var odd = Append(kOdd, {x}, {}, {"net.cc", 5});
  const Var twice = Append(kOdd, {Square(x)}, {}, {"net.cc", 6});
  const auto message = [&](Var y, const Simplification& wrong) {
    said = wrong;
    const absl::Status status = Compile(graph, {.fetch = {y}}).status();
    said = {};
    return std::string(status.message());
  };
  const std::string rule = "Odd: its rule for simpler values: expected ";
  EXPECT_EQ(message(odd, {.kind = Simplification::kInput, .input = 1}),
            "net.cc:5: " + rule + "one of 1 inputs, found number 1");
  EXPECT_EQ(message(odd, {.kind = Simplification::kInput, .input = -1}),
            "net.cc:5: " + rule + "one of 1 inputs, found number -1");
  EXPECT_EQ(message(odd, {.kind = Simplification::kInputOfInput}),
            "net.cc:5: " + rule + "an input that has inputs, found Input");
  EXPECT_EQ(message(odd, {.kind = Simplification::kWithoutInput}),
            "net.cc:5: " + rule + "an input that has inputs, found Input");
  EXPECT_EQ(message(twice, {.kind = static_cast<Simplification::Kind>(9)}),
            "net.cc:6: " + rule + "a kind, found 9");
}

TEST_F(SimplifyTest, AProductWithOneIsTheOtherFactor) {
  ExpectInput(x_ * 1, x_);
  ExpectInput(1 * x_, x_);
  ExpectInput(x_ * Fill(&graph_, {2, 3}, 1), x_);
  ExpectInput(i_ * 1, i_);
  ExpectLeft(x_ * 0);  // NaN * 0 is NaN.
  ExpectLeft(x_ * (1 + 1e-7));
  ExpectLeft(x_ * x_);
}

TEST_F(SimplifyTest, AQuotientByOneIsTheDividend) {
  ExpectInput(x_ / 1, x_);
  ExpectLeft(1 / x_);
}

TEST_F(SimplifyTest, ADifferenceFromZeroIsTheMinuend) {
  ExpectInput(x_ - 0, x_);
  ExpectInput(i_ - 0, i_);
  ExpectLeft(0 - x_);
  ExpectLeft(x_ - Number(-0.0));  // -0 - -0 is 0.
}

TEST_F(SimplifyTest, ASumWithMinusZeroIsTheOtherTerm) {
  ExpectInput(x_ + Number(-0.0), x_);
  ExpectInput(Number(-0.0) + x_, x_);
  ExpectInput(i_ + 0, i_);
  ExpectLeft(x_ + 0);  // -0 + 0 is 0.
}

TEST_F(SimplifyTest, ASumOfOneTermIsTheTerm) {
  ExpectInput(AddN({x_}), x_);
  ExpectLeft(AddN({x_, x_}));
}

TEST_F(SimplifyTest, NoOneIsLeftOutThatStretchesTheOther) {
  const Var scalar = graph_.Input("scalar", {});
  ExpectLeft(scalar * Fill(&graph_, {2, 3}, 1));
}

TEST_F(SimplifyTest, WhatIsNegatedTwiceIsItself) {
  ExpectInput(-(-x_), x_);
  ExpectInput(-(-i_), i_);
  EXPECT_EQ(Simplified({-(-(-x_))}), Simplified({-x_}));
}

TEST_F(SimplifyTest, WhatChangesNothingASecondTimeIsDoneOnce) {
  EXPECT_EQ(Simplified({Relu(Relu(x_))}), Simplified({Relu(x_)}));
  EXPECT_EQ(Simplified({Abs(Abs(x_))}), Simplified({Abs(x_)}));
  EXPECT_EQ(Simplified({Sign(Sign(x_))}), Simplified({Sign(x_)}));
  EXPECT_EQ(Simplified({Floor(Floor(x_))}), Simplified({Floor(x_)}));
  ExpectLeft(Exp(Exp(x_)));
  ExpectLeft(Abs(Relu(x_)));
}

TEST_F(SimplifyTest, TheReshapeOfAReshapeIsOne) {
  EXPECT_EQ(Simplified({Reshape(Reshape(x_, {3, 2}), {6})}),
            Simplified({Reshape(x_, {6})}));
  ExpectInput(Reshape(Reshape(x_, {6}), {2, 3}), x_);
}

TEST_F(SimplifyTest, AReshapeToTheShapeThatTheBatchGivesIsNone) {
  const Var rows = graph_.Input("rows", {kBatch, 3});
  const Var y = Reshape(Reshape(rows, {kBatch, 1, 3}), {kBatch, 3});
  ExpectInput(y, rows);
}

TEST_F(SimplifyTest, TheBroadcastOfABroadcastIsOne) {
  const Var row = graph_.Input("row", {3});
  EXPECT_EQ(Simplified({BroadcastTo(BroadcastTo(row, {2, 3}), {4, 2, 3})}),
            Simplified({BroadcastTo(row, {4, 2, 3})}));
  ExpectInput(BroadcastTo(x_, {2, 3}), x_);
  // Sums of sums would be taken in another order.
  ExpectLeft(SumTo(SumTo(BroadcastTo(x_, {4, 2, 3}), {2, 3}), {3}));
}

TEST_F(SimplifyTest, TheTransposeOfATransposeIsOne) {
  const Var cube = graph_.Input("cube", {2, 3, 4});
  EXPECT_EQ(Simplified({Transpose(Transpose(cube, {1, 2, 0}), {0, 2, 1})}),
            Simplified({Transpose(cube, {1, 0, 2})}));
  ExpectInput(Transpose(Transpose(cube, {1, 2, 0}), {2, 0, 1}), cube);
  ExpectInput(Transpose(cube, {0, 1, 2}), cube);
  ExpectLeft(Transpose(cube, {0, 2, 1}));
}

TEST_F(SimplifyTest, AProductReadsATransposeAsItLies) {
  const Var a = graph_.Input("a", {3, 4}), b = graph_.Input("b", {3, 5});
  EXPECT_EQ(Simplified({MatMul(Transpose(a), b)}),
            Simplified({MatMul(a, b, {.lhs = true})}));
  EXPECT_EQ(Simplified({MatMul(Transpose(a), Transpose(b), {.rhs = true})}),
            Simplified({MatMul(a, b, {.lhs = true})}));
  EXPECT_EQ(Simplified({MatMul(Transpose(Transpose(a)), b, {.lhs = true})}),
            Simplified({MatMul(a, b, {.lhs = true})}));
  ExpectLeft(MatMul(a, b, {.lhs = true}));
}

TEST_F(SimplifyTest, WhatIsReversedTwiceAlongOneAxisIsItself) {
  ExpectInput(Reverse(Reverse(x_, 1), -1), x_);
  ExpectLeft(Reverse(Reverse(x_, 1), 0));
}

TEST_F(SimplifyTest, APartThatIsAllIsTheWhole) {
  ExpectInput(Slice(x_, 1, {0, 3}), x_);
  ExpectInput(Pad(x_, 1, {0, 0}), x_);
  ExpectInput(Concat({x_}, 0), x_);
  ExpectLeft(Slice(x_, 1, {0, 2}));
  ExpectLeft(Pad(x_, 1, {0, 1}));
  ExpectLeft(Concat({x_, x_}, 0));
}

TEST_F(SimplifyTest, TheLargerAndTheSmallerOfOneNumberIsIt) {
  ExpectInput(Maximum(x_, x_), x_);
  ExpectInput(Minimum(x_, x_), x_);
  ExpectLeft(Maximum(x_, -x_));
  ExpectLeft(Minimum(x_, -x_));
}

TEST_F(SimplifyTest, AChoiceThatIsKnownIsMade) {
  const Var other = graph_.Input("other", {2, 3});
  const Var condition = graph_.Input("condition", {2, 3}, DType::kUint8);
  ExpectInput(Select(Number(1, DType::kUint8), x_, other), x_);
  ExpectInput(Select(Number(7, DType::kUint8), x_, other), x_);
  ExpectInput(Select(Number(0, DType::kUint8), other, x_), x_);
  ExpectInput(Select(condition, x_, x_), x_);
  ExpectLeft(Select(condition, x_, other));
  // What is chosen is stretched to the condition's shape.
  const Var yes = Fill(&graph_, {4, 2, 3}, 1, DType::kUint8);
  ExpectLeft(Select(yes, x_, other));
}

TEST_F(SimplifyTest, WhatBecomesSimplerLetsItsReadersBecomeSo) {
  ExpectInput(-(1 * (-(x_ - 0) / 1)), x_);
}

TEST_F(SimplifyTest, AFetchThatBecomesAnInputIsACopyOfIt) {
  absl::StatusOr<Plan> plan = Compile(graph_, {.fetch = {x_ * 1}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->Steps().size(), 1u);
  EXPECT_EQ(plan->Steps()[0].name, "BroadcastTo");
}

// What the rules promise: the same bits with and without them.
TEST_F(SimplifyTest, KeepsTheBitsOfNumbersThatAreSpecial) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const Tensor x({2, 3},
                 std::vector<float>{0.0f, -0.0f, nan, infinity, -infinity, -1});
  const std::vector<Var> fetch = {x_ * 1,
                                  x_ / 1,
                                  x_ - 0,
                                  x_ + 0,
                                  x_ + Number(-0.0),
                                  -(-x_),
                                  Relu(Relu(x_)),
                                  Abs(Abs(x_)),
                                  Sign(Sign(x_)),
                                  AddN({x_}),
                                  Maximum(x_, x_),
                                  Minimum(x_, x_),
                                  Floor(Floor(x_))};
  absl::StatusOr<Plan> with = Compile(graph_, {.fetch = fetch});
  absl::StatusOr<Plan> without =
      Compile(graph_, {.fetch = fetch, .without = {"simplify"}});
  ASSERT_TRUE(with.ok() && without.ok());
  ASSERT_TRUE(with->Run({{x_, x}}).ok());
  ASSERT_TRUE(without->Run({{x_, x}}).ok());
  for (size_t f = 0; f < fetch.size(); ++f) {
    EXPECT_EQ(std::memcmp(with->Value(fetch[f]).data(),
                          without->Value(fetch[f]).data(), x.type().bytes()),
              0)
        << f;
  }
}

// ---- Every elementwise op that has a rule, on the special values ----

// The ops of the sample table that have one, each once.
std::vector<const OpDef*> ElementwiseOpsWithARule() {
  std::vector<const OpDef*> ops;
  for (const OpSample& sample : OpSamples()) {
    Graph graph;
    sample.build(DeclareOperands(&graph, sample));
    for (int id = 0; id < graph.size(); ++id) {
      const OpDef* const op = graph.node(id).op;
      if (op->simplify != nullptr && op->traits.elementwise &&
          std::find(ops.begin(), ops.end(), op) == ops.end()) {
        ops.push_back(op);
      }
    }
  }
  return ops;
}

// All nodes of `op` whose operands are drawn from two inputs, one of them
// perhaps twice, constants, and the op itself.
class Patterns {
 public:
  explicit Patterns(const OpDef& op) : op_(op) {
    const double infinity = std::numeric_limits<double>::infinity();
    for (DType dtype : {DType::kFloat32, DType::kInt32, DType::kUint8}) {
      const int elements = 64;
      for (const char* name : {"x", "y"}) {
        const Var input =
            graph_.Input(absl::StrCat(name, Name(dtype)), {elements}, dtype);
        inputs_.push_back(input);
        operands_.push_back(input);
      }
      for (double value : {0.0, -0.0, 1.0, -1.0, 2.0, infinity, -infinity,
                           std::numeric_limits<double>::quiet_NaN(), 1e-40,
                           1e-60, -1e-60, 1 + 1e-9}) {
        if (!CanHold(dtype, value)) continue;
        operands_.push_back(Fill(&graph_, {}, value, dtype));
      }
    }
    int arity = 0;
    while (arity < 3 && op.operands[arity] != nullptr) ++arity;
    Choose(arity, {});
    // Of itself.
    const std::vector<Var> once = fetches_;
    for (Var inner : once) {
      if (arity == 1) AppendIfItFits({inner});
      if (op.variadic) AppendIfItFits({inner, inner});
    }
  }

  const Graph& graph() const { return graph_; }
  const std::vector<Var>& inputs() const { return inputs_; }
  const std::vector<Var>& fetches() const { return fetches_; }

 private:
  void Choose(int more, std::vector<Var> chosen) {
    if (more == 0) return AppendIfItFits(chosen);
    for (Var operand : operands_) {
      chosen.push_back(operand);
      Choose(more - 1, chosen);
      chosen.pop_back();
    }
  }

  void AppendIfItFits(const std::vector<Var>& x) {
    Attributes attributes;
    attributes.shape = {64};  // Of BroadcastTo.
    std::vector<TensorType> types;
    bool has_input = false;
    for (Var var : x) {
      types.push_back(var.type());
      has_input = has_input || var.shape().rank() > 0;
    }
    if (!has_input || !op_.shape(types, attributes).ok()) return;
    fetches_.push_back(graph_.Append(op_, x, attributes, Loc::Current()));
  }

  const OpDef& op_;
  Graph graph_;
  std::vector<Var> inputs_, operands_, fetches_;
};

// 64 numbers: every pair of eight special ones.
Tensor SpecialNumbers(DType dtype, bool first) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> floats = {0.0f,
                                     -0.0f,
                                     infinity,
                                     -infinity,
                                     std::numeric_limits<float>::quiet_NaN(),
                                     1e-40f,
                                     3.4e38f,
                                     -1.5f};
  const std::vector<int32_t> integers = {0, 1,    -1,         2,
                                         7, -100, 2147483647, -2147483647 - 1};
  Tensor numbers(TensorType{dtype, {64}});
  for (int i = 0; i < 64; ++i) {
    const int at = first ? i / 8 : i % 8;
    if (dtype == DType::kFloat32) numbers.values<float>()[i] = floats[at];
    if (dtype == DType::kInt32) numbers.values<int32_t>()[i] = integers[at];
    if (dtype == DType::kUint8) {
      numbers.values<uint8_t>()[i] = static_cast<uint8_t>(at);
    }
  }
  return numbers;
}

// The same bits, but that a denormal may be 0, and a NaN any.
bool AreTheSame(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (std::signbit(a) != std::signbit(b)) return false;
  return a == b || (std::fabs(a) < FLT_MIN && std::fabs(b) < FLT_MIN);
}

TEST(SimplifyRulesTest, HoldForSpecialValues) {
  const std::vector<const OpDef*> ops = ElementwiseOpsWithARule();
  EXPECT_GE(ops.size(), 10u);
  for (const OpDef* op : ops) {
    SCOPED_TRACE(op->name);
    const Patterns patterns(*op);
    EXPECT_FALSE(patterns.fetches().empty());
    // Other passes must not do what the rule may not.
    const CompileOptions plain = {.fetch = patterns.fetches(),
                                  .threads = 1,
                                  .without = {"fold_constants"}};
    CompileOptions left_out = plain;
    left_out.without.push_back("simplify");
    absl::StatusOr<Plan> with = Compile(patterns.graph(), plain);
    absl::StatusOr<Plan> without = Compile(patterns.graph(), left_out);
    ASSERT_TRUE(with.ok()) << with.status();
    ASSERT_TRUE(without.ok()) << without.status();
    std::vector<Tensor> numbers;
    for (size_t i = 0; i < patterns.inputs().size(); ++i) {
      numbers.push_back(
          SpecialNumbers(patterns.inputs()[i].dtype(), i % 2 == 0));
    }
    std::vector<Feed> feeds;
    for (size_t i = 0; i < numbers.size(); ++i) {
      feeds.push_back({patterns.inputs()[i], numbers[i]});
    }
    ASSERT_TRUE(with->Run(feeds).ok());
    ASSERT_TRUE(without->Run(feeds).ok());
    for (Var fetch : patterns.fetches()) {
      const Tensor found = ToFloat64(with->Value(fetch));
      const Tensor expected = ToFloat64(without->Value(fetch));
      for (int64_t i = 0; i < found.elements(); ++i) {
        const double a = found.values<double>()[i];
        const double b = expected.values<double>()[i];
        if (AreTheSame(a, b)) continue;
        ADD_FAILURE() << patterns.graph().Describe(fetch.id()) << ", node "
                      << fetch.id() << ", element " << i << " is " << a
                      << " with the rule and " << b << " without\n"
                      << patterns.graph().Dump();
        return;
      }
    }
  }
}

}  // namespace
}  // namespace tape
