// Every op, by the rows of the sample table (op_samples.h): its type, its
// float32 value against its reference, alone, fused and on several threads, its
// gradients to second order, and the texts of its mistakes. The last tests see
// to it that no op is without rows.
#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <ostream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "framework/check/gradient_check.h"
#include "framework/core/random.h"
#include "framework/core/reference.h"
#include "framework/framework.h"
#include "ops/ops.h"
#include "tests/ops/op_samples.h"

namespace tape {

// How googletest prints a row.
void PrintTo(const OpSample& sample, std::ostream* out) {
  *out << sample.op << ", " << sample.name;
}
void PrintTo(const OpErrorSample& sample, std::ostream* out) {
  *out << sample.op << ", " << sample.name;
}

namespace {

// What is composed of ops, at least of some operands, and so is no node itself.
const std::set<std::string>& Composed() {
  static const auto* const composed =
      new std::set<std::string>{"BatchNorm",
                                "BatchNormInference",
                                "Clip",
                                "Dot",
                                "Dropout",
                                "MatVec",
                                "Outer",
                                "Elu",
                                "ExpandDims",
                                "Flatten",
                                "HardTanh",
                                "Hinge",
                                "Huber",
                                "KlDivergence",
                                "LogSumExp",
                                "Max",
                                "Mean",
                                "MeanAbsoluteError",
                                "MeanSquaredError",
                                "Min",
                                "Norm",
                                "Pow",
                                "Prod",
                                "Selu",
                                "Split",
                                "Squeeze",
                                "Sum",
                                "Tile",
                                "TopK",
                                "Variance"};
  return *composed;
}

// Ops that no call from outside can declare wrongly.
const std::set<std::string>& CannotFail() {
  // Declared only by the gradient rules of Relu, Max and Prod, and their like,
  // or by reductions that check their axes first; GeluTanh by Gelu.
  static const auto* const ops = new std::set<std::string>{
      "AtIndex",        "CenterRows",        "Gaussian",
      "GeluSlope",      "GeluTanh",          "GeluTanhSlope",
      "LayerNormSlope", "LeakyReluGradient", "LogSoftmaxSlope",
      "MatMulOfRows",   "MeanParts",         "MeanSquareTo",
      "MeanTo",         "NormParts",         "NormTo",
      "NormaliseRows",  "Recurrence",        "RowScale",
      "ScaleTo",        "ScatterAddAlong",   "SigmoidError",
      "SigmoidSlope",   "SiluSlope",         "SoftmaxCrossEntropySlope",
      "SoftmaxSlope",   "StopGradient",      "TanhSlope"};
  return *ops;
}

// A row's graph, and what is fed to it.
struct Built {
  explicit Built(const OpSample& sample)
      : operands(DeclareOperands(&graph, sample)) {
    for (size_t i = 0; i < operands.x.size(); ++i) {
      feeds.emplace_back(operands.x[i], SampleValues(sample, i));
    }
    y = sample.build(operands);
  }

  // What the row's op may be differentiated by.
  std::vector<Var> FloatSources() {
    std::vector<Var> sources;
    for (int id = 0; id < graph.size(); ++id) {
      const Node& node = graph.node(id);
      if (node.op->traits.source && node.type.dtype == DType::kFloat32) {
        sources.push_back(Var(&graph, id));
      }
    }
    return sources;
  }

  Graph graph;
  SampleOperands operands;
  ReferenceFeeds feeds;
  Var y;
};

// What a plan computes for `fetches`, after a run with `before` if it is given.
std::vector<Tensor> RunPlan(const Graph& graph, const std::vector<Var>& fetches,
                            const ReferenceFeeds& feeds, int threads,
                            const std::vector<std::string>& without = {},
                            const ReferenceFeeds* before = nullptr) {
  absl::StatusOr<Plan> plan = Compile(
      graph, {.fetch = fetches, .threads = threads, .without = without});
  if (!plan.ok()) {
    ADD_FAILURE() << plan.status();
    return {};
  }
  for (const ReferenceFeeds* each : {before, &feeds}) {
    if (each == nullptr) continue;
    std::vector<Feed> fed;
    for (const auto& [var, tensor] : *each) fed.push_back({var, tensor});
    const absl::Status status = plan->Run(fed);
    if (!status.ok()) {
      ADD_FAILURE() << status;
      return {};
    }
  }
  std::vector<Tensor> values;
  for (Var fetch : fetches) {
    const TensorView view = plan->Value(fetch);
    values.push_back(Tensor(view.type()));
    std::memcpy(values.back().data(), view.data(), view.type().bytes());
  }
  return values;
}

// The operands' elements from the last to the first: other numbers that the op
// may have.
ReferenceFeeds Backwards(ReferenceFeeds feeds) {
  for (auto& [var, tensor] : feeds) {
    const size_t size = SizeOf(tensor.dtype());
    const Tensor forwards = tensor;
    const auto* from = static_cast<const std::byte*>(forwards.data());
    auto* to = static_cast<std::byte*>(tensor.data()) + tensor.type().bytes();
    for (int64_t i = 0; i < tensor.elements(); ++i, from += size) {
      std::memcpy(to -= size, from, size);
    }
  }
  return feeds;
}

// The float32 operands with their denormals as 0.
ReferenceFeeds WithoutDenormals(ReferenceFeeds feeds) {
  for (auto& [var, tensor] : feeds) {
    if (tensor.dtype() != DType::kFloat32) continue;
    for (float& value : tensor.values<float>()) {
      if (std::fpclassify(value) == FP_SUBNORMAL) {
        value = std::copysign(0.0f, value);
      }
    }
  }
  return feeds;
}

// What the references compute for `fetches`. A plan may take a denormal operand
// for 0, so there are two right answers: with and without denormals.
struct Expected {
  std::vector<Tensor> exact;
  std::vector<Tensor> flushed;
};

Expected Evaluate(const std::vector<Var>& fetches,
                  const ReferenceFeeds& feeds) {
  const auto exact = EvaluateReference(fetches, feeds);
  const auto flushed = EvaluateReference(fetches, WithoutDenormals(feeds));
  if (!exact.ok() || !flushed.ok()) {
    ADD_FAILURE() << exact.status();
    return {};
  }
  return {*exact, *flushed};
}

bool Agrees(DType dtype, double found, double expected,
            const Tolerance& tolerance) {
  if (dtype != DType::kFloat32) {
    return found == expected || (std::isnan(found) && std::isnan(expected));
  }
  const float rounded = static_cast<float>(expected);
  if (std::isnan(rounded)) return std::isnan(found);
  if (std::isinf(rounded)) return found == rounded;
  // FLT_MIN: where the result is denormal, it may be 0.
  return std::fabs(found - rounded) <=
         tolerance.relative * std::fabs(rounded) + tolerance.absolute + FLT_MIN;
}

// Expects `found` to be the `index`-th of the expected tensors.
void ExpectAgrees(const Tensor& found, const Expected& expected, size_t index,
                  const Tolerance& tolerance) {
  const Tensor& exact = expected.exact[index];
  ASSERT_EQ(found.shape(), exact.shape());
  const Tensor doubles = ToFloat64(found);
  int64_t wrong = 0;
  for (int64_t i = 0; i < found.elements(); ++i) {
    const double value = doubles.values<double>()[i];
    const double want = exact.values<double>()[i];
    if (Agrees(found.dtype(), value, want, tolerance) ||
        Agrees(found.dtype(), value,
               expected.flushed[index].values<double>()[i], tolerance)) {
      continue;
    }
    if (++wrong > 5) continue;  // Enough to see what is wrong.
    ADD_FAILURE() << "element " << i << " is " << absl::StrFormat("%.9g", value)
                  << ", the reference's " << absl::StrFormat("%.9g", want);
  }
  EXPECT_EQ(wrong, 0) << "of " << found.elements() << " elements";
}

// Expects the same bits; of NaNs, any.
void ExpectSameBits(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.type(), b.type());
  if (a.dtype() != DType::kFloat32) {
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.type().bytes()), 0);
    return;
  }
  for (int64_t i = 0; i < a.elements(); ++i) {
    const float left = a.values<float>()[i], right = b.values<float>()[i];
    if (std::isnan(left) && std::isnan(right)) continue;
    ASSERT_EQ(std::memcmp(&left, &right, sizeof(float)), 0)
        << "element " << i << ": " << left << " against " << right;
  }
}

// Random weights of magnitude 1 to 2, for gradients to start from. (Where y is
// beyond float32, so is y times a weight.)
Tensor DrawSeed(const Shape& shape) {
  RandomStream random(/*seed=*/1, StreamOf("op_test"));
  Tensor weights(TensorType{DType::kFloat32, shape});
  for (float& weight : weights.values<float>()) {
    weight = (random.Below(2) == 0 ? -1.f : 1.f) *
             static_cast<float>(1 + random.Uniform());
  }
  return weights;
}

// "Tanh_ordinary".
template <typename Row>
std::string RowName(const testing::TestParamInfo<Row>& info) {
  return absl::StrCat(info.param.op, "_", info.param.name);
}

std::vector<OpSample> RowsThat(bool (*condition)(const OpSample& sample)) {
  std::vector<OpSample> rows;
  for (const OpSample& sample : OpSamples()) {
    if (condition(sample)) rows.push_back(sample);
  }
  return rows;
}

bool IsFloat(const OpSample& sample) {
  return sample.output.dtype == DType::kFloat32;
}

bool HasDifferences(const OpSample& sample) {
  return IsFloat(sample) && (sample.differentiated == Differentiated::kTwice ||
                             sample.differentiated == Differentiated::kOnce);
}

bool HasGradient(const OpSample& sample) {
  return HasDifferences(sample) ||
         (IsFloat(sample) &&
          sample.differentiated == Differentiated::kCompiled);
}

// ---- Types and values ----

class OpTest : public testing::TestWithParam<OpSample> {};

TEST_P(OpTest, HasTheTypeThatTheRowSays) {
  Built built(GetParam());
  ASSERT_TRUE(built.graph.status().ok()) << built.graph.status();
  EXPECT_EQ(built.y.type(), GetParam().output)
      << built.y.type().ToString() << " for " << GetParam().output.ToString();
}

TEST_P(OpTest, DeclaresItsOpOnItsLine) {
  Built built(GetParam());
  bool found = false;
  for (int id = 0; id < built.graph.size(); ++id) {
    const Node& node = built.graph.node(id);
    const bool is_op =
        Composed().count(GetParam().op) > 0 || node.op->name == GetParam().op;
    // The lines of sources are the operands' own.
    found |= is_op && (node.op == &kInput ||
                       node.loc.ToString() == kSampleLoc.ToString());
  }
  EXPECT_TRUE(found) << built.graph.Dump();
}

TEST_P(OpTest, BearsTheLineOfTheScopeInWhichItIsDeclared) {
  Graph graph;
  const SampleOperands operands = DeclareOperands(&graph, GetParam());
  const int begin = graph.size();
  const Graph::LocScope scope(&graph, {"scope.cc", 5});
  GetParam().build(operands);
  for (int id = begin; id < graph.size(); ++id) {
    if (graph.node(id).op->traits.source) continue;
    EXPECT_EQ(graph.node(id).loc.ToString(), "scope.cc:5") << graph.Dump();
  }
}

TEST_P(OpTest, ComputesWhatItsReferenceDoes) {
  Built built(GetParam());
  const Expected expected = Evaluate({built.y}, built.feeds);
  const std::vector<Tensor> found =
      RunPlan(built.graph, {built.y}, built.feeds, /*threads=*/1);
  ASSERT_FALSE(found.empty() || expected.exact.empty());
  const TensorType& output = GetParam().output;
  EXPECT_EQ(found[0].type(),
            (TensorType{output.dtype, output.shape.Bind(kSampleBatch)}));
  ExpectAgrees(found[0], expected, 0, GetParam().tolerance);
}

TEST_P(OpTest, ComputesWhatItsReferenceDoesWithoutAnyPass) {
  Built built(GetParam());
  const Expected expected = Evaluate({built.y}, built.feeds);
  const std::vector<std::string> all(PassNames().begin(), PassNames().end());
  std::vector<std::vector<std::string>> sets = {all};
  for (const std::string& name : all) sets.push_back({name});
  for (const std::vector<std::string>& without : sets) {
    SCOPED_TRACE(absl::StrJoin(without, ", "));
    const auto found = RunPlan(built.graph, {built.y}, built.feeds,
                               /*threads=*/2, without);
    ASSERT_FALSE(found.empty());
    ExpectAgrees(found[0], expected, 0, GetParam().tolerance);
  }
}

TEST_P(OpTest, ComputesTheSameBitsOnTwoThreads) {
  Built built(GetParam());
  const auto one = RunPlan(built.graph, {built.y}, built.feeds, /*threads=*/1);
  const auto two = RunPlan(built.graph, {built.y}, built.feeds, /*threads=*/2);
  ASSERT_FALSE(one.empty() || two.empty());
  ExpectSameBits(one[0], two[0]);
}

// The last node whose op has another that can be made along; kNone if there is none.
int JointNode(const Graph& graph) {
  int id = graph.size() - 1;
  while (id >= 0 && graph.node(id).op->joint == nullptr) --id;
  return id < 0 ? kNone : id;
}

bool HasJoint(const OpSample& sample) {
  return JointNode(Built(sample).graph) != kNone;
}

// An op's value and that of the other op, by one kernel or block or by two.
class JointTest : public testing::TestWithParam<OpSample> {};

TEST_P(JointTest, HasTheBitsOfBothAlone) {
  Built built(GetParam());
  const Var y(&built.graph, JointNode(built.graph));
  const Node& node = built.graph.node(y.id());
  std::vector<Var> operands;
  for (const int id : node.inputs) operands.emplace_back(&built.graph, id);
  const Var along =
      Append(*node.op->joint->with, operands, node.attributes, kSampleLoc);
  for (const std::vector<Var>& fetches :
       {std::vector<Var>{y, along}, {along, y}}) {
    const auto both = RunPlan(built.graph, fetches, built.feeds, /*threads=*/1);
    ASSERT_EQ(both.size(), 2u);
    for (size_t i = 0; i < 2; ++i) {
      const auto alone =
          RunPlan(built.graph, {fetches[i]}, built.feeds, /*threads=*/1);
      ASSERT_FALSE(alone.empty());
      ExpectSameBits(both[i], alone[0]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, JointTest, testing::ValuesIn(RowsThat(HasJoint)),
                         RowName<OpSample>);

// A plan's memory is zeros at first, so the first run cannot show it.
TEST_P(OpTest, ComputesTheSameBitsOverWhatARunLeft) {
  Built built(GetParam());
  const ReferenceFeeds before = Backwards(built.feeds);
  const auto first =
      RunPlan(built.graph, {built.y}, built.feeds, /*threads=*/1);
  const auto next = RunPlan(built.graph, {built.y}, built.feeds, /*threads=*/1,
                            /*without=*/{}, &before);
  ASSERT_FALSE(first.empty() || next.empty());
  ExpectSameBits(first[0], next[0]);
}

INSTANTIATE_TEST_SUITE_P(All, OpTest, testing::ValuesIn(OpSamples()),
                         RowName<OpSample>);

// ---- Fusion ----

// Numbers narrower than a word have no arithmetic.
Var Widened(Var x) {
  if (x.dtype() == DType::kBFloat16) return Cast(x, DType::kFloat32);
  return x.dtype() == DType::kUint8 ? Cast(x, DType::kInt32) : x;
}

// What follows the op in a chain: y^2 + y, and once more x if the types allow
// it, so that x must survive y.
Var After(Var y, Var x) {
  y = Widened(y);
  const Var sum = Add(Mul(y, y), y);
  return x.type() == y.type() ? Add(sum, x) : sum;
}

// -x in the operand's dtype. Its double negation is x, to the bit.
Tensor Negated(Tensor x) {
  if (x.dtype() == DType::kFloat32) {
    for (float& value : x.values<float>()) value = -value;
  } else if (x.dtype() == DType::kInt32) {
    // By way of unsigned numbers, because the least int32 has no opposite.
    for (int32_t& value : x.values<int32_t>()) {
      value = static_cast<int32_t>(0u - static_cast<uint32_t>(value));
    }
  }
  return x;
}

// A copy that no pass fuses: what reads it finds it in the plan's own memory.
class CopyKernel : public Kernel {
 public:
  explicit CopyKernel(size_t bytes) : bytes_(bytes) {}
  void Run(int, const KernelArguments& arguments) const override {
    std::memcpy(arguments.outputs[0], arguments.inputs[0], bytes_);
  }

 private:
  size_t bytes_;
};

constexpr OpDef kCopy = {
    .name = "Copy",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x, const Attributes&)
        -> absl::StatusOr<TensorType> { return x[0]; },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      return std::make_unique<CopyKernel>(spec.output.bytes());
    },
};

class OpInAChainTest : public testing::TestWithParam<OpSample> {
 protected:
  // Expects the op between `before`, of each operand, and After to compute the
  // bits that it computes alone, where it reads what is fed and writes what is
  // fetched. What is fed in the chain is `fed` of each operand.
  void ExpectSameBitsAsAlone(Var (*before)(Var), Tensor (*fed)(Tensor)) {
    Built alone(GetParam());
    const auto y = RunPlan(alone.graph, {alone.y}, alone.feeds, /*threads=*/1);
    ASSERT_FALSE(y.empty());
    Graph after;
    const Var x_fed =
        after.Input("x", alone.operands.x[0].shape().Bind(kSampleBatch),
                    alone.operands.x[0].dtype());
    const Var y_fed = after.Input("y", y[0].shape(), y[0].dtype());
    const auto expected =
        RunPlan(after, {After(y_fed, x_fed)},
                {{x_fed, alone.feeds[0].second}, {y_fed, y[0]}}, /*threads=*/1);
    ASSERT_FALSE(expected.empty());

    Graph graph;
    SampleOperands operands = DeclareOperands(&graph, GetParam());
    ReferenceFeeds feeds;
    for (size_t i = 0; i < operands.x.size(); ++i) {
      feeds.emplace_back(operands.x[i], fed(SampleValues(GetParam(), i)));
      operands.x[i] = before(operands.x[i]);
    }
    const Var fused = GetParam().build(operands);
    const Var result = After(fused, operands.x[0]);
    const auto last = RunPlan(graph, {result}, feeds, /*threads=*/1);
    ASSERT_FALSE(last.empty());
    ExpectSameBits(last[0], expected[0]);
    const auto both = RunPlan(graph, {fused, result}, feeds, /*threads=*/2);
    ASSERT_FALSE(both.empty());
    ExpectSameBits(both[0], y[0]);
    ExpectSameBits(both[1], expected[0]);
  }
};

TEST_P(OpInAChainTest, ComputesTheSameBitsBetweenElementwiseOps) {
  ExpectSameBitsAsAlone(
      [](Var x) { return Widened(x).type() == x.type() ? Neg(x) : x; },
      Negated);
}

TEST_P(OpInAChainTest, ComputesTheSameBitsInThePlansMemory) {
  ExpectSameBitsAsAlone(
      [](Var x) { return Append(kCopy, {x}, {}, Loc::Current()); },
      [](Tensor x) { return x; });
}

// Constants are folded in double, which a chain of float32 need not match.
INSTANTIATE_TEST_SUITE_P(All, OpInAChainTest,
                         testing::ValuesIn(RowsThat([](const OpSample& sample) {
                           return !sample.inputs.empty();
                         })),
                         RowName<OpSample>);

// ---- Gradients ----

class OpGradientTest : public testing::TestWithParam<OpSample> {};

TEST_P(OpGradientTest, AgreesWithDifferences) {
  Built built(GetParam());
  const bool twice = GetParam().differentiated == Differentiated::kTwice;
  const absl::Status status =
      CheckGradients(built.y, built.FloatSources(), built.feeds,
                     // All elements of the small rows; of the large ones, which
                     // are there for the blocks, enough.
                     {.order = twice ? 2 : 1, .max_elements = 30});
  EXPECT_TRUE(status.ok()) << status;
}

INSTANTIATE_TEST_SUITE_P(All, OpGradientTest,
                         testing::ValuesIn(RowsThat(HasDifferences)),
                         RowName<OpSample>);

class OpCompiledGradientTest : public testing::TestWithParam<OpSample> {};

TEST_P(OpCompiledGradientTest, IsTheReferences) {
  Built built(GetParam());
  const Shape shape = GetParam().output.shape.Bind(kSampleBatch);
  const Var seed = built.graph.Input("seed", GetParam().output.shape);
  built.feeds.emplace_back(seed, DrawSeed(shape));
  std::vector<Var> fetches =
      Gradients(built.y, built.FloatSources(),
                {.seed = seed, .unconnected = Unconnected::kZero});
  ASSERT_TRUE(built.graph.status().ok()) << built.graph.status();
  // With y, as a training step has it, and because a plan learns the batch size
  // from the inputs that it needs.
  const size_t gradients = fetches.size();
  fetches.push_back(built.y);
  const Expected expected = Evaluate(fetches, built.feeds);
  const std::vector<Tensor> found =
      RunPlan(built.graph, fetches, built.feeds, /*threads=*/2);
  ASSERT_EQ(found.size(), fetches.size());
  ASSERT_EQ(expected.exact.size(), fetches.size());
  // The longest gradient rule has some dozen operations on numbers of order 1,
  // each off by an ulp or, where it is a function of Highway, four: 32 ulps
  // leave room. An element may be the sum of as many as y has, whose errors,
  // being of either sign, grow as the root of their number.
  constexpr double k32Ulps = 32 * 0x1p-23;
  const Tolerance tolerance = {
      .relative = k32Ulps,
      .absolute = k32Ulps * std::sqrt(1.0 + shape.elements())};
  for (size_t i = 0; i < gradients; ++i) {
    SCOPED_TRACE(absl::StrCat("by ", built.FloatSources()[i].id()));
    ExpectAgrees(found[i], expected, i, tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(All, OpCompiledGradientTest,
                         testing::ValuesIn(RowsThat(HasGradient)),
                         RowName<OpSample>);

class OpDerivativesTest : public testing::TestWithParam<OpSample> {};

TEST_P(OpDerivativesTest, AreWhatTheRowSays) {
  Built built(GetParam());
  const std::vector<Var> sources = built.FloatSources();
  ASSERT_EQ(sources.size(), GetParam().derivatives.size());
  const std::vector<Var> gradients =
      Gradients(Sum(built.y), sources, {.unconnected = Unconnected::kZero});
  ASSERT_TRUE(built.graph.status().ok()) << built.graph.status();
  const auto found = EvaluateReference(gradients, built.feeds);
  ASSERT_TRUE(found.ok()) << found.status();
  for (size_t i = 0; i < sources.size(); ++i) {
    const auto values = (*found)[i].values<double>();
    EXPECT_EQ(std::vector<double>(values.begin(), values.end()),
              GetParam().derivatives[i])
        << "by " << sources[i].id();
  }
}

INSTANTIATE_TEST_SUITE_P(All, OpDerivativesTest,
                         testing::ValuesIn(RowsThat([](const OpSample& sample) {
                           return !sample.derivatives.empty();
                         })),
                         RowName<OpSample>);

class OpValuesTest : public testing::TestWithParam<OpSample> {};

TEST_P(OpValuesTest, AreWhatTheRowSays) {
  Built built(GetParam());
  const auto found = EvaluateReference({built.y}, built.feeds);
  ASSERT_TRUE(found.ok()) << found.status();
  const auto values = (*found)[0].values<double>();
  ASSERT_EQ(values.size(), GetParam().values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const double expected = GetParam().values[i];
    // The operands are rounded to float32.
    EXPECT_NEAR(values[i], expected, 1e-6 * (1 + std::fabs(expected))) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, OpValuesTest,
                         testing::ValuesIn(RowsThat([](const OpSample& sample) {
                           return !sample.values.empty();
                         })),
                         RowName<OpSample>);

// To float32 from any dtype, with gy for a derivative, so that Gradients gets
// as far as an op that makes integers.
constexpr OpDef kToFloat = {
    .name = "ToFloat",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes&) -> absl::StatusOr<TensorType> {
      return TensorType{DType::kFloat32, x[0].shape};
    },
    .gradient = [](absl::Span<const Var>, Var, Var gy,
                   const Attributes&) -> Adjoints { return {gy}; },
};

class OpNotDifferentiableTest : public testing::TestWithParam<OpSample> {};

TEST_P(OpNotDifferentiableTest, IsRefusedByNameAndLine) {
  Built built(GetParam());
  const Var y = Append(kToFloat, {built.y}, {}, {"to_float.cc", 20});
  const Var seed = built.graph.Input("seed", y.shape());
  std::vector<Var> floats;
  for (Var x : built.operands.x) {
    const bool whole = x.dtype() == DType::kInt32 || x.dtype() == DType::kUint8;
    if (!whole) floats.push_back(x);
  }
  if (floats.empty()) {  // Refused before the op is met.
    Gradients(y, {built.operands.x[0]}, {.seed = seed}, {"gradients.cc", 30});
    EXPECT_TRUE(absl::StartsWith(
        built.graph.status().message(),
        "gradients.cc:30: Gradients: expected a float32 x, found "))
        << built.graph.status();
    return;
  }
  Gradients(y, floats, {.seed = seed}, {"gradients.cc", 30});
  EXPECT_EQ(built.graph.status().message(),
            absl::StrCat("op.cc:10: Gradients: ", GetParam().op,
                         " is not differentiable (asked for at "
                         "gradients.cc:30)"));
}

INSTANTIATE_TEST_SUITE_P(All, OpNotDifferentiableTest,
                         testing::ValuesIn(RowsThat([](const OpSample& sample) {
                           return sample.differentiated ==
                                  Differentiated::kRefused;
                         })),
                         RowName<OpSample>);

// ---- Mistakes ----

class OpErrorTest : public testing::TestWithParam<OpErrorSample> {};

TEST_P(OpErrorTest, SaysWhatIsWrongAndWhere) {
  Graph graph;
  SampleOperands operands = {.graph = &graph, .x = {}, .loc = kSampleLoc};
  for (size_t i = 0; i < GetParam().inputs.size(); ++i) {
    const TensorType& type = GetParam().inputs[i];
    operands.x.push_back(graph.Input(absl::StrCat("x", i), type.shape,
                                     type.dtype, OperandLoc(i)));
  }
  ASSERT_TRUE(graph.status().ok()) << graph.status();
  const Var y = GetParam().build(operands);
  EXPECT_FALSE(y.valid());
  Square(y);  // Stays quietly invalid.
  EXPECT_EQ(graph.status().message(), GetParam().message);
  EXPECT_EQ(Compile(graph, {}).status().message(), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(All, OpErrorTest, testing::ValuesIn(OpErrorSamples()),
                         RowName<OpErrorSample>);

// ---- The table itself ----

// The names of all ops that are defined in the sources, which are this test's
// data.
std::set<std::string> DefinedOps() {
  std::vector<std::filesystem::path> files = {"framework/core/basic_ops.cc",
                                              "framework/core/calculus.cc"};
  for (const auto& entry : std::filesystem::directory_iterator("ops")) {
    if (entry.path().extension() == ".cc") files.push_back(entry.path());
  }
  std::set<std::string> ops;
  const std::regex definition("OpDef k(\\w+) = (\\{\\s*\\.name = \"(\\w+)\")?");
  for (const std::filesystem::path& file : files) {
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    const std::string source = text.str();
    EXPECT_FALSE(source.empty()) << file;
    for (std::sregex_iterator it(source.begin(), source.end(), definition), end;
         it != end; ++it) {
      EXPECT_EQ((*it)[1], (*it)[3]) << file << " names " << it->str();
      ops.insert((*it)[3]);
    }
  }
  return ops;
}

// The nodes of all rows' graphs, with their gradients and the gradients of
// those, by the names of their ops.
std::set<std::string> OpsInSamples() {
  std::set<std::string> ops;
  for (const OpSample& sample : OpSamples()) {
    Built built(sample);
    std::vector<Var> derivatives = {built.y};
    for (int order = 1; order <= 2 && HasGradient(sample); ++order) {
      std::vector<Var> next;
      for (Var y : derivatives) {
        const Var seed = built.graph.Input(
            absl::StrCat("seed", built.graph.size()), y.shape());
        for (Var gradient :
             Gradients(y, built.FloatSources(),
                       {.seed = seed, .unconnected = Unconnected::kZero})) {
          next.push_back(gradient);
        }
      }
      derivatives = std::move(next);
      if (!built.graph.status().ok()) {
        ADD_FAILURE() << built.graph.status();
        break;
      }
    }
    for (int id = 0; id < built.graph.size(); ++id) {
      ops.insert(built.graph.node(id).op->name);
    }
  }
  return ops;
}

// "Log, Tanh": the ops of `all` that are not in `some`.
std::string Missing(const std::set<std::string>& all,
                    const std::set<std::string>& some) {
  std::vector<std::string> missing;
  std::set_difference(all.begin(), all.end(), some.begin(), some.end(),
                      std::back_inserter(missing));
  return absl::StrJoin(missing, ", ");
}

TEST(OpSamplesTest, EveryOpHasASample) {
  const std::set<std::string> defined = DefinedOps();
  EXPECT_GE(defined.size(), 30u) << "the sources were not read as they should";
  std::set<std::string> rows;
  for (const OpSample& sample : OpSamples()) rows.insert(sample.op);
  EXPECT_EQ(Missing(defined, rows), "") << "have no row in OpSamples()";
  EXPECT_EQ(Missing(defined, OpsInSamples()), "")
      << "are not in the graph of any row";
  std::set<std::string> known = defined;
  known.insert(Composed().begin(), Composed().end());
  EXPECT_EQ(Missing(rows, known), "") << "have rows, but are no ops";
}

TEST(OpSamplesTest, EveryComposedOpHasARowWithItsValues) {
  // Of which the ops' own rows say what is to be said.
  std::set<std::string> rows = {"Clip", "Mean", "Sum"};
  for (const OpSample& sample : OpSamples()) {
    if (!sample.values.empty()) rows.insert(sample.op);
  }
  EXPECT_EQ(Missing(Composed(), rows), "") << "have no row with values";
}

TEST(OpSamplesTest, EveryOpThatCanFailHasAnErrorSample) {
  std::set<std::string> rows = CannotFail();
  for (const OpErrorSample& sample : OpErrorSamples()) rows.insert(sample.op);
  EXPECT_EQ(Missing(DefinedOps(), rows), "")
      << "have no row in OpErrorSamples()";
}

TEST(OpSamplesTest, EveryOpHasAGradientRuleOrIsRefusedByARow) {
  std::set<std::string> without_rule, refused;
  for (const OpSample& sample : OpSamples()) {
    if (sample.differentiated == Differentiated::kRefused) {
      refused.insert(sample.op);
    }
    Built built(sample);
    for (int id = 0; id < built.graph.size(); ++id) {
      const OpDef& op = *built.graph.node(id).op;
      // That of ByMode is the driver's.
      if (op.gradient == nullptr && !op.traits.source && !op.traits.by_mode) {
        without_rule.insert(op.name);
      }
    }
  }
  EXPECT_EQ(Missing(without_rule, refused), "")
      << "have no gradient rule, which no row of kRefused expects";
}

TEST(OpSamplesTest, EveryDifferentiableOpIsComparedWithDifferencesTwice) {
  std::set<std::string> with_rule, compared;
  for (const OpSample& sample : OpSamples()) {
    Built built(sample);
    for (int id = 0; id < built.graph.size(); ++id) {
      const OpDef& op = *built.graph.node(id).op;
      if (op.gradient != nullptr) with_rule.insert(op.name);
    }
    if (HasDifferences(sample) &&
        sample.differentiated == Differentiated::kTwice) {
      compared.insert(sample.op);
    }
  }
  EXPECT_EQ(Missing(with_rule, compared), "")
      << "have a gradient rule, but no row of kTwice";
}

}  // namespace
}  // namespace tape
