// Arithmetic and functions, element by element (ops.h). Tested by
// tests/ops/op_test.cc through the sample table.
#include <cmath>
#include <initializer_list>
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

// Of an op of two operands: where one of `operands` is `neutral` everywhere,
// the value is the other.
Simplification Neutral(const SimplifyQuery& query,
                       std::initializer_list<int> operands, double neutral) {
  for (int operand : operands) {
    if (query.inputs[operand].IsAll(neutral)) {
      return {Simplification::kInput, 1 - operand};
    }
  }
  return {};
}

// ---- Add: y = a + b, dy/da = 1, dy/db = 1 ----
constexpr OpDef kAdd = {
    .name = "Add",
    .operands = {"lhs", "rhs"},
    .shape = BroadcastNumbers,
    .gradient = [](absl::Span<const Var>, Var, Var gy,
                   const Attributes&) -> Adjoints {
      return {gy, gy};
    },
    .reference = MapReference<[](double a, double b) { return a + b; }>,
    .integer_reference = MapReference<[](double a, double b) {
      return WrapToInt32(static_cast<int64_t>(a) + static_cast<int64_t>(b));
    }>,
    .block = ByDType<vector::AddFloat, vector::AddInt>,
    .simplify = [](const SimplifyQuery& query) -> Simplification {
      // The float that adds nothing: -0, since -0 + 0 = 0.
      const double zero = query.output.dtype == DType::kFloat32 ? -0.0 : 0.0;
      return Neutral(query, {0, 1}, zero);
    },
    .traits = {.elementwise = true, .linearity = Linearity::kLinear},
};

// ---- Sub: y = a - b, dy/da = 1, dy/db = -1 ----
constexpr OpDef kSub = {
    .name = "Sub",
    .operands = {"lhs", "rhs"},
    .shape = BroadcastNumbers,
    .gradient = [](absl::Span<const Var>, Var, Var gy,
                   const Attributes&) -> Adjoints {
      return {gy, -gy};
    },
    .reference = MapReference<[](double a, double b) { return a - b; }>,
    .integer_reference = MapReference<[](double a, double b) {
      return WrapToInt32(static_cast<int64_t>(a) - static_cast<int64_t>(b));
    }>,
    .block = ByDType<vector::SubFloat, vector::SubInt>,
    .simplify = [](const SimplifyQuery& query) -> Simplification {
      return Neutral(query, {1}, 0);
    },
    .traits = {.elementwise = true, .linearity = Linearity::kLinear},
};

// ---- Mul: y = a b, dy/da = b, dy/db = a ----
constexpr OpDef kMul = {
    .name = "Mul",
    .operands = {"lhs", "rhs"},
    .shape = BroadcastNumbers,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      return {gy * x[1], gy * x[0]};
    },
    .reference = MapReference<[](double a, double b) { return a * b; }>,
    .integer_reference = MapReference<[](double a, double b) {
      return WrapToInt32(static_cast<int64_t>(a) * static_cast<int64_t>(b));
    }>,
    .block = ByDType<vector::MulFloat, vector::MulInt>,
    .simplify = [](const SimplifyQuery& query) -> Simplification {
      return Neutral(query, {0, 1}, 1);
    },
    .traits = {.elementwise = true, .linearity = Linearity::kBilinear},
};

// ---- Div: y = a / b, dy/da = 1 / b, dy/db = -y / b ----
// (Not 1 / b times y: 1 / b is lost where b is beyond 1e38.)
constexpr OpDef kDiv = {
    .name = "Div",
    .operands = {"lhs", "rhs"},
    .shape = BroadcastFloats,
    .gradient = [](absl::Span<const Var> x, Var y, Var gy,
                   const Attributes&) -> Adjoints {
      return {gy / x[1], -(gy * (y / x[1]))};
    },
    .reference = MapReference<[](double a, double b) { return a / b; }>,
    .block = Only<vector::DivFloat>,
    .simplify = [](const SimplifyQuery& query) -> Simplification {
      return Neutral(query, {1}, 1);
    },
    .traits = {.elementwise = true, .linearity = Linearity::kLinearInFirst},
};

// ---- Neg: y = -x, dy/dx = -1 ----
constexpr OpDef kNeg = {
    .name = "Neg",
    .operands = {"x"},
    .shape = BroadcastNumbers,
    .gradient = [](absl::Span<const Var>, Var, Var gy,
                   const Attributes&) -> Adjoints { return {-gy}; },
    .reference = MapReference<[](double x) { return -x; }>,
    .integer_reference = MapReference<[](double x) {
      return WrapToInt32(-static_cast<int64_t>(x));
    }>,
    .block = ByDType<vector::NegFloat, vector::NegInt>,
    .simplify = SimplifyInvolution,
    .traits = {.elementwise = true, .linearity = Linearity::kLinear},
};

// ---- Square: y = x^2, dy/dx = 2 x ----
constexpr OpDef kSquare = {
    .name = "Square",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints { return {gy * (2 * x[0])}; },
    .reference = MapReference<[](double x) { return x * x; }>,
    .block = Only<vector::SquareFloat>,
    .traits = {.elementwise = true},
};

// ---- Sqrt: y = sqrt(x), dy/dx = 1 / (2 y) ----
constexpr OpDef kSqrt = {
    .name = "Sqrt",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var>, Var y, Var gy,
                   const Attributes&) -> Adjoints { return {gy / (2 * y)}; },
    .reference = MapReference<[](double x) { return std::sqrt(x); }>,
    .block = Only<vector::SqrtFloat>,
    .traits = {.elementwise = true},
};

// ---- Exp: y = e^x, dy/dx = y ----
constexpr OpDef kExp = {
    .name = "Exp",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var>, Var y, Var gy,
                   const Attributes&) -> Adjoints { return {gy * y}; },
    .reference = MapReference<[](double x) { return std::exp(x); }>,
    .block = Only<vector::ExpFloat>,
    .traits = {.elementwise = true},
};

// ---- Expm1: y = e^x - 1, dy/dx = e^x ----
// (Not y + 1, of which nothing is left where y is near -1.)
constexpr OpDef kExpm1 = {
    .name = "Expm1",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints { return {gy * Exp(x[0])}; },
    .reference = MapReference<[](double x) { return std::expm1(x); }>,
    .block = Only<vector::Expm1Float>,
    .traits = {.elementwise = true},
};

// ---- Log: y = ln x, dy/dx = 1 / x ----
constexpr OpDef kLog = {
    .name = "Log",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints { return {gy / x[0]}; },
    .reference = MapReference<[](double x) { return std::log(x); }>,
    .block = Only<vector::LogFloat>,
    .traits = {.elementwise = true},
};

// ---- Log1p: y = ln(1 + x), dy/dx = 1 / (1 + x) ----
constexpr OpDef kLog1p = {
    .name = "Log1p",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints { return {gy / (1 + x[0])}; },
    .reference = MapReference<[](double x) { return std::log1p(x); }>,
    .block = Only<vector::Log1pFloat>,
    .traits = {.elementwise = true},
};

// ---- Erf: y = 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x ----
// dy/dx = 2 / sqrt(pi) e^-x^2.
constexpr OpDef kErf = {
    .name = "Erf",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      constexpr double kScale = 2 * std::numbers::inv_sqrtpi;
      return {gy * (kScale * Gaussian(x[0], 1))};
    },
    .reference = MapReference<[](double x) { return std::erf(x); }>,
    .block = Only<vector::ErfFloat>,
    .traits = {.elementwise = true},
};

// ---- Sign: y = -1, 0 or 1 as x is below, at or above 0; dy/dx = 0 ----
constexpr OpDef kSign = {
    .name = "Sign",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = ZeroGradient,
    .reference = MapReference<[](double x) {
      return x == 0 || std::isnan(x) ? x : std::copysign(1.0, x);
    }>,
    .block = Only<vector::SignFloat>,
    .simplify = SimplifyIdempotent,
    .traits = {.elementwise = true},
};

// ---- Abs: y = |x|, dy/dx = sign(x), at 0 too ----
constexpr OpDef kAbs = {
    .name = "Abs",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints { return {gy * Sign(x[0])}; },
    .reference = MapReference<[](double x) { return std::fabs(x); }>,
    .block = Only<vector::AbsFloat>,
    .simplify = SimplifyIdempotent,
    .traits = {.elementwise = true},
};

// ---- Sin: y = sin x, dy/dx = cos x ----
constexpr OpDef kSin = {
    .name = "Sin",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints { return {gy * Cos(x[0])}; },
    .reference = MapReference<[](double x) { return std::sin(x); }>,
    .block = Only<vector::SinFloat>,
    .traits = {.elementwise = true},
};

// ---- Cos: y = cos x, dy/dx = -sin x ----
constexpr OpDef kCos = {
    .name = "Cos",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var, Var gy, const Attributes&)
        -> Adjoints { return {-(gy * Sin(x[0]))}; },
    .reference = MapReference<[](double x) { return std::cos(x); }>,
    .block = Only<vector::CosFloat>,
    .traits = {.elementwise = true},
};

// ---- Floor: y = the largest whole number that is not above x; dy/dx = 0 ----
constexpr OpDef kFloor = {
    .name = "Floor",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = ZeroGradient,
    .reference = MapReference<[](double x) { return std::floor(x); }>,
    .block = Only<vector::FloorFloat>,
    .simplify = SimplifyIdempotent,
    .traits = {.elementwise = true},
};

// ---- Ceil: y = the smallest whole number that is not below x; dy/dx = 0 ----
constexpr OpDef kCeil = {
    .name = "Ceil",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = ZeroGradient,
    .reference = MapReference<[](double x) { return std::ceil(x); }>,
    .block = Only<vector::CeilFloat>,
    .traits = {.elementwise = true},
};

// ---- Round: y = the whole number next to x, of two the even; dy/dx = 0 ----
constexpr OpDef kRound = {
    .name = "Round",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = ZeroGradient,
    .reference = MapReference<[](double x) { return std::nearbyint(x); }>,
    .block = Only<vector::RoundFloat>,
    .traits = {.elementwise = true},
};

// ---- Gaussian: y = e^(-value x^2), dy/dx = -2 value x y ----
constexpr OpDef kGaussian = {
    .name = "Gaussian",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var y, Var gy,
                   const Attributes& attributes) -> Adjoints {
      // Beyond 16, where y is 0, an infinite x would make it NaN.
      return {gy * (-2 * attributes.value * Clip(x[0], -16, 16)) * y};
    },
    .reference = MapReference<[](const Attributes& attributes, double x) {
      return std::exp(-attributes.value * x * x);
    }>,
    .block = Only<vector::GaussianFloat>,
    .traits = {.elementwise = true},
};

}  // namespace

Var Gaussian(Var x, double scale) {
  return Append(kGaussian, {x}, {.value = scale}, Loc::Current());
}

Var Add(Var a, Var b, Loc loc) { return Append(kAdd, {a, b}, {}, loc); }
Var Sub(Var a, Var b, Loc loc) { return Append(kSub, {a, b}, {}, loc); }
Var Mul(Var a, Var b, Loc loc) { return Append(kMul, {a, b}, {}, loc); }
Var Div(Var a, Var b, Loc loc) { return Append(kDiv, {a, b}, {}, loc); }
Var Neg(Var x, Loc loc) { return Append(kNeg, {x}, {}, loc); }
Var Square(Var x, Loc loc) { return Append(kSquare, {x}, {}, loc); }
Var Sqrt(Var x, Loc loc) { return Append(kSqrt, {x}, {}, loc); }
Var Exp(Var x, Loc loc) { return Append(kExp, {x}, {}, loc); }
Var Expm1(Var x, Loc loc) { return Append(kExpm1, {x}, {}, loc); }
Var Log(Var x, Loc loc) { return Append(kLog, {x}, {}, loc); }
Var Log1p(Var x, Loc loc) { return Append(kLog1p, {x}, {}, loc); }
Var Erf(Var x, Loc loc) { return Append(kErf, {x}, {}, loc); }
Var Sin(Var x, Loc loc) { return Append(kSin, {x}, {}, loc); }
Var Cos(Var x, Loc loc) { return Append(kCos, {x}, {}, loc); }
Var Floor(Var x, Loc loc) { return Append(kFloor, {x}, {}, loc); }
Var Ceil(Var x, Loc loc) { return Append(kCeil, {x}, {}, loc); }
Var Round(Var x, Loc loc) { return Append(kRound, {x}, {}, loc); }
Var Sign(Var x, Loc loc) { return Append(kSign, {x}, {}, loc); }
Var Abs(Var x, Loc loc) { return Append(kAbs, {x}, {}, loc); }

Var Operand::Resolve(const Operand& other) const {
  if (!number_.has_value()) return var_;
  // Beside a mistaken operand the result is as mistaken.
  if (!other.var_.valid()) return other.var_;
  return Fill(other.var_.graph(), {}, *number_, other.var_.dtype(), loc_);
}

Var operator+(const Operand& a, const Operand& b) {
  return Add(a.Resolve(b), b.Resolve(a), a.loc());
}
Var operator-(const Operand& a, const Operand& b) {
  return Sub(a.Resolve(b), b.Resolve(a), a.loc());
}
Var operator*(const Operand& a, const Operand& b) {
  return Mul(a.Resolve(b), b.Resolve(a), a.loc());
}
Var operator/(const Operand& a, const Operand& b) {
  return Div(a.Resolve(b), b.Resolve(a), a.loc());
}
Var operator-(const Operand& x) { return Neg(x.Resolve(x), x.loc()); }

absl::Span<const OpDef* const> OpsOfElementwise() {
  static constexpr const OpDef* kOps[] = {
      &kAdd, &kSub,   &kMul,   &kDiv,   &kNeg,   &kSquare,  &kSqrt,
      &kExp, &kExpm1, &kLog,   &kLog1p, &kErf,   &kSign,    &kAbs,
      &kSin, &kCos,   &kFloor, &kCeil,  &kRound, &kGaussian};
  return kOps;
}

}  // namespace tape
