// Fuzzes the reader of .npz files (framework/io/npz.h): the input is the
// file. A checksum that a change made wrong would hide what lies behind it, so
// most changes are made to what a member decompresses to, and libzip makes an
// archive of it again.
#include <zip.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "framework/core/check.h"
#include "framework/io/npz.h"
#include "framework/io/stored_array.h"
#include "tests/fuzz/fuzzing.h"
#include "tests/fuzz/stored_arrays.h"

namespace tape {
namespace {

// The members, and one of them twice while its elements are put in order; the
// file itself; what libzip keeps of each member, of which a file has no more
// than one for 46 bytes. And libzip's 32 bytes for each member that the
// archive's end claims, in 16 bits, before it looks for them; and what zlib, an
// error and small things take.
size_t Limit(size_t file) {
  return (2 * kDeflateExpansion + 16) * file + (2048 + 128) * 1024;
}

bool IsOfNumpysTypes(const NpzFile& file) {
  return std::none_of(file.arrays.begin(), file.arrays.end(),
                      [](const StoredArray& array) {
                        return array.type == StoredType::kBFloat16;
                      });
}

}  // namespace
}  // namespace tape

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tape;
  const std::string path = FileOf("npz", AsText(data, size));
  const auto file = WithinMemory(Limit(size), [&] { return ReadNpz(path); });
  if (!file.ok()) {
    CheckError(file.status(), {path});
    return 0;
  }
  TAPE_CHECK(IsOfNumpysTypes(*file));
  CheckConversions(file->arrays);
  const std::string copy = NewPath("copy");
  TAPE_CHECK(WriteNpz(copy, file->arrays).ok());
  const auto again = ReadNpz(copy);
  TAPE_CHECK(again.ok());
  CheckSameArrays(*file, *again);
  return 0;
}

// ---- Changes ----

namespace tape {
namespace {

// The archive with member `index` % members changed, stored or deflated anew.
// Empty if it is none that libzip opens.
std::string WithMemberChanged(absl::string_view bytes, unsigned int index) {
  zip_error_t ignored;
  zip_error_init(&ignored);
  zip_source_t* const source =
      zip_source_buffer_create(nullptr, 0, /*freep=*/0, &ignored);
  TAPE_CHECK(source != nullptr);
  TAPE_CHECK_EQ(zip_source_begin_write(source), 0);
  TAPE_CHECK_EQ(zip_source_write(source, bytes.data(), bytes.size()),
                static_cast<zip_int64_t>(bytes.size()));
  TAPE_CHECK_EQ(zip_source_commit_write(source), 0);
  zip_t* const zip = zip_open_from_source(source, /*flags=*/0, &ignored);
  if (zip == nullptr) {
    zip_source_free(source);
    return "";
  }
  zip_source_keep(source);
  const zip_int64_t members = zip_get_num_entries(zip, /*flags=*/0);
  std::string content, changed;
  bool done = false;
  if (members > 0) {
    const zip_uint64_t member = index % members;
    content.resize(64 * 1024);
    if (zip_file_t* const file = zip_fopen_index(zip, member, /*flags=*/0)) {
      const zip_int64_t count = zip_fread(file, content.data(), content.size());
      zip_fclose(file);
      content.resize(std::max<zip_int64_t>(count, 0));
      content = Mutated(content, content.size() + 64);
      zip_source_t* const replacement =
          zip_source_buffer(zip, content.data(), content.size(), /*freep=*/0);
      TAPE_CHECK(replacement != nullptr);
      if (zip_file_replace(zip, member, replacement, /*flags=*/0) == 0) {
        done = zip_set_file_compression(
                   zip, member,
                   index / 64 % 2 == 0 ? ZIP_CM_STORE : ZIP_CM_DEFLATE, 0) == 0;
      } else {
        zip_source_free(replacement);
      }
    }
  }
  if (!done || zip_close(zip) != 0) {
    zip_discard(zip);
  } else {
    zip_stat_t stat;
    TAPE_CHECK_EQ(zip_source_stat(source, &stat), 0);
    changed.resize(stat.size);
    TAPE_CHECK_EQ(zip_source_open(source), 0);
    TAPE_CHECK_EQ(zip_source_read(source, changed.data(), changed.size()),
                  static_cast<zip_int64_t>(changed.size()));
    zip_source_close(source);
  }
  zip_source_free(source);
  zip_error_fini(&ignored);
  return changed;
}

}  // namespace
}  // namespace tape

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t max_size, unsigned int seed) {
  using namespace tape;
  const absl::string_view bytes = AsText(data, size);
  std::string changed;
  if (seed % 4 != 0) changed = WithMemberChanged(bytes, seed / 4);
  if (changed.empty() || changed.size() > max_size) {
    changed = Mutated(bytes, max_size);
  }
  std::memcpy(data, changed.data(), changed.size());
  return changed.size();
}
