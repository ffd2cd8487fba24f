// The table of ops (ops/op_table.h): each op that the sample table's graphs have
// is found by its name.
#include "ops/op_table.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "framework/core/gradients.h"
#include "framework/core/graph.h"
#include "ops/ops.h"
#include "tests/ops/op_samples.h"

namespace tape {
namespace {

TEST(OpTableTest, HasEachOpOfTheSamplesAndOfTheirGradients) {
  std::set<std::string> missing;
  for (const OpSample& sample : OpSamples()) {
    Graph graph;
    const SampleOperands operands = DeclareOperands(&graph, sample);
    const Var y = sample.build(operands);
    if (sample.differentiated != Differentiated::kRefused &&
        y.dtype() == DType::kFloat32 && !operands.x.empty()) {
      Gradients(Sum(y), operands.x);
    }
    for (int id = 0; id < graph.size(); ++id) {
      const OpDef& op = *graph.node(id).op;
      const OpDef* const found = FindOp(op.name);
      if (found == nullptr || !(*found == op)) missing.insert(op.name);
    }
  }
  // What is declared, and what has a rule of its own.
  EXPECT_EQ(missing,
            (std::set<std::string>{"Input", "Variable", "WithGradient"}));
}

TEST(OpTableTest, KnowsNoOtherNames) {
  EXPECT_EQ(FindOp(""), nullptr);
  EXPECT_EQ(FindOp("Swish"), nullptr);
  EXPECT_EQ(FindOp("relu"), nullptr);
}

}  // namespace
}  // namespace tape
