// report.html as readers see it: three real runs of //models:train, each
// report shown by Chromium in a wide window and in a phone's, light and dark.
// Nothing is written to the console, nothing is asked of the network, and each
// figure is there with its data, which are those of metrics.csv and of the data
// set.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/file_testing.h"
#include "tests/models/program_testing.h"
#include "tests/report/browser_testing.h"

namespace tape {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::UnorderedElementsAreArray;

using Json = nlohmann::json;

struct Case {
  std::string experiment;
  std::vector<std::string> splits;
  std::vector<std::string> layers;  // Shapes, as the graph has them.
  int units;                        // Of the first layer.
  bool two_units = false;
};

void PrintTo(const Case& run, std::ostream* out) { *out << run.experiment; }

class ReportBrowserTest : public testing::TestWithParam<Case> {
 protected:
  // Trains, and starts a browser, once for each run.
  void SetUp() override {
    const Case& run = GetParam();
    folder_ = testing::TempDir() + "/" + run.experiment;
    if (!std::filesystem::exists(folder_)) {
      const Outcome outcome =
          RunProgram("models/train", {"--experiment=" + run.experiment,
                                      "--run_dir=" + folder_, "--threads=1"});
      ASSERT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    }
    report_ = folder_ + "/report.html";
    ASSERT_TRUE(std::filesystem::exists(report_)) << report_;
    auto browser = Browser::Start();
    ASSERT_TRUE(browser.ok()) << browser.status();
    browser_ = *std::move(browser);
  }

  void Open(const Window& window = {}) {
    const absl::Status status = browser_->Open(report_, window);
    ASSERT_TRUE(status.ok()) << status;
  }
  Json Evaluate(const std::string& expression) {
    const absl::StatusOr<Json> value = browser_->Evaluate(expression);
    EXPECT_TRUE(value.ok()) << value.status();
    return value.ok() ? *value : Json();
  }
  // How many elements there are.
  int Count(const std::string& selector) {
    return Evaluate(absl::StrCat("document.querySelectorAll(\"", selector,
                                 "\").length"))
        .get<int>();
  }
  // What the elements say, without what is shown when they are pointed at.
  std::vector<std::string> Texts(const std::string& selector) {
    return Evaluate(
               absl::StrCat("[...document.querySelectorAll(\"", selector,
                            "\")].map(e => [...e.childNodes].filter(n => "
                            "n.tagName !== 'title').map(n => n.textContent)"
                            ".join(''))"))
        .get<std::vector<std::string>>();
  }

  // A column of metrics.csv, of one split.
  std::vector<double> Metrics(const std::string& split,
                              const std::string& column) const {
    std::vector<double> values;
    std::vector<std::string> header;
    for (absl::string_view line : absl::StrSplit(
             ReadText(folder_ + "/metrics.csv"), '\n', absl::SkipEmpty())) {
      const std::vector<std::string> cells = absl::StrSplit(line, ',');
      if (header.empty()) {
        header = cells;
      } else if (cells[1] == split) {
        const size_t at =
            std::find(header.begin(), header.end(), column) - header.begin();
        double value = 0;
        EXPECT_TRUE(at < cells.size() && absl::SimpleAtod(cells[at], &value))
            << column << ": " << line;
        values.push_back(value);
      }
    }
    return values;
  }

  std::string folder_, report_;
  std::unique_ptr<Browser> browser_;
};

TEST_P(ReportBrowserTest, LooksRightOnWideScreensAndPhonesLightAndDark) {
  for (const int width : {1280, 390}) {
    for (const bool dark : {false, true}) {
      SCOPED_TRACE(absl::StrCat(width, " px, ", dark ? "dark" : "light"));
      Open({.width = width, .dark = dark});
      const absl::StatusOr<PageLook> look = Measure(*browser_);
      ASSERT_TRUE(look.ok()) << look.status();
      EXPECT_THAT(browser_->console(), IsEmpty());
      EXPECT_THAT(browser_->requests(), IsEmpty());
      EXPECT_EQ(look->content_width, width);
      EXPECT_GT(look->texts, 300);
      EXPECT_GE(look->smallest_text, width == 390 ? 6.5 : 10);
      EXPECT_THAT(look->faint, IsEmpty());
      EXPECT_THAT(look->misplaced, IsEmpty());
      EXPECT_THAT(look->empty, IsEmpty());
      EXPECT_THAT(look->broken, IsEmpty());
      const Json background = Evaluate(
          "getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]");
      int red = 0;
      ASSERT_TRUE(absl::SimpleAtoi(background.get<std::string>(), &red));
      EXPECT_EQ(red < 100, dark);
    }
  }
  const auto hosts = browser_->Close();
  ASSERT_TRUE(hosts.ok()) << hosts.status();
  EXPECT_THAT(*hosts, IsEmpty());
}

// The points of a curve, left to right, lie where the numbers say: one linear
// function takes all of these to heights.
void ExpectDrawn(const std::vector<double>& values,
                 const std::vector<double>& heights) {
  ASSERT_EQ(values.size(), heights.size());
  const auto low = std::min_element(values.begin(), values.end());
  const auto high = std::max_element(values.begin(), values.end());
  const double y_low = heights[low - values.begin()];
  const double y_high = heights[high - values.begin()];
  EXPECT_GT(y_low, y_high);  // y runs downwards.
  for (size_t i = 0; i < values.size(); ++i) {
    const double share = (values[i] - *low) / (*high - *low);
    // Coordinates are written to two digits.
    EXPECT_NEAR(heights[i], y_low + share * (y_high - y_low), 0.02) << i;
  }
}

TEST_P(ReportBrowserTest, DrawsTheCurvesOfEverySplit) {
  const Case& run = GetParam();
  Open();
  for (const std::string figure : {"loss", "accuracy"}) {
    EXPECT_EQ(Count(absl::StrCat("#", figure, " path.curve")),
              static_cast<int>(run.splits.size()));
    for (const std::string& split : run.splits) {
      SCOPED_TRACE(absl::StrCat(figure, " of ", split));
      const Json curve = Evaluate(absl::StrCat(
          "[...document.querySelectorAll('#", figure,
          " path.curve')].filter(e => e.textContent === '", split,
          "').map(e => e.getAttribute('d').match(/[\\d.]+/g).map(Number))"));
      ASSERT_EQ(curve.size(), 1u);
      std::vector<double> x, y;
      for (size_t i = 0; i < curve[0].size(); ++i) {
        (i % 2 == 0 ? x : y).push_back(curve[0][i]);
      }
      EXPECT_TRUE(std::is_sorted(x.begin(), x.end()));
      ExpectDrawn(Metrics(split, figure), y);
    }
  }
  EXPECT_EQ(Count("#learning-rate path.curve"), 1);
  EXPECT_EQ(Evaluate("document.querySelector('#learning-rate path.curve')"
                     ".getAttribute('d').match(/[ML]/g).length"),
            Metrics("train", "learning_rate").size());
}

TEST_P(ReportBrowserTest, CountsTheTestSetInTheConfusionMatrix) {
  Open();
  EXPECT_EQ(Count("#confusion rect.cell"), 100);
  EXPECT_EQ(Count("#confusion rect.right"), 10);
  // Numbers that lie in cells; what is not written is 0.
  const Json counts = Evaluate(R"js((() => {
    const cells = [...document.querySelectorAll('#confusion rect.cell')]
        .map(e => [e.classList.contains('right'), e.getBoundingClientRect()]);
    const sums = {all: 0, right: 0};
    for (const text of document.querySelectorAll('#confusion text')) {
      const number = Number(text.textContent.replace(/,/g, ''));
      const box = text.getBoundingClientRect();
      const x = (box.left + box.right) / 2, y = (box.top + box.bottom) / 2;
      const cell = cells.find(([, c]) => x > c.left && x < c.right &&
                                         y > c.top && y < c.bottom);
      if (!cell) continue;
      sums.all += number;
      if (cell[0]) sums.right += number;
    }
    return sums;
  })())js");
  EXPECT_EQ(counts["all"], 10000);
  // Of samples, whatever summary.json's mean is of.
  const double right = counts["right"].get<double>() / 10000;
  EXPECT_THAT(Texts("#classification-report figcaption"),
              ElementsAre(HasSubstr(
                  absl::StrFormat("an accuracy of %.2f %%", 100 * right))));
  EXPECT_NEAR(right, Metrics("test", "accuracy").back(), 1e-3);
}

TEST_P(ReportBrowserTest, ShowsEachFigureWithItsData) {
  const Case& run = GetParam();
  Open();
  // Of the run's classes: a line each, accuracy and two averages.
  EXPECT_EQ(Count("#classification-report tbody tr"), 13);
  EXPECT_EQ(Count("#costliest tbody tr"), 10);
  EXPECT_GE(Count("#settings tbody tr"), 10);
  EXPECT_GE(Count("#versions tbody tr"), 4);
  EXPECT_EQ(Count("#checksums tbody tr"), static_cast<int>(run.splits.size()));
  // Each is drawn as large as it is in the data set.
  EXPECT_EQ(Count("#weights image:not(.scale)"), run.units);
  EXPECT_EQ(Count("#samples image"), 100);
  EXPECT_EQ(Count("#mistakes image"), 12);
  const Json sizes = Evaluate(
      "Promise.all([...document.querySelectorAll('#weights image:not(.scale),"
      "#samples image,#mistakes image')].map(async e => {"
      "  const image = new Image();"
      "  image.src = e.getAttribute('href');"
      "  await image.decode();"
      "  return image.naturalWidth + 'x' + image.naturalHeight;"
      "})).then(sizes => [...new Set(sizes)])");
  EXPECT_EQ(sizes, Json::array({"28x28"}));
  // Bars: all ten classes of each split, and the legend's square.
  for (size_t split = 0; split < run.splits.size(); ++split) {
    const std::vector<std::string> names = Texts("#labels text");
    EXPECT_THAT(names, testing::Contains(run.splits[split]));
  }
  EXPECT_EQ(Count("#labels rect"), 11 * static_cast<int>(run.splits.size()));
  // A dot each, of ten colours.
  EXPECT_EQ(Count("#two-units"), run.two_units ? 1 : 0);
  if (run.two_units) {
    EXPECT_EQ(Count("#two-units path.cloud"), 10);
    EXPECT_EQ(Evaluate("[...document.querySelectorAll('#two-units path.cloud')]"
                       ".map(e => e.getAttribute('d').match(/h0/g).length)"
                       ".reduce((a, b) => a + b)"),
              2000);
  }
  // The graph.
  EXPECT_EQ(Count("#graph path.source"), 4);
  EXPECT_EQ(Count("#graph path.op"), 5);
  EXPECT_EQ(Count("#graph path.edge"), 8);
  EXPECT_THAT(Texts("#graph text"), IsSupersetOf(run.layers));
  // Its texts lie in its boxes.
  EXPECT_EQ(Evaluate(R"js((() => {
    const boxes = [...document.querySelectorAll('#graph path.op,' +
                                                '#graph path.source')]
        .map(e => e.getBoundingClientRect());
    return [...document.querySelectorAll('#graph text')]
        .filter(e => {
          const t = e.getBoundingClientRect();
          return !boxes.some(b => t.left >= b.left && t.right <= b.right &&
                                  t.top >= b.top - 1 &&
                                  t.bottom <= b.bottom + 1);
        })
        .map(e => e.textContent);
  })())js"),
            Json::array());
}

TEST_P(ReportBrowserTest, LeavesEachPictureAsAFileToo) {
  Open();
  const std::vector<std::string> figures = Evaluate(
      "[...document.querySelectorAll('figure')].filter(e => "
      "e.querySelector('svg')).map(e => e.id)");
  EXPECT_GE(figures.size(), 8u);
  std::vector<std::string> expected, found;
  for (const std::string& id : figures) {
    expected.push_back(id + ".svg");
    expected.push_back(id + ".png");
  }
  for (const auto& entry :
       std::filesystem::directory_iterator(folder_ + "/pictures")) {
    found.push_back(entry.path().filename());
  }
  EXPECT_THAT(found, UnorderedElementsAreArray(expected));

  // All decode, and say the same by their proportions.
  std::string page = "<!DOCTYPE html><meta charset='utf-8'>";
  for (const std::string& file : found) {
    absl::StrAppend(&page, "<img src='", folder_, "/pictures/", file, "'>");
  }
  const absl::Status status = browser_->Open(
      WriteText(testing::TempDir() + "/pictures.html", page), {});
  ASSERT_TRUE(status.ok()) << status;
  const Json sizes = Evaluate(
      "Object.fromEntries([...document.images].map(e => "
      "[e.src.split('/').pop(), [e.naturalWidth, e.naturalHeight]]))");
  for (const std::string& id : figures) {
    const Json svg = sizes[id + ".svg"], png = sizes[id + ".png"];
    ASSERT_GT(svg[0], 100) << id;
    EXPECT_GE(png[0], svg[0]) << id;
    EXPECT_NEAR(png[1].get<double>() / png[0].get<double>(),
                svg[1].get<double>() / svg[0].get<double>(), 0.01)
        << id;
  }
}

INSTANTIATE_TEST_SUITE_P(
    , ReportBrowserTest,
    testing::Values(
        Case{.experiment = "fashion_40_leaky",
             .splits = {"train", "test"},
             .layers = {"[784,40]", "[40,10]", "MatMul", "LeakyRelu", "loss"},
             .units = 40},
        Case{.experiment = "fashion_2_bottleneck",
             .splits = {"train", "test"},
             .layers = {"[784,2]", "[2,10]", "MatMul", "LeakyRelu", "loss"},
             .units = 2,
             .two_units = true},
        Case{.experiment = "mnist_h100_fast",
             .splits = {"train", "validation", "test"},
             .layers = {"[784,100]", "[100,10]", "MatMul", "Sigmoid", "loss"},
             .units = 100}),
    [](const auto& info) { return info.param.experiment; });

}  // namespace
}  // namespace tape
