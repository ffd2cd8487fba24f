// The memory that a process may take, by its own limits. Those of its control
// groups: control_groups_test.cc.
#include "framework/core/memory.h"

#include <sys/resource.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

TEST(MemoryTest, AProcessLimitCounts) {
  if (kUnderAddressSanitizer) {
    GTEST_SKIP() << "the address sanitizer bears no limit of the address space";
  }
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
