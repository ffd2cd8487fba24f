// Loops by hand (by_hand.h). Lengths are whole vectors here.
#include "bench/by_hand.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/by_hand.cc"
// In this order: foreach_target.h includes this file again for each target.
// clang-format off
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "framework/core/float_sums-inl.h"
#include "ops/vector_math-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tape::vector::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using tape::HWY_NAMESPACE::Doubles;
using tape::HWY_NAMESPACE::DoubleSums;
using tape::HWY_NAMESPACE::Floats;
using tape::HWY_NAMESPACE::InDouble;
using tape::HWY_NAMESPACE::LoadDoubles;

void Lamb(const LambArrays& of) {
  const Floats d;
  const auto number = [d](float x) HWY_ATTR { return hn::Set(d, x); };
  const auto b1 = number(0.9f), c1 = number(1 - 0.9f), b2 = number(0.999f),
             c2 = number(1 - 0.999f), m_scale = number(of.m_scale),
             v_scale = number(of.v_scale), epsilon = number(1e-6f),
             decay = number(0.01f);
  DoubleSums w_squares, u_squares;
  for (int64_t i = 0; i < of.count; i += hn::Lanes(d)) {
    const auto g = hn::LoadU(d, of.gradient + i), w = hn::LoadU(d, of.w + i);
    const auto m = hn::Add(hn::Mul(b1, hn::LoadU(d, of.m + i)), hn::Mul(c1, g));
    const auto v = hn::Add(hn::Mul(b2, hn::LoadU(d, of.v + i)),
                           hn::Mul(c2, hn::Mul(g, g)));
    const auto root = hn::Add(hn::Sqrt(hn::Mul(v, v_scale)), epsilon);
    const auto u =
        hn::Add(hn::Div(hn::Mul(m, m_scale), root), hn::Mul(decay, w));
    hn::StoreU(m, d, of.m + i);
    hn::StoreU(v, d, of.v + i);
    hn::StoreU(u, d, of.update + i);
    const DoubleSums of_w = InDouble(w), of_u = InDouble(u);
    w_squares.AddProduct(of_w, of_w);
    u_squares.AddProduct(of_u, of_u);
  }
  const double w_norm = std::sqrt(w_squares.Total());
  const double u_norm = std::sqrt(u_squares.Total());
  const auto rate = number(static_cast<float>(
      w_norm > 0 && u_norm > 0 ? 1e-3 * w_norm / u_norm : 1e-3));
  for (int64_t i = 0; i < of.count; i += hn::Lanes(d)) {
    const auto step = hn::Mul(rate, hn::LoadU(d, of.update + i));
    hn::StoreU(hn::Sub(hn::LoadU(d, of.w + i), step), d, of.w + i);
  }
}

HWY_INLINE DoubleSums Less(const DoubleSums& v, hn::Vec<Doubles> from) {
  return {hn::Sub(v.lower, from), hn::Sub(v.upper, from)};
}

// Of a row.
struct RowMoments {
  double mean, scale;  // Of which the second is 1 / sqrt(variance + epsilon).
};
HWY_INLINE RowMoments MomentsByHand(const float* x, int64_t columns) {
  const double first = x[0];
  const auto from = hn::Set(Doubles(), first);
  DoubleSums sum, squares;
  for (int64_t c = 0; c < columns; c += hn::Lanes(Floats())) {
    const DoubleSums v = Less(LoadDoubles(x + c), from);
    sum.Add(v);
    squares.AddProduct(v, v);
  }
  const double count = static_cast<double>(columns);
  const double mean = sum.Total() / count;
  return {first + mean,
          1 / std::sqrt(squares.Total() / count - mean * mean + 1e-5)};
}

void LayerNorm(const float* x, const float* scale, const float* shift,
               int64_t rows, int64_t columns, float* y) {
  const Floats d;
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    const RowMoments row = MomentsByHand(x, columns);
    const auto mean = hn::Set(Doubles(), row.mean);
    const auto by = hn::Set(Doubles(), row.scale);
    for (int64_t c = 0; c < columns; c += hn::Lanes(d)) {
      DoubleSums v = Less(LoadDoubles(x + c), mean);
      v.lower = hn::Mul(v.lower, by);
      v.upper = hn::Mul(v.upper, by);
      hn::StoreU(hn::Add(hn::Mul(v.Rounded(), hn::LoadU(d, scale + c)),
                         hn::LoadU(d, shift + c)),
                 d, y + c);
    }
  }
}

void LayerNormGradient(const float* x, const float* scale, const float* shift,
                       const float* gy, int64_t rows, int64_t columns, float* y,
                       float* dx) {
  const Floats d;
  const double count = static_cast<double>(columns);
  for (int64_t r = 0; r < rows; ++r) {
    const float *row_x = x + r * columns, *row_gy = gy + r * columns;
    const RowMoments row = MomentsByHand(row_x, columns);
    const auto mean = hn::Set(Doubles(), row.mean);
    const auto by = hn::Set(Doubles(), row.scale);
    DoubleSums g_sum, products;
    for (int64_t c = 0; c < columns; c += hn::Lanes(d)) {
      const auto s = hn::LoadU(d, scale + c);
      DoubleSums n = Less(LoadDoubles(row_x + c), mean);
      n.lower = hn::Mul(n.lower, by);
      n.upper = hn::Mul(n.upper, by);
      const DoubleSums g = InDouble(hn::Mul(hn::LoadU(d, row_gy + c), s));
      g_sum.Add(g);
      products.AddProduct(g, n);
      hn::StoreU(hn::Add(hn::Mul(n.Rounded(), s), hn::LoadU(d, shift + c)), d,
                 y + r * columns + c);
    }
    const auto g_mean = hn::Set(Doubles(), g_sum.Total() / count);
    const auto share = hn::Set(Doubles(), products.Total() * row.scale / count);
    for (int64_t c = 0; c < columns; c += hn::Lanes(d)) {
      const DoubleSums g =
          InDouble(hn::Mul(hn::LoadU(d, row_gy + c), hn::LoadU(d, scale + c)));
      const DoubleSums v = Less(LoadDoubles(row_x + c), mean);
      DoubleSums rest = Less(g, g_mean);
      rest.lower = hn::Mul(hn::NegMulAdd(v.lower, share, rest.lower), by);
      rest.upper = hn::Mul(hn::NegMulAdd(v.upper, share, rest.upper), by);
      hn::StoreU(rest.Rounded(), d, dx + r * columns + c);
    }
  }
}

void GeluGradient(const float* x, const float* gy, int64_t count, float* y,
                  float* dx) {
  const Floats d;
  for (int64_t i = 0; i < count; i += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, x + i);
    hn::StoreU(VectorGelu(d, v), d, y + i);
    hn::StoreU(hn::Mul(hn::LoadU(d, gy + i), VectorGeluSlope(d, v)), d, dx + i);
  }
}

}  // namespace tape::vector::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tape {
namespace vector {
HWY_EXPORT(Lamb);
HWY_EXPORT(LayerNorm);
HWY_EXPORT(LayerNormGradient);
HWY_EXPORT(GeluGradient);
}  // namespace vector

void LambByHand(const LambArrays& of) {
  using namespace vector;  // NOLINT: of the table.
  HWY_DYNAMIC_DISPATCH(Lamb)(of);
}
void LayerNormByHand(const float* x, const float* scale, const float* shift,
                     int64_t rows, int64_t columns, float* y) {
  using namespace vector;  // NOLINT: of the table.
  HWY_DYNAMIC_DISPATCH(LayerNorm)(x, scale, shift, rows, columns, y);
}
void LayerNormGradientByHand(const float* x, const float* scale,
                             const float* shift, const float* gy, int64_t rows,
                             int64_t columns, float* y, float* dx) {
  using namespace vector;  // NOLINT: of the table.
  HWY_DYNAMIC_DISPATCH(LayerNormGradient)
  (x, scale, shift, gy, rows, columns, y, dx);
}
void GeluGradientByHand(const float* x, const float* gy, int64_t count,
                        float* y, float* dx) {
  using namespace vector;  // NOLINT: of the table.
  HWY_DYNAMIC_DISPATCH(GeluGradient)(x, gy, count, y, dx);
}

}  // namespace tape
#endif  // HWY_ONCE
