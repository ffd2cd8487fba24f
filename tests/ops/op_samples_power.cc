// The rows of ops/power.cc (op_samples.h).
#include <cfloat>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

void AddReciprocals(SampleTable* table) {
  // A root, rounded, and a quotient, rounded; and the reference's rounding.
  constexpr Tolerance kRsqrt = {3 * kRounding};
  const UnaryOp reciprocal = {
      "Reciprocal", Unary(Reciprocal),        Draw::kEitherSign, 0.1, 2,
      kExact,       {FLT_MIN, FLT_MAX, 2e-39}};
  const UnaryOp rsqrt = {"Rsqrt",
                         Unary(Rsqrt),
                         Draw::kUniform,
                         0.1,
                         4,
                         kRsqrt,
                         {FLT_MIN, FLT_MAX, 4, 1e-20}};
  for (const UnaryOp& op : {reciprocal, rsqrt}) {
    AddUnaryRows(op, table);
    AddUnaryErrors(op, table);
  }
}

// ---- Pow: both compute in double, and round ----

void AddPowOfTwo(SampleTable* table) {
  const BinaryOp pow = {"Pow", Pow, {Floats({}, 0.5, 2)}};
  AddBinaryRows(pow, table);
  AddBinaryErrors(pow, table);
  // The special cases of IEEE 754, each with each; -2 and 3 have whole powers,
  // 2^24 is the last odd number's neighbour, 127 and 128 make the ends.
  const std::vector<double> numbers = {
      0,    -0.0, 1,  -1,   2,        -2,       3,         -3,      0.5,
      -0.5, 2.5,  -8, 1e38, -1e38,    kInf,     -kInf,     127,     128,
      -149, kNan, 10, -10,  16777215, 16777216, 0.9999999, -FLT_MAX};
  const int64_t count = numbers.size();
  table->Add({.op = "Pow",
              .name = "special_cases",
              .inputs = {Given({count, 1}, numbers), Given(numbers)},
              .build = Binary(Pow),
              .output = Float({count, count}),
              .differentiated = Differentiated::kNotAsked});
  // A negative base, to whole powers: by the base alone there is a derivative.
  table->Add({.op = "Pow",
              .name = "negative_base",
              .inputs = {Floats({3, 5}, -2, -0.5)},
              .build =
                  [](const SampleOperands& in) {
                    const Var powers = Floor(Fill(in.graph, {3, 5}, 3.5));
                    return Pow(in.x[0], powers, in.loc);
                  },
              .output = Float({3, 5})});
  // At 0, by base and exponent: 0^2, 0^1, 0^0; and 1^0.
  table->Add({.op = "Pow",
              .name = "zeros",
              .inputs = {Given({0, 0, 0, 1}), Given({2, 1, 0, 0})},
              .build = Binary(Pow),
              .output = Float({4}),
              .differentiated = Differentiated::kNotAsked,
              .derivatives = {{0, 1, 0, 0}, {0, 0, 0, 0}}});
}

void AddPowOfNumber(SampleTable* table) {
  for (double exponent : {0.0, 1.0, 2.0, 3.0, -1.0, 0.5, -2.5, 0.125}) {
    std::string rows = absl::StrCat("to_", exponent, "_");
    for (char& c : rows) c = c == '-' ? 'm' : c == '.' ? 'p' : c;
    const BuildSample build = [exponent](const SampleOperands& in) {
      // With a node of its own on the line where there would be none.
      return Neg(Pow(in.x[0], exponent, in.loc), in.loc);
    };
    AddUnaryRows({.name = "Pow",
                  .build = build,
                  .draw = Draw::kUniform,
                  .low = 0.5,
                  .high = 2,
                  .extremes = {4, 0.25, -4, FLT_MAX, FLT_MIN},
                  .rows = rows},
                 table);
  }
  for (const auto& [name, exponent, values] :
       std::vector<std::tuple<const char*, double, std::vector<double>>>{
           {"values_to_0", 0, {1, 1}},
           {"values_to_1", 1, {2, 4}},
           {"values_to_2", 2, {4, 16}},
           {"values_to_minus_1", -1, {0.5, 0.25}},
           {"values_to_a_half", 0.5, {1.41421356237, 2}}}) {
    table->Add({.op = "Pow",
                .name = name,
                .inputs = {Given({2, 4})},
                .build =
                    [exponent = exponent](const SampleOperands& in) {
                      return Pow(in.x[0], exponent, in.loc);
                    },
                .output = Float({2}),
                .values = values});
  }
  table->AddError(
      "Pow", "int32_to_2", {Int({2})},
      [](const SampleOperands& in) { return Pow(in.x[0], 2, in.loc); },
      "Pow: expected float32, found int32 (lhs int32[2] is input \"x0\", "
      "x.cc:0; rhs [] from Fill at op.cc:10)");
}

}  // namespace

void AddPowerSamples(SampleTable* table) {
  AddReciprocals(table);
  AddPowOfTwo(table);
  AddPowOfNumber(table);
}

}  // namespace tape::samples
