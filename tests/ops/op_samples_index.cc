// The rows of ops/index.cc (op_samples.h).
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "framework/core/gradients.h"
#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

void AddOneHotRows(SampleTable* table) {
  const auto one_hot = [&](const char* name, SampleInput input, int64_t depth,
                           Shape to) {
    table->Add({.op = "OneHot",
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

void AddOneHotErrors(SampleTable* table) {
  const auto one_hot = [](int64_t depth) -> BuildSample {
    return [depth](const SampleOperands& in) {
      return OneHot(in.x[0], depth, in.loc);
    };
  };
  table->AddError(
      "OneHot", "float32", {Float({2})}, one_hot(3),
      "OneHot: expected int32, found float32 (indices [2] is input \"x0\", "
      "x.cc:0)");
  table->AddError(
      "OneHot", "depth", {Int({2})}, one_hot(0),
      "OneHot: expected a depth of at least 1, found 0 (indices int32[2] is "
      "input \"x0\", x.cc:0)");
}

constexpr Differentiated kTwice = Differentiated::kTwice;
constexpr Differentiated kCompiled = Differentiated::kCompiled;

void AddGather(SampleTable* table) {
  const auto gathered = [](int axis) -> BuildSample {
    return [=](const SampleOperands& in) {
      return Gather(in.x[0], in.x[1], axis, in.loc);
    };
  };
  const auto add = [&](const char* name, SampleInput x, SampleInput indices,
                       int axis, Shape to,
                       Differentiated differentiated = kTwice) {
    const TensorType output = {x.dtype, std::move(to)};
    table->Add({.op = "Gather",
                .name = name,
                .inputs = {std::move(x), std::move(indices)},
                .build = gathered(axis),
                .output = output,
                .differentiated = differentiated});
  };
  add("ordinary", Floats({5, 3}), Ints({4}, 0, 5), 0, {4, 3});
  add("last_axis", Floats({3, 5}), Ints({4}, 0, 5), -1, {3, 4});
  add("middle_axis", Floats({2, 5, 3}), Ints({4}, 0, 5), 1, {2, 4, 3});
  add("matrix_of_indices", Floats({5, 3}), Ints({2, 4}, 0, 5), 0, {2, 4, 3});
  add("one_index", Floats({5, 3}), Ints({}, 0, 5), 0, {3});
  add("vector", Floats({5}), Ints({7}, 0, 5), 0, {7});
  add("one_element", Floats({1}), Given({0}, DType::kInt32), 0, {1});
  add("outside", Floats({5, 2}),
      Given({-1, 5, 0, kMaxInt, kMinInt, 4}, DType::kInt32), 0, {6, 2});
  add("outside_of_a_vector", Floats({3, 5}),
      Given({-1, 5, 0, kMaxInt, kMinInt, 4}, DType::kInt32), 1, {3, 6});
  add("of_nothing", Floats({0, 2}), Ints({3}, 0, 5), 0, {3, 2});
  add("no_indices", Floats({5, 2}), Ints({0}), 0, {0, 2});
  add("empty", Floats({5, 0}), Ints({3}, 0, 5), 0, {3, 0});
  add("batch_of_indices", Floats({5, 3}), Ints({kBatch, 2}, 0, 5), 0,
      {kBatch, 2, 3});
  add("of_the_batch", Floats({kBatch, 3}), Ints({4}, 0, 6), 0, {4, 3});
  add("batch", Floats({kBatch, 5}), Ints({4}, 0, 5), 1, {kBatch, 4});
  add("chunks", Floats({301, 203}), Ints({1003}, 0, 301), 0, {1003, 203},
      kCompiled);
  add("chunks_of_columns", Floats({301, 203}), Ints({1003}, 0, 203), 1,
      {301, 1003}, kCompiled);
  add("int32", Ints({5, 3}), Ints({4}, 0, 5), 0, {4, 3});
  add("uint8", Bytes({5, 3}), Ints({4}, 0, 5), 0, {4, 3});
  // What is not read does not matter.
  add("extremes", Given({5}, {kInf, kNan, -0.0, 300, -kInf}),
      Given({0, 2, 3, 2}, DType::kInt32), 0, {4}, kCompiled);

  table->AddError("Gather", "float_indices", {Float({5}), Float({4})},
                  gathered(0),
                  "Gather: expected int32 indices, found float32 (x [5] is "
                  "input \"x0\", x.cc:0; indices [4] is input \"x1\", "
                  "x.cc:1)");
  table->AddError("Gather", "axis", {Float({5}), Int({4})}, gathered(1),
                  "Gather: axis 1 does not exist in a tensor of rank 1 (x [5] "
                  "is input \"x0\", x.cc:0; indices int32[4] is input "
                  "\"x1\", x.cc:1)");
  constexpr int64_t kMany = int64_t{1} << 30;
  table->AddError(
      "Gather", "too_many", {Float({2, kMany}), Int({kMany})}, gathered(0),
      "Gather: expected a result of at most 2^40 elements, found shape "
      "[1073741824,1073741824] (x [2,1073741824] is input \"x0\", x.cc:0; "
      "indices int32[1073741824] is input \"x1\", x.cc:1)");
}

void AddScatterAdd(SampleTable* table) {
  const auto scattered = [](Shape shape, int axis) -> BuildSample {
    return [=](const SampleOperands& in) {
      return ScatterAdd(in.x[0], in.x[1], shape, axis, in.loc);
    };
  };
  // Sums of small whole numbers are exact.
  const auto add = [&](const char* name, Shape updates, SampleInput indices,
                       int axis, Shape to,
                       Differentiated differentiated = kTwice) {
    table->Add({.op = "ScatterAdd",
                .name = name,
                .inputs = {Whole(std::move(updates)), std::move(indices)},
                .build = scattered(to, axis),
                .output = Float(to),
                .differentiated = differentiated});
  };
  add("ordinary", {7, 3}, Ints({7}, 0, 5), 0, {5, 3});
  add("last_axis", {3, 7}, Ints({7}, 0, 5), -1, {3, 5});
  add("middle_axis", {2, 7, 3}, Ints({7}, 0, 5), 1, {2, 5, 3});
  add("matrix_of_indices", {2, 4, 3}, Ints({2, 4}, 0, 5), 0, {5, 3});
  add("one_index", {3}, Ints({}, 0, 5), 0, {5, 3});
  add("outside", {6, 2}, Given({-1, 5, 0, kMaxInt, kMinInt, 4}, DType::kInt32),
      0, {5, 2});
  add("to_nothing", {3, 2}, Ints({3}, 0, 5), 0, {0, 2});
  add("no_indices", {0, 2}, Ints({0}), 0, {5, 2});
  add("empty", {3, 0}, Ints({3}, 0, 5), 0, {5, 0});
  add("batch_of_indices", {kBatch, 3}, Ints({kBatch}, 0, 5), 0, {5, 3});
  add("beside_the_batch", {4, kBatch}, Ints({4}, 0, 5), 0, {5, kBatch});
  add("batch", {kBatch, 4}, Ints({4}, 0, 5), 1, {kBatch, 5});
  // Several chunks, whose borders are in the middle of lines.
  add("chunks", {1003, 203}, Ints({1003}, 0, 301), 0, {301, 203}, kCompiled);
  add("chunks_of_lines", {3, 1003, 71}, Ints({1003}, 0, 301), 1, {3, 301, 71},
      kCompiled);
  table->Add({.op = "ScatterAdd",
              .name = "extremes",
              .inputs = {Given({6}, {kInf, kNan, 300, 1e38, kInf, -kInf}),
                         Given({0, 1, 2, 2, 3, 3}, DType::kInt32)},
              .build = scattered({5}, 0),
              .output = Float({5}),
              .differentiated = kCompiled});

  const auto refuse = [&](const char* name, TensorType updates,
                          TensorType indices, Shape shape, int axis,
                          const std::string& message) {
    table->AddError("ScatterAdd", name, {updates, indices},
                    scattered(std::move(shape), axis),
                    "ScatterAdd: " + message + " (updates " +
                        updates.ToString() +
                        " is input \"x0\", x.cc:0; indices " +
                        indices.ToString() + " is input \"x1\", x.cc:1)");
  };
  refuse("updates", Float({4, 2}), Int({4}), {5, 3}, 0,
         "expected updates [4,3] for the result [5,3], found [4,2]");
  refuse("int32", Int({4}), Int({4}), {5}, 0, "expected float32, found int32");
  refuse("float_indices", Float({4}), Float({4}), {5}, 0,
         "expected int32 indices, found float32");
  refuse("axis", Float({4}), Int({4}), {5}, 1,
         "axis 1 does not exist in a tensor of rank 1");
  refuse("shape", Float({4}), Int({4}), {-5}, 0,
         "expected dimensions of at least 0, or kBatch, found [-5]");
}

void AddGatherAlong(SampleTable* table) {
  const auto gathered = [](int axis) -> BuildSample {
    return [=](const SampleOperands& in) {
      return GatherAlong(in.x[0], in.x[1], axis, in.loc);
    };
  };
  const auto add = [&](const char* name, SampleInput x, SampleInput indices,
                       int axis, Differentiated differentiated = kTwice) {
    const TensorType output = {x.dtype, indices.shape};
    table->Add({.op = "GatherAlong",
                .name = name,
                .inputs = {std::move(x), std::move(indices)},
                .build = gathered(axis),
                .output = output,
                .differentiated = differentiated});
  };
  add("ordinary", Floats({3, 5}), Ints({3, 4}, 0, 5), 1);
  add("first_axis", Floats({5, 3}), Ints({4, 3}, 0, 5), 0);
  add("middle_axis", Floats({2, 5, 3}), Ints({2, 4, 3}, 0, 5), -2);
  // Next to each line is another's element, not a zero.
  add("outside", Floats({2, 5}),
      Given({2, 6},
            {-1, 5, 0, kMaxInt, kMinInt, 4, 5, -1, 4, kMinInt, kMaxInt, 0},
            DType::kInt32),
      1);
  add("one_element", Floats({1}), Given({0}, DType::kInt32), 0);
  add("of_nothing", Floats({2, 0}), Ints({2, 3}, 0, 5), 1);
  add("no_indices", Floats({2, 5}), Ints({2, 0}), 1);
  add("empty", Floats({0, 5}), Ints({0, 3}), 1);
  add("batch", Floats({kBatch, 5}), Ints({kBatch, 3}, 0, 5), 1);
  add("chunks", Floats({1003, 203}), Ints({1003, 103}, 0, 203), 1, kCompiled);
  add("int32", Ints({3, 5}), Ints({3, 4}, 0, 5), 1);
  add("uint8", Bytes({3, 5}), Ints({3, 4}, 0, 5), 1);
  add("bfloat16",
      {.shape = {3, 5}, .low = -8, .high = 8, .dtype = DType::kBFloat16},
      Ints({3, 4}, 0, 5), 1);
  // Each sum of gy, too, is of few terms.
  add("extremes", Given({1, 5}, {kInf, kNan, -0.0, 300, -kInf}),
      Given({1, 4}, {0, 2, 3, 2}, DType::kInt32), 1, kCompiled);
  const auto refuse = [&](const char* name, TensorType x, TensorType indices,
                          int axis, const std::string& message) {
    table->AddError("GatherAlong", name, {x, indices}, gathered(axis),
                    "GatherAlong: " + message + " (x " + x.ToString() +
                        " is input \"x0\", x.cc:0; indices " +
                        indices.ToString() + " is input \"x1\", x.cc:1)");
  };
  refuse("shapes", Float({3, 5}), Int({4, 5}), 1,
         "expected indices of x's shape [3,5] but along axis 1, found [4,5]");
  refuse("ranks", Float({3, 5}), Int({3}), 1,
         "expected indices of x's shape [3,5] but along axis 1, found [3]");
  refuse("float_indices", Float({3}), Float({3}), 0,
         "expected int32 indices, found float32");
  refuse("axis", Float({3}), Int({3}), 1,
         "axis 1 does not exist in a tensor of rank 1");
}

// ---- ScatterAddAlong: no function of ops.h, but GatherAlong's gradient ----

void AddScatterAddAlong(SampleTable* table) {
  for (const auto& [name, x, indices, axis] :
       std::vector<std::tuple<const char*, Shape, Shape, int>>{
           {"ordinary", {3, 5}, {3, 7}, 1},
           {"first_axis", {5, 3}, {7, 3}, 0},
           {"empty", {0, 5}, {0, 3}, 1},
           {"batch", {kBatch, 5}, {kBatch, 3}, 1}}) {
    table->Add({.op = "ScatterAddAlong",
                .name = name,
                .inputs = {Whole(x), Ints(indices, -1, 6)},
                .build =
                    [axis = axis](const SampleOperands& in) {
                      const Var y = Square(
                          GatherAlong(in.x[0], in.x[1], axis, in.loc), in.loc);
                      const Var sum = Sum(y, {}, Axes::kDrop, in.loc);
                      return Gradients(sum, {in.x[0]}, {}, in.loc)[0];
                    },
                .output = Float(x)});
  }
}

void AddTopK(SampleTable* table) {
  const auto indices_of = [](int64_t k, int axis) -> BuildSample {
    return [=](const SampleOperands& in) {
      return TopKIndices(in.x[0], k, axis, in.loc);
    };
  };
  const auto add = [&](const char* name, SampleInput x, int64_t k, int axis,
                       Shape to) {
    table->Add({.op = "TopKIndices",
                .name = name,
                .inputs = {std::move(x)},
                .build = indices_of(k, axis),
                .output = Int(std::move(to)),
                .differentiated = Differentiated::kRefused});
  };
  add("ordinary", Floats({3, 7}), 3, 1, {3, 3});
  add("first_axis", Floats({7, 3}), 2, 0, {2, 3});
  add("middle_axis", Floats({2, 5, 3}), 5, -2, {2, 5, 3});
  add("ties", Whole({5, 30}, 0, 4), 9, 1, {5, 9});
  add("one_element", Floats({1}), 1, 0, {1});
  add("none", Floats({3, 7}), 0, 1, {3, 0});
  add("of_nothing", Floats({3, 0}), 0, 1, {3, 0});
  add("empty", Floats({0, 7}), 3, 1, {0, 3});
  add("batch", Floats({kBatch, 7}), 3, 1, {kBatch, 3});
  add("chunks", Whole({301, 103}), 5, 1, {301, 5});
  add("extremes",
      Given({2, 6},
            {1, kInf, kNan, -kInf, kNan, 3, 0, -0.0, kDenormal, 0, -1, 300}),
      6, 1, {2, 6});
  const SampleInput numbers = Given({2, 4}, {1, 4, 2, 4, 7, 5, 6, 8});
  table->Add({.op = "TopK",
              .name = "values",
              .inputs = {numbers},
              .build =
                  [](const SampleOperands& in) {
                    return TopK(in.x[0], 2, -1, in.loc).values;
                  },
              .output = Float({2, 2}),
              .differentiated = kCompiled,  // At a tie, they change places.
              .derivatives = {{0, 1, 0, 1, 1, 0, 0, 1}},
              .values = {4, 4, 8, 7}});
  table->Add({.op = "TopK",
              .name = "indices",
              .inputs = {numbers},
              .build =
                  [](const SampleOperands& in) {
                    return TopK(in.x[0], 2, -1, in.loc).indices;
                  },
              .output = Int({2, 2}),
              .differentiated = Differentiated::kNotAsked,
              .values = {1, 3, 3, 0}});
  const auto refuse = [&](const char* name, TensorType x, int64_t k, int axis,
                          const std::string& message) {
    table->AddError("TopKIndices", name, {x}, indices_of(k, axis),
                    "TopKIndices: " + message + " (x " + x.ToString() +
                        " is input \"x0\", x.cc:0)");
  };
  refuse("too_many", Float({3, 7}), 8, 1,
         "no 8 elements along axis 1 of [3,7]");
  refuse("negative", Float({7}), -1, 0, "no -1 elements along axis 0 of [7]");
  refuse("batch", Float({kBatch}), 1, 0,
         "no 1 elements along axis 0 of [batch]");
  refuse("int32", Int({7}), 1, 0, "expected float32, found int32");
  refuse("axis", Float({7}), 1, 1,
         "axis 1 does not exist in a tensor of rank 1");
}

}  // namespace

void AddIndexSamples(SampleTable* table) {
  AddOneHotRows(table);
  AddOneHotErrors(table);
  AddGather(table);
  AddScatterAdd(table);
  AddGatherAlong(table);
  AddScatterAddAlong(table);
  AddTopK(table);
}

}  // namespace tape::samples
