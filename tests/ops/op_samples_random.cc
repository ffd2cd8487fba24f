// The rows of ops/random.cc (op_samples.h).
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/random.h"
#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

constexpr RandomKey kKey = {.seed = 7, .stream = 3};

using Draws = Var (*)(Var, Shape, RandomKey, Loc);

BuildSample Drawn(Draws draw, Shape shape, RandomKey key = kKey) {
  return [=](const SampleOperands& in) {
    return draw(in.x[0], shape, key, in.loc);
  };
}

SampleInput AtStep(double step) { return Given({}, {step}, DType::kInt32); }

// The kernel draws what the reference does, and rounds it once: all rows are
// exact.
void AddRandomRows(const char* op, Draws draw, SampleTable* table) {
  const auto add = [&](const char* name, Shape shape, double step = 5,
                       RandomKey key = kKey) {
    table->Add({.op = op,
                .name = name,
                .inputs = {AtStep(step)},
                .build = Drawn(draw, shape, key),
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
  table->Add({.op = "RandomUniform",
              .name = "of_the_batch",
              .inputs = {Floats({kBatch, 5})},
              .build =
                  [](const SampleOperands& in) {
                    return Mul(
                        in.x[0],
                        RandomUniform(
                            in.graph->State("step", {}, Zeros(), DType::kInt32),
                            {kBatch, 5}, kKey, in.loc),
                        in.loc);
                  },
              .output = Float({kBatch, 5})});
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

void AddRandomErrors(const char* op, Draws draw, SampleTable* table) {
  const auto refuse = [&](const char* name, TensorType step, Shape shape,
                          const std::string& message) {
    table->AddError(op, name, {step}, Drawn(draw, std::move(shape)),
                    absl::StrCat(op, ": ", message, " (step ", step.ToString(),
                                 " is input \"x0\", x.cc:0)"));
  };
  refuse("float32_step", Float({}), {2},
         "expected an int32 step of rank 0, found []");
  refuse("uint8_step", Byte({}), {2},
         "expected an int32 step of rank 0, found uint8[]");
  refuse("steps", Int({1}), {2},
         "expected an int32 step of rank 0, found int32[1]");
  refuse("negative", Int({}), {-5},
         "expected dimensions of at least 0, or kBatch, found [-5]");
}

// ---- Dropout ----

void AddDropout(SampleTable* table) {
  const auto build = [](double rate) -> BuildSample {
    return [=](const SampleOperands& in) {
      return Dropout(in.x[0], rate, in.x[1], kKey, in.loc);
    };
  };
  const auto add = [&](const char* name, SampleInput x, double rate,
                       std::vector<double> values = {},
                       Differentiated differentiated = Differentiated::kTwice) {
    const Shape shape = x.shape;
    table->Add({.op = "Dropout",
                .name = name,
                .inputs = {std::move(x), AtStep(5)},
                .build = build(rate),
                .output = Float(shape),
                // The factor is rounded, then the product.
                .tolerance = {3 * kRounding},
                .differentiated = differentiated,
                .values = std::move(values)});
  };
  add("ordinary", Floats({3, 5}), 0.4);
  add("of_nothing", Given({4}, {1, 2, 3, 4}), 0, {1, 2, 3, 4});
  // Even of what is infinite.
  add("of_almost_all", Floats({4}), 0.9999, {0, 0, 0, 0});
  add("of_infinity", Given({2}, {kInf, kNan}), 0.9999, {0, 0},
      Differentiated::kCompiled);
  add("empty", Floats({0, 3}), 0.5);
  add("batch", Floats({kBatch, 3}), 0.5);
  const auto refuse = [&](const char* name, TensorType x, TensorType step,
                          double rate, const std::string& message) {
    table->AddError("Dropout", name, {x, step}, build(rate),
                    absl::StrCat("Dropout: ", message, " (x ", x.ToString(),
                                 " is input \"x0\", x.cc:0; step ",
                                 step.ToString(), " is input \"x1\", x.cc:1)"));
  };
  refuse("all", Float({3}), Int({}), 1,
         "expected a rate of at least 0 and below 1, found 1");
  refuse("negative", Float({3}), Int({}), -0.5,
         "expected a rate of at least 0 and below 1, found -0.5");
  refuse("int32", Int({3}), Int({}), 0.5, "expected float32, found int32");
  refuse("step", Float({3}), Float({}), 0.5,
         "expected an int32 step of rank 0, found []");
}

}  // namespace

void AddRandomSamples(SampleTable* table) {
  AddRandomRows("RandomNormal", RandomNormal, table);
  AddRandomRows("RandomUniform", RandomUniform, table);
  AddTwoOfThemRows(table);
  AddOwnStepRows(table);
  AddRandomErrors("RandomNormal", RandomNormal, table);
  AddRandomErrors("RandomUniform", RandomUniform, table);
  AddDropout(table);
}

}  // namespace tape::samples
