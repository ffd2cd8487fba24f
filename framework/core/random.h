// A counter-based random generator: Philox4x32-10 (Salmon, Moraes, Dror and
// Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011). The n-th
// number of a stream is a pure function of (seed, stream, n), so numbers do not
// depend on the machine, the thread count or what was drawn before. Tested by
// tests/core/random_test.cc against the paper's known answers.
#ifndef TAPE_FRAMEWORK_CORE_RANDOM_H_
#define TAPE_FRAMEWORK_CORE_RANDOM_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"

namespace tape {

// One block of Philox4x32-10: four 32-bit outputs for a 128-bit counter and a
// 64-bit key.
std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter,
                                   std::array<uint32_t, 2> key);

// A 64-bit stream number for a name (FNV-1a), so that what a parameter starts
// from depends on its name and the seed alone, not on the order of
// declarations.
uint64_t StreamOf(absl::string_view name);

// The numbers of one stream, in order.
class RandomStream {
 public:
  RandomStream(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}

  // 32 uniform bits.
  uint32_t Bits();
  // Uniform on [0, 1), a multiple of 2^-53.
  double Uniform();
  // Standard normal, by inversion of one Uniform (Wichura, algorithm AS 241,
  // 1988: relative accuracy 1e-16). Uses only IEEE additions, products,
  // divisions and square roots, so it is the same on every machine.
  double Normal();
  // Goes on as if `count` numbers had been drawn by Normal. Nothing must have
  // been drawn yet.
  void SkipNormals(uint64_t count);
  // The same of numbers drawn by Bits.
  void SkipBits(uint64_t count);
  // How many numbers of Bits were drawn or skipped: what SkipBits takes to come
  // back here.
  uint64_t position() const { return 4 * block_ - (4 - used_); }
  // Uniform on 0 … bound - 1, without bias (Lemire, "Fast random integer
  // generation in an interval", 2019). `bound` is at least 1.
  uint32_t Below(uint32_t bound);

 private:
  uint64_t seed_;
  uint64_t stream_;
  uint64_t block_ = 0;
  std::array<uint32_t, 4> outputs_{};
  int used_ = 4;
};

// The stream of one step of what draws from (seed, stream) at every step.
RandomStream StreamOfStep(uint64_t seed, uint64_t stream, uint32_t step);

// Puts `items` in a random order drawn from `random` (Fisher-Yates).
void Shuffle(RandomStream& random, std::vector<uint32_t>& items);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_RANDOM_H_
