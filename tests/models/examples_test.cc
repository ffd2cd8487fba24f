// The programs of models/examples, run as a user does, held to figures that are
// worked out here. tests/models/scikit_learn_tables.py holds them to
// scikit-learn's on real tables.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <numbers>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "framework/core/random.h"
#include "framework/data/dataset.h"
#include "framework/io/grey_png.h"
#include "framework/io/safetensors.h"
#include "framework/serving/predictor.h"
#include "models/experiment.h"
#include "tests/file_testing.h"
#include "tests/models/program_testing.h"

namespace tape {
namespace {

std::string File(const std::string& name, const std::string& text) {
  return WriteText(absl::StrCat(testing::TempDir(), "/", name), text);
}

// The numbers of a line such as "test rmse 3.76, r2 0.79".
std::vector<double> NumbersIn(const std::string& line) {
  std::vector<double> numbers;
  for (absl::string_view word : absl::StrSplit(line, absl::ByAnyChar(" ,\n"))) {
    double number = 0;
    if (absl::SimpleAtod(word, &number)) numbers.push_back(number);
  }
  return numbers;
}

// The numbers of an array of a file.
std::vector<float> ArrayOf(const std::string& path, const std::string& name) {
  const absl::StatusOr<SafetensorsFile> file = ReadSafetensors(path);
  EXPECT_TRUE(file.ok()) << file.status();
  const StoredArray* const array = file.ok() ? file->Find(name) : nullptr;
  EXPECT_NE(array, nullptr) << path << " " << name;
  if (array == nullptr) return {};
  const Tensor values = *ToTensor(*array, DType::kFloat32);
  return {values.values<float>().begin(), values.values<float>().end()};
}

// ---- Regression ----

struct House {
  double area, rooms;
  int place;  // 0 or 1.
  double price;
};

std::vector<House> Houses(int count, uint64_t seed) {
  RandomStream random(seed, 0);
  std::vector<House> houses;
  for (int i = 0; i < count; ++i) {
    House house = {.area = std::round(50 + 100 * random.Uniform()),
                   .rooms = 1.0 + random.Below(5),
                   .place = static_cast<int>(random.Below(2)),
                   .price = 0};
    const double noise = 20 * (random.Uniform() - 0.5);
    house.price = std::round(100 * (3 * house.area + 10 * house.rooms +
                                    50 * house.place + noise)) /
                  100;
    houses.push_back(house);
  }
  return houses;
}

std::string Csv(const std::vector<House>& houses) {
  std::string text = "price,\"area, m2\",rooms,place\n";
  for (const House& house : houses) {
    absl::StrAppend(&text, house.price, ",", house.area, ",", house.rooms, ",",
                    house.place == 1 ? "\"by the \"\"sea\"\"\"" : "inland",
                    "\n");
  }
  return text;
}

// The root mean squared error on `test` of the least-squares solution on
// `train`, by its normal equations.
double LeastSquaresError(const std::vector<House>& train,
                         const std::vector<House>& test) {
  constexpr int kSize = 4;
  const auto row = [](const House& house) {
    return std::vector<double>{house.area, house.rooms,
                               static_cast<double>(house.place), 1};
  };
  double a[kSize][kSize + 1] = {};
  for (const House& house : train) {
    const std::vector<double> x = row(house);
    for (int i = 0; i < kSize; ++i) {
      for (int k = 0; k < kSize; ++k) a[i][k] += x[i] * x[k];
      a[i][kSize] += x[i] * house.price;
    }
  }
  for (int i = 0; i < kSize;
       ++i) {  // Gauss and Jordan: a is positive definite.
    for (int k = kSize; k >= i; --k) a[i][k] /= a[i][i];
    for (int other = 0; other < kSize; ++other) {
      if (other == i) continue;
      for (int k = kSize; k >= i; --k) a[other][k] -= a[other][i] * a[i][k];
    }
  }
  double squares = 0;
  for (const House& house : test) {
    const std::vector<double> x = row(house);
    double predicted = 0;
    for (int i = 0; i < kSize; ++i) predicted += a[i][kSize] * x[i];
    squares += (predicted - house.price) * (predicted - house.price);
  }
  return std::sqrt(squares / static_cast<double>(test.size()));
}

TEST(ExamplesTest, TheLinearRegressionIsTheLeastSquaresSolution) {
  const std::vector<House> train = Houses(200, 1), test = Houses(50, 2);
  const Outcome outcome = RunProgram(
      "models/examples/table_regression",
      {File("train.csv", Csv(train)), File("test.csv", Csv(test)), "price"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<double> found = NumbersIn(outcome.out);
  ASSERT_EQ(found.size(), 2u) << outcome.out;
  const double expected = LeastSquaresError(train, test);
  EXPECT_NEAR(found[0], expected, 1e-4 * expected);
  EXPECT_GT(found[1], 0.99);
}

TEST(ExamplesTest, MistakesAreOneLine) {
  const std::string good = File("good.csv", Csv(Houses(20, 1)));
  const std::string headless = File("headless.csv", "1,2\n3,4\n");
  ExpectOneLineOfError(
      RunProgram("models/examples/table_regression", {good, headless, "price"}),
      {headless, "row 1: expected the name of column 1", "the number 1"});
  ExpectOneLineOfError(
      RunProgram("models/examples/table_regression", {good, good, "prize"}),
      {"expected a column \"prize\", found \"price\", \"area, m2\""});
  ExpectOneLineOfError(
      RunProgram("models/examples/table_regression", {good, good, "place"}),
      {"column \"place\", row 2: expected numbers, found"});
}

TEST(ExamplesTest, ADivergedRegressionSaysSo) {
  // All targets are alike: there is no unit.
  const std::string constant = File("constant.csv", "a,y\n1,5\n2,5\n3,5\n");
  ExpectOneLineOfError(
      RunProgram("models/examples/table_regression", {constant, constant, "y"}),
      {"step 1, in epoch 1: the loss is nan"});
}

// ---- Serving ----

TEST(ExamplesTest, FourThreadsAnswerAsOne) {
  const Outcome outcome = RunProgram("models/examples/serving", {"4", "1000"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out, "0 of 4000 answers differ\n");
}

// ---- Classification ----

// Exclusive or, in words, and a number that tells nothing.
std::string Words(int count, uint64_t seed) {
  RandomStream random(seed, 0);
  std::string text = "left,right,noise,class\n";
  for (int i = 0; i < count; ++i) {
    const bool left = random.Below(2) == 1, right = random.Below(2) == 1;
    absl::StrAppend(&text, left ? "yes" : "no", ",", right ? "on" : "off", ",",
                    i % 7 == 0 ? "" : absl::StrCat(random.Below(100)), ",",
                    left != right ? "odd" : "even", "\n");
  }
  return text;
}

TEST(ExamplesTest, TheTableClassifierLearnsExclusiveOr) {
  const std::vector<std::string> arguments = {File("words.csv", Words(400, 1)),
                                              File("more.csv", Words(100, 2)),
                                              "class", "3"};
  const Outcome outcome =
      RunProgram("models/examples/table_classifier", arguments);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "test accuracy 1.0000, f1 1.0000\n");
  EXPECT_TRUE(absl::StrContains(outcome.err, "test f1")) << outcome.err;
  // The same bits again, Dropout and all.
  const Outcome again =
      RunProgram("models/examples/table_classifier", arguments);
  EXPECT_EQ(again.out, outcome.out);
}

// ---- Fine-tuning ----

// Points around (2, 1), of class "same" if the signs of u = a - 2 and
// v = 2 (b - 1) are equal.
std::string SignPairs(int count, uint64_t seed) {
  RandomStream random(seed, 0);
  std::string text = "a,b,signs\n";
  for (int i = 0; i < count; ++i) {
    const double u = 2 * random.Uniform() - 1, v = 2 * random.Uniform() - 1;
    absl::StrAppendFormat(&text, "%.6f,%.6f,%s\n", u + 2, v / 2 + 1,
                          u * v > 0 ? "same" : "different");
  }
  return text;
}

TEST(ExamplesTest, FineTuningTrainsTheNewLayerAlone) {
  // |u + v| - |u - v| has the sign of u v: with these units the classes are
  // linearly separable, and with four others they are not.
  const std::vector<float> weight = {1, 2, -1, -2, 1, -2, -1, 2};
  const std::vector<float> bias = {-4, 4, 0, 0};
  const Tensor w({4, 2}, weight), b({4}, bias),
      old_w({3, 4}, std::vector<float>(12, 7)),
      old_b({3}, std::vector<float>(3, 7));
  const std::string torch = testing::TempDir() + "/torch.safetensors";
  const std::string model = testing::TempDir() + "/fine_tuned.safetensors";
  ASSERT_TRUE(WriteSafetensors(
                  torch, {ViewOf("0.weight", w), ViewOf("0.bias", b),
                          ViewOf("2.weight", old_w), ViewOf("2.bias", old_b)})
                  .ok());
  const std::string train = File("signs.csv", SignPairs(400, 1));
  const std::string test = File("more_signs.csv", SignPairs(200, 2));
  const Outcome outcome = RunProgram("models/examples/fine_tuning",
                                     {torch, train, test, "signs", model});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<double> found = NumbersIn(outcome.out);
  ASSERT_EQ(found.size(), 1u) << outcome.out;
  EXPECT_GT(found[0], 0.98);
  // PyTorch's matrices are the transposes of ours.
  EXPECT_EQ(ArrayOf(model, "layer1/w"),
            (std::vector<float>{1, -1, 1, -1, 2, -2, -2, 2}));
  EXPECT_EQ(ArrayOf(model, "layer1/b"), bias);

  const std::string other = testing::TempDir() + "/other.safetensors";
  ASSERT_TRUE(WriteSafetensors(other, {ViewOf("fc.weight", w)}).ok());
  const Outcome refused = RunProgram("models/examples/fine_tuning",
                                     {other, train, test, "signs", model});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(refused.err, "0.weight")) << refused.err;
}

// ---- Autoencoder ----

TEST(ExamplesTest, TheAutoencoderIsFarBetterThanTheMeanImage) {
  const absl::StatusOr<DataSplits> images = ReadMnistFolder(kFashionMnist);
  ASSERT_TRUE(images.ok()) << images.status();
  const auto train = images->train.images.values<uint8_t>();
  const auto test = images->test.images.values<uint8_t>();
  const auto pixels = static_cast<size_t>(images->train.pixels());
  std::vector<double> mean(pixels);
  for (size_t i = 0; i < train.size(); ++i) mean[i % pixels] += train[i];
  double squares = 0;
  for (size_t i = 0; i < test.size(); ++i) {
    const double error =
        test[i] - mean[i % pixels] / static_cast<double>(images->train.size());
    squares += error * error;
  }
  const double of_mean =
      std::sqrt(squares / static_cast<double>(test.size())) / 255;

  const std::string encoder = testing::TempDir() + "/encoder.safetensors";
  const Outcome outcome =
      RunProgram("models/examples/autoencoder", {kFashionMnist, "16", encoder});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<double> found = NumbersIn(outcome.out);
  ASSERT_EQ(found.size(), 1u) << outcome.out;
  EXPECT_LT(found[0], 0.45 * of_mean) << of_mean;

  // The encoder alone, from its file.
  const absl::StatusOr<Predictor> model = Predictor::Load(encoder);
  ASSERT_TRUE(model.ok()) << model.status();
  const absl::StatusOr<DataTable> codes =
      model->Predict(DataTable{{{"images", images->test.images}}});
  ASSERT_TRUE(codes.ok()) << codes.status();
  EXPECT_EQ(codes->Find("code")->shape(), (Shape{10000, 16}));
  EXPECT_EQ(model->model().graph->variables().size(), 4);
}

// ---- Several labels ----

std::string Labelled(int count, uint64_t seed) {
  RandomStream random(seed, 0);
  std::string text = "a,upper,b,ring,left\n";
  for (int i = 0; i < count; ++i) {
    const double a = 2 * random.Uniform() - 1, b = 2 * random.Uniform() - 1;
    absl::StrAppendFormat(
        &text, "%.5f,%s,%.5f,%s,%d\n", a, a + b > 0 ? "yes" : "no", b,
        a * a + b * b < 0.5 ? "in" : "\"not, in\"", a < 0 ? 1 : 0);
  }
  return text;
}

TEST(ExamplesTest, SeveralLabelsOfARowAreLearnt) {
  const Outcome outcome = RunProgram(
      "models/examples/multi_label",
      {File("labels.csv", Labelled(1000, 1)),
       File("more_labels.csv", Labelled(300, 2)), "upper", "ring", "left"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<double> found = NumbersIn(outcome.out);
  ASSERT_EQ(found.size(), 4u) << outcome.out;
  for (int i = 0; i < 3; ++i) EXPECT_GT(found[i], 0.99) << outcome.out;
  EXPECT_GT(found[3], 0.93) << outcome.out;
}

// ---- A recurrent network ----

TEST(ExamplesTest, TheRecurrentNetworkContinuesAText) {
  std::string text;
  for (int i = 0; i < 60; ++i)
    absl::StrAppend(&text,
                    "one two three four five six seven eight nine ten. ");
  const Outcome outcome =
      RunProgram("models/examples/char_rnn",
                 {File("text.txt", text.substr(0, 2000)), "200"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<std::string> lines = absl::StrSplit(outcome.out, '\n');
  ASSERT_EQ(lines.size(), 3u) << outcome.out;
  EXPECT_LT(NumbersIn(lines[0])[0], 0.2);
  // What a longer text has there.
  EXPECT_EQ(lines[1], text.substr(24, 200));
}

// ---- Attention ----

TEST(ExamplesTest, AttentionFindsTheAnswer) {
  const Outcome outcome =
      RunProgram("models/examples/attention_classifier", {"1"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_GT(NumbersIn(outcome.out)[0], 0.99);  // By chance: 0.2.
}

// ---- Two models in turn ----

TEST(ExamplesTest, TheGeneratorLearnsTheCircle) {
  const Outcome outcome = RunProgram("models/examples/gan", {});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<double> points = NumbersIn(outcome.out);
  ASSERT_EQ(points.size(), 512u);
  double radius = 0, squares = 0;
  std::array<int, 8> sectors = {};  // Of 45 degrees.
  for (size_t i = 0; i < points.size(); i += 2) {
    const double r = std::hypot(points[i], points[i + 1]);
    radius += r / 256;
    squares += (r - 2) * (r - 2) / 256;
    const double turn =
        std::atan2(points[i], points[i + 1]) / (2 * std::numbers::pi);
    ++sectors[static_cast<int>(8 * (turn + 1)) % 8];
  }
  EXPECT_NEAR(radius, 2, 0.1);
  EXPECT_LT(std::sqrt(squares), 0.3);
  for (const int count : sectors) EXPECT_GE(count, 10);  // 32 are expected.
}

// ---- A training inside an application ----

constexpr char kEmbedded[] = "models/examples/embedded";

std::string NewFolder(const std::string& name) {
  const std::string folder = testing::TempDir() + "/" + name;
  std::filesystem::remove_all(folder);
  return folder;
}

std::string ModelIn(const std::string& folder) {
  return folder + "/model.safetensors";
}

TEST(ExamplesTest, TheEmbeddedTrainingIsCancelledAndContinued) {
  const std::string whole = NewFolder("whole");
  const Outcome outcome = RunProgram(kEmbedded, {whole});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<double> found = NumbersIn(outcome.out);
  ASSERT_EQ(found.size(), 2u) << outcome.out;
  EXPECT_GT(found[0], 0.95);
  EXPECT_LT(found[1], 0.05);  // The rate has fallen.

  // The model has the averages of the weights, and gives the classes.
  const std::string last = whole + "/step-000000000640.safetensors";
  for (const std::string name : {"w1", "w2", "norm/weight"}) {
    EXPECT_EQ(ArrayOf(ModelIn(whole), name), ArrayOf(last, name + "/average"));
    EXPECT_NE(ArrayOf(ModelIn(whole), name), ArrayOf(last, name));
  }
  const absl::StatusOr<Predictor> model = Predictor::Load(ModelIn(whole));
  ASSERT_TRUE(model.ok()) << model.status();
  const Tensor points(
      {4, 2}, std::vector<float>{0, 0, -1, 0, -1.6F, -1.2F, 1.8F, 1.8F});
  const absl::StatusOr<DataTable> given =
      model->Predict(DataTable{{{"x", points}}});
  ASSERT_TRUE(given.ok()) << given.status();
  const auto probabilities = given->Find("probabilities")->values<float>();
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(probabilities[2 * i + 1] > 0.5F, i < 2) << i;
  }

  // Cancelled within an epoch, which has 16 steps, twice.
  const std::string cancelled = NewFolder("cancelled");
  EXPECT_EQ(RunProgram(kEmbedded, {cancelled, "103"}).exit_code, 3);
  EXPECT_FALSE(std::filesystem::exists(ModelIn(cancelled)));
  EXPECT_TRUE(
      std::filesystem::exists(cancelled + "/step-000000000103.safetensors"));
  EXPECT_EQ(RunProgram(kEmbedded, {cancelled, "104"}).exit_code, 3);
  const Outcome continued = RunProgram(kEmbedded, {cancelled});
  EXPECT_EQ(continued.out, outcome.out) << continued.err;
  EXPECT_EQ(ReadText(ModelIn(cancelled)), ReadText(ModelIn(whole)));
}

// The checkpoints have the states of ReduceOnPlateau, BatchNorm, Dropout and
// AverageWeights.
TEST(ExamplesTest, TheEmbeddedTrainingContinuesAfterKillsToTheSameBits) {
  const std::string whole = NewFolder("not_killed");
  Calls calls;
  const Outcome outcome = RunProgram(kEmbedded, {whole}, {.calls = &calls});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string model = ReadText(ModelIn(whole));
  ASSERT_FALSE(model.empty());
  constexpr int kKills = 10;
  for (int i = 1; i <= kKills; ++i) {
    SCOPED_TRACE(i);
    const std::string folder = NewFolder("killed");
    // Half of them while a file is written.
    const bool at_files = i % 2 == 0;
    const SignalAt kill = {
        .signal = SIGKILL,
        .call = (at_files ? calls.files : calls.all) * i / (kKills + 1),
        .calls = at_files ? SignalAt::kFiles : SignalAt::kAll,
        .and_end = true};
    EXPECT_EQ(RunProgram(kEmbedded, {folder}, {.signals_at = {kill}}).exit_code,
              -SIGKILL);
    const Outcome continued = RunProgram(kEmbedded, {folder});
    EXPECT_EQ(continued.out, outcome.out) << continued.err;
    EXPECT_EQ(ReadText(ModelIn(folder)), model);
  }
  // Ctrl-C is taken after a step.
  const std::string folder = NewFolder("interrupted");
  const SignalAt interrupt = {.signal = SIGINT, .call = calls.all / 2};
  EXPECT_EQ(
      RunProgram(kEmbedded, {folder}, {.signals_at = {interrupt}}).exit_code,
      3);
  EXPECT_EQ(RunProgram(kEmbedded, {folder}).out, outcome.out);
  EXPECT_EQ(ReadText(ModelIn(folder)), model);
}

// ---- The README's table ----

// ---- Images in folders ----

// A tree of 20 noisy images for each of three colours, by `seed`.
std::string Colours(const std::string& name, uint64_t seed) {
  const std::string folder = testing::TempDir() + "/" + name;
  std::filesystem::remove_all(folder);
  RandomStream random(seed, 0);
  for (const auto& [colour, red, green, blue] :
       {std::tuple("amber", 220, 150, 30), std::tuple("jade", 60, 170, 70),
        std::tuple("sky", 80, 140, 230)}) {
    std::filesystem::create_directories(folder + "/" + colour);
    for (int image = 0; image < 20; ++image) {
      std::vector<uint8_t> pixels;
      for (int i = 0; i < 6 * 4; ++i) {
        for (const int level : {red, green, blue}) {
          pixels.push_back(static_cast<uint8_t>(
              std::clamp(level + 120 * (random.Uniform() - 0.5), 0.0, 255.0)));
        }
      }
      WriteText(absl::StrCat(folder, "/", colour, "/", image, ".png"),
                EncodeRgbPng({6, 4}, pixels.data()));
    }
  }
  return folder;
}

TEST(ExamplesTest, ImagesOfAFolderAreClassifiedByTheSavedModel) {
  const std::string model = testing::TempDir() + "/colours.safetensors";
  const Outcome outcome =
      RunProgram("models/examples/image_folder",
                 {Colours("train", 1), Colours("test", 2), model});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<double> numbers = NumbersIn(outcome.out);
  ASSERT_EQ(numbers.size(), 2u) << outcome.out;
  EXPECT_GE(numbers[0], 57);
  EXPECT_EQ(numbers[1], 60);
  EXPECT_TRUE(absl::StrContains(outcome.out, "the first one a amber\n"))
      << outcome.out;
}

// The lines of a file without comments and blank lines; none of no file.
std::string CodeLines(const std::string& path) {
  int count = 0;
  for (absl::string_view line : absl::StrSplit(ReadText(path), '\n')) {
    line = absl::StripAsciiWhitespace(line);
    count += !line.empty() && !absl::StartsWith(line, "//");
  }
  return count == 0 ? "" : absl::StrCat(count);
}

TEST(ExamplesTest, TheReadmeCountsTheLinesOfEach) {
  const std::string readme = ReadText("README.md");
  int programs = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("models/examples")) {
    if (entry.path().extension() != ".cc") continue;
    ++programs;
    const std::string name = entry.path().stem();
    SCOPED_TRACE(name);
    const std::string text = ReadText(entry.path());
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 80);
    const size_t at = readme.find(absl::StrCat("\n| `", name, "` |"));
    ASSERT_NE(at, std::string::npos);
    const std::vector<std::string> cells = absl::StrSplit(
        readme.substr(at + 1, readme.find('\n', at + 1) - at - 1), '|');
    ASSERT_EQ(cells.size(), 6u);
    EXPECT_EQ(absl::StripAsciiWhitespace(cells[3]), CodeLines(entry.path()));
    EXPECT_EQ(absl::StripAsciiWhitespace(cells[4]),
              CodeLines(absl::StrCat("models/examples/libtorch/libtorch_", name,
                                     ".cc")));
  }
  EXPECT_GE(programs, 10);
}

}  // namespace
}  // namespace tape
