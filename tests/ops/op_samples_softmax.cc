// The rows of ops/softmax.cc (op_samples.h); those of LogSumExp over any axes
// are in op_samples_reduce.cc.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/op_table.h"
#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

using MapAlong = Var (*)(Var, int, Loc);

BuildSample Along(MapAlong f, int axis) {
  return [=](const SampleOperands& in) { return f(in.x[0], axis, in.loc); };
}
BuildSample LogSumExpAlong(int axis) {
  return [=](const SampleOperands& in) {
    return LogSumExp(in.x[0], {axis}, Axes::kKeep, in.loc);
  };
}

// Of a row of n: exp is off by 1 ulp, by another 2 at its worst because its
// operand x - max is rounded (|x - max| < 4 here), the sum by n roundings at
// worst and by 3 for numbers drawn here, the quotient by two.
constexpr Tolerance kSoftmax = {8 * kUlp};
// x - max - ln sum: the roundings of numbers up to 8, and the relative error of
// the sum above, which ln makes absolute. Log-probabilities may themselves be
// large. In columns ln is Highway's: 4 ulp of numbers below 4, of 2 kUlp.
constexpr Tolerance kLogSoftmax = {2 * kRounding, 8 * kUlp + 8 * kRounding};
constexpr Tolerance kLogSoftmaxColumns = {2 * kRounding,
                                          16 * kUlp + 8 * kRounding};

void AddLines(SampleTable* table) {
  // Logits far from 0: x - max is exact for these, or so low that its exp is 0.
  const std::vector<double> far = {1e4,    9999, 0,     -1e4, 9998.5, -1e4,
                                   -9999,  -1e4, -1e4,  -1e4, 300,    -300,
                                   299.25, 1e38, -1e38, 0,    0,      1};
  // The first row is ordinary, and must not catch anything from the others.
  const std::vector<double> not_finite = {1,     2, 3,    kInf, 0, 1,     -kInf,
                                          0,     1, kNan, 0,    1, -kInf, -kInf,
                                          -kInf, 0, kNan, kInf};
  // The same, column by column.
  std::vector<double> not_finite_columns;
  for (int i = 0; i < 18; ++i) {
    not_finite_columns.push_back(not_finite[i % 6 * 3 + i / 6]);
  }
  struct Case {
    const char* name;
    SampleInput x;
    int axis = -1;
    Differentiated differentiated = Differentiated::kTwice;
  };
  constexpr Differentiated kCompiled = Differentiated::kCompiled;
  for (const Case& c : std::vector<Case>{
           {"ordinary", Floats({4, 5}, -2, 2)},
           {"first_axis", Floats({4, 5}, -2, 2), 0},
           {"middle_axis", Floats({2, 3, 4}, -2, 2), 1},
           {"wide", Floats({3, 5, 97}, -2, 2), -2},
           {"vector", Floats({7}, -2, 2)},
           {"rank_3", Floats({2, 3, 4}, -2, 2)},
           {"one_class", Floats({4, 1}, -2, 2)},
           {"one_row", Floats({1, 4}, -2, 2), 0},
           {"empty", Floats({0, 5})},
           {"empty_columns", Floats({5, 0}), 0},
           {"batch", Floats({kBatch, 3}, -2, 2)},
           {"of_the_batch", Floats({kBatch, 3}, -2, 2), 0},
           {"many_classes", Floats({3, 300}, -2, 2)},
           {"sixteen_classes", Floats({3, 16}, -2, 2)},
           // More than two chunks of 16 * 1024 (LinesKernel in ops/lines.h).
           {"chunks", Floats({4001, 10}, -2, 2), -1, kCompiled},
           {"chunks_columns", Floats({10, 4001}, -2, 2), 0, kCompiled},
           {"chunks_middle", Floats({7, 10, 601}, -2, 2), 1, kCompiled},
           {"far", Given({6, 3}, far), -1, kCompiled},
           {"far_in_columns", Given({3, 6}, far), 0, kCompiled},
           {"close_and_far_from_zero",
            Given({2, 3}, {1e4, 1e4 - 0.5, 1e4 - 1, -1e4, -1e4 - 2, -1e4 - 1}),
            -1, kCompiled},
           {"not_finite", Given({6, 3}, not_finite), -1, kCompiled},
           {"not_finite_in_columns", Given({3, 6}, not_finite_columns), 0,
            kCompiled}}) {
    const Shape& shape = c.x.shape;
    const int at = c.axis < 0 ? c.axis + shape.rank() : c.axis;
    absl::InlinedVector<int64_t, 4> kept(shape.dims().begin(),
                                         shape.dims().end());
    kept[at] = 1;
    const bool columns = at + 1 < shape.rank();
    const Tolerance log = columns ? kLogSoftmaxColumns : kLogSoftmax;
    // LogSumExp has rows of these names over any axes.
    const auto add = [&](const char* op, BuildSample build, Shape y,
                         Tolerance tolerance, const char* rows = "") {
      table->Add({.op = op,
                  .name = absl::StrCat(rows, c.name),
                  .inputs = {c.x},
                  .build = std::move(build),
                  .output = Float(std::move(y)),
                  .tolerance = tolerance,
                  .differentiated = c.differentiated});
    };
    add("Softmax", Along(Softmax, c.axis), shape, kSoftmax);
    add("LogSoftmax", Along(LogSoftmax, c.axis), shape, log);
    add("LogSumExp", LogSumExpAlong(c.axis), Shape(kept), log, "line_");
  }
}

// The derivatives, which are ops of their own. A softmax's operand may be
// anything.
void AddSlopes(SampleTable* table) {
  struct Case {
    const char* name;
    Shape shape;
    int axis = -1;
    Differentiated differentiated = Differentiated::kTwice;
  };
  constexpr Differentiated kCompiled = Differentiated::kCompiled;
  for (const char* const op : {"SoftmaxSlope", "LogSoftmaxSlope"}) {
    for (const Case& c :
         std::vector<Case>{{"ordinary", {4, 5}},
                           {"first_axis", {4, 5}, 0},
                           {"middle_axis", {2, 3, 4}, 1},
                           {"wide", {3, 5, 37}, -2},
                           {"one_class", {4, 1}},
                           {"batch", {kBatch, 3}},
                           {"of_the_batch", {kBatch, 3}, 0},
                           {"empty", {0, 5}},
                           {"empty_columns", {5, 0}, 0},
                           {"many_classes", {3, 300}, -1, kCompiled},
                           {"chunks", {4001, 10}, -1, kCompiled},
                           {"chunks_columns", {10, 4001}, 0, kCompiled}}) {
      table->Add({.op = op,
                  .name = c.name,
                  .inputs = {Floats(c.shape, -2, 2), Floats(c.shape, -1, 1)},
                  .build =
                      [op, axis = c.axis](const SampleOperands& in) {
                        return in.graph->Append(*FindOp(op), {in.x[0], in.x[1]},
                                                {.axis = axis}, in.loc);
                      },
                  .output = Float(c.shape),
                  // Differences of numbers below 300.
                  .tolerance = {8 * kRounding, 64 * kRounding},
                  .differentiated = c.differentiated});
    }
  }
}

// Where all is -infinity: nothing, with derivatives 0. An infinity takes all.
void AddInfiniteRows(SampleTable* table) {
  table->Add({.op = "LogSumExp",
              .name = "of_infinities",
              .inputs = {Given({2, 3}, {-kInf, -kInf, -kInf, 1, -kInf, -kInf})},
              .build = LogSumExpAlong(1),
              .output = Float({2, 1}),
              .differentiated = Differentiated::kCompiled,
              .derivatives = {{0, 0, 0, 1, 0, 0}}});
  // Over both axes, one of them all -infinity.
  table->Add({.op = "LogSumExp",
              .name = "of_all_with_an_infinite_row",
              .inputs = {Given({2, 2}, {-kInf, -kInf, 1, -kInf})},
              .build =
                  [](const SampleOperands& in) {
                    return LogSumExp(in.x[0], {}, Axes::kDrop, in.loc);
                  },
              .output = Float({}),
              .differentiated = Differentiated::kCompiled,
              .derivatives = {{0, 0, 1, 0}}});
}

void AddLineErrors(SampleTable* table) {
  for (const auto& [op, build] :
       std::vector<std::pair<const char*, BuildSample>>{
           {"Softmax", Along(Softmax, -1)},
           {"LogSoftmax", Along(LogSoftmax, -1)},
           {"LogSumExp", LogSumExpAlong(-1)}}) {
    table->AddError(
        op, "int32_line", {Int({2, 3})}, build,
        absl::StrCat(op,
                     ": expected float32, found int32 (x int32[2,3] is input "
                     "\"x0\", x.cc:0)"));
    table->AddError(
        op, "scalar", {Float({})}, build,
        absl::StrCat(op,
                     ": axis -1 does not exist in a tensor of rank 0 (x [] is "
                     "input \"x0\", x.cc:0)"));
    table->AddError(
        op, "of_nothing", {Float({2, 0})}, build,
        absl::StrCat(op,
                     ": expected at least one element along axis -1, found "
                     "shape [2,0] (x [2,0] is input \"x0\", x.cc:0)"));
  }
}

}  // namespace

void AddSoftmaxSamples(SampleTable* table) {
  AddLines(table);
  AddSlopes(table);
  AddInfiniteRows(table);
  AddLineErrors(table);
}

}  // namespace tape::samples
