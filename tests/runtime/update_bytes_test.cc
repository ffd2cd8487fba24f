// What an update costs in memory: by the plan's own count (Plan::Steps), each
// chain of framework/train makes as few passes over the parameter, its gradient
// and its state as its formula allows.
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace tape {
namespace {

struct ChainCase {
  std::string name;
  std::function<TransformPtr()> make;
  // What the formula must read and write, in sizes of the parameter, if the
  // gradient stands in memory: parameter w, gradient g and state are each read
  // and written once. Where a norm must be known before its terms are used,
  // these are read again.
  double minimum;
  // The same if a product makes the gradient. A pass over the product needs no
  // memory for it; but a norm does.
  double of_product;
  // What the plan moves beyond that: what a norm is of is read twice, first for
  // its scale.
  double terms = 0;
};

template <typename... Links>
std::function<TransformPtr()> Linked(Links... links) {
  return [=] { return std::make_unique<Chain>(links()...); };
}

std::vector<ChainCase> Cases() {
  const auto sgd = [] { return Sgd({.learning_rate = 0.1}); };
  const auto adam = [] { return Adam(); };
  const auto l2 = [] { return L2(0.1); };
  const auto global_norm = [] { return ClipByGlobalNorm(1); };
  const auto average = [] { return AverageWeights(0.9); };
  return {
      // Read w, g; write w.
      {"Sgd", sgd, 3, 2},
      // And read and write v.
      {"Momentum", [] { return Momentum({.learning_rate = 0.1}); }, 5, 4},
      {"MomentumOfSteps",
       [] {
         return Momentum({.learning_rate = 0.1, .velocity = Velocity::kSteps});
       },
       5, 4},
      {"Nesterov", [] { return Nesterov({.learning_rate = 0.1}); }, 5, 4},
      {"Adagrad", [] { return Adagrad(); }, 5, 4},
      {"RmsProp", [] { return RmsProp(); }, 5, 4},
      // And a, and v.
      {"RmsPropOfAll",
       [] { return RmsProp({.momentum = 0.9, .centering = Centering::kMean}); },
       9, 8},
      {"Adadelta", [] { return Adadelta(); }, 7, 6},
      {"Adam", adam, 7, 6},
      {"AmsGrad", [] { return AmsGrad(); }, 9, 8},
      {"AdamW", [] { return AdamW(); }, 7, 6},
      {"NAdam", [] { return NAdam(); }, 7, 6},
      {"Lion", [] { return Lion({.weight_decay = 0.1}); }, 5, 4},

      // Penalties, decays and projections need nothing but w, which is read
      // anyway.
      {"L1", Linked([] { return L1(0.1); }, sgd), 3, 2},
      {"L1WithPlus", Linked([] { return L1(0.1, SignOfZero::kPlus); }, sgd), 3,
       2},
      {"L2", Linked(l2, sgd), 3, 2},
      {"L2AndAdam", Linked(l2, adam), 7, 6},
      {"ElasticNet", Linked([] { return ElasticNet(0.1, 0.1); }, adam), 7, 6},
      {"Decay", Linked([] { return DecoupledWeightDecay(0.1); }, sgd), 3, 2},
      {"ProximalL1", Linked([] { return ProximalL1(0.1); }, sgd), 3, 2},
      {"ProximalL1AndAdam", Linked([] { return ProximalL1(0.1); }, adam), 7, 6},
      {"ClipByValue", Linked([] { return ClipByValue(1); }, adam), 7, 6},
      // And read and write the average, or the sum.
      {"AverageWeights", Linked(average, sgd), 5, 4},
      {"Accumulate", [=] { return Accumulate(4, sgd()); }, 5, 4},
      {"AccumulateForAdam", [=] { return Accumulate(4, adam()); }, 9, 8},
      {"LongChain",
       Linked([] { return ClipByValue(1); }, l2, average,
              [] { return ProximalL1(0.1); }, adam),
       9, 8},

      // Where a norm, or a test of all elements, comes first, the gradient is
      // read twice; a product's is written too. A norm reads it once more, for
      // its scale.
      {"ClipByNorm", Linked([] { return ClipByNorm(1); }, sgd), 4, 5, 1},
      {"ClipByGlobalNorm", Linked(global_norm, sgd), 4, 5, 1},
      {"ClipByGlobalNormAndAdam", Linked(global_norm, adam), 8, 9, 1},
      {"SkipIfNotFinite", [=] { return SkipIfNotFinite(sgd()); }, 4, 5, 2},
      // The new value is written, and read again once its norm is known.
      {"MaxNorm", Linked([] { return MaxNorm(1); }, sgd), 5, 4, 2},
      // So is u: read w, g, m, v; write m, v, u; read w, u; write w. Both norms
      // read what they are of twice.
      {"Lamb", [] { return Lamb({.weight_decay = 0.1}); }, 10, 9, 4},
      // The noise is drawn into memory.
      {"AddNoise", Linked([] { return AddNoise(0.1); }, sgd), 5, 4},
  };
}

void PrintTo(const ChainCase& chain, std::ostream* out) { *out << chain.name; }

class UpdateBytesTest : public testing::TestWithParam<ChainCase> {
 protected:
  static constexpr int64_t kRows = 256, kColumns = 512, kBatchSize = 8;

  // The bytes that a step moves: in all, in sizes of the parameter.
  static double SizesMoved(Graph& graph, Var w, Var gradient) {
    const Updates updates =
        Chain(GetParam().make()).Apply({w}, std::vector<Var>{gradient});
    absl::StatusOr<Plan> plan = Compile(graph, {.updates = updates});
    EXPECT_TRUE(plan.ok()) << plan.status();
    if (!plan.ok()) return 0;
    double bytes = 0;
    for (const StepCost& step : plan->Steps()) {
      bytes += step.bytes_read + step.bytes_written;
    }
    dump_ = plan->Dump();
    return bytes / w.type().bytes();
  }
  static Var Parameter(Graph& graph) {
    return graph.Parameter("w", {kRows, kColumns}, Glorot());
  }

  static inline std::string dump_;
};

// Counters and rates take a few bytes more.
constexpr double kAtMost = 1.1;

TEST_P(UpdateBytesTest, MovesWhatTheFormulaNeeds) {
  Graph graph;
  const Var w = Parameter(graph);
  const double moved =
      SizesMoved(graph, w, graph.Input("g", {kRows, kColumns}));
  EXPECT_LE(moved, kAtMost * GetParam().minimum + GetParam().terms) << dump_;
  EXPECT_GE(moved, GetParam().minimum) << dump_;  // The table is right.
}

TEST_P(UpdateBytesTest, MovesNoGradientThatAProductMakes) {
  Graph graph;
  const Var w = Parameter(graph);
  const Var x = graph.Input("x", {kBatchSize, kRows});
  const Var gy = graph.Input("gy", {kBatchSize, kColumns});
  const double operands =
      static_cast<double>(kBatchSize * (kRows + kColumns)) / (kRows * kColumns);
  const double moved = SizesMoved(graph, w, MatMul(x, gy, {.lhs = true}));
  const double minimum = GetParam().of_product + operands;
  EXPECT_LE(moved, kAtMost * minimum + GetParam().terms) << dump_;
  EXPECT_GE(moved, minimum) << dump_;
}

INSTANTIATE_TEST_SUITE_P(All, UpdateBytesTest, testing::ValuesIn(Cases()),
                         [](const testing::TestParamInfo<ChainCase>& info) {
                           return info.param.name;
                         });

}  // namespace

}  // namespace tape
