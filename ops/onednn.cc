// Matrix products on oneDNN (onednn.h): from shapes to a kernel that holds
// prepared primitives.
//
// oneDNN would split each product over its own OpenMP threads. Here the plan
// owns the threads (compiler/threads.h), so each primitive is made and run for
// one thread, and the product is cut into chunks whose borders depend on its
// shape only: the same bits come out for any number of threads.
//
// Works with oneDNN 2.x (matmul::desc) and 3.x (no desc). Tested by
// tests/op_test.cc and tests/matmul_test.cc.
#include "ops/onednn.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "framework/core/check.h"

namespace tape::onednn {
namespace {

// While one lives, OpenMP gives this thread no helpers. oneDNN asks OpenMP for
// its thread count when a primitive is made and, for some implementations,
// again when it runs.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

const dnnl::engine& Engine() {
  static const auto* const engine =
      new dnnl::engine(dnnl::engine::kind::cpu, 0);  // Never destroyed.
  return *engine;
}

// A float32 matrix of rows by columns, whose element (r, c) is at r * row_step
// + c * column_step.
dnnl::memory::desc Matrix(int64_t rows, int64_t columns, int64_t row_step,
                          int64_t column_step) {
  return dnnl::memory::desc({rows, columns}, dnnl::memory::data_type::f32,
                            dnnl::memory::dims{row_step, column_step});
}

// How far one chunk goes. A chunk is a band of rows or of columns of c,
// whichever are more.
struct Bands {
  bool of_rows;
  int64_t length;  // Of a band; the last may be shorter.
  int count;
};

Bands CutIntoBands(const MatMulShape& shape) {
  // Some 16 µs on one core, many times what waking the other threads costs.
  constexpr double kFlopsPerChunk = 4e6;
  constexpr int kMaxChunks = 32;
  // Bands are whole cache lines of float32.
  constexpr int64_t kStep = 16;
  Bands bands;
  bands.of_rows = shape.m >= shape.n;
  const int64_t extent = bands.of_rows ? shape.m : shape.n;
  const double flops = 2.0 * shape.m * shape.k * shape.n;
  // A power of two, so that two, four or eight threads get equal shares.
  int wanted = 1;
  while (wanted < kMaxChunks && flops / (2 * wanted) >= kFlopsPerChunk) {
    wanted *= 2;
  }
  bands.length = (extent + wanted * kStep - 1) / (wanted * kStep) * kStep;
  bands.count = static_cast<int>((extent + bands.length - 1) / bands.length);
  return bands;
}

// A prepared product of a band: the primitive, and what it is called with.
class BandProduct {
 public:
  BandProduct(const MatMulShape& shape, int64_t rows, int64_t columns) {
    const auto a = shape.transpose_a ? Matrix(rows, shape.k, 1, shape.m)
                                     : Matrix(rows, shape.k, shape.k, 1);
    const auto b = shape.transpose_b ? Matrix(shape.k, columns, 1, shape.k)
                                     : Matrix(shape.k, columns, shape.n, 1);
    const auto c = Matrix(rows, columns, shape.n, 1);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc description(Engine(), a, b, c,
                                                   attributes);
#else
    const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c),
                                                   attributes, Engine());
#endif
    const auto scratch = description.scratchpad_desc();
    scratch_bytes_ = scratch.get_size();
    primitive_ = dnnl::matmul(description);
    memories_ = {dnnl::memory(a, Engine(), nullptr),
                 dnnl::memory(b, Engine(), nullptr),
                 dnnl::memory(c, Engine(), nullptr),
                 dnnl::memory(scratch, Engine(), nullptr)};
    arguments_ = {{{DNNL_ARG_SRC, memories_[0].get()},
                   {DNNL_ARG_WEIGHTS, memories_[1].get()},
                   {DNNL_ARG_DST, memories_[2].get()},
                   {DNNL_ARG_SCRATCHPAD, memories_[3].get()}}};
  }

  size_t scratch_bytes() const { return scratch_bytes_; }

  // By the C interface: the C++ one makes a new list of arguments at each call.
  void Run(const float* a, const float* b, float* c, std::byte* scratch) {
    Point(memories_[0], const_cast<float*>(a));
    Point(memories_[1], const_cast<float*>(b));
    Point(memories_[2], c);
    Point(memories_[3], scratch);
    const dnnl_status_t status = dnnl_primitive_execute(
        primitive_.get(), stream_.get(), arguments_.size(), arguments_.data());
    TAPE_CHECK_EQ(static_cast<int>(status), static_cast<int>(dnnl_success));
  }

 private:
  static void Point(dnnl::memory& memory, void* data) {
    if (memory.get_data_handle() != data) memory.set_data_handle(data);
  }

  dnnl::matmul primitive_;
  size_t scratch_bytes_;
  dnnl::stream stream_{Engine()};
  std::array<dnnl::memory, 4> memories_;
  std::array<dnnl_exec_arg_t, 4> arguments_;
};

class MatMulKernel : public Kernel {
 public:
  explicit MatMulKernel(const MatMulShape& shape)
      : shape_(shape), bands_(CutIntoBands(shape)) {
    const OneThread one_thread;
    products_.reserve(bands_.count);
    for (int i = 0; i < bands_.count; ++i) {
      const int64_t extent = bands_.of_rows ? shape.m : shape.n;
      const int64_t length =
          std::min(bands_.length, extent - i * bands_.length);
      products_.emplace_back(shape, bands_.of_rows ? length : shape.m,
                             bands_.of_rows ? shape.n : length);
    }
  }

  int chunks() const override { return bands_.count; }

  size_t scratch_bytes() const override {
    size_t bytes = 0;
    for (const BandProduct& product : products_) {
      bytes = std::max(bytes, product.scratch_bytes());
    }
    return bytes;
  }

  void Run(int chunk, const KernelArguments& arguments) const override {
    const OneThread one_thread;
    const float* a = static_cast<const float*>(arguments.inputs[0]);
    const float* b = static_cast<const float*>(arguments.inputs[1]);
    float* c = static_cast<float*>(arguments.outputs[0]);
    const int64_t begin = chunk * bands_.length;
    if (bands_.of_rows) {
      a += shape_.transpose_a ? begin : begin * shape_.k;
      c += begin * shape_.n;
    } else {
      b += shape_.transpose_b ? begin * shape_.k : begin;
      c += begin;
    }
    products_[chunk].Run(a, b, c, arguments.scratch);
  }

 private:
  MatMulShape shape_;
  Bands bands_;
  // One for each chunk, because it holds the pointers it runs on: no chunk runs
  // twice at a time.
  mutable std::vector<BandProduct> products_;
};

// A product over no terms, or of no elements: oneDNN refuses the shapes.
class EmptyMatMulKernel : public Kernel {
 public:
  explicit EmptyMatMulKernel(const MatMulShape& shape)
      : bytes_(shape.m * shape.n * sizeof(float)) {}
  void Run(int, const KernelArguments& arguments) const override {
    std::memset(arguments.outputs[0], 0, bytes_);
  }

 private:
  size_t bytes_;
};

}  // namespace

std::unique_ptr<Kernel> MakeMatMulKernel(const MatMulShape& shape) {
  if (shape.m == 0 || shape.k == 0 || shape.n == 0) {
    return std::make_unique<EmptyMatMulKernel>(shape);
  }
  return std::make_unique<MatMulKernel>(shape);
}

}  // namespace tape::onednn
