// The extremes of rows and columns, and where they are (vector.h). Tested by
// tests/ops/op_test.cc through the sample table.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "ops/vector.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/vector_extremes.cc"
// In this order: foreach_target.h includes this file again for each target.
// clang-format off
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "framework/core/float_sums-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tape::vector::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using tape::HWY_NAMESPACE::Floats;
using tape::HWY_NAMESPACE::FloatVector;
using tape::HWY_NAMESPACE::ForRow;
using tape::HWY_NAMESPACE::LoadUpTo;
using tape::HWY_NAMESPACE::StoreSome;
using tape::HWY_NAMESPACE::Unrolled;

using FloatMask = hn::Mask<Floats>;
using Ints = hn::RebindToSigned<Floats>;
using IntVector = hn::Vec<Ints>;

// Vectors of columns that are gone through together, so that a row's part is a
// few cache lines.
constexpr int kTile = 4;

template <bool largest>
constexpr float kNoExtreme = largest ? -std::numeric_limits<float>::infinity()
                                     : std::numeric_limits<float>::infinity();

// Of equals, +0 and -0 among them, `best`.
template <bool largest>
HWY_INLINE FloatVector Better(FloatVector v, FloatVector best) {
  return largest ? hn::Max(v, best) : hn::Min(v, best);
}

// The largest elements so far, lane by lane, or the smallest, and where there
// was a NaN. (Which operand Max returns beside a NaN depends on the target.)
// Those of even and of odd places are apart, so that they need not wait for each
// other.
template <bool largest>
struct Extremes {
  FloatVector even, odd;
  FloatMask nan;

  // (One that the compiler makes would lack the instruction set.)
  HWY_INLINE Extremes()
      : even(hn::Set(Floats(), kNoExtreme<largest>)),
        odd(even),
        nan(hn::IsNaN(even)) {}

  HWY_INLINE void AddEven(FloatVector v) {
    even = Better<largest>(v, even);
    nan = hn::Or(nan, hn::IsNaN(v));
  }
  HWY_INLINE void AddOdd(FloatVector v) {
    odd = Better<largest>(v, odd);
    nan = hn::Or(nan, hn::IsNaN(v));
  }
  HWY_INLINE FloatVector Best() const { return Better<largest>(odd, even); }
};

// ---- Rows ----

template <bool largest>
HWY_INLINE float RowExtreme(const float* x, int64_t columns) {
  const Floats d;
  const int64_t lanes = hn::Lanes(d);
  Extremes<largest> extremes;
  int64_t c = 0;
  for (; c + 2 * lanes <= columns; c += 2 * lanes) {
    extremes.AddEven(hn::LoadU(d, x + c));
    extremes.AddOdd(hn::LoadU(d, x + c + lanes));
  }
  ForRow(x + c, columns - c, kNoExtreme<largest>,
         [&](int64_t, int64_t, auto v) HWY_ATTR { extremes.AddEven(v); });
  if (!hn::AllFalse(d, extremes.nan)) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  return hn::GetLane(largest ? hn::MaxOfLanes(d, extremes.Best())
                             : hn::MinOfLanes(d, extremes.Best()));
}

template <bool largest>
HWY_INLINE int32_t PlaceInRow(const float* x, int64_t columns) {
  // Only the part with the extreme is looked through for it.
  constexpr int64_t kPart = 4096;
  float best = RowExtreme<largest>(x, std::min(kPart, columns));
  int64_t c = 0;
  for (int64_t begin = kPart; begin < columns && !std::isnan(best);
       begin += kPart) {
    const float next =
        RowExtreme<largest>(x + begin, std::min(kPart, columns - begin));
    if (std::isnan(next) || (largest ? next > best : next < best)) {
      best = next;
      c = begin;
    }
  }
  const Floats d;
  const int64_t lanes = hn::Lanes(d);
  const FloatVector wanted = hn::Set(d, best);
  const bool is_nan = std::isnan(best);
  for (; c + lanes <= columns; c += lanes) {
    const FloatVector v = hn::LoadU(d, x + c);
    const FloatMask found = is_nan ? hn::IsNaN(v) : hn::Eq(v, wanted);
    const intptr_t lane = hn::FindFirstTrue(d, found);
    if (lane >= 0) return static_cast<int32_t>(c + lane);
  }
  while (!(is_nan ? std::isnan(x[c]) : x[c] == best)) ++c;
  return static_cast<int32_t>(c);
}

// ---- Columns ----

// The extremes of so many vectors of columns, whose numbers load(row, vector)
// gives.
template <bool largest, int vectors, class Load, class Store>
HWY_INLINE void ExtremesOfVectors(int64_t length, Load load, Store store) {
  Extremes<largest> extremes[vectors];
  int64_t i = 0;
  for (; i + 2 <= length; i += 2) {
    Unrolled<vectors>([&](int k) HWY_ATTR { extremes[k].AddEven(load(i, k)); });
    Unrolled<vectors>([&](int k)
                          HWY_ATTR { extremes[k].AddOdd(load(i + 1, k)); });
  }
  if (i < length) {
    Unrolled<vectors>([&](int k) HWY_ATTR { extremes[k].AddEven(load(i, k)); });
  }
  Unrolled<vectors>([&](int k) HWY_ATTR {
    store(k, hn::IfThenElse(extremes[k].nan, hn::NaN(Floats()),
                            extremes[k].Best()));
  });
}

// The same of their places.
template <bool largest, int vectors, class Load, class Store>
HWY_INLINE void PlacesOfVectors(int64_t length, Load load, Store store) {
  const Ints d;
  FloatVector best[vectors];
  IntVector where[vectors];
  Unrolled<vectors>([&](int k) HWY_ATTR {
    best[k] = load(0, k);
    where[k] = hn::Zero(d);
  });
  for (int64_t i = 1; i < length; ++i) {
    const IntVector place = hn::Set(d, static_cast<int32_t>(i));
    Unrolled<vectors>([&](int k) HWY_ATTR {
      const FloatVector v = load(i, k);
      // A NaN is not on this side.
      const FloatMask within =
          largest ? hn::Le(v, best[k]) : hn::Ge(v, best[k]);
      const FloatMask stays = hn::Or(within, hn::IsNaN(best[k]));
      best[k] = hn::IfThenElse(stays, best[k], v);
      where[k] = hn::IfThenElse(hn::RebindMask(d, stays), where[k], place);
    });
  }
  Unrolled<vectors>([&](int k) HWY_ATTR { store(k, where[k]); });
}

// Calls f(column, columns of a vector, vectors), the last as a constant, for all
// of `count` columns.
template <class F>
HWY_INLINE void ForTiles(int64_t count, F f) {
  const int64_t lanes = hn::Lanes(Floats());
  int64_t c = 0;
  for (; c + kTile * lanes <= count; c += kTile * lanes) {
    f(c, lanes, std::integral_constant<int, kTile>());
  }
  for (; c < count; c += lanes) {
    f(c, std::min(lanes, count - c), std::integral_constant<int, 1>());
  }
}

template <bool largest>
HWY_INLINE void ColumnExtremes(const float* x, int64_t length, int64_t stride,
                               int64_t count, float* y) {
  const int64_t lanes = hn::Lanes(Floats());
  ForTiles(count, [&](int64_t c, int64_t n, auto vectors) HWY_ATTR {
    ExtremesOfVectors<largest, vectors>(
        length,
        [&](int64_t i, int k)
            HWY_ATTR { return LoadUpTo(x + i * stride + c + k * lanes, n); },
        [&](int k, FloatVector v)
            HWY_ATTR { StoreSome(v, n, y + c + k * lanes); });
  });
}

template <bool largest>
HWY_INLINE void PlacesInColumns(const float* x, int64_t length, int64_t stride,
                                int64_t count, int32_t* y) {
  const int64_t lanes = hn::Lanes(Floats());
  ForTiles(count, [&](int64_t c, int64_t n, auto vectors) HWY_ATTR {
    PlacesOfVectors<largest, vectors>(
        length,
        [&](int64_t i, int k)
            HWY_ATTR { return LoadUpTo(x + i * stride + c + k * lanes, n); },
        [&](int k, IntVector v) HWY_ATTR {
          HWY_ALIGN int32_t places[hn::MaxLanes(Ints())];
          hn::Store(v, Ints(), places);
          std::copy_n(places, n, y + c + k * lanes);
        });
  });
}

// ---- The functions of vector.h ----

#define TAPE_EXTREMES(largest, extreme, place)                          \
  void extreme##Rows(const float* x, int64_t rows, int64_t columns,     \
                     float* y) {                                        \
    for (int64_t r = 0; r < rows; ++r) {                                \
      y[r] = RowExtreme<largest>(x + r * columns, columns);             \
    }                                                                   \
  }                                                                     \
  void place##Rows(const float* x, int64_t rows, int64_t columns,       \
                   int32_t* y) {                                        \
    for (int64_t r = 0; r < rows; ++r) {                                \
      y[r] = PlaceInRow<largest>(x + r * columns, columns);             \
    }                                                                   \
  }                                                                     \
  void extreme##Columns(const float* x, int64_t length, int64_t stride, \
                        int64_t count, float* y) {                      \
    ColumnExtremes<largest>(x, length, stride, count, y);               \
  }                                                                     \
  void place##Columns(const float* x, int64_t length, int64_t stride,   \
                      int64_t count, int32_t* y) {                      \
    PlacesInColumns<largest>(x, length, stride, count, y);              \
  }
TAPE_EXTREMES(true, Max, ArgMax)
TAPE_EXTREMES(false, Min, ArgMin)
#undef TAPE_EXTREMES

}  // namespace tape::vector::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tape::vector {

#define TAPE_EXPORT_EXTREMES(name, T)                                    \
  HWY_EXPORT(name##Rows);                                                \
  HWY_EXPORT(name##Columns);                                             \
  void name##Rows(const float* x, int64_t rows, int64_t columns, T* y) { \
    HWY_DYNAMIC_DISPATCH(name##Rows)(x, rows, columns, y);               \
  }                                                                      \
  void name##Columns(const float* x, int64_t length, int64_t stride,     \
                     int64_t count, T* y) {                              \
    HWY_DYNAMIC_DISPATCH(name##Columns)(x, length, stride, count, y);    \
  }
TAPE_EXPORT_EXTREMES(Max, float)
TAPE_EXPORT_EXTREMES(Min, float)
TAPE_EXPORT_EXTREMES(ArgMax, int32_t)
TAPE_EXPORT_EXTREMES(ArgMin, int32_t)
#undef TAPE_EXPORT_EXTREMES

}  // namespace tape::vector
#endif  // HWY_ONCE
