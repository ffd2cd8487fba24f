// hand_bench: what plans make of several kernels beside the same as loops by hand
// (by_hand.h), on one thread.
//
//   bazel run -c opt //bench:hand_bench
//
// Microseconds, the minimum of 30 rounds of some 20 ms (rounds.h), which take
// turns. TAPE_TEST_AT_MOST=AVX2, or SSE4, limits both to older instructions, and
// ONEDNN_MAX_CPU_ISA is then set alike.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/by_hand.h"
#include "bench/rounds.h"
#include "framework/core/random.h"
#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

Tensor Floats(const Shape& shape, uint64_t stream) {
  RandomStream random(/*seed=*/0, stream);
  Tensor tensor({DType::kFloat32, shape});
  for (float& x : tensor.values<float>()) x = 2 * random.Uniform() - 1;
  return tensor;
}

void Print(const std::string& name, const std::function<void()>& plan,
           const std::function<void()>& by_hand) {
  double best[2] = {std::numeric_limits<double>::infinity(),
                    std::numeric_limits<double>::infinity()};
  for (int round = 0; round < 30; ++round) {
    best[0] = std::min(best[0], TimeRound(plan));
    best[1] = std::min(best[1], TimeRound(by_hand));
  }
  std::printf("| %s | %.1f | %.1f | %.2f |\n", name.c_str(), best[0], best[1],
              best[0] / best[1]);
  std::fflush(stdout);
}

void Run(Plan& plan, const std::vector<Feed>& feeds) {
  if (const absl::Status status = plan.Run(feeds); !status.ok()) {
    std::fprintf(stderr, "hand_bench: %s\n", status.ToString().c_str());
    std::exit(1);
  }
}

void CompareLamb(int64_t count) {
  Graph graph;
  const Tensor gradient = Floats({count}, 1), weights = Floats({count}, 2);
  const Var g = graph.Input("g", {count});
  const Var w = graph.Parameter("w", {count}, Values(weights));
  const Updates updates = Chain(Lamb({.weight_decay = 0.01})).Apply({w}, {g});
  Plan plan = *Compile(graph, {.updates = updates, .threads = 1});
  Tensor w_by_hand = Floats({count}, 2), m(w.type()), v(w.type()),
         update(w.type());
  const LambArrays arrays = {.count = count,
                             .w = w_by_hand.values<float>().data(),
                             .m = m.values<float>().data(),
                             .v = v.values<float>().data(),
                             .update = update.values<float>().data(),
                             .gradient = gradient.values<float>().data(),
                             .m_scale = 1.5f,
                             .v_scale = 1.2f};
  Print(
      "Lamb, " + std::to_string(count),
      [&] {
        Run(plan, {{g, gradient}});
      },
      [&] { LambByHand(arrays); });
}

void CompareRows(int64_t rows, int64_t columns) {
  Graph graph;
  const Shape shape = {rows, columns};
  const Tensor x = Floats(shape, 1), gy = Floats(shape, 2),
               scale = Floats({columns}, 3), shift = Floats({columns}, 4);
  const Var of_x = graph.Input("x", shape), of_gy = graph.Input("gy", shape),
            of_scale = graph.Input("scale", {columns}),
            of_shift = graph.Input("shift", {columns});
  const std::vector<Feed> feeds = {
      {of_x, x}, {of_gy, gy}, {of_scale, scale}, {of_shift, shift}};
  Tensor y(of_x.type()), dx(of_x.type());
  const auto values = [](const Tensor& of) {
    return of.values<float>().data();
  };
  float* const to_y = y.values<float>().data();
  float* const to_dx = dx.values<float>().data();
  const auto plan_of = [&](Var value, bool with_gradient) {
    std::vector<Var> fetch = {value};
    if (with_gradient) {
      fetch.push_back(Gradients(Sum(of_gy * value), {of_x})[0]);
    }
    return *Compile(graph, {.fetch = fetch, .threads = 1});
  };
  const std::string size =
      ", " + std::to_string(rows) + " x " + std::to_string(columns);
  const Var norm = LayerNorm(of_x, of_scale, of_shift);
  Plan layer_norm = plan_of(norm, false);
  Print(
      "LayerNorm" + size, [&] { Run(layer_norm, feeds); },
      [&] {
        LayerNormByHand(values(x), values(scale), values(shift), rows, columns,
                        to_y);
      });
  Plan norm_gradient = plan_of(norm, true);
  Print(
      "LayerNorm with gradient" + size, [&] { Run(norm_gradient, feeds); },
      [&] {
        LayerNormGradientByHand(values(x), values(scale), values(shift),
                                values(gy), rows, columns, to_y, to_dx);
      });
  Plan gelu = plan_of(Gelu(of_x), true);
  Print(
      "GELU with gradient" + size, [&] { Run(gelu, feeds); },
      [&] {
        GeluGradientByHand(values(x), values(gy), rows * columns, to_y, to_dx);
      });
}

}  // namespace
}  // namespace tape

int main() {
  std::printf(
      "| work | plan, us | by hand, us | plan / by hand |\n"
      "|---|---|---|---|\n");
  for (const int64_t count : {9'984, 99'968, 999'936}) {
    tape::CompareLamb(count);
  }
  tape::CompareRows(1000, 256);
  tape::CompareRows(64, 512);
}
