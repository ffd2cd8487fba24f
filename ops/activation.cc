// Activations (ops.h). Relu and LeakyRelu differentiate from their output y, so
// that x need not be kept; the smooth ones from x, since in float32 1 - y has no
// digits left where y is near 1. Tested by tests/ops/op_test.cc through the sample
// table, and by tests/ops/accuracy_test.cc over the whole range of float32.
#include <cmath>
#include <numbers>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/reference.h"
#include "ops/op_lists.h"
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

// ---- SigmoidSlope: y = e^-|x| / (1 + e^-|x|)^2, the derivative of Sigmoid ----
// dy/dx = -y tanh(x/2)
constexpr OpDef kSigmoidSlope = {
    .name = "SigmoidSlope",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var y, Var gy, const Attributes&)
        -> Adjoints { return {-(gy * y * Tanh(0.5 * x[0]))}; },
    .reference = MapReference<[](double x) {
      const double e = std::exp(-std::fabs(x));
      return e / ((1 + e) * (1 + e));
    }>,
    .block = Only<vector::SigmoidSlopeFloat>,
    .traits = {.elementwise = true},
};

// ---- Sigmoid: y = 1 / (1 + e^-x), dy/dx = SigmoidSlope(x) ----
constexpr OpDef kSigmoid = {
    .name = "Sigmoid",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy, const Attributes&)
        -> Adjoints { return {gy * SigmoidSlope(x[0])}; },
    .reference = MapReference<[](double x) { return 1 / (1 + std::exp(-x)); }>,
    .block = Only<vector::SigmoidFloat>,
    .traits = {.elementwise = true},
};

// ---- TanhSlope: y = 1 / cosh(x)^2, the derivative of Tanh ----
// dy/dx = -2 y tanh x
Var TanhSlope(Var x);

constexpr OpDef kTanhSlope = {
    .name = "TanhSlope",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var y, Var gy, const Attributes&)
        -> Adjoints { return {gy * (-2 * y) * Tanh(x[0])}; },
    .reference = MapReference<[](double x) {
      const double e = std::exp(-2 * std::fabs(x));
      return 4 * e / ((1 + e) * (1 + e));
    }>,
    .block = Only<vector::TanhSlopeFloat>,
    .traits = {.elementwise = true},
};

Var TanhSlope(Var x) { return Append(kTanhSlope, {x}, {}, Loc::Current()); }

// ---- Tanh: y = tanh x, dy/dx = TanhSlope(x) ----
constexpr OpDef kTanh = {
    .name = "Tanh",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy, const Attributes&)
        -> Adjoints { return {gy * TanhSlope(x[0])}; },
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

// x, or the bound that it is beyond, of a factor that is multiplied by 0 there:
// so that 0 times infinity is none of a limit that is 0.
Var Within(Var x, double bound) { return Clip(x, -bound, bound); }

// The standard normal density, 1 / sqrt(2 pi) e^(-x^2 / 2).
Var NormalDensity(Var x) {
  return (std::numbers::inv_sqrtpi / std::numbers::sqrt2) * Gaussian(x, 0.5);
}

// ---- GeluSlope: y = P(X < x) + x density(x), the derivative of Gelu ----
// dy/dx = density(x) (2 - x^2)
constexpr OpDef kGeluSlope = {
    .name = "GeluSlope",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      return {gy * (NormalDensity(x[0]) * (2 - Square(Within(x[0], 16))))};
    },
    .reference = MapReference<[](double x) {
      if (std::isinf(x)) return x < 0 ? 0.0 : 1.0;
      return 0.5 * std::erfc(-x / std::numbers::sqrt2) +
             x * std::exp(-0.5 * x * x) * std::numbers::inv_sqrtpi /
                 std::numbers::sqrt2;
    }>,
    .block = Only<vector::GeluSlopeFloat>,
    .traits = {.elementwise = true},
};

constexpr Joint kGeluWithSlope = {.with = &kGeluSlope,
                                  .block = Only<vector::GeluWithSlopeFloat>};

// ---- Gelu: y = x P(X < x) = x/2 erfc(-x / sqrt(2)), X standard normal ----
// dy/dx = GeluSlope(x)
constexpr OpDef kGelu = {
    .name = "Gelu",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      return {gy * Append(kGeluSlope, {x[0]}, {}, Loc::Current())};
    },
    .reference = MapReference<[](double x) {
      if (std::isinf(x)) return x < 0 ? -0.0 : x;
      return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
    }>,
    .block = Only<vector::GeluFloat>,
    .joint = &kGeluWithSlope,
    .traits = {.elementwise = true},
};

// Of the approximation by tanh, x/2 (1 + tanh(w/2)) = x Sigmoid(w), with w =
// x (kLinear + kCubic x^2).
constexpr double kLinear = 1.5957691216057307;  // 2 sqrt(2 / pi)
constexpr double kCubic = 0.044715 * kLinear;

// ---- GeluTanhSlope: y = s(w) (1 + x w' s(-w)), s the Sigmoid ----
// dy/dx = s'(w) (2 w' + x w'' - x w'^2 tanh(w/2))
constexpr OpDef kGeluTanhSlope = {
    .name = "GeluTanhSlope",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      const Var u = Within(x[0], 16);
      const Var square = Square(u);
      const Var w = u * (kLinear + kCubic * square);
      const Var slope = kLinear + 3 * kCubic * square;
      const Var sum = 2 * kLinear + 12 * kCubic * square;
      return {gy *
              (SigmoidSlope(w) * (sum - u * Square(slope) * Tanh(0.5 * w)))};
    },
    .reference = MapReference<[](double x) {
      if (std::isinf(x)) return x < 0 ? 0.0 : 1.0;
      const double w = x * (kLinear + kCubic * x * x);
      const double slope = kLinear + 3 * kCubic * x * x;
      const double e = std::exp(-std::fabs(w)), s = 1 / (1 + e);
      if (e == 0) return x < 0 ? 0.0 : 1.0;
      return x < 0 ? e * s * (1 + x * slope * s) : s * (1 + x * slope * e * s);
    }>,
    .block = Only<vector::GeluTanhSlopeFloat>,
    .traits = {.elementwise = true},
};

constexpr Joint kGeluTanhWithSlope = {
    .with = &kGeluTanhSlope, .block = Only<vector::GeluTanhWithSlopeFloat>};

// ---- GeluTanh: y = x Sigmoid(w); dy/dx = GeluTanhSlope(x) ----
constexpr OpDef kGeluTanh = {
    .name = "GeluTanh",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      return {gy * Append(kGeluTanhSlope, {x[0]}, {}, Loc::Current())};
    },
    .reference = MapReference<[](double x) {
      if (std::isinf(x)) return x < 0 ? -0.0 : x;
      return x / (1 + std::exp(-x * (kLinear + kCubic * x * x)));
    }>,
    .block = Only<vector::GeluTanhFloat>,
    .joint = &kGeluTanhWithSlope,
    .traits = {.elementwise = true},
};

// ---- SiluSlope: y = s(x) (1 + x s(-x)), s the Sigmoid ----
// dy/dx = s'(x) (2 - x tanh(x/2))
constexpr OpDef kSiluSlope = {
    .name = "SiluSlope",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      const Var u = Within(x[0], 256);
      return {gy * (SigmoidSlope(x[0]) * (2 - u * Tanh(0.5 * u)))};
    },
    .reference = MapReference<[](double x) {
      const double e = std::exp(-std::fabs(x)), s = 1 / (1 + e);
      if (e == 0) return x < 0 ? 0.0 : 1.0;
      return x < 0 ? e * s * (1 + x * s) : s * (1 + x * e * s);
    }>,
    .block = Only<vector::SiluSlopeFloat>,
    .traits = {.elementwise = true},
};

constexpr Joint kSiluWithSlope = {.with = &kSiluSlope,
                                  .block = Only<vector::SiluWithSlopeFloat>};

// ---- Silu: y = x Sigmoid(x); dy/dx = SiluSlope(x) ----
constexpr OpDef kSilu = {
    .name = "Silu",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      return {gy * Append(kSiluSlope, {x[0]}, {}, Loc::Current())};
    },
    .reference = MapReference<[](double x) {
      if (std::isinf(x)) return x < 0 ? -0.0 : x;
      return x / (1 + std::exp(-x));
    }>,
    .block = Only<vector::SiluFloat>,
    .joint = &kSiluWithSlope,
    .traits = {.elementwise = true},
};

// ---- Softsign: y = x / (1 + |x|), dy/dx = 1 / (1 + |x|)^2 ----
constexpr OpDef kSoftsign = {
    .name = "Softsign",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy, const Attributes&)
        -> Adjoints { return {gy * Square(Reciprocal(1 + Abs(x[0])))}; },
    .reference = MapReference<[](double x) {
      return std::isinf(x) ? std::copysign(1.0, x) : x / (1 + std::fabs(x));
    }>,
    .block = Only<vector::SoftsignFloat>,
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
constexpr Composite kHardTanh = {
    .name = "HardTanh", .operands = {"x"}, .shape = SameAsFloatInput};

}  // namespace

Var SigmoidSlope(Var x) {
  return Append(kSigmoidSlope, {x}, {}, Loc::Current());
}

Var Relu(Var x, Loc loc) { return Append(kRelu, {x}, {}, loc); }
Var LeakyRelu(Var x, double slope, Loc loc) {
  // A slope of 0 times -infinity is not to be NaN.
  if (slope == 0 && x.valid() && x.dtype() == DType::kFloat32) {
    return Relu(x, loc);
  }
  return Append(kLeakyRelu, {x}, {.value = slope}, loc);
}
Var Sigmoid(Var x, Loc loc) { return Append(kSigmoid, {x}, {}, loc); }
Var Tanh(Var x, Loc loc) { return Append(kTanh, {x}, {}, loc); }
Var Softplus(Var x, Loc loc) { return Append(kSoftplus, {x}, {}, loc); }

Var Elu(Var x, double alpha, Loc loc) {
  const CompositeScope elu(kElu, {x}, loc, {.value = alpha});
  if (!elu.ok()) return elu.mistake();
  // Where x is large, its exponential would be infinite, and 0 times it NaN.
  return Relu(x) + alpha * Expm1(Minimum(x, Constant(x, 0)));
}

Var Selu(Var x, Loc loc) {
  const CompositeScope selu(kSelu, {x}, loc);
  if (!selu.ok()) return selu.mistake();
  // From Klambauer and others, "Self-Normalizing Neural Networks", 2017: mean 0
  // and variance 1 are a fixed point.
  constexpr double kScale = 1.0507009873554804934193349852946;
  constexpr double kAlpha = 1.6732632423543772848170429916717;
  return kScale * Relu(x) + kScale * kAlpha * Expm1(Minimum(x, Constant(x, 0)));
}

Var Gelu(Var x, GeluForm form, Loc loc) {
  return Append(form == GeluForm::kErf ? kGelu : kGeluTanh, {x}, {}, loc);
}
Var Silu(Var x, Loc loc) { return Append(kSilu, {x}, {}, loc); }
Var Softsign(Var x, Loc loc) { return Append(kSoftsign, {x}, {}, loc); }

Var HardTanh(Var x, Loc loc) {
  const CompositeScope hard_tanh(kHardTanh, {x}, loc);
  if (!hard_tanh.ok()) return hard_tanh.mistake();
  return Clip(x, -1, 1);
}

absl::Span<const OpDef* const> OpsOfActivation() {
  static constexpr const OpDef* kOps[] = {
      &kLeakyReluGradient, &kRelu,     &kLeakyRelu, &kSigmoidSlope, &kSigmoid,
      &kTanhSlope,         &kTanh,     &kSoftplus,  &kGeluSlope,    &kGelu,
      &kGeluTanhSlope,     &kGeluTanh, &kSiluSlope, &kSilu,         &kSoftsign};
  return kOps;
}

}  // namespace tape
