// ProcessId (framework/core/process.h) in a process and in its children.
#include "framework/core/process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tape {
namespace {

TEST(ProcessTest, IsThatOfAForkedChildToo) {
  EXPECT_EQ(ProcessId(), getpid());
  EXPECT_EQ(ProcessId(), getpid());
  const pid_t child = fork();
  if (child == 0) {
    const bool right = ProcessId() == getpid();
    const pid_t grandchild = fork();
    if (grandchild == 0) _exit(ProcessId() == getpid() ? 0 : 1);
    int status = 1;
    waitpid(grandchild, &status, 0);
    _exit(right && status == 0 ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(ProcessId(), getpid());
}

}  // namespace
}  // namespace tape
