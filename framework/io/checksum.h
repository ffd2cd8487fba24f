// CRC-32C (Castagnoli), the checksum of iSCSI, ext4 and TensorFlow's records:
// finds every change of up to 32 bits in a row. Not against forgery. Tested by
// tests/io/checksum_test.cc.
#ifndef TAPE_FRAMEWORK_IO_CHECKSUM_H_
#define TAPE_FRAMEWORK_IO_CHECKSUM_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace tape {

// Of `bytes`, or, given the checksum of what stands before them, of both
// together.
uint32_t Crc32c(absl::string_view bytes, uint32_t before = 0);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_IO_CHECKSUM_H_
