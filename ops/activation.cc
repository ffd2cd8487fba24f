// Activations (ops.h). Each differentiates from its output y, so that x need
// not be kept. Tested by tests/op_test.cc through the sample table.
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/reference.h"
#include "ops/ops.h"
#include "ops/rules.h"
#include "ops/vector.h"

namespace tape {
namespace {

// ---- LeakyReluGradient: z = gy where y > 0, else slope gy ----
// Linear in gy; piecewise constant in y.
Var LeakyReluGradient(Var gy, Var y, double slope);

constexpr OpDef kLeakyReluGradient = {
    .name = "LeakyReluGradient",
    .operands = {"gy", "y"},
    .shape = BroadcastFloats,
    .gradient = [](absl::Span<const Var> x, Var, Var gz,
                   const Attributes& attributes) -> Adjoints {
      return {LeakyReluGradient(gz, x[1], attributes.value), Var()};
    },
    .reference =
        MapReference<[](const Attributes& attributes, double gy, double y) {
          if ((y > 0)) return gy;
          return attributes.value == 0 ? 0 : attributes.value * gy;
        }>,
    .block = Only<vector::LeakyReluGradientFloat>,
    .traits = {.elementwise = true},
};

Var LeakyReluGradient(Var gy, Var y, double slope) {
  return Append(kLeakyReluGradient, {gy, y}, {.value = slope}, Loc::Current());
}

// ---- Relu: y = max(x, 0), dy/dx = 1 where y > 0, else 0 ----
constexpr OpDef kRelu = {
    .name = "Relu",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var>, Var y, Var gy, const Attributes&)
        -> Adjoints { return {LeakyReluGradient(gy, y, 0)}; },
    .reference = MapReference<[](double x) { return x < 0 ? 0 : x; }>,
    .block = Only<vector::ReluFloat>,
    .simplify = SimplifyIdempotent,
    .traits = {.elementwise = true},
};

// ---- LeakyRelu: y = x where x > 0, else slope x; dy/dx = 1 or slope alike ----
// y has the sign of x because the slope is not negative.
constexpr OpDef kLeakyRelu = {
    .name = "LeakyRelu",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (!(attributes.value >= 0) || !std::isfinite(attributes.value)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected a finite slope of at least 0, found ", attributes.value));
      }
      return SameAsFloatInput(x, attributes);
    },
    .gradient = [](absl::Span<const Var>, Var y, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {LeakyReluGradient(gy, y, attributes.value)};
    },
    .reference = MapReference<[](const Attributes& attributes, double x) {
      return (x > 0) ? x : attributes.value * x;
    }>,
    .block = Only<vector::LeakyReluFloat>,
    .traits = {.elementwise = true},
};

// ---- Sigmoid: y = 1 / (1 + e^-x), dy/dx = y (1 - y) ----
constexpr OpDef kSigmoid = {
    .name = "Sigmoid",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var>, Var y, Var gy, const Attributes&)
        -> Adjoints { return {gy * y * (1 - y)}; },
    .reference = MapReference<[](double x) { return 1 / (1 + std::exp(-x)); }>,
    .block = Only<vector::SigmoidFloat>,
    .traits = {.elementwise = true},
};

// ---- Tanh: y = tanh x, dy/dx = 1 - y^2 ----
constexpr OpDef kTanh = {
    .name = "Tanh",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var>, Var y, Var gy, const Attributes&)
        -> Adjoints { return {gy * (1 - Square(y))}; },
    .reference = MapReference<[](double x) { return std::tanh(x); }>,
    .block = Only<vector::TanhFloat>,
    .traits = {.elementwise = true},
};

}  // namespace

Var Relu(Var x, Loc loc) { return Append(kRelu, {x}, {}, loc); }
Var LeakyRelu(Var x, double slope, Loc loc) {
  return Append(kLeakyRelu, {x}, {.value = slope}, loc);
}
Var Sigmoid(Var x, Loc loc) { return Append(kSigmoid, {x}, {}, loc); }
Var Tanh(Var x, Loc loc) { return Append(kTanh, {x}, {}, loc); }

}  // namespace tape
