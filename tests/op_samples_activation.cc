// The rows of ops/activation.cc (op_samples.h).
#include <cfloat>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/gradients.h"
#include "ops/ops.h"
#include "tests/op_samples_internal.h"

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
    table->Add({.op = "LeakyRelu",
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

}  // namespace

void AddActivationSamples(SampleTable* table) {
  AddActivations(table);
  AddLeakyReluGradientRows(table);
}

}  // namespace tape::samples
