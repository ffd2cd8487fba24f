// The browser that tests look at pages with (browser_testing.h): that it sees
// each fault that it is there to see, and none in a page that has none.
#include "tests/report/browser_testing.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kHead[] =
    "<!DOCTYPE html><html><head><meta charset='utf-8'>"
    "<meta name='viewport' content='width=device-width, initial-scale=1'>"
    "<meta name='color-scheme' content='light dark'>"
    "<link rel='icon' href='data:,'>";

// A grey pixel.
constexpr char kImage[] =
    "data:image/"
    "png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQV"
    "R4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==";

class BrowserTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto browser = Browser::Start();
    ASSERT_TRUE(browser.ok()) << browser.status();
    browser_ = browser->release();
  }
  static void TearDownTestSuite() {
    delete browser_;
    browser_ = nullptr;
  }
  void SetUp() override { ASSERT_NE(browser_, nullptr); }

  static std::string File(const std::string& body,
                          const std::string& head = kHead) {
    return WriteText(testing::TempDir() + "/page.html",
                     absl::StrCat(head, "</head><body>", body, "</body>"));
  }
  static PageLook Look(const std::string& path, const Window& window = {}) {
    const absl::Status status = browser_->Open(path, window);
    EXPECT_TRUE(status.ok()) << status;
    if (!status.ok()) return {};
    const absl::StatusOr<PageLook> look = Measure(*browser_);
    EXPECT_TRUE(look.ok()) << look.status();
    return look.ok() ? *look : PageLook{};
  }

  static Browser* browser_;
};
Browser* BrowserTest::browser_ = nullptr;

TEST_F(BrowserTest, FindsNothingWrongWithAGoodPage) {
  for (const int width : {1280, 390}) {
    for (const bool dark : {false, true}) {
      const PageLook look =
          Look(File(absl::StrCat(
                   "<p>Text</p><figure><svg width='200' height='150'>"
                   "<rect width='200' height='50' fill='#123'/>"
                   "<text y='20' fill='#fff'>light on dark</text>"
                   "<text y='70' fill='CanvasText'>on the page</text>"
                   "<text x='20' y='140' transform='rotate(-45 20 140)' "
                   "fill='CanvasText'>turned</text>"
                   "<text x='50' y='140' transform='rotate(-45 50 140)' "
                   "fill='CanvasText'>turned</text>"
                   "<image width='9' height='9' href='",
                   kImage, "'/></svg></figure><img src='", kImage,
                   "'><table><tr><td>cell</table>")),
               {.width = width, .dark = dark});
      EXPECT_THAT(browser_->console(), IsEmpty());
      EXPECT_THAT(browser_->requests(), IsEmpty());
      EXPECT_EQ(look.content_width, width);
      EXPECT_EQ(look.texts, 6);
      EXPECT_EQ(look.images, 2);
      EXPECT_EQ(look.smallest_text, 16);
      EXPECT_THAT(look.faint, IsEmpty());
      EXPECT_THAT(look.misplaced, IsEmpty());
      EXPECT_THAT(look.empty, IsEmpty());
      EXPECT_THAT(look.broken, IsEmpty());
    }
  }
}

TEST_F(BrowserTest, HearsWhatIsWrittenToTheConsole) {
  Look(
      File("<script>console.error('boo', 3); console.warn('beware');"
           "nothing.there();</script>"));
  EXPECT_THAT(browser_->console(),
              AllOf(Contains("error: boo 3"), Contains("warning: beware"),
                    Contains(HasSubstr("nothing is not defined"))));
  Look(File("<p>quiet</p>"));
  EXPECT_THAT(browser_->console(), IsEmpty());
}

TEST_F(BrowserTest, SeesRequestsWhetherOrNotTheyAreAllowed) {
  const std::string body = "<img src='http://example.invalid/a.png'>";
  Look(File(body));
  EXPECT_THAT(browser_->requests(), Contains("http://example.invalid/a.png"));
  Look(File(body, absl::StrCat(kHead,
                               "<meta http-equiv='Content-Security-Policy' "
                               "content=\"default-src 'none'\">")));
  EXPECT_THAT(browser_->console(),
              Contains(HasSubstr("Content Security Policy")));
  Look(File("<link rel='stylesheet' href='other.css'>"));
  EXPECT_THAT(browser_->requests(), ElementsAre(HasSubstr("/other.css")));
}

// By the browser's own account, when it ends.
TEST(BrowserTrafficTest, KnowsTheHostsThatWereAskedFor) {
  auto browser = Browser::Start();
  ASSERT_TRUE(browser.ok()) << browser.status();
  const std::string page =
      WriteText(testing::TempDir() + "/traffic.html",
                absl::StrCat(kHead,
                             "</head><img src='http://a.invalid:81/a.png'>"
                             "<img src='https://b.invalid/b.png'>"));
  ASSERT_TRUE((*browser)->Open(page, {}).ok());
  auto hosts = (*browser)->Close();
  ASSERT_TRUE(hosts.ok()) << hosts.status();
  EXPECT_THAT(*hosts, ElementsAre("a.invalid", "b.invalid"));

  browser = Browser::Start();
  ASSERT_TRUE(browser.ok()) << browser.status();
  ASSERT_TRUE(
      (*browser)
          ->Open(WriteText(page, absl::StrCat(kHead, "</head><p>none")), {})
          .ok());
  hosts = (*browser)->Close();
  ASSERT_TRUE(hosts.ok()) << hosts.status();
  EXPECT_THAT(*hosts, IsEmpty());
}

TEST_F(BrowserTest, MeasuresWhatScrollsSideways) {
  const std::string path = File("<div style='width:500px'>wide</div>");
  EXPECT_EQ(Look(path, {.width = 1280}).content_width, 1280);
  EXPECT_GT(Look(path, {.width = 390}).content_width, 500);
  // A page that says nothing of phones is laid out as for a wide window.
  EXPECT_GT(
      Look(File("<p>narrow</p>", "<html><head>"), {.width = 390}).content_width,
      900);
  // What scrolls within a box does not count.
  EXPECT_EQ(Look(File("<div style='overflow-x:auto'>"
                      "<div style='width:500px'>wide</div></div>"),
                 {.width = 390})
                .content_width,
            390);
}

TEST_F(BrowserTest, FindsTextThatIsFaint) {
  const auto faint = [](const std::string& body) {
    return Look(File(body)).faint;
  };
  // #777 on white has 4.48 to 1, #767676 has 4.54 (WCAG's own examples).
  EXPECT_THAT(faint("<p id='a' style='color:#777'>grey</p>"),
              ElementsAre("#a <p> \"grey\": 4.48, rgb(119,119,119) on "
                          "rgb(255,255,255)"));
  EXPECT_THAT(faint("<p style='color:#767676'>grey</p>"), IsEmpty());
  EXPECT_THAT(faint("<p style='opacity:.5'>half</p>"),
              ElementsAre(HasSubstr("half")));
  EXPECT_THAT(faint("<div style='background:#000;color:#fff'>"
                    "<p style='background:rgba(255,255,255,.6)'>mixed</p>"
                    "</div>"),
              ElementsAre(HasSubstr("rgb(255,255,255) on rgb(153,153,153)")));
  const auto svg = [](const std::string& rect, const std::string& text) {
    return absl::StrCat(
        "<svg id='s' width='100' height='30'><rect width='100' "
        "height='30' ",
        rect, "/><text y='20' ", text, ">svg</text></svg>");
  };
  EXPECT_THAT(faint(svg("fill='#000'", "")), ElementsAre(HasSubstr("#s")));
  EXPECT_THAT(faint(svg("fill='#000' fill-opacity='.2'", "")), IsEmpty());
  EXPECT_THAT(faint(svg("fill='none'", "fill-opacity='.4'")),
              ElementsAre(HasSubstr("#s")));
}

TEST_F(BrowserTest, ShowsThePageAsTheReaderPrefers) {
  const std::string path = File(
      "<style>@media (prefers-color-scheme:dark){p{color:#333}}</style>"
      "<p>dark on dark</p>");
  EXPECT_THAT(Look(path, {.dark = false}).faint, IsEmpty());
  EXPECT_THAT(Look(path, {.dark = true}).faint,
              ElementsAre(HasSubstr("dark on dark")));
}

TEST_F(BrowserTest, FindsTextOfPicturesThatIsOutOfPlace) {
  const auto misplaced = [](const std::string& texts) {
    return Look(File(absl::StrCat("<svg id='s' width='100' height='100'>",
                                  texts, "</svg>")))
        .misplaced;
  };
  EXPECT_THAT(misplaced("<text x='80' y='50'>too long</text>"),
              ElementsAre("#s <text> \"too long\" leaves its picture"));
  EXPECT_THAT(misplaced("<text x='9' y='50'>one</text>"
                        "<text x='20' y='55'>two</text>"),
              ElementsAre("#s <text> \"one\" lies over \"two\""));
  EXPECT_THAT(misplaced("<text x='9' y='50'>one</text>"
                        "<text x='9' y='68'>two</text>"),
              IsEmpty());
}

TEST_F(BrowserTest, FindsWhatHasNoSizeAndImagesThatDoNotDecode) {
  const PageLook look =
      Look(File("<figure id='f' style='height:0'></figure>"
                "<svg id='s' width='0' height='9'></svg>"
                "<img id='i' src='data:image/png;base64,AAAA' width='9'>"));
  EXPECT_THAT(look.empty, ElementsAre(HasSubstr("#f"), HasSubstr("#s")));
  EXPECT_THAT(look.broken, ElementsAre("#i <img>"));
  EXPECT_EQ(look.images, 0);
}

TEST_F(BrowserTest, MeasuresTheSmallestTextAsItIsSeen) {
  EXPECT_NEAR(Look(File("<p>16 px</p><svg width='50' viewBox='0 0 100 50'>"
                        "<text y='20' font-size='12'>6 px</text></svg>"))
                  .smallest_text,
              6, 1e-3);
}

TEST(BrowserPatienceTest, EndsWithOneClearErrorIfAPageIsNeverLoaded) {
  auto browser = Browser::Start(absl::Seconds(8));
  ASSERT_TRUE(browser.ok()) << browser.status();
  const absl::Status status =
      (*browser)->Open(WriteText(testing::TempDir() + "/never.html",
                                 "<script>for (;;);</script>"),
                       {});
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("Chromium: expected "),
                    HasSubstr(" within 8s, found nothing")));
}

TEST_F(BrowserTest, SaysWhatIsWrongWithATestsOwnScript) {
  ASSERT_TRUE(browser_->Open(File("<p>page</p>"), {}).ok());
  EXPECT_EQ(*browser_->Evaluate("1 + 1"), 2);
  EXPECT_THAT(std::string(browser_->Evaluate("none()").status().message()),
              HasSubstr("none is not defined"));
  EXPECT_FALSE(browser_->Open("/no/such/file.html", {}).ok());
}

}  // namespace
}  // namespace tape
