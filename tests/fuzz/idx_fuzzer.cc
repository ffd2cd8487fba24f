// Fuzzes the readers of IDX files (framework/io/idx.h), plain ones, and of
// images alone (images.h): the input is the file.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "framework/core/check.h"
#include "framework/data/dataset.h"
#include "framework/data/images.h"
#include "framework/io/idx.h"
#include "tests/fuzz/fuzzing.h"

namespace tape {
namespace {

// As idx.h promises, and the file itself; and what an error and small things
// take, and zlib for a file that says that it is gzipped.
size_t Limit(size_t content, size_t file) {
  return 3 * content + file + (64 + 64) * 1024;
}

// A data set of the array and of another that goes with it.
void ReadAsDataset(const std::string& path, const IdxArray& array,
                   size_t limit) {
  const std::string other = NewPath("other");
  const bool is_labels = array.shape.rank() == 1;
  const std::string& images = is_labels ? other : path;
  const std::string& labels = is_labels ? path : other;
  // Images without pixels may be any number.
  const int64_t count = array.values.empty() ? 0 : array.shape[0];
  const Shape shape = is_labels ? Shape{count, 1, 1} : Shape{count};
  TAPE_CHECK(WriteIdx(other, shape, std::vector<uint8_t>(count)).ok());
  // Both arrays, as bytes and as tensors; labels as int32 once more.
  const auto dataset = WithinMemory(8 * limit, [&] {
    return ReadIdxDataset(images, labels, /*classes=*/10);
  });
  if (!dataset.ok()) return CheckError(dataset.status(), {images, labels});
  TAPE_CHECK_EQ(dataset->images.elements(), array.shape.elements());
  if (!SizeOfImages(*dataset).ok()) return;
  const std::string new_images = NewPath("images");
  const std::string new_labels = NewPath("labels");
  TAPE_CHECK(WriteIdxDataset(*dataset, new_images, new_labels).ok());
  const auto again = ReadIdxDataset(new_images, new_labels, /*classes=*/10);
  TAPE_CHECK(again.ok());
  CheckSame(*again, *dataset);
}

// The images alone.
void ReadAsImages(const std::string& path,
                  const absl::StatusOr<IdxArray>& array, bool is_idx,
                  size_t limit) {
  const auto images = WithinMemory(limit, [&] { return ReadImages(path); });
  if (!images.ok()) CheckError(images.status(), {path});
  if (!is_idx) return;  // Perhaps a CSV file that has images.
  TAPE_CHECK_EQ(images.ok(), array.ok() && array->shape.rank() == 3 &&
                                 !array->values.empty());
  if (!images.ok()) return;
  TAPE_CHECK_EQ(images->size(), array->shape[0]);
  TAPE_CHECK(images->pixels.values<uint8_t>() == array->values);
}

}  // namespace
}  // namespace tape

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tape;
  const std::string path = FileOf("idx", AsText(data, size));
  const bool gzipped = size >= 2 && data[0] == 0x1f && data[1] == 0x8b;
  const size_t content = gzipped ? kDeflateExpansion * size : size;
  const size_t limit = Limit(content, size);
  const auto array = WithinMemory(limit, [&] { return ReadIdx(path); });
  for (const DType dtype :
       {DType::kInt32, DType::kUint8, DType::kFloat32, DType::kFloat64}) {
    // A byte may become four.
    const auto tensor = WithinMemory(
        limit + 4 * content, [&] { return ReadIdxTensor(path, dtype); });
    if (!tensor.ok()) CheckError(tensor.status(), {path});
    if (dtype != DType::kUint8 || !array.ok()) continue;
    TAPE_CHECK(tensor.ok());
    TAPE_CHECK(tensor->values<uint8_t>() == array->values);
  }
  // An image may be a byte; its name is 32, in a list that grows by doubling.
  ReadAsImages(path, array, gzipped || (size > 0 && data[0] == 0),
               limit + 3 * 32 * content);
  if (!array.ok()) {
    CheckError(array.status(), {path});
    return 0;
  }
  const std::string copy = NewPath("copy");
  TAPE_CHECK(WriteIdx(copy, array->shape, array->values).ok());
  const auto again = ReadIdx(copy);
  TAPE_CHECK(again.ok());
  TAPE_CHECK(again->shape == array->shape);
  TAPE_CHECK(again->values == array->values);
  ReadAsDataset(path, *array, limit);
  return 0;
}
