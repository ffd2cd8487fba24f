// The program predict as a user meets it, and the README's: images of every
// form are taken for the same classes, and what is wrong is said in one line.
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "framework/core/graph.h"
#include "framework/data/csv.h"
#include "framework/data/dataset.h"
#include "framework/data/image_folder.h"
#include "framework/data/images.h"
#include "framework/io/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/experiment.h"
#include "models/predictor.h"
#include "nlohmann/json.hpp"
#include "tests/file_testing.h"
#include "tests/models/program_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

constexpr int kCount = 20;  // Images.

Outcome Predict(const std::vector<std::string>& arguments) {
  return RunProgram("models/predict", arguments);
}

std::vector<std::string> Lines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

// A model that was never trained, and images that it never saw, in all forms.
class PredictProgramTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new std::string(testing::TempDir() + "/predict_program");
    fs::remove_all(*folder_);
    fs::create_directories(*folder_);
    Graph graph({.seed = 1});
    const Experiment& experiment = **FindExperiment("fashion_mlp");
    experiment.declare(graph, 784, experiment.defaults, /*updates=*/1);
    std::vector<StoredArray> arrays;
    for (Var parameter : graph.parameters()) {
      arrays.push_back(
          ViewOf(std::string(graph.NameOf(parameter)), graph.Value(parameter)));
    }
    ASSERT_TRUE(WriteSafetensors(In("model.safetensors"), arrays,
                                 {{"experiment", experiment.name},
                                  {"variant", experiment.variant},
                                  {"pixels", "784"}})
                    .ok());
    const absl::StatusOr<Images> all =
        ReadImages(absl::StrCat(kFashionMnist, "/t10k-images-idx3-ubyte.gz"));
    ASSERT_TRUE(all.ok()) << all.status();
    Tensor pixels({DType::kUint8, {kCount, 784}});
    std::copy_n(all->pixels.values<uint8_t>().begin(), kCount * 784,
                pixels.values<uint8_t>().begin());
    std::vector<int32_t> labels(kCount);
    for (int i = 0; i < kCount; ++i) labels[i] = i % 2;
    const Dataset dataset = {
        .images = pixels, .labels = Tensor({kCount}, labels), .classes = 2};
    ASSERT_TRUE(WriteIdxDataset(dataset, In("idx"), In("idx_labels")).ok());
    ASSERT_TRUE(WriteCsvDataset(dataset, In("csv"), In("csv_labels")).ok());
    ASSERT_TRUE(WriteLabelledCsvDataset(dataset, In("labelled")).ok());
    ASSERT_TRUE(WriteImageFolder(dataset, In("tree")).ok());
    fs::create_directories(In("flat"));
    for (const char* label : {"0", "1"}) {
      for (const auto& entry :
           fs::directory_iterator(absl::StrCat(In("tree"), "/", label))) {
        fs::copy(entry.path(), fs::path(In("flat")) / entry.path().filename());
      }
    }
    ASSERT_EQ(std::system(absl::StrCat("gzip -k ", In("idx")).c_str()), 0);
  }
  static std::string In(const std::string& name) {
    return absl::StrCat(*folder_, "/", name);
  }

  static std::vector<std::string> With(
      const std::string& images, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "--checkpoint=" + In("model.safetensors"), "--images=" + In(images)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // What is printed of the images in a file, after the name.
  static std::vector<std::string> Classes(const std::string& images) {
    const Outcome outcome = Predict(With(images));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    std::vector<std::string> classes;
    for (const std::string& line : Lines(outcome.out)) {
      classes.push_back(line.substr(line.find(' ')));
      classes.back().erase(0, classes.back().find_first_not_of(' '));
    }
    return classes;
  }

  static std::string* folder_;
};
std::string* PredictProgramTest::folder_ = nullptr;

TEST_F(PredictProgramTest, TakesAnImageForTheSameWhateverItsForm) {
  const std::vector<std::string> expected = Classes("idx");
  ASSERT_EQ(expected.size(), size_t{kCount});
  for (const char* form : {"idx.gz", "csv", "labelled", "flat"}) {
    EXPECT_EQ(Classes(form), expected) << form;
  }
  // A tree's images are in the order of its folders.
  std::vector<std::string> by_label;
  for (int label : {0, 1}) {
    for (int i = label; i < kCount; i += 2) by_label.push_back(expected[i]);
  }
  EXPECT_EQ(Classes("tree"), by_label);
  for (int i = 0; i < kCount; ++i) {
    const std::string name = absl::StrFormat("flat/%05d.png", i);
    EXPECT_THAT(Classes(name), testing::ElementsAre(expected[i]));
  }
}

TEST_F(PredictProgramTest, PrintsNameClassAndProbability) {
  const absl::StatusOr<Images> images = ReadImages(In("flat"));
  ASSERT_TRUE(images.ok()) << images.status();
  absl::StatusOr<ImagePredictor> model =
      ImagePredictor::Load(In("model.safetensors"));
  ASSERT_TRUE(model.ok()) << model.status();
  const absl::StatusOr<Predictions> found = model->Predict(images->pixels);
  ASSERT_TRUE(found.ok()) << found.status();
  const std::vector<std::string> one = Lines(Predict(With("flat")).out);
  const std::vector<std::string> all =
      Lines(Predict(With("flat", {"--top=10", "--threads=1"})).out);
  ASSERT_EQ(one.size(), size_t{kCount});
  ASSERT_EQ(all.size(), size_t{kCount});
  for (int i = 0; i < kCount; ++i) {
    std::string expected = absl::StrFormat("%05d.png", i);
    const std::vector<ClassProbability> top = found->Top(i, 10);
    for (int k = 0; k < 10; ++k) {
      absl::StrAppendFormat(&expected, "  %d %.4f", top[k].label,
                            top[k].probability);
      if (k == 0) {
        EXPECT_EQ(one[i], expected);
      }
    }
    EXPECT_EQ(all[i], expected);
  }
  // Names are padded to one width.
  const std::vector<std::string> indices = Lines(Predict(With("idx")).out);
  EXPECT_THAT(indices[9], testing::StartsWith("9   "));
  EXPECT_THAT(indices[10], testing::StartsWith("10  "));
  EXPECT_EQ(indices[9].size(), indices[10].size());
}

TEST_F(PredictProgramTest, PrintsJsonLinesWhoseProbabilitiesAddUpToOne) {
  const Outcome outcome = Predict(With("flat", {"--json", "--top=10"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<std::string> lines = Lines(outcome.out);
  const std::vector<std::string> short_lines =
      Lines(Predict(With("flat", {"--json"})).out);
  const std::vector<std::string> texts = Classes("flat");
  ASSERT_EQ(lines.size(), size_t{kCount});
  ASSERT_EQ(short_lines.size(), size_t{kCount});
  for (int i = 0; i < kCount; ++i) {
    json line = json::parse(lines[i]);
    EXPECT_EQ(line["image"], absl::StrFormat("%05d.png", i));
    EXPECT_EQ(texts[i], absl::StrFormat("%d %.4f", line["class"].get<int>(),
                                        line["probability"].get<double>()));
    ASSERT_EQ(line["top"].size(), 10u);
    EXPECT_EQ(line["top"][0]["class"], line["class"]);
    EXPECT_EQ(line["top"][0]["probability"], line["probability"]);
    double sum = 0;
    double before = 1;
    std::set<int> classes;
    for (const json& entry : line["top"]) {
      const double probability = entry["probability"];
      EXPECT_LE(probability, before);
      before = probability;
      sum += probability;
      classes.insert(entry["class"].get<int>());
    }
    EXPECT_NEAR(sum, 1, 1e-5);
    EXPECT_EQ(classes.size(), 10u);
    line.erase("top");
    EXPECT_EQ(json::parse(short_lines[i]), line);
  }
}

TEST_F(PredictProgramTest, TheReadmesProgramPredictsTheSame) {
  const Outcome outcome =
      RunProgram("tests/readme_predict", {In("model.safetensors"), In("flat")});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  std::string expected;
  for (const std::string& line :
       Lines(Predict(With("flat", {"--json", "--top=3"})).out)) {
    const json parsed = json::parse(line);
    absl::StrAppend(&expected, parsed["image"].get<std::string>(), ":");
    for (const json& entry : parsed["top"]) {
      absl::StrAppendFormat(&expected, "  %d with %.4f",
                            entry["class"].get<int>(),
                            entry["probability"].get<double>());
    }
    expected += "\n";
  }
  EXPECT_EQ(outcome.out, expected);
  ExpectOneLineOfError(
      RunProgram("tests/readme_predict", {In("none"), In("flat")}),
      {In("none")});
  ExpectOneLineOfError(
      RunProgram("tests/readme_predict", {In("model.safetensors"), In("none")}),
      {In("none")});
}

TEST_F(PredictProgramTest, ARunsFolderPredictsTheAccuracyThatItsRunPrinted) {
  const std::string run = In("run");
  const Outcome trained = RunProgram(
      "models/train",
      {"--experiment=fashion_mlp", "--epochs=1", "--run_dir=" + run});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const json summary = json::parse(ReadText(run + "/summary.json"));
  const Outcome outcome = Predict(
      {"--checkpoint=" + run,
       absl::StrCat("--images=", kFashionMnist, "/t10k-images-idx3-ubyte.gz")});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, absl::StrCat("model: ", run, "/model.safetensors\n"));
  const std::vector<std::string> lines = Lines(outcome.out);
  ASSERT_EQ(lines.size(), 10000u);
  const absl::StatusOr<DataSplits> data = ReadMnistFolder(kFashionMnist);
  ASSERT_TRUE(data.ok()) << data.status();
  int right = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::vector<std::string> words =
        absl::StrSplit(lines[i], ' ', absl::SkipEmpty());
    ASSERT_EQ(words.size(), 3u);
    EXPECT_EQ(words[0], absl::StrCat(i));
    if (words[1] == absl::StrCat(data->test.labels.values<int32_t>()[i])) {
      ++right;
    }
  }
  EXPECT_GT(right, 8000);
  EXPECT_EQ(right / 1e4, summary["test_accuracy"].get<double>());
}

TEST_F(PredictProgramTest, SaysWhichCheckpointItPassedOver) {
  const std::string run = In("killed");
  const Outcome trained = RunProgram(
      "models/train", {"--experiment=fashion_40_relu", "--epochs=2",
                       "--checkpoint_every=1epochs", "--run_dir=" + run});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  fs::remove(run + "/model.safetensors");
  std::set<std::string> checkpoints;
  for (const auto& entry : fs::directory_iterator(run + "/checkpoints")) {
    checkpoints.insert(entry.path().string());
  }
  ASSERT_GE(checkpoints.size(), 2u);
  fs::resize_file(*checkpoints.rbegin(), 1000);
  const Outcome outcome =
      Predict({"--checkpoint=" + run, "--images=" + In("idx")});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(Lines(outcome.out).size(), size_t{kCount});
  const std::vector<std::string> said = Lines(outcome.err);
  ASSERT_EQ(said.size(), 2u);
  EXPECT_THAT(said[0], testing::StartsWith(absl::StrCat(
                           "passed over: ", *checkpoints.rbegin(), ": ")));
  EXPECT_THAT(said[1], testing::AllOf(
                           testing::StartsWith(absl::StrCat(
                               "model: ", *std::next(checkpoints.rbegin()),
                               ", a checkpoint of step ")),
                           HasSubstr("in epoch 2: the run has not finished")));
}

TEST_F(PredictProgramTest, NamesOfFilesStayOneLineAndCommandNoTerminal) {
  fs::create_directories(In("odd"));
  for (const char* name : {"a\nb.png", "\033]0;title\007.png", "ß.png"}) {
    fs::copy(In("flat/00000.png"), In("odd/") + name,
             fs::copy_options::overwrite_existing);
  }
  const Outcome outcome = Predict(With("odd"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<std::string> lines = Lines(outcome.out);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[0], testing::StartsWith("\\x1b]0;title\\x07.png  "));
  EXPECT_THAT(lines[1], testing::StartsWith("a\\nb.png  "));
  EXPECT_THAT(lines[2], testing::StartsWith("ß.png  "));
  // Nor in errors.
  WriteText(In("odd/\033[2J\n.png"), "no image");
  const Outcome refused = Predict(With("odd"));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(refused.err.find('\033'), std::string::npos);
  EXPECT_EQ(Lines(refused.err).size(), 1u) << refused.err;
}

TEST_F(PredictProgramTest, AFileLargerThanTheMemoryIsAnErrorWithItsName) {
  if (kUnderAddressSanitizer) {
    GTEST_SKIP() << "the address sanitizer bears no limit of the address space";
  }
  // 765,306 images of 784 pixels that are a hole: 600 MB.
  const std::string big = In("big");
  WriteText(big, std::string(
                     {0, 0, 8, 3, 0, 11, -83, 122, 0, 0, 0, 28, 0, 0, 0, 28}));
  fs::resize_file(big, 16 + int64_t{765306} * 784);
  const Outcome outcome =
      RunProgram("models/predict", With("big", {"--threads=1"}),
                 {.max_memory_bytes = 512 << 20});
  ExpectOneLineOfError(outcome,
                       {big + ": its 599999920 bytes are more than the "});
}

// As many pixels as the model's images have, in other rows.
TEST_F(PredictProgramTest, RefusesImagesOfOtherRows) {
  const absl::StatusOr<SafetensorsFile> model =
      ReadSafetensors(In("model.safetensors"));
  ASSERT_TRUE(model.ok()) << model.status();
  Metadata record = model->metadata;
  record.emplace_back("rows", "14");
  ASSERT_TRUE(WriteSafetensors(In("rows_14"), model->arrays, record).ok());
  for (const char* images : {"idx", "flat"}) {
    ExpectOneLineOfError(
        Predict({"--checkpoint=" + In("rows_14"), "--images=" + In(images)}),
        {In(images) + ": expected images of 14 rows, as fashion_mlp was "
                      "trained on, found 28"});
  }
  // Which does not tell.
  EXPECT_EQ(Predict({"--checkpoint=" + In("rows_14"), "--images=" + In("csv")})
                .exit_code,
            0);
}

TEST_F(PredictProgramTest, WhatIsWrongIsSaidInOneLine) {
  ExpectOneLineOfError(
      Predict({}),
      {"--checkpoint: expected a model's file or a run directory, found none"});
  ExpectOneLineOfError(
      Predict({"--checkpoint=" + In("model.safetensors")}),
      {"--images: expected a file or folder of images, found none"});
  for (const char* top : {"0", "11", "-1"}) {
    ExpectOneLineOfError(
        Predict(With("idx", {absl::StrCat("--top=", top)})),
        {absl::StrCat("--top: expected 1 to 10, found ", top)});
  }
  ExpectOneLineOfError(Predict(With("idx", {"--threads=0"})),
                       {"--threads: expected 1 to"});
  ExpectOneLineOfError(Predict(With("idx", {"one.png"})),
                       {"expected flags only, found \"one.png\""});
  ExpectOneLineOfError(Predict(With("none")),
                       {In("none") + ": expected images as an IDX, PNG or CSV "
                                     "file, or a folder of PNG images, found "
                                     "no such file"});
  ExpectOneLineOfError(
      Predict({"--checkpoint=" + In("none"), "--images=" + In("idx")}),
      {In("none")});
  ExpectOneLineOfError(
      Predict({"--checkpoint=" + In("flat"), "--images=" + In("idx")}),
      {In("flat") + ": expected the folder of a run"});
  ExpectOneLineOfError(
      Predict({"--checkpoint=" + In("idx"), "--images=" + In("idx")}),
      {In("idx")});
  WriteText(In("small"), "1,2,3,4\n");
  ExpectOneLineOfError(
      Predict(With("small")),
      {In("small") + ": expected images as uint8[n,784], as fashion_mlp was "
                     "trained on, found uint8[1,4]"});
  ExpectOneLineOfError(Predict(With("idx_labels")),
                       {In("idx_labels") + ": byte 0"});
}

TEST_F(PredictProgramTest, HelpNamesEveryFlag) {
  const Outcome outcome = Predict({"--help"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* flag : {"--checkpoint=", "--images=", "--top=", "--json",
                           "--threads=", "Exits with 0"}) {
    EXPECT_THAT(outcome.out, HasSubstr(flag));
  }
}

}  // namespace
}  // namespace tape
