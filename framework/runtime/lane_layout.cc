// Registers of elementwise instructions (lane_layout.h). Tested by
// tests/runtime/lane_code_test.cc.
#include "framework/runtime/lane_layout.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

#include "framework/core/kernel.h"
#include "framework/core/op.h"

namespace tape {
namespace {

// The most instructions of a function, and inputs of an instruction.
constexpr int kMostInstructions = 128;
constexpr size_t kMostInputs = 16;

// Words that an instruction reads besides its inputs.
std::vector<uint32_t> WordsOf(const ElementwiseCode::Instruction& instruction) {
  switch (instruction.block.lane) {
    case LaneOp::kNeg:
      if (instruction.dtype == DType::kInt32) return {0};
      return {kSignBit};
    case LaneOp::kAbs:
      return {kMagnitude};
    case LaneOp::kReciprocal:
    case LaneOp::kRsqrt:
      return {kOneWord};
    case LaneOp::kSign:
      return {kOneWord, kSignBit, kMagnitude, 0};
    case LaneOp::kRelu:
    case LaneOp::kSelect:
      return {0};
    case LaneOp::kLeakyRelu:
    case LaneOp::kLeakyReluGradient:
      return {0, WordOf(instruction.attributes)};
    case LaneOp::kIsFinite:
      return {kMagnitude, kInfinityWord, 1};
    case LaneOp::kIsNan:
    case LaneOp::kEqual:
    case LaneOp::kNotEqual:
    case LaneOp::kGreater:
    case LaneOp::kGreaterEqual:
    case LaneOp::kLess:
    case LaneOp::kLessEqual:
      return {1};
    case LaneOp::kAnd:
    case LaneOp::kOr:
    case LaneOp::kXor:
    case LaneOp::kNot:
      return {0, 1};
    case LaneOp::kCast:
      if (instruction.dtype == DType::kBFloat16) return {1, 0x7FFF, 0x400000};
      return {};
    default:
      return {};
  }
}

}  // namespace

uint32_t WordOf(const ElementwiseCode::Constant& constant) {
  if (constant.dtype == DType::kFloat32) {
    return std::bit_cast<uint32_t>(static_cast<float>(constant.value));
  }
  if (constant.dtype == DType::kBFloat16) {
    return BFloat16(static_cast<float>(constant.value)).bits;
  }
  if (constant.dtype == DType::kUint8) {
    return static_cast<uint8_t>(constant.value);
  }
  return static_cast<uint32_t>(static_cast<int32_t>(constant.value));
}

uint32_t WordOf(const Attributes& attributes) {
  return std::bit_cast<uint32_t>(static_cast<float>(attributes.value));
}

LaneLayouts::LaneLayouts(const ElementwiseCode& code,
                         const std::vector<bool>& is_scalar,
                         LaneRegisters registers)
    : code_(code), is_scalar_(is_scalar), registers_(registers) {
  std::map<int, int> first_read;  // By value: the instruction.
  last_read_.assign(code.FirstResult() + code.instructions.size(), -1);
  is_output_.assign(last_read_.size(), false);
  for (size_t i = 0; i < code.instructions.size(); ++i) {
    for (const int input : code.instructions[i].inputs) {
      last_read_[input] = static_cast<int>(i);
      first_read.try_emplace(input, static_cast<int>(i));
    }
  }
  for (const int output : code.outputs) is_output_[output] = true;
  for (size_t k = 0; k < code.sums.size(); ++k) {
    const int value = code.sums[k].value;
    const auto read = first_read.find(value);
    if (!registers.sums || code.sums[k].block.lane != LaneOp::kSquare) {
      is_output_[value] = true;
    } else if (value >= code.FirstResult()) {
      sums_at_.emplace(value - code.FirstResult(), k);
    } else if (read != first_read.end()) {
      sums_at_.emplace(read->second, k);
    }
  }
}

std::optional<LaneLayout> LaneLayouts::MakeLongest(int begin) const {
  const auto count = static_cast<int>(code_.instructions.size());
  int end = begin;
  while (end < std::min(count, begin + kMostInstructions) &&
         code_.instructions[end].block.lane != LaneOp::kNone &&
         code_.instructions[end].inputs.size() <= kMostInputs) {
    ++end;
  }
  if (end == begin || (end == begin + 1 && IsLoop(begin))) {
    return std::nullopt;
  }
  std::optional<LaneLayout> longest = Make(begin, end);
  if (longest.has_value()) return longest;
  // By bisection: as far as `least` there is a layout, to `end` there is none.
  int least = begin;
  while (end - least > 1) {
    const int middle = (least + end) / 2;
    std::optional<LaneLayout> layout = Make(begin, middle);
    if (layout.has_value()) {
      least = middle;
      longest = std::move(layout);
    } else {
      end = middle;
    }
  }
  return longest;
}

bool LaneLayouts::IsConstant(int value) const {
  return value >= std::ssize(code_.operands) && value < code_.FirstResult();
}

const ElementwiseCode::Constant& LaneLayouts::ConstantOf(int value) const {
  return code_.constants[value - code_.operands.size()];
}

bool LaneLayouts::IsScalar(int value) const {
  return value < std::ssize(code_.operands) && is_scalar_[value];
}

bool LaneLayouts::IsLoop(int instruction) const {
  const std::vector<int>& inputs = code_.instructions[instruction].inputs;
  return std::none_of(inputs.begin(), inputs.end(), [&](int input) {
    return IsConstant(input) || IsScalar(input);
  });
}

std::optional<LaneLayout> LaneLayouts::Make(int begin, int end) const {
  LaneLayout layout = {.begin = begin, .end = end};
  std::map<int, int> last_read;  // Of these instructions.
  for (int i = begin; i < end; ++i) {
    last_read[code_.FirstResult() + i] = i;  // If nothing reads it here.
    for (const int input : code_.instructions[i].inputs) {
      last_read[input] = i;
    }
  }
  std::vector<bool> taken(registers_.vectors, false);
  int most = 0;  // Of registers for values, from 0 on.
  const auto take = [&](int value) {
    const auto free = std::find(taken.begin(), taken.end(), false);
    if (free == taken.end()) return false;
    *free = true;
    const auto index = static_cast<int>(free - taken.begin());
    layout.registers[value] = index;
    most = std::max(most, index + 1);
    return true;
  };
  int shared = 0;  // Registers for words and scalars, from the last one down.
  const auto share = [&](std::map<uint32_t, int>& words, uint32_t word) {
    if (words.try_emplace(word, registers_.vectors - 1 - shared).second)
      ++shared;
  };
  for (auto sum = sums_at_.lower_bound(begin);
       sum != sums_at_.end() && sum->first < end; ++sum) {
    layout.sums[sum->second] = registers_.vectors - 2 - shared;
    shared += 2;
  }
  for (int i = begin; i < end; ++i) {
    const ElementwiseCode::Instruction& instruction = code_.instructions[i];
    for (const uint32_t word : WordsOf(instruction)) {
      share(layout.words, word);
    }
    for (const int input : instruction.inputs) {
      if (IsConstant(input)) {
        share(layout.words, WordOf(ConstantOf(input)));
      } else if (IsScalar(input)) {
        if (layout.scalars.try_emplace(input, registers_.vectors - 1 - shared)
                .second) {
          ++shared;
        }
      } else if (!layout.registers.contains(input)) {
        if (!take(input)) return std::nullopt;
        layout.read.push_back(input);
      }
    }
    // What is read no more makes room, for the result too.
    for (const int input : instruction.inputs) {
      const auto place = layout.registers.find(input);
      if (place != layout.registers.end() && last_read[input] == i) {
        taken[place->second] = false;
      }
    }
    const int result = code_.FirstResult() + i;
    if (!take(result)) return std::nullopt;
    if (is_output_[result] || last_read_[result] >= end) {
      layout.written.push_back(result);
    }
    if (last_read[result] == i) taken[layout.registers[result]] = false;
  }
  if (most + shared > registers_.vectors ||
      layout.read.size() + layout.written.size() +
              (layout.sums.empty() ? 0 : 1) >
          registers_.pointers) {
    return std::nullopt;
  }
  return layout;
}

}  // namespace tape
