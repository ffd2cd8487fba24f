// The main program as a user meets it: run as a process, wrong flags included.
#include <cstdlib>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/experiment.h"
#include "nlohmann/json.hpp"
#include "tests/bfloat16_testing.h"
#include "tests/file_testing.h"
#include "tests/models/program_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kProgram[] = "models/train";

Outcome Execute(const std::vector<std::string>& arguments) {
  return RunProgram(kProgram, arguments);
}

// A fresh folder with links to the files of Fashion-MNIST, for a test to spoil
// one of them.
fs::path DataFolder(const std::string& name) {
  const fs::path folder = fs::path(testing::TempDir()) / name;
  fs::remove_all(folder);
  fs::create_directories(folder);
  for (const auto& entry : fs::directory_iterator(kFashionMnist)) {
    fs::create_symlink(entry.path(), folder / entry.path().filename());
  }
  return folder;
}

void Replace(const fs::path& path, const std::string& bytes) {
  fs::remove(path);
  WriteText(path, bytes);
}

// An IDX file of labels: its header, then the labels.
std::string LabelFile(int count, uint8_t label) {
  std::string bytes = {0, 0, 8, 1};
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(count >> shift));
  }
  return bytes + std::string(count, static_cast<char>(label));
}

void ExpectRefusal(const std::vector<std::string>& arguments,
                   const std::vector<std::string>& expected) {
  ExpectOneLineOfError(Execute(arguments), expected);
}

// Where the processor has bfloat16, oneDNN is told to do without.
TEST(TrainProgramTest, RefusesBFloat16WhereTheProcessorLacksIt) {
  setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE", /*overwrite=*/1);
  ExpectRefusal({"--precision=bf16", "--epochs=1"},
                {absl::StrCat("--precision: expected float32, found bf16: "),
                 kNoBFloat16Products});
  unsetenv("ONEDNN_MAX_CPU_ISA");
}

TEST(TrainProgramTest, TrainsInBFloat16WhereTheProcessorHasIt) {
  const Outcome outcome =
      Execute({"--experiment=fashion_mlp", "--epochs=1", "--precision=bf16"});
  if (!HasBFloat16Products()) {
    ExpectOneLineOfError(outcome, {kNoBFloat16Products});
    return;
  }
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("test accuracy 0.8"));
}

TEST(TrainProgramTest, ListsNameVariantAndDescriptionOfEachExperiment) {
  const Outcome outcome = Execute({"--list"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  const std::vector<std::string> lines =
      absl::StrSplit(outcome.out, '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), Experiments().size());
  for (size_t i = 0; i < lines.size(); ++i) {
    const Experiment& experiment = Experiments()[i];
    const std::vector<std::string> words =
        absl::StrSplit(lines[i], ' ', absl::SkipEmpty());
    ASSERT_GE(words.size(), 3u);
    EXPECT_EQ(words[0], experiment.name);
    EXPECT_EQ(words[1], experiment.variant);
    EXPECT_THAT(lines[i], testing::EndsWith(" " + experiment.description));
  }
}

// The flags that the sources define, which are this test's data.
std::vector<std::string> DefinedFlags() {
  const std::string source =
      ReadText("models/train_flags.cc") + ReadText("models/user_flags.cc");
  const std::regex flag("ABSL_FLAG\\(\\s*[^,]+,\\s*(\\w+),");
  std::vector<std::string> names;
  for (std::sregex_iterator match(source.begin(), source.end(), flag), end;
       match != end; ++match) {
    names.push_back((*match)[1]);
  }
  return names;
}

TEST(TrainProgramTest, HelpNamesEveryFlag) {
  const Outcome outcome = Execute({"--help"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Exits with 0"));
  const std::vector<std::string> flags = DefinedFlags();
  EXPECT_GE(flags.size(), 25u);
  for (const std::string& flag : flags) {
    EXPECT_THAT(outcome.out, HasSubstr(absl::StrCat("\n  --", flag)));
  }
}

TEST(TrainProgramTest, OtherKindsOfHelpAreTheSameHelp) {
  for (const char* flag : {"-h", "--helpfull", "--help=x"}) {
    const Outcome outcome = Execute({flag});
    EXPECT_EQ(outcome.exit_code, 0) << flag;
    EXPECT_EQ(outcome.out, Execute({"--help"}).out) << flag;
    EXPECT_EQ(outcome.err, "") << flag;
  }
}

TEST(TrainProgramTest, PathsAreMeantFromWhereBazelRunWasCalled) {
  const fs::path folder = fs::path(testing::TempDir()) / "called_from";
  fs::remove_all(folder);
  fs::create_directories(folder);
  setenv("BUILD_WORKING_DIRECTORY", folder.c_str(), 1);
  const Outcome outcome =
      Execute({"--experiment=fashion_40_relu", "--epochs=1", "--run_dir=here"});
  unsetenv("BUILD_WORKING_DIRECTORY");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(fs::exists(folder / "here" / "summary.json"));
}

TEST(TrainProgramTest, SaysThatARunHasDiverged) {
  const std::vector<std::string> wild = {"--epochs=1", "--learning_rate=1e30",
                                         "--batch_size=1000"};
  const Outcome stopped = Execute(wild);
  EXPECT_EQ(stopped.exit_code, 1);
  EXPECT_THAT(stopped.err, HasSubstr("step 2, in epoch 1: the loss is nan"));

  std::vector<std::string> to_the_end = wild;
  to_the_end.push_back("--on_divergence=go_on");
  // It went to its end, but its model is of no use.
  const Outcome outcome = Execute(to_the_end);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("the loss is no longer finite"));
  EXPECT_THAT(outcome.out, HasSubstr("test loss nan"));
}

TEST(TrainProgramTest, ARunThatDivergesInItsLastEpochHasDiverged) {
  // Its one batch is met with a finite loss, and the update ruins the weights.
  const fs::path run = fs::path(testing::TempDir()) / "ruined";
  fs::remove_all(run);
  const Outcome outcome =
      Execute({"--experiment=mnist_256_128_sgd", "--epochs=1",
               "--batch_size=60000", "--learning_rate=1e25",
               "--on_divergence=stop", "--run_dir=" + run.string()});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(
      outcome.err,
      HasSubstr("epoch 1: the loss on the test set is no longer finite: "
                "the run has diverged"));
  EXPECT_FALSE(fs::exists(run / "model.safetensors"));
  EXPECT_FALSE(fs::exists(run / "summary.json"));
}

TEST(TrainProgramTest, ATraceReplacesNothingButATrace) {
  const fs::path folder = fs::path(testing::TempDir()) / "traces";
  fs::remove_all(folder);
  fs::create_directories(folder);
  const std::string mine = WriteText(folder / "mine", "MINE");
  fs::create_symlink(mine, folder / "link");
  fs::create_directory(folder / "folder");
  for (const char* name : {"mine", "link", "folder"}) {
    ExpectRefusal({"--profile=" + (folder / name).string()},
                  {"--profile: expected a file to write, found ",
                   (folder / name).string()});
  }
  EXPECT_EQ(ReadText(mine), "MINE");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  // Nor may it take the name of what the run itself writes.
  const std::string run = (folder / "run").string();
  for (const char* name :
       {"model.safetensors", "checkpoints/x", "report.html"}) {
    ExpectRefusal(
        {"--run_dir=" + run, absl::StrCat("--profile=", run, "/", name)},
        {"--profile: expected a file that the run itself does not "
         "write, found "});
  }
  EXPECT_FALSE(fs::exists(run));
}

TEST(TrainProgramTest, ReplacesNothingThatIsNotItsOwn) {
  const fs::path run = fs::path(testing::TempDir()) / "others";
  for (const char* name :
       {"model.safetensors", "report.html", "pictures/loss.png"}) {
    fs::remove_all(run);
    fs::create_directories(run / "pictures");
    if (!absl::StartsWith(name, "pictures")) fs::remove(run / "pictures");
    WriteText(run / name, "MINE");
    ExpectRefusal(
        {"--run_dir=" + run.string()},
        {run.string() + ": already holds ", std::string(name).substr(0, 8)});
    EXPECT_EQ(ReadText(run / name), "MINE");
  }
}

TEST(TrainProgramTest, ProfilesTheTrainingSteps) {
  const std::string trace = testing::TempDir() + "/trace.json";
  const Outcome outcome =
      Execute({"--epochs=1", "--batch_size=20000", "--profile=" + trace});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("GFLOP/s"));
  const auto events = nlohmann::json::parse(ReadText(trace))["traceEvents"];
  EXPECT_GT(events.size(), 10u);
}

TEST(TrainProgramTest, RefusesWrongFlags) {
  ExpectRefusal({"--experiment=fashion_99"},
                {"--experiment: there is no experiment \"fashion_99\"",
                 "fashion_mlp, fashion_40_relu"});
  ExpectRefusal({"--variant=as_written"},
                {"--variant: there is no variant \"as_written\" of "
                 "fashion_mlp; known are own"});
  ExpectRefusal(
      {"--experiment=mnist_h5", "--variant=as_written", "--l2=0.1"},
      {"mnist_h5: the variant as_written has the updates of its document"});
  ExpectRefusal({"--stratified"}, {"--stratified: expected a share with "
                                   "--validation, found none"});
  ExpectRefusal({"--profile=/no/such/trace.json"},
                {"--profile: expected a file to write, found "
                 "/no/such/trace.json: cannot create the file: No such file"});
  ExpectRefusal({"--precision=half"},
                {"--precision: expected float32 or bf16, found half"});
  ExpectRefusal({"--threads=0"}, {"--threads: expected 1 to 1024, found 0"});
  ExpectRefusal({"--threads=-2"}, {"--threads: expected 1 to 1024, found -2"});
  ExpectRefusal({"--epochs=0"}, {"--epochs: expected at least 1, found 0"});
  ExpectRefusal({"--batch_size=0"},
                {"--batch_size: expected at least 1, found 0"});
  ExpectRefusal({"--batch_size=60001"},
                {"--batch_size: expected at most the 60000 training samples, "
                 "found 60001"});
  ExpectRefusal(
      {"--learning_rate=-1"},
      {"--learning_rate: expected a finite number above 0, found -1"});
  ExpectRefusal({"--learning_rate=nan"},
                {"--learning_rate: expected a finite number above 0, found "});
  for (const char* rate : {"1e-60", "1e+39"}) {
    ExpectRefusal(
        {absl::StrCat("--learning_rate=", rate)},
        {absl::StrCat("--learning_rate: expected a number that "
                      "float32 has, 1.4013e-45 to 3.40282e+38, found ",
                      rate)});
  }
  ExpectRefusal({"--l2=1e300"},
                {"--l2: expected a number that float32 has, ", "found 1e+300"});
  for (const char* flag : {"--l1", "--l2", "--proximal_l1"}) {
    ExpectRefusal(
        {absl::StrCat(flag, "=-1")},
        {absl::StrCat(flag,
                      ": expected a finite number of at least 0, found -1")});
  }
  for (const char* share : {"1", "-0.1", "nan"}) {
    ExpectRefusal(
        {absl::StrCat("--validation=", share)},
        {absl::StrCat("--validation: expected at least 0 and below 1, "
                      "found ",
                      share)});
  }
  ExpectRefusal({"--validation=1e-9"},
                {"SplitAtRandom: expected at least 1 sample on each side"});
  ExpectRefusal({"--experiment=mnist_h5", "--validation=0"},
                {"--validation: expected a share for mnist_h5, which chooses "
                 "its best model by it, found 0"});
  ExpectRefusal({"--experiment=mnist_h5", "--batch_size=51001"},
                {"--batch_size: expected at most the 51000 training samples, "
                 "found 51001"});
  ExpectRefusal({"fashion_mlp"},
                {"expected flags only, found \"fashion_mlp\""});
  for (const char* unparsable :
       {"--epochs=ten", "--stratified=maybe", "--no_such_flag=1"}) {
    const Outcome outcome = Execute({unparsable});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.err, HasSubstr("ERROR"));
    EXPECT_EQ(outcome.out, "");
  }
}

TEST(TrainProgramTest, RefusesWrongData) {
  const auto with = [](const fs::path& folder) {
    return std::vector<std::string>{"--data_dir=" + folder.string()};
  };
  ExpectRefusal({"--data_dir=/no/such/folder"},
                {"/no/such/folder", "third_party/install.sh"});

  const fs::path short_file = DataFolder("short_file");
  const std::string images = ReadText(short_file / "t10k-images-idx3-ubyte.gz");
  Replace(short_file / "t10k-images-idx3-ubyte.gz",
          images.substr(0, images.size() / 2));
  ExpectRefusal(with(short_file), {"t10k-images-idx3-ubyte.gz"});

  const fs::path wrong_magic = DataFolder("wrong_magic");
  Replace(wrong_magic / "train-images-idx3-ubyte.gz", LabelFile(60000, 1));
  ExpectRefusal(with(wrong_magic),
                {"train-images-idx3-ubyte.gz", "expected", "found"});

  const fs::path label_10 = DataFolder("label_10");
  Replace(label_10 / "train-labels-idx1-ubyte.gz", LabelFile(60000, 10));
  ExpectRefusal(with(label_10), {"train-labels-idx1-ubyte.gz", "10"});

  const fs::path too_few = DataFolder("too_few");
  Replace(too_few / "train-labels-idx1-ubyte.gz", LabelFile(59999, 1));
  ExpectRefusal(with(too_few), {"train-labels-idx1-ubyte.gz", "59999",
                                "train-images-idx3-ubyte.gz", "60000"});
}

TEST(TrainProgramTest, WrongDataLeavesNoRunDirectory) {
  const fs::path run = fs::path(testing::TempDir()) / "never_made";
  ExpectRefusal({"--data_dir=/no/such/folder", "--run_dir=" + run.string()},
                {"/no/such/folder"});
  EXPECT_FALSE(fs::exists(run));
}

TEST(TrainProgramTest, RefusesARunDirectoryItCannotWrite) {
  // Under a file: refused even to root.
  const fs::path file = fs::path(testing::TempDir()) / "a_file";
  WriteText(file, "kept");
  ExpectRefusal({"--run_dir=" + (file / "run").string()}, {file.string()});
  EXPECT_EQ(ReadText(file), "kept");
}

TEST(TrainProgramTest, WritesMetricsAndSummary) {
  const fs::path run = fs::path(testing::TempDir()) / "run";
  fs::remove_all(run);
  const std::vector<std::string> arguments = {
      "--experiment=fashion_40_relu", "--epochs=2", "--seed=3", "--threads=2",
      "--run_dir=" + run.string()};
  const Outcome outcome = Execute(arguments);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  // Not a terminal: no control characters.
  EXPECT_EQ(outcome.out.find_first_of("\r\033"), std::string::npos);

  std::vector<std::string> lines =
      absl::StrSplit(ReadText(run / "metrics.csv"), '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0], "epoch,split,loss,accuracy,learning_rate,seconds");
  EXPECT_THAT(lines[1], testing::StartsWith("1,train,"));
  EXPECT_THAT(lines[4], testing::StartsWith("2,test,"));
  const std::vector<std::string> last = absl::StrSplit(lines[4], ',');

  const auto summary = nlohmann::json::parse(ReadText(run / "summary.json"));
  EXPECT_EQ(summary["experiment"], "fashion_40_relu");
  EXPECT_EQ(summary["variant"], "corrected");
  EXPECT_EQ(summary["seed"], 3);
  EXPECT_EQ(summary["threads"], 2);
  EXPECT_EQ(summary["epochs"], 2);
  EXPECT_EQ(summary["test_loss"], std::stod(last[2]));
  EXPECT_EQ(summary["test_accuracy"], std::stod(last[3]));
  EXPECT_GT(summary["test_accuracy"], 0.5);
  EXPECT_GT(summary["train_accuracy"], 0.5);
  EXPECT_GT(summary["train_loss"], 0);
  EXPECT_GT(summary["seconds"], 0);
  EXPECT_GT(summary["samples_per_second"], 0);

  const std::string before = ReadText(run / "metrics.csv");
  ExpectRefusal(arguments, {run.string(), "already holds a run"});
  EXPECT_EQ(ReadText(run / "metrics.csv"), before);
}

TEST(TrainProgramTest, WritesLogsOnRequest) {
  const fs::path run = fs::path(testing::TempDir()) / "logged";
  fs::remove_all(run);
  const Outcome outcome =
      Execute({"--experiment=fashion_40_relu", "--epochs=2", "--jsonl",
               "--tensorboard", "--run_dir=" + run.string()});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<std::string> csv =
      absl::StrSplit(ReadText(run / "metrics.csv"), '\n', absl::SkipEmpty());
  const std::vector<std::string> json =
      absl::StrSplit(ReadText(run / "metrics.jsonl"), '\n', absl::SkipEmpty());
  ASSERT_EQ(json.size(), 4u);
  ASSERT_EQ(csv.size(), 5u);
  for (size_t i = 0; i < json.size(); ++i) {
    const auto line = nlohmann::json::parse(json[i]);
    const std::vector<std::string> cells = absl::StrSplit(csv[i + 1], ',');
    EXPECT_EQ(absl::StrCat(line["epoch"].get<int>()), cells[0]);
    EXPECT_EQ(line["split"], cells[1]);
    EXPECT_EQ(line["loss"], std::stod(cells[2]));
    EXPECT_EQ(line["accuracy"], std::stod(cells[3]));
    EXPECT_EQ(line["learning_rate"], std::stod(cells[4]));
    EXPECT_EQ(line["seconds"], std::stod(cells[5]));
  }
  std::string events;
  for (const auto& entry : fs::directory_iterator(run)) {
    if (absl::StartsWith(entry.path().filename().string(),
                         "events.out.tfevents.")) {
      events += ReadText(entry.path());
    }
  }
  for (const char* text : {"brain.Event:2", "loss/train", "accuracy/test"}) {
    EXPECT_THAT(events, HasSubstr(text));
  }
}

// The event files in the folder, by name.
std::map<std::string, std::string> EventFilesIn(const fs::path& run) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::directory_iterator(run)) {
    if (absl::StartsWith(entry.path().filename().string(), "events.out.")) {
      found[entry.path().string()] = ReadText(entry.path());
    }
  }
  return found;
}

TEST(TrainProgramTest, AContinuedRunGoesOnWithItsLogs) {
  const fs::path run = fs::path(testing::TempDir()) / "continued";
  fs::remove_all(run);
  std::vector<std::string> arguments = {"--experiment=fashion_40_relu",
                                        "--epochs=3",
                                        "--checkpoint_every=1epochs",
                                        "--jsonl",
                                        "--tensorboard",
                                        "--run_dir=" + run.string()};
  ASSERT_EQ(Execute(arguments).exit_code, 0);
  const auto lines = [&] {
    std::vector<nlohmann::json> lines;
    const std::string text = ReadText(run / "metrics.jsonl");
    for (absl::string_view line :
         absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      lines.push_back(nlohmann::json::parse(line));
      lines.back().erase("seconds");
    }
    return lines;
  };
  const std::vector<nlohmann::json> expected = lines();
  const auto events = EventFilesIn(run);
  ASSERT_EQ(events.size(), 1u);

  // As if it had been killed after its logs were written, and before the
  // checkpoint: the newest left is that of an earlier epoch.
  std::set<fs::path> checkpoints;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints")) {
    checkpoints.insert(entry.path());
  }
  ASSERT_EQ(checkpoints.size(), 3u);
  fs::remove(*checkpoints.rbegin());
  fs::remove(run / "model.safetensors");
  fs::remove(run / "summary.json");
  fs::resize_file(run / "metrics.jsonl", 100);  // In the middle of a line.
  arguments.push_back("--resume");
  const Outcome outcome = Execute(arguments);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(lines(), expected);
  // The old event file is what it was; the last epoch stands in another one.
  const auto now = EventFilesIn(run);
  ASSERT_EQ(now.size(), 2u);
  EXPECT_EQ(*now.begin(), *events.begin());
}

TEST(TrainProgramTest, LogsNeedARunDirectory) {
  for (const char* flag : {"--jsonl", "--tensorboard"}) {
    ExpectRefusal({flag},
                  {absl::StrCat(flag, ": expected a --run_dir, found none")});
  }
}

// The cells of metrics.csv, a row each, the header first.
std::vector<std::vector<std::string>> Metrics(const fs::path& run) {
  std::vector<std::vector<std::string>> rows;
  const std::string text = ReadText(run / "metrics.csv");
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    rows.push_back(absl::StrSplit(line, ','));
  }
  return rows;
}

TEST(TrainProgramTest, KeepsAndWritesTheModelThatValidationChooses) {
  const fs::path run = fs::path(testing::TempDir()) / "validated";
  fs::remove_all(run);
  const Outcome outcome =
      Execute({"--experiment=mnist_h1", "--variant=as_written", "--epochs=4",
               "--run_dir=" + run.string()});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              testing::StartsWith("mnist_h1 (as_written): 784-1-"));
  EXPECT_THAT(outcome.out,
              HasSubstr("4 epochs of 51000 samples in batches of 1000"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("stopped early")));

  // A row for each split; the kept epoch is one that has no better before it.
  const auto rows = Metrics(run);
  ASSERT_EQ(rows.size(), 13u);
  for (int epoch = 1; epoch <= 4; ++epoch) {
    int row = 3 * epoch - 2;
    for (const char* split : {"train", "validation", "test"}) {
      EXPECT_EQ(rows[row][0], absl::StrCat(epoch));
      EXPECT_EQ(rows[row][1], split);
      ++row;
    }
  }
  const auto summary = nlohmann::json::parse(ReadText(run / "summary.json"));
  EXPECT_EQ(summary["variant"], "as_written");
  EXPECT_EQ(summary["epochs"], 4);
  const int kept = summary["kept_epoch"];
  ASSERT_GE(kept, 1);
  ASSERT_LE(kept, 4);
  EXPECT_EQ(summary["train_loss"], std::stod(rows[3 * kept - 2][2]));
  EXPECT_EQ(summary["validation_loss"], std::stod(rows[3 * kept - 1][2]));
  EXPECT_EQ(summary["validation_accuracy"], std::stod(rows[3 * kept - 1][3]));
  EXPECT_EQ(summary["test_accuracy"], std::stod(rows[3 * kept][3]));
  if (kept < 4) {
    EXPECT_THAT(outcome.out,
                HasSubstr(absl::StrCat("\nkept the model of epoch ", kept,
                                       ", the best\n")));
  }
}

TEST(TrainProgramTest, SaysWhichEpochsModelItKept) {
  // At a rate that changes nothing, the first epoch's is the best.
  const Outcome outcome =
      Execute({"--experiment=mnist_h1", "--epochs=2", "--learning_rate=1e-12"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              HasSubstr("\nkept the model of epoch 1, the best\n"));
}

TEST(TrainProgramTest, SaysThatItStoppedEarly) {
  const fs::path run = fs::path(testing::TempDir()) / "stopped";
  fs::remove_all(run);
  // At this rate the test accuracy falls within twenty epochs.
  const Outcome outcome =
      Execute({"--experiment=fashion_40_early_stop", "--learning_rate=1e-3",
               "--batch_size=100", "--run_dir=" + run.string()});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string last_epoch = Metrics(run).back()[0];
  EXPECT_LT(std::stoi(last_epoch), 200);
  EXPECT_THAT(outcome.out,
              HasSubstr(absl::StrCat("\nstopped early, after epoch ",
                                     last_epoch, "\n")));
  EXPECT_THAT(outcome.out, Not(HasSubstr("kept the model")));
  const auto summary = nlohmann::json::parse(ReadText(run / "summary.json"));
  EXPECT_EQ(summary["epochs"], std::stoi(last_epoch));
  EXPECT_EQ(summary["kept_epoch"], std::stoi(last_epoch));
  EXPECT_FALSE(summary.contains("validation_accuracy"));
}

TEST(TrainProgramTest, SplitsValidationOffAnyExperiment) {
  // Its loss is the same bits for the same samples.
  const auto validation_loss = [](const std::vector<std::string>& more) {
    const fs::path run = fs::path(testing::TempDir()) / "split";
    fs::remove_all(run);
    // A full batch is what is left of it.
    std::vector<std::string> arguments = {"--experiment=fashion_64_64_adam",
                                          "--validation=0.9", "--epochs=1",
                                          "--run_dir=" + run.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = Execute(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("1 epoch of 6000 samples"));
    for (const std::vector<std::string>& row : Metrics(run)) {
      if (row[1] == "validation") return row[2];
    }
    ADD_FAILURE() << "no row of the validation set";
    return std::string();
  };
  const std::string by_chance = validation_loss({});
  EXPECT_EQ(validation_loss({"--nostratified"}), by_chance);
  EXPECT_NE(validation_loss({"--stratified"}), by_chance);
}

TEST(TrainProgramTest, ReportsWhatTheTestSetIsTakenFor) {
  const std::vector<std::string> arguments = {"--experiment=fashion_40_relu",
                                              "--epochs=1"};
  std::vector<std::string> reporting = arguments;
  reporting.push_back("--report");
  const Outcome outcome = Execute(reporting);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  // The matrix, all of whose rows have 1000 samples; then the report.
  EXPECT_THAT(outcome.out,
              testing::ContainsRegex("predicted\nlabel +0 +1 .*total\n"));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("\n +9 .* 1000\n"));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("\ntotal .* 10000\n"));
  // Classes by their names, where these are known.
  EXPECT_THAT(outcome.out, testing::ContainsRegex("\n +Ankle boot .* 1000\n"));
  EXPECT_THAT(outcome.out,
              HasSubstr("precision    recall  f1-score   support"));
  EXPECT_THAT(outcome.out,
              testing::ContainsRegex("macro avg .* 10000\nweighted avg "));
  EXPECT_THAT(Execute(arguments).out, Not(HasSubstr("precision")));
}

}  // namespace
}  // namespace tape
