// Images in a folder for each class become a classifier, saved with the classes'
// names:
//
//   bazel run //models/examples:image_folder -- TRAIN TEST MODEL.safetensors
//
// PNG or JPEG, grey or colour, of one size. A hidden layer with BatchNorm and
// Dropout is trained for 20 epochs; the saved model is then asked for the classes
// of the test images.
#include <cstdio>

#include "framework/data/image_tree.h"
#include "framework/framework.h"
#include "framework/serving/predictor.h"
#include "models/examples/or_exit.h"
#include "ops/ops.h"

using tape::OrExit;

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s TRAIN TEST MODEL.safetensors\n", *argv);
    return 2;
  }
  const tape::ImageTree tree = OrExit(tape::ReadImageTree(argv[1]));
  const auto channels = static_cast<int>(tree.images.channels);
  const tape::ImageTree test =
      OrExit(tape::ReadImageTree(argv[2], {.channels = channels}));
  const auto columns = [](const tape::ImageTree& of) {
    return tape::DataTable{
        {{"images", of.images.pixels}, {"labels", of.labels}}};
  };
  const tape::TableSplits data = {.train = columns(tree),
                                  .test = columns(test)};
  const int64_t pixels = tree.images.pixels.shape()[1];
  const auto classes = static_cast<int>(tree.classes.size());

  tape::Graph g;
  tape::Var x = g.Input("x", {tape::kBatch, pixels}, tape::DType::kUint8);
  tape::Var y = g.Input("y", {tape::kBatch}, tape::DType::kInt32);
  tape::Var scaled = Cast(x, tape::DType::kFloat32) * (1.0 / 255);
  tape::Var w1 = g.Parameter("w1", {pixels, 64}, tape::He());
  tape::Var hidden = Dropout(Relu(BatchNorm(MatMul(scaled, w1), "norm")), 0.1);
  tape::Var w2 = g.Parameter("w2", {64, classes}, tape::Glorot());
  tape::Var b2 = g.Parameter("b2", {classes}, tape::Zeros());
  tape::Var logits = MatMul(hidden, w2) + b2;
  tape::Var loss = Mean(SoftmaxCrossEntropy(logits, y));
  const tape::Model model = {
      .graph = &g,
      .feeds = {{x, "images"}, {y, "labels"}},
      .loss = loss,
      .updates = tape::Chain(tape::Adam()).Minimize(loss),
      .outputs = {{"class", ArgMax(logits)},
                  {"probabilities", Softmax(logits)}},
      .classification =
          tape::Classification{ArgMax(logits), "labels", classes}};
  tape::Progress progress(stderr, 20, data.train.size());
  OrExit(tape::Train(model, data, {.epochs = 20}, progress));
  const absl::Status saved = tape::SaveModel(
      argv[3], model,
      {.classes = tree.classes,
       .images = {{tree.images.rows, tree.images.columns, channels}}});
  OrExit(saved);

  const tape::Predictor predictor = OrExit(tape::Predictor::Load(argv[3]));
  const tape::DataTable found = OrExit(predictor.Predict(data.test));
  const auto taken = found.Find("class")->values<int32_t>();
  const auto labels = test.labels.values<int32_t>();
  int right = 0;
  for (size_t i = 0; i < labels.size(); ++i) right += taken[i] == labels[i];
  std::printf("%d of %zu right, the first one a %s\n", right, labels.size(),
              predictor.model().card.classes[taken[0]].c_str());
}
