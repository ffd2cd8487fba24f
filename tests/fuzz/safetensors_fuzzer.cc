// Fuzzes the reader of safetensors files (framework/io/safetensors.h): the
// input is the file. Changes are also made to the header alone, whose length is
// then put right, and so is the checksum of a file that has one.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "framework/core/check.h"
#include "framework/io/checksum.h"
#include "framework/io/safetensors.h"
#include "framework/io/stored_array.h"
#include "tests/fuzz/fuzzing.h"
#include "tests/fuzz/stored_arrays.h"

namespace tape {
namespace {

constexpr absl::string_view kChecksumPrefix = R"({"__metadata__":{"crc32c":")";
constexpr size_t kLengthBytes = 8;
constexpr size_t kChecksumAt = kLengthBytes + kChecksumPrefix.size();
constexpr size_t kChecksumDigits = 8;

// The file itself; and for each of its bytes: an entry of the metadata, "a":"",
// is 7 of them and two strings of 32 bytes in a list that grows by doubling,
// and a third string among the keys known. Arrays' entries are larger, but so
// is what makes them. And what an error and small things take.
size_t Limit(size_t file) { return 48 * file + 64 * 1024; }

Metadata WithoutChecksum(Metadata metadata) {
  std::erase_if(metadata,
                [](const auto& entry) { return entry.first == "crc32c"; });
  return metadata;
}

void CheckWrittenAgain(const SafetensorsFile& file, bool with_checksum) {
  const std::string path = NewPath("copy");
  TAPE_CHECK(
      WriteSafetensors(path, file.arrays, file.metadata, with_checksum).ok());
  const auto again = ReadSafetensors(
      path, with_checksum ? Checksum::kRequired : Checksum::kIfPresent);
  TAPE_CHECK(again.ok());
  CheckSameArrays(file, *again);
  TAPE_CHECK(WithoutChecksum(again->metadata) ==
             WithoutChecksum(file.metadata));
}

void CheckFlippedBitIsFound(std::string bytes, size_t bit) {
  bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
  const std::string path = FileOf("flipped", bytes);
  const auto file = ReadSafetensors(path, Checksum::kRequired);
  TAPE_CHECK(!file.ok());
  CheckError(file.status(), {path});
}

// The last bit of all, and one that the file itself chooses.
void CheckFlippedBitsAreFound(absl::string_view bytes) {
  size_t bit = 0;
  for (char byte : bytes) bit = 31 * bit + static_cast<uint8_t>(byte);
  CheckFlippedBitIsFound(std::string(bytes), bit % (8 * bytes.size()));
  CheckFlippedBitIsFound(std::string(bytes), 8 * bytes.size() - 1);
}

}  // namespace
}  // namespace tape

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tape;
  const absl::string_view bytes = AsText(data, size);
  const std::string path = FileOf("safetensors", bytes);
  const auto file =
      WithinMemory(Limit(size), [&] { return ReadSafetensors(path); });
  const auto checked = ReadSafetensors(path, Checksum::kRequired);
  TAPE_CHECK(file.ok() || !checked.ok());
  if (!checked.ok()) CheckError(checked.status(), {path});
  if (!file.ok()) {
    CheckError(file.status(), {path});
    return 0;
  }
  CheckConversions(file->arrays);
  CheckWrittenAgain(*file, /*with_checksum=*/false);
  CheckWrittenAgain(*file, /*with_checksum=*/true);
  if (checked.ok()) CheckFlippedBitsAreFound(bytes);
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t max_size, unsigned int seed) {
  using namespace tape;
  const absl::string_view bytes = AsText(data, size);
  uint64_t length = 0;
  if (size >= kLengthBytes) std::memcpy(&length, data, kLengthBytes);
  std::string changed;
  if (seed % 2 == 0 && length > 0 && length <= size - kLengthBytes) {
    const std::string header =
        Mutated(bytes.substr(kLengthBytes, length), length + 64);
    const uint64_t changed_length = header.size();
    changed = absl::StrCat(
        absl::string_view(reinterpret_cast<const char*>(&changed_length),
                          kLengthBytes),
        header, bytes.substr(kLengthBytes + length));
  }
  if (changed.empty() || changed.size() > max_size) {
    changed = Mutated(bytes, max_size);
  }
  if (seed % 8 != 1 && changed.size() >= kChecksumAt + kChecksumDigits &&
      changed.compare(kLengthBytes, kChecksumPrefix.size(),
                      kChecksumPrefix.data(), kChecksumPrefix.size()) == 0) {
    changed.replace(kChecksumAt, kChecksumDigits, kChecksumDigits, '0');
    changed.replace(kChecksumAt, kChecksumDigits,
                    absl::StrCat(absl::Hex(Crc32c(changed), absl::kZeroPad8)));
  }
  std::memcpy(data, changed.data(), changed.size());
  return changed.size();
}
