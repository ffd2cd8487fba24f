// Data sets as trees of PNG images (image_folder.h). In goes a folder, out come
// tensors, or a Status that names the file; and the other way round.
// Tested by tests/data/image_folder_test.cc.
#include "framework/data/image_folder.h"

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "framework/core/exceptions.h"
#include "framework/core/memory.h"
#include "framework/core/tensor.h"
#include "framework/io/files.h"
#include "framework/io/grey_png.h"

namespace tape {
namespace {

// Of one image: the memory that a first image can make us take by itself.
constexpr int64_t kMaxPixels = int64_t{1} << 24;

// That a byte of a file can hold: one bit each, of the 1032 bytes that deflate
// makes of one byte at most (258 bytes of 2 bits, RFC 1951).
constexpr int64_t kMaxPixelsOfByte = 8 * 1032;

struct ImageFile {
  std::string name;
  int32_t label;
};

// "folders 0 to 9, one for each class"
std::string ExpectedFolders(int classes) {
  return absl::StrCat("folders 0 to ", classes - 1, ", one for each class");
}

absl::Status CheckLabelFolders(const std::string& folder,
                               const std::vector<std::string>& names,
                               int classes) {
  for (const std::string& name : names) {
    int label;
    if (!absl::SimpleAtoi(name, &label) || label < 0 || label >= classes ||
        name != absl::StrCat(label)) {
      return WrongData(folder, ExpectedFolders(classes), Quoted(name));
    }
  }
  for (int label = 0; label < classes; ++label) {
    if (!std::binary_search(names.begin(), names.end(), absl::StrCat(label))) {
      return WrongData(folder, ExpectedFolders(classes),
                       absl::StrCat("none named ", label));
    }
  }
  return absl::OkStatus();
}

// The tree's files in the order of the samples.
absl::StatusOr<std::vector<ImageFile>> ListImages(const std::string& folder,
                                                  int classes) {
  const auto folders = VisibleNames(folder, "a folder of PNG images");
  if (!folders.ok()) return folders.status();
  absl::Status status = CheckLabelFolders(folder, *folders, classes);
  if (!status.ok()) return status;

  std::vector<ImageFile> files;
  for (int label = 0; label < classes; ++label) {
    const std::string class_folder = PathIn(folder, absl::StrCat(label));
    const std::string kind =
        absl::StrCat("a folder with PNG images of class ", label);
    auto names = VisibleNames(class_folder, kind);
    if (!names.ok()) return names.status();
    if (names->empty()) {
      return WrongData(class_folder, kind, "a folder without files");
    }
    for (std::string& name : *names) files.push_back({std::move(name), label});
  }
  std::sort(files.begin(), files.end(),
            [](const ImageFile& a, const ImageFile& b) {
              return std::tie(a.name, a.label) < std::tie(b.name, b.label);
            });
  return files;
}

std::string PathOf(const std::string& folder, const ImageFile& file) {
  return PathIn(folder, absl::StrCat(file.label, "/", file.name));
}

std::string Describe(ImageSize size) {
  return absl::StrCat(size.rows, " rows of ", size.columns, " pixels");
}

}  // namespace

absl::StatusOr<Tensor> ReadPngImages(absl::Span<const std::string> paths,
                                     int64_t* rows) try {
  if (paths.empty()) {
    return WrongData("ReadPngImages", "at least 1 image", "none");
  }
  ImageSize size;  // Of the first image.
  std::vector<uint8_t> greys;
  for (const std::string& path : paths) {
    const absl::StatusOr<FileBytes> bytes = ReadWholeFile(path, "a PNG image");
    if (!bytes.ok()) return bytes.status();
    PngDecoder decoder(bytes->view(), path);
    const absl::StatusOr<ImageSize> found = decoder.ReadSize();
    if (!found.ok()) return found.status();
    if (greys.empty()) {
      size = *found;
      if (size.pixels() > kMaxPixels) {
        return WrongData(path, absl::StrCat("at most ", kMaxPixels, " pixels"),
                         Describe(size));
      }
    } else if (*found != size) {
      return WrongData(path,
                       absl::StrCat(Describe(size), ", as in ", paths.front()),
                       Describe(*found));
    }
    const auto file_bytes = static_cast<int64_t>(bytes->size());
    if (size.pixels() > kMaxPixelsOfByte * file_bytes) {
      return WrongData(
          path,
          absl::StrCat("at most ", kMaxPixelsOfByte * file_bytes,
                       " pixels in a file of ", file_bytes, " bytes"),
          Describe(size));
    }
    if (greys.empty()) {
      // A tensor becomes a copy of them.
      const auto all = static_cast<int64_t>(paths.size()) * size.pixels();
      absl::Status status = CheckMemory(path, 2 * all);
      if (!status.ok()) return status;
    }
    // Grows as images arrive: the first may be the only one that is as large.
    const size_t grown = greys.size() + size.pixels();
    if (grown > greys.capacity()) {
      greys.reserve(std::min(2 * grown, paths.size() * size.pixels()));
    }
    greys.resize(grown);
    absl::Status status =
        decoder.ReadPixels(greys.data() + greys.size() - size.pixels());
    if (!status.ok()) return status;
  }
  if (rows != nullptr) *rows = size.rows;
  return Tensor({static_cast<int64_t>(paths.size()), size.pixels()}, greys);
} catch (...) {
  return CaughtStatus("PNG images");
}

absl::StatusOr<Dataset> ReadImageFolder(const std::string& folder,
                                        int classes) try {
  if (absl::Status status = CheckClasses(classes); !status.ok()) return status;
  const auto files = ListImages(folder, classes);
  if (!files.ok()) return files.status();
  std::vector<std::string> paths;
  std::vector<int32_t> labels;
  for (const ImageFile& file : *files) {
    paths.push_back(PathOf(folder, file));
    labels.push_back(file.label);
  }
  int64_t rows = 0;
  absl::StatusOr<Tensor> images = ReadPngImages(paths, &rows);
  if (!images.ok()) return images.status();
  return Dataset{
      .images = *std::move(images),
      .labels = Tensor({static_cast<int64_t>(labels.size())}, labels),
      .classes = classes,
      .rows = rows};
} catch (...) {
  return CaughtStatus(folder);
}

absl::Status WriteImageFolder(const Dataset& dataset,
                              const std::string& folder) try {
  if (absl::Status status = CheckGreyLevels(dataset); !status.ok()) {
    return status;
  }
  const absl::StatusOr<ImageSize> size = SizeOfImages(dataset);
  if (!size.ok()) return size.status();
  const auto labels = dataset.labels.values<int32_t>();
  for (const int32_t label : labels) {
    if (label >= 0 && label < dataset.classes) continue;
    return WrongData(
        folder, absl::StrCat("labels in 0 to ", int64_t{dataset.classes} - 1),
        absl::StrCat(label));
  }
  for (int label = 0; label < dataset.classes; ++label) {
    if (std::find(labels.begin(), labels.end(), label) == labels.end()) {
      return WrongData(folder, "images of every class to write",
                       absl::StrCat("none of class ", label));
    }
  }

  absl::Status status = MakeFolder(folder);
  for (int label = 0; label < dataset.classes && status.ok(); ++label) {
    status = MakeFolder(PathIn(folder, absl::StrCat(label)));
  }
  // Names of one length, so that their order is that of the indices.
  const size_t digits =
      std::max<size_t>(5, absl::StrCat(dataset.size() - 1).size());
  for (int64_t i = 0; i < dataset.size() && status.ok(); ++i) {
    const std::string path =
        PathOf(folder, {absl::StrFormat("%0*d.png", digits, i), labels[i]});
    const uint8_t* const pixels =
        dataset.images.values<uint8_t>().data() + i * dataset.pixels();
    status = WriteNewFile(path, {EncodePng(*size, pixels)});
  }
  return status;
} catch (...) {
  return CaughtStatus(folder);
}

}  // namespace tape
