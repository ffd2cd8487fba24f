// Philox4x32-10 and what is drawn from it (random.h). Tested by
// tests/core/random_test.cc.
#include "framework/core/random.h"

#include <cmath>
#include <utility>

namespace tape {
namespace {

// The round multipliers and key increments of the paper: the latter are the
// golden ratio and sqrt(3) - 1.
constexpr uint32_t kMultiplier0 = 0xD2511F53;
constexpr uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9;
constexpr uint32_t kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;

// Natural logarithm of a positive normal number: x = m * 2^e with m in
// [sqrt(1/2), sqrt(2)), then log m = 2 artanh((m - 1) / (m + 1)) by its power
// series, whose 14 terms are exact to 1e-17 there. std::log would be as
// accurate, but its last bit depends on the processor.
double PortableLog(double x) {
  constexpr double kLog2 = 0.693147180559945309417232121458;
  constexpr double kHalfSqrt2 = 0.707106781186547524400844362105;
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);  // In [1/2, 1): exact.
  if (mantissa < kHalfSqrt2) {
    mantissa *= 2;
    --exponent;
  }
  const double t = (mantissa - 1) / (mantissa + 1);
  const double t2 = t * t;
  double series = 0;
  for (int k = 27; k >= 1; k -= 2) series = series * t2 + 1.0 / k;
  return exponent * kLog2 + 2 * t * series;
}

// Numerator and denominator of AS 241's rational approximations, highest power
// first.
double Ratio(double r, const double (&p)[8], const double (&q)[8]) {
  double above = 0, below = 0;
  for (double coefficient : p) above = above * r + coefficient;
  for (double coefficient : q) below = below * r + coefficient;
  return above / below;
}

// The inverse of the standard normal distribution function at p in (0, 1):
// routine PPND16 of AS 241.
double InverseNormal(double p) {
  constexpr double kCentreP[8] = {2509.0809287301226727, 33430.575583588128105,
                                  67265.770927008700853, 45921.953931549871457,
                                  13731.693765509461125, 1971.5909503065514427,
                                  133.14166789178437745, 3.387132872796366608};
  constexpr double kCentreQ[8] = {5226.495278852854561,  28729.085735721942674,
                                  39307.89580009271061,  21213.794301586595867,
                                  5394.1960214247511077, 687.1870074920579083,
                                  42.313330701600911252, 1};
  constexpr double kMiddleP[8] = {
      7.7454501427834140764e-4, 0.0227238449892691845833,
      0.24178072517745061177,   1.27045825245236838258,
      3.64784832476320460504,   5.7694972214606914055,
      4.6303378461565452959,    1.42343711074968357734};
  constexpr double kMiddleQ[8] = {
      1.05075007164441684324e-9, 5.475938084995344946e-4,
      0.0151986665636164571966,  0.14810397642748007459,
      0.68976733498510000455,    1.6763848301838038494,
      2.05319162663775882187,    1};
  constexpr double kTailP[8] = {
      2.01033439929228813265e-7, 2.71155556874348757815e-5,
      0.0012426609473880784386,  0.026532189526576123093,
      0.29656057182850489123,    1.7848265399172913358,
      5.4637849111641143699,     6.6579046435011037772};
  constexpr double kTailQ[8] = {
      2.04426310338993978564e-15, 1.4215117583164458887e-7,
      1.8463183175100546818e-5,   7.868691311456132591e-4,
      0.0148753612908506148525,   0.13692988092273580531,
      0.59983220655588793769,     1};
  const double q = p - 0.5;
  if (std::fabs(q) <= 0.425) {
    return q * Ratio(0.180625 - q * q, kCentreP, kCentreQ);
  }
  const double r = std::sqrt(-PortableLog(q < 0 ? p : 1 - p));
  const double x = r <= 5 ? Ratio(r - 1.6, kMiddleP, kMiddleQ)
                          : Ratio(r - 5, kTailP, kTailQ);
  return q < 0 ? -x : x;
}

}  // namespace

std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter,
                                   std::array<uint32_t, 2> key) {
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t product0 = uint64_t{kMultiplier0} * counter[0];
    const uint64_t product1 = uint64_t{kMultiplier1} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

uint64_t StreamOf(absl::string_view name) {
  uint64_t hash = 0xCBF29CE484222325;  // FNV-1a's offset basis and prime.
  for (char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  }
  return hash;
}

uint32_t RandomStream::Bits() {
  if (used_ == 4) {
    outputs_ = Philox4x32(
        {static_cast<uint32_t>(block_), static_cast<uint32_t>(block_ >> 32),
         static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)},
        {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)});
    ++block_;
    used_ = 0;
  }
  return outputs_[used_++];
}

double RandomStream::Uniform() {
  const uint64_t high = Bits();
  const uint64_t low = Bits();
  return static_cast<double>((high << 32 | low) >> 11) * 0x1p-53;
}

double RandomStream::Normal() {
  // Half a step away from 0 and 1, where the inverse is infinite; symmetric
  // about 1/2.
  return InverseNormal(Uniform() * (1 - 0x1p-53) + 0x1p-54);
}

uint32_t RandomStream::Below(uint32_t bound) {
  uint64_t product = uint64_t{Bits()} * bound;
  if (static_cast<uint32_t>(product) < bound) {
    const uint32_t unfair = -bound % bound;  // 2^32 mod bound
    while (static_cast<uint32_t>(product) < unfair) {
      product = uint64_t{Bits()} * bound;
    }
  }
  return static_cast<uint32_t>(product >> 32);
}

void RandomStream::SkipNormals(uint64_t count) {
  // A Normal takes two outputs.
  SkipBits(2 * count);
}

void RandomStream::SkipBits(uint64_t count) {
  block_ = count / 4;  // A block has four.
  for (uint64_t left = count % 4; left > 0; --left) Bits();
}

RandomStream StreamOfStep(uint64_t seed, uint64_t stream, uint32_t step) {
  // The generator is its own best hash. 0x53544550 ("STEP") keeps the counters
  // apart from those of the stream itself, which count blocks from 0.
  const auto mixed = Philox4x32(
      {step, 0x53544550, static_cast<uint32_t>(stream),
       static_cast<uint32_t>(stream >> 32)},
      {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return RandomStream(seed, uint64_t{mixed[0]} << 32 | mixed[1]);
}

void Shuffle(RandomStream& random, std::vector<uint32_t>& items) {
  for (size_t left = items.size(); left > 1; --left) {
    std::swap(items[left - 1],
              items[random.Below(static_cast<uint32_t>(left))]);
  }
}

}  // namespace tape
