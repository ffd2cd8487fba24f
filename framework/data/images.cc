// Images without labels (images.h). In goes a path, out come grey levels and
// names, or a Status that names the file. Tested by tests/data/images_test.cc.
#include "framework/data/images.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "framework/core/exceptions.h"
#include "framework/data/csv.h"
#include "framework/data/dataset.h"
#include "framework/data/image_folder.h"
#include "framework/io/files.h"

namespace tape {
namespace {

constexpr char kKind[] =
    "images as an IDX, PNG or CSV file, or a folder of PNG"
    " images";

bool IsFolder(const std::string& path) {
  std::error_code ignored;  // What we may not look at, its reader names.
  return std::filesystem::is_directory(path, ignored);
}

// The names of the files in `folder` and its folders.
absl::StatusOr<std::vector<std::string>> ImageNames(const std::string& folder) {
  const auto names = VisibleNames(folder, kKind);
  if (!names.ok()) return names.status();
  std::vector<std::string> all;
  for (const std::string& name : *names) {
    if (!IsFolder(PathIn(folder, name))) {
      all.push_back(name);
      continue;
    }
    const auto inner = VisibleNames(PathIn(folder, name), kKind);
    if (!inner.ok()) return inner.status();
    for (const std::string& file : *inner) all.push_back(PathIn(name, file));
  }
  if (all.empty()) return WrongData(folder, kKind, "a folder without files");
  return all;
}

absl::StatusOr<Images> ReadFolder(const std::string& folder) {
  absl::StatusOr<std::vector<std::string>> names = ImageNames(folder);
  if (!names.ok()) return names.status();
  std::vector<std::string> paths;
  for (const std::string& name : *names) paths.push_back(PathIn(folder, name));
  int64_t rows = 0;
  absl::StatusOr<Tensor> pixels = ReadPngImages(paths, &rows);
  if (!pixels.ok()) return pixels.status();
  return Images{
      .pixels = *std::move(pixels), .names = *std::move(names), .rows = rows};
}

// How a file begins; at most so many bytes as formats are known by.
absl::StatusOr<std::string> Beginning(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) {
    // Says what it is instead; opening a pipe might never end.
    const absl::Status status = ReadWholeFile(path, kKind).status();
    if (!status.ok()) return status;
  }
  std::array<char, 8> bytes;
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), bytes.size());
  return std::string(bytes.data(), file.gcount());
}

}  // namespace

absl::StatusOr<Images> ReadImages(const std::string& path) try {
  if (IsFolder(path)) return ReadFolder(path);
  const absl::StatusOr<std::string> beginning = Beginning(path);
  if (!beginning.ok()) return beginning.status();
  int64_t rows = 0;
  if (absl::StartsWith(*beginning, "\x89PNG")) {
    absl::StatusOr<Tensor> pixels = ReadPngImages({path}, &rows);
    if (!pixels.ok()) return pixels.status();
    return Images{.pixels = *std::move(pixels),
                  .names = {std::filesystem::path(path).filename().string()},
                  .rows = rows};
  }
  // No text begins with a NUL byte.
  const bool is_idx = absl::StartsWith(*beginning, "\x1f\x8b") ||
                      absl::StartsWith(*beginning, absl::string_view("\0", 1));
  absl::StatusOr<Tensor> pixels =
      is_idx ? ReadIdxImages(path, &rows) : ReadCsvImages(path);
  if (!pixels.ok()) return pixels.status();
  Images images = {.pixels = *std::move(pixels), .rows = rows};
  for (int64_t i = 0; i < images.size(); ++i) {
    images.names.push_back(absl::StrCat(i));
  }
  return images;
} catch (...) {
  return CaughtStatus(path);
}

}  // namespace tape
