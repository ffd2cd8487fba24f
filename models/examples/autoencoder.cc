// An autoencoder of images, whose encoder becomes a model of its own:
//
//   bazel run //models/examples:autoencoder -- FOLDER CODES ENCODER.safetensors
//
// FOLDER has images in one of the forms of ReadDatasetFolder. Prints the root
// mean squared error of the test images, whose pixels are in [0, 1].
#include <cstdio>
#include <cstdlib>
#include <string>

#include "framework/framework.h"
#include "framework/serving/saved_model.h"
#include "models/examples/or_exit.h"
#include "ops/ops.h"

using tape::OrExit;

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s FOLDER CODES ENCODER\n", *argv);
    return 2;
  }
  const tape::DataSplits images = OrExit(tape::ReadDatasetFolder(argv[1]));
  const int64_t codes = std::atoi(argv[2]), pixels = images.train.pixels();

  tape::Graph g;
  tape::Var bytes =
      g.Input("images", {tape::kBatch, pixels}, tape::DType::kUint8);
  tape::Var x = Cast(bytes, tape::DType::kFloat32) * (1.0 / 255);
  const auto dense = [&](tape::Var in, int64_t out, const std::string& name) {
    const int64_t inputs = in.shape()[1];
    return MatMul(in, g.Parameter(name + "/w", {inputs, out}, tape::Glorot())) +
           g.Parameter(name + "/b", {out}, tape::Zeros());
  };
  tape::Var code = dense(Relu(dense(x, 128, "encoder")), codes, "code");
  tape::Var logits =
      dense(Relu(dense(code, 128, "decoder")), pixels, "reconstruction");
  tape::Var loss = Mean(SigmoidCrossEntropy(logits, x));
  const tape::Model model = {
      .graph = &g,
      .feeds = {{bytes, "images"}},
      .loss = loss,
      .updates =
          tape::Chain(tape::Adam({.learning_rate = 2e-3})).Minimize(loss),
      .metrics = {tape::RootMeanSquaredError("rmse", Sigmoid(logits), x)},
      .outputs = {{"code", code}}};
  const auto columns = [](const tape::Dataset& of) {
    return tape::DataTable{{{"images", of.images}}};
  };
  tape::Progress progress(stderr, 3, images.train.size());
  const auto result = OrExit(tape::Train(
      model, {.train = columns(images.train), .test = columns(images.test)},
      {.epochs = 3, .batches = {.batch_size = 128}}, progress));
  if (result.end != tape::End::kFinished) {
    return tape::Fail(absl::OutOfRangeError(result.divergence));
  }
  // Of the graph, the file has what the code depends on.
  OrExit(tape::SaveModel(argv[3], model));
  std::printf("test rmse %.4f\n", result.kept.test.reports[0].value);
}
