// Tiles of matrix products as machine code (tile_code.h), by Xbyak.
#include "ops/tile_code.h"

#if defined(__x86_64__) && __has_include(<xbyak/xbyak.h>)
#define TAPE_HAS_TILE_CODE 1
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <utility>

#include "absl/types/span.h"
#include "framework/core/executable_memory.h"
#include "framework/core/processor.h"
#include "xbyak/xbyak.h"
#endif

namespace tape {

#ifdef TAPE_HAS_TILE_CODE
namespace {

using Xbyak::Xmm;

constexpr int kWideLanes = 16, kNarrowLanes = 8;  // Of AVX-512 and AVX2.
constexpr int kMostColumns = 15 * kWideLanes;     // Of one row.
constexpr size_t kMostCodeBytes = 1 << 12;        // The longest is 2342.

class TileMaker : public Xbyak::CodeGenerator {
 public:
  static constexpr int kMostRows = 14;

  // Writes to `buffer`, which has kMostCodeBytes.
  TileMaker(const TileShape& shape, absl::Span<uint8_t> buffer)
      : Xbyak::CodeGenerator(buffer.size(), buffer.data()),
        wide_(LanesOfTiles() == kWideLanes),
        transposed_(shape.transposed),
        rows_(shape.rows),
        vectors_((shape.columns + Lanes() - 1) / Lanes()),
        last_lanes_(shape.columns - (vectors_ - 1) * Lanes()) {
    push(rbx);
    push(rbp);
    if (wide_) {
      mov(eax, (1U << last_lanes_) - 1);
      kmovw(k1, eax);
    }
    mov(a_, Argument(offsetof(TileArguments, a)));
    mov(b_, Argument(offsetof(TileArguments, b)));
    mov(c_, Argument(offsetof(TileArguments, c)));
    mov(terms_, Argument(offsetof(TileArguments, terms)));
    mov(a_step_, Argument(offsetof(TileArguments, a_step)));
    mov(step_, Argument(offsetof(TileArguments, b_step)));
    for (int i = 1; i < Pointers(); ++i) {
      lea(Pointer(i), ptr[Pointer(i - 1) + a_step_ * 2]);
      add(Pointer(i), a_step_);
    }
    for (int i = 0; i < rows_ * vectors_; ++i) {
      const Xmm sum = Vector(i);
      wide_ ? vpxord(sum, sum, sum) : vxorps(sum, sum, sum);
    }
    EmitTerms();
    mov(step_, Argument(offsetof(TileArguments, c_step)));
    EmitResult();
    vzeroupper();
    pop(rbp);
    pop(rbx);
    ret();
    L(mask_);
    for (int i = 0; i < kNarrowLanes; ++i) dd(i < last_lanes_ ? ~0U : 0U);
  }

 private:
  // ---- Registers ----

  Xbyak::Address Argument(size_t offset) const { return ptr[rdi + offset]; }

  // To each third row of a, or to the first row of a transposed one: addresses scale
  // steps by 2 and no more.
  static constexpr int kRowsOfPointer = 3;
  int Pointers() const {
    return transposed_ ? 1 : (rows_ + kRowsOfPointer - 1) / kRowsOfPointer;
  }
  Xbyak::Reg64 Pointer(int index) const {
    return std::array{rax, r10, r11, rbx, rbp}[index];
  }

  int Lanes() const { return wide_ ? kWideLanes : kNarrowLanes; }
  Xmm Vector(int index) const {
    if (wide_) return Xbyak::Zmm(index);
    return Xbyak::Ymm(index);
  }
  // Of a row of b, and of c: half a vector where no more is needed, which costs some
  // processors half as much.
  bool IsLast(int v) const { return v == vectors_ - 1; }
  Xmm Lane(int v, int index) const {
    return wide_ && IsLast(v) && last_lanes_ <= kNarrowLanes ? Xbyak::Ymm(index)
                                                             : Vector(index);
  }
  // Whether it has fewer lanes than its register.
  bool IsPartial(int v) const {
    return IsLast(v) && last_lanes_ % kNarrowLanes != 0;
  }
  Xmm Sum(int row, int v) const { return Lane(v, row * vectors_ + v); }
  Xmm OfB(int v) const { return Lane(v, rows_ * vectors_ + v); }
  // Registers after the sums: b's, and one more for an element of a. Once all terms
  // are added, they are free.
  Xmm Free(int index) const { return Vector(rows_ * vectors_ + index); }

  // ---- Terms ----

  // `frame`: ptr, or ptr_b, by which an operand is broadcast.
  Xbyak::Address OfA(int row, int term,
                     const Xbyak::AddressFrame& frame) const {
    if (transposed_) {
      const auto at = a_ + row * sizeof(float);
      return term == 0 ? frame[at] : frame[at + a_step_];
    }
    const auto at = Pointer(row / kRowsOfPointer) + term * sizeof(float);
    const int steps = row % kRowsOfPointer;
    return steps == 0 ? frame[at] : frame[at + a_step_ * steps];
  }

  void EmitTerm(int term) {
    for (int v = 0; v < vectors_; ++v) {
      const auto at = b_ + v * Lanes() * sizeof(float);
      Load(v, OfB(v), term == 0 ? ptr[at] : ptr[at + step_]);
    }
    const Xmm element = Free(vectors_);
    for (int row = 0; row < rows_; ++row) {
      if (wide_ && vectors_ == 1) {  // By one instruction.
        vfmadd231ps(Sum(row, 0), OfB(0), OfA(row, term, ptr_b));
        continue;
      }
      vbroadcastss(element, OfA(row, term, ptr));
      for (int v = 0; v < vectors_; ++v) {
        vfmadd231ps(Sum(row, v), Lane(v, element.getIdx()), OfB(v));
      }
    }
  }

  void Advance(int terms) {
    for (int i = 0; i < Pointers(); ++i) {
      transposed_ ? lea(a_, ptr[a_ + a_step_ * terms])
                  : add(Pointer(i), terms * sizeof(float));
    }
    lea(b_, ptr[b_ + step_ * terms]);
  }

  // Two at a time.
  void EmitTerms() {
    Xbyak::Label loop, rest, end;
    sub(terms_, 2);
    jl(rest, T_NEAR);
    align(32);
    L(loop);
    EmitTerm(0);
    EmitTerm(1);
    Advance(2);
    sub(terms_, 2);
    jge(loop, T_NEAR);
    L(rest);
    add(terms_, 2);
    jz(end, T_NEAR);
    EmitTerm(0);
    L(end);
  }

  // ---- The result ----

  void EmitResult() {
    vbroadcastss(Free(0), Argument(offsetof(TileArguments, product)));
    vbroadcastss(Free(1), Argument(offsetof(TileArguments, addend)));
    Xbyak::Label alone, end;
    mov(eax, Argument(offsetof(TileArguments, addend)));
    add(eax, eax);  // Without the sign of a zero.
    jz(alone, T_NEAR);
    EmitRows(/*with_addend=*/true);
    jmp(end, T_NEAR);
    L(alone);
    EmitRows(/*with_addend=*/false);
    L(end);
  }

  void EmitRows(bool with_addend) {
    for (int row = 0; row < rows_; ++row) {
      for (int v = 0; v < vectors_; ++v) {
        const Xmm sum = Sum(row, v), addend = Lane(v, Free(2).getIdx());
        const Xbyak::Address at = ptr[c_ + v * Lanes() * sizeof(float)];
        vmulps(sum, sum, Lane(v, Free(0).getIdx()));
        if (with_addend) {
          Load(v, addend, at);
          vfmadd231ps(sum, addend, Lane(v, Free(1).getIdx()));
        }
        Store(v, at, sum);
      }
      if (row + 1 < rows_) add(c_, step_);
    }
  }

  void Load(int v, const Xmm& to, const Xbyak::Address& from) {
    if (!IsPartial(v)) {
      vmovups(to, from);
    } else if (wide_) {
      vmovups(to | k1 | T_z, from);
    } else {
      vmovups(to, ptr[rip + mask_]);
      vmaskmovps(to, to, from);
    }
  }

  void Store(int v, const Xbyak::Address& to, const Xmm& from) {
    if (!IsPartial(v)) {
      vmovups(to, from);
    } else if (wide_) {
      vmovups(to | k1, from);
    } else {
      vmovups(Free(2), ptr[rip + mask_]);
      vmaskmovps(to, Free(2), from);
    }
  }

  bool wide_, transposed_;
  int rows_, vectors_, last_lanes_;
  // The argument stays in rdi.
  const Xbyak::Reg64 a_ = rax, b_ = rdx, c_ = rcx, terms_ = rsi, a_step_ = r8,
                     step_ = r9;  // Of b, then of c.
  Xbyak::Label mask_;
};

}  // namespace

int LanesOfTiles() {
  switch (BestVectorInstructions()) {
    case VectorInstructions::kAvx512:
      return kWideLanes;
    case VectorInstructions::kAvx2:
      return kNarrowLanes;
    case VectorInstructions::kNone:
      break;
  }
  return 0;
}

int MostRowsOfTile(int vectors) {
  const int registers = LanesOfTiles() == kWideLanes ? 32 : 16;
  // Beside the sums there are a row of b and an element of a; at the end, the two
  // factors and a part of c. A pointer goes to every third row of a.
  return std::min({TileMaker::kMostRows, registers - 3,
                   (registers - 1 - vectors) / vectors});
}

TileCode TileCodeFor(const TileShape& shape) {
  // Kept as long as the process; without a lock, which another thread could hold
  // while this one forks.
  static std::atomic<const ExecutableMemory*> all[2][TileMaker::kMostRows + 1]
                                                 [kMostColumns + 1];
  std::atomic<const ExecutableMemory*>& known =
      all[shape.transposed ? 1 : 0][shape.rows][shape.columns];
  const ExecutableMemory* code = known.load(std::memory_order_acquire);
  if (code == nullptr) {
    alignas(64) std::array<uint8_t, kMostCodeBytes> buffer;
    const TileMaker maker(shape, absl::MakeSpan(buffer));
    auto memory = ExecutableMemory::Make(
        absl::MakeConstSpan(buffer).subspan(0, maker.getSize()));
    if (!memory.has_value()) {
      throw std::runtime_error(
          "the system gives no memory that can be executed, which the code of "
          "matrix products needs");
    }
    auto made = std::make_unique<ExecutableMemory>(*std::move(memory));
    // Another thread may have been faster: then its code is taken.
    if (known.compare_exchange_strong(code, made.get(),
                                      std::memory_order_acq_rel)) {
      code = made.release();
    }
  }
  return reinterpret_cast<TileCode>(code->data());
}

#else

int LanesOfTiles() { return 0; }
int MostRowsOfTile(int) { return 0; }
TileCode TileCodeFor(const TileShape&) { return nullptr; }

#endif  // TAPE_HAS_TILE_CODE

}  // namespace tape
