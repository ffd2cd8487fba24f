// Products of bfloat16 on a processor without them (OpDef::machine): the graph is
// declared and its reference evaluated; Compile refuses, with the product's
// line.
#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/bfloat16_testing.h"

namespace tape {
namespace {

// Before oneDNN looks at the processor: what lacks AVX-512 lacks this too.
[[maybe_unused]] const int kOlderProcessor =
    setenv("ONEDNN_MAX_CPU_ISA", "AVX2", /*overwrite=*/1);

void ExpectRefusal(const Graph& graph, const CompileOptions& options,
                   absl::string_view message) {
  ASSERT_TRUE(graph.status().ok()) << graph.status();
  const absl::Status status = Compile(graph, options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), absl::StrCat(message, ": ", kNoBFloat16Products));
}

TEST(MachineTest, AGraphOfBFloat16ProductsIsDeclaredAnywhere) {
  Graph graph;
  const Var x = graph.Input("x", {2, 2}), c = graph.Input("c", {2, 2});
  const Var low = Cast(x, DType::kBFloat16);
  const Var y = MatMul(low, low, {}, {"net.cc", 7});
  const Var sum = MatMulAdd(low, low, c, {}, {"net.cc", 8});
  const Var stack = Reshape(low, {1, 2, 2});
  const Var batch = MatMul(stack, stack, {}, {"net.cc", 9});
  ExpectRefusal(graph, {.fetch = {y}}, "net.cc:7: MatMul");
  ExpectRefusal(graph, {.fetch = {sum}}, "net.cc:8: MatMulAdd");
  ExpectRefusal(graph, {.fetch = {batch}}, "net.cc:9: BatchMatMul");
  // What does not need the products.
  EXPECT_TRUE(Compile(graph, {.fetch = {Cast(low, DType::kFloat32)}}).ok());

  Tensor value(TensorType{DType::kFloat64, {2, 2}});
  for (int i = 0; i < 4; ++i) value.values<double>()[i] = i;
  const auto exact = EvaluateReference({y}, {{x, value}});
  ASSERT_TRUE(exact.ok()) << exact.status();
  EXPECT_EQ(exact->front().values<double>()[3], 11);  // 2 * 1 + 3 * 3
}

TEST(MachineTest, RefusesTheLoweringOfAProduct) {
  Graph graph;
  const Var x = graph.Input("x", {4, 3});
  const Var y = MatMul(x, x, {.rhs = true}, {"net.cc", 7});
  ExpectRefusal(graph, {.fetch = {y}, .precision = Precision::kBFloat16},
                "net.cc:7: MatMul");
  EXPECT_TRUE(Compile(graph, {.fetch = {y}}).ok());
}

}  // namespace
}  // namespace tape
