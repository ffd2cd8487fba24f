// The memory that a process may take: by its control groups, of version 1 and 2
// and nested, and by its own limits.
#include "framework/data/memory.h"

#include <sys/resource.h>

#include <filesystem>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();

// A folder in the place of /sys/fs/cgroup.
class MemoryTest : public testing::Test {
 protected:
  MemoryTest() { fs::remove_all(mounts_); }
  void Write(const std::string& path, const std::string& text) {
    const fs::path file = fs::path(mounts_) / path;
    fs::create_directories(file.parent_path());
    WriteText(file.string(), text);
  }

  const std::string mounts_ =
      testing::TempDir() + "/" +
      testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(MemoryTest, TheSmallestLimitOnTheWayToTheRootCounts) {
  EXPECT_EQ(ControlGroupMemoryLimit("0::/a/b\n", mounts_), kNone);
  Write("a/b/memory.max", "max\n");
  EXPECT_EQ(ControlGroupMemoryLimit("0::/a/b\n", mounts_), kNone);
  Write("a/memory.max", "300\n");
  EXPECT_EQ(ControlGroupMemoryLimit("0::/a/b\n", mounts_), 300u);
  Write("a/b/memory.max", "200\n");
  EXPECT_EQ(ControlGroupMemoryLimit("0::/a/b\n", mounts_), 200u);
  Write("memory.max", "100\n");
  EXPECT_EQ(ControlGroupMemoryLimit("0::/a/b\n", mounts_), 100u);
  // In a container the path is the machine's, the mount is its own.
  EXPECT_EQ(ControlGroupMemoryLimit("0::/docker/x\n", mounts_), 100u);
  EXPECT_EQ(ControlGroupMemoryLimit("0::/\n", mounts_), 100u);
  EXPECT_EQ(ControlGroupMemoryLimit("", mounts_), kNone);
}

TEST_F(MemoryTest, TheFirstVersionIsKnownToo) {
  const std::string groups =
      "12:cpu,cpuacct:/c\n5:memory:/a/b\n1:name=systemd:/\n0::/\n";
  Write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(ControlGroupMemoryLimit(groups, mounts_), 9223372036854771712u);
  Write("memory/a/b/memory.limit_in_bytes", "400\n");
  EXPECT_EQ(ControlGroupMemoryLimit(groups, mounts_), 400u);
  Write("memory/a/memory.limit_in_bytes", "300\n");
  EXPECT_EQ(ControlGroupMemoryLimit(groups, mounts_), 300u);
  Write("unified/memory.max", "200\n");
  EXPECT_EQ(ControlGroupMemoryLimit(groups, mounts_), 200u);
  // Of another controller.
  EXPECT_EQ(ControlGroupMemoryLimit("12:cpu:/a/b\n", mounts_), kNone);
}

TEST_F(MemoryTest, AProcessLimitCounts) {
  const uint64_t before = AvailableMemory();
  rlimit old_limit;
  ASSERT_EQ(getrlimit(RLIMIT_AS, &old_limit), 0);
  rlimit limit = old_limit;
  limit.rlim_cur = rlim_t{1} << 30;
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  const uint64_t available = AvailableMemory();
  const absl::Status status = CheckMemory("big", uint64_t{1} << 31);
  ASSERT_EQ(setrlimit(RLIMIT_AS, &old_limit), 0);
  EXPECT_LT(available, uint64_t{1} << 30);
  EXPECT_LE(available, before);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()),
              testing::MatchesRegex("big: expected to need at most the [0-9]+ "
                                    "bytes of memory that this process may "
                                    "take, found 2147483648"));
  EXPECT_TRUE(CheckMemory("small", 1).ok());
}

}  // namespace
}  // namespace tape
