// Weights go from PyTorch to us and back without changing what a network
// computes. Checked on files that PyTorch and NumPy wrote once
// (tests/io/golden/torch_weights.py), and, where Debian's python3-torch is, both
// ways with PyTorch itself.
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "framework/io/npz.h"
#include "framework/io/safetensors.h"
#include "framework/train/weights.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/mlp.h"
#include "ops/ops.h"

namespace tape {
namespace {

using ::testing::FloatNear;
using ::testing::Pointwise;

// Rounding cannot move the golden network's logits by more than 8.4e-6: that is
// (n + 1) 2^-24 times the sum of |w x| for each sum of n products, carried
// through its layers. Neither side comes near it.
constexpr float kTolerance = 1e-5;

const std::vector<std::string> kModules = {"0", "2", "4"};

// The script's network.
struct Network {
  explicit Network(uint64_t seed = 0) : graph({.seed = seed}) {
    x = graph.Input("x", {kBatch, 6});
    logits = Mlp(
        x, {.units = {5, 4, 3}, .activation = [](Var x) { return Relu(x); }});
  }

  std::vector<float> Logits(const Tensor& inputs) {
    absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {logits}});
    EXPECT_TRUE(plan.ok()) << plan.status();
    EXPECT_TRUE(plan->Run({{x, inputs}}).ok());
    const auto values = plan->Value(logits).values<float>();
    return {values.begin(), values.end()};
  }

  Graph graph;
  Var x, logits;
};

// An array of an .npz file.
Tensor FromNpz(const std::string& path, absl::string_view name) {
  const absl::StatusOr<NpzFile> file = ReadNpz(path);
  EXPECT_TRUE(file.ok()) << file.status();
  if (!file.ok() || file->Find(name) == nullptr) return {};
  const absl::StatusOr<Tensor> tensor =
      ToTensor(*file->Find(name), DType::kFloat32);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return tensor.ok() ? *tensor : Tensor();
}

std::vector<float> ValuesOf(const Tensor& tensor) {
  return {tensor.values<float>().begin(), tensor.values<float>().end()};
}

// That the files that the script wrote to `folder` give PyTorch's logits here.
void ExpectPyTorchsLogits(const std::string& folder) {
  const Tensor x = FromNpz(folder + "/io.npz", "x");
  const std::vector<float> logits =
      ValuesOf(FromNpz(folder + "/io.npz", "logits"));
  ASSERT_EQ(logits.size(), 21u);

  const absl::StatusOr<NpzFile> npz = ReadNpz(folder + "/net.npz");
  ASSERT_TRUE(npz.ok()) << npz.status();
  const absl::StatusOr<SafetensorsFile> safetensors =
      ReadSafetensors(folder + "/net.safetensors");
  ASSERT_TRUE(safetensors.ok()) << safetensors.status();
  for (const std::vector<StoredArray>& arrays :
       {npz->arrays, safetensors->arrays}) {
    Network network;
    const absl::Status status =
        LoadWeights(network.graph, arrays, TorchLinears(kModules));
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_THAT(network.Logits(x), Pointwise(FloatNear(kTolerance), logits));
  }
}

// Runs Debian's Python, which has PyTorch where python3-torch is installed, and
// returns whether it succeeded.
bool Python(const std::string& arguments) {
  return std::system(absl::StrCat("PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 ",
                                  arguments)
                         .c_str()) == 0;
}

TEST(InteropTest, PyTorchsGoldenWeightsGiveItsLogits) {
  ExpectPyTorchsLogits("tests/io/golden/torch");
}

TEST(InteropTest, WeightsGoToPyTorchAndComeFromItWhereItIs) {
  if (!Python("-c 'import numpy, torch' 2>/dev/null")) {
    GTEST_SKIP() << "python3-torch is not here: the golden files alone were "
                    "checked";
  }
  const std::string folder = testing::TempDir() + "/interop";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::string script = "tests/io/golden/torch_weights.py ";
  ASSERT_TRUE(Python(script + "write " + folder));
  ExpectPyTorchsLogits(folder);

  // Others, which PyTorch has never seen.
  Network ours(/*seed=*/3);
  const absl::StatusOr<SavedWeights> saved =
      SaveWeights(ours.graph, TorchLinears(kModules));
  ASSERT_TRUE(saved.ok()) << saved.status();
  ASSERT_TRUE(WriteNpz(folder + "/ours.npz", saved->arrays).ok());
  ASSERT_TRUE(WriteSafetensors(folder + "/ours.safetensors", saved->arrays,
                               {{"made", "by us"}})
                  .ok());
  ASSERT_TRUE(Python(script + "read " + folder));
  const std::vector<float> logits =
      ours.Logits(FromNpz(folder + "/io.npz", "x"));
  for (const char* kind : {"npz", "safetensors"}) {
    EXPECT_THAT(ValuesOf(FromNpz(folder + "/read.npz", kind)),
                Pointwise(FloatNear(kTolerance), logits))
        << kind;
  }
}

}  // namespace
}  // namespace tape
