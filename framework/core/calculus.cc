// Calculus (calculus.h): ops whose point is their gradient, and what sweeps of
// Gradients are put together to. Tested by tests/core/calculus_test.cc, the ops by
// tests/ops/op_test.cc through the sample table.
#include "framework/core/calculus.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/basic_ops.h"

namespace tape {
namespace {

void CopyFirst(const Attributes&, absl::Span<const Tensor> inputs,
               Tensor& output) {
  std::copy(inputs[0].values<double>().begin(),
            inputs[0].values<double>().end(), output.values<double>().begin());
}

// Whether an adjoint that a user's rule returned fits an operand.
absl::Status CheckAdjoint(const Graph& graph, Var adjoint, Var x) {
  if (adjoint.graph() != &graph) {
    return absl::InvalidArgumentError("is of another graph");
  }
  if (!adjoint.valid()) return absl::OkStatus();  // The graph says why.
  if (adjoint.dtype() == DType::kFloat32 && x.dtype() == DType::kFloat32 &&
      (BroadcastsTo(adjoint.shape(), x.shape()) ||
       BroadcastsTo(x.shape(), adjoint.shape()))) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("has type ", adjoint.type().ToString(), ", its x ",
                   graph.Describe(x.id())));
}

Adjoints ApplyUserRule(absl::Span<const Var> operands, Var y, Var gy,
                       const Attributes& attributes) {
  Graph* const graph = y.graph();
  const absl::Span<const Var> x = operands.subspan(1);
  const UserGradientRule* const rule = graph->rule(attributes.index);
  const Adjoints by_x = rule == nullptr ? Adjoints() : (*rule)(x, y, gy);
  const auto fail = [&](absl::string_view message) {
    graph->ReportError(graph->node(y).loc, "WithGradient", message);
    return Adjoints(operands.size(), Var(graph, kNone));
  };
  if (by_x.size() != x.size()) {
    return fail(absl::StrCat("expected ", x.size(),
                             " adjoints, one for each x, found ", by_x.size(),
                             " from the rule"));
  }
  Adjoints adjoints = {Var()};  // None by y itself.
  for (size_t i = 0; i < x.size(); ++i) {
    adjoints.push_back(by_x[i]);
    if (by_x[i].empty()) continue;
    const absl::Status status = CheckAdjoint(*graph, by_x[i], x[i]);
    if (!status.ok()) {
      return fail(
          absl::StrCat("adjoint ", i, " from the rule ", status.message()));
    }
  }
  return adjoints;
}

// How many blocks of shape `block` are in `whole`; an error if its last axes
// are not those of the block, or the others are not bound.
absl::StatusOr<int64_t> CountBlocks(const Shape& whole, const Shape& block) {
  const auto wrong = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("expected blocks of the last axes of shape ",
                     whole.ToString(), ", found ", block.ToString()));
  };
  if (!whole.is_valid() || block.rank() > whole.rank()) return wrong();
  const int first = whole.rank() - block.rank();
  int64_t count = 1;
  for (int axis = 0; axis < whole.rank(); ++axis) {
    const bool fits = axis < first ? whole[axis] != kBatch
                                   : whole[axis] == block[axis - first];
    if (!fits) return wrong();
    if (axis < first) count *= whole[axis];
  }
  return count;
}

absl::Status CheckBlock(const Shape& whole, const Shape& block, int64_t index) {
  const absl::StatusOr<int64_t> count = CountBlocks(whole, block);
  if (!count.ok()) return count.status();
  if (index < 0 || index >= *count) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected a block from 0 to ", *count - 1, ", found ", index));
  }
  return absl::OkStatus();
}

absl::Status CheckFloats(absl::Span<const TensorType> x) {
  for (const TensorType& type : x) {
    if (type.dtype == DType::kFloat32) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("expected float32, found ", Name(type.dtype)));
  }
  return absl::OkStatus();
}

// Copies operand i to byte `place` + i * its bytes of the output, which is
// zeroed first if `zero`.
class PlaceKernel : public PlainKernel {
 public:
  PlaceKernel(size_t input_bytes, size_t inputs, size_t place,
              size_t zero_bytes)
      : input_bytes_(input_bytes),
        inputs_(inputs),
        place_(place),
        zero_bytes_(zero_bytes) {}
  void Run(int, const KernelArguments& arguments) const override {
    auto* const to = static_cast<std::byte*>(arguments.outputs[0]);
    std::memset(to, 0, zero_bytes_);
    for (size_t i = 0; i < inputs_; ++i) {
      std::memcpy(to + place_ + i * input_bytes_, arguments.inputs[i],
                  input_bytes_);
    }
  }

 private:
  size_t input_bytes_, inputs_, place_, zero_bytes_;
};

class BlockOfKernel : public PlainKernel {
 public:
  BlockOfKernel(size_t place, size_t bytes) : place_(place), bytes_(bytes) {}
  void Run(int, const KernelArguments& arguments) const override {
    std::memcpy(arguments.outputs[0],
                static_cast<const std::byte*>(arguments.inputs[0]) + place_,
                bytes_);
  }

 private:
  size_t place_, bytes_;
};

}  // namespace

// ---- StopGradient: y = x, dy/dx = 0 by decree ----
constinit const OpDef kStopGradient = {
    .name = "StopGradient",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x, const Attributes&)
        -> absl::StatusOr<TensorType> { return x[0]; },
    .gradient = [](absl::Span<const Var>, Var, Var,
                   const Attributes&) -> Adjoints { return {Var()}; },
    .reference = CopyFirst,
    .traits = {.same_as = 0},
};

// ---- WithGradient: y = the first operand; the user's rule by the others ----
constinit const OpDef kWithGradient = {
    .name = "WithGradient",
    .operands = {"y or x"},
    .variadic = true,
    .shape = [](absl::Span<const TensorType> x,
                const Attributes&) -> absl::StatusOr<TensorType> {
      if (absl::Status status = CheckFloats(x.first(1)); !status.ok()) {
        return status;
      }
      return x[0];
    },
    .gradient = ApplyUserRule,
    .reference = CopyFirst,
    .traits = {.same_as = 0},
};

// ---- Stack: y = x[0], x[1], … in memory; dx[i] = block i of gy ----
constinit const OpDef kStack = {
    .name = "Stack",
    .operands = {"x"},
    .variadic = true,
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = CheckFloats(x); !status.ok()) return status;
      for (const TensorType& type : x) {
        if (type == x[0]) continue;
        return absl::InvalidArgumentError(
            absl::StrCat("expected operands of one shape, found ",
                         x[0].ToString(), " and ", type.ToString()));
      }
      const auto count = CountBlocks(attributes.shape, x[0].shape);
      if (!count.ok()) return count.status();
      if (*count != static_cast<int64_t>(x.size())) {
        return absl::InvalidArgumentError(
            absl::StrCat("shape ", attributes.shape.ToString(), " has ", *count,
                         " blocks of shape ", x[0].shape.ToString(), ", for ",
                         x.size(), " operands"));
      }
      return TensorType{DType::kFloat32, attributes.shape};
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      Adjoints adjoints;
      for (size_t i = 0; i < x.size(); ++i) {
        adjoints.push_back(BlockOf(gy, static_cast<int64_t>(i), x[i].shape()));
      }
      return adjoints;
    },
    .reference =
        [](const Attributes&, absl::Span<const Tensor> x, Tensor& y) {
          auto to = y.values<double>().begin();
          for (const Tensor& block : x) {
            to = std::copy(block.values<double>().begin(),
                           block.values<double>().end(), to);
          }
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      return std::make_unique<PlaceKernel>(spec.inputs[0].bytes(),
                                           spec.inputs.size(), /*place=*/0,
                                           /*zero_bytes=*/0);
    },
};

// ---- BlockOf: y = block `index` of x; dx = gy in its place ----
constinit const OpDef kBlockOf = {
    .name = "BlockOf",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = CheckFloats(x); !status.ok()) return status;
      if (absl::Status status =
              CheckBlock(x[0].shape, attributes.shape, attributes.index);
          !status.ok()) {
        return status;
      }
      return TensorType{DType::kFloat32, attributes.shape};
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {PlaceBlock(gy, attributes.index, x[0].shape())};
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          const auto from =
              x[0].values<double>().begin() + attributes.index * y.elements();
          std::copy(from, from + y.elements(), y.values<double>().begin());
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const size_t bytes = spec.output.bytes();
      return std::make_unique<BlockOfKernel>(spec.attributes.index * bytes,
                                             bytes);
    },
};

// ---- PlaceBlock: y = 0 but for block `index`, x; dx = block `index` of gy ----
constinit const OpDef kPlaceBlock = {
    .name = "PlaceBlock",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = CheckFloats(x); !status.ok()) return status;
      if (absl::Status status =
              CheckBlock(attributes.shape, x[0].shape, attributes.index);
          !status.ok()) {
        return status;
      }
      return TensorType{DType::kFloat32, attributes.shape};
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {BlockOf(gy, attributes.index, x[0].shape())};
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          std::copy(
              x[0].values<double>().begin(), x[0].values<double>().end(),
              y.values<double>().begin() + attributes.index * x[0].elements());
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const size_t bytes = spec.inputs[0].bytes();
      return std::make_unique<PlaceKernel>(bytes, /*inputs=*/1,
                                           spec.attributes.index * bytes,
                                           /*zero_bytes=*/spec.output.bytes());
    },
};

Var StopGradient(Var x, Loc loc) { return Append(kStopGradient, {x}, {}, loc); }

Var WithGradient(Var y, absl::Span<const Var> x, UserGradientRule rule,
                 Loc loc) {
  std::vector<Var> operands = {y};
  operands.insert(operands.end(), x.begin(), x.end());
  Graph* const graph = GraphOf(operands);
  if (graph == nullptr) return Var::WithoutGraph("WithGradient", loc);
  if (rule == nullptr) {
    graph->ReportError(loc, "WithGradient", "expected a rule, found none");
    return Var(graph, kNone);
  }
  return graph->Append(kWithGradient, operands,
                       {.index = graph->KeepRule(std::move(rule))}, loc);
}

Var Stack(absl::Span<const Var> x, Shape shape, Loc loc) {
  return Append(kStack, x, {.shape = std::move(shape)}, loc);
}

Var BlockOf(Var x, int64_t index, Shape shape, Loc loc) {
  return Append(kBlockOf, {x}, {.index = index, .shape = std::move(shape)},
                loc);
}

Var PlaceBlock(Var x, int64_t index, Shape shape, Loc loc) {
  return Append(kPlaceBlock, {x}, {.index = index, .shape = std::move(shape)},
                loc);
}

namespace {

// Keeps the mistake and returns false unless `given`, called `name`, has a Var
// of each x's type.
bool FitsEach(Graph* graph, absl::string_view what, absl::string_view name,
              absl::Span<const Var> x, absl::Span<const Var> given, Loc loc) {
  if (given.size() != x.size()) {
    graph->ReportError(loc, what,
                       absl::StrCat("expected as many of ", name, " as x, ",
                                    x.size(), ", found ", given.size()));
    return false;
  }
  bool fits = true;
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i].graph() != graph || given[i].graph() != graph) {
      graph->ReportError(loc, what,
                         absl::StrCat("x ", i, " or its ", name,
                                      x[i].empty() || given[i].empty()
                                          ? " is an empty Var"
                                          : " is of another graph than y"));
      fits = false;
    } else if (!x[i].valid() || !given[i].valid()) {
      fits = false;
    } else if (!(x[i].type() == given[i].type())) {
      graph->ReportError(
          loc, what,
          absl::StrCat("expected ", name, " ", i, " of the type of its x (",
                       graph->Describe(x[i].id()), "), found ",
                       graph->Describe(given[i].id())));
      fits = false;
    }
  }
  return fits;
}

}  // namespace

Var Jvp(Var y, absl::Span<const Var> x, absl::Span<const Var> tangents,
        Loc loc) {
  Graph* const graph = y.graph() != nullptr ? y.graph() : GraphOf(x);
  if (graph == nullptr) return Var::WithoutGraph("Jvp", loc);
  const Var invalid(graph, kNone);
  if (y.empty()) graph->ReportError(loc, "Jvp", "y is an empty Var");
  if (!FitsEach(graph, "Jvp", "tangents", x, tangents, loc) || !y.valid()) {
    return invalid;
  }
  Var seed;
  {
    const Graph::GradientScope scope(graph, y.id(), loc);
    // Any number would do: what is linear in it has a derivative without it.
    seed = Fill(graph, y.shape(), 0, y.dtype(), loc);
  }
  const std::vector<Var> gradients =
      Vjp({y}, {seed}, x, Unconnected::kZero, loc);
  for (Var gradient : gradients) {
    if (!gradient.valid()) return invalid;
  }
  if (gradients.empty()) return seed;
  return Vjp(gradients, tangents, {seed}, Unconnected::kZero, loc)[0];
}

std::vector<Var> HessianVectorProduct(Var y, absl::Span<const Var> x,
                                      absl::Span<const Var> v, Loc loc) {
  Graph* const graph = y.graph() != nullptr ? y.graph() : GraphOf(x);
  const std::vector<Var> invalid(
      x.size(), graph == nullptr
                    ? Var::WithoutGraph("HessianVectorProduct", loc)
                    : Var(graph, kNone));
  if (graph == nullptr) return invalid;
  if (y.empty()) {
    graph->ReportError(loc, "HessianVectorProduct", "y is an empty Var");
  }
  if (!FitsEach(graph, "HessianVectorProduct", "v", x, v, loc) || !y.valid()) {
    return invalid;
  }
  const std::vector<Var> gradients = Gradients(y, x, {}, loc);
  for (Var gradient : gradients) {
    if (!gradient.valid()) return invalid;
  }
  return Vjp(gradients, v, x, Unconnected::kZero, loc);
}

Var Jacobian(Var y, Var x, Loc loc) {
  Graph* const graph = y.graph() != nullptr ? y.graph() : x.graph();
  if (graph == nullptr) return Var::WithoutGraph("Jacobian", loc);
  const Var invalid(graph, kNone);
  if (!y.valid() || x.graph() != graph || !x.valid() || y.shape().rank() == 0) {
    return Gradients(y, {x}, {},
                     loc)[0];  // Which says what is wrong, if it is.
  }
  if (!y.shape().is_bound() || y.shape().elements() > kMaxJacobianRows) {
    graph->ReportError(loc, "Jacobian",
                       absl::StrCat("expected a y without kBatch, of at most ",
                                    kMaxJacobianRows, " elements, found ",
                                    graph->Describe(y.id())));
    return invalid;
  }
  absl::InlinedVector<int64_t, 4> dims(y.shape().dims().begin(),
                                       y.shape().dims().end());
  dims.insert(dims.end(), x.shape().dims().begin(), x.shape().dims().end());
  const Shape shape(dims);
  const int64_t rows = y.shape().elements();
  if (rows == 0) return Fill(graph, shape, 0, DType::kFloat32, loc);
  std::vector<Var> gradients;
  for (int64_t row = 0; row < rows; ++row) {
    Var seed;
    {
      const Graph::GradientScope scope(graph, y.id(), loc);
      seed = PlaceBlock(Fill(graph, {}, 1), row, y.shape());
    }
    gradients.push_back(Gradients(y, {x}, {.seed = seed}, loc)[0]);
    if (!gradients.back().valid()) return invalid;  // So are all others.
  }
  const Graph::GradientScope scope(graph, y.id(), loc);
  return Stack(gradients, shape);
}

absl::Span<const OpDef* const> CalculusOps() {
  static constexpr const OpDef* kOps[] = {&kStopGradient, &kStack, &kBlockOf,
                                          &kPlaceBlock};
  return kOps;
}

}  // namespace tape
