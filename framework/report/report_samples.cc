// The samples of a report (report_parts.h). Tested by
// tests/report/report_test.cc.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "framework/io/checksum.h"
#include "framework/io/grey_png.h"
#include "framework/report/plot.h"
#include "framework/report/report_parts.h"

namespace tape::internal {
namespace {

// How much is shown of what there may be too much of.
constexpr size_t kMistakes = 12;
constexpr int64_t kSamplesOfClass = 10;
constexpr int64_t kClassesWithSamples = 20;
constexpr int64_t kCloudPoints = 2000;

bool HasType(const std::optional<Tensor>& tensor, const TensorType& type) {
  return tensor.has_value() && tensor->type() == type;
}

bool IsFloatMatrix(const std::optional<Tensor>& tensor) {
  return tensor.has_value() && tensor->dtype() == DType::kFloat32 &&
         tensor->shape().rank() == 2;
}

// Rows and columns of the images, in pixels of any number of channels.
absl::StatusOr<ImageSize> SampleSize(const ReportInput& input,
                                     const Dataset& dataset) {
  absl::StatusOr<ImageSize> size = SizeOfImages(dataset);
  if (!size.ok() || input.channels == 1) return size;
  // What SizeOfImages takes for a column is a channel of a pixel.
  if (input.channels != 3 || size->columns % 3 != 0) {
    return absl::InvalidArgumentError("expected 1 or 3 channels");
  }
  size->columns /= 3;
  return size;
}

std::string SampleImage(const ReportInput& input, const Dataset& dataset,
                        int64_t sample, ImageSize size) {
  const uint8_t* const pixels =
      dataset.images.values<uint8_t>().data() + sample * dataset.pixels();
  return input.channels == 3 ? EncodeRgbPng(size, pixels)
                             : EncodePng(size, pixels);
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
  std::sort(mistakes.begin(), mistakes.end(),
            [](const Mistake& a, const Mistake& b) {
              return std::pair(b.probability, a.sample) <
                     std::pair(a.probability, b.sample);
            });
  if (mistakes.size() > kMistakes) {
    mistakes.erase(mistakes.begin() + kMistakes, mistakes.end());
  }
  return mistakes;
}

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

}  // namespace

bool HasData(const ReportInput& input) {
  return input.data != nullptr && CheckGreyLevels(input.data->train).ok() &&
         CheckGreyLevels(input.data->validation).ok() &&
         CheckGreyLevels(input.data->test).ok();
}

void AddMistakes(const ReportInput& input, Page& page) {
  if (!HasData(input)) return;
  const Dataset& test = input.data->test;
  if (!HasType(input.predicted, {DType::kInt32, {test.size()}}) ||
      !IsFloatMatrix(input.probabilities) ||
      input.probabilities->shape()[0] != test.size()) {
    return;
  }
  const absl::StatusOr<ImageSize> size = SampleSize(input, test);
  if (!size.ok()) return;
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
        {.png = SampleImage(input, test, mistake.sample, *size),
         .title = absl::StrFormat(
             "test image %s: taken for %s with probability %.6f, is %s",
             CountText(mistake.sample), taken, mistake.probability, is),
         .lines = {absl::StrCat(taken, ", ", sure), absl::StrCat("is ", is)}});
  }
  if (const std::optional<Figure> figure = MakeImageGrid(grid)) {
    page.Add(*figure);
  }
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
  constexpr size_t kMostBars = 100;
  if (classes.size() > kMostBars) {
    page.AddNote(
        absl::StrCat("Labels, not drawn: ", classes.size(), " classes"));
  } else if (const std::optional<Figure> figure = MakeBarChart(labels)) {
    page.Add(*figure);
  }

  const absl::StatusOr<ImageSize> size = SampleSize(input, train);
  if (size.ok()) {
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
            {.png = SampleImage(input, train, i, *size),
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

}  // namespace tape::internal
