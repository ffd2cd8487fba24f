// tape_inference: a forward pass by a plan without updates, as a Predictor has it,
// for compare_inference.py (inference_line.h). What it times:
//   floats      images that are floats; products of float32
//   bfloat16    the same with products of bfloat16, if the processor has them
//   bytes       images that are bytes, which the plan scales; products of float32
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "bench/inference_line.h"
#include "framework/core/version.h"
#include "framework/framework.h"
#include "models/mlp.h"
#include "oneapi/dnnl/dnnl.h"
#include "ops/ops.h"

namespace tape {
namespace {

class Inference {
 public:
  // An error (kFailedPrecondition): the processor does not multiply bfloat16.
  static absl::StatusOr<std::shared_ptr<Inference>> Make(
      const InferenceLine& line) {
    auto inference = std::make_shared<Inference>();
    const bool is_bytes = line.kind == "bytes";
    const Shape shape({line.batch, kPixels});
    inference->images_ = is_bytes ? Tensor(shape, MakeBytes(line.batch))
                                  : Tensor(shape, MakeFloats(line.batch));
    Graph graph;
    inference->input_ = graph.Input("images", {kBatch, kPixels},
                                    is_bytes ? DType::kUint8 : DType::kFloat32);
    Var x = is_bytes ? ScaledPixels(inference->input_) : inference->input_;
    const std::vector<DenseLayer> layers = MakeLayers();
    for (size_t i = 0; i < layers.size(); ++i) {
      const DenseLayer& layer = layers[i];
      const Var w = graph.Parameter(
          absl::StrCat("w", i), {layer.inputs, layer.units},
          Values(Tensor({layer.inputs, layer.units}, layer.weights)));
      const Var b =
          graph.Parameter(absl::StrCat("b", i), {layer.units},
                          Values(Tensor({layer.units}, layer.biases)));
      x = MatMul(x, w) + b;
      if (i + 1 < layers.size()) x = Relu(x);
    }
    inference->logits_ = x;
    absl::StatusOr<Plan> plan = Compile(
        graph, {.fetch = {x},
                .threads = line.threads,
                .precision = line.kind == "bfloat16" ? Precision::kBFloat16
                                                     : Precision::kFloat32});
    if (!plan.ok()) return plan.status();
    inference->plan_ = *std::move(plan);
    return inference;
  }

  const float* Run() {
    const absl::Status status = plan_->Run({{input_, images_}});
    if (!status.ok()) std::exit(Fail(status));
    return plan_->Value(logits_).values<float>().data();
  }

 private:
  Tensor images_;
  Var input_, logits_;
  std::optional<Plan> plan_;
};

ForwardPass MakePass(const InferenceLine& line) {
  if (line.kind != "floats" && line.kind != "bfloat16" &&
      line.kind != "bytes") {
    return nullptr;
  }
  const auto inference = Inference::Make(line);
  if (!inference.ok()) std::exit(Fail(inference.status()));
  return [inference = *inference] { return inference->Run(); };
}

}  // namespace
}  // namespace tape

int main() {
  std::vector<std::string> kinds = {"floats", "bytes"};
  const absl::Status bfloat16 =
      tape::Inference::Make({.kind = "bfloat16", .threads = 1, .batch = 1})
          .status();
  if (bfloat16.ok()) {
    kinds.push_back("bfloat16");
  } else if (!absl::IsFailedPrecondition(bfloat16)) {
    return tape::Fail(bfloat16);
  }
  const dnnl_version_t& onednn = *dnnl_version();
  tape::ServeInference(
      absl::StrCat("Tape ", tape::kVersion, ", oneDNN ", onednn.major, ".",
                   onednn.minor, ".", onednn.patch),
      kinds, tape::MakePass);
}
