// The fused elementwise pass (framework/runtime/elementwise.h) against the
// same code run on whole tensors, stretched beforehand: the numbers must be
// equal to the bit, and nothing may be written beyond an output or the scratch
// memory.
#include "framework/runtime/elementwise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "framework/core/kernel.h"
#include "framework/core/random.h"
#include "framework/core/reference.h"
#include "framework/core/tensor.h"

namespace tape {
namespace {

using Bytes = std::vector<std::byte>;
using Instruction = ElementwiseCode::Instruction;

// A block of two inputs by its formula. It reads each element before it writes.
template <typename In, typename Out, auto f>
void Map(const BlockArguments& block) {
  const In* const a = static_cast<const In*>(block.inputs[0]);
  const In* const b = static_cast<const In*>(block.inputs.back());
  for (size_t i = 0; i < block.count; ++i) {
    static_cast<Out*>(block.output)[i] = static_cast<Out>(f(a[i], b[i]));
  }
}

constexpr auto kPlus = [](auto a, auto b) { return a + b; };
constexpr auto kMinus = [](auto a, auto b) { return a - 2 * b; };
constexpr auto kLess = [](auto a, auto b) { return a < b; };
constexpr auto kFirst = [](auto a, auto) { return a; };

Instruction Plus(int a, int b) {
  return {Map<float, float, kPlus>, {}, {a, b}, DType::kFloat32};
}
Instruction Minus(int a, int b) {
  return {Map<float, float, kMinus>, {}, {a, b}, DType::kFloat32};
}
// Plus, and along the Minus that comes next.
Instruction PlusWithMinus(int a, int b) {
  const auto both = [](const BlockArguments& block) {
    for (size_t i = 0; i < block.count; ++i) {
      const float x = static_cast<const float*>(block.inputs[0])[i];
      const float y = static_cast<const float*>(block.inputs[1])[i];
      static_cast<float*>(block.output)[i] = kPlus(x, y);
      static_cast<float*>(block.along)[i] = kMinus(x, y);
    }
  };
  return {both, {}, {a, b}, DType::kFloat32, /*with_next=*/true};
}
Instruction IntMinus(int a, int b) {
  return {Map<int32_t, int32_t, kMinus>, {}, {a, b}, DType::kInt32};
}
Instruction Less(int a, int b) {
  return {Map<float, uint8_t, kLess>, {}, {a, b}, DType::kUint8};
}
Instruction ToFloat(int a) {
  return {Map<uint8_t, float, kFirst>, {}, {a}, DType::kFloat32};
}

// A tensor of whole numbers from -100 to 100 (uint8: 0 to 200).
Tensor Random(RandomStream& random, const TensorType& type) {
  Tensor tensor(type);
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    const int x = static_cast<int>(random.Below(201));
    if (type.dtype == DType::kFloat32) tensor.values<float>()[i] = x - 100;
    if (type.dtype == DType::kInt32) tensor.values<int32_t>()[i] = x - 100;
    if (type.dtype == DType::kUint8) tensor.values<uint8_t>()[i] = x;
  }
  return tensor;
}

// `tensor` stretched to `shape`.
Bytes Stretched(const Tensor& tensor, const Shape& shape) {
  const size_t size = SizeOf(tensor.dtype());
  Bytes bytes(shape.elements() * size);
  ForEachBroadcast(
      shape, {tensor.shape()}, [&](int64_t i, absl::Span<const int64_t> at) {
        std::memcpy(bytes.data() + i * size,
                    static_cast<const std::byte*>(tensor.data()) + at[0] * size,
                    size);
      });
  return bytes;
}

// What each output of the code must be.
std::vector<Bytes> Expected(const ElementwiseCode& code,
                            const std::vector<Tensor>& operands) {
  std::vector<Bytes> values;
  for (const Tensor& operand : operands) {
    values.push_back(Stretched(operand, code.shape));
  }
  for (const ElementwiseCode::Constant& constant : code.constants) {
    const double value = constant.value;
    const Tensor tensor =
        constant.dtype == DType::kFloat32
            ? Tensor({}, std::vector<float>{static_cast<float>(value)})
        : constant.dtype == DType::kInt32
            ? Tensor({}, std::vector<int32_t>{static_cast<int32_t>(value)})
            : Tensor({}, std::vector<uint8_t>{static_cast<uint8_t>(value)});
    values.push_back(Stretched(tensor, code.shape));
  }
  for (const Instruction& instruction : code.instructions) {
    std::vector<const void*> inputs;
    for (int input : instruction.inputs) inputs.push_back(values[input].data());
    Bytes result(code.shape.elements() * SizeOf(instruction.dtype));
    Bytes along(instruction.with_next ? result.size() : 0);
    instruction.block({.inputs = inputs,
                       .output = result.data(),
                       .count = static_cast<size_t>(code.shape.elements()),
                       .attributes = instruction.attributes,
                       .along = along.data()});
    values.push_back(std::move(result));
  }
  std::vector<Bytes> outputs;
  for (int output : code.outputs) outputs.push_back(values[output]);
  return outputs;
}

constexpr std::byte kCanary{0xa5};
constexpr size_t kCanaries = 64;

// Memory of `bytes` bytes and canaries behind them.
Bytes WithCanaries(size_t bytes) { return Bytes(bytes + kCanaries, kCanary); }
bool CanariesLive(const Bytes& bytes) {
  return Bytes(bytes.end() - kCanaries, bytes.end()) ==
         Bytes(kCanaries, kCanary);
}

// Runs the code's kernel and compares. Output k is written over operand
// overwritten[k], if that is not negative.
void ExpectRight(const ElementwiseCode& code,
                 const std::vector<Tensor>& operands,
                 std::vector<int> overwritten = {}) {
  const std::vector<Bytes> expected = Expected(code, operands);
  overwritten.resize(code.outputs.size(), -1);
  std::vector<Bytes> memory, own(code.outputs.size());
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  for (const Tensor& operand : operands) {
    memory.push_back(WithCanaries(operand.type().bytes()));
    std::memcpy(memory.back().data(), operand.data(), operand.type().bytes());
  }
  for (Bytes& operand : memory) inputs.push_back(operand.data());
  for (size_t k = 0; k < own.size(); ++k) {
    own[k] = WithCanaries(expected[k].size());
    outputs.push_back(overwritten[k] < 0 ? own[k].data()
                                         : memory[overwritten[k]].data());
  }

  const std::unique_ptr<Kernel> kernel = MakeElementwiseKernel(code);
  Buffer scratch(kernel->scratch_bytes() + kCanaries);
  std::byte* const end = scratch.data() + kernel->scratch_bytes();
  // In the reverse order, on scratch memory full of rubbish.
  for (int chunk = kernel->chunks(); chunk-- > 0;) {
    std::memset(scratch.data(), 0xa5, kernel->scratch_bytes() + kCanaries);
    kernel->Run(chunk, {.inputs = inputs.data(),
                        .outputs = outputs.data(),
                        .scratch = scratch.data()});
    EXPECT_TRUE(CanariesLive(Bytes(end, end + kCanaries))) << "scratch";
  }
  for (size_t k = 0; k < own.size(); ++k) {
    EXPECT_TRUE(std::equal(expected[k].begin(), expected[k].end(),
                           static_cast<const std::byte*>(outputs[k])))
        << "output " << k;
    EXPECT_TRUE(CanariesLive(own[k])) << "output " << k;
  }
  for (size_t k = 0; k < memory.size(); ++k) {
    EXPECT_TRUE(CanariesLive(memory[k])) << "operand " << k;
  }
}

// y = x[0] - 2 (x[1] - 2 (x[2] …)) of float32 operands of these shapes.
void ExpectStretched(const Shape& shape, const std::vector<Shape>& operands) {
  SCOPED_TRACE(shape.ToString());
  RandomStream random(1, shape.elements());
  ElementwiseCode code = {.shape = shape,
                          .operands = {},
                          .constants = {{DType::kFloat32, 0.5}},
                          .instructions = {},
                          .outputs = {}};
  std::vector<Tensor> tensors;
  for (const Shape& operand : operands) {
    code.operands.push_back({DType::kFloat32, operand});
    tensors.push_back(Random(random, code.operands.back()));
  }
  int value = static_cast<int>(operands.size());  // The constant.
  for (size_t k = operands.size(); k-- > 0;) {
    code.instructions.push_back(Minus(static_cast<int>(k), value));
    value = code.FirstResult() + static_cast<int>(code.instructions.size()) - 1;
  }
  code.outputs = {value};
  ExpectRight(code, tensors);
}

TEST(ElementwiseTest, SweepsOverAnyNumberOfElements) {
  for (int64_t elements :
       {0, 1, 2, 511, 512, 513, 1023, 1024, 1025, 2047, 2048, 2049, 10'000}) {
    ExpectStretched({elements}, {{elements}, {elements}});
  }
}

TEST(ElementwiseTest, StretchesAScalar) {
  for (int64_t elements : {0, 1, 512, 513}) {
    ExpectStretched({elements}, {{elements}, {}, {1}});
  }
  ExpectStretched({}, {{}, {}});
  ExpectStretched({40, 40}, {{1, 1}, {}});
}

TEST(ElementwiseTest, RepeatsARowThatFitsABlock) {
  for (int64_t row : {1, 2, 7, 10, 128, 500, 511, 512, 1000, 2047, 2048}) {
    ExpectStretched({20, row}, {{20, row}, {row}});
    ExpectStretched({20, row}, {{1, row}, {20, row}});
  }
}

TEST(ElementwiseTest, RepeatsRowsOfSeveralLengths) {
  ExpectStretched({20, 3, 7}, {{7}, {3, 7}, {20, 3, 7}, {}});
  ExpectStretched({20, 3, 7}, {{3, 7}, {1, 1, 7}});
  // 250 fits a block twice, 500 once.
  ExpectStretched({20, 2, 250}, {{250}, {2, 250}, {20, 2, 250}});
}

TEST(ElementwiseTest, ReadsARowThatIsLongerThanABlock) {
  for (int64_t row : {513, 600, 1024, 1500, 2049, 5000}) {
    ExpectStretched({5, row}, {{5, row}, {row}});
    ExpectStretched({5, row}, {{row}, {1, row}, {}});
  }
}

TEST(ElementwiseTest, ReadsLongRowsBesideShortAndOtherLongOnes) {
  ExpectStretched({5, 100, 7}, {{100, 7}, {7}, {5, 100, 7}});
  ExpectStretched({4, 3, 600}, {{600}, {3, 600}, {4, 3, 600}});
  ExpectStretched({4, 3, 600}, {{3, 600}, {600}});
}

TEST(ElementwiseTest, GathersWhatIsNoRepetitionOfItsWholeSelf) {
  ExpectStretched({50, 30}, {{50, 1}, {50, 30}});
  ExpectStretched({4, 50, 30}, {{50, 1}, {1, 50, 1}, {4, 1, 30}, {30}});
  ExpectStretched({4, 5, 600}, {{4, 1, 600}, {600}, {4, 1, 1}});
  ExpectStretched({3, 2, 2, 100}, {{3, 1, 2, 1}, {1, 2, 1, 100}});
}

TEST(ElementwiseTest, SweepsOverNothing) {
  ExpectStretched({0, 5}, {{0, 5}, {5}, {0, 1}, {}});
  ExpectStretched({5, 0}, {{5, 0}, {0}, {5, 1}});
}

TEST(ElementwiseTest, MixesDTypesOfSeveralWidths) {
  for (int64_t elements : {1, 511, 513, 5000}) {
    RandomStream random(2, elements);
    const TensorType floats = {DType::kFloat32, {elements}};
    const TensorType bytes = {DType::kUint8, {elements}};
    const TensorType ints = {DType::kInt32, {elements}};
    const TensorType one = {DType::kInt32, {}};
    const ElementwiseCode code = {
        .shape = {elements},
        .operands = {floats, bytes, ints, one},
        .constants = {{DType::kFloat32, -7.5},
                      {DType::kInt32, -3},
                      {DType::kUint8, 200}},
        .instructions = {ToFloat(1), Plus(7, 4), Less(8, 0), ToFloat(9),
                         Plus(10, 8), IntMinus(2, 3), IntMinus(12, 5),
                         ToFloat(6), Plus(14, 11)},
        .outputs = {9, 13, 15}};
    ExpectRight(code, {Random(random, floats), Random(random, bytes),
                       Random(random, ints), Random(random, one)});
  }
}

TEST(ElementwiseTest, HandsEachInstructionItsAttributes) {
  const auto scale = [](const BlockArguments& block) {
    for (size_t i = 0; i < block.count; ++i) {
      static_cast<float*>(block.output)[i] =
          static_cast<const float*>(block.inputs[0])[i] *
          static_cast<float>(block.attributes.value);
    }
  };
  const TensorType type = {DType::kFloat32, {1000}};
  RandomStream random(3, 0);
  ExpectRight({.shape = type.shape,
               .operands = {type},
               .constants = {},
               .instructions = {{scale, {.value = 3}, {0}, DType::kFloat32},
                                {scale, {.value = 5}, {1}, DType::kFloat32}},
               .outputs = {2}},
              {Random(random, type)});
}

TEST(ElementwiseTest, WritesAnOutputThatLaterInstructionsRead) {
  const TensorType type = {DType::kFloat32, {1300}};
  RandomStream random(4, 0);
  ExpectRight({.shape = type.shape,
               .operands = {type},
               .constants = {},
               .instructions = {Plus(0, 0), Minus(1, 0), Plus(2, 1)},
               .outputs = {3, 1}},
              {Random(random, type)});
}

TEST(ElementwiseTest, CutsOnlyLargeWorkIntoChunks) {
  const auto chunks = [](int64_t elements, int instructions) {
    return MakeElementwiseKernel({.shape = {elements},
                                  .operands = {{DType::kFloat32, {elements}}},
                                  .constants = {},
                                  .instructions = std::vector<Instruction>(
                                      instructions, Plus(0, 0)),
                                  .outputs = {1}})
        ->chunks();
  };
  EXPECT_EQ(chunks(0, 1), 1);
  EXPECT_EQ(chunks(30'000, 1), 1);
  EXPECT_EQ(chunks(4 * 32 * 1024, 1), 4);
  EXPECT_EQ(chunks(32 * 1024, 4), 4);  // The same work.
  EXPECT_EQ(chunks(1'000'000, 100), 32);
  EXPECT_EQ(chunks(513, 10'000), 2);  // Never more than there are blocks.
}

TEST(ElementwiseTest, CutsIntoChunksWithoutAGapOrAnOverlap) {
  // Work that makes 8 to 32 chunks whose ends are not those of rows.
  ExpectStretched({1'500'000}, {{1'500'000}, {}});
  ExpectStretched({150'001, 7}, {{7}, {150'001, 7}});
  ExpectStretched({1001, 1033}, {{1033}, {1001, 1033}, {1001, 1}});
  // Output over operand, in chunks.
  const TensorType type = {DType::kFloat32, {1'000'003}};
  RandomStream random(5, 0);
  ExpectRight({.shape = type.shape,
               .operands = {type, type},
               .constants = {},
               .instructions = {Minus(1, 0), Plus(2, 0)},
               .outputs = {2, 3}},
              {Random(random, type), Random(random, type)}, {1, 0});
}

TEST(MayOverwriteTest, IsTrueOfAnOperandThatIsReadNoMore) {
  const TensorType type = {DType::kFloat32, {4}};
  const ElementwiseCode code = {.shape = {4},
                                .operands = {type, type},
                                .constants = {},
                                .instructions = {Plus(0, 1), Plus(2, 1)},
                                .outputs = {2, 3}};
  EXPECT_TRUE(code.MayOverwrite(0, 0));
  EXPECT_FALSE(code.MayOverwrite(0, 1));  // The second instruction reads it.
  EXPECT_TRUE(code.MayOverwrite(1, 0));
  EXPECT_TRUE(code.MayOverwrite(1, 1));
}

TEST(MayOverwriteTest, IsFalseOfAnOperandOfOtherElements) {
  const ElementwiseCode code = {
      .shape = {2, 4},
      .operands = {{DType::kFloat32, {4}},
                   {DType::kFloat32, {2, 4}},
                   {DType::kUint8, {2, 4}}},
      .constants = {},
      .instructions = {ToFloat(2), Plus(0, 1), Plus(3, 4), Less(5, 0)},
      .outputs = {5, 6}};
  EXPECT_FALSE(code.MayOverwrite(0, 0));  // It is stretched.
  EXPECT_TRUE(code.MayOverwrite(0, 1));
  EXPECT_FALSE(code.MayOverwrite(0, 2));  // It is narrower.
  EXPECT_TRUE(code.MayOverwrite(1, 2));
}

// Any code, with operands of any shape that stretches, and each output written
// over an operand where that is allowed.
TEST(ElementwiseTest, RunsRandomCode) {
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE(round);
    RandomStream random(6, round);
    ElementwiseCode code;
    absl::InlinedVector<int64_t, 4> dims;
    const int rank = random.Below(4), longest = random.Below(3);
    for (int axis = 0; axis < rank; ++axis) {
      dims.push_back(1 + random.Below(axis == longest ? 700 : 12));
    }
    code.shape = Shape(dims);
    std::vector<Tensor> tensors;
    for (int k = 1 + random.Below(4); k-- > 0;) {
      auto operand = dims;
      for (int64_t& dim : operand) dim = random.Below(3) == 0 ? 1 : dim;
      const size_t dropped = random.Below(operand.size() + 1);
      if (random.Below(3) == 0) {
        operand.erase(operand.begin(), operand.begin() + dropped);
      }
      code.operands.push_back({DType::kFloat32, Shape(operand)});
      tensors.push_back(Random(random, code.operands.back()));
    }
    code.constants = {{DType::kFloat32, 0.5}};
    for (int i = 1 + random.Below(8); i-- > 0;) {
      const int made = static_cast<int>(code.instructions.size());
      const int a = random.Below(code.FirstResult() + made);
      const int b = random.Below(code.FirstResult() + made);
      std::vector<Instruction> next = {random.Below(2) == 0 ? Plus(a, b)
                                                            : Minus(a, b)};
      if (random.Below(3) == 0) next = {PlusWithMinus(a, b), Minus(a, b)};
      for (const Instruction& instruction : next) {
        code.instructions.push_back(instruction);
        if (random.Below(3) == 0 || i == 0) {
          code.outputs.push_back(code.FirstResult() +
                                 static_cast<int>(code.instructions.size()) -
                                 1);
        }
      }
    }
    std::vector<int> overwritten;
    std::vector<bool> taken(code.operands.size(), false);
    for (size_t k = 0; k < code.outputs.size(); ++k) {
      const int operand = random.Below(code.operands.size());
      const bool over =
          !taken[operand] && code.MayOverwrite(static_cast<int>(k), operand);
      overwritten.push_back(over ? operand : -1);
      if (over) taken[operand] = true;
    }
    ExpectRight(code, tensors, overwritten);
  }
}

}  // namespace
}  // namespace tape
