// Trained models from files, models/predictor.h: what they predict is what the
// graph that was trained does, for every experiment; and what is no such file
// is refused with its reason.
#include "models/predictor.h"

#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "framework/compiler/compile.h"
#include "framework/core/graph.h"
#include "framework/data/dataset.h"
#include "framework/data/subset.h"
#include "framework/io/safetensors.h"
#include "framework/train/checkpoint.h"
#include "framework/train/trainer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/experiment.h"
#include "ops/ops.h"
#include "tests/bfloat16_testing.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class PredictorTest : public testing::Test {
 protected:
  PredictorTest()
      : folder_(testing::TempDir() + "/" +
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  std::string In(const std::string& name) const { return folder_ + "/" + name; }

  const std::string folder_;
};

// The parameters as a model's file has them.
std::vector<StoredArray> ArraysOf(Graph& graph) {
  std::vector<StoredArray> arrays;
  for (Var parameter : graph.parameters()) {
    arrays.push_back(
        ViewOf(std::string(graph.NameOf(parameter)), graph.Value(parameter)));
  }
  return arrays;
}

struct Declared {
  const Experiment* experiment;
  std::unique_ptr<Graph> graph;
  Classifier model;
};

Declared Declare(const Experiment& experiment, int64_t pixels, uint64_t seed) {
  Declared declared = {
      &experiment, std::make_unique<Graph>(GraphOptions{.seed = seed}), {}};
  declared.model = experiment.declare(*declared.graph, pixels,
                                      experiment.defaults, /*updates=*/10);
  EXPECT_TRUE(declared.graph->status().ok()) << declared.graph->status();
  return declared;
}

Metadata MetadataOf(const Declared& declared) {
  return {{"experiment", declared.experiment->name},
          {"variant", declared.experiment->variant},
          {"pixels", absl::StrCat(declared.model.images.shape()[1])}};
}

void WriteModel(const std::string& path, const Declared& declared) {
  ASSERT_TRUE(
      WriteSafetensors(path, ArraysOf(*declared.graph), MetadataOf(declared))
          .ok());
}

const Experiment& Find(absl::string_view name) {
  const absl::StatusOr<const Experiment*> experiment = FindExperiment(name);
  EXPECT_TRUE(experiment.ok()) << experiment.status();
  return **experiment;
}

// Images of all sorts of grey levels.
Tensor SomeImages(int64_t count, int64_t pixels) {
  Tensor images({DType::kUint8, {count, pixels}});
  uint32_t state = 1;
  for (uint8_t& grey : images.values<uint8_t>()) {
    state = state * 1664525 + 1013904223;
    grey = state >> 24;
  }
  return images;
}

// That `found` is what the model itself makes of the images, to the bit.
void ExpectSame(const Declared& declared, const Tensor& images,
                const Predictions& found) {
  const Var probabilities = Softmax(declared.model.logits);
  absl::StatusOr<Plan> plan = Compile(
      *declared.graph, {.fetch = {declared.model.predicted, probabilities}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plan->Run({{declared.model.images, images}}).ok());
  const auto classes = plan->Value(declared.model.predicted).values<int32_t>();
  EXPECT_THAT(found.classes.values<int32_t>(),
              testing::ElementsAreArray(classes));
  const auto expected = plan->Value(probabilities).values<float>();
  EXPECT_THAT(found.probabilities.values<float>(),
              testing::ElementsAreArray(expected));
}

TEST_F(PredictorTest, EveryExperimentPredictsWhatItsOwnGraphDoes) {
  for (const Experiment& experiment : Experiments()) {
    SCOPED_TRACE(absl::StrCat(experiment.name, ", ", experiment.variant));
    // As many pixels as its data have, and another number.
    for (int64_t pixels : {784, 25}) {
      const Declared declared = Declare(experiment, pixels, /*seed=*/3);
      const std::string path = In("model.safetensors");
      WriteModel(path, declared);
      absl::StatusOr<ImagePredictor> model = ImagePredictor::Load(path);
      // Document E's formula scores an image by the others of its batch.
      if (absl::StartsWith(experiment.name, "mnist_h") &&
          experiment.variant == "as_written") {
        EXPECT_EQ(model.status(),
                  absl::FailedPreconditionError(absl::StrCat(
                      path, ": ", experiment.name,
                      " (as_written) scores an image by the other images of "
                      "its batch, as its document does, so one image has no "
                      "class: expected a model of another variant")));
        continue;
      }
      ASSERT_TRUE(model.ok()) << model.status();
      EXPECT_EQ(&model->experiment(), &experiment);
      EXPECT_EQ(model->path(), path);
      EXPECT_EQ(model->pixels(), pixels);
      EXPECT_EQ(model->classes(), 10);
      const Tensor images = SomeImages(5, pixels);
      const absl::StatusOr<Predictions> found = model->Predict(images);
      ASSERT_TRUE(found.ok()) << found.status();
      ExpectSame(declared, images, *found);
    }
  }
}

TEST_F(PredictorTest, PredictsTheAccuracyThatTheTrainerFound) {
  absl::StatusOr<DataSplits> all = ReadMnistFolder(kMnist);
  ASSERT_TRUE(all.ok()) << all.status();
  absl::StatusOr<RandomSplit> part =
      SplitAtRandom(all->train, {.fraction = 0.05});
  ASSERT_TRUE(part.ok());
  const DataSplits data = {.train = part->part, .test = all->test};

  const Experiment& experiment = Find("fashion_mlp");
  const Declared declared = Declare(experiment, 784, /*seed=*/0);
  Progress progress(stdout, 1, data.train.size());
  const absl::StatusOr<TrainResult> result =
      Train(declared.model, data, {.epochs = 1, .batches = {.batch_size = 50}},
            progress, [](const EpochResult&) { return absl::OkStatus(); });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GT(result->kept.test.accuracy, 0.6);
  WriteModel(In("model"), declared);

  absl::StatusOr<ImagePredictor> model = ImagePredictor::Load(In("model"));
  ASSERT_TRUE(model.ok()) << model.status();
  const absl::StatusOr<Predictions> found = model->Predict(data.test.images);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 10000);
  ConfusionMatrix confusion(10);
  ASSERT_TRUE(confusion
                  .Add(data.test.labels.values<int32_t>(),
                       found->classes.values<int32_t>())
                  .ok());
  EXPECT_EQ(confusion.accuracy(), result->kept.test.accuracy);
  EXPECT_EQ(confusion.ToString(), result->confusion.ToString());
  for (int64_t i = 0; i < found->size(); ++i) {
    const std::vector<ClassProbability> top = found->Top(i, 10);
    double sum = 0;
    for (int k = 0; k < 10; ++k) {
      EXPECT_GE(top[k].probability, 0);
      if (k > 0) {
        EXPECT_LE(top[k].probability, top[k - 1].probability);
      }
      sum += top[k].probability;
    }
    // Ten quotients of at most 1, each off by some roundings of 2^-24.
    EXPECT_NEAR(sum, 1, 10 * 4e-7);
    EXPECT_EQ(top[0].label, found->classes.values<int32_t>()[i]);
  }
}

TEST_F(PredictorTest, NumberAndOrderOfTheImagesChangeNothing) {
  const Experiment& experiment = Find("fashion_mlp");
  const Declared declared = Declare(experiment, 9, /*seed=*/1);
  WriteModel(In("model"), declared);
  absl::StatusOr<ImagePredictor> model = ImagePredictor::Load(In("model"));
  ASSERT_TRUE(model.ok()) << model.status();
  const Tensor images = SomeImages(2345, 9);  // Two batches and a part of one.
  const absl::StatusOr<Predictions> all = model->Predict(images);
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 2345);
  for (int64_t i : {0, 999, 1000, 1999, 2000, 2344}) {
    Tensor one({DType::kUint8, {1, 9}});
    std::copy_n(images.values<uint8_t>().begin() + 9 * i, 9,
                one.values<uint8_t>().begin());
    const absl::StatusOr<Predictions> alone = model->Predict(one);
    ASSERT_TRUE(alone.ok()) << alone.status();
    EXPECT_EQ(alone->Top(0, 1)[0].label, all->Top(i, 1)[0].label);
    for (int label = 0; label < 10; ++label) {
      EXPECT_NEAR(alone->probabilities.values<float>()[label],
                  all->probabilities.values<float>()[10 * i + label], 1e-5);
    }
  }
  const absl::StatusOr<Predictions> none =
      model->Predict(Tensor({DType::kUint8, {0, 9}}));
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->size(), 0);
}

TEST_F(PredictorTest, TheLikeliestClassesComeFirst) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const Predictions predictions = {
      .classes = Tensor({2}, std::vector<int32_t>{2, 0}),
      .probabilities =
          Tensor({2, 4}, std::vector<float>{0.125, 0.375, 0.375, 0.125,  //
                                            kNan, kNan, 0, 1})};
  const auto labels = [&](int64_t i, int count) {
    std::vector<int> labels;
    for (const auto& [label, probability] : predictions.Top(i, count)) {
      labels.push_back(label);
    }
    return labels;
  };
  // What is predicted, before its equal; then the lower of equals.
  EXPECT_THAT(labels(0, 4), testing::ElementsAre(2, 1, 0, 3));
  EXPECT_THAT(labels(1, 4), testing::ElementsAre(0, 3, 2, 1));
  EXPECT_THAT(labels(0, 1), testing::ElementsAre(2));
  EXPECT_THAT(labels(0, 9).size(), 4);
  EXPECT_EQ(predictions.Top(0, 2)[1].probability, 0.375f);
  // Of images that are not there.
  testing::internal::CaptureStderr();
  EXPECT_TRUE(predictions.Top(2, 1, {"user.cc", 7}).empty());
  EXPECT_TRUE(predictions.Top(-1, 1, {"user.cc", 8}).empty());
  EXPECT_TRUE(Predictions().Top(0, 1, {"user.cc", 9}).empty());
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "user.cc:7: Top: expected one of 2 images, found number 2\n"
            "user.cc:8: Top: expected one of 2 images, found number -1\n"
            "user.cc:9: Top: expected one of 0 images, found number 0\n");
}

TEST_F(PredictorTest, OfARunsFolderItIsTheModelOrElseTheNewestSoundCheckpoint) {
  const std::string model_path = In("model.safetensors");
  EXPECT_EQ(std::string(ImagePredictor::Load(folder_).status().message()),
            absl::StrCat(folder_,
                         ": expected the folder of a run, with its model or "
                         "checkpoints, found neither"));

  const Experiment& experiment = Find("fashion_40_relu");
  const Tensor images = SomeImages(5, 16);
  std::vector<Declared> steps;
  CheckpointFolder checkpoints(In("checkpoints"), /*keep=*/3);
  for (int step = 1; step <= 3; ++step) {
    steps.push_back(Declare(experiment, 16, /*seed=*/step));
    TrainingState state;
    state.step = step;
    ASSERT_TRUE(
        checkpoints.Save(*steps.back().graph, state, MetadataOf(steps.back()))
            .ok());
  }
  const auto expect = [&](const std::string& path, const std::string& file,
                          const Declared& declared,
                          size_t skipped_checkpoints) {
    absl::StatusOr<ImagePredictor> model = ImagePredictor::Load(path);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(model->path(), file);
    EXPECT_EQ(model->skipped_checkpoints().size(), skipped_checkpoints);
    const absl::StatusOr<Predictions> found = model->Predict(images);
    ASSERT_TRUE(found.ok()) << found.status();
    ExpectSame(declared, images, *found);
  };
  const auto checkpoint = [&](int step) {
    return In(absl::StrFormat("checkpoints/step-%012d.safetensors", step));
  };
  expect(folder_, checkpoint(3), steps[2], 0);
  expect(checkpoint(2), checkpoint(2), steps[1], 0);

  const std::string bytes = ReadText(checkpoint(3));
  WriteText(checkpoint(3), bytes.substr(0, bytes.size() - 1));
  expect(folder_, checkpoint(2), steps[1], 1);
  EXPECT_THAT(
      std::string(
          ImagePredictor::Load(folder_)->skipped_checkpoints()[0].message()),
      HasSubstr(checkpoint(3)));
  EXPECT_THAT(
      std::string(ImagePredictor::Load(checkpoint(3)).status().message()),
      HasSubstr(checkpoint(3)));

  WriteModel(model_path, steps[0]);
  expect(folder_, model_path, steps[0], 0);
  expect(folder_ + "/", model_path, steps[0], 0);

  // A model that is damaged is not silently replaced by a checkpoint.
  WriteText(model_path, "broken");
  EXPECT_THAT(std::string(ImagePredictor::Load(folder_).status().message()),
              HasSubstr(model_path));
  fs::remove(model_path);
  for (int step = 1; step <= 3; ++step) WriteText(checkpoint(step), "broken");
  EXPECT_THAT(std::string(ImagePredictor::Load(folder_).status().message()),
              HasSubstr(checkpoint(3)));
}

TEST_F(PredictorTest, WhatIsNoModelIsRefusedWithItsReason) {
  const Experiment& experiment = Find("fashion_mlp");
  const Declared declared = Declare(experiment, 9, /*seed=*/1);
  const std::string path = In("model");
  const auto refusal = [&](const std::vector<StoredArray>& arrays,
                           const Metadata& metadata) {
    EXPECT_TRUE(WriteSafetensors(path, arrays, metadata).ok());
    const absl::Status status = ImagePredictor::Load(path).status();
    EXPECT_FALSE(status.ok());
    EXPECT_TRUE(absl::StartsWith(status.message(), path)) << status;
    return std::string(status.message().substr(
        std::min(path.size(), status.message().size())));
  };
  const Metadata metadata = MetadataOf(declared);
  const std::vector<StoredArray> arrays = ArraysOf(*declared.graph);

  EXPECT_EQ(refusal(arrays, {}),
            ": expected \"experiment\" in the metadata of a model, found no "
            "such entry");
  EXPECT_THAT(refusal(arrays, {{"experiment", "nobodys"}}),
              HasSubstr(": there is no experiment \"nobodys\"; known are "));
  EXPECT_THAT(
      refusal(arrays, {{"experiment", "fashion_mlp"}, {"variant", "odd"}}),
      HasSubstr(": there is no variant \"odd\" of fashion_mlp; known are own"));

  // Each array in turn is missing, has another shape, has another type.
  for (size_t i = 0; i < arrays.size(); ++i) {
    std::vector<StoredArray> others = arrays;
    others.erase(others.begin() + i);
    EXPECT_EQ(refusal(others, metadata),
              absl::StrCat(": expected array \"", arrays[i].name,
                           "\", a parameter of fashion_mlp, found no array of "
                           "that name"));
    const Tensor cube({DType::kFloat32, {1, 2, 3}});
    others = arrays;
    others[i] = ViewOf(arrays[i].name, cube);
    EXPECT_THAT(
        refusal(others, metadata),
        testing::AllOf(testing::StartsWith(absl::StrCat(
                           ": array \"", arrays[i].name, "\": expected ")),
                       testing::EndsWith(", found [1,2,3]")));
    const Tensor whole({DType::kInt32, arrays[i].shape});
    others[i] = ViewOf(arrays[i].name, whole);
    EXPECT_THAT(refusal(others, metadata),
                HasSubstr(absl::StrCat("array \"", arrays[i].name, "\"")));
  }
  for (const char* pixels : {"", "0", "-9", "x", "9.5", "4000000000"}) {
    Metadata wrong = metadata;
    wrong[2].second = pixels;
    EXPECT_THAT(
        refusal(arrays, wrong),
        testing::AllOf(
            HasSubstr(": expected \"pixels\" in the metadata of a model, "
                      "1 to "),
            testing::EndsWith(absl::StrCat(" for a file of its size, found \"",
                                           pixels, "\""))));
  }
  // Its first layer is for nine.
  Metadata wrong = metadata;
  wrong[2].second = "10";
  EXPECT_EQ(refusal(arrays, wrong),
            absl::StrCat(": array \"", arrays[0].name,
                         "\": expected [10,256], as fashion_mlp has it, found "
                         "[9,256]"));

  EXPECT_TRUE(absl::IsNotFound(ImagePredictor::Load(In("none")).status()));
  WriteText(path, "no safetensors");
  EXPECT_THAT(std::string(ImagePredictor::Load(path).status().message()),
              testing::StartsWith(path));
}

TEST_F(PredictorTest, AModelOfARunThatHasDivergedIsRefused) {
  const Experiment& experiment = Find("fashion_mlp");
  const Declared declared = Declare(experiment, 9, /*seed=*/1);
  const Var weights = declared.graph->parameters()[0];
  Tensor values = declared.graph->Value(weights);
  values.values<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  ASSERT_TRUE(declared.graph->SetValue(weights, values).ok());
  WriteModel(In("nan"), declared);
  EXPECT_EQ(ImagePredictor::Load(In("nan")).status(),
            absl::FailedPreconditionError(absl::StrCat(
                In("nan"), ": array \"", declared.graph->NameOf(weights),
                "\": expected finite numbers, found nan: the run has "
                "diverged")));

  // Weights that are finite, and nothing else that is.
  for (Var parameter : declared.graph->parameters()) {
    Tensor huge = declared.graph->Value(parameter);
    for (float& value : huge.values<float>())
      value = value < 0 ? -1e30f : 1e30f;
    ASSERT_TRUE(declared.graph->SetValue(parameter, huge).ok());
  }
  WriteModel(In("huge"), declared);
  absl::StatusOr<ImagePredictor> model = ImagePredictor::Load(In("huge"));
  ASSERT_TRUE(model.ok()) << model.status();
  const absl::Status status = model->Predict(SomeImages(3, 9)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(
      std::string(status.message()),
      testing::AllOf(testing::StartsWith(In("huge") + ": "),
                     HasSubstr("are not finite: the run has diverged")));
}

// Where the processor has no such products, it says so; where it has, it uses
// them.
TEST_F(PredictorTest, PredictsInThePrecisionOfTheRun) {
  const Declared declared = Declare(Find("fashion_mlp"), 9, /*seed=*/1);
  Metadata metadata = MetadataOf(declared);
  metadata.push_back({"precision", "bf16"});
  ASSERT_TRUE(
      WriteSafetensors(In("model"), ArraysOf(*declared.graph), metadata).ok());
  absl::StatusOr<ImagePredictor> model = ImagePredictor::Load(In("model"));
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->notes().size(), HasBFloat16Products() ? 0u : 1u);
  const Tensor images = SomeImages(5, 9);
  const Var probabilities = Softmax(declared.model.logits);
  absl::StatusOr<Plan> plan =
      Compile(*declared.graph,
              {.fetch = {probabilities},
               .precision = HasBFloat16Products() ? Precision::kBFloat16
                                                  : Precision::kFloat32});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plan->Run({{declared.model.images, images}}).ok());
  const absl::StatusOr<Predictions> found = model->Predict(images);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(
      found->probabilities.values<float>(),
      testing::ElementsAreArray(plan->Value(probabilities).values<float>()));
}

TEST_F(PredictorTest, ImagesOfAnotherSizeOrTypeAreRefused) {
  const Experiment& experiment = Find("fashion_mlp");
  const Declared declared = Declare(experiment, 9, /*seed=*/1);
  WriteModel(In("model"), declared);
  absl::StatusOr<ImagePredictor> model = ImagePredictor::Load(In("model"));
  ASSERT_TRUE(model.ok()) << model.status();
  const auto refusal = [&](const Tensor& images) {
    return std::string(model->Predict(images).status().message());
  };
  const std::string expected =
      "expected images as uint8[n,9], as fashion_mlp was trained on, found ";
  EXPECT_EQ(refusal(SomeImages(3, 10)), expected + "uint8[3,10]");
  EXPECT_EQ(refusal(Tensor({DType::kFloat32, {3, 9}})),
            expected + "float32[3,9]");
  EXPECT_EQ(refusal(Tensor({DType::kUint8, {9}})), expected + "uint8[9]");
}

TEST_F(PredictorTest, CanBeMoved) {
  const Experiment& experiment = Find("fashion_mlp");
  const Declared declared = Declare(experiment, 9, /*seed=*/1);
  WriteModel(In("model"), declared);
  absl::StatusOr<ImagePredictor> model = ImagePredictor::Load(In("model"));
  ASSERT_TRUE(model.ok()) << model.status();
  ImagePredictor moved = *std::move(model);
  EXPECT_EQ(model->Predict(SomeImages(3, 9)).status().message(),
            "Predict: the predictor has been moved from");
  const Tensor images = SomeImages(3, 9);
  const absl::StatusOr<Predictions> found = moved.Predict(images);
  ASSERT_TRUE(found.ok()) << found.status();
  ExpectSame(declared, images, *found);
}

}  // namespace
}  // namespace tape
