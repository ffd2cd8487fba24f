// chain_bench: that a graph which is one long chain costs time in proportion to
// its length, from its first declaration to its end.
//
//   bazel run //bench:chain_bench
//
// <Phase>/<chain>/<nodes> is what the phase takes for a chain of so many nodes,
// whose gradient by its start has as many again; the lines after them fit a
// straight line through the three lengths, and say by how many per cent they
// miss it (RMS).
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "framework/core/clock.h"
#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

// Each is a chain's next node, or its next two, from its last node and how many
// there were.
struct LongChain {
  const char* name;
  Var (*next)(Var y, int i);
  int nodes_each;
};
const LongChain kChains[] = {
    // One pass forward, which keeps every value for one pass backward.
    {"Elementwise", [](Var y, int) { return Tanh(y); }, 1},
    // A step for each second node.
    {"Steps",
     [](Var y, int i) {
       return Tanh(Reshape(y, i % 2 == 0 ? Shape{2, 2} : Shape{4}));
     },
     2},
    // No step at all: each node is its operand under another shape.
    {"Views",
     [](Var y, int i) {
       return Reshape(y, i % 2 == 0 ? Shape{2, 2} : Shape{4});
     },
     1},
    // Reductions, each of which is a step, and broadcasts.
    {"Reductions", [](Var y, int) { return Sum(y, {0}) * y; }, 2},
};

enum Phase { kDeclare, kDifferentiate, kCompile, kRun, kDestroy };
constexpr const char* kPhaseNames[] = {"Declare", "Differentiate", "Compile",
                                       "Run", "Destroy"};

// Makes the whole way of a chain of `nodes` nodes, and gives the seconds of
// each phase.
std::vector<double> TimePhases(const LongChain& chain, int nodes) {
  std::vector<double> seconds;
  auto start = std::chrono::steady_clock::now();
  const auto lap = [&] {
    seconds.push_back(SecondsSince(start));
    start = std::chrono::steady_clock::now();
  };
  std::optional<Graph> graph(std::in_place);
  const Var x = graph->Input("x", {4});
  Var y = x;
  for (int i = 0; i < nodes / chain.nodes_each; ++i) y = chain.next(y, i);
  lap();
  const Var seed = Fill(&*graph, y.shape(), 1);
  const Var gradient = Gradients(y, {x}, {.seed = seed})[0];
  lap();
  absl::StatusOr<Plan> made =
      Compile(*graph, {.fetch = {gradient}, .threads = 1});
  if (!made.ok()) std::exit(Fail(made.status()));
  std::optional<Plan> plan(*std::move(made));
  lap();
  const absl::Status status = plan->Run(
      {{x, Tensor({4}, std::vector<float>{0.1f, -0.2f, 0.3f, -0.1f})}});
  if (!status.ok()) std::exit(Fail(status));
  lap();
  plan.reset();
  graph.reset();
  lap();
  return seconds;
}

void Measure(benchmark::State& state, const LongChain& chain, Phase phase) {
  const int nodes = static_cast<int>(state.range(0));
  for (auto _ : state) state.SetIterationTime(TimePhases(chain, nodes)[phase]);
  state.SetComplexityN(nodes);
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  for (const tape::LongChain& chain : tape::kChains) {
    for (tape::Phase phase : {tape::kDeclare, tape::kDifferentiate,
                              tape::kCompile, tape::kRun, tape::kDestroy}) {
      benchmark::RegisterBenchmark(
          absl::StrCat(tape::kPhaseNames[phase], "/", chain.name).c_str(),
          [&chain, phase](benchmark::State& state) {
            tape::Measure(state, chain, phase);
          })
          ->Arg(50'000)
          ->Arg(100'000)
          ->Arg(200'000)
          ->UseManualTime()
          ->Iterations(1)
          ->Repetitions(3)
          ->ReportAggregatesOnly()
          ->Complexity(benchmark::oN)
          ->Unit(benchmark::kMillisecond);
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
