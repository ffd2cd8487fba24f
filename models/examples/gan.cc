// Two models trained in turn, against each other:
//
//   bazel run //models/examples:gan -- [STEPS]
//
// The generator makes points of noise, and the discriminator learns to tell
// them from the data, a circle of radius 2. Both are on one graph, each with its
// own updates and plan. Goodfellow and others, "Generative adversarial nets", 2014.
// Prints generated points, one a line.
#include <cstdio>
#include <cstdlib>
#include <numbers>
#include <string>
#include <vector>

#include "framework/framework.h"
#include "models/examples/or_exit.h"
#include "ops/ops.h"

using tape::OrExit;
constexpr int kPoints = 256, kNoise = 8, kUnits = 64;

// A perceptron with two hidden layers.
struct Net {
  Net(tape::Graph& g, const std::string& name, int inputs, int outputs) {
    const int sizes[] = {inputs, kUnits, kUnits, outputs};
    for (int i = 0; i < 3; ++i) {
      const std::string layer = name + std::to_string(i);
      weights.push_back(
          g.Parameter(layer + "/w", {sizes[i], sizes[i + 1]}, tape::He()));
      weights.push_back(
          g.Parameter(layer + "/b", {sizes[i + 1]}, tape::Zeros()));
    }
  }
  tape::Var operator()(tape::Var x) const {
    x = LeakyRelu(MatMul(x, weights[0]) + weights[1], 0.2);
    x = LeakyRelu(MatMul(x, weights[2]) + weights[3], 0.2);
    return MatMul(x, weights[4]) + weights[5];
  }
  std::vector<tape::Var> weights;
};

int main(int argc, char** argv) {
  const int steps = argc > 1 ? std::atoi(argv[1]) : 4000;
  tape::Graph g;
  const Net generator(g, "generator", kNoise, 2);
  const Net discriminator(g, "discriminator", 2, 1);
  tape::Var angle =
      2 * std::numbers::pi * RandomUniform(g.Step(), {kPoints, 1});
  tape::Var real = 2 * tape::Concat({Cos(angle), Sin(angle)}, 1);
  tape::Var fake = generator(RandomNormal(g.Step(), {kPoints, kNoise}));
  tape::Var on_fake = discriminator(fake);
  tape::Var d_loss =
      Mean(Softplus(-discriminator(real))) + Mean(Softplus(on_fake));
  tape::Var g_loss = Mean(Softplus(-on_fake));
  // Each has the gradients of its own loss by its own weights.
  const auto plan_of = [&](const Net& net, tape::Var loss) {
    const tape::Updates updates =
        tape::Chain(tape::AverageWeights(0.99),
                    tape::Adam({.learning_rate = 1e-3, .beta1 = 0.5}))
            .Apply(net.weights, Gradients(loss, net.weights));
    return OrExit(tape::Compile(g, {.fetch = {loss}, .updates = updates}));
  };
  tape::Plan train_discriminator = plan_of(discriminator, d_loss);
  tape::Plan train_generator = plan_of(generator, g_loss);
  for (int step = 0; step < steps; ++step) {
    OrExit(train_discriminator.Run());
    OrExit(train_generator.Run());
  }

  tape::Plan sample = OrExit(
      tape::Compile(g, {.fetch = {fake}, .replace = tape::AveragedWeights(g)}));
  OrExit(sample.Run());
  const auto points = sample.Value(fake).values<float>();
  for (size_t i = 0; i < points.size(); i += 2) {
    std::printf("%.4f,%.4f\n", points[i], points[i + 1]);
  }
}
