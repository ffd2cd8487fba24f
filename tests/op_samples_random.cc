// The rows of ops/random.cc (op_samples.h).
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "framework/core/random.h"
#include "ops/ops.h"
#include "tests/op_samples_internal.h"

namespace tape::samples {
namespace {

constexpr RandomKey kKey = {.seed = 7, .stream = 3};

BuildSample Normals(Shape shape, RandomKey key = kKey) {
  return [=](const SampleOperands& in) {
    return RandomNormal(in.x[0], shape, key, in.loc);
  };
}

SampleInput AtStep(double step) { return Given({}, {step}, DType::kInt32); }

// The kernel draws what the reference does, and rounds it once: all rows are
// exact.
void AddRandomNormalRows(SampleTable* table) {
  const auto add = [&](const char* name, Shape shape, double step = 5,
                       RandomKey key = kKey) {
    table->Add({.op = "RandomNormal",
                .name = name,
                .inputs = {AtStep(step)},
                .build = Normals(shape, key),
                .output = Float(shape),
                .differentiated = Differentiated::kRefused});
  };
  add("ordinary", {3, 5});
  add("scalar", {});
  add("one_element", {1, 1});
  add("empty", {0, 3});
  // A block of Philox makes two numbers: an odd one is left.
  add("odd", {7});
  add("blocks", {5, 211});
  // Of some 1024 numbers each (ops/random.cc): one chunk, two of which the
  // second begins at an odd place, ….
  add("one_chunk", {1024});
  add("one_chunk_and_a_half", {1537});
  add("two_odd_chunks", {2049});
  add("three_odd_chunks", {3, 1025});
  add("many_chunks", {3, 100003});
  add("step_0", {3, 5}, 0);
  add("step_minus_1", {3, 5}, -1);
  add("last_step", {3, 5}, kMaxInt);
  add("first_step", {3, 5}, kMinInt);
  add("seed_0", {3, 5}, 5, {});
  add("largest_key", {3, 5}, 5, {.seed = UINT64_MAX, .stream = UINT64_MAX});
  add("named_stream", {3, 5}, 5, {.seed = 1, .stream = StreamOf("dropout")});
}

// Nodes that common-subexpression elimination must keep apart, or may not.
void AddTwoOfThemRows(SampleTable* table) {
  struct Two {
    const char* name;
    int first_step;  // An index of the operands.
    RandomKey first;
    int second_step;
    RandomKey second;
  };
  for (const Two& two :
       std::vector<Two>{{"two_seeds", 0, {7, 3}, 0, {8, 3}},
                        {"two_streams", 0, {7, 3}, 0, {7, 4}},
                        {"seed_and_stream_exchanged", 0, {7, 3}, 0, {3, 7}},
                        {"two_steps", 0, {7, 3}, 1, {7, 3}},
                        {"the_same_twice", 0, {7, 3}, 0, {7, 3}}}) {
    table->Add({.op = "RandomNormal",
                .name = two.name,
                .inputs = {AtStep(5), AtStep(6)},
                .build =
                    [two](const SampleOperands& in) {
                      return Sub(RandomNormal(in.x[two.first_step], {3, 5},
                                              two.first, in.loc),
                                 RandomNormal(in.x[two.second_step], {3, 5},
                                              two.second, in.loc));
                    },
                .output = Float({3, 5}),
                // Each is rounded, then their difference: numbers below 8.
                .tolerance = {.relative = kRounding, .absolute = 8 * kRounding},
                .differentiated = Differentiated::kNotAsked});
  }
}

// Steps that are no inputs.
void AddOwnStepRows(SampleTable* table) {
  table->Add({.op = "RandomNormal",
              .name = "of_a_constant_step",
              .inputs = {},
              .build =
                  [](const SampleOperands& in) {
                    return RandomNormal(
                        Fill(in.graph, {}, 5, DType::kInt32, in.loc), {3, 5},
                        kKey, in.loc);
                  },
              .output = Float({3, 5}),
              .differentiated = Differentiated::kNotAsked});
  table->Add({.op = "RandomNormal",
              .name = "of_the_graphs_step",
              .inputs = {},
              .build =
                  [](const SampleOperands& in) {
                    return RandomNormal(
                        in.graph->State("step", {}, Zeros(), DType::kInt32),
                        {3, 5}, kKey, in.loc);
                  },
              .output = Float({3, 5}),
              .differentiated = Differentiated::kNotAsked});
  // Noise on what is differentiated: the rule of Mul, and none is needed here.
  table->Add({.op = "RandomNormal",
              .name = "times_an_operand",
              .inputs = {Floats({3, 5})},
              .build =
                  [](const SampleOperands& in) {
                    return Mul(in.x[0],
                               RandomNormal(in.graph->State("step", {}, Zeros(),
                                                            DType::kInt32),
                                            {3, 5}, kKey, in.loc));
                  },
              .output = Float({3, 5}),
              // The noise is rounded, then the product.
              .tolerance = {3 * kRounding}});
}

void AddRandomNormalErrors(SampleTable* table) {
  const char* const op = "RandomNormal";
  table->AddError(op, "float32_step", {Float({})}, Normals({2}),
                  "RandomNormal: expected an int32 step of rank 0, found [] "
                  "(step [] is input \"x0\", x.cc:0)");
  table->AddError(
      op, "uint8_step", {Byte({})}, Normals({2}),
      "RandomNormal: expected an int32 step of rank 0, found uint8[] (step "
      "uint8[] is input \"x0\", x.cc:0)");
  table->AddError(
      op, "steps", {Int({1})}, Normals({2}),
      "RandomNormal: expected an int32 step of rank 0, found int32[1] (step "
      "int32[1] is input \"x0\", x.cc:0)");
  table->AddError(op, "batch", {Int({})}, Normals({kBatch, 3}),
                  "RandomNormal: expected a shape of known dimensions, found "
                  "[batch,3] (step int32[] is input \"x0\", x.cc:0)");
  table->AddError(op, "negative", {Int({})}, Normals({-5}),
                  "RandomNormal: expected a shape of known dimensions, found "
                  "[-5] (step int32[] is input \"x0\", x.cc:0)");
}

}  // namespace

void AddRandomSamples(SampleTable* table) {
  AddRandomNormalRows(table);
  AddTwoOfThemRows(table);
  AddOwnStepRows(table);
  AddRandomNormalErrors(table);
}

}  // namespace tape::samples
