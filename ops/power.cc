// Powers, element by element (ops.h). Tested by tests/ops/op_test.cc through the
// sample table.
#include <cmath>
#include <limits>

#include "framework/core/reference.h"
#include "ops/op_lists.h"
#include "ops/ops.h"
#include "ops/rules.h"
#include "ops/vector.h"

namespace tape {
namespace {

// ---- Reciprocal: y = 1 / x, dy/dx = -y^2 ----
constexpr OpDef kReciprocal = {
    .name = "Reciprocal",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var>, Var y, Var gy,
                   const Attributes&) -> Adjoints { return {-(gy * y * y)}; },
    .reference = MapReference<[](double x) { return 1 / x; }>,
    .block = Only<vector::ReciprocalFloat>,
    .traits = {.elementwise = true},
};

// ---- Rsqrt: y = 1 / sqrt(x), dy/dx = -y / (2 x) ----
constexpr OpDef kRsqrt = {
    .name = "Rsqrt",
    .operands = {"x"},
    .shape = SameAsFloatInput,
    .gradient = [](absl::Span<const Var> x, Var y, Var gy, const Attributes&)
        -> Adjoints { return {-0.5 * gy * y / x[0]}; },
    .reference = MapReference<[](double x) { return 1 / std::sqrt(x); }>,
    .block = Only<vector::RsqrtFloat>,
    .traits = {.elementwise = true},
};

// b a^(b - 1). At a = b = 0, where it would be 0 times infinity, it is 0, and
// so are its derivatives by a.
Var PowByBase(Var a, Var b) {
  const Node& exponent = b.graph()->node(b);
  if (exponent.op->traits.uniform) {
    const double value = exponent.attributes.value;
    if (value == 0) return Var();
    return b * Pow(a, value - 1);
  }
  const Var at_zero = And(Equal(a, Constant(a, 0)), Equal(b, Constant(b, 0)));
  return b * Pow(Select(at_zero, Constant(a, 1), a), b - 1);
}

// a^b ln a. At a = 0 it is 0 if b is not negative, and at a = infinity if b is
// negative, where the formula has 0 times infinity.
Var PowByExponent(Var a, Var b, Var y) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const Var is_falling = Less(b, Constant(b, 0));
  const Var vanishes =
      Or(And(Equal(a, Constant(a, 0)), GreaterEqual(b, Constant(b, 0))),
         And(Equal(a, Constant(a, kInfinity)), is_falling));
  return y * Log(Select(vanishes, Constant(a, 1), a));
}

// ---- Pow: y = a^b, dy/da = b a^(b - 1), dy/db = y ln a ----
constexpr OpDef kPow = {
    .name = "Pow",
    .operands = {"lhs", "rhs"},
    .shape = BroadcastFloats,
    .gradient = [](absl::Span<const Var> x, Var y, Var gy,
                   const Attributes&) -> Adjoints {
      const Var by_base = PowByBase(x[0], x[1]);
      return {by_base.empty() ? Var() : gy * by_base,
              gy * PowByExponent(x[0], x[1], y)};
    },
    .reference =
        MapReference<[](double a, double b) { return std::pow(a, b); }>,
    .block = Only<vector::PowFloat>,
    .traits = {.elementwise = true},
};

}  // namespace

Var Reciprocal(Var x, Loc loc) { return Append(kReciprocal, {x}, {}, loc); }
Var Rsqrt(Var x, Loc loc) { return Append(kRsqrt, {x}, {}, loc); }
Var Pow(Var base, Var exponent, Loc loc) {
  return Append(kPow, {base, exponent}, {}, loc);
}
Var Pow(Var base, double exponent, Loc loc) {
  if (!base.valid()) return base;
  // The same numbers, NaN included, in less time.
  if (base.dtype() == DType::kFloat32) {
    if (exponent == 1) return base;
    if (exponent == 2) return Square(base, loc);
    if (exponent == -1) return Reciprocal(base, loc);
  }
  return Pow(base, Fill(base.graph(), {}, exponent, DType::kFloat32, loc), loc);
}

absl::Span<const OpDef* const> OpsOfPower() {
  static constexpr const OpDef* kOps[] = {&kReciprocal, &kRsqrt, &kPow};
  return kOps;
}

}  // namespace tape
