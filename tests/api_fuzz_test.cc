// Random calls of the public API with arguments that are mostly wrong: no call
// crashes, and each error says where: with the user's file and line, or with the
// name of the file that was read.
//
// A program makes some twenty calls on two graphs and what they have given so
// far: Vars that are valid, invalid, empty, of the other graph or of one that
// has gone; every op, by the sample table's functions, with operands of other
// samples, and with random attributes; chains of transformations, schedules,
// plans and feeds; files, data sets, metrics and checkpoints.
//
// The environment variable API_FUZZ_CALLS asks for another number of calls:
// bazel test --test_env=API_FUZZ_CALLS=1000000. API_FUZZ_SEED asks for the one
// program of that seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "framework/core/random.h"
#include "framework/framework.h"
#include "framework/io/idx.h"
#include "framework/io/npz.h"
#include "ops/ops.h"
#include "tests/file_testing.h"
#include "tests/ops/op_samples.h"

namespace tape {
namespace {

constexpr int kCalls = 5000;
constexpr int kCallsOfProgram = 20;
// What a plan computes stays small; larger shapes are declared only.
constexpr int64_t kMostElements = 20000;

// Whether a line names a place: "net.cc:12".
bool HasPlace(absl::string_view line) {
  for (absl::string_view suffix : {".cc:", ".h:"}) {
    for (size_t at = line.find(suffix); at != absl::string_view::npos;
         at = line.find(suffix, at + 1)) {
      const size_t next = at + suffix.size();
      if (next < line.size() && absl::ascii_isdigit(line[next])) return true;
    }
  }
  return false;
}

// One program: random calls, which depend on its seed alone.
class Program {
 public:
  explicit Program(int seed) : random_(seed, StreamOf("api_fuzz")) {
    for (auto& graph : graphs_) graph = std::make_unique<Graph>();
  }

  // Empty, or what was wrong with an error.
  std::string Call() {
    using Action = void (Program::*)();
    struct Weighted {
      int weight;
      Action action;
    };
    static constexpr Weighted kActions[] = {
        {4, &Program::Declare},      {12, &Program::ApplySample},
        {12, &Program::ApplyOp},     {4, &Program::Differentiate},
        {3, &Program::Train_},       {6, &Program::CompileAndRun},
        {3, &Program::RunAgain},     {3, &Program::ReadHandles},
        {2, &Program::Interpret},    {1, &Program::RenewGraph},
        {2, &Program::UseTensors},   {1, &Program::UseData},
        {1, &Program::UseFiles},     {1, &Program::UseMetrics},
        {1, &Program::UseSchedules},
    };
    int all = 0;
    for (const Weighted& one : kActions) all += one.weight;
    int drawn = Below(all);
    for (const Weighted& one : kActions) {
      drawn -= one.weight;
      if (drawn >= 0) continue;
      (this->*one.action)();
      break;
    }
    for (const auto& graph : graphs_) ExpectPlace(graph->status());
    return wrong_;
  }

 private:
  // ---- Draws ----

  int Below(int bound) { return static_cast<int>(random_.Below(bound)); }
  bool Chance(int percent) { return Below(100) < percent; }
  template <typename T>
  T Of(std::initializer_list<T> values) {
    return values.begin()[Below(static_cast<int>(values.size()))];
  }
  int Int() {
    if (Chance(70)) return Below(6) - 2;
    return Of({-2147483647 - 1, 2147483647, -1000000, 1000000, 64, 1000});
  }
  int64_t Int64() {
    if (Chance(70)) return Below(6) - 1;
    return Of<int64_t>({std::numeric_limits<int64_t>::min(),
                        std::numeric_limits<int64_t>::max(), -1000000,
                        int64_t{1} << 40, int64_t{1} << 62, 1000, kNoDim});
  }
  double Number() {
    if (Chance(50)) return random_.Uniform() * 4 - 2;
    const double inf = std::numeric_limits<double>::infinity();
    return Of({0.0, -0.0, 1.0, -1.0, inf, -inf, std::nan(""), 1e300, -1e300,
               1e-320, 0.5, 0.999, 2147483648.0});
  }
  std::string Text() {
    if (Chance(60)) return absl::StrCat("n", Below(6));
    return Of<std::string>({"", "x", "a\nb", "\x1b[2J", "\xff", "a/b", "step",
                            std::string("\0", 1), std::string(300, 'y'), "*",
                            "step/2", "n1/adam/m", "\"", "%s"});
  }
  DType Type() {
    if (Chance(60)) return DType::kFloat32;
    return Of({DType::kInt32, DType::kUint8, DType::kBFloat16, DType::kFloat64,
               static_cast<DType>(77)});
  }
  int64_t Dim() {
    if (Chance(80)) return 1 + Below(4);
    return Chance(50) ? kBatch : Int64();
  }
  Shape AnyShape() {
    absl::InlinedVector<int64_t, 4> dims(Below(5));
    for (int64_t& dim : dims) dim = Dim();
    return Shape(dims);
  }
  Shape SmallShape() {
    absl::InlinedVector<int64_t, 4> dims(Below(4));
    for (int64_t& dim : dims) dim = Below(5);
    return Shape(dims);
  }
  std::vector<int> Axes_() {
    std::vector<int> axes(Below(4));
    for (int& axis : axes) axis = Int();
    return axes;
  }
  // Of the caller's line, as a user's is.
  Loc Here() { return Loc{"fuzz.cc", ++line_}; }

  Graph* AnyGraph() { return graphs_[Below(2)].get(); }
  Graph* GraphOrNull() { return Chance(95) ? AnyGraph() : nullptr; }
  Var AnyVar() {
    if (Chance(4)) return Var();
    if (Chance(3)) return Var(GraphOrNull(), Int());
    if (vars_.empty()) return AnyGraph()->Input(Text(), AnyShape());
    // Mostly of those that were made last.
    const int count = static_cast<int>(vars_.size());
    return vars_[count - 1 - Below(Chance(70) ? std::min(count, 8) : count)];
  }
  std::vector<Var> Vars(int most) {
    std::vector<Var> vars(Below(most + 1));
    for (Var& var : vars) var = AnyVar();
    return vars;
  }
  void Add(Var var) { vars_.push_back(var); }
  void AddAll(const std::vector<Var>& vars) {
    for (Var var : vars) Add(var);
  }

  Tensor AnyTensor() {
    Tensor tensor({Of({DType::kFloat32, DType::kFloat32, DType::kInt32,
                       DType::kUint8, DType::kBFloat16, DType::kFloat64}),
                   SmallShape()});
    return Filled(std::move(tensor));
  }
  Tensor Filled(Tensor tensor) {
    if (tensor.dtype() == DType::kFloat32) {
      for (float& x : tensor.values<float>()) x = static_cast<float>(Number());
    }
    if (tensor.dtype() == DType::kInt32) {
      for (int32_t& x : tensor.values<int32_t>()) x = Int();
    }
    return tensor;
  }

  // ---- What is found ----

  void ExpectPlace(const absl::Status& status) {
    if (status.ok()) return;
    for (absl::string_view line : absl::StrSplit(status.message(), '\n')) {
      if (HasPlace(line) || absl::StartsWith(line, "and ")) continue;
      wrong_ = absl::StrCat("an error without a place: ", status.message());
    }
  }
  void ExpectNamed(const absl::Status& status, absl::string_view file) {
    if (status.ok() || absl::StrContains(status.message(), file)) return;
    wrong_ = absl::StrCat("an error that does not name ", file, ": ",
                          status.message());
  }
  void ExpectText(const absl::Status& status) {
    if (status.ok() || !status.message().empty()) return;
    wrong_ = "an error without a message";
  }

  // ---- Calls ----

  void Declare() {
    Graph* const graph = AnyGraph();
    const Initializer initializer =
        Chance(60)   ? Constant(1)
        : Chance(50) ? Values(AnyTensor())
                     : Of<Initializer>({Glorot(Number()), He(), Zeros(),
                                        Uniform(Number(), Number()),
                                        Normal(Number(), Number()),
                                        Initializer(Initializer::Make())});
    switch (Below(3)) {
      case 0:
        return Add(graph->Input(Text(), AnyShape(), Type(), Here()));
      case 1:
        return Add(graph->Parameter(
            Text(), SmallOrAnyShape(), initializer,
            Of({Tag::kAuto, Tag::kWeight, Tag::kBias, Tag::kState}), Here()));
      default:
        return Add(graph->State(Text(), SmallOrAnyShape(), initializer, Type(),
                                Here()));
    }
  }
  // A variable takes memory at once.
  Shape SmallOrAnyShape() {
    const Shape shape = AnyShape();
    const bool is_large = shape.is_bound() && shape.is_valid() &&
                          shape.elements() > kMostElements;
    return Chance(70) || is_large ? SmallShape() : shape;
  }

  // An op of the table on operands of our own.
  void ApplySample() {
    SampleOperands operands = {AnyGraph(), {}, Here()};
    if (Chance(80)) {
      const auto& samples = OpSamples();
      const OpSample& sample = samples[Below(static_cast<int>(samples.size()))];
      for (size_t i = 0; i < sample.inputs.size(); ++i) {
        operands.x.push_back(Operand_(operands.graph, sample.inputs[i].shape,
                                      sample.inputs[i].dtype));
      }
      return Add(sample.build(operands));
    }
    const auto& samples = OpErrorSamples();
    const OpErrorSample& sample =
        samples[Below(static_cast<int>(samples.size()))];
    for (const TensorType& type : sample.inputs) {
      operands.x.push_back(Operand_(operands.graph, type.shape, type.dtype));
    }
    Add(sample.build(operands));
  }
  // As the sample has it, or any.
  Var Operand_(Graph* graph, const Shape& shape, DType dtype) {
    if (!Chance(50)) return AnyVar();
    return graph->Input(absl::StrCat("operand ", ++line_), shape, dtype,
                        Here());
  }

  // An op with attributes of our own.
  void ApplyOp() {
    const Var x = AnyVar(), y = AnyVar(), z = AnyVar();
    const Loc loc = Here();
    switch (Below(44)) {
      case 0:
        return Add(Reshape(x, AnyShape(), loc));
      case 1:
        return Add(Flatten(x, Int(), loc));
      case 2:
        return Add(Squeeze(x, Axes_(), loc));
      case 3:
        return Add(ExpandDims(x, Int(), loc));
      case 4:
        return Add(Transpose(x, Axes_(), loc));
      case 5:
        return Add(Slice(x, Int(), {Int64(), Int64(), Int64()}, loc));
      case 6:
        return Add(Pad(x, Int(), {Int64(), Int64(), Number()}, loc));
      case 7:
        return Add(Concat(Vars(4), Int(), loc));
      case 8:
        return AddAll(Split(x, Int(), Int(), loc));
      case 9:
        return AddAll(
            Split(x, Int(), std::vector<int64_t>{Int64(), Int64()}, loc));
      case 10:
        return Add(Reverse(x, Int(), loc));
      case 11:
        return Add(Tile(x, std::vector<int64_t>{Dim(), Dim()}, loc));
      case 12:
        return Add(OneHot(x, Int64(), loc));
      case 13:
        return Add(Gather(x, y, Int(), loc));
      case 14:
        return Add(ScatterAdd(x, y, AnyShape(), Int(), loc));
      case 15:
        return Add(GatherAlong(x, y, Int(), loc));
      case 16:
        return Add(TopKIndices(x, Int64(), Int(), loc));
      case 17: {
        const TopKResult top = TopK(x, Int64(), Int(), loc);
        return AddAll({top.values, top.indices});
      }
      case 18:
        return Add(RandomNormal(x, AnyShape(), {}, loc));
      case 19:
        return Add(RandomUniform(x, AnyShape(), {1, 2}, loc));
      case 20:
        return Add(Dropout(x, Number(), y, {}, loc));
      case 21:
        return Add(LayerNorm(x, y, z, {.epsilon = Number()}, loc));
      case 22: {
        const BatchNormResult norm = BatchNorm(
            x, y, z, {AnyVar(), AnyVar()}, {Int(), Number(), Number()}, loc);
        for (const Assignment& one : norm.assignments) {
          assignments_.push_back(one);
        }
        return Add(norm.y);
      }
      case 23:
        return Add(BatchNormInference(x, y, z, {AnyVar(), AnyVar()},
                                      {Int(), Number(), Number()}, loc));
      case 24:
        return Add(Softmax(x, Int(), loc));
      case 25:
        return Add(LogSoftmax(x, Int(), loc));
      case 26:
        return Add(SoftmaxCrossEntropy(
            x, y,
            {Number(), static_cast<Reduction>(Below(3)),
             Chance(50) ? std::optional<int32_t>(Int()) : std::nullopt},
            loc));
      case 27:
        return Add(Huber(x, y, {.delta = Number()}, loc));
      case 28:
        return Add(Cast(x, Type(), loc));
      case 29:
        return Add(Clip(x, Number(), Number(), loc));
      case 30:
        return Add(Fill(GraphOrNull(), AnyShape(), Number(), Type(), loc));
      case 31:
        return Add(ElementCount(GraphOrNull(), AnyShape(), loc));
      case 32:
        return Add(SumTo(x, AnyShape(), loc));
      case 33:
        return Add(BroadcastTo(x, AnyShape(), loc));
      case 34:
        return Add(AddN(Vars(4), loc));
      case 35:
        return Add(Sum(x, Axes_(), Axes::kKeep, loc));
      case 36:
        return Add(Mean(x, Axes_(), Axes::kDrop, loc));
      case 37:
        return Add(Variance(x, Axes_(), {.correction = Number()}, loc));
      case 38:
        return Add(Norm(x, Axes_(), {.order = Number()}, loc));
      case 39:
        return Add(ArgMax(x, Int(), Axes::kDrop, loc));
      case 40:
        return Add(CumSum(x, Int(), {.reverse = Chance(50)}, loc));
      case 41:
        return Add(Pow(x, Number(), loc));
      case 42:
        return Add(Number() * x + y);
      default: {
        const ScaledNorm norm = NormWithScale(x, Axes_(), loc);
        return AddAll({norm.scale, norm.ratio, NormOverScale(x, y, loc)});
      }
    }
  }

  void Differentiate() {
    const Var y = AnyVar();
    const std::vector<Var> x = Vars(3), v = Vars(3);
    const Unconnected unconnected =
        Of({Unconnected::kRefuse, Unconnected::kZero});
    // Nodes of their own for each element: few of them.
    const bool is_small = y.shape().is_bound() && y.shape().elements() < 30;
    switch (Below(7)) {
      case 0:
        return AddAll(Gradients(
            y, x, {Chance(50) ? AnyVar() : Var(), unconnected}, Here()));
      case 1:
        return AddAll(Vjp(Vars(2), v, x, unconnected, Here()));
      case 2:
        return Add(Jvp(y, x, v, Here()));
      case 3:
        return AddAll(HessianVectorProduct(y, x, v, Here()));
      case 4:
        return Add(is_small ? Jacobian(y, AnyVar(), Here()) : Var());
      case 5:
        return Add(StopGradient(y, Here()));
      default: {
        const Var wrong = AnyVar();
        const int count = Below(4);
        return Add(WithGradient(
            y, x,
            Chance(10) ? UserGradientRule()
                       : [=](absl::Span<const Var>, Var,
                             Var) { return Adjoints(count, wrong); },
            Here()));
      }
    }
  }

  TransformPtr Transform(int depth) {
    const double number = Number();
    const Selector selector =
        Of<Selector>({IsWeight, IsBias, NameMatches(Text()), AnyOf(Vars(2)),
                      Selector(), Not(IsBias), Not(Selector())});
    const Schedule rate = AnySchedule();
    switch (Below(depth > 0 ? 26 : 21)) {
      case 0:
        return L1(rate, SignOfZero::kZero, Here());
      case 1:
        return L2(rate, Here());
      case 2:
        return ElasticNet(rate, AnySchedule(), Here());
      case 3:
        return DecoupledWeightDecay(rate, Here());
      case 4:
        return ProximalL1(rate, Here());
      case 5:
        return MaxNorm(number, Here());
      case 6:
        return ClipByValue(number, Here());
      case 7:
        return ClipByNorm(number, Here());
      case 8:
        return ClipByGlobalNorm(number, Here());
      case 9:
        return AverageWeights(number, Here());
      case 10:
        return AddNoise(number, Here());
      case 11:
        return nullptr;
      case 12:
        return Sgd({.learning_rate = rate}, Here());
      case 13:
        return Adam({.learning_rate = rate, .beta1 = number}, Here());
      case 14:
        return RmsProp({.learning_rate = rate}, Here());
      case 15:
        return Lamb({.adam = {.learning_rate = rate}}, Here());
      case 16:
        return Lion({.learning_rate = rate}, Here());
      case 17:
        return NAdam({.adam = {.learning_rate = rate}}, Here());
      case 18:
        return Freeze(selector, Here());
      case 19:
        return MakeTransform("Mine", Here(), nullptr);
      case 20:
        return Momentum({.learning_rate = rate}, Here());
      case 21:
        return Only(selector, Transform(depth - 1), Here());
      case 22:
        return Accumulate(Int(), Transform(depth - 1), Here());
      case 23:
        return SkipIfNotFinite(Transform(depth - 1), Here());
      default:
        return std::make_unique<Chain>(Transform(depth - 1),
                                       Transform(depth - 1));
    }
  }
  Schedule AnySchedule() {
    const double rate = Chance(70) ? 0.1 : Number();
    switch (Below(13)) {
      case 0:
        return InverseTimeDecay(rate, Number());
      case 1:
        return ExponentialDecay(rate, Number(), Int64());
      case 2:
        return StepDecay(rate, Number(), Int64());
      case 3:
        return Piecewise(rate, {{Int64(), rate}, {Int64(), Number()}});
      case 4:
        return PolynomialDecay(rate, Number(), Int64(), Number());
      case 5:
        return LinearDecay(rate, Int64());
      case 6:
        return CosineDecay(rate, Number(), Int64());
      case 7:
        return CosineRestarts(rate, Number(), Int64());
      case 8:
        return Warmup(Int64(), rate);
      case 9:
        return OneCycle(rate, Int64());
      case 10:
        return Schedule(Schedule::Function());
      case 11: {
        const Var wrong = AnyVar();
        return Schedule([wrong](Var) { return wrong; });
      }
      default:
        return Schedule(rate);
    }
  }
  void Train_() {
    std::vector<Var> parameters =
        Chance(60) ? AnyGraph()->parameters() : Vars(3);
    std::vector<Var> gradients =
        Chance(60) ? Gradients(AnyVar(), parameters,
                               {.unconnected = Unconnected::kZero}, Here())
                   : Vars(3);
    if (Chance(40)) gradients = parameters;
    const Chain chain(Transform(2), Transform(2));
    updates_ = chain.Apply(parameters, gradients, Here());
    if (Chance(30)) AddAssignments(assignments_, updates_, Here());
    if (Chance(10)) updates_ = SkipAbove(AnyVar(), AnyVar(), updates_);
    Add(updates_.step);
    Add(updates_.learning_rate);
  }

  bool IsSmall(const Graph& graph) const {
    for (int id = 0; id < graph.size(); ++id) {
      const Shape bound = graph.node(id).type.shape.Bind(8);
      if (bound.elements() > kMostElements) return false;
    }
    return graph.size() < 3000;
  }
  // A tensor that an input would take, or any.
  Tensor FeedFor(Var var, int64_t batch) {
    if (Chance(15) || !IsForNodes(var.dtype())) return AnyTensor();
    const TensorType type = {var.dtype(), var.shape().Bind(batch)};
    if (!type.shape.is_bound() || type.shape.elements() > kMostElements) {
      return AnyTensor();
    }
    return Filled(Tensor(type));
  }
  void CompileAndRun() {
    Graph* const graph = AnyGraph();
    if (!IsSmall(*graph)) return;
    CompileOptions options;
    options.fetch = Chance(50) ? Valid(*graph) : Vars(4);
    for (Var var : Chance(30) ? Vars(2) : std::vector<Var>()) {
      options.outputs.push_back({Text(), var});
    }
    if (Chance(40)) options.updates = updates_;
    if (Chance(10)) {
      options.updates.assignments.push_back({AnyVar(), AnyVar()});
    }
    if (Chance(10)) options.replace = {{Text(), Text()}};
    if (Chance(10)) options.replace = AveragedWeights(*graph);
    options.threads = Chance(90) ? 1 : Of({-1, 2, 1025, 3});
    if (Chance(10)) options.precision = Precision::kBFloat16;
    if (Chance(20)) {
      options.without = {std::string(PassNames()[Below(9)]), "nothing"};
      options.without.resize(Below(3));
    }
    options.check_finite = Chance(15);
    if (Chance(20)) options.batch_sizes = {Below(8), Of({-1, 3, 7})};
    if (Chance(20)) options.max_batch_sizes = Of({-1, 0, 1, 2});
    absl::StatusOr<Plan> plan = Compile(*graph, options, Here());
    ExpectPlace(plan.status());
    if (!plan.ok()) return;
    plan_ = *std::move(plan);
    plan_graph_ = Chance(90) ? graph : AnyGraph();
    fetch_ = options.fetch;
    RunAgain();
  }
  // Some valid Vars of the graph.
  std::vector<Var> Valid(const Graph& graph) {
    std::vector<Var> valid;
    for (Var var : vars_) {
      if (graph.Has(var) && var.valid() && Chance(30)) valid.push_back(var);
    }
    return valid;
  }
  void RunAgain() {
    if (!plan_.has_value()) return;
    bool is_moved_from = false;
    if (Chance(3)) {
      Plan other = *std::move(plan_);
      is_moved_from = Chance(50);
      if (!is_moved_from) plan_ = std::move(other);
    }
    std::vector<Tensor> tensors;
    std::vector<std::pair<Var, std::string>> inputs;
    const int64_t batch = Below(6);
    const Graph* const graph = plan_graph_;
    for (int id = 0; graph != nullptr && id < graph->size(); ++id) {
      const Node& node = graph->node(id);
      if (!node.op->traits.source || node.variable != kNone) continue;
      if (Chance(2)) continue;
      const Var var(const_cast<Graph*>(graph), id);
      tensors.push_back(FeedFor(var, Chance(95) ? batch : Below(6)));
      inputs.emplace_back(Chance(97) ? var : AnyVar(),
                          Chance(20) ? node.name : "");
    }
    std::vector<Feed> feeds;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].second.empty()) {
        feeds.push_back({inputs[i].first, tensors[i]});
      } else {
        feeds.push_back({inputs[i].second, tensors[i]});
      }
    }
    const std::string name = Text();
    if (Chance(3)) feeds.push_back({name, Tensor()});
    if (Chance(3)) {
      feeds.push_back({AnyVar(), TensorView({Type(), AnyShape()}, nullptr)});
    }
    ExpectPlace(plan_->Run(feeds, Here()));
    for (Var var : fetch_) ReadAll(plan_->Value(var, Here()));
    if (Chance(20)) {
      ReadAll(plan_->Value(AnyVar(), Here()));
      ReadAll(plan_->Value(Text(), Here()));
      sum_ += plan_->Scalar(AnyVar(), Here()) + plan_->Scalar(Text(), Here());
      plan_->Dump();
      plan_->Steps();
    }
    if (is_moved_from) return plan_.reset();
    ExpectPlace(plan_->status());
  }
  // Reads what a value says that it has.
  void ReadAll(const TensorView& value) {
    if (value.dtype() == DType::kInt32) {
      for (int32_t x : value.values<int32_t>()) sum_ += x;
    } else if (value.dtype() == DType::kFloat32) {
      for (float x : value.values<float>()) sum_ += x;
    } else if (value.dtype() == DType::kUint8) {
      for (uint8_t x : value.values<uint8_t>()) sum_ += x;
    }
  }

  void ReadHandles() {
    const Var var = AnyVar();
    const Graph* const graph = AnyGraph();
    sum_ += static_cast<double>(var.shape()[Int()]) + var.shape().rank() +
            static_cast<double>(var.shape().elements());
    graph->NameOf(var);
    graph->TagOf(var);
    graph->node(var);
    graph->node(Int());
    graph->Describe(Int());
    var.WhyEmpty();
    if (graph->node(var).variable != kNone) ReadAll(graph->Value(var, Here()));
    if (graph->size() < 500) {
      graph->Dump();
      graph->Graphviz();
    }
    ExpectPlace(AnyGraph()->SetValue(
        var, Chance(50) ? FeedFor(var, 3) : AnyTensor(), Here()));
    VariablesOf(*AnyGraph(), Vars(3));
    const std::vector<Var> outputs = Vars(2);
    absl::StatusOr<SavedWeights> saved = SaveWeights(*AnyGraph(), {}, outputs);
    ExpectText(saved.status());
    if (saved.ok()) {
      ExpectText(LoadWeights(*AnyGraph(), saved->arrays,
                             {{Text(), {Text(), Chance(50)}}}, Vars(2)));
    }
  }

  void Interpret() {
    const std::vector<Var> fetch = Vars(3);
    for (Var var : fetch) {
      if (!var.empty() && !IsSmall(*var.graph())) return;
    }
    ReferenceFeeds feeds, held;
    for (Var var : vars_) {
      if (Chance(70)) feeds.emplace_back(var, FeedFor(var, 3));
    }
    if (Chance(10)) held.emplace_back(AnyVar(), AnyTensor());
    ExpectText(EvaluateReference(fetch, feeds, held).status());
    if (fetch.empty() || Chance(80)) return;
    ExpectText(CheckGradients(fetch[0], Vars(2), feeds,
                              {.order = Int(), .max_elements = 2}));
    ExpectText(CheckKernels(fetch, feeds));
  }

  void RenewGraph() {
    const int which = Below(2);
    if (plan_graph_ == graphs_[which].get()) plan_graph_ = nullptr;
    graphs_[which] = std::make_unique<Graph>();
  }

  void UseTensors() {
    Tensor tensor = AnyTensor();
    Tensor other = Chance(50) ? tensor : AnyTensor();
    const Tensor moved = std::move(tensor);
    sum_ += static_cast<double>(tensor.elements());  // NOLINT: moved from.
    tensor = std::move(other);
    AnyShape().ToString();
    const Shape a = AnyShape(), b = AnyShape();
    ExpectText(Broadcast(a, b).status());
    BroadcastsTo(a, b);
    ExpectText(ResolveAxis(Int(), Below(4)).status());
    a.Bind(Int64()).is_valid();
    a.elements();
  }

  Dataset AnyDataset() {
    const int64_t n = Below(6), pixels = Below(5);
    Dataset dataset = {.classes = Chance(80) ? 3 : Int()};
    dataset.images = Tensor({DType::kUint8, {n, pixels}});
    dataset.labels = Tensor({DType::kInt32, {n}});
    for (int32_t& label : dataset.labels.values<int32_t>()) label = Below(3);
    if (Chance(20)) dataset.images = AnyTensor();
    if (Chance(20)) dataset.labels = AnyTensor();
    return dataset;
  }
  void UseData() {
    const Dataset dataset = AnyDataset();
    ExpectText(CheckDataset(dataset));
    ExpectText(SquareSide(dataset).status());
    ExpectText(SelectLabels(dataset, {Int(), Int()}).status());
    ExpectText(SplitAtRandom(dataset, {.fraction = Number()}).status());
    Batches batches(
        dataset,
        {.batch_size = Int64(),
         .order = Of({Order::kFixed, Order::kShuffled, Order::kSampled}),
         .last = Of(
             {LastBatch::kKeep, LastBatch::kDrop, LastBatch::kDropAlsoFull})});
    ExpectText(batches.status());
    batches.StartEpoch(Int());
    while (std::optional<Batch> batch = batches.Next()) {
      ReadAll(batch->images);
      ReadAll(batch->labels);
    }
    BatchesState state = batches.state();
    if (Chance(50)) state.samples = Int64();
    if (Chance(50)) state.order = {1, 2, 3};
    ExpectText(batches.Restore(state));
    if (Chance(50)) TrainOn(dataset);
  }
  void TrainOn(const Dataset& dataset) {
    Graph* graph = AnyGraph();
    if (!IsSmall(*graph)) return;
    Classifier model;
    model.graph = GraphOrNull();
    model.images = AnyVar(), model.labels = AnyVar(), model.loss = AnyVar();
    model.predicted = AnyVar(), model.updates = updates_;
    if (Chance(60)) {
      graph = new_graph();
      model.graph = graph;
      model.images = graph->Input("images", {kBatch, dataset.pixels()},
                                  dataset.images.dtype());
      model.labels = graph->Input("labels", {kBatch}, DType::kInt32);
      const Var x = Cast(model.images, DType::kFloat32);
      const Var w = graph->Parameter("w", {dataset.pixels(), 3}, Glorot());
      const Var logits = MatMul(x, w);
      model.loss = Mean(SoftmaxCrossEntropy(logits, model.labels));
      model.predicted = ArgMax(logits);
      model.updates = Chain(Sgd({.learning_rate = 0.1}))
                          .Apply({w}, Gradients(model.loss, {w}));
      if (Chance(20)) model.loss = logits;
      if (Chance(20)) model.predicted = logits;
      if (Chance(20)) model.loss = ByMode(model.loss, AnyVar());
    }
    TrainOptions options;
    options.epochs = Of({-1, 0, 1, 2});
    options.batches.batch_size = Of<int64_t>({-1, 0, 1, 2, 100});
    options.evaluation_batch_size = Of<int64_t>({-1, 0, 1, 2, 100});
    options.evaluate_every = Of({-1, 0, 1, 2});
    options.threads = 1;
    options.on_divergence =
        Of({OnDivergence::kStop, OnDivergence::kSkip, OnDivergence::kGoOn});
    if (Chance(30)) {
      options.early_stopping = EarlyStoppingOptions{
          .split = DataSplit::kValidation, .patience = Int()};
    }
    const Dataset test = Chance(70) ? dataset : AnyDataset();
    Progress progress(nullptr, options.epochs, dataset.size());
    const auto result =
        Train(model, {.train = dataset, .test = test, .validation = test},
              options, progress, nullptr, Here());
    ExpectPlace(result.status());
    if (graph == graphs_[1].get()) updates_ = {};
  }
  // A fresh one, in the place of the second.
  Graph* new_graph() {
    if (plan_graph_ == graphs_[1].get()) plan_graph_ = nullptr;
    graphs_[1] = std::make_unique<Graph>();
    return graphs_[1].get();
  }

  void UseFiles() {
    static int number = 0;
    const std::string path =
        absl::StrCat(testing::TempDir(), "/fuzz-", ++number % 7);
    std::string bytes = Of<std::string>(
        {"", "label,a\n1,2\n", "1,2,3,4\n", std::string("\0\0\x08\3", 4),
         "PK\5\6" + std::string(18, '\0'), "\x89PNG\r\n\x1a\n", "\x1f\x8b",
         std::string("\x02\0\0\0\0\0\0\0{}", 10), "a;b\n"});
    for (int i = Below(20); i > 0; --i) {
      bytes.push_back(static_cast<char>(Below(256)));
    }
    WriteText(path, bytes);
    const int classes = Chance(80) ? 10 : Int();
    switch (Below(10)) {
      case 0:
        return ExpectNamed(ReadImages(path).status(), path);
      case 1:
        return ExpectNamed(ReadCsvImages(path).status(), path);
      case 2:
        return ExpectText(ReadLabelledCsvDataset(path, classes).status());
      case 3:
        return ExpectText(ReadCsvDataset(path, path, classes).status());
      case 4:
        return ExpectText(ReadIdxDataset(path, path, classes).status());
      case 5:
        return ExpectNamed(ReadNpz(path).status(), path);
      case 6:
        return ExpectNamed(ReadSafetensors(path).status(), path);
      case 7:
        return ExpectNamed(ReadCheckpoint(path).status(), path);
      case 8: {
        std::remove(path.c_str());
        const std::string text = Text();
        const StoredArray array = {text, StoredType::kFloat32, AnyShape(),
                                   text};
        ExpectText(WriteSafetensors(path, {array}, {{Text(), Text()}}));
        ExpectText(WriteNpz(path, {array}));
        return ExpectText(ToTensor(array, DType::kFloat32).status());
      }
      default: {
        std::remove(path.c_str());
        const Dataset dataset = AnyDataset();
        ExpectText(WriteLabelledCsvDataset(dataset, path));
        std::remove(path.c_str());
        ExpectText(WriteIdxDataset(dataset, path, absl::StrCat(path, "-l")));
        std::remove(absl::StrCat(path, "-l").c_str());
        std::remove(path.c_str());
        return ExpectText(WriteIdx(path, AnyShape(), {}));
      }
    }
  }

  void UseMetrics() {
    ConfusionMatrix matrix(Below(10) - 3);
    ExpectText(matrix.Add({Int(), 1}, {1, Int()}));
    ExpectText(matrix.Add(Int(), Int(), Int64()));
    sum_ += static_cast<double>(matrix.count(Int(), Int()));
    matrix.ToString();
    MakeClassificationReport(matrix).ToString(
        {.digits = Int(), .class_names = {Text()}});
  }

  void UseSchedules() {
    Add(AnySchedule().At(AnyVar()));
    Add(AnySchedule().AtStep(AnyVar()));
    ReduceOnPlateau plateau({.rate = Number(), .factor = Number()});
    plateau.Observe(Number());
    Add(plateau.schedule().AtStep(AnyVar()));
    plateau.Observe(Number());
    Add(CountUp(AnyVar()));
  }

  RandomStream random_;
  std::string wrong_;
  int line_ = 0;
  std::unique_ptr<Graph> graphs_[2];
  const Graph* plan_graph_ = nullptr;  // Whose inputs the plan is fed.
  std::vector<Var> vars_, fetch_;
  std::vector<Assignment> assignments_;
  Updates updates_;
  std::optional<Plan> plan_;
  double sum_ = 0;  // Of what was read, so that it is read.
};

std::optional<int> FromEnvironment(const char* name) {
  const char* const text = std::getenv(name);
  int number;
  if (text == nullptr || !absl::SimpleAtoi(text, &number)) return std::nullopt;
  return number;
}

TEST(ApiFuzzTest, NoCallCrashesAndEachErrorSaysWhere) {
  const std::optional<int> one = FromEnvironment("API_FUZZ_SEED");
  const int calls = FromEnvironment("API_FUZZ_CALLS").value_or(kCalls);
  const int first = one.value_or(0);
  const int end = one.has_value()
                      ? first + 1
                      : (calls + kCallsOfProgram - 1) / kCallsOfProgram;
  // A program that crashes is known by the last of these.
  const char* const trace = std::getenv("API_FUZZ_TRACE");
  for (int seed = first; seed < end; ++seed) {
    if (trace != nullptr) WriteText(trace, absl::StrCat(seed, "\n"));
    Program program(seed);
    for (int call = 0; call < kCallsOfProgram; ++call) {
      const std::string wrong = program.Call();
      if (wrong.empty()) continue;
      ADD_FAILURE() << "seed " << seed << ", call " << call << ": " << wrong;
      break;
    }
  }
  std::printf("%d calls\n", (end - first) * kCallsOfProgram);
}

}  // namespace
}  // namespace tape
