// From elementwise instructions to machine code (lane_code.h), by Xbyak. Tested by
// tests/runtime/lane_code_test.cc.
#include "framework/runtime/lane_code.h"

#include "framework/runtime/elementwise.h"

#if defined(__x86_64__) && __has_include(<xbyak/xbyak.h>)
#define TAPE_HAS_LANE_CODE 1
#include <algorithm>
#include <cstddef>
#include <map>
#include <set>

#include "framework/core/check.h"
#include "framework/core/kernel.h"
#include "framework/core/op.h"
#include "framework/core/processor.h"
#include "framework/runtime/lane_layout.h"
#include "xbyak/xbyak.h"
#endif

namespace tape {

#ifdef TAPE_HAS_LANE_CODE
namespace {

using Xbyak::Xmm;

// Vector registers that hold no value, but parts of an instruction's work.
constexpr int kTemporaries = 3;
// General registers that may point to elements; rax counts them, rsi ends it.
constexpr int kMostPointers = 13;
constexpr int kNarrowLanes = 8;  // Of AVX2.
// How far before its store a cache line of floats is asked for. What another core
// has read, such as weights, is here, but not to be written: stores alone would wait
// for one line after the other. (Processors without the instruction do nothing.)
constexpr int kBytesAhead = 1024;

// Comparisons, as the instructions number them: whether a NaN makes them false
// (ordered) or true, without a signal.
enum Predicate : uint8_t {
  kEq = 0x00,
  kUnordered = 0x03,
  kNeq = 0x04,
  kLt = 0x11,
  kLe = 0x12,
  kNotLess = 0x15,
  kGe = 0x1D,
  kGt = 0x1E,
};

class FunctionMaker : public Xbyak::CodeGenerator {
 public:
  // Writes to `buffer`, which has BytesFor(layout) bytes.
  FunctionMaker(const ElementwiseCode& code, const LaneLayouts& values,
                const LaneLayout& layout, bool wide, absl::Span<uint8_t> buffer)
      : Xbyak::CodeGenerator(buffer.size(), buffer.data()),
        code_(code),
        values_(values),
        layout_(layout),
        wide_(wide) {
    EmitFunction();
  }

  // More than any such code takes: an instruction stands twice, with at most
  // twenty of the processor's, of ten bytes or so, each time.
  static size_t BytesFor(const LaneLayout& layout) {
    return 4096 + 512 * static_cast<size_t>(layout.end - layout.begin);
  }

 private:
  // ---- Registers ----

  Xmm Vector(int index) const {
    if (wide_) return Xbyak::Zmm(index);
    return Xbyak::Ymm(index);
  }
  Xmm Temporary(int index) const {
    return Vector((wide_ ? 32 : 16) - kTemporaries + index);
  }
  Xmm Word(uint32_t word) const { return Vector(layout_.words.at(word)); }
  // A value's register, once it has been loaded.
  Xmm At(int value) const {
    if (values_.IsConstant(value)) {
      return Word(WordOf(values_.ConstantOf(value)));
    }
    if (values_.IsScalar(value)) return Vector(layout_.scalars.at(value));
    return Vector(layout_.registers.at(value));
  }
  // General registers for pointers; rdi, which holds `at`, is the last to be
  // overwritten.
  Xbyak::Reg64 Pointer(int index) const {
    const Xbyak::Reg64 all[kMostPointers] = {rcx, rdx, r8,  r9,  r10, r11, rbx,
                                             rbp, r12, r13, r14, r15, rdi};
    return all[index];
  }
  static constexpr int kFirstSaved = 6, kLastSaved = 11;
  size_t AllValues() const {
    return code_.FirstResult() + code_.instructions.size();
  }
  int Pointers() const {
    return static_cast<int>(layout_.read.size() + layout_.written.size());
  }

  // ---- The frame ----

  void EmitFunction() {
    const int saved =
        std::clamp(Pointers() - kFirstSaved, 0, kLastSaved - kFirstSaved + 1);
    for (int i = 0; i < saved; ++i) push(Pointer(kFirstSaved + i));
    for (const auto& [word, index] : layout_.words) {
      EmitWord(word, Vector(index));
    }
    for (const auto& [value, index] : layout_.scalars) {
      EmitScalar(value, Vector(index));
    }
    for (const auto& [k, index] : layout_.sums) {
      for (const int half : {0, 1}) {
        Xor(Vector(index + half), Vector(index + half), Vector(index + half));
      }
    }
    if (wide_) {  // k1: the lanes that are left at the end.
      mov(ecx, esi);
      and_(ecx, 15);
      mov(edx, 1);
      shl(edx, cl);
      dec(edx);
      kmovw(k1, edx);
      and_(rsi, -16);
    }
    for (int i = 0; i < Pointers(); ++i) {
      const auto reads = static_cast<int>(layout_.read.size());
      const int value =
          i < reads ? layout_.read[i] : layout_.written[i - reads];
      pointer_of_[value] = Pointer(i);
      mov(Pointer(i), ptr[rdi + 8 * value]);
    }
    Xbyak::Label loop, rest, end;
    xor_(eax, eax);
    test(rsi, rsi);
    jz(rest, T_NEAR);
    align(16);
    L(loop);
    EmitBody();
    add(rax, wide_ ? 16 : kNarrowLanes);
    cmp(rax, rsi);
    jb(loop, T_NEAR);
    L(rest);
    if (wide_) {
      kortestw(k1, k1);
      jz(end, T_NEAR);
      is_rest_ = true;
      EmitBody();
      L(end);
    }
    // (Where there are sums, LaneLayouts leaves a pointer's register free: rdi.)
    for (const auto& [k, index] : layout_.sums) {
      mov(rax, ptr[rdi + 8 * (AllValues() + k)]);
      vmovupd(ptr[rax], Vector(index));
      vmovupd(ptr[rax + 64], Vector(index + 1));
    }
    vzeroupper();
    for (int i = saved; i-- > 0;) pop(Pointer(kFirstSaved + i));
    ret();
  }

  void EmitWord(uint32_t word, const Xmm& to) {
    if (word == 0) return Xor(to, to, to);
    mov(eax, word);
    BroadcastEax(to);
  }
  void EmitScalar(int value, const Xmm& to) {
    mov(rax, ptr[rdi + 8 * value]);
    switch (code_.TypeOf(value)) {
      case DType::kUint8:
        movzx(eax, byte[rax]);
        break;
      case DType::kBFloat16:
        movzx(eax, word[rax]);
        break;
      default:
        mov(eax, dword[rax]);
    }
    BroadcastEax(to);
  }
  void BroadcastEax(const Xmm& to) {
    if (wide_) return vpbroadcastd(to, eax);
    vmovd(Xmm(to.getIdx()), eax);
    vpbroadcastd(to, Xmm(to.getIdx()));
  }

  // ---- The body: one vector of elements ----

  void EmitBody() {
    std::set<int> loaded;
    for (int i = layout_.begin; i < layout_.end; ++i) {
      const ElementwiseCode::Instruction& instruction = code_.instructions[i];
      for (const int input : instruction.inputs) {
        const bool is_read = std::find(layout_.read.begin(), layout_.read.end(),
                                       input) != layout_.read.end();
        if (is_read && loaded.insert(input).second) {
          Load(At(input), input);
          AddSquares(input);
        }
      }
      const int result = code_.FirstResult() + i;
      Emit(instruction, At(result));
      if (std::find(layout_.written.begin(), layout_.written.end(), result) !=
          layout_.written.end()) {
        Store(result, At(result));
      }
      AddSquares(result);
    }
  }

  // Adds the squares of a value's elements to its sums, in float64, where no square
  // of a float32 is rounded.
  void AddSquares(int value) {
    for (const auto& [k, index] : layout_.sums) {
      if (code_.sums[k].value != value) continue;
      Xbyak::Zmm from(At(value).getIdx());
      if (is_rest_) {
        const Xbyak::Zmm rest(Temporary(2).getIdx());
        vmovaps(rest | k1 | T_z, from);
        from = rest;
      }
      const Xbyak::Zmm wide(Temporary(1).getIdx());
      const Xbyak::Ymm half(wide.getIdx());
      vcvtps2pd(wide, Xbyak::Ymm(from.getIdx()));
      vfmadd231pd(Vector(index), wide, wide);
      vextractf64x4(half, from, 1);
      vcvtps2pd(wide, half);
      vfmadd231pd(Vector(index + 1), wide, wide);
    }
  }

  Xbyak::Address Elements(int value) {
    const auto bytes = static_cast<int>(SizeOf(code_.TypeOf(value)));
    return ptr[pointer_of_.at(value) + rax * bytes];
  }

  void Load(const Xmm& to, int value) {
    const Xmm lanes = is_rest_ ? to | k1 | T_z : to;
    switch (SizeOf(code_.TypeOf(value))) {
      case 1:
        return vpmovzxbd(lanes, Elements(value));
      case 2:
        return vpmovzxwd(lanes, Elements(value));
      default:
        return vmovups(lanes, Elements(value));
    }
  }

  void Store(int value, const Xmm& from) {
    const Xbyak::Address to = is_rest_ ? Elements(value) | k1 : Elements(value);
    const size_t bytes = SizeOf(code_.TypeOf(value));
    if (bytes == 4) {
      prefetchw(ptr[pointer_of_.at(value) + rax * 4 + kBytesAhead]);
      return vmovups(to, from);
    }
    if (wide_) {
      const Xbyak::Zmm words(from.getIdx());
      return bytes == 1 ? vpmovdb(to, words) : vpmovdw(to, words);
    }
    // The halves side by side, then narrower; each number fits.
    const Xmm low(from.getIdx()), high = Xmm(Temporary(0).getIdx());
    vextracti128(high, Xbyak::Ymm(from.getIdx()), 1);
    vpackusdw(high, low, high);
    if (bytes == 2) return vmovdqu(to, high);
    vpackuswb(high, high, high);
    vmovq(to, high);
  }

  // ---- Logic on whole registers ----

  void And(const Xmm& to, const Xmm& a, const Xmm& b) {
    wide_ ? vpandd(to, a, b) : vpand(to, a, b);
  }
  void Or(const Xmm& to, const Xmm& a, const Xmm& b) {
    wide_ ? vpord(to, a, b) : vpor(to, a, b);
  }
  void Xor(const Xmm& to, const Xmm& a, const Xmm& b) {
    wide_ ? vpxord(to, a, b) : vpxor(to, a, b);
  }

  // ---- Masks: k2 and k3, or Temporary(0) and Temporary(1) ----
  // A mask is of the lanes for which something holds.

  struct Mask {
    int index;
  };
  Xbyak::Opmask K(Mask mask) const { return Xbyak::Opmask(2 + mask.index); }
  Xmm V(Mask mask) const { return Temporary(mask.index); }

  void CompareFloats(Mask to, const Xmm& a, const Xmm& b, Predicate predicate) {
    wide_ ? vcmpps(K(to), a, b, predicate) : vcmpps(V(to), a, b, predicate);
  }
  // Signed words: a = b, a > b.
  void EqualWords(Mask to, const Xmm& a, const Xmm& b) {
    wide_ ? vpcmpeqd(K(to), a, b) : vpcmpeqd(V(to), a, b);
  }
  void GreaterWords(Mask to, const Xmm& a, const Xmm& b) {
    wide_ ? vpcmpgtd(K(to), a, b) : vpcmpgtd(V(to), a, b);
  }
  void OrMasks(Mask to, Mask other) {
    wide_ ? korw(K(to), K(to), K(other)) : vpor(V(to), V(to), V(other));
  }
  // to = mask ? a : b.
  void Choose(const Xmm& to, Mask mask, const Xmm& a, const Xmm& b) {
    if (wide_) return vpblendmd(to | K(mask), b, a);
    vblendvps(to, b, a, V(mask));
  }
  // to = mask ? a : 0, and the other way round.
  void KeepWhere(const Xmm& to, Mask mask, const Xmm& a) {
    if (wide_) return vmovdqa32(to | K(mask) | T_z, a);
    vpand(to, V(mask), a);
  }
  void KeepUnless(const Xmm& to, Mask mask, const Xmm& a) {
    if (wide_) {
      knotw(K(mask), K(mask));
      return KeepWhere(to, mask, a);
    }
    vpandn(to, V(mask), a);
  }

  // ---- The instructions ----
  // The result may be in the register of an input that is read no more, so it is
  // written last.

  void Emit(const ElementwiseCode::Instruction& instruction, const Xmm& y) {
    const std::vector<int>& inputs = instruction.inputs;
    const Xmm a = At(inputs[0]), b = At(inputs[inputs.size() > 1 ? 1 : 0]);
    const DType from = code_.TypeOf(inputs[0]);
    const bool ints = instruction.dtype == DType::kInt32;
    const Mask mask = {0}, other = {1};
    switch (instruction.block.lane) {
      case LaneOp::kNone:
        TAPE_CHECK(false);
      case LaneOp::kCopy:
        return Move(y, a);
      case LaneOp::kCast:
        return EmitCast(from, instruction.dtype, y, a);
      case LaneOp::kAdd: {
        if (inputs.size() == 1) return Move(y, a);
        const Xmm sum = inputs.size() > 2 ? Temporary(0) : y;
        ints ? vpaddd(sum, a, b) : vaddps(sum, a, b);
        for (size_t i = 2; i < inputs.size(); ++i) {
          vaddps(i + 1 == inputs.size() ? y : sum, sum, At(inputs[i]));
        }
        return;
      }
      case LaneOp::kSub:
        return ints ? vpsubd(y, a, b) : vsubps(y, a, b);
      case LaneOp::kMul:
        return ints ? vpmulld(y, a, b) : vmulps(y, a, b);
      case LaneOp::kDiv:
        return vdivps(y, a, b);
      case LaneOp::kNeg:
        return ints ? vpsubd(y, Word(0), a) : Xor(y, a, Word(kSignBit));
      case LaneOp::kAbs:
        return And(y, a, Word(kMagnitude));
      case LaneOp::kSquare:
        return vmulps(y, a, a);
      case LaneOp::kSqrt:
        return vsqrtps(y, a);
      case LaneOp::kReciprocal:
        return vdivps(y, Word(kOneWord), a);
      case LaneOp::kRsqrt:
        vsqrtps(Temporary(0), a);
        return vdivps(y, Word(kOneWord), Temporary(0));
      case LaneOp::kSign:
        And(Temporary(2), a, Word(kMagnitude));
        CompareFloats(mask, Temporary(2), Word(0), kGt);
        And(Temporary(2), a, Word(kSignBit));
        Or(Temporary(2), Temporary(2), Word(kOneWord));
        return Choose(y, mask, Temporary(2), a);
      case LaneOp::kFloor:
        return Round(y, a, 0x9);
      case LaneOp::kCeil:
        return Round(y, a, 0xA);
      case LaneOp::kRound:
        return Round(y, a, 0x8);
      case LaneOp::kMaximum:
      case LaneOp::kMinimum:
        CompareFloats(mask, a, b,
                      instruction.block.lane == LaneOp::kMaximum ? kGe : kLe);
        CompareFloats(other, a, a, kUnordered);
        OrMasks(mask, other);
        return Choose(y, mask, a, b);
      case LaneOp::kRelu:  // Not a maximum, which may make 0 of a denormal.
        CompareFloats(mask, a, Word(0), kNotLess);
        return KeepWhere(y, mask, a);
      case LaneOp::kLeakyRelu:
        CompareFloats(mask, a, Word(0), kGt);
        vmulps(Temporary(2), Word(WordOf(instruction.attributes)), a);
        return Choose(y, mask, a, Temporary(2));
      case LaneOp::kLeakyReluGradient:
        CompareFloats(mask, b, Word(0), kGt);
        if (static_cast<float>(instruction.attributes.value) == 0) {
          return KeepWhere(y, mask, a);
        }
        vmulps(Temporary(2), Word(WordOf(instruction.attributes)), a);
        return Choose(y, mask, a, Temporary(2));
      case LaneOp::kEqual:
      case LaneOp::kNotEqual:
      case LaneOp::kGreater:
      case LaneOp::kGreaterEqual:
      case LaneOp::kLess:
      case LaneOp::kLessEqual:
        return EmitComparison(instruction.block.lane, from, y, a, b);
      case LaneOp::kIsNan:
        CompareFloats(mask, a, a, kUnordered);
        return KeepWhere(y, mask, Word(1));
      case LaneOp::kIsFinite:
        And(Temporary(2), a, Word(kMagnitude));
        CompareFloats(mask, Temporary(2), Word(kInfinityWord), kLt);
        return KeepWhere(y, mask, Word(1));
      case LaneOp::kAnd:  // Not where either is 0.
        EqualWords(mask, a, Word(0));
        EqualWords(other, b, Word(0));
        OrMasks(mask, other);
        return KeepUnless(y, mask, Word(1));
      case LaneOp::kOr:
        Or(Temporary(2), a, b);
        EqualWords(mask, Temporary(2), Word(0));
        return KeepUnless(y, mask, Word(1));
      case LaneOp::kXor:  // Of two that are 0 or 1.
        EqualWords(mask, a, Word(0));
        KeepUnless(Temporary(2), mask, Word(1));
        EqualWords(mask, b, Word(0));
        KeepUnless(Temporary(1), mask, Word(1));
        return Xor(y, Temporary(2), Temporary(1));
      case LaneOp::kNot:
        EqualWords(mask, a, Word(0));
        return KeepWhere(y, mask, Word(1));
      case LaneOp::kSelect:
        EqualWords(mask, a, Word(0));
        return Choose(y, mask, At(inputs[2]), b);
    }
  }

  void Move(const Xmm& to, const Xmm& from) {
    if (to.getIdx() != from.getIdx()) vmovaps(to, from);
  }

  void Round(const Xmm& to, const Xmm& from, uint8_t mode) {
    wide_ ? vrndscaleps(to, from, mode) : vroundps(to, from, mode);
  }

  void EmitComparison(LaneOp op, DType from, const Xmm& y, const Xmm& a,
                      const Xmm& b) {
    const Mask mask = {0};
    if (from == DType::kFloat32) {
      const Predicate predicate = op == LaneOp::kEqual          ? kEq
                                  : op == LaneOp::kNotEqual     ? kNeq
                                  : op == LaneOp::kGreater      ? kGt
                                  : op == LaneOp::kGreaterEqual ? kGe
                                  : op == LaneOp::kLess         ? kLt
                                                                : kLe;
      CompareFloats(mask, a, b, predicate);
      return KeepWhere(y, mask, Word(1));
    }
    switch (op) {
      case LaneOp::kEqual:
        EqualWords(mask, a, b);
        return KeepWhere(y, mask, Word(1));
      case LaneOp::kNotEqual:
        EqualWords(mask, a, b);
        return KeepUnless(y, mask, Word(1));
      case LaneOp::kGreater:
        GreaterWords(mask, a, b);
        return KeepWhere(y, mask, Word(1));
      case LaneOp::kLess:
        GreaterWords(mask, b, a);
        return KeepWhere(y, mask, Word(1));
      case LaneOp::kGreaterEqual:
        GreaterWords(mask, b, a);
        return KeepUnless(y, mask, Word(1));
      default:
        GreaterWords(mask, a, b);
        return KeepUnless(y, mask, Word(1));
    }
  }

  void EmitCast(DType from, DType to, const Xmm& y, const Xmm& a) {
    if (to == DType::kInt32) return Move(y, a);  // Bytes are held as words.
    if (from == DType::kBFloat16) return vpslld(y, a, 16);
    if (to == DType::kFloat32) return vcvtdq2ps(y, a);
    // To bfloat16, to the nearest, of two the even one; a NaN stays one.
    const Xmm nearest = Temporary(1), nan = Temporary(2);
    const Mask mask = {0};
    vpsrld(nearest, a, 16);
    And(nearest, nearest, Word(1));
    vpaddd(nearest, nearest, Word(0x7FFF));
    vpaddd(nearest, nearest, a);
    Or(nan, a, Word(0x400000));
    CompareFloats(mask, a, a, kUnordered);
    Choose(nearest, mask, nan, nearest);
    vpsrld(y, nearest, 16);
  }

  const ElementwiseCode& code_;
  const LaneLayouts& values_;
  const LaneLayout& layout_;
  const bool wide_;
  bool is_rest_ = false;  // Whether the body is that of the lanes of k1.
  std::map<int, Xbyak::Reg64> pointer_of_;
};

}  // namespace

LaneCode::LaneCode(const ElementwiseCode& code,
                   const std::vector<bool>& is_scalar,
                   ElementwiseEngine engine) {
  if (engine == ElementwiseEngine::kBlocks || ExecutableMemory::HasMost())
    return;
  const bool wide = engine == ElementwiseEngine::kAvx512;
  if (!wide) granularity_ = kNarrowLanes;
  const LaneLayouts maker(code, is_scalar,
                          {.vectors = (wide ? 32 : 16) - kTemporaries,
                           .pointers = kMostPointers,
                           .sums = wide});
  std::vector<uint8_t> all;
  std::vector<size_t> begins;  // Of the functions, in bytes.
  const auto count = static_cast<int>(code.instructions.size());
  for (int i = 0; i < count;) {
    const std::optional<LaneLayout> layout = maker.MakeLongest(i);
    if (!layout.has_value()) {
      ++i;
      continue;
    }
    begins.push_back(RoundUpToAlignment(all.size()));
    all.resize(begins.back() + FunctionMaker::BytesFor(*layout));
    const FunctionMaker made(code, maker, *layout, wide,
                             absl::MakeSpan(all).subspan(begins.back()));
    all.resize(begins.back() + made.getSize());
    LaneFunction& function = functions_.emplace_back();
    function.begin = layout->begin;
    function.end = i = layout->end;
    function.in_memory = layout->read;
    function.first_written = layout->read.size();
    function.in_memory.insert(function.in_memory.end(), layout->written.begin(),
                              layout->written.end());
    for (const auto& [value, index] : layout->scalars) {
      function.scalars.push_back(value);
    }
    for (const auto& [k, index] : layout->sums) function.sums.push_back(k);
  }
  if (functions_.empty()) return;
  memory_ = ExecutableMemory::Make(all);
  if (!memory_.has_value()) functions_.clear();
  for (size_t i = 0; i < functions_.size(); ++i) {
    functions_[i].code = reinterpret_cast<LaneFunction::Code>(
        static_cast<std::byte*>(memory_->data()) + begins[i]);
  }
}

ElementwiseEngine BestElementwiseEngine() {
  switch (BestVectorInstructions()) {
    case VectorInstructions::kAvx512:
      return ElementwiseEngine::kAvx512;
    case VectorInstructions::kAvx2:
      return ElementwiseEngine::kAvx2;
    case VectorInstructions::kNone:
      break;
  }
  return ElementwiseEngine::kBlocks;
}

#else

LaneCode::LaneCode(const ElementwiseCode&, const std::vector<bool>&,
                   ElementwiseEngine) {}

ElementwiseEngine BestElementwiseEngine() { return ElementwiseEngine::kBlocks; }

#endif  // TAPE_HAS_LANE_CODE

}  // namespace tape
