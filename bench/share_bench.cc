// share_bench: what parts of a training step take, of each of the models of
// configs.h, on one thread: a table, in percent of the steps' time.
//
//   bazel run -c opt //bench:share_bench
//
// "products" are matrix products with the passes that are run on them while they
// are in the cache; "passes" the other elementwise passes; "softmax and loss" what
// is named so; the rest are sums, casts of bytes apart and the like.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "bench/configs.h"
#include "bench/step.h"
#include "framework/framework.h"
#include "framework/runtime/profile.h"
#include "models/experiment.h"
#include "ops/op_table.h"

namespace tape {
namespace {

bool IsElementwise(absl::string_view op) {
  const OpDef* const found = FindOp(op);
  return found != nullptr && found->traits.elementwise;
}

void Print(const StepConfig& config, const Dataset& data) {
  TrainingStep step(config, data, /*threads=*/1);
  if (!step.status().ok()) std::exit(Fail(step.status()));
  for (int i = 0; i < 3; ++i) step.Run();
  Profile profile(/*max_events=*/0);
  step.plan().Record(&profile);
  const auto begin = Profile::Clock::now();
  while (Profile::Clock::now() - begin < std::chrono::seconds(2)) step.Run();
  step.plan().Record(nullptr);
  double products = 0, passes = 0, losses = 0, others = 0;
  for (const Profile::Cost& cost : profile.Costliest(/*most=*/1000)) {
    const std::vector<std::string> ops = absl::StrSplit(cost.name, '+');
    double& kind = absl::StrContains(cost.name, "MatMul")    ? products
                   : absl::StrContains(cost.name, "Softmax") ? losses
                   : std::all_of(ops.begin(), ops.end(), IsElementwise)
                       ? passes
                       : others;
    kind += 100 * cost.share;
  }
  std::printf("| %s | %.1f | %.1f | %.1f | %.1f |\n", config.name.c_str(),
              products, passes, losses, others);
  std::fflush(stdout);
}

}  // namespace
}  // namespace tape

int main() {
  const auto data = tape::ReadMnistFolder(tape::kFashionMnist);
  if (!data.ok()) return tape::Fail(data.status());
  std::printf(
      "| config | products | passes | softmax and loss | others |\n"
      "|---|---|---|---|---|\n");
  for (const tape::StepConfig& config : tape::StepConfigs()) {
    tape::Print(config, data->train);
  }
}
