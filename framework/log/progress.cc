// The progress of a run (progress.h). In go the samples done and the metrics
// of each finished epoch, out come lines of text on a terminal or in a log.
// Tested by tests/log/progress_test.cc.
#include "framework/log/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "framework/core/floating_point.h"
#include "framework/core/text.h"

namespace tape {
namespace {

constexpr double kSecondsBetweenBars = 0.1;   // Faster, nobody can read.
constexpr double kSecondsBetweenLogs = 10.0;  // 360 lines an hour at most.
constexpr int kUsualColumns = 80;  // Of a terminal that does not know its own.

// In cells. Six still show a twelfth of the epoch; over forty, the numbers are
// too far from each other.
constexpr int kSmallestBar = 6;
constexpr int kLargestBar = 40;

// ECMA-48 control sequences, which all terminals but dumb ones know.
constexpr char kEraseLine[] = "\r\x1b[K";
constexpr char kEraseRest[] = "\x1b[K";
constexpr char kGreen[] = "\x1b[32m";
constexpr char kGrey[] = "\x1b[90m";
constexpr char kUsualColor[] = "\x1b[0m";

// What follows the percentage, in the order it is shown in …
enum Part { kLoss, kAccuracy, kSpeed, kTimeLeft, kParts };
// … and in the order it is left out in if there is no room.
constexpr Part kPartsToDrop[] = {kSpeed, kAccuracy, kTimeLeft, kLoss};

// Between two columns of the table …
constexpr char kGap[] = "  ";
// … which are left out in this order if there is no room.
enum Importance {
  kSpeedColumn,
  kSecondsColumn,
  kRateColumn,
  kReportColumn,
  kTrainAccuracyColumn,
  kValidationLossColumn,
  kTestLossColumn,
  kTrainLossColumn,
  kValidationAccuracyColumn,
  kAlwaysShown,
};

absl::string_view Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool CanRedraw(std::FILE* out) {
  const absl::string_view term = Environment("TERM");
  return isatty(fileno(out)) == 1 && !term.empty() && term != "dumb";
}

bool LocaleIsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string value = absl::AsciiStrToLower(Environment(name));
    if (!value.empty()) {
      return absl::StrContains(value, "utf-8") ||
             absl::StrContains(value, "utf8");
    }
  }
  return false;
}

double SteadySeconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// "nan", "inf" or "-inf"; NaN has no sign here.
std::string NotFinite(double value) {
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

// "0.3214", and at most eight or nine characters if it is far from 1.
std::string ShortLossText(double loss) {
  const double size = std::fabs(loss);
  const bool is_far_from_1 = size > 0 && (size < 0.001 || size >= 1000);
  return std::isfinite(loss) && is_far_from_1 ? absl::StrFormat("%.2e", loss)
                                              : LossText(loss);
}

// "88.41%".
std::string AccuracyText(double accuracy) {
  if (!std::isfinite(accuracy)) return NotFinite(accuracy);
  return absl::StrFormat("%.2f%%", 100 * accuracy);
}

std::string RateText(double rate) {
  if (!std::isfinite(rate)) return NotFinite(rate);
  return absl::StrFormat("%.3g", rate);
}

std::string SecondsText(double seconds) {
  if (!std::isfinite(seconds)) return NotFinite(seconds);
  return absl::StrFormat("%.*f", seconds < 1000 ? 2 : 0, seconds);
}

// Three digits and a unit: "152k", "15.2k", "1.52M".
std::string SpeedText(double samples_per_second) {
  if (!std::isfinite(samples_per_second)) return NotFinite(samples_per_second);
  double value = samples_per_second;
  const char* unit = "";
  for (const char* next : {"k", "M", "G"}) {
    if (value < 999.5) break;  // What %.0f prints as 999 at most.
    value /= 1000;
    unit = next;
  }
  // The bounds are where rounding would bring a fourth digit.
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return absl::StrFormat("%.*f%s", decimals, value, unit);
}

// "0:12", "1:02:03", and days after a hundred hours.
std::string TimeText(double seconds) {
  const double kMost = 1e12;  // So that it is a number of seconds at all.
  const int64_t all = std::llround(std::min(seconds, kMost));
  const int64_t minutes = all / 60;
  const int64_t hours = minutes / 60;
  if (hours >= 100) return absl::StrCat(hours / 24, "d");
  if (hours > 0) {
    return absl::StrFormat("%d:%02d:%02d", hours, minutes % 60, all % 60);
  }
  return absl::StrFormat("%d:%02d", minutes, all % 60);
}

// The report of this name after `others` others; empty if there is none.
std::string ReportText(const EpochMetrics& metrics, absl::string_view name,
                       int others) {
  for (const Measurement& report : metrics.reports) {
    if (report.name == name && others-- == 0)
      return ShortLossText(report.value);
  }
  return "";
}

// `cells` cells, of which the first `halves` halves are done.
std::string BarText(int64_t halves, int cells, bool utf8, bool color) {
  std::string done;
  for (int i = 0; i < halves / 2; ++i) done += utf8 ? "━" : "#";
  if (halves % 2 == 1) done += utf8 ? "╸" : "-";
  std::string rest;
  for (int i = (halves + 1) / 2; i < cells; ++i) rest += utf8 ? "─" : ".";
  return color ? absl::StrCat(kGreen, done, kGrey, rest, kUsualColor)
               : absl::StrCat(done, rest);
}

}  // namespace

Progress::Progress(std::FILE* out, int epochs, int64_t samples_per_epoch,
                   ProgressOptions options)
    : out_(out),
      epochs_(epochs),
      samples_per_epoch_(samples_per_epoch),
      options_(std::move(options)) {
  const FloatingPointScope environment;
  if (!options_.clock) options_.clock = SteadySeconds;
  if (!options_.terminal) options_.terminal = out != nullptr && CanRedraw(out);
  if (!options_.utf8) options_.utf8 = LocaleIsUtf8();
  if (!options_.color) options_.color = Environment("NO_COLOR").empty();
  next_draw_ = options_.clock();
  if (!*options_.terminal) next_draw_ += kSecondsBetweenLogs;
}

Progress::~Progress() {
  if (bar_is_there_) Write("\n");
}

void Progress::StartEpoch(int epoch, int64_t samples_done) {
  const FloatingPointScope environment;
  const double now = options_.clock();
  if (!run_started_) run_start_ = now;
  run_started_ = true;
  epoch_ = epoch;
  epoch_start_ = now;
  epoch_samples_ = samples_before_ = samples_done;
  // Before the first batch, which may take long.
  if (now >= next_draw_) Draw(now);
}

void Progress::Advance(int64_t samples, double mean_loss,
                       double mean_accuracy) {
  const FloatingPointScope environment;
  epoch_samples_ += samples;
  run_samples_ += samples;
  loss_ = mean_loss;
  accuracy_ = mean_accuracy;
  const double now = options_.clock();
  if (now >= next_draw_) Draw(now);
}

void Progress::FinishEpoch(const EpochResult& epoch) {
  const FloatingPointScope environment;
  const auto add_title = [](std::string* line, const TableColumn& column) {
    absl::StrAppendFormat(line, "%*s", column.width, column.title);
  };
  const auto add_cell = [&](std::string* line, const TableColumn& column) {
    absl::StrAppendFormat(line, "%*s", column.width, column.text(epoch));
  };

  std::string text;
  if (bar_is_there_) {
    text += kEraseLine;
    bar_is_there_ = false;
    next_draw_ = options_.clock();  // Or the bar would blink at each line.
  }
  if (table_.empty()) {
    table_ = MeasuredColumns(epoch);
    if (*options_.terminal) FitTable();
    absl::StrAppend(&text, absl::StrJoin(table_, kGap, add_title), "\n");
  }
  absl::StrAppend(&text, absl::StrJoin(table_, kGap, add_cell), "\n");
  Write(text);
  if (!*options_.terminal) next_draw_ = options_.clock() + kSecondsBetweenLogs;
}

int Progress::Columns() const {
  if (options_.columns) return options_.columns();
  winsize size{};
  if (out_ == nullptr || ioctl(fileno(out_), TIOCGWINSZ, &size) != 0 ||
      size.ws_col == 0) {
    return kUsualColumns;
  }
  return size.ws_col;
}

void Progress::Draw(double now) {
  const bool terminal = *options_.terminal;
  next_draw_ = now + (terminal ? kSecondsBetweenBars : kSecondsBetweenLogs);

  // In whole numbers, so that 29 of 100 are not 28%.
  const int64_t all = samples_per_epoch_;
  const int64_t done = std::min(epoch_samples_, all);
  const auto done_of = [&](int64_t whole) {
    return all > 0 ? whole * done / all : whole;
  };
  const int digits = static_cast<int>(absl::StrCat(epochs_).size());
  const std::string epoch =
      absl::StrFormat("epoch %*d/%d", digits, epoch_, epochs_);
  const std::string percent = absl::StrFormat(" %3d%%", done_of(100));

  std::array<std::string, kParts> parts;
  if (epoch_samples_ > 0) {
    parts[kLoss] = absl::StrCat("  loss ", ShortLossText(loss_));
    parts[kAccuracy] = absl::StrCat("  acc ", AccuracyText(accuracy_));
  }
  const int64_t samples = epoch_samples_ - samples_before_;
  if (samples > 0 && now > epoch_start_) {
    const double speed = static_cast<double>(samples) / (now - epoch_start_);
    parts[kSpeed] = absl::StrCat("  ", SpeedText(speed), " samples/s");
  }
  if (run_samples_ > 0 && now > run_start_) {
    const double speed = static_cast<double>(run_samples_) / (now - run_start_);
    const int64_t left = all * std::max(epochs_ - epoch_, 0) + all - done;
    parts[kTimeLeft] = absl::StrCat(
        "  ", TimeText(static_cast<double>(left) / speed), " left");
  }

  if (!terminal) {
    Write(absl::StrCat(epoch, percent, parts[kLoss], parts[kAccuracy],
                       parts[kSpeed], parts[kTimeLeft], "\n"));
    return;
  }

  // The last column stays empty: some terminals wrap as soon as it is written.
  const int columns = Columns() - 1;
  // All but the bar is ASCII: a byte is a column.
  const auto bar_room = [&] {
    size_t taken = epoch.size() + 1 + percent.size();
    for (const std::string& part : parts) taken += part.size();
    return columns - static_cast<int>(taken);
  };
  for (Part part : kPartsToDrop) {
    if (bar_room() >= kSmallestBar) break;
    parts[part].clear();
  }
  const int cells = std::min(bar_room(), kLargestBar);
  std::string line;
  if (cells >= kSmallestBar) {
    line = absl::StrCat(
        epoch, " ",
        BarText(done_of(2 * cells), cells, *options_.utf8, *options_.color),
        percent, parts[kLoss], parts[kAccuracy], parts[kSpeed],
        parts[kTimeLeft]);
  } else {
    line = absl::StrCat(epoch, percent).substr(0, std::max(columns, 0));
  }
  Write(absl::StrCat("\r", line, kEraseRest));
  bar_is_there_ = true;
}

// Without validation and reports a line is 79 columns wide: a usual terminal
// shows it all.
std::vector<Progress::TableColumn> Progress::MeasuredColumns(
    const EpochResult& epoch) const {
  using Epoch = EpochResult;
  std::vector<TableColumn> columns;
  const auto add = [&](const std::string& title, int width,
                       Importance importance, auto text) {
    columns.push_back({title, width, importance, text});
  };
  add("epoch", 5, kAlwaysShown,
      [](const Epoch& e) { return absl::StrCat(e.train.epoch); });
  add("train loss", 10, kTrainLossColumn,
      [](const Epoch& e) { return ShortLossText(e.train.loss); });
  // What is no classifier has no accuracy in any split, however it is trained.
  const bool has_accuracy = epoch.test.reports.empty() ||
                            !std::isnan(epoch.train.accuracy) ||
                            !std::isnan(epoch.test.accuracy);
  if (has_accuracy) {
    add("train acc", 9, kTrainAccuracyColumn,
        [](const Epoch& e) { return AccuracyText(e.train.accuracy); });
  }
  if (epoch.validation.has_value()) {
    add("valid loss", 10, kValidationLossColumn, [](const Epoch& e) {
      return e.validation ? ShortLossText(e.validation->loss) : "";
    });
    if (has_accuracy) {
      add("valid acc", 9, kValidationAccuracyColumn, [](const Epoch& e) {
        return e.validation ? AccuracyText(e.validation->accuracy) : "";
      });
    }
  }
  add("test loss", 9, kTestLossColumn,
      [](const Epoch& e) { return ShortLossText(e.test.loss); });
  if (has_accuracy) {
    add("test acc", 8, kAlwaysShown,
        [](const Epoch& e) { return AccuracyText(e.test.accuracy); });
  }
  // Metrics of the model (ModelMetric).
  const auto add_metric = [&](absl::string_view split, const std::string& name,
                              auto metrics_of) {
    const std::string title = absl::StrCat(split, Printable(name));
    const int width = std::max(static_cast<int>(title.size()), 9);
    add(title, width, kReportColumn, [name, metrics_of](const Epoch& e) {
      const EpochMetrics* const metrics = metrics_of(e);
      return metrics == nullptr ? "" : ReportText(*metrics, name, 0);
    });
  };
  std::map<std::string, int> reports;  // So far, of each name.
  for (const Measurement& report : epoch.train.reports) {
    // Of a pass without updates alone.
    const bool is_elsewhere = std::any_of(
        epoch.test.reports.begin(), epoch.test.reports.end(),
        [&](const Measurement& other) { return other.name == report.name; });
    if (is_elsewhere && std::isnan(report.value)) continue;
    const int others = reports[report.name]++;
    const std::string title = Printable(report.name);
    const int width = std::max(static_cast<int>(title.size()), 9);
    add(title, width, kReportColumn,
        [name = report.name, others](const Epoch& e) {
          return ReportText(e.train, name, others);
        });
  }
  if (epoch.validation.has_value()) {
    for (const Measurement& metric : epoch.validation->reports) {
      add_metric("valid ", metric.name, [](const Epoch& e) {
        return e.validation.has_value() ? &*e.validation : nullptr;
      });
    }
  }
  for (const Measurement& metric : epoch.test.reports) {
    add_metric("test ", metric.name, [](const Epoch& e) { return &e.test; });
  }
  add("rate", 8, kRateColumn,
      [](const Epoch& e) { return RateText(e.train.learning_rate); });
  add("seconds", 7, kSecondsColumn,
      [](const Epoch& e) { return SecondsText(e.train.seconds); });
  add("samples/s", 9, kSpeedColumn, [this](const Epoch& e) {
    return SpeedText(static_cast<double>(epoch_samples_) / e.train.seconds);
  });
  return columns;
}

void Progress::FitTable() {
  const int gap = static_cast<int>(absl::string_view(kGap).size());
  int room = Columns() - 1 + gap;
  for (const TableColumn& column : table_) room -= column.width + gap;
  while (room < 0) {
    // Backwards: of two that are equal, the last goes first.
    const auto least =
        std::min_element(table_.rbegin(), table_.rend(),
                         [](const TableColumn& a, const TableColumn& b) {
                           return a.importance < b.importance;
                         });
    if (least->importance == kAlwaysShown) return;
    room += least->width + gap;
    table_.erase(std::prev(least.base()));
  }
}

// At once and in one piece, so that nothing comes in between.
void Progress::Write(const std::string& text) {
  if (out_ == nullptr) return;
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fflush(out_);
}

}  // namespace tape
