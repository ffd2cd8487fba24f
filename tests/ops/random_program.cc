// The rules by which random programs grow (random_program.h).
#include "tests/ops/random_program.h"

#include <cmath>
#include <numeric>

namespace tape {
namespace {

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
// Of quarters: what is 0 but for roundings may be 0 in a plan and never in the
// references, whatever moves.
Rule Equality(Var (*f)(Var, Var, Loc)) {
  return [f](RandomProgram& p) {
    const Var a = p.Float(), b = p.Beside(a);
    return f(StopGradient(Round(4 * a)), StopGradient(Round(4 * b)), {"op", 1});
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
      Equality(Equal), Equality(NotEqual), Comparison(Greater),
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
      [](RandomProgram& p) {  // What it must not make one of.
        const Var x = p.OfRank(2);
        const int64_t k = x.shape()[x.shape().rank() - 1];
        if (k == kBatch) return Var();
        const Var product = MatMul(x, p.Parameter({k, 3}));
        const Var c = p.Alike(product);
        switch (p.Below(5)) {
          case 0:
            return product + 0.0 * c;
          case 1:
            return 0.0 * product - c;
          case 2:
            return product + (c - 0.5 * c);
          case 3:
            return (product - c) + c;
          default:
            return 2 * product + (c - product);
        }
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
      // Integers, which wrap.
      [](RandomProgram& p) {
        const Var n = p.integers[p.Below(p.integers.size())];
        return n * n * 65537 - (-n);
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

}  // namespace

const std::vector<int>& RuleUses() { return Uses(); }

RandomProgram::RandomProgram(uint64_t seed, int ops)
    : graph({.seed = seed}), random_(seed, 1) {
  x_ = graph.Input("x", {kBatch, 3});
  z_ = graph.Input("z", {2, 1, 3});
  step = graph.Input("step", {}, DType::kInt32);
  integers = {graph.Input("labels", {kBatch}, DType::kInt32)};
  floats = {Parameter({3}), Parameter({}), Parameter({4, 2}), z_, x_};
  constexpr int64_t kBatchSize = 4;
  const ReferenceFeeds feeds = Feeds(kBatchSize, false);
  Interpreter exact(&graph, kBatchSize, feeds, Interpreter::Range::kDouble);
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

}  // namespace tape
