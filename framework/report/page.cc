// Pages of figures and tables (page.h). In go plain texts and SVG, out comes
// HTML. Tested by tests/report/report_test.cc.
#include "framework/report/page.h"

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "framework/core/text.h"
#include "framework/io/files.h"
#include "framework/metrics/metrics.h"
#include "framework/report/raster.h"
#include "framework/report/svg.h"

namespace tape {
namespace {

// Forbids the page everything but the styles and the images that are in it.
constexpr char kPolicy[] =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'";

constexpr char kStyle[] = R"(
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
main{max-width:1100px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:28px;line-height:1.2;margin:0 0 8px;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:19px;line-height:1.3;margin:44px 0 14px}
h3{font-size:15px;line-height:1.3;margin:0 0 12px}
p{margin:0 0 8px;max-width:72ch}
header p{color:var(--muted)}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin:14px 0 0;font-size:14px}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:14px;margin:24px 0 0;padding:0}
.tile{background:var(--paper);border:1px solid var(--grid);border-radius:10px;padding:12px 16px;margin:0}
.tile dt{color:var(--muted);font-size:13px}
.tile dd{margin:0}
.tile .value{font-size:24px;line-height:1.35;font-weight:600;font-variant-numeric:tabular-nums;white-space:nowrap}
.tile .note{color:var(--muted);font-size:13px}
.grid2{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:18px}
.card:not(.stack){margin:0;min-width:0;background:var(--paper);border:1px solid var(--grid);border-radius:10px;padding:16px 18px}
.card.wide{grid-column:1/-1}
.picture-frame{margin:0 auto}
.picture-frame>svg{display:block;width:100%;height:auto}
.stack{display:grid;gap:18px;align-content:start;min-width:0}
.card figcaption{margin-top:12px;color:var(--muted);font-size:13px;line-height:1.45}
.note{color:var(--muted)}
.scroll{overflow-x:auto;overscroll-behavior-x:contain}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:5px 10px;text-align:left;vertical-align:top}
th:first-child,td:first-child{padding-left:0}
th:last-child,td:last-child{padding-right:0}
th{font-weight:600}
thead th,thead th.number{color:var(--muted);border-bottom:1px solid var(--axis);vertical-align:bottom;white-space:normal}
tbody tr+tr>*{border-top:1px solid var(--grid)}
tbody tr.apart>*{border-top:1px solid var(--axis)}
tbody th{font-weight:400;white-space:nowrap}
.number{text-align:right;white-space:nowrap}
.facts td{overflow-wrap:anywhere}
.facts th{color:var(--muted);white-space:nowrap}
footer{margin-top:44px;color:var(--muted);font-size:13px}
@media (max-width:820px){.grid2{grid-template-columns:minmax(0,1fr)}}
@media (max-width:480px){main{padding:20px 12px 40px}.card{padding:14px 12px}h1{font-size:23px}
th,td{padding:5px 6px}table{font-size:13px}
.tiles{grid-template-columns:1fr 1fr;gap:10px}.tile{padding:10px 12px}
.tile:last-child:nth-child(odd){grid-column:1/-1}.tile .value{font-size:20px}}
@media print{body{background:none}.card,.tile{break-inside:avoid}}
)";

// Twice as wide as charts are: sharp on dense screens and in print.
constexpr int kPngWidth = 900;

std::string Caption(absl::string_view text) {
  return text.empty()
             ? ""
             : absl::StrCat("<figcaption>", EscapeXml(text), "</figcaption>\n");
}

// A table in its card, from behind the card's classes on.
std::string TableHtml(const Table& table) {
  const bool facts = table.header.empty();
  std::string html =
      absl::StrCat("\" id=\"", EscapeXml(table.id), "\">\n<h3>",
                   EscapeXml(table.title), "</h3>\n<div class=\"scroll\">",
                   facts ? "<table class=\"facts\">\n" : "<table>\n");
  const auto class_of = [&](size_t column) {
    return static_cast<int>(column) < table.text_columns ? ""
                                                         : " class=\"number\"";
  };
  if (!facts) {
    html += "<thead><tr>";
    for (size_t i = 0; i < table.header.size(); ++i) {
      absl::StrAppend(&html, "<th scope=\"col\"", class_of(i), ">",
                      EscapeXml(table.header[i]), "</th>");
    }
    html += "</tr></thead>\n";
  }
  html += "<tbody>\n";
  for (const Table::Row& row : table.rows) {
    html += row.apart ? "<tr class=\"apart\">" : "<tr>";
    for (size_t i = 0; i < row.cells.size(); ++i) {
      const char* const element = i == 0 ? "th" : "td";
      absl::StrAppend(&html, "<", element, i == 0 ? " scope=\"row\"" : "",
                      class_of(i), ">", EscapeXml(row.cells[i]), "</", element,
                      ">");
    }
    html += "</tr>\n";
  }
  absl::StrAppend(&html, "</tbody></table></div>\n", Caption(table.caption),
                  "</figure>\n");
  return html;
}

}  // namespace

Page::Page(absl::string_view title, absl::string_view program)
    : title_(EscapeXml(title)),
      beginning_(Beginning(program)),
      head_("<h1>" + title_ + "</h1>\n") {}

void Page::AddText(absl::string_view text) {
  absl::StrAppend(&head_, "<p>", EscapeXml(text), "</p>\n");
}

void Page::AddTiles(absl::Span<const KeyFigure> tiles) {
  body_ += "<dl class=\"tiles\">\n";
  for (const KeyFigure& tile : tiles) {
    absl::StrAppend(&body_, "<div class=\"tile\"><dt>", EscapeXml(tile.name),
                    "</dt><dd class=\"value\">", EscapeXml(tile.value),
                    "</dd>");
    if (!tile.note.empty()) {
      absl::StrAppend(&body_, "<dd class=\"note\">", EscapeXml(tile.note),
                      "</dd>");
    }
    body_ += "</div>\n";
  }
  body_ += "</dl>\n";
}

void Page::BeginSection(absl::string_view id, absl::string_view title) {
  EndSection();
  section_head_ = absl::StrCat("<section id=\"", EscapeXml(id), "\">\n<h2>",
                               EscapeXml(title), "</h2>\n");
  section_link_ = absl::StrCat("<a href=\"#", EscapeXml(id), "\">",
                               EscapeXml(title), "</a>\n");
}

void Page::EndSection() {
  body_ += SectionHtml();
  if (!cards_.empty()) contents_ += section_link_;
  section_head_ = kUntitledSection;
  section_link_.clear();
  cards_.clear();
}

std::string Page::SectionHtml() const {
  if (cards_.empty()) return "";
  std::string html = absl::StrCat(section_head_, "<div class=\"grid2\">\n");
  for (const Card& card : cards_) {
    absl::StrAppend(&html, card.before, card.wide ? "card wide" : "card",
                    card.after);
  }
  html += "</div>\n</section>\n";
  return html;
}

void Page::AddFigure(const Figure& figure, bool wide) {
  figures_.push_back(figure);
  // All in one scale, so that their texts are of one size; but a small window
  // shrinks what is not wide.
  constexpr double kPixelsOfUnit = 7.0 / 6;
  const std::string frame = absl::StrCat(
      "<div class=\"picture-frame\" style=\"",
      wide ? "width:" : "max-width:", Coordinate(kPixelsOfUnit * figure.width),
      "px\">", figure.svg, "</div>");
  cards_.push_back(
      {.before = "<figure class=\"",
       .after = absl::StrCat(
           "\" id=\"", EscapeXml(figure.id), "\">\n<h3>",
           EscapeXml(figure.title), "</h3>\n",
           wide ? absl::StrCat("<div class=\"scroll\">", frame, "</div>")
                : frame,
           "\n", Caption(figure.caption), "</figure>\n"),
       .wide = wide});
}

void Page::AddEpochChart(LineChart chart, absl::string_view whose) {
  chart.x_label = "epoch";
  if (const std::optional<Figure> figure = MakeLineChart(chart)) {
    Add(*figure);
  } else {
    AddNote(absl::StrCat(chart.title, ": nothing to draw, since no ", whose,
                         "'s figure is finite."));
  }
}

void Page::Add(const Figure& figure) { AddFigure(figure, /*wide=*/false); }
void Page::AddWide(const Figure& figure) { AddFigure(figure, /*wide=*/true); }

void Page::Add(const Table& table) {
  cards_.push_back({.before = "<figure class=\"", .after = TableHtml(table)});
}

void Page::AddWide(const Table& table) {
  cards_.push_back(
      {.before = "<figure class=\"", .after = TableHtml(table), .wide = true});
}

void Page::AddStack(absl::Span<const Table> tables) {
  std::string html = " stack\">\n";
  for (const Table& table : tables) {
    absl::StrAppend(&html, "<figure class=\"card", TableHtml(table));
  }
  // The place is no card itself.
  cards_.push_back({.before = "<div class=\"", .after = html + "</div>\n"});
}

void Page::AddNote(absl::string_view text) {
  cards_.push_back({.before = "<p class=\"note ",
                    .after = absl::StrCat("\">", EscapeXml(text), "</p>\n")});
}

std::string Page::Beginning(absl::string_view program) {
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"generator\" content=\"",
      EscapeXml(program), "\"/>\n");
}

std::string Page::ToString() const {
  return absl::StrCat(
      beginning_, "<meta http-equiv=\"Content-Security-Policy\" content=\"",
      kPolicy,
      "\"/>\n<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\"/>\n<meta name=\"color-scheme\" content=\"light "
      "dark\"/>\n<link rel=\"icon\" href=\"data:,\"/>\n<title>",
      title_, "</title>\n<style>\n:root{--page:#f5f6f8;", LightColors(),
      "}\n@media (prefers-color-scheme:dark){:root{--page:#0e1114;",
      DarkColors(), "}}\n", PictureRules(), kStyle,
      "</style>\n</head>\n<body>\n<main>\n<header>\n", head_,
      contents_.empty() ? "" : absl::StrCat("<nav>\n", contents_, "</nav>\n"),
      "</header>\n", body_, SectionHtml(), "</main>\n</body>\n</html>\n");
}

std::string LossCell(double loss) {
  return std::isfinite(loss) ? LossText(loss) : "not finite";
}

absl::Status WritePictures(absl::Span<const Figure> figures,
                           const std::string& path) {
  std::error_code error;
  if (!std::filesystem::create_directory(path, error) && error) {
    return SystemError(error.value(), path, "cannot create the folder");
  }
  absl::Status no_memory;
  for (const Figure& figure : figures) {
    const std::string file = PathIn(path, figure.id);
    const std::string svg = StandAloneSvg(figure);
    absl::Status status = ReplaceFile(file + ".svg", svg);
    if (!status.ok()) return status;
    const absl::StatusOr<std::string> png = RasterizeSvg(svg, kPngWidth);
    if (absl::IsResourceExhausted(png.status())) {
      no_memory.Update(
          absl::Status(png.status().code(),
                       absl::StrCat(Printable(path),
                                    ": the pictures are there as SVG, not "
                                    "as PNG: ",
                                    png.status().message())));
      continue;
    }
    if (!png.ok()) return png.status();
    status = ReplaceFile(file + ".png", *png);
    if (!status.ok()) return status;
  }
  return no_memory;
}

}  // namespace tape
