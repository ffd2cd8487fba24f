// Activations (ops.h). Relu, LeakyRelu, Sigmoid and Tanh differentiate from
// their output y, so that x need not be kept; most others are composed. Tested
// by tests/op_test.cc through the sample table.
#include <cmath>
#include <numbers>

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
      if (!(attributes.value >= 0) ||
          !std::isfinite(static_cast<float>(attributes.value))) {
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

// ---- Softplus: y = ln(1 + e^x), dy/dx = 1 / (1 + e^-x) ----
constexpr OpDef kSoftplus = {
    .name = "Softplus",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy, const Attributes&)
        -> Adjoints { return {gy * Sigmoid(x[0])}; },
    .reference = MapReference<[](double x) {
      return (x > 0 ? x : 0) + std::log1p(std::exp(-std::fabs(x)));
    }>,
    .block = Only<vector::SoftplusFloat>,
    .traits = {.elementwise = true},
};

absl::StatusOr<TensorType> EluRule(absl::Span<const TensorType> x,
                                   const Attributes& attributes) {
  if (!std::isfinite(static_cast<float>(attributes.value))) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a finite alpha, found ", attributes.value));
  }
  return SameAsFloatInput(x, attributes);
}

// ---- What is composed ----

constexpr Composite kElu = {.name = "Elu", .operands = {"x"}, .shape = EluRule};
constexpr Composite kSelu = {
    .name = "Selu", .operands = {"x"}, .shape = SameAsFloatInput};
constexpr Composite kGelu = {
    .name = "Gelu", .operands = {"x"}, .shape = SameAsFloatInput};
constexpr Composite kSilu = {
    .name = "Silu", .operands = {"x"}, .shape = SameAsFloatInput};
constexpr Composite kSoftsign = {
    .name = "Softsign", .operands = {"x"}, .shape = SameAsFloatInput};
constexpr Composite kHardTanh = {
    .name = "HardTanh", .operands = {"x"}, .shape = SameAsFloatInput};

}  // namespace

Var Relu(Var x, Loc loc) { return Append(kRelu, {x}, {}, loc); }
Var LeakyRelu(Var x, double slope, Loc loc) {
  return Append(kLeakyRelu, {x}, {.value = slope}, loc);
}
Var Sigmoid(Var x, Loc loc) { return Append(kSigmoid, {x}, {}, loc); }
Var Tanh(Var x, Loc loc) { return Append(kTanh, {x}, {}, loc); }
Var Softplus(Var x, Loc loc) { return Append(kSoftplus, {x}, {}, loc); }

Var Elu(Var x, double alpha, Loc loc) {
  const Composing elu(kElu, {x}, loc, {.value = alpha});
  if (!elu.ok()) return elu.mistake();
  // Where x is large, its exponential would be infinite, and 0 times it NaN.
  return Relu(x) + alpha * Expm1(Minimum(x, Constant(x, 0)));
}

Var Selu(Var x, Loc loc) {
  const Composing selu(kSelu, {x}, loc);
  if (!selu.ok()) return selu.mistake();
  // From Klambauer and others, "Self-Normalizing Neural Networks", 2017: mean 0
  // and variance 1 are a fixed point.
  constexpr double kScale = 1.0507009873554804934193349852946;
  constexpr double kAlpha = 1.6732632423543772848170429916717;
  return kScale * Relu(x) + kScale * kAlpha * Expm1(Minimum(x, Constant(x, 0)));
}

Var Gelu(Var x, GeluForm form, Loc loc) {
  const Composing gelu(kGelu, {x}, loc);
  if (!gelu.ok()) return gelu.mistake();
  if (form == GeluForm::kErf) {
    return 0.5 * x * (1 + Erf((1 / std::numbers::sqrt2) * x));
  }
  // From 10 on tanh is 1, while the derivative of a large cube would be
  // infinite, and 0 times it NaN.
  const Var u = Clip(x, -10, 10);
  const double scale = std::sqrt(2 * std::numbers::inv_pi);
  return 0.5 * x * (1 + Tanh(scale * (u + 0.044715 * (u * u * u))));
}

Var Silu(Var x, Loc loc) {
  const Composing silu(kSilu, {x}, loc);
  if (!silu.ok()) return silu.mistake();
  return x * Sigmoid(x);
}

Var Softsign(Var x, Loc loc) {
  const Composing softsign(kSoftsign, {x}, loc);
  if (!softsign.ok()) return softsign.mistake();
  return x / (1 + Abs(x));
}

Var HardTanh(Var x, Loc loc) {
  const Composing hard_tanh(kHardTanh, {x}, loc);
  if (!hard_tanh.ok()) return hard_tanh.mistake();
  return Clip(x, -1, 1);
}

}  // namespace tape
