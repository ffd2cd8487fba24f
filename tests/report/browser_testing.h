// Pages in a real browser: headless Chromium, driven over a pipe by its
// DevTools protocol (https://chromedevtools.github.io/devtools-protocol), which
// measures a page as it stands, without a script of ours in it and under its
// own content security policy. Tested by tests/report/browser_testing_test.cc.
#ifndef TAPE_TESTS_REPORT_BROWSER_TESTING_H_
#define TAPE_TESTS_REPORT_BROWSER_TESTING_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"

namespace tape {

// What a page is shown in.
struct Window {
  int width = 1280;  // CSS px; below 500 it is a phone's.
  bool dark = false;
};

class Browser {
 public:
  // With an empty profile, in a folder of its own. Every wait for it ends in an
  // error after `patience`; there are no second tries. Errors: it is not
  // installed; it does not start.
  static absl::StatusOr<std::unique_ptr<Browser>> Start(
      absl::Duration patience = absl::Seconds(60));
  ~Browser();
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  // Shows the file in a new window, as high as the page, in place of what was
  // shown; returns when all is loaded and painted.
  absl::Status Open(const std::string& path, const Window& window);

  // What the page, since it was opened, has had written to its console by
  // itself or the browser, whatever the level: "error: …".
  const std::vector<std::string>& console() const { return console_; }
  // What it asked for, allowed or not, beside itself and what is within it
  // (data: URLs).
  const std::vector<std::string>& requests() const { return requests_; }

  // The value of an expression of JavaScript in the page; a promise's too.
  absl::StatusOr<nlohmann::json> Evaluate(const std::string& expression);

  // The page as it is seen, to a PNG file.
  absl::Status Screenshot(const std::string& path);

  // Ends the browser and returns the hosts that it tried to reach for pages, by
  // its own account of all its traffic. (Chromium's own errands go to Google.)
  absl::StatusOr<std::vector<std::string>> Close();

 private:
  Browser(std::string folder, absl::Duration patience)
      : folder_(std::move(folder)), patience_(patience) {}

  absl::Status Launch();
  // Sends a command and waits for its result. Of the page shown, if `to_page`.
  absl::StatusOr<nlohmann::json> Call(const std::string& method,
                                      nlohmann::json parameters,
                                      bool to_page = true);
  // Reads one message; keeps what it says of the page.
  absl::StatusOr<nlohmann::json> Read(absl::Time deadline,
                                      const std::string& awaited);
  void Note(const nlohmann::json& event);
  absl::Status Error(const std::string& what) const;
  void Kill();

  std::string folder_;  // Profile, logs.
  absl::Duration patience_;
  pid_t process_ = -1;
  int to_ = -1, from_ = -1;  // Ends of pipes.
  std::string received_;
  int calls_ = 0;
  std::string session_, target_, url_;
  bool is_loaded_ = false;
  std::vector<std::string> console_, requests_;
};

// What can be measured of any page.
struct PageLook {
  int content_width = 0;     // If wider than the window, it scrolls sideways.
  int texts = 0;             // Pieces of text seen.
  int images = 0;            // <img> and <image>, all decoded.
  double smallest_text = 0;  // Its font size as it is seen, in px.
  // Each a line that says where it is and what was found:
  // text with less than 4.5 to 1 of contrast to what is behind it,
  std::vector<std::string> faint;
  // SVG's text that leaves its picture, or lies over another,
  std::vector<std::string> misplaced;
  // figures, pictures, tables and images without a size,
  std::vector<std::string> empty;
  // images that do not decode.
  std::vector<std::string> broken;
};
absl::StatusOr<PageLook> Measure(Browser& browser);

}  // namespace tape

#endif  // TAPE_TESTS_REPORT_BROWSER_TESTING_H_
