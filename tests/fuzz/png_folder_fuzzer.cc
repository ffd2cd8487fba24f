// Fuzzes the reader of trees of PNG images (framework/data/image_folder.h,
// images.h, grey_png.h): each PNG signature in the input begins a new file of
// the tree, so that an image is an input, and so are several, one after the
// other. A checksum that a change made wrong would hide what lies behind it, so
// most changes are made to a chunk, or to what the pixels decompress to.
#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "framework/core/check.h"
#include "framework/data/dataset.h"
#include "framework/data/image_folder.h"
#include "framework/data/images.h"
#include "tests/fuzz/fuzzing.h"

namespace tape {
namespace {

constexpr absl::string_view kSignature = "\x89PNG\r\n\x1a\n";
constexpr size_t kMaxFiles = 16;

std::vector<absl::string_view> SplitIntoFiles(absl::string_view bytes) {
  std::vector<absl::string_view> files;
  do {
    size_t end = bytes.size();
    if (files.size() + 1 < kMaxFiles) {
      end = std::min(end, bytes.find(kSignature, 1));
    }
    files.push_back(bytes.substr(0, end));
    bytes.remove_prefix(end);
  } while (!bytes.empty());
  return files;
}

// The images of a tree have labels 0, 1, 0, 1, …
int Classes(size_t files) { return files == 1 ? 1 : 2; }

std::string Tree(const std::vector<absl::string_view>& files) {
  const std::string folder = NewPath("tree");
  const int classes = Classes(files.size());
  for (int label = 0; label < classes; ++label) {
    std::filesystem::create_directories(absl::StrCat(folder, "/", label));
  }
  for (size_t i = 0; i < files.size(); ++i) {
    FileOf(absl::StrFormat("tree/%d/%05d.png", i % classes, i), files[i]);
  }
  return folder;
}

// A byte of a file is eight pixels at most, once decompressed. They are held
// twice while their memory grows, which takes up to twice as much, and as a
// tensor. And libpng, zlib, an error and small things.
size_t Limit(size_t files) {
  return 4 * 8 * kDeflateExpansion * files + 256 * 1024;
}

}  // namespace
}  // namespace tape

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tape;
  const std::vector<absl::string_view> files =
      SplitIntoFiles(AsText(data, size));
  const int classes = Classes(files.size());
  const std::string folder = Tree(files);
  const auto dataset = WithinMemory(
      Limit(size), [&] { return ReadImageFolder(folder, classes); });
  const auto images =
      WithinMemory(Limit(size), [&] { return ReadImages(folder); });
  TAPE_CHECK_EQ(images.ok(), dataset.ok());
  if (!dataset.ok()) {
    CheckError(dataset.status(), {folder});
    CheckError(images.status(), {folder});
    return 0;
  }
  TAPE_CHECK_EQ(dataset->size(), static_cast<int64_t>(files.size()));
  TAPE_CHECK(images->pixels.shape() == dataset->images.shape());
  const std::string copy = NewPath("copy");
  const absl::Status written = WriteImageFolder(*dataset, copy);
  if (!SizeOfImages(*dataset).ok()) {
    TAPE_CHECK(absl::IsInvalidArgument(written));
    return 0;
  }
  TAPE_CHECK(written.ok());
  const auto again = ReadImageFolder(copy, classes);
  TAPE_CHECK(again.ok());
  CheckSame(*again, *dataset);
  return 0;
}

// ---- Changes ----

namespace tape {
namespace {

struct Chunk {
  std::string type;  // 4 bytes.
  std::string data;
};

uint32_t BigEndian(absl::string_view bytes) {
  uint32_t number = 0;
  for (int i = 0; i < 4; ++i) {
    number = number << 8 | static_cast<uint8_t>(bytes[i]);
  }
  return number;
}

void AppendBigEndian(uint32_t number, std::string& to) {
  for (int shift : {24, 16, 8, 0}) {
    to.push_back(static_cast<char>(number >> shift));
  }
}

// The chunks of a file, whatever their checksums, as far as there are any.
std::vector<Chunk> Chunks(absl::string_view file) {
  std::vector<Chunk> chunks;
  file.remove_prefix(std::min(file.size(), kSignature.size()));
  while (file.size() >= 12 && BigEndian(file) <= file.size() - 12) {
    const size_t size = BigEndian(file);
    chunks.push_back(
        {std::string(file.substr(4, 4)), std::string(file.substr(8, size))});
    file.remove_prefix(12 + size);
  }
  return chunks;
}

std::string ToFile(const std::vector<Chunk>& chunks) {
  std::string file(kSignature);
  for (const Chunk& chunk : chunks) {
    AppendBigEndian(chunk.data.size(), file);
    const std::string summed = chunk.type + chunk.data;
    file += summed;
    AppendBigEndian(
        crc32(0, reinterpret_cast<const Bytef*>(summed.data()), summed.size()),
        file);
  }
  return file;
}

// Changes what the pixels decompress to, and puts them into one chunk.
bool ChangePixels(std::vector<Chunk>& chunks, size_t max) {
  std::string compressed;
  std::vector<Chunk> changed;
  for (Chunk& chunk : chunks) {
    if (chunk.type != "IDAT") {
      changed.push_back(std::move(chunk));
      continue;
    }
    if (compressed.empty()) changed.push_back({"IDAT", ""});
    compressed += chunk.data;
  }
  chunks = std::move(changed);
  const std::optional<std::string> pixels =
      Inflate(compressed, kZlibFormat, 64 * 1024);
  const auto idat =
      std::find_if(chunks.begin(), chunks.end(),
                   [](const Chunk& chunk) { return chunk.type == "IDAT"; });
  if (!pixels.has_value() || idat == chunks.end()) return false;
  idat->data = Deflate(Mutated(*pixels, max), kZlibFormat);
  return true;
}

}  // namespace
}  // namespace tape

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t max_size, unsigned int seed) {
  using namespace tape;
  const absl::string_view bytes = AsText(data, size);
  const std::vector<absl::string_view> files = SplitIntoFiles(bytes);
  const absl::string_view file = files[seed / 4 % files.size()];
  std::vector<Chunk> chunks = Chunks(file);
  bool changed = !chunks.empty();
  switch (changed ? seed % 4 : 0) {
    case 0:
      changed = false;
      break;
    case 1:
      changed = ChangePixels(chunks, 4096);
      break;
    case 2: {
      Chunk& chunk = chunks[seed / 64 % chunks.size()];
      chunk.data = Mutated(chunk.data, chunk.data.size() + 64);
      break;
    }
    case 3: {  // Anything, with checksums that are right.
      chunks = Chunks(Mutated(file, file.size() + 64));
      break;
    }
  }
  std::string all;
  if (changed) {
    all = absl::StrCat(
        absl::string_view(bytes.data(), file.data() - bytes.data()),
        ToFile(chunks), bytes.substr(file.data() - bytes.data() + file.size()));
  }
  if (!changed || all.size() > max_size) all = Mutated(bytes, max_size);
  std::memcpy(data, all.data(), all.size());
  return all.size();
}
