// SVG pictures (svg.h). In go shapes and texts, out comes XML. Tested by
// tests/report/plot_test.cc.
#include "framework/report/svg.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace tape {
namespace {

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD.

// The length of the UTF-8 sequence that `text` begins with, 0 if it is none or
// stands for no character of XML 1.0.
size_t CharacterLength(absl::string_view text) {
  const auto byte = [text](size_t i) -> uint32_t {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : 0;
  };
  const uint32_t first = byte(0);
  if (first < 0x80) {
    return first >= 0x20 || first == '\t' || first == '\n' || first == '\r';
  }
  const size_t length = first >= 0xF0   ? 4
                        : first >= 0xE0 ? 3
                        : first >= 0xC0 ? 2
                                        : 0;
  if (length == 0 || first >= 0xF8) return 0;
  uint32_t code = first & (0xFF >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3F);
  }
  constexpr uint32_t kFirstOfLength[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_character =
      code >= kFirstOfLength[length] && !(code >= 0xD800 && code <= 0xDFFF) &&
      code != 0xFFFE && code != 0xFFFF && code <= 0x10FFFF;
  return is_character ? length : 0;
}

// ---- Colours ----

struct Color {
  const char* name;
  const char* light;
  const char* dark;
};

// The series' are Tableau's ten, darker on white and lighter on black: each
// keeps a contrast of about 3 to the page. The ink's contrast to cells is at
// least 4.5, however strong they are.
constexpr Color kColors[] = {
    {"ink", "#1f2328", "#e6e9ed"},        {"muted", "#5d6671", "#9ba5b0"},
    {"paper", "#ffffff", "#171b20"},      {"grid", "#e6e9ed", "#2a3038"},
    {"axis", "#aeb6bf", "#5b6570"},       {"link", "#2f6fb3", "#6fb0f5"},
    {"cell-right", "#5f9ed8", "#2a64a0"}, {"cell-wrong", "#e8934a", "#965012"},
    {"c0", "#2f6fb3", "#6fb0f5"},         {"c1", "#d9701a", "#f5a35c"},
    {"c2", "#2e8b45", "#6ccf85"},         {"c3", "#c93a40", "#ff8080"},
    {"c4", "#7d58ad", "#bd9ff0"},         {"c5", "#865543", "#c9a08f"},
    {"c6", "#cf5aa0", "#f7a1d2"},         {"c7", "#6f757c", "#b4bbc3"},
    {"c8", "#8d8a10", "#d2cd55"},         {"c9", "#12909f", "#5fd3e3"},
};

constexpr char kRules[] =
    ".picture text{fill:var(--ink);stroke:none;font-size:12px;font-family:"
    "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
    ".picture .muted{fill:var(--muted)}"
    ".picture .small{font-size:10.5px}"
    ".picture .tiny{font-size:8px}"
    ".picture .bold{font-weight:600}"
    ".picture .title{font-size:15px;font-weight:600}"
    ".picture .paper{fill:var(--paper)}"
    ".picture .grid{stroke:var(--grid);stroke-width:1}"
    ".picture .axis{stroke:var(--axis);stroke-width:1}"
    ".picture .curve{fill:none;stroke-width:2;stroke-linejoin:round;"
    "stroke-linecap:round}"
    ".picture .edge{fill:none;stroke:var(--muted);stroke-width:1.2}"
    ".picture .dashed{stroke-dasharray:5 5}"
    ".picture .dotted{stroke-dasharray:.5 4.5}"
    ".picture .cloud{fill:none;stroke-width:3.6;stroke-linecap:round;"
    "stroke-opacity:.7}"
    ".picture .ghost{fill-opacity:0}"
    ".picture .right{fill:var(--cell-right)}"
    ".picture .wrong{fill:var(--cell-wrong)}"
    ".picture image{image-rendering:pixelated}";

constexpr double kTitleHeight = 40, kMargin = 16;

}  // namespace

std::string EscapeXml(absl::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    switch (text[0]) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        absl::StrAppend(&escaped,
                        length == 0 ? kReplacement : text.substr(0, length));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return escaped;
}

std::string Coordinate(double value) {
  if (!std::isfinite(value)) return "0";
  std::string text = absl::StrFormat("%.2f", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

double TextWidth(absl::string_view text, double size) {
  size_t characters = 0;
  for (char byte : text) {
    characters += (static_cast<uint8_t>(byte) & 0xC0) != 0x80;
  }
  return 0.6 * size * static_cast<double>(characters);
}

std::string FillClass(int color) {
  return absl::StrCat("fill", color % kSeriesColors);
}

std::string StrokeClass(int color) {
  return absl::StrCat("stroke", color % kSeriesColors);
}

Svg::Svg(double width, double height, absl::string_view label)
    : head_(absl::StrCat("<svg xmlns=\"http://www.w3.org/2000/svg\" "
                         "class=\"picture\" viewBox=\"0 0 ",
                         Coordinate(width), " ", Coordinate(height),
                         "\" role=\"img\" aria-label=\"", EscapeXml(label),
                         "\">")) {}

void Svg::Finish(absl::string_view name, const Look& look,
                 absl::string_view content) {
  if (!look.classes.empty()) {
    absl::StrAppend(&body_, " class=\"", EscapeXml(look.classes), "\"");
  }
  if (look.opacity != 1) {
    absl::StrAppend(&body_, " fill-opacity=\"", Coordinate(look.opacity), "\"");
  }
  if (look.title.empty() && content.empty()) {
    body_ += "/>";
    return;
  }
  body_ += ">";
  if (!look.title.empty()) {
    absl::StrAppend(&body_, "<title>", EscapeXml(look.title), "</title>");
  }
  absl::StrAppend(&body_, EscapeXml(content), "</", name, ">");
}

void Svg::Line(double x1, double y1, double x2, double y2, const Look& look) {
  absl::StrAppend(&body_, "<line x1=\"", Coordinate(x1), "\" y1=\"",
                  Coordinate(y1), "\" x2=\"", Coordinate(x2), "\" y2=\"",
                  Coordinate(y2), "\"");
  Finish("line", look);
}

void Svg::Rect(double x, double y, double width, double height,
               const Look& look) {
  absl::StrAppend(&body_, "<rect x=\"", Coordinate(x), "\" y=\"", Coordinate(y),
                  "\" width=\"", Coordinate(width), "\" height=\"",
                  Coordinate(height), "\"");
  Finish("rect", look);
}

void Svg::Circle(double x, double y, double radius, const Look& look) {
  absl::StrAppend(&body_, "<circle cx=\"", Coordinate(x), "\" cy=\"",
                  Coordinate(y), "\" r=\"", Coordinate(radius), "\"");
  Finish("circle", look);
}

void Svg::Path(absl::string_view d, const Look& look) {
  absl::StrAppend(&body_, "<path d=\"", d, "\"");
  Finish("path", look);
}

void Svg::Text(double x, double y, absl::string_view text, Anchor anchor,
               const Look& look, double turn) {
  absl::StrAppend(&body_, "<text x=\"", Coordinate(x), "\" y=\"", Coordinate(y),
                  "\"");
  if (anchor != Anchor::kStart) {
    absl::StrAppend(&body_, " text-anchor=\"",
                    anchor == Anchor::kEnd ? "end" : "middle", "\"");
  }
  if (turn != 0) {
    absl::StrAppend(&body_, " transform=\"rotate(", Coordinate(turn), " ",
                    Coordinate(x), " ", Coordinate(y), ")\"");
  }
  Finish("text", look, text);
}

void Svg::Image(double x, double y, double width, double height,
                absl::string_view png, const Look& look, bool stretched) {
  absl::StrAppend(
      &body_, "<image x=\"", Coordinate(x), "\" y=\"", Coordinate(y),
      "\" width=\"", Coordinate(width), "\" height=\"", Coordinate(height),
      stretched ? "\" preserveAspectRatio=\"none" : "",
      "\" href=\"data:image/png;base64,", absl::Base64Escape(png), "\"");
  Finish("image", look);
}

std::string Svg::ToString() const {
  return absl::StrCat(head_, body_, "</svg>");
}

std::string PictureRules() {
  std::string rules = kRules;
  for (int color = 0; color < kSeriesColors; ++color) {
    absl::StrAppend(&rules, ".picture .fill", color, "{fill:var(--c", color,
                    ")}.picture .stroke", color, "{stroke:var(--c", color,
                    ")}");
  }
  return rules;
}

std::string LightColors() {
  std::string text;
  for (const Color& color : kColors) {
    absl::StrAppend(&text, "--", color.name, ":", color.light, ";");
  }
  return text;
}

std::string DarkColors() {
  std::string text;
  for (const Color& color : kColors) {
    absl::StrAppend(&text, "--", color.name, ":", color.dark, ";");
  }
  return text;
}

std::string StandAloneSvg(absl::string_view svg, double width, double height,
                          absl::string_view title) {
  // Not every program that draws SVG knows variables: the colours themselves
  // stand in the rules.
  std::vector<std::pair<std::string, std::string>> light, dark;
  for (const Color& color : kColors) {
    const std::string variable = absl::StrCat("var(--", color.name, ")");
    light.emplace_back(variable, color.light);
    dark.emplace_back(variable, color.dark);
  }
  const std::string rules = PictureRules();
  const double all_width = width + 2 * kMargin;
  const double all_height = height + kTitleHeight + kMargin;
  Svg frame(all_width, all_height, title);
  frame.Rect(0, 0, all_width, all_height, {.classes = "paper"});
  frame.Text(kMargin, 27, title, Svg::Anchor::kStart, {.classes = "title"});
  std::string text = frame.ToString();
  const std::string size =
      absl::StrCat("<svg width=\"", Coordinate(all_width), "\" height=\"",
                   Coordinate(all_height), "\"");
  const std::string place =
      absl::StrCat("<svg x=\"", Coordinate(kMargin), "\" y=\"",
                   Coordinate(kTitleHeight), "\" width=\"", Coordinate(width),
                   "\" height=\"", Coordinate(height), "\"");
  const size_t head_end = text.find('>') + 1;
  text.insert(head_end,
              absl::StrCat("<style>", absl::StrReplaceAll(rules, light),
                           "@media (prefers-color-scheme:dark){",
                           absl::StrReplaceAll(rules, dark), "}</style>"));
  if (absl::ConsumePrefix(&svg, "<svg")) {
    text.insert(text.rfind("</svg>"), absl::StrCat(place, svg));
  }
  return absl::StrCat("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", size,
                      text.substr(4), "\n");
}

}  // namespace tape
