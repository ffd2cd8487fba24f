// Elementwise instructions as machine code (framework/runtime/lane_code.h): for each
// instruction set of this machine the bits of the instructions' blocks, each LaneOp
// by itself and in random code, on numbers that are special; and on a system that
// allows no executable memory. LANE_PROGRAMS=100000 runs so much random code for
// each instruction set.
#include "framework/runtime/lane_code.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "framework/compiler/compile.h"
#include "framework/core/floating_point.h"
#include "framework/core/graph.h"
#include "framework/core/random.h"
#include "framework/core/tensor.h"
#include "framework/runtime/elementwise.h"
#include "ops/ops.h"
#include "ops/vector.h"

namespace tape {
namespace {

constexpr DType kFloat = DType::kFloat32, kInt = DType::kInt32,
                kByte = DType::kUint8, kBrain = DType::kBFloat16;

// Where denormals are flushed, one may come through a maximum as itself or as a zero
// of its sign: processors differ, and so do compilers' blocks.
void FlushDenormals(DType dtype, std::vector<uint32_t>& words) {
  volatile float denormal = 1e-40f;
  if (denormal * 1 != 0 || (dtype != kFloat && dtype != kBrain)) return;
  const uint32_t exponent = dtype == kFloat ? 0x7F800000 : 0x7F80;
  const uint32_t sign = dtype == kFloat ? 0x80000000 : 0x8000;
  for (uint32_t& word : words) {
    if ((word & exponent) == 0) word &= sign;
  }
}

// Runs `test` for each instruction set that code is made for here, with denormals
// kept and, as in a run, flushed.
void ForEachEngine(const std::function<void(ElementwiseEngine)>& test) {
  const ElementwiseEngine best = BestElementwiseEngine();
  if (best == ElementwiseEngine::kBlocks) GTEST_SKIP() << "no AVX2";
  for (const ElementwiseEngine engine :
       {ElementwiseEngine::kAvx2, ElementwiseEngine::kAvx512}) {
    SCOPED_TRACE(engine == ElementwiseEngine::kAvx2 ? "AVX2" : "AVX-512");
    if (engine > best) continue;
    for (const Denormals denormals : {Denormals::kKeep, Denormals::kFlush}) {
      SCOPED_TRACE(denormals == Denormals::kKeep ? "kept" : "flushed");
      const FloatingPointScope environment(denormals);
      test(engine);
    }
  }
}

struct OpRow {
  std::string name;
  Block block;
  std::vector<DType> inputs;
  DType output;
};

const std::vector<OpRow>& Ops() {
#define ROW(block, ...) \
  { #block, vector::block, __VA_ARGS__ }
  static const std::vector<OpRow>* const ops = new std::vector<OpRow>{
      ROW(AddFloat, {kFloat, kFloat}, kFloat),
      ROW(AddInt, {kInt, kInt}, kInt),
      ROW(SubFloat, {kFloat, kFloat}, kFloat),
      ROW(SubInt, {kInt, kInt}, kInt),
      ROW(MulFloat, {kFloat, kFloat}, kFloat),
      ROW(MulInt, {kInt, kInt}, kInt),
      ROW(DivFloat, {kFloat, kFloat}, kFloat),
      ROW(NegFloat, {kFloat}, kFloat),
      ROW(NegInt, {kInt}, kInt),
      ROW(SquareFloat, {kFloat}, kFloat),
      ROW(SqrtFloat, {kFloat}, kFloat),
      ROW(SignFloat, {kFloat}, kFloat),
      ROW(AbsFloat, {kFloat}, kFloat),
      ROW(FloorFloat, {kFloat}, kFloat),
      ROW(CeilFloat, {kFloat}, kFloat),
      ROW(RoundFloat, {kFloat}, kFloat),
      ROW(MaximumFloat, {kFloat, kFloat}, kFloat),
      ROW(MinimumFloat, {kFloat, kFloat}, kFloat),
      ROW(ReluFloat, {kFloat}, kFloat),
      ROW(LeakyReluFloat, {kFloat}, kFloat),
      ROW(LeakyReluGradientFloat, {kFloat, kFloat}, kFloat),
      ROW(ReciprocalFloat, {kFloat}, kFloat),
      ROW(RsqrtFloat, {kFloat}, kFloat),
      ROW(EqualFloat, {kFloat, kFloat}, kByte),
      ROW(EqualInt, {kInt, kInt}, kByte),
      ROW(EqualByte, {kByte, kByte}, kByte),
      ROW(NotEqualFloat, {kFloat, kFloat}, kByte),
      ROW(NotEqualInt, {kInt, kInt}, kByte),
      ROW(NotEqualByte, {kByte, kByte}, kByte),
      ROW(GreaterFloat, {kFloat, kFloat}, kByte),
      ROW(GreaterInt, {kInt, kInt}, kByte),
      ROW(GreaterByte, {kByte, kByte}, kByte),
      ROW(GreaterEqualFloat, {kFloat, kFloat}, kByte),
      ROW(GreaterEqualInt, {kInt, kInt}, kByte),
      ROW(GreaterEqualByte, {kByte, kByte}, kByte),
      ROW(LessFloat, {kFloat, kFloat}, kByte),
      ROW(LessInt, {kInt, kInt}, kByte),
      ROW(LessByte, {kByte, kByte}, kByte),
      ROW(LessEqualFloat, {kFloat, kFloat}, kByte),
      ROW(LessEqualInt, {kInt, kInt}, kByte),
      ROW(LessEqualByte, {kByte, kByte}, kByte),
      ROW(IsNanFloat, {kFloat}, kByte),
      ROW(IsFiniteFloat, {kFloat}, kByte),
      ROW(AndByte, {kByte, kByte}, kByte),
      ROW(OrByte, {kByte, kByte}, kByte),
      ROW(XorByte, {kByte, kByte}, kByte),
      ROW(NotByte, {kByte}, kByte),
      ROW(SelectWord, {kByte, kFloat, kFloat}, kFloat),
      ROW(SelectWord, {kByte, kInt, kInt}, kInt),
      ROW(ByteToFloat, {kByte}, kFloat),
      ROW(ByteToInt, {kByte}, kInt),
      ROW(IntToFloat, {kInt}, kFloat),
      ROW(FloatToBFloat16, {kFloat}, kBrain),
      ROW(BFloat16ToFloat, {kBrain}, kFloat),
  };
#undef ROW
  return *ops;
}

uint32_t WordOfFloat(float x) { return std::bit_cast<uint32_t>(x); }

// An element of a dtype, often a special one, as its bytes.
uint32_t AnyElement(RandomStream& random, DType dtype) {
  static const float kSpecial[] = {
      0.0f,      -0.0f,     1.0f,        -1.0f,          INFINITY,
      -INFINITY, NAN,       -NAN,        0.5f,           1.5f,
      2.5f,      -0.5f,     1e-45f,      -1e-45f,        1e-38f,
      3.4e38f,   -3.4e38f,  8388607.5f,  16777216.0f,    1.00390625f,
      1e10f,     1.003906f, 0.99999994f, 1.17549435e-38f};
  static const int32_t kSpecialInts[] = {
      0, 1, -1, 2, 255, 256, 16777217, INT32_MAX, INT32_MIN, -16777217};
  const bool is_special = random.Below(2) == 0;
  switch (dtype) {
    case DType::kFloat32:
      if (is_special) {
        return WordOfFloat(kSpecial[random.Below(std::size(kSpecial))]);
      }
      return random.Below(4) == 0
                 ? random.Bits()
                 : WordOfFloat(static_cast<float>(4 * random.Uniform() - 2));
    case DType::kInt32:
      if (is_special)
        return kSpecialInts[random.Below(std::size(kSpecialInts))];
      return random.Below(2) == 0 ? random.Bits() : random.Below(7);
    case DType::kUint8:
      return is_special ? random.Below(2) : random.Below(256);
    default:
      return is_special
                 ? WordOfFloat(kSpecial[random.Below(std::size(kSpecial))]) >>
                       16
                 : random.Bits() >> 16;
  }
}

using Bytes = std::vector<std::byte>;

Bytes AnyElements(RandomStream& random, DType dtype, int64_t count) {
  const size_t size = SizeOf(dtype);
  Bytes bytes(count * size);
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t element = AnyElement(random, dtype);
    std::memcpy(bytes.data() + i * size, &element, size);
  }
  return bytes;
}

// The elements' words, every NaN as one and the same: which of two NaN goes on is
// the compiler's choice where a block adds them.
std::vector<uint32_t> Words(const Bytes& bytes, DType dtype) {
  const size_t size = SizeOf(dtype);
  std::vector<uint32_t> words(bytes.size() / size);
  for (size_t i = 0; i < words.size(); ++i) {
    std::memcpy(&words[i], bytes.data() + i * size, size);
    const uint32_t word = dtype == kBrain ? words[i] << 16 : words[i];
    if ((dtype == kFloat || dtype == kBrain) &&
        std::isnan(std::bit_cast<float>(word))) {
      words[i] = 0x7FC00000;
    }
  }
  return words;
}

// The outputs of a code, by an engine. Output k is written over operand
// overwritten[k], if that is not negative.
std::vector<std::vector<uint32_t>> Outputs(const ElementwiseCode& code,
                                           std::vector<Bytes> operands,
                                           const std::vector<int>& overwritten,
                                           ElementwiseEngine engine) {
  constexpr std::byte kCanary{0xA5};
  constexpr size_t kCanaries = 64;
  const auto kernel = MakeElementwiseKernel(code, engine);
  std::vector<const void*> inputs;
  for (Bytes& operand : operands) {
    operand.resize(operand.size() + kCanaries, kCanary);
    inputs.push_back(operand.data());
  }
  std::vector<Bytes> own(code.outputs.size());
  std::vector<void*> outputs;
  for (size_t k = 0; k < own.size(); ++k) {
    const int maker = code.outputs[k] - code.FirstResult();
    own[k].resize(
        code.shape.elements() * SizeOf(code.instructions[maker].dtype) +
            kCanaries,
        kCanary);
    outputs.push_back(overwritten[k] < 0 ? own[k].data()
                                         : operands[overwritten[k]].data());
  }
  Buffer scratch(kernel->scratch_bytes() + kCanaries);
  std::memset(scratch.data(), 0xA5, kernel->scratch_bytes() + kCanaries);
  for (int chunk = 0; chunk < kernel->chunks(); ++chunk) {
    kernel->Run(chunk, {.inputs = inputs.data(),
                        .outputs = outputs.data(),
                        .scratch = scratch.data()});
  }
  const auto expect_canaries = [&](const std::byte* end) {
    EXPECT_TRUE(std::all_of(end, end + kCanaries,
                            [&](std::byte b) { return b == kCanary; }));
  };
  expect_canaries(scratch.data() + kernel->scratch_bytes());
  std::vector<std::vector<uint32_t>> words;
  for (size_t k = 0; k < own.size(); ++k) {
    expect_canaries(own[k].data() + own[k].size() - kCanaries);
    const DType dtype =
        code.instructions[code.outputs[k] - code.FirstResult()].dtype;
    const auto* const bytes = static_cast<const std::byte*>(outputs[k]);
    words.push_back(Words(
        Bytes(bytes, bytes + code.shape.elements() * SizeOf(dtype)), dtype));
    FlushDenormals(dtype, words.back());
  }
  for (const Bytes& operand : operands) {
    expect_canaries(operand.data() + operand.size() - kCanaries);
  }
  return words;
}

void ExpectBitsOfBlocks(ElementwiseEngine engine, const ElementwiseCode& code,
                        const std::vector<Bytes>& operands,
                        std::vector<int> overwritten = {}) {
  overwritten.resize(code.outputs.size(), -1);
  EXPECT_EQ(Outputs(code, operands, overwritten, engine),
            Outputs(code, operands, overwritten, ElementwiseEngine::kBlocks));
}

TEST(LaneCodeTest, EachOpHasTheBitsOfItsBlock) {
  ForEachEngine([](ElementwiseEngine engine) {
    for (const OpRow& op : Ops()) {
      SCOPED_TRACE(op.name);
      for (const double slope : {0.25, 0.0, -3.0}) {
        RandomStream random(1, 0);
        ElementwiseCode code = {.shape = {3001},
                                .operands = {},
                                .constants = {},
                                .instructions = {},
                                .outputs = {}};
        std::vector<Bytes> operands;
        std::vector<int> inputs;
        for (const DType dtype : op.inputs) {
          inputs.push_back(static_cast<int>(operands.size()));
          code.operands.push_back({dtype, code.shape});
          operands.push_back(AnyElements(random, dtype, 3001));
        }
        // Twice: one alone would be left to its block.
        code.instructions.assign(
            2, {op.block, {.value = slope}, inputs, op.output});
        code.outputs = {code.FirstResult(), code.FirstResult() + 1};
        const LaneCode made(code, std::vector<bool>(operands.size(), false),
                            engine);
        ASSERT_EQ(made.functions().size(), 1u);
        ExpectBitsOfBlocks(engine, code, operands);
      }
    }
  });
}

TEST(LaneCodeTest, EveryBlockWithALaneOpIsTested) {
  int found = 0;
  const auto count = [&](LaneOp lane) { found += lane != LaneOp::kNone; };
  using enum LaneOp;
#define COUNT(name, lane) count(lane);
  TAPE_VECTOR_BLOCKS(COUNT)
#undef COUNT
  EXPECT_EQ(found + 1, std::ssize(Ops()));  // SelectWord stands there twice.
}

// Code of any ops, those without a LaneOp among them, on operands that are
// stretched in any way, and each output over an operand where that is allowed.
void RunRandomCode(ElementwiseEngine engine, uint64_t round) {
  SCOPED_TRACE(round);
  RandomStream random(2, round);
  const int64_t rows = 1 + random.Below(4);
  const int64_t columns = random.Below(3) > 0   ? random.Below(101)
                          : random.Below(2) > 0 ? 509 + random.Below(8)
                                                : 1020 + random.Below(10);
  ElementwiseCode code;
  code.shape = {rows, columns};
  const DType dtypes[] = {kFloat, kFloat, kFloat, kInt, kByte, kBrain};
  std::vector<DType> types;  // Of all values.
  std::vector<Bytes> operands;
  for (int k = 1 + random.Below(5); k-- > 0;) {
    const Shape shapes[] = {code.shape, code.shape, {},
                            {columns},  {rows, 1},  {1, columns}};
    const DType dtype = dtypes[random.Below(std::size(dtypes))];
    code.operands.push_back({dtype, shapes[random.Below(std::size(shapes))]});
    types.push_back(dtype);
    operands.push_back(
        AnyElements(random, dtype, code.operands.back().shape.elements()));
  }
  for (int k = random.Below(4); k-- > 0;) {
    const DType dtype = dtypes[random.Below(5)];
    const double value =
        dtype == kFloat ? 4 * random.Uniform() - 2 : random.Below(5);
    code.constants.push_back({dtype, value});
    types.push_back(dtype);
  }
  const OpRow exp = {"ExpFloat", vector::ExpFloat, {kFloat}, kFloat};
  const int most = random.Below(10) == 0 ? 120 : 15;
  for (int i = 1 + random.Below(most); i-- > 0;) {
    const OpRow& op =
        random.Below(12) == 0 ? exp : Ops()[random.Below(Ops().size())];
    std::vector<int> inputs;
    for (const DType dtype : op.inputs) {
      std::vector<int> fitting;
      for (size_t value = 0; value < types.size(); ++value) {
        if (types[value] == dtype) fitting.push_back(static_cast<int>(value));
      }
      if (fitting.empty()) break;
      // Late ones more often, so that code is deep.
      const size_t from = random.Below(2) * (fitting.size() / 2);
      inputs.push_back(fitting[from + random.Below(fitting.size() - from)]);
    }
    if (inputs.size() < op.inputs.size()) continue;
    code.instructions.push_back(
        {op.block, {.value = 4 * random.Uniform() - 2}, inputs, op.output});
    types.push_back(op.output);
  }
  if (code.instructions.empty()) return;
  for (int i = 0; i < std::ssize(code.instructions); ++i) {
    if (random.Below(4) == 0 || i + 1 == std::ssize(code.instructions)) {
      code.outputs.push_back(code.FirstResult() + i);
    }
  }
  std::vector<int> overwritten;
  std::vector<bool> taken(operands.size(), false);
  for (int k = 0; k < std::ssize(code.outputs); ++k) {
    const auto operand = static_cast<int>(random.Below(operands.size()));
    const bool over = !taken[operand] && code.MayOverwrite(k, operand);
    overwritten.push_back(over ? operand : -1);
    if (over) taken[operand] = true;
  }
  ExpectBitsOfBlocks(engine, code, operands, overwritten);
}

TEST(LaneCodeTest, RandomCodeHasTheBitsOfBlocks) {
  const char* const asked = std::getenv("LANE_PROGRAMS");
  const int programs = asked == nullptr ? 2000 : std::atoi(asked);
  ForEachEngine([&](ElementwiseEngine engine) {
    for (int round = 0; round < programs && !testing::Test::HasFailure();
         ++round) {
      RunRandomCode(engine, round);
    }
  });
}

// More values at a time than there are registers.
TEST(LaneCodeTest, LongCodeIsSeveralFunctions) {
  ForEachEngine([](ElementwiseEngine engine) {
    ElementwiseCode code = {.shape = {1000},
                            .operands = {},
                            .constants = {},
                            .instructions = {},
                            .outputs = {}};
    RandomStream random(3, 0);
    std::vector<Bytes> operands;
    for (int k = 0; k < 40; ++k) {
      code.operands.push_back({kFloat, code.shape});
      operands.push_back(AnyElements(random, kFloat, 1000));
      code.constants.push_back({kFloat, 0.5 + k});
    }
    const int first = code.FirstResult();
    for (int k = 0; k < 40; ++k) {  // first + k = operand k * constant k.
      code.instructions.push_back({vector::MulFloat, {}, {k, 40 + k}, kFloat});
    }
    for (int k = 0; k < 40; ++k) {  // All of them live until here.
      code.instructions.push_back(
          {vector::AddFloat, {}, {first + k, first + 39 + k}, kFloat});
    }
    code.outputs = {first + 79};
    const LaneCode made(code, std::vector<bool>(40, false), engine);
    ASSERT_GT(made.functions().size(), 1u);
    EXPECT_GT(made.functions()[0].end, 3);
    EXPECT_EQ(made.functions().back().end, 80);
    ExpectBitsOfBlocks(engine, code, operands);
  });
}

// ---- Without executable memory ----

void ForbidCode() {
  sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program = {std::size(steps), steps};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

// y = (2 x + 1)^2, fetched.
std::vector<float> Squares() {
  Graph graph;
  const Var x = graph.Input("x", {100});
  const Var y = Square(2 * x + 1);
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {y}, .threads = 1});
  if (!plan.ok()) return {};
  std::vector<float> numbers(100);
  for (int i = 0; i < 100; ++i) numbers[i] = 0.1f * i;
  if (!plan->Run({{x, Tensor({100}, numbers)}}).ok()) return {};
  const auto values = plan->Value(y).values<float>();
  return {values.begin(), values.end()};
}

TEST(LaneCodeDeathTest, WithoutExecutableMemoryBlocksDoIt) {
  const std::vector<float> expected = Squares();
  ASSERT_EQ(expected.size(), 100u);
  const auto run = [&] {
    ForbidCode();
    const uint8_t ret = 0xC3;
    const bool is_forbidden = !ExecutableMemory::Make({&ret, 1}).has_value();
    _exit(is_forbidden && Squares() == expected ? 0 : 1);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace tape
