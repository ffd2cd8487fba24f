// The rows of ops/layout.cc (op_samples.h).
#include <utility>

#include "ops/ops.h"
#include "tests/op_samples_internal.h"

namespace tape::samples {
namespace {

void AddReshapeRows(SampleTable* table) {
  const auto reshape = [&](const char* name, SampleInput input, Shape to) {
    const TensorType output = {input.dtype, to};
    table->Add({.op = "Reshape",
                .name = name,
                .inputs = {std::move(input)},
                .build =
                    [to](const SampleOperands& in) {
                      return Reshape(in.x[0], to, in.loc);
                    },
                .output = output});
  };
  reshape("ordinary", Floats({3, 4}), {2, 6});
  reshape("to_scalar", Floats({1, 1}), {});
  reshape("from_scalar", Floats({}), {1});
  reshape("empty", Floats({0, 3}), {5, 0});
  reshape("flat", Floats({5, 211}), {1055});
  reshape("batch", Floats({kBatch, 3, 4}), {kBatch, 12});
  reshape("batch_moved", Floats({kBatch, 12}), {3, kBatch, 4});
  reshape("int32", Ints({3, 4}), {12});
  reshape("uint8", Bytes({3, 4}), {12});
}

void AddReshapeErrors(SampleTable* table) {
  const auto reshape = [](Shape shape) -> BuildSample {
    return [shape](const SampleOperands& in) {
      return Reshape(in.x[0], shape, in.loc);
    };
  };
  table->AddError(
      "Reshape", "elements", {Float({3, 4})}, reshape({5}),
      "Reshape: shape [3,4] does not have as many elements as shape [5] (x "
      "[3,4] is input \"x0\", x.cc:0)");
  table->AddError(
      "Reshape", "batch", {Float({kBatch, 4})}, reshape({4}),
      "Reshape: shape [batch,4] does not have as many elements as shape [4] (x "
      "[batch,4] is input \"x0\", x.cc:0)");
  table->AddError(
      "Reshape", "negative", {Float({10})}, reshape({-2, -5}),
      "Reshape: shape [10] does not have as many elements as shape [-2,-5] (x "
      "[10] is input \"x0\", x.cc:0)");
}

}  // namespace

void AddLayoutSamples(SampleTable* table) {
  AddReshapeRows(table);
  AddReshapeErrors(table);
}

}  // namespace tape::samples
