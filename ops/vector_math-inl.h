// Elementary functions on vectors of float32, for the blocks and row kernels of
// vector.cc: Highway's own where they are exact enough, completed on the rest
// of the line, and others of ours. Errors are in units in the last place (ulp)
// of the result. Compiled once for each instruction set.

// Highway's guard: each target includes this once.
#if defined(TAPE_OPS_VECTOR_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAPE_OPS_VECTOR_MATH_INL_H_
#undef TAPE_OPS_VECTOR_MATH_INL_H_
#else
#define TAPE_OPS_VECTOR_MATH_INL_H_
#endif

#include <cmath>
#include <limits>

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tape::vector::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// ---- Limits that let a NaN through, as Min and Max need not ----

// The instructions of x86 return their second operand if either is a NaN.
constexpr bool kSecondIfNan =
    HWY_ARCH_X86 && HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR;

template <class D, class V>
HWY_INLINE V AtMost(D d, V x, float high) {
  const V limit = hn::Set(d, high);
  if constexpr (kSecondIfNan) return hn::Min(limit, x);
  return hn::IfThenElse(hn::Gt(x, limit), limit, x);
}
template <class D, class V>
HWY_INLINE V AtLeast(D d, V x, float low) {
  const V limit = hn::Set(d, low);
  if constexpr (kSecondIfNan) return hn::Max(limit, x);
  return hn::IfThenElse(hn::Lt(x, limit), limit, x);
}

// ---- Exponentials ----

// A rest of 0, which costs nothing to add.
struct NoRest {};
template <class V>
HWY_INLINE V AddRest(V x, V rest) {
  return hn::Add(x, rest);
}
template <class V>
HWY_INLINE V AddRest(V x, NoRest) {
  return x;
}

// e^r - 1, where x + rest = n ln 2 + r with n as it is given and |r| < 0.35:
// r + r^2 p(r), p fitted to 1e-8.
template <class D, class V, class Rest>
HWY_INLINE V Expm1OfRest(D d, V x, Rest rest, V n) {
  // ln 2 in two parts, n times the first of which is exact.
  V r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = AddRest(hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r), rest);
  const V r2 = hn::Mul(r, r);
  const V low = hn::MulAdd(hn::Set(d, 0.166665763f), r, hn::Set(d, 0.5f));
  const V high =
      hn::MulAdd(hn::Set(d, 0.008363178f), r, hn::Set(d, 0.0416665561f));
  V p = hn::MulAdd(hn::Set(d, 0.00139261817f), r2, high);
  p = hn::MulAdd(p, r2, low);
  return hn::MulAdd(p, r2, r);
}

// e^(x + rest), |rest| < 1/4; off by less than 1 ulp: 2^n (1 + (e^r - 1)).
template <class D, class V, class Rest>
HWY_INLINE V ExpOfSum(D d, V x, Rest rest) {
  const hn::RebindToSigned<D> di;
  // n is rounded to the unit of this number, and the sum's bits, shifted, are
  // 2^n. Alike in both branches: no lane must depend on its neighbours.
  const V unit = hn::Set(d, 0x1.8p23f + 127);
  const V log2_e = hn::Set(d, 1.44269504f), one = hn::Set(d, 1.0f);
  const auto power = [&](auto bits) HWY_ATTR {
    return hn::BitCast(d, hn::ShiftLeft<23>(bits));
  };
  const V sum = AddRest(x, rest);
  // As most are: 2^n and the result are numbers, and no denormal ones.
  if (HWY_LIKELY(hn::AllTrue(d, hn::Lt(hn::Abs(sum), hn::Set(d, 87.0f))))) {
    const V shifted = hn::MulAdd(sum, log2_e, unit);
    const V scale = power(hn::BitCast(di, shifted));
    const V n = hn::Sub(shifted, unit);
    return hn::Mul(hn::Add(one, Expm1OfRest(d, x, rest, n)), scale);
  }
  // Below, the result is 0, and -inf would not be reduced.
  x = AtLeast(d, x, -104.0f);
  V n = hn::Sub(hn::MulAdd(AddRest(x, rest), log2_e, unit), unit);
  // Beyond, the result is infinite already.
  n = hn::Min(n, hn::Set(d, 129.0f));
  const V y = hn::Add(one, Expm1OfRest(d, x, rest, n));
  // In two factors, since 2^n alone may be beyond float32.
  const auto n_int = hn::ConvertTo(di, n), bias = hn::Set(di, 127);
  const auto half = hn::ShiftRight<1>(n_int);
  return hn::Mul(hn::Mul(y, power(hn::Add(half, bias))),
                 power(hn::Add(hn::Sub(n_int, half), bias)));
}

template <class D, class V>
HWY_INLINE V SafeExp(D d, V x) {
  return ExpOfSum(d, x, NoRest());
}

// e^(scale x^2), off by less than 2 ulp for a scale of -1/2 or -1 and |x| of at
// most 16. The square is taken in two parts, the first of which is exact:
// rounded, it would cost x^2 / 2 ulp.
template <class D, class V>
HWY_INLINE V GaussianOf(D d, V x, V scale) {
  const hn::RebindToUnsigned<D> du;
  const V head = hn::BitCast(
      d, hn::And(hn::BitCast(du, x), hn::Set(du, uint32_t{0xFFFFF000})));
  const V rest = hn::Mul(hn::Sub(x, head), hn::Add(x, head));
  return ExpOfSum(d, hn::Mul(scale, hn::Mul(head, head)), hn::Mul(scale, rest));
}

// e^(-scale x^2), for a scale of 1/2 or 1.
template <class D, class V>
HWY_INLINE V VectorGaussian(D d, V x, V scale) {
  return GaussianOf(d, AtMost(d, hn::Abs(x), 16.0f), hn::Neg(scale));
}

template <class D, class V>
HWY_INLINE V SafeExpm1(D d, V x) {
  const V limited = hn::Min(hn::Max(x, hn::Set(d, -104.0f)), hn::Set(d, 88.8f));
  V y = hn::Expm1(d, limited);
  y = hn::IfThenElse(hn::Gt(x, hn::Set(d, 88.72284f)), hn::Set(d, kInfinity),
                     y);
  // x, and NaN, where x is so small that expm1(x) is x.
  return hn::IfThenElse(hn::Ge(hn::Abs(x), hn::Set(d, 1e-10f)), y, x);
}

// ---- Logarithms ----

template <class D, class V>
HWY_INLINE V SafeLog(D d, V x) {
  V y = hn::Log(d, x);
  y = hn::IfThenElse(hn::Eq(x, hn::Set(d, kInfinity)), x, y);
  y = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Set(d, -kInfinity), y);
  // NaN for NaN and for what is below zero.
  return hn::IfThenElse(hn::Ge(x, hn::Zero(d)), y, hn::NaN(d));
}

template <class D, class V>
HWY_INLINE V SafeLog1p(D d, V x) {
  V y = hn::Log1p(d, x);
  y = hn::IfThenElse(hn::Eq(x, hn::Set(d, kInfinity)), x, y);
  const V minus_one = hn::Set(d, -1.0f);
  y = hn::IfThenElse(hn::Eq(x, minus_one), hn::Set(d, -kInfinity), y);
  // NaN for NaN and for what is below -1.
  return hn::IfThenElse(hn::Ge(x, minus_one), y, hn::NaN(d));
}

// ---- The error function and the normal distribution ----

// A polynomial in each of 16 pieces of the line: coefficient k of piece i is
// [k][i].
template <int coefficients>
using Pieces = float[coefficients][16];

// table[i] of 16 numbers, lane by lane.
template <class D, class I>
HWY_INLINE hn::Vec<D> LookUp(D d, const float* table, I i) {
  if constexpr (hn::MaxLanes(D()) == 16) {
    return hn::TableLookupLanes(hn::LoadU(d, table), hn::IndicesFromVec(d, i));
  } else if constexpr (hn::MaxLanes(D()) == 8) {
    const hn::RebindToSigned<D> di;
    const auto eight = hn::Set(di, 8);
    const auto of_half = hn::IndicesFromVec(d, hn::AndNot(eight, i));
    return hn::IfThenElse(
        hn::RebindMask(d, hn::Lt(i, eight)),
        hn::TableLookupLanes(hn::LoadU(d, table), of_half),
        hn::TableLookupLanes(hn::LoadU(d, table + 8), of_half));
  } else {
    return hn::GatherIndex(d, table, i);
  }
}

// Coefficients k and on of each lane's polynomial, at this distance.
template <int k, class D, int coefficients, class V, class I>
HWY_INLINE V Horner(D d, const Pieces<coefficients>& pieces, I i, V distance) {
  const V coefficient = LookUp(d, pieces[k], i);
  if constexpr (k == coefficients - 1) {
    return coefficient;
  } else {
    return hn::MulAdd(Horner<k + 1>(d, pieces, i, distance), distance,
                      coefficient);
  }
}

// The value in each lane's piece (of other bits of `piece`, any one's), at this
// distance from its left end.
template <class D, int coefficients, class V, class I>
HWY_INLINE V InPieces(D d, const Pieces<coefficients>& pieces, I piece,
                      V distance) {
  const auto i = hn::And(piece, hn::Set(hn::DFromV<I>(), 15));
  return Horner<0>(d, pieces, i, distance);
}

// The value at |x|, limited to below 4, in pieces of 1/4 from 0. A border may fall
// in either of its two pieces.
template <class D, int coefficients, class V>
HWY_INLINE V InQuarters(D d, const Pieces<coefficients>& pieces, V x) {
  const hn::RebindToSigned<D> di;
  const V t = AtMost(d, hn::Abs(x), 3.99999976f);
  // 1.5 * 2^23, to which whole numbers are added: they are its last bits.
  const V whole = hn::Set(d, 12582912.0f);
  const V sum =
      hn::Add(hn::MulAdd(t, hn::Set(d, 4.0f), hn::Set(d, -0.5f)), whole);
  const V distance = hn::NegMulAdd(hn::Sub(sum, whole), hn::Set(d, 0.25f), t);
  return InPieces(d, pieces, hn::BitCast(di, sum), distance);
}

// Pieces of 1/4 from 0 to 4, by interpolation at Chebyshev's points: off by at
// most 1.1 * 2^-24 of erf, coefficients rounded.
constexpr Pieces<6> kErf = {
    {0.0f, 0.2763264f, 0.5204999f, 0.71115565f, 0.8427008f, 0.92290014f,
     0.96610516f, 0.9866717f, 0.9953223f, 0.9985373f, 0.999593f, 0.9998994f,
     0.9999779f, 0.9999957f, 0.9999993f, 0.9999999f},
    {1.1283791f, 1.0600125f, 0.8787811f, 0.6429306f, 0.41510797f, 0.23652188f,
     0.11893081f, 0.05277516f, 0.020666933f, 0.0071422122f, 0.0021782042f,
     0.0005862356f, 0.00013923619f, 2.918347e-05f, 5.397901e-06f,
     8.8107834e-07f},
    {6.188743e-06f, -0.26492533f, -0.4393223f, -0.48217723f, -0.41512972f,
     -0.29568693f, -0.17841992f, -0.09236407f, -0.041331593f, -0.016065245f,
     -0.0054419553f, -0.0016103024f, -0.00041696377f, -9.460165e-05f,
     -1.8825724e-05f, -3.2885764e-06f},
    {-0.37631622f, -0.31049672f, -0.14765318f, 0.026410062f, 0.13873686f,
     0.1681421f, 0.13917595f, 0.09029631f, 0.048184693f, 0.021639768f,
     0.008285331f, 0.0027263635f, 0.0007752213f, 0.00019120517f, 4.1023424e-05f,
     7.672832e-06f},
    {0.0019222784f, 0.13707148f, 0.19242413f, 0.15389118f, 0.06652164f,
     -0.010833843f, -0.0479567f, -0.049255095f, -0.03418517f, -0.018431043f,
     -0.008113049f, -0.0029870642f, -0.0009327319f, -0.00024920315f,
     -5.731279e-05f, -1.1395462e-05f},
    {0.106150225f, 0.04534746f, -0.027088888f, -0.06678138f, -0.061098672f,
     -0.030638589f, -0.0022792881f, 0.011347224f, 0.012451553f, 0.008360143f,
     0.0042337757f, 0.0017256449f, 0.0005832176f, 0.00016617769f,
     4.0335097e-05f, 8.398558e-06f},
};

// From 4 on, float32's erf is 1.
template <class D, class V>
HWY_INLINE V VectorErf(D d, V x) {
  return hn::CopySign(InQuarters(d, kErf, x), x);
}

// P(X > a) for a standard normal X, in pieces of 1/4 from 0 to 4: off by at most
// 2.2 * 2^-24 of it, coefficients rounded.
constexpr Pieces<7> kNormalTail = {
    {0.5f, 0.40129367f, 0.30853754f, 0.22662735f, 0.15865526f, 0.10564978f,
     0.0668072f, 0.040059157f, 0.022750132f, 0.012224473f, 0.0062096654f,
     0.0029797633f, 0.001349898f, 0.00057702506f, 0.00023262909f,
     8.8417284e-05f},
    {-0.3989423f, -0.38666812f, -0.35206532f, -0.30113742f, -0.24197072f,
     -0.18264908f, -0.1295176f, -0.08627732f, -0.053990968f, -0.031739652f,
     -0.017528301f, -0.009093563f, -0.0044318484f, -0.002029048f,
     -0.0008726826f, -0.00035259558f},
    {2.1231894e-07f, 0.048333645f, 0.08801634f, 0.11292643f, 0.12098521f,
     0.11415554f, 0.09713812f, 0.07549264f, 0.053991005f, 0.03570716f,
     0.02191042f, 0.012503674f, 0.006647782f, 0.003297202f, 0.0015271896f,
     0.00066111144f},
    {0.06648527f, 0.060413703f, 0.04400801f, 0.021960448f, 3.7258874e-06f,
     -0.017120061f, -0.026981018f, -0.029657628f, -0.02699637f, -0.021491632f,
     -0.015338311f, -0.009946709f, -0.0059093605f, -0.0032337753f,
     -0.0016361573f, -0.00076749927f},
    {5.8580972e-05f, -0.011794511f, -0.020167783f, -0.022966333f, -0.020206694f,
     -0.01371278f, -0.0060923137f, 0.0003905341f, 0.004509181f, 0.0061513404f,
     0.00594613f, 0.0047612446f, 0.0033265967f, 0.0020777422f, 0.0011758223f,
     0.0006079664f},
    {-0.010319329f, -0.008696018f, -0.0046082647f, 0.0003059797f, 0.0042805998f,
     0.0062122545f, 0.0059976648f, 0.004330741f, 0.002193524f, 0.0003788678f,
     -0.00073819887f, -0.0011665687f, -0.0011248182f, -0.0008650199f,
     -0.00057060085f, -0.0003331066f},
    {0.0010166445f, 0.0026280368f, 0.003194332f, 0.002615932f, 0.0013055998f,
     -9.458499e-05f, -0.0010608173f, -0.00139242f, -0.0012004732f,
     -0.0007520122f, -0.00029924331f, 1.5637223e-05f, 0.00016577134f,
     0.00019339743f, 0.00015826977f, 0.00010648343f},
};

// P(X > a) - a density(a), likewise: off by at most 1.3 * 2^-24 of it, and of
// a density(a) / 2 around 0.75, where it is 0.
constexpr Pieces<7> kNormalSlope = {
    {0.5f, 0.30462664f, 0.13250488f, 0.0007742782f, -0.08331547f, -0.12266158f,
     -0.1274692f, -0.11092615f, -0.0852318f, -0.059189744f, -0.037611086f,
     -0.022027534f, -0.011945647f, -0.0060173813f, -0.0028217603f,
     -0.0012338165f},
    {-0.7978846f, -0.74916947f, -0.6161143f, -0.43288505f, -0.2419707f,
     -0.07990896f, 0.0323794f, 0.09166965f, 0.10798193f, 0.09720267f,
     0.07449527f, 0.05058294f, 0.03102294f, 0.017373726f, 0.0089449985f,
     0.004253186f},
    {1.6795549e-06f, 0.1903141f, 0.33006096f, 0.38818383f, 0.3629548f,
     0.27825361f, 0.1699917f, 0.07077474f, 5.459995e-07f, -0.03793838f,
     -0.049298156f, -0.04454425f, -0.03323896f, -0.021637997f, -0.0125994235f,
     -0.0066525196f},
    {0.2659211f, 0.22981428f, 0.13569804f, 0.019044228f, -0.080625616f,
     -0.13684757f, -0.14435449f, -0.11588794f, -0.072001055f, -0.03073734f,
     -0.0020130621f, 0.012509608f, 0.016252372f, 0.014080277f, 0.00993749f,
     0.0060722297f},
    {0.00046411532f, -0.06949281f, -0.11237613f, -0.11444543f, -0.08101548f,
     -0.031190773f, 0.013613934f, 0.039787762f, 0.045142077f, 0.03599949f,
     0.021393966f, 0.0083322f, -2.5549301e-05f, -0.0037040238f, -0.0042584827f,
     -0.003373035f},
    {-0.062585056f, -0.049490362f, -0.01799389f, 0.016315421f, 0.03840784f,
     0.041672457f, 0.029609198f, 0.011552297f, -0.0035753634f, -0.011319581f,
     -0.012035073f, -0.00871774f, -0.0045069642f, -0.0012883194f, 0.0004337658f,
     0.0009818629f},
    {0.008089062f, 0.020110887f, 0.022246292f, 0.014643848f, 0.00255559f,
     -0.0075118295f, -0.011657902f, -0.009978329f, -0.0052689495f,
     -0.000656686f, 0.0020700325f, 0.002743921f, 0.0021448873f, 0.001174856f,
     0.0003931221f, -3.5498e-05f},
};

// P(X > a) / e^(-a^2/2) for a standard normal X: the Mills ratio over sqrt(2
// pi). The pieces are a + 1 in [1, 1.25), [1.25, 1.5), …, [14, 16), four for each
// power of two: off by at most 1.7 * 2^-24 of it.
constexpr Pieces<6> kNormalRatio = {
    {0.5f, 0.4140321f, 0.34961882f, 0.30023247f, 0.2615783f, 0.20578067f,
     0.168102f, 0.14133133f, 0.12151394f, 0.094410636f, 0.0769193f, 0.06477931f,
     0.055893477f, 0.04379879f, 0.03597489f, 0.030509414f},
    {-0.398942f, -0.29543412f, -0.22413278f, -0.17376788f, -0.13736327f,
     -0.09027101f, -0.062738165f, -0.045613904f, -0.034399886f, -0.021299567f,
     -0.014345707f, -0.010266377f, -0.0076877363f, -0.0047531417f,
     -0.0032184832f, -0.002319888f},
    {0.24998713f, 0.17007978f, 0.118772306f, 0.08495103f, 0.062090103f,
     0.03518046f, 0.021310102f, 0.013647074f, 0.009149805f, 0.004604134f,
     0.0025947f, 0.0015902662f, 0.0010380881f, 0.00050985225f, 0.00028565706f,
     0.00017538578f},
    {-0.13275795f, -0.08418342f, -0.0548476f, -0.036645796f, -0.024936756f,
     -0.012441101f, -0.006681483f, -0.0038211243f, -0.0022817762f,
     -0.0009510138f, -0.0004540168f, -0.00024027949f, -0.00013591997f,
     -5.36429e-05f, -2.502641e-05f, -1.31378365e-05f},
    {0.060735498f, 0.036297448f, 0.022297839f, 0.0140559f, 0.008655595f,
     0.0038860277f, 0.0018848653f, 0.0009777028f, 0.00049731537f, 0.0001770934f,
     7.324674e-05f, 3.402709e-05f, 1.5794738e-05f, 5.171947e-06f,
     2.0519167e-06f, 9.343763e-07f},
    {-0.019963548f, -0.011416874f, -0.0067109186f, -0.0040481715f,
     -0.0019967011f, -0.0008324952f, -0.0003753783f, -0.00018130471f,
     -6.876402e-05f, -2.198256e-05f, -8.2129145e-06f, -3.4688378e-06f,
     -1.1540124e-06f, -3.3226775e-07f, -1.17390776e-07f, -4.812582e-08f},
};

// The normal distribution's tail beyond a = |x|: density times ratio.
template <class V>
struct NormalTail {
  V a;        // |x|, but at most 14.75, where the density is 0 already.
  V density;  // e^(-a^2/2)
  V ratio;
};

template <class D, class V>
HWY_INLINE NormalTail<V> VectorNormalTail(D d, V x) {
  const hn::RebindToSigned<D> di;
  const V one = hn::Set(d, 1.0f);
  const V a = AtMost(d, hn::Abs(x), 14.75f);
  // The exponent of a + 1 and the two highest bits of its mantissa.
  const auto bits = hn::ShiftRight<21>(hn::BitCast(di, hn::Add(a, one)));
  const V left = hn::Sub(hn::BitCast(d, hn::ShiftLeft<21>(bits)), one);
  const V ratio = InPieces(
      d, kNormalRatio, hn::Sub(bits, hn::Set(di, 127 << 2)), hn::Sub(a, left));
  return {a, GaussianOf(d, a, hn::Set(d, -0.5f)), ratio};
}

// `near` where |x| < 4, and `far` of the normal distribution's tail elsewhere,
// where numbers seldom are.
template <class D, class V, class Far>
HWY_INLINE V NearOrFar(D d, V x, V near, Far far) {
  const auto is_near = hn::Lt(hn::Abs(x), hn::Set(d, 4.0f));
  if (HWY_LIKELY(hn::AllTrue(d, is_near))) return near;
  return hn::IfThenElse(is_near, near, far(VectorNormalTail(d, x)));
}

// x P(X < x): Gelu, as max(x, 0) - a P(X > a). (-0 - 0 is the limit's -0.)
template <class D, class V>
HWY_INLINE V VectorGelu(D d, V x) {
  const V most = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Set(d, -0.0f), x);
  const V near = hn::NegMulAdd(hn::Abs(x), InQuarters(d, kNormalTail, x), most);
  return NearOrFar(d, x, near, [&](const NormalTail<V>& tail) HWY_ATTR {
    // In this order: density times ratio is below float32 before y is.
    return hn::NegMulAdd(hn::Mul(tail.a, tail.ratio), tail.density, most);
  });
}

// P(X < x) + x density(x), its derivative.
template <class D, class V>
HWY_INLINE V VectorGeluSlope(D d, V x) {
  const V scale = hn::Set(d, 0.398942280f);  // 1 / sqrt(2 pi)
  const V left = NearOrFar(
      d, x, InQuarters(d, kNormalSlope, x),
      [&](const NormalTail<V>& tail) HWY_ATTR {
        return hn::Mul(tail.density, hn::NegMulAdd(tail.a, scale, tail.ratio));
      });
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), left,
                        hn::Sub(hn::Set(d, 1.0f), left));
}

// ---- The logistic function ----

// The logistic function of -w, w >= 0, as h^2 i: in two factors, so that x
// times it is not lost where it alone is below float32.
template <class V>
struct Logistic {
  V h;  // e^(-w/2)
  V i;  // 1 / (1 + h^2), the logistic function of w.
};

template <class V>
HWY_INLINE V TimesRest(V factor, V rest) {
  return hn::Mul(factor, rest);
}
template <class V>
HWY_INLINE NoRest TimesRest(V, NoRest rest) {
  return rest;
}
template <class D, class V, class Rest>
HWY_INLINE Logistic<V> VectorLogistic(D d, V w, Rest rest) {
  const V minus_half = hn::Set(d, -0.5f), one = hn::Set(d, 1.0f);
  const V h = ExpOfSum(d, hn::Mul(minus_half, w), TimesRest(minus_half, rest));
  return {h, hn::Div(one, hn::MulAdd(h, h, one))};
}

template <class D, class V>
HWY_INLINE V SafeSigmoid(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, SafeExp(d, hn::Neg(x))));
}

// The derivative of Sigmoid, e / (1 + e)^2 with e = e^-|x|.
template <class D, class V>
HWY_INLINE V VectorSigmoidSlope(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  const V e = SafeExp(d, hn::Neg(hn::Abs(x)));
  const V i = hn::Div(one, hn::Add(one, e));
  return hn::Mul(hn::Mul(e, i), i);
}

// x times the logistic function of w + rest, which has x's sign; and its
// derivative for a w with the derivative `slope`.
template <class D, class V, class Rest>
HWY_INLINE V TimesLogistic(D d, V x, V w, Rest rest) {
  const Logistic<V> s = VectorLogistic(d, w, rest);
  const V left =
      hn::Mul(hn::Mul(AtLeast(d, x, -256.0f), s.h), hn::Mul(s.h, s.i));
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), left, hn::Mul(x, s.i));
}
template <class D, class V, class Rest>
HWY_INLINE V TimesLogisticSlope(D d, V x, V w, Rest rest, V slope) {
  const V a = AtMost(d, hn::Abs(x), 256.0f), one = hn::Set(d, 1.0f);
  const Logistic<V> s = VectorLogistic(d, w, rest);
  const V h_i = hn::Mul(s.h, s.i);
  const V steepness = hn::Mul(a, slope);
  const V left = hn::Mul(hn::Mul(s.h, hn::NegMulAdd(steepness, s.i, one)), h_i);
  const V right = hn::Mul(s.i, hn::MulAdd(hn::Mul(steepness, s.h), h_i, one));
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), left, right);
}

// |x| (2 sqrt(2/pi) + 2 sqrt(2/pi) 0.044715 x^2) as the sum of two float32s, by
// way of double: the exponential of one alone would be off by w / 2 ulp.
template <class V>
struct TwoFloats {
  V head, rest;
};

constexpr double kGeluLinear = 1.5957691216057307;
constexpr double kGeluCubic = 0.07135481627159829;

template <class D, class V>
HWY_INLINE TwoFloats<V> GeluTanhOperand(D d, V a) {
#if HWY_TARGET == HWY_SCALAR
  const double x = hn::GetLane(a);
  const double w = x * (x * x * kGeluCubic + kGeluLinear);
  const auto head = static_cast<float>(w);
  return {hn::Set(d, head), hn::Set(d, static_cast<float>(w - head))};
#else
  const hn::Half<D> dh;
  const hn::Repartition<double, D> dd;
  const auto part = [&](auto half, auto& head, auto& rest) HWY_ATTR {
    const auto x = hn::PromoteTo(dd, half);
    const auto w = hn::Mul(x, hn::MulAdd(hn::Mul(x, x), hn::Set(dd, kGeluCubic),
                                         hn::Set(dd, kGeluLinear)));
    head = hn::DemoteTo(dh, w);
    rest = hn::DemoteTo(dh, hn::Sub(w, hn::PromoteTo(dd, head)));
  };
  auto head0 = hn::Zero(dh), rest0 = head0, head1 = head0, rest1 = head0;
  part(hn::LowerHalf(dh, a), head0, rest0);
  part(hn::UpperHalf(dh, a), head1, rest1);
  return {hn::Combine(d, head1, head0), hn::Combine(d, rest1, rest0)};
#endif
}

template <class D, class V>
HWY_INLINE V VectorGeluTanh(D d, V x) {
  const auto w = GeluTanhOperand(d, AtMost(d, hn::Abs(x), 16.0f));
  return TimesLogistic(d, x, w.head, w.rest);
}

template <class D, class V>
HWY_INLINE V VectorGeluTanhSlope(D d, V x) {
  const V a = AtMost(d, hn::Abs(x), 16.0f);
  const auto w = GeluTanhOperand(d, a);
  const V slope =
      hn::MulAdd(hn::Mul(a, a), hn::Set(d, static_cast<float>(3 * kGeluCubic)),
                 hn::Set(d, static_cast<float>(kGeluLinear)));
  return TimesLogisticSlope(d, x, w.head, w.rest, slope);
}

template <class D, class V>
HWY_INLINE V VectorSilu(D d, V x) {
  const V w = AtMost(d, hn::Abs(x), 256.0f);
  return TimesLogistic(d, x, w, NoRest());
}

template <class D, class V>
HWY_INLINE V VectorSiluSlope(D d, V x) {
  const V w = AtMost(d, hn::Abs(x), 256.0f);
  return TimesLogisticSlope(d, x, w, NoRest(), hn::Set(d, 1.0f));
}

// ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|), of which nothing overflows.
template <class D, class V>
HWY_INLINE V VectorSoftplus(D d, V x) {
  return hn::Add(hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x),
                 SafeLog1p(d, SafeExp(d, hn::Neg(hn::Abs(x)))));
}

// |z| times the label's share on the wrong side, which is 0 where there is
// none, z infinite or not; and ln(1 + e^-|z|). Neither is negative for a label
// of 0 to 1, so nothing is lost of small losses.
template <class D, class V>
HWY_INLINE V VectorSigmoidCrossEntropy(D d, V z, V label) {
  const V wrong = hn::IfThenElse(hn::Lt(z, hn::Zero(d)), label,
                                 hn::Sub(hn::Set(d, 1.0f), label));
  const V product = hn::Mul(hn::Abs(z), wrong);
  return hn::Add(hn::IfThenZeroElse(hn::Eq(wrong, hn::Zero(d)), product),
                 SafeLog1p(d, SafeExp(d, hn::Neg(hn::Abs(z)))));
}

// Sigmoid(z) - label, on the side where neither is near 1.
template <class D, class V>
HWY_INLINE V VectorSigmoidError(D d, V z, V label) {
  const V small = SafeSigmoid(d, hn::Neg(hn::Abs(z)));
  return hn::IfThenElse(hn::Lt(z, hn::Zero(d)), hn::Sub(small, label),
                        hn::Sub(hn::Sub(hn::Set(d, 1.0f), label), small));
}

// ---- The hyperbolic tangent ----

template <class D, class V>
HWY_INLINE V SafeTanh(D d, V x) {
  // From 10 on, float32's tanh is 1. Min and Max drop a NaN.
  const V limited = hn::Min(hn::Max(x, hn::Set(d, -10.0f)), hn::Set(d, 10.0f));
  const V y = hn::Tanh(d, limited);
  return hn::IfThenElse(hn::Ge(hn::Abs(x), hn::Set(d, 1e-10f)), y, x);
}

// 1 / cosh(x)^2 = (2 h / (1 + h^2))^2 with h = e^-|x|.
template <class D, class V>
HWY_INLINE V VectorTanhSlope(D d, V x) {
  const V a = hn::Abs(x);
  const Logistic<V> s = VectorLogistic(d, hn::Add(a, a), NoRest());
  const V root = hn::Mul(hn::Add(s.h, s.h), s.i);
  return hn::Mul(root, root);
}

// x / (1 + |x|), whose limits are 1 and -1.
template <class D, class V>
HWY_INLINE V VectorSoftsign(D d, V x) {
  const V one = hn::Set(d, 1.0f), a = hn::Abs(x);
  return hn::IfThenElse(hn::Eq(a, hn::Set(d, kInfinity)), hn::CopySign(one, x),
                        hn::Div(x, hn::Add(one, a)));
}

// ---- By the C library in double, lane by lane ----

// `y`, where Highway's sine or cosine holds; beyond, the C library's.
template <class D, class V>
HWY_INLINE V SafeTrigonometric(D d, V x, V y, double (*exact)(double)) {
  const V limit = hn::Set(d, 39000.0f);  // Highway's own.
  const auto holds = hn::Lt(hn::Abs(x), limit);
  if (hn::AllTrue(d, holds)) return y;
  HWY_ALIGN float lanes[hn::MaxLanes(d)];
  HWY_ALIGN float results[hn::MaxLanes(d)];
  hn::Store(x, d, lanes);
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    results[i] = static_cast<float>(exact(lanes[i]));
  }
  // A number's sine must not depend on its neighbours.
  return hn::IfThenElse(holds, y, hn::Load(d, results));
}

}  // namespace tape::vector::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // TAPE_OPS_VECTOR_MATH_INL_H_
