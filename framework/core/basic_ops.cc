// The framework's own ops (basic_ops.h). Tested by tests/ops/op_test.cc through the
// sample table.
#include "framework/core/basic_ops.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/reference.h"
#include "framework/core/sum_kernels.h"
#include "framework/core/sums_in_pieces.h"

namespace tape {
namespace {

absl::Status ExpectValid(const Shape& shape) {
  if (shape.is_valid()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("expected dimensions of at least 0, or kBatch, found ",
                   shape.ToString()));
}

}  // namespace

absl::StatusOr<TensorType> TypeOfAttributes(absl::Span<const TensorType>,
                                            const Attributes& attributes) {
  if (absl::Status status = ExpectValid(attributes.shape); !status.ok()) {
    return status;
  }
  return TensorType{attributes.dtype, attributes.shape};
}

// ---- Input: numbers fed to a run ----
constinit const OpDef kInput = {
    .name = "Input",
    .shape = TypeOfAttributes,
    .traits = {.source = true},
};

// ---- Variable: numbers that outlive a run ----
constinit const OpDef kVariable = {
    .name = "Variable",
    .shape = TypeOfAttributes,
    .traits = {.source = true},
};

// ---- CountUp: y = x + 1, at most the largest int32 ----
constinit const OpDef kCountUp = {
    .name = "CountUp",
    .operands = {"counter"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes&) -> absl::StatusOr<TensorType> {
      if (x[0].dtype == DType::kInt32) return x[0];
      return absl::InvalidArgumentError(
          absl::StrCat("expected int32, found ", x[0].ToString()));
    },
    .reference = MapReference<[](double x) {
      return std::min<double>(x + 1, std::numeric_limits<int32_t>::max());
    }>,
    .block = [](absl::Span<const DType>, DType) -> Block {
      return [](const BlockArguments& block) {
        const auto* const x = static_cast<const int32_t*>(block.inputs[0]);
        auto* const y = static_cast<int32_t*>(block.output);
        for (size_t i = 0; i < block.count; ++i) {
          y[i] = x[i] + (x[i] < std::numeric_limits<int32_t>::max() ? 1 : 0);
        }
      };
    },
    .traits = {.elementwise = true},
};

// ---- KeepUnless: y = condition ? value : old, of float32 or int32;
// ---- dy/dvalue = condition, dy/dold = its opposite ----
constinit const OpDef kKeepUnless = {
    .name = "KeepUnless",
    .operands = {"condition", "value", "old"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes&) -> absl::StatusOr<TensorType> {
      if (x[0] == TensorType{DType::kUint8, {}} && x[1] == x[2] &&
          SizeOf(x[1].dtype) == sizeof(int32_t)) {
        return x[1];
      }
      return absl::InvalidArgumentError(
          "expected a uint8 of rank 0, and two of one type, float32 or int32");
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      const Var zero = Fill(gy.graph(), gy.shape(), 0);
      return {Var(), Append(kKeepUnless, {x[0], gy, zero}, {}, Loc::Current()),
              Append(kKeepUnless, {x[0], zero, gy}, {}, Loc::Current())};
    },
    .reference = MapReference<[](double condition, double value, double old) {
      return condition != 0 ? value : old;
    }>,
    .block = [](absl::Span<const DType>, DType) -> Block {
      return {[](const BlockArguments& block) {
                const auto* const holds =
                    static_cast<const uint8_t*>(block.inputs[0]);
                const auto* const value =
                    static_cast<const int32_t*>(block.inputs[1]);
                const auto* const old =
                    static_cast<const int32_t*>(block.inputs[2]);
                auto* const y = static_cast<int32_t*>(block.output);
                for (size_t i = 0; i < block.count; ++i) {
                  y[i] = holds[i] != 0 ? value[i] : old[i];
                }
              },
              LaneOp::kSelect};
    },
    .traits = {.elementwise = true},
};

// ---- ByMode: y = training or inference, as a plan is for ----
// Its gradient is the driver's (gradients.cc).
constinit const OpDef kByMode = {
    .name = "ByMode",
    .operands = {"training", "inference"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes&) -> absl::StatusOr<TensorType> {
      if (x[0] == x[1]) return x[0];
      return absl::InvalidArgumentError("expected two of one type");
    },
    .traits = {.by_mode = true},
};

// ---- AddN: y = x[0] + x[1] + …, dy/dx[i] = 1 ----
constinit const OpDef kAddN = {
    .name = "AddN",
    .operands = {"x"},
    .variadic = true,
    .shape = [](absl::Span<const TensorType> x,
                const Attributes&) -> absl::StatusOr<TensorType> {
      for (const TensorType& type : x) {
        if (type.dtype != DType::kFloat32 || !(type == x[0])) {
          return absl::InvalidArgumentError(
              absl::StrCat("expected float32 operands of one shape, found ",
                           x[0].ToString(), " and ", type.ToString()));
        }
      }
      return x[0];
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) { return Adjoints(x.size(), gy); },
    .reference =
        [](const Attributes&, absl::Span<const Tensor> x, Tensor& y) {
          for (const Tensor& term : x) {
            for (int64_t i = 0; i < y.elements(); ++i) {
              y.values<double>()[i] += term.values<double>()[i];
            }
          }
        },
    .block = [](absl::Span<const DType>, DType) -> Block {
      return {AddFloats, LaneOp::kAdd};
    },
    .simplify = [](const SimplifyQuery& query) -> Simplification {
      if (query.inputs.size() != 1) return {};
      return {Simplification::kInput, 0};
    },
    .traits = {.elementwise = true, .linearity = Linearity::kLinear},
};

// ---- SumTo: y = the sums of x over the axes in which it is larger than y ----
constinit const OpDef kSumTo = {
    .name = "SumTo",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (x[0].dtype != DType::kFloat32) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected float32, found ", Name(x[0].dtype)));
      }
      if (!BroadcastsTo(attributes.shape, x[0].shape)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "shape ", x[0].shape.ToString(), " does not sum to shape ",
            attributes.shape.ToString()));
      }
      return TensorType{DType::kFloat32, attributes.shape};
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy, const Attributes&)
        -> Adjoints { return {BroadcastTo(gy, x[0].shape())}; },
    .reference =
        [](const Attributes&, absl::Span<const Tensor> x, Tensor& y) {
          ForEachBroadcast(x[0].shape(), {y.shape()},
                           [&](int64_t i, absl::Span<const int64_t> at) {
                             y.values<double>()[at[0]] +=
                                 x[0].values<double>()[i];
                           });
        },
    .kernel = MakeSumKernel<SumForm::kSum>,
    .rows =
        [](const RowQuery& query) {
          const Shape& x = query.inputs[0].shape;
          const Shape& y = query.output.shape;
          return y.rank() == x.rank() && y[0] == x[0] ? RowRole::kApart
                                                      : RowRole::kSummed;
        },
    .traits = {.in_pieces = InPieces(SumForm::kSum)},
};

// ---- BroadcastTo: y = x repeated; dx = the sum over the repetitions ----
constinit const OpDef kBroadcastTo = {
    .name = "BroadcastTo",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = ExpectValid(attributes.shape); !status.ok()) {
        return status;
      }
      if (!BroadcastsTo(x[0].shape, attributes.shape)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "shape ", x[0].shape.ToString(), " does not broadcast to shape ",
            attributes.shape.ToString()));
      }
      return TensorType{x[0].dtype, attributes.shape};
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy, const Attributes&)
        -> Adjoints { return {SumTo(gy, x[0].shape())}; },
    .reference = MapReference<[](double x) { return x; }>,
    .block = [](absl::Span<const DType> x, DType) -> Block {
      return WithWordOf(x[0], [](auto word) -> Block {
        return {[](const BlockArguments& block) {
                  std::memmove(block.output, block.inputs[0],
                               block.count * sizeof(decltype(word)));
                },
                LaneOp::kCopy};
      });
    },
    .simplify = SimplifyRetyping,
    .traits = {.elementwise = true,
               .identity = true,
               .linearity = Linearity::kLinear},
};

// ---- Fill: y = value everywhere ----
constinit const OpDef kFill = {
    .name = "Fill",
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const DType dtype = attributes.dtype;
      if (!IsForNodes(dtype)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected a dtype that nodes have, found ", Name(dtype)));
      }
      if (!CanHold(dtype, attributes.value)) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected a value that ", Name(dtype), " has, found ",
                         attributes.value));
      }
      return TypeOfAttributes(x, attributes);
    },
    .gradient = [](absl::Span<const Var>, Var, Var,
                   const Attributes&) { return Adjoints(); },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor>, Tensor& y) {
          for (double& element : y.values<double>()) {
            element = attributes.value;
          }
        },
    .traits = {.uniform = true},
};

Var AddN(absl::Span<const Var> x, Loc loc) { return Append(kAddN, x, {}, loc); }

Var SumTo(Var x, Shape shape, Loc loc) {
  return Append(kSumTo, {x}, {.shape = std::move(shape)}, loc);
}

Var BroadcastTo(Var x, Shape shape, Loc loc) {
  return Append(kBroadcastTo, {x}, {.shape = std::move(shape)}, loc);
}

Var Fill(Graph* graph, Shape shape, double value, DType dtype, Loc loc) {
  if (graph == nullptr) return Var::WithoutGraph("Fill", loc);
  return graph->Append(
      kFill, {}, {.value = value, .dtype = dtype, .shape = std::move(shape)},
      loc);
}

Var CountUp(Var counter, Loc loc) {
  return Append(kCountUp, {counter}, {}, loc);
}

Var ByMode(Var training, Var inference, Loc loc) {
  return Append(kByMode, {training, inference}, {}, loc);
}

absl::Span<const OpDef* const> BasicOps() {
  static constexpr const OpDef* kOps[] = {
      &kCountUp, &kKeepUnless,  &kByMode, &kAddN,
      &kSumTo,   &kBroadcastTo, &kFill};
  return kOps;
}

}  // namespace tape
