// Runs a fuzzer (SEEDS names its folder) on its seeds, a test case for each:
// files of every kind that the reader knows, and those by which a fault was
// found. A finding ends the process, as in the fuzzer.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "tests/file_testing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace tape {
namespace {

std::vector<std::string> Seeds() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(SEEDS)) {
    paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

class SeedTest : public testing::TestWithParam<std::string> {};

TEST_P(SeedTest, HasNoFinding) {
  const std::string bytes = ReadText(GetParam());
  // A copy of the size, for a sanitizer to see what is read beyond it.
  const std::vector<uint8_t> exact(bytes.begin(), bytes.end());
  EXPECT_EQ(LLVMFuzzerTestOneInput(exact.data(), exact.size()), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Seeds, SeedTest, testing::ValuesIn(Seeds()),
    [](const testing::TestParamInfo<std::string>& info) {
      std::string name = std::filesystem::path(info.param).stem().string();
      std::replace_if(
          name.begin(), name.end(),
          [](char c) { return !absl::ascii_isalnum(c); }, '_');
      return name;
    });

TEST(SeedsTest, AreThere) { EXPECT_GE(Seeds().size(), 5); }

}  // namespace
}  // namespace tape
