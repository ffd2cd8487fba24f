// Being told to stop (models/interrupt.h). What a program then does is in
// resume_program_test.cc.
#include "models/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "gtest/gtest.h"

namespace tape {
namespace {

// As another process or a terminal sends it.
void Send(int number) { kill(getpid(), number); }

void WaitUntilNoted(const InterruptScope& scope) {
  while (scope.signal() == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

TEST(InterruptScopeTest, NotesTheFirstSignal) {
  for (const int number : {SIGINT, SIGTERM}) {
    const InterruptScope scope;
    EXPECT_EQ(scope.signal(), 0);
    Send(number);
    WaitUntilNoted(scope);
    EXPECT_EQ(scope.signal(), number);
  }
}

// Which could only run between the runs of a plan.
TEST(InterruptScopeTest, HasNoHandler) {
  const InterruptScope scope;
  for (const int number : {SIGINT, SIGTERM}) {
    struct sigaction action;
    ASSERT_EQ(sigaction(number, nullptr, &action), 0);
    EXPECT_EQ(action.sa_handler, SIG_DFL);
  }
}

TEST(InterruptScopeDeathTest, TheSecondSignalEndsTheProcess) {
  const auto send_two = [](int second) {
    const InterruptScope scope;
    Send(SIGINT);
    WaitUntilNoted(scope);
    Send(second);
    std::this_thread::sleep_for(std::chrono::seconds(60));
  };
  EXPECT_EXIT(send_two(SIGINT), testing::KilledBySignal(SIGINT), "");
  EXPECT_EXIT(send_two(SIGTERM), testing::KilledBySignal(SIGTERM), "");
}

TEST(InterruptScopeDeathTest, AfterItASignalEndsTheProcess) {
  const auto send_after = [] {
    { const InterruptScope scope; }
    Send(SIGTERM);
    std::this_thread::sleep_for(std::chrono::seconds(60));
  };
  EXPECT_EXIT(send_after(), testing::KilledBySignal(SIGTERM), "");
}

// A shell's job in the background, say, which Ctrl-C is not meant for.
TEST(InterruptScopeTest, WhatIsIgnoredStaysIgnored) {
  for (const int ignored : {SIGINT, SIGTERM}) {
    const int other = SIGINT + SIGTERM - ignored;
    signal(ignored, SIG_IGN);
    {
      const InterruptScope scope;
      for (int time = 0; time < 3; ++time) Send(ignored);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      EXPECT_EQ(scope.signal(), 0);
      Send(other);
      WaitUntilNoted(scope);
      EXPECT_EQ(scope.signal(), other);
    }
    Send(ignored);
    signal(ignored, SIG_DFL);
  }
}

TEST(InterruptScopeTest, AllMayBeIgnored) {
  for (const int number : {SIGINT, SIGTERM}) signal(number, SIG_IGN);
  {
    const InterruptScope scope;
    for (const int number : {SIGINT, SIGTERM}) Send(number);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(scope.signal(), 0);
  }
  for (const int number : {SIGINT, SIGTERM}) signal(number, SIG_DFL);
}

}  // namespace
}  // namespace tape
