// Images by class (image_tree.h). Tested by tests/data/image_tree_test.cc.
#include "framework/data/image_tree.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "framework/core/exceptions.h"
#include "framework/io/decode_image.h"
#include "framework/io/files.h"

namespace tape {
namespace {

namespace fs = std::filesystem;

bool IsFolder(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// What file managers leave behind.
bool IsOfFileManager(const std::string& name) {
  const std::string lower = absl::AsciiStrToLower(name);
  return lower == "thumbs.db" || lower == "desktop.ini";
}

// Lists folders, and counts what it passes over.
class Lister {
 public:
  // Sorted.
  absl::StatusOr<std::vector<std::string>> Names(const std::string& folder,
                                                 const std::string& what) {
    absl::StatusOr<std::vector<std::string>> names = VisibleNames(folder, what);
    if (!names.ok()) return names;
    std::erase_if(*names, IsOfFileManager);
    std::error_code ignored;
    const fs::directory_iterator entries(folder, ignored);
    passed_over_ += std::distance(begin(entries), end(entries)) -
                    static_cast<int64_t>(names->size());
    return names;
  }

  std::vector<std::string> Notes() const {
    if (passed_over_ <= 0) return {};
    return {absl::StrCat("passed over ", passed_over_,
                         passed_over_ == 1 ? " file" : " files",
                         ", hidden or of a file manager")};
  }

 private:
  int64_t passed_over_ = 0;
};

std::string SizeText(const ImageInfo& info) {
  return absl::StrCat(info.rows, " rows of ", info.columns, " pixels");
}

// Reads the files of these names in `folder`, or the one file `folder`.
absl::StatusOr<ColorImages> ReadFiles(const std::string& folder,
                                      std::vector<std::string> names,
                                      const ImageTreeOptions& options) {
  if (options.channels != 0 && options.channels != 1 && options.channels != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("ImageTreeOptions::channels: expected 0, 1 or 3, found ",
                     options.channels));
  }
  const auto path_of = [&](const std::string& name) {
    return name.empty() ? folder : PathIn(folder, name);
  };
  ColorImages images;
  ImageInfo first;
  int channels = std::max(options.channels, 1);
  for (const std::string& name : names) {
    const std::string path = path_of(name);
    const absl::StatusOr<FileBytes> bytes =
        ReadWholeFile(path, "a PNG or JPEG image");
    if (!bytes.ok()) return bytes.status();
    const absl::StatusOr<ImageInfo> info = ReadImageInfo(bytes->view(), path);
    if (!info.ok()) return info.status();
    if (&name == &names.front()) first = *info;
    if (info->rows != first.rows || info->columns != first.columns) {
      return WrongData(
          path,
          absl::StrCat(SizeText(first), ", as in ", path_of(names.front())),
          SizeText(*info));
    }
    if (options.channels == 0) channels = std::max(channels, info->channels);
  }
  images.rows = first.rows;
  images.columns = first.columns;
  images.channels = channels;
  const int64_t size = first.rows * first.columns * channels;
  const auto count = static_cast<int64_t>(names.size());
  absl::StatusOr<Tensor> pixels = Tensor::Make({DType::kUint8, {count, size}});
  if (!pixels.ok()) return pixels.status();
  images.pixels = *std::move(pixels);
  for (int64_t i = 0; i < count; ++i) {
    const std::string path = path_of(names[i]);
    const absl::StatusOr<FileBytes> bytes =
        ReadWholeFile(path, "a PNG or JPEG image");
    if (!bytes.ok()) return bytes.status();
    // It may have changed since.
    const absl::StatusOr<ImageInfo> info = ReadImageInfo(bytes->view(), path);
    if (!info.ok()) return info.status();
    if (info->rows != first.rows || info->columns != first.columns) {
      return WrongData(path, SizeText(first), SizeText(*info));
    }
    absl::Status status =
        DecodeImage(bytes->view(), path, channels,
                    images.pixels.values<uint8_t>().subspan(i * size, size));
    if (!status.ok()) return status;
  }
  images.names = std::move(names);
  return images;
}

// The names of files in `folder` and the folders in it.
absl::Status ListAll(const std::string& folder, const std::string& prefix,
                     Lister& lister, std::vector<std::string>& names) {
  constexpr int kMostDepth = 64;
  if (std::count(prefix.begin(), prefix.end(), '/') > kMostDepth) {
    return WrongData(folder, "at most 64 folders in one another", "more");
  }
  const absl::StatusOr<std::vector<std::string>> here =
      lister.Names(folder, "a folder of images");
  if (!here.ok()) return here.status();
  for (const std::string& name : *here) {
    const std::string path = PathIn(folder, name);
    if (!IsFolder(path)) {
      names.push_back(prefix + name);
      continue;
    }
    absl::Status status = ListAll(path, prefix + name + "/", lister, names);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// By number if all are numbers, else as they are.
void SortClasses(std::vector<std::string>& classes) {
  const auto number = [](const std::string& name, int64_t& value) {
    return absl::SimpleAtoi(name, &value);
  };
  int64_t ignored;
  const bool are_numbers = std::all_of(
      classes.begin(), classes.end(),
      [&](const std::string& name) { return number(name, ignored); });
  if (!are_numbers) return;
  std::stable_sort(classes.begin(), classes.end(),
                   [&](const std::string& a, const std::string& b) {
                     int64_t x = 0, y = 0;
                     number(a, x);
                     number(b, y);
                     return x < y;
                   });
}

}  // namespace

absl::StatusOr<ImageTree> ReadImageTree(const std::string& folder,
                                        const ImageTreeOptions& options) try {
  Lister lister;
  absl::StatusOr<std::vector<std::string>> classes =
      lister.Names(folder, "a folder with a folder of images for each class");
  if (!classes.ok()) return classes.status();
  for (const std::string& name : *classes) {
    if (IsFolder(PathIn(folder, name))) continue;
    return WrongData(folder, "a folder for each class",
                     absl::StrCat("the file ", Quoted(name, 40)));
  }
  if (classes->size() < 2) {
    return WrongData(folder, "folders of at least two classes",
                     absl::StrCat(classes->size()));
  }
  SortClasses(*classes);
  std::vector<std::string> names;
  std::vector<int32_t> labels;
  for (size_t label = 0; label < classes->size(); ++label) {
    const std::string& name = (*classes)[label];
    const absl::StatusOr<std::vector<std::string>> files =
        lister.Names(PathIn(folder, name), "a folder of images");
    if (!files.ok()) return files.status();
    if (files->empty()) {
      return WrongData(PathIn(folder, name), "images of a class",
                       "a folder without files");
    }
    for (const std::string& file : *files) {
      names.push_back(absl::StrCat(name, "/", file));
      labels.push_back(static_cast<int32_t>(label));
    }
  }
  absl::StatusOr<ColorImages> images =
      ReadFiles(folder, std::move(names), options);
  if (!images.ok()) return images.status();
  images->notes = lister.Notes();
  const auto count = static_cast<int64_t>(labels.size());
  return ImageTree{.images = *std::move(images),
                   .labels = Tensor({count}, labels),
                   .classes = *std::move(classes)};
} catch (...) {
  return CaughtStatus(folder);
}

absl::StatusOr<ColorImages> ReadColorImages(
    const std::string& path, const ImageTreeOptions& options) try {
  Lister lister;
  std::vector<std::string> names;
  if (!IsFolder(path)) {
    absl::StatusOr<ColorImages> one = ReadFiles(path, {""}, options);
    if (one.ok()) one->names = {fs::path(path).filename().string()};
    return one;
  }
  if (absl::Status status = ListAll(path, "", lister, names); !status.ok()) {
    return status;
  }
  if (names.empty()) {
    return WrongData(path, "a folder of images", "a folder without files");
  }
  absl::StatusOr<ColorImages> images =
      ReadFiles(path, std::move(names), options);
  if (images.ok()) images->notes = lister.Notes();
  return images;
} catch (...) {
  return CaughtStatus(path);
}

}  // namespace tape
