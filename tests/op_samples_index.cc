// The rows of ops/index.cc (op_samples.h).
#include <cstdint>
#include <utility>

#include "ops/ops.h"
#include "tests/op_samples_internal.h"

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

}  // namespace

void AddIndexSamples(SampleTable* table) {
  AddOneHotRows(table);
  AddOneHotErrors(table);
}

}  // namespace tape::samples
