// The bounds of elementwise ops (accuracy.h), each with where it comes from. A
// rounding is 2^-24, half a unit in the last place (ulp) of a number just above
// a power of two.
//
// Of derivatives the bound adds up the parts of the rule (ops/*.cc): so many
// roundings for each product, quotient and sum, and the error of each function.
// Where two terms cancel the error is relative to the sum of their magnitudes.
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "ops/ops.h"
#include "tests/ops/accuracy.h"

namespace tape {
namespace {

using Real = long double;
constexpr Real kInf = std::numeric_limits<Real>::infinity();
constexpr Real kNan = std::numeric_limits<Real>::quiet_NaN();
constexpr Real kRootTwo = std::numbers::sqrt2_v<Real>;

// ---- Exact functions ----

Real SigmoidOf(Real x) { return 1 / (1 + std::exp(-x)); }
Real SigmoidSlopeOf(Real x) {
  const Real e = std::exp(-std::fabs(x));
  return e / ((1 + e) * (1 + e));
}
Real TanhSlopeOf(Real x) { return 4 * SigmoidSlopeOf(2 * x); }
Real Below(Real x) { return std::erfc(-x / kRootTwo) / 2; }  // P(X < x)
Real Density(Real x) {
  return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi_v<Real>);
}
// 0 times infinity, where the limit of the product is 0.
Real Times(Real x, Real factor) { return factor == 0 ? 0 : x * factor; }

// Of x Sigmoid(w(x)): the parts of its derivatives.
struct Gate {
  Real w, slope, curve;  // w, w', w''.
};
Gate SiluGate(Real x) { return {x, 1, 0}; }
Gate GeluTanhGate(Real x) {
  const Real linear = 2 * std::sqrt(2 / std::numbers::pi_v<Real>);
  const Real cubic = 0.044715L * linear;
  return {x * (linear + cubic * x * x), linear + 3 * cubic * x * x,
          6 * cubic * x};
}
template <Gate (*gate)(Real)>
Real Gated(Real x) {
  if (std::isinf(x)) return x < 0 ? -0.0L : x;
  return Times(x, SigmoidOf(gate(x).w));
}
template <Gate (*gate)(Real)>
Real GatedSlope(Real x) {
  if (std::isinf(x)) return x < 0 ? 0 : 1;
  const Gate g = gate(x);
  return SigmoidOf(g.w) + Times(x * g.slope, SigmoidSlopeOf(g.w));
}
template <Gate (*gate)(Real)>
Real GatedSlopeScale(Real x) {
  if (std::isinf(x)) return 1;
  const Gate g = gate(x);
  return SigmoidOf(g.w) + Times(std::fabs(x) * g.slope, SigmoidSlopeOf(g.w));
}
template <Gate (*gate)(Real)>
Real GatedCurve(Real x) {
  if (std::isinf(x)) return 0;
  const Gate g = gate(x);
  return Times(
      2 * g.slope + x * g.curve - x * g.slope * g.slope * std::tanh(g.w / 2),
      SigmoidSlopeOf(g.w));
}
template <Gate (*gate)(Real)>
Real GatedCurveScale(Real x) {
  if (std::isinf(x)) return 1;
  const Gate g = gate(x);
  return Times(
      2 * g.slope + x * g.curve + x * g.slope * g.slope * std::tanh(g.w / 2),
      SigmoidSlopeOf(g.w));
}

// Of a label p: what it gives to the side that a logit z is not on.
Real WrongShare(Real z, Real p) { return z < 0 ? p : 1 - p; }

// ---- Rows ----

using Unary = Real (*)(Real);
using Binary = Real (*)(Real, Real);

ExactFunction Of(Unary f) {
  if (f == nullptr) return nullptr;
  return [f](ExactOperands x) { return f(x[0]); };
}
ExactFunction Of(Binary f) {
  if (f == nullptr) return nullptr;
  return [f](ExactOperands x) { return f(x[0], x[1]); };
}

struct UnaryQuantity {
  Unary exact;
  double bound = 0;
  Unary scale = nullptr;
  double floor = 1;
};
struct BinaryQuantity {
  Binary exact;
  double bound = 0;
  Binary scale = nullptr;
  double floor = 1;
  double ceiling = 1;
  bool (*domain)(Real, Real) = nullptr;
};

AccuracyRow Row(std::string op, std::function<Var(Var)> f,
                std::vector<UnaryQuantity> quantities) {
  AccuracyRow row = {
      std::move(op), [f](absl::Span<const Var> x) { return f(x[0]); }, 1, {}};
  for (const UnaryQuantity& q : quantities) {
    row.quantities.push_back({Of(q.exact), q.bound, Of(q.scale), q.floor});
  }
  return row;
}
AccuracyRow Row(std::string op, std::function<Var(Var, Var)> f,
                std::vector<BinaryQuantity> quantities) {
  AccuracyRow row = {std::move(op),
                     [f](absl::Span<const Var> x) { return f(x[0], x[1]); },
                     2,
                     {}};
  for (const BinaryQuantity& q : quantities) {
    row.quantities.push_back(
        {Of(q.exact), q.bound, Of(q.scale), q.floor, q.ceiling});
    if (q.domain == nullptr) continue;
    row.quantities.back().domain = [domain = q.domain](ExactOperands x) {
      return domain(x[0], x[1]);
    };
  }
  return row;
}

template <typename T>
T Zero(T) {
  return 0;
}
template <typename T>
T Zero(T, T) {
  return 0;
}

// ---- Arithmetic and choices: IEEE 754 rounds once ----

void AddArithmetic(std::vector<AccuracyRow>* table) {
  constexpr BinaryQuantity kZero = {Zero<Real>};
  constexpr BinaryQuantity kOne = {[](Real, Real) -> Real { return 1; }};
  constexpr BinaryQuantity kMinusOne = {[](Real, Real) -> Real { return -1; }};
  const auto add = [&](AccuracyRow row) { table->push_back(std::move(row)); };
  add(Row("Add", [](Var a, Var b) { return Add(a, b); },
          {{[](Real a, Real b) { return a + b; }, 1},
           kOne,
           kOne,
           kZero,
           kZero,
           kZero}));
  add(Row("Sub", [](Var a, Var b) { return Sub(a, b); },
          {{[](Real a, Real b) { return a - b; }, 1},
           kOne,
           kMinusOne,
           kZero,
           kZero,
           kZero}));
  add(Row("AddN",
          [](Var a, Var b) {
            return AddN({a, b});
          },
          {{[](Real a, Real b) { return a + b; }, 1},
           kOne,
           kOne,
           kZero,
           kZero,
           kZero}));
  add(Row("Mul", [](Var a, Var b) { return Mul(a, b); },
          {{[](Real a, Real b) { return a * b; }, 1},
           {[](Real, Real b) { return b; }},
           {[](Real a, Real) { return a; }},
           kZero,
           kOne,
           kZero}));
  // -y / b, y rounded; twice that over b again. Of an infinite a, 1 / b must not
  // be flushed: 0 times infinity.
  add(Row("Div", [](Var a, Var b) { return Div(a, b); },
          {{[](Real a, Real b) { return a / b; }, 1},
           {[](Real, Real b) { return 1 / b; }, 1},
           {[](Real a, Real b) { return -(a / b / b); }, 2},
           kZero,
           {[](Real, Real b) { return -(1 / b / b); }, 2},
           {[](Real a, Real b) { return a / b / b / b * 2; }, 4, nullptr, 2, 1,
            [](Real a, Real b) {
              return !std::isinf(a) || std::fabs(b) < 8e37L;
            }}}));
  add(Row("Maximum", [](Var a, Var b) { return Maximum(a, b); },
          {{[](Real a, Real b) { return std::isnan(a) || a >= b ? a : b; }},
           {[](Real a, Real b) -> Real { return !(b > a); }},
           {[](Real a, Real b) -> Real { return b > a; }},
           kZero,
           kZero,
           kZero}));
  add(Row("Minimum", [](Var a, Var b) { return Minimum(a, b); },
          {{[](Real a, Real b) { return std::isnan(a) || a <= b ? a : b; }},
           {[](Real a, Real b) -> Real { return !(a > b); }},
           {[](Real a, Real b) -> Real { return a > b; }},
           kZero,
           kZero,
           kZero}));
  add(Row("KeepUnless",
          [](Var a, Var b) {
            const Var condition = Fill(a.graph(), {}, 1, DType::kUint8);
            return Append(kKeepUnless, {condition, a, b}, {}, Loc::Current());
          },
          {{[](Real a, Real) { return a; }},
           {[](Real, Real) -> Real { return 1; }},
           kZero,
           kZero,
           kZero,
           kZero}));
  add(Row("Select", [](Var a, Var b) { return Select(Greater(a, b), a, b); },
          {{[](Real a, Real b) { return a > b ? a : b; }},
           {[](Real a, Real b) -> Real { return a > b; }},
           {[](Real a, Real b) -> Real { return !(a > b); }},
           kZero,
           kZero,
           kZero}));
}

void AddSimple(std::vector<AccuracyRow>* table) {
  constexpr UnaryQuantity kZero = {Zero<Real>};
  const auto add = [&](AccuracyRow row) { table->push_back(std::move(row)); };
  add(Row(
      "Neg", [](Var x) { return -x; },
      {{[](Real x) { return -x; }}, {[](Real) -> Real { return -1; }}, kZero}));
  add(Row("Abs", [](Var x) { return Abs(x); },
          {{[](Real x) { return std::fabs(x); }},
           {[](Real x) {
             return x == 0 || std::isnan(x) ? x : x < 0 ? -1.0L : 1;
           }},
           kZero}));
  add(Row("Sign", [](Var x) { return Sign(x); },
          {{[](Real x) {
             return x == 0 || std::isnan(x) ? x : x < 0 ? -1.0L : 1;
           }},
           kZero,
           kZero}));
  add(Row("Floor", [](Var x) { return Floor(x); },
          {{[](Real x) { return std::floor(x); }}, kZero, kZero}));
  add(Row("Ceil", [](Var x) { return Ceil(x); },
          {{[](Real x) { return std::ceil(x); }}, kZero, kZero}));
  add(Row("Round", [](Var x) { return Round(x); },
          {{[](Real x) { return std::nearbyint(x); }}, kZero, kZero}));
  add(Row("Square", [](Var x) { return Square(x); },
          {{[](Real x) { return x * x; }, 1},
           {[](Real x) { return 2 * x; }},
           {[](Real) -> Real { return 2; }}}));
  // 1 / (2 y), and -(1 / (2 y)) / (2 y) twice over 2 y.
  add(Row("Sqrt", [](Var x) { return Sqrt(x); },
          {{[](Real x) { return std::sqrt(x); }, 1},
           {[](Real x) { return 1 / (2 * std::sqrt(x)); }, 2},
           {[](Real x) {
              return -1 / (4 * std::sqrt(x) * std::sqrt(x) * std::sqrt(x));
            },
            6}}));
  add(Row("Reciprocal", [](Var x) { return Reciprocal(x); },
          {{[](Real x) { return 1 / x; }, 1},
           {[](Real x) { return -(1 / x / x); }, 3},
           {[](Real x) { return 2 / x / x / x; }, 6}}));
  // The root, then the quotient.
  add(Row("Rsqrt", [](Var x) { return Rsqrt(x); },
          {{[](Real x) { return 1 / std::sqrt(x); }, 2},
           {[](Real x) { return -1 / (2 * x * std::sqrt(x)); }, 4},
           {[](Real x) { return 3 / (4 * x * x * std::sqrt(x)); }, 7, nullptr,
            4}}));
  add(Row("Clip", [](Var x) { return Clip(x, -2, 3); },
          {{[](Real x) -> Real { return x < -2  ? -2
                                        : x > 3 ? 3
                                                : x; }},
           {[](Real x) -> Real { return !(x < -2 || x > 3); }},
           kZero}));
  add(Row("HardTanh", [](Var x) { return HardTanh(x); },
          {{[](Real x) -> Real { return x < -1  ? -1
                                        : x > 1 ? 1
                                                : x; }},
           {[](Real x) -> Real { return !(x < -1 || x > 1); }},
           kZero}));
  add(Row("Relu", [](Var x) { return Relu(x); },
          {{[](Real x) -> Real { return x < 0 ? 0 : x; }},
           {[](Real x) -> Real { return x > 0; }},
           kZero}));
  // The slope is rounded, and the product.
  add(Row("LeakyRelu", [](Var x) { return LeakyRelu(x, 0.01); },
          {{[](Real x) { return x > 0 ? x : 0.01L * x; }, 2},
           {[](Real x) { return x > 0 ? 1.0L : 0.01L; }, 1},
           kZero}));
  add(Row("LeakyRelu, slope 0", [](Var x) { return LeakyRelu(x, 0); },
          {{[](Real x) -> Real { return x < 0 ? 0 : x; }},
           {[](Real x) -> Real { return x > 0; }},
           kZero}));
  add(Row("Huber",
          [](Var x) { return Huber(x, Fill(x.graph(), x.shape(), 0)); },
          {{[](Real x) {
              const Real a = std::fabs(x);
              return a <= 1 ? a * a / 2 : a - 0.5L;
            },
            2},
           {[](Real x) -> Real { return x < -1  ? -1
                                        : x > 1 ? 1
                                                : x; }, 1,
            nullptr, 2},
           {[](Real x) -> Real { return !(x < -1 || x > 1); }}}));
}

// ---- Functions ----

void AddFunctions(std::vector<AccuracyRow>* table) {
  const auto add = [&](AccuracyRow row) { table->push_back(std::move(row)); };
  constexpr auto exp = [](Real x) { return std::exp(x); };
  constexpr auto sin = [](Real x) { return std::sin(x); };
  constexpr auto cos = [](Real x) { return std::cos(x); };
  // ExpOfSum (ops/vector_math-inl.h): 1 ulp.
  add(Row("Exp", [](Var x) { return Exp(x); }, {{exp, 2}, {exp, 2}, {exp, 2}}));
  // Highway states 4 ulp for Expm1.
  add(Row("Expm1", [](Var x) { return Expm1(x); },
          {{[](Real x) { return std::expm1(x); }, 8}, {exp, 2}, {exp, 2}}));
  add(Row("Log", [](Var x) { return Log(x); },
          {{[](Real x) { return std::log(x); }, 8},
           {[](Real x) { return 1 / x; }, 1},
           {[](Real x) { return -(1 / x / x); }, 2}}));
  // Highway's Log, times a correction of two roundings; 1 + x is rounded.
  add(Row("Log1p", [](Var x) { return Log1p(x); },
          {{[](Real x) { return std::log1p(x); }, 11},
           {[](Real x) { return 1 / (1 + x); }, 2},
           {[](Real x) { return -(1 / (1 + x) / (1 + x)); }, 4}}));
  // Highway states 3 ulp for Sin and Cos.
  add(Row("Sin", [](Var x) { return Sin(x); },
          {{sin, 6}, {cos, 6}, {[](Real x) { return -std::sin(x); }, 6}}));
  add(Row("Cos", [](Var x) { return Cos(x); },
          {{cos, 6},
           {[](Real x) { return -std::sin(x); }, 6},
           {[](Real x) { return -std::cos(x); }, 6}}));
  // VectorErf: coefficient, polynomial and result. The Gaussian is off by 2 ulp;
  // scale and product are rounded; then 2 x, and the product.
  constexpr Real kErf = 2 * std::numbers::inv_sqrtpi_v<Real>;
  add(Row("Erf", [](Var x) { return Erf(x); },
          {{[](Real x) { return std::erf(x); }, 3},
           {[](Real x) { return kErf * std::exp(-x * x); }, 6, nullptr, 2},
           {[](Real x) { return Times(-2 * x, kErf * std::exp(-x * x)); }, 8,
            nullptr, 32}}));
}

// ---- Activations ----

void AddActivations(std::vector<AccuracyRow>* table) {
  const auto add = [&](AccuracyRow row) { table->push_back(std::move(row)); };
  // 1 ulp of exp, a sum and a quotient. The slope: exp, its quotient twice, and
  // two products. Highway states 4 ulp for Tanh.
  add(Row(
      "Sigmoid", [](Var x) { return Sigmoid(x); },
      {{SigmoidOf, 4},
       {SigmoidSlopeOf, 8},
       {[](Real x) { return -SigmoidSlopeOf(x) * std::tanh(x / 2); }, 18}}));
  add(Row("Tanh", [](Var x) { return Tanh(x); },
          {{[](Real x) { return std::tanh(x); }, 8},
           {TanhSlopeOf, 11},
           {[](Real x) { return -2 * TanhSlopeOf(x) * std::tanh(x); }, 21,
            nullptr, 2}}));
  add(Row("Softplus", [](Var x) { return Softplus(x); },
          {{[](Real x) {
              return (x > 0 ? x : 0) + std::log1p(std::exp(-std::fabs(x)));
            },
            14},
           {SigmoidOf, 4},
           {SigmoidSlopeOf, 8}}));
  add(Row("Softsign", [](Var x) { return Softsign(x); },
          {{[](Real x) {
              return std::isinf(x) ? std::copysign(1.0L, x)
                                   : x / (1 + std::fabs(x));
            },
            2},
           {[](Real x) {
              const Real r = 1 / (1 + std::fabs(x));
              return r * r;
            },
            5},
           {[](Real x) {
              const Real r = 1 / (1 + std::fabs(x));
              return (x == 0  ? 0
                      : x < 0 ? 2.0L
                              : -2.0L) *
                         r * r * r +
                     (std::isnan(x) ? x : 0);
            },
            9}}));
  add(Row("Elu", [](Var x) { return Elu(x, 0.75); },
          {{[](Real x) { return x > 0 ? x : 0.75L * std::expm1(x); }, 9},
           {[](Real x) { return x > 0 ? 1.0L : 0.75L * std::exp(x); }, 3},
           {[](Real x) { return x > 0 ? 0.0L : 0.75L * std::exp(x); }, 3}}));
  constexpr Real kScale = 1.0507009873554804934193349852946L;
  constexpr Real kAlpha = kScale * 1.6732632423543772848170429916717L;
  add(Row(
      "Selu", [](Var x) { return Selu(x); },
      {{[](Real x) { return x > 0 ? kScale * x : kAlpha * std::expm1(x); }, 10},
       {[](Real x) { return x > 0 ? kScale : kAlpha * std::exp(x); }, 4,
        nullptr, 2},
       {[](Real x) { return x > 0 ? 0.0L : kAlpha * std::exp(x); }, 4, nullptr,
        2}}));
  add(Row("Silu", [](Var x) { return Silu(x); },
          {{Gated<SiluGate>, 10},
           {GatedSlope<SiluGate>, 14, GatedSlopeScale<SiluGate>},
           {GatedCurve<SiluGate>, 24, GatedCurveScale<SiluGate>, 128}}));
  add(Row(
      "Gelu", [](Var x) { return Gelu(x); },
      {{[](Real x) { return x == -kInf ? -0.0L : x * Below(x); }, 12},
       {[](Real x) {
          if (std::isinf(x)) return x < 0 ? 0.0L : 1.0L;
          return Below(x) + Times(x, Density(x));
        },
        16, [](Real x) { return Below(x) + Times(std::fabs(x), Density(x)); },
        8},
       {[](Real x) { return Times(2 - x * x, Density(x)); }, 12,
        [](Real x) { return Times(2 + x * x, Density(x)); }, 256}}));
  // Of the second derivative, w = x (…) is rounded three times, which the
  // exponential makes 3 w roundings: up to 3 times 88.
  add(Row(
      "Gelu, tanh", [](Var x) { return Gelu(x, GeluForm::kTanh); },
      {{Gated<GeluTanhGate>, 12},
       {GatedSlope<GeluTanhGate>, 20, GatedSlopeScale<GeluTanhGate>},
       {GatedCurve<GeluTanhGate>, 300, GatedCurveScale<GeluTanhGate>, 20000}}));
}

// ---- Pow, and losses of logits ----

// Away from where conventions and limits differ (0, 1 and infinity to the power
// 0 or infinity), and where a factor of a derivative is beyond float32.
bool IsOrdinary(Real a, Real b) {
  return a > 1e-30L && a < 1e30L && std::isfinite(b) && std::fabs(b) > 1e-6L;
}

void AddPow(std::vector<AccuracyRow>* table) {
  // The exponent b - 1 is rounded, which costs |b ln a| <= 90 roundings; so is
  // b - 2. A derivative may be finite where a^b is not, by |ln a| < 90 and, of
  // second order, by b^2 or ln^2 a.
  AccuracyRow row = Row(
      "Pow", [](Var a, Var b) { return Pow(a, b); },
      {{[](Real a, Real b) { return std::pow(a, b); }, 1},
       {[](Real a, Real b) { return b * std::pow(a, b - 1); }, 100, nullptr,
        1e10, 1e10, IsOrdinary},
       {[](Real a, Real b) -> Real {
          if (a == 0 && b >= 0) return 0;
          if (a == kInf && b < 0) return 0;
          return std::pow(a, b) * std::log(a);
        },
        12, nullptr, 128, 128,
        [](Real a, Real b) { return a >= 0 && (b < 0 || b > 1e-37L); }},
       {[](Real a, Real b) { return b * (b - 1) * std::pow(a, b - 2); }, 300,
        [](Real a, Real b) {
          return std::fabs(b) * (1 + std::fabs(b)) * std::pow(a, b - 2);
        },
        1e10, 1e10, IsOrdinary},
       {[](Real a, Real b) {
          return std::pow(a, b - 1) * (1 + b * std::log(a));
        },
        300,
        [](Real a, Real b) {
          return std::pow(a, b - 1) * (1 + std::fabs(b * std::log(a)));
        },
        1e10, 1e10, IsOrdinary},
       {[](Real a, Real b) {
          return std::pow(a, b) * std::log(a) * std::log(a);
        },
        24, nullptr, 1e4, 1e4, IsOrdinary}});
  table->push_back(std::move(row));
}

void AddLosses(std::vector<AccuracyRow>* table) {
  // Labels are probabilities, 0 to 1, in b.
  AccuracyRow row =
      Row("SigmoidCrossEntropy",
          [](Var z, Var p) { return SigmoidCrossEntropy(z, Clip(p, 0, 1)); },
          {{[](Real z, Real p) {
              p = p < 0 ? 0 : p > 1 ? 1 : p;
              return Times(std::fabs(z), WrongShare(z, p)) +
                     std::log1p(std::exp(-std::fabs(z))) +
                     (std::isnan(z) || std::isnan(p) ? kNan : 0);
            },
            14},
           {[](Real z, Real p) {
              p = p < 0 ? 0 : p > 1 ? 1 : p;
              const Real small = SigmoidOf(-std::fabs(z));
              return z < 0 ? small - p : (1 - p) - small;
            },
            8,
            [](Real z, Real p) {
              p = p < 0 ? 0 : p > 1 ? 1 : p;
              return SigmoidOf(-std::fabs(z)) + WrongShare(z, p);
            }},
           {[](Real z, Real p) { return p < 0 || p > 1 ? Times(-z, 0) : -z; }},
           {[](Real z, Real) { return SigmoidSlopeOf(z); }, 8},
           {[](Real, Real p) -> Real { return p < 0 || p > 1 ? 0 : -1; }},
           {Zero<Real>}});
  table->push_back(std::move(row));
}

}  // namespace

const std::vector<AccuracyRow>& AccuracyTable() {
  static const auto* const table = [] {
    auto* rows = new std::vector<AccuracyRow>();
    AddArithmetic(rows);
    AddSimple(rows);
    AddFunctions(rows);
    AddActivations(rows);
    AddPow(rows);
    AddLosses(rows);
    return rows;
  }();
  return *table;
}

}  // namespace tape
