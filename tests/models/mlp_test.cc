// Multilayer perceptrons (models/mlp.h): their shapes, names and initial
// numbers, and what they compute.
#include "models/mlp.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace tape {
namespace {

using ::testing::ElementsAre;

// The value of `fetch` for these numbers of `input`, in double.
std::vector<double> Evaluate(Var fetch, Var input, const Tensor& numbers) {
  const absl::StatusOr<std::vector<Tensor>> values =
      EvaluateReference({fetch}, {{input, numbers}});
  EXPECT_TRUE(values.ok()) << values.status();
  if (!values.ok()) return {};
  const auto elements = (*values)[0].values<double>();
  return {elements.begin(), elements.end()};
}

TEST(MlpTest, LayersHaveTheirShapesAndNames) {
  Graph g;
  const Var x = g.Input("x", {kBatch, 7});
  const std::vector<Layer> layers = MlpLayers(
      x, {.units = {5, 4, 3}, .activation = [](Var x) { return Relu(x); }});
  ASSERT_TRUE(g.status().ok()) << g.status();
  ASSERT_EQ(layers.size(), 3u);
  const int64_t sizes[] = {7, 5, 4, 3};
  for (int i = 0; i < 3; ++i) {
    const Layer& layer = layers[i];
    EXPECT_EQ(layer.input, i == 0 ? x : layers[i - 1].output);
    EXPECT_EQ(layer.w.shape(), Shape({sizes[i], sizes[i + 1]}));
    EXPECT_EQ(layer.b.shape(), Shape({sizes[i + 1]}));
    EXPECT_EQ(layer.output.shape(), Shape({kBatch, sizes[i + 1]}));
    EXPECT_EQ(g.NameOf(layer.w), absl::StrCat("layer", i + 1, "/w"));
    EXPECT_EQ(g.NameOf(layer.b), absl::StrCat("layer", i + 1, "/b"));
    EXPECT_TRUE(IsWeight(g, layer.w));
    EXPECT_TRUE(IsBias(g, layer.b));
  }
  // In order of declaration, weight before bias.
  EXPECT_EQ(g.parameters(),
            std::vector<Var>({layers[0].w, layers[0].b, layers[1].w,
                              layers[1].b, layers[2].w, layers[2].b}));
}

TEST(MlpTest, ComputesTheActivationOfProductPlusBias) {
  // One unit a layer: (2 x + 3) squared, times 2 plus 3, and so on; the output
  // layer's activation is none, or its own.
  const auto of = [](std::function<Var(Var)> output_activation) {
    Graph g;
    const Var x = g.Input("x", {kBatch, 1});
    const Var y = Mlp(x, {.units = {1, 1},
                          .activation = [](Var x) { return Square(x); },
                          .output_activation = output_activation,
                          .weights = Constant(2),
                          .biases = Constant(3)});
    return Evaluate(y, x, Tensor({2, 1}, std::vector<float>{1, -2}));
  };
  EXPECT_THAT(of(nullptr), ElementsAre(2 * 25 + 3, 2 * 1 + 3));
  EXPECT_THAT(of([](Var x) { return -x; }),
              ElementsAre(-(2 * 25 + 3), -(2 * 1 + 3)));
}

TEST(MlpTest, WeightsAreGlorotAndBiasesZeroUnlessGiven) {
  Graph mlp({.seed = 7}), expected({.seed = 7});
  const std::vector<Layer> layers = MlpLayers(
      mlp.Input("x", {kBatch, 30}),
      {.units = {20, 10}, .activation = [](Var x) { return Relu(x); }});
  const Var w1 = expected.Parameter("layer1/w", {30, 20}, Glorot());
  EXPECT_EQ(mlp.Value(layers[0].w).values<float>(),
            expected.Value(w1).values<float>());
  for (const Layer& layer : layers) {
    EXPECT_THAT(mlp.Value(layer.b).values<float>(), testing::Each(0));
  }
}

TEST(MlpTest, AsksForInitializersInOrderWeightBeforeBias) {
  // As libraries that draw all from one sequence need it.
  Graph g;
  std::vector<std::string> asked;
  int drawn = 0;
  const auto next = [&](const char* what) {
    return [&asked, &drawn, what](int64_t inputs, int64_t units) {
      asked.push_back(absl::StrCat(what, " ", inputs, "-", units));
      return Constant(++drawn);
    };
  };
  const std::vector<Layer> layers = MlpLayers(
      g.Input("x", {kBatch, 7}), {.units = {5, 4},
                                  .activation = [](Var x) { return Relu(x); },
                                  .weights = next("w"),
                                  .biases = next("b")});
  EXPECT_THAT(asked, ElementsAre("w 7-5", "b 7-5", "w 5-4", "b 5-4"));
  EXPECT_EQ(g.Value(layers[0].w).values<float>()[0], 1);
  EXPECT_EQ(g.Value(layers[0].b).values<float>()[0], 2);
  EXPECT_EQ(g.Value(layers[1].w).values<float>()[0], 3);
  EXPECT_EQ(g.Value(layers[1].b).values<float>()[0], 4);
}

TEST(MlpTest, AnInitializerForAllIsTheSameForEach) {
  Graph g;
  MlpLayers(g.Input("x", {kBatch, 7}),
            {.units = {5, 4},
             .activation = [](Var x) { return Relu(x); },
             .weights = Constant(0.5),
             .biases = Constant(-2)});
  for (Var parameter : g.parameters()) {
    EXPECT_THAT(g.Value(parameter).values<float>(),
                testing::Each(IsWeight(g, parameter) ? 0.5f : -2.0f));
  }
}

TEST(SampleInputsTest, AreImagesOfBytesAndTheirLabels) {
  Graph g;
  const auto [images, labels] = SampleInputs(g, 784);
  EXPECT_EQ(images.type(), (TensorType{DType::kUint8, {kBatch, 784}}));
  EXPECT_EQ(labels.type(), (TensorType{DType::kInt32, {kBatch}}));
  EXPECT_EQ(g.NameOf(images), "images");
  EXPECT_EQ(g.NameOf(labels), "labels");
}

TEST(ScaledPixelsTest, GoFrom0To1) {
  Graph g;
  const Var images = SampleInputs(g, 3).images;
  const Var scaled = ScaledPixels(images);
  EXPECT_EQ(scaled.dtype(), DType::kFloat32);
  const std::vector<double> values = Evaluate(
      scaled, images, Tensor({1, 3}, std::vector<uint8_t>{0, 51, 255}));
  ASSERT_EQ(values.size(), 3u);
  EXPECT_EQ(values[0], 0);
  EXPECT_NEAR(values[1], 0.2, 1e-7);
  EXPECT_NEAR(values[2], 1, 1e-7);
}

}  // namespace
}  // namespace tape
