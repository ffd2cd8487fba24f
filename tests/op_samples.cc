// The sample table (op_samples.h): rows of ops, family by family in the order
// of ops/ops.h, then rows of mistakes, and what makes operands of rows. Used by
// tests/op_test.cc and bench/.
#include "tests/op_samples.h"

#include <cfloat>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "framework/core/basic_ops.h"
#include "framework/core/check.h"
#include "framework/core/gradients.h"
#include "framework/core/random.h"
#include "ops/ops.h"

namespace tape {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
// A number too small to be normal in float32.
constexpr double kDenormal = 1e-40;

// The largest relative error of one rounding to float32.
constexpr double kRounding = 0x1p-24;
// One unit in the last place, relative to the smallest number that has it.
constexpr double kUlp = 0x1p-23;
// The result is the reference's, rounded: IEEE 754 asks so of + - * / and sqrt,
// and of copies there is nothing else to expect.
constexpr Tolerance kExact = {};

// ---- Operands ----

SampleInput Floats(Shape shape, double low = -1, double high = 1) {
  return {.shape = std::move(shape), .low = low, .high = high};
}
// Away from 0, of either sign.
SampleInput NotZero(Shape shape) {
  return {.shape = std::move(shape),
          .draw = Draw::kEitherSign,
          .low = 0.5,
          .high = 2};
}
// Whole numbers in float32.
SampleInput Whole(Shape shape, double low = -8, double high = 8) {
  return {.shape = std::move(shape),
          .draw = Draw::kIntegers,
          .low = low,
          .high = high};
}
SampleInput Ints(Shape shape, double low = -1000, double high = 1000) {
  return {.shape = std::move(shape),
          .draw = Draw::kIntegers,
          .low = low,
          .high = high,
          .dtype = DType::kInt32};
}
SampleInput Bytes(Shape shape, double low = 0, double high = 256) {
  return {.shape = std::move(shape),
          .draw = Draw::kIntegers,
          .low = low,
          .high = high,
          .dtype = DType::kUint8};
}
SampleInput Given(Shape shape, std::vector<double> values,
                  DType dtype = DType::kFloat32) {
  return {
      .shape = std::move(shape), .dtype = dtype, .values = std::move(values)};
}
SampleInput Given(std::vector<double> values, DType dtype = DType::kFloat32) {
  Shape shape = {static_cast<int64_t>(values.size())};
  return Given(std::move(shape), std::move(values), dtype);
}

TensorType Float(Shape shape) { return {DType::kFloat32, std::move(shape)}; }
TensorType Int(Shape shape) { return {DType::kInt32, std::move(shape)}; }
TensorType Byte(Shape shape) { return {DType::kUint8, std::move(shape)}; }

// ---- Functions ----

BuildSample Unary(Var (*f)(Var, Loc)) {
  return [f](const SampleOperands& in) { return f(in.x[0], in.loc); };
}
BuildSample Binary(Var (*f)(Var, Var, Loc)) {
  return [f](const SampleOperands& in) { return f(in.x[0], in.x[1], in.loc); };
}
BuildSample LeakyRelus(double slope) {
  return [slope](const SampleOperands& in) {
    return LeakyRelu(in.x[0], slope, in.loc);
  };
}
BuildSample CastTo(DType dtype) {
  return [dtype](const SampleOperands& in) {
    return Cast(in.x[0], dtype, in.loc);
  };
}

// ---- Elementwise ops of one operand ----

struct UnaryOp {
  const char* name;
  BuildSample build;
  // Ordinary operands.
  Draw draw;
  double low;
  double high;
  Tolerance tolerance;
  // Where the ordinary operands do not go.
  std::vector<double> extremes = {};
};

// Where exp and expm1 overflow, and where they have nearly no digits left.
const std::vector<double> kExpExtremes = {
    88,   88.5,  88.72283, 88.722839, 88.72284, 88.73,   89,   128,
    1e4,  -86.5, -87.33,   -88,       -100,     -103.9,  -105, -1e4,
    1e-5, -1e-5, 1e-8,     -1e-8,     FLT_MIN,  -FLT_MIN};
// Where tanh and sigmoid go flat.
const std::vector<double> kFlatExtremes = {
    8,    -8,    9,    -9,    9.9,     -9.9,    10,      -10,
    10.1, -10.1, 15,   -15,   17,      -17,     20,      -20,
    87,   -87,   88.8, -88.8, 104,     -104,    1e-5,    -1e-5,
    1e-8, -1e-8, 1e-9, 2e-10, 0.5e-10, FLT_MIN, -FLT_MIN};
const std::vector<double> kLogExtremes = {FLT_MIN,    FLT_MAX,   1e-37,
                                          0.70710678, 0.7071068, 1.4142135,
                                          0.9999999,  1.0000001};

std::vector<UnaryOp> UnaryOps() {
  constexpr Draw kUniform = Draw::kUniform, kEitherSign = Draw::kEitherSign;
  // Highway states a largest error of 1 ulp for Exp and 4 for Expm1, Log and
  // Tanh (hwy/contrib/math/math-inl.h); half an ulp more for the rounding of
  // the reference.
  constexpr Tolerance kExp = {1.5 * kUlp}, kFour = {4.5 * kUlp};
  // The ulp of exp, and one rounding each of the sum and the quotient.
  constexpr Tolerance kSigmoid = {2.5 * kUlp};
  // The slope is rounded, then the product.
  constexpr Tolerance kSlope = {2 * kRounding};
  return {
      {"Neg", Unary(Neg), kUniform, -2, 2, kExact},
      {"Square", Unary(Square), kUniform, -2, 2, kExact, {1e19, 2e19, 1e-19}},
      {"Sqrt", Unary(Sqrt), kUniform, 0.1, 4, kExact, {FLT_MIN, FLT_MAX}},
      {"Exp", Unary(Exp), kUniform, -4, 4, kExp, kExpExtremes},
      {"Expm1", Unary(Expm1), kUniform, -4, 4, kFour, kExpExtremes},
      {"Log", Unary(Log), kUniform, 0.1, 10, kFour, kLogExtremes},
      {"Abs", Unary(Abs), kEitherSign, 0.1, 2, kExact},
      {"Sign", Unary(Sign), kEitherSign, 0.1, 2, kExact},
      {"Relu", Unary(Relu), kEitherSign, 0.1, 2, kExact},
      {"Sigmoid", Unary(Sigmoid), kUniform, -4, 4, kSigmoid, kFlatExtremes},
      {"Tanh", Unary(Tanh), kUniform, -3, 3, kFour, kFlatExtremes},
      {"LeakyRelu", LeakyRelus(0.01), kEitherSign, 0.1, 2, kSlope},
  };
}

void AddUnaryRows(std::vector<OpSample>* rows) {
  struct Case {
    const char* name;
    Shape shape;
    Differentiated differentiated = Differentiated::kTwice;
  };
  const std::vector<Case> cases = {
      {"ordinary", {3, 5}},
      {"scalar", {}},
      {"one_element", {1, 1}},
      {"empty", {0}},
      {"empty_rows", {3, 0}},
      {"batch", {kBatch, 3}},
      // More than two blocks of 512 (compiler/elementwise.cc), and a rest.
      {"blocks", {5, 211}},
      // More than two chunks of 128 * 1024.
      {"chunks", {3, 100003}, Differentiated::kCompiled},
  };
  for (const UnaryOp& op : UnaryOps()) {
    for (const Case& c : cases) {
      rows->push_back({.op = op.name,
                       .name = c.name,
                       .inputs = {{.shape = c.shape,
                                   .draw = op.draw,
                                   .low = op.low,
                                   .high = op.high}},
                       .build = op.build,
                       .output = Float(c.shape),
                       .tolerance = op.tolerance,
                       .differentiated = c.differentiated});
    }
    std::vector<double> extremes = {300,        -300, 0,     -0.0, kDenormal,
                                    -kDenormal, 1e38, -1e38, kInf, -kInf,
                                    kNan,       1,    -1};
    extremes.insert(extremes.end(), op.extremes.begin(), op.extremes.end());
    const Shape shape = {static_cast<int64_t>(extremes.size())};
    rows->push_back({.op = op.name,
                     .name = "extremes",
                     .inputs = {Given(extremes)},
                     .build = op.build,
                     .output = Float(shape),
                     .tolerance = op.tolerance,
                     .differentiated = Differentiated::kCompiled});
  }
  for (const UnaryOp& op : UnaryOps()) {
    const std::string name = op.name;
    if (name != "Abs" && name != "Relu" && name != "LeakyRelu") continue;
    rows->push_back({.op = name,
                     .name = "kink",
                     .inputs = {Given({0, -1, 1, -0.0})},
                     .build = op.build,
                     .output = Float({4}),
                     .tolerance = op.tolerance,
                     .differentiated = Differentiated::kOnce});
  }
  rows->push_back({.op = "Neg",
                   .name = "int32",
                   .inputs = {Ints({3, 211})},
                   .build = Unary(Neg),
                   .output = Int({3, 211})});
  // Slopes of 0 and 1 are the ends of what is reasonable; 3 is allowed.
  for (double slope : {0.0, 1.0, 3.0}) {
    rows->push_back({.op = "LeakyRelu",
                     .name = absl::StrCat("slope_", slope),
                     .inputs = {NotZero({3, 5})},
                     .build = LeakyRelus(slope),
                     .output = Float({3, 5})});
  }
}

// ---- Elementwise ops of two operands ----

struct Stretch {
  const char* name;
  Shape a;
  Shape b;
  Shape y;
  Differentiated differentiated = Differentiated::kTwice;
};

// The ways of two operands to be broadcast, and of a pass over them to read
// (Access in compiler/elementwise.cc).
std::vector<Stretch> Stretches() {
  constexpr Differentiated kCompiled = Differentiated::kCompiled;
  return {
      {"ordinary", {3, 5}, {3, 5}, {3, 5}},
      {"lhs_stretched", {5}, {3, 5}, {3, 5}},
      {"rhs_stretched", {3, 5}, {5}, {3, 5}},
      {"both_stretched", {3, 1}, {1, 5}, {3, 5}},
      {"lhs_scalar", {}, {3, 5}, {3, 5}},
      {"rhs_scalar", {3, 5}, {}, {3, 5}},
      {"scalars", {}, {}, {}},
      {"one_element", {1}, {1, 1}, {1, 1}},
      {"middle_axis", {2, 3, 4}, {2, 1, 4}, {2, 3, 4}},
      {"outer_and_inner_axis", {1, 3, 1}, {2, 1, 4}, {2, 3, 4}},
      {"empty", {0, 3}, {3}, {0, 3}},
      {"empty_from_one", {1}, {2, 0}, {2, 0}},
      {"batch", {kBatch, 3}, {3}, {kBatch, 3}},
      {"batch_column", {kBatch, 3}, {kBatch, 1}, {kBatch, 3}},
      {"batch_scalar", {}, {kBatch}, {kBatch}},
      {"blocks", {5, 211}, {5, 211}, {5, 211}},
      {"pattern", {11, 97}, {97}, {11, 97}},
      {"row", {3, 700}, {700}, {3, 700}},
      {"row_and_column", {700}, {3, 1}, {3, 700}},
      {"chunks", {3, 100003}, {3, 100003}, {3, 100003}, kCompiled},
      {"chunks_pattern", {900, 307}, {307}, {900, 307}, kCompiled},
      {"chunks_row", {300, 1001}, {1001}, {300, 1001}, kCompiled},
      {"chunks_column", {300, 1}, {300, 1001}, {300, 1001}, kCompiled},
  };
}

void AddBinaryRows(std::vector<OpSample>* rows) {
  struct BinaryOp {
    const char* name;
    Var (*f)(Var, Var, Loc);
    std::vector<DType> integers;
  };
  const std::vector<BinaryOp> ops = {
      {"Add", Add, {DType::kInt32}},
      {"Sub", Sub, {DType::kInt32}},
      {"Mul", Mul, {DType::kInt32}},
      {"Div", Div, {}},
      {"Equal", Equal, {DType::kInt32, DType::kUint8}},
  };
  for (const BinaryOp& op : ops) {
    const bool is_equal = op.f == &Equal;
    const auto type = [&](Shape shape, DType dtype) {
      return TensorType{is_equal ? DType::kUint8 : dtype, std::move(shape)};
    };
    for (const Stretch& stretch : Stretches()) {
      // Equal needs numbers that are often equal.
      const auto operand = [&](const Shape& shape) {
        return is_equal ? Whole(shape, 0, 2) : NotZero(shape);
      };
      rows->push_back({.op = op.name,
                       .name = stretch.name,
                       .inputs = {operand(stretch.a), operand(stretch.b)},
                       .build = Binary(op.f),
                       .output = type(stretch.y, DType::kFloat32),
                       .differentiated = is_equal ? Differentiated::kRefused
                                                  : stretch.differentiated});
      for (DType dtype : op.integers) {
        SampleInput a = Ints(stretch.a), b = Ints(stretch.b);
        if (is_equal) a.low = b.low = 0, a.high = b.high = 2;
        a.dtype = b.dtype = dtype;
        rows->push_back({.op = op.name,
                         .name = absl::StrCat(Name(dtype), "_", stretch.name),
                         .inputs = {a, b},
                         .build = Binary(op.f),
                         .output = type(stretch.y, dtype),
                         .differentiated = is_equal ? Differentiated::kRefused
                                                    : stretch.differentiated});
      }
    }
    // Every extreme with every other.
    const std::vector<double> extremes = {
        300,  -300,  1,    -1,    0,    -0.0, kDenormal, -kDenormal,
        1e38, -1e38, kInf, -kInf, kNan, 3e-5, 1e-30};
    const int64_t count = extremes.size();
    rows->push_back({.op = op.name,
                     .name = "extremes",
                     .inputs = {Given({count, 1}, extremes), Given(extremes)},
                     .build = Binary(op.f),
                     .output = type({count, count}, DType::kFloat32),
                     // Derivatives by one operand are sums over infinities of
                     // both signs; what float32 overflows, double does not.
                     .differentiated = is_equal ? Differentiated::kRefused
                                                : Differentiated::kNotAsked});
  }
  // The largest and smallest int32 that come out without overflow.
  for (const auto& [name, f, a, b] : std::vector<
           std::tuple<const char*, Var (*)(Var, Var, Loc), double, double>>{
           {"Add", Add, 2147483646, 1},
           {"Sub", Sub, -2147483647, 1},
           {"Mul", Mul, 65536, -32768}}) {
    rows->push_back(
        {.op = name,
         .name = "int32_extremes",
         .inputs = {Given({a}, DType::kInt32), Given({b}, DType::kInt32)},
         .build = Binary(f),
         .output = Int({1})});
  }
}

// ---- Cast ----

void AddCastRows(std::vector<OpSample>* rows) {
  for (const auto& [name, shape] :
       std::vector<std::pair<const char*, Shape>>{{"ordinary", {3, 5}},
                                                  {"scalar", {}},
                                                  {"empty", {0, 3}},
                                                  {"batch", {kBatch, 3}},
                                                  {"blocks", {5, 211}},
                                                  {"chunks", {3, 100003}}}) {
    const auto add = [&](const char* conversion, SampleInput input, DType to) {
      rows->push_back({.op = "Cast",
                       .name = absl::StrCat(conversion, "_", name),
                       .inputs = {std::move(input)},
                       .build = CastTo(to),
                       .output = {to, shape},
                       .differentiated = Differentiated::kRefused});
    };
    add("int32_to_float32", Ints(shape), DType::kFloat32);
    add("uint8_to_float32", Bytes(shape), DType::kFloat32);
    add("uint8_to_int32", Bytes(shape), DType::kInt32);
  }
  // 2^24 + 1 lies halfway between two float32s, and is rounded to the even one.
  rows->push_back({.op = "Cast",
                   .name = "int32_extremes",
                   .inputs = {Given({16777217, 16777219, -16777217, 2147483647,
                                     -2147483648.0},
                                    DType::kInt32)},
                   .build = CastTo(DType::kFloat32),
                   .output = Float({5}),
                   .differentiated = Differentiated::kRefused});
}

// ---- LeakyReluGradient: no function of ops.h, but in the gradients of Relu
// and LeakyRelu ----

void AddLeakyReluGradientRows(std::vector<OpSample>* rows) {
  const BuildSample build = [](const SampleOperands& in) {
    return Gradients(LeakyRelu(in.x[0], 0.1, in.loc), {in.x[0]},
                     {.seed = in.x[1]}, in.loc)[0];
  };
  // The slope is rounded, then the product.
  const Tolerance tolerance = {2 * kRounding};
  for (const auto& [name, shape] :
       std::vector<std::pair<const char*, Shape>>{{"ordinary", {3, 5}},
                                                  {"scalar", {}},
                                                  {"empty", {0, 3}},
                                                  {"batch", {kBatch, 3}},
                                                  {"blocks", {5, 211}}}) {
    rows->push_back({.op = "LeakyReluGradient",
                     .name = name,
                     .inputs = {NotZero(shape), NotZero(shape)},
                     .build = build,
                     .output = Float(shape),
                     .tolerance = tolerance});
  }
  rows->push_back({.op = "LeakyReluGradient",
                   .name = "extremes",
                   .inputs = {Given({1, -1, 0, -0.0, kInf, -kInf, kNan, 1e38}),
                              Given({kInf, -kInf, 2, 2, kNan, 1e38, 3, -1e38})},
                   .build = build,
                   .output = Float({8}),
                   .tolerance = tolerance,
                   .differentiated = Differentiated::kCompiled});
}

// ---- MatMul ----

void AddMatMulRows(std::vector<OpSample>* rows) {
  struct Size {
    const char* name;
    int64_t m, k, n;
    Differentiated differentiated = Differentiated::kTwice;
  };
  const std::vector<Size> sizes = {
      {"ordinary", 3, 4, 5},
      {"one_element", 1, 1, 1},
      {"row", 1, 7, 5},
      {"column", 5, 7, 1},
      {"outer", 6, 1, 5},
      {"vectors", 1, 33, 1},
      {"odd", 17, 19, 23},
      {"no_rows", 0, 4, 5},
      {"no_columns", 3, 4, 0},
      {"no_terms", 3, 0, 5},
      {"batch", kBatch, 4, 5},
      // Two chunks and more, of rows and of columns (ops/onednn.cc), the last
      // of them shorter.
      {"chunks_of_rows", 331, 127, 120, Differentiated::kCompiled},
      {"chunks_of_columns", 120, 127, 331, Differentiated::kCompiled},
  };
  for (const Size& size : sizes) {
    for (const Transposes transposes :
         {Transposes{}, Transposes{.lhs = true}, Transposes{.rhs = true},
          Transposes{.lhs = true, .rhs = true}}) {
      const Shape a =
          transposes.lhs ? Shape{size.k, size.m} : Shape{size.m, size.k};
      const Shape b =
          transposes.rhs ? Shape{size.n, size.k} : Shape{size.k, size.n};
      // Sums of products of small whole numbers are exact.
      rows->push_back(
          {.op = "MatMul",
           .name = absl::StrCat(
               size.name, transposes.lhs ? "_lhs" : "",
               transposes.rhs ? "_rhs" : "",
               transposes.lhs || transposes.rhs ? "_transposed" : ""),
           .inputs = {Whole(a), Whole(b)},
           .build =
               [transposes](const SampleOperands& in) {
                 return MatMul(in.x[0], in.x[1], transposes, in.loc);
               },
           .output = Float({size.m, size.n}),
           .differentiated = size.differentiated});
    }
  }
  const BuildSample build = [](const SampleOperands& in) {
    return MatMul(in.x[0], in.x[1], {}, in.loc);
  };
  // k products of magnitude up to 1 and k sums: k (k + 1) / 2 roundings at
  // worst, of terms up to 1 each.
  constexpr int kTerms = 40;
  rows->push_back(
      {.op = "MatMul",
       .name = "fractions",
       .inputs = {Floats({7, kTerms}), Floats({kTerms, 9})},
       .build = build,
       .output = Float({7, 9}),
       .tolerance = {.absolute = kRounding * kTerms * (kTerms + 1) / 2}});
  // A product touches what it multiplies only: row 0 must stay finite.
  rows->push_back(
      {.op = "MatMul",
       .name = "extremes",
       .inputs = {Given({4, 2}, {1, 2, kInf, 1, kNan, 1, 1e38, 1e38}),
                  Given({2, 3}, {3, 1, -1, 4, 2, 30})},
       .build = build,
       .output = Float({4, 3}),
       .differentiated = Differentiated::kNotAsked});
  rows->push_back({.op = "MatMul",
                   .name = "square_of_one_operand",
                   .inputs = {Floats({3, 3})},
                   .build =
                       [](const SampleOperands& in) {
                         return MatMul(in.x[0], in.x[0], {}, in.loc);
                       },
                   .output = Float({3, 3}),
                   // Three products and three sums of terms up to 1.
                   .tolerance = {.absolute = 6 * kRounding}});
}

// ---- Sums ----

void AddSumRows(std::vector<OpSample>* rows) {
  struct Reduction {
    const char* name;
    Shape from;
    Shape to;
    Differentiated differentiated = Differentiated::kTwice;
  };
  constexpr Differentiated kCompiled = Differentiated::kCompiled;
  // Both directions between the two shapes: SumTo and BroadcastTo.
  const std::vector<Reduction> reductions = {
      {"first_axis", {4, 3}, {3}},
      {"first_axis_kept", {4, 3}, {1, 3}},
      {"last_axis", {4, 3}, {4, 1}},
      {"middle_axis", {2, 3, 4}, {2, 1, 4}},
      {"outer_axes", {2, 3, 4}, {1, 3, 1}},
      {"all", {2, 3, 4}, {}},
      {"nothing", {2, 3}, {2, 3}},
      {"leading_ones", {1, 1, 3}, {3}},
      {"one_element", {1, 1}, {1}},
      {"empty_rows", {0, 3}, {3}},
      {"empty_columns", {3, 0}, {3, 1}},
      {"empty_result", {3, 0}, {0}},
      {"empty_to_scalar", {0}, {}},
      {"batch", {kBatch, 3}, {3}},
      {"batch_to_scalar", {kBatch, 3}, {}},
      {"batch_kept", {kBatch, 3}, {kBatch, 1}},
      // Columns longer than two blocks of 128 terms, and no whole vectors.
      {"tall", {300, 5}, {5}},
      {"wide", {5, 300}, {5, 1}},
      // More than two chunks of 64 * 1024 (core/sum_kernels.cc).
      {"chunks_of_columns", {700, 301}, {301}, kCompiled},
      {"chunks_of_rows", {301, 700}, {301, 1}, kCompiled},
      {"two_stages", {40, 53, 101}, {53, 1}, kCompiled},
      {"large_to_scalar", {3, 100003}, {}, kCompiled},
  };
  for (const Reduction& reduction : reductions) {
    rows->push_back({.op = "SumTo",
                     .name = reduction.name,
                     .inputs = {Whole(reduction.from)},
                     .build =
                         [to = reduction.to](const SampleOperands& in) {
                           return SumTo(in.x[0], to, in.loc);
                         },
                     .output = Float(reduction.to),
                     .differentiated = reduction.differentiated});
    OpSample broadcast = {.op = "BroadcastTo",
                          .name = reduction.name,
                          .inputs = {Whole(reduction.to)},
                          .build =
                              [to = reduction.from](const SampleOperands& in) {
                                return BroadcastTo(in.x[0], to, in.loc);
                              },
                          .output = Float(reduction.from),
                          .differentiated = reduction.differentiated};
    if (!reduction.from.is_bound()) {
      // An operand that says how large the batch is.
      broadcast.inputs.push_back(Whole({kBatch, 1}));
      broadcast.build = [to = reduction.from](const SampleOperands& in) {
        return Add(BroadcastTo(in.x[0], to, in.loc), in.x[1], in.loc);
      };
    }
    rows->push_back(std::move(broadcast));
  }
  for (const SampleInput& input : {Ints({3, 1}), Bytes({3, 1})}) {
    rows->push_back({.op = "BroadcastTo",
                     .name = Name(input.dtype),
                     .inputs = {input},
                     .build =
                         [](const SampleOperands& in) {
                           return BroadcastTo(in.x[0], {2, 3, 211}, in.loc);
                         },
                     .output = {input.dtype, {2, 3, 211}}});
  }
  const BuildSample sum_rows = [](const SampleOperands& in) {
    return SumTo(in.x[0], {3}, in.loc);
  };
  // n terms up to 1, n - 1 sums up to n.
  rows->push_back({.op = "SumTo",
                   .name = "fractions",
                   .inputs = {Floats({40, 3})},
                   .build = sum_rows,
                   .output = Float({3}),
                   .tolerance = {.absolute = kRounding * 40 * 39 / 2}});
  rows->push_back({.op = "SumTo",
                   .name = "extremes",
                   .inputs = {Given({2, 3}, {kInf, kInf, kNan, 1, -kInf, 1})},
                   .build = sum_rows,
                   .output = Float({3}),
                   .differentiated = Differentiated::kCompiled});

  for (int terms : {1, 2, 3, 7}) {
    for (const auto& [name, shape, differentiated] :
         std::vector<std::tuple<const char*, Shape, Differentiated>>{
             {"ordinary", {3, 5}, Differentiated::kTwice},
             {"scalar", {}, Differentiated::kTwice},
             {"empty", {3, 0}, Differentiated::kTwice},
             {"batch", {kBatch, 3}, Differentiated::kTwice},
             {"blocks", {5, 211}, Differentiated::kTwice},
             {"chunks", {3, 100003}, kCompiled}}) {
      rows->push_back(
          {.op = "AddN",
           .name = absl::StrCat(terms, "_", name),
           .inputs = std::vector<SampleInput>(terms, Whole(shape)),
           .build = [](const SampleOperands& in) { return AddN(in.x, in.loc); },
           .output = Float(shape),
           .differentiated = differentiated});
    }
  }
  rows->push_back(
      {.op = "AddN",
       .name = "extremes",
       .inputs = {Given({kInf, kInf, kNan, 3e38}), Given({1, -kInf, 1, 3e38})},
       .build = [](const SampleOperands& in) { return AddN(in.x, in.loc); },
       .output = Float({4}),
       .differentiated = Differentiated::kCompiled});
}

void AddReductionRows(std::vector<OpSample>* rows) {
  struct Case {
    const char* name;
    Shape x;
    std::vector<int> axes;
    Shape y;
    int terms;  // Of one sum; what a Mean divides by.
  };
  const std::vector<Case> cases = {
      {"all", {2, 3, 4}, {}, {}, 24},
      {"first_axis", {2, 3, 4}, {0}, {3, 4}, 2},
      {"last_axis", {2, 3, 4}, {-1}, {2, 3}, 4},
      {"negative_axes", {2, 3, 4}, {-1, -3}, {3}, 8},
      {"of_a_scalar", {}, {}, {}, 1},
      {"batch", {kBatch, 3}, {0}, {3}, kSampleBatch},
      {"batch_and_rows", {kBatch, 3}, {}, {}, 3 * kSampleBatch},
      {"batch_kept", {kBatch, 3}, {1}, {kBatch}, 3},
      {"empty_result", {0, 3}, {1}, {0}, 3},
  };
  for (const Case& c : cases) {
    rows->push_back({.op = "Sum",
                     .name = c.name,
                     .inputs = {Whole(c.x)},
                     .build =
                         [axes = c.axes](const SampleOperands& in) {
                           return Sum(in.x[0], axes, in.loc);
                         },
                     .output = Float(c.y)});
    // The sum is exact, the quotient rounded correctly.
    rows->push_back({.op = "Mean",
                     .name = c.name,
                     .inputs = {Whole(c.x)},
                     .build =
                         [axes = c.axes](const SampleOperands& in) {
                           return Mean(in.x[0], axes, in.loc);
                         },
                     .output = Float(c.y)});
  }
  // Over nothing: a sum is 0, a mean 0 / 0.
  for (const bool mean : {false, true}) {
    rows->push_back({.op = mean ? "Mean" : "Sum",
                     .name = "over_nothing",
                     .inputs = {Floats({0, 3})},
                     .build =
                         [mean](const SampleOperands& in) {
                           return (mean ? Mean : Sum)(in.x[0], {0}, in.loc);
                         },
                     .output = Float({3}),
                     .differentiated = Differentiated::kCompiled});
  }

  const auto arg_max = [&](const char* name, SampleInput input, int axis,
                           Shape y) {
    rows->push_back({.op = "ArgMax",
                     .name = name,
                     .inputs = {std::move(input)},
                     .build =
                         [axis](const SampleOperands& in) {
                           return ArgMax(in.x[0], axis, in.loc);
                         },
                     .output = Int(std::move(y)),
                     .differentiated = Differentiated::kRefused});
  };
  arg_max("ordinary", Floats({3, 5}), -1, {3});
  arg_max("first_axis", Floats({3, 5}), 0, {5});
  arg_max("middle_axis", Floats({2, 30, 4}), 1, {2, 4});
  arg_max("negative_axis", Floats({2, 30, 4}), -2, {2, 4});
  arg_max("vector", Floats({700}), 0, {});
  arg_max("one_element", Floats({3, 1}), 1, {3});
  arg_max("empty", Floats({0, 5}), 1, {0});
  arg_max("batch", Floats({kBatch, 3}), -1, {kBatch});
  arg_max("of_the_batch", Floats({kBatch, 3}), 0, {3});
  arg_max("many_rows", Floats({20000, 10}), -1, {20000});
  // The first of equals; a NaN is above all, and the first NaN counts.
  arg_max("equals", Whole({200, 7}, 0, 3), -1, {200});
  arg_max("extremes",
          Given({6, 3}, {1, kNan, kInf, -kInf, -kInf, -kInf, -kInf, -1e38,
                         -kInf, kNan, 1, kNan, 0, -0.0, 0, 1e38, kInf, kInf}),
          -1, {6});
}

// ---- Made from no operand ----

void AddSourceRows(std::vector<OpSample>* rows) {
  for (const auto& [name, shape, dtype] :
       std::vector<std::tuple<const char*, Shape, DType>>{
           {"ordinary", {3, 5}, DType::kFloat32},
           {"batch", {kBatch, 3}, DType::kFloat32},
           {"empty", {0, 3}, DType::kFloat32},
           {"int32", {3, 5}, DType::kInt32},
           {"uint8", {3, 5}, DType::kUint8}}) {
    SampleInput input = Whole(shape, 0, 100);
    input.dtype = dtype;
    rows->push_back({.op = "Input",
                     .name = name,
                     .inputs = {input},
                     .build = [](const SampleOperands& in) { return in.x[0]; },
                     .output = {dtype, shape}});
  }
  rows->push_back({.op = "Variable",
                   .name = "parameter",
                   .inputs = {},
                   .build =
                       [](const SampleOperands& in) {
                         return in.graph->Parameter("w", {3, 5}, Glorot(),
                                                    Tag::kAuto, in.loc);
                       },
                   .output = Float({3, 5})});
  rows->push_back({.op = "Variable",
                   .name = "state_int32",
                   .inputs = {},
                   .build =
                       [](const SampleOperands& in) {
                         return in.graph->State("count", {2}, Constant(-7),
                                                DType::kInt32, in.loc);
                       },
                   .output = Int({2})});

  const auto fill = [&](const char* name, Shape shape, double value,
                        DType dtype = DType::kFloat32) {
    rows->push_back({.op = "Fill",
                     .name = name,
                     .inputs = {},
                     .build =
                         [=](const SampleOperands& in) {
                           return Fill(in.graph, shape, value, dtype, in.loc);
                         },
                     .output = {dtype, shape}});
  };
  fill("ordinary", {3, 5}, -2.5);
  fill("scalar", {}, 0.1);
  fill("empty", {0, 3}, 1);
  fill("infinity", {2}, kInf);
  fill("nan", {2}, kNan);
  fill("largest_float32", {2}, FLT_MAX);
  fill("beyond_float32", {2}, 1e300);
  fill("blocks", {5, 211}, 1);
  fill("int32", {3}, -2147483648.0, DType::kInt32);
  fill("uint8", {3}, 255, DType::kUint8);
  rows->push_back({.op = "Fill",
                   .name = "batch",
                   .inputs = {Floats({kBatch})},
                   .build =
                       [](const SampleOperands& in) {
                         return Mul(in.x[0], Fill(in.graph, {kBatch}, 2,
                                                  DType::kFloat32, in.loc));
                       },
                   .output = Float({kBatch})});
  // Constants of one pass that only their bits tell apart: x / 0 - x / -0.
  rows->push_back({.op = "Fill",
                   .name = "zeros_of_both_signs",
                   .inputs = {Given({1, -1})},
                   .build =
                       [](const SampleOperands& in) {
                         const Var x = in.x[0];
                         return Sub(Div(x, Fill(in.graph, {}, 0.0,
                                                DType::kFloat32, in.loc)),
                                    Div(x, Fill(in.graph, {}, -0.0)));
                       },
                   .output = Float({2}),
                   .differentiated = Differentiated::kNotAsked});
  // (x = NaN) is 0 everywhere, at x = 2 too, where 2 x is 4.
  rows->push_back(
      {.op = "Fill",
       .name = "nan_beside_a_number",
       .inputs = {Given({1, 2, kNan})},
       .build =
           [](const SampleOperands& in) {
             const Var x = in.x[0];
             const Var is_nan = Equal(x, Fill(in.graph, {}, kNan));
             return Add(Mul(x, Fill(in.graph, {}, 2, DType::kFloat32, in.loc)),
                        Cast(is_nan, DType::kFloat32));
           },
       .output = Float({3}),
       .differentiated = Differentiated::kNotAsked});

  for (const auto& [name, shape] : std::vector<std::pair<const char*, Shape>>{
           {"ordinary", {3, 5}}, {"scalar", {}}, {"empty", {3, 0}}}) {
    rows->push_back({.op = "ElementCount",
                     .name = name,
                     .inputs = {},
                     .build =
                         [shape = shape](const SampleOperands& in) {
                           return ElementCount(in.graph, shape, in.loc);
                         },
                     .output = Float({})});
  }
  rows->push_back(
      {.op = "ElementCount",
       .name = "batch",
       .inputs = {Floats({kBatch})},
       .build =
           [](const SampleOperands& in) {
             return Mul(in.x[0], ElementCount(in.graph, {kBatch, 3}, in.loc));
           },
       .output = Float({kBatch})});
}

// ---- Reshape and OneHot ----

void AddLayoutRows(std::vector<OpSample>* rows) {
  const auto reshape = [&](const char* name, SampleInput input, Shape to) {
    const TensorType output = {input.dtype, to};
    rows->push_back({.op = "Reshape",
                     .name = name,
                     .inputs = {std::move(input)},
                     .build =
                         [to](const SampleOperands& in) {
                           return Reshape(in.x[0], to, in.loc);
                         },
                     .output = output});
  };
  reshape("ordinary", Floats({3, 4}), {2, 6});
  reshape("to_scalar", Floats({1, 1}), {});
  reshape("from_scalar", Floats({}), {1});
  reshape("empty", Floats({0, 3}), {5, 0});
  reshape("flat", Floats({5, 211}), {1055});
  reshape("batch", Floats({kBatch, 3, 4}), {kBatch, 12});
  reshape("batch_moved", Floats({kBatch, 12}), {3, kBatch, 4});
  reshape("int32", Ints({3, 4}), {12});
  reshape("uint8", Bytes({3, 4}), {12});

  const auto one_hot = [&](const char* name, SampleInput input, int64_t depth,
                           Shape to) {
    rows->push_back({.op = "OneHot",
                     .name = name,
                     .inputs = {std::move(input)},
                     .build =
                         [depth](const SampleOperands& in) {
                           return OneHot(in.x[0], depth, in.loc);
                         },
                     .output = Float(std::move(to))});
  };
  one_hot("ordinary", Ints({3}, 0, 5), 5, {3, 5});
  one_hot("matrix", Ints({3, 4}, 0, 5), 5, {3, 4, 5});
  one_hot("scalar", Ints({}, 0, 5), 5, {5});
  one_hot("depth_one", Ints({4}, 0, 2), 1, {4, 1});
  one_hot("empty", Ints({0}), 5, {0, 5});
  one_hot("batch", Ints({kBatch}, 0, 3), 3, {kBatch, 3});
  one_hot("blocks", Ints({211}, 0, 7), 7, {211, 7});
  one_hot("outside",
          Given({-1, 5, 0, 2147483647, -2147483648.0, 4}, DType::kInt32), 5,
          {6, 5});
}

// ---- Softmax and its loss ----

void AddSoftmaxRows(std::vector<OpSample>* rows) {
  // Of a row of n: exp is off by 1 ulp, by another 2 at its worst because its
  // operand x - max is rounded (|x - max| < 4 here), the sum by n roundings at
  // worst and by 3 for numbers drawn here, the quotient by two.
  constexpr Tolerance kSoftmax = {8 * kUlp};
  // x - max - ln sum: the roundings of numbers up to 8, and the relative error
  // of the sum above, which ln makes absolute.
  constexpr Tolerance kLogSoftmax = {.absolute = 8 * kUlp + 8 * kRounding};
  // Logits far from 0: x - max is exact for these, or so low that its exp is 0.
  const std::vector<double> far = {1e4,    9999, 0,     -1e4, 9998.5, -1e4,
                                   -9999,  -1e4, -1e4,  -1e4, 300,    -300,
                                   299.25, 1e38, -1e38, 0,    0,      1};
  // The first row is ordinary, and must not catch anything from the others.
  const std::vector<double> not_finite = {1,     2, 3,    kInf, 0, 1,     -kInf,
                                          0,     1, kNan, 0,    1, -kInf, -kInf,
                                          -kInf, 0, kNan, kInf};
  struct Case {
    const char* name;
    SampleInput logits;
    Differentiated differentiated = Differentiated::kTwice;
  };
  const std::vector<Case> cases = {
      {"ordinary", Floats({4, 5}, -2, 2)},
      {"vector", Floats({7}, -2, 2)},
      {"rank_3", Floats({2, 3, 4}, -2, 2)},
      {"one_class", Floats({4, 1}, -2, 2)},
      {"empty", Floats({0, 5})},
      {"batch", Floats({kBatch, 3}, -2, 2)},
      {"many_classes", Floats({3, 300}, -2, 2)},
      {"sixteen_classes", Floats({3, 16}, -2, 2)},
      // More than two chunks of 16 * 1024 (RowsKernel in ops/loss.cc).
      {"chunks", Floats({4001, 10}, -2, 2), Differentiated::kCompiled},
      {"far", Given({6, 3}, far), Differentiated::kCompiled},
      {"close_and_far_from_zero",
       Given({2, 3}, {1e4, 1e4 - 0.5, 1e4 - 1, -1e4, -1e4 - 2, -1e4 - 1}),
       Differentiated::kCompiled},
      {"not_finite", Given({6, 3}, not_finite), Differentiated::kCompiled},
  };
  for (const Case& c : cases) {
    const Shape& shape = c.logits.shape;
    const Shape row_shape(shape.dims().subspan(0, shape.rank() - 1));
    const int64_t classes = shape[shape.rank() - 1];
    const auto add = [&](const char* op, const std::string& name,
                         std::vector<SampleInput> inputs, BuildSample build,
                         Shape output, Tolerance tolerance) {
      rows->push_back({.op = op,
                       .name = name,
                       .inputs = std::move(inputs),
                       .build = std::move(build),
                       .output = Float(std::move(output)),
                       .tolerance = tolerance,
                       .differentiated = c.differentiated});
    };
    add("Softmax", c.name, {c.logits}, Unary(Softmax), shape, kSoftmax);
    // Log-probabilities may themselves be large.
    const Tolerance log_tolerance = {2 * kRounding, kLogSoftmax.absolute};
    add("LogSoftmax", c.name, {c.logits}, Unary(LogSoftmax), shape,
        log_tolerance);
    add("SoftmaxCrossEntropy", absl::StrCat("classes_", c.name),
        {c.logits, Ints(row_shape, 0, classes)}, Binary(SoftmaxCrossEntropy),
        row_shape, log_tolerance);
    // Each class weighs up to 1; their sum is rounded once for each.
    const Tolerance weighted = {
        (classes + 2) * kRounding,
        (log_tolerance.absolute + 8 * kRounding) * classes};
    add("SoftmaxCrossEntropy", absl::StrCat("probabilities_", c.name),
        {c.logits, Floats(shape, 0.1, 1)}, Binary(SoftmaxCrossEntropy),
        row_shape, weighted);
  }
  rows->push_back(
      {.op = "SoftmaxCrossEntropy",
       .name = "classes_outside",
       .inputs = {Floats({4, 3}), Given({-1, 3, 2, 2147483647}, DType::kInt32)},
       .build = Binary(SoftmaxCrossEntropy),
       .output = Float({4}),
       .tolerance = kLogSoftmax,
       .differentiated = Differentiated::kCompiled});
}

std::vector<OpSample> MakeOpSamples() {
  std::vector<OpSample> rows;
  AddUnaryRows(&rows);
  AddBinaryRows(&rows);
  AddCastRows(&rows);
  AddLeakyReluGradientRows(&rows);
  AddMatMulRows(&rows);
  AddSumRows(&rows);
  AddReductionRows(&rows);
  AddSourceRows(&rows);
  AddLayoutRows(&rows);
  AddSoftmaxRows(&rows);
  return rows;
}

// ---- Mistakes ----

std::vector<OpErrorSample> MakeOpErrorSamples() {
  std::vector<OpErrorSample> rows;
  const auto add = [&](const char* op, const char* name,
                       std::vector<TensorType> inputs, BuildSample build,
                       const std::string& message) {
    rows.push_back({.op = op,
                    .name = name,
                    .inputs = std::move(inputs),
                    .build = std::move(build),
                    .message = absl::StrCat("op.cc:10: ", message)});
  };

  for (const UnaryOp& op : UnaryOps()) {
    if (std::string(op.name) == "Neg") continue;
    add(op.name, "int32", {Int({2})}, op.build,
        absl::StrCat(op.name,
                     ": expected float32, found int32 (x int32[2] is input "
                     "\"x0\", x.cc:0)"));
  }
  add("Neg", "uint8", {Byte({2})}, Unary(Neg),
      "Neg: expected float32 or int32, found uint8 (x uint8[2] is input "
      "\"x0\", x.cc:0)");
  add("LeakyRelu", "negative_slope", {Float({2})}, LeakyRelus(-0.5),
      "LeakyRelu: expected a finite slope of at least 0, found -0.5 (x [2] is "
      "input \"x0\", x.cc:0)");
  add("LeakyRelu", "nan_slope", {Float({2})}, LeakyRelus(kNan),
      "LeakyRelu: expected a finite slope of at least 0, found nan (x [2] is "
      "input \"x0\", x.cc:0)");

  const std::vector<std::pair<const char*, BuildSample>> binary = {
      {"Add", Binary(Add)},
      {"Sub", Binary(Sub)},
      {"Mul", Binary(Mul)},
      {"Div", Binary(Div)},
      {"Equal", Binary(Equal)}};
  for (const auto& [op, build] : binary) {
    add(op, "shapes", {Float({2, 3}), Float({4})}, build,
        absl::StrCat(op,
                     ": shapes [2,3] and [4] do not broadcast: axis -1 is 3 "
                     "against 4 (lhs [2,3] is input \"x0\", x.cc:0; rhs [4] is "
                     "input \"x1\", x.cc:1)"));
    add(op, "batch_against_number", {Float({kBatch, 3}), Float({2, 3})}, build,
        absl::StrCat(op,
                     ": shapes [batch,3] and [2,3] do not broadcast: axis -2 "
                     "is batch against 2 (lhs [batch,3] is input \"x0\", "
                     "x.cc:0; rhs [2,3] is input \"x1\", x.cc:1)"));
    const bool is_div = std::string(op) == "Div";
    add(op, "dtypes", {Float({2}), Int({2})}, build,
        absl::StrCat(op,
                     is_div ? ": expected float32, found int32"
                            : ": dtypes float32 and int32 differ",
                     " (lhs [2] is input \"x0\", x.cc:0; rhs int32[2] is input "
                     "\"x1\", x.cc:1)"));
    if (std::string(op) == "Equal") continue;  // Compares bytes too.
    add(op, "uint8", {Byte({2}), Byte({2})}, build,
        absl::StrCat(op,
                     is_div ? ": expected float32, found uint8"
                            : ": expected float32 or int32, found uint8",
                     " (lhs uint8[2] is input \"x0\", x.cc:0; rhs uint8[2] is "
                     "input \"x1\", x.cc:1)"));
  }

  add("Cast", "float32_to_int32", {Float({2})}, CastTo(DType::kInt32),
      "Cast: there is no conversion from float32 to int32 (x [2] is input "
      "\"x0\", x.cc:0)");
  add("Cast", "int32_to_uint8", {Int({2})}, CastTo(DType::kUint8),
      "Cast: there is no conversion from int32 to uint8 (x int32[2] is input "
      "\"x0\", x.cc:0)");
  add("Cast", "to_float64", {Float({2})}, CastTo(DType::kFloat64),
      "Cast: there is no conversion from float32 to float64 (x [2] is input "
      "\"x0\", x.cc:0)");

  const auto mat_mul = [](Transposes transposes) -> BuildSample {
    return [transposes](const SampleOperands& in) {
      return MatMul(in.x[0], in.x[1], transposes, in.loc);
    };
  };
  add("MatMul", "inner", {Float({4, 8}), Float({9, 1})}, mat_mul({}),
      "MatMul: inner dimensions 8 and 9 differ (lhs [4,8] is input \"x0\", "
      "x.cc:0; rhs [9,1] is input \"x1\", x.cc:1)");
  add("MatMul", "inner_transposed", {Float({4, 8}), Float({8, 1})},
      mat_mul({.lhs = true}),
      "MatMul: inner dimensions 4 and 8 differ (lhs [4,8] is input \"x0\", "
      "x.cc:0; rhs [8,1] is input \"x1\", x.cc:1)");
  add("MatMul", "inner_batch", {Float({4, kBatch}), Float({8, 1})}, mat_mul({}),
      "MatMul: inner dimensions batch and 8 differ (lhs [4,batch] is input "
      "\"x0\", x.cc:0; rhs [8,1] is input \"x1\", x.cc:1)");
  add("MatMul", "rank", {Float({8}), Float({8, 1})}, mat_mul({}),
      "MatMul: expected two matrices, found [8] and [8,1] (lhs [8] is input "
      "\"x0\", x.cc:0; rhs [8,1] is input \"x1\", x.cc:1)");
  add("MatMul", "int32", {Float({4, 8}), Int({8, 1})}, mat_mul({}),
      "MatMul: expected float32, found int32 (lhs [4,8] is input \"x0\", "
      "x.cc:0; rhs int32[8,1] is input \"x1\", x.cc:1)");

  const auto sum_to = [](Shape shape) -> BuildSample {
    return [shape](const SampleOperands& in) {
      return SumTo(in.x[0], shape, in.loc);
    };
  };
  add("SumTo", "shape", {Float({4, 3})}, sum_to({4}),
      "SumTo: shape [4,3] does not sum to shape [4] (x [4,3] is input \"x0\", "
      "x.cc:0)");
  add("SumTo", "int32", {Int({4, 3})}, sum_to({3}),
      "SumTo: expected float32, found int32 (x int32[4,3] is input \"x0\", "
      "x.cc:0)");
  const auto broadcast_to = [](Shape shape) -> BuildSample {
    return [shape](const SampleOperands& in) {
      return BroadcastTo(in.x[0], shape, in.loc);
    };
  };
  add("BroadcastTo", "shape", {Float({4, 3})}, broadcast_to({3}),
      "BroadcastTo: shape [4,3] does not broadcast to shape [3] (x [4,3] is "
      "input \"x0\", x.cc:0)");
  add("BroadcastTo", "negative", {Float({1})}, broadcast_to({-5}),
      "BroadcastTo: expected dimensions of at least 0, or kBatch, found [-5] "
      "(x [1] is input \"x0\", x.cc:0)");
  const BuildSample add_n = [](const SampleOperands& in) {
    return AddN(in.x, in.loc);
  };
  add("AddN", "shapes", {Float({2}), Float({3})}, add_n,
      "AddN: expected float32 operands of one shape, found [2] and [3] (x [2] "
      "is input \"x0\", x.cc:0; x [3] is input \"x1\", x.cc:1)");
  add("AddN", "int32", {Int({2}), Int({2})}, add_n,
      "AddN: expected float32 operands of one shape, found int32[2] and "
      "int32[2] (x int32[2] is input \"x0\", x.cc:0; x int32[2] is input "
      "\"x1\", x.cc:1)");

  for (const bool mean : {false, true}) {
    const char* const op = mean ? "Mean" : "Sum";
    const auto over = [mean](std::vector<int> axes) -> BuildSample {
      return [mean, axes](const SampleOperands& in) {
        return (mean ? Mean : Sum)(in.x[0], axes, in.loc);
      };
    };
    add(op, "axis", {Float({2, 3})}, over({2}),
        absl::StrCat(op,
                     ": axis 2 does not exist in a tensor of rank 2 (x [2,3] "
                     "is input \"x0\", x.cc:0)"));
    add(op, "axis_twice", {Float({2, 3})}, over({1, -1}),
        absl::StrCat(op,
                     ": axis -1 is given twice (x [2,3] is input \"x0\", "
                     "x.cc:0)"));
    add(op, "int32", {Int({2, 3})}, over({}),
        absl::StrCat(op,
                     ": expected float32, found int32 (x int32[2,3] is input "
                     "\"x0\", x.cc:0)"));
  }
  const auto arg_max = [](int axis) -> BuildSample {
    return [axis](const SampleOperands& in) {
      return ArgMax(in.x[0], axis, in.loc);
    };
  };
  add("ArgMax", "axis", {Float({2, 3})}, arg_max(-3),
      "ArgMax: axis -3 does not exist in a tensor of rank 2 (x [2,3] is input "
      "\"x0\", x.cc:0)");
  add("ArgMax", "of_nothing", {Float({2, 0})}, arg_max(-1),
      "ArgMax: expected at least one element along axis -1, found shape [2,0] "
      "(x [2,0] is input \"x0\", x.cc:0)");
  add("ArgMax", "int32", {Int({2, 3})}, arg_max(0),
      "ArgMax: expected float32, found int32 (x int32[2,3] is input \"x0\", "
      "x.cc:0)");

  add(
      "Input", "empty_name", {},
      [](const SampleOperands& in) {
        return in.graph->Input("", {2}, DType::kFloat32, in.loc);
      },
      "Input \"\": expected a name, found an empty one");
  add(
      "Input", "name_twice", {Float({2})},
      [](const SampleOperands& in) {
        return in.graph->Input("x0", {2}, DType::kFloat32, in.loc);
      },
      "Input \"x0\": expected a name of its own, found it taken at x.cc:0");
  add(
      "Variable", "batch", {},
      [](const SampleOperands& in) {
        return in.graph->Parameter("w", {kBatch, 2}, Zeros(), Tag::kAuto,
                                   in.loc);
      },
      "weight \"w\": a variable cannot have the batch dimension, found shape "
      "[batch,2]");
  const auto fill = [](Shape shape, double value, DType dtype) -> BuildSample {
    return [=](const SampleOperands& in) {
      return Fill(in.graph, shape, value, dtype, in.loc);
    };
  };
  add("Fill", "negative", {}, fill({-5}, 1, DType::kFloat32),
      "Fill: expected dimensions of at least 0, or kBatch, found [-5]");
  add("Fill", "float64", {}, fill({2}, 1, DType::kFloat64),
      "Fill: expected a dtype that nodes have, found float64");
  add("Fill", "fraction_of_int32", {}, fill({2}, 2.5, DType::kInt32),
      "Fill: expected a value that int32 has, found 2.5");
  add("Fill", "beyond_int32", {}, fill({2}, 3e9, DType::kInt32),
      "Fill: expected a value that int32 has, found 3e+09");
  add("Fill", "nan_of_int32", {}, fill({2}, kNan, DType::kInt32),
      "Fill: expected a value that int32 has, found nan");
  add("Fill", "below_uint8", {}, fill({2}, -1, DType::kUint8),
      "Fill: expected a value that uint8 has, found -1");
  add(
      "ElementCount", "negative", {},
      [](const SampleOperands& in) {
        return ElementCount(in.graph, {3, -5}, in.loc);
      },
      "ElementCount: expected dimensions of at least 0, or kBatch, found "
      "[3,-5]");

  const auto reshape = [](Shape shape) -> BuildSample {
    return [shape](const SampleOperands& in) {
      return Reshape(in.x[0], shape, in.loc);
    };
  };
  add("Reshape", "elements", {Float({3, 4})}, reshape({5}),
      "Reshape: shape [3,4] does not have as many elements as shape [5] (x "
      "[3,4] is input \"x0\", x.cc:0)");
  add("Reshape", "batch", {Float({kBatch, 4})}, reshape({4}),
      "Reshape: shape [batch,4] does not have as many elements as shape [4] (x "
      "[batch,4] is input \"x0\", x.cc:0)");
  add("Reshape", "negative", {Float({10})}, reshape({-2, -5}),
      "Reshape: shape [10] does not have as many elements as shape [-2,-5] (x "
      "[10] is input \"x0\", x.cc:0)");
  const auto one_hot = [](int64_t depth) -> BuildSample {
    return [depth](const SampleOperands& in) {
      return OneHot(in.x[0], depth, in.loc);
    };
  };
  add("OneHot", "float32", {Float({2})}, one_hot(3),
      "OneHot: expected int32, found float32 (indices [2] is input \"x0\", "
      "x.cc:0)");
  add("OneHot", "depth", {Int({2})}, one_hot(0),
      "OneHot: expected a depth of at least 1, found 0 (indices int32[2] is "
      "input \"x0\", x.cc:0)");

  const std::vector<std::pair<const char*, BuildSample>> softmaxes = {
      {"Softmax", Unary(Softmax)}, {"LogSoftmax", Unary(LogSoftmax)}};
  for (const auto& [op, build] : softmaxes) {
    add(op, "int32", {Int({2, 3})}, build,
        absl::StrCat(op,
                     ": expected float32, found int32 (x int32[2,3] is input "
                     "\"x0\", x.cc:0)"));
    add(op, "scalar", {Float({})}, build,
        absl::StrCat(op,
                     ": expected a last axis of at least one element, found "
                     "shape [] (x [] is input \"x0\", x.cc:0)"));
    add(op, "of_nothing", {Float({2, 0})}, build,
        absl::StrCat(op,
                     ": expected a last axis of at least one element, found "
                     "shape [2,0] (x [2,0] is input \"x0\", x.cc:0)"));
  }
  const BuildSample loss = Binary(SoftmaxCrossEntropy);
  add("SoftmaxCrossEntropy", "labels_of_another_batch",
      {Float({kBatch, 3}), Int({4})}, loss,
      "SoftmaxCrossEntropy: expected labels int32[batch] (classes) or "
      "[batch,3] (probabilities), found int32[4] (logits [batch,3] is input "
      "\"x0\", x.cc:0; labels int32[4] is input \"x1\", x.cc:1)");
  add("SoftmaxCrossEntropy", "labels_of_another_dtype",
      {Float({4, 3}), Float({4})}, loss,
      "SoftmaxCrossEntropy: expected labels int32[4] (classes) or [4,3] "
      "(probabilities), found [4] (logits [4,3] is input \"x0\", x.cc:0; "
      "labels [4] is input \"x1\", x.cc:1)");
  add("SoftmaxCrossEntropy", "of_nothing", {Float({4, 0}), Int({4})}, loss,
      "SoftmaxCrossEntropy: expected a last axis of at least one element, "
      "found shape [4,0] (logits [4,0] is input \"x0\", x.cc:0; labels "
      "int32[4] is input \"x1\", x.cc:1)");
  return rows;
}

template <typename T>
Tensor Rounded(const TensorType& type, const std::vector<double>& values) {
  Tensor tensor(type);
  TAPE_CHECK_EQ(tensor.elements(), static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    tensor.values<T>()[i] = static_cast<T>(values[i]);
  }
  return tensor;
}

}  // namespace

const std::vector<OpSample>& OpSamples() {
  static const auto* const samples =
      new std::vector<OpSample>(MakeOpSamples());  // Never destroyed.
  return *samples;
}

const std::vector<OpErrorSample>& OpErrorSamples() {
  static const auto* const samples =
      new std::vector<OpErrorSample>(MakeOpErrorSamples());  // Never destroyed.
  return *samples;
}

Loc OperandLoc(int index) { return {"x.cc", index}; }

Tensor SampleValues(const OpSample& sample, int index) {
  const SampleInput& input = sample.inputs[index];
  const TensorType type = {input.dtype, input.shape.Bind(kSampleBatch)};
  std::vector<double> values = input.values;
  if (values.empty()) {
    values.resize(type.shape.elements());
    RandomStream random(
        /*seed=*/0, StreamOf(absl::StrCat(sample.op, "/", sample.name, index)));
    for (double& value : values) {
      value = input.low + (input.high - input.low) * random.Uniform();
      if (input.draw == Draw::kIntegers) value = std::floor(value);
      if (input.draw == Draw::kEitherSign && random.Below(2) == 0) {
        value = -value;
      }
    }
  }
  switch (input.dtype) {
    case DType::kInt32:
      return Rounded<int32_t>(type, values);
    case DType::kUint8:
      return Rounded<uint8_t>(type, values);
    default:
      return Rounded<float>(type, values);
  }
}

SampleOperands DeclareOperands(Graph* graph, const OpSample& sample) {
  SampleOperands operands = {.graph = graph, .x = {}, .loc = kSampleLoc};
  for (size_t i = 0; i < sample.inputs.size(); ++i) {
    const SampleInput& input = sample.inputs[i];
    operands.x.push_back(graph->Input(absl::StrCat("x", i), input.shape,
                                      input.dtype, OperandLoc(i)));
  }
  return operands;
}

}  // namespace tape
