// Data sets as comma-separated values (csv.h). In go paths, out come tensors
// whose every number was checked, or a Status that names file, row and column;
// and the other way round. Tested by tests/data/csv_test.cc.
//
// The readers go over the bytes once. Nearly every cell of a data set is one to
// three digits and a comma, which ReadGreys takes by itself; it leaves any
// other to ReadNumber: the last of a row, spaces, fractions, and mistakes.
#include "framework/data/csv.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/charconv.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "framework/core/check.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
#include "framework/core/memory.h"
#include "framework/core/tensor.h"
#include "framework/io/files.h"

namespace tape {
namespace {

constexpr char kKind[] = "a CSV file";  // As errors call it.
constexpr int kMaxGrey = 255;

bool IsSquare(int64_t count) {
  const auto side = std::llround(std::sqrt(count));
  return count > 0 && side * side == count;
}

// Whether a header's name says that its column has the labels.
bool IsOfLabels(absl::string_view name) {
  for (const char* known :
       {"label", "labels", "class", "classes", "target", "digit", "y"}) {
    if (absl::EqualsIgnoreCase(name, known)) return true;
  }
  return false;
}

std::string Columns(int64_t count) {
  return absl::StrCat(count, count == 1 ? " column" : " columns");
}

// Reads a file cell by cell, knowing at each step where it is.
class CsvReader {
 public:
  // `bytes` and `path` must outlive this object.
  CsvReader(const FileBytes& bytes, absl::string_view path)
      : path_(path), next_(bytes.view().data()), end_(next_ + bytes.size()) {
    if (absl::StartsWith(bytes.view(), "\xef\xbb\xbf")) next_ += 3;
    row_start_ = next_;
    columns_ = CountColumns();
  }

  // Whether the file looks like comma-separated UTF-8, by its first row.
  absl::Status CheckForm() const {
    const absl::string_view row = FirstRow();
    if (absl::StartsWith(row, "\xff\xfe") ||
        absl::StartsWith(row, "\xfe\xff") ||
        (row.size() >= 2 && (row[0] == '\0') != (row[1] == '\0'))) {
      return WrongData(path_, "UTF-8", "UTF-16");
    }
    if (row.find(',') != row.npos) return absl::OkStatus();
    for (const char separator : {';', '\t'}) {
      if (row.find(separator) == row.npos) continue;
      return WrongRow("commas between columns",
                      separator == ';' ? "';'" : "tabs");
    }
    return absl::OkStatus();
  }

  // Whether the first row has the columns' numbers, from 0 or 1 on: the header
  // that pandas writes of columns without names. A few of them may be an image.
  bool AtColumnNumbers() const {
    constexpr int64_t kFewest = 16;
    if (columns_ < kFewest) return false;
    CsvReader ahead = *this;
    int64_t first = 0;
    for (int64_t i = 0; i < columns_; ++i) {
      int64_t number;
      if (!absl::SimpleAtoi(ahead.TakeCell(), &number)) return false;
      if (i == 0) first = number;
      if (first < 0 || first > 1 || number != first + i) return false;
      ahead.TakeSeparator();
    }
    return true;
  }
  absl::Status WrongColumnNumbers() const {
    return WrongRow("the grey levels of an image",
                    "the numbers of the columns, which are a header");
  }

  // Whether all rows are read.
  bool AtEnd() const { return next_ == end_; }

  // How many columns the first row has, and therefore each.
  int64_t columns() const { return columns_; }

  // Whether the first row is a header. To be asked before anything is read.
  bool AtHeader() const {
    CsvReader ahead = *this;
    const absl::string_view name = ahead.TakeCell();
    double number;
    return !name.empty() && !absl::SimpleAtod(name, &number);
  }

  // Reads the header. Returns whether the first column has the labels; no other
  // may.
  absl::StatusOr<bool> ReadHeader() {
    bool labelled = false;
    for (int64_t i = 0; i < columns_; ++i) {
      const absl::string_view name = TakeCell();
      double number;
      if (column_ == 1 && (name.empty() || absl::SimpleAtod(name, &number))) {
        return WrongCell("a header row, which begins with a name such as label",
                         Quoted(name));
      }
      if (name.find_first_of(absl::string_view("\"\0", 2)) != name.npos) {
        return WrongCell("a name without quotes or NUL bytes", Quoted(name));
      }
      if (i > 0 && !labelled && IsOfLabels(name)) {
        return WrongCell("the labels in column 1", Quoted(name));
      }
      labelled |= i == 0 && IsOfLabels(name);
      TakeSeparator();
    }
    return labelled;
  }

  // The error of a file whose first column should have the labels, and is
  // called otherwise. To be asked before the header is read.
  absl::Status NoLabels() const {
    CsvReader ahead = *this;
    return WrongCell("a name of the labels, such as label or class",
                     Quoted(ahead.TakeCell()));
  }

  // Reads the next cell, a whole number in 0 to `max`, which errors call
  // `what`.
  absl::StatusOr<int> ReadNumber(absl::string_view what, int max) {
    const absl::string_view cell = TakeCell();
    if (cell.empty() && column_ == 1 && !AtComma()) {
      return WrongRow(ExpectedColumns(), "a blank line");
    }
    // Unlike absl::SimpleAtod, this takes no white space.
    const char* const cell_end = cell.data() + cell.size();
    double number;
    const auto [parsed_end, error] =
        absl::from_chars(cell.data(), cell_end, number);
    if (error != std::errc() || parsed_end != cell_end ||
        !(number >= 0 && number <= max) || number != std::floor(number)) {
      return WrongCell(absl::StrCat(what, " in 0 to ", max), Quoted(cell));
    }
    if (AtComma() != (column_ < columns_)) {
      return WrongRow(ExpectedColumns(), absl::StrCat(CountColumns()));
    }
    TakeSeparator();
    return static_cast<int>(number);
  }

  // Reads the rest of the row, a grey level for each element of `to`.
  absl::Status ReadGreys(absl::Span<uint8_t> to) {
    TAPE_CHECK_EQ(column_ + static_cast<int64_t>(to.size()), columns_ + 1);
    for (uint8_t& grey : to) {
      // No byte is looked at unless the one before it was a digit, so that the
      // NUL behind the file ends the last number at the latest.
      const char* next = next_;
      int number = 0;
      while (next < next_ + 3 && absl::ascii_isdigit(*next)) {
        number = 10 * number + (*next++ - '0');
      }
      if (*next == ',' && next > next_ && number <= kMaxGrey &&
          column_ < columns_) {
        grey = static_cast<uint8_t>(number);
        next_ = next + 1;
        ++column_;
        continue;
      }
      const absl::StatusOr<int> other = ReadNumber("a whole number", kMaxGrey);
      if (!other.ok()) return other.status();
      grey = static_cast<uint8_t>(*other);
    }
    return absl::OkStatus();
  }

  absl::Status WrongRow(absl::string_view expected,
                        absl::string_view found) const {
    return WrongData(absl::StrCat(path_, ": row ", row_), expected, found);
  }

 private:
  absl::string_view FirstRow() const {
    return {row_start_, static_cast<size_t>(std::find(row_start_, end_, '\n') -
                                            row_start_)};
  }

  bool AtComma() const { return next_ != end_ && *next_ == ','; }

  // Goes to the end of the cell. Returns what it holds, without spaces around.
  absl::string_view TakeCell() {
    const char* const start = next_;
    while (next_ != end_ && *next_ != ',' && *next_ != '\n') ++next_;
    absl::string_view cell(start, next_ - start);
    if (!AtComma()) absl::ConsumeSuffix(&cell, "\r");
    while (absl::ConsumePrefix(&cell, " ") || absl::ConsumeSuffix(&cell, " ")) {
    }
    return cell;
  }

  // Goes from the end of a cell to the next one, if there is one.
  void TakeSeparator() {
    ++column_;
    if (AtEnd()) return;
    if (*next_++ == '\n') {
      ++row_;
      column_ = 1;
      row_start_ = next_;
    }
  }

  // How many columns this row has.
  int64_t CountColumns() const {
    return 1 + std::count(row_start_, std::find(row_start_, end_, '\n'), ',');
  }

  std::string ExpectedColumns() const {
    return absl::StrCat(Columns(columns_), row_ == 1 ? "" : ", as in row 1");
  }

  absl::Status WrongCell(absl::string_view expected,
                         absl::string_view found) const {
    return WrongData(absl::StrCat(path_, ": row ", row_, ", column ", column_),
                     expected, found);
  }

  const absl::string_view path_;
  const char* next_;
  const char* const end_;
  const char* row_start_;
  int64_t columns_;
  int64_t row_ = 1;  // Of what is read next.
  int64_t column_ = 1;
};

// What a reader gathers, row by row.
struct Rows {
  std::vector<uint8_t> greys;
  std::vector<int32_t> labels;

  // For a file of so many bytes: a number and what ends it are two at least.
  explicit Rows(size_t file_bytes) { greys.reserve(file_bytes / 2 + 1); }

  // Reads the rest of the reader's row.
  absl::Status AppendGreys(CsvReader& reader, int64_t pixels) {
    greys.resize(greys.size() + pixels);
    return reader.ReadGreys(absl::MakeSpan(greys).last(pixels));
  }

  absl::Status AppendLabel(CsvReader& reader, int classes) {
    const absl::StatusOr<int> label = reader.ReadNumber("a label", classes - 1);
    if (label.ok()) labels.push_back(*label);
    return label.status();
  }

  // `path` is the images' file.
  absl::StatusOr<Dataset> ToDataset(absl::string_view path, int64_t pixels,
                                    int classes) const {
    const auto count = static_cast<int64_t>(labels.size());
    Dataset dataset = {.images = Tensor({count, pixels}, greys),
                       .labels = Tensor({count}, labels),
                       .classes = classes};
    if (SquareSide(dataset).ok()) return dataset;
    return WrongData(absl::StrCat(path, ": row 1"),
                     "the pixels of a square image, 784 for 28 x 28 for one",
                     absl::StrCat(pixels));
  }
};

// ---- Writing ----

// A row of comma-separated grey levels is at most so long.
size_t MaxRowBytes(int64_t pixels) { return 4 * pixels; }

// Appends rows of grey levels to a text.
class GreyWriter {
 public:
  GreyWriter() {
    for (int grey = 0; grey <= kMaxGrey; ++grey) {
      const std::string text = absl::StrCat(grey, ",");
      std::copy(text.begin(), text.end(), cells_[grey].text.begin());
      cells_[grey].size = text.size();
    }
  }

  void AppendRow(absl::Span<const uint8_t> greys, std::string& text) const {
    size_t size = text.size();
    text.resize(size + MaxRowBytes(greys.size()));
    for (uint8_t grey : greys) {
      // Always four bytes, which is faster than as many as there are.
      const Cell& cell = cells_[grey];
      std::memcpy(&text[size], cell.text.data(), cell.text.size());
      size += cell.size;
    }
    text.resize(size);
    text.back() = '\n';
  }

 private:
  struct Cell {
    std::array<char, 4> text{};  // "7,"
    size_t size = 0;
  };
  std::array<Cell, kMaxGrey + 1> cells_;
};

absl::Span<const uint8_t> ImageOf(const Dataset& dataset, int64_t sample) {
  return dataset.images.values<uint8_t>().subspan(sample * dataset.pixels(),
                                                  dataset.pixels());
}

// Writes the new file `path`: `head`, and rows that append(i, text) adds to a
// text. Of the text there is never more than a piece in memory.
absl::Status WriteRows(
    const std::string& path, std::string head, int64_t rows,
    const std::function<void(int64_t, std::string&)>& append) {
  constexpr size_t kPieceBytes = 1 << 20;
  int64_t row = 0;
  return WriteNewFile(path, [&](std::string& piece) {
    if (row == rows && head.empty()) return false;
    piece = std::exchange(head, "");
    while (row < rows && piece.size() < kPieceBytes) append(row++, piece);
    return true;
  });
}

// For images of side x side pixels.
std::string Header(int64_t side) {
  std::string text = "label";
  for (int64_t i = 0; i < side * side; ++i) {
    absl::StrAppend(&text, ",", i / side + 1, "x", i % side + 1);
  }
  return text + "\n";
}

// A file, with room for the numbers in it: a cell is two bytes at least, and its
// number becomes two, one of them in a tensor.
absl::StatusOr<FileBytes> ReadCsv(const std::string& path) {
  absl::StatusOr<FileBytes> bytes = ReadWholeFile(path, kKind);
  absl::Status status = bytes.status();
  if (status.ok()) status = CheckMemory(path, bytes->size());
  return status.ok() ? std::move(bytes) : status;
}

}  // namespace

absl::StatusOr<Dataset> ReadCsvDataset(const std::string& images_path,
                                       const std::string& labels_path,
                                       int classes) try {
  const FloatingPointScope environment;
  if (absl::Status status = CheckClasses(classes); !status.ok()) return status;
  const absl::StatusOr<FileBytes> images = ReadCsv(images_path);
  if (!images.ok()) return images.status();
  const absl::StatusOr<FileBytes> labels = ReadCsv(labels_path);
  if (!labels.ok()) return labels.status();
  Rows rows(images->size());

  CsvReader reader(*images, images_path);
  if (reader.AtEnd()) {
    return reader.WrongRow("the grey levels of an image", "an empty file");
  }
  if (absl::Status status = reader.CheckForm(); !status.ok()) return status;
  if (reader.AtColumnNumbers()) return reader.WrongColumnNumbers();
  const int64_t pixels = reader.columns();
  int64_t count = 0;
  for (; !reader.AtEnd(); ++count) {
    absl::Status status = rows.AppendGreys(reader, pixels);
    if (!status.ok()) return status;
  }

  CsvReader label_reader(*labels, labels_path);
  if (label_reader.AtEnd()) {
    return label_reader.WrongRow("a label", "an empty file");
  }
  const absl::Status form = label_reader.CheckForm();
  if (!form.ok()) return form;
  if (label_reader.columns() != 1) {
    return label_reader.WrongRow("1 column, of labels",
                                 absl::StrCat(label_reader.columns()));
  }
  while (!label_reader.AtEnd()) {
    absl::Status status = rows.AppendLabel(label_reader, classes);
    if (!status.ok()) return status;
  }
  if (static_cast<int64_t>(rows.labels.size()) != count) {
    return WrongData(
        labels_path,
        absl::StrCat(count, " labels, one for each image in ", images_path),
        absl::StrCat(rows.labels.size()));
  }
  return rows.ToDataset(images_path, pixels, classes);
} catch (...) {
  return CaughtStatus(images_path);
}

absl::StatusOr<Dataset> ReadLabelledCsvDataset(const std::string& path,
                                               int classes) try {
  const FloatingPointScope environment;
  if (absl::Status status = CheckClasses(classes); !status.ok()) return status;
  const absl::StatusOr<FileBytes> bytes = ReadCsv(path);
  if (!bytes.ok()) return bytes.status();
  Rows rows(bytes->size());

  CsvReader reader(*bytes, path);
  if (reader.AtEnd()) return reader.WrongRow("a header row", "an empty file");
  if (absl::Status status = reader.CheckForm(); !status.ok()) return status;
  const int64_t pixels = reader.columns() - 1;
  if (pixels < 1) {
    return reader.WrongRow("a label and at least 1 pixel", "1 column");
  }
  const absl::Status no_labels = reader.NoLabels();
  const absl::StatusOr<bool> labelled = reader.ReadHeader();
  if (!labelled.ok()) return labelled.status();
  if (!*labelled) return no_labels;
  if (reader.AtEnd()) return WrongData(path, "rows after the header", "none");
  while (!reader.AtEnd()) {
    absl::Status status = rows.AppendLabel(reader, classes);
    if (!status.ok()) return status;
    status = rows.AppendGreys(reader, pixels);
    if (!status.ok()) return status;
  }
  return rows.ToDataset(path, pixels, classes);
} catch (...) {
  return CaughtStatus(path);
}

absl::StatusOr<Tensor> ReadCsvImages(const std::string& path) try {
  const FloatingPointScope environment;
  const absl::StatusOr<FileBytes> bytes = ReadCsv(path);
  if (!bytes.ok()) return bytes.status();
  Rows rows(bytes->size());

  CsvReader reader(*bytes, path);
  if (reader.AtEnd()) {
    return reader.WrongRow("the grey levels of an image", "an empty file");
  }
  if (absl::Status status = reader.CheckForm(); !status.ok()) return status;
  const int64_t columns = reader.columns();
  const auto wrong_columns = [&] {
    return reader.WrongRow(
        "the pixels of a square image, perhaps after a label: 784 or 785 "
        "columns for 28 x 28 for one",
        absl::StrCat(columns));
  };
  const bool is_labelled = !IsSquare(columns) && IsSquare(columns - 1);
  if (!IsSquare(columns) && !is_labelled) return wrong_columns();
  if (reader.AtHeader()) {
    const absl::Status no_labels = reader.NoLabels();
    const absl::Status not_square = wrong_columns();
    const absl::StatusOr<bool> named = reader.ReadHeader();
    if (!named.ok()) return named.status();
    if (is_labelled && !*named) return no_labels;
    if (!is_labelled && *named) return not_square;
    if (reader.AtEnd()) return WrongData(path, "rows after the header", "none");
  } else if (reader.AtColumnNumbers()) {
    return reader.WrongColumnNumbers();
  }
  const int64_t pixels = columns - (is_labelled ? 1 : 0);
  int64_t count = 0;
  for (; !reader.AtEnd(); ++count) {
    absl::Status status;
    if (is_labelled) status = rows.AppendLabel(reader, kMaxGrey + 1);
    if (status.ok()) status = rows.AppendGreys(reader, pixels);
    if (!status.ok()) return status;
  }
  return Tensor({count, pixels}, rows.greys);
} catch (...) {
  return CaughtStatus(path);
}

absl::Status WriteCsvDataset(const Dataset& dataset,
                             const std::string& images_path,
                             const std::string& labels_path) try {
  if (absl::Status status = CheckGreyLevels(dataset); !status.ok()) {
    return status;
  }
  const absl::StatusOr<int64_t> side = SquareSide(dataset);
  if (!side.ok()) return side.status();
  const GreyWriter writer;
  absl::Status status = WriteRows(images_path, "", dataset.size(),
                                  [&](int64_t i, std::string& text) {
                                    writer.AppendRow(ImageOf(dataset, i), text);
                                  });
  if (!status.ok()) return status;
  const auto labels = dataset.labels.values<int32_t>();
  return WriteRows(labels_path, "", dataset.size(),
                   [&](int64_t i, std::string& text) {
                     absl::StrAppend(&text, labels[i], "\n");
                   });
} catch (...) {
  return CaughtStatus(images_path);
}

absl::Status WriteLabelledCsvDataset(const Dataset& dataset,
                                     const std::string& path) try {
  if (absl::Status status = CheckGreyLevels(dataset); !status.ok()) {
    return status;
  }
  const absl::StatusOr<int64_t> side = SquareSide(dataset);
  if (!side.ok()) return side.status();
  const GreyWriter writer;
  const auto labels = dataset.labels.values<int32_t>();
  return WriteRows(path, Header(*side), dataset.size(),
                   [&](int64_t i, std::string& text) {
                     absl::StrAppend(&text, labels[i], ",");
                     writer.AppendRow(ImageOf(dataset, i), text);
                   });
} catch (...) {
  return CaughtStatus(path);
}

}  // namespace tape
