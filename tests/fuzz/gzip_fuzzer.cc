// Fuzzes the reader of IDX files (framework/io/idx.h), gzipped ones: the
// input is the file. Every other change is made to what it decompresses to.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "framework/core/check.h"
#include "framework/io/idx.h"
#include "tests/fuzz/fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tape;
  const absl::string_view bytes = AsText(data, size);
  const std::string path = FileOf("idx.gz", bytes);
  // As idx.h promises, and the file itself; and what zlib, an error and small
  // things take.
  const size_t limit = 3 * kDeflateExpansion * size + size + (64 + 64) * 1024;
  const auto array = WithinMemory(limit, [&] { return ReadIdx(path); });
  if (!array.ok()) CheckError(array.status(), {path});

  // zlib by itself has the same content.
  const std::optional<std::string> content =
      Inflate(bytes, kGzipFormat, kDeflateExpansion * size);
  if (!content.has_value()) {
    // The reader may be content with what precedes the fault only to refuse it.
    TAPE_CHECK(!array.ok() || bytes.substr(0, 2) != "\x1f\x8b");
    return 0;
  }
  if (array.ok()) {
    const auto plain = ParseIdx(*content, path);
    TAPE_CHECK(plain.ok());
    TAPE_CHECK(plain->shape == array->shape);
    TAPE_CHECK(plain->values == array->values);
  } else if (content->substr(0, 2) != "\x1f\x8b" &&
             !absl::StrContains(array.status().message(), "compressed byte")) {
    TAPE_CHECK_EQ(ParseIdx(*content, path).status().ToString(),
                  array.status().ToString());
  }
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t max_size, unsigned int seed) {
  using namespace tape;
  const absl::string_view bytes = AsText(data, size);
  std::optional<std::string> content;
  if (seed % 2 == 0) content = Inflate(bytes, kGzipFormat, 64 * 1024);
  std::string changed =
      content.has_value()
          ? Deflate(Mutated(*content, content->size() + 4096), kGzipFormat)
          : Mutated(bytes, max_size);
  if (changed.size() > max_size) changed = Mutated(bytes, max_size);
  std::memcpy(data, changed.data(), changed.size());
  return changed.size();
}
