// What train may write, and what it must leave as it is: the program as a
// process.
#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/data/dataset.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"
#include "tests/models/program_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

// 36 pixels, of which some are bright as the class has it.
Dataset StripedImages(int samples) {
  constexpr int kPixels = 36, kClasses = 10;
  std::vector<uint8_t> images;
  std::vector<int32_t> labels;
  for (int i = 0; i < samples; ++i) {
    labels.push_back(i % kClasses);
    for (int pixel = 0; pixel < kPixels; ++pixel) {
      const int noise = (i * 37 + pixel * 101) % 97;
      images.push_back(pixel / 3 == i % kClasses ? 128 + noise : noise);
    }
  }
  return {.images = Tensor({samples, kPixels}, images),
          .labels = Tensor({samples}, labels),
          .classes = kClasses};
}

fs::path NewFolder(const std::string& name) {
  const fs::path path = fs::path(testing::TempDir()) / name;
  fs::remove_all(path);
  return path;
}

// The folder of a small data set, made once.
const std::string& DataFolder() {
  static const auto* const folder = [] {
    const fs::path path = NewFolder("data");
    fs::create_directories(path);
    for (const auto& [name, samples] :
         {std::pair("train", 300), std::pair("t10k", 50)}) {
      const fs::path stem = path / name;
      EXPECT_TRUE(WriteIdxDataset(StripedImages(samples),
                                  stem.string() + "-images-idx3-ubyte",
                                  stem.string() + "-labels-idx1-ubyte")
                      .ok());
    }
    return new std::string(path.string());
  }();
  return *folder;
}

using Arguments = std::vector<std::string>;

constexpr char kExperiment[] = "--experiment=fashion_40_leaky";

Outcome Train(const fs::path& run, std::vector<std::string> arguments,
              ProcessOptions options = {}) {
  arguments.insert(arguments.end(),
                   {"--data_dir=" + DataFolder(), "--run_dir=" + run.string(),
                    "--nohtml_report", "--threads=1"});
  return RunProgram("models/train", std::move(arguments), std::move(options));
}

// ---- Results of a longer run ----

TEST(TrainFilesTest, AShorterRunDoesNotReplaceALongerOnesResults) {
  const fs::path run = NewFolder("shorter");
  ASSERT_EQ(Train(run, {kExperiment, "--epochs=2"}).exit_code, 0);
  const Outcome longer =
      Train(run, {"--resume", "--epochs=4", "--checkpoint_every=never"});
  ASSERT_EQ(longer.exit_code, 0) << longer.err;
  const std::string model = ReadText(run / "model.safetensors");
  const std::string metrics = ReadText(run / "metrics.csv");
  ExpectOneLineOfError(
      Train(run, {"--resume"}),
      {absl::StrCat("--resume: ", (run / "summary.json").string(),
                    ": expected the result of at most 2 epochs, to which the "
                    "run would go on, found that of 4; --epochs=4 goes on to "
                    "these")});
  fs::remove(run / "summary.json");
  ExpectOneLineOfError(
      Train(run, {"--resume", "--epochs=3"}),
      {(run / "model.safetensors").string(), "at most 3", "found that of 4"});
  EXPECT_EQ(ReadText(run / "model.safetensors"), model);
  EXPECT_EQ(ReadText(run / "metrics.csv"), metrics);

  const Outcome predicted =
      RunProgram("models/predict",
                 {"--checkpoint=" + run.string(),
                  "--images=" + DataFolder() + "/t10k-images-idx3-ubyte"});
  EXPECT_EQ(predicted.exit_code, 0) << predicted.err;
  EXPECT_THAT(predicted.err, HasSubstr("of the finished run of 4 epochs; its "
                                       "newest checkpoint is an older one, of "
                                       "step "));

  EXPECT_EQ(Train(run, {"--resume", "--epochs=4"}).exit_code, 0);
  EXPECT_EQ(ReadText(run / "model.safetensors"), model);
}

TEST(TrainFilesTest, ALongerRunKilledBeforeItsNextCheckpointStaysLonger) {
  const fs::path run = NewFolder("killed_longer");
  ASSERT_EQ(Train(run, {kExperiment, "--epochs=1"}).exit_code, 0);
  const std::string metrics = ReadText(run / "metrics.csv");
  const Outcome killed = Train(
      run, {"--resume", "--epochs=100000", "--checkpoint_every=1000000epochs"},
      {.meanwhile = [&](pid_t process) {
        while (ReadText(run / "metrics.csv") == metrics) {
        }
        kill(process, SIGKILL);
      }});
  ASSERT_EQ(killed.exit_code, -SIGKILL);
  const Outcome resumed = Train(
      run, {"--resume"}, {.signals_at = {{.signal = SIGTERM, .call = 500}}});
  EXPECT_THAT(resumed.out, HasSubstr("100000 epochs"));
}

TEST(TrainFilesTest, InterruptedWithoutNewCheckpointsItSaysWhereItGoesOn) {
  const fs::path run = NewFolder("never");
  ASSERT_EQ(Train(run, {kExperiment, "--epochs=1"}).exit_code, 0);
  const Outcome outcome =
      Train(run, {"--resume", "--epochs=100000", "--checkpoint_every=never"},
            {.signals_at = {{.signal = SIGTERM, .call = 2000}}});
  EXPECT_EQ(outcome.exit_code, 128 + SIGTERM) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("; without newer checkpoints --resume "
                                     "goes on after step "));
  EXPECT_THAT(outcome.out, Not(HasSubstr("cannot go on")));
}

// ---- Exit codes ----

TEST(TrainFilesTest, AModelOfZerosIsOfNoUse) {
  const Outcome outcome =
      RunProgram("models/train", {"--experiment=fashion_mlp", "--epochs=1",
                                  "--data_dir=" + DataFolder(), "--threads=1",
                                  "--proximal_l1=1e30"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.out;
  EXPECT_EQ(outcome.err,
            "all weights are 0: the model is of no use; a smaller "
            "--proximal_l1 may help\n");
}

TEST(TrainFilesTest, HelpThatCannotBePrintedIsAnError) {
  const int code = std::system("models/train --help > /dev/full 2> /dev/null");
  EXPECT_EQ(WEXITSTATUS(code), 1);
}

// ---- Flags ----

TEST(TrainFilesTest, AnEmptyValueIsNotTakenForNone) {
  for (const std::string flag :
       {"run_dir", "profile", "epochs", "data_dir", "experiment"}) {
    const std::string expected =
        absl::StrCat("--", flag, ": expected a value, found nothing\n");
    for (const Arguments& arguments :
         {Arguments{"--" + flag + "="}, Arguments{"-" + flag + "="},
          Arguments{"--" + flag, ""}}) {
      const Outcome outcome = RunProgram("models/train", arguments);
      EXPECT_EQ(outcome.exit_code, 1);
      EXPECT_EQ(outcome.err, expected);
    }
  }
}

TEST(TrainFilesTest, PrintsItsVersion) {
  const Outcome outcome = RunProgram("models/train", {"--version"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, testing::MatchesRegex("Tape [0-9.]+\n"));
}

TEST(TrainFilesTest, NamesTheFlagOfAShareThatCannotBeSplitOff) {
  for (const char* share : {"0.9999", "1e-09"}) {
    ExpectOneLineOfError(
        RunProgram("models/train", {kExperiment, "--data_dir=" + DataFolder(),
                                    absl::StrCat("--validation=", share)}),
        {absl::StrCat("--validation: expected a share that can be split off, "
                      "found ",
                      share, ": ")});
  }
}

// ---- What cannot be replaced ----

TEST(TrainFilesTest, SaysBeforeTheTrainingWhatItCannotReplaceAtItsEnd) {
  const fs::path finished = NewFolder("replaced");
  ASSERT_EQ(RunProgram("models/train",
                       {kExperiment, "--epochs=1", "--data_dir=" + DataFolder(),
                        "--run_dir=" + finished.string(), "--threads=1"})
                .exit_code,
            0);
  const auto expect = [&](const std::string& name, auto spoil,
                          const std::string& message) {
    SCOPED_TRACE(name);
    const fs::path run = NewFolder("cannot_replace");
    fs::copy(finished, run, fs::copy_options::recursive);
    spoil(run / name);
    const std::string metrics = ReadText(run / "metrics.csv");
    ExpectOneLineOfError(
        RunProgram("models/train",
                   {"--resume", "--epochs=3", "--data_dir=" + DataFolder(),
                    "--run_dir=" + run.string(), "--threads=1"}),
        {(run / name).string() + message});
    EXPECT_EQ(ReadText(run / "metrics.csv"), metrics);
  };
  const auto link = [&](const fs::path& path) {
    fs::remove(path);
    fs::create_symlink(finished / path.filename(), path);
  };
  const auto folder = [](const fs::path& path) {
    fs::remove_all(path);
    fs::create_directory(path);
  };
  const auto file = [](const fs::path& path) {
    fs::remove_all(path);
    WriteText(path, "MINE");
  };
  const std::string none = ": expected a regular file, or none yet, to write, ";
  expect("model.safetensors", link, none + "found a symbolic link");
  expect("summary.json", link, none + "found a symbolic link");
  expect("report.html", folder, none + "found a folder");
  expect("pictures/loss.svg", folder, none + "found a folder");
  expect("pictures", file, ": expected a folder, found a file");
}

// ---- The trace ----

// As text; empty unless it is a whole trace.
std::string EventsOf(const fs::path& trace) {
  const std::string text = ReadText(trace);
  const bool whole =
      absl::StrContains(text, "\"ph\":\"X\"") && absl::EndsWith(text, "\n]}\n");
  return whole ? text : "";
}

TEST(TrainFilesTest, ATraceHasTheStepsOfARunThatDidNotFinish) {
  const fs::path trace = NewFolder("steps.json");
  const Arguments arguments = {kExperiment, "--data_dir=" + DataFolder(),
                               "--epochs=100000", "--threads=1",
                               "--profile=" + trace.string()};
  const Outcome interrupted =
      RunProgram("models/train", arguments,
                 {.signals_at = {{.signal = SIGTERM, .call = 2000}}});
  EXPECT_EQ(interrupted.exit_code, 128 + SIGTERM) << interrupted.err;
  const std::string first = EventsOf(trace);
  EXPECT_NE(first, "");
  Arguments diverging = arguments;
  diverging.push_back("--learning_rate=1e30");
  const Outcome diverged = RunProgram("models/train", diverging);
  EXPECT_THAT(diverged.err, HasSubstr("has diverged"));
  EXPECT_EQ(diverged.exit_code, 1);
  const std::string second = EventsOf(trace);
  EXPECT_NE(second, "");
  EXPECT_NE(second, first);
  // While a run goes on, it stays.
  const Outcome killed =
      RunProgram("models/train", arguments,
                 {.signals_at = {{.signal = SIGKILL, .call = 2000}}});
  EXPECT_EQ(killed.exit_code, -SIGKILL);
  EXPECT_EQ(ReadText(trace), second);
}

// ---- Outputs in the folder of a run ----

// Programs run in `folder` while it lives.
class RunIn {
 public:
  explicit RunIn(const fs::path& folder) {
    fs::create_directories(folder);
    setenv("BUILD_WORKING_DIRECTORY", folder.c_str(), /*overwrite=*/1);
  }
  ~RunIn() { unsetenv("BUILD_WORKING_DIRECTORY"); }
};

TEST(TrainFilesTest, KnowsTheRunsFilesFromWithinItsFolder) {
  const fs::path run = NewFolder("within");
  const RunIn in(run);
  for (const std::string name :
       {"summary.json", "report.html", "model.safetensors", "metrics.csv",
        "checkpoints", "pictures/trace.json"}) {
    for (const std::string& folder : {std::string("."), run.string()}) {
      ExpectOneLineOfError(
          Train(folder, {kExperiment, "--epochs=1", "--profile=" + name}),
          {"--profile: expected a file that the run itself does not write, "
           "found " +
           name});
    }
  }
  EXPECT_TRUE(fs::is_empty(run));
}

TEST(TrainFilesTest, CompareKnowsARunFromWithinItsFolder) {
  const fs::path run = NewFolder("compared");
  ASSERT_EQ(Train(run, {kExperiment, "--epochs=1"}).exit_code, 0);
  const RunIn in(run);
  for (const std::string output :
       {"report.html", "pictures", "new/page.html"}) {
    for (const char* const folder : {".", "../compared", "../compared/"}) {
      ExpectOneLineOfError(
          RunProgram("models/compare", {folder, "--output=" + output}),
          {"--output: expected a file outside of the run ", folder,
           "found " + output});
    }
    EXPECT_FALSE(fs::exists(run / output));
  }
}

}  // namespace
}  // namespace tape
