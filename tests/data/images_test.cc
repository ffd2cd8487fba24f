// Images without labels, framework/data/images.h: the same from files of every
// form, and one clear error from what is none.
#include "framework/data/images.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/data/csv.h"
#include "framework/data/dataset.h"
#include "framework/data/image_folder.h"
#include "framework/io/idx.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Three images of 2 x 2.
const std::vector<uint8_t> kGreys = {0, 1, 2, 3, 255, 128, 9, 10, 7, 7, 7, 7};
Dataset SmallDataset() {
  return {.images = Tensor({3, 4}, kGreys),
          .labels = Tensor({3}, std::vector<int32_t>{1, 0, 1}),
          .classes = 2};
}

class ImagesTest : public testing::Test {
 protected:
  ImagesTest()
      : folder_(testing::TempDir() + "/" +
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  std::string In(const std::string& name) const { return folder_ + "/" + name; }

  const std::string folder_;
};

void ExpectTheThree(const std::string& path,
                    const std::vector<std::string>& names) {
  const absl::StatusOr<Images> images = ReadImages(path);
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_EQ(images->size(), 3);
  EXPECT_EQ(images->pixels.shape(), Shape({3, 4}));
  const auto greys = images->pixels.values<uint8_t>();
  EXPECT_EQ(std::vector<uint8_t>(greys.begin(), greys.end()), kGreys) << path;
  EXPECT_EQ(images->names, names);
}

void ExpectRefusal(const std::string& path, const std::string& message) {
  const absl::Status status = ReadImages(path).status();
  EXPECT_FALSE(status.ok()) << path;
  EXPECT_EQ(std::string(status.message()), absl::StrCat(path, message));
}

TEST_F(ImagesTest, AreTheSameFromEveryForm) {
  const std::vector<std::string> indices = {"0", "1", "2"};
  const Dataset dataset = SmallDataset();
  ASSERT_TRUE(WriteIdxDataset(dataset, In("idx"), In("idx_labels")).ok());
  ExpectTheThree(In("idx"), indices);
  ASSERT_EQ(std::system(absl::StrCat("gzip -k ", In("idx")).c_str()), 0);
  ExpectTheThree(In("idx.gz"), indices);
  ASSERT_TRUE(WriteCsvDataset(dataset, In("csv"), In("csv_labels")).ok());
  ExpectTheThree(In("csv"), indices);
  ASSERT_TRUE(WriteLabelledCsvDataset(dataset, In("labelled")).ok());
  ExpectTheThree(In("labelled"), indices);
}

// The three as PNG files of those names.
void WriteThree(const std::string& folder, const std::string& scratch,
                const std::vector<std::string>& names) {
  ASSERT_TRUE(WriteImageFolder(SmallDataset(), scratch).ok());
  const std::vector<std::string> written = {"1/00000.png", "0/00001.png",
                                            "1/00002.png"};
  for (size_t i = 0; i < names.size(); ++i) {
    const fs::path to = fs::path(folder) / names[i];
    fs::create_directories(to.parent_path());
    fs::rename(fs::path(scratch) / written[i], to);
  }
}

TEST_F(ImagesTest, AreThoseOfAFolderByTheirNames) {
  const std::vector<std::string> names = {"a.png", "b", "c.jpg"};
  WriteThree(In("flat"), In("scratch"), names);
  WriteText(In("flat/.DS_Store"), "hidden");
  ExpectTheThree(In("flat"), names);
  ExpectTheThree(In("flat") + "/", names);
}

TEST_F(ImagesTest, AreThoseOfTheFoldersInAFolder) {
  const std::vector<std::string> names = {"3/b.png", "4.png", "5/a.png"};
  WriteThree(In("tree"), In("scratch"), names);
  ExpectTheThree(In("tree"), names);
}

TEST_F(ImagesTest, AreThatOfOneFile) {
  WriteThree(In("flat"), In("scratch"), {"a.png", "b", "c.png"});
  const absl::StatusOr<Images> images = ReadImages(In("flat/b"));
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_THAT(images->names, ElementsAre("b"));
  EXPECT_THAT(images->pixels.values<uint8_t>(), ElementsAre(255, 128, 9, 10));
}

TEST_F(ImagesTest, OfCsvFilesMayHaveHeadersAndLabelsInAnyCombination) {
  const std::string header = "1x1,1x2,2x1,2x2\n";
  const std::vector<std::string> rows = {"0,1,2,3\n", "255,128,9,10\n",
                                         "7,7.0, 7,07"};
  const std::string path = In("file");
  std::string plain, labelled;
  for (const std::string& row : rows) {
    plain += row;
    absl::StrAppend(&labelled, "12,", row);
  }
  for (const std::string& text :
       {plain, labelled, header + plain, "label," + header + labelled}) {
    WriteText(path, text);
    ExpectTheThree(path, {"0", "1", "2"});
  }
}

TEST_F(ImagesTest, WhatIsNoImageIsRefused) {
  constexpr char kExpected[] =
      ": expected images as an IDX, PNG or CSV file, or a folder of PNG "
      "images, found ";
  ExpectRefusal(In("none"), absl::StrCat(kExpected, "no such file"));
  fs::create_directories(In("folder/inner"));
  ExpectRefusal(In("folder"),
                absl::StrCat(kExpected, "a folder without files"));
  ASSERT_EQ(mkfifo(In("pipe").c_str(), 0600), 0);
  EXPECT_THAT(std::string(ReadImages(In("pipe")).status().message()),
              HasSubstr(absl::StrCat(In("pipe"), kExpected)));
  ExpectRefusal(WriteText(In("empty"), ""),
                ": row 1: expected the grey levels of an image, found an empty "
                "file");
  ExpectRefusal(WriteText(In("text"), "Dear, dear reader,\n"),
                ": row 1: expected the pixels of a square image, perhaps after "
                "a label: 784 or 785 columns for 28 x 28 for one, found 3");
}

TEST_F(ImagesTest, PassesOverWhatFileManagersLeave) {
  ASSERT_TRUE(WriteImageFolder(SmallDataset(), In("tree")).ok());
  for (const char* folder : {"tree/", "tree/0/", "tree/1/"}) {
    for (const char* name : {"Thumbs.db", "desktop.ini", ".DS_Store"}) {
      WriteText(In(folder) + name, "no image");
    }
  }
  const absl::StatusOr<Images> images = ReadImages(In("tree"));
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_EQ(images->size(), 3);
  const absl::StatusOr<Dataset> dataset = ReadImageFolder(In("tree"), 2);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->size(), 3);
}

TEST_F(ImagesTest, AMistakeInAFileIsNamedWithItsPlace) {
  ASSERT_TRUE(WriteIdx(In("labels"), {3}, {1, 2, 3}).ok());
  ExpectRefusal(In("labels"),
                ": byte 0: expected IDX magic 0x00000803 (unsigned bytes, 3 "
                "dimensions), found IDX magic 0x00000801 (unsigned bytes, 1 "
                "dimension)");
  ASSERT_TRUE(WriteIdx(In("no_image"), {0, 28, 28}, {}).ok());
  ExpectRefusal(
      In("no_image"),
      ": byte 4: expected at least 1 image of at least 1 pixel, found "
      "[0,28,28]");
  ExpectRefusal(WriteText(In("row"), "0,1,2,3\n0,1,2\n"),
                ": row 2: expected 4 columns, as in row 1, found 3");
  ExpectRefusal(WriteText(In("level"), "0,1,2,3\n0,1,256,3\n"),
                ": row 2, column 3: expected a whole number in 0 to 255, found "
                "\"256\"");
  ExpectRefusal(WriteText(In("label"), "y,0,1,2,3\n"),
                ": expected rows after the header, found none");
  ExpectRefusal(WriteText(In("blank"), "\n"),
                ": row 1: expected 1 column, found a blank line");

  WriteThree(In("flat"), In("scratch"), {"a.png", "b.png"});
  WriteText(In("flat/notes.txt"), "mine");
  EXPECT_EQ(std::string(ReadImages(In("flat")).status().message()),
            In("flat/notes.txt") +
                ": expected a PNG image, found a file that begins with "
                "\"mine\"");
  fs::remove(In("flat/notes.txt"));
  fs::create_directories(In("flat/inner/deeper"));
  EXPECT_EQ(std::string(ReadImages(In("flat")).status().message()),
            In("flat/inner/deeper") + ": expected a PNG image, found a folder");
  fs::remove_all(In("flat/inner"));
  const Dataset larger = {.images = Tensor({1, 9}, std::vector<uint8_t>(9)),
                          .labels = Tensor({1}, std::vector<int32_t>{0}),
                          .classes = 1};
  ASSERT_TRUE(WriteImageFolder(larger, In("larger")).ok());
  fs::rename(In("larger/0/00000.png"), In("flat/c.png"));
  EXPECT_EQ(
      std::string(ReadImages(In("flat")).status().message()),
      absl::StrCat(In("flat/c.png"), ": expected 2 rows of 2 pixels, as in ",
                   In("flat/a.png"), ", found 3 rows of 3 pixels"));
}

}  // namespace
}  // namespace tape
