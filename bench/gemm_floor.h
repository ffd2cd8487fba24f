// The floor under a training step, or under one product: raw oneDNN.
#ifndef TAPE_BENCH_GEMM_FLOOR_H_
#define TAPE_BENCH_GEMM_FLOOR_H_

#include <cstdint>
#include <memory>

#include "bench/configs.h"
#include "framework/core/tensor.h"

namespace tape {

// Numbers for a matrix, float32, all from -0.5 to 0.5.
Tensor MatrixNumbers(int64_t rows, int64_t columns);

// Each product is one call of oneDNN, prepared once, on float32 matrices in plain
// row-major memory, with oneDNN's own threads.
class GemmFloor {
 public:
  // What is called: the matmul primitive, or that or dnnl_sgemm, whichever is
  // faster for the product, timed when the floor is made.
  enum class Calls { kPrimitives, kFaster };

  // The products of a step (StepProducts), which read what others of them have
  // written, as they do in a step.
  GemmFloor(const StepConfig& config, int threads,
            Calls calls = Calls::kPrimitives);
  // One product alone.
  GemmFloor(const Product& product, int threads);
  ~GemmFloor();

  void Run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tape

#endif  // TAPE_BENCH_GEMM_FLOOR_H_
