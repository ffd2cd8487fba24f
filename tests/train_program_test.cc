// The main program as a user meets it: run as a process, wrong flags included.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace tape {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kProgram[] = "models/train";
constexpr char kFashionMnist[] = "/usr/share/datasets/fashion-mnist";

struct Outcome {
  int exit_code;
  std::string out;
  std::string err;
};

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteFile(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// Runs the program with these arguments, no input, its output in files.
Outcome Execute(std::vector<std::string> arguments) {
  const fs::path folder = testing::TempDir();
  const std::string out = folder / "out", err = folder / "err";
  arguments.insert(arguments.begin(), kProgram);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(open(out.c_str(), flags, 0600), 1);
    dup2(open(err.c_str(), flags, 0600), 2);
    execv(argv[0], argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
          ReadFile(out), ReadFile(err)};
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
  WriteFile(path, bytes);
}

// An IDX file of labels: its header, then the labels.
std::string LabelFile(int count, uint8_t label) {
  std::string bytes = {0, 0, 8, 1};
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(count >> shift));
  }
  return bytes + std::string(count, static_cast<char>(label));
}

// That the program ends with one line on stderr that holds `expected`, and
// prints nothing else.
void ExpectRefusal(const std::vector<std::string>& arguments,
                   const std::vector<std::string>& expected) {
  const Outcome outcome = Execute(arguments);
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1)
      << outcome.err;
  for (const std::string& part : expected) {
    EXPECT_THAT(outcome.err, HasSubstr(part));
  }
  EXPECT_EQ(outcome.out, "");
}

TEST(TrainProgramTest, ListsTheExperiments) {
  const Outcome outcome = Execute({"--list"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("fashion_mlp "));
  EXPECT_THAT(outcome.out, HasSubstr("fashion_40_relu "));
  EXPECT_EQ(outcome.err, "");
}

TEST(TrainProgramTest, HelpNamesEveryFlag) {
  const Outcome outcome = Execute({"--help"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* flag :
       {"--experiment", "--list", "--data_dir", "--epochs", "--batch_size",
        "--learning_rate", "--seed", "--threads", "--run_dir"}) {
    EXPECT_THAT(outcome.out, HasSubstr(flag));
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
  const Outcome outcome =
      Execute({"--epochs=1", "--learning_rate=1e30", "--batch_size=1000"});
  EXPECT_THAT(outcome.err, HasSubstr("the loss is no longer finite"));
  EXPECT_THAT(outcome.out, HasSubstr("test loss nan"));
}

TEST(TrainProgramTest, RefusesWrongFlags) {
  ExpectRefusal({"--experiment=fashion_99"},
                {"--experiment: there is no experiment \"fashion_99\"",
                 "fashion_mlp, fashion_40_relu"});
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
  ExpectRefusal({"fashion_mlp"},
                {"expected flags only, found \"fashion_mlp\""});
  for (const char* unparsable : {"--epochs=ten", "--no_such_flag=1"}) {
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
  const std::string images = ReadFile(short_file / "t10k-images-idx3-ubyte.gz");
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
  WriteFile(file, "kept");
  ExpectRefusal({"--run_dir=" + (file / "run").string()}, {file.string()});
  EXPECT_EQ(ReadFile(file), "kept");
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
      absl::StrSplit(ReadFile(run / "metrics.csv"), '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0], "epoch,split,loss,accuracy,learning_rate,seconds");
  EXPECT_THAT(lines[1], testing::StartsWith("1,train,"));
  EXPECT_THAT(lines[4], testing::StartsWith("2,test,"));
  const std::vector<std::string> last = absl::StrSplit(lines[4], ',');

  const auto summary = nlohmann::json::parse(ReadFile(run / "summary.json"));
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

  const std::string before = ReadFile(run / "metrics.csv");
  ExpectRefusal(arguments, {run.string(), "already holds a run"});
  EXPECT_EQ(ReadFile(run / "metrics.csv"), before);
}

}  // namespace
}  // namespace tape
