// Profiles of plans (framework/runtime/profile.h): what a trace and the table
// say, with the numbers that must hold whatever the machine.
#include <algorithm>
#include <cstdio>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "ops/ops.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

// The events of the trace that `profile` writes.
nlohmann::json Events(const Profile& profile) {
  const std::string path = testing::TempDir() + "/trace.json";
  const absl::Status status = profile.WriteTrace(path);
  EXPECT_TRUE(status.ok()) << status;
  return nlohmann::json::parse(ReadText(path))["traceEvents"];
}

// Runs exp(x y) for a large x on two threads, and exp(0) on the way.
class ProfileTest : public testing::Test {
 protected:
  void Run(Profile* profile, int runs) {
    Graph graph;
    const Var x = graph.Input("x", {512, 512});
    auto plan =
        Compile(graph, {.fetch = {Exp(MatMul(x, x)), Sum(x)}, .threads = 2});
    ASSERT_TRUE(plan.ok()) << plan.status();
    const Tensor zeros(TensorType{DType::kFloat32, {512, 512}});
    ASSERT_TRUE(plan->Run({{x, zeros}}).ok());  // Not recorded.
    plan->Record(profile);
    for (int run = 0; run < runs; ++run) {
      ASSERT_TRUE(plan->Run({{x, zeros}}).ok());
    }
    plan->Record(nullptr);
    ASSERT_TRUE(plan->Run({{x, zeros}}).ok());
  }
};

TEST_F(ProfileTest, TracesEachThreadsPartOfEachStep) {
  Profile profile;
  Run(&profile, 3);
  std::set<int> threads;
  int products = 0;
  double flops = 0;
  for (const nlohmann::json& event : Events(profile)) {
    EXPECT_EQ(event["ph"], "X");
    EXPECT_GE(event["ts"], 0);
    EXPECT_GE(event["dur"], 0);
    if (event["name"] != "MatMul+Exp") continue;
    ++products;
    threads.insert(event["tid"].get<int>());
    flops += event["args"]["GFLOP/s"].get<double>() * 1e9 *
             event["dur"].get<double>() * 1e-6;
  }
  EXPECT_EQ(products, 2 * 3);
  EXPECT_EQ(threads, (std::set<int>{0, 1}));
  // What is printed of rate and duration has three digits at least.
  const double expected = 3 * (2.0 * 512 * 512 * 512 + 512 * 512);
  EXPECT_NEAR(flops, expected, 0.01 * expected);
}

TEST_F(ProfileTest, TabulatesTheCostliestSteps) {
  Profile profile;
  Run(&profile, 2);
  const std::string table = profile.Table();
  EXPECT_TRUE(absl::StrContains(table, "GFLOP/s")) << table;
  EXPECT_TRUE(absl::StrContains(table, "  MatMul+Exp\n")) << table;
  EXPECT_TRUE(absl::StrContains(table, "  PieceSums\n")) << table;
}

TEST_F(ProfileTest, CountsInTheTableWhatTheTraceHasNoRoomFor) {
  Profile profile(/*max_events=*/4);
  Run(&profile, 50);
  EXPECT_EQ(Events(profile).size(), 4u);
  EXPECT_TRUE(absl::StrContains(profile.Table(), "       100 "))
      << profile.Table();
}

TEST_F(ProfileTest, KeepsAllEventsIfItIsAskedTo) {
  Profile profile(/*max_events=*/std::numeric_limits<size_t>::max());
  Run(&profile, 3);
  EXPECT_GE(Events(profile).size(), 3u);
}

TEST_F(ProfileTest, NamesInItsTableCommandNoTerminal) {
  Profile profile;
  profile.AddSteps({{.name = "O\x1b[31m\xff"}});
  profile.Reserve(1);
  profile.Add(0, 0, {}, {}, 1);
  EXPECT_TRUE(absl::StrContains(profile.Table(), "  O\\x1b[31m\\xff\n"))
      << profile.Table();
}

TEST_F(ProfileTest, SaysWhatIsWrongWithThePath) {
  EXPECT_EQ(Profile().WriteTrace("/no/such/trace.json").message(),
            "/no/such/trace.json: cannot create the file: No such file or "
            "directory");
  EXPECT_EQ(Profile::CheckTrace("/no/such/trace.json"),
            Profile().WriteTrace("/no/such/trace.json"));
}

TEST_F(ProfileTest, ReplacesATraceAndNothingElse) {
  const std::string path = testing::TempDir() + "/mine.json";
  WriteText(path, "{\"mine\": 1}");
  EXPECT_EQ(Profile().WriteTrace(path).message(),
            path +
                ": expected no file yet, or a trace, to write, found "
                "another file");
  EXPECT_EQ(Profile::CheckTrace(path), Profile().WriteTrace(path));
  EXPECT_EQ(ReadText(path), "{\"mine\": 1}");
  std::remove(path.c_str());
  for (int time = 0; time < 2; ++time) {
    EXPECT_TRUE(Profile().WriteTrace(path).ok());
  }
  const std::string trace = ReadText(path);
  EXPECT_TRUE(Profile::CheckTrace(path).ok());
  EXPECT_EQ(ReadText(path), trace);
  std::remove(path.c_str());
  EXPECT_TRUE(Profile::CheckTrace(path).ok());
  EXPECT_EQ(ReadText(path), "");
}

TEST_F(ProfileTest, NamesOfStepsAreOneLineAndCommandNoTerminal) {
  Profile profile;
  const int step = profile.AddSteps({{.name = "a\n\x1b[31m\xff"}});
  profile.Reserve(1);
  const auto now = Profile::Clock::now();
  profile.Add(0, step, now, now, 1);
  EXPECT_TRUE(absl::StrContains(profile.Table(), "  a\\n\\x1b[31m\\xff\n"))
      << profile.Table();
  EXPECT_EQ(Events(profile).size(), 1u);
}

TEST_F(ProfileTest, IsEmptyWithoutARun) {
  EXPECT_EQ(Events(Profile()).size(), 0u);
  const std::string table = Profile().Table();
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 1);
}

}  // namespace
}  // namespace tape
