// Reports of runs (report.h). In go figures, samples and weights, out comes a
// page. Tested by tests/report/report_test.cc.
#include "framework/report/report.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "framework/core/floating_point.h"
#include "framework/io/files.h"
#include "framework/log/run_directory.h"
#include "framework/report/interval.h"
#include "framework/report/plot.h"
#include "framework/report/report_parts.h"

namespace tape {
namespace internal {
namespace {

// What a picture has room for.
constexpr size_t kMostNameBytes = 60;

}  // namespace

std::string ClassName(const ReportInput& input, int label) {
  const auto i = static_cast<size_t>(label);
  if (i >= input.class_names.size()) return absl::StrCat(label);
  const std::string& name = input.class_names[i];
  if (name.size() <= kMostNameBytes) return name;
  // Cut between two characters of UTF-8.
  size_t end = kMostNameBytes;
  while (end > 0 && (name[end] & 0xc0) == 0x80) --end;
  return absl::StrCat(name.substr(0, end), "…");
}

std::string Percent(double fraction, int digits) {
  return std::isfinite(fraction)
             ? absl::StrFormat("%.*f %%", digits, 100 * fraction)
             : "none";
}

// "1 epoch", "2,000 epochs".
std::string Counted(int64_t count, absl::string_view what) {
  return absl::StrCat(CountText(count), " ", what, count == 1 ? "" : "s");
}

}  // namespace internal

namespace {

using internal::AddData;
using internal::AddMistakes;
using internal::AddRegression;
using internal::AddTwoUnits;
using internal::AddWeights;
using internal::ChecksumTable;
using internal::ClassName;
using internal::Counted;
using internal::HasData;
using internal::Percent;

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

// ---- The head ----

int64_t Right(const ConfusionMatrix& confusion) {
  int64_t right = 0;
  for (int i = 0; i < confusion.classes(); ++i) right += confusion.count(i, i);
  return right;
}

Interval AccuracyInterval(const ConfusionMatrix& confusion) {
  return WilsonInterval(Right(confusion), confusion.total());
}

// The model's own metrics of the test set, of the epoch whose weights are kept.
std::vector<Measurement> TestMetrics(const ReportInput& input) {
  for (const EpochResult& epoch : input.history) {
    if (epoch.test.epoch == input.run.kept_epoch) return epoch.test.reports;
  }
  return {};
}

// What a pass has measured under a name; NaN if it has not.
double MetricOf(const EpochMetrics& metrics, absl::string_view name) {
  for (const Measurement& metric : metrics.reports) {
    if (metric.name == name) return metric.value;
  }
  return kNotMeasured;
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
  // A regression has its metrics in place of it.
  if (!input.regression.has_value()) tiles.push_back(accuracy);
  for (const Measurement& metric : TestMetrics(input)) {
    if (!std::isfinite(metric.value)) continue;
    tiles.push_back({.name = absl::StrCat("Test ", metric.name),
                     .value = ValueText(metric.value, Unit::kNumber)});
  }
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
  page.AddEpochChart({.id = "loss",
                      .title = "Loss",
                      .caption = kept,
                      .y_label = "loss",
                      .series = loss,
                      .log = WantsLog(loss)},
                     "epoch");
  page.AddEpochChart({.id = "accuracy",
                      .title = "Accuracy",
                      .y_label = "accuracy",
                      .series = SplitSeries(history,
                                            [](const EpochMetrics& metrics) {
                                              return metrics.accuracy;
                                            }),
                      .unit = Unit::kPercent},
                     "epoch");

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
    page.AddEpochChart(
        {.id = "learning-rate",
         .title = "Learning rate",
         .caption = constant
                        ? absl::StrCat("The same in all epochs: ",
                                       ValueText(first, Unit::kNumber), ".")
                        : "At the end of each epoch.",
         .y_label = "rate",
         .series = rate,
         .log = WantsLog(rate)},
        "epoch");
  }
  const size_t reports = history.front().train.reports.size();
  for (size_t i = 0; i < reports; ++i) {
    const std::string& name = history.front().train.reports[i].name;
    const std::string id = absl::StrCat("report-", i + 1, "-", IdText(name));
    // A metric of the model is measured in all passes.
    const std::vector<Measurement>& tested = history.front().test.reports;
    if (std::any_of(tested.begin(), tested.end(),
                    [&](const Measurement& one) { return one.name == name; })) {
      page.AddEpochChart(
          {.id = id,
           .title = Capitalized(name),
           .y_label = name,
           .series = SplitSeries(history,
                                 [&](const EpochMetrics& metrics) {
                                   return MetricOf(metrics, name);
                                 })},
          "epoch");
      continue;
    }
    page.AddEpochChart(
        {.id = id,
         .title = Capitalized(name),
         .caption = "Mean over the batches of each epoch of training.",
         .y_label = name,
         .series = train_series([i](const EpochMetrics& metrics) {
           return i < metrics.reports.size() ? metrics.reports[i].value
                                             : kNotMeasured;
         })},
        "epoch");
  }
  page.EndSection();
}

// ---- The test set ----

void AddConfusion(const ReportInput& input, Page& page) {
  const ConfusionMatrix& confusion = input.confusion;
  if (confusion.total() == 0) return;
  const ClassificationReport report = MakeClassificationReport(confusion);
  const char* const samples = input.data != nullptr ? "images" : "samples";
  MatrixChart chart = {
      .id = "confusion",
      .title = "Confusion matrix",
      .caption = absl::StrCat(
          "Test ", samples,
          " by what they are and what they were taken for. Blue is "
          "right, orange is wrong: the stronger, the larger its share of the "
          "row; the strongest orange is the most frequent mistake."),
      .row_label = "label",
      .column_label = "taken for"};
  // More could not be told apart.
  constexpr size_t kMostInMatrix = 60, kMostInTable = 100;
  if (report.classes.size() > kMostInMatrix) {
    page.AddNote(absl::StrCat(
        "Confusion matrix, not drawn: ", report.classes.size(), " classes"));
  } else {
    for (const ClassScores& row : report.classes) {
      chart.names.push_back(ClassName(input, row.label));
      for (const ClassScores& column : report.classes) {
        chart.counts.push_back(confusion.count(row.label, column.label));
      }
    }
    if (const std::optional<Figure> figure = MakeMatrixChart(chart)) {
      page.Add(*figure);
    }
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
          "%s of %s test %s are right: an accuracy of %s, with a 95 %% "
          "confidence interval of %.2f to %.2f %% (Wilson's score interval).",
          CountText(Right(confusion)), CountText(confusion.total()), samples,
          Percent(confusion.accuracy()), 100 * interval.low,
          100 * interval.high),
      .header = {"class", "precision", "recall", "f1", "support"}};
  std::vector<ClassScores> rows(report.classes.begin(), report.classes.end());
  if (rows.size() > kMostInTable) {
    std::stable_sort(
        rows.begin(), rows.end(),
        [](const ClassScores& a, const ClassScores& b) { return a.f1 < b.f1; });
    rows.erase(rows.begin() + kMostInTable, rows.end());
    absl::StrAppend(&table.caption, " Shown are the ", kMostInTable,
                    " classes of the lowest f1.");
  }
  for (const ClassScores& scores : rows) {
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
  AddRegression(input, page);
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
