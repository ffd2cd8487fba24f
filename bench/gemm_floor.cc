// Raw oneDNN (gemm_floor.h): nothing here is ours, so that it can be what we
// are measured by.
#include "bench/gemm_floor.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <vector>

#include "framework/core/tensor.h"
#include "ops/openmp.h"

namespace tape {
namespace {

using dnnl::memory;

// A matrix and its memory: rows by columns, row-major.
struct Matrix {
  Matrix(int64_t rows, int64_t columns)
      : rows(rows), columns(columns), numbers(MatrixNumbers(rows, columns)) {}

  memory::desc Description(bool transposed) const {
    if (transposed) {
      return {
          {columns, rows}, memory::data_type::f32, memory::dims{1, columns}};
    }
    return {{rows, columns}, memory::data_type::f32, memory::dims{columns, 1}};
  }

  int64_t rows, columns;
  Tensor numbers;
};

}  // namespace

Tensor MatrixNumbers(int64_t rows, int64_t columns) {
  Tensor numbers(TensorType{DType::kFloat32, {rows, columns}});
  int64_t i = 0;
  for (float& number : numbers.values<float>()) {
    number = static_cast<float>(i++ * 2654435761u % 1000) * 1e-3f - 0.5f;
  }
  return numbers;
}

struct GemmFloor::Impl {
  explicit Impl(int threads) : threads(threads) {
    omp_set_num_threads(threads);  // oneDNN asks when a primitive is made.
  }

  const Matrix& Make(int64_t rows, int64_t columns) {
    matrices.push_back(std::make_unique<Matrix>(rows, columns));
    return *matrices.back();
  }

  struct Product {
    dnnl::matmul primitive;
    std::unordered_map<int, memory> arguments;
    const Matrix *a, *b, *c;
    bool transpose_a, transpose_b;
    bool by_sgemm = false;
  };

  void Run(const Product& product) {
    if (!product.by_sgemm) {
      product.primitive.execute(stream, product.arguments);
      return;
    }
    const Matrix &a = *product.a, &b = *product.b, &c = *product.c;
    dnnl_sgemm(product.transpose_a ? 'T' : 'N', product.transpose_b ? 'T' : 'N',
               c.rows, c.columns, product.transpose_a ? a.rows : a.columns, 1,
               a.numbers.values<float>().data(), a.columns,
               b.numbers.values<float>().data(), b.columns, 0,
               const_cast<float*>(c.numbers.values<float>().data()), c.columns);
  }

  void ChooseFaster() {
    using Clock = std::chrono::steady_clock;
    for (Product& product : products) {
      Clock::duration best[2] = {Clock::duration::max(),
                                 Clock::duration::max()};
      for (int round = 0; round < 40; ++round) {
        product.by_sgemm = round % 2 == 1;
        Run(product);
        const Clock::time_point begin = Clock::now();
        int calls = 0;
        while (Clock::now() - begin < std::chrono::microseconds(500)) {
          Run(product);
          ++calls;
        }
        Clock::duration& least = best[round % 2];
        least = std::min(least, (Clock::now() - begin) / calls);
      }
      product.by_sgemm = best[1] < best[0];
    }
  }

  // c = op(a) op(b)
  void Add(const Matrix& a, bool transpose_a, const Matrix& b, bool transpose_b,
           const Matrix& c) {
    const auto a_desc = a.Description(transpose_a);
    const auto b_desc = b.Description(transpose_b);
    const auto c_desc = c.Description(false);
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc description(engine, a_desc, b_desc,
                                                   c_desc);
#else
    const dnnl::matmul::primitive_desc description(
        dnnl::matmul::desc(a_desc, b_desc, c_desc), engine);
#endif
    const auto at = [&](const memory::desc& desc, const Matrix& matrix) {
      return memory(desc, engine, const_cast<void*>(matrix.numbers.data()));
    };
    products.push_back({dnnl::matmul(description),
                        {{DNNL_ARG_SRC, at(a_desc, a)},
                         {DNNL_ARG_WEIGHTS, at(b_desc, b)},
                         {DNNL_ARG_DST, at(c_desc, c)}},
                        &a,
                        &b,
                        &c,
                        transpose_a,
                        transpose_b});
  }

  int threads;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::vector<std::unique_ptr<Matrix>> matrices;
  std::vector<Product> products;
};

GemmFloor::GemmFloor(const StepConfig& config, int threads, Calls calls)
    : impl_(std::make_unique<Impl>(threads)) {
  const std::vector<int64_t>& sizes = config.sizes;
  const size_t layers = sizes.size() - 1;
  std::vector<const Matrix*> values = {&impl_->Make(config.batch, sizes[0])};
  std::vector<const Matrix*> weights;
  for (size_t i = 0; i < layers; ++i) {
    weights.push_back(&impl_->Make(sizes[i], sizes[i + 1]));
    values.push_back(&impl_->Make(config.batch, sizes[i + 1]));
    impl_->Add(*values[i], false, *weights[i], false, *values[i + 1]);
  }
  const Matrix* gradient = &impl_->Make(config.batch, sizes[layers]);
  for (size_t i = layers; i-- > 0;) {
    impl_->Add(*values[i], true, *gradient, false,
               impl_->Make(sizes[i], sizes[i + 1]));
    if (i == 0) break;
    const Matrix& next = impl_->Make(config.batch, sizes[i]);
    impl_->Add(*gradient, false, *weights[i], true, next);
    gradient = &next;
  }
  if (calls == Calls::kFaster) impl_->ChooseFaster();
}

GemmFloor::GemmFloor(const Product& product, int threads)
    : impl_(std::make_unique<Impl>(threads)) {
  const auto& [m, k, n, transpose_lhs, transpose_rhs] = product;
  const Matrix& a = transpose_lhs ? impl_->Make(k, m) : impl_->Make(m, k);
  const Matrix& b = transpose_rhs ? impl_->Make(n, k) : impl_->Make(k, n);
  impl_->Add(a, transpose_lhs, b, transpose_rhs, impl_->Make(m, n));
}

GemmFloor::~GemmFloor() = default;

void GemmFloor::Run() {
  omp_set_num_threads(impl_->threads);
  for (const Impl::Product& product : impl_->products) impl_->Run(product);
}

}  // namespace tape
