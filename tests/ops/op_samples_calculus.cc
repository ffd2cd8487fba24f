// The rows of framework/core/calculus.cc (op_samples.h).
#include <string>
#include <vector>

#include "framework/core/calculus.h"
#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

void AddStopGradientRows(SampleTable* table) {
  // The floor's derivative is 0 wherever it has one, and so right to be
  // stopped.
  table->Add({.op = "StopGradient",
              .name = "floor",
              .inputs = {Floats({2, 3})},
              .build =
                  [](const SampleOperands& in) {
                    return Mul(in.x[0],
                               StopGradient(Floor(in.x[0], in.loc), in.loc));
                  },
              .output = Float({2, 3})});
  const auto stop = [](const SampleOperands& in) {
    return StopGradient(in.x[0], in.loc);
  };
  table->Add({.op = "StopGradient",
              .name = "extremes",
              .inputs = {Given({-kInf, -0.0, 1e-40, 300, kNan})},
              .build = stop,
              .output = Float({5}),
              .differentiated = Differentiated::kNotAsked,
              .derivatives = {{0, 0, 0, 0, 0}}});
  for (const Shape& shape : {Shape{}, Shape{0, 3}, Shape{kBatch, 2}}) {
    table->Add({.op = "StopGradient",
                .name = "rank" + std::to_string(shape.rank()) + "_" +
                        (shape.is_bound() ? "bound" : "batch"),
                .inputs = {Floats(shape)},
                .build = stop,
                .output = Float(shape),
                .differentiated = Differentiated::kNotAsked});
  }
  table->Add({.op = "StopGradient",
              .name = "int32",
              .inputs = {Ints({4})},
              .build = stop,
              .output = Int({4})});
}

void AddWithGradientRows(SampleTable* table) {
  // x^2, with its own derivative written as that of x y / x.
  const auto square = [](const SampleOperands& in) {
    return WithGradient(
        Square(in.x[0], in.loc), {in.x[0]},
        [](absl::Span<const Var> x, Var, Var gy) -> Adjoints {
          return {gy * (x[0] + x[0])};
        },
        in.loc);
  };
  for (const Shape& shape :
       {Shape{}, Shape{1}, Shape{0}, Shape{2, 3}, Shape{kBatch, 2}}) {
    table->Add({.op = "WithGradient",
                .name = "rank" + std::to_string(shape.rank()) + "_" +
                        (shape.is_bound() ? std::to_string(shape.elements())
                                          : std::string("batch")),
                .inputs = {Floats(shape)},
                .build = square,
                .output = Float(shape)});
  }
  table->Add({.op = "WithGradient",
              .name = "two_operands_of_other_shapes",
              .inputs = {Floats({2, 3}), Floats({3})},
              .build =
                  [](const SampleOperands& in) {
                    return WithGradient(
                        Mul(in.x[0], in.x[1], in.loc), {in.x[0], in.x[1]},
                        [](absl::Span<const Var> x, Var, Var gy) -> Adjoints {
                          return {gy * x[1], gy * x[0]};
                        },
                        in.loc);
                  },
              .output = Float({2, 3})});
  table->AddError(
      "WithGradient", "int32", {Int({2})},
      [](const SampleOperands& in) {
        return WithGradient(
            in.x[0], {in.x[0]},
            [](absl::Span<const Var>, Var, Var gy) { return Adjoints{gy}; },
            in.loc);
      },
      "WithGradient: expected float32, found int32 (y or x int32[2] is input "
      "\"x0\", x.cc:0; y or x int32[2] is input \"x0\", x.cc:0)");
}

void AddBlockRows(SampleTable* table) {
  struct Blocks {
    const char* name;
    Shape block;
    Shape whole;
    int64_t index;
  };
  const std::vector<Blocks> rows = {
      {"scalars", {}, {2}, 1},
      {"rows", {3}, {2, 3}, 1},
      {"places_of_two_axes", {3}, {2, 1, 3}, 0},
      {"the_whole", {2, 3}, {2, 3}, 0},
      {"empty", {0, 2}, {2, 0, 2}, 1},
      {"batch", {kBatch, 3}, {2, kBatch, 3}, 1},
      {"large", {301}, {2, 301}, 1},
  };
  for (const Blocks& row : rows) {
    const int count = row.whole.rank() == row.block.rank() ? 1 : 2;
    table->Add({.op = "Stack",
                .name = row.name,
                .inputs = std::vector<SampleInput>(count, Floats(row.block)),
                .build =
                    [whole = row.whole](const SampleOperands& in) {
                      return Stack(in.x, whole, in.loc);
                    },
                .output = Float(row.whole)});
    table->Add({.op = "BlockOf",
                .name = row.name,
                .inputs = {Floats(row.whole)},
                .build =
                    [row](const SampleOperands& in) {
                      return BlockOf(in.x[0], row.index, row.block, in.loc);
                    },
                .output = Float(row.block)});
    table->Add({.op = "PlaceBlock",
                .name = row.name,
                .inputs = {Floats(row.block)},
                .build =
                    [row](const SampleOperands& in) {
                      return PlaceBlock(in.x[0], row.index, row.whole, in.loc);
                    },
                .output = Float(row.whole)});
  }
  const auto stack_to = [](Shape shape) {
    return [shape](const SampleOperands& in) {
      return Stack(in.x, shape, in.loc);
    };
  };
  table->AddError("Stack", "shapes_that_differ", {Float({2}), Float({3})},
                  stack_to({2, 2}),
                  "Stack: expected operands of one shape, found [2] and [3] (x "
                  "[2] is input \"x0\", x.cc:0; x [3] is input \"x1\", "
                  "x.cc:1)");
  table->AddError("Stack", "too_few", {Float({2})}, stack_to({3, 2}),
                  "Stack: shape [3,2] has 3 blocks of shape [2], for 1 "
                  "operands (x [2] is input \"x0\", x.cc:0)");
  table->AddError("Stack", "batch_of_places", {Float({2})},
                  stack_to({kBatch, 2}),
                  "Stack: expected blocks of the last axes of shape [batch,2], "
                  "found [2] (x [2] is input \"x0\", x.cc:0)");
  table->AddError("Stack", "int32", {Int({2})}, stack_to({1, 2}),
                  "Stack: expected float32, found int32 (x int32[2] is input "
                  "\"x0\", x.cc:0)");
  table->AddError(
      "BlockOf", "beyond", {Float({2, 3})},
      [](const SampleOperands& in) { return BlockOf(in.x[0], 2, {3}, in.loc); },
      "BlockOf: expected a block from 0 to 1, found 2 (x [2,3] is input "
      "\"x0\", x.cc:0)");
  table->AddError(
      "BlockOf", "of_another_shape", {Float({2, 3})},
      [](const SampleOperands& in) { return BlockOf(in.x[0], 0, {2}, in.loc); },
      "BlockOf: expected blocks of the last axes of shape [2,3], found [2] (x "
      "[2,3] is input \"x0\", x.cc:0)");
  table->AddError(
      "PlaceBlock", "before_the_first", {Float({3})},
      [](const SampleOperands& in) {
        return PlaceBlock(in.x[0], -1, {2, 3}, in.loc);
      },
      "PlaceBlock: expected a block from 0 to 1, found -1 (x [3] is input "
      "\"x0\", x.cc:0)");
}

}  // namespace

void AddCalculusSamples(SampleTable* table) {
  AddStopGradientRows(table);
  AddWithGradientRows(table);
  AddBlockRows(table);
}

}  // namespace tape::samples
