// The rows of ops/reduce.cc (op_samples.h).
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"
#include "tests/op_samples_internal.h"

namespace tape::samples {
namespace {

void AddReductionRows(SampleTable* table) {
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
    table->Add({.op = "Sum",
                .name = c.name,
                .inputs = {Whole(c.x)},
                .build =
                    [axes = c.axes](const SampleOperands& in) {
                      return Sum(in.x[0], axes, in.loc);
                    },
                .output = Float(c.y)});
    // The sum is exact, the quotient rounded correctly.
    table->Add({.op = "Mean",
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
    table->Add({.op = mean ? "Mean" : "Sum",
                .name = "over_nothing",
                .inputs = {Floats({0, 3})},
                .build =
                    [mean](const SampleOperands& in) {
                      return (mean ? Mean : Sum)(in.x[0], {0}, in.loc);
                    },
                .output = Float({3}),
                .differentiated = Differentiated::kCompiled});
  }
}

void AddReductionErrors(SampleTable* table) {
  for (const bool mean : {false, true}) {
    const char* const op = mean ? "Mean" : "Sum";
    const auto over = [mean](std::vector<int> axes) -> BuildSample {
      return [mean, axes](const SampleOperands& in) {
        return (mean ? Mean : Sum)(in.x[0], axes, in.loc);
      };
    };
    table->AddError(
        op, "axis", {Float({2, 3})}, over({2}),
        absl::StrCat(op,
                     ": axis 2 does not exist in a tensor of rank 2 (x [2,3] "
                     "is input \"x0\", x.cc:0)"));
    table->AddError(
        op, "axis_twice", {Float({2, 3})}, over({1, -1}),
        absl::StrCat(op,
                     ": axis -1 is given twice (x [2,3] is input \"x0\", "
                     "x.cc:0)"));
    table->AddError(
        op, "int32", {Int({2, 3})}, over({}),
        absl::StrCat(op,
                     ": expected float32, found int32 (x int32[2,3] is input "
                     "\"x0\", x.cc:0)"));
  }
}

void AddArgMaxRows(SampleTable* table) {
  const auto arg_max = [&](const char* name, SampleInput input, int axis,
                           Shape y) {
    table->Add({.op = "ArgMax",
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

void AddArgMaxErrors(SampleTable* table) {
  const auto arg_max = [](int axis) -> BuildSample {
    return [axis](const SampleOperands& in) {
      return ArgMax(in.x[0], axis, in.loc);
    };
  };
  table->AddError(
      "ArgMax", "axis", {Float({2, 3})}, arg_max(-3),
      "ArgMax: axis -3 does not exist in a tensor of rank 2 (x [2,3] is input "
      "\"x0\", x.cc:0)");
  table->AddError(
      "ArgMax", "of_nothing", {Float({2, 0})}, arg_max(-1),
      "ArgMax: expected at least one element along axis -1, found shape [2,0] "
      "(x [2,0] is input \"x0\", x.cc:0)");
  table->AddError(
      "ArgMax", "int32", {Int({2, 3})}, arg_max(0),
      "ArgMax: expected float32, found int32 (x int32[2,3] is input \"x0\", "
      "x.cc:0)");
}

void AddElementCountRows(SampleTable* table) {
  for (const auto& [name, shape] : std::vector<std::pair<const char*, Shape>>{
           {"ordinary", {3, 5}}, {"scalar", {}}, {"empty", {3, 0}}}) {
    table->Add({.op = "ElementCount",
                .name = name,
                .inputs = {},
                .build =
                    [shape = shape](const SampleOperands& in) {
                      return ElementCount(in.graph, shape, in.loc);
                    },
                .output = Float({})});
  }
  table->Add(
      {.op = "ElementCount",
       .name = "batch",
       .inputs = {Floats({kBatch})},
       .build =
           [](const SampleOperands& in) {
             return Mul(in.x[0], ElementCount(in.graph, {kBatch, 3}, in.loc));
           },
       .output = Float({kBatch})});
}

void AddElementCountErrors(SampleTable* table) {
  table->AddError(
      "ElementCount", "negative", {},
      [](const SampleOperands& in) {
        return ElementCount(in.graph, {3, -5}, in.loc);
      },
      "ElementCount: expected dimensions of at least 0, or kBatch, found "
      "[3,-5]");
}

}  // namespace

void AddReduceSamples(SampleTable* table) {
  AddReductionRows(table);
  AddReductionErrors(table);
  AddArgMaxRows(table);
  AddArgMaxErrors(table);
  AddElementCountRows(table);
  AddElementCountErrors(table);
}

}  // namespace tape::samples
