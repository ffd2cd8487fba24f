// Machine code of elementwise instructions, for x86-64 with AVX2 or AVX-512: each
// element of an operand is loaded once, the values between the instructions stay
// in registers, and each result that is wanted later is stored once. Elsewhere,
// and where the system allows no executable memory, there is none, and the
// instructions' blocks are run (elementwise.h), of which this code has the bits.
// Tested by tests/runtime/lane_code_test.cc.
#ifndef TAPE_FRAMEWORK_RUNTIME_LANE_CODE_H_
#define TAPE_FRAMEWORK_RUNTIME_LANE_CODE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "framework/core/executable_memory.h"

namespace tape {

struct ElementwiseCode;
enum class ElementwiseEngine;

// clang's undefined-behaviour sanitizer looks for the type of a function that is
// called by its address in front of it. In front of ours there is nothing.
#ifdef __clang__
#define TAPE_CALLS_WITHOUT_TYPE __attribute__((no_sanitize("function")))
#else
#define TAPE_CALLS_WITHOUT_TYPE
#endif

// A function for some instructions that follow one another.
struct LaneFunction {
  // Runs them on `count` elements, a multiple of LaneCode::granularity. at[v]: where
  // value v of in_memory or scalars lies.
  using Code = void (*)(const void* const* at, size_t count);
  TAPE_CALLS_WITHOUT_TYPE void operator()(const void* const* at,
                                          size_t count) const {
    code(at, count);
  }

  Code code = nullptr;
  int begin = 0, end = 0;  // Instructions begin to end - 1.
  // The values whose elements are read, and from first_written on written.
  std::vector<int> in_memory = {};
  size_t first_written = 0;
  std::vector<int> scalars = {};  // The scalars that are read.
  // Places of ElementwiseCode::sums: at[v] of v behind all values, in the order of
  // all sums, is where two vectors of float64 go, the sums of squares of each lane.
  std::vector<size_t> sums = {};
};

// Functions for those of a code's instructions that gain by it.
class LaneCode {
 public:
  // For `engine`, which this processor must have. `is_scalar`: of each operand,
  // whether it is one element that is read for all. There is no function if there
  // can be no code.
  LaneCode(const ElementwiseCode& code, const std::vector<bool>& is_scalar,
           ElementwiseEngine engine);

  // In the order of their instructions.
  absl::Span<const LaneFunction> functions() const { return functions_; }
  // How many elements they do at a time: 1 if they can do any number.
  size_t granularity() const { return granularity_; }

 private:
  std::vector<LaneFunction> functions_;
  std::optional<ExecutableMemory> memory_;
  size_t granularity_ = 1;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_RUNTIME_LANE_CODE_H_
