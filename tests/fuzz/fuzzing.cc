// What the fuzzers of the readers share (fuzzing.h).
#include "tests/fuzz/fuzzing.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#define ZLIB_CONST  // Lets zlib read from memory that is const.
#include <zlib.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/core/check.h"
#include "framework/core/text.h"

// libFuzzer's.
extern "C" __attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t* data,
                                                         size_t size,
                                                         size_t max_size);

namespace tape {
namespace {

// A folder that goes with the process.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "tape_fuzz.XXXXXX").string();
    TAPE_CHECK(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

std::string NewPath(absl::string_view name) {
  static const ScratchFolder folder;
  std::string path = absl::StrCat(folder.path(), "/", name);
  std::filesystem::remove_all(path);
  return path;
}

std::string FileOf(absl::string_view name, absl::string_view bytes) {
  const std::string path = NewPath(name);
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  TAPE_CHECK(file.flush().good());
  return path;
}

void CheckError(const absl::Status& error,
                std::initializer_list<absl::string_view> paths) {
  const absl::string_view message = error.message();
  const bool holds =
      !error.ok() && Printable(message) == message &&
      std::any_of(paths.begin(), paths.end(), [&](absl::string_view path) {
        return absl::StrContains(message, path);
      });
  if (holds) return;
  internal::CheckFailed(__FILE__, __LINE__,
                        absl::StrCat("one line that names ", *paths.begin(),
                                     ", found ", error.ToString()));
}

void CheckSame(const Dataset& a, const Dataset& b) {
  TAPE_CHECK_EQ(a.images.type().ToString(), b.images.type().ToString());
  TAPE_CHECK_EQ(a.labels.type().ToString(), b.labels.type().ToString());
  TAPE_CHECK(a.images.values<uint8_t>() == b.images.values<uint8_t>());
  TAPE_CHECK(a.labels.values<int32_t>() == b.labels.values<int32_t>());
  TAPE_CHECK_EQ(a.classes, b.classes);
}

std::optional<std::string> Inflate(absl::string_view bytes, int format,
                                   size_t max) {
  std::string plain;
  z_stream stream{};
  TAPE_CHECK_EQ(inflateInit2(&stream, format), Z_OK);
  stream.next_in = reinterpret_cast<const Bytef*>(bytes.data());
  stream.avail_in = bytes.size();
  int result = Z_OK;
  while (result == Z_OK && plain.size() < max) {
    const size_t arrived = plain.size();
    const size_t step = std::min(max - arrived, arrived + 4096);
    plain.resize(arrived + step);
    stream.next_out = reinterpret_cast<Bytef*>(plain.data() + arrived);
    stream.avail_out = step;
    result = inflate(&stream, Z_NO_FLUSH);
    plain.resize(arrived + step - stream.avail_out);
  }
  inflateEnd(&stream);
  if (result != Z_STREAM_END) return std::nullopt;
  return plain;
}

std::string Deflate(absl::string_view bytes, int format) {
  z_stream stream{};
  TAPE_CHECK_EQ(deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, format,
                             /*memLevel=*/8, Z_DEFAULT_STRATEGY),
                Z_OK);
  std::string compressed(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<const Bytef*>(bytes.data());
  stream.avail_in = bytes.size();
  stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
  stream.avail_out = compressed.size();
  TAPE_CHECK_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  compressed.resize(stream.total_out);
  deflateEnd(&stream);
  return compressed;
}

std::string Mutated(absl::string_view bytes, size_t max) {
  std::string mutated(bytes.substr(0, max));
  mutated.resize(max);
  mutated.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(mutated.data()),
                                  std::min(bytes.size(), max), max));
  return mutated;
}

}  // namespace tape
