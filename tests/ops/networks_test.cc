// Five graphs that are no multi-layer perceptrons, written as a user writes
// them, against the public headers alone. The gradients of each are checked to
// second order by all of its parameters, and the plans for its loss and its
// derivatives of both orders against the references.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

// Some numbers of either sign, none of them alike.
Tensor Numbers(Shape shape, double size = 1) {
  std::vector<float> values(shape.elements());
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(size * std::sin(1 + 2.4 * i));
  }
  return Tensor(std::move(shape), values);
}

// That the derivatives of `loss` by the graph's parameters and by `inputs` are
// right to second order, and that plans compute them.
void CheckToSecondOrder(Var loss, const ReferenceFeeds& feeds,
                        std::vector<Var> inputs = {},
                        const KernelCheckOptions& kernels = {}) {
  std::vector<Var> x = loss.graph()->parameters();
  x.insert(x.end(), inputs.begin(), inputs.end());
  absl::Status status =
      CheckGradients(loss, x, feeds, {.order = 2, .max_elements = 24});
  EXPECT_TRUE(status.ok()) << status;

  std::vector<Var> fetches = {loss};
  std::vector<Var> squares;
  for (Var gradient : Gradients(loss, x)) {
    fetches.push_back(gradient);
    squares.push_back(Sum(Square(gradient)));
  }
  for (Var second : Gradients(AddN(squares), x)) fetches.push_back(second);
  status = CheckKernels(fetches, feeds, kernels);
  EXPECT_TRUE(status.ok()) << status;
}

// ---- One LSTM cell over ten steps ----

// Hochreiter and Schmidhuber, "Long short-term memory", 1997, with the forget
// gates of Gers, Schmidhuber and Cummins, 2000: with [i f g o] = x W + h U + b,
//   c = sigmoid(f) c + sigmoid(i) tanh(g),   h = sigmoid(o) tanh(c).
struct Lstm {
  static constexpr int kSteps = 10;
  static constexpr int kIn = 2;
  static constexpr int kUnits = 3;

  Lstm() {
    x = graph.Input("x", {kBatch, kSteps, kIn});
    target = graph.Input("target", {kBatch});
    const Var w = graph.Parameter("w", {kIn, 4 * kUnits}, Glorot());
    const Var u = graph.Parameter("u", {kUnits, 4 * kUnits}, Glorot());
    const Var b = graph.Parameter("b", {4 * kUnits}, Normal(0, 0.5));
    const Var out = graph.Parameter("out", {kUnits}, Normal(0, 1));
    h = Fill(&graph, {kBatch, kUnits}, 0);
    c = h;
    for (const Var now : Split(x, 1, kSteps)) {
      const std::vector<Var> gates =
          Split(MatMul(Squeeze(now, {1}), w) + MatMul(h, u) + b, 1, 4);
      c = Sigmoid(gates[1]) * c + Sigmoid(gates[0]) * Tanh(gates[2]);
      h = Sigmoid(gates[3]) * Tanh(c);
    }
    loss = MeanSquaredError(MatVec(h, out), target);
  }
  ReferenceFeeds Feeds() const {
    return {{x, Numbers({2, kSteps, kIn})}, {target, Numbers({2})}};
  }

  Graph graph;
  Var x, target, h, c, loss;
};

TEST(NetworksTest, AnLstmCellOverTenStepsIsRightToSecondOrder) {
  Lstm net;
  CheckToSecondOrder(net.loss, net.Feeds(), {net.x});
}

TEST(NetworksTest, AnLstmCellComputesWhatItsFormulaSays) {
  Lstm net;
  absl::StatusOr<Plan> plan = Compile(net.graph, {.fetch = {net.h}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const Tensor numbers = Numbers({2, Lstm::kSteps, Lstm::kIn});
  ASSERT_TRUE(plan->Run({{net.x, numbers}}).ok());
  const std::vector<Var> parameters = net.graph.parameters();
  const auto w = net.graph.Value(parameters[0]).values<float>();
  const auto u = net.graph.Value(parameters[1]).values<float>();
  const auto b = net.graph.Value(parameters[2]).values<float>();
  const auto sigmoid = [](double z) { return 1 / (1 + std::exp(-z)); };
  constexpr int kUnits = Lstm::kUnits;
  for (int row = 0; row < 2; ++row) {
    double h[kUnits] = {}, c[kUnits] = {};
    for (int step = 0; step < Lstm::kSteps; ++step) {
      double z[4 * kUnits];
      for (int j = 0; j < 4 * kUnits; ++j) {
        z[j] = b[j];
        for (int k = 0; k < Lstm::kIn; ++k) {
          z[j] +=
              numbers.values<float>()[(row * Lstm::kSteps + step) * Lstm::kIn +
                                      k] *
              w[k * 4 * kUnits + j];
        }
        for (int k = 0; k < kUnits; ++k) z[j] += h[k] * u[k * 4 * kUnits + j];
      }
      for (int j = 0; j < kUnits; ++j) {
        c[j] = sigmoid(z[kUnits + j]) * c[j] +
               sigmoid(z[j]) * std::tanh(z[2 * kUnits + j]);
        h[j] = sigmoid(z[3 * kUnits + j]) * std::tanh(c[j]);
      }
    }
    for (int j = 0; j < kUnits; ++j) {
      EXPECT_NEAR(plan->Value(net.h).values<float>()[row * kUnits + j], h[j],
                  1e-5);
    }
  }
}

// ---- One multi-head attention block with LayerNorm ----

// Vaswani and others, "Attention is all you need", 2017: two heads that see
// what came before, and a feed-forward layer, each added to what it is given
// and then normalised.
struct Attention {
  static constexpr int kLength = 3;
  static constexpr int kWidth = 4;
  static constexpr int kHeads = 2;

  Attention() {
    x = graph.Input("x", {kBatch, kLength, kWidth});
    sees = graph.Input("sees", {kLength, kLength}, DType::kUint8);
    const auto weight = [&](const char* name, int64_t in, int64_t out) {
      return graph.Parameter(name, {in, out}, Glorot());
    };
    const auto heads = [&](const char* name) {  // [batch,head,length,width]
      constexpr int kOfHead = kWidth / kHeads;
      const Var all = MatMul(x, weight(name, kWidth, kWidth));
      return Transpose(Reshape(all, {kBatch, kLength, kHeads, kOfHead}),
                       {0, 2, 1, 3});
    };
    const auto norm = [&](Var y, const std::string& name) {
      return LayerNorm(
          y, graph.Parameter(name + "/scale", {kWidth}, Uniform(0.5, 1.5)),
          graph.Parameter(name + "/shift", {kWidth}, Normal(0, 0.5)));
    };
    const Var q = heads("q"), k = heads("k"), v = heads("v");
    const Var scores =
        MatMul(q, k, {.rhs = true}) / std::sqrt(1.0 * kWidth / kHeads);
    attended = Softmax(Select(sees, scores, Fill(&graph, {}, -1e9)));
    const Var joined = Reshape(Transpose(MatMul(attended, v), {0, 2, 1, 3}),
                               {kBatch, kLength, kWidth});
    const Var first =
        norm(x + MatMul(joined, weight("joined", kWidth, kWidth)), "first");
    const Var inner = Gelu(MatMul(first, weight("inner", kWidth, 5)));
    const Var y =
        norm(first + MatMul(inner, weight("outer", 5, kWidth)), "second");
    loss = Mean(LogSumExp(y, {1, 2}));
  }
  ReferenceFeeds Feeds() const {
    return {{x, Numbers({2, kLength, kWidth})},
            {sees, Tensor({kLength, kLength},
                          std::vector<uint8_t>{1, 0, 0, 1, 1, 0, 1, 1, 1})}};
  }

  Graph graph;
  Var x, sees, attended, loss;
};

TEST(NetworksTest, AnAttentionBlockIsRightToSecondOrder) {
  Attention net;
  CheckToSecondOrder(net.loss, net.Feeds(), {net.x});
}

TEST(NetworksTest, AnAttentionBlockSeesNothingOfWhatComesLater) {
  Attention net;
  absl::StatusOr<Plan> plan = Compile(net.graph, {.fetch = {net.attended}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const ReferenceFeeds feeds = net.Feeds();
  ASSERT_TRUE(
      plan->Run({{net.x, feeds[0].second}, {net.sees, feeds[1].second}}).ok());
  const auto attended = plan->Value(net.attended).values<float>();
  ASSERT_EQ(attended.size(), 2 * 2 * 3 * 3);
  for (size_t i = 0; i < attended.size(); ++i) {
    const bool sees = i % 3 <= i / 3 % 3;
    EXPECT_EQ(attended[i] > 0, sees) << i;
  }
}

// ---- The ELBO of a variational autoencoder ----

// Kingma and Welling, "Auto-encoding variational Bayes", 2014: what is drawn is
// written as mean + deviation * noise, so that gradients go through mean and
// deviation, and the noise does not depend on what is trained.
struct Autoencoder {
  Autoencoder() {
    x = graph.Input("x", {kBatch, 5});
    step = graph.Input("draw", {}, DType::kInt32);
    const auto layer = [&](Var in, const std::string& name, int64_t out) {
      return MatMul(in, graph.Parameter(name + "/w", {in.shape()[1], out},
                                        Glorot())) +
             graph.Parameter(name + "/b", {out}, Normal(0, 0.3));
    };
    const Var encoded = Tanh(layer(x, "encoder", 4));
    const Var mean = layer(encoded, "mean", 2);
    const Var log_variance = layer(encoded, "log_variance", 2);
    const Var noise =
        RandomNormal(step, {kBatch, 2}, {.seed = graph.seed(), .stream = 1});
    const Var drawn = mean + Exp(log_variance / 2) * noise;
    const Var logits = layer(Tanh(layer(drawn, "decoder", 4)), "logits", 5);
    const Var surprise = Sum(SigmoidCrossEntropy(logits, x), {1});
    const Var divergence =
        Sum(Square(mean) + Exp(log_variance) - 1 - log_variance, {1}) / 2;
    loss = Mean(surprise + divergence);
  }
  ReferenceFeeds Feeds() const {
    return {{x, Tensor({3, 5}, std::vector<float>{1, 0, 0, 1, 1,  //
                                                  0, 1, 0, 1, 0,  //
                                                  1, 1, 0, 0, 1})},
            {step, Tensor({}, std::vector<int32_t>{7})}};
  }

  Graph graph;
  Var x, step, loss;
};

TEST(NetworksTest, AVariationalAutoencodersElboIsRightToSecondOrder) {
  Autoencoder net;
  CheckToSecondOrder(net.loss, net.Feeds());
}

// ---- A gradient penalty ----

// A critic of two distributions, of which one is the other, moved by kDistance
// (Gulrajani and others, "Improved training of Wasserstein GANs", 2017):
//   mean f(moved) - mean f(real) + 10 mean (|d f / d x| - 1)^2,
// the derivative being taken at random points between the two. The distance
// between them is kDistance; where f has the slope s along it, the loss is
// -kDistance s + 10 (s - 1)^2, of which the smallest is at s = 1.1.
struct Critic {
  static constexpr double kDistance = 2;
  static constexpr double kSmallest = -kDistance * 1.1 + 10 * 0.1 * 0.1;

  Critic() {
    real = graph.Input("real", {kBatch, 2});
    step = graph.Input("draw", {}, DType::kInt32);
    const Var w1 = graph.Parameter("w1", {2, 6}, Glorot());
    const Var b1 = graph.Parameter("b1", {6}, Normal(0, 0.3));
    const Var w2 = graph.Parameter("w2", {6}, Normal(0, 0.5));
    const auto critic = [&](Var x) {
      return MatVec(Softplus(MatMul(x, w1) + b1), w2);
    };
    const Var moved = real - Fill(&graph, {2}, kDistance / std::sqrt(2.0));
    const Var share =
        RandomUniform(step, {kBatch, 1}, {.seed = graph.seed(), .stream = 1});
    const Var between = real + share * (moved - real);
    norm = Norm(Gradients(Sum(critic(between)), {between})[0], {1});
    loss =
        Mean(critic(moved)) - Mean(critic(real)) + 10 * Mean(Square(norm - 1));
  }

  Graph graph;
  Var real, step, norm, loss;
};

TEST(NetworksTest, AGradientPenaltyIsRightToSecondOrder) {
  Critic net;
  CheckToSecondOrder(net.loss,
                     {{net.real, Numbers({5, 2})},
                      {net.step, Tensor({}, std::vector<int32_t>{7})}});
}

TEST(NetworksTest, AGradientPenaltyIsTrainedToItsSmallest) {
  Critic net;
  const Updates updates =
      Chain(Adam({.learning_rate = 0.05}))
          .Apply(net.graph.parameters(),
                 Gradients(net.loss, net.graph.parameters()));
  absl::StatusOr<Plan> train =
      Compile(net.graph, {.fetch = {net.loss, net.norm}, .updates = updates});
  ASSERT_TRUE(train.ok()) << train.status();
  const Tensor real = Numbers({64, 2});
  float first = 0;
  for (int32_t step = 0; step <= 200; ++step) {
    const Tensor number({}, std::vector<int32_t>{step});
    ASSERT_TRUE(train->Run({{net.real, real}, {net.step, number}}).ok());
    if (step == 0) first = train->Scalar(net.loss);
  }
  const float last = train->Scalar(net.loss);
  std::printf("loss %.4f before, %.4f after 200 steps\n", first, last);
  EXPECT_GT(first, 0);
  // No f gets below this in the mean over what is drawn; this draw may be a
  // little off that mean.
  EXPECT_NEAR(last, Critic::kSmallest, 0.02);
  const TensorView norms = train->Value(net.norm);
  for (float norm : norms.values<float>()) {
    EXPECT_NEAR(norm, 1.1, 0.1);
  }
}

// ---- SGD, unrolled ----

// The loss after twenty steps of w = w - rate d loss / d w.
template <typename Loss>
Var AfterTwentySteps(Var w, Var rate, Loss loss) {
  for (int step = 0; step < 20; ++step) {
    w = w - rate * Gradients(loss(w), {w})[0];
  }
  return loss(w);
}

TEST(NetworksTest, UnrolledSgdIsRightToSecondOrderByItsRate) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 3});
  const Var target = graph.Input("target", {kBatch});
  const Var w = graph.Parameter("w", {3}, Normal(0, 1));
  const Var rate = graph.Parameter("rate", {}, Constant(0.3));
  const Var loss = AfterTwentySteps(w, rate, [&](Var w) {
    return MeanSquaredError(Tanh(MatVec(x, w)), target);
  });
  CheckToSecondOrder(loss, {{x, Numbers({4, 3})}, {target, Numbers({4}, 0.7)}});
}

TEST(NetworksTest, UnrolledSgdsDerivativeByItsRateIsThatOfTheClosedForm) {
  // With the loss sum a w^2 / 2, each w becomes (1 - a rate)^20 w.
  const std::vector<float> a = {0.5, 1, 2}, from = {1.5, -2, 0.5};
  const double rate_now = 0.09375;
  double expected = 0, first = 0, second = 0;
  for (int i = 0; i < 3; ++i) {
    const double left = 1 - a[i] * rate_now, w2 = from[i] * from[i];
    expected += a[i] * w2 * std::pow(left, 40) / 2;
    first -= a[i] * a[i] * w2 * 20 * std::pow(left, 39);
    second += a[i] * a[i] * a[i] * w2 * 20 * 39 * std::pow(left, 38);
  }
  Graph graph;
  const Var scale = graph.State("a", {3}, Values(Tensor({3}, a)));
  const Var w = graph.Parameter("w", {3}, Values(Tensor({3}, from)));
  const Var rate = graph.Parameter("rate", {}, Constant(rate_now));
  const Var loss = AfterTwentySteps(
      w, rate, [&](Var w) { return Sum(scale * Square(w)) / 2; });
  const Var by_rate = Gradients(loss, {rate})[0];
  const Var twice = Gradients(by_rate, {rate})[0];
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {loss, by_rate, twice}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plan->Run().ok());
  // A w is rounded in each step three times or so, and the powers of what is
  // left add that up: some 200 roundings of 2^-24.
  const double kRelative = 200 * 0x1p-24;
  EXPECT_NEAR(plan->Scalar(loss), expected, kRelative * expected);
  EXPECT_NEAR(plan->Scalar(by_rate), first, kRelative * std::fabs(first));
  EXPECT_NEAR(plan->Scalar(twice), second, kRelative * second);
}

}  // namespace
}  // namespace tape
