// The example models/examples/several_processes.cc as README.md has it: the same
// line for any number of processes.
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/distributed/mpi_testing.h"

namespace tape {
namespace {

constexpr char kProgram[] = "models/examples/several_processes";

TEST(SeveralProcessesTest, PrintsTheSameForAnyNumberOfThem) {
  std::string expected;
  for (const int processes : {1, 2, 4}) {
    const std::string folder =
        absl::StrCat(testing::TempDir(), "/run", processes);
    std::filesystem::remove_all(folder);
    const Outcome outcome = RunMpi(kProgram, {{processes, {folder}}});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_TRUE(absl::StartsWith(outcome.out, "test accuracy 0.9"))
        << outcome.out;
    if (expected.empty()) expected = outcome.out;
    EXPECT_EQ(outcome.out, expected) << processes << " processes";
    // The run has finished: others have nothing left to do.
    EXPECT_EQ(RunMpi(kProgram, {{2, {folder}}}).out, expected);
  }
}

}  // namespace
}  // namespace tape
