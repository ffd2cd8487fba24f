// op_bench: each op alone, and matrix products beside raw oneDNN.
//
//   bazel run //bench:op_bench -- --benchmark_filter=Op/Tanh
//   bazel run //bench:op_bench -- --benchmark_filter='/2048x2048x2048/'
//
// Op/<op>/<row> is a plan of one row of the sample table (tests/ops/op_samples.h),
// on one thread. Timed are the rows with a batch, which is made so large that
// the largest tensor has 65536 elements, the rows that have half as many at
// their own shapes, and of an op without such its largest. The counters are the
// time of each element of the largest tensor, and the bytes of operands and
// result, each once.
//
// MatMul/<m>x<k>x<n>[/tl|/tr]/threads:<n> is our product, an operand of which
// may be given as its transpose, the left one (tl) or the right one (tr);
// OneDnn/... is the same by oneDNN alone, with its own threads (gemm_floor.h).
// The grid is what the steps of configs.h have, and squares of 64 to 2048.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/configs.h"
#include "bench/gemm_floor.h"
#include "benchmark/benchmark.h"
#include "framework/framework.h"
#include "ops/ops.h"
#include "tests/ops/op_samples.h"

namespace tape {
namespace {

using benchmark::Counter;

// Runs a plan for `y`, once before it is timed.
void TimePlan(benchmark::State& state, const Graph& graph, Var y,
              const std::vector<std::pair<Var, Tensor>>& operands, int threads,
              std::vector<std::string> without = {}) {
  absl::StatusOr<Plan> plan = Compile(
      graph, {.fetch = {y}, .threads = threads, .without = std::move(without)});
  if (!plan.ok()) std::exit(Fail(plan.status()));
  std::vector<Feed> feeds;
  for (const auto& [var, tensor] : operands) feeds.push_back({var, tensor});
  const absl::Status status = plan->Run(feeds);
  if (!status.ok()) std::exit(Fail(status));
  for (auto _ : state) {
    plan->Run(feeds).IgnoreError();
    benchmark::DoNotOptimize(plan->Value(y).data());
  }
}

// ---- Ops ----

constexpr int64_t kElements = 65536;

// A row of the table, and what kBatch stands for in it.
struct Row {
  const OpSample* sample;
  int64_t batch = kSampleBatch;

  std::vector<TensorType> Types() const {
    std::vector<TensorType> types = {
        {sample->output.dtype, sample->output.shape.Bind(batch)}};
    for (const SampleInput& input : sample->inputs) {
      types.push_back({input.dtype, input.shape.Bind(batch)});
    }
    return types;
  }
  int64_t LargestElements() const {
    int64_t most = 0;
    for (const TensorType& type : Types()) {
      most = std::max(most, type.shape.elements());
    }
    return most;
  }
};

bool HasBatch(const OpSample& sample) {
  return !sample.output.shape.is_bound() ||
         std::any_of(
             sample.inputs.begin(), sample.inputs.end(),
             [](const SampleInput& input) { return !input.shape.is_bound(); });
}

std::vector<Row> Rows() {
  std::map<std::string, Row> largest;  // Of each op.
  std::set<std::string> timed;
  std::vector<Row> rows;
  for (const OpSample& sample : OpSamples()) {
    Row row = {&sample};
    if (HasBatch(sample)) {
      // The largest is then one with kBatch, and in proportion to it.
      row.batch = kElements;
      row.batch = kElements * kElements /
                  std::max<int64_t>(row.LargestElements(), kElements);
    }
    Row& most = largest.try_emplace(sample.op, row).first->second;
    if (row.LargestElements() > most.LargestElements()) most = row;
    if (HasBatch(sample) || row.LargestElements() >= kElements / 2) {
      rows.push_back(row);
      timed.insert(sample.op);
    }
  }
  for (const auto& [op, row] : largest) {
    if (timed.count(op) == 0) rows.push_back(row);
  }
  return rows;
}

void Op(benchmark::State& state, const Row& row) {
  Graph graph;
  const SampleOperands operands = DeclareOperands(&graph, *row.sample);
  std::vector<std::pair<Var, Tensor>> values;
  for (size_t i = 0; i < operands.x.size(); ++i) {
    values.emplace_back(operands.x[i], SampleValues(*row.sample, i, row.batch));
  }
  // An op without operands is a constant, which is otherwise made only once.
  std::vector<std::string> without;
  if (values.empty()) without.push_back("fold_constants");
  TimePlan(state, graph, row.sample->build(operands), values, /*threads=*/1,
           without);
  double bytes = 0;
  for (const TensorType& type : row.Types()) bytes += type.bytes();
  state.counters["element"] =
      Counter(row.LargestElements(),
              Counter::kIsIterationInvariantRate | Counter::kInvert);
  state.counters["B/s"] = Counter(bytes, Counter::kIsIterationInvariantRate);
}

// ---- Products ----

std::set<Product> Products() {
  std::set<Product> products;
  for (const StepConfig& config : StepConfigs()) {
    const std::vector<Product> of_step = StepProducts(config);
    products.insert(of_step.begin(), of_step.end());
  }
  for (int64_t size = 64; size <= 2048; size *= 2) {
    for (const auto& [lhs, rhs] :
         {std::pair(false, false), std::pair(true, false),
          std::pair(false, true)}) {
      products.insert({size, size, size, lhs, rhs});
    }
  }
  return products;
}

std::string Name(const Product& product) {
  return absl::StrCat(product.m, "x", product.k, "x", product.n,
                      product.transpose_lhs ? "/tl" : "",
                      product.transpose_rhs ? "/tr" : "");
}

void SetRate(benchmark::State& state, const Product& product) {
  state.counters["FLOP/s"] =
      Counter(Flops({&product, 1}), Counter::kIsIterationInvariantRate);
}

void OurProduct(benchmark::State& state, const Product& product, int threads) {
  const auto& [m, k, n, transpose_lhs, transpose_rhs] = product;
  Tensor a = transpose_lhs ? MatrixNumbers(k, m) : MatrixNumbers(m, k);
  Tensor b = transpose_rhs ? MatrixNumbers(n, k) : MatrixNumbers(k, n);
  Graph graph;
  const Var lhs = graph.Input("lhs", a.shape());
  const Var rhs = graph.Input("rhs", b.shape());
  const Var y = MatMul(lhs, rhs, {.lhs = transpose_lhs, .rhs = transpose_rhs});
  TimePlan(state, graph, y, {{lhs, std::move(a)}, {rhs, std::move(b)}},
           threads);
  SetRate(state, product);
}

void OneDnnProduct(benchmark::State& state, const Product& product,
                   int threads) {
  GemmFloor floor(product, threads);
  floor.Run();
  for (auto _ : state) floor.Run();
  SetRate(state, product);
}

template <typename Run>
void Register(const std::string& name, Run run) {
  benchmark::RegisterBenchmark(name.c_str(), run)
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

void RegisterAll() {
  for (const Row& row : Rows()) {
    Register(absl::StrCat("Op/", row.sample->op, "/", row.sample->name),
             [row](benchmark::State& state) { Op(state, row); });
  }
  for (const Product& product : Products()) {
    for (int threads : {1, 2}) {
      const std::string of = absl::StrCat(Name(product), "/threads:", threads);
      Register("MatMul/" + of, [=](benchmark::State& state) {
        OurProduct(state, product, threads);
      });
      Register("OneDnn/" + of, [=](benchmark::State& state) {
        OneDnnProduct(state, product, threads);
      });
    }
  }
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  tape::RegisterAll();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
