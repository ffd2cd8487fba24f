// Vector code that several kernels share: partial vectors, and sums of float32
// that are kept in double. Included once for each instruction set, from files
// that Highway compiles so (sum_kernels.cc, and ops/ where vector.h is made).
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(TAPE_FRAMEWORK_CORE_FLOAT_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAPE_FRAMEWORK_CORE_FLOAT_SUMS_INL_H_
#undef TAPE_FRAMEWORK_CORE_FLOAT_SUMS_INL_H_
#else
#define TAPE_FRAMEWORK_CORE_FLOAT_SUMS_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tape::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using FloatVector = hn::Vec<Floats>;
using Doubles = hn::ScalableTag<double>;
using DoubleVector = hn::Vec<Doubles>;
// As many floats as there are lanes of double.
using HalfFloats = hn::Rebind<float, Doubles>;

// The first `count` lanes from `x`, and `padding` in the others, without a
// touch on memory beyond. (A masked load of AVX2 or AVX-512 does not fault
// there. One by way of a buffer waits for the store it has just made: three
// times as long for a row of ten.)
HWY_INLINE FloatVector LoadSome(const float* x, int64_t count, float padding) {
  const Floats d;
#if HWY_TARGET <= HWY_AVX2
  const auto used = hn::FirstN(d, count);
  return hn::IfThenElse(used, hn::MaskedLoad(used, d, x), hn::Set(d, padding));
#else
  HWY_ALIGN float tail[hn::MaxLanes(d)];
  std::fill_n(tail, hn::Lanes(d), padding);
  std::memcpy(tail, x, count * sizeof(float));
  return hn::Load(d, tail);
#endif
}

// `count` lanes from x, as many as a vector has or fewer; 0 in the others.
HWY_INLINE FloatVector LoadUpTo(const float* x, int64_t count) {
  const Floats d;
  if (count == static_cast<int64_t>(hn::Lanes(d))) return hn::LoadU(d, x);
  return LoadSome(x, count, 0);
}

// Stores the first `count` lanes, and touches no memory beyond.
HWY_INLINE void StoreSome(FloatVector v, int64_t count, float* out) {
  const Floats d;
  if (count == static_cast<int64_t>(hn::Lanes(d))) {
    hn::StoreU(v, d, out);
    return;
  }
#if HWY_TARGET <= HWY_AVX2
  hn::BlendedStore(v, hn::FirstN(d, count), d, out);
#else
  HWY_ALIGN float tail[hn::MaxLanes(d)];
  hn::Store(v, d, tail);
  std::memcpy(out, tail, count * sizeof(float));
#endif
}

// Visits a row in whole vectors: f(offset, lanes used, vector), the last one
// padded with `padding`.
template <class F>
HWY_INLINE void ForRow(const float* x, int64_t columns, float padding, F f) {
  const Floats d;
  const int64_t lanes = hn::Lanes(d);
  int64_t c = 0;
  for (; c + lanes <= columns; c += lanes) f(c, lanes, hn::LoadU(d, x + c));
  if (lanes == 1 || c == columns) return;
  f(c, columns - c, LoadSome(x + c, columns - c, padding));
}

// Calls f(0), …, f(count - 1), which the compiler then sees with constants: an
// array of vectors that only they index stays in registers.
template <int count, class F>
HWY_INLINE void Unrolled(F f) {
  [&]<int... k>(std::integer_sequence<int, k...>) HWY_ATTR { (f(k), ...); }
  (std::make_integer_sequence<int, count>());
}

// The halves of a vector of floats, promoted to double. (Without vectors there
// is no upper half.)
HWY_INLINE DoubleVector LowerDoubles(FloatVector v) {
  return hn::PromoteTo(Doubles(), hn::LowerHalf(HalfFloats(), v));
}
HWY_INLINE DoubleVector UpperDoubles([[maybe_unused]] FloatVector v) {
#if HWY_TARGET == HWY_SCALAR
  return hn::Zero(Doubles());
#else
  return hn::PromoteTo(Doubles(), hn::UpperHalf(HalfFloats(), v));
#endif
}

// A sum in double for each lane of a vector of floats.
struct DoubleSums {
  DoubleVector lower;
  DoubleVector upper;

  // (Constructors that the compiler makes would lack the instruction set.)
  HWY_INLINE DoubleSums()
      : lower(hn::Zero(Doubles())), upper(hn::Zero(Doubles())) {}
  HWY_INLINE DoubleSums(DoubleVector lower, DoubleVector upper)
      : lower(lower), upper(upper) {}

  HWY_INLINE void Add(FloatVector v) {
    lower = hn::Add(lower, LowerDoubles(v));
    upper = hn::Add(upper, UpperDoubles(v));
  }
  HWY_INLINE void AddProduct(const DoubleSums& a, const DoubleSums& b) {
    lower = hn::MulAdd(a.lower, b.lower, lower);
    upper = hn::MulAdd(a.upper, b.upper, upper);
  }
  HWY_INLINE void Add(const DoubleSums& other) {
    lower = hn::Add(lower, other.lower);
    upper = hn::Add(upper, other.upper);
  }
  // The sum of all lanes.
  HWY_INLINE double Total() const {
    const Doubles d;
    return hn::GetLane(hn::SumOfLanes(d, hn::Add(lower, upper)));
  }
  // Each lane's sum, rounded to float32.
  HWY_INLINE FloatVector Rounded() const {
    const HalfFloats d;
#if HWY_TARGET == HWY_SCALAR
    return hn::DemoteTo(d, lower);
#else
    return hn::Combine(Floats(), hn::DemoteTo(d, upper),
                       hn::DemoteTo(d, lower));
#endif
  }
};

// A vector of floats in double.
HWY_INLINE DoubleSums InDouble(FloatVector v) {
  return {LowerDoubles(v), UpperDoubles(v)};
}

// As many numbers from x as there are lanes of float, in double. (To load the
// halves takes less time than to take a vector apart.)
HWY_INLINE DoubleSums LoadDoubles(const float* x) {
  const HalfFloats half;
  const Doubles d;
#if HWY_TARGET == HWY_SCALAR
  return {hn::PromoteTo(d, hn::LoadU(half, x)), hn::Zero(d)};
#else
  return {hn::PromoteTo(d, hn::LoadU(half, x)),
          hn::PromoteTo(d, hn::LoadU(half, x + hn::Lanes(half)))};
#endif
}

}  // namespace tape::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // TAPE_FRAMEWORK_CORE_FLOAT_SUMS_INL_H_
