// The rows of ops/transpose.cc (op_samples.h).
#include <utility>
#include <vector>

#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

BuildSample Transposed(std::vector<int> axes) {
  return [axes = std::move(axes)](const SampleOperands& in) {
    return Transpose(in.x[0], axes, in.loc);
  };
}

}  // namespace

void AddTransposeSamples(SampleTable* table) {
  const auto add = [&](const char* name, SampleInput input,
                       std::vector<int> axes, Shape to,
                       Differentiated differentiated = Differentiated::kTwice) {
    const TensorType output = {input.dtype, std::move(to)};
    table->Add({.op = "Transpose",
                .name = name,
                .inputs = {std::move(input)},
                .build = Transposed(std::move(axes)),
                .output = output,
                .differentiated = differentiated});
  };
  constexpr Differentiated kCompiled = Differentiated::kCompiled;
  add("ordinary", Floats({3, 5}), {}, {5, 3});
  add("from_the_back", Floats({3, 5}), {-1, -2}, {5, 3});
  add("scalar", Floats({}), {}, {});
  add("vector", Floats({5}), {0}, {5});
  add("one_element", Floats({1, 1}), {1, 0}, {1, 1});
  add("empty", Floats({0, 3}), {1, 0}, {3, 0});
  add("identity", Floats({3, 4, 2}), {0, 1, 2}, {3, 4, 2});
  for (const auto& [name, axes] :
       std::vector<std::pair<const char*, std::vector<int>>>{
           {"axes_021", {0, 2, 1}},
           {"axes_102", {1, 0, 2}},
           {"axes_120", {1, 2, 0}},
           {"axes_201", {2, 0, 1}},
           {"axes_210", {2, 1, 0}}}) {
    const int64_t dims[] = {3, 4, 5};
    add(name, Floats({3, 4, 5}), axes,
        {dims[axes[0]], dims[axes[1]], dims[axes[2]]});
  }
  add("heads", Floats({2, 3, 4, 5}), {0, 2, 1, 3}, {2, 4, 3, 5});
  add("rank_5", Floats({2, 3, 2, 3, 2}), {4, 1, 0, 3, 2}, {2, 3, 2, 3, 2});
  add("axes_of_one", Floats({1, 3, 1, 5, 1}), {3, 0, 1, 4, 2}, {5, 1, 3, 1, 1});
  add("batch", Floats({kBatch, 3, 4}), {0, 2, 1}, {kBatch, 4, 3});
  add("batch_moved", Floats({kBatch, 3}), {1, 0}, {3, kBatch});
  // More than one square of 32, and a rest; many, and so several chunks.
  add("squares", Floats({37, 70}), {}, {70, 37});
  add("chunks", Floats({5, 301, 203}), {2, 0, 1}, {203, 5, 301}, kCompiled);
  add("chunks_of_runs", Floats({301, 5, 203}), {1, 0, 2}, {5, 301, 203},
      kCompiled);
  add("chunks_of_matrices", Floats({301, 5, 203}), {0, 2, 1}, {301, 203, 5},
      kCompiled);
  add("int32", Ints({3, 5}), {}, {5, 3});
  add("uint8", Bytes({37, 70}), {}, {70, 37});
  add("uint8_runs", Bytes({4, 3, 5}), {1, 0, 2}, {3, 4, 5});
  add("bfloat16",
      {.shape = {3, 5}, .low = -8, .high = 8, .dtype = DType::kBFloat16}, {},
      {5, 3});
  add("extremes", Given({2, 3}, {kInf, kNan, -0.0, 0, -kInf, 300}), {}, {3, 2},
      kCompiled);
  table->Add({.op = "Transpose",
              .name = "of_a_transpose",
              .inputs = {Floats({3, 4, 5})},
              .build =
                  [](const SampleOperands& in) {
                    return Transpose(Transpose(in.x[0], {1, 2, 0}, in.loc),
                                     {0, 2, 1}, in.loc);
                  },
              .output = Float({4, 3, 5})});
  table->AddError("Transpose", "too_few", {Float({3, 4, 5})},
                  Transposed({1, 0}),
                  "Transpose: expected each axis of [3,4,5] once, found axes "
                  "[1,0] (x [3,4,5] is input \"x0\", x.cc:0)");
  table->AddError("Transpose", "twice", {Float({3, 4})}, Transposed({1, -1}),
                  "Transpose: expected each axis of [3,4] once, found axes "
                  "[1,1] (x [3,4] is input \"x0\", x.cc:0)");
  table->AddError("Transpose", "no_such_axis", {Float({3, 4})},
                  Transposed({0, -3}),
                  "Transpose: expected each axis of [3,4] once, found axes "
                  "[0,-3] (x [3,4] is input \"x0\", x.cc:0)");
}

}  // namespace tape::samples
