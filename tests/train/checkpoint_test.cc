// Checkpoints (framework/train/checkpoint.h): what is written comes back to the
// bit; what is damaged is found, wherever the damage is; and whatever call of
// the system fails, a checkpoint can still be read.
#include "framework/train/checkpoint.h"

#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/allocation_testing.h"
#include "tests/file_testing.h"
#include "tests/train/failing_system.h"
#include "tests/train/variable_bytes.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A graph with parameters and state, all of them multiples of `scale`.
struct Model {
  explicit Model(float scale) {
    w = graph.Parameter(
        "layer1/w", {2, 3},
        Values(Tensor({2, 3}, std::vector<float>{scale, 2 * scale, 3 * scale,
                                                 -scale, 0, 0.1f * scale})));
    b = graph.Parameter("layer1/b", {3}, Constant(scale));
    graph.State("layer1/w/m", {2, 3}, Constant(scale / 3));
    graph.State("step", {}, Constant(7), DType::kInt32);
  }

  // All its numbers' bytes.
  std::string Bytes() const { return VariableBytes(graph); }

  Graph graph;
  Var w, b;
};

TrainingState StateAt(int64_t step) {
  TrainingState state;
  state.step = step;
  state.epoch = 3;
  state.pass.reports = {0.1};
  state.batches = {.epoch = 3, .samples = 2, .random = 9, .order = {2, 0, 1}};
  state.best = {
      {"layer1/w", Tensor({2, 3}, std::vector<float>{6, 5, 4, 3, 2, 1})},
      {"layer1/b", Tensor({3}, std::vector<float>{1, 2, 3})},
      {"step", Tensor({}, std::vector<int32_t>{5})}};
  return state;
}

class CheckpointTest : public testing::Test {
 protected:
  CheckpointTest()
      : folder_((fs::path(testing::TempDir()) /
                 testing::UnitTest::GetInstance()->current_test_info()->name())
                    .string()) {
    fs::remove_all(folder_);
    fs::create_directory(folder_);
  }

  std::string Path(const std::string& name) const {
    return (fs::path(folder_) / name).string();
  }

  const std::string folder_;
};

TEST_F(CheckpointTest, BringsBackVariablesAndStateToTheBit) {
  const Model written(1.7f);
  ASSERT_EQ(WriteCheckpoint(Path("a"), written.graph, StateAt(12),
                            {{"experiment", "mine"}}),
            absl::OkStatus());
  const absl::StatusOr<Checkpoint> read = ReadCheckpoint(Path("a"));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_NE(read->file.FindMetadata("experiment"), nullptr);
  EXPECT_EQ(*read->file.FindMetadata("experiment"), "mine");

  Model restored(0);
  const absl::StatusOr<TrainingState> state = Restore(*read, restored.graph);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(restored.Bytes(), written.Bytes());
  EXPECT_EQ(ToJson(*state), ToJson(StateAt(12)));
  EXPECT_EQ(state->batches.order, (std::vector<uint32_t>{2, 0, 1}));
  ASSERT_EQ(state->best.size(), 3u);
  EXPECT_EQ(state->best[0].name, "layer1/w");
  EXPECT_THAT(state->best[0].value.values<float>(),
              testing::ElementsAre(6, 5, 4, 3, 2, 1));
  EXPECT_THAT(state->best[1].value.values<float>(),
              testing::ElementsAre(1, 2, 3));
  EXPECT_EQ(state->best[2].name, "step");
  EXPECT_THAT(state->best[2].value.values<int32_t>(), testing::ElementsAre(5));
}

TEST_F(CheckpointTest, WantOfMemoryIsAnError) {
  const Model written(1.7f);
  const std::string path = Path("a");
  const TrainingState state = StateAt(12);
  // Before the state is JSON, whose library ends the program.
  for (int allocation = 0; allocation < 8; ++allocation) {
    const FailingAllocation failing(allocation);
    const absl::Status status = WriteCheckpoint(path, written.graph, state, {});
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted)
        << allocation;
  }
  ASSERT_EQ(WriteCheckpoint(path, written.graph, state, {}), absl::OkStatus());
  const absl::StatusOr<Checkpoint> read = ReadCheckpoint(path);
  ASSERT_TRUE(read.ok()) << read.status();
  Model restored(0);
  const std::string before = restored.Bytes();
  int refused = 0;
  for (bool is_restored = false; !is_restored; ++refused) {
    const FailingAllocation failing(refused);
    const absl::Status status = Restore(*read, restored.graph).status();
    is_restored = status.ok();
    if (is_restored) break;
    ASSERT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_EQ(restored.Bytes(), before);
  }
  EXPECT_GT(refused, 5);
  EXPECT_EQ(restored.Bytes(), written.Bytes());
}

TEST_F(CheckpointTest, CutAtEveryByteItIsRefused) {
  const Model model(1);
  ASSERT_EQ(WriteCheckpoint(Path("a"), model.graph, StateAt(1), {}),
            absl::OkStatus());
  const std::string bytes = ReadText(Path("a"));
  for (size_t size = 0; size < bytes.size(); ++size) {
    WriteText(Path("cut"), bytes.substr(0, size));
    const absl::Status status = ReadCheckpoint(Path("cut")).status();
    ASSERT_FALSE(status.ok()) << size;
    ASSERT_THAT(std::string(status.message()), HasSubstr(Path("cut")));
  }
  WriteText(Path("cut"), bytes + std::string(1, '\0'));
  EXPECT_FALSE(ReadCheckpoint(Path("cut")).ok());
}

TEST_F(CheckpointTest, WithAnyByteOfItFlippedItIsRefused) {
  const Model model(1);
  ASSERT_EQ(WriteCheckpoint(Path("a"), model.graph, StateAt(1),
                            {{"experiment", "mine"}}),
            absl::OkStatus());
  const std::string bytes = ReadText(Path("a"));
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const int flip : {0x01, 0x20, 0x80, 0xFF}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      WriteText(Path("damaged"), damaged);
      const absl::Status status = ReadCheckpoint(Path("damaged")).status();
      ASSERT_FALSE(status.ok()) << at << " ^ " << flip;
      ASSERT_THAT(std::string(status.message()), HasSubstr(Path("damaged")));
    }
  }
}

TEST_F(CheckpointTest, RefusesAnotherModelAndChangesNothing) {
  const Model written(1);
  ASSERT_EQ(WriteCheckpoint(Path("a"), written.graph, StateAt(1), {}),
            absl::OkStatus());
  const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(Path("a"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();

  Model more(5);
  more.graph.State("more", {}, Zeros());
  const std::string before = more.Bytes();
  EXPECT_THAT(std::string(Restore(*checkpoint, more.graph).status().message()),
              AllOf(HasSubstr(Path("a")), HasSubstr("\"more\", found none")));
  EXPECT_EQ(more.Bytes(), before);

  Graph fewer;
  fewer.Parameter("layer1/w", {2, 3}, Zeros());
  EXPECT_THAT(std::string(Restore(*checkpoint, fewer).status().message()),
              HasSubstr("found \"layer1/b\" too"));
  EXPECT_EQ(fewer.Value(fewer.parameters()[0]).values<float>()[0], 0);

  Graph other;
  other.Parameter("layer1/w", {3, 2}, Zeros());
  EXPECT_THAT(std::string(Restore(*checkpoint, other).status().message()),
              HasSubstr("expected [3,2], found [2,3]"));
}

TEST_F(CheckpointTest, WaitsForNoPlanThatRuns) {
  Model model(1);
  const std::string path = Path("checkpoint");
  {
    const Variables::Run running(*model.graph.shared_variables(),
                                 /*writes=*/true);
    EXPECT_EQ(
        WriteCheckpoint(path, model.graph, StateAt(1), {}),
        absl::FailedPreconditionError(absl::StrCat(
            path, ": cannot be written while a plan of the graph is running")));
    EXPECT_FALSE(fs::exists(path));
  }
  ASSERT_TRUE(WriteCheckpoint(path, model.graph, StateAt(1), {}).ok());
  const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(path);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  Model other(2);
  const std::string before = other.Bytes();
  {
    const Variables::Run running(*other.graph.shared_variables(),
                                 /*writes=*/false);
    EXPECT_EQ(Restore(*checkpoint, other.graph).status(),
              absl::FailedPreconditionError(absl::StrCat(
                  path,
                  ": cannot be restored while a plan of the graph is "
                  "running")));
    EXPECT_EQ(other.Bytes(), before);
  }
  EXPECT_TRUE(Restore(*checkpoint, other.graph).ok());
  EXPECT_EQ(other.Bytes(), model.Bytes());
}

TEST_F(CheckpointTest, RefusesAFileThatIsNoCheckpoint) {
  ASSERT_EQ(WriteSafetensors(Path("weights"), {}), absl::OkStatus());
  EXPECT_THAT(std::string(ReadCheckpoint(Path("weights")).status().message()),
              HasSubstr("expected a checkpoint, found no array \"@state\""));
}

TEST_F(CheckpointTest, FolderKeepsTheNewestAndFindsThem) {
  CheckpointFolder checkpoints(Path("checkpoints"), 2);
  std::vector<absl::Status> damaged;
  absl::StatusOr<std::optional<Checkpoint>> found = checkpoints.Newest(damaged);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_FALSE(found->has_value());

  const Model model(1);
  for (const int64_t step : {5, 20, 900, 1000}) {
    ASSERT_EQ(checkpoints.Save(model.graph, StateAt(step), {{"by", "me"}}),
              absl::OkStatus());
  }
  found = checkpoints.Newest(damaged);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->state.step, 1000);
  EXPECT_NE((*found)->file.FindMetadata("by"), nullptr);
  for (const int64_t most_steps : {900, 999}) {
    found = checkpoints.Newest(damaged, most_steps);
    ASSERT_TRUE(found.ok() && found->has_value());
    EXPECT_EQ((*found)->state.step, 900);
  }
  found = checkpoints.Newest(damaged, 899);
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->has_value());
  EXPECT_TRUE(damaged.empty());

  ASSERT_EQ(checkpoints.RemoveAfter(900), absl::OkStatus());
  found = checkpoints.Newest(damaged);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->state.step, 900);
}

TEST_F(CheckpointTest, FolderKeepsTheOnesToGoBackTo) {
  const std::string folder = Path("checkpoints");
  const auto by_tens = [](int64_t step) { return step % 10 == 0; };
  const Model model(1);
  const auto steps = [&] {
    std::vector<int64_t> all;
    for (int64_t step = 0; step < 100; ++step) {
      const std::string name =
          absl::StrCat("/step-0000000000", step < 10 ? "0" : "", step);
      if (fs::exists(folder + name + ".safetensors")) all.push_back(step);
    }
    return all;
  };
  CheckpointFolder checkpoints(folder, 2);
  checkpoints.KeepForGoingBack(by_tens);
  for (const int64_t step : {0, 10, 20, 30, 33, 36, 40, 41}) {
    ASSERT_EQ(checkpoints.Save(model.graph, StateAt(step), {}),
              absl::OkStatus());
  }
  EXPECT_EQ(steps(), (std::vector<int64_t>{0, 30, 40, 41}));
  std::vector<absl::Status> damaged;
  const auto back_to = [&](int64_t most, std::vector<int64_t> not_good) {
    const auto found = checkpoints.NewestGood(damaged, most, not_good);
    return found.ok() && found->has_value() ? (*found)->state.step : -1;
  };
  EXPECT_EQ(back_to(50, {}), 40);
  EXPECT_EQ(back_to(39, {}), 30);
  EXPECT_EQ(back_to(50, {40}), 30);
  // In the end to the start, be it as it may.
  EXPECT_EQ(back_to(50, {0, 30, 40}), 0);
  EXPECT_EQ(back_to(-1, {}), 0);
  // One more than are kept, of a process that was killed while it saved.
  fs::copy(folder + "/step-000000000030.safetensors",
           folder + "/step-000000000020.safetensors");
  EXPECT_EQ(back_to(50, {30, 40}), 0);
  // A damaged one is passed over.
  WriteText(folder + "/step-000000000040.safetensors", "damaged");
  EXPECT_EQ(back_to(50, {}), 30);
  EXPECT_EQ(damaged.size(), 1u);
}

TEST_F(CheckpointTest, FolderLeavesFilesOfOtherNames) {
  const std::string folder = Path("checkpoints");
  CheckpointFolder checkpoints(folder, 1);
  const Model model(1);
  ASSERT_EQ(checkpoints.Save(model.graph, StateAt(1), {}), absl::OkStatus());
  std::set<std::string> copies;
  for (const char* number : {"5", " 5", "+00000000005", "-000000000005", "-5",
                             "0000000000005", "copy"}) {
    copies.insert(WriteText(
        absl::StrCat(folder, "/step-", number, ".safetensors"), "MINE"));
  }
  ASSERT_EQ(checkpoints.Save(model.graph, StateAt(9), {}), absl::OkStatus());
  EXPECT_EQ(checkpoints.RemoveAfter(-10), absl::OkStatus());
  for (const std::string& copy : copies) EXPECT_EQ(ReadText(copy), "MINE");
  std::vector<absl::Status> damaged;
  const auto newest = checkpoints.Newest(damaged);
  ASSERT_TRUE(newest.ok()) << newest.status();
  EXPECT_FALSE(newest->has_value());
  EXPECT_TRUE(damaged.empty());
}

TEST_F(CheckpointTest, FolderNamesWhatIsDamagedAndTakesTheOneBefore) {
  CheckpointFolder checkpoints(Path("checkpoints"), 3);
  const Model model(1);
  for (const int64_t step : {1, 2, 3}) {
    ASSERT_EQ(checkpoints.Save(model.graph, StateAt(step), {}),
              absl::OkStatus());
  }
  const std::string newest = Path("checkpoints/step-000000000003.safetensors");
  const std::string bytes = ReadText(newest);
  WriteText(newest, bytes.substr(0, bytes.size() / 2));
  std::vector<absl::Status> damaged;
  const absl::StatusOr<std::optional<Checkpoint>> found =
      checkpoints.Newest(damaged);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->state.step, 2);
  ASSERT_EQ(damaged.size(), 1u);
  EXPECT_THAT(std::string(damaged[0].message()), HasSubstr(newest));
}

TEST_F(CheckpointTest, FolderKeepsWhatItSavesBesideLaterDamagedOnes) {
  const std::string folder = Path("checkpoints");
  const Model model(1);
  ASSERT_EQ(CheckpointFolder(folder, 1).Save(model.graph, StateAt(100), {}),
            absl::OkStatus());
  WriteText(folder + "/step-000000000100.safetensors", "damaged");
  CheckpointFolder checkpoints(folder, 1);
  for (const int64_t step : {90, 95}) {
    ASSERT_EQ(checkpoints.Save(model.graph, StateAt(step), {}),
              absl::OkStatus());
    std::vector<absl::Status> damaged;
    absl::StatusOr<std::optional<Checkpoint>> found =
        checkpoints.Newest(damaged);
    ASSERT_TRUE(found.ok() && found->has_value());
    EXPECT_EQ((*found)->state.step, step);
    EXPECT_EQ(damaged.size(), 1u);
    found = checkpoints.Newest(damaged, step - 1);
    ASSERT_TRUE(found.ok());
    EXPECT_FALSE(found->has_value());
  }
}

TEST_F(CheckpointTest, IsOnTheDiskBeforeItHasItsNameAndAnotherOneGoes) {
  const std::string folder = Path("checkpoints");
  const Model model(1);
  CheckpointFolder checkpoints(folder, 1);
  ASSERT_EQ(checkpoints.Save(model.graph, StateAt(1), {}), absl::OkStatus());
  FailingSystem watched(Failure::kBrokenDisk, 0);
  ASSERT_EQ(checkpoints.Save(model.graph, StateAt(2), {}), absl::OkStatus());
  const std::string path = folder + "/step-000000000002.safetensors";
  // The temporary name is another each time.
  std::vector<std::string> calls = watched.calls();
  for (std::string& call : calls) {
    call = std::regex_replace(call, std::regex("[.]tape-[a-z2-7]{12}$"), "~");
  }
  EXPECT_THAT(
      calls,
      testing::ElementsAre(
          "open " + path + "~", "fsync " + path + "~", "close " + path + "~",
          "rename " + path, "open " + folder + "/", "fsync " + folder + "/",
          "close " + folder + "/",
          "unlink " + folder + "/step-000000000001.safetensors"));
}

// Each call of the system that saving makes fails in turn: a full disk, a disk
// that takes half a write, a broken one.
TEST_F(CheckpointTest, WhateverCallFailsACheckpointIsThere) {
  const Model old_model(1), new_model(2);
  int calls = 0;
  for (const Failure failure :
       {Failure::kNoSpace, Failure::kHalfAWrite, Failure::kBrokenDisk}) {
    for (int call = 1;; ++call) {
      const std::string folder =
          Path(absl::StrCat("of_", static_cast<int>(failure), "_", call));
      CheckpointFolder checkpoints(folder, 1);
      ASSERT_EQ(checkpoints.Save(old_model.graph, StateAt(1), {}),
                absl::OkStatus());
      absl::Status saved;
      bool failed;
      {
        FailingSystem failing(failure, call);
        saved = checkpoints.Save(new_model.graph, StateAt(2), {});
        failed = failing.has_failed();
      }
      if (!failed) {
        EXPECT_EQ(saved, absl::OkStatus());
        break;
      }
      ++calls;
      EXPECT_FALSE(saved.ok()) << call;
      EXPECT_THAT(std::string(saved.message()), HasSubstr(folder));

      std::vector<absl::Status> damaged;
      const absl::StatusOr<std::optional<Checkpoint>> found =
          checkpoints.Newest(damaged);
      ASSERT_TRUE(found.ok()) << found.status();
      ASSERT_TRUE(found->has_value()) << call;
      EXPECT_TRUE(damaged.empty()) << damaged[0];
      Model restored(0);
      ASSERT_TRUE(Restore(**found, restored.graph).ok());
      const bool is_new = (*found)->state.step == 2;
      EXPECT_EQ(restored.Bytes(), (is_new ? new_model : old_model).Bytes());

      // And the next save succeeds.
      ASSERT_EQ(checkpoints.Save(new_model.graph, StateAt(3), {}),
                absl::OkStatus());
    }
  }
  // At least: open, write, fsync, rename, open and fsync of the folder, unlink
  // of the old one.
  EXPECT_GE(calls, 3 * 7 - 3);
}

}  // namespace
}  // namespace tape
