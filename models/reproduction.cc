// Figures beside figures (reproduction.h). In go summaries of runs, out come a
// file of JSON lines and a Markdown table. Tested by
// tests/models/reproduction_test.cc.
#include "models/reproduction.h"

#include <cmath>
#include <cstddef>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "framework/io/files.h"

namespace tape {
namespace {

bool IsOf(const RunSummary& run, const Experiment& experiment) {
  return run.experiment == experiment.name && run.variant == experiment.variant;
}

// Over the runs of one row.
struct Spread {
  double mean = kNotMeasured;
  double deviation = kNotMeasured;  // Of a sample; NaN for a single run.
};

Spread SpreadOf(absl::Span<const RunSummary> runs, double RunSummary::*figure) {
  const double n = static_cast<double>(runs.size());
  double sum = 0, squares = 0;
  for (const RunSummary& run : runs) sum += run.*figure;
  const double mean = sum / n;
  for (const RunSummary& run : runs) {
    squares += (run.*figure - mean) * (run.*figure - mean);
  }
  return {.mean = mean, .deviation = std::sqrt(squares / (n - 1))};
}

// How a kind of figure is printed.
using Format = std::function<std::string(double)>;

std::string Accuracy(double fraction) {
  return absl::StrFormat("%.2f", 100 * fraction);
}
std::string Seconds(double seconds) {
  return absl::StrFormat("%.*f", seconds < 10 ? 1 : 0, seconds);
}

std::string Text(const Spread& spread, const Format& format) {
  return std::isnan(spread.deviation) ? format(spread.mean)
                                      : absl::StrCat(format(spread.mean), " ± ",
                                                     format(spread.deviation));
}

// "83.99 / 0.4674", or what there is of it.
std::string PublishedText(double accuracy, double loss) {
  std::vector<std::string> parts;
  if (!std::isnan(accuracy)) parts.push_back(Accuracy(accuracy));
  if (!std::isnan(loss)) parts.push_back(LossText(loss));
  return absl::StrJoin(parts, " / ");
}

// "83.91 ± 0.05 / 0.4692 ± 0.0010".
std::string OursText(absl::Span<const RunSummary> runs,
                     double RunSummary::*accuracy, double RunSummary::*loss) {
  return absl::StrCat(Text(SpreadOf(runs, accuracy), Accuracy), " / ",
                      Text(SpreadOf(runs, loss), LossText));
}

// "19", "17 to 21".
std::string RangeText(absl::Span<const RunSummary> runs) {
  int least = runs[0].epochs, most = runs[0].epochs;
  for (const RunSummary& run : runs) {
    least = std::min(least, run.epochs);
    most = std::max(most, run.epochs);
  }
  return least == most ? absl::StrCat(least)
                       : absl::StrCat(least, " to ", most);
}

std::string Remarks(const Experiment& experiment,
                    absl::Span<const RunSummary> runs) {
  const Published& published = experiment.published;
  std::vector<std::string> remarks;
  if (!published.remark.empty()) {
    remarks.push_back(absl::StrCat("document: ", published.remark));
  }
  if (runs[0].epochs != experiment.defaults.train.epochs) {
    remarks.push_back(
        absl::StrCat("ours stops after ", RangeText(runs), " epochs"));
  }
  if (!std::isnan(runs[0].validation_accuracy)) {
    remarks.push_back(absl::StrCat(
        "best validation: document ", Accuracy(published.validation_accuracy),
        ", ours ",
        Text(SpreadOf(runs, &RunSummary::validation_accuracy), Accuracy)));
  }
  if (!experiment.note.empty()) remarks.push_back(experiment.note);
  return absl::StrJoin(remarks, "; ");
}

std::string Row(const Experiment& experiment,
                absl::Span<const RunSummary> runs) {
  const Published& published = experiment.published;
  const double document_seconds =
      published.seconds_per_epoch * experiment.defaults.train.epochs;
  const std::vector<std::string> cells = {
      absl::StrCat("`", experiment.name, "`"),
      experiment.variant,
      PublishedText(published.train_accuracy, published.train_loss),
      OursText(runs, &RunSummary::train_accuracy, &RunSummary::train_loss),
      PublishedText(published.test_accuracy, published.test_loss),
      OursText(runs, &RunSummary::test_accuracy, &RunSummary::test_loss),
      absl::StrCat(runs.size()),
      std::isnan(document_seconds) ? "" : Seconds(document_seconds),
      Seconds(SpreadOf(runs, &RunSummary::seconds).mean),
      Remarks(experiment, runs)};
  return absl::StrCat("| ", absl::StrJoin(cells, " | "), " |\n");
}

}  // namespace

absl::StatusOr<Reproduction> Reproduction::Read(const std::string& path) {
  Reproduction reproduction(path);
  const absl::StatusOr<FileBytes> bytes = ReadWholeFile(path, "JSON lines");
  if (absl::IsNotFound(bytes.status())) return reproduction;
  if (!bytes.ok()) return bytes.status();
  int line_number = 0;
  for (absl::string_view line : absl::StrSplit(bytes->view(), '\n')) {
    ++line_number;
    if (line.empty()) continue;
    const absl::StatusOr<RunSummary> run = RunSummaryFromJson(line);
    if (!run.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", line_number, ": ", run.status().message()));
    }
    for (const RunSummary& earlier : reproduction.runs_) {
      if (earlier.experiment == run->experiment &&
          earlier.variant == run->variant && earlier.seed == run->seed) {
        return absl::InvalidArgumentError(absl::StrCat(
            path, ":", line_number, ": expected each run once, found ",
            run->experiment, " (", run->variant, ") with seed ", run->seed,
            " again"));
      }
    }
    reproduction.runs_.push_back(*run);
  }
  return reproduction;
}

const RunSummary* Reproduction::Find(const Experiment& experiment,
                                     uint64_t seed) const {
  for (const RunSummary& run : runs_) {
    if (IsOf(run, experiment) && run.seed == seed) return &run;
  }
  return nullptr;
}

absl::Status Reproduction::Add(RunSummary run) {
  runs_.push_back(std::move(run));
  std::string text;
  for (const RunSummary& kept : runs_) {
    absl::StrAppend(&text, ToJson(kept, JsonForm::kLine), "\n");
  }
  return ReplaceFile(path_, text);
}

std::string FiguresTable(absl::Span<const Experiment> experiments,
                         absl::Span<const RunSummary> runs) {
  std::string table =
      "| experiment | variant | train: document | train: ours | test: document "
      "| test: ours | seeds | seconds: document | seconds: ours | remarks |\n"
      "|---|---|---|---|---|---|---|---|---|---|\n";
  for (const Experiment& experiment : experiments) {
    std::vector<RunSummary> its;
    for (const RunSummary& run : runs) {
      if (IsOf(run, experiment)) its.push_back(run);
    }
    if (!its.empty()) table += Row(experiment, its);
  }
  return table;
}

absl::StatusOr<std::string> ReplaceTable(absl::string_view text,
                                         absl::string_view table) {
  for (absl::string_view mark : {kTableBegin, kTableEnd}) {
    const size_t first = text.find(mark);
    if (first != text.npos && text.rfind(mark) == first) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "expected the line \"", absl::StripSuffix(mark, "\n"),
        "\" once, found ", first == text.npos ? "none" : "several"));
  }
  const size_t begin = text.find(kTableBegin), end = text.find(kTableEnd);
  if (end < begin) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected the line \"", absl::StripSuffix(kTableEnd, "\n"),
        "\" after the line \"", absl::StripSuffix(kTableBegin, "\n"),
        "\", found it before"));
  }
  return absl::StrCat(text.substr(0, begin + kTableBegin.size()), table,
                      text.substr(end));
}

}  // namespace tape
