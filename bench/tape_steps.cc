// tape_steps: our training steps and their matrix products alone, for compare.py
// (rounds.h). Lists each config of configs.h as its name and what step_line.h says
// of it. What it times:
//   bytes       the next batch of bytes, and the step
//   floats      the same with images that are floats in [0, 1] from the start
//   floor       the products by the faster of oneDNN's primitives and dnnl_sgemm
#include <oneapi/dnnl/dnnl.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/configs.h"
#include "bench/gemm_floor.h"
#include "bench/rounds.h"
#include "bench/step.h"
#include "bench/step_line.h"
#include "framework/core/version.h"
#include "framework/framework.h"

namespace tape {
namespace {

const Dataset& FloatImages() {
  static const auto* const data = [] {
    const Dataset& bytes = RandomImages();
    auto* const data =
        new Dataset{Tensor(TensorType{DType::kFloat32, bytes.images.shape()}),
                    bytes.labels, bytes.classes};
    const auto from = bytes.images.values<uint8_t>();
    const auto to = data->images.values<float>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = from[i] / 255.0f;
    return data;
  }();
  return *data;
}

std::function<void()> Make(const std::string& line) {
  const StepLine asked = ParseStepLine(line);
  const StepConfig config = ConfigOf(asked);
  if (asked.what == "floor") {
    const auto floor = std::make_shared<GemmFloor>(config, asked.threads,
                                                   GemmFloor::Calls::kFaster);
    return [floor] { floor->Run(); };
  }
  if (asked.what != "bytes" && asked.what != "floats") return nullptr;
  const auto step = std::make_shared<TrainingStep>(
      config, asked.what == "floats" ? FloatImages() : RandomImages(),
      asked.threads);
  if (!step->status().ok()) std::exit(Fail(step->status()));
  return [step] { step->Run(); };
}

}  // namespace
}  // namespace tape

int main() {
  std::vector<std::string> names;
  for (const auto configs : {tape::StepConfigs(), tape::ScalingConfigs()}) {
    for (const tape::StepConfig& config : configs) {
      names.push_back(tape::LineOf(config));
    }
  }
  const dnnl_version_t* const dnnl = dnnl_version();
  tape::ServeSteps(
      absl::StrCat("Tape ", tape::kVersion, ", oneDNN ", dnnl->major, ".",
                   dnnl->minor, ".", dnnl->patch),
      names, tape::Make);
}
