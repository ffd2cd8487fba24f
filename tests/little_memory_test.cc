// The training program with too little memory: it trains, or it says in one line
// that there is no memory and ends with 1; no signal ends it, whether the
// memory is wanted for data, the plan, oneDNN's code or threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "models/experiment.h"
#include "tests/file_testing.h"
#include "tests/program_testing.h"

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
    for (int64_t megabytes = 50; trained < 3; megabytes += 5) {
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
      EXPECT_THAT(outcome.err, testing::HasSubstr("no memory"));
    }
    EXPECT_GT(refused, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Experiments, LittleMemoryTest,
                         testing::Values("mnist_500_250_100_relu",
                                         "mnist_256_128_sgd", "mnist_h100"),
                         [](const auto& name) {
                           return std::string(name.param);
                         });

}  // namespace
}  // namespace tape
