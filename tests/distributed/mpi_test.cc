// Ranks that are processes (framework/distributed/mpi.h), under mpirun and without.
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/distributed/mpi_testing.h"
#include "tests/models/program_testing.h"

namespace tape {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kProgram[] = "tests/distributed/mpi_program";

TEST(MpiTest, AProgramWithoutMpirunIsRankZeroOfOne) {
  const Outcome outcome = RunProgram(kProgram, {});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "rank 0 of 1: right\n");
}

TEST(MpiTest, RanksExchangeGatherAndSum) {
  for (const int ranks : {1, 2, 4}) {
    const Outcome outcome = RunMpi(kProgram, {{ranks, {}}});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    for (int rank = 0; rank < ranks; ++rank) {
      EXPECT_THAT(outcome.out, HasSubstr(absl::StrCat("rank ", rank, " of ",
                                                      ranks, ": right\n")));
    }
    EXPECT_THAT(outcome.out, Not(HasSubstr("wrong")));
  }
}

TEST(MpiTest, AnErrorOfOneRankEndsAll) {
  const Outcome outcome = RunMpi(kProgram, {{4, {"abort"}}});
  EXPECT_GT(outcome.exit_code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("rank 1: a bad\\ndisk\n"));
}

TEST(MpiTest, ARankThatDoesNotAnswerIsNamed) {
  const Outcome outcome = RunMpi(kProgram, {{2, {"wait"}}});
  EXPECT_GT(outcome.exit_code, 0);
  EXPECT_THAT(outcome.err,
              HasSubstr("rank 0 of 2: expected an answer of rank 1 in an "
                        "exchange, found none in 0.01 s (--mpi_timeout)\n"));
}

TEST(MpiTest, AnErrorThatNamesARankIsPrintedAsItIs) {
  const Outcome outcome = RunMpi(kProgram, {{2, {"forward"}}});
  EXPECT_GT(outcome.exit_code, 0);
  EXPECT_THAT("\n" + outcome.err, HasSubstr("\nrank 1: late\n"));
}

// Those that MPI starts would end the program at a signal that it waits for.
TEST(MpiTest, ThreadsOfMpiTakeNoSignals) {
  EXPECT_EQ(RunMpi(kProgram, {{2, {"threads"}}}).exit_code, 0);
}

TEST(MpiTest, NamesItsVersion) {
  const Outcome outcome = RunProgram(kProgram, {"version"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AnyOf(HasSubstr("Open MPI v"), HasSubstr("MPICH")));
}

}  // namespace
}  // namespace tape
