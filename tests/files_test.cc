// Whole files, read at once, and replaced as a whole or not at all. (What the
// readers of data sets refuse is in idx_test.cc and csv_test.cc.)
#include "framework/data/files.h"

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

using ::testing::HasSubstr;

// A folder of its own for each test.
class FilesTest : public testing::Test {
 protected:
  FilesTest()
      : folder_(testing::TempDir() + "/" +
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  int Count() const {
    const auto files = std::filesystem::directory_iterator(folder_);
    return static_cast<int>(std::distance(begin(files), end(files)));
  }

  const std::string folder_;
};

TEST_F(FilesTest, ReplacesAFileAndReadsItBack) {
  const std::string path = folder_ + "/file";
  const std::string bytes("a\0b\r\n", 5);
  for (const std::string& content :
       {std::string("much longer"), bytes, std::string()}) {
    ASSERT_TRUE(ReplaceFile(path, content).ok());
    const absl::StatusOr<FileBytes> read = ReadWholeFile(path, "a file");
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->view(), content);
    EXPECT_EQ(Count(), 1);
  }
}

TEST_F(FilesTest, PiecesBecomeOneFileInTheirOrder) {
  const std::string path = folder_ + "/file";
  ASSERT_TRUE(ReplaceFile(path, {absl::string_view("ab"), "", "c"}).ok());
  EXPECT_EQ(ReadText(path), "abc");
}

TEST_F(FilesTest, AFileThatCannotBeReplacedStaysAsItWas) {
  const std::string path = WriteText(folder_ + "/file", "old");
  // Where the new bytes would be written first.
  std::filesystem::create_directory(path + ".temporary");
  EXPECT_THAT(ReplaceFile(path, "new").message(),
              HasSubstr(path + ".temporary: cannot create the file"));
  EXPECT_EQ(ReadText(path), "old");
}

TEST_F(FilesTest, WhatAKilledWriterLeftIsNotInTheFile) {
  const std::string path = folder_ + "/file";
  WriteText(path + ".temporary", "longer than the new one");
  ASSERT_TRUE(ReplaceFile(path, "new").ok());
  EXPECT_EQ(ReadText(path), "new");
  EXPECT_EQ(Count(), 1);
}

TEST_F(FilesTest, AFolderIsNotReplaced) {
  const std::string path = folder_ + "/folder";
  std::filesystem::create_directory(path);
  EXPECT_THAT(ReplaceFile(path, "new").message(),
              HasSubstr(path + ": cannot put the file in its place"));
  EXPECT_TRUE(std::filesystem::is_directory(path));
  EXPECT_EQ(Count(), 1);  // Nothing is left behind.
}

TEST_F(FilesTest, AFullDiskLeavesTheOldFile) {
  // A file that is always full stands where the new bytes would be written.
  const std::string path = WriteText(folder_ + "/file", "old");
  std::filesystem::create_symlink("/dev/full", path + ".temporary");
  EXPECT_THAT(ReplaceFile(path, "new").message(),
              HasSubstr("cannot write the file"));
  EXPECT_EQ(ReadText(path), "old");
  EXPECT_EQ(Count(), 1);
}

TEST_F(FilesTest, AFileGrowsByWholePiecesThatAreThereAtOnce) {
  const std::string path = folder_ + "/log";
  AppendOnlyFile log(path);
  EXPECT_EQ(Count(), 0);
  ASSERT_TRUE(log.Append("one,").ok());
  EXPECT_EQ(ReadByAnotherProcess(path), "one,");
  ASSERT_TRUE(log.Append("two,").ok());
  EXPECT_EQ(ReadByAnotherProcess(path), "one,two,");
  EXPECT_EQ(log.bytes(), 8);
  {
    LargestFile limit(10);
    EXPECT_EQ(log.Append("three,").message(),
              path + ": cannot add to the file: File too large");
  }
  EXPECT_EQ(ReadText(path), "one,two,");
  ASSERT_TRUE(log.Append("three,").ok());
  EXPECT_EQ(ReadText(path), "one,two,three,");
}

TEST_F(FilesTest, AFileThatGrowsStartsAnew) {
  const std::string path = WriteText(folder_ + "/log", "of another");
  AppendOnlyFile log(path);
  EXPECT_TRUE(absl::IsAlreadyExists(log.Append("one,")));
  EXPECT_EQ(ReadText(path), "of another");
  ASSERT_TRUE(log.Replace("zero,").ok());
  EXPECT_EQ(log.bytes(), 5);
  ASSERT_TRUE(log.Append("one,").ok());
  EXPECT_EQ(ReadText(path), "zero,one,");
  // Of nothing there is no file, be it there or not.
  for (int time = 0; time < 2; ++time) {
    ASSERT_TRUE(log.Replace("").ok());
    EXPECT_EQ(Count(), 0);
  }
  ASSERT_TRUE(log.Append("one,").ok());
  EXPECT_EQ(ReadText(path), "one,");
  {
    LargestFile limit(5);
    EXPECT_THAT(log.Replace("longer").message(), HasSubstr("File too large"));
  }
  EXPECT_EQ(ReadText(path), "one,");
  ASSERT_TRUE(log.Append("two,").ok());
  EXPECT_EQ(ReadText(path), "one,two,");
}

TEST_F(FilesTest, AFileThatFailsAtItsFirstPieceIsNotThere) {
  const std::string path = folder_ + "/log";
  AppendOnlyFile log(path);
  {
    LargestFile limit(2);
    EXPECT_FALSE(log.Append("one,").ok());
  }
  EXPECT_EQ(Count(), 0);
  ASSERT_TRUE(log.Append("one,").ok());
  EXPECT_EQ(ReadText(path), "one,");
}

TEST_F(FilesTest, RefusesAFileLargerThanTheMemory) {
  // All of it is a hole, which takes no room.
  const std::string path = WriteText(folder_ + "/file", "");
  std::filesystem::resize_file(path, uint64_t{1} << 43);
  const absl::Status status = ReadWholeFile(path, "a file").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(),
            path +
                ": its 8796093022208 bytes are more than this machine has "
                "of memory");
}

TEST_F(FilesTest, SaysWhatItExpectedWhereNothingIs) {
  const absl::Status status =
      ReadWholeFile(folder_ + "/none", "JSON lines").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(),
            folder_ + "/none: expected JSON lines, found no such file");
}

}  // namespace
}  // namespace tape
