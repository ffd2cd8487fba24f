// The part of a report about a regression's test set (report_parts.h). Tested by
// tests/report/report_test.cc.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "framework/metrics/regression.h"
#include "framework/report/plot.h"
#include "framework/report/report_parts.h"

namespace tape::internal {
namespace {

// More points than this hide one another, and make the page large.
constexpr size_t kMostPoints = 1000;
constexpr int kBins = 15;

// Predicted less target, rising.
std::vector<double> SortedErrors(const RegressionResult& regression) {
  std::vector<double> errors;
  for (size_t i = 0; i < regression.targets.size(); ++i) {
    const double target = regression.targets[i];
    errors.push_back(regression.predicted[i] - target);
  }
  std::sort(errors.begin(), errors.end());
  return errors;
}

std::string Number(double value) { return absl::StrFormat("%.4g", value); }

// Evenly spread over the samples.
template <typename Y>
std::vector<Point> Points(const RegressionResult& regression, const Y& y) {
  const size_t count = regression.targets.size();
  const size_t step = (count + kMostPoints - 1) / kMostPoints;
  std::vector<Point> points;
  for (size_t i = 0; i < count; i += step) points.push_back(y(i));
  return points;
}

std::string ShownText(size_t count) {
  const size_t step = (count + kMostPoints - 1) / kMostPoints;
  return step <= 1 ? "" : absl::StrCat(" Each ", step, "th sample is shown.");
}

std::optional<Figure> Histogram(const std::vector<double>& errors) {
  const double low = errors.front(), high = errors.back();
  BarChart chart = {
      .id = "errors",
      .title = "Errors",
      .caption =
          "Test samples by predicted less target, each bar from the "
          "number beside it on to the next one.",
      .value_label = "samples",
      .groups = {
          {.name = "test", .counts = std::vector<int64_t>(kBins), .color = 1}}};
  const double width = high > low ? (high - low) / kBins : 1;
  for (int bin = 0; bin < kBins; ++bin) {
    chart.categories.push_back(Number(low + bin * width));
  }
  for (const double error : errors) {
    const int bin = static_cast<int>((error - low) / width);
    ++chart.groups[0].counts[std::clamp(bin, 0, kBins - 1)];
  }
  return MakeBarChart(chart);
}

}  // namespace

void AddRegression(const ReportInput& input, Page& page) {
  if (!input.regression.has_value()) return;
  const RegressionResult& regression = *input.regression;
  const size_t count = regression.targets.size();
  if (count == 0 || regression.predicted.size() != count) return;
  const bool is_finite =
      std::all_of(regression.predicted.begin(), regression.predicted.end(),
                  [](float value) { return std::isfinite(value); });
  if (!is_finite) return;
  const std::vector<double> errors = SortedErrors(regression);
  const RegressionScores scores =
      ScoreRegression(regression.targets, regression.predicted);
  const auto range =
      std::minmax_element(regression.targets.begin(), regression.targets.end());
  const double low = *range.first, high = *range.second;
  const std::string target =
      regression.target.empty() ? "target" : regression.target;
  const auto targets = [&](size_t i) -> double {
    return regression.targets[i];
  };
  if (const std::optional<Figure> figure = MakeScatter(
          {.id = "predicted",
           .title = "Predicted against true",
           .caption = absl::StrCat("Test samples. On the line, a prediction is "
                                   "right.",
                                   ShownText(count)),
           .x_label = target,
           .y_label = "predicted",
           .series = {{.name = "samples",
                       .points = Points(
                           regression,
                           [&](size_t i) {
                             return Point{targets(i), regression.predicted[i]};
                           }),
                       .color = 1},
                      {.name = "right",
                       .points =
                           [&] {
                             std::vector<Point> line;
                             for (int i = 0; i <= 200; ++i) {
                               const double at = low + (high - low) * i / 200.0;
                               line.push_back({at, at});
                             }
                             return line;
                           }(),
                       .color = 0}}})) {
    page.Add(*figure);
  }
  if (const std::optional<Figure> figure = MakeScatter(
          {.id = "residuals",
           .title = "Residuals",
           .caption = absl::StrCat("Predicted less target, by the target: a "
                                   "slope or a curve is what the model has not "
                                   "learnt.",
                                   ShownText(count)),
           .x_label = target,
           .y_label = "predicted - true",
           .series = {{.name = "samples",
                       .points = Points(regression,
                                        [&](size_t i) {
                                          return Point{targets(i),
                                                       regression.predicted[i] -
                                                           targets(i)};
                                        }),
                       .color = 1}}})) {
    page.Add(*figure);
  }
  if (const std::optional<Figure> figure = Histogram(errors)) {
    page.Add(*figure);
  }
  const auto quantile = [&](double share) {
    const auto last = static_cast<double>(count - 1);
    return errors[static_cast<size_t>(std::llround(share * last))];
  };
  Table table = {
      .id = "regression-report",
      .title = "Errors of the test set",
      .caption = absl::StrCat("Of ", CountText(static_cast<int64_t>(count)),
                              " samples, in the units of ", target, ".")};
  table.rows = {{{"root mean square", Number(scores.root_mean_square)}},
                {{"mean absolute", Number(scores.mean_absolute)}},
                {{"R²", absl::StrFormat("%.4f", scores.r2)}},
                {{"lowest", Number(errors.front())}},
                {{"5 % are below", Number(quantile(0.05))}},
                {{"half are below", Number(quantile(0.5))}},
                {{"95 % are below", Number(quantile(0.95))}},
                {{"highest", Number(errors.back())}}};
  page.Add(table);
}

}  // namespace tape::internal
