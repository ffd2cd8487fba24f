// Text of other people: UTF-8 or not, and what of it a terminal would obey.
#include "framework/core/text.h"

#include <string>

#include "gtest/gtest.h"

namespace tape {
namespace {

TEST(TextTest, KnowsUtf8) {
  // One character of each length, and the first and last of each.
  for (const char* text : {"", "a", "\x7f", "\u0080", "\u07ff", "\u0800",
                           "\uffff", "\U00010000", "\U0010ffff", "weiß"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
  // Cut, without a beginning, too long, surrogates, beyond the last.
  for (const char* text :
       {"\xff", "a\xc3", "\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xc3(", "\xe2\x82z"}) {
    EXPECT_FALSE(IsUtf8(text)) << text;
  }
}

TEST(TextTest, PrintsOneLineThatNoTerminalObeys) {
  EXPECT_EQ(Printable("plain, ß, 图, \\, \""), "plain, ß, 图, \\, \"");
  EXPECT_EQ(Printable("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(Printable("\033]0;title\007"), "\\x1b]0;title\\x07");
  EXPECT_EQ(Printable(std::string("\0\x7f", 2)), "\\x00\\x7f");
  EXPECT_EQ(Printable("\u009b2J"), "\\xc2\\x9b2J");  // C1's escape.
  EXPECT_EQ(Printable("\u202egnp"), "\\xe2\\x80\\xaegnp");
  EXPECT_EQ(Printable("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(Printable(Printable("a\nb")), Printable("a\nb"));
}

}  // namespace
}  // namespace tape
