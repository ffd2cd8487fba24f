// Which registers the values of elementwise instructions are in, for lane_code.h.
// Tested by tests/runtime/lane_code_test.cc.
#ifndef TAPE_FRAMEWORK_RUNTIME_LANE_LAYOUT_H_
#define TAPE_FRAMEWORK_RUNTIME_LANE_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "framework/runtime/elementwise.h"

namespace tape {

// Words that instructions read.
inline constexpr uint32_t kOneWord = 0x3F800000, kInfinityWord = 0x7F800000,
                          kSignBit = 0x80000000, kMagnitude = 0x7FFFFFFF;

// What all lanes of a constant hold: bytes and bfloat16 are held as words.
uint32_t WordOf(const ElementwiseCode::Constant& constant);
// Attributes::value, as a float32.
uint32_t WordOf(const Attributes& attributes);

// Of instructions begin to end - 1. Their inputs are loaded where they are first
// read.
struct LaneLayout {
  int begin = 0, end = 0;
  std::map<int, int> registers = {};  // By value: the vector register.
  // Words that all lanes of a register hold for the whole loop.
  std::map<uint32_t, int> words = {};
  std::map<int, int> scalars = {};  // By operand.
  std::vector<int> read = {};       // In the order of their first reading.
  std::vector<int> written = {};
  // Sums of squares of values that are at hand, by their place in the code's sums:
  // the first of two registers, for the lower and the upper half of a vector.
  std::map<size_t, int> sums = {};
};

// How many registers there are.
struct LaneRegisters {
  int vectors;      // For values, words and scalars.
  size_t pointers;  // To elements that are read or written, and to sums.
  bool sums;        // Whether functions make sums of squares.
};

// Gives instructions that follow one another registers, as long as there are any.
class LaneLayouts {
 public:
  // `is_scalar`: of each operand, whether it is one element that is read for all.
  // All must outlive this.
  LaneLayouts(const ElementwiseCode& code, const std::vector<bool>& is_scalar,
              LaneRegisters registers);

  // The longest that is found for a function that begins there; none if there is
  // nothing to be gained.
  std::optional<LaneLayout> MakeLongest(int begin) const;

  bool IsConstant(int value) const;
  const ElementwiseCode::Constant& ConstantOf(int value) const;
  bool IsScalar(int value) const;

 private:
  // Whether an instruction is a mere loop over memory, as its block is.
  bool IsLoop(int instruction) const;
  // None if there are too few registers.
  std::optional<LaneLayout> Make(int begin, int end) const;

  const ElementwiseCode& code_;
  const std::vector<bool>& is_scalar_;
  const LaneRegisters registers_;
  std::vector<int> last_read_;  // By value: the instruction; -1 if none.
  // The sums that functions make, by the instruction that first has their value in
  // a register.
  std::multimap<int, size_t> sums_at_;
  std::vector<bool> is_output_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_RUNTIME_LANE_LAYOUT_H_
