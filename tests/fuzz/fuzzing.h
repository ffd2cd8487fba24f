// What the fuzzers of the readers share: files for the readers to read, what
// must hold of every error, and how much memory a call took. A finding ends the
// process with a message, by which libFuzzer knows it. How to build and run:
// README.md.
#ifndef TAPE_TESTS_FUZZ_FUZZING_H_
#define TAPE_TESTS_FUZZ_FUZZING_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "framework/core/check.h"
#include "framework/data/dataset.h"

namespace tape {

// Deflate makes at most so many bytes of one: 258 of each 2 bits (RFC 1951).
inline constexpr size_t kDeflateExpansion = 1032;

inline absl::string_view AsText(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// ---- Files ----

// The path `name` in this process's own folder, where there is nothing: what
// was there is removed.
std::string NewPath(absl::string_view name);

// The path of a file of that folder that holds `bytes`.
std::string FileOf(absl::string_view name, absl::string_view bytes);

// ---- What must hold ----

// An error is one line of printable characters, and names one of `paths`.
void CheckError(const absl::Status& error,
                std::initializer_list<absl::string_view> paths);

// Two data sets are the same: sizes, pixels, labels, classes.
void CheckSame(const Dataset& a, const Dataset& b);

// The most heap that was in use at a time since the object was made, by this
// thread, less what was in use then. One object at a time.
class HeapMeter {
 public:
  HeapMeter();
  ~HeapMeter();
  HeapMeter(const HeapMeter&) = delete;
  HeapMeter& operator=(const HeapMeter&) = delete;
  size_t peak_bytes() const;
};

// Returns what `read` returns, which may have no more than `limit` bytes of
// heap in use at a time.
template <typename F>
auto WithinMemory(size_t limit, const F& read) {
  size_t peak = 0;
  auto result = [&] {
    const HeapMeter meter;
    auto result = read();
    peak = meter.peak_bytes();
    return result;
  }();
  TAPE_CHECK_LE(peak, limit);
  return result;
}

// ---- What mutators need ----

// The windowBits of zlib.h that ask for a container.
inline constexpr int kZlibFormat = 15;
inline constexpr int kGzipFormat = 16 + 15;

// Nothing if `bytes` are no sound stream, or it has more than `max` bytes.
std::optional<std::string> Inflate(absl::string_view bytes, int format,
                                   size_t max);
std::string Deflate(absl::string_view bytes, int format);

// Some change of `bytes`, after which they are at most `max`. Only in a
// fuzzer, not in the tests of its seeds.
std::string Mutated(absl::string_view bytes, size_t max);

}  // namespace tape

#endif  // TAPE_TESTS_FUZZ_FUZZING_H_
