// Random programs from the whole vocabulary, for tests/ops/random_programs_test.cc,
// and the references with numbers moved.
#ifndef TAPE_TESTS_OPS_RANDOM_PROGRAM_H_
#define TAPE_TESTS_OPS_RANDOM_PROGRAM_H_

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/random.h"
#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {

// By how much numbers are moved, as a part of them.
inline constexpr double kMoved = 0x1p-20;

// The references, node by node as a program grows.
class Interpreter {
 public:
  enum class Range { kDouble, kFloat32 };
  // With kFloat32, what is beyond float32 is infinite, and denormals are 0.
  // With `moved` too, numbers are moved, and denormals are 0 at random.
  Interpreter(const Graph* graph, int64_t batch, const ReferenceFeeds& feeds,
              Range range, std::optional<RandomStream> moved = std::nullopt)
      : graph_(graph),
        batch_(batch),
        feeds_(feeds),
        range_(range),
        moved_(moved) {}

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
    node.op->ReferenceFor(node.type.dtype)(attributes, inputs, output);
    if (range_ == Range::kFloat32 && !moved_.has_value()) {
      OverflowWithin(node, attributes, inputs, &output);
    }
    if (node.op->traits.uniform && node.type.dtype == DType::kFloat32) {
      for (double& value : output.values<double>()) {
        value = static_cast<float>(value);
      }
    } else {
      Move(node.type.dtype, &output);
    }
    values_.push_back(std::move(output));
  }

  // Where an op that is not elementwise may exceed float32 as it adds up,
  // which is where it does so for operands without signs, makes the output
  // infinite: a plan's may be, by the order of its terms.
  static void OverflowWithin(const Node& node, const Attributes& attributes,
                             std::vector<Tensor> inputs, Tensor* output) {
    if (node.op->traits.elementwise || node.type.dtype != DType::kFloat32) {
      return;
    }
    for (Tensor& input : inputs) {
      for (double& value : input.values<double>()) value = std::fabs(value);
    }
    Tensor magnitude(output->type());
    node.op->reference(attributes, inputs, magnitude);
    for (int64_t i = 0; i < output->elements(); ++i) {
      if (magnitude.values<double>()[i] > FLT_MAX) {
        output->values<double>()[i] = std::numeric_limits<double>::infinity();
      }
    }
  }

  Var VarOf(int id) const { return Var(const_cast<Graph*>(graph_), id); }

  void Move(DType dtype, Tensor* tensor) {
    if (range_ == Range::kDouble || dtype != DType::kFloat32) return;
    for (double& value : tensor->values<double>()) {
      if (moved_.has_value()) {
        value *= 1 + kMoved * (2 * moved_->Uniform() - 1);
      }
      if (std::fabs(value) > FLT_MAX) {
        value = std::copysign(std::numeric_limits<double>::infinity(), value);
      }
      // A plan may take a denormal for 0.
      if (std::fabs(value) < FLT_MIN &&
          (!moved_.has_value() || moved_->Below(2) == 0)) {
        value = std::copysign(0.0, value);
      }
    }
  }

  const Graph* graph_;
  int64_t batch_;
  const ReferenceFeeds& feeds_;
  const Range range_;
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

  // Numbers for the inputs, with special ones among them or without.
  ReferenceFeeds Feeds(int64_t batch, bool special) {
    const auto floats = [&](Shape shape) {
      std::vector<float> values(shape.elements());
      for (float& value : values) value = static_cast<float>(Between(-2, 2));
      if (special) MakeSpecial(shape[shape.rank() - 1], values);
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
  // Gives some of `values`, in rows of `columns`, special ones of one kind: of
  // all kinds at once, next to nothing would be left that is not NaN.
  void MakeSpecial(int64_t columns, std::vector<float>& values) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    static const std::vector<float> kKinds[] = {
        {0.0f, -0.0f},
        {1e-40f, -1e-40f, 1e-45f, FLT_MIN, 1e-38f, -1e-38f, 0.0f, -0.0f},
        {3e38f, -3e38f, FLT_MAX, -FLT_MAX, 1e38f},
        {1e4f, -1e4f, 500, -500, 88, -104},
        {1e19f, -1e19f, 1e-19f, -1e-19f, 1e-25f},
        {kInfinity, -kInfinity},
        {std::numeric_limits<float>::quiet_NaN()},
        {0.0f, -0.0f, kInfinity, -kInfinity, FLT_MAX, 1e-40f}};
    constexpr int kCount = std::size(kKinds);
    const int kind = Below(kCount + 1);
    if (kind == kCount) {  // A masked class.
      const int column = Below(columns);
      for (size_t i = column; i < values.size(); i += columns) {
        values[i] = -kInfinity;
      }
      return;
    }
    // Few, for what is not finite spreads.
    const int of = 1 + Below(3);
    for (size_t left = 1 + values.size() / 3; left > 0; --left) {
      float& value = values[Below(values.size())];
      if (Below(of) == 0) value = kKinds[kind][Below(kKinds[kind].size())];
    }
  }

  RandomStream random_;
  Var x_, z_;
  int names_ = 0;
};

// How often each rule that adds a node has given one.
const std::vector<int>& RuleUses();

}  // namespace tape

#endif  // TAPE_TESTS_OPS_RANDOM_PROGRAM_H_
