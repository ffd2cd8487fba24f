// What a run has left (run_testing.h).
#include "tests/models/run_testing.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <set>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "framework/core/random.h"
#include "framework/data/dataset.h"
#include "framework/io/safetensors.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;

// Small images of ten classes: a bright pixel or two for the class, and noise.
Dataset RandomImages(int64_t samples, uint64_t stream) {
  constexpr int64_t kPixels = 36;
  RandomStream random(1, stream);
  std::vector<uint8_t> images;
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < samples; ++i) {
    const uint32_t label = random.Below(10);
    labels.push_back(static_cast<int32_t>(label));
    for (uint32_t pixel = 0; pixel < kPixels; ++pixel) {
      const uint32_t noise = random.Below(160);
      images.push_back(pixel / 3 == label ? 96 + noise : noise);
    }
  }
  return {.images = Tensor({samples, kPixels}, images),
          .labels = Tensor({samples}, labels),
          .classes = 10};
}

}  // namespace

const std::string& SmallDataFolder() {
  static const auto* const folder = [] {
    const fs::path path = fs::path(testing::TempDir()) / "data";
    fs::remove_all(path);
    fs::create_directories(path);
    for (const auto& [name, samples] :
         {std::pair("train", 600), std::pair("t10k", 100)}) {
      const fs::path stem = path / name;
      EXPECT_TRUE(WriteIdxDataset(RandomImages(samples, samples),
                                  stem.string() + "-images-idx3-ubyte",
                                  stem.string() + "-labels-idx1-ubyte")
                      .ok());
    }
    return new std::string(path.string());
  }();
  return *folder;
}

fs::path NewFolder(const std::string& name) {
  const fs::path path = fs::path(testing::TempDir()) / name;
  fs::remove_all(path);
  return path;
}

std::string MetricsOf(const fs::path& run) {
  std::string text;
  for (absl::string_view line :
       absl::StrSplit(ReadText(run / "metrics.csv"), '\n')) {
    std::vector<absl::string_view> cells = absl::StrSplit(line, ',');
    if (cells.size() > 5) cells.erase(cells.begin() + 5);
    absl::StrAppend(&text, absl::StrJoin(cells, ","), "\n");
  }
  return text;
}

std::map<std::string, std::string> LastArrays(const fs::path& run) {
  std::set<std::string> paths;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints")) {
    if (entry.path().extension() == ".safetensors") {
      paths.insert(entry.path().string());
    }
  }
  std::map<std::string, std::string> arrays;
  if (paths.empty()) return arrays;
  const absl::StatusOr<SafetensorsFile> file =
      ReadSafetensors(*paths.rbegin(), Checksum::kRequired);
  EXPECT_TRUE(file.ok()) << file.status();
  if (!file.ok()) return arrays;
  for (const StoredArray& array : file->arrays) {
    if (array.name != "@state") arrays[array.name] = std::string(array.bytes);
  }
  arrays["@path"] = fs::path(*paths.rbegin()).filename().string();
  return arrays;
}

std::string NewestCheckpoint(const fs::path& run) {
  std::string newest;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", none)) {
    if (entry.path().extension() == ".safetensors") {
      newest = std::max(newest, entry.path().filename().string());
    }
  }
  return newest;
}

Left::Left(const fs::path& run)
    : metrics(MetricsOf(run)),
      arrays(LastArrays(run)),
      model(ReadText(run / "model.safetensors")) {}

void SleepFor(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

}  // namespace tape
