// A page of figures and tables: one HTML file that needs nothing else, neither
// scripts nor the network, and may use neither. Light or dark as its reader
// prefers, for wide windows and for phones. Tested by tests/report/report_test.cc.
//
//   Page page("fashion_mlp");
//   page.BeginSection("curves", "Curves");
//   page.Add(figure);
//   page.EndSection();
//   file << page.ToString();
#ifndef TAPE_FRAMEWORK_REPORT_PAGE_H_
#define TAPE_FRAMEWORK_REPORT_PAGE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/report/plot.h"

namespace tape {

// All texts are plain; the page escapes them.
struct Table {
  struct Row {
    std::vector<std::string> cells;
    bool apart = false;  // With a line above: sums, averages.
  };
  std::string id, title, caption = {};
  std::vector<std::string> header = {};  // May be empty.
  std::vector<Row> rows = {};
  // How many columns from the left hold text; those after hold numbers, and
  // are set to the right.
  int text_columns = 1;
};

// A figure that stands out: "Test accuracy", "98.2 %".
struct KeyFigure {
  std::string name, value;
  std::string note = {};
};

class Page {
 public:
  // `title` is the heading, and what the window is called; `program` is named as
  // the page's generator.
  explicit Page(absl::string_view title, absl::string_view program = "Tape");

  // What every page of `program` begins with, and no other file.
  static std::string Beginning(absl::string_view program);

  // A paragraph.
  void AddText(absl::string_view text);
  void AddTiles(absl::Span<const KeyFigure> tiles);

  // What is added in a section stands in two columns where there is room. A
  // section without anything in it is left out. The section before it ends. What
  // is added outside of sections stands in one without a title.
  void BeginSection(absl::string_view id, absl::string_view title);
  void Add(const Figure& figure);
  void Add(const Table& table);
  // A chart over epochs; if nothing in it is finite, a remark that no figure of
  // a `whose` is: "epoch", "run".
  void AddEpochChart(LineChart chart, absl::string_view whose);
  // Across both columns, at its own size; a small window scrolls it.
  void AddWide(const Figure& figure);
  void AddWide(const Table& table);
  // A remark in a frame, for what cannot be shown.
  void AddNote(absl::string_view text);
  // Tables one below the other, in the place of one.
  void AddStack(absl::Span<const Table> tables);
  void EndSection();

  // The figures added so far.
  const std::vector<Figure>& figures() const { return figures_; }

  std::string ToString() const;

 private:
  // What a section holds: the HTML of a card, but for its class.
  struct Card {
    std::string before, after;  // The classes.
    bool wide = false;
  };
  void AddFigure(const Figure& figure, bool wide);
  // The section that was begun, as far as it is filled.
  std::string SectionHtml() const;

  static constexpr char kUntitledSection[] = "<section>\n";

  std::string title_, beginning_, head_, contents_, body_;
  // Of the section that was begun: its beginning; a link to it, empty if it has
  // no title; and what it holds.
  std::string section_head_ = kUntitledSection, section_link_;
  std::vector<Card> cards_;
  std::vector<Figure> figures_;
};

// A loss as pages show it: LossText (metrics.h), or "not finite".
std::string LossCell(double loss);

// Writes each figure to the folder `path`, which is made if it is missing: as
// ID.svg and ID.png. Errors: the system's, and those of RasterizeSvg, after whose
// kResourceExhausted all SVGs are there.
absl::Status WritePictures(absl::Span<const Figure> figures,
                           const std::string& path);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_REPORT_PAGE_H_
