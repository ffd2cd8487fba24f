// CRC-32C (checksum.h), by ISA-L, which takes the processor's instructions for
// it where there are some. Tested by tests/io/checksum_test.cc.
#include "framework/io/checksum.h"

#include <isa-l/crc.h>

namespace tape {

uint32_t Crc32c(absl::string_view bytes, uint32_t before) {
  constexpr size_t kMost = size_t{1} << 30;  // The library counts in int.
  uint32_t crc = ~before;
  while (!bytes.empty()) {
    const absl::string_view piece = bytes.substr(0, kMost);
    // It takes a pointer to what it does not change.
    crc = crc32_iscsi(
        reinterpret_cast<unsigned char*>(const_cast<char*>(piece.data())),
        static_cast<int>(piece.size()), crc);
    bytes.remove_prefix(piece.size());
  }
  return ~crc;
}

}  // namespace tape
