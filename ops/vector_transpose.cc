// The vector code of transposed words (vector.h). Tested by tests/ops/op_test.cc
// through the sample table.
#include <cstdint>

#include "ops/vector.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/vector_transpose.cc"
// In this order: foreach_target.h includes this file again for each target.
// clang-format off
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tape::vector::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR
// Squares of 4 x 4.
HWY_INLINE void TransposeSquare(const uint32_t* x, int64_t x_stride,
                                uint32_t* y, int64_t y_stride) {
  const hn::FixedTag<uint32_t, 4> d;
  const hn::FixedTag<uint64_t, 2> pairs;
  const auto a = hn::LoadU(d, x), b = hn::LoadU(d, x + x_stride),
             c = hn::LoadU(d, x + 2 * x_stride),
             e = hn::LoadU(d, x + 3 * x_stride);
  const auto ab_lower = hn::BitCast(pairs, hn::InterleaveLower(d, a, b)),
             ab_upper = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b)),
             ce_lower = hn::BitCast(pairs, hn::InterleaveLower(d, c, e)),
             ce_upper = hn::BitCast(pairs, hn::InterleaveUpper(d, c, e));
  const auto store = [&](int64_t row, auto v) HWY_ATTR {
    hn::StoreU(hn::BitCast(d, v), d, y + row * y_stride);
  };
  store(0, hn::InterleaveLower(pairs, ab_lower, ce_lower));
  store(1, hn::InterleaveUpper(pairs, ab_lower, ce_lower));
  store(2, hn::InterleaveLower(pairs, ab_upper, ce_upper));
  store(3, hn::InterleaveUpper(pairs, ab_upper, ce_upper));
}
constexpr int64_t kSide = 4;
#else
HWY_INLINE void TransposeSquare(const uint32_t* x, int64_t, uint32_t* y,
                                int64_t) {
  *y = *x;
}
constexpr int64_t kSide = 1;
#endif

void TransposeWords(const uint32_t* x, int64_t x_stride, int64_t rows,
                    int64_t columns, uint32_t* y, int64_t y_stride) {
  const int64_t whole_rows = rows / kSide * kSide;
  const int64_t whole_columns = columns / kSide * kSide;
  for (int64_t i = 0; i < whole_rows; i += kSide) {
    for (int64_t j = 0; j < whole_columns; j += kSide) {
      TransposeSquare(x + i + j * x_stride, x_stride, y + i * y_stride + j,
                      y_stride);
    }
  }
  const auto move = [=](int64_t begin, int64_t end, int64_t first,
                        int64_t last) {
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t j = first; j < last; ++j) {
        y[i * y_stride + j] = x[i + j * x_stride];
      }
    }
  };
  move(0, whole_rows, whole_columns, columns);
  move(whole_rows, rows, 0, columns);
}

}  // namespace tape::vector::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tape::vector {
HWY_EXPORT(TransposeWords);

void TransposeWords(const uint32_t* x, int64_t x_stride, int64_t rows,
                    int64_t columns, uint32_t* y, int64_t y_stride) {
  HWY_DYNAMIC_DISPATCH(TransposeWords)(x, x_stride, rows, columns, y, y_stride);
}
}  // namespace tape::vector
#endif  // HWY_ONCE
