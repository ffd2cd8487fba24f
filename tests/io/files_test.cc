// Whole files, read at once, and replaced as a whole or not at all. (What the
// readers of data sets refuse is in idx_test.cc and csv_test.cc.)
#include "framework/io/files.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

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

TEST_F(FilesTest, WritesPiecesAsTheyAreMade) {
  const std::string path = folder_ + "/file";
  int made = 0;
  const auto next = [&](std::string& piece) {
    EXPECT_EQ(piece, "");
    piece = std::to_string(made);
    return made++ < 3;
  };
  ASSERT_TRUE(WriteNewFile(path, next).ok());
  EXPECT_EQ(ReadText(path), "012");
  EXPECT_TRUE(absl::IsAlreadyExists(WriteNewFile(path, next)));
  EXPECT_EQ(ReadText(path), "012");
  const auto fail = [](std::string& piece) -> bool {
    piece = "half";
    throw std::bad_alloc();
  };
  EXPECT_THROW(WriteNewFile(folder_ + "/new", fail).IgnoreError(),
               std::bad_alloc);
  const LargestFile limit(10);
  const absl::Status full = WriteNewFile(
      folder_ + "/new",
      [](std::string& piece) { return !(piece = "abcd").empty(); });
  EXPECT_THAT(full.message(), HasSubstr("/new: cannot write the file: "));
  EXPECT_EQ(Count(), 1);
}

TEST_F(FilesTest, TemporaryNamesBelongToNobodyElse) {
  const std::string path = WriteText(folder_ + "/file", "old");
  const std::string precious = WriteText(folder_ + "/precious", "mine");
  const std::string link = path + ".temporary";
  std::filesystem::create_symlink(precious, link);
  WriteText(path + ".tape-aaaaaaaaaaaa", "mine too");
  ASSERT_TRUE(ReplaceFile(path, "new").ok());
  EXPECT_EQ(ReadText(path), "new");
  EXPECT_EQ(ReadText(precious), "mine");
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_FALSE(std::filesystem::is_symlink(path));
  EXPECT_EQ(ReadText(path + ".tape-aaaaaaaaaaaa"), "mine too");
  EXPECT_EQ(Count(), 4);
}

TEST_F(FilesTest, WritersOfOneFileAtATimeDoNotClash) {
  const std::string path = folder_ + "/file";
  const std::vector<std::string> contents = {std::string(100000, 'a'),
                                             std::string(100000, 'b')};
  std::vector<std::thread> writers;
  for (const std::string& content : contents) {
    writers.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const absl::Status status = ReplaceFile(path, content);
        EXPECT_TRUE(status.ok()) << status;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_THAT(contents, testing::Contains(ReadText(path)));
  EXPECT_EQ(Count(), 1);
}

TEST_F(FilesTest, WhatIsNoRegularFileIsNotReplaced) {
  const auto refuses = [&](const std::string& path, const std::string& found) {
    const absl::Status status = ReplaceFile(path, "new");
    EXPECT_EQ(status, absl::InvalidArgumentError(
                          path +
                          ": expected a regular file, or none yet, to write, "
                          "found " +
                          found));
    EXPECT_EQ(CheckReplaceable(path, "new", "a page"), status);
    EXPECT_EQ(CheckCanReplace(path), status);
    AppendOnlyFile log(path);
    EXPECT_EQ(log.Continue("new", "n"), status);
  };
  const std::string target = WriteText(folder_ + "/target", "mine");
  std::filesystem::create_symlink(target, folder_ + "/link");
  std::filesystem::create_symlink("nowhere", folder_ + "/link_to_nowhere");
  std::filesystem::create_directory(folder_ + "/folder");
  ASSERT_EQ(mkfifo((folder_ + "/pipe").c_str(), 0600), 0);
  refuses(folder_ + "/link", "a symbolic link");
  refuses(folder_ + "/link_to_nowhere", "a symbolic link");
  refuses(folder_ + "/folder", "a folder");
  refuses(folder_ + "/pipe", "a pipe");
  EXPECT_EQ(ReadText(target), "mine");
  int nodes = 5;
  // A device of our own, never one below /dev: only root may make it.
  const std::string device = folder_ + "/full";
  if (mknod(device.c_str(), S_IFCHR | 0600, makedev(1, 7)) == 0) {
    refuses(device, "a device");
    EXPECT_TRUE(std::filesystem::is_character_file(device));
    ++nodes;
  }
  EXPECT_EQ(Count(), nodes);  // Nothing is left behind.
}

TEST_F(FilesTest, AReplacedFileKeepsItsPermissionsAndItsOwner) {
  const std::string path = WriteText(folder_ + "/file", "old");
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  // Only root may give files away.
  const bool given = chown(path.c_str(), 12345, 23456) == 0;
  ASSERT_TRUE(ReplaceFile(path, "new").ok());
  struct stat status;
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, mode_t{0640});
  EXPECT_EQ(status.st_uid, given ? 12345 : geteuid());
  if (given) {
    EXPECT_EQ(status.st_gid, gid_t{23456});
  }
}

// Within its life, this thread has no capabilities: root is a user as any other.
class NoCapabilities {
 public:
  NoCapabilities() {
    EXPECT_EQ(syscall(SYS_capget, &header_, old_), 0);
    __user_cap_data_struct none[2] = {old_[0], old_[1]};
    none[0].effective = none[1].effective = 0;
    EXPECT_EQ(syscall(SYS_capset, &header_, none), 0);
  }
  ~NoCapabilities() { EXPECT_EQ(syscall(SYS_capset, &header_, old_), 0); }

 private:
  __user_cap_header_struct header_ = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct old_[2] = {};
};

TEST_F(FilesTest, AFileThatIsNotOursToWriteIsNotReplaced) {
  const std::string path = WriteText(folder_ + "/file", "old");
  ASSERT_EQ(chmod(path.c_str(), 0444), 0);
  absl::Status status, checked;
  {
    NoCapabilities none;
    checked = CheckCanReplace(path);
    status = ReplaceFile(path, "new");
  }
  EXPECT_EQ(checked, status);
  EXPECT_EQ(status, absl::PermissionDeniedError(
                        path + ": cannot replace the file: Permission denied"));
  EXPECT_EQ(ReadText(path), "old");
  EXPECT_EQ(Count(), 1);
}

TEST_F(FilesTest, AFileOfAnotherOwnerIsNotReplacedWhoeverMayWriteIt) {
  const std::string path = WriteText(folder_ + "/file", "old");
  ASSERT_EQ(chmod(path.c_str(), 0666), 0);
  if (chown(path.c_str(), 12345, 23456) != 0) GTEST_SKIP() << "not root";
  absl::Status status, checked;
  {
    NoCapabilities none;
    checked = CheckCanReplace(path);
    status = ReplaceFile(path, "new");
  }
  EXPECT_EQ(checked, status);
  EXPECT_EQ(status, absl::PermissionDeniedError(
                        path + ": cannot keep the file's owner and "
                               "permissions: Operation not permitted"));
  EXPECT_EQ(Count(), 1);
}

TEST_F(FilesTest, AskingWhetherAFileCanBeReplacedChangesNothing) {
  const std::string path = WriteText(folder_ + "/file", "old");
  EXPECT_TRUE(CheckCanReplace(path).ok());
  EXPECT_TRUE(CheckCanReplace(folder_ + "/new").ok());
  EXPECT_EQ(ReadText(path), "old");
  EXPECT_EQ(Count(), 1);
  EXPECT_THAT(CheckCanReplace(folder_ + "/none/new").message(),
              HasSubstr("/none/new: cannot create the file: No such file"));
}

TEST_F(FilesTest, OnlyFilesWithTheMarkMayBeReplaced) {
  const std::string path = folder_ + "/page";
  const auto check = [&] { return CheckReplaceable(path, "<page>", "a page"); };
  EXPECT_TRUE(check().ok());
  WriteText(path, "<page> of some text");
  EXPECT_TRUE(check().ok());
  const std::string expected =
      path + ": expected no file yet, or a page, to write, found ";
  for (const char* content : {"mine", "<pag", " <page>"}) {
    WriteText(path, content);
    EXPECT_EQ(check(), absl::InvalidArgumentError(expected + "another file"));
  }
  WriteText(path, "");
  EXPECT_EQ(check(), absl::InvalidArgumentError(expected + "an empty file"));
}

TEST_F(FilesTest, ANameAsLongAsTheSystemTakesCanBeReplaced) {
  const std::string path = folder_ + "/" + std::string(255, 'x');
  ASSERT_TRUE(ReplaceFile(path, "new").ok());
  EXPECT_EQ(ReadText(path), "new");
  EXPECT_EQ(Count(), 1);
}

TEST_F(FilesTest, RemovesOnlyWhatAKilledWriterLeft) {
  const std::string killed =
      WriteText(folder_ + "/model.tape-abcdefghij27", "half");
  for (const char* name :
       {"model", "model.temporary", "model.tape-abc", "model.tape-ABCDEFGHIJ27",
        "other.tape-abcdefghij27", ".tape-abcdefghij27"}) {
    WriteText(folder_ + "/" + name, "mine");
  }
  std::filesystem::create_symlink("model",
                                  folder_ + "/model.tape-bbbbbbbbbbbb");
  const auto is_ours = [](absl::string_view name) { return name == "model"; };
  ASSERT_TRUE(RemoveTemporaries(folder_, is_ours).ok());
  EXPECT_FALSE(std::filesystem::exists(killed));
  EXPECT_EQ(Count(), 7);
  EXPECT_TRUE(RemoveTemporaries(folder_ + "/none", is_ours).ok());
}

TEST_F(FilesTest, AFullDiskLeavesTheOldFile) {
  const std::string path = WriteText(folder_ + "/file", "old");
  {
    LargestFile limit(2);
    EXPECT_EQ(ReplaceFile(path, "new").message(),
              path + ": cannot write the file: File too large");
  }
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

TEST_F(FilesTest, AFileThatGrowsIsNotAnothers) {
  const std::string path = WriteText(folder_ + "/log", "of another");
  AppendOnlyFile log(path);
  EXPECT_TRUE(absl::IsAlreadyExists(log.Append("one,")));
  EXPECT_EQ(
      log.Continue("zero,", "zer"),
      absl::InvalidArgumentError(
          path + ": expected a file of this run, which begins with zer, found "
                 "\"of another\""));
  EXPECT_EQ(ReadText(path), "of another");
}

// A reader such as `tail -f` has the file open: it must stay the same one.
TEST_F(FilesTest, AFileThatGrowsIsContinuedInItsPlace) {
  const std::string path = folder_ + "/log";
  const auto inode = [&] {
    struct stat status;
    return stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
  };
  // Nothing to go on with, and nothing to write, is no file.
  ASSERT_TRUE(AppendOnlyFile(path).Continue("", "zero").ok());
  EXPECT_EQ(Count(), 0);
  ASSERT_TRUE(AppendOnlyFile(path).Continue("zero,", "zero").ok());
  const ino_t first = inode();
  for (const char* killed : {"zero,", "zero,one,tw", "zero,uno,", "ze", ""}) {
    SCOPED_TRACE(killed);
    std::ofstream(path, std::ios::trunc) << killed;
    AppendOnlyFile log(path);
    ASSERT_TRUE(log.Continue("zero,one,", "zero").ok());
    EXPECT_EQ(log.bytes(), 9);
    ASSERT_TRUE(log.Append("two,").ok());
    EXPECT_EQ(ReadText(path), "zero,one,two,");
    EXPECT_EQ(inode(), first);
  }
  // Even if nothing of it stays.
  AppendOnlyFile log(path);
  ASSERT_TRUE(log.Continue("", "zero").ok());
  EXPECT_EQ(ReadText(path), "");
  ASSERT_TRUE(log.Append("one,").ok());
  EXPECT_EQ(ReadText(path), "one,");
  EXPECT_EQ(inode(), first);
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
  EXPECT_THAT(
      std::string(status.message()),
      testing::MatchesRegex(
          path + ": its 8796093022208 bytes are more than the [0-9]+ bytes of "
                 "memory that this process may take"));
}

// As under `ulimit -v`: an error, not an abort.
TEST_F(FilesTest, RefusesAFileLargerThanTheLimitOfThisProcess) {
  if (kUnderAddressSanitizer) {
    GTEST_SKIP() << "the address sanitizer bears no limit of the address space";
  }
  const std::string path = WriteText(folder_ + "/file", "");
  std::filesystem::resize_file(path, uint64_t{600} << 20);
  rlimit old_limit;
  ASSERT_EQ(getrlimit(RLIMIT_AS, &old_limit), 0);
  rlimit limit = old_limit;
  limit.rlim_cur = rlim_t{512} << 20;
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  const absl::Status status = ReadWholeFile(path, "a file").status();
  ASSERT_EQ(setrlimit(RLIMIT_AS, &old_limit), 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr(path + ": its 629145600 bytes are more than the "));
}

TEST_F(FilesTest, ErrorsDoNotCommandTheTerminal) {
  const absl::Status status =
      ReadWholeFile(folder_ + "/\033[2J\nx", "a file").status();
  EXPECT_EQ(status.message(), folder_ +
                                  "/\\x1b[2J\\nx: expected a file, found no "
                                  "such file");
}

TEST_F(FilesTest, WhatFileManagersLeaveIsNotVisible) {
  for (const char* name :
       {"Thumbs.db", "thumbs.DB", "desktop.ini", ".DS_Store", "0.png"}) {
    WriteText(folder_ + "/" + name, "");
  }
  EXPECT_THAT(*VisibleNames(folder_, "a folder"),
              testing::ElementsAre("0.png"));
}

TEST_F(FilesTest, SaysWhatItExpectedWhereNothingIs) {
  const absl::Status status =
      ReadWholeFile(folder_ + "/none", "JSON lines").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(),
            folder_ + "/none: expected JSON lines, found no such file");
}

TEST_F(FilesTest, PathsFromAFolder) {
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(PathFrom(".", "new.html"), "new.html");
  EXPECT_EQ(PathFrom(here, "no/such/file"), "no/such/file");
  EXPECT_EQ(PathFrom("none/", here + "/none/file"), "file");
  EXPECT_EQ(PathFrom(here, "."), ".");
  EXPECT_EQ(PathFrom(here + "/none", "file"), "");
  EXPECT_EQ(PathFrom("none", "nonesuch"), "");
  EXPECT_EQ(PathFrom(".", "..hidden"), "..hidden");
}

}  // namespace
}  // namespace tape
