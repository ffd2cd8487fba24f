// The rows of framework/core/basic_ops.cc (op_samples.h).
#include <cfloat>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/basic_ops.h"
#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

// ---- SumTo, BroadcastTo and AddN ----

void AddSumRows(SampleTable* table) {
  struct Reduction {
    const char* name;
    Shape from;
    Shape to;
    Differentiated differentiated = Differentiated::kTwice;
  };
  constexpr Differentiated kCompiled = Differentiated::kCompiled;
  // Both directions between the two shapes: SumTo and BroadcastTo.
  const std::vector<Reduction> reductions = {
      {"first_axis", {4, 3}, {3}},
      {"first_axis_kept", {4, 3}, {1, 3}},
      {"last_axis", {4, 3}, {4, 1}},
      {"middle_axis", {2, 3, 4}, {2, 1, 4}},
      {"outer_axes", {2, 3, 4}, {1, 3, 1}},
      {"all", {2, 3, 4}, {}},
      {"nothing", {2, 3}, {2, 3}},
      {"leading_ones", {1, 1, 3}, {3}},
      {"one_element", {1, 1}, {1}},
      {"empty_rows", {0, 3}, {3}},
      {"empty_columns", {3, 0}, {3, 1}},
      {"empty_result", {3, 0}, {0}},
      {"empty_to_scalar", {0}, {}},
      {"batch", {kBatch, 3}, {3}},
      {"batch_to_scalar", {kBatch, 3}, {}},
      {"batch_kept", {kBatch, 3}, {kBatch, 1}},
      // Columns longer than two blocks of 128 terms, and no whole vectors.
      {"tall", {300, 5}, {5}},
      {"wide", {5, 300}, {5, 1}},
      // More than two chunks of 64 * 1024 (core/sum_kernels.cc).
      {"chunks_of_columns", {700, 301}, {301}, kCompiled},
      {"chunks_of_rows", {301, 700}, {301, 1}, kCompiled},
      {"two_stages", {40, 53, 101}, {53, 1}, kCompiled},
      {"large_to_scalar", {3, 100003}, {}, kCompiled},
  };
  for (const Reduction& reduction : reductions) {
    table->Add({.op = "SumTo",
                .name = reduction.name,
                .inputs = {Whole(reduction.from)},
                .build =
                    [to = reduction.to](const SampleOperands& in) {
                      return SumTo(in.x[0], to, in.loc);
                    },
                .output = Float(reduction.to),
                .differentiated = reduction.differentiated});
    OpSample broadcast = {.op = "BroadcastTo",
                          .name = reduction.name,
                          .inputs = {Whole(reduction.to)},
                          .build =
                              [to = reduction.from](const SampleOperands& in) {
                                return BroadcastTo(in.x[0], to, in.loc);
                              },
                          .output = Float(reduction.from),
                          .differentiated = reduction.differentiated};
    if (!reduction.from.is_bound()) {
      // An operand that says how large the batch is.
      broadcast.inputs.push_back(Whole({kBatch, 1}));
      broadcast.build = [to = reduction.from](const SampleOperands& in) {
        return Add(BroadcastTo(in.x[0], to, in.loc), in.x[1], in.loc);
      };
    }
    table->Add(std::move(broadcast));
  }
  for (const SampleInput& input : {Ints({3, 1}), Bytes({3, 1})}) {
    table->Add({.op = "BroadcastTo",
                .name = Name(input.dtype),
                .inputs = {input},
                .build =
                    [](const SampleOperands& in) {
                      return BroadcastTo(in.x[0], {2, 3, 211}, in.loc);
                    },
                .output = {input.dtype, {2, 3, 211}}});
  }
  const BuildSample sum_rows = [](const SampleOperands& in) {
    return SumTo(in.x[0], {3}, in.loc);
  };
  // Three roundings in a tree and one of the total.
  table->Add({.op = "SumTo",
              .name = "fractions",
              .inputs = {Floats({40, 3})},
              .build = sum_rows,
              .output = Float({3}),
              .tolerance = {.absolute = 4 * kRounding * 40}});
  table->Add({.op = "SumTo",
              .name = "extremes",
              .inputs = {Given({2, 3}, {kInf, kInf, kNan, 1, -kInf, 1})},
              .build = sum_rows,
              .output = Float({3}),
              .differentiated = Differentiated::kCompiled});

  for (int terms : {1, 2, 3, 7}) {
    for (const auto& [name, shape, differentiated] :
         std::vector<std::tuple<const char*, Shape, Differentiated>>{
             {"ordinary", {3, 5}, Differentiated::kTwice},
             {"scalar", {}, Differentiated::kTwice},
             {"empty", {3, 0}, Differentiated::kTwice},
             {"batch", {kBatch, 3}, Differentiated::kTwice},
             {"blocks", {5, 211}, Differentiated::kTwice},
             {"chunks", {3, 100003}, kCompiled}}) {
      table->Add(
          {.op = "AddN",
           .name = absl::StrCat(terms, "_", name),
           .inputs = std::vector<SampleInput>(terms, Whole(shape)),
           .build = [](const SampleOperands& in) { return AddN(in.x, in.loc); },
           .output = Float(shape),
           .differentiated = differentiated});
    }
  }
  table->Add(
      {.op = "AddN",
       .name = "extremes",
       .inputs = {Given({kInf, kInf, kNan, 3e38}), Given({1, -kInf, 1, 3e38})},
       .build = [](const SampleOperands& in) { return AddN(in.x, in.loc); },
       .output = Float({4}),
       .differentiated = Differentiated::kCompiled});
}

void AddSumErrors(SampleTable* table) {
  const auto sum_to = [](Shape shape) -> BuildSample {
    return [shape](const SampleOperands& in) {
      return SumTo(in.x[0], shape, in.loc);
    };
  };
  table->AddError(
      "SumTo", "shape", {Float({4, 3})}, sum_to({4}),
      "SumTo: shape [4,3] does not sum to shape [4] (x [4,3] is input \"x0\", "
      "x.cc:0)");
  table->AddError(
      "SumTo", "int32", {Int({4, 3})}, sum_to({3}),
      "SumTo: expected float32, found int32 (x int32[4,3] is input \"x0\", "
      "x.cc:0)");
  const auto broadcast_to = [](Shape shape) -> BuildSample {
    return [shape](const SampleOperands& in) {
      return BroadcastTo(in.x[0], shape, in.loc);
    };
  };
  table->AddError(
      "BroadcastTo", "shape", {Float({4, 3})}, broadcast_to({3}),
      "BroadcastTo: shape [4,3] does not broadcast to shape [3] (x [4,3] is "
      "input \"x0\", x.cc:0)");
  table->AddError(
      "BroadcastTo", "negative", {Float({1})}, broadcast_to({-5}),
      "BroadcastTo: expected dimensions of at least 0, or kBatch, found [-5] "
      "(x [1] is input \"x0\", x.cc:0)");
  const BuildSample add_n = [](const SampleOperands& in) {
    return AddN(in.x, in.loc);
  };
  table->AddError(
      "AddN", "shapes", {Float({2}), Float({3})}, add_n,
      "AddN: expected float32 operands of one shape, found [2] and [3] (x [2] "
      "is input \"x0\", x.cc:0; x [3] is input \"x1\", x.cc:1)");
  table->AddError(
      "AddN", "int32", {Int({2}), Int({2})}, add_n,
      "AddN: expected float32 operands of one shape, found int32[2] and "
      "int32[2] (x int32[2] is input \"x0\", x.cc:0; x int32[2] is input "
      "\"x1\", x.cc:1)");
}

// ---- Made from no operand ----

void AddSourceRows(SampleTable* table) {
  for (const auto& [name, shape, dtype] :
       std::vector<std::tuple<const char*, Shape, DType>>{
           {"ordinary", {3, 5}, DType::kFloat32},
           {"batch", {kBatch, 3}, DType::kFloat32},
           {"empty", {0, 3}, DType::kFloat32},
           {"int32", {3, 5}, DType::kInt32},
           {"uint8", {3, 5}, DType::kUint8}}) {
    SampleInput input = Whole(shape, 0, 100);
    input.dtype = dtype;
    table->Add({.op = "Input",
                .name = name,
                .inputs = {input},
                .build = [](const SampleOperands& in) { return in.x[0]; },
                .output = {dtype, shape}});
  }
  table->Add({.op = "Variable",
              .name = "parameter",
              .inputs = {},
              .build =
                  [](const SampleOperands& in) {
                    return in.graph->Parameter("w", {3, 5}, Glorot(),
                                               Tag::kAuto, in.loc);
                  },
              .output = Float({3, 5})});
  table->Add({.op = "Variable",
              .name = "state_int32",
              .inputs = {},
              .build =
                  [](const SampleOperands& in) {
                    return in.graph->State("count", {2}, Constant(-7),
                                           DType::kInt32, in.loc);
                  },
              .output = Int({2})});

  const auto fill = [&](const char* name, Shape shape, double value,
                        DType dtype = DType::kFloat32) {
    table->Add({.op = "Fill",
                .name = name,
                .inputs = {},
                .build =
                    [=](const SampleOperands& in) {
                      return Fill(in.graph, shape, value, dtype, in.loc);
                    },
                .output = {dtype, shape}});
  };
  fill("ordinary", {3, 5}, -2.5);
  fill("scalar", {}, 0.1);
  fill("empty", {0, 3}, 1);
  fill("infinity", {2}, kInf);
  fill("nan", {2}, kNan);
  fill("largest_float32", {2}, FLT_MAX);
  fill("beyond_float32", {2}, 1e300);
  fill("blocks", {5, 211}, 1);
  fill("int32", {3}, -2147483648.0, DType::kInt32);
  fill("uint8", {3}, 255, DType::kUint8);
  table->Add({.op = "Fill",
              .name = "batch",
              .inputs = {Floats({kBatch})},
              .build =
                  [](const SampleOperands& in) {
                    return Mul(in.x[0], Fill(in.graph, {kBatch}, 2,
                                             DType::kFloat32, in.loc));
                  },
              .output = Float({kBatch})});
  // Constants of one pass that only their bits tell apart: x / 0 - x / -0.
  table->Add({.op = "Fill",
              .name = "zeros_of_both_signs",
              .inputs = {Given({1, -1})},
              .build =
                  [](const SampleOperands& in) {
                    const Var x = in.x[0];
                    return Sub(Div(x, Fill(in.graph, {}, 0.0, DType::kFloat32,
                                           in.loc)),
                               Div(x, Fill(in.graph, {}, -0.0)));
                  },
              .output = Float({2}),
              .differentiated = Differentiated::kNotAsked});
  // (x = NaN) is 0 everywhere, at x = 2 too, where 2 x is 4.
  table->Add({.op = "Fill",
              .name = "nan_beside_a_number",
              .inputs = {Given({1, 2, kNan})},
              .build =
                  [](const SampleOperands& in) {
                    const Var x = in.x[0];
                    const Var is_nan = Equal(x, Fill(in.graph, {}, kNan));
                    return Add(
                        Mul(x, Fill(in.graph, {}, 2, DType::kFloat32, in.loc)),
                        Cast(is_nan, DType::kFloat32));
                  },
              .output = Float({3}),
              .differentiated = Differentiated::kNotAsked});
}

void AddSourceErrors(SampleTable* table) {
  table->AddError(
      "Input", "empty_name", {},
      [](const SampleOperands& in) {
        return in.graph->Input("", {2}, DType::kFloat32, in.loc);
      },
      "Input \"\": expected a name, found an empty one");
  table->AddError(
      "Input", "name_twice", {Float({2})},
      [](const SampleOperands& in) {
        return in.graph->Input("x0", {2}, DType::kFloat32, in.loc);
      },
      "Input \"x0\": expected a name of its own, found it taken at x.cc:0");
  table->AddError(
      "Variable", "batch", {},
      [](const SampleOperands& in) {
        return in.graph->Parameter("w", {kBatch, 2}, Zeros(), Tag::kAuto,
                                   in.loc);
      },
      "weight \"w\": a variable cannot have the batch dimension, found shape "
      "[batch,2]");
  const auto fill = [](Shape shape, double value, DType dtype) -> BuildSample {
    return [=](const SampleOperands& in) {
      return Fill(in.graph, shape, value, dtype, in.loc);
    };
  };
  table->AddError(
      "Fill", "negative", {}, fill({-5}, 1, DType::kFloat32),
      "Fill: expected dimensions of at least 0, or kBatch, found [-5]");
  table->AddError("Fill", "float64", {}, fill({2}, 1, DType::kFloat64),
                  "Fill: expected a dtype that nodes have, found float64");
  table->AddError("Fill", "fraction_of_int32", {},
                  fill({2}, 2.5, DType::kInt32),
                  "Fill: expected a value that int32 has, found 2.5");
  table->AddError("Fill", "beyond_int32", {}, fill({2}, 3e9, DType::kInt32),
                  "Fill: expected a value that int32 has, found 3e+09");
  table->AddError("Fill", "nan_of_int32", {}, fill({2}, kNan, DType::kInt32),
                  "Fill: expected a value that int32 has, found nan");
  table->AddError("Fill", "below_uint8", {}, fill({2}, -1, DType::kUint8),
                  "Fill: expected a value that uint8 has, found -1");
}

void AddCountUpRows(SampleTable* table) {
  const auto count = [](const SampleOperands& in) {
    return CountUp(in.x[0], in.loc);
  };
  table->Add({.op = "CountUp",
              .name = "ordinary",
              .inputs = {Ints({2, 3})},
              .build = count,
              .output = Int({2, 3}),
              .differentiated = Differentiated::kRefused});
  table->Add(
      {.op = "CountUp",
       .name = "extremes",
       .inputs = {Given({kMinInt, -1, 0, kMaxInt - 1, kMaxInt}, DType::kInt32)},
       .build = count,
       .output = Int({5}),
       .differentiated = Differentiated::kRefused});
  table->AddError("CountUp", "float32", {Float({2})}, count,
                  "CountUp: expected int32, found [2] (counter [2] is input "
                  "\"x0\", x.cc:0)");
}

// Which only the compiler appends.
void AddKeepUnlessRows(SampleTable* table) {
  const auto keep = [](const SampleOperands& in) {
    return Append(kKeepUnless, {in.x[0], in.x[1], in.x[2]}, {}, in.loc);
  };
  for (const double condition : {0, 1}) {
    table->Add({.op = "KeepUnless",
                .name = condition == 0 ? "not" : "kept",
                .inputs = {Given({}, {condition}, DType::kUint8),
                           Floats({kBatch, 3}), Floats({kBatch, 3})},
                .build = keep,
                .output = Float({kBatch, 3})});
    table->Add({.op = "KeepUnless",
                .name = condition == 0 ? "extremes_not" : "extremes_kept",
                .inputs = {Given({}, {condition}, DType::kUint8),
                           Given({4}, {1, kInf, kNan, -0.0}), Floats({4})},
                .build = keep,
                .output = Float({4}),
                .differentiated = Differentiated::kCompiled});
    table->Add({.op = "KeepUnless",
                .name = condition == 0 ? "int32_not" : "int32_kept",
                .inputs = {Given({}, {condition}, DType::kUint8), Ints({2, 3}),
                           Ints({2, 3})},
                .build = keep,
                .output = Int({2, 3}),
                .differentiated = Differentiated::kRefused});
  }
  table->AddError(
      "KeepUnless", "condition_of_many",
      {TensorType{DType::kUint8, {2}}, Float({2}), Float({2})}, keep,
      "KeepUnless: expected a uint8 of rank 0, and two of one type, float32 or "
      "int32 (condition uint8[2] is input \"x0\", x.cc:0; value [2] is input "
      "\"x1\", x.cc:1; old [2] is input \"x2\", x.cc:2)");
}

// As plans for inference have it; tests/core/mode_test.cc has both modes.
void AddByModeRows(SampleTable* table) {
  const auto by_mode = [](const SampleOperands& in) {
    return ByMode(in.x[0], in.x[1], in.loc);
  };
  for (const Shape& shape : {Shape{}, Shape{2, 3}, Shape{kBatch, 2}}) {
    table->Add({.op = "ByMode",
                .name = "rank" + std::to_string(shape.rank()) + "_" +
                        (shape.is_bound() ? "bound" : "batch"),
                .inputs = {Floats(shape), Floats(shape)},
                .build = by_mode,
                .output = Float(shape)});
  }
  table->Add({.op = "ByMode",
              .name = "int32",
              .inputs = {Ints({4}), Ints({4})},
              .build = by_mode,
              .output = Int({4})});
  table->AddError("ByMode", "two_types", {Float({2}), Int({2})}, by_mode,
                  "ByMode: expected two of one type (training [2] is input "
                  "\"x0\", x.cc:0; inference int32[2] is input \"x1\", "
                  "x.cc:1)");
}

}  // namespace

void AddCoreSamples(SampleTable* table) {
  AddSumRows(table);
  AddSumErrors(table);
  AddSourceRows(table);
  AddSourceErrors(table);
  AddCountUpRows(table);
  AddKeepUnlessRows(table);
  AddByModeRows(table);
}

}  // namespace tape::samples
