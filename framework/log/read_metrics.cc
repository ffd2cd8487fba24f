// Reads metrics.csv (read_metrics.h). In go the bytes of a file, out come the
// epochs of a run, or a Status that names the line. Tested by
// tests/log/read_metrics_test.cc.
#include "framework/log/read_metrics.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "framework/core/floating_point.h"
#include "framework/io/files.h"

namespace tape {
namespace {

using Cells = std::vector<std::string>;

constexpr absl::string_view kColumns[] = {
    "epoch", "split", "loss", "accuracy", "learning_rate", "seconds"};
constexpr size_t kFirstReport = std::size(kColumns);

// The whole cell as a number.
template <typename Number>
std::optional<Number> Parse(absl::string_view cell) {
  Number number{};
  const char* const end = cell.data() + cell.size();
  const auto [next, error] = std::from_chars(cell.data(), end, number);
  if (error != std::errc() || next != end) return std::nullopt;
  return number;
}

class Reader {
 public:
  Reader(const std::string& path, absl::string_view text)
      : path_(path), rest_(text) {}

  absl::StatusOr<std::vector<EpochResult>> Read() {
    if (absl::Status status = ReadHeader(); !status.ok()) return status;
    std::vector<EpochResult> epochs;
    while (!rest_.empty()) {
      absl::StatusOr<EpochMetrics> train = ReadPass({"train"});
      if (!train.ok()) return train.status();
      if (!epochs.empty() && train->epoch <= epochs.back().train.epoch) {
        return Wrong(absl::StrCat("an epoch after ", epochs.back().train.epoch),
                     absl::StrCat(train->epoch));
      }
      EpochResult epoch = {.train = *std::move(train)};
      // The first epoch tells whether there is a validation set.
      const bool may_have = epochs.empty() || epochs[0].validation.has_value();
      const bool may_lack = epochs.empty() || !may_have;
      std::vector<absl::string_view> next;
      if (may_have) next.push_back("validation");
      if (may_lack) next.push_back("test");
      absl::StatusOr<EpochMetrics> pass = ReadPass(next, epoch.train.epoch);
      if (!pass.ok()) return pass.status();
      if (pass->split == "validation") {
        epoch.validation = *std::move(pass);
        pass = ReadPass({"test"}, epoch.train.epoch);
        if (!pass.ok()) return pass.status();
      }
      epoch.test = *std::move(pass);
      epochs.push_back(std::move(epoch));
    }
    if (epochs.empty()) return Wrong("the line of an epoch", "the file's end");
    return epochs;
  }

 private:
  absl::Status Wrong(absl::string_view expected, absl::string_view found) {
    return WrongData(absl::StrCat(path_, ":", line_), expected, found);
  }

  // The cells of the next line, which must end as lines do. Only the header has
  // quoted ones, in which a line break is not the line's end.
  absl::StatusOr<Cells> NextLine(absl::string_view expected) {
    ++line_;
    if (rest_.empty()) return Wrong(expected, "the file's end");
    const absl::string_view line = rest_;
    const auto cut = [&] {
      return Wrong(absl::StrCat(expected, " that ends with a newline"),
                   Quoted(line));
    };
    Cells cells;
    while (true) {
      if (absl::ConsumePrefix(&rest_, "\"")) {
        std::string cell;
        while (true) {
          const size_t quote = rest_.find('"');
          if (quote == rest_.npos) return cut();
          absl::StrAppend(&cell, rest_.substr(0, quote));
          rest_.remove_prefix(quote + 1);
          if (!absl::ConsumePrefix(&rest_, "\"")) break;
          cell += '"';
        }
        cells.push_back(std::move(cell));
      } else {
        const size_t end = std::min(rest_.find_first_of(",\n"), rest_.size());
        cells.emplace_back(rest_.substr(0, end));
        rest_.remove_prefix(end);
      }
      if (absl::ConsumePrefix(&rest_, "\n")) return cells;
      if (!absl::ConsumePrefix(&rest_, ",")) return cut();
    }
  }

  absl::Status ReadHeader() {
    const std::string expected = absl::StrJoin(kColumns, ",");
    absl::StatusOr<Cells> cells = NextLine(absl::StrCat("\"", expected, "\""));
    if (!cells.ok()) return cells.status();
    const std::string found = absl::StrJoin(*cells, ",");
    if (found != expected && !absl::StartsWith(found, expected + ",")) {
      return Wrong(absl::StrCat("\"", expected, "\""), Quoted(found));
    }
    for (size_t i = kFirstReport; i < cells->size(); ++i) {
      report_names_.emplace_back((*cells)[i]);
    }
    return absl::OkStatus();
  }

  // The next line, which must be of one of `splits` and, if that is not 0, of
  // `epoch`.
  absl::StatusOr<EpochMetrics> ReadPass(
      absl::Span<const absl::string_view> splits, int epoch = 0) {
    const std::string expected_line = absl::StrCat(
        "the line of ", epoch == 0 ? "an epoch" : absl::StrCat("epoch ", epoch),
        "'s ", absl::StrJoin(splits, " or "), " pass");
    const absl::StatusOr<Cells> cells = NextLine(expected_line);
    if (!cells.ok()) return cells.status();
    const size_t columns = kFirstReport + report_names_.size();
    if (cells->size() != columns) {
      return Wrong(absl::StrCat(columns, " cells"),
                   absl::StrCat(cells->size()));
    }
    EpochMetrics metrics;
    const std::optional<int> number = Parse<int>((*cells)[0]);
    if (!number.has_value() || *number < 1 ||
        (epoch != 0 && *number != epoch)) {
      return Wrong(epoch == 0 ? "an epoch, 1 or more" : expected_line,
                   Quoted((*cells)[0]));
    }
    metrics.epoch = *number;
    const std::string& split = (*cells)[1];
    if (std::find(splits.begin(), splits.end(), split) == splits.end()) {
      return Wrong(expected_line, Quoted(split));
    }
    metrics.split = split;
    double* const figures[] = {&metrics.loss, &metrics.accuracy,
                               &metrics.learning_rate, &metrics.seconds};
    for (size_t i = 0; i < std::size(figures); ++i) {
      const std::optional<double> value = Parse<double>((*cells)[i + 2]);
      if (!value.has_value()) {
        return Wrong(absl::StrCat("a number as ", kColumns[i + 2]),
                     Quoted((*cells)[i + 2]));
      }
      *figures[i] = *value;
    }
    // A pass that has no such report has an empty cell.
    for (size_t i = 0; i < report_names_.size(); ++i) {
      const std::string& cell = (*cells)[kFirstReport + i];
      if (cell.empty()) continue;
      const std::optional<double> value = Parse<double>(cell);
      if (!value.has_value()) {
        return Wrong(absl::StrCat("a number as ", report_names_[i]),
                     Quoted(cell));
      }
      metrics.reports.push_back({report_names_[i], *value});
    }
    return metrics;
  }

  const std::string& path_;
  absl::string_view rest_;
  int64_t line_ = 0;
  std::vector<std::string> report_names_;
};

}  // namespace

absl::StatusOr<std::vector<EpochResult>> ReadMetrics(const std::string& path) {
  const FloatingPointScope environment;
  const absl::StatusOr<FileBytes> bytes =
      ReadWholeFile(path, "the metrics of a run");
  if (!bytes.ok()) return bytes.status();
  return Reader(path, bytes->view()).Read();
}

}  // namespace tape
