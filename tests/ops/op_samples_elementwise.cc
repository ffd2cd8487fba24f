// The rows of ops/elementwise.cc (op_samples.h).
#include <cfloat>
#include <tuple>
#include <utility>
#include <vector>

#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

// ---- Of one operand ----

void AddFunctions(SampleTable* table) {
  constexpr Draw kUniform = Draw::kUniform, kEitherSign = Draw::kEitherSign;
  // Highway states a largest error of 1 ulp for Exp, 3 for Sin and Cos, and 4
  // for Expm1 and Log (hwy/contrib/math/math-inl.h); half an ulp more for the
  // rounding of the reference.
  constexpr Tolerance kExp = {1.5 * kUlp}, kThree = {3.5 * kUlp},
                      kFour = {4.5 * kUlp};
  // Where exp and expm1 overflow, and where they have nearly no digits left.
  const std::vector<double> exp_extremes = {
      88,   88.5,  88.72283, 88.722839, 88.72284, 88.73,   89,   128,
      1e4,  -86.5, -87.33,   -88,       -100,     -103.9,  -105, -1e4,
      1e-5, -1e-5, 1e-8,     -1e-8,     FLT_MIN,  -FLT_MIN};
  const std::vector<double> log_extremes = {FLT_MIN,    FLT_MAX,   1e-37,
                                            0.70710678, 0.7071068, 1.4142135,
                                            0.9999999,  1.0000001};
  // The float32s next to multiples of pi / 2, where Highway is off most, and on
  // either side of 39000, from where on the C library's functions are used.
  const std::vector<double> angles = {
      1e-5,       -1e-8,      1.5707964,  -1.5707963, 3.1415925, 3.1415927,
      -3.1415927, 4.712389,   6.2831855,  355,        -355,      710,
      282.805939, 2093.88721, 38999.9961, 39000,      -39000,    39000.0039,
      1e5,        -103993,    16777216,   1e10,       -1e20,     7.73e28,
      FLT_MAX,    -FLT_MAX,   FLT_MIN};
  // At whole numbers and next to them, and from where on there are no others.
  const std::vector<double> steps = {
      0.5,           -0.5,       0.99999994, -0.99999994, 1.0000001, -1.0000001,
      1e-30,         -1e-30,     2,          -2,          4194303.5, -4194303.5,
      8388607.5,     -8388607.5, 8388608,    -8388609,    16777217,  2147483648,
      -2147483648.0, 3e9,        -3e9,       FLT_MAX,     FLT_MIN,   -FLT_MIN};
  const UnaryOp abs = {"Abs", Unary(Abs), kEitherSign, 0.1, 2, kExact};
  const UnaryOp sign = {"Sign", Unary(Sign), kEitherSign, 0.1, 2, kExact};
  // Log's 4 ulp, times a correction that is rounded twice.
  constexpr Tolerance kLog1p = {5.5 * kUlp};
  // By exhaustion, see VectorErf in ops/vector.cc: 1.2 ulp, exp's ulp counts a
  // fourth; half an ulp more for the rounding of the reference.
  constexpr Tolerance kErf = {2 * kUlp};
  const std::vector<double> log1p_extremes = {
      FLT_MIN, -FLT_MIN, FLT_MAX,    1e-8,       -1e-8,      6e-8,     -6e-8,
      1e-5,    -1e-5,    -0.9999999, -0.9999994, -1.0000001, 16777216, 1e10};
  // On either side of where the formula changes, and where erf becomes 1.
  const std::vector<double> erf_extremes = {
      0.9277343, 0.92773437, 0.9277344, -0.9277344, 1e-5,    -1e-8,   2,   -2,
      3,         3.8325067,  3.9192059, 3.93,       -3.93,   4,       4.5, -5,
      1e19,      9,          -FLT_MIN,  FLT_MIN,    FLT_MAX, -FLT_MAX};
  const UnaryOp floor = {"Floor", Unary(Floor), kUniform, -3, 3, kExact, steps};
  const UnaryOp ceil = {"Ceil", Unary(Ceil), kUniform, -3, 3, kExact, steps};
  std::vector<double> halves = {1.5,  -1.5,       2.5,       -2.5,
                                3.5,  0.49999997, 0.5000001, -0.49999997,
                                1e10, 4194302.5,  4194304.5, 16777219};
  halves.insert(halves.end(), steps.begin(), steps.end());
  const UnaryOp round = {"Round", Unary(Round), kUniform, -3,
                         3,       kExact,       halves};
  for (const UnaryOp& op : std::vector<UnaryOp>{
           {"Square",
            Unary(Square),
            kUniform,
            -2,
            2,
            kExact,
            {1e19, 2e19, 1e-19}},
           {"Sqrt", Unary(Sqrt), kUniform, 0.1, 4, kExact, {FLT_MIN, FLT_MAX}},
           {"Exp", Unary(Exp), kUniform, -4, 4, kExp, exp_extremes},
           {"Expm1", Unary(Expm1), kUniform, -4, 4, kFour, exp_extremes},
           {"Log", Unary(Log), kUniform, 0.1, 10, kFour, log_extremes},
           {"Log1p", Unary(Log1p), kUniform, -0.9, 10, kLog1p, log1p_extremes},
           {"Erf", Unary(Erf), kUniform, -4, 4, kErf, erf_extremes},
           {"Sin", Unary(Sin), kUniform, -10, 10, kThree, angles},
           {"Cos", Unary(Cos), kUniform, -10, 10, kThree, angles},
           abs,
           sign,
           floor,
           ceil,
           round}) {
    AddUnaryRows(op, table);
    AddUnaryErrors(op, table);
  }
  AddKinkRow(abs, {0, -1, 1, -0.0}, {0, -1, 1, 0}, Differentiated::kOnce,
             table);
  // The derivative is 0 on a step as well.
  AddKinkRow(sign, {0, -1, 1, -0.0}, {0, 0, 0, 0}, Differentiated::kCompiled,
             table);
  for (const UnaryOp& op : {floor, ceil, round}) {
    AddKinkRow(op, {0, -1, 1.5, 8388608}, {0, 0, 0, 0},
               Differentiated::kCompiled, table);
  }
}

// Angles from 39000 on, where the C library's functions are used.
void AddLargeAngles(SampleTable* table) {
  for (const auto& [name, f] :
       std::vector<std::pair<const char*, Var (*)(Var, Loc)>>{{"Sin", Sin},
                                                              {"Cos", Cos}}) {
    // All of them, so that no other makes a vector of them take that way.
    for (const auto& [row, high] : std::vector<std::pair<const char*, double>>{
             {"large_angles", 1e5}, {"very_large_angles", 1e9}}) {
      table->Add({.op = name,
                  .name = row,
                  .inputs = {Floats({5, 211}, 39000, high)},
                  .build = Unary(f),
                  .output = Float({5, 211}),
                  .differentiated = Differentiated::kCompiled});
    }
    // sin a - sin b is 0 where a = b, to the bit, whatever b's neighbours are:
    // every third is large.
    std::vector<double> a, b;
    for (int i = 0; i < 1000; ++i) {
      a.push_back(0.07 * i);
      b.push_back(i % 3 == 0 ? 1e5 * (i + 1) : a.back());
    }
    table->Add({.op = name,
                .name = "beside_large_angles",
                .inputs = {Given(a), Given(b)},
                .build =
                    [f = f](const SampleOperands& in) {
                      const Var a = in.x[0], b = in.x[1];
                      return Select(Equal(a, b), f(a, in.loc) - f(b, in.loc),
                                    Fill(in.graph, {}, 0));
                    },
                .output = Float({1000}),
                .differentiated = Differentiated::kNotAsked});
  }
}

void AddNeg(SampleTable* table) {
  AddUnaryRows({"Neg", Unary(Neg), Draw::kUniform, -2, 2, kExact}, table);
  table->Add({.op = "Neg",
              .name = "int32",
              .inputs = {Ints({3, 211})},
              .build = Unary(Neg),
              .output = Int({3, 211})});
  table->AddError(
      "Neg", "uint8", {Byte({2})}, Unary(Neg),
      "Neg: expected float32 or int32, found uint8 (x uint8[2] is input "
      "\"x0\", x.cc:0)");
}

// ---- Of two operands ----

void AddArithmetic(SampleTable* table) {
  for (const BinaryOp& op :
       std::vector<BinaryOp>{{"Add", Add, {NotZero({}), Ints({})}},
                             {"Sub", Sub, {NotZero({}), Ints({})}},
                             {"Mul", Mul, {NotZero({}), Ints({})}},
                             {"Div", Div, {NotZero({})}}}) {
    // Derivatives by one operand are sums over infinities of both signs; what
    // float32 overflows, double does not: extremes stay kNotAsked.
    AddBinaryRows(op, table);
    AddBinaryErrors(op, table);
  }
  // The largest and smallest int32 that come out without overflow.
  for (const auto& [name, f, a, b] : std::vector<
           std::tuple<const char*, Var (*)(Var, Var, Loc), double, double>>{
           {"Add", Add, 2147483646, 1},
           {"Sub", Sub, -2147483647, 1},
           {"Mul", Mul, 65536, -32768}}) {
    table->Add(
        {.op = name,
         .name = "int32_extremes",
         .inputs = {Given({a}, DType::kInt32), Given({b}, DType::kInt32)},
         .build = Binary(f),
         .output = Int({1})});
  }
}

}  // namespace

void AddElementwiseSamples(SampleTable* table) {
  AddFunctions(table);
  AddLargeAngles(table);
  AddNeg(table);
  AddArithmetic(table);
}

}  // namespace tape::samples
