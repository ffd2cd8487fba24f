// Sums that other code adds up in double, vector by vector (vector.h): scattered
// ones and running ones; products of rows. Tested by tests/ops/op_test.cc through the sample table,
// and by tests/ops/sums_test.cc.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "ops/vector.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/vector_sums.cc"
// In this order: foreach_target.h includes this file again for each target.
// clang-format off
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "framework/core/float_sums-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tape::vector::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using tape::HWY_NAMESPACE::Doubles;
using tape::HWY_NAMESPACE::DoubleSums;
using tape::HWY_NAMESPACE::Floats;
using tape::HWY_NAMESPACE::FloatVector;
using tape::HWY_NAMESPACE::HalfFloats;
using tape::HWY_NAMESPACE::LoadSome;
using tape::HWY_NAMESPACE::StoreSome;
using tape::HWY_NAMESPACE::Unrolled;

void AddToSums(const float* x, int64_t count, double* sums) {
  const Doubles d;
  const int64_t lanes = hn::Lanes(d);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto terms = hn::PromoteTo(d, hn::LoadU(HalfFloats(), x + i));
    hn::StoreU(hn::Add(hn::LoadU(d, sums + i), terms), d, sums + i);
  }
  for (; i < count; ++i) sums[i] += x[i];
}

void RoundSums(const double* sums, int64_t count, float* y) {
  const Doubles d;
  const int64_t lanes = hn::Lanes(d);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(hn::DemoteTo(HalfFloats(), hn::LoadU(d, sums + i)), HalfFloats(),
               y + i);
  }
  for (; i < count; ++i) y[i] = static_cast<float>(sums[i]);
}

void AddFloats(const float* x, int64_t count, float* y) {
  const Floats d;
  const int64_t lanes = hn::Lanes(d);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(hn::Add(hn::LoadU(d, y + i), hn::LoadU(d, x + i)), d, y + i);
  }
  for (; i < count; ++i) y[i] += x[i];
}

bool AreBelow(const float* x, int64_t count, float limit) {
  const Floats d;
  const int64_t lanes = hn::Lanes(d);
  const FloatVector most = hn::Set(d, limit);
  auto below = hn::Eq(most, most);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    below = hn::And(below, hn::Lt(hn::Abs(hn::LoadU(d, x + i)), most));
  }
  if (!hn::AllTrue(d, below)) return false;
  for (; i < count; ++i) {
    if (!(std::fabs(x[i]) < limit)) return false;
  }
  return true;
}

void RunningSums(const float* x, int64_t length, int64_t stride, int64_t count,
                 float* y) {
  const int64_t lanes = hn::Lanes(Floats());
  for (int64_t c = 0; c < count; c += lanes) {
    const int64_t columns = std::min(lanes, count - c);
    DoubleSums sums;
    for (int64_t i = 0; i < length; ++i) {
      const int64_t at = c + i * stride;
      sums.Add(columns == lanes ? hn::LoadU(Floats(), x + at)
                                : LoadSome(x + at, columns, 0));
      StoreSome(sums.Rounded(), columns, y + at);
    }
  }
}

// So many rows at once, so that the additions need not wait for each other.
template <int rows>
HWY_INLINE void RunningSumsTogether(const float* x, int64_t row_step,
                                    int64_t length, int64_t step, float* y) {
  double sums[rows] = {};
  for (int64_t i = 0; i < length; ++i, x += step, y += step) {
    Unrolled<rows>([&](int k) HWY_ATTR {
      sums[k] += x[k * row_step];
      y[k * row_step] = static_cast<float>(sums[k]);
    });
  }
}

void RunningSumsOfRows(const float* x, int64_t rows, int64_t row_step,
                       int64_t length, int64_t step, float* y) {
  constexpr int kRows = 4;
  int64_t row = 0;
  for (; row + kRows <= rows; row += kRows) {
    RunningSumsTogether<kRows>(x + row * row_step, row_step, length, step,
                               y + row * row_step);
  }
  for (; row < rows; ++row) {
    RunningSumsTogether<1>(x + row * row_step, row_step, length, step,
                           y + row * row_step);
  }
}

template <int rows>
HWY_INLINE void ProductsTogether(const float* x, int64_t columns, float* y) {
  double products[rows];
  Unrolled<rows>([&](int k) HWY_ATTR { products[k] = 1; });
  for (int64_t i = 0; i < columns; ++i) {
    Unrolled<rows>([&](int k) HWY_ATTR { products[k] *= x[k * columns + i]; });
  }
  Unrolled<rows>([&](int k)
                     HWY_ATTR { y[k] = static_cast<float>(products[k]); });
}

void ProductsOfRows(const float* x, int64_t rows, int64_t columns, float* y) {
  constexpr int kRows = 8;
  int64_t row = 0;
  for (; row + kRows <= rows; row += kRows) {
    ProductsTogether<kRows>(x + row * columns, columns, y + row);
  }
  for (; row < rows; ++row) {
    ProductsTogether<1>(x + row * columns, columns, y + row);
  }
}

}  // namespace tape::vector::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tape::vector {

HWY_EXPORT(AddToSums);
HWY_EXPORT(RoundSums);
HWY_EXPORT(AddFloats);
HWY_EXPORT(AreBelow);
HWY_EXPORT(RunningSums);
HWY_EXPORT(RunningSumsOfRows);
HWY_EXPORT(ProductsOfRows);

void AddToSums(const float* x, int64_t count, double* sums) {
  HWY_DYNAMIC_DISPATCH(AddToSums)(x, count, sums);
}
void RoundSums(const double* sums, int64_t count, float* y) {
  HWY_DYNAMIC_DISPATCH(RoundSums)(sums, count, y);
}
void AddFloats(const float* x, int64_t count, float* y) {
  HWY_DYNAMIC_DISPATCH(AddFloats)(x, count, y);
}
bool AreBelow(const float* x, int64_t count, float limit) {
  return HWY_DYNAMIC_DISPATCH(AreBelow)(x, count, limit);
}
void RunningSums(const float* x, int64_t length, int64_t stride, int64_t count,
                 float* y) {
  HWY_DYNAMIC_DISPATCH(RunningSums)(x, length, stride, count, y);
}
void RunningSumsOfRows(const float* x, int64_t rows, int64_t row_step,
                       int64_t length, int64_t step, float* y) {
  HWY_DYNAMIC_DISPATCH(RunningSumsOfRows)(x, rows, row_step, length, step, y);
}
void ProductsOfRows(const float* x, int64_t rows, int64_t columns, float* y) {
  HWY_DYNAMIC_DISPATCH(ProductsOfRows)(x, rows, columns, y);
}

}  // namespace tape::vector
#endif  // HWY_ONCE
