// Tables of text (framework/data/tabular.h).
#include "framework/data/tabular.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

class TabularTest : public testing::Test {
 protected:
  absl::StatusOr<Tabular> Read(const std::string& text,
                               const TabularOptions& options = {}) {
    path_ = absl::StrCat(testing::TempDir(), "/table.csv");
    WriteText(path_, text);
    return ReadTabular(path_, options);
  }
  std::string Error(const std::string& text) {
    const absl::Status status = Read(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    const std::string message(status.message());
    EXPECT_EQ(message.substr(0, path_.size()), path_);
    return message.substr(path_.size());
  }

  std::string path_;
};

using Numbers = std::vector<double>;
using Places = std::vector<int32_t>;
using Texts = std::vector<std::string>;

TEST_F(TabularTest, HasColumnsOfNumbersAndOfCategories) {
  const auto table = Read(
      "name,height,colour\n"
      "Ann,1.5,red\n"
      "Bob, 2e0 ,\"light blue\"\n"
      "Cid,-3,red\n");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->rows, 3);
  ASSERT_EQ(table->columns.size(), 3u);
  EXPECT_EQ(table->Find("height")->numbers, Numbers({1.5f, 2, -3}));
  EXPECT_EQ(table->Find("colour")->categories, Places({0, 1, 0}));
  EXPECT_EQ(table->Find("colour")->values, Texts({"red", "light blue"}));
  EXPECT_EQ(table->Find("weight"), nullptr);
}

TEST_F(TabularTest, QuotesKeepSeparatorsQuotesAndLineBreaks) {
  const auto table = Read(
      "text,n\r\n"
      "\"a, \"\"b\"\"\r\nc\",1\r\n"
      "\"\",2\r\n"
      "\" d \",3");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->columns[0].values, Texts({"a, \"b\"\r\nc", " d "}));
  EXPECT_EQ(table->columns[0].categories, Places({0, -1, 1}));
  EXPECT_EQ(table->columns[1].numbers, Numbers({1, 2, 3}));
}

TEST_F(TabularTest, MissingCellsAreKnown) {
  const auto table = Read("a,b,c\n1,x,\nNA,,\n?,NaN,null\n");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->columns[0].numbers[0], 1);
  EXPECT_TRUE(std::isnan(table->columns[0].numbers[1]));
  EXPECT_TRUE(std::isnan(table->columns[0].numbers[2]));
  EXPECT_EQ(table->columns[1].categories, Places({0, -1, -1}));
  // Nothing but missing cells.
  EXPECT_TRUE(table->columns[2].has_numbers());

  const auto other = Read("a\n-\n1\n", {.missing = {"-"}});
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_TRUE(std::isnan(other->columns[0].numbers[0]));
}

TEST_F(TabularTest, WhatIsNoFiniteNumberIsACategory) {
  for (const char* cell :
       {"inf", "-infinity", "1e99", "0x10", "1,5", "12:30"}) {
    const auto table = Read(absl::StrCat("a\n1\n\"", cell, "\"\n"));
    ASSERT_TRUE(table.ok()) << table.status();
    EXPECT_EQ(table->columns[0].values, Texts({"1", cell}));
  }
  const auto postcodes = Read("a\n01\n1\n", {.categories = {"a", "b"}});
  ASSERT_TRUE(postcodes.ok()) << postcodes.status();
  EXPECT_EQ(postcodes->columns[0].values, Texts({"01", "1"}));
}

TEST_F(TabularTest, ByteOrderMarkBlankLinesAndSeparatorsAreNoCells) {
  const auto table = Read(
      "\xef\xbb\xbf"
      "a;b\n\n1;2\n\n\n3;4\n",
      {.separator = ';'});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->columns[0].name, "a");
  EXPECT_EQ(table->columns[1].numbers, Numbers({2, 4}));
}

TEST_F(TabularTest, MistakesNameTheRow) {
  EXPECT_EQ(Error(""),
            ": expected a header and at least one row below it, "
            "found neither");
  EXPECT_EQ(Error("a,b\n"),
            ": expected a header and at least one row below "
            "it, found a header alone");
  EXPECT_EQ(Error("178,13,class_0\n1,2,3\n"),
            ": row 1: expected the name of column 1 (a header), found the "
            "number 178");
  EXPECT_EQ(Error("a,,c\n1,2,3\n"),
            ": row 1: expected the name of column 2 (a header), found nothing");
  EXPECT_EQ(Error("a,b,a\n1,2,3\n"),
            ": row 1: expected each name once, found \"a\" twice");
  EXPECT_EQ(Error("a,b\n1,2\n1\n"),
            ": row 3: expected 2 cells, as the header has, found 1");
  EXPECT_EQ(Error("a,b\n1,2,3\n"),
            ": row 2: expected 2 cells, as the header has, found 3");
  EXPECT_EQ(Error("a,b\n1,\"2\n"),
            ": row 2: expected quotes around a whole cell, closed, found "
            "others, or none at its end");
  EXPECT_EQ(Error("a,b\n1,2\"3\n"),
            ": row 2: expected quotes around a whole cell, closed, found "
            "others, or none at its end");
  EXPECT_EQ(Error("a\n\xff\n"),
            ": row 2: expected text in UTF-8, found \"\\xff\"");
  EXPECT_EQ(ReadTabular("/nowhere.csv").status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace tape
