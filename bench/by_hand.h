// What the framework makes of a graph, as loops written by hand (hand_bench.cc):
// the same operations on the same numbers, each array read and written as often as
// it must be. By Highway, for the best of its targets that may be used.
#ifndef TAPE_BENCH_BY_HAND_H_
#define TAPE_BENCH_BY_HAND_H_

#include <cstdint>

namespace tape {

struct LambArrays {
  int64_t count;
  float *w, *m, *v, *update;
  const float* gradient;
  float m_scale, v_scale;  // 1 / (1 - beta^t).
};

// A step of Lamb (optim/optimizer.h) with its usual options, a rate of 1e-3 and
// a weight decay of 0.01: two loops, the first of which adds up both norms.
void LambByHand(const LambArrays& of);

// y = LayerNorm(x, scale, shift) of rows, as it is to be: moments in double.
void LayerNormByHand(const float* x, const float* scale, const float* shift,
                     int64_t rows, int64_t columns, float* y);

// The same, and dx = the derivative by x of the sum of gy y.
void LayerNormGradientByHand(const float* x, const float* scale,
                             const float* shift, const float* gy, int64_t rows,
                             int64_t columns, float* y, float* dx);

// y = Gelu(x), dx = gy Gelu'(x), by the polynomials of ops/vector_math-inl.h.
void GeluGradientByHand(const float* x, const float* gy, int64_t count,
                        float* y, float* dx);

}  // namespace tape

#endif  // TAPE_BENCH_BY_HAND_H_
