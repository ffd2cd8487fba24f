// Limits of control groups (framework/core/control_groups.h): versions 1 and 2,
// nested, in containers, mounted anywhere, in trees made up for each test.
#include "framework/core/control_groups.h"

#include <filesystem>
#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;

constexpr double kNoQuota = std::numeric_limits<double>::infinity();
constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

// A folder in the place of the root of all files.
class ControlGroupsTest : public testing::Test {
 protected:
  ControlGroupsTest() { fs::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    const fs::path file = fs::path(root_) / path;
    fs::create_directories(file.parent_path());
    WriteText(file.string(), text);
  }
  void WriteGroups(const std::string& text) { Write("proc/self/cgroup", text); }
  void WriteMounts(const std::string& text) {
    Write("proc/self/mountinfo", text);
  }
  double Processors() const { return ControlGroupProcessors(root_); }
  uint64_t Memory() const { return ControlGroupMemory(root_); }

  const std::string root_ =
      testing::TempDir() + "/" +
      testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(ControlGroupsTest, NoneHaveNoLimits) {
  EXPECT_EQ(Processors(), kNoQuota);
  EXPECT_EQ(Memory(), kNoLimit);
  WriteGroups("0::/a/b\n");
  EXPECT_EQ(Processors(), kNoQuota);
  EXPECT_EQ(Memory(), kNoLimit);
}

TEST_F(ControlGroupsTest, TheSmallestQuotaOnTheWayToTheRootCounts) {
  WriteGroups("0::/a/b\n");
  Write("sys/fs/cgroup/a/cpu.max", "max 100000\n");
  Write("sys/fs/cgroup/a/b/cpu.max", "150000 100000\n");
  EXPECT_EQ(Processors(), 1.5);
  Write("sys/fs/cgroup/a/cpu.max", "50000 100000\n");
  EXPECT_EQ(Processors(), 0.5);
  Write("sys/fs/cgroup/cpu.max", "10000 100000\n");
  EXPECT_EQ(Processors(), 0.1);
  Write("sys/fs/cgroup/c/cpu.max", "1000 100000\n");  // Of other processes.
  EXPECT_EQ(Processors(), 0.1);
}

TEST_F(ControlGroupsTest, TheSmallestMemoryOnTheWayToTheRootCounts) {
  WriteGroups("0::/a/b\n");
  Write("sys/fs/cgroup/a/b/memory.max", "max\n");
  EXPECT_EQ(Memory(), kNoLimit);
  Write("sys/fs/cgroup/a/memory.max", "300\n");
  EXPECT_EQ(Memory(), 300u);
  Write("sys/fs/cgroup/a/b/memory.max", "200\n");
  EXPECT_EQ(Memory(), 200u);
  Write("sys/fs/cgroup/memory.max", "100\n");
  EXPECT_EQ(Memory(), 100u);
}

TEST_F(ControlGroupsTest, InAContainerThePathMayBeTheMachines) {
  WriteGroups("0::/docker/x\n");
  Write("sys/fs/cgroup/cpu.max", "200000 100000\n");
  Write("sys/fs/cgroup/memory.max", "100\n");
  EXPECT_EQ(Processors(), 2);
  EXPECT_EQ(Memory(), 100u);
  WriteGroups("0::/../../x\n");  // Of a group outside of the namespace.
  EXPECT_EQ(Processors(), 2);
  EXPECT_EQ(Memory(), 100u);
}

TEST_F(ControlGroupsTest, TheFirstVersionIsKnownToo) {
  WriteGroups("12:cpu,cpuacct:/c/d\n5:memory:/a/b\n1:name=systemd:/\n0::/\n");
  Write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  Write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Processors(), kNoQuota);
  Write("sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "50000\n");
  Write("sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "20000\n");
  EXPECT_EQ(Processors(), 2.5);
  Write("sys/fs/cgroup/cpu/c/d/cpu.cfs_quota_us", "50000\n");
  Write("sys/fs/cgroup/cpu/c/d/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Processors(), 0.5);

  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(Memory(), 9223372036854771712u);
  Write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "300\n");
  EXPECT_EQ(Memory(), 300u);
  // Both versions at a time.
  Write("sys/fs/cgroup/unified/memory.max", "200\n");
  EXPECT_EQ(Memory(), 200u);
  // Of another controller.
  WriteGroups("12:cpuset:/c/d\n5:net:/a/b\n");
  EXPECT_EQ(Processors(), kNoQuota);
  EXPECT_EQ(Memory(), kNoLimit);
}

TEST_F(ControlGroupsTest, AreFoundWhereTheyAreMounted) {
  WriteGroups("3:cpu,cpuacct:/box/a\n2:memory:/box\n0::/box/a\n");
  WriteMounts(
      "31 23 0:28 / /sys rw - tmpfs tmpfs rw\n"
      "32 31 0:29 /box /my\\040groups/c rw shared:1 master:2 - cgroup none "
      "rw,cpuacct,cpu\n"
      "33 31 0:30 / /mem rw - cgroup none rw,memory\n"
      "34 31 0:31 /box /two rw - cgroup2 none rw\n"
      "35 31 0:32 /bo /three rw - cgroup2 none rw\n"
      "broken\n");
  Write("my groups/c/a/cpu.cfs_quota_us", "300000\n");
  Write("my groups/c/a/cpu.cfs_period_us", "100000\n");
  Write("mem/box/memory.limit_in_bytes", "400\n");
  EXPECT_EQ(Processors(), 3);
  EXPECT_EQ(Memory(), 400u);
  Write("two/a/cpu.max", "200000 100000\n");
  Write("two/memory.max", "300\n");
  EXPECT_EQ(Processors(), 2);
  EXPECT_EQ(Memory(), 300u);
  // A group beside it whose name begins in the same way.
  Write("three/x/a/cpu.max", "100000 100000\n");
  EXPECT_EQ(Processors(), 2);
}

TEST_F(ControlGroupsTest, OddFilesHaveNoLimits) {
  WriteGroups("0::/a\nx\n0:\n::::\n");
  for (const char* text :
       {"", "\n", "max", "100000", "0 0", "-5 100000", "1 2 3", "x y"}) {
    Write("sys/fs/cgroup/a/cpu.max", text);
    EXPECT_EQ(Processors(), kNoQuota) << text;
  }
  for (const char* text : {"", "x", "-1", "1.5", "99999999999999999999"}) {
    Write("sys/fs/cgroup/a/memory.max", text);
    EXPECT_EQ(Memory(), kNoLimit) << text;
  }
}

}  // namespace
}  // namespace tape
