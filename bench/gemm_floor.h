// The floor under a training step: its matrix products alone.
#ifndef TAPE_BENCH_GEMM_FLOOR_H_
#define TAPE_BENCH_GEMM_FLOOR_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"

namespace tape {

// The products of a step of a multilayer perceptron: of each layer the forward
// one and the weight's gradient, of each but the first the input's gradient.
// Each is one oneDNN matmul, prepared once, on float32 matrices in plain
// row-major memory, with oneDNN's own threads.
class GemmFloor {
 public:
  // `sizes`: pixels, then the units of each layer.
  GemmFloor(absl::Span<const int64_t> sizes, int64_t batch, int threads);
  ~GemmFloor();

  void Run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tape

#endif  // TAPE_BENCH_GEMM_FLOOR_H_
