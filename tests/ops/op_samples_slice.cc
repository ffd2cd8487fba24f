// The rows of ops/slice.cc (op_samples.h).
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "framework/core/gradients.h"
#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

constexpr Differentiated kTwice = Differentiated::kTwice;
constexpr Differentiated kCompiled = Differentiated::kCompiled;

SampleInput BFloat16s(Shape shape) {
  return {.shape = std::move(shape),
          .low = -8,
          .high = 8,
          .dtype = DType::kBFloat16};
}

BuildSample Sliced(int axis, Range range) {
  return [=](const SampleOperands& in) {
    return Slice(in.x[0], axis, range, in.loc);
  };
}

void AddSlice(SampleTable* table) {
  const auto add = [&](const char* name, SampleInput input, int axis,
                       Range range, Shape to,
                       Differentiated differentiated = kTwice) {
    const TensorType output = {input.dtype, std::move(to)};
    table->Add({.op = "Slice",
                .name = name,
                .inputs = {std::move(input)},
                .build = Sliced(axis, range),
                .output = output,
                .differentiated = differentiated});
  };
  add("ordinary", Floats({3, 5}), 1, {1, 3}, {3, 3});
  add("first_axis", Floats({5, 3}), 0, {2, 2}, {2, 3});
  add("middle_axis", Floats({2, 5, 3}), -2, {1, 3}, {2, 3, 3});
  add("steps", Floats({3, 7}), 1, {1, 3, 2}, {3, 3});
  add("steps_of_rows", Floats({2, 7, 3}), 1, {0, 3, 3}, {2, 3, 3});
  add("all", Floats({3, 5}), 1, {0, 5}, {3, 5});
  add("nothing", Floats({3, 5}), 1, {5, 0}, {3, 0});
  add("one_element", Floats({5}), 0, {4, 1, 9}, {1});
  add("empty", Floats({0, 5}), 1, {1, 3}, {0, 3});
  add("batch", Floats({kBatch, 5}), 1, {1, 3}, {kBatch, 3});
  add("chunks", Floats({301, 1003}), 1, {3, 999}, {301, 999}, kCompiled);
  add("chunks_of_rows", Floats({1003, 301}), 0, {1, 501, 2}, {501, 301},
      kCompiled);
  add("int32", Ints({3, 7}), 1, {1, 3, 2}, {3, 3});
  add("uint8", Bytes({3, 7}), 1, {1, 3, 2}, {3, 3});
  add("bfloat16", BFloat16s({3, 7}), 1, {1, 3, 2}, {3, 3});
  add("extremes", Given({6}, {kInf, kNan, -0.0, 0, -kInf, 300}), 0, {1, 4}, {4},
      kCompiled);

  const auto refuse = [&](const char* name, Shape shape, int axis, Range range,
                          const std::string& message) {
    table->AddError("Slice", name, {Float(shape)}, Sliced(axis, range),
                    "Slice: " + message + " (x " + Float(shape).ToString() +
                        " is input \"x0\", x.cc:0)");
  };
  refuse("beyond", {3, 5}, 1, {3, 3},
         "3 from 3 on by steps of 1 are not within a length of 5");
  refuse("steps_beyond", {3, 5}, 1, {0, 3, 3},
         "3 from 0 on by steps of 3 are not within a length of 5");
  refuse("one_step_beyond", {3, 5}, 1, {1, 3, 2},
         "3 from 1 on by steps of 2 are not within a length of 5");
  refuse("before", {3, 5}, 1, {-1, 2},
         "2 from -1 on by steps of 1 are not within a length of 5");
  refuse("negative_length", {5}, 0, {1, -1},
         "-1 from 1 on by steps of 1 are not within a length of 5");
  refuse("no_step", {5}, 0, {1, 2, 0},
         "2 from 1 on by steps of 0 are not within a length of 5");
  refuse("huge", {5}, 0, {0, INT64_MAX, INT64_MAX},
         "9223372036854775807 from 0 on by steps of 9223372036854775807 are "
         "not within a length of 5");
  refuse("axis", {3, 5}, 2, {0, 1},
         "axis 2 does not exist in a tensor of rank 2");
  refuse("scalar", {}, 0, {0, 1},
         "axis 0 does not exist in a tensor of rank 0");
  refuse("batch", {kBatch, 5}, 0, {0, 1},
         "expected a known length along axis 0, found [batch,5]");
}

BuildSample Padded(int axis, Padding padding) {
  return [=](const SampleOperands& in) {
    return Pad(in.x[0], axis, padding, in.loc);
  };
}

void AddPad(SampleTable* table) {
  const auto add = [&](const char* name, SampleInput input, int axis,
                       Padding padding, Shape to,
                       Differentiated differentiated = kTwice) {
    const TensorType output = {input.dtype, std::move(to)};
    table->Add({.op = "Pad",
                .name = name,
                .inputs = {std::move(input)},
                .build = Padded(axis, padding),
                .output = output,
                .differentiated = differentiated});
  };
  add("ordinary", Floats({3, 4}), 1, {1, 2, 0.5}, {3, 7});
  add("before", Floats({3, 4}), 0, {2, 0}, {5, 4});
  add("after", Floats({2, 3, 4}), -2, {0, 2, -1}, {2, 5, 4});
  add("by_nothing", Floats({3, 4}), 1, {0, 0}, {3, 4});
  add("nothing", Floats({3, 0}), 1, {1, 2, 7}, {3, 3});
  add("empty", Floats({0, 4}), 1, {1, 2}, {0, 7});
  add("one_element", Floats({1}), 0, {0, 1}, {2});
  add("batch", Floats({kBatch, 4}), 1, {1, 2, 3}, {kBatch, 7});
  add("chunks", Floats({301, 999}), 1, {3, 1}, {301, 1003}, kCompiled);
  add("chunks_of_padding", Floats({3, 999}), 0, {200, 300, 7}, {503, 999},
      kCompiled);
  add("not_finite", Floats({3, 4}), 1, {1, 2, -kInf}, {3, 7}, kCompiled);
  add("extremes", Given({6}, {kInf, kNan, -0.0, 0, -kInf, 300}), 0, {1, 4},
      {11}, kCompiled);
  add("int32", Ints({3, 4}), 1, {1, 2, -7}, {3, 7});
  add("uint8", Bytes({3, 4}), 1, {1, 2, 255}, {3, 7});
  add("bfloat16", BFloat16s({3, 4}), 1, {1, 2, 0.5}, {3, 7});
  // The gradient of steps: zeros between as well.
  table->Add(
      {.op = "Pad",
       .name = "spread",
       .inputs = {Floats({2, 7, 3})},
       .build =
           [](const SampleOperands& in) {
             const Var y = Square(Slice(in.x[0], 1, {1, 3, 2}, in.loc), in.loc);
             const Var sum = Sum(y, {}, Axes::kDrop, in.loc);
             return Gradients(sum, {in.x[0]}, {}, in.loc)[0];
           },
       .output = Float({2, 7, 3})});

  const auto refuse = [&](const char* name, TensorType type, int axis,
                          Padding padding, const std::string& message) {
    table->AddError("Pad", name, {type}, Padded(axis, padding),
                    "Pad: " + message + " (x " + type.ToString() +
                        " is input \"x0\", x.cc:0)");
  };
  refuse("less_before", Float({5}), 0, {-1, 3},
         "expected at least 0 elements before and after, found -1 before 5, "
         "and together 7");
  refuse("less_after", Float({5}), 0, {2, -1},
         "expected at least 0 elements before and after, found 2 before 5, and "
         "together 6");
  refuse("axis", Float({5}), 1, {1, 1},
         "axis 1 does not exist in a tensor of rank 1");
  refuse("batch", Float({kBatch}), 0, {1, 1},
         "expected a known length along axis 0, found [batch]");
  refuse("value", {DType::kUint8, {5}}, 0, {1, 1, -1},
         "expected a value that uint8 has, found -1");
}

void AddConcat(SampleTable* table) {
  const auto joined = [](int axis) -> BuildSample {
    return [=](const SampleOperands& in) { return Concat(in.x, axis, in.loc); };
  };
  const auto add = [&](const char* name, std::vector<SampleInput> inputs,
                       int axis, Shape to,
                       Differentiated differentiated = kTwice) {
    const TensorType output = {inputs[0].dtype, std::move(to)};
    table->Add({.op = "Concat",
                .name = name,
                .inputs = std::move(inputs),
                .build = joined(axis),
                .output = output,
                .differentiated = differentiated});
  };
  add("ordinary", {Floats({3, 2}), Floats({3, 4})}, 1, {3, 6});
  add("first_axis", {Floats({2, 3}), Floats({1, 3}), Floats({4, 3})}, 0,
      {7, 3});
  add("middle_axis", {Floats({2, 1, 3}), Floats({2, 2, 3})}, -2, {2, 3, 3});
  add("one_operand", {Floats({3, 2})}, 1, {3, 2});
  add("five_operands",
      {Floats({1}), Floats({2}), Floats({3}), Floats({4}), Floats({5})}, 0,
      {15});
  add("with_an_empty_one", {Floats({3, 2}), Floats({3, 0}), Floats({3, 1})}, 1,
      {3, 3});
  add("empty", {Floats({0, 2}), Floats({0, 1})}, 1, {0, 3});
  add("batch", {Floats({kBatch, 2}), Floats({kBatch, 4})}, 1, {kBatch, 6});
  add("chunks", {Floats({301, 500}), Floats({301, 499})}, 1, {301, 999},
      kCompiled);
  add("chunks_of_rows", {Floats({500, 301}), Floats({499, 301})}, 0, {999, 301},
      kCompiled);
  add("int32", {Ints({3, 2}), Ints({3, 4})}, 1, {3, 6});
  add("uint8", {Bytes({3, 2}), Bytes({3, 4})}, 1, {3, 6});
  add("bfloat16", {BFloat16s({3, 2}), BFloat16s({3, 4})}, 1, {3, 6});
  add("extremes", {Given({3}, {kInf, kNan, -0.0}), Given({2}, {-kInf, 1e38})},
      0, {5}, kCompiled);
  table->Add({.op = "Concat",
              .name = "of_one_twice",
              .inputs = {Floats({3, 2})},
              .build =
                  [](const SampleOperands& in) {
                    return Concat({in.x[0], in.x[0]}, 0, in.loc);
                  },
              .output = Float({6, 2})});

  const auto refuse = [&](const char* name, TensorType a, TensorType b,
                          int axis, const std::string& message) {
    table->AddError("Concat", name, {a, b}, joined(axis),
                    "Concat: " + message + " (x " + a.ToString() +
                        " is input \"x0\", x.cc:0; x " + b.ToString() +
                        " is input \"x1\", x.cc:1)");
  };
  refuse("shapes", Float({3, 2}), Float({4, 2}), 1,
         "expected operands that differ in their length along axis 1 alone, "
         "found [3,2] and [4,2]");
  refuse("ranks", Float({3, 2}), Float({3}), 0,
         "expected operands that differ in their length along axis 0 alone, "
         "found [3,2] and [3]");
  refuse("dtypes", Float({3}), Int({3}), 0,
         "expected operands that differ in their length along axis 0 alone, "
         "found [3] and int32[3]");
  refuse("axis", Float({3}), Float({3}), 1,
         "axis 1 does not exist in a tensor of rank 1");
  refuse("batch", Float({3}), Float({kBatch}), 0,
         "expected a known length along axis 0, found [batch]");
}

void AddReverse(SampleTable* table) {
  const auto reversed = [](int axis) -> BuildSample {
    return [=](const SampleOperands& in) {
      return Reverse(in.x[0], axis, in.loc);
    };
  };
  const auto add = [&](const char* name, SampleInput input, int axis,
                       Differentiated differentiated = kTwice) {
    const TensorType output = {input.dtype, input.shape};
    table->Add({.op = "Reverse",
                .name = name,
                .inputs = {std::move(input)},
                .build = reversed(axis),
                .output = output,
                .differentiated = differentiated});
  };
  add("ordinary", Floats({3, 5}), 1);
  add("first_axis", Floats({3, 5}), 0);
  add("middle_axis", Floats({2, 3, 4}), -2);
  add("one_element", Floats({1}), 0);
  add("empty", Floats({0, 3}), 1);
  add("batch", Floats({kBatch, 3}), 1);
  add("of_the_batch", Floats({kBatch, 3}), 0);
  add("chunks", Floats({301, 1003}), 1, kCompiled);
  add("chunks_of_rows", Floats({1003, 301}), 0, kCompiled);
  add("int32", Ints({3, 4}), 1);
  add("uint8", Bytes({3, 4}), 1);
  add("bfloat16", BFloat16s({3, 4}), 1);
  add("extremes", Given({6}, {kInf, kNan, -0.0, 0, -kInf, 300}), 0, kCompiled);
  table->AddError("Reverse", "axis", {Float({3})}, reversed(-2),
                  "Reverse: axis -2 does not exist in a tensor of rank 1 (x "
                  "[3] is input \"x0\", x.cc:0)");
}

// ---- What is composed ----

void AddSplit(SampleTable* table) {
  const SampleInput numbers =
      Given({2, 6}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  const auto by_lengths = [](std::vector<int64_t> lengths, int axis,
                             int part) -> BuildSample {
    return [=](const SampleOperands& in) {
      return Split(in.x[0], axis, absl::MakeConstSpan(lengths), in.loc)[part];
    };
  };
  const auto into = [](int parts, int axis, int part) -> BuildSample {
    return [=](const SampleOperands& in) {
      const std::vector<Var> all = Split(in.x[0], axis, parts, in.loc);
      return all.empty() ? Var(in.graph, kNone) : all[part];
    };
  };
  table->Add({.op = "Split",
              .name = "ordinary",
              .inputs = {numbers},
              .build = by_lengths({1, 3, 2}, 1, 1),
              .output = Float({2, 3}),
              .values = {2, 3, 4, 8, 9, 10}});
  table->Add({.op = "Split",
              .name = "last",
              .inputs = {numbers},
              .build = by_lengths({1, 3, 2}, -1, 2),
              .output = Float({2, 2}),
              .values = {5, 6, 11, 12}});
  table->Add({.op = "Split",
              .name = "equal",
              .inputs = {numbers},
              .build = into(3, 1, 2),
              .output = Float({2, 2}),
              .values = {5, 6, 11, 12}});
  table->Add({.op = "Split",
              .name = "batch",
              .inputs = {Floats({kBatch, 4})},
              .build = into(2, 1, 0),
              .output = Float({kBatch, 2})});
  const auto refuse = [&](const char* name, BuildSample build,
                          const std::string& message) {
    table->AddError("Split", name, {Float({2, 6})}, std::move(build),
                    "Split: " + message + " (x [2,6] is input \"x0\", x.cc:0)");
  };
  refuse("too_short", by_lengths({1, 3}, 1, 0),
         "lengths [1,3] are not all of axis 1 of [2,6]");
  refuse("too_long", by_lengths({1, 3, 4}, 1, 0),
         "lengths [1,3,4] are not all of axis 1 of [2,6]");
  refuse("negative", by_lengths({-2, 8}, 1, 0),
         "lengths [-2,8] are not all of axis 1 of [2,6]");
  refuse("unequal", into(4, 1, 0), "axis 1 of [2,6] has no 4 equal parts");
  refuse("none", into(0, 1, 0), "axis 1 of [2,6] has no 0 equal parts");
  refuse("axis", into(2, 2, 0), "axis 2 does not exist in a tensor of rank 2");
}

void AddTile(SampleTable* table) {
  const auto tiled = [](std::vector<int64_t> repeats) -> BuildSample {
    return [=](const SampleOperands& in) {
      return Tile(in.x[0], repeats, in.loc);
    };
  };
  const auto add = [&](const char* name, SampleInput input,
                       std::vector<int64_t> repeats, Shape to,
                       std::vector<double> values = {}) {
    const TensorType output = {input.dtype, std::move(to)};
    table->Add({.op = "Tile",
                .name = name,
                .inputs = {std::move(input)},
                .build = tiled(std::move(repeats)),
                .output = output,
                .values = std::move(values)});
  };
  add("ordinary", Given({2, 2}, {1, 2, 3, 4}), {2, 3}, {4, 6},
      {1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4, 1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4});
  add("scalar", Floats({}), {}, {});
  add("once", Floats({3, 2}), {1, 1}, {3, 2});
  add("not_at_all", Floats({3, 2}), {1, 0}, {3, 0});
  add("empty", Floats({0, 2}), {3, 2}, {0, 4});
  add("batch", Floats({kBatch, 2}), {1, 3}, {kBatch, 6});
  add("int32", Ints({3}), {2}, {6});
  add("uint8", Bytes({3}), {2}, {6});
  const auto refuse = [&](const char* name, TensorType type,
                          std::vector<int64_t> repeats,
                          const std::string& found) {
    table->AddError("Tile", name, {type}, tiled(std::move(repeats)),
                    "Tile: expected repeats of at least 0 for each axis, 1 for "
                    "the batch's, found " +
                        found + " (x " + type.ToString() +
                        " is input \"x0\", x.cc:0)");
  };
  refuse("too_few", Float({3, 2}), {2}, "[2]");
  refuse("negative", Float({3, 2}), {2, -2}, "[2,-2]");
  refuse("batch", Float({kBatch, 2}), {2, 1}, "[2,1]");
  // 2^64 elements, which int64 takes for none.
  refuse("overflow", Float({int64_t{1} << 24}), {int64_t{1} << 40},
         "[1099511627776]");
  refuse("huge", Float({3, 2}), {int64_t{1} << 40, 1}, "[1099511627776,1]");
}

}  // namespace

void AddSliceSamples(SampleTable* table) {
  AddSlice(table);
  AddPad(table);
  AddConcat(table);
  AddReverse(table);
  AddSplit(table);
  AddTile(table);
}

}  // namespace tape::samples
