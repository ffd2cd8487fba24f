// The readers and writers of framework/data/csv.h: what they read, and that
// whatever else a file may hold is refused with a message that says where and
// why. tests/models/convert_dataset_test.cc reads and writes data sets of full size.
#include "framework/data/csv.h"

#include <sys/resource.h>

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "framework/core/tensor.h"
#include "framework/data/dataset.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using Greys = std::vector<uint8_t>;
using Labels = std::vector<int32_t>;

constexpr int kClasses = 3;

class CsvTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }

  std::string Path(const std::string& name) const {
    return (folder_ / name).string();
  }
  std::string Write(const std::string& name, absl::string_view bytes) const {
    return WriteText(Path(name), bytes);
  }
  std::string Read(const std::string& name) const {
    return ReadText(Path(name));
  }

  // Of the two files' contents, and of a labelled file's.
  absl::StatusOr<Dataset> Parse(absl::string_view images,
                                absl::string_view labels) const {
    return ReadCsvDataset(Write("images", images), Write("labels", labels),
                          kClasses);
  }
  absl::StatusOr<Dataset> ParseLabelled(absl::string_view bytes) const {
    return ReadLabelledCsvDataset(Write("labelled", bytes), kClasses);
  }

  void ExpectImages(absl::string_view images, const Greys& greys) const {
    const std::string labels = "0\n0\n";
    const absl::StatusOr<Dataset> dataset = Parse(images, labels);
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    EXPECT_EQ(dataset->images.values<uint8_t>(), absl::MakeConstSpan(greys));
  }
  // That the file of images is refused with "FOLDER/images: MESSAGE", and so
  // on.
  void ExpectImagesRefused(absl::string_view images,
                           const std::string& message) const {
    EXPECT_EQ(Parse(images, "0\n0\n").status(),
              absl::InvalidArgumentError(Path("images") + ": " + message));
  }
  void ExpectLabelsRefused(absl::string_view labels,
                           const std::string& message) const {
    EXPECT_EQ(Parse("1,2\n3,4\n", labels).status(),
              absl::InvalidArgumentError(Path("labels") + ": " + message));
  }
  void ExpectLabelledRefused(absl::string_view bytes,
                             const std::string& message) const {
    EXPECT_EQ(ParseLabelled(bytes).status(),
              absl::InvalidArgumentError(Path("labelled") + ": " + message));
  }

  const fs::path folder_ =
      fs::path(testing::TempDir()) /
      testing::UnitTest::GetInstance()->current_test_info()->name();
};

void ExpectDataset(const absl::StatusOr<Dataset>& dataset, const Shape& images,
                   const Greys& greys, const Labels& labels) {
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->images.type(), (TensorType{DType::kUint8, images}));
  EXPECT_EQ(dataset->images.values<uint8_t>(), absl::MakeConstSpan(greys));
  EXPECT_EQ(dataset->labels.type(), (TensorType{DType::kInt32, {images[0]}}));
  EXPECT_EQ(dataset->labels.values<int32_t>(), absl::MakeConstSpan(labels));
  EXPECT_EQ(dataset->classes, kClasses);
}

TEST_F(CsvTest, ReadsImagesAndLabels) {
  ExpectDataset(Parse("0,1,2,3\n10,99,100,101\n200,253,254,255\n", "2\n0\n1\n"),
                {3, 4}, {0, 1, 2, 3, 10, 99, 100, 101, 200, 253, 254, 255},
                {2, 0, 1});
  ExpectDataset(Parse("7\n", "1\n"), {1, 1}, {7}, {1});
}

TEST_F(CsvTest, ReadsLabelledImages) {
  ExpectDataset(
      ParseLabelled("label,1x1,1x2,2x1,2x2\n2,0,255,1,2\n1,7,8,9,10\n"), {2, 4},
      {0, 255, 1, 2, 7, 8, 9, 10}, {2, 1});
  // Only the first name matters, unless another one is of labels too.
  ExpectDataset(ParseLabelled("y,0\n2,9\n"), {1, 1}, {9}, {2});
  ExpectDataset(ParseLabelled("Class,x\n2,9\n"), {1, 1}, {9}, {2});
}

TEST_F(CsvTest, RefusesLabelsInAnUnexpectedColumn) {
  const std::string last = "1x1,1x2,2x1,2x2,label\n10,20,30,2,1\n";
  const std::string found =
      "row 1, column 5: expected the labels in column 1, found \"label\"";
  ExpectLabelledRefused(last, found);
  // Nor are they taken for pixels by what predicts.
  const auto refuses_images = [&](const std::string& bytes,
                                  const std::string& message) {
    EXPECT_EQ(ReadCsvImages(Write("to_predict", bytes)).status(),
              absl::InvalidArgumentError(Path("to_predict") + ": " + message));
  };
  refuses_images(last, found);
  refuses_images("a,b,c,label\n1,2,3,4\n",
                 "row 1, column 4: expected the labels in column 1, found "
                 "\"label\"");
  // An index, as spreadsheets and pandas write one.
  const std::string index = "index,1x1,1x2,2x1,2x2\n0,10,20,30,40\n";
  const std::string no_label =
      "row 1, column 1: expected a name of the labels, such as label or class, "
      "found \"index\"";
  ExpectLabelledRefused(index, no_label);
  refuses_images(index, no_label);
  refuses_images("label,b,c,d\n1,2,3,4\n",
                 "row 1: expected the pixels of a square image, perhaps after "
                 "a label: 784 or 785 columns for 28 x 28 for one, found 4");
}

// df.to_csv(index=False) of columns without names.
TEST_F(CsvTest, RefusesColumnNumbersInThePlaceOfAnImage) {
  for (const int first : {0, 1}) {
    std::string header = absl::StrCat(first), row = "7";
    for (int i = 1; i < 64; ++i) {
      absl::StrAppend(&header, ",", first + i);
      row += ",7";
    }
    const std::string message =
        "row 1: expected the grey levels of an image, found the numbers of the "
        "columns, which are a header";
    ExpectImagesRefused(absl::StrCat(header, "\n", row, "\n"), message);
    EXPECT_EQ(
        ReadCsvImages(Write("to_predict", absl::StrCat(header, "\n", row)))
            .status(),
        absl::InvalidArgumentError(Path("to_predict") + ": " + message));
    // Any other image of so many pixels is one.
    ExpectImages(absl::StrCat(row, "\n", header, "\n"), [&] {
      Greys greys(64, 7);
      for (int i = 0; i < 64; ++i) greys.push_back(first + i);
      return greys;
    }());
  }
}

TEST_F(CsvTest, SaysWhatSeparatesAndEncodesOtherTexts) {
  ExpectImagesRefused("1;2;3;4\n5;6;7;8\n",
                      "row 1: expected commas between columns, found ';'");
  ExpectImagesRefused("1\t2\t3\t4\n",
                      "row 1: expected commas between columns, found tabs");
  ExpectLabelledRefused("label;1x1\n0;1\n",
                        "row 1: expected commas between columns, found ';'");
  for (absl::string_view bytes :
       {absl::string_view("\xff\xfe\x31\0,\0\x32\0", 8),
        absl::string_view("\xfe\xff\0\x31\0,\0\x32", 8),
        absl::string_view("\x31\0,\0\x32\0\n\0", 8)}) {
    ExpectImagesRefused(bytes, "expected UTF-8, found UTF-16");
    ExpectLabelledRefused(bytes, "expected UTF-8, found UTF-16");
    EXPECT_EQ(ReadCsvImages(Write("to_predict", bytes)).status(),
              absl::InvalidArgumentError(Path("to_predict") +
                                         ": expected UTF-8, found UTF-16"));
  }
}

TEST_F(CsvTest, AcceptsHoweverLinesEnd) {
  const Greys greys = {1, 2, 3, 4, 5, 6, 7, 8};
  ExpectImages("1,2,3,4\n5,6,7,8", greys);
  ExpectImages("1,2,3,4\r\n5,6,7,8\r\n", greys);
  ExpectImages("1,2,3,4\r\n5,6,7,8", greys);
  ExpectImages("1,2,3,4\n5,6,7,8\r", greys);
  ExpectImages(
      "\xef\xbb\xbf"
      "1,2,3,4\n5,6,7,8\n",
      greys);
  ExpectDataset(ParseLabelled("\xef\xbb\xbflabel,1x1\r\n2,9\r\n1,8"), {2, 1},
                {9, 8}, {2, 1});
  ExpectDataset(Parse("1\n2\n",
                      "\xef\xbb\xbf"
                      "0\r\n2"),
                {2, 1}, {1, 2}, {0, 2});
}

TEST_F(CsvTest, AcceptsHoweverNumbersAreWritten) {
  ExpectImages(" 1,2 ,  3  , 4\n5,6 ,7, 8", {1, 2, 3, 4, 5, 6, 7, 8});
  ExpectImages("007,00,0000255,010\n01,2,3,04\n", {7, 0, 255, 10, 1, 2, 3, 4});
  ExpectImages("1.0,255.,2e2,-0\n0.5e1,6,7,8.\n", {1, 255, 200, 0, 5, 6, 7, 8});
  ExpectDataset(  // As np.savetxt does unless told otherwise.
      Parse("2.550000000000000000e+02\n1.000000000000000000e+01\n", "0\n0\n"),
      {2, 1}, {255, 10}, {0, 0});
  const absl::StatusOr<Dataset> dataset =
      Parse("1\n2\n", "2.000000000000000000e+00\n 1 \n");
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->labels.values<int32_t>(), absl::MakeConstSpan({2, 1}));
}

TEST_F(CsvTest, RefusesWhatIsNoGreyLevel) {
  const auto expect = [&](absl::string_view cell, const std::string& found) {
    const std::string message =
        absl::StrCat("a whole number in 0 to 255, found ", found);
    ExpectImagesRefused(absl::StrCat("1,2,3\n4,", cell, ",6\n"),
                        "row 2, column 2: expected " + message);
    ExpectImagesRefused(absl::StrCat("1,2,3\n4,5,", cell, "\n"),
                        "row 2, column 3: expected " + message);
    ExpectLabelledRefused(absl::StrCat("label,1x1,1x2\r\n0,", cell, ",6\r\n"),
                          "row 2, column 2: expected " + message);
  };
  expect("256", "\"256\"");
  expect("999", "\"999\"");
  expect("1000", "\"1000\"");
  expect("99999999999999999999", "\"99999999999999999999\"");
  expect("1e999", "\"1e999\"");
  expect("-1", "\"-1\"");
  expect("1.5", "\"1.5\"");
  expect("nan", "\"nan\"");
  expect("inf", "\"inf\"");
  expect("", "\"\"");
  expect("  ", "\"\"");
  expect("shoe", "\"shoe\"");
  expect("1 2", "\"1 2\"");
  expect("12x", "\"12x\"");
  expect("1\r2", "\"1\\r2\"");
  expect("\t1", "\"\\t1\"");
  expect("\"12\"", "\"\\\"12\\\"\"");
  expect(absl::string_view("\0", 1), "\"\\x00\"");
  expect(absl::string_view("1\0", 2), "\"1\\x00\"");
  expect("\xff\xfe", "\"\\xff\\xfe\"");
}

TEST_F(CsvTest, KeepsMessagesShort) {
  const std::string shown = "\"" + std::string(20, 'x') + "...\"";
  ExpectImagesRefused("1," + std::string(1000000, 'x'),
                      "row 1, column 2: expected a whole number in 0 to 255, "
                      "found " +
                          shown);
  // Old Macs' lines: one long one for us.
  ExpectImagesRefused("1,2\r3,4\r",
                      "row 1, column 2: expected a whole number in 0 to 255, "
                      "found \"2\\r3\"");
}

TEST_F(CsvTest, RefusesRowsOfAnotherLength) {
  const std::string expected = "row 2: expected 3 columns, as in row 1, found ";
  ExpectImagesRefused("1,2,3\n4,5\n", expected + "2");
  ExpectImagesRefused("1,2,3\n4,5", expected + "2");
  ExpectImagesRefused("1,2,3\n4,5\r\n7,8,9\n", expected + "2");
  ExpectImagesRefused("1,2,3\n4,5,6,7\n", expected + "4");
  ExpectImagesRefused("1,2,3\n4,5,6,\n", expected + "4");
  ExpectImagesRefused("1,2,3\n4,5,6,7,8,9\n1,2,3\n", expected + "6");
  ExpectImagesRefused("1\n2,3\n",
                      "row 2: expected 1 column, as in row 1, found 2");
  ExpectLabelledRefused("label,a,b\n0,1\n", expected + "2");
  ExpectLabelledRefused("label,a,b\n0\n", expected + "1");
  ExpectLabelledRefused("label,a,b\n0,1,2,3\n", expected + "4");
  ExpectLabelsRefused("0\n0,1\n",
                      "row 2: expected 1 column, as in row 1, found 2");
  ExpectLabelsRefused("0,1\n0,1\n",
                      "row 1: expected 1 column, of labels, found 2");
}

TEST_F(CsvTest, RefusesImagesThatAreNotSquare) {
  const std::string expected =
      "row 1: expected the pixels of a square image, 784 for 28 x 28 for one, "
      "found ";
  // MNIST with its labels, given as a file of images only.
  std::string row = "5";
  for (int i = 0; i < 784; ++i) row += ",0";
  ExpectImagesRefused(row + "\n" + row + "\n", expected + "785");
  ExpectLabelledRefused("label,1x1,1x2\n0,1,2\n", expected + "2");
}

TEST_F(CsvTest, RefusesBlankLines) {
  const std::string blank = ", found a blank line";
  const std::string two = ": expected 2 columns, as in row 1" + blank;
  ExpectImagesRefused("1,2\n\n3,4\n", "row 2" + two);
  ExpectImagesRefused("1,2\r\n \r\n3,4\r\n", "row 2" + two);
  ExpectImagesRefused("1,2\n3,4\n\n", "row 3" + two);
  ExpectImagesRefused("\n1,2\n", "row 1: expected 1 column" + blank);
  ExpectLabelledRefused("label,1x1\n0,1\n\n0,1\n", "row 3" + two);
  ExpectLabelsRefused("0\n\n1\n",
                      "row 2: expected 1 column, as in row 1" + blank);
}

TEST_F(CsvTest, RefusesEmptyFiles) {
  for (absl::string_view bytes : {"", "\xef\xbb\xbf"}) {
    ExpectImagesRefused(
        bytes,
        "row 1: expected the grey levels of an image, found an empty file");
    ExpectLabelsRefused(bytes, "row 1: expected a label, found an empty file");
    ExpectLabelledRefused(bytes,
                          "row 1: expected a header row, found an empty file");
  }
  for (absl::string_view header : {"label,1x1", "label,1x1\r\n"}) {
    ExpectLabelledRefused(header, "expected rows after the header, found none");
  }
}

TEST_F(CsvTest, RefusesAMissingHeader) {
  const std::string expected =
      "row 1, column 1: expected a header row, which begins with a name such "
      "as label, found ";
  ExpectLabelledRefused("5,0,0\n1,2,3\n", expected + "\"5\"");
  ExpectLabelledRefused("5.00e+00,0\n", expected + "\"5.00e+00\"");
  ExpectLabelledRefused(",1x1\n0,1\n", expected + "\"\"");
  ExpectLabelledRefused("label\n0\n",
                        "row 1: expected a label and at least 1 pixel, found 1 "
                        "column");
}

TEST_F(CsvTest, RefusesAHeaderWithQuotesOrNulBytes) {
  const std::string expected =
      ": expected a name without quotes or NUL bytes, found ";
  ExpectLabelledRefused("\"label\",1x1\n0,1\n",
                        "row 1, column 1" + expected + "\"\\\"label\\\"\"");
  ExpectLabelledRefused(absl::string_view("label,1\0\n0,1\n", 12),
                        "row 1, column 2" + expected + "\"1\\x00\"");
}

TEST_F(CsvTest, RefusesALabelOutOfRange) {
  const std::string expected = ": expected a label in 0 to 2, found ";
  ExpectLabelsRefused("0\n3\n", "row 2, column 1" + expected + "\"3\"");
  ExpectLabelsRefused("-1\n0\n", "row 1, column 1" + expected + "\"-1\"");
  ExpectLabelsRefused("1.5\n0\n", "row 1, column 1" + expected + "\"1.5\"");
  ExpectLabelsRefused("boot\n0\n", "row 1, column 1" + expected + "\"boot\"");
  ExpectLabelledRefused("label,1x1\n0,1\n3,1\n",
                        "row 3, column 1" + expected + "\"3\"");
}

TEST_F(CsvTest, RefusesCountsThatDiffer) {
  ExpectLabelsRefused("0\n", "expected 2 labels, one for each image in " +
                                 Path("images") + ", found 1");
  ExpectLabelsRefused("0\n1\n2\n", "expected 2 labels, one for each image in " +
                                       Path("images") + ", found 3");
}

TEST_F(CsvTest, RefusesWhatIsNoFile) {
  const std::string good = Write("good", "0\n");
  const std::string none = Path("none");
  const absl::Status missing =
      absl::NotFoundError(none + ": expected a CSV file, found no such file");
  EXPECT_EQ(ReadCsvDataset(none, good, kClasses).status(), missing);
  EXPECT_EQ(ReadCsvDataset(good, none, kClasses).status(), missing);
  EXPECT_EQ(ReadLabelledCsvDataset(none, kClasses).status(), missing);
  EXPECT_EQ(ReadLabelledCsvDataset(folder_.string(), kClasses).status(),
            absl::InvalidArgumentError(
                folder_.string() + ": expected a CSV file, found a folder"));
  EXPECT_EQ(ReadLabelledCsvDataset("/dev/zero", kClasses).status(),
            absl::InvalidArgumentError("/dev/zero: expected a CSV file, found "
                                       "a pipe, device or socket"));
}

TEST_F(CsvTest, PassesOnWhatTheSystemSays) {
  const std::string path = Path("loop");
  fs::create_symlink(path, path);
  const absl::Status status = ReadLabelledCsvDataset(path, kClasses).status();
  EXPECT_TRUE(absl::StrContains(status.message(), "Too many levels")) << status;
  EXPECT_TRUE(absl::StartsWith(status.message(), path + ": ")) << status;
}

TEST_F(CsvTest, SaysThatAFileGaveLessThanItsSize) {
  // The kernel says that it has a page, and gives a few bytes.
  const std::string path = "/sys/devices/system/cpu/online";
  const absl::Status status = ReadLabelledCsvDataset(path, kClasses).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_TRUE(absl::StartsWith(status.message(), path + ": byte ")) << status;
}

// ---- Whatever a file holds ----

constexpr absl::string_view kImages = "0,10,255,1\n 7 ,1e2,099,2\r\n3,4,5,6";
constexpr absl::string_view kLabels = "0\n2\r\n1";
constexpr absl::string_view kLabelled =
    "label,1x1,1x2,2x1,2x2\n2,0,255,7,1\r\n1, 7 ,1e2,0,9";

TEST_F(CsvTest, SurvivesAFileCutAnywhere) {
  ASSERT_TRUE(Parse(kImages, kLabels).ok());
  ASSERT_TRUE(ParseLabelled(kLabelled).ok());
  // A cut in the last number leaves a file that is right by itself.
  for (size_t left = 0; left < kImages.size() - 1; ++left) {
    EXPECT_FALSE(Parse(kImages.substr(0, left), kLabels).ok()) << left;
  }
  for (size_t left = 0; left < kLabels.size(); ++left) {
    EXPECT_FALSE(Parse(kImages, kLabels.substr(0, left)).ok()) << left;
  }
  for (size_t left = 0; left < kLabelled.size(); ++left) {
    const absl::StatusOr<Dataset> dataset =
        ParseLabelled(kLabelled.substr(0, left));
    if (dataset.ok()) {
      EXPECT_LE(dataset->size(), 2) << left;
    }
  }
}

TEST_F(CsvTest, SurvivesOtherBytesAnywhere) {
  const std::string others(
      absl::string_view("\0\t\n\v\r \"+,-.19;ex\x7f\x80\xef\xff", 21));
  for (size_t i = 0; i < kLabelled.size(); ++i) {
    std::string values = others;
    for (int bit = 0; bit < 8; ++bit) values.push_back(kLabelled[i] ^ 1 << bit);
    for (char value : values) {
      std::string bytes(kLabelled);
      bytes[i] = value;
      const absl::StatusOr<Dataset> dataset = ParseLabelled(bytes);
      if (!dataset.ok()) {
        EXPECT_LT(dataset.status().message().size(),
                  Path("labelled").size() + 200);
        continue;
      }
      for (int32_t label : dataset->labels.values<int32_t>()) {
        EXPECT_TRUE(label >= 0 && label < kClasses);
      }
    }
  }
}

// ---- Writing ----

// All grey levels, and labels of different lengths.
Dataset SomeDataset() {
  Greys greys;
  for (int i = 0; i < 512; ++i) greys.push_back(static_cast<uint8_t>(i * 3));
  return {.images = Tensor({128, 4}, greys),
          .labels = Tensor({128}, Labels(128, 11)),
          .classes = 12};
}

TEST_F(CsvTest, WritesWhatItReads) {
  const Dataset dataset = SomeDataset();
  ASSERT_TRUE(WriteCsvDataset(dataset, Path("images"), Path("labels")).ok());
  ASSERT_TRUE(WriteLabelledCsvDataset(dataset, Path("labelled")).ok());
  for (const absl::StatusOr<Dataset>& read :
       {ReadCsvDataset(Path("images"), Path("labels"), 12),
        ReadLabelledCsvDataset(Path("labelled"), 12)}) {
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->images.shape(), dataset.images.shape());
    EXPECT_EQ(read->images.values<uint8_t>(), dataset.images.values<uint8_t>());
    EXPECT_EQ(read->labels.values<int32_t>(), dataset.labels.values<int32_t>());
  }
}

TEST_F(CsvTest, WritesTheNotebooksForms) {
  const Dataset dataset = {
      .images = Tensor({2, 4}, Greys{0, 9, 10, 99, 100, 254, 255, 7}),
      .labels = Tensor({2}, Labels{1, 2}),
      .classes = kClasses};
  ASSERT_TRUE(WriteCsvDataset(dataset, Path("images"), Path("labels")).ok());
  EXPECT_EQ(Read("images"), "0,9,10,99\n100,254,255,7\n");
  EXPECT_EQ(Read("labels"), "1\n2\n");
  ASSERT_TRUE(WriteLabelledCsvDataset(dataset, Path("labelled")).ok());
  EXPECT_EQ(Read("labelled"),
            "label,1x1,1x2,2x1,2x2\n1,0,9,10,99\n2,100,254,255,7\n");
}

TEST_F(CsvTest, OverwritesNothing) {
  const Dataset dataset = SomeDataset();
  const std::string taken = Write("taken", "kept");
  for (const absl::Status& status :
       {WriteCsvDataset(dataset, taken, Path("labels")),
        WriteCsvDataset(dataset, Path("images"), taken),
        WriteLabelledCsvDataset(dataset, taken)}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists) << status;
    EXPECT_EQ(status.message(),
              taken + ": cannot create the file: File exists");
  }
  EXPECT_EQ(Read("taken"), "kept");
}

TEST_F(CsvTest, LeavesNoPartOfAFile) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit small = {.rlim_cur = 100, .rlim_max = limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string path = Path("labelled");
  const absl::Status status = WriteLabelledCsvDataset(SomeDataset(), path);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  EXPECT_EQ(status.message(), path + ": cannot write the file: File too large");
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(CsvTest, SaysWhichFileItCannotWrite) {
  const std::string path = Path("none/labelled");
  EXPECT_EQ(WriteLabelledCsvDataset(SomeDataset(), path),
            absl::NotFoundError(path + ": cannot create the file: No such file "
                                       "or directory"));
}

}  // namespace
}  // namespace tape
