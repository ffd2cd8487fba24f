// Raw oneDNN (gemm_floor.h): nothing here is ours, so that it can be what we
// are measured by.
#include "bench/gemm_floor.h"

#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

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
  };

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
                         {DNNL_ARG_DST, at(c_desc, c)}}});
  }

  int threads;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::vector<std::unique_ptr<Matrix>> matrices;
  std::vector<Product> products;
};

GemmFloor::GemmFloor(const StepConfig& config, int threads)
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
  for (Impl::Product& product : impl_->products) {
    product.primitive.execute(impl_->stream, product.arguments);
  }
}

}  // namespace tape
