// Tables of text: comma-separated values with a header, whose columns are
// numbers or categories. Read by libcsv. (Images as CSV: csv.h.)
//
//   const absl::StatusOr<Tabular> table = ReadTabular("weather.csv");
//
// Tested by tests/data/tabular_test.cc.
#ifndef TAPE_FRAMEWORK_DATA_TABULAR_H_
#define TAPE_FRAMEWORK_DATA_TABULAR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tape {

struct TabularColumn {
  std::string name;
  // Of numbers: each row's, NaN where it is missing. Empty for categories.
  std::vector<double> numbers = {};
  // Of categories: each row's place in `values`, -1 where it is missing. Empty
  // for numbers.
  std::vector<int32_t> categories = {};
  std::vector<std::string> values = {};  // Each once, as first met.

  bool has_numbers() const { return categories.empty(); }
};

struct Tabular {
  std::vector<TabularColumn> columns = {};
  int64_t rows = 0;

  // Null if there is none.
  const TabularColumn* Find(absl::string_view name) const;
  // For errors: "date", "wind", … in quotes.
  std::string ColumnNames() const;
};

// What keeps a column from being one of numbers.
struct OddCell {
  int64_t row = 0;   // As errors count them: the header is row 1.
  std::string text;  // Of the first cell that is no number.
  int64_t numbers = 0,
          cells = 0;  // How many are; of cells, missing ones aside.
};
// If most cells of a column of categories are numbers, its first one that is none.
std::optional<OddCell> FindOddCell(const TabularColumn& column);

struct TabularOptions {
  char separator = ',';
  // What a cell that is missing may hold; an empty one always is.
  // These are pandas' and "?".
  std::vector<std::string> missing = {"NA",   "N/A",  "<NA>", "#NA",  "#N/A",
                                      "n/a",  "NaN",  "nan",  "-NaN", "-nan",
                                      "NULL", "null", "None", "?"};
  // Columns of categories whatever their cells look like, such as postcodes. The
  // table need not have them.
  std::vector<std::string> categories = {};
};

// The table of a file: a header with a name for each column, then rows of as
// many cells. A cell in double quotes may hold separators, line breaks and, each
// doubled, quotes; spaces around others do not count. Lines end with LF or CRLF;
// blank ones are passed over, and so is a UTF-8 byte order mark. A column whose
// cells are all finite numbers, missing ones aside, is of numbers, all others are
// of categories; one of missing cells alone is of numbers.
//
// Memory is in proportion to the file. Errors name the file and the row (the
// header is row 1), what was expected and what was found: kNotFound; a header of
// which a name is empty, a number (a table without a header) or there twice; a
// row of another length; quotes that are not closed or stand within a cell; what
// is no UTF-8; no row but the header.
absl::StatusOr<Tabular> ReadTabular(const std::string& path,
                                    const TabularOptions& options = {});

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DATA_TABULAR_H_
