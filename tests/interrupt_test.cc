// Being told to stop (models/interrupt.h). What a program then does is in
// resume_program_test.cc.
#include "models/interrupt.h"

#include <signal.h>

#include "gtest/gtest.h"

namespace tape {
namespace {

TEST(InterruptScopeTest, NotesTheFirstSignal) {
  for (const int number : {SIGINT, SIGTERM}) {
    const InterruptScope scope;
    EXPECT_EQ(scope.signal(), 0);
    raise(number);
    EXPECT_EQ(scope.signal(), number);
  }
}

TEST(InterruptScopeTest, FailsNobodysReadOrWrite) {
  const InterruptScope scope;
  struct sigaction action;
  ASSERT_EQ(sigaction(SIGINT, nullptr, &action), 0);
  EXPECT_NE(action.sa_flags & SA_RESTART, 0);
}

TEST(InterruptScopeDeathTest, TheSecondSignalEndsTheProcess) {
  const auto raise_two = [](int second) {
    const InterruptScope scope;
    raise(SIGINT);
    raise(second);
  };
  EXPECT_EXIT(raise_two(SIGINT), testing::KilledBySignal(SIGINT), "");
  EXPECT_EXIT(raise_two(SIGTERM), testing::KilledBySignal(SIGTERM), "");
}

TEST(InterruptScopeDeathTest, AfterItASignalEndsTheProcess) {
  const auto raise_after = [] {
    { const InterruptScope scope; }
    raise(SIGTERM);
  };
  EXPECT_EXIT(raise_after(), testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace tape
