// The reader of tables of text (tabular.h), by libcsv. Tested by
// tests/data/tabular_test.cc.
#include "framework/data/tabular.h"

#include <csv.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
#include "framework/core/text.h"
#include "framework/io/files.h"

namespace tape {
namespace {

constexpr char kByteOrderMark[] = "\xef\xbb\xbf";

// Finite as float32, which features are.
bool IsNumber(const std::string& cell, double& number) {
  // absl takes hexadecimal numbers for numbers too.
  return cell.find_first_of("xX") == std::string::npos &&
         absl::SimpleAtod(cell, &number) &&
         std::isfinite(static_cast<float>(number));
}

// Takes the cells from libcsv, which calls it back. What is thrown must not pass
// through libcsv: it is kept, as the first error is.
class Reader {
 public:
  Reader(const std::string& path, const TabularOptions& options)
      : path_(path),
        missing_(options.missing.begin(), options.missing.end()),
        categories_(options.categories.begin(), options.categories.end()) {
    missing_.insert("");
  }

  absl::Status Read(absl::string_view text, char separator) {
    csv_parser parser;
    constexpr unsigned char kOptions = CSV_STRICT | CSV_STRICT_FINI;
    if (csv_init(&parser, kOptions) != 0) return NoMemory();
    csv_set_delim(&parser, static_cast<unsigned char>(separator));
    const auto cell = [](void* data, size_t size, void* reader) {
      static_cast<Reader*>(reader)->AddCell(
          {static_cast<const char*>(data), size});
    };
    const auto end = [](int, void* reader) {
      static_cast<Reader*>(reader)->EndRow();
    };
    const bool is_read = csv_parse(&parser, text.data(), text.size(), cell, end,
                                   this) == text.size() &&
                         csv_fini(&parser, cell, end, this) == 0;
    const int error = csv_error(&parser);
    csv_free(&parser);
    if (!status_.ok()) return status_;
    if (is_read) return absl::OkStatus();
    if (error != CSV_EPARSE) return NoMemory();
    return WrongRow("quotes around a whole cell, closed",
                    "others, or none at its end");
  }

  absl::StatusOr<Tabular> Finish() {
    if (names_.empty() || rows_ == 0) {
      return WrongData(path_, "a header and at least one row below it",
                       names_.empty() ? "neither" : "a header alone");
    }
    Tabular table;
    table.rows = rows_;
    for (size_t i = 0; i < names_.size(); ++i) {
      table.columns.push_back(MakeColumn(i));
      cells_[i] = {};  // Not both at once for all.
    }
    return table;
  }

 private:
  absl::Status NoMemory() const {
    return absl::ResourceExhaustedError(
        absl::StrCat(path_, ": no memory to read it"));
  }
  // Of the row that is being read.
  absl::Status WrongRow(absl::string_view expected,
                        absl::string_view found) const {
    return WrongData(absl::StrCat(path_, ": row ", records_ + 1), expected,
                     found);
  }

  void AddCell(absl::string_view cell) {
    if (!status_.ok()) return;
    try {
      if (!IsUtf8(cell)) {
        status_ = WrongRow("text in UTF-8", Quoted(cell));
      } else {
        row_.emplace_back(cell);
      }
    } catch (...) {
      status_ = CaughtStatus(path_);
    }
  }

  void EndRow() {
    if (!status_.ok()) return;
    try {
      // libcsv calls this for lines with a cell, not for blank ones.
      status_ = records_ == 0 ? TakeHeader() : TakeRow();
      ++records_;
      row_.clear();
    } catch (...) {
      status_ = CaughtStatus(path_);
    }
  }

  absl::Status TakeHeader() {
    std::set<absl::string_view> names;
    for (size_t i = 0; i < row_.size(); ++i) {
      const std::string& name = row_[i];
      const std::string expected =
          absl::StrCat("the name of column ", i + 1, " (a header)");
      double number = 0;
      if (missing_.contains(name)) {
        return WrongRow(expected, name.empty() ? "nothing" : Quoted(name));
      }
      if (absl::SimpleAtod(name, &number)) {
        return WrongRow(expected, absl::StrCat("the number ", Printable(name)));
      }
      if (!names.insert(name).second) {
        return WrongRow("each name once", absl::StrCat(Quoted(name), " twice"));
      }
    }
    names_ = row_;
    cells_.resize(names_.size());
    return absl::OkStatus();
  }

  absl::Status TakeRow() {
    if (row_.size() != names_.size()) {
      return WrongRow(
          absl::StrCat(names_.size(), names_.size() == 1 ? " cell" : " cells",
                       ", as the header has"),
          absl::StrCat(row_.size()));
    }
    for (size_t i = 0; i < row_.size(); ++i) {
      cells_[i].push_back(std::move(row_[i]));
    }
    ++rows_;
    return absl::OkStatus();
  }

  TabularColumn MakeColumn(size_t index) const {
    const std::vector<std::string>& cells = cells_[index];
    TabularColumn column = {.name = names_[index]};
    constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
    for (const std::string& cell : cells) {
      double number = kMissing;
      if (categories_.contains(column.name)) break;
      if (!missing_.contains(cell) && !IsNumber(cell, number)) break;
      column.numbers.push_back(number);
    }
    if (column.numbers.size() == cells.size()) return column;
    column.numbers = {};
    std::map<absl::string_view, int32_t> place;
    for (const std::string& cell : cells) {
      if (missing_.contains(cell)) {
        column.categories.push_back(-1);
        continue;
      }
      const auto [found, is_new] =
          place.emplace(cell, static_cast<int32_t>(place.size()));
      if (is_new) column.values.push_back(cell);
      column.categories.push_back(found->second);
    }
    return column;
  }

  const std::string& path_;
  std::set<std::string, std::less<>> missing_, categories_;
  absl::Status status_;
  std::vector<std::string> row_, names_;
  std::vector<std::vector<std::string>> cells_;  // Of each column.
  int64_t records_ = 0, rows_ = 0;
};

}  // namespace

const TabularColumn* Tabular::Find(absl::string_view name) const {
  const auto found = std::find_if(
      columns.begin(), columns.end(),
      [&](const TabularColumn& column) { return column.name == name; });
  return found == columns.end() ? nullptr : &*found;
}

std::string Tabular::ColumnNames() const {
  std::vector<std::string> names;
  for (const TabularColumn& column : columns) {
    names.push_back(Quoted(column.name));
  }
  return absl::StrJoin(names, ", ");
}

std::optional<OddCell> FindOddCell(const TabularColumn& column) {
  std::vector<bool> is_number;
  for (const std::string& value : column.values) {
    double number;
    is_number.push_back(IsNumber(value, number));
  }
  OddCell odd;
  for (size_t row = 0; row < column.categories.size(); ++row) {
    const int32_t category = column.categories[row];
    if (category < 0) continue;
    ++odd.cells;
    if (is_number[category]) {
      ++odd.numbers;
    } else if (odd.row == 0) {
      odd.row = static_cast<int64_t>(row) + 2;
      odd.text = column.values[category];
    }
  }
  if (odd.row == 0 || 2 * odd.numbers <= odd.cells) return std::nullopt;
  return odd;
}

absl::StatusOr<Tabular> ReadTabular(const std::string& path,
                                    const TabularOptions& options) try {
  const FloatingPointScope environment;
  const absl::StatusOr<FileBytes> bytes = ReadWholeFile(path, "a CSV file");
  if (!bytes.ok()) return bytes.status();
  absl::string_view text = bytes->view();
  absl::ConsumePrefix(&text, kByteOrderMark);
  Reader reader(path, options);
  absl::Status status = reader.Read(text, options.separator);
  if (!status.ok()) return status;
  return reader.Finish();
} catch (...) {
  return CaughtStatus(path);
}

}  // namespace tape
