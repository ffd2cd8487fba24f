// Runs that are killed, interrupted, or find their files damaged, and go on:
// the program train as a process.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "framework/io/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"
#include "tests/models/program_testing.h"
#include "tests/models/run_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

Outcome Train(const fs::path& run, std::vector<std::string> arguments,
              ProcessOptions options = {}) {
  arguments.insert(arguments.end(), {"--data_dir=" + SmallDataFolder(),
                                     "--run_dir=" + run.string(),
                                     "--nohtml_report", "--threads=1"});
  return RunProgram("models/train", std::move(arguments), std::move(options));
}

std::vector<std::string> With(std::vector<std::string> arguments,
                              const std::string& argument) {
  arguments.push_back(argument);
  return arguments;
}

using Arguments = std::vector<std::string>;

// Settings that between them have every kind of state: moments and a falling
// rate, also after the last step of an epoch; momentum, reports and short last
// batches; batches drawn afresh; a validation set and the best model kept; a
// watch that skips steps, and one that goes back; one checkpoint kept; and every
// experiment.
std::vector<Arguments> Runs() {
  std::vector<Arguments> runs = {
      {"--experiment=fashion_mlp", "--batch_size=20", "--epochs=4",
       "--checkpoint_every=6steps"},
      {"--experiment=mnist_256_128_momentum", "--batch_size=35", "--epochs=5",
       "--l1=0.001", "--checkpoint_every=13steps"},
      {"--experiment=mnist_500_250_100_relu", "--batch_size=50", "--epochs=4",
       "--checkpoint_every=1epoch", "--keep_checkpoints=1"},
      {"--experiment=mnist_h100_fast", "--batch_size=17", "--epochs=6",
       "--checkpoint_every=11steps", "--tensorboard", "--jsonl"},
      {"--experiment=fashion_40_leaky_b128", "--batch_size=8", "--epochs=4",
       "--learning_rate=0.05", "--on_divergence=skip",
       "--checkpoint_every=0.01s"},
      {"--experiment=fashion_40_leaky", "--epochs=8", "--learning_rate=50",
       "--on_divergence=go_back", "--checkpoint_every=3steps",
       "--keep_checkpoints=1"}};
  const Outcome list = RunProgram("models/train", {"--list"});
  for (absl::string_view line : absl::StrSplit(list.out, '\n')) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.size() < 2) continue;
    runs.push_back({absl::StrCat("--experiment=", words[0]), "--epochs=3",
                    "--batch_size=40", "--checkpoint_every=5steps"});
    if (words[1] != "own") {
      runs.back().push_back(absl::StrCat("--variant=", words[1]));
    }
  }
  return runs;
}

// How often each of the Runs is ended by a signal: twice, or as the environment
// says.
int EndsOfEach() {
  const char* const asked = std::getenv("RESUME_ENDS_OF_EACH");
  return asked == nullptr ? 2 : std::atoi(asked);
}

// A moment of a run that makes so many calls. What SIGKILL leaves differs by the
// files alone.
SignalAt Sometime(int signal, const Calls& calls, std::mt19937& random) {
  const bool files = signal == SIGKILL;
  const int64_t last = files ? calls.files : calls.all;
  return {.signal = signal,
          .call = std::uniform_int_distribution<int64_t>(1, last)(random),
          .calls = files ? SignalAt::kFiles : SignalAt::kAll};
}

TEST(ResumeProgramTest, EndedAtAnyMomentItGoesOnToTheSameBits) {
  constexpr int kSignals[] = {SIGKILL, SIGTERM, SIGINT};
  const std::vector<Arguments> runs = Runs();
  ASSERT_GT(runs.size(), 50u);
  std::mt19937 random(20261121);
  int ends = 0;
  std::map<int, int> ended_by, interrupted_by;
  int had_to_start = 0, ended_twice = 0;
  for (const Arguments& arguments : runs) {
    SCOPED_TRACE(absl::StrJoin(arguments, " "));
    const fs::path whole = NewFolder("whole");
    Calls calls;
    const Outcome outcome = Train(whole, arguments, {.calls = &calls});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const Left expected(whole);
    ASSERT_FALSE(expected.arrays.empty());
    ASSERT_FALSE(expected.model.empty());
    for (int of_this = 0; of_this < EndsOfEach(); ++of_this) {
      const int number = kSignals[ends++ % 3];
      const fs::path run = NewFolder("ended");
      const auto end_sometime = [&](const Arguments& with) {
        const SignalAt at = Sometime(number, calls, random);
        SCOPED_TRACE(absl::StrCat("signal ", number, " at call ", at.call));
        const int code = Train(run, with, {.signals_at = {at}}).exit_code;
        // The signal may come before or after the training, or never, where the
        // number of calls depends on the clock.
        EXPECT_TRUE(code == -number || code == 128 + number || code == 0)
            << code;
        ended_by[number] += code == -number;
        interrupted_by[number] += code == 128 + number;
        return code != 0;
      };
      end_sometime(arguments);
      const Arguments resume = With(arguments, "--resume");
      if (ends % 4 == 0) ended_twice += end_sometime(resume);
      const Outcome last = Train(run, resume);
      ASSERT_EQ(last.exit_code, 0) << last.err;
      had_to_start += absl::StrContains(last.out, "from the start");
      // Nothing was damaged, and so nothing is said.
      if (outcome.err.empty()) {
        EXPECT_EQ(last.err, "");
      }
      EXPECT_THAT(last.err, Not(HasSubstr("damaged")));
      const Left left(run);
      ASSERT_EQ(left.metrics, expected.metrics);
      ASSERT_TRUE(left == expected);
    }
  }
  std::printf(
      "%d ends: %d by SIGKILL, %d and %d interruptions by SIGTERM and "
      "SIGINT; %d twice; %d had to start again\n",
      ends, ended_by[SIGKILL], interrupted_by[SIGTERM], interrupted_by[SIGINT],
      ended_twice, had_to_start);
  // Most of them met a run under way.
  EXPECT_GT(ended_by[SIGKILL], ends / 4);
  EXPECT_GT(interrupted_by[SIGTERM], ends / 6);
  EXPECT_GT(interrupted_by[SIGINT], ends / 6);
  EXPECT_GT(ended_twice, ends / 8);
  EXPECT_LT(had_to_start, ends / 2);
}

// Sends a signal once the run has written its first figures.
auto OnceItRuns(const fs::path& run, std::vector<int> signals) {
  return [=](pid_t process) {
    while (!fs::exists(run / "metrics.csv")) SleepFor(0.002);
    for (const int number : signals) kill(process, number);
  };
}

const std::vector<std::string> kLong = {"--experiment=fashion_mlp",
                                        "--batch_size=20", "--epochs=100000",
                                        "--checkpoint_every=1000epochs"};

TEST(ResumeProgramTest, InterruptedItSavesAndLeavesAndGoesOn) {
  for (const int number : {SIGINT, SIGTERM}) {
    const fs::path run = NewFolder(absl::StrCat("signal_", number));
    const Outcome outcome =
        Train(run, kLong, {.meanwhile = OnceItRuns(run, {number})});
    EXPECT_EQ(outcome.exit_code, 128 + number) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    EXPECT_THAT(outcome.out, AllOf(HasSubstr("interrupted after step "),
                                   HasSubstr("--resume goes on from there")));
    EXPECT_FALSE(fs::exists(run / "summary.json"));
    EXPECT_FALSE(fs::exists(run / "model.safetensors"));

    // It goes on where it was: two epochs more, then it is interrupted again.
    const std::string before = ReadText(run / "metrics.csv");
    const Outcome resumed = Train(
        run, {"--resume"}, {.meanwhile = [&](pid_t process) {
          while (ReadText(run / "metrics.csv").size() < before.size() + 100) {
            SleepFor(0.002);
          }
          kill(process, number);
        }});
    EXPECT_EQ(resumed.exit_code, 128 + number) << resumed.err;
    EXPECT_THAT(resumed.out, HasSubstr("going on after step "));
    EXPECT_TRUE(absl::StartsWith(ReadText(run / "metrics.csv"), before));
  }
}

TEST(ResumeProgramTest, ASecondSignalEndsItAtOnce) {
  const fs::path run = NewFolder("two_signals");
  // The second one comes while the first one's checkpoint is written.
  EXPECT_EQ(Train(run, kLong,
                  {.signals_at = {{.signal = SIGINT, .call = 500},
                                  {.signal = SIGTERM,
                                   .call = 1,
                                   .calls = SignalAt::kFiles,
                                   .and_end = true}}})
                .exit_code,
            -SIGTERM);
  const Outcome outcome = Train(
      run, {"--resume"}, {.signals_at = {{.signal = SIGINT, .call = 500}}});
  EXPECT_EQ(outcome.exit_code, 128 + SIGINT);
  EXPECT_EQ(outcome.err, "");
}

TEST(ResumeProgramTest, InterruptedWithoutAFolderItSaysSo) {
  const Outcome outcome =
      RunProgram("models/train",
                 {"--experiment=fashion_mlp", "--epochs=100000",
                  "--data_dir=" + SmallDataFolder()},
                 {.signals_at = {{.signal = SIGTERM, .call = 500}}});
  EXPECT_EQ(outcome.exit_code, 128 + SIGTERM);
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(
      outcome.out,
      AllOf(HasSubstr("interrupted after step "),
            HasSubstr("without checkpoints in a --run_dir it cannot go on")));
}

TEST(ResumeProgramTest, GoesOnForLongerAndSaysWhereFrom) {
  const fs::path run = NewFolder("longer");
  const std::vector<std::string> arguments = {"--experiment=fashion_40_leaky",
                                              "--epochs=2", "--seed=5"};
  ASSERT_EQ(Train(run, arguments).exit_code, 0);
  const std::string two = MetricsOf(run);
  const Outcome outcome = Train(run, {"--resume", "--epochs=4"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("fashion_40_leaky"),
                                 HasSubstr("seed 5, 4 epochs"),
                                 HasSubstr("going on after step 38")));
  const fs::path at_once = NewFolder("at_once");
  ASSERT_EQ(Train(at_once,
                  {"--experiment=fashion_40_leaky", "--epochs=4", "--seed=5"})
                .exit_code,
            0);
  EXPECT_TRUE(Left(run) == Left(at_once));
  EXPECT_TRUE(
      absl::StartsWith(MetricsOf(at_once), two.substr(0, two.size() - 2)));
}

TEST(ResumeProgramTest, NamesADamagedCheckpointAndTakesTheOneBefore) {
  const fs::path run = NewFolder("damaged");
  const std::vector<std::string> arguments = {
      "--experiment=fashion_40_leaky", "--epochs=3",
      "--checkpoint_every=1epoch", "--keep_checkpoints=2"};
  ASSERT_EQ(Train(run, arguments).exit_code, 0);
  EXPECT_EQ(std::distance(fs::directory_iterator(run / "checkpoints"), {}), 2);
  const Left expected(run);
  const fs::path newest = run / "checkpoints" / expected.arrays.at("@path");
  std::string bytes = ReadText(newest);
  bytes[bytes.size() - 3] ^= 1;
  WriteText(newest, bytes);
  const Outcome outcome = Train(run, {"--resume", "--checkpoint_every=1epoch"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr(newest.string()));
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
  EXPECT_TRUE(Left(run) == expected);

  // With all of them damaged it does not start over.
  for (const auto& entry : fs::directory_iterator(run / "checkpoints")) {
    WriteText(entry.path(), "damaged");
  }
  const Outcome refused = Train(run, {"--resume"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("found damaged ones only"));
  EXPECT_TRUE(fs::exists(run / "metrics.csv"));
}

TEST(ResumeProgramTest, RefusesWhatContradictsTheRun) {
  const fs::path run = NewFolder("contradicted");
  ASSERT_EQ(
      Train(run, {"--experiment=fashion_40_leaky", "--epochs=1"}).exit_code, 0);
  const Left before(run);
  ExpectOneLineOfError(Train(run, {"--resume", "--seed=3"}),
                       {"expected seed 0, as the run began, found 3"});
  ExpectOneLineOfError(Train(run, {"--resume", "--learning_rate=1"}),
                       {"expected learning_rate 1e-04", "found 1"});
  ExpectOneLineOfError(
      Train(run, {"--resume", "--experiment=fashion_mlp"}),
      {"--experiment: expected fashion_40_leaky", "found fashion_mlp"});
  ExpectOneLineOfError(Train(run, {"--experiment=fashion_40_leaky"}),
                       {run.string(), "already holds a run", "--resume"});
  // Other data, and none.
  const fs::path data = NewFolder("other_data");
  fs::copy(SmallDataFolder(), data);
  const fs::path labels = data / "train-labels-idx1-ubyte";
  std::string bytes = ReadText(labels);
  bytes.back() = bytes.back() == 0 ? 1 : 0;
  WriteText(labels, bytes);
  ExpectOneLineOfError(
      RunProgram("models/train", {"--resume", "--run_dir=" + run.string(),
                                  "--data_dir=" + data.string()}),
      {"expected train_data 600 samples, CRC-32C "});
  fs::remove(labels);
  ExpectOneLineOfError(
      RunProgram("models/train", {"--resume", "--run_dir=" + run.string(),
                                  "--data_dir=" + data.string()}),
      {"train-labels-idx1-ubyte"});
  EXPECT_TRUE(Left(run) == before);
}

TEST(ResumeProgramTest, RefusesWrongFlags) {
  const fs::path run = NewFolder("wrong_flags");
  ExpectOneLineOfError(RunProgram("models/train", {"--resume"}),
                       {"--resume: expected a --run_dir"});
  for (const char* text : {"0steps", "5", "-1s", "often", "1.5steps"}) {
    ExpectOneLineOfError(
        Train(run, {absl::StrCat("--checkpoint_every=", text)}),
        {"--checkpoint_every: expected such as 500steps, 2epochs or 60s"});
  }
  ExpectOneLineOfError(Train(run, {"--keep_checkpoints=0"}),
                       {"--keep_checkpoints: expected at least 1, found 0"});
  ExpectOneLineOfError(Train(run, {"--on_divergence=panic"}),
                       {"--on_divergence: expected stop, skip, go_back"});
  ExpectOneLineOfError(
      Train(run, {"--on_divergence=go_back", "--checkpoint_every=never"}),
      {"--on_divergence: expected a --run_dir with checkpoints"});
  EXPECT_FALSE(fs::exists(run));
}

TEST(ResumeProgramTest, KeepsItsWayOutOfADivergenceUnlessAskedForAnother) {
  const fs::path run = NewFolder("goes_on");
  const std::vector<std::string> wild = {
      "--experiment=fashion_40_leaky", "--epochs=2", "--learning_rate=50",
      "--on_divergence=go_on", "--checkpoint_every=10steps"};
  // It comes to its end, with a model of no use.
  ASSERT_EQ(Train(run, With(wild, "--keep_checkpoints=9")).exit_code, 1);
  const Left expected(run);
  // Back to its start.
  for (const char* name : {"10", "20", "30", "38"}) {
    fs::remove(run / "checkpoints" /
               absl::StrCat("step-0000000000", name, ".safetensors"));
  }
  const Outcome stopped = Train(run, {"--resume", "--on_divergence=stop"});
  EXPECT_EQ(stopped.exit_code, 1);
  EXPECT_THAT(stopped.err, HasSubstr("the run has diverged"));
  // What it ended with stays until something takes its place.
  EXPECT_EQ(ReadText(run / "model.safetensors"), expected.model);
  EXPECT_TRUE(fs::exists(run / "summary.json"));
  ASSERT_EQ(Train(run, {"--resume", "--on_divergence=go_on",
                        "--checkpoint_every=10steps"})
                .exit_code,
            1);
  EXPECT_EQ(Left(run).metrics, expected.metrics);
  EXPECT_TRUE(LastArrays(run) == expected.arrays);
}

TEST(ResumeProgramTest, RefusesFewerEpochsThanItHasBegun) {
  const fs::path run = NewFolder("fewer");
  ASSERT_EQ(
      Train(run, {"--experiment=fashion_40_leaky", "--epochs=3"}).exit_code, 0);
  const Left before(run);
  ExpectOneLineOfError(
      Train(run, {"--resume", "--epochs=2"}),
      {"--epochs: expected at least the 3 that the run has begun, found 2"});
  EXPECT_TRUE(Left(run) == before);
}

TEST(ResumeProgramTest, RemovesWhatAKilledSaveHasLeft) {
  const fs::path run = NewFolder("unfinished");
  ASSERT_EQ(
      Train(run, {"--experiment=fashion_40_leaky", "--epochs=1"}).exit_code, 0);
  const fs::path left =
      run / "checkpoints" / "step-000000000007.safetensors.tape-abcdefghij27";
  const fs::path mine =
      run / "checkpoints" / "step-000000000007.safetensors.temporary";
  const fs::path half_a_summary = run / "summary.json.tape-abcdefghij27";
  for (const fs::path& path : {left, mine, half_a_summary}) {
    WriteText(path, "half");
  }
  ASSERT_EQ(Train(run, {"--resume"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(left));
  EXPECT_FALSE(fs::exists(half_a_summary));
  EXPECT_EQ(ReadText(mine), "half");
}

TEST(ResumeProgramTest, AFinishedModelStaysUntilItsSuccessorTakesItsName) {
  const fs::path run = NewFolder("much_longer");
  ASSERT_EQ(
      Train(run, {"--experiment=fashion_40_leaky", "--epochs=2"}).exit_code, 0);
  const std::string model = ReadText(run / "model.safetensors");
  const std::string summary = ReadText(run / "summary.json");
  const std::string metrics = ReadText(run / "metrics.csv");
  // Killed once it has gone on.
  const Outcome killed = Train(
      run, {"--resume", "--epochs=100000", "--checkpoint_every=1epoch"},
      {.meanwhile = [&](pid_t process) {
        while (
            ReadText(run / "metrics.csv").size() < metrics.size() + 500 ||
            fs::exists(run / "checkpoints" / "step-000000000038.safetensors")) {
          SleepFor(0.002);
        }
        kill(process, SIGKILL);
      }});
  ASSERT_EQ(killed.exit_code, -SIGKILL);
  EXPECT_EQ(ReadText(run / "model.safetensors"), model);
  EXPECT_EQ(ReadText(run / "summary.json"), summary);
  EXPECT_TRUE(absl::StartsWith(ReadText(run / "metrics.csv"), metrics));

  // Who reads the run is told which of the two there is.
  const std::string images = SmallDataFolder() + "/t10k-images-idx3-ubyte";
  const Outcome predicted = RunProgram(
      "models/predict", {"--checkpoint=" + run.string(), "--images=" + images});
  EXPECT_EQ(predicted.exit_code, 0) << predicted.err;
  EXPECT_THAT(predicted.err,
              AllOf(HasSubstr((run / "model.safetensors").string()),
                    HasSubstr("of the finished run of 2 epochs; it has gone "
                              "on, to a checkpoint of step ")));
  ExpectOneLineOfError(
      RunProgram("models/compare",
                 {run.string(), absl::StrCat("--output=", testing::TempDir(),
                                             "/half_done.html")}),
      {(run / "summary.json").string(),
       "found that of 2: the run has gone on, and has not ended"});
}

// A longer run is killed at each call that changes files in turn.
TEST(ResumeProgramTest, AFinishedModelIsNeverLost) {
  const fs::path finished = NewFolder("finished");
  ASSERT_EQ(Train(finished, {"--experiment=fashion_40_leaky", "--epochs=1"})
                .exit_code,
            0);
  const std::string first = ReadText(finished / "model.safetensors");
  const Arguments longer = {"--resume", "--epochs=2"};
  const auto copy = [&](const char* name) {
    const fs::path run = NewFolder(name);
    fs::copy(finished, run, fs::copy_options::recursive);
    return run;
  };
  const fs::path whole = copy("longer");
  Calls calls;
  ASSERT_EQ(Train(whole, longer, {.calls = &calls}).exit_code, 0);
  const std::string second = ReadText(whole / "model.safetensors");
  ASSERT_NE(first, second);
  bool had_first = false, had_second = false;
  for (int64_t call = 1; call <= calls.files; ++call) {
    SCOPED_TRACE(call);
    const fs::path run = copy("killed");
    ASSERT_EQ(Train(run, longer,
                    {.signals_at = {{.signal = SIGKILL,
                                     .call = call,
                                     .calls = SignalAt::kFiles}}})
                  .exit_code,
              -SIGKILL);
    const std::string model = ReadText(run / "model.safetensors");
    ASSERT_TRUE(model == first || model == second);
    had_first |= model == first;
    had_second |= model == second;
    // And its summary is there, whole.
    EXPECT_THAT(ReadText(run / "summary.json"), EndsWith("}\n"));
  }
  EXPECT_TRUE(had_first);
  EXPECT_TRUE(had_second);
}

TEST(ResumeProgramTest, AppendsWhereAReaderHasTheFileOpen) {
  const fs::path run = NewFolder("open");
  ASSERT_EQ(Train(run, {"--experiment=fashion_40_leaky", "--epochs=2",
                        "--jsonl", "--tensorboard"})
                .exit_code,
            0);
  WriteText(run / "events.out.tfevents.1900000000.host", "MINE");
  std::map<std::string, std::pair<ino_t, std::string>> before;
  for (const auto& entry : fs::directory_iterator(run)) {
    if (!entry.is_regular_file()) continue;
    struct stat status;
    ASSERT_EQ(stat(entry.path().c_str(), &status), 0);
    before[entry.path().string()] = {status.st_ino, ReadText(entry.path())};
  }
  ASSERT_EQ(Train(run, {"--resume", "--epochs=4"}).exit_code, 0);
  int logs = 0;
  for (const auto& [path, old] : before) {
    const std::string name = fs::path(path).filename().string();
    const bool grows = absl::StartsWith(name, "metrics.");
    if (!grows && !absl::StartsWith(name, "events.")) continue;
    ++logs;
    struct stat status;
    ASSERT_EQ(stat(path.c_str(), &status), 0) << path;
    EXPECT_EQ(status.st_ino, old.first) << path;
    const std::string now = ReadText(path);
    EXPECT_TRUE(absl::StartsWith(now, old.second)) << path;
    EXPECT_EQ(now.size() > old.second.size(), grows) << path;
  }
  EXPECT_EQ(logs, 4);
  int events = 0;
  for (const auto& entry : fs::directory_iterator(run)) {
    events += absl::StartsWith(entry.path().filename().string(), "events.");
  }
  EXPECT_EQ(events, 3);  // Epochs 3 and 4 stand in one of their own.
}

TEST(ResumeProgramTest, DoesNotTakeAResultForARun) {
  const fs::path run = NewFolder("only_a_model");
  fs::create_directories(run);
  WriteText(run / "model.safetensors", "MINE");
  ExpectOneLineOfError(
      Train(run, {"--resume", "--experiment=fashion_40_leaky"}),
      {run.string() + ": expected a run, found only model.safetensors"});
  ExpectOneLineOfError(Train(run, {"--experiment=fashion_40_leaky"}),
                       {"already holds model.safetensors"});
  EXPECT_EQ(ReadText(run / "model.safetensors"), "MINE");
}

TEST(ResumeProgramTest, DoesNotReplaceResultsThatAreNoRuns) {
  const fs::path run = NewFolder("foreign_results");
  ASSERT_EQ(
      Train(run, {"--experiment=fashion_40_leaky", "--epochs=1"}).exit_code, 0);
  WriteText(run / "report.html", "MINE");
  ExpectOneLineOfError(Train(run, {"--resume"}),
                       {"report.html: expected no file yet, or a report of "
                        "train, to write, found another file"});
  fs::remove(run / "report.html");
  fs::create_directory(run / "pictures");
  ExpectOneLineOfError(Train(run, {"--resume"}),
                       {"pictures: expected the pictures of a report"});
  fs::remove(run / "pictures");
  const std::string summary = ReadText(run / "summary.json");
  WriteText(run / "summary.json", "MINE");
  ExpectOneLineOfError(Train(run, {"--resume"}),
                       {"summary.json: expected the summary of a run"});
  EXPECT_EQ(ReadText(run / "summary.json"), "MINE");
  WriteText(run / "summary.json", summary);
  ASSERT_TRUE(
      WriteSafetensors((run / "model.safetensors").string(), {}, {}).ok());
  const std::string mine = ReadText(run / "model.safetensors");
  ExpectOneLineOfError(Train(run, {"--resume"}),
                       {"model.safetensors: expected the model of a run"});
  EXPECT_EQ(ReadText(run / "model.safetensors"), mine);
}

// What no flag sets, and yet the bits depend on.
TEST(ResumeProgramTest, RefusesARunOfAnotherVersionOrSampling) {
  const fs::path run = NewFolder("other_version");
  ASSERT_EQ(
      Train(run, {"--experiment=fashion_40_leaky", "--epochs=1"}).exit_code, 0);
  const std::string newest =
      (run / "checkpoints" / NewestCheckpoint(run)).string();
  absl::StatusOr<SafetensorsFile> file =
      ReadSafetensors(newest, Checksum::kRequired);
  ASSERT_TRUE(file.ok()) << file.status();
  for (const char* key : {"tape", "sampling", "early_stopping"}) {
    Metadata changed = file->metadata;
    int found = 0;
    for (auto& [name, value] : changed) {
      if (name == key) value = "another", ++found;
    }
    ASSERT_EQ(found, 1) << key;
    ASSERT_TRUE(WriteSafetensors(newest, file->arrays, changed).ok());
    ExpectOneLineOfError(
        Train(run, {"--resume"}),
        {absl::StrCat("expected ", key, " another, as the run began")});
  }
}

// The products of a real network are made by code that keeps data in the stack
// pointer: a signal must not write there.
TEST(ResumeProgramTest, InterruptedAtAnyMomentOfARealRunItGoesOnToTheSameBits) {
  const Arguments arguments = {"--experiment=fashion_mlp", "--epochs=2",
                               "--nohtml_report", "--threads=1",
                               "--checkpoint_every=100steps"};
  const auto train = [&](const fs::path& run, const Arguments& more = {},
                         ProcessOptions options = {}) {
    Arguments all = arguments;
    all.insert(all.end(), more.begin(), more.end());
    all.push_back("--run_dir=" + run.string());
    return RunProgram("models/train", all, std::move(options));
  };
  const fs::path whole = NewFolder("real");
  Calls calls;
  ASSERT_EQ(train(whole, {}, {.calls = &calls}).exit_code, 0);
  const Left expected(whole);

  // In four runs four times each, after some tenth of the way.
  std::mt19937 random(7);
  std::uniform_int_distribution<int64_t> call(calls.all / 20, calls.all / 6);
  int interrupted = 0;
  for (int i = 0; i < 4; ++i) {
    const fs::path run = NewFolder("real_interrupted");
    for (int times = 0; times < 4; ++times) {
      const Outcome outcome =
          train(run, times == 0 ? Arguments() : Arguments{"--resume"},
                {.signals_at = {{.signal = SIGINT, .call = call(random)}}});
      // The signal may come before its first step or after its last.
      ASSERT_TRUE(outcome.exit_code == 0 || outcome.exit_code == 128 + SIGINT ||
                  outcome.exit_code == -SIGINT)
          << outcome.exit_code << outcome.err;
      interrupted += outcome.exit_code == 128 + SIGINT;
    }
    ASSERT_EQ(train(run, {"--resume"}).exit_code, 0);
    ASSERT_TRUE(Left(run) == expected);
  }
  EXPECT_GT(interrupted, 8);
}

TEST(ResumeProgramTest, StartsWhereThereIsNoRunYet) {
  const fs::path run = NewFolder("no_run_yet");
  const Outcome outcome =
      Train(run, {"--resume", "--experiment=fashion_40_leaky", "--epochs=1"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("from the start"));

  const fs::path without = NewFolder("without");
  ASSERT_EQ(Train(without, {"--experiment=fashion_40_leaky", "--epochs=1",
                            "--checkpoint_every=never"})
                .exit_code,
            0);
  EXPECT_FALSE(fs::exists(without / "checkpoints"));
  ExpectOneLineOfError(Train(without, {"--resume"}),
                       {"expected a run with checkpoints, found metrics.csv"});
}

TEST(ResumeProgramTest, AFullDiskLeavesTheLastGoodCheckpoint) {
  const fs::path run = NewFolder("full_disk");
  const std::vector<std::string> arguments = {"--experiment=fashion_40_leaky",
                                              "--epochs=3",
                                              "--checkpoint_every=1epoch"};
  ASSERT_EQ(Train(run, With(arguments, "--epochs=1")).exit_code, 0);
  const Left before(run);
  // No file may grow as large as a checkpoint.
  const Outcome outcome =
      Train(run, {"--resume", "--epochs=3", "--checkpoint_every=1epoch"},
            {.max_file_bytes = 4096});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("cannot write the file"));
  EXPECT_TRUE(LastArrays(run) == before.arrays);
  ASSERT_EQ(Train(run, {"--resume", "--epochs=3"}).exit_code, 0);
  const fs::path at_once = NewFolder("at_once");
  ASSERT_EQ(Train(at_once, arguments).exit_code, 0);
  EXPECT_EQ(MetricsOf(run), MetricsOf(at_once));
}

TEST(ResumeProgramTest, ADivergedRunStopsOrGoesBackAsAsked) {
  const std::vector<std::string> wild = {
      "--experiment=fashion_40_leaky", "--epochs=8",
      "--checkpoint_every=5steps", "--learning_rate=50"};
  const fs::path stopped = NewFolder("stopped");
  const Outcome stop = Train(stopped, wild);
  EXPECT_EQ(stop.exit_code, 1);
  EXPECT_THAT(stop.err, AllOf(HasSubstr("step "), HasSubstr("the loss is "),
                              HasSubstr("--learning_rate")));
  EXPECT_FALSE(fs::exists(stopped / "model.safetensors"));

  // What a document wrote goes on unless told otherwise.
  const fs::path written = NewFolder("as_written");
  const Outcome on =
      Train(written, {"--experiment=fashion_40_leaky", "--variant=as_written",
                      "--epochs=1", "--learning_rate=1e30"});
  EXPECT_EQ(on.exit_code, 1) << on.err;
  EXPECT_THAT(on.err, HasSubstr("the loss is no longer finite"));
  EXPECT_TRUE(fs::exists(written / "summary.json"));

  const fs::path returned = NewFolder("returned");
  const Outcome back = Train(returned, With(wild, "--on_divergence=go_back"));
  EXPECT_EQ(back.exit_code, 0) << back.err;
  EXPECT_THAT(back.err, AllOf(HasSubstr("going back to step "),
                              HasSubstr("with a learning rate of 25")));
  EXPECT_TRUE(fs::exists(returned / "model.safetensors"));
  // It goes on as it was, with or without its flags repeated.
  const Left finished(returned);
  EXPECT_EQ(Train(returned, {"--resume"}).exit_code, 0);
  EXPECT_EQ(
      Train(returned, With(With(wild, "--on_divergence=go_back"), "--resume"))
          .exit_code,
      0);
  EXPECT_TRUE(Left(returned) == finished);
  // Where it goes back to must not change on the way.
  ExpectOneLineOfError(
      Train(returned, {"--resume", "--checkpoint_every=6steps"}),
      {"--checkpoint_every: expected 5steps, to which the run goes back since "
       "it began, found 6steps"});
  ExpectOneLineOfError(
      Train(returned, {"--resume", "--keep_checkpoints=2"}),
      {"--keep_checkpoints: expected 3, to which the run goes back"});
  EXPECT_TRUE(Left(returned) == finished);
}

// Early divergence, in which weights are ruined before a loss is infinite.
TEST(ResumeProgramTest,
     GoesBackToTheSameHoweverItIsInterruptedOrHowManyAreKept) {
  const std::vector<std::string> wild = {
      "--experiment=fashion_40_leaky", "--epochs=8", "--learning_rate=50",
      "--on_divergence=go_back", "--nohtml_report"};
  for (const char* every : {"3steps", "60s"}) {
    const std::vector<std::string> arguments =
        With(wild, absl::StrCat("--checkpoint_every=", every));
    const fs::path whole = NewFolder("back_whole");
    Calls calls;
    const Outcome outcome = Train(whole, arguments, {.calls = &calls});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("going back to step "));
    EXPECT_TRUE(
        fs::exists(whole / "checkpoints/step-000000000000.safetensors"));
    const Left expected(whole);
    const fs::path run = NewFolder("back_interrupted");
    for (int i = 0; i < 10; ++i) {
      fs::remove_all(run);
      Train(run, arguments,
            {.signals_at = {
                 {.signal = SIGTERM, .call = calls.all * (2 * i + 1) / 20}}});
      const Outcome last = Train(run, With(wild, "--resume"));
      ASSERT_EQ(last.exit_code, 0) << last.err;
      EXPECT_TRUE(Left(run).model == expected.model);
      EXPECT_EQ(Left(run).metrics, expected.metrics);
    }
  }
}

}  // namespace
}  // namespace tape
