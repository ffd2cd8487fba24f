// The rows of ops/batch_matmul.cc (op_samples.h).
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/gradients.h"
#include "ops/ops.h"
#include "tests/bfloat16_testing.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

constexpr Differentiated kTwice = Differentiated::kTwice;
constexpr Differentiated kCompiled = Differentiated::kCompiled;

BuildSample Product(Transposes transposes = {}) {
  return [transposes](const SampleOperands& in) {
    return MatMul(in.x[0], in.x[1], transposes, in.loc);
  };
}

// With the last two axes exchanged.
Shape Swapped(const Shape& shape) {
  absl::InlinedVector<int64_t, 4> dims(shape.dims().begin(),
                                       shape.dims().end());
  std::swap(dims[dims.size() - 1], dims[dims.size() - 2]);
  return Shape(dims);
}

void AddBatchMatMul(SampleTable* table) {
  struct Case {
    const char* name;
    Shape a, b, y;
    Differentiated differentiated = kTwice;
  };
  for (const Case& c : std::vector<Case>{
           {"ordinary", {2, 3, 4}, {2, 4, 5}, {2, 3, 5}},
           {"one_matrix", {2, 3, 4}, {4, 5}, {2, 3, 5}},
           {"one_matrix_to_the_left", {3, 4}, {2, 4, 5}, {2, 3, 5}},
           {"broadcast", {2, 1, 3, 4}, {3, 4, 5}, {2, 3, 3, 5}},
           {"broadcast_one", {1, 3, 4}, {2, 4, 5}, {2, 3, 5}},
           {"one_element", {1, 1, 1}, {1, 1, 1}, {1, 1, 1}},
           {"no_matrices", {0, 3, 4}, {0, 4, 5}, {0, 3, 5}},
           {"no_terms", {2, 3, 0}, {2, 0, 5}, {2, 3, 5}},
           {"no_terms_of_one_matrix", {2, 3, 0}, {0, 5}, {2, 3, 5}},
           {"no_rows", {2, 0, 4}, {2, 4, 5}, {2, 0, 5}},
           {"batch", {kBatch, 3, 4}, {kBatch, 4, 5}, {kBatch, 3, 5}},
           {"batch_and_one_matrix", {kBatch, 3, 4}, {4, 5}, {kBatch, 3, 5}},
           {"batch_of_terms", {2, 3, kBatch}, {2, kBatch, 5}, {2, 3, 5}},
           // Of a million operations each (ops/onednn.cc), and of rows.
           {"chunks", {41, 64, 33}, {41, 33, 50}, {41, 64, 50}, kCompiled},
           {"chunks_of_rows", {41, 64, 33}, {33, 50}, {41, 64, 50}, kCompiled},
       }) {
    for (const Transposes transposes :
         {Transposes{}, Transposes{.lhs = true}, Transposes{.rhs = true},
          Transposes{.lhs = true, .rhs = true}}) {
      // Sums of products of small whole numbers are exact.
      table->Add({.op = "BatchMatMul",
                  .name = absl::StrCat(
                      c.name, transposes.lhs ? "_lhs" : "",
                      transposes.rhs ? "_rhs" : "",
                      transposes.lhs || transposes.rhs ? "_transposed" : ""),
                  .inputs = {Whole(transposes.lhs ? Swapped(c.a) : c.a),
                             Whole(transposes.rhs ? Swapped(c.b) : c.b)},
                  .build = Product(transposes),
                  .output = Float(c.y),
                  .differentiated = c.differentiated});
    }
  }
  // As of MatMul (op_samples_matmul.cc).
  constexpr int kTerms = 40;
  table->Add(
      {.op = "BatchMatMul",
       .name = "fractions",
       .inputs = {Floats({3, 7, kTerms}), Floats({3, kTerms, 9})},
       .build = Product(),
       .output = Float({3, 7, 9}),
       .tolerance = {.absolute = kRounding * kTerms * (kTerms + 1) / 2}});
  // A matrix touches its own product only.
  table->Add({.op = "BatchMatMul",
              .name = "extremes",
              .inputs = {Given({4, 1, 2}, {1, 2, kInf, 1, kNan, 1, 1e38, 1e38}),
                         Given({2, 3}, {3, 1, -1, 4, 2, 30})},
              .build = Product(),
              .output = Float({4, 1, 3}),
              .differentiated = Differentiated::kNotAsked});
  table->Add({.op = "BatchMatMul",
              .name = "of_a_transpose",
              .inputs = {Whole({2, 3, 4}), Whole({2, 3, 4})},
              .build =
                  [](const SampleOperands& in) {
                    return MatMul(in.x[0],
                                  Transpose(in.x[1], {0, 2, 1}, in.loc), {},
                                  in.loc);
                  },
              .output = Float({2, 3, 3})});

  // Where the processor has no such products, Compile refuses them
  // (tests/compiler/machine_test.cc).
  const auto bfloat16s = [](Shape shape) {
    SampleInput input = Whole(std::move(shape));
    input.dtype = DType::kBFloat16;
    return input;
  };
  for (const auto& [name, a, b, y] :
       std::vector<std::tuple<const char*, Shape, Shape, Shape>>{
           {"bfloat16", {3, 17, 19}, {3, 19, 23}, {3, 17, 23}},
           {"bfloat16_one_matrix", {3, 17, 19}, {19, 23}, {3, 17, 23}}}) {
    if (!HasBFloat16Products()) continue;
    table->Add({.op = "BatchMatMul",
                .name = name,
                .inputs = {bfloat16s(a), bfloat16s(b)},
                .build = Product(),
                .output = Float(y),
                .differentiated = Differentiated::kNotAsked});
  }

  const auto refuse = [&](const char* name, TensorType a, TensorType b,
                          const std::string& message) {
    table->AddError("BatchMatMul", name, {a, b}, Product(),
                    absl::StrCat("BatchMatMul: ", message, " (lhs ",
                                 a.ToString(), " is input \"x0\", x.cc:0; rhs ",
                                 b.ToString(), " is input \"x1\", x.cc:1)"));
  };
  refuse("inner", Float({2, 3, 4}), Float({2, 5, 4}),
         "inner dimensions 4 and 5 differ");
  refuse("vector", Float({2, 3, 4}), Float({4}),
         "expected matrices, or batches of them, found [2,3,4] and [4]");
  refuse("int32", Float({2, 3, 4}), Int({2, 4, 5}),
         "expected float32, found int32");
  const absl::StatusOr<Shape> both = Broadcast({2}, {3});
  refuse("leading", Float({2, 3, 4}), Float({3, 4, 5}),
         std::string(both.status().message()));
}

// ---- MatMulOfRows: no function of ops.h, but in BatchMatMul's gradient ----

void AddMatMulOfRows(SampleTable* table) {
  for (const bool transposed : {false, true}) {
    for (const auto& [name, a, differentiated] :
         std::vector<std::tuple<const char*, Shape, Differentiated>>{
             {"ordinary", {2, 3, 4}, kTwice},
             {"four_axes", {2, 2, 3, 4}, kTwice},
             {"no_rows", {2, 0, 4}, kTwice},
             {"batch", {kBatch, 3, 4}, kTwice},
             {"chunks", {41, 640, 4}, kCompiled}}) {
      const Shape b = transposed ? Shape{5, 4} : Shape{4, 5};
      table->Add({.op = "MatMulOfRows",
                  .name = absl::StrCat(name, transposed ? "_transposed" : ""),
                  // Few enough for sums of products of products to be exact.
                  .inputs = {Whole(a, -2, 3), Whole(b, -2, 3)},
                  .build =
                      [transposed](const SampleOperands& in) {
                        const Var y =
                            Square(MatMul(in.x[0], in.x[1], {.rhs = transposed},
                                          in.loc),
                                   in.loc);
                        const Var sum = Sum(y, {}, Axes::kDrop, in.loc);
                        return Gradients(sum, {in.x[1]}, {}, in.loc)[0];
                      },
                  .output = Float(b),
                  .differentiated = differentiated});
    }
  }
}

// ---- What is composed ----

void AddVectors(SampleTable* table) {
  const auto add = [&](const char* op, const char* name, SampleInput a,
                       SampleInput b, BuildSample build, Shape y,
                       std::vector<double> values = {}) {
    table->Add({.op = op,
                .name = name,
                .inputs = {std::move(a), std::move(b)},
                .build = std::move(build),
                .output = Float(std::move(y)),
                .values = std::move(values)});
  };
  const BuildSample mat_vec = Binary(MatVec), dot = Binary(Dot),
                    outer = Binary(Outer);
  add("MatVec", "ordinary", Given({2, 3}, {1, 2, 3, 4, 5, 6}), Given({1, 2, 3}),
      mat_vec, {2}, {14, 32});
  add("MatVec", "of_each", Whole({2, 3, 4}), Whole({2, 4}), mat_vec, {2, 3});
  add("MatVec", "broadcast", Whole({3, 4}), Whole({2, 4}), mat_vec, {2, 3});
  add("MatVec", "batch", Whole({3, 4}), Whole({kBatch, 4}), mat_vec,
      {kBatch, 3});
  add("MatVec", "one_element", Whole({1, 1}), Whole({1}), mat_vec, {1});
  add("MatVec", "empty", Whole({0, 4}), Whole({4}), mat_vec, {0});
  add("MatVec", "no_terms", Whole({3, 0}), Whole({0}), mat_vec, {3});
  add("Dot", "ordinary", Given({1, 2, 3}), Given({4, 5, 6}), dot, {}, {32});
  add("Dot", "of_each", Whole({2, 3}), Whole({2, 3}), dot, {2});
  add("Dot", "broadcast", Whole({2, 3}), Whole({3}), dot, {2});
  add("Dot", "batch", Whole({kBatch, 3}), Whole({kBatch, 3}), dot, {kBatch});
  add("Dot", "no_terms", Whole({0}), Whole({0}), dot, {});
  add("Outer", "ordinary", Given({1, 2}), Given({3, 4, 5}), outer, {2, 3},
      {3, 4, 5, 6, 8, 10});
  add("Outer", "of_each", Whole({2, 3}), Whole({2, 4}), outer, {2, 3, 4});
  add("Outer", "broadcast", Whole({3}), Whole({2, 4}), outer, {2, 3, 4});
  add("Outer", "batch", Whole({kBatch, 3}), Whole({kBatch, 4}), outer,
      {kBatch, 3, 4});
  add("Outer", "empty", Whole({0}), Whole({4}), outer, {0, 4});

  const auto refuse = [&](const char* op, const char* name, BuildSample build,
                          std::pair<const char*, const char*> operands,
                          TensorType a, TensorType b, const char* message) {
    table->AddError(
        op, name, {a, b}, std::move(build),
        absl::StrCat(op, ": ", message, " (", operands.first, " ", a.ToString(),
                     " is input \"x0\", x.cc:0; ", operands.second, " ",
                     b.ToString(), " is input \"x1\", x.cc:1)"));
  };
  refuse("MatVec", "inner", mat_vec, {"matrix", "vector"}, Float({2, 3}),
         Float({2}), "inner dimensions 3 and 2 differ");
  refuse("MatVec", "rank", mat_vec, {"matrix", "vector"}, Float({3}),
         Float({3}), "expected a matrix and a vector, found [3] and [3]");
  refuse("MatVec", "int32", mat_vec, {"matrix", "vector"}, Float({2, 3}),
         Int({3}), "expected float32, found int32");
  refuse("Dot", "inner", dot, {"a", "b"}, Float({3}), Float({4}),
         "inner dimensions 3 and 4 differ");
  refuse("Dot", "rank", dot, {"a", "b"}, Float({}), Float({4}),
         "expected two vectors, found [] and [4]");
  refuse("Outer", "int32", outer, {"a", "b"}, Int({3}), Float({4}),
         "expected float32, found int32");
}

}  // namespace

void AddBatchMatMulSamples(SampleTable* table) {
  AddBatchMatMul(table);
  AddMatMulOfRows(table);
  AddVectors(table);
}

}  // namespace tape::samples
