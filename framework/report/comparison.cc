// Comparisons of runs (comparison.h). In go folders, out comes a page. Tested
// by tests/report/comparison_test.cc.
#include "framework/report/comparison.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "framework/core/floating_point.h"
#include "framework/io/files.h"
#include "framework/log/read_metrics.h"
#include "framework/log/run_directory.h"
#include "framework/report/plot.h"

namespace tape {
namespace {

// "runs/slow/" is called "slow".
std::vector<std::string> NamesOf(absl::Span<const KeptRun> runs) {
  std::vector<std::string> names;
  std::set<std::string> different;
  for (const KeptRun& run : runs) {
    const std::filesystem::path path =
        std::filesystem::path(run.folder).lexically_normal();
    names.push_back(
        (path.has_filename() ? path : path.parent_path()).filename().string());
    different.insert(names.back());
  }
  if (different.size() < runs.size() || different.contains("")) {
    for (size_t i = 0; i < runs.size(); ++i) names[i] = runs[i].folder;
  }
  return names;
}

// A series for each run and split. The legend names runs, not splits.
std::vector<Series> SeriesOf(absl::Span<const KeptRun> runs,
                             const std::vector<std::string>& names,
                             double EpochMetrics::*figure) {
  std::vector<Series> all;
  for (size_t i = 0; i < runs.size(); ++i) {
    const int color = static_cast<int>(i);
    Series train = {.name = names[i] + ", train",
                    .color = color,
                    .stroke = Stroke::kDashed,
                    .in_legend = false};
    Series validation = {.name = names[i] + ", validation",
                         .color = color,
                         .stroke = Stroke::kDotted,
                         .in_legend = false};
    Series test = {.name = names[i], .color = color};
    for (const EpochResult& epoch : runs[i].history) {
      const double x = epoch.train.epoch;
      train.points.push_back({x, epoch.train.*figure});
      if (epoch.validation.has_value()) {
        validation.points.push_back({x, (*epoch.validation).*figure});
      }
      test.points.push_back({x, epoch.test.*figure});
    }
    all.push_back(std::move(train));
    if (!validation.points.empty()) all.push_back(std::move(validation));
    all.push_back(std::move(test));
  }
  return all;
}

bool HaveValidation(absl::Span<const KeptRun> runs) {
  return std::any_of(runs.begin(), runs.end(), [](const KeptRun& run) {
    return !run.history.empty() && run.history.front().validation.has_value();
  });
}

std::string Percent(double fraction) {
  return std::isfinite(fraction) ? absl::StrFormat("%.2f", 100 * fraction)
                                 : "–";
}

}  // namespace

absl::StatusOr<KeptRun> ReadRun(const std::string& folder) {
  if (absl::StatusOr<std::vector<std::string>> names =
          VisibleNames(folder, "the folder of a run");
      !names.ok()) {
    return names.status();
  }
  absl::StatusOr<std::vector<EpochResult>> history =
      ReadMetrics(PathIn(folder, kMetricsName));
  if (!history.ok()) return history.status();
  const std::string path = PathIn(folder, kSummaryName);
  const absl::StatusOr<FileBytes> text =
      ReadWholeFile(path, "the summary of a run that has ended");
  if (!text.ok()) return text.status();
  absl::StatusOr<RunSummary> summary = RunSummaryFromJson(text->view());
  if (!summary.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", summary.status().message()));
  }
  const int last = history->back().train.epoch;
  if (last != summary->epochs) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": expected the summary of all ", last, " epochs in ",
        kMetricsName, ", found that of ", summary->epochs,
        ": the run has gone on, and has not ended"));
  }
  return KeptRun{folder, *std::move(summary), *std::move(history)};
}

Page MakeComparison(absl::Span<const KeptRun> runs) {
  const FloatingPointScope environment;
  const std::vector<std::string> names = NamesOf(runs);
  const bool validation = HaveValidation(runs);
  Page page(
      runs.size() == 1 ? "1 run" : absl::StrCat(runs.size(), " runs compared"),
      kComparisonProgram);
  page.AddText(
      absl::StrCat("A colour for each run. Curves of the test set "
                   "are solid, those of the training set dashed",
                   validation ? ", those of the validation set dotted." : "."));

  page.BeginSection("curves", "Curves");
  page.AddEpochChart({.id = "loss",
                      .title = "Loss",
                      .y_label = "loss",
                      .series = SeriesOf(runs, names, &EpochMetrics::loss)},
                     "run");
  page.AddEpochChart({.id = "accuracy",
                      .title = "Accuracy",
                      .y_label = "accuracy",
                      .series = SeriesOf(runs, names, &EpochMetrics::accuracy),
                      .unit = Unit::kPercent},
                     "run");
  page.EndSection();

  page.BeginSection("results", "Results");
  Table table = {.id = "runs",
                 .title = "Runs",
                 .caption =
                     "Losses and accuracies are of the weights that a "
                     "run ended with; accuracies in per cent.",
                 .header = {"run", "experiment", "variant", "seed", "epochs",
                            "test accuracy", "test loss", "train accuracy",
                            "train loss", "seconds"},
                 .text_columns = 3};
  if (validation) {
    table.header.insert(table.header.begin() + 7, "validation accuracy");
  }
  for (size_t i = 0; i < runs.size(); ++i) {
    const RunSummary& run = runs[i].summary;
    Table::Row row = {{names[i], run.experiment, run.variant,
                       absl::StrCat(run.seed), CountText(run.epochs),
                       Percent(run.test_accuracy), LossCell(run.test_loss),
                       Percent(run.train_accuracy), LossCell(run.train_loss),
                       absl::StrFormat("%.1f", run.seconds)}};
    if (validation) {
      row.cells.insert(row.cells.begin() + 7, Percent(run.validation_accuracy));
    }
    table.rows.push_back(std::move(row));
  }
  page.AddWide(table);
  page.EndSection();
  return page;
}

}  // namespace tape
