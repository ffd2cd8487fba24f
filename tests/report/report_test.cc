// The page about a run (framework/report/report.h), read back as markup: every
// figure is there with its data, and nothing is there that has none.
#include "framework/report/report.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "framework/io/checksum.h"
#include "framework/io/grey_png.h"
#include "framework/report/interval.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"
#include "tests/report/markup_testing.h"

namespace tape {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kPixels = 16;  // 4 x 4.

Dataset SomeData(int64_t samples, int classes) {
  std::vector<uint8_t> images;
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < samples; ++i) {
    for (int64_t j = 0; j < kPixels; ++j) {
      images.push_back(static_cast<uint8_t>(i * 7 + j));
    }
    labels.push_back(static_cast<int32_t>(i % classes));
  }
  return {.images = Tensor({samples, kPixels}, images),
          .labels = Tensor({samples}, labels),
          .classes = classes};
}

// A run of three epochs on three classes.
struct Example {
  Example()
      : data{.train = SomeData(60, 3),
             .test = SomeData(30, 3),
             .validation = SomeData(9, 3)} {
    input.run = {.experiment = "some_run",
                 .variant = "own",
                 .seed = 17,
                 .threads = 2,
                 .epochs = 3,
                 .kept_epoch = 2,
                 .train_loss = 0.25,
                 .train_accuracy = 0.9,
                 .test_loss = 0.5,
                 .test_accuracy = 0.8,
                 .seconds = 1.5,
                 .samples_per_second = 40000};
    input.description = "a & b <c>";
    for (int epoch = 1; epoch <= 3; ++epoch) {
      EpochMetrics metrics = {.epoch = epoch,
                              .split = "test",
                              .loss = 1.0 / epoch,
                              .accuracy = 0.5 + 0.1 * epoch,
                              .learning_rate = 0.1 / epoch,
                              .seconds = 1};
      EpochResult result = {
          .train = metrics, .validation = metrics, .test = metrics};
      result.train.reports = {{"penalty", 0.5 * epoch}};
      input.history.push_back(result);
    }
    // Of each ten samples 8 are right, and the next class is taken for others.
    input.confusion = ConfusionMatrix(3);
    std::vector<int32_t> predicted(30);
    std::vector<float> probabilities, outputs;
    for (int32_t i = 0; i < 30; ++i) {
      predicted[i] = i < 24 ? i % 3 : (i + 1) % 3;
      for (int32_t c = 0; c < 3; ++c) {
        probabilities.push_back(c == predicted[i] ? 0.5f + 0.01f * i : 0.1f);
      }
      outputs.push_back(static_cast<float>(i));
      outputs.push_back(static_cast<float>(-i));
    }
    EXPECT_TRUE(
        input.confusion.Add(data.test.labels.values<int32_t>(), predicted)
            .ok());
    input.predicted = Tensor({30}, predicted);
    input.probabilities = Tensor({30, 3}, probabilities);
    input.two_units = Tensor({30, 2}, outputs);
    std::vector<float> weights;
    for (int i = 0; i < kPixels * 5; ++i) weights.push_back(i % 7 - 3.0f);
    input.weights = Tensor({kPixels, 5}, weights);
    input.class_names = {"cat", "dog & co", "cow"};
    input.data = &data;
    input.settings = {{"batch size", "32"}, {"<name>", "\"value\""}};
    input.versions = {{"compiler", "GCC 12"}};
    input.costliest = {{.name = "MatMul+Add", .calls = 1200, .seconds = 0.25}};
    input.graph = Figure{.id = "graph",
                         .title = "Graph",
                         .svg = Svg(10, 10, "graph").ToString(),
                         .width = 10,
                         .height = 10};
  }
  DataSplits data;
  ReportInput input;
};

std::vector<std::string> Ids(const Page& page) {
  std::vector<std::string> ids;
  for (const Figure& figure : page.figures()) ids.push_back(figure.id);
  return ids;
}

std::vector<std::string> Cells(const Markup& page, const std::string& table) {
  std::vector<std::string> cells;
  for (const Element& cell : page.Within(table, "th")) {
    cells.push_back(cell.text);
  }
  for (const Element& cell : page.Within(table, "td")) {
    cells.push_back(cell.text);
  }
  return cells;
}

// ---- Intervals ----

TEST(IntervalTest, IsWilsons) {
  // Newcombe, "Two-sided confidence intervals for the single proportion",
  // Statistics in Medicine 17 (1998), table I, method 3.
  const auto expect = [](int64_t right, int64_t all, double low, double high) {
    const Interval interval = WilsonInterval(right, all);
    EXPECT_NEAR(interval.low, low, 5e-5) << right << "/" << all;
    EXPECT_NEAR(interval.high, high, 5e-5) << right << "/" << all;
  };
  expect(81, 263, 0.2553, 0.3662);
  expect(15, 148, 0.0624, 0.1605);
  expect(0, 20, 0, 0.1611);
  expect(1, 29, 0.0061, 0.1718);
  expect(5, 10, 0.2366, 0.7634);
  expect(10, 10, 0.7225, 1);
}

TEST(IntervalTest, IsNoNumberForCountsThatCannotBe) {
  for (const auto& [right, all] :
       {std::pair(-1, 5), std::pair(6, 5), std::pair(0, 0), std::pair(0, -1)}) {
    EXPECT_TRUE(std::isnan(WilsonInterval(right, all).low)) << right;
    EXPECT_TRUE(std::isnan(WilsonInterval(right, all).high)) << right;
  }
}

TEST(IntervalTest, StaysWithinItsBounds) {
  for (int64_t all : {1, 3, 7, 100, 10000, 100000000}) {
    EXPECT_EQ(WilsonInterval(0, all).low, 0) << all;
    EXPECT_EQ(WilsonInterval(all, all).high, 1) << all;
    EXPECT_LT(WilsonInterval(all, all).low, 1) << all;
  }
  EXPECT_TRUE(std::isnan(WilsonInterval(0, 0).low));
}

// ---- The page ----

TEST(ReportTest, HasEveryFigure) {
  const Example example;
  EXPECT_THAT(
      Ids(MakeReport(example.input)),
      ElementsAre("loss", "accuracy", "learning-rate", "report-1-penalty",
                  "confusion", "mistakes", "weights", "two-units", "graph",
                  "labels", "samples"));
}

TEST(ReportTest, FiguresHaveTheirData) {
  const Example example;
  const Markup page(MakeReport(example.input).ToString());
  ASSERT_TRUE(page.ok());
  // Three splits, three epochs; the rate and the penalty are of training.
  EXPECT_EQ(page.Within("loss", "circle").size(), 9u);
  EXPECT_EQ(page.Within("accuracy", "circle").size(), 9u);
  EXPECT_EQ(page.Within("learning-rate", "circle").size(), 3u);
  EXPECT_EQ(page.Within("report-1-penalty", "circle").size(), 3u);
  EXPECT_EQ(page.Within("confusion", "rect", "cell").size(), 9u);
  int64_t counted = 0;
  for (const Element& cell : page.Within("confusion", "rect", "cell")) {
    const size_t colon = cell.text.rfind(": ");
    counted += std::stoi(cell.text.substr(colon + 2));
  }
  EXPECT_EQ(counted, 30);
  EXPECT_EQ(page.Within("mistakes", "image").size(), 6u);
  EXPECT_EQ(page.Within("weights", "image").size(), 5u + 1);  // And the scale.
  EXPECT_EQ(page.Within("two-units", "path", "cloud").size(), 3u);
  EXPECT_EQ(page.Within("samples", "image").size(), 30u);
  EXPECT_THAT(
      Cells(page, "costliest"),
      ElementsAre("step", "calls", "ms", "share", "GFLOP/s", "GB/s",
                  "MatMul+Add", "1,200", "250.0", "0.0 %", "0.0", "0.0"));
}

TEST(ReportTest, SaysHowSureTheAccuracyIs) {
  const Example example;
  const std::string text = MakeReport(example.input).ToString();
  // 24 of 30.
  EXPECT_THAT(text, HasSubstr("24 of 30 test images are right: an accuracy of "
                              "80.00 %, with a 95 % confidence interval of "
                              "62.69 to 90.49 % (Wilson&#39;s score "
                              "interval)."));
  EXPECT_THAT(text, HasSubstr(">95 % interval 62.69 to 90.49 %<"));
}

TEST(ReportTest, ItsIntervalIsOfSamplesWhateverTheRunsMeanIsOf) {
  Example example;
  example.input.run.test_accuracy = 0.8125;  // Over batches.
  const std::string text = MakeReport(example.input).ToString();
  EXPECT_THAT(text, HasSubstr(">81.25 %<"));
  EXPECT_THAT(text, HasSubstr(">80.00 % of all samples, 95 % interval 62.69 "
                              "to 90.49 %<"));
}

TEST(ReportTest, TablesHaveTheirNumbers) {
  const Example example;
  const Markup page(MakeReport(example.input).ToString());
  const std::vector<std::string> scores = Cells(page, "classification-report");
  // Names of columns and rows first.
  EXPECT_THAT(std::vector<std::string>(scores.begin(), scores.begin() + 11),
              ElementsAre("class", "precision", "recall", "f1", "support",
                          "cat", "dog & co", "cow", "accuracy", "macro average",
                          "weighted average"));
  EXPECT_THAT(
      std::vector<std::string>(scores.begin() + 11, scores.begin() + 15),
      ElementsAre("0.800", "0.800", "0.800", "10"));
  const auto crc = [](const Tensor& tensor) {
    return absl::StrFormat(
        "%08x", Crc32c({static_cast<const char*>(tensor.data()),
                        static_cast<size_t>(tensor.type().bytes())}));
  };
  const std::vector<std::string> sums = Cells(page, "checksums");
  EXPECT_THAT(std::vector<std::string>(sums.begin() + 4, sums.end()),
              ElementsAre("train", "validation", "test",  //
                          "60", crc(example.data.train.images),
                          crc(example.data.train.labels),  //
                          "9", crc(example.data.validation.images),
                          crc(example.data.validation.labels),  //
                          "30", crc(example.data.test.images),
                          crc(example.data.test.labels)));
  EXPECT_THAT(Cells(page, "settings"),
              ElementsAre("batch size", "<name>", "32", "\"value\""));
}

TEST(ReportTest, TheSurestMistakesComeFirst) {
  const Example example;
  const Markup page(MakeReport(example.input).ToString());
  const std::vector<Element> images = page.Within("mistakes", "image");
  ASSERT_EQ(images.size(), 6u);
  // Sample 29 is a cow (29 % 3 = 2), taken for a cat with 0.79.
  EXPECT_EQ(images[0].text,
            "test image 29: taken for cat with probability 0.790000, is cow");
  EXPECT_EQ(images[5].text,
            "test image 24: taken for dog & co with probability 0.740000, is "
            "cat");
  EXPECT_THAT(page.Within("mistakes", "text")[0].text, "cat, 79.0 %");
  EXPECT_THAT(page.Within("mistakes", "text")[1].text, "is cow");
  // Its picture, as it is in the data set.
  std::string png;
  ASSERT_TRUE(absl::Base64Unescape(
      absl::StripPrefix(images[0]["href"], "data:image/png;base64,"), &png));
  EXPECT_EQ(
      png, EncodePng({4, 4}, example.data.test.images.values<uint8_t>().data() +
                                 29 * kPixels));
}

TEST(ReportTest, TheMiddleOfTheScaleIsZeroAndWeightsHaveItsColours) {
  Example example;
  // Two pixels of each end of the scale, the others 0.
  std::vector<float> weights(kPixels, 0.0f);
  weights[0] = weights[1] = 3;
  weights[2] = weights[3] = -3;
  example.input.weights = Tensor({kPixels, 1}, weights);
  const Markup page(MakeReport(example.input).ToString());
  const std::vector<Element> images = page.Within("weights", "image");
  ASSERT_EQ(images.size(), 2u);
  // Sixty-five shades, the middle one for 0, and one for what is no number.
  std::string png;
  ASSERT_TRUE(absl::Base64Unescape(
      absl::StripPrefix(images[1]["href"], "data:image/png;base64,"), &png));
  const size_t palette = png.find("PLTE") + 4;
  EXPECT_EQ(static_cast<uint8_t>(png[palette + 3 * 32]), 0xf7);
  EXPECT_EQ(static_cast<uint8_t>(png[palette + 3 * 64]), 0xca);
  EXPECT_EQ(static_cast<uint8_t>(png[palette]), 0x05);
  std::vector<Rgb> colors(66);
  for (size_t i = 0; i < colors.size(); ++i) {
    colors[i] = {static_cast<uint8_t>(png[palette + 3 * i]),
                 static_cast<uint8_t>(png[palette + 3 * i + 1]),
                 static_cast<uint8_t>(png[palette + 3 * i + 2])};
  }
  std::vector<uint8_t> shades(kPixels, 32);
  shades[0] = shades[1] = 64;
  shades[2] = shades[3] = 0;
  EXPECT_EQ(png, EncodePalettePng({4, 4}, shades.data(), colors));
}

TEST(ReportTest, NeedsNeitherScriptsNorTheNetwork) {
  const Example example;
  const std::string text = MakeReport(example.input).ToString();
  EXPECT_THAT(text, HasSubstr("default-src 'none'; style-src "
                              "'unsafe-inline'; img-src data:;"));
  const Markup page(text);
  for (const Element& element : page.elements()) {
    EXPECT_THAT(element.name, Not(testing::AnyOf("script", "iframe", "object",
                                                 "embed", "form", "base")));
    for (const auto& [name, value] : element.attributes) {
      EXPECT_THAT(name, Not(StartsWith("on")));
      if (name != "href" && name != "src") continue;
      EXPECT_TRUE(absl::StartsWith(value, "data:") ||
                  absl::StartsWith(value, "#"))
          << value;
    }
  }
  EXPECT_THAT(text, Not(HasSubstr("url(")));
  EXPECT_THAT(text, Not(HasSubstr("@import")));
}

TEST(ReportTest, TakesTextsAsTheyAre) {
  Example example;
  example.input.run.experiment = "</title><script>alert(1)</script>";
  example.input.class_names[0] = "<b>cat</b>";
  const std::string text = MakeReport(example.input).ToString();
  const Markup page(text);
  ASSERT_TRUE(page.ok());
  EXPECT_THAT(text, Not(HasSubstr("<script")));
  EXPECT_EQ(page.All("h1")[0].text, "</title><script>alert(1)</script> (own)");
  EXPECT_THAT(page.All("p")[0].text, StartsWith("a & b <c>. Seed 17."));
  EXPECT_TRUE(page.All("b").empty());
}

TEST(ReportTest, LinksLeadSomewhereAndIdsAreThereOnce) {
  const Example example;
  const Markup page(MakeReport(example.input).ToString());
  std::vector<std::string> ids;
  for (const Element& element : page.elements()) {
    if (!element["id"].empty()) ids.push_back(element["id"]);
  }
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end());
  EXPECT_EQ(page.All("a").size(), 6u);
  for (const Element& link : page.All("a")) {
    EXPECT_TRUE(
        std::binary_search(ids.begin(), ids.end(), link["href"].substr(1)))
        << link["href"];
  }
}

TEST(ReportTest, WhatIsMissingIsLeftOut) {
  const Page page = MakeReport({.run = {.experiment = "bare", .epochs = 0}});
  EXPECT_TRUE(page.figures().empty());
  const Markup markup(page.ToString());
  ASSERT_TRUE(markup.ok());
  EXPECT_TRUE(markup.All("section").empty());
  EXPECT_TRUE(markup.All("figure").empty());
  EXPECT_TRUE(markup.All("nav").empty());
}

TEST(ReportTest, WhatHasAnotherShapeOrTypeIsLeftOut) {
  const auto left_out = [](const std::string& id, const auto& change) {
    Example example;
    change(example);
    const Markup page(MakeReport(example.input).ToString());
    EXPECT_TRUE(page.ok());
    EXPECT_EQ(
        page.Within(id, "image").size() + page.Within(id, "circle").size(), 0u)
        << id;
  };
  const Tensor scalar(Shape(), std::vector<float>{1});
  const Tensor doubles(TensorType{DType::kFloat64, {30, 2}});
  left_out("mistakes", [&](Example& e) { e.input.predicted = scalar; });
  left_out("mistakes", [&](Example& e) {
    e.input.predicted = Tensor(TensorType{DType::kInt32, {29}});
  });
  left_out("mistakes", [&](Example& e) { e.input.probabilities = scalar; });
  left_out("mistakes", [&](Example& e) { e.input.probabilities = doubles; });
  left_out("weights", [&](Example& e) { e.input.weights = scalar; });
  left_out("weights", [&](Example& e) { e.input.weights = doubles; });
  left_out("two-units", [&](Example& e) { e.input.two_units = scalar; });
  left_out("two-units", [&](Example& e) { e.input.two_units = doubles; });
  for (const char* id : {"samples", "mistakes", "two-units"}) {
    left_out(id, [&](Example& e) { e.data.test.labels = scalar; });
    left_out(id, [&](Example& e) { e.data.train.images = scalar; });
  }
}

TEST(PageTest, ASectionEndsTheOneBeforeIt) {
  Page page("title");
  page.EndSection();  // Of none.
  page.BeginSection("first", "First");
  page.AddNote("note 1");
  page.BeginSection("second", "Second");
  page.AddNote("note 2");
  page.EndSection();
  page.EndSection();
  page.AddNote("outside");
  const Markup markup(page.ToString());
  EXPECT_TRUE(markup.ok());
  EXPECT_EQ(markup.All("section").size(), 3u);
  EXPECT_EQ(markup.All("p", "note").size(), 3u);
}

TEST(ReportTest, WithoutValidationOrTwoUnitsThereAreNone) {
  Example example;
  example.data.validation = {};
  example.input.two_units.reset();
  example.input.graph.reset();
  example.input.graph_note = "too large";
  for (EpochResult& epoch : example.input.history) {
    epoch.validation.reset();
    epoch.train.reports.clear();
  }
  const Page page = MakeReport(example.input);
  EXPECT_THAT(Ids(page),
              ElementsAre("loss", "accuracy", "learning-rate", "confusion",
                          "mistakes", "weights", "labels", "samples"));
  const Markup markup(page.ToString());
  EXPECT_EQ(markup.Within("loss", "circle").size(), 6u);
  EXPECT_THAT(page.ToString(), Not(HasSubstr("validation")));
  EXPECT_THAT(page.ToString(), HasSubstr("Graph, not drawn: too large"));
}

TEST(ReportTest, ImagesThatAreNotSquareAreNotShown) {
  Example example;
  for (Dataset* split :
       {&example.data.train, &example.data.test, &example.data.validation}) {
    split->images = Tensor(TensorType{DType::kUint8, {split->size(), 15}});
  }
  example.input.weights = Tensor(TensorType{DType::kFloat32, {15, 5}});
  EXPECT_THAT(
      Ids(MakeReport(example.input)),
      ElementsAre("loss", "accuracy", "learning-rate", "report-1-penalty",
                  "confusion", "two-units", "graph", "labels"));
}

TEST(ReportTest, ARunThatDivergedHasAReportAllTheSame) {
  Example example;
  for (EpochResult& epoch : example.input.history) {
    for (EpochMetrics* metrics :
         {&epoch.train, &*epoch.validation, &epoch.test}) {
      metrics->loss = kNan;
    }
  }
  example.input.run.test_loss = kNan;
  example.input.run.train_loss = std::numeric_limits<double>::infinity();
  const auto all = [](Shape shape) {
    Tensor tensor(TensorType{DType::kFloat32, shape});
    for (float& value : tensor.values<float>()) value = NAN;
    return tensor;
  };
  example.input.weights = all({kPixels, 5});
  example.input.probabilities = all({30, 3});
  example.input.two_units = all({30, 2});
  const Page page = MakeReport(example.input);
  EXPECT_THAT(Ids(page),
              ElementsAre("accuracy", "learning-rate", "report-1-penalty",
                          "confusion", "graph", "labels", "samples"));
  const std::string text = page.ToString();
  EXPECT_TRUE(Markup(text).ok());
  EXPECT_THAT(text, HasSubstr("Loss: nothing to draw"));
  EXPECT_THAT(text, HasSubstr("not finite"));
  EXPECT_THAT(text, Not(HasSubstr(">nan")));
}

TEST(ReportTest, TheCloudIsThinnedEvenly) {
  Example example;
  example.data.test = SomeData(10000, 3);
  std::vector<float> outputs(20000, 1.0f);
  for (size_t i = 0; i < outputs.size(); ++i) outputs[i] = i % 50;
  example.input.two_units = Tensor({10000, 2}, outputs);
  example.input.predicted.reset();
  const Page page = MakeReport(example.input);
  const Markup markup(page.ToString());
  int64_t dots = 0;
  for (const Element& cloud : markup.Within("two-units", "path", "cloud")) {
    const std::string d = cloud["d"];
    const auto of_class = std::count(d.begin(), d.end(), 'M');
    EXPECT_NEAR(of_class, 2000.0 / 3, 2);
    dots += of_class;
  }
  EXPECT_EQ(dots, 2000);
  EXPECT_THAT(page.ToString(),
              HasSubstr("2,000 of the 10,000 test images, evenly chosen"));
}

TEST(ReportTest, ManyUnitsAreShownInPart) {
  Example example;
  example.input.weights = Tensor(TensorType{DType::kFloat32, {kPixels, 500}});
  const Page page = MakeReport(example.input);
  EXPECT_EQ(Markup(page.ToString()).Within("weights", "image").size(), 101u);
  EXPECT_THAT(page.ToString(), HasSubstr("The first 100 of 500 units"));
}

TEST(ReportTest, IsWrittenWithItsPictures) {
  const Example example;
  const std::string folder = testing::TempDir() + "/report";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const Page page = MakeReport(example.input);
  ASSERT_TRUE(WriteReport(page, folder).ok());
  EXPECT_EQ(ReadText(folder + "/report.html"), page.ToString());
  size_t files = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(folder + "/pictures")) {
    ++files;
    EXPECT_GT(file.file_size(), 100u) << file.path();
  }
  EXPECT_EQ(files, 2 * page.figures().size());
  for (const Figure& figure : page.figures()) {
    const std::string path = absl::StrCat(folder, "/pictures/", figure.id);
    EXPECT_TRUE(Markup(ReadText(path + ".svg")).ok()) << path;
    EXPECT_THAT(ReadText(path + ".png"), StartsWith("\x89PNG\r\n")) << path;
  }
  // Once more, over what is there.
  EXPECT_TRUE(WriteReport(page, folder).ok());
  EXPECT_THAT(WriteReport(page, folder + "/missing").ToString(),
              HasSubstr(folder + "/missing/report.html"));
}

// Another split may have classes that the training set has not, whatever the
// data sets say of their number.
TEST(ReportTest, ASplitWithMoreClassesThanTheTrainingSetIsShown) {
  Example example;
  example.data.test = SomeData(30, 7);
  example.data.train.classes = 2;
  example.data.test.classes = 2;
  example.input.confusion = ConfusionMatrix(7);
  const std::string text = MakeReport(example.input).ToString();
  EXPECT_THAT(text, HasSubstr("cow"));
}

TEST(ReportTest, WhatWasNotMeasuredIsLeftOut) {
  Example example;
  example.input.run.seconds = kNan;
  example.input.run.samples_per_second = kNan;
  example.input.run.threads = 0;
  const std::string text = MakeReport(example.input).ToString();
  EXPECT_THAT(text, Not(HasSubstr("nan s")));
  EXPECT_THAT(text, Not(HasSubstr("0 threads")));
  example.input.run.seconds = 2;
  EXPECT_THAT(MakeReport(example.input).ToString(),
              testing::AllOf(HasSubstr("2.0 s"), Not(HasSubstr("0 threads"))));
}

TEST(ReportTest, BeginsAsAllReportsDo) {
  Example example;
  EXPECT_THAT(MakeReport(example.input).ToString(),
              StartsWith(Page::Beginning(kReportProgram)));
  EXPECT_NE(Page::Beginning(kReportProgram), Page::Beginning("Tape compare"));
}

}  // namespace
}  // namespace tape
