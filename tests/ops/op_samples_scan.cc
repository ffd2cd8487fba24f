// The rows of ops/scan.cc (op_samples.h); those of Prod over any axes are in
// op_samples_reduce.cc.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/gradients.h"
#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

void AddCumSum(SampleTable* table) {
  const auto along = [](int axis, bool reverse) -> BuildSample {
    return [=](const SampleOperands& in) {
      return CumSum(in.x[0], axis, {.reverse = reverse}, in.loc);
    };
  };
  const auto add = [&](const char* name, SampleInput input, int axis,
                       Differentiated differentiated = Differentiated::kTwice) {
    for (const bool reverse : {false, true}) {
      const Shape shape = input.shape;
      table->Add({.op = "CumSum",
                  .name = absl::StrCat(reverse ? "reverse_" : "", name),
                  .inputs = {input},
                  .build = along(axis, reverse),
                  .output = Float(shape),
                  // Summed in double, and rounded; the reference sums anew for
                  // each element.
                  .tolerance = {kRounding},
                  .differentiated = differentiated});
    }
  };
  constexpr Differentiated kCompiled = Differentiated::kCompiled;
  add("ordinary", Whole({3, 5}), -1);
  add("first_axis", Whole({3, 5}), 0);
  add("middle_axis", Whole({2, 3, 4}), 1);
  add("vector", Floats({211}, 0, 1), 0);
  add("one_element", Whole({3, 1}), 1);
  add("empty", Whole({0, 3}), 1);
  add("of_nothing", Whole({3, 0}), 1);
  add("batch", Whole({kBatch, 3}), 1);
  add("of_the_batch", Whole({kBatch, 3}), 0);
  add("wide", Whole({4, 131}), 0);
  add("chunks", Whole({900, 307}), 1, kCompiled);
  add("chunks_columns", Whole({90, 3070}), 0, kCompiled);
  // In double the first two leave 1; a float32 would have lost it.
  add("extremes",
      Given({6, 3},
            {
                1e8,
                1,
                -1e8,
                kInf,
                1,
                -kInf,
                1,
                2,
                kNan,
                1e38,
                1e38,
                1,
                0,
                0,
                -0.0,
                kDenormal,
                -kDenormal,
                300,
            }),
      1, kCompiled);
  table->AddError("CumSum", "axis", {Float({2, 3})}, along(2, false),
                  "CumSum: axis 2 does not exist in a tensor of rank 2 (x "
                  "[2,3] is input \"x0\", x.cc:0)");
  table->AddError("CumSum", "scalar", {Float({})}, along(-1, false),
                  "CumSum: axis -1 does not exist in a tensor of rank 0 (x [] "
                  "is input \"x0\", x.cc:0)");
  table->AddError("CumSum", "int32", {Int({2})}, along(0, false),
                  "CumSum: expected float32, found int32 (x int32[2] is input "
                  "\"x0\", x.cc:0)");
}

void AddProd(SampleTable* table) {
  const auto add = [&](const char* name, SampleInput input, int axis, Shape y,
                       Differentiated differentiated,
                       std::vector<std::vector<double>> derivatives = {}) {
    table->Add({.op = "Prod",
                .name = name,
                .inputs = {std::move(input)},
                .build =
                    [axis](const SampleOperands& in) {
                      return Prod(in.x[0], {axis}, Axes::kDrop, in.loc);
                    },
                .output = Float(std::move(y)),
                .differentiated = differentiated,
                .derivatives = std::move(derivatives)});
  };
  constexpr Differentiated kTwice = Differentiated::kTwice,
                           kCompiled = Differentiated::kCompiled;
  // With one 0, two and three of them: the derivatives are right to any order.
  add("zeros", Given({4, 3}, {2, 0, 3, 0, 0, 5, 0, 0, 0, 2, 3, 4}), 1, {4},
      kTwice, {{0, 6, 0, 0, 0, 0, 0, 0, 0, 12, 8, 6}});
  add("zeros_in_columns", Given({3, 3}, {2, 0, 0, 0, 0, 5, 3, 7, 0}), 0, {3},
      kTwice);
  add("over_nothing", Floats({3, 0}), 1, {3}, kCompiled);
  add("chunks", Whole({900, 7}, 1, 3), 1, {900}, kCompiled);
  // In double nothing overflows on the way.
  add("large_and_small",
      Given({3, 3}, {1e30, 1e30, 1e-30, 1e-30, -1e-30, 1e30, 300, -300, 1}), 1,
      {3}, Differentiated::kNotAsked);
  add("extremes",
      Given({6, 2},
            {kInf, 0, kInf, -2, kNan, 0, 1e38, 1e38, 0, -0.0, kDenormal, 2}),
      1, {6}, kCompiled);
}

// ---- Recurrence: no function of ops.h, but in the gradients of Prod ----

void AddRecurrence(SampleTable* table) {
  for (const auto& [name, shape, axis] :
       std::vector<std::tuple<const char*, Shape, int>>{
           {"ordinary", {3, 4}, 1},
           {"first_axis", {4, 3}, 0},
           {"middle_axis", {2, 3, 2}, 1},
           {"wide", {3, 131}, 0},
           {"one_element", {3, 1}, 1},
           {"empty", {0, 3}, 1},
           {"batch", {kBatch, 3}, 1},
           {"of_the_batch", {kBatch, 3}, 0}}) {
    table->Add({.op = "Recurrence",
                .name = name,
                .inputs = {NotZero(shape)},
                .build =
                    [axis = axis](const SampleOperands& in) {
                      const Var y = Prod(in.x[0], {axis}, Axes::kKeep, in.loc);
                      const Var seed =
                          BroadcastTo(Fill(in.graph, {}, 2), y.shape(), in.loc);
                      return Gradients(y, {in.x[0]}, {.seed = seed}, in.loc)[0];
                    },
                .output = Float(shape),
                // Two products in double, each rounded, and their product;
                // and the reference's rounding.
                .tolerance = {4 * kRounding}});
  }
}

}  // namespace

void AddScanSamples(SampleTable* table) {
  AddCumSum(table);
  AddProd(table);
  AddRecurrence(table);
}

}  // namespace tape::samples
