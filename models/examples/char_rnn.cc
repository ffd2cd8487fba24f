// A recurrent network that continues a text, character by character:
//
//   bazel run //models/examples:char_rnn -- TEXT_FILE LENGTH
//
// The cell is a function; a loop declares it for each character of a window.
// Prints the loss in nats per character, and LENGTH characters after the first
// window of the text, each the likeliest.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "framework/framework.h"
#include "framework/io/files.h"
#include "models/examples/or_exit.h"
#include "ops/ops.h"

using tape::OrExit;
constexpr int kWindow = 24, kUnits = 64, kBytes = 256;

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto file = OrExit(tape::ReadWholeFile(argv[1], "a text"));
  const absl::string_view text = file.view();
  const int64_t windows = std::ssize(text) - kWindow;
  std::vector<int32_t> rows;
  for (int64_t i = 0; i < windows; ++i) {
    for (int k = 0; k <= kWindow; ++k) rows.push_back(text[i + k] & 255);
  }
  tape::Graph g;
  tape::Var row =
      g.Input("row", {tape::kBatch, kWindow + 1}, tape::DType::kInt32);
  tape::Var wx = g.Parameter("wx", {kBytes, kUnits}, tape::Glorot());
  tape::Var wh = g.Parameter("wh", {kUnits, kUnits}, tape::Glorot());
  tape::Var wy = g.Parameter("wy", {kUnits, kBytes}, tape::Glorot());
  tape::Var by = g.Parameter("by", {kBytes}, tape::Zeros());
  const auto cell = [&](tape::Var state, tape::Var byte) {
    return Tanh(Gather(wx, byte) + MatMul(state, wh));
  };
  const std::vector<tape::Var> bytes = Split(row, 1, kWindow + 1);
  tape::Var state = Fill(&g, {tape::kBatch, kUnits}, 0);
  std::vector<tape::Var> losses;
  for (int i = 0; i < kWindow; ++i) {
    state = cell(state, Squeeze(bytes[i], {1}));
    tape::Var next = Squeeze(bytes[i + 1], {1});
    losses.push_back(Mean(SoftmaxCrossEntropy(MatMul(state, wy) + by, next)));
  }
  tape::Var loss = AddN(losses) * (1.0 / kWindow);
  const tape::Model model = {
      .graph = &g,
      .feeds = {{row, "row"}},
      .loss = loss,
      .updates = tape::Chain(tape::ClipByGlobalNorm(1),
                             tape::Adam({.learning_rate = 3e-3}))
                     .Minimize(loss)};
  tape::Progress progress(stderr, 10, windows);
  const auto result =
      OrExit(tape::Train(model, {{{{"row", {{windows, kWindow + 1}, rows}}}}},
                         {.epochs = 10}, progress));
  if (result.end != tape::End::kFinished) {
    return tape::Fail(absl::OutOfRangeError(result.divergence));
  }
  // The same cell and weights, one character at a time.
  tape::Var byte = g.Input("byte", {1}, tape::DType::kInt32);
  tape::Var before = g.Input("before", {1, kUnits});
  tape::Var after = cell(before, byte);
  tape::Var likeliest = ArgMax(MatMul(after, wy) + by);
  tape::Plan plan = OrExit(tape::Compile(g, {.fetch = {after, likeliest}}));
  tape::Tensor memory({tape::DType::kFloat32, {1, kUnits}});
  std::string said(text.substr(0, kWindow));
  for (int i = 0; i + 1 < kWindow + std::atoi(argv[2]); ++i) {
    const tape::Tensor fed({1}, std::vector<int32_t>{said[i] & 255});
    OrExit(plan.Run({{byte, fed}, {before, memory}}));
    const auto next = plan.Value(likeliest).values<int32_t>();
    if (i + 1 >= kWindow) said.push_back(static_cast<char>(next[0]));
    std::ranges::copy(plan.Value(after).values<float>(),
                      memory.values<float>().begin());
  }
  std::printf("loss %.4f\n%s\n", result.kept.train.loss,
              said.substr(kWindow).c_str());
}
