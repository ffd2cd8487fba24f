// The rows of ops/normalise.cc (op_samples.h); that BatchNorm's statistics run
// is in normalise_test.cc.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "framework/core/gradients.h"
#include "ops/op_table.h"
#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

// Up to a hundred terms to a mean and as many to a variance, each rounded, in
// blocks (framework/core/basic_ops.h); a root of at least 0.1; a product and a
// sum of numbers up to 10.
constexpr Tolerance kNormalised = {.relative = 64 * kRounding,
                                   .absolute = 640 * kRounding};

Shape WithLastAxisOne(const Shape& shape) {
  const auto first = shape.dims().first(shape.rank() - 1);
  std::vector<int64_t> dims(first.begin(), first.end());
  dims.push_back(1);
  return Shape(dims);
}

void AddLayerNorm(SampleTable* table) {
  const auto build = [](double epsilon) -> BuildSample {
    return [=](const SampleOperands& in) {
      return LayerNorm(in.x[0], in.x[1], in.x[2], {.epsilon = epsilon}, in.loc);
    };
  };
  const auto add = [&](const char* name, SampleInput x, SampleInput scale,
                       SampleInput shift,
                       Differentiated differentiated = Differentiated::kTwice,
                       std::vector<double> values = {}) {
    const Shape shape = x.shape;
    table->Add({.op = "LayerNorm",
                .name = name,
                .inputs = {std::move(x), std::move(scale), std::move(shift)},
                .build = build(1e-5),
                .output = Float(shape),
                .tolerance = kNormalised,
                .differentiated = differentiated,
                .values = std::move(values)});
  };
  add("ordinary", Given({2, 3}, {1, 2, 4, -3, 0, 5}), Given({1, 2, 3}),
      Given({0, 1, -1}), Differentiated::kTwice,
      {-1.0690415314502977, 0.46547923427485094, 3.008905942738616,
       -1.1111672887776716, 0.5959391677172103, 2.9395931147571988});
  add("vector", Floats({7}), Floats({7}), Floats({7}));
  add("two_axes", Floats({2, 3, 4}), Floats({3, 4}), Floats({3, 4}));
  add("empty", Floats({0, 3}), Floats({3}), Floats({3}));
  add("batch", Floats({kBatch, 5}), Floats({5}), Floats({5}));
  add("batch_of_rows", Floats({kBatch, 2, 5}), Floats({5}), Floats({5}));
  add("chunks", Floats({1003, 99}), Floats({99}), Floats({99}),
      Differentiated::kCompiled);
  // What its gradient is, and what only the gradients of that have.
  const auto row_of = [](const SampleOperands& in) {
    return Shape{in.x[0].shape()[in.x[0].shape().rank() - 1]};
  };
  const auto by_name = [](const char* op) -> BuildSample {
    return [op](const SampleOperands& in) {
      return in.graph->Append(
          *FindOp(op), {in.x[0]},
          {.value = 1e-5, .axis = in.x[0].shape().rank() - 1}, in.loc);
    };
  };
  const BuildSample rows = [row_of](const SampleOperands& in) {
    return LayerNorm(in.x[0], Fill(in.graph, row_of(in), 1.5),
                     Fill(in.graph, row_of(in), 0.25), {}, in.loc);
  };
  const BuildSample gradient = [rows](const SampleOperands& in) {
    return Gradients(Sum(Square(Sin(rows(in)))), {in.x[0]})[0];
  };
  for (const auto& [op, build] :
       {std::pair("LayerNorm", rows), std::pair("LayerNormSlope", gradient),
        std::pair("NormaliseRows", by_name("NormaliseRows")),
        std::pair("RowScale", by_name("RowScale"))}) {
    for (const auto& [name, shape] :
         {std::pair("short", Shape{5, 7}), std::pair("long", Shape{3, 67}),
          std::pair("whole_vectors", Shape{2, 2, 32}),
          std::pair("one", Shape{3, 1}),
          std::pair("batch_of_nines", Shape{kBatch, 9})}) {
      table->Add({.op = op,
                  .name = name,
                  .inputs = {Floats(shape, 3, 4)},
                  .build = build,
                  .output = Float(absl::string_view(op) == "RowScale"
                                      ? WithLastAxisOne(shape)
                                      : shape),
                  .tolerance = kNormalised,
                  .differentiated = Differentiated::kTwice});
    }
    // More than the vector code keeps of a row.
    const Shape long_rows = {3, 1031};
    table->Add({.op = op,
                .name = "longer_than_kept",
                .inputs = {Floats(long_rows, 3, 4)},
                .build = build,
                .output = Float(absl::string_view(op) == "RowScale"
                                    ? WithLastAxisOne(long_rows)
                                    : long_rows),
                .tolerance = kNormalised,
                .differentiated = Differentiated::kCompiled});
    // A first element that is far from the others; others that are close to each
    // other and far from 0.
    std::vector<double> far = {1e6};
    for (int i = 1; i < 2 * 999; ++i) {
      far.push_back((i < 999 ? 0 : 1e6) + i % 7);
    }
    const Shape shape = {2, 999};
    table->Add({.op = op,
                .name = "far",
                .inputs = {Given(shape, far)},
                .build = build,
                .output = Float(absl::string_view(op) == "RowScale"
                                    ? WithLastAxisOne(shape)
                                    : shape),
                .tolerance = kNormalised,
                .differentiated = Differentiated::kNotAsked});
  }
  const auto refuse = [&](const char* name, TensorType x, TensorType scale,
                          TensorType shift, const std::string& message,
                          double epsilon = 1e-5) {
    table->AddError("LayerNorm", name, {x, scale, shift}, build(epsilon),
                    "LayerNorm: " + message + " (x " + x.ToString() +
                        " is input \"x0\", x.cc:0; scale " + scale.ToString() +
                        " is input \"x1\", x.cc:1; shift " + shift.ToString() +
                        " is input \"x2\", x.cc:2)");
  };
  refuse("scale", Float({2, 3}), Float({2}), Float({2}),
         "expected scale and shift of the last axes of [2,3], found [2] and "
         "[2]");
  refuse("shift", Float({2, 3}), Float({3}), Float({1}),
         "expected scale and shift of the last axes of [2,3], found [3] and "
         "[1]");
  refuse("no_axes", Float({2, 3}), Float({}), Float({}),
         "expected scale and shift of the last axes of [2,3], found [] and []");
  refuse("int32", Float({2, 3}), Int({3}), Float({3}),
         "expected float32, found int32");
  refuse("epsilon", Float({2, 3}), Float({3}), Float({3}),
         "expected a finite epsilon of at least 0, found -1", -1);
}

void AddBatchNorm(SampleTable* table) {
  const auto build = [](bool training,
                        BatchNormOptions options = {}) -> BuildSample {
    return [=](const SampleOperands& in) {
      const RunningStatistics running = {in.x[3], in.x[4]};
      return training ? BatchNorm(in.x[0], in.x[1], in.x[2], running, options,
                                  in.loc)
                            .y
                      : BatchNormInference(in.x[0], in.x[1], in.x[2], running,
                                           options, in.loc);
    };
  };
  const auto add = [&](const char* name, bool training, SampleInput x,
                       std::vector<SampleInput> vectors,
                       BatchNormOptions options = {},
                       Differentiated differentiated = Differentiated::kTwice,
                       std::vector<double> values = {}) {
    const Shape shape = x.shape;
    std::vector<SampleInput> inputs = {std::move(x)};
    inputs.insert(inputs.end(), vectors.begin(), vectors.end());
    table->Add({.op = training ? "BatchNorm" : "BatchNormInference",
                .name = name,
                .inputs = std::move(inputs),
                .build = build(training, options),
                .output = Float(shape),
                .tolerance = kNormalised,
                .differentiated = differentiated,
                .values = std::move(values)});
  };
  // Scale, shift, mean and variance.
  const auto vectors = [](int64_t channels) -> std::vector<SampleInput> {
    return {Floats({channels}), Floats({channels}), Floats({channels}),
            Floats({channels}, 0.5, 2)};
  };
  const SampleInput x = Given({2, 3}, {1, 2, 4, -3, 0, 5});
  const std::vector<SampleInput> given = {Given({1, 2, 3}), Given({0, 1, -1}),
                                          Given({1, 0, 2}),
                                          Given({4, 1, 0.25})};
  add("ordinary", true, x, given, {}, Differentiated::kTwice,
      {0.9999987500023437, 2.9999900000749995, -3.99994000179994,
       -0.9999987500023437, -0.9999900000749995, 1.9999400017999398});
  add("ordinary", false, x, given, {}, Differentiated::kTwice,
      {0, 4.999980000149999, 10.99976000719976, -1.9999975000046875, 1,
       16.999640010799638});
  for (const bool training : {false, true}) {
    add("batch", training, Floats({kBatch, 3}), vectors(3));
    add("first_axis", training, Floats({3, 4, 5}), vectors(3), {.axis = 0});
    add("middle_axis", training, Floats({kBatch, 3, 4}), vectors(3),
        {.axis = 1});
    add("vector", training, Floats({3}), vectors(3));
    add("empty", training, Floats({3, 0}), vectors(0));
    add("chunks", training, Floats({1003, 99}), vectors(99), {},
        Differentiated::kCompiled);
  }
  const auto refuse = [&](const char* name, std::vector<TensorType> types,
                          int first, const char* message,
                          BatchNormOptions options = {}) {
    const char* const names[] = {"scale", "shift", "mean", "variance"};
    std::string operands =
        "x " + types[0].ToString() + " is input \"x0\", x.cc:0";
    for (int i : {first, first + 1}) {
      operands += std::string("; ") + names[i - 1] + " " + types[i].ToString() +
                  " is input \"x" + std::to_string(i) +
                  "\", x.cc:" + std::to_string(i);
    }
    for (const bool training : {false, true}) {
      table->AddError(
          training ? "BatchNorm" : "BatchNormInference", name, types,
          build(training, options),
          std::string("BatchNorm: ") + message + " (" + operands + ")");
    }
  };
  const TensorType three = Float({3});
  refuse("scale", {Float({2, 3}), Float({2}), three, three, three}, 1,
         "expected scale and shift of shape [3], found [2] and [3]");
  refuse("variance", {Float({2, 3}), three, three, three, Float({})}, 3,
         "expected a mean and a variance of shape [3], found [3] and []");
  refuse("int32", {Int({2, 3}), three, three, three, three}, 1,
         "expected float32, found int32");
  refuse("axis", {Float({2, 3}), three, three, three, three}, 1,
         "axis 2 does not exist in a tensor of rank 2", {.axis = 2});
  refuse("epsilon", {Float({2, 3}), three, three, three, three}, 1,
         "expected a finite epsilon of at least 0, found -1", {.epsilon = -1});
  refuse("decay", {Float({2, 3}), three, three, three, three}, 1,
         "expected a decay of 0 to 1, found 2", {.decay = 2});
}

}  // namespace

void AddNormaliseSamples(SampleTable* table) {
  AddLayerNorm(table);
  AddBatchNorm(table);
}

}  // namespace tape::samples
