// A thousand random programs from the whole vocabulary: plans, whatever their
// threads and passes, compute what the references do, gradients of both orders
// and updates of variables included.
//
// How far a plan may be from the references is found for each element of each
// program. A kernel is taken to give f(x + dx) + dy for its operands x, where
// dx and dy are within some roundings of x and y, as the sample table
// (tests/op_samples.h) holds each to. So the references are run several times
// more, each operand of each node and each result moved at random, each element
// and each reading by itself, by up to kMoved = 2^-20 of it, that is 16
// roundings. An op rounds a few times, at random too, so the largest change
// seen in kDraws such runs is a few times what roundings add up to, by whatever
// way they reach the element: through cancellation, a small divisor or a long
// chain. Twice that is allowed.
//
// Where a kink or a step is within reach of roundings, or the program magnifies
// them, runs differ by more than kUnstable: such an element says nothing and is
// counted instead, and there may be few of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/random.h"
#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

constexpr int kPrograms = 1000;
constexpr int kMaxOps = 30;
constexpr double kMoved = 0x1p-20;
constexpr int kDraws = 6;
constexpr double kUnstable = 1e-3;  // Of an element, or of 1 if it is smaller.

// ---- The references, with numbers moved ----

class Interpreter {
 public:
  // Without `moved`, exact.
  Interpreter(const Graph* graph, int64_t batch, const ReferenceFeeds& feeds,
              std::optional<RandomStream> moved)
      : graph_(graph), batch_(batch), feeds_(feeds), moved_(moved) {}

  const Tensor& Value(Var var) {
    while (static_cast<int>(values_.size()) <= var.id()) Next();
    return values_[var.id()];
  }

 private:
  void Next() {
    const int id = static_cast<int>(values_.size());
    const Node& node = graph_->node(id);
    if (node.variable != kNone) {
      values_.push_back(ToFloat64(graph_->Value(VarOf(id))));
      return;
    }
    for (const auto& [var, tensor] : feeds_) {
      if (var.id() != id) continue;
      values_.push_back(ToFloat64(tensor));
      return;
    }
    std::vector<Tensor> inputs;
    for (int input : node.inputs) {
      inputs.push_back(values_[input]);
      // A constant is what it is: x^2 must not become x^2.000001.
      const Node& from = graph_->node(input);
      if (!from.op->traits.uniform) Move(from.type.dtype, &inputs.back());
    }
    Attributes attributes = node.attributes;
    attributes.shape = attributes.shape.Bind(batch_);
    Tensor output(TensorType{DType::kFloat64, node.type.shape.Bind(batch_)});
    node.op->reference(attributes, inputs, output);
    if (node.op->traits.uniform && node.type.dtype == DType::kFloat32) {
      for (double& value : output.values<double>()) {
        value = static_cast<float>(value);
      }
    } else {
      Move(node.type.dtype, &output);
    }
    values_.push_back(std::move(output));
  }

  Var VarOf(int id) const { return Var(const_cast<Graph*>(graph_), id); }

  void Move(DType dtype, Tensor* tensor) {
    if (!moved_.has_value() || dtype != DType::kFloat32) return;
    for (double& value : tensor->values<double>()) {
      value *= 1 + kMoved * (2 * moved_->Uniform() - 1);
      if (std::fabs(value) > FLT_MAX) {
        value = std::copysign(std::numeric_limits<double>::infinity(), value);
      }
      // A plan may take a denormal for 0.
      if (std::fabs(value) < FLT_MIN && moved_->Below(2) == 0) value = 0;
    }
  }

  const Graph* graph_;
  int64_t batch_;
  const ReferenceFeeds& feeds_;
  std::optional<RandomStream> moved_;
  std::vector<Tensor> values_;
};

// ---- Programs ----

// What a program is drawn from, and what it is made of so far.
class RandomProgram {
 public:
  RandomProgram(uint64_t seed, int ops);

  Graph graph;
  std::vector<Var> floats, masks, integers;  // Nodes to choose operands from.
  Var step;

  // ---- Draws ----
  int Below(int64_t bound) {
    return static_cast<int>(random_.Below(static_cast<uint32_t>(bound)));
  }
  double Between(double low, double high) {
    return low + (high - low) * random_.Uniform();
  }
  bool Sometimes(int of) { return Below(of) == 0; }
  // A float32 node, oftener a late one.
  Var Float() {
    const int n = static_cast<int>(floats.size());
    return floats[std::max(Below(n), Below(n))];
  }
  // One that holds; if there is none, x.
  Var FloatWhere(Var x, const std::function<bool(Var)>& holds) {
    std::vector<Var> which;
    for (Var y : floats) {
      if (holds(y)) which.push_back(y);
    }
    return which.empty() ? x : which[Below(static_cast<int>(which.size()))];
  }
  // One that broadcasts with x.
  Var Beside(Var x) {
    return FloatWhere(
        x, [&](Var y) { return Broadcast(x.shape(), y.shape()).ok(); });
  }
  Var Alike(Var x) {
    return FloatWhere(x, [&](Var y) { return x.shape() == y.shape(); });
  }
  // At least so many axes: x, or another, or x as a matrix.
  Var OfRank(int rank) {
    Var x =
        FloatWhere(Float(), [&](Var y) { return y.shape().rank() >= rank; });
    while (x.shape().rank() < rank) x = ExpandDims(x, 0);
    return x;
  }
  int Axis(Var x) { return Below(x.shape().rank()); }
  // An axis that is not kBatch.
  std::optional<int> FixedAxis(Var x) {
    std::vector<int> axes;
    for (int axis = 0; axis < x.shape().rank(); ++axis) {
      if (x.shape()[axis] != kBatch) axes.push_back(axis);
    }
    if (axes.empty()) return std::nullopt;
    return axes[Below(static_cast<int>(axes.size()))];
  }
  // Some axes; perhaps none.
  std::vector<int> Axes(Var x) {
    std::vector<int> axes;
    for (int axis = 0; axis < x.shape().rank(); ++axis) {
      if (Sometimes(2)) axes.push_back(axis);
    }
    return axes;
  }
  tape::Axes Kept() {
    return Sometimes(2) ? tape::Axes::kKeep : tape::Axes::kDrop;
  }
  Reduction Reduced() { return static_cast<Reduction>(Below(3)); }
  Var Parameter(Shape shape) {
    return graph.Parameter(absl::StrCat("w", names_++), std::move(shape),
                           Uniform(-1, 1));
  }
  RandomKey Key() { return {.seed = 1, .stream = random_.Below(1000)}; }

  // Numbers for the inputs.
  ReferenceFeeds Feeds(int64_t batch) {
    const auto floats = [&](Shape shape) {
      std::vector<float> values(shape.elements());
      for (float& value : values) value = static_cast<float>(Between(-2, 2));
      return Tensor(std::move(shape), values);
    };
    std::vector<int32_t> labels(batch);
    for (int32_t& label : labels) label = Below(3);
    return {{x_, floats({batch, 3})},
            {z_, floats({2, 1, 3})},
            {integers[0], Tensor({batch}, labels)},
            {step, Tensor({}, std::vector<int32_t>{Below(1000)})}};
  }

 private:
  RandomStream random_;
  Var x_, z_;
  int names_ = 0;
};

// What a program may do next: a node of any dtype, or none if nothing fits.
using Rule = std::function<Var(RandomProgram&)>;

Rule Unary(Var (*f)(Var, Loc)) {
  return [f](RandomProgram& p) { return f(p.Float(), {"op", 1}); };
}
Rule OfStopped(Var (*f)(Var, Loc)) {
  return [f](RandomProgram& p) {
    return f(StopGradient(p.Float()), {"op", 1});
  };
}
// At |x| + 1/4, where logarithms and roots have derivatives.
Rule OfPositive(Var (*f)(Var, Loc)) {
  return [f](RandomProgram& p) { return f(Abs(p.Float()) + 0.25, {"op", 1}); };
}
Rule Binary(Var (*f)(Var, Var, Loc)) {
  return [f](RandomProgram& p) {
    const Var a = p.Float();
    return f(a, p.Beside(a), {"op", 1});
  };
}
Rule Comparison(Var (*f)(Var, Var, Loc)) {
  return [f](RandomProgram& p) {
    const Var a = p.Float();
    return f(StopGradient(a), StopGradient(p.Beside(a)), {"op", 1});
  };
}
Rule Logic(Var (*f)(Var, Var, Loc)) {
  return [f](RandomProgram& p) {
    if (p.masks.empty()) return Var();
    const Var a = p.masks[p.Below(p.masks.size())];
    const Var b = p.masks[p.Below(p.masks.size())];
    return Broadcast(a.shape(), b.shape()).ok() ? f(a, b, {"op", 1}) : Var();
  };
}
Rule Reduced(Var (*f)(Var, absl::Span<const int>, Axes, Loc)) {
  return [f](RandomProgram& p) {
    const Var x = p.Float();
    return f(x, p.Axes(x), p.Kept(), {"op", 1});
  };
}
Rule AlongAxis(Var (*f)(Var, int, Loc)) {
  return [f](RandomProgram& p) {
    const Var x = p.OfRank(1);
    return f(x, p.Axis(x), {"op", 1});
  };
}
Rule Loss(Var (*f)(Var, Var, Reduction, Loc)) {
  return [f](RandomProgram& p) {
    const Var x = p.Float();
    return f(x, p.Alike(x), p.Reduced(), {"op", 1});
  };
}

// Logits [batch,classes], if there are any.
Var Logits(RandomProgram& p) {
  const auto holds = [](Var x) {
    return x.shape().rank() == 2 && x.shape()[0] == kBatch &&
           x.shape()[1] != kBatch && x.shape()[1] >= 3;
  };
  const Var x = p.FloatWhere(p.Float(), holds);
  return holds(x) ? x : Var();
}

const std::vector<Rule>& Table() {
  static const auto* const kTable = new std::vector<Rule>{
      // Elementwise.
      Binary(Add), Binary(Sub), Binary(Mul), Binary(Maximum), Binary(Minimum),
      Unary(Neg), Unary(Square), Unary(Abs), Unary(Sin), Unary(Cos), Unary(Erf),
      Unary(Sign), Unary(Floor), Unary(Ceil), Unary(Round), OfPositive(Log),
      OfPositive(Log1p), OfPositive(Sqrt), OfPositive(Rsqrt),
      OfPositive(Reciprocal),
      [](RandomProgram& p) {
        return Exp(Minimum(p.Float(), Fill(&p.graph, {}, 3)));
      },
      [](RandomProgram& p) { return Expm1(Tanh(p.Float())); },
      [](RandomProgram& p) { return p.Float() * p.Between(-2, 2); },
      [](RandomProgram& p) { return p.Between(-1, 1) - p.Float(); },
      [](RandomProgram& p) { return p.Float() + 0; },
      [](RandomProgram& p) { return p.Float() * 1; },
      [](RandomProgram& p) {
        const Var a = p.Float();
        return a / (Square(p.Beside(a)) + 0.5);
      },
      [](RandomProgram& p) {
        const Var a = p.Float();
        return Pow(Abs(a) + 0.5, Tanh(p.Beside(a)));
      },
      [](RandomProgram& p) { return Pow(p.Float(), 1.0 + p.Below(3)); },
      [](RandomProgram& p) { return Clip(p.Float(), -0.7, 1.2); },
      [](RandomProgram& p) { return StopGradient(p.Float()); },
      [](RandomProgram& p) {
        const Var x = p.Float();
        return WithGradient(
            Round(x), {x},
            [](absl::Span<const Var>, Var, Var gy) { return Adjoints{gy}; });
      },
      [](RandomProgram& p) {
        const Var x = p.Float();
        return AddN({x, p.Alike(x), p.Alike(x)});
      },
      // Activations.
      Unary(Relu), Unary(Sigmoid), Unary(Tanh), Unary(Selu), Unary(Silu),
      Unary(Softplus), Unary(Softsign), Unary(HardTanh),
      [](RandomProgram& p) { return LeakyRelu(p.Float(), 0.1); },
      [](RandomProgram& p) { return Elu(p.Float(), 0.8); },
      [](RandomProgram& p) {
        return Gelu(p.Float(),
                    p.Sometimes(2) ? GeluForm::kErf : GeluForm::kTanh);
      },
      // Comparisons, logic, choice.
      Comparison(Equal), Comparison(NotEqual), Comparison(Greater),
      Comparison(GreaterEqual), Comparison(Less), Comparison(LessEqual),
      OfStopped(IsNan), OfStopped(IsFinite), Logic(And), Logic(Or), Logic(Xor),
      [](RandomProgram& p) {
        return p.masks.empty() ? Var() : Not(p.masks[0]);
      },
      [](RandomProgram& p) {
        return p.masks.empty() ? Var() : Cast(p.masks.back(), DType::kFloat32);
      },
      [](RandomProgram& p) {
        if (p.masks.empty()) return Var();
        const Var mask = p.masks[p.Below(p.masks.size())];
        const Var a = p.Beside(mask);
        if (!Broadcast(mask.shape(), a.shape()).ok()) return Var();
        return Select(mask, a, Fill(&p.graph, {}, 0.5));
      },
      // Products.
      [](RandomProgram& p) {
        const Var x = p.OfRank(2);
        const int64_t k = x.shape()[x.shape().rank() - 1];
        if (k == kBatch) return MatMul(x, x, {.lhs = true});
        if (p.Sometimes(3)) return MatMul(x, x, {.rhs = true});
        const int64_t n = 1 + p.Below(4);
        if (p.Sometimes(2)) {
          return MatMul(x, p.Parameter({n, k}), {.rhs = true});
        }
        return MatMul(x, p.Parameter({k, n}));
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(2);
        const int64_t k = x.shape()[x.shape().rank() - 1];
        return k == kBatch ? Var() : MatVec(x, p.Parameter({k}));
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        return Dot(x, p.Alike(x));
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        return Outer(x, p.Alike(x));
      },
      [](RandomProgram& p) {  // What the compiler makes one product of.
        const Var x = p.OfRank(2);
        const int64_t k = x.shape()[x.shape().rank() - 1];
        if (k == kBatch) return Var();
        const Var product = MatMul(x, p.Parameter({k, 3}));
        const Var c = p.Alike(product);
        const Var sum = p.Between(-1, 1) * product + c;
        // Sometimes c is read again, and so must not become the sum.
        return p.Sometimes(2) ? sum : Concat({sum, c}, -1);
      },
      [](RandomProgram& p) {  // What it makes one step of.
        const Var x = p.OfRank(2);
        const int64_t k = x.shape()[x.shape().rank() - 1];
        if (k == kBatch) return Var();
        return Tanh(MatMul(x, p.Parameter({k, 3})) + p.Parameter({3}));
      },
      // Reductions.
      Reduced(Sum), Reduced(Sum), Reduced(Mean), Reduced(Max), Reduced(Min),
      Reduced(LogSumExp),
      [](RandomProgram& p) { return Prod(Tanh(p.Float())); },
      [](RandomProgram& p) {
        const Var x = p.Float();
        return Variance(x, p.Axes(x), {.reduced = p.Kept()});
      },
      [](RandomProgram& p) {
        const Var x = p.Float();
        const double orders[] = {1, 2, std::numeric_limits<double>::infinity()};
        return Norm(x, p.Axes(x),
                    {.order = orders[p.Below(3)], .reduced = p.Kept()});
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        return CumSum(x, p.Axis(x), {.reverse = p.Sometimes(2)});
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        return (p.Sometimes(2) ? ArgMax : ArgMin)(StopGradient(x), p.Axis(x),
                                                  p.Kept(), {"op", 1});
      },
      [](RandomProgram& p) {
        return ElementCount(&p.graph, p.Float().shape());
      },
      // Shape.
      [](RandomProgram& p) {
        const Var x = p.OfRank(2);
        const auto inner = x.shape().dims().subspan(1);
        const bool whole =
            std::find(inner.begin(), inner.end(), kBatch) == inner.end();
        return whole ? Flatten(x) : Var();
      },
      [](RandomProgram& p) {
        std::vector<int64_t> dims(1, 1);
        const Var x = p.Float();
        for (int64_t dim : x.shape().dims()) dims.push_back(dim);
        return Reshape(x, Shape(dims));
      },
      [](RandomProgram& p) { return Squeeze(p.Float()); },
      [](RandomProgram& p) {
        const Var x = p.Float();
        return ExpandDims(x, p.Below(x.shape().rank() + 1));
      },
      [](RandomProgram& p) {
        const Var x = p.Float();
        std::vector<int64_t> dims(1, 2);
        for (int64_t dim : x.shape().dims()) dims.push_back(dim);
        return BroadcastTo(x, Shape(dims));
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        return SumTo(x, Shape(x.shape().dims().subspan(1)));
      },
      [](RandomProgram& p) {
        const Var x = p.Float();
        std::vector<int> axes(x.shape().rank());
        std::iota(axes.begin(), axes.end(), 0);
        for (size_t i = axes.size(); i > 1; --i) {
          std::swap(axes[i - 1], axes[p.Below(static_cast<int>(i))]);
        }
        return Transpose(x, axes);
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        const auto axis = p.FixedAxis(x);
        if (!axis) return Var();
        const int64_t n = x.shape()[*axis], begin = p.Below(n);
        const int64_t step = 1 + p.Below(2);
        return Slice(x, *axis, {begin, (n - begin + step - 1) / step, step});
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        const auto axis = p.FixedAxis(x);
        if (!axis) return Var();
        return Pad(x, *axis, {p.Below(2), p.Below(3), 0.5});
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        const auto axis = p.FixedAxis(x);
        if (!axis) return Var();
        return Concat({x, p.Alike(x)}, *axis);
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        const auto axis = p.FixedAxis(x);
        if (!axis) return Var();
        const int64_t n = x.shape()[*axis];
        const std::vector<Var> parts = Split(x, *axis, {n / 2, n - n / 2});
        return parts[1];
      },
      AlongAxis(Reverse),
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        std::vector<int64_t> repeats(x.shape().rank(), 1);
        const auto axis = p.FixedAxis(x);
        if (axis) repeats[*axis] = 2;
        return Tile(x, repeats);
      },
      // Index.
      [](RandomProgram& p) {
        return OneHot(p.integers[p.Below(p.integers.size())], 3);
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        return Gather(x, p.integers[p.Below(p.integers.size())], p.Axis(x));
      },
      [](RandomProgram& p) {
        const Var labels = p.integers[0];
        const Var x = p.OfRank(1);
        if (x.shape()[0] != kBatch) return Var();
        std::vector<int64_t> dims(x.shape().dims().begin(),
                                  x.shape().dims().end());
        dims[0] = 3;
        return ScatterAdd(x, labels, Shape(dims));
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        const auto axis = p.FixedAxis(x);
        if (!axis) return Var();
        return TopK(x, 1 + p.Below(x.shape()[*axis]), *axis).values;
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        const auto axis = p.FixedAxis(x);
        if (!axis) return Var();
        const Var order = StopGradient(p.Alike(x));
        return GatherAlong(x, TopKIndices(order, x.shape()[*axis], *axis),
                           *axis);
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        const auto axis = p.FixedAxis(x);
        if (!axis) return Var();
        return TopKIndices(StopGradient(x), 1, *axis);
      },
      // Random, normalisation.
      [](RandomProgram& p) {
        return RandomNormal(p.step, p.Float().shape(), p.Key());
      },
      [](RandomProgram& p) {
        return RandomUniform(p.step, p.Float().shape(), p.Key());
      },
      [](RandomProgram& p) {
        return Dropout(p.Float(), 0.25, p.step, p.Key());
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        const int64_t n = x.shape()[x.shape().rank() - 1];
        if (n == kBatch) return Var();
        return LayerNorm(x, p.Parameter({n}), p.Parameter({n}),
                         {.epsilon = 0.1});
      },
      // Softmax, losses.
      AlongAxis(Softmax), AlongAxis(LogSoftmax),
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        const int last = x.shape().rank() - 1;
        const bool smooth = p.Sometimes(2) && x.shape()[last] != kBatch;
        return SoftmaxCrossEntropy(
            x, Softmax(p.Alike(x), last),
            {.label_smoothing = smooth * 0.1, .reduction = p.Reduced()});
      },
      [](RandomProgram& p) {
        const Var x = Logits(p);
        if (!x.valid()) return Var();
        return SoftmaxCrossEntropy(x, p.integers[0],
                                   {.reduction = p.Reduced()});
      },
      [](RandomProgram& p) {
        const Var x = p.OfRank(1);
        return KlDivergence(LogSoftmax(x), Softmax(p.Alike(x)), p.Reduced());
      },
      [](RandomProgram& p) {
        const Var x = p.Float();
        return SigmoidCrossEntropy(x, Sigmoid(p.Alike(x)), p.Reduced());
      },
      [](RandomProgram& p) {
        const Var x = p.Float();
        return Huber(x, p.Alike(x), {.delta = 0.7, .reduction = p.Reduced()});
      },
      Loss(MeanSquaredError), Loss(MeanAbsoluteError), Loss(Hinge)};
  return *kTable;
}

// How often each rule has given a node.
std::vector<int>& Uses() {
  static auto* const kUses = new std::vector<int>(Table().size());
  return *kUses;
}

RandomProgram::RandomProgram(uint64_t seed, int ops)
    : graph({.seed = seed}), random_(seed, 1) {
  x_ = graph.Input("x", {kBatch, 3});
  z_ = graph.Input("z", {2, 1, 3});
  step = graph.Input("step", {}, DType::kInt32);
  integers = {graph.Input("labels", {kBatch}, DType::kInt32)};
  floats = {Parameter({3}), Parameter({}), Parameter({4, 2}), z_, x_};
  constexpr int64_t kBatchSize = 4;
  const ReferenceFeeds feeds = Feeds(kBatchSize);
  Interpreter exact(&graph, kBatchSize, feeds, std::nullopt);
  for (int op = 0; op < ops && graph.status().ok(); ++op) {
    const int rule = Below(Table().size());
    Var y = Table()[rule](*this);
    if (!y.valid()) continue;
    ++Uses()[rule];
    // Small shapes and small numbers are kept.
    const Shape shape = y.shape().Bind(kBatchSize);
    if (shape.rank() > 4 || shape.elements() > 150) continue;
    if (y.dtype() == DType::kUint8) {
      masks.push_back(y);
    } else if (y.dtype() == DType::kInt32) {
      integers.push_back(y);
    } else {
      double largest = 0;
      for (double value : exact.Value(y).values<double>()) {
        largest = std::max(largest, std::fabs(value));
      }
      if (largest > 10) y = y * (2 / largest);
      floats.push_back(y);
    }
  }
}

// ---- What is found ----

struct Counts {
  int64_t elements = 0;
  int64_t derivatives = 0;  // Of these, what Gradients gave.
  int64_t unstable = 0;     // Of the elements.
  int64_t infinite = 0;     // Not finite, and rightly so.
};

// What of `found` is not as `exact` within what `moved` allow; or empty.
std::string Difference(const Tensor& found, const Tensor& exact,
                       absl::Span<const Tensor* const> moved, Counts* counts) {
  if (!(found.shape() == exact.shape())) {
    return absl::StrCat("has shape ", found.shape().ToString(),
                        ", the reference's ", exact.shape().ToString());
  }
  const auto same = [](double a, double b) {
    return a == b || (std::isnan(a) && std::isnan(b));
  };
  for (int64_t i = 0; i < exact.elements(); ++i) {
    const double y = exact.values<double>()[i];
    const double f = found.values<double>()[i];
    ++counts->elements;
    double change = 0;
    bool settled = true;  // Whether it is the same infinity, or NaN, in all.
    for (const Tensor* tensor : moved) {
      const double other = tensor->values<double>()[i];
      settled = settled && same(y, other);
      const double moved_by = std::fabs(other - y);
      change = std::isnan(moved_by) ? std::numeric_limits<double>::infinity()
                                    : std::max(change, moved_by);
    }
    if (!std::isfinite(y) && settled) {
      ++counts->infinite;
      if (!same(y, f)) return absl::StrCat("[", i, "] is ", f, ", not ", y);
      continue;
    }
    if (!(change <= kUnstable * std::max(1.0, std::fabs(y)))) {
      ++counts->unstable;
      continue;
    }
    // What is fetched is rounded once at least.
    const double allowed = 2 * change + 0x1p-23 * std::fabs(y) + FLT_MIN;
    if (!(std::fabs(f - y) <= allowed)) {
      return absl::StrCat("[", i, "] is ", f, ", the reference's ", y,
                          ", and no more than ", allowed, " is allowed");
    }
  }
  return "";
}

// Runs a random program twice; what is wrong with it, or empty.
std::string Check(uint64_t seed, int max_ops, Counts* counts) {
  RandomProgram p(seed, max_ops);
  RandomStream random(seed, 2);
  const auto below = [&](int64_t n) {
    return static_cast<int>(random.Below(static_cast<uint32_t>(n)));
  };

  // A loss of late nodes, its derivatives, and sometimes those of these.
  std::vector<Var> sources = p.graph.parameters();
  sources.insert(sources.end(), {p.floats[3], p.floats[4]});
  const auto late = [&] {
    const int n = static_cast<int>(p.floats.size());
    return p.floats[n - 1 - below(std::min(n, 4))];
  };
  const Var loss = Mean(late()) + Sum(Sin(late()));
  std::vector<Var> gradients =
      Gradients(loss, sources, {.unconnected = Unconnected::kZero});
  std::vector<Var> fetches = {loss};
  fetches.insert(fetches.end(), gradients.begin(), gradients.end());
  if (below(3) == 0 && p.graph.status().ok()) {
    std::vector<Var> sums;
    for (Var gradient : gradients) sums.push_back(Sum(Sin(gradient)));
    const std::vector<Var> second =
        Gradients(AddN(sums), sources, {.unconnected = Unconnected::kZero});
    fetches.insert(fetches.end(), second.begin(), second.end());
  }
  const size_t derivatives = fetches.size() - 1;
  for (const std::vector<Var>* nodes : {&p.floats, &p.masks, &p.integers}) {
    for (int i = below(4); i > 0 && !nodes->empty(); --i) {
      const Var fetch = (*nodes)[below(nodes->size())];
      if (std::find(fetches.begin(), fetches.end(), fetch) == fetches.end()) {
        fetches.push_back(fetch);
      }
    }
  }
  CompileOptions options = {.fetch = fetches, .threads = 1 + below(3)};
  if (below(2) == 0 && p.graph.status().ok()) {
    for (size_t i = 0; i < p.graph.parameters().size(); ++i) {
      if (below(2) == 0) continue;
      const Var w = sources[i];
      const Var change = below(2) == 0 ? gradients[i] : Tanh(gradients[i]);
      options.updates.assignments.push_back({w, w - 0.05 * change});
    }
  }
  if (below(2) == 0) {
    for (absl::string_view pass : PassNames()) {
      if (below(3) == 0) options.without.emplace_back(pass);
    }
  }
  absl::StatusOr<Plan> plan = Compile(p.graph, options);
  if (!plan.ok()) return std::string(plan.status().message());

  std::vector<Var> nodes = fetches;
  for (const Assignment& to : options.updates.assignments) {
    nodes.push_back(to.value);
  }
  for (int run = 0; run < 2; ++run) {
    const int64_t batch = run == 0 ? 4 : 1 + below(6);
    const ReferenceFeeds feeds = p.Feeds(batch);
    std::vector<Interpreter> interpreters;
    interpreters.reserve(kDraws + 1);
    interpreters.emplace_back(&p.graph, batch, feeds, std::nullopt);
    for (int draw = 0; draw < kDraws; ++draw) {
      interpreters.emplace_back(&p.graph, batch, feeds,
                                RandomStream(seed, 100 + draw));
    }
    for (Interpreter& interpreter : interpreters) {  // Before the updates.
      for (Var node : nodes) interpreter.Value(node);
    }
    std::vector<Feed> fed;
    for (const auto& [input, tensor] : feeds) fed.push_back({input, tensor});
    if (absl::Status status = plan->Run(fed); !status.ok()) {
      return std::string(status.message());
    }
    for (size_t i = 0; i < nodes.size(); ++i) {
      std::vector<const Tensor*> moved;
      for (int draw = 1; draw <= kDraws; ++draw) {
        moved.push_back(&interpreters[draw].Value(nodes[i]));
      }
      const bool fetched = i < fetches.size();
      const Tensor found = ToFloat64(
          fetched
              ? plan->Value(nodes[i])
              : TensorView(p.graph.Value(
                    options.updates.assignments[i - fetches.size()].variable)));
      const int64_t before = counts->elements;
      const std::string wrong =
          Difference(found, interpreters[0].Value(nodes[i]), moved, counts);
      if (i > 0 && i <= derivatives) {
        counts->derivatives += counts->elements - before;
      }
      if (wrong.empty()) continue;
      return absl::StrCat("run ", run, " at batch ", batch, ", ",
                          options.threads, " threads, without {",
                          absl::StrJoin(options.without, ", "),
                          "}: ", fetched ? "fetch " : "update ", i, ", ",
                          p.graph.Describe(nodes[i].id()), " (", nodes[i].id(),
                          ") ", wrong, "\n", p.graph.Dump());
    }
  }
  return "";
}

TEST(RandomProgramsTest, PlansAgreeWithTheReferences) {
  Counts counts;
  for (int seed = 0; seed < kPrograms; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const int ops = 1 + seed % kMaxOps;
    if (Check(seed, ops, &counts).empty()) continue;
    // The same with fewer ops is a part of it, and easier to read.
    for (int fewer = 0; fewer <= ops; ++fewer) {
      Counts ignored;
      const std::string wrong = Check(seed, fewer, &ignored);
      if (wrong.empty()) continue;
      ADD_FAILURE() << "with " << fewer << " of " << ops << " ops: " << wrong;
      break;
    }
    if (HasFailure()) break;
  }
  std::printf(
      "%d programs: %lld elements, %lld of them derivatives; %lld unstable, "
      "%lld not finite\n",
      kPrograms, static_cast<long long>(counts.elements),
      static_cast<long long>(counts.derivatives),
      static_cast<long long>(counts.unstable),
      static_cast<long long>(counts.infinite));
  EXPECT_LT(counts.unstable, counts.elements / 50);
  EXPECT_LT(counts.infinite, counts.elements / 1000);
  for (size_t rule = 0; rule < Table().size(); ++rule) {
    EXPECT_GE(Uses()[rule], 20) << "rule " << rule << " of the table";
  }
}

}  // namespace
}  // namespace tape
