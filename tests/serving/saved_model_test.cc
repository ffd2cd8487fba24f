// Saved models (framework/serving/saved_model.h): what is loaded computes the
// bits of what was saved, for each op of the sample table; and what is no such
// file is refused with its reason.
#include "framework/serving/saved_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "framework/compiler/compile.h"
#include "framework/core/basic_ops.h"
#include "framework/core/gradients.h"
#include "framework/core/graph.h"
#include "framework/core/version.h"
#include "framework/io/safetensors.h"
#include "framework/optim/optimizer.h"
#include "framework/optim/wrappers.h"
#include "ops/ops.h"
#include "tests/file_testing.h"
#include "tests/ops/op_samples.h"

namespace tape {
namespace {

using ::testing::HasSubstr;

std::string PathOf(const std::string& name) {
  return testing::TempDir() + "/" + name;
}

SavedModel Loaded(const std::string& path,
                  const LoadModelOptions& options = {}) {
  absl::StatusOr<SavedModel> model = LoadModel(path, options);
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *std::move(model) : SavedModel();
}

// The bytes of an output, for inference.
std::string BytesOf(const Graph& graph, const Output& output,
                    const std::vector<Feed>& feeds) {
  absl::StatusOr<Plan> plan =
      Compile(graph, {.outputs = {output}, .mode = Mode::kInference});
  EXPECT_TRUE(plan.ok()) << plan.status();
  if (!plan.ok()) return "";
  const absl::Status status = plan->Run(feeds);
  EXPECT_TRUE(status.ok()) << status;
  const TensorView value = plan->Value(output.name);
  return std::string(static_cast<const char*>(value.data()),
                     value.type().bytes());
}

// The same as SaveModel and LoadModel, but for the disk.
SavedModel SavedAndLoaded(const Model& model) {
  SafetensorsFile file = {.arrays = {}, .metadata = {}, .bytes = FileBytes(0)};
  const absl::StatusOr<Metadata> metadata = ModelMetadata(model);
  EXPECT_TRUE(metadata.ok()) << metadata.status();
  if (metadata.ok()) file.metadata = *metadata;
  const Variables& variables = model.graph->variables();
  for (int i = 0; i < variables.size(); ++i) {
    file.arrays.push_back(ViewOf(variables[i].name, variables[i].value));
  }
  absl::StatusOr<SavedModel> loaded = ParseModel(file, "op.safetensors");
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.ok() ? *std::move(loaded) : SavedModel();
}

TEST(SavedModelTest, EachOpComesBackWithItsBits) {
  int saved = 0;
  for (const OpSample& sample : OpSamples()) {
    SCOPED_TRACE(absl::StrCat(sample.op, ", ", sample.name));
    Graph graph;
    const SampleOperands operands = DeclareOperands(&graph, sample);
    const Var y = sample.build(operands);
    ASSERT_TRUE(graph.status().ok()) << graph.status();
    Model model = {.graph = &graph, .outputs = {{"y", y}}};
    std::vector<Tensor> values;
    for (size_t i = 0; i < operands.x.size(); ++i) {
      if (graph.node(operands.x[i]).variable != kNone) continue;
      model.feeds.push_back({operands.x[i], absl::StrCat("x", i)});
      values.push_back(SampleValues(sample, static_cast<int>(i)));
    }
    std::vector<Feed> feeds;
    for (size_t i = 0; i < values.size(); ++i) {
      feeds.push_back({graph.NameOf(model.feeds[i].input), values[i]});
    }
    const SavedModel loaded = SavedAndLoaded(model);
    ASSERT_EQ(loaded.outputs.size(), 1u);
    EXPECT_EQ(loaded.outputs[0].value.type(), y.type());
    // An input that nothing reads for inference is not saved.
    std::vector<Feed> read;
    for (const Feed& feed : feeds) {
      for (const ModelFeed& input : loaded.inputs) {
        if (loaded.graph->NameOf(input.input) == feed.input.name()) {
          read.push_back(feed);
        }
      }
    }
    EXPECT_EQ(BytesOf(*loaded.graph, loaded.outputs[0], read),
              BytesOf(graph, {"y", y}, feeds));
    ++saved;
  }
  EXPECT_GT(saved, 300);
}

// What a network with everything that differs between modes predicts.
struct Net {
  Net() {
    const Var hidden = Relu(
        BatchNorm(MatMul(x, graph.Parameter("w1", {4, 8}, Glorot())), "norm"));
    logits = MatMul(Dropout(hidden, 0.5), graph.Parameter("w2", {8, 3}, He()));
    labels = graph.Input("labels", {kBatch}, DType::kInt32);
    loss = Mean(SoftmaxCrossEntropy(logits, labels));
    model = {.graph = &graph,
             .feeds = {{x, "x"}, {labels, "labels"}},
             .loss = loss,
             .outputs = {{"probabilities", Softmax(logits)},
                         {"class", ArgMax(logits)}}};
  }
  Graph graph = Graph({.seed = 7});
  Var x = graph.Input("x", {kBatch, 4});
  Var logits, labels, loss;
  Model model;
};

const Tensor& Rows() {
  static const auto* const kRows =
      new Tensor({2, 4}, std::vector<float>{0.5f, -1, 2, 3, -0.25f, 1, 0, -2});
  return *kRows;
}

TEST(SavedModelTest, IsOfInferenceAlone) {
  Net net;
  const std::string path = PathOf("net.safetensors");
  const absl::Status status = SaveModel(path, net.model,
                                        {.classes = {"a", "b", "ç"},
                                         .target = "kind",
                                         .notes = {{"run", "seven"}}});
  ASSERT_TRUE(status.ok()) << status;
  const SavedModel loaded = Loaded(path);
  EXPECT_EQ(loaded.version, kVersion);
  EXPECT_EQ(loaded.card.classes, (std::vector<std::string>{"a", "b", "ç"}));
  EXPECT_EQ(loaded.card.target, "kind");
  EXPECT_EQ(loaded.card.notes, (Metadata{{"run", "seven"}}));
  ASSERT_EQ(loaded.inputs.size(), 1u);
  EXPECT_EQ(loaded.inputs[0].column, "x");
  ASSERT_EQ(loaded.outputs.size(), 2u);
  for (int i : {0, 1}) {
    EXPECT_EQ(BytesOf(*loaded.graph, loaded.outputs[i], {{"x", Rows()}}),
              BytesOf(net.graph, net.model.outputs[i], {{"x", Rows()}}));
  }
  const std::string dump = loaded.graph->Dump();
  EXPECT_THAT(dump, Not(HasSubstr("Random")));
  EXPECT_THAT(dump, Not(HasSubstr("training_step")));
  // Parameters stay parameters, to be trained further.
  EXPECT_EQ(loaded.graph->parameters().size(), 4u);
  EXPECT_EQ(loaded.graph->TagOf(loaded.graph->parameters()[0]), Tag::kWeight);
}

TEST(SavedModelTest, MaySaveAverages) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch});
  const Var w = graph.Parameter("w", {1}, Constant(1));
  const Var loss = Mean(Square(x * w));
  const Updates updates =
      Chain(AverageWeights(0.5), Sgd({.learning_rate = 0.1}))
          .Apply({w}, Gradients(loss, {w}));
  auto plan = Compile(graph, {.updates = updates});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const Tensor ones({2}, std::vector<float>{1, 1});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(plan->Run({{"x", ones}}).ok());
  const Model model = {
      .graph = &graph, .feeds = {{x, "x"}}, .outputs = {{"y", x * w}}};
  const std::string path = PathOf("averages.safetensors");
  const std::vector<Replacement> averages = AveragedWeights(graph);
  ASSERT_EQ(averages.size(), 1u);
  ASSERT_TRUE(SaveModel(path, model, {}, {.replace = averages}).ok());
  const SavedModel loaded = Loaded(path);
  const int average = graph.variables().Find(averages[0].by);
  const float expected = graph.variables()[average].value.values<float>()[0];
  EXPECT_NE(expected, graph.Value(w).values<float>()[0]);
  EXPECT_EQ(loaded.graph->variables()[0].value.values<float>()[0], expected);

  EXPECT_THAT(SaveModel(path, model, {}, {.replace = {{"w", "v"}}}).message(),
              HasSubstr("SaveModel: expected a variable \"w\" and one of its "
                        "type to replace it, found \"v\""));
}

// y = 2 x, as an op of a program's own.
constexpr OpDef kTwice = {
    .name = "Twice",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x, const Attributes&)
        -> absl::StatusOr<TensorType> { return x[0]; },
    .reference =
        [](const Attributes&, absl::Span<const Tensor> x, Tensor& y) {
          for (int64_t i = 0; i < y.elements(); ++i) {
            y.values<double>()[i] = 2 * x[0].values<double>()[i];
          }
        },
    .block = [](absl::Span<const DType>, DType) -> Block {
      return [](const BlockArguments& arguments) {
        for (size_t i = 0; i < arguments.count; ++i) {
          static_cast<float*>(arguments.output)[i] =
              2 * static_cast<const float*>(arguments.inputs[0])[i];
        }
      };
    },
    .traits = {.elementwise = true},
};

TEST(SavedModelTest, OpsOfAProgramsOwnAreRegisteredOrRefused) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch});
  const Model model = {.graph = &graph,
                       .feeds = {{x, "x"}},
                       .outputs = {{"y", Append(kTwice, {x}, {}, Loc{})}}};
  const std::string path = PathOf("twice.safetensors");
  ASSERT_TRUE(SaveModel(path, model).ok());
  EXPECT_EQ(LoadModel(path).status(),
            absl::InvalidArgumentError(absl::StrCat(
                path,
                ": node 1 (Twice): expected an op that this program has "
                "registered (LoadModelOptions::ops), found \"Twice\"")));
  const SavedModel loaded = Loaded(path, {.ops = {&kTwice}});
  const Tensor three({1}, std::vector<float>{3});
  const std::string bytes =
      BytesOf(*loaded.graph, loaded.outputs[0], {{"x", three}});
  float six;
  ASSERT_EQ(bytes.size(), sizeof(six));
  std::memcpy(&six, bytes.data(), sizeof(six));
  EXPECT_EQ(six, 6);

  // One that merely bears the name of one of ours is not taken for it.
  OpDef relu = kTwice;
  relu.name = "Relu";
  Graph other;
  const Var z = other.Input("x", {kBatch});
  const Model impostor = {.graph = &other,
                          .feeds = {{z, "x"}},
                          .outputs = {{"y", Append(relu, {z}, {}, Loc{})}}};
  ASSERT_TRUE(SaveModel(path, impostor).ok());
  EXPECT_THAT(LoadModel(path).status().message(), HasSubstr("registered"));
}

TEST(SavedModelTest, RefusesWhatCannotBeSaved) {
  Net net;
  const std::string path = PathOf("none.safetensors");
  const auto refused = [&](const Model& model, const ModelCard& card = {}) {
    return std::string(SaveModel(path, model, card).message());
  };
  EXPECT_THAT(refused({}), HasSubstr("SaveModel: the model has no graph"));
  Model model = net.model;
  model.outputs = {};
  EXPECT_THAT(refused(model), HasSubstr("expected outputs of the model"));
  model.outputs = {{"y", Var()}};
  EXPECT_THAT(refused(model), HasSubstr("output \"y\" is an empty Var"));
  model.outputs = {{"y", net.logits}, {"y", net.logits}};
  EXPECT_THAT(refused(model), HasSubstr("names of their own"));
  model = net.model;
  model.feeds = {{net.labels, "labels"}};
  EXPECT_THAT(refused(model),
              HasSubstr("expected a column for each input that the outputs "
                        "read, found none for \"x\""));
  EXPECT_THAT(refused(net.model, {.images = ImageLayout{28, 28}}),
              HasSubstr("expected an input uint8[batch,784] for the images, "
                        "found [batch,4]"));
  EXPECT_THAT(refused(net.model, {.notes = {{"model", ""}}}),
              HasSubstr("expected notes under other keys"));
  EXPECT_THAT(refused(net.model, {.classes = {"\xff"}}),
              HasSubstr("expected text in UTF-8"));
  EXPECT_FALSE(LoadModel(path).ok()) << "something was written";
}

TEST(SavedModelTest, RefusesWhatIsNoModel) {
  Net net;
  const std::string path = PathOf("broken.safetensors");
  EXPECT_EQ(LoadModel(PathOf("nowhere.safetensors")).status().code(),
            absl::StatusCode::kNotFound);
  ASSERT_TRUE(WriteSafetensors(path, {}).ok());
  EXPECT_EQ(LoadModel(path).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(SaveModel(path, net.model).ok());
  absl::StatusOr<SafetensorsFile> file = ReadSafetensors(path);
  ASSERT_TRUE(file.ok());
  ASSERT_NE(file->FindMetadata("model"), nullptr);
  const std::string json = *file->FindMetadata("model");
  struct Case {
    const char* what;
    const char* by;
    const char* message;
  };
  for (const Case& one : std::vector<Case>{
           {"{\"format\":1", "{\"format\":2",
            "expected a model of format 1, found 2: a later version"},
           {"\"op\":\"MatMul\"", "\"op\":\"MatMuh\"",
            "(MatMuh): expected an op of this version of Tape, found "},
           {"\"inputs\":[0,1]", "\"inputs\":[0,99]",
            "expected inputs among the"},
           {"\"inputs\":[0,1]", "\"inputs\":[0]",
            "expected 2 operands, found 1"},
           {"\"inputs\":[0,1]", "\"inputs\":[0,-1]", "expected inputs among"},
           {"\"inputs\":[0,1]", "\"inputs\":[0,1],\"mode\":3",
            "expected members that this version of Tape knows, found "
            "\"mode\""},
           {"\"shape\":[4,8]", "\"shape\":[4,9]",
            "array \"w1\": expected [4,9], found [4,8]"},
           {"\"shape\":[4,8]", "\"shape\":[4,\"x\"]",
            "expected a value of \"shape\""},
           {"\"name\":\"w1\"", "\"name\":\"w9\"",
            "array \"w9\": expected the numbers of a variable"},
           {"\"name\":\"w2\"", "\"name\":\"w1\"", ""},
           {"\"tag\":\"weight\"", "\"tag\":\"wait\"",
            "expected a float32 weight or bias, or a state"},
           {"\"column\":\"x\"", "\"column\":\"\"", "expected a text"},
           {"\"name\":\"class\"", "\"name\":\"probabilities\"",
            "expected outputs of different names"},
           {"\"inputs\":[{\"node\":0", "\"inputs\":[{\"node\":1",
            "expected in \"inputs\" each input once"},
           {"{\"format\"", "{{", "expected a model as JSON"}}) {
    SCOPED_TRACE(one.by);
    const std::string changed = absl::StrReplaceAll(json, {{one.what, one.by}});
    ASSERT_NE(changed, json);
    ASSERT_TRUE(
        WriteSafetensors(path, file->arrays, {{"model", changed}}).ok());
    const absl::Status status = LoadModel(path).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(path + ": "));
    EXPECT_THAT(std::string(status.message()), HasSubstr(one.message));
  }
}

}  // namespace
}  // namespace tape
