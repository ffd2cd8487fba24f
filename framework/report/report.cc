// Reports of runs (report.h). In go figures, samples and weights, out comes a
// page. Tested by tests/report/report_test.cc.
#include "framework/report/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "framework/core/floating_point.h"
#include "framework/io/checksum.h"
#include "framework/io/files.h"
#include "framework/io/grey_png.h"
#include "framework/log/run_directory.h"
#include "framework/report/interval.h"
#include "framework/report/plot.h"

namespace tape {
namespace {

// How much is shown of what there may be too much of.
constexpr size_t kMistakes = 12;
constexpr int64_t kSamplesOfClass = 10;
constexpr int64_t kClassesWithSamples = 20;
constexpr int64_t kUnits = 100;
constexpr int64_t kCloudPoints = 2000;

std::string ClassName(const ReportInput& input, int label) {
  const auto i = static_cast<size_t>(label);
  return i < input.class_names.size() ? input.class_names[i]
                                      : absl::StrCat(label);
}

std::string Percent(double fraction, int digits = 2) {
  return std::isfinite(fraction)
             ? absl::StrFormat("%.*f %%", digits, 100 * fraction)
             : "none";
}

// "1 epoch", "2,000 epochs".
std::string Counted(int64_t count, absl::string_view what) {
  return absl::StrCat(CountText(count), " ", what, count == 1 ? "" : "s");
}

std::string Capitalized(std::string text) {
  if (!text.empty()) text[0] = absl::ascii_toupper(text[0]);
  return text;
}

// Letters, digits and "-" alone.
std::string IdText(absl::string_view text) {
  std::string id;
  for (char c : text) {
    id += absl::ascii_isalnum(c) ? absl::ascii_tolower(c) : '-';
  }
  return id;
}

// Whether there are samples that can be shown.
bool HasData(const ReportInput& input) {
  return input.data != nullptr && CheckGreyLevels(input.data->train).ok() &&
         CheckGreyLevels(input.data->validation).ok() &&
         CheckGreyLevels(input.data->test).ok();
}

bool HasType(const std::optional<Tensor>& tensor, const TensorType& type) {
  return tensor.has_value() && tensor->type() == type;
}

bool IsFloatMatrix(const std::optional<Tensor>& tensor) {
  return tensor.has_value() && tensor->dtype() == DType::kFloat32 &&
         tensor->shape().rank() == 2;
}

// ---- The head ----

int64_t Right(const ConfusionMatrix& confusion) {
  int64_t right = 0;
  for (int i = 0; i < confusion.classes(); ++i) right += confusion.count(i, i);
  return right;
}

Interval AccuracyInterval(const ConfusionMatrix& confusion) {
  return WilsonInterval(Right(confusion), confusion.total());
}

std::vector<KeyFigure> Tiles(const ReportInput& input) {
  const RunSummary& run = input.run;
  std::vector<KeyFigure> tiles;
  KeyFigure accuracy = {.name = "Test accuracy",
                        .value = Percent(run.test_accuracy)};
  if (input.confusion.total() > 0) {
    const Interval interval = AccuracyInterval(input.confusion);
    accuracy.note = absl::StrFormat("95 %% interval %.2f to %.2f %%",
                                    100 * interval.low, 100 * interval.high);
    // The run's own figure may be a mean over batches of different sizes.
    const std::string of_samples = Percent(input.confusion.accuracy());
    if (of_samples != accuracy.value) {
      accuracy.note =
          absl::StrCat(of_samples, " of all samples, ", accuracy.note);
    }
  }
  tiles.push_back(accuracy);
  if (std::isfinite(input.published_test_accuracy)) {
    tiles.push_back({.name = "In the document",
                     .value = Percent(input.published_test_accuracy),
                     .note = "test accuracy as published"});
  }
  tiles.push_back(
      {.name = "Test loss",
       .value = LossCell(run.test_loss),
       .note = absl::StrCat("on the training set ", LossCell(run.train_loss))});
  tiles.push_back({.name = "Epochs",
                   .value = CountText(run.epochs),
                   .note = run.kept_epoch == run.epochs
                               ? "the last one's weights kept"
                               : absl::StrCat("weights of epoch ",
                                              run.kept_epoch, " kept")});
  // What was not measured is left out.
  if (std::isfinite(run.seconds)) {
    std::vector<std::string> notes;
    if (std::isfinite(run.samples_per_second)) {
      notes.push_back(absl::StrCat(
          CountText(std::llround(run.samples_per_second)), " samples/s"));
    }
    if (run.threads > 0) notes.push_back(Counted(run.threads, "thread"));
    tiles.push_back({.name = "Time",
                     .value = absl::StrFormat("%.1f s", run.seconds),
                     .note = absl::StrJoin(notes, ", ")});
  }
  return tiles;
}

// ---- Curves ----

// What a chart shows of a pass: its series, by split.
template <typename Value>
std::vector<Series> SplitSeries(const std::vector<EpochResult>& history,
                                const Value& value) {
  Series train = {.name = "train", .color = 0, .stroke = Stroke::kDashed};
  Series validation = {
      .name = "validation", .color = 2, .stroke = Stroke::kDotted};
  Series test = {.name = "test", .color = 1};
  for (const EpochResult& epoch : history) {
    const double x = epoch.train.epoch;
    train.points.push_back({x, value(epoch.train)});
    if (epoch.validation.has_value()) {
      validation.points.push_back({x, value(*epoch.validation)});
    }
    test.points.push_back({x, value(epoch.test)});
  }
  std::vector<Series> series = {std::move(train)};
  if (!validation.points.empty()) series.push_back(std::move(validation));
  series.push_back(std::move(test));
  return series;
}

// Whether values are all above 0 and of very different sizes.
bool WantsLog(const std::vector<Series>& series) {
  double low = INFINITY, high = 0;
  for (const Series& one : series) {
    for (Point point : one.points) {
      if (!std::isfinite(point.y)) continue;
      low = std::min(low, point.y);
      high = std::max(high, point.y);
    }
  }
  return low > 0 && high / low > 50;
}

void AddChart(LineChart chart, Page& page) {
  chart.x_label = "epoch";
  if (const std::optional<Figure> figure = MakeLineChart(chart)) {
    page.Add(*figure);
  } else {
    page.AddNote(absl::StrCat(chart.title,
                              ": nothing to draw, since no epoch's figure is "
                              "finite."));
  }
}

void AddCurves(const ReportInput& input, Page& page) {
  if (input.history.empty()) return;
  const std::vector<EpochResult>& history = input.history;
  page.BeginSection("curves", "Curves");
  std::string kept;
  if (input.run.kept_epoch < input.run.epochs) {
    kept = absl::StrCat("The weights kept are those of epoch ",
                        input.run.kept_epoch, ".");
  }
  const auto loss = SplitSeries(
      history, [](const EpochMetrics& metrics) { return metrics.loss; });
  AddChart({.id = "loss",
            .title = "Loss",
            .caption = kept,
            .y_label = "loss",
            .series = loss,
            .log = WantsLog(loss)},
           page);
  AddChart({.id = "accuracy",
            .title = "Accuracy",
            .y_label = "accuracy",
            .series = SplitSeries(
                history,
                [](const EpochMetrics& metrics) { return metrics.accuracy; }),
            .unit = Unit::kPercent},
           page);

  // What training passes alone have.
  const auto train_series = [&](const auto& value) {
    Series series;
    for (const EpochResult& epoch : history) {
      series.points.push_back(
          {static_cast<double>(epoch.train.epoch), value(epoch.train)});
    }
    return std::vector<Series>{std::move(series)};
  };
  const auto rate = train_series(
      [](const EpochMetrics& metrics) { return metrics.learning_rate; });
  if (std::any_of(rate[0].points.begin(), rate[0].points.end(),
                  [](Point point) { return std::isfinite(point.y); })) {
    const double first = rate[0].points[0].y;
    const bool constant =
        std::all_of(rate[0].points.begin(), rate[0].points.end(),
                    [first](Point point) { return point.y == first; });
    AddChart({.id = "learning-rate",
              .title = "Learning rate",
              .caption =
                  constant ? absl::StrCat("The same in all epochs: ",
                                          ValueText(first, Unit::kNumber), ".")
                           : "At the end of each epoch.",
              .y_label = "rate",
              .series = rate,
              .log = WantsLog(rate)},
             page);
  }
  const size_t reports = history.front().train.reports.size();
  for (size_t i = 0; i < reports; ++i) {
    const std::string& name = history.front().train.reports[i].name;
    AddChart({.id = absl::StrCat("report-", i + 1, "-", IdText(name)),
              .title = Capitalized(name),
              .caption = "Mean over the batches of each epoch of training.",
              .y_label = name,
              .series = train_series([i](const EpochMetrics& metrics) {
                return i < metrics.reports.size() ? metrics.reports[i].value
                                                  : kNotMeasured;
              })},
             page);
  }
  page.EndSection();
}

// ---- The test set ----

void AddConfusion(const ReportInput& input, Page& page) {
  const ConfusionMatrix& confusion = input.confusion;
  if (confusion.total() == 0) return;
  const ClassificationReport report = MakeClassificationReport(confusion);
  MatrixChart chart = {
      .id = "confusion",
      .title = "Confusion matrix",
      .caption = absl::StrCat(
          "Test images by what they are and what they were taken for. Blue is "
          "right, orange is wrong: the stronger, the larger its share of the "
          "row; the strongest orange is the most frequent mistake."),
      .row_label = "label",
      .column_label = "taken for"};
  for (const ClassScores& row : report.classes) {
    chart.names.push_back(ClassName(input, row.label));
    for (const ClassScores& column : report.classes) {
      chart.counts.push_back(confusion.count(row.label, column.label));
    }
  }
  if (const std::optional<Figure> figure = MakeMatrixChart(chart)) {
    page.Add(*figure);
  }

  const auto score = [](double value) {
    return absl::StrFormat("%.3f", value);
  };
  const auto averages = [&](absl::string_view name,
                            const AverageScores& scores) {
    return std::vector<std::string>{std::string(name), score(scores.precision),
                                    score(scores.recall), score(scores.f1),
                                    CountText(report.support)};
  };
  const Interval interval = AccuracyInterval(confusion);
  Table table = {
      .id = "classification-report",
      .title = "Classification report",
      .caption = absl::StrFormat(
          "%s of %s test images are right: an accuracy of %s, with a 95 %% "
          "confidence interval of %.2f to %.2f %% (Wilson's score interval).",
          CountText(Right(confusion)), CountText(confusion.total()),
          Percent(confusion.accuracy()), 100 * interval.low,
          100 * interval.high),
      .header = {"class", "precision", "recall", "f1", "support"}};
  for (const ClassScores& scores : report.classes) {
    table.rows.push_back(
        {{ClassName(input, scores.label), score(scores.precision),
          score(scores.recall), score(scores.f1), CountText(scores.support)}});
  }
  table.rows.push_back(
      {{"accuracy", "", "", score(report.accuracy), CountText(report.support)},
       /*apart=*/true});
  table.rows.push_back({averages("macro average", report.macro)});
  table.rows.push_back({averages("weighted average", report.weighted)});
  page.Add(table);
}

std::string SampleImage(const Dataset& dataset, int64_t sample, int64_t side) {
  return EncodePng(
      {.rows = side, .columns = side},
      dataset.images.values<uint8_t>().data() + sample * dataset.pixels());
}

// The test samples that the model got wrong and was surest of, surest first.
struct Mistake {
  int64_t sample;
  int32_t label, predicted;
  double probability;
};

std::vector<Mistake> MostConfidentMistakes(const ReportInput& input) {
  const Dataset& test = input.data->test;
  const auto labels = test.labels.values<int32_t>();
  const auto predicted = input.predicted->values<int32_t>();
  const auto probabilities = input.probabilities->values<float>();
  const int64_t classes = input.probabilities->shape()[1];
  std::vector<Mistake> mistakes;
  for (int64_t i = 0; i < test.size(); ++i) {
    if (labels[i] == predicted[i]) continue;
    if (predicted[i] < 0 || predicted[i] >= classes) continue;
    const double probability = probabilities[i * classes + predicted[i]];
    if (std::isnan(probability)) continue;
    mistakes.push_back({i, labels[i], predicted[i], probability});
  }
  std::stable_sort(mistakes.begin(), mistakes.end(),
                   [](const Mistake& a, const Mistake& b) {
                     return a.probability > b.probability;
                   });
  mistakes.resize(std::min(mistakes.size(), kMistakes));
  return mistakes;
}

void AddMistakes(const ReportInput& input, Page& page) {
  if (!HasData(input)) return;
  const Dataset& test = input.data->test;
  if (!HasType(input.predicted, {DType::kInt32, {test.size()}}) ||
      !IsFloatMatrix(input.probabilities) ||
      input.probabilities->shape()[0] != test.size()) {
    return;
  }
  const absl::StatusOr<int64_t> side = SquareSide(test);
  if (!side.ok()) return;
  ImageGrid grid = {
      .id = "mistakes",
      .title = "The most confident mistakes",
      .caption =
          "Test images that are not what the model is surest they are: in bold "
          "what it takes them for, and how probable it calls that.",
      .columns = 3,
      .image_size = 56,
      .lines = 2};
  for (const Mistake& mistake : MostConfidentMistakes(input)) {
    const std::string is = ClassName(input, mistake.label);
    const std::string taken = ClassName(input, mistake.predicted);
    // 0.99996 is not 100 %.
    const std::string sure =
        mistake.probability < 1 && mistake.probability >= 0.9995
            ? "> 99.9 %"
            : Percent(mistake.probability, 1);
    grid.images.push_back(
        {.png = SampleImage(test, mistake.sample, *side),
         .title = absl::StrFormat(
             "test image %s: taken for %s with probability %.6f, is %s",
             CountText(mistake.sample), taken, mistake.probability, is),
         .lines = {absl::StrCat(taken, ", ", sure), absl::StrCat("is ", is)}});
  }
  if (const std::optional<Figure> figure = MakeImageGrid(grid)) {
    page.Add(*figure);
  }
}

// ---- The data ----

// The splits that have samples, with the colours of their curves.
struct SplitView {
  const char* name;
  const Dataset* dataset;
  int color;
};

std::vector<SplitView> SplitViews(const DataSplits& data) {
  std::vector<SplitView> views = {{"train", &data.train, 0}};
  if (data.validation.size() > 0) {
    views.push_back({"validation", &data.validation, 2});
  }
  views.push_back({"test", &data.test, 1});
  return views;
}

void AddData(const ReportInput& input, Page& page) {
  if (!HasData(input)) return;
  page.BeginSection("data", "Data");
  BarChart labels = {.id = "labels",
                     .title = "Labels",
                     .caption = "How many samples of each class there are.",
                     .value_label = "samples"};
  const Dataset& train = input.data->train;
  // By label, in each split: a split may have classes that another has not.
  std::map<int32_t, std::vector<int64_t>> counts;
  const std::vector<SplitView> splits = SplitViews(*input.data);
  for (size_t split = 0; split < splits.size(); ++split) {
    for (int32_t label : splits[split].dataset->labels.values<int32_t>()) {
      std::vector<int64_t>& of_label = counts[label];
      of_label.resize(splits.size());
      ++of_label[split];
    }
    labels.groups.push_back(
        {.name = splits[split].name, .color = splits[split].color});
  }
  std::vector<int> classes;
  for (const auto& [label, of_label] : counts) {
    classes.push_back(label);
    labels.categories.push_back(ClassName(input, label));
    for (size_t split = 0; split < splits.size(); ++split) {
      labels.groups[split].counts.push_back(of_label[split]);
    }
  }
  if (const std::optional<Figure> figure = MakeBarChart(labels)) {
    page.Add(*figure);
  }

  const absl::StatusOr<int64_t> side = SquareSide(train);
  if (side.ok()) {
    ImageGrid samples = {.id = "samples",
                         .title = "Samples",
                         .caption =
                             "The first images of each class in the "
                             "training set.",
                         .columns = static_cast<int>(kSamplesOfClass),
                         .image_size = 36};
    const auto all = train.labels.values<int32_t>();
    int64_t rows = 0;
    for (int label : classes) {
      if (++rows > kClassesWithSamples) break;
      samples.row_names.push_back(ClassName(input, label));
      int64_t found = 0;
      for (int64_t i = 0; i < train.size() && found < kSamplesOfClass; ++i) {
        if (all[i] != label) continue;
        ++found;
        samples.images.push_back(
            {.png = SampleImage(train, i, *side),
             .title = absl::StrCat("training image ", CountText(i), ": ",
                                   ClassName(input, label))});
      }
      for (; found < kSamplesOfClass; ++found) samples.images.push_back({});
    }
    if (const std::optional<Figure> figure = MakeImageGrid(samples)) {
      page.Add(*figure);
    }
  }

  page.EndSection();
}

Table ChecksumTable(const DataSplits& data) {
  Table checksums = {.id = "checksums",
                     .title = "Checksums",
                     .caption =
                         "CRC-32C of the images, a byte a pixel, and of "
                         "the labels, as little-endian numbers of 32 "
                         "bits.",
                     .header = {"split", "samples", "images", "labels"}};
  const auto checksum = [](const Tensor& tensor) {
    return absl::StrFormat(
        "%08x", Crc32c({static_cast<const char*>(tensor.data()),
                        static_cast<size_t>(tensor.type().bytes())}));
  };
  for (const SplitView& split : SplitViews(data)) {
    checksums.rows.push_back(
        {{split.name, CountText(split.dataset->size()),
          checksum(split.dataset->images), checksum(split.dataset->labels)}});
  }
  return checksums;
}

// ---- The model ----

// Blue for -1, white for 0, red for 1: ColorBrewer's RdBu of five classes, the
// other way round, and what lies between.
constexpr int kShades = 65;  // Odd: one of them is 0's.

std::vector<Rgb> DivergingShades() {
  constexpr std::array<Rgb, 5> kStops = {{{0x05, 0x71, 0xb0},
                                          {0x92, 0xc5, 0xde},
                                          {0xf7, 0xf7, 0xf7},
                                          {0xf4, 0xa5, 0x82},
                                          {0xca, 0x00, 0x20}}};
  const auto between = [](uint8_t a, uint8_t b, double part) {
    return static_cast<uint8_t>(std::lround(a + (b - a) * part));
  };
  std::vector<Rgb> shades;
  for (int i = 0; i < kShades; ++i) {
    const double place = 4.0 * i / (kShades - 1);
    const int stop = std::min(3, static_cast<int>(place));
    const Rgb &a = kStops[stop], &b = kStops[stop + 1];
    const double part = place - stop;
    shades.push_back({between(a.red, b.red, part),
                      between(a.green, b.green, part),
                      between(a.blue, b.blue, part)});
  }
  shades.push_back({0x80, 0x80, 0x80});  // Not a number.
  return shades;
}

uint8_t ShadeOf(double value, double largest) {
  if (std::isnan(value)) return kShades;
  const double part = std::clamp(value / largest, -1.0, 1.0);
  return static_cast<uint8_t>(std::lround((part + 1) / 2 * (kShades - 1)));
}

void AddWeights(const ReportInput& input, Page& page) {
  if (!IsFloatMatrix(input.weights)) return;
  const int64_t pixels = input.weights->shape()[0];
  const int64_t units = input.weights->shape()[1];
  const auto side = static_cast<int64_t>(
      std::llround(std::sqrt(static_cast<double>(pixels))));
  if (side * side != pixels || units == 0) return;
  const auto values = input.weights->values<float>();
  const int64_t shown = std::min(units, kUnits);

  // A scale for all, which a few large weights must not fade.
  std::vector<float> sizes;
  for (int64_t i = 0; i < pixels; ++i) {
    for (int64_t unit = 0; unit < shown; ++unit) {
      const float size = std::abs(values[i * units + unit]);
      if (std::isfinite(size)) sizes.push_back(size);
    }
  }
  if (sizes.empty()) {
    page.AddNote("First layer's weights: none is finite.");
    return;
  }
  const auto high =
      sizes.begin() + static_cast<int64_t>(0.995 * (sizes.size() - 1));
  std::nth_element(sizes.begin(), high, sizes.end());
  const double largest = *high > 0 ? *high : 1;

  const std::vector<Rgb> shades = DivergingShades();
  std::vector<uint8_t> strip(kShades);
  for (int i = 0; i < kShades; ++i) strip[i] = static_cast<uint8_t>(i);
  ImageGrid grid = {
      .id = "weights",
      .title = "Weights of the first layer",
      .caption = absl::StrCat(
          shown < units ? absl::StrCat("The first ", shown, " of ",
                                       CountText(units), " units")
                        : Counted(units, "unit"),
          ": what each multiplies the pixels by, on one scale for all; the "
          "0.5 % that are larger have the colours of its ends."),
      .columns = shown <= 3    ? 3
                 : shown <= 4  ? 4
                 : shown <= 48 ? 8
                               : 10,
      .image_size = shown <= 4 ? 130.0 : 50.0,
      .scale = ImageGrid::Scale{
          .png = EncodePalettePng({.rows = 1, .columns = kShades}, strip.data(),
                                  shades),
          .low = absl::StrCat("−", ValueText(largest, Unit::kNumber)),
          .middle = "0",
          .high = ValueText(largest, Unit::kNumber)}};
  std::vector<uint8_t> image(pixels);
  for (int64_t unit = 0; unit < shown; ++unit) {
    for (int64_t i = 0; i < pixels; ++i) {
      image[i] = ShadeOf(values[i * units + unit], largest);
    }
    grid.images.push_back(
        {.png = EncodePalettePng({.rows = side, .columns = side}, image.data(),
                                 shades),
         .title = absl::StrCat("unit ", unit + 1)});
  }
  if (const std::optional<Figure> figure = MakeImageGrid(grid)) {
    page.Add(*figure);
  }
}

void AddTwoUnits(const ReportInput& input, Page& page) {
  if (!HasData(input)) return;
  const int64_t samples = input.data->test.size();
  if (!HasType(input.two_units, {DType::kFloat32, {samples, 2}})) return;
  const auto labels = input.data->test.labels.values<int32_t>();
  const auto outputs = input.two_units->values<float>();
  const int64_t shown = std::min(samples, kCloudPoints);
  Scatter chart = {
      .id = "two-units",
      .title = "Outputs of the layer of two units",
      .caption = absl::StrCat(
          shown < samples
              ? absl::StrCat(CountText(shown), " of the ", CountText(samples),
                             " test images, evenly chosen")
              : absl::StrCat("All ", CountText(samples), " test images"),
          ", coloured by what they are."),
      .x_label = "unit 1",
      .y_label = "unit 2"};
  std::map<int32_t, Series> series;  // By label.
  for (int64_t i = 0; i < shown; ++i) {
    const int64_t sample = i * samples / shown;
    series[labels[sample]].points.push_back(
        {outputs[2 * sample], outputs[2 * sample + 1]});
  }
  for (auto& [label, of_label] : series) {
    of_label.name = ClassName(input, label);
    of_label.color = label;
    chart.series.push_back(std::move(of_label));
  }
  if (const std::optional<Figure> figure = MakeScatter(chart)) {
    page.Add(*figure);
  }
}

// ---- The run ----

Table FactTable(absl::string_view id, absl::string_view title,
                const std::vector<Fact>& facts) {
  Table table = {
      .id = std::string(id), .title = std::string(title), .text_columns = 2};
  for (const Fact& fact : facts) {
    table.rows.push_back({{fact.name, fact.value}});
  }
  return table;
}

void AddCosts(const ReportInput& input, Page& page) {
  if (input.costliest.empty()) return;
  page.BeginSection("cost", "Cost");
  Table table = {.id = "costliest",
                 .title = "The costliest steps of training",
                 .caption =
                     "Steps of the compiled plan. Time is summed over threads; "
                     "rates are of one thread, and bytes those of operands and "
                     "results, each once, whichever of them caches hold.",
                 .header = {"step", "calls", "ms", "share", "GFLOP/s", "GB/s"}};
  for (const Profile::Cost& cost : input.costliest) {
    table.rows.push_back(
        {{cost.name, CountText(cost.calls),
          absl::StrFormat("%.1f", 1e3 * cost.seconds), Percent(cost.share, 1),
          absl::StrFormat("%.1f", cost.gflops),
          absl::StrFormat("%.1f", cost.gigabytes)}});
  }
  page.AddWide(table);
  page.EndSection();
}

}  // namespace

Page MakeReport(const ReportInput& input) {
  const FloatingPointScope environment;
  Page page(input.run.variant.empty() ? input.run.experiment
                                      : absl::StrCat(input.run.experiment, " (",
                                                     input.run.variant, ")"),
            kReportProgram);
  page.AddText(absl::StrCat(input.description,
                            input.description.empty() ? "" : ". ", "Seed ",
                            input.run.seed, "."));
  page.AddTiles(Tiles(input));
  AddCurves(input, page);

  page.BeginSection("test", "Test set");
  AddConfusion(input, page);
  page.EndSection();

  page.BeginSection("model", "Model");
  AddMistakes(input, page);
  AddWeights(input, page);
  AddTwoUnits(input, page);
  if (input.graph.has_value()) {
    constexpr double kFitsAColumn = 480;
    input.graph->width <= kFitsAColumn ? page.Add(*input.graph)
                                       : page.AddWide(*input.graph);
  } else if (!input.graph_note.empty()) {
    page.AddNote(absl::StrCat("Graph, not drawn: ", input.graph_note));
  }
  page.EndSection();

  AddData(input, page);
  AddCosts(input, page);

  page.BeginSection("run", "Run");
  if (!input.settings.empty()) {
    page.Add(FactTable("settings", "Settings", input.settings));
  }
  std::vector<Table> tables;
  if (!input.versions.empty()) {
    tables.push_back(FactTable("versions", "Versions", input.versions));
  }
  if (HasData(input)) tables.push_back(ChecksumTable(*input.data));
  if (!tables.empty()) page.AddStack(tables);
  page.EndSection();
  return page;
}

absl::Status WriteReport(const Page& page, const std::string& folder) {
  absl::Status status =
      ReplaceFile(PathIn(folder, kReportName), page.ToString());
  if (!status.ok()) return status;
  return WritePictures(page.figures(), PathIn(folder, kPicturesName));
}

}  // namespace tape
