// The rows of ops/layout.cc (op_samples.h).
#include <utility>
#include <vector>

#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

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

// ---- What is another shape by rule ----

void AddReshaped(const char* op, const char* name, SampleInput input,
                 BuildSample build, Shape to, SampleTable* table) {
  const TensorType output = {input.dtype, std::move(to)};
  std::vector<double> values = input.values;
  table->Add({.op = op,
              .name = name,
              .inputs = {std::move(input)},
              .build = std::move(build),
              .output = output,
              .values = std::move(values)});
}

void AddFlatten(SampleTable* table) {
  const auto from = [](int first) -> BuildSample {
    return [=](const SampleOperands& in) {
      return Flatten(in.x[0], first, in.loc);
    };
  };
  const auto add = [&](const char* name, SampleInput input, int first,
                       Shape to) {
    AddReshaped("Flatten", name, std::move(input), from(first), std::move(to),
                table);
  };
  add("ordinary", Given({1, 2, 3}, {1, 2, 3, 4, 5, 6}), 1, {1, 6});
  add("all", Floats({2, 3, 4}), 0, {24});
  add("from_the_back", Floats({2, 3, 4}), -2, {2, 12});
  add("one_axis", Floats({2, 3}), 1, {2, 3});
  add("no_axis", Floats({2}), 1, {2, 1});
  add("scalar", Floats({}), 0, {1});
  add("empty", Floats({0, 3, 2}), 1, {0, 6});
  add("batch", Floats({kBatch, 3, 4}), 1, {kBatch, 12});
  add("batch_and_one", Floats({1, kBatch, 1}), 0, {kBatch});
  add("uint8", Bytes({2, 3, 4}), 1, {2, 12});
  table->AddError("Flatten", "batch", {Float({kBatch, 3})}, from(0),
                  "Flatten: no number, nor batch, is the product of the axes "
                  "of [batch,3] from axis 0 on (x [batch,3] is input \"x0\", "
                  "x.cc:0)");
  table->AddError("Flatten", "axis", {Float({2, 3})}, from(3),
                  "Flatten: axis 3 does not exist in a tensor of rank 2 (x "
                  "[2,3] is input \"x0\", x.cc:0)");
}

void AddSqueeze(SampleTable* table) {
  const auto without = [](std::vector<int> axes) -> BuildSample {
    return [=](const SampleOperands& in) {
      return Squeeze(in.x[0], axes, in.loc);
    };
  };
  const auto add = [&](const char* name, SampleInput input,
                       std::vector<int> axes, Shape to) {
    AddReshaped("Squeeze", name, std::move(input), without(std::move(axes)),
                std::move(to), table);
  };
  add("ordinary", Given({1, 3, 1}, {1, 2, 3}), {}, {3});
  add("some", Floats({1, 3, 1}), {-1}, {1, 3});
  add("two", Floats({1, 3, 1}), {2, 0}, {3});
  add("one_element", Floats({1, 1}), {}, {});
  add("none", Floats({2, 3}), {}, {2, 3});
  add("empty", Floats({0, 1}), {1}, {0});
  add("batch", Floats({kBatch, 1, 3}), {}, {kBatch, 3});
  add("int32", Ints({3, 1}), {1}, {3});
  table->AddError("Squeeze", "length", {Float({1, 3})}, without({-1}),
                  "Squeeze: expected 1 along axis -1, found 3 (x [1,3] is "
                  "input \"x0\", x.cc:0)");
  table->AddError("Squeeze", "batch", {Float({kBatch, 3})}, without({0}),
                  "Squeeze: expected 1 along axis 0, found batch (x [batch,3] "
                  "is input \"x0\", x.cc:0)");
  table->AddError("Squeeze", "twice", {Float({1, 3})}, without({0, -2}),
                  "Squeeze: axis -2 is given twice (x [1,3] is input \"x0\", "
                  "x.cc:0)");
  table->AddError("Squeeze", "axis", {Float({1, 3})}, without({2}),
                  "Squeeze: axis 2 does not exist in a tensor of rank 2 (x "
                  "[1,3] is input \"x0\", x.cc:0)");
}

void AddExpandDims(SampleTable* table) {
  const auto at = [](int axis) -> BuildSample {
    return [=](const SampleOperands& in) {
      return ExpandDims(in.x[0], axis, in.loc);
    };
  };
  const auto add = [&](const char* name, SampleInput input, int axis,
                       Shape to) {
    AddReshaped("ExpandDims", name, std::move(input), at(axis), std::move(to),
                table);
  };
  add("ordinary", Given({2, 2}, {1, 2, 3, 4}), 1, {2, 1, 2});
  add("first", Floats({2, 3}), 0, {1, 2, 3});
  add("last", Floats({2, 3}), -1, {2, 3, 1});
  add("scalar", Floats({}), 0, {1});
  add("empty", Floats({0}), 0, {1, 0});
  add("batch", Floats({kBatch, 3}), 1, {kBatch, 1, 3});
  add("uint8", Bytes({3}), 1, {3, 1});
  table->AddError("ExpandDims", "axis", {Float({2, 3})}, at(3),
                  "ExpandDims: axis 3 does not exist in a tensor of rank 3 (x "
                  "[2,3] is input \"x0\", x.cc:0)");
}

}  // namespace

void AddLayoutSamples(SampleTable* table) {
  AddReshapeRows(table);
  AddReshapeErrors(table);
  AddFlatten(table);
  AddSqueeze(table);
  AddExpandDims(table);
}

}  // namespace tape::samples
