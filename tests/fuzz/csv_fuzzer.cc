// Fuzzes the readers of CSV files (framework/data/csv.h, images.h): the input
// is a labelled file; if there is a form feed in it, also a file of images,
// which stands before the first, and one of labels, which stands after.
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "framework/core/check.h"
#include "framework/data/csv.h"
#include "framework/data/dataset.h"
#include "framework/data/images.h"
#include "tests/fuzz/fuzzing.h"

namespace tape {
namespace {

constexpr int kClasses = 10;

// A label, which is 4 bytes, has 2 in the file at least; it is held twice
// while its memory grows and as a tensor. With the file itself, 9 bytes for
// one. And what an error and small things take.
size_t Limit(size_t files) { return 9 * files + 16 * 1024; }

// Whether ReadImages takes the file for one of another form, as which the other
// fuzzers read it. A header can be of any bytes, and so can look like one.
bool LooksLikeAnotherForm(absl::string_view bytes) {
  return absl::StartsWith(bytes, "\x1f\x8b") ||
         absl::StartsWith(bytes, "\x89PNG") ||
         absl::StartsWith(bytes, absl::string_view("\0", 1));
}

// The images alone, which are those of `dataset` if it could be read.
void ReadAsImages(const std::string& path, absl::string_view bytes,
                  const absl::StatusOr<Dataset>& dataset) {
  if (LooksLikeAnotherForm(bytes)) return;
  // An image may be 2 bytes; its name is 32, in a list that grows by doubling.
  const auto images = WithinMemory(Limit(bytes.size()) + 3 * 16 * bytes.size(),
                                   [&] { return ReadImages(path); });
  if (!images.ok()) CheckError(images.status(), {path});
  if (!dataset.ok()) return;
  TAPE_CHECK(images.ok());
  TAPE_CHECK(images->pixels.shape() == dataset->images.shape());
  TAPE_CHECK(images->pixels.values<uint8_t>() ==
             dataset->images.values<uint8_t>());
}

void ReadLabelled(absl::string_view bytes) {
  const std::string path = FileOf("labelled.csv", bytes);
  const auto dataset = WithinMemory(Limit(bytes.size()), [&] {
    return ReadLabelledCsvDataset(path, kClasses);
  });
  ReadAsImages(path, bytes, dataset);
  if (!dataset.ok()) return CheckError(dataset.status(), {path});
  const std::string copy = NewPath("copy.csv");
  TAPE_CHECK(WriteLabelledCsvDataset(*dataset, copy).ok());
  const auto again = ReadLabelledCsvDataset(copy, kClasses);
  TAPE_CHECK(again.ok());
  CheckSame(*again, *dataset);
}

void ReadPair(absl::string_view images, absl::string_view labels) {
  const std::string images_path = FileOf("images.csv", images);
  const std::string labels_path = FileOf("labels.csv", labels);
  const auto dataset = WithinMemory(Limit(images.size() + labels.size()), [&] {
    return ReadCsvDataset(images_path, labels_path, kClasses);
  });
  ReadAsImages(images_path, images, dataset);
  if (!dataset.ok()) {
    return CheckError(dataset.status(), {images_path, labels_path});
  }
  const std::string images_copy = NewPath("images_copy.csv");
  const std::string labels_copy = NewPath("labels_copy.csv");
  TAPE_CHECK(WriteCsvDataset(*dataset, images_copy, labels_copy).ok());
  const auto again = ReadCsvDataset(images_copy, labels_copy, kClasses);
  TAPE_CHECK(again.ok());
  CheckSame(*again, *dataset);
}

}  // namespace
}  // namespace tape

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes = tape::AsText(data, size);
  tape::ReadLabelled(bytes);
  const size_t split = bytes.find('\f');
  if (split != bytes.npos) {
    tape::ReadPair(bytes.substr(0, split), bytes.substr(split + 1));
  }
  return 0;
}
