// Sums that other code adds up in double, vector by vector (vector.h): scattered
// ones and running ones. Tested by tests/ops/op_test.cc through the sample table,
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
using tape::HWY_NAMESPACE::NoSums;
using tape::HWY_NAMESPACE::StoreSome;

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
    DoubleSums sums = NoSums();
    for (int64_t i = 0; i < length; ++i) {
      const int64_t at = c + i * stride;
      sums.Add(columns == lanes ? hn::LoadU(Floats(), x + at)
                                : LoadSome(x + at, columns, 0));
      StoreSome(sums.Rounded(), columns, y + at);
    }
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

}  // namespace tape::vector
#endif  // HWY_ONCE
