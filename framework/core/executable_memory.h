// Memory for machine code. Tested by tests/runtime/lane_code_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_EXECUTABLE_MEMORY_H_
#define TAPE_FRAMEWORK_CORE_EXECUTABLE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"

namespace tape {

// Memory that holds a function, readable and executable and never writable with
// that.
class ExecutableMemory {
 public:
  // A copy of the code; none if the system does not allow it.
  static std::optional<ExecutableMemory> Make(absl::Span<const uint8_t> code);

  // Whether the process has 10,000 already: a mapping each, of some 65,000.
  static bool HasMost();

  ExecutableMemory(ExecutableMemory&& other) noexcept;
  ExecutableMemory& operator=(ExecutableMemory&& other) noexcept;
  ~ExecutableMemory();

  void* data() const { return data_; }

 private:
  ExecutableMemory(void* data, size_t bytes) : data_(data), bytes_(bytes) {}

  void* data_;
  size_t bytes_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_EXECUTABLE_MEMORY_H_
