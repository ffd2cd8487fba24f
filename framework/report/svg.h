// One SVG picture, drawn element by element: the layer under the charts of
// plot.h. It knows of lines, boxes and text, not of data. How things look is
// said by CSS classes, whose rules and colours, light and dark, are here too.
// Tested by tests/report/plot_test.cc.
#ifndef TAPE_FRAMEWORK_REPORT_SVG_H_
#define TAPE_FRAMEWORK_REPORT_SVG_H_

#include <string>

#include "absl/strings/string_view.h"

namespace tape {

// `text` for the content or a quoted attribute of XML and HTML. What XML 1.0
// has no character for, wrong UTF-8 included, becomes U+FFFD.
std::string EscapeXml(absl::string_view text);

// A number of user units with two digits after the point at most. "0" for a
// number that is not finite.
std::string Coordinate(double value);

// About how wide `text` is in a font of `size` user units: enough for the wide
// letters of DejaVu Sans.
double TextWidth(absl::string_view text, double size);

// How many colours there are for series, told apart by colour-blind eyes as far
// as so many can be. Classes "fill0" and "stroke0" … take them.
inline constexpr int kSeriesColors = 10;
// "fill3": of colour 3, or 13, and so on.
std::string FillClass(int color);
std::string StrokeClass(int color);

class Svg {
 public:
  // So many user units wide and high, x to the right and y down. `label` is
  // what the picture is called for those who do not see it.
  Svg(double width, double height, absl::string_view label);

  // What any element may have besides its geometry.
  struct Look {
    std::string classes = {};
    double opacity = 1;      // Of the filling.
    std::string title = {};  // Shown when pointed at.
  };
  enum class Anchor { kStart, kMiddle, kEnd };

  void Line(double x1, double y1, double x2, double y2, const Look& look);
  void Rect(double x, double y, double width, double height, const Look& look);
  void Circle(double x, double y, double radius, const Look& look);
  // `d` is in the language of SVG's paths.
  void Path(absl::string_view d, const Look& look);
  // On the base line `y`. `turn` is in degrees, clockwise about (x, y).
  void Text(double x, double y, absl::string_view text, Anchor anchor,
            const Look& look, double turn = 0);
  // The bytes of a PNG file, whose pixels stay sharp. It keeps its shape, in the
  // middle of the box, unless it is `stretched` over all of it.
  void Image(double x, double y, double width, double height,
             absl::string_view png, const Look& look, bool stretched = false);

  // The <svg> element. It needs the rules of PictureRules.
  std::string ToString() const;

 private:
  // Ends an element that was begun as "<name attributes".
  void Finish(absl::string_view name, const Look& look,
              absl::string_view content = "");

  std::string head_, body_;
};

// CSS: the rules of the classes, whose colours are variables ("--ink").
std::string PictureRules();
// CSS: the variables' values on a light and on a dark page,
// "--ink:#1f2328;--paper:…".
std::string LightColors();
std::string DarkColors();

// `svg`, an <svg> element of so many units, as a file of its own: with `title`
// above it, a background, and the colours in it. What it is shown by chooses
// dark ones if it can; else they are light. Without a picture if `svg` is no
// <svg> element.
std::string StandAloneSvg(absl::string_view svg, double width, double height,
                          absl::string_view title);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_REPORT_SVG_H_
