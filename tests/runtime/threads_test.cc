// The threads of a plan (framework/runtime/threads.h): who runs, and that a
// meeting is a barrier. Run under the thread sanitizer, which sees a missing
// barrier even where the numbers come out right.
#include "framework/runtime/threads.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

// More than the processors of the machine, too.
constexpr int kSizes[] = {1, 2, 3, 8};

TEST(ThreadTeamTest, HasAsManyMembersAsAskedFor) {
  for (int size : kSizes) EXPECT_EQ(ThreadTeam(size).size(), size);
}

TEST(ThreadTeamDeathTest, NeedsAMember) {
  EXPECT_DEATH(ThreadTeam(0), "1 <= threads \\(1 against 0\\)");
}

TEST(ThreadTeamTest, RunsEveryMemberOnceInEachOfManyJobs) {
  for (int size : kSizes) {
    ThreadTeam team(size);
    std::vector<int> runs(size, 0);
    for (int job = 1; job <= 2000; ++job) {
      team.Run([&](int member) { ++runs[member]; });
      ASSERT_EQ(runs, std::vector<int>(size, job));
    }
  }
}

TEST(ThreadTeamTest, RunsEachMemberOnItsOwnThread) {
  ThreadTeam team(3);
  std::vector<std::thread::id> ids(3), again(3);
  team.Run([&](int member) { ids[member] = std::this_thread::get_id(); });
  team.Run([&](int member) { again[member] = std::this_thread::get_id(); });
  EXPECT_EQ(ids[0], std::this_thread::get_id());
  EXPECT_EQ(std::set(ids.begin(), ids.end()).size(), 3u);
  EXPECT_EQ(ids, again);
}

TEST(ThreadTeamTest, ReturnsOnlyWhenEveryMemberIsDone) {
  for (int size : kSizes) {
    ThreadTeam team(size);
    for (int job = 0; job < 200; ++job) {
      std::vector<int> done(size, 0);
      team.Run([&](int member) {
        // The caller is the first to be through.
        for (int spin = 0; spin < 1000 * member; ++spin) {
          std::atomic_signal_fence(std::memory_order_seq_cst);
        }
        done[member] = 1;
      });
      ASSERT_EQ(done, std::vector<int>(size, 1));
    }
  }
}

// In each round every member adds to its own counter, and after the meeting
// finds all counters at the round's number: none is behind, and, with a second
// meeting before the next round, none is ahead.
TEST(ThreadTeamTest, MeetsAtABarrier) {
  constexpr int kRounds = 5000;
  for (int size : kSizes) {
    ThreadTeam team(size);
    std::vector<int> rounds(size, 0);
    std::vector<int> mistakes(size, 0);
    team.Run([&](int member) {
      for (int round = 1; round <= kRounds; ++round) {
        rounds[member] = round;
        team.Meet();
        for (int other : rounds) mistakes[member] += other != round;
        team.Meet();
      }
    });
    EXPECT_EQ(mistakes, std::vector<int>(size, 0)) << size;
  }
}

TEST(ThreadTeamTest, MeetsInOneJobAfterAnother) {
  ThreadTeam team(3);
  std::vector<int> numbers(3, 0);
  int mistakes = 0;
  for (int job = 1; job <= 1000; ++job) {
    team.Run([&](int member) {
      numbers[member] = job;
      team.Meet();
      if (member == 0) {
        for (int number : numbers) mistakes += number != job;
      }
    });
  }
  EXPECT_EQ(mistakes, 0);
}

TEST(ThreadTeamTest, RunsAJobOnFewerMembersThanItHas) {
  ThreadTeam team(4);
  for (int round = 0; round < 1000; ++round) {
    // In turn 1 to 5 members, of which there are four.
    const int members = round % 5 + 1;
    std::atomic<int> runs{0}, met{0};
    team.Run(members, [&](int) {
      ++runs;
      team.Meet();
      if (runs == std::min(members, 4)) ++met;
    });
    ASSERT_EQ(runs, std::min(members, 4));
    ASSERT_EQ(met, std::min(members, 4));
  }
}

TEST(ThreadTeamTest, EndsWithoutHavingRun) {
  for (int i = 0; i < 200; ++i) ThreadTeam team(4);
}

#ifdef __SANITIZE_THREAD__
#define NEEDS_FORK() \
  GTEST_SKIP() << "the thread sanitizer starts no threads after a fork"
#else
#define NEEDS_FORK()
#endif

// What the child of a fork ends with: the code of `child`, or -1.
int CodeOfChild(const std::function<int()>& child) {
  const pid_t pid = fork();
  if (pid == 0) {
    alarm(20);  // Ends what hangs.
    _exit(child());
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(ThreadTeamTest, HasThreadsOfItsOwnInAForkedChild) {
  NEEDS_FORK();
  for (const int size : kSizes) {
    ThreadTeam team(size);
    const auto meet = [&] {
      std::vector<int> numbers(size, 0);
      std::atomic<int> mistakes = 0;
      for (int job = 1; job <= 100; ++job) {
        team.Run([&](int member) {
          numbers[member] = job;
          team.Meet();
          for (const int number : numbers) mistakes += number != job;
          team.Meet();
        });
      }
      return mistakes.load();
    };
    ASSERT_EQ(meet(), 0);
    EXPECT_EQ(CodeOfChild([&] { return meet() + CodeOfChild(meet); }), 0);
    EXPECT_EQ(meet(), 0);  // The parent is as it was.
  }
}

TEST(ThreadTeamTest, EndsInAForkedChildThatHasNotRunIt) {
  NEEDS_FORK();
  auto team = std::make_unique<ThreadTeam>(3);
  EXPECT_EQ(CodeOfChild([&] {
              team.reset();
              return 0;
            }),
            0);
}

// As the child of a thread that has nothing to do with the plan.
TEST(ThreadTeamTest, IsForkedWhileItRuns) {
  NEEDS_FORK();
  ThreadTeam team(3);
  std::atomic<bool> done = false;
  std::thread other([&] {
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(CodeOfChild([&] {
                  std::atomic<int> runs = 0;
                  for (int job = 0; job < 10; ++job) {
                    team.Run([&](int) {
                      ++runs;
                      team.Meet();
                    });
                  }
                  return runs == 30 ? 0 : 1;
                }),
                0);
    }
    done = true;
  });
  while (!done) team.Run([&](int) { team.Meet(); });
  other.join();
}

TEST(PlanTest, RunsInAForkedChildToTheSameBits) {
  NEEDS_FORK();
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 64});
  const Var w = graph.Parameter("w", {64, 64}, Glorot());
  const Var y = Mean(Square(MatMul(x, w)));
  Tensor fed({DType::kFloat32, {5000, 64}});
  for (float& value : fed.values<float>()) value = 0.5;
  auto plan =
      std::make_unique<Plan>(*Compile(graph, {.fetch = {y}, .threads = 2}));
  ASSERT_TRUE(plan->Run({{x, fed}}).ok());
  const float expected = plan->Scalar(y);
  const auto run = [&] {
    if (!plan->Run({{x, fed}}).ok()) return 1;
    const bool same = plan->Scalar(y) == expected;
    plan.reset();
    return same ? 0 : 2;
  };
  EXPECT_EQ(CodeOfChild(run), 0);
  EXPECT_EQ(run(), 0);
}

TEST(AvailableThreadsTest, AreAtLeastOneAndNoMoreThanTheMachines) {
  EXPECT_GE(AvailableThreads(), 1);
  const int machine = static_cast<int>(std::thread::hardware_concurrency());
  // 0 where the library does not know.
  EXPECT_TRUE(machine == 0 || AvailableThreads() <= machine);
}

}  // namespace
}  // namespace tape
