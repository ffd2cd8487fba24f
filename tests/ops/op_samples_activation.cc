// The rows of ops/activation.cc (op_samples.h).
#include <cfloat>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/gradients.h"
#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

BuildSample LeakyRelus(double slope) {
  return [slope](const SampleOperands& in) {
    return LeakyRelu(in.x[0], slope, in.loc);
  };
}

void AddActivations(SampleTable* table) {
  constexpr Draw kUniform = Draw::kUniform, kEitherSign = Draw::kEitherSign;
  // Where tanh and sigmoid go flat.
  const std::vector<double> flat = {
      8,    -8,    9,    -9,    9.9,     -9.9,    10,      -10,
      10.1, -10.1, 15,   -15,   17,      -17,     20,      -20,
      87,   -87,   88.8, -88.8, 104,     -104,    1e-5,    -1e-5,
      1e-8, -1e-8, 1e-9, 2e-10, 0.5e-10, FLT_MIN, -FLT_MIN};
  // Exp is off by 1.5 ulp (op_samples_elementwise.cc); then one rounding each
  // of the sum and the quotient.
  constexpr Tolerance kSigmoid = {2.5 * kUlp};
  // Highway states a largest error of 4 ulp for Tanh
  // (hwy/contrib/math/math-inl.h); half an ulp more for the rounding of the
  // reference.
  constexpr Tolerance kTanh = {4.5 * kUlp};
  // The slope is rounded, then the product.
  constexpr Tolerance kSlope = {2 * kRounding};
  const UnaryOp relu = {"Relu", Unary(Relu), kEitherSign, 0.1, 2, kExact};
  const UnaryOp sigmoid = {"Sigmoid", Unary(Sigmoid), kUniform, -4,
                           4,         kSigmoid,       flat};
  const UnaryOp tanh = {"Tanh", Unary(Tanh), kUniform, -3, 3, kTanh, flat};
  const UnaryOp leaky_relu = {
      "LeakyRelu", LeakyRelus(0.01), kEitherSign, 0.1, 2, kSlope};
  for (const UnaryOp& op : {relu, sigmoid, tanh, leaky_relu}) {
    AddUnaryRows(op, table);
    AddUnaryErrors(op, table);
  }
  AddKinkRow(relu, {0, -1, 1, -0.0}, {0, 0, 1, 0}, Differentiated::kOnce,
             table);
  AddKinkRow(leaky_relu, {0, -1, 1, -0.0}, {0.01, 0.01, 1, 0.01},
             Differentiated::kOnce, table);
  // Slopes of 0 and 1 are the ends of what is reasonable; 3 is allowed.
  for (double slope : {0.0, 1.0, 3.0}) {
    // Of a slope of 0 it is Relu, which is right at -infinity.
    table->Add({.op = slope == 0 ? "Relu" : "LeakyRelu",
                .name = absl::StrCat("slope_", slope),
                .inputs = {NotZero({3, 5})},
                .build = LeakyRelus(slope),
                .output = Float({3, 5})});
  }
  table->AddError(
      "LeakyRelu", "negative_slope", {Float({2})}, LeakyRelus(-0.5),
      "LeakyRelu: expected a finite slope of at least 0, found -0.5 (x [2] is "
      "input \"x0\", x.cc:0)");
  table->AddError(
      "LeakyRelu", "nan_slope", {Float({2})}, LeakyRelus(kNan),
      "LeakyRelu: expected a finite slope of at least 0, found nan (x [2] is "
      "input \"x0\", x.cc:0)");
}

// ---- Softplus, and what is composed ----

BuildSample Elus(double alpha) {
  return
      [alpha](const SampleOperands& in) { return Elu(in.x[0], alpha, in.loc); };
}

BuildSample Gelus(GeluForm form) {
  return
      [form](const SampleOperands& in) { return Gelu(in.x[0], form, in.loc); };
}

void AddSmoothActivations(SampleTable* table) {
  constexpr Draw kUniform = Draw::kUniform, kEitherSign = Draw::kEitherSign;
  const std::vector<double> flat = {
      3.9,  -3.9, 5,     -5,    5.5,     -5.5,    8,     -8,   10,
      -10,  15,   -15,   17,    -17,     20,      -20,   87,   -87,
      88.8, 89,   -88.8, 104,   -104,    1e-5,    -1e-5, 1e-8, -1e-8,
      1e19, 1e20, -1e19, -1e20, FLT_MIN, -FLT_MIN};
  // e^-|x| is off by 1.5 ulp, its ln(1 + …) by as much and by 5.5 of its own
  // (op_samples_elementwise.cc); the sum is rounded.
  constexpr Tolerance kSoftplus = {7.5 * kUlp};
  // Expm1 is off by 4.5 ulp; alpha and the product are rounded, and the sum of
  // which one term is 0 is not.
  constexpr Tolerance kElu = {5.5 * kUlp};
  // Scale and product are rounded too.
  constexpr Tolerance kSelu = {6.5 * kUlp};
  // tests/ops/accuracy_table.cc, and the reference's own rounding.
  constexpr Tolerance kSilu = {11 * kRounding}, kSoftsign = {3 * kRounding},
                      kGelu = {13 * kRounding};
  for (const UnaryOp& op : std::vector<UnaryOp>{
           {"Softplus", Unary(Softplus), kUniform, -4, 4, kSoftplus, flat},
           {"Elu", Elus(1), kEitherSign, 0.1, 3, kElu, flat},
           {"Selu", Unary(Selu), kEitherSign, 0.1, 3, kSelu, flat},
           {"Silu", Unary(Silu), kUniform, -4, 4, kSilu, flat},
           {"Softsign", Unary(Softsign), kEitherSign, 0.1, 4, kSoftsign, flat},
           {"Gelu", Gelus(GeluForm::kErf), kUniform, -4, 4, kGelu, flat},
           {.name = "GeluTanh",
           .build = Gelus(GeluForm::kTanh),
           .draw = kUniform,
           .low = -4,
           .high = 4,
           .tolerance = kGelu,
           .extremes = flat},
           {"HardTanh",
            Unary(HardTanh),
            kUniform,
            -2,
            2,
            kExact,
            {1, -1, 0.99999994, 1.0000001}}}) {
    AddUnaryRows(op, table);
    if (op.rows.empty()) AddUnaryErrors(op, table);
  }
  for (double alpha : {0.0, 0.5, 2.0, -1.0}) {
    const UnaryOp elu = {.name = "Elu",
                         .build = Elus(alpha),
                         .draw = kEitherSign,
                         .low = 0.1,
                         .high = 3,
                         .rows = absl::StrCat("alpha_",
                                              alpha == 0.5 ? "half"
                                              : alpha < 0  ? "minus_1"
                                              : alpha == 0 ? "0"
                                                           : "2",
                                              "_")};
    AddKinkRow(elu, {0, -0.0, 2}, {alpha, alpha, 1}, Differentiated::kOnce,
               table);
  }
  const UnaryOp hard_tanh = {"HardTanh", Unary(HardTanh), kUniform, -2, 2};
  AddKinkRow(hard_tanh, {-1, 1, -1.0000001, 1.0000001, 0}, {1, 1, 0, 0, 1},
             Differentiated::kOnce, table);
  // These are smooth at 0, of which their parts are not.
  AddKinkRow({"Softplus", Unary(Softplus), kUniform, -1, 1, kSoftplus},
             {0, -0.0}, {0.5, 0.5}, Differentiated::kTwice, table);
  AddKinkRow({"Softsign", Unary(Softsign), kUniform, -1, 1, kSoftsign},
             {0, -0.0}, {1, 1}, Differentiated::kOnce, table);
  AddKinkRow({"Gelu", Gelus(GeluForm::kErf), kUniform, -1, 1, kGelu}, {0, -0.0},
             {0.5, 0.5}, Differentiated::kTwice, table);
  table->AddError("Elu", "infinite_alpha", {Float({2})}, Elus(kInf),
                  "Elu: expected a finite alpha, found inf (x [2] is input "
                  "\"x0\", x.cc:0)");
  table->AddError("Elu", "nan_alpha", {Float({2})}, Elus(kNan),
                  "Elu: expected a finite alpha, found nan (x [2] is input "
                  "\"x0\", x.cc:0)");
}

// What the formulas give at four places, computed apart from all this.
void AddActivationValues(SampleTable* table) {
  const auto add = [&](const char* op, const char* name, BuildSample build,
                       std::vector<double> values) {
    table->Add({.op = op,
                .name = name,
                .inputs = {Given({-3, -0.5, 0.25, 2})},
                .build = std::move(build),
                .output = Float({4}),
                .tolerance = {1e-6, 1e-6},  // The rows above are exact on it.
                .values = std::move(values)});
  };
  add("Elu", "values",
      [](const SampleOperands& in) { return Elu(in.x[0], 0.5, in.loc); },
      {-0.475106465816068, -0.1967346701436833, 0.25, 2.0});
  add("Selu", "values",
      [](const SampleOperands& in) { return Selu(in.x[0], in.loc); },
      {-1.6705687287671118, -0.6917581878028713, 0.2626752468388701,
       2.101401974710961});
  add("Gelu", "values",
      [](const SampleOperands& in) {
        return Gelu(in.x[0], GeluForm::kErf, in.loc);
      },
      {-0.004049694094890287, -0.15426876936299344, 0.14967658142073093,
       1.9544997361036416});
  add("GeluTanh", "values",
      [](const SampleOperands& in) {
        return Gelu(in.x[0], GeluForm::kTanh, in.loc);
      },
      {-0.0036373920817729943, -0.15428599017485606, 0.149675350701685,
       1.954597694087775});
  add("Silu", "values",
      [](const SampleOperands& in) { return Silu(in.x[0], in.loc); },
      {-0.14227761953270035, -0.1887703343990727, 0.14054412522144952,
       1.7615941559557646});
  add("Softsign", "values",
      [](const SampleOperands& in) { return Softsign(in.x[0], in.loc); },
      {-0.75, -0.3333333333333333, 0.2, 0.6666666666666666});
  add("HardTanh", "values",
      [](const SampleOperands& in) { return HardTanh(in.x[0], in.loc); },
      {-1.0, -0.5, 0.25, 1.0});
}

// ---- LeakyReluGradient: no function of ops.h, but in the gradients of Relu
// and LeakyRelu ----

void AddLeakyReluGradientRows(SampleTable* table) {
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
    table->Add({.op = "LeakyReluGradient",
                .name = name,
                .inputs = {NotZero(shape), NotZero(shape)},
                .build = build,
                .output = Float(shape),
                .tolerance = tolerance});
  }
  table->Add({.op = "LeakyReluGradient",
              .name = "extremes",
              .inputs = {Given({1, -1, 0, -0.0, kInf, -kInf, kNan, 1e38}),
                         Given({kInf, -kInf, 2, 2, kNan, 1e38, 3, -1e38})},
              .build = build,
              .output = Float({8}),
              .tolerance = tolerance,
              .differentiated = Differentiated::kCompiled});
}

// ---- The derivatives of smooth activations, ops of their own ----

void AddSlopeRows(SampleTable* table) {
  const std::vector<double> tails = {-5,  5,   -6,  6,    -9,    9,    -13,
                                     13,  -17, 17,  -20,  20,    -87,  87,
                                     -89, 89,  104, -104, 1e-20, 1e20, -1e20};
  // tests/ops/accuracy_table.cc; an element of a slope may cancel to nothing.
  constexpr Tolerance kSlope = {20 * kRounding, 20 * kRounding};
  struct Slope {
    const char* name;
    Var (*f)(Var, Loc);
  };
  for (const Slope& slope : std::vector<Slope>{
           {"SigmoidSlope", Sigmoid},
           {"TanhSlope", Tanh},
           {"SiluSlope", Silu},
           {"GeluSlope",
            [](Var x, Loc loc) { return Gelu(x, GeluForm::kErf, loc); }},
           {"GeluTanhSlope",
            [](Var x, Loc loc) { return Gelu(x, GeluForm::kTanh, loc); }},
           // Erf's derivative is a Gaussian.
           {"Gaussian", Erf}}) {
    AddUnaryRows(
        {.name = slope.name,
         .build = DerivativeNode(slope.name,
                                 [f = slope.f](const SampleOperands& in) {
                                   return f(in.x[0], in.loc);
                                 }),
         .draw = Draw::kUniform,
         .low = -4,
         .high = 4,
         .tolerance = kSlope,
         .extremes = tails},
        table);
  }
}

}  // namespace

void AddActivationSamples(SampleTable* table) {
  AddSlopeRows(table);
  AddActivations(table);
  AddSmoothActivations(table);
  AddActivationValues(table);
  AddLeakyReluGradientRows(table);
}

}  // namespace tape::samples
