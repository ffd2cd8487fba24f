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
       "expected folders named after the model's classes, found "
       "\"sea\""});
  fs::rename(data + "/sea", data + "/sky");
  ExpectOneLineOfError(RunProgram(kTrain, {"--data=" + data, "--target=kind"}),
                       {"--target: expected none for a folder of images"});
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
