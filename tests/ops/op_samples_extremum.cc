// The rows of ops/extremum.cc (op_samples.h); those over any axes are in
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

// The first of equals; a NaN is beyond all, and the first NaN counts.
SampleInput Extremes() {
  return Given({8, 3},
               {1,    kNan,  kInf,  -kInf, -kInf, -kInf, kInf,      kInf,
                kInf, -kInf, -1e38, -kInf, kNan,  1,     kNan,      0,
                -0.0, 0,     1e38,  kInf,  -kInf, 300,   kDenormal, -300});
}

// ---- ArgMax and ArgMin ----

void AddArgRows(SampleTable* table) {
  for (const auto& [op, f] :
       std::vector<std::pair<const char*, Var (*)(Var, int, Axes, Loc)>>{
           {"ArgMax", ArgMax}, {"ArgMin", ArgMin}}) {
    const auto along = [f = f](int axis, Axes reduced) -> BuildSample {
      return [=](const SampleOperands& in) {
        return f(in.x[0], axis, reduced, in.loc);
      };
    };
    const auto add = [&, op = op](const char* name, SampleInput input, int axis,
                                  Shape y, Axes reduced = Axes::kDrop) {
      table->Add({.op = op,
                  .name = name,
                  .inputs = {std::move(input)},
                  .build = along(axis, reduced),
                  .output = Int(std::move(y)),
                  .differentiated = Differentiated::kRefused});
    };
    add("ordinary", Floats({3, 5}), -1, {3});
    add("kept", Floats({3, 5}), -1, {3, 1}, Axes::kKeep);
    add("first_axis", Floats({3, 5}), 0, {5});
    add("first_axis_kept", Floats({3, 5}), 0, {1, 5}, Axes::kKeep);
    add("middle_axis", Floats({2, 30, 4}), 1, {2, 4});
    add("negative_axis", Floats({2, 30, 4}), -2, {2, 4});
    add("wide", Floats({3, 7, 131}), 1, {3, 131});
    add("vector", Floats({700}), 0, {});
    add("one_element", Floats({3, 1}), 1, {3});
    add("empty", Floats({0, 5}), 1, {0});
    add("batch", Floats({kBatch, 3}), -1, {kBatch});
    add("of_the_batch", Floats({kBatch, 3}), 0, {3});
    add("many_rows", Floats({20000, 10}), -1, {20000});
    add("many_columns", Floats({10, 20000}), 0, {20000});
    add("equals", Whole({200, 7}, 0, 3), -1, {200});
    add("equals_in_columns", Whole({7, 200}, 0, 3), 0, {200});
    add("extremes", Extremes(), -1, {8});
    table->AddError(
        op, "axis", {Float({2, 3})}, along(-3, Axes::kDrop),
        absl::StrCat(op,
                     ": axis -3 does not exist in a tensor of rank 2 (x [2,3] "
                     "is input \"x0\", x.cc:0)"));
    table->AddError(
        op, "of_nothing", {Float({2, 0})}, along(-1, Axes::kDrop),
        absl::StrCat(op,
                     ": expected at least one element along axis -1, found "
                     "shape [2,0] (x [2,0] is input \"x0\", x.cc:0)"));
    table->AddError(
        op, "int32", {Int({2, 3})}, along(0, Axes::kDrop),
        absl::StrCat(op,
                     ": expected float32, found int32 (x int32[2,3] is input "
                     "\"x0\", x.cc:0)"));
  }
}

// ---- Max and Min, and AtIndex, which is no function of ops.h but in their
// gradients ----

void AddExtremeRows(SampleTable* table) {
  for (const auto& [op, f] :
       std::vector<std::pair<const char*,
                             Var (*)(Var, absl::Span<const int>, Axes, Loc)>>{
           {"Max", Max}, {"Min", Min}}) {
    const auto over = [f = f](std::vector<int> axes) -> BuildSample {
      return [=](const SampleOperands& in) {
        return f(in.x[0], axes, Axes::kDrop, in.loc);
      };
    };
    const auto add =
        [&, op = op](const char* name, SampleInput input, std::vector<int> axes,
                     Shape y, Differentiated differentiated,
                     std::vector<std::vector<double>> derivatives = {}) {
          table->Add({.op = op,
                      .name = name,
                      .inputs = {std::move(input)},
                      .build = over(std::move(axes)),
                      .output = Float(std::move(y)),
                      .differentiated = differentiated,
                      .derivatives = std::move(derivatives)});
        };
    constexpr Differentiated kCompiled = Differentiated::kCompiled;
    add("extremes", Extremes(), {1}, {8}, kCompiled);
    add("extremes_in_columns", Extremes(), {0}, {3}, kCompiled);
    add("chunks", Floats({900, 307}), {1}, {900}, kCompiled);
    add("chunks_columns", Floats({90, 3070}), {0}, {3070}, kCompiled);
    // Of equals the first in row-major order, whatever the axes.
    const bool is_max = f == &Max;
    const double best = is_max ? 3 : -3;
    const std::vector<double> ties = {1, best, best, best, 1, best};
    add("kink", Given({2, 3}, ties), {1}, {2}, Differentiated::kOnce,
        {{0, 1, 0, 1, 0, 0}});
    add("kink_in_columns", Given({2, 3}, ties), {0}, {3}, Differentiated::kOnce,
        {{0, 1, 1, 1, 0, 0}});
    add("kink_of_all", Given({2, 3}, ties), {}, {}, Differentiated::kOnce,
        {{0, 1, 0, 0, 0, 0}});
    add("kink_of_zeros", Given({2, 2}, {0, -0.0, -0.0, 0}), {1}, {2},
        Differentiated::kOnce, {{1, 0, 1, 0}});
    table->AddError(
        op, "of_nothing", {Float({0, 2})}, over({}),
        absl::StrCat(op,
                     ": expected at least one element along axis 0, found "
                     "shape [0,2] (x [0,2] is input \"x0\", x.cc:0)"));
  }
  for (const auto& [name, shape, axis] :
       std::vector<std::tuple<const char*, Shape, int>>{
           {"ordinary", {3, 5}, 1},
           {"first_axis", {3, 5}, 0},
           {"middle_axis", {2, 3, 4}, 1},
           {"empty", {0, 3}, 1},
           {"batch", {kBatch, 3}, 1},
           {"of_the_batch", {kBatch, 3}, 0}}) {
    table->Add({.op = "AtIndex",
                .name = name,
                .inputs = {Floats(shape)},
                .build =
                    [axis = axis](const SampleOperands& in) {
                      const Var y = Max(in.x[0], {axis}, Axes::kKeep, in.loc);
                      const Var seed =
                          BroadcastTo(Fill(in.graph, {}, 2), y.shape(), in.loc);
                      return Gradients(y, {in.x[0]}, {.seed = seed},
                                       in.loc)[0] *
                             in.x[0];
                    },
                .output = Float(shape)});
  }
}

}  // namespace

void AddExtremumSamples(SampleTable* table) {
  AddArgRows(table);
  AddExtremeRows(table);
}

}  // namespace tape::samples
