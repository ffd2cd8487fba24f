// Folders of data sets (framework/data/dataset.h): that the form is recognised
// by the files, that all forms of one data set read the same, and that errors
// say what is missing. tests/io/idx_test.cc has the IDX form's own errors.
#include "framework/data/dataset.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "framework/core/tensor.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using Greys = std::vector<uint8_t>;
using Labels = std::vector<int32_t>;

constexpr char kInstall[] = " (third_party/install.sh installs the data sets)";

// Two images of each of ten classes; `first` tells splits apart.
Dataset TwentyImages(int64_t pixels, uint8_t first) {
  Greys greys;
  for (int64_t i = 0; i < 20 * pixels; ++i) {
    greys.push_back(static_cast<uint8_t>(first + i * 41));
  }
  Labels labels;
  for (int i = 0; i < 20; ++i) labels.push_back(i * 3 % 10);
  return {.images = Tensor({20, pixels}, greys),
          .labels = Tensor({20}, labels),
          .classes = 10};
}

DataSplits SomeSplits() {
  return {.train = TwentyImages(4, 1), .test = TwentyImages(4, 100)};
}

void ExpectSame(const Dataset& found, const Dataset& expected) {
  EXPECT_EQ(found.images.type(), expected.images.type());
  EXPECT_EQ(found.images.values<uint8_t>(), expected.images.values<uint8_t>());
  EXPECT_EQ(found.labels.values<int32_t>(), expected.labels.values<int32_t>());
  EXPECT_EQ(found.classes, expected.classes);
}

class DatasetFolderTest : public testing::Test {
 protected:
  void SetUp() override { Clear(); }

  void Clear() const {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void Write(DatasetForm form, const DataSplits& splits) const {
    const absl::Status status = WriteDatasetFolder(splits, form, folder_);
    EXPECT_TRUE(status.ok()) << status;
  }
  void ExpectNotFound(const std::string& message) const {
    EXPECT_EQ(ReadDatasetFolder(folder_).status(),
              absl::NotFoundError(folder_ + ": " + message + kInstall));
  }

  const std::string folder_ =
      testing::TempDir() + "/" +
      testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(DatasetFolderTest, ReadsTheSameInEachForm) {
  const DataSplits splits = SomeSplits();
  for (DatasetForm form : DatasetForms()) {
    SCOPED_TRACE(NameOf(form));
    Clear();
    Write(form, splits);
    const absl::StatusOr<DataSplits> read = ReadDatasetFolder(folder_);
    ASSERT_TRUE(read.ok()) << read.status();
    ExpectSame(read->train, splits.train);
    ExpectSame(read->test, splits.test);
    const absl::StatusOr<FoundDataset> found = FindDataset(folder_);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->form, form);
  }
}

TEST_F(DatasetFolderTest, NamesTheFilesAsTheDocumentsDo) {
  const auto expect = [&](DatasetForm form, std::vector<std::string> names) {
    Clear();
    Write(form, SomeSplits());
    std::vector<std::string> paths;
    for (const std::string& name : names) paths.push_back(folder_ + "/" + name);
    const absl::StatusOr<FoundDataset> found = FindDataset(folder_);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->paths, paths);
    for (const std::string& path : paths) EXPECT_TRUE(fs::exists(path));
  };
  expect(DatasetForm::kIdx,
         {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
          "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"});
  expect(DatasetForm::kCsv, {"trainData.csv", "trainLabels.csv", "testData.csv",
                             "testLabels.csv"});
  expect(DatasetForm::kLabelledCsv, {"mnist_train.csv", "mnist_test.csv"});
  expect(DatasetForm::kPng, {"train", "test"});
  EXPECT_TRUE(fs::exists(folder_ + "/train/3/00001.png"));
  EXPECT_TRUE(fs::exists(folder_ + "/test/7/00019.png"));
}

TEST_F(DatasetFolderTest, TakesTheFirstFormThatIsThereInFull) {
  const std::string labels = folder_ + "/trainLabels.csv";
  // The last form is written first, each with images of its own.
  for (int i = 3; i >= 0; --i) {
    const DatasetForm form = DatasetForms()[i];
    const DataSplits splits = {.train = TwentyImages(4, i),
                               .test = TwentyImages(4, i)};
    Write(form, splits);
    const absl::StatusOr<DataSplits> read = ReadDatasetFolder(folder_);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(FindDataset(folder_)->form, form);
    ExpectSame(read->train, splits.train);
  }
  // Of the first two, a part is left.
  fs::remove(folder_ + "/t10k-labels-idx1-ubyte");
  fs::remove(labels);
  EXPECT_EQ(FindDataset(folder_)->form, DatasetForm::kLabelledCsv);
}

TEST_F(DatasetFolderTest, SaysWhatItLookedFor) {
  const std::string expected =
      "expected a data set as idx (train-images-idx3-ubyte, "
      "train-labels-idx1-ubyte, t10k-images-idx3-ubyte, "
      "t10k-labels-idx1-ubyte) or csv (trainData.csv, trainLabels.csv, "
      "testData.csv, testLabels.csv) or labelled_csv (mnist_train.csv, "
      "mnist_test.csv) or png (train, test), found ";
  ExpectNotFound(expected + "none of these");
  fs::remove_all(folder_);
  ExpectNotFound(expected + "no such folder");
  std::ofstream(folder_) << "a file";
  ExpectNotFound(expected + "no folder but a file");
}

TEST_F(DatasetFolderTest, SaysWhichFileOfAFormIsMissing) {
  const auto expect = [&](DatasetForm form, const std::string& removed,
                          const std::string& message) {
    Clear();
    Write(form, SomeSplits());
    fs::remove_all(folder_ + "/" + removed);
    ExpectNotFound(message);
  };
  expect(DatasetForm::kIdx, "t10k-images-idx3-ubyte",
         "expected the file t10k-images-idx3-ubyte or "
         "t10k-images-idx3-ubyte.gz, found neither in that folder");
  expect(DatasetForm::kCsv, "trainLabels.csv",
         "expected the file trainLabels.csv, found none in that folder");
  expect(DatasetForm::kLabelledCsv, "mnist_test.csv",
         "expected the file mnist_test.csv, found none in that folder");
  expect(DatasetForm::kPng, "train",
         "expected the folder train, found none in that folder");
}

TEST_F(DatasetFolderTest, RefusesSplitsOfDifferentSizes) {
  for (DatasetForm form : DatasetForms()) {
    Clear();
    Write(form, {.train = TwentyImages(4, 0), .test = TwentyImages(9, 0)});
    EXPECT_EQ(ReadDatasetFolder(folder_).status(),
              absl::InvalidArgumentError(
                  folder_ + ": expected train and test images of one size, "
                            "found 4 and 9 pixels an image"));
  }
}

TEST_F(DatasetFolderTest, PassesOnErrorsOfTheForm) {
  Write(DatasetForm::kLabelledCsv, SomeSplits());
  std::ofstream(folder_ + "/mnist_test.csv") << "label,1x1\n7,shoe\n";
  EXPECT_EQ(ReadDatasetFolder(folder_).status(),
            absl::InvalidArgumentError(
                folder_ + "/mnist_test.csv: row 2, column 2: expected a whole "
                          "number in 0 to 255, found \"shoe\""));
}

// ---- The writer of IDX ----

TEST_F(DatasetFolderTest, WritesIdxAsTheFormatSays) {
  Dataset dataset = {.images = Tensor({1, 4}, Greys{'a', 'b', 'c', 'd'}),
                     .labels = Tensor({1}, Labels{255}),
                     .classes = 256};
  const std::string images = folder_ + "/images", labels = folder_ + "/labels";
  ASSERT_TRUE(WriteIdxDataset(dataset, images, labels).ok());
  EXPECT_EQ(ReadText(images),
            std::string("\0\0\x08\x03\0\0\0\1\0\0\0\2\0\0\0\2", 16) + "abcd");
  EXPECT_EQ(ReadText(labels), std::string("\0\0\x08\x01\0\0\0\1\xff", 9));

  EXPECT_EQ(WriteIdxDataset(dataset, images, labels),
            absl::AlreadyExistsError(images +
                                     ": cannot create the file: File exists"));
  dataset.classes = 257;
  EXPECT_EQ(WriteIdxDataset(dataset, images, labels),
            absl::InvalidArgumentError(
                labels + ": expected at most 256 classes, as labels are "
                         "bytes, found 257"));
}

TEST_F(DatasetFolderTest, TakesImagesWithoutRowsForSquare) {
  const DataSplits splits = {.train = TwentyImages(783, 0),
                             .test = TwentyImages(783, 0)};
  for (DatasetForm form : DatasetForms()) {
    EXPECT_EQ(WriteDatasetFolder(splits, form, folder_),
              absl::InvalidArgumentError(
                  "the data set: expected square images, 28 x 28 for one, "
                  "found 783 pixels an image"));
    EXPECT_TRUE(fs::is_empty(folder_));
  }
  EXPECT_FALSE(SquareSide(Dataset()).ok());
  EXPECT_EQ(SquareSide(TwentyImages(784, 0)).value(), 28);
}

TEST_F(DatasetFolderTest, KeepsRowsAndColumns) {
  DataSplits splits = {.train = TwentyImages(36, 1),
                       .test = TwentyImages(36, 2)};
  splits.train.rows = splits.test.rows = 4;
  for (DatasetForm form : {DatasetForm::kIdx, DatasetForm::kPng}) {
    Clear();
    Write(form, splits);
    const absl::StatusOr<DataSplits> read = ReadDatasetFolder(folder_);
    ASSERT_TRUE(read.ok()) << read.status();
    ExpectSame(read->train, splits.train);
    EXPECT_EQ(read->train.rows, 4);
    EXPECT_TRUE(SizeOfImages(read->test).value() == (ImageSize{4, 9}));
  }
  // Its readers would take such rows of CSV for images of 6 x 6.
  Clear();
  for (DatasetForm form : {DatasetForm::kCsv, DatasetForm::kLabelledCsv}) {
    EXPECT_EQ(WriteDatasetFolder(splits, form, folder_),
              absl::InvalidArgumentError("the data set: expected square "
                                         "images, 28 x 28 for one, found 4 x "
                                         "9"));
    EXPECT_TRUE(fs::is_empty(folder_));
  }
  splits.train.rows = 5;
  EXPECT_EQ(WriteDatasetFolder(splits, DatasetForm::kIdx, folder_),
            absl::InvalidArgumentError(
                "the data set: expected rows that divide the pixels of an "
                "image, found 5 rows of 36 pixels in all"));
}

TEST_F(DatasetFolderTest, RefusesSplitsOfAsManyPixelsInOtherRows) {
  DataSplits splits = {.train = TwentyImages(36, 1),
                       .test = TwentyImages(36, 2)};
  splits.train.rows = 4;
  Write(DatasetForm::kIdx, splits);
  EXPECT_EQ(ReadDatasetFolder(folder_).status(),
            absl::InvalidArgumentError(
                folder_ + ": expected train and test images of one size, "
                          "found 4 and 6 rows of 36 pixels in all"));
}

}  // namespace
}  // namespace tape
