// Attention looks up what is asked for:
//
//   bazel run //models/examples:attention_classifier -- [SEED]
//
// A sample is a set of items, each with a key and a class, and the key of one
// of them, whose class is the answer. No mean of the items tells it.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "framework/framework.h"
#include "models/examples/or_exit.h"
#include "ops/ops.h"

using tape::OrExit;
constexpr int kItems = 6, kKeys = 20, kClasses = 5, kWidth = 32;

// Each sample has kItems of the keys, in random order.
tape::DataTable Questions(int count, uint64_t seed) {
  tape::RandomStream random(seed, 0);
  std::vector<int32_t> keys, classes, asked, answer;
  std::vector<uint32_t> order(kKeys);
  std::iota(order.begin(), order.end(), 0);
  for (int sample = 0; sample < count; ++sample) {
    tape::Shuffle(random, order);
    const uint32_t one = random.Below(kItems);
    for (uint32_t i = 0; i < kItems; ++i) {
      keys.push_back(static_cast<int32_t>(order[i]));
      classes.push_back(static_cast<int32_t>(random.Below(kClasses)));
    }
    asked.push_back(keys[sample * kItems + one]);
    answer.push_back(classes[sample * kItems + one]);
  }
  return {{{"keys", {{count, kItems}, keys}},
           {"classes", {{count, kItems}, classes}},
           {"asked", {{count, 1}, asked}},
           {"answer", {{count}, answer}}}};
}

int main(int argc, char** argv) {
  const uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0;
  tape::Graph g({.seed = seed});
  std::vector<tape::ModelFeed> feeds;
  const auto input = [&](const char* name, tape::Shape shape) {
    feeds.push_back({g.Input(name, shape, tape::DType::kInt32), name});
    return feeds.back().input;
  };
  tape::Var keys = input("keys", {tape::kBatch, kItems});
  tape::Var classes = input("classes", {tape::kBatch, kItems});
  tape::Var asked = input("asked", {tape::kBatch, 1});
  tape::Var answer = input("answer", {tape::kBatch});
  const auto matrix = [&](const char* name, int rows, int columns) {
    return g.Parameter(name, {rows, columns}, tape::Glorot());
  };
  // Vaswani and others, "Attention is all you need", 2017, formula 1.
  tape::Var embedding = matrix("embedding", kKeys, kWidth);
  tape::Var q = MatMul(Gather(embedding, asked), matrix("q", kWidth, kWidth));
  tape::Var k = MatMul(Gather(embedding, keys), matrix("k", kWidth, kWidth));
  tape::Var v = Gather(matrix("v", kClasses, kWidth), classes);
  tape::Var scores = MatMul(q, k, {.rhs = true}) / std::sqrt(kWidth);
  tape::Var found = Squeeze(MatMul(Softmax(scores), v), {1});
  tape::Var logits = MatMul(found, matrix("output", kWidth, kClasses));
  tape::Var loss = Mean(SoftmaxCrossEntropy(logits, answer));
  const tape::Model model = {
      .graph = &g,
      .feeds = feeds,
      .loss = loss,
      .updates =
          tape::Chain(tape::Adam({.learning_rate = 3e-3})).Minimize(loss),
      .classification = {{ArgMax(logits), "answer", kClasses}}};
  tape::Progress progress(stderr, 20, 4000);
  const auto result =
      OrExit(tape::Train(model, {Questions(4000, 1), Questions(1000, 2)},
                         {.epochs = 20}, progress));
  if (result.end != tape::End::kFinished) {
    return tape::Fail(absl::OutOfRangeError(result.divergence));
  }
  std::printf("test accuracy %.4f\n", result.kept.test.accuracy);
}
