// The rows of ops/matmul.cc (op_samples.h).
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/op_table.h"
#include "ops/ops.h"
#include "tests/bfloat16_testing.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

void AddMatMulRows(SampleTable* table) {
  struct Size {
    const char* name;
    int64_t m, k, n;
    Differentiated differentiated = Differentiated::kTwice;
  };
  const std::vector<Size> sizes = {
      {"ordinary", 3, 4, 5},
      {"one_element", 1, 1, 1},
      {"row", 1, 7, 5},
      {"column", 5, 7, 1},
      {"outer", 6, 1, 5},
      {"vectors", 1, 33, 1},
      {"odd", 17, 19, 23},
      {"no_rows", 0, 4, 5},
      {"no_columns", 3, 4, 0},
      {"no_terms", 3, 0, 5},
      {"batch", kBatch, 4, 5},
      // Two chunks and more, of rows and of columns (ops/onednn.cc), the last
      // of them shorter.
      {"chunks_of_rows", 331, 127, 120, Differentiated::kCompiled},
      {"chunks_of_columns", 120, 127, 331, Differentiated::kCompiled},
      // The same of four, which are not all of one length.
      {"four_chunks", 401, 127, 120, Differentiated::kCompiled},
  };
  for (const Size& size : sizes) {
    for (const Transposes transposes :
         {Transposes{}, Transposes{.lhs = true}, Transposes{.rhs = true},
          Transposes{.lhs = true, .rhs = true}}) {
      const Shape a =
          transposes.lhs ? Shape{size.k, size.m} : Shape{size.m, size.k};
      const Shape b =
          transposes.rhs ? Shape{size.n, size.k} : Shape{size.k, size.n};
      // Sums of products of small whole numbers are exact.
      table->Add({.op = "MatMul",
                  .name = absl::StrCat(
                      size.name, transposes.lhs ? "_lhs" : "",
                      transposes.rhs ? "_rhs" : "",
                      transposes.lhs || transposes.rhs ? "_transposed" : ""),
                  .inputs = {Whole(a), Whole(b)},
                  .build =
                      [transposes](const SampleOperands& in) {
                        return MatMul(in.x[0], in.x[1], transposes, in.loc);
                      },
                  .output = Float({size.m, size.n}),
                  .differentiated = size.differentiated});
      for (const auto& [scales, alpha, beta] :
           {std::tuple("", 1.0, 1.0), std::tuple("_scaled", -2.0, 0.5),
            std::tuple("_without_addend", 3.0, 0.0)}) {
        const MatMulAddOptions options = {
            .alpha = alpha, .beta = beta, .transposes = transposes};
        table->Add(
            {.op = "MatMulAdd",
             .name = absl::StrCat(
                 size.name, transposes.lhs ? "_lhs" : "",
                 transposes.rhs ? "_rhs" : "",
                 transposes.lhs || transposes.rhs ? "_transposed" : "", scales),
             .inputs = {Whole(a), Whole(b), Whole({size.m, size.n})},
             .build =
                 [options](const SampleOperands& in) {
                   return MatMulAdd(in.x[0], in.x[1], in.x[2], options, in.loc);
                 },
             .output = Float({size.m, size.n}),
             .differentiated = size.differentiated});
      }
    }
  }
  const BuildSample build = [](const SampleOperands& in) {
    return MatMul(in.x[0], in.x[1], {}, in.loc);
  };
  // k products of magnitude up to 1 and k sums: k (k + 1) / 2 roundings at
  // worst, of terms up to 1 each.
  constexpr int kTerms = 40;
  table->Add(
      {.op = "MatMul",
       .name = "fractions",
       .inputs = {Floats({7, kTerms}), Floats({kTerms, 9})},
       .build = build,
       .output = Float({7, 9}),
       .tolerance = {.absolute = kRounding * kTerms * (kTerms + 1) / 2}});
  // A product touches what it multiplies only: row 0 must stay finite.
  table->Add({.op = "MatMul",
              .name = "extremes",
              .inputs = {Given({4, 2}, {1, 2, kInf, 1, kNan, 1, 1e38, 1e38}),
                         Given({2, 3}, {3, 1, -1, 4, 2, 30})},
              .build = build,
              .output = Float({4, 3}),
              .differentiated = Differentiated::kNotAsked});
  table->Add({.op = "MatMul",
              .name = "square_of_one_operand",
              .inputs = {Floats({3, 3})},
              .build =
                  [](const SampleOperands& in) {
                    return MatMul(in.x[0], in.x[0], {}, in.loc);
                  },
              .output = Float({3, 3}),
              // Three products and three sums of terms up to 1.
              .tolerance = {.absolute = 6 * kRounding}});
}

// What compiler/read_bytes.cc makes of products: declared by nobody else.
void AddRowsOfBytes(SampleTable* table) {
  for (const Transposes transposes :
       {Transposes{}, Transposes{.lhs = true}, Transposes{.rhs = true},
        Transposes{.lhs = true, .rhs = true}}) {
    for (const auto& [size, m, k, n] :
         {std::tuple("odd", 17, 19, 23), std::tuple("one_element", 1, 1, 1),
          std::tuple("strips", 150, 21, 40), std::tuple("no_terms", 3, 0, 5),
          std::tuple("batch", int{kBatch}, 4, 5),
          std::tuple("chunks_of_rows", 331, 127, 120),
          std::tuple("chunks_of_columns", 120, 127, 331)}) {
      const SampleInput a =
          Bytes(transposes.lhs ? Shape{k, m} : Shape{m, k}, 0, 50);
      const SampleInput b = Whole(transposes.rhs ? Shape{n, k} : Shape{k, n});
      const std::string name = absl::StrCat(
          size, transposes.lhs ? "_lhs" : "", transposes.rhs ? "_rhs" : "",
          transposes.lhs || transposes.rhs ? "_transposed" : "");
      Attributes attributes;
      attributes.value = -0.5;
      attributes.alpha = 2;
      attributes.beta = 0.25;
      attributes.transpose_lhs = transposes.lhs;
      attributes.transpose_rhs = transposes.rhs;
      for (const bool adds : {false, true}) {
        const char* const op = adds ? "MatMulAddOfBytes" : "MatMulOfBytes";
        OpSample sample = {.op = op,
                           .name = name,
                           .inputs = {a, b},
                           .build =
                               [op, attributes](const SampleOperands& in) {
                                 return Append(*FindOp(op), in.x, attributes,
                                               in.loc);
                               },
                           .output = Float({m, n}),
                           .differentiated = Differentiated::kRefused};
        if (adds) sample.inputs.push_back(Whole({m, n}));
        table->Add(sample);
      }
    }
  }
  const auto build = [](const char* op) -> BuildSample {
    return [op](const SampleOperands& in) {
      return Append(*FindOp(op), in.x, {}, in.loc);
    };
  };
  table->AddError("MatMulOfBytes", "float32", {Float({2, 3}), Float({3, 4})},
                  build("MatMulOfBytes"),
                  "MatMulOfBytes: expected uint8, found [2,3] (lhs [2,3] is "
                  "input \"x0\", x.cc:0; rhs [3,4] is input \"x1\", x.cc:1)");
  table->AddError(
      "MatMulAddOfBytes", "addend",
      {TensorType{DType::kUint8, {2, 3}}, Float({3, 4}), Float({4})},
      build("MatMulAddOfBytes"),
      "MatMulAddOfBytes: expected an addend of the product's shape "
      "[2,4], found [4] (lhs uint8[2,3] is input \"x0\", x.cc:0; "
      "rhs [3,4] is input \"x1\", x.cc:1; addend [4] is input "
      "\"x2\", x.cc:2)");
}

// Where the processor has no such products, Compile refuses them
// (tests/compiler/machine_test.cc).
void AddBFloat16Rows(SampleTable* table) {
  for (const Transposes transposes :
       {Transposes{}, Transposes{.lhs = true}, Transposes{.rhs = true},
        Transposes{.lhs = true, .rhs = true}}) {
    for (const auto& [size, m, k, n] :
         {std::tuple("odd", 17, 19, 23), std::tuple("no_terms", 3, 0, 5),
          std::tuple("chunks_of_rows", 331, 127, 120),
          std::tuple("chunks_of_columns", 120, 127, 331)}) {
      SampleInput a = Whole(transposes.lhs ? Shape{k, m} : Shape{m, k});
      SampleInput b = Whole(transposes.rhs ? Shape{n, k} : Shape{k, n});
      a.dtype = b.dtype = DType::kBFloat16;
      const std::string name =
          absl::StrCat("bfloat16_", size, transposes.lhs ? "_lhs" : "",
                       transposes.rhs ? "_rhs" : "",
                       transposes.lhs || transposes.rhs ? "_transposed" : "");
      const BuildSample product = [transposes](const SampleOperands& in) {
        return MatMul(in.x[0], in.x[1], transposes, in.loc);
      };
      const BuildSample sum = [transposes](const SampleOperands& in) {
        return MatMulAdd(in.x[0], in.x[1], in.x[2],
                         {.alpha = -2, .beta = 0.5, .transposes = transposes},
                         in.loc);
      };
      if (!HasBFloat16Products()) continue;
      table->Add({.op = "MatMul",
                  .name = name,
                  .inputs = {a, b},
                  .build = product,
                  .output = Float({m, n}),
                  .differentiated = Differentiated::kNotAsked});
      table->Add({.op = "MatMulAdd",
                  .name = name,
                  .inputs = {a, b, Whole({m, n})},
                  .build = sum,
                  .output = Float({m, n}),
                  .differentiated = Differentiated::kNotAsked});
    }
  }
}

void AddMatMulErrors(SampleTable* table) {
  table->AddError(
      "MatMul", "bfloat16_and_float32",
      {{DType::kBFloat16, {2, 3}}, Float({3, 4})},
      [](const SampleOperands& in) {
        return MatMul(in.x[0], in.x[1], {}, in.loc);
      },
      "MatMul: expected float32, found bfloat16 (lhs bfloat16[2,3] is input "
      "\"x0\", x.cc:0; rhs [3,4] is input \"x1\", x.cc:1)");
  const auto mat_mul = [](Transposes transposes) -> BuildSample {
    return [transposes](const SampleOperands& in) {
      return MatMul(in.x[0], in.x[1], transposes, in.loc);
    };
  };
  table->AddError(
      "MatMul", "inner", {Float({4, 8}), Float({9, 1})}, mat_mul({}),
      "MatMul: inner dimensions 8 and 9 differ (lhs [4,8] is input \"x0\", "
      "x.cc:0; rhs [9,1] is input \"x1\", x.cc:1)");
  table->AddError(
      "MatMul", "inner_transposed", {Float({4, 8}), Float({8, 1})},
      mat_mul({.lhs = true}),
      "MatMul: inner dimensions 4 and 8 differ (lhs [4,8] is input \"x0\", "
      "x.cc:0; rhs [8,1] is input \"x1\", x.cc:1)");
  table->AddError(
      "MatMul", "inner_batch", {Float({4, kBatch}), Float({8, 1})}, mat_mul({}),
      "MatMul: inner dimensions batch and 8 differ (lhs [4,batch] is input "
      "\"x0\", x.cc:0; rhs [8,1] is input \"x1\", x.cc:1)");
  table->AddError(
      "MatMul", "rank", {Float({8}), Float({8, 1})}, mat_mul({}),
      "MatMul: expected two matrices, found [8] and [8,1] (lhs [8] is input "
      "\"x0\", x.cc:0; rhs [8,1] is input \"x1\", x.cc:1)");
  table->AddError(
      "MatMul", "int32", {Float({4, 8}), Int({8, 1})}, mat_mul({}),
      "MatMul: expected float32, found int32 (lhs [4,8] is input \"x0\", "
      "x.cc:0; rhs int32[8,1] is input \"x1\", x.cc:1)");
}

void AddMatMulAddErrors(SampleTable* table) {
  const BuildSample build = [](const SampleOperands& in) {
    return MatMulAdd(in.x[0], in.x[1], in.x[2], {}, in.loc);
  };
  table->AddError(
      "MatMulAdd", "inner", {Float({4, 8}), Float({9, 1}), Float({4, 1})},
      build,
      "MatMulAdd: inner dimensions 8 and 9 differ (lhs [4,8] is input \"x0\", "
      "x.cc:0; rhs [9,1] is input \"x1\", x.cc:1; addend [4,1] is input "
      "\"x2\", x.cc:2)");
  table->AddError(
      "MatMulAdd", "addend", {Float({4, 8}), Float({8, 3}), Float({3})}, build,
      "MatMulAdd: expected an addend of the product's shape [4,3], found [3] "
      "(lhs [4,8] is input \"x0\", x.cc:0; rhs [8,3] is input \"x1\", x.cc:1; "
      "addend [3] is input \"x2\", x.cc:2)");
}

}  // namespace

void AddMatMulSamples(SampleTable* table) {
  AddMatMulRows(table);
  AddRowsOfBytes(table);
  AddBFloat16Rows(table);
  AddMatMulErrors(table);
  AddMatMulAddErrors(table);
}

}  // namespace tape::samples
