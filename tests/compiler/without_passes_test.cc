// Every experiment's training step with each of the compiler's passes left out,
// and all of them, and on several threads: the weights it leads to are the same
// but for rounding, or to the bit. tests/ops/op_test.cc leaves them out for each
// op.
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/framework.h"
#include "gtest/gtest.h"
#include "models/experiment.h"
#include "models/run.h"
#include "ops/ops.h"
#include "tests/bfloat16_testing.h"
#include "tests/models/model_testing.h"

namespace tape {
namespace {

// All variables after some steps of `experiment` on as many samples.
std::vector<std::vector<float>> Train(const Experiment& experiment,
                                      int64_t samples, int steps,
                                      CompileOptions options) {
  const bool is_mnist = experiment.data_dir == kMnist;
  const DataSplits data =
      FirstSamples(is_mnist ? RealMnist() : RealFashionMnist(), samples);
  Settings settings = experiment.defaults;
  settings.train.batches.batch_size = samples;
  Graph graph({.seed = 5});
  const absl::StatusOr<Classifier> model =
      DeclareModel(experiment, settings, data, graph);
  EXPECT_TRUE(model.ok()) << model.status();
  options.fetch = {model->loss, model->predicted};
  options.updates = model->updates;
  absl::StatusOr<Plan> plan = Compile(graph, options);
  EXPECT_TRUE(plan.ok()) << plan.status();
  for (int step = 0; step < steps; ++step) {
    const absl::Status status = plan->Run({{model->images, data.train.images},
                                           {model->labels, data.train.labels}});
    EXPECT_TRUE(status.ok()) << status;
  }
  std::vector<std::vector<float>> values;
  for (int i = 0; i < graph.variables().size(); ++i) {
    const Tensor& value = graph.variables()[i].value;
    if (value.dtype() != DType::kFloat32) continue;
    values.emplace_back(value.values<float>().begin(),
                        value.values<float>().end());
  }
  return values;
}

// Document E's loss is of batches of 1000 alone; document D's models are for
// batches that are cut into tiles.
int64_t SamplesOf(const Experiment& experiment) {
  if (experiment.name.find("mnist_h") == 0) return 1000;
  const bool is_full_batch =
      experiment.name.find("_64") != std::string::npos ||
      experiment.name.find("_128_128") != std::string::npos;
  return is_full_batch ? 5000 : 64;
}

class WithoutPassesTest : public testing::TestWithParam<Experiment> {};

// The norms of what has changed and of how far it is from where it should be.
TEST_P(WithoutPassesTest, TrainsToTheSameWeights) {
  const int64_t samples = SamplesOf(GetParam());
  const auto start = Train(GetParam(), samples, 0, {.threads = 2});
  const auto expected = Train(GetParam(), samples, 3, {.threads = 2});
  std::vector<std::string> all(PassNames().begin(), PassNames().end());
  std::vector<std::vector<std::string>> sets = {all};
  for (const std::string& name : all) sets.push_back({name});
  for (const std::vector<std::string>& without : sets) {
    SCOPED_TRACE(absl::StrJoin(without, ", "));
    const auto found =
        Train(GetParam(), samples, 3, {.threads = 2, .without = without});
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      double way = 0, apart = 0, size = 0;
      for (size_t j = 0; j < found[i].size(); ++j) {
        way += std::pow(expected[i][j] - start[i][j], 2.0);
        apart += std::pow(expected[i][j] - found[i][j], 2.0);
        size += std::pow(expected[i][j], 2.0);
      }
      // A rounding error of each weight, and some of the way it has come.
      EXPECT_LE(std::sqrt(apart),
                1e-3 * std::sqrt(way) + 1e-6 * std::sqrt(size))
          << "variable " << i;
    }
  }
}

TEST_P(WithoutPassesTest, TrainsToTheSameBitsOnAnyNumberOfThreads) {
  const int64_t samples = SamplesOf(GetParam());
  const auto one = Train(GetParam(), samples, 3, {.threads = 1});
  for (int threads : {2, 3, 8}) {
    const auto found = Train(GetParam(), samples, 3, {.threads = threads});
    // Not EXPECT_EQ, which would print all of it. NaN is not expected here.
    EXPECT_TRUE(found == one) << threads << " threads";
  }
}

TEST_P(WithoutPassesTest, TrainsInBFloat16ToTheSameBitsOnAnyNumberOfThreads) {
  if (!HasBFloat16Products()) GTEST_SKIP() << kNoBFloat16Products;
  const int64_t samples = SamplesOf(GetParam());
  const auto train = [&](int threads) {
    return Train(GetParam(), samples, 3,
                 {.threads = threads, .precision = Precision::kBFloat16});
  };
  const auto one = train(1);
  for (int threads : {2, 3, 8}) {
    EXPECT_TRUE(train(threads) == one) << threads << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(All, WithoutPassesTest,
                         testing::ValuesIn(Experiments().begin(),
                                           Experiments().end()),
                         [](const testing::TestParamInfo<Experiment>& info) {
                           return absl::StrCat(info.param.name, "_",
                                               info.param.variant);
                         });

TEST(PassNamesTest, AnUnknownOneIsRefusedWithTheKnown) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  EXPECT_EQ(Compile(graph, {.fetch = {Exp(x)}, .without = {"prune", "fold"}},
                    {"net.cc", 9})
                .status()
                .message(),
            absl::StrCat("net.cc:9: Compile: there is no pass \"fold\" to "
                         "leave out; known are ",
                         absl::StrJoin(PassNames(), ", ")));
}

}  // namespace

void PrintTo(const Experiment& experiment, std::ostream* out) {
  *out << Title(experiment);
}

}  // namespace tape
