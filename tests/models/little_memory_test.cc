// Too little memory. The training program trains, or it says in one line that
// there is no memory and ends with 1; no signal ends it, whether the memory is
// wanted for data, the plan, oneDNN's code or threads. Readers return what they
// read, or an error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "models/experiment.h"
#include "tests/file_testing.h"
#include "tests/models/program_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;

// The first images and labels of MNIST: few, lest reading them need more memory
// than anything else.
std::string MakeFewImages() {
  const fs::path folder = fs::path(testing::TempDir()) / "few";
  fs::create_directories(folder);
  constexpr int kCounts[] = {600, 200};
  constexpr const char* kSplits[] = {"train", "t10k"};
  struct Kind {
    const char* name;
    size_t head_bytes, sample_bytes;
  };
  for (const Kind& kind :
       {Kind{"images-idx3-ubyte", 16, 784}, Kind{"labels-idx1-ubyte", 8, 1}}) {
    for (int split = 0; split < 2; ++split) {
      const std::string name = absl::StrCat(kSplits[split], "-", kind.name);
      std::string bytes = ReadText(absl::StrCat(kMnist, "/", name));
      bytes.resize(kind.head_bytes + kCounts[split] * kind.sample_bytes);
      // The count of samples, from its highest byte on.
      for (int i = 0; i < 4; ++i) {
        bytes[4 + i] = static_cast<char>(kCounts[split] >> (24 - 8 * i));
      }
      WriteText((folder / name).string(), bytes);
    }
  }
  return folder.string();
}

class LittleMemoryTest : public testing::TestWithParam<const char*> {};

TEST_P(LittleMemoryTest, TrainsOrSaysThatThereIsNoMemory) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers take terabytes of addresses";
#endif
  constexpr int64_t kMegabyte = 1 << 20;
  const std::string images = MakeFewImages();
  for (const int threads : {1, 2}) {
    int trained = 0, refused = 0;
    for (int64_t megabytes = 50; trained < 3; ++megabytes) {
      ASSERT_LT(megabytes, 2000) << "expected some memory to be enough";
      const Outcome outcome = RunProgram(
          "models/train",
          {absl::StrCat("--data_dir=", images),
           absl::StrCat("--threads=", threads),
           absl::StrCat("--experiment=", GetParam()), "--batch_size=500",
           "--epochs=1"},
          {.max_memory_bytes = static_cast<rlim_t>(megabytes * kMegabyte)});
      SCOPED_TRACE(
          absl::StrCat(megabytes, " MB, ", threads, " threads: ", outcome.err));
      if (outcome.exit_code == 0) {
        ++trained;
        continue;
      }
      if (outcome.exit_code == 127) continue;  // Too little to be loaded.
      ++refused;
      EXPECT_EQ(outcome.exit_code, 1);
      // OpenMP's library, which oneDNN calls, says so itself and ends with 1.
      EXPECT_THAT(outcome.err,
                  testing::AnyOf(testing::HasSubstr("no memory"),
                                 testing::HasSubstr("libgomp: Out of memory")));
    }
    EXPECT_GT(refused, 0);
  }
}

// How a child process ends in which `read` finds no more than `bytes` of memory:
// with 0 if it succeeds, 1 for kResourceExhausted, 2 for another error.
int CodeOf(const std::function<absl::Status()>& read, rlim_t bytes) {
  const pid_t child = fork();
  if (child == 0) {
    uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t limit = pages * sysconf(_SC_PAGESIZE) + bytes;
    const rlimit memory = {limit, limit};
    setrlimit(RLIMIT_AS, &memory);
    // What is thrown ends the child, and does not come to the test's own end.
    const absl::Status status = [&]() noexcept { return read(); }();
    if (status.ok()) _exit(0);
    _exit(status.code() == absl::StatusCode::kResourceExhausted ? 1 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(LittleMemoryReaderTest, ReadsOrReturnsAnError) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers take terabytes of addresses";
#endif
  Dataset dataset{.images = Tensor({DType::kUint8, {2000, 784}}),
                  .labels = Tensor({DType::kInt32, {2000}}),
                  .classes = 10};
  for (int i = 0; i < 2000; ++i) {
    dataset.images.values<uint8_t>()[784 * i] = static_cast<uint8_t>(i);
    dataset.labels.values<int32_t>()[i] = i % 10;
  }
  const std::string folder = testing::TempDir() + "/readers";
  fs::create_directories(folder);
  const std::string csv = folder + "/all.csv", images = folder + "/images",
                    labels = folder + "/labels", png = folder + "/png";
  ASSERT_TRUE(WriteLabelledCsvDataset(dataset, csv).ok());
  ASSERT_TRUE(WriteIdxDataset(dataset, images, labels).ok());
  ASSERT_TRUE(WriteImageFolder(dataset, png).ok());
  const std::pair<const char*, std::function<absl::Status()>> kReaders[] = {
      {"CSV", [&] { return ReadLabelledCsvDataset(csv, 10).status(); }},
      {"CSV images", [&] { return ReadCsvImages(csv).status(); }},
      {"IDX", [&] { return ReadIdxDataset(images, labels, 10).status(); }},
      {"PNG", [&] { return ReadImageFolder(png, 10).status(); }},
      {"labels",
       [&] {
         return SelectLabels(dataset, {1, 2, 3}).status();
       }},
      {"split",
       [&] { return SplitAtRandom(dataset, {.fraction = 0.5}).status(); }}};
  for (const auto& [name, read] : kReaders) {
    SCOPED_TRACE(name);
    int succeeded = 0, refused = 0;
    for (rlim_t bytes = 0; succeeded < 3; bytes += 128 << 10) {
      ASSERT_LT(bytes, rlim_t{1} << 30) << "expected some memory to be enough";
      const int code = CodeOf(read, bytes);
      EXPECT_TRUE(code == 0 || code == 1) << code << " with " << bytes;
      if (code != 0 && code != 1) break;
      (code == 0 ? succeeded : refused) += 1;
    }
    EXPECT_GT(refused, 0);
  }
}

// With pictures, whose libraries end the process when they find no memory.
// (After the readers, which must not find memory that this test has freed.)
TEST(LittleMemoryReportTest, ARunKeepsItsModelAndSaysWhatPicturesLack) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers take terabytes of addresses";
#endif
  const std::string images = MakeFewImages();
  const fs::path run = fs::path(testing::TempDir()) / "few_run";
  int without_pictures = 0;
  for (int64_t megabytes = 60; megabytes < 420; megabytes += 20) {
    fs::remove_all(run);
    const Outcome outcome = RunProgram(
        "models/train",
        {"--data_dir=" + images, "--run_dir=" + run.string(), "--threads=1",
         "--experiment=mnist_256_128_sgd", "--epochs=1"},
        {.max_memory_bytes = static_cast<rlim_t>(megabytes << 20)});
    SCOPED_TRACE(absl::StrCat(megabytes, " MB: ", outcome.err));
    if (outcome.exit_code == 127) continue;  // Too little to be loaded.
    if (outcome.exit_code == 0) continue;
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.err, testing::HasSubstr("memory"));
    if (!fs::exists(run / "summary.json")) continue;
    without_pictures += fs::exists(run / "pictures" / "loss.svg");
    EXPECT_TRUE(fs::exists(run / "model.safetensors"));
  }
  EXPECT_GT(without_pictures, 0);
}

INSTANTIATE_TEST_SUITE_P(Experiments, LittleMemoryTest,
                         testing::Values("mnist_500_250_100_relu",
                                         "mnist_256_128_sgd", "mnist_h100"),
                         [](const auto& name) {
                           return std::string(name.param);
                         });

}  // namespace
}  // namespace tape
