// A user's own table through the programs train, predict and evaluate, as a user
// meets them: run as processes, wrong flags included.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "framework/core/random.h"
#include "framework/io/grey_png.h"
#include "framework/io/idx.h"
#include "framework/io/npz.h"
#include "framework/io/stored_array.h"
#include "tests/file_testing.h"
#include "tests/models/program_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kTrain[] = "models/train";
constexpr char kPredict[] = "models/predict";
constexpr char kEvaluate[] = "models/evaluate";

std::string In(const std::string& name) {
  return testing::TempDir() + "/" +
         testing::UnitTest::GetInstance()->current_test_info()->name() + "_" +
         name;
}

std::string NewRun(const std::string& name) {
  fs::remove_all(In(name));
  return In(name);
}

// 300 fruits: a text column with quotes, a category, numbers, some of each
// missing; the kind follows from size and colour, the price from size and weight.
std::string Fruits() {
  std::string text = "name,size,\"the colour\",weight,kind,price\r\n";
  RandomStream random(1, 0);
  for (int i = 0; i < 300; ++i) {
    const double size = 1 + 9 * random.Uniform();
    const double weight = 100 + 50 * random.Uniform();
    const bool is_red = random.Uniform() < 0.5;
    const char* const kind = is_red     ? (size < 4 ? "cherry" : "apple")
                             : size < 4 ? "grape"
                                        : "melon";
    absl::StrAppendFormat(&text,
                          "\"no. %d, \"\"ripe\"\"\",%s,%s,%.3f,%s,%.4f\r\n", i,
                          i % 29 == 7 ? "" : absl::StrFormat("%.3f", size),
                          i % 31 == 5 ? "NA"
                          : is_red    ? "red"
                                      : "green",
                          weight, kind, 3 * size - 0.1 * weight);
  }
  return WriteText(In("fruits.csv"), "\xef\xbb\xbf" + text);
}

// The number behind `name` in a text.
double NumberAfter(const std::string& text, const std::string& name) {
  const size_t at = text.rfind(name + " ");
  if (at == std::string::npos) return NAN;
  double number = NAN;
  const std::string rest = text.substr(at + name.size() + 1);
  EXPECT_TRUE(absl::SimpleAtod(
      rest.substr(0, rest.find_first_not_of("0123456789.-e+")), &number))
      << rest;
  return number;
}

std::string Printed(const std::string& program,
                    const std::vector<std::string>& arguments) {
  const Outcome outcome = RunProgram(program, arguments);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return outcome.out;
}

TEST(UserDataProgramTest, ATableOfWordsAndNumbersIsLearntAndPredicted) {
  const std::string data = Fruits(), run = NewRun("run");
  const std::string trained =
      Printed(kTrain, {"--data=" + data, "--target=kind", "--layers=32",
                       "--epochs=60", "--validation=0.1", "--stratified",
                       "--dropout=0.05", "--learning_rate=0.01",
                       "--schedule=cosine", "--run_dir=" + run});
  EXPECT_THAT(trained, HasSubstr("5-32-4 relu, adam, classification"));
  EXPECT_THAT(trained,
              HasSubstr("left out, of more than 32 categories: \"name\"\n"));
  const double accuracy = NumberAfter(trained, "test accuracy");
  EXPECT_GT(accuracy, 0.85);
  const std::string report = ReadText(run + "/report.html");
  for (const char* const part : {"cherry", "melon", "f1", "the colour"}) {
    EXPECT_THAT(report, HasSubstr(part));
  }

  // From the model's file alone.
  const std::string model = In("model.safetensors");
  fs::remove(model);
  fs::rename(run + "/model.safetensors", model);
  const std::string all =
      Printed(kPredict, {"--model=" + model, "--data=" + data, "--top=2"});
  const std::vector<std::string> lines =
      absl::StrSplit(all, '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 300u);
  EXPECT_EQ(all, Printed(kPredict, {"--checkpoint=" + model, "--images=" + data,
                                    "--top=2", "--threads=1"}));
  EXPECT_THAT(
      Printed(kPredict, {"--model=" + model, "--data=" + data, "--json"}),
      HasSubstr("{\"row\":\"0\",\"class\":\""));
  const std::string evaluated =
      Printed(kEvaluate, {"--model=" + model, "--data=" + data, "--report"});
  EXPECT_GT(NumberAfter(evaluated, "\naccuracy"), 0.85);
  EXPECT_THAT(evaluated, HasSubstr("grape"));

  // Without its target, and with one more column.
  const std::string rows =
      WriteText(In("rows.csv"),
                "the colour,weight,size,taste,price\nred,120,2,good,-6\n");
  EXPECT_THAT(Printed(kPredict, {"--model=" + model, "--data=" + rows}),
              HasSubstr("0  cherry 0."));
  ExpectOneLineOfError(
      RunProgram(kEvaluate, {"--model=" + model, "--data=" + rows}),
      {rows, "expected a column \"kind\", found \"the colour\", \"weight\""});
  const std::string unknown =
      WriteText(In("unknown.csv"),
                "the colour,weight,size,kind,price\nred,120,2,nut,-6\n");
  ExpectOneLineOfError(
      RunProgram(kEvaluate, {"--model=" + model, "--data=" + unknown}),
      {unknown, "row 2", "nut"});
}

TEST(UserDataProgramTest, ARegressionIsLearntInTheUnitsOfItsTarget) {
  const std::string data = Fruits(), run = NewRun("run");
  const std::string trained = Printed(
      kTrain, {"--data=" + data, "--target=price", "--layers=32,16",
               "--activation=tanh", "--optimizer=momentum",
               "--learning_rate=0.02", "--epochs=80", "--run_dir=" + run});
  EXPECT_GT(NumberAfter(trained, "r2"), 0.8);
  const std::string report = ReadText(run + "/report.html");
  for (const char* const part :
       {"Predicted against true", "Residuals", "Test rmse", "mean absolute"}) {
    EXPECT_THAT(report, HasSubstr(part));
  }
  EXPECT_THAT(report, testing::Not(HasSubstr("Test accuracy")));
  const std::string evaluated =
      Printed(kEvaluate, {"--model=" + run, "--data=" + data});
  EXPECT_GT(NumberAfter(evaluated, "r2"), 0.8);
  double first = 0;
  const std::string predicted = Printed(
      kPredict, {"--model=" + run + "/model.safetensors", "--data=" + data});
  ASSERT_TRUE(
      absl::SimpleAtod(predicted.substr(3, predicted.find('\n') - 3), &first));
  EXPECT_GT(first, -20);
  EXPECT_LT(first, 30);
}

// Images of one of three colours, with noise, under names of any language.
std::string Colours() {
  const std::string folder = NewRun("colours");
  RandomStream random(2, 0);
  int i = 0;
  for (const auto& [name, red, green, blue] :
       {std::tuple("grün", 60, 170, 70), std::tuple("rose red", 200, 40, 60),
        std::tuple("sky", 80, 140, 230)}) {
    fs::create_directories(folder + "/" + name);
    for (int k = 0; k < 40; ++k) {
      std::vector<uint8_t> pixels;
      for (int p = 0; p < 5 * 7; ++p) {
        for (const int level : {red, green, blue}) {
          pixels.push_back(static_cast<uint8_t>(
              std::clamp(level + 100 * (random.Uniform() - 0.5), 0.0, 255.0)));
        }
      }
      WriteText(absl::StrCat(folder, "/", name, "/", i++, ".png"),
                EncodeRgbPng({5, 7}, pixels.data()));
    }
  }
  return folder;
}

TEST(UserDataProgramTest, ColourImagesOfNamedClassesAreLearnt) {
  const std::string data = Colours(), run = NewRun("run");
  const std::string trained =
      Printed(kTrain, {"--data=" + data, "--layers=16", "--epochs=20",
                       "--report", "--run_dir=" + run});
  EXPECT_THAT(trained, HasSubstr("105-16-3 relu"));
  EXPECT_GT(NumberAfter(trained, "test accuracy"), 0.95);
  EXPECT_THAT(trained, HasSubstr("rose red"));
  const std::string report = ReadText(run + "/report.html");
  for (const char* const part : {"grün", "Samples", "test images"}) {
    EXPECT_THAT(report, HasSubstr(part));
  }
  EXPECT_THAT(Printed(kPredict, {"--model=" + run + "/model.safetensors",
                                 "--data=" + data}),
              HasSubstr("rose red/41.png  rose red "));
  EXPECT_GT(
      NumberAfter(Printed(kEvaluate, {"--model=" + run, "--data=" + data}),
                  "accuracy"),
      0.95);
  fs::rename(data + "/sky", data + "/sea");
  ExpectOneLineOfError(
      RunProgram(kEvaluate,
                 {"--model=" + run + "/model.safetensors", "--data=" + data}),
      {data,
       "expected classes that the model has, found "
       "\"sea\""});
  fs::rename(data + "/sea", data + "/sky");
  ExpectOneLineOfError(RunProgram(kTrain, {"--data=" + data, "--target=kind"}),
                       {"--target: expected none for images, whose folders"});
}

// The letters of EMNIST have labels from 1 to 26.
TEST(UserDataProgramTest, LabelsMayBeginAtOne) {
  const std::string data = NewRun("letters"), run = NewRun("run");
  fs::create_directories(data);
  RandomStream random(3, 0);
  std::vector<std::vector<double>> letters(26, std::vector<double>(64));
  for (auto& letter : letters) {
    for (double& pixel : letter) pixel = random.Uniform() < 0.5 ? 0 : 200;
  }
  for (const auto& [split, count] :
       {std::pair("train", 520), std::pair("test", 260)}) {
    std::vector<uint8_t> images, labels;
    for (int i = 0; i < count; ++i) {
      labels.push_back(static_cast<uint8_t>(1 + i % 26));
      for (const double pixel : letters[i % 26]) {
        images.push_back(static_cast<uint8_t>(pixel + 55 * random.Uniform()));
      }
    }
    const std::string prefix =
        absl::StrCat(data, "/emnist-letters-", split, "-");
    ASSERT_TRUE(
        WriteIdx(prefix + "images-idx3-ubyte", {count, 8, 8}, images).ok());
    ASSERT_TRUE(WriteIdx(prefix + "labels-idx1-ubyte", {count}, labels).ok());
  }
  const std::string trained = Printed(
      kTrain,
      {"--data=" + data, "--layers=32", "--epochs=15", "--run_dir=" + run});
  EXPECT_THAT(trained, HasSubstr("64-32-26 relu"));
  EXPECT_THAT(trained, HasSubstr("15 epochs of 520 samples"));
  EXPECT_GT(NumberAfter(trained, "test accuracy"), 0.95);
  const std::string predicted = Printed(
      kPredict, {"--model=" + run + "/model.safetensors",
                 "--data=" + data + "/emnist-letters-test-images-idx3-ubyte"});
  EXPECT_THAT(predicted, testing::StartsWith("0    1 "));
  EXPECT_THAT(predicted, HasSubstr("\n25   26 "));
  fs::remove(data + "/emnist-letters-test-labels-idx1-ubyte");
  ExpectOneLineOfError(
      RunProgram(kTrain, {"--data=" + data}),
      {data, "expected the labels of \"emnist-letters-test-images"});
}

// Pictures of four classes, told apart by which quarter is bright.
std::vector<uint8_t> Quarters(int count) {
  std::vector<uint8_t> pixels(count * 64);
  RandomStream random(5, 0);
  for (int i = 0; i < count * 64; ++i) {
    const int quarter = i % 64 / 32 * 2 + i % 8 / 4;
    pixels[i] = static_cast<uint8_t>((i / 64 % 4 == quarter ? 150 : 0) +
                                     100 * random.Uniform());
  }
  return pixels;
}

TEST(UserDataProgramTest, LabelsMayBeTheFirstColumnOfIntegers) {
  const std::string data = NewRun("qmnist"), run = NewRun("run");
  fs::create_directories(data);
  for (const auto& [split, count] :
       {std::pair("train", 200), std::pair("test", 40)}) {
    const std::string prefix = absl::StrCat(data, "/qmnist-", split, "-");
    ASSERT_TRUE(
        WriteIdx(prefix + "images-idx3-ubyte", {count, 8, 8}, Quarters(count))
            .ok());
    // As QMNIST's: int32 [n, 8], of which the first column is the class; here
    // 1000 to 1003.
    std::string labels = {0, 0, 0x0c, 2, 0, 0, 0, static_cast<char>(count),
                          0, 0, 0,    8};
    for (int i = 0; i < count * 8; ++i) {
      labels += {0, 0, 3,
                 static_cast<char>(0xe8 + (i % 8 == 0 ? i / 8 % 4 : i % 16))};
    }
    WriteText(prefix + "labels-idx2-int", labels);
  }
  const std::string trained =
      Printed(kTrain, {"--data=" + data, "--layers=16", "--epochs=20",
                       "--learning_rate=0.01", "--run_dir=" + run});
  EXPECT_THAT(trained, HasSubstr("64-16-4 relu"));
  EXPECT_THAT(trained,
              HasSubstr("qmnist-train-labels-idx2-int: the first of its 8 "
                        "columns is the class"));
  EXPECT_EQ(NumberAfter(trained, "test accuracy"), 1);
  // Of the test set.
  EXPECT_THAT(Printed(kPredict, {"--model=" + run, "--data=" + data}),
              HasSubstr("\n39  1003 "));
  EXPECT_THAT(Printed(kEvaluate, {"--model=" + run, "--data=" + data}),
              testing::AllOf(testing::StartsWith("accuracy 1.0000"),
                             HasSubstr("of 40 images")));
}

TEST(UserDataProgramTest, ArraysOfNumpyAreImages) {
  const std::string data = In("quarters.npz"), run = NewRun("run");
  const std::vector<uint8_t> pixels = Quarters(240);
  std::vector<int64_t> labels;
  for (int i = 0; i < 240; ++i) labels.push_back(i % 4);
  const absl::string_view x(reinterpret_cast<const char*>(pixels.data()),
                            pixels.size());
  const absl::string_view y(reinterpret_cast<const char*>(labels.data()),
                            240 * 8);
  const std::vector<StoredArray> arrays = {
      {"x_train", StoredType::kUint8, {200, 8, 8}, x.substr(0, 200 * 64)},
      {"y_train", StoredType::kInt64, {200, 1}, y.substr(0, 200 * 8)},
      {"x_test", StoredType::kUint8, {40, 8, 8}, x.substr(200 * 64)},
      {"y_test", StoredType::kInt64, {40, 1}, y.substr(200 * 8)}};
  ASSERT_TRUE(WriteNpz(data, arrays).ok());
  const std::string trained = Printed(
      kTrain, {"--data=" + data, "--layers=16", "--epochs=20",
               "--learning_rate=0.01", "--validation=0.1", "--run_dir=" + run});
  EXPECT_THAT(trained, HasSubstr("20 epochs of 180 samples"));
  EXPECT_EQ(NumberAfter(trained, "test accuracy"), 1);
  EXPECT_THAT(Printed(kEvaluate, {"--model=" + run, "--data=" + data}),
              testing::AllOf(testing::StartsWith("accuracy 1.0000"),
                             HasSubstr("of 40 images")));
  const std::string predicted =
      Printed(kPredict, {"--model=" + run, "--data=" + data});
  EXPECT_EQ(std::count(predicted.begin(), predicted.end(), '\n'), 40);
  const std::string alone = In("x.npz");
  ASSERT_TRUE(
      WriteNpz(alone,
               {{"x", StoredType::kUint8, {3, 8, 8, 1}, x.substr(0, 3 * 64)}})
          .ok());
  EXPECT_THAT(
      Printed(kPredict, {"--model=" + run, "--data=" + alone}),
      testing::MatchesRegex("0  0 [0-9.]+\n1  1 [0-9.]+\n2  2 [0-9.]+\n"));
  ExpectOneLineOfError(
      RunProgram(kEvaluate, {"--model=" + run, "--data=" + alone}),
      {alone, "expected an array \"y\" beside \"x\", found \"x\""});
  std::vector<StoredArray> other = arrays;
  other[2].shape = {40, 4, 16};
  const std::string unlike = In("unlike.npz");
  ASSERT_TRUE(WriteNpz(unlike, other).ok());
  ExpectOneLineOfError(
      RunProgram(kTrain, {"--data=" + unlike}),
      {unlike,
       "array \"x_test\": expected samples of the size of the training "
       "set's, [200,8,8], found [40,4,16]"});
  ExpectOneLineOfError(
      RunProgram(kTrain, {"--data=" + data, "--test=0.2"}),
      {data, "--test: expected none for data with a test set of their own"});
}

TEST(UserDataProgramTest, ArraysOfNumpyAreTables) {
  const std::string data = In("table.npz"), run = NewRun("run");
  std::vector<float> x;
  std::vector<double> y;
  std::vector<int32_t> kinds;
  RandomStream random(7, 0);
  for (int i = 0; i < 300; ++i) {
    const double a = random.Uniform(), b = random.Uniform();
    x.push_back(i % 50 == 3 ? NAN : static_cast<float>(a));
    x.push_back(static_cast<float>(b));
    y.push_back(3 * a - 2 * b);
    kinds.push_back(a > b ? 7 : -1);
  }
  const auto bytes = [](const auto& values) {
    return absl::string_view(reinterpret_cast<const char*>(values.data()),
                             values.size() * sizeof(values[0]));
  };
  const StoredArray features = {"x", StoredType::kFloat32, {300, 2}, bytes(x)};
  ASSERT_TRUE(
      WriteNpz(data, {features, {"y", StoredType::kFloat64, {300}, bytes(y)}})
          .ok());
  const std::vector<std::string> settings = {"--layers=16", "--epochs=60",
                                             "--learning_rate=0.01"};
  std::vector<std::string> arguments = {"--data=" + data, "--run_dir=" + run};
  arguments.insert(arguments.end(), settings.begin(), settings.end());
  EXPECT_GT(NumberAfter(Printed(kTrain, arguments), "r2"), 0.9);
  EXPECT_THAT(Printed(kEvaluate, {"--model=" + run, "--data=" + data}),
              HasSubstr("of 300 rows"));

  const std::string classes = In("classes.npz"), other = NewRun("other");
  ASSERT_TRUE(
      WriteNpz(classes,
               {features, {"y", StoredType::kInt32, {300}, bytes(kinds)}})
          .ok());
  arguments[0] = "--data=" + classes;
  arguments[1] = "--run_dir=" + other;
  EXPECT_GT(NumberAfter(Printed(kTrain, arguments), "test accuracy"), 0.9);
  EXPECT_THAT(Printed(kPredict, {"--model=" + other, "--data=" + data}),
              HasSubstr("  -1 "));
  ExpectOneLineOfError(
      RunProgram(kTrain, {"--data=" + classes, "--task=regression"}),
      {classes, "column \"y\", row 2: expected numbers"});

  const auto refused = [&](const std::vector<StoredArray>& arrays,
                           const std::string& expected) {
    const std::string path = In("refused.npz");
    ASSERT_TRUE(WriteNpz(path, arrays).ok());
    ExpectOneLineOfError(RunProgram(kTrain, {"--data=" + path}),
                         {path + ": " + expected});
  };
  refused({{"a", StoredType::kFloat32, {300, 2}, bytes(x)}},
          "expected arrays \"x_train\" and \"y_train\", or \"x\" and \"y\", "
          "found \"a\"");
  refused({features}, "expected an array \"y\" beside \"x\", found \"x\"");
  refused({features, {"y", StoredType::kFloat64, {150, 2}, bytes(y)}},
          "array \"y\": expected one for each of the 300 samples of \"x\", "
          "[300] or [300,1], found [150,2]");
  refused(
      {{"x", StoredType::kFloat32, {50, 3, 4}, bytes(x)},
       {"y", StoredType::kInt32, {50}, bytes(kinds).substr(0, 200)}},
      "array \"x\": expected images, uint8 of [n,rows,columns] or "
      "[n,rows,columns,1 or 3], or a table of [n,columns], found float32 of "
      "[50,3,4]");
  x[5] = INFINITY;
  refused(
      {features, {"y", StoredType::kFloat64, {300}, bytes(y)}},
      "array \"x\": expected finite numbers, or NaN for missing ones, found "
      "inf in row 2");
}

// Whatever the file system and the clock have seen of it, a run that is resumed
// ends with the bits of one that was not interrupted.
TEST(UserDataProgramTest, AKilledRunGoesOnToTheSameBits) {
  const std::string data = Fruits();
  const std::vector<std::string> flags = {
      "--data=" + data,   "--target=kind",
      "--layers=16",      "--epochs=6",
      "--validation=0.2", "--patience=4",
      "--dropout=0.3",    "--checkpoint_every=3steps",
      "--nohtml_report",  "--optimizer=adamw",
      "--batch_norm"};
  const auto with = [&](const std::string& run,
                        std::vector<std::string> more = {}) {
    std::vector<std::string> all = flags;
    all.push_back("--run_dir=" + run);
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const std::string whole = NewRun("whole");
  Calls calls;
  ASSERT_EQ(RunProgram(kTrain, with(whole), {.calls = &calls}).exit_code, 0);
  const std::string model = ReadText(whole + "/model.safetensors");
  ASSERT_FALSE(model.empty());
  constexpr int kKills = 8;
  int interrupted = 0;
  for (int i = 1; i <= kKills; ++i) {
    SCOPED_TRACE(i);
    const std::string run = NewRun("killed");
    const Outcome killed =
        RunProgram(kTrain, with(run),
                   {.signals_at = {{.signal = SIGKILL,
                                    .call = calls.files * i / (kKills + 1),
                                    .calls = SignalAt::kFiles,
                                    .and_end = true}}});
    interrupted += killed.exit_code == -SIGKILL;
    // The record knows the flags.
    const Outcome resumed =
        RunProgram(kTrain, {"--resume", "--run_dir=" + run, "--nohtml_report"});
    if (resumed.exit_code != 0) {  // There was no checkpoint yet.
      ASSERT_EQ(RunProgram(kTrain, with(run, {"--resume"})).exit_code, 0)
          << resumed.err;
    }
    EXPECT_EQ(ReadText(run + "/model.safetensors"), model);
  }
  EXPECT_EQ(interrupted, kKills);

  ExpectOneLineOfError(
      RunProgram(kTrain, {"--resume", "--run_dir=" + whole, "--epochs=9",
                          "--activation=tanh"}),
      {"expected activation relu, as the run began, found tanh"});
}

// The commands of the README's section, on a table of the same target.
TEST(UserDataProgramTest, WhatTheReadmeShowsWorks) {
  std::string table = ReadText(Fruits());
  table.replace(table.find("kind"), 4, "weather");
  const std::string data = WriteText(In("weather.csv"), table);
  const std::string run = NewRun("run");
  const std::string readme = ReadText("README.md");
  const size_t begin = readme.find("## Train on your own data");
  ASSERT_NE(begin, std::string::npos);
  const std::string section =
      readme.substr(begin, readme.find("\n## ", begin + 1) - begin);
  int commands = 0;
  for (const absl::string_view line : absl::StrSplit(section, '\n')) {
    if (!absl::StartsWith(line, "bazel run //models:")) continue;
    std::vector<std::string> words = absl::StrSplit(
        absl::StrReplaceAll(
            line, {{"$PWD/weather.csv", data}, {"/tmp/weather", run}}),
        ' ');
    const std::string program =
        absl::StrReplaceAll(words[2], {{"//models:", "models/"}});
    words.erase(words.begin(), words.begin() + 4);  // Up to "--".
    Printed(program, words);
    ++commands;
  }
  EXPECT_EQ(commands, 3);
  EXPECT_THAT(Printed("tests/readme_serve", {run + "/model.safetensors", data}),
              HasSubstr("cherry\n"));
}

TEST(UserDataProgramTest, ACheckpointPredicts) {
  const std::string data = Fruits(), run = NewRun("run");
  Printed(kTrain, {"--data=" + data, "--target=kind", "--layers=8",
                   "--epochs=2", "--run_dir=" + run});
  fs::remove(run + "/model.safetensors");
  const Outcome outcome =
      RunProgram(kPredict, {"--model=" + run, "--data=" + data});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("a checkpoint of step 16"));
}

TEST(UserDataProgramTest, RefusesWhatDoesNotFit) {
  const std::string data = Fruits();
  const auto refused = [&](std::vector<std::string> arguments,
                           const std::vector<std::string>& parts) {
    ExpectOneLineOfError(RunProgram(kTrain, std::move(arguments)), parts);
  };
  refused({"--data=" + data},
          {data,
           "--target: expected the column to predict, one of \"name\", "
           "\"size\", \"the colour\""});
  refused({"--data=" + data, "--target=Kind"}, {"found \"Kind\""});
  refused({"--data=" + data, "--target=kind", "--task=regression"},
          {data, "column \"kind\", row 2: expected numbers, found \"melon\""});
  std::string odd = "a,b,t\n";
  for (int i = 0; i < 40; ++i) {
    absl::StrAppend(&odd, i, ",", i == 30 ? "n.a." : absl::StrCat(2 * i), ",",
                    i == 20 ? "much" : absl::StrCat(3 * i), "\n");
  }
  const std::string mixed = WriteText(In("mixed.csv"), odd);
  refused({"--data=" + mixed, "--target=t"},
          {mixed,
           "column \"t\", row 22: expected numbers, as in 39 of 40 "
           "cells, found \"much\"; --task=classification"});
  EXPECT_THAT(Printed(kTrain, {"--data=" + mixed, "--target=a", "--epochs=1"}),
              HasSubstr("column \"b\" is not of numbers, though 39 of 40 cells "
                        "are: row 32 is \"n.a.\""));
  const std::string semicolons = WriteText(In("semi.csv"), "a;b\n1;2\n");
  refused({"--data=" + semicolons, "--target=b"},
          {semicolons, "expected columns separated by commas"});
  refused({"--resume", "--run_dir=" + NewRun("nowhere")},
          {"--resume: expected a run with a checkpoint in "});
  refused({"--data=" + data, "--target=price", "--task=classification"},
          {data,
           "column \"price\", row 2: expected a class, a word or a whole "
           "number"});
  refused({"--data=" + data, "--target=kind", "--layers=8,"},
          {"--layers: expected units such as 256,128"});
  refused({"--data=" + data, "--target=kind", "--activation=rlu"},
          {"--activation: expected relu, leaky_relu", "found rlu"});
  refused({"--data=" + data, "--target=kind", "--optimizer=addam"},
          {"--optimizer: expected adam, adamw", "found addam"});
  refused({"--data=" + data, "--target=kind", "--schedule=cos"},
          {"--schedule: expected constant, linear, cosine or one_cycle"});
  refused({"--data=" + data, "--target=kind", "--dropout=1"},
          {"--dropout: expected at least 0 and below 1, found 1"});
  refused({"--data=" + data, "--target=kind", "--test=-1"},
          {"--test: expected at least 0 and below 1, found -1"});
  refused({"--data=" + data, "--target=kind", "--patience=3"},
          {"--patience: expected a share with --validation, found none"});
  refused({"--data=" + data, "--target=kind", "--experiment=fashion_mlp"},
          {"--experiment: expected --data alone, found both"});
  refused({"--data=" + data, "--target=kind", "--batch_size=500"},
          {"--batch_size: expected at most the 240 training samples"});
  refused({"--layers=8"}, {"--layers: expected --data"});
  refused({"--data=" + In("none.csv"), "--target=kind"},
          {In("none.csv"), "no such file"});
  const std::string bare = WriteText(In("bare.csv"), "178,13,1\n1,2,3\n");
  refused({"--data=" + bare, "--target=kind"},
          {bare,
           "row 1: expected the name of column 1 (a header), found the "
           "number 178"});
}

TEST(UserDataProgramTest, ATestSetIsOptional) {
  const std::string data = Fruits(), run = NewRun("run");
  const std::string trained =
      Printed(kTrain, {"--data=" + data, "--target=kind", "--layers=none",
                       "--epochs=2", "--test=0", "--run_dir=" + run});
  EXPECT_THAT(trained, HasSubstr("no test set, training loss "));
  EXPECT_TRUE(fs::exists(run + "/report.html"));
}

}  // namespace
}  // namespace tape
