// Matrix products (onednn.h): from shapes to a kernel of prepared products, by tiles
// (tile_product.h) or by oneDNN.
//
// oneDNN would split each product over its own OpenMP threads. Here the plan
// owns the threads (runtime/threads.h), so each primitive is made and run for
// one thread, and the product is cut into chunks whose borders depend on its
// shape only: the same bits come out for any number of threads.
//
// Works with oneDNN 2.x (matmul::desc) and 3.x (no desc). Tested by
// tests/ops/op_test.cc, tests/ops/matmul_test.cc and tests/ops/onednn_test.cc.
#include "ops/onednn.h"

#include <oneapi/dnnl/dnnl_debug.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <new>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/exceptions.h"
#include "ops/openmp.h"
#include "ops/tile_product.h"
#include "ops/vector.h"

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

using Number = dnnl::memory::data_type;

// A matrix of rows by columns, whose element (r, c) is at r * row_step +
// c * column_step.
dnnl::memory::desc Matrix(Number number, int64_t rows, int64_t columns,
                          int64_t row_step, int64_t column_step) {
  return dnnl::memory::desc({rows, columns}, number,
                            dnnl::memory::dims{row_step, column_step});
}

// A chunk is a band of rows or of columns of c, whichever are more, or of terms.
struct Bands {
  static constexpr int64_t kUnit = 16;  // A cache line of float32.

  enum class Of { kRows, kColumns, kTerms } of;
  int64_t extent;
  int count;

  // Where a band begins; Begin(count) is the extent. As even as whole units
  // allow.
  int64_t Begin(int band) const {
    const int64_t units = (extent + kUnit - 1) / kUnit;
    return std::min(extent, band * units / count * kUnit);
  }
  int64_t Length(int band) const { return Begin(band + 1) - Begin(band); }
};

// Into how many bands, if there are `extent` to be cut.
int CountBands(const MatMulShape& shape, int64_t extent) {
  // These take one core 5 to 10 µs; that two meet costs 1.
  constexpr double kFlopsOfTwo = 1e6;
  // So does it to read and write so many numbers, of a product of few FLOPs: half of
  // the weights of 1 x 784 x 256.
  constexpr int64_t kNumbersOfTwo = 100'000;
  // A core makes 240 of 1000 FLOPs a ns of a wide product, and 7 % fewer of a
  // band of 64 columns. So the larger the product, the larger also its bands:
  // 4 from 13 MFLOP, 8 from 51, 16 from 205, 32 from 819.
  constexpr double kFlopsOfOneSquared = 0.8e6;
  // oneDNN lays out the other operand anew for each band: of 32 rows, a product
  // of 512 x 512 x 512 takes 1.23 times as long as of 128.
  constexpr int64_t kShortest = 96;
  const double flops = 2.0 * shape.m * shape.k * shape.n;
  // A power of two, so that two, four or eight threads get equal shares.
  const int64_t numbers =
      shape.m * shape.k + shape.k * shape.n + shape.m * shape.n;
  int wanted = flops < kFlopsOfTwo && numbers < kNumbersOfTwo ? 1 : 2;
  while (wanted < kMostChunks &&
         flops >= kFlopsOfOneSquared * (2 * wanted) * (2 * wanted) &&
         extent >= kShortest * (2 * wanted)) {
    wanted *= 2;
  }
  return static_cast<int>(
      std::min<int64_t>(wanted, (extent + Bands::kUnit - 1) / Bands::kUnit));
}

Bands CutIntoBands(const MatMulShape& shape, bool may_cut_terms) {
  Bands bands;
  if (may_cut_terms && IsCutByTerms(shape)) {
    bands = {Bands::Of::kTerms, shape.k, 0};
  } else if (shape.m >= shape.n) {
    bands = {Bands::Of::kRows, shape.m, 0};
  } else {
    bands = {Bands::Of::kColumns, shape.n, 0};
  }
  bands.count = CountBands(shape, bands.extent);
  return bands;
}

// Throws what `status` says, unless it is success.
void Check(dnnl_status_t status) {
  if (status == dnnl_success) return;
  if (status == dnnl_out_of_memory) throw std::bad_alloc();
  throw std::runtime_error(
      absl::StrCat("oneDNN says: ", dnnl_status2str(status)));
}

// Empties oneDNN's cache of primitives. One that could not be made may have
// left there the promise of one, on which all further products of its shape
// would fail.
void ForgetPrimitives() {
  // Lest the capacity that is put back be the 0 of another thread.
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  int capacity = 0;
  if (dnnl_get_primitive_cache_capacity(&capacity) != dnnl_success) return;
  dnnl_set_primitive_cache_capacity(0);
  dnnl_set_primitive_cache_capacity(capacity);
}

// The kernel that `make` makes. oneDNN throws one type for all its errors.
template <typename Make>
std::unique_ptr<Kernel> Made(const Make& make) {
  try {
    return make();
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_out_of_memory) throw std::bad_alloc();
    throw;
  }
}

// Throws OutOfMemory unless the system gives `bytes` bytes, for code too. oneDNN
// does not look whether it gets memory for its descriptions or for the code that
// it makes, and dies if not: under a limit, or where no memory may be both written
// and executed.
void NeedMemory(size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw OutOfMemory(bytes);
  const int refused =
      mprotect(memory, bytes, PROT_READ | PROT_WRITE | PROT_EXEC);
  munmap(memory, bytes);
  if (refused != 0) {
    throw std::runtime_error(
        "the system gives no memory that can be written and executed, which "
        "oneDNN needs for the code that it makes");
  }
}

// What oneDNN takes at most, with room to spare: some 0.7 MB for a primitive,
// and for its GEMM some 18 MB where there is AVX-512.
constexpr size_t kPrimitiveBytes = 4 << 20;
constexpr size_t kGemmBytes = 32 << 20;

// Makes oneDNN's code for products by its GEMM, which it would make, once for
// the process, within the first of them to run: some 22 ms.
void MakeGemmCode() {
  static const dnnl_status_t made = [] {
    NeedMemory(kGemmBytes);
    constexpr int64_t kSize = 16;
    const std::array<float, kSize* kSize> zeros = {};
    std::array<float, kSize * kSize> product;
    const auto multiply = [&](int64_t rows, char transpose_b) {
      return dnnl_sgemm('N', transpose_b, rows, kSize, kSize, 1, zeros.data(),
                        kSize, zeros.data(), kSize, 0, product.data(), kSize);
    };
    const dnnl_status_t status = multiply(kSize, 'N');
    // There is code of its own for few rows.
    return status == dnnl_success ? multiply(4, 'T') : status;
  }();
  Check(made);
}

// Whether to call dnnl_sgemm where the primitive is a brgemm. On a Sapphire Rapids,
// with oneDNN 2.6 and 3.12, the primitive takes
// - 1.0 to 1.5 times as long if a is transposed, as for gradients of weights;
// - 1.5 to 2.6 times if b is, and there are few rows;
// - 0.9 to 1.3 times for 17 to 63 columns that are not whole vectors of AVX-512;
// - 1.1 to 1.7 times for small products, as a primitive costs more to call; but 0.9
//   for oneDNN 2's of plain matrices.
// By the shape alone, so that a product has the same bits on all machines of an
// instruction set.
bool CallsGemm(const MatMulShape& shape, int64_t rows, int64_t columns) {
  constexpr double kSmallFlops = 1e5;
  constexpr int64_t kFewTerms = 16, kFewRows = 16, kVector = 16;
  const bool is_small = 2.0 * rows * shape.k * columns <= kSmallFlops;
  if (shape.transpose_a) return is_small || shape.k >= kFewTerms;
  if (shape.transpose_b) return is_small || rows < kFewRows;
  return (is_small && DNNL_VERSION_MAJOR >= 3) ||
         (columns > kVector && columns < 4 * kVector && columns % kVector != 0);
}

// Not products of a vector, whose c GEMM rounds after every few terms.
bool MayCallGemm([[maybe_unused]] const MatMulShape& shape,
                 [[maybe_unused]] int64_t rows,
                 [[maybe_unused]] int64_t columns) {
#ifdef __x86_64__
  return !shape.in_bfloat16 && rows > 1 && columns > 1;
#else
  return false;
#endif
}

// A prepared product of a band: by tiles, by oneDNN's GEMM, or the primitive and what
// it is called with.
class BandProduct {
 public:
  // `width`: of the matrix that the band is written to.
  BandProduct(const MatMulShape& shape, int64_t rows, int64_t columns,
              int64_t width, Scales scales)
      : rows_(rows),
        columns_(columns),
        width_(width),
        calls_gemm_(MayCallGemm(shape, rows, columns) &&
                    CallsGemm(shape, rows, columns)),
        shape_(shape),
        scales_(scales) {
    // (Bytes are multiplied by tiles alone, where there are such.)
    if (TileProduct::Suits(shape) || (shape.bytes && LanesOfTiles() > 0)) {
      tiles_.emplace(shape, rows, columns, width, scales);
      scratch_bytes_ = tiles_->scratch_bytes();
      return;
    }
    if (calls_gemm_) {
      MakeGemmCode();
      return;
    }
    NeedMemory(kPrimitiveBytes);
    const Number in = shape.in_bfloat16 ? Number::bf16 : Number::f32;
    const int64_t a_step = shape.StepOfA();
    const auto a = shape.transpose_a ? Matrix(in, rows, shape.k, 1, a_step)
                                     : Matrix(in, rows, shape.k, a_step, 1);
    const auto b = shape.transpose_b ? Matrix(in, shape.k, columns, 1, shape.k)
                                     : Matrix(in, shape.k, columns, shape.n, 1);
    const auto c = Matrix(Number::f32, rows, columns, width, 1);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    dnnl::post_ops post_ops;
#if DNNL_VERSION_MAJOR >= 3
    if (scales.product != 1) {
      post_ops.append_eltwise(dnnl::algorithm::eltwise_linear,
                              static_cast<float>(scales.product), 0);
    }
#else
    attributes.set_output_scales(0, {static_cast<float>(scales.product)});
#endif
    if (scales.addend != 0) {
      post_ops.append_sum(static_cast<float>(scales.addend));
    }
    attributes.set_post_ops(post_ops);
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc description(Engine(), a, b, c,
                                                   attributes);
#else
    const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c),
                                                   attributes, Engine());
#endif
    const bool is_gemm =
        std::strstr(description.impl_info_str(), "gemm:") != nullptr;
    if (is_gemm) MakeGemmCode();
    // What it would call at the cost of a primitive.
    calls_gemm_ = is_gemm && MayCallGemm(shape, rows, columns);
    if (calls_gemm_) return;
    const auto scratch = description.scratchpad_desc();
    scratch_bytes_ = scratch.get_size();
    try {
      primitive_ = dnnl::matmul(description);
    } catch (...) {
      ForgetPrimitives();  // While there is the description, part of the key.
      throw;
    }
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
  bool uses_stack_pointer() const { return !tiles_.has_value(); }

  // By the C interface: the C++ one makes a new list of arguments at each call.
  void Run(const std::byte* a, const std::byte* b, float* c,
           std::byte* scratch) {
    if (tiles_.has_value()) {
      tiles_->Run(a, reinterpret_cast<const float*>(b), c, scratch);
      return;
    }
    if (calls_gemm_) {
      Check(dnnl_sgemm(shape_.transpose_a ? 'T' : 'N',
                       shape_.transpose_b ? 'T' : 'N', rows_, columns_,
                       shape_.k, static_cast<float>(scales_.product),
                       reinterpret_cast<const float*>(a), shape_.StepOfA(),
                       reinterpret_cast<const float*>(b),
                       shape_.transpose_b ? shape_.k : shape_.n,
                       static_cast<float>(scales_.addend), c, width_));
      return;
    }
    Point(memories_[0], const_cast<std::byte*>(a));
    Point(memories_[1], const_cast<std::byte*>(b));
    Point(memories_[2], c);
    Point(memories_[3], scratch);
    const dnnl_status_t status = dnnl_primitive_execute(
        primitive_.get(), stream_.get(), arguments_.size(), arguments_.data());
    Check(status);
  }

 private:
  static void Point(dnnl::memory& memory, void* data) {
    if (memory.get_data_handle() != data) memory.set_data_handle(data);
  }

  int64_t rows_, columns_, width_;
  bool calls_gemm_;
  MatMulShape shape_;
  Scales scales_;
  std::optional<TileProduct> tiles_;
  dnnl::matmul primitive_;
  size_t scratch_bytes_ = 0;
  dnnl::stream stream_{Engine()};
  std::array<dnnl::memory, 4> memories_;
  std::array<dnnl_exec_arg_t, 4> arguments_;
};

class MatMulKernel : public Kernel {
 public:
  MatMulKernel(const MatMulShape& shape, Scales scales, Cut cut)
      : shape_(shape),
        has_addend_(scales.addend != 0),
        into_scratch_(cut == Cut::kIntoScratch),
        bands_(CutIntoBands(shape, cut == Cut::kIntoBands && !has_addend_)) {
    if (cut == Cut::kNone) bands_.count = 1;
    const OneThread one_thread;
    products_.reserve(bands_.count);
    for (int i = 0; i < bands_.count; ++i) {
      const Region band = region(i);
      MatMulShape of_band = shape;
      if (OfTerms()) {
        of_band.k = bands_.Length(i);
        of_band.a_step = shape.StepOfA();
      }
      products_.emplace_back(of_band, band.rows, band.columns,
                             into_scratch_ ? band.columns : shape.n, scales);
    }
    if (OfTerms()) parts_.resize((bands_.count - 1) * shape.m * shape.n);
  }

  bool has_addend() const { return has_addend_; }
  int chunks() const override { return bands_.count; }
  double flops() const override { return 2.0 * shape_.m * shape_.k * shape_.n; }

  Region region(int chunk) const override {
    const int64_t begin = bands_.Begin(chunk), length = bands_.Length(chunk);
    switch (bands_.of) {
      case Bands::Of::kRows:
        return {begin, length, 0, shape_.n};
      case Bands::Of::kColumns:
        return {0, shape_.m, begin, length};
      case Bands::Of::kTerms:
        break;
    }
    return {0, shape_.m, 0, shape_.n};
  }

  bool uses_stack_pointer() const override {
    return products_[0].uses_stack_pointer();  // As all of them do.
  }

  size_t scratch_bytes() const override {
    size_t bytes = 0;
    for (const BandProduct& product : products_) {
      bytes = std::max(bytes, product.scratch_bytes());
    }
    return bytes;
  }

  void Run(int chunk, const KernelArguments& arguments) const override {
    const OneThread one_thread;
    const auto* a = static_cast<const std::byte*>(arguments.inputs[0]);
    const auto* b = static_cast<const std::byte*>(arguments.inputs[1]);
    float* c = static_cast<float*>(arguments.outputs[0]);
    if (has_addend_ && arguments.inputs[2] != c) CopyAddend(chunk, arguments);
    const Region band = region(chunk);
    const int64_t bytes = shape_.in_bfloat16 ? 2 : 4;  // Of an element.
    const int64_t a_bytes = shape_.bytes ? 1 : bytes;
    if (OfTerms()) {
      const int64_t term = bands_.Begin(chunk);
      products_[chunk].Run(a + a_bytes * term, b + bytes * term * shape_.n,
                           chunk == 0 ? c : Part(chunk), arguments.scratch);
      AddParts(c);
      return;
    }
    a += a_bytes * band.row * (shape_.transpose_a ? 1 : shape_.k);
    b += bytes * band.column * (shape_.transpose_b ? shape_.k : 1);
    if (!into_scratch_) c += band.row * shape_.n + band.column;
    products_[chunk].Run(a, b, c, arguments.scratch);
  }

 private:
  bool OfTerms() const { return bands_.of == Bands::Of::kTerms; }

  float* Part(int chunk) const {
    return parts_.data() + (chunk - 1) * shape_.m * shape_.n;
  }

  // The last chunk to end adds up all of them, in order. (Tiles do not throw, so
  // each chunk ends.)
  void AddParts(float* c) const {
    if (ended_.fetch_add(1, std::memory_order_acq_rel) + 1 < bands_.count) {
      return;
    }
    ended_.store(0, std::memory_order_relaxed);
    for (int i = 1; i < bands_.count; ++i) {
      vector::AddTo(Part(i), shape_.m * shape_.n, c);
    }
  }

  // Into the chunk's band of c, where oneDNN wants it.
  void CopyAddend(int chunk, const KernelArguments& arguments) const {
    const auto* d = static_cast<const float*>(arguments.inputs[2]);
    auto* c = static_cast<float*>(arguments.outputs[0]);
    const Region band = region(chunk);
    for (int64_t row = band.row; row < band.row + band.rows; ++row) {
      const int64_t at = row * shape_.n + band.column;
      std::copy_n(d + at, band.columns, c + at);
    }
  }

  MatMulShape shape_;
  bool has_addend_;
  bool into_scratch_;
  Bands bands_;
  // One for each chunk, because it holds the pointers it runs on: no chunk runs
  // twice at a time.
  mutable std::vector<BandProduct> products_;
  // Of terms: what chunks but the first make, and how many have ended.
  mutable std::vector<float> parts_;
  mutable std::atomic<int> ended_ = 0;
};

// A product of bytes where there are no tiles to read them.
class ConvertingKernel : public Kernel {
 public:
  ConvertingKernel(const MatMulShape& shape, Scales scales, Cut cut)
      : a_elements_(shape.m * shape.k),
        byte_scale_(shape.byte_scale),
        product_(Floats(shape), scales, cut) {}

  int chunks() const override { return product_.chunks(); }
  double flops() const override { return product_.flops(); }
  Region region(int chunk) const override { return product_.region(chunk); }
  bool uses_stack_pointer() const override {
    return product_.uses_stack_pointer();
  }
  size_t scratch_bytes() const override {
    return FloatBytes() + product_.scratch_bytes();
  }

  void Run(int chunk, const KernelArguments& arguments) const override {
    auto* const floats = reinterpret_cast<float*>(arguments.scratch);
    vector::ScaleBytes(static_cast<const uint8_t*>(arguments.inputs[0]), 0, 1,
                       a_elements_, byte_scale_, floats, 0);
    std::array<const void*, 3> inputs = {floats, arguments.inputs[1]};
    if (product_.has_addend()) inputs[2] = arguments.inputs[2];
    product_.Run(chunk, {.inputs = inputs.data(),
                         .outputs = arguments.outputs,
                         .scratch = arguments.scratch + FloatBytes()});
  }

 private:
  static MatMulShape Floats(MatMulShape shape) {
    shape.bytes = false;
    return shape;
  }
  size_t FloatBytes() const {
    return RoundUpToAlignment(sizeof(float) * a_elements_);
  }

  int64_t a_elements_;
  float byte_scale_;
  MatMulKernel product_;
};

// A chunk is some of the products, with one primitive for all of them.
class BatchMatMulKernel : public Kernel {
 public:
  BatchMatMulKernel(const MatMulShape& shape, std::vector<Factors> factors)
      : shape_(shape), factors_(std::move(factors)) {
    // Some 5 µs on one core.
    constexpr double kFlopsPerChunk = 1e6;
    const auto count = static_cast<double>(factors_.size());
    chunks_ = static_cast<int>(std::min(
        count, std::clamp<double>(flops() / kFlopsPerChunk, 1, kMostChunks)));
    const OneThread one_thread;
    products_.reserve(chunks_);
    for (int i = 0; i < chunks_; ++i) {
      products_.emplace_back(shape, shape.m, shape.n, shape.n, Scales{});
    }
  }

  int chunks() const override { return chunks_; }
  double flops() const override {
    return 2.0 * shape_.m * shape_.k * shape_.n *
           static_cast<double>(factors_.size());
  }
  bool uses_stack_pointer() const override {
    return products_[0].uses_stack_pointer();
  }
  size_t scratch_bytes() const override { return products_[0].scratch_bytes(); }

  void Run(int chunk, const KernelArguments& arguments) const override {
    const OneThread one_thread;
    const auto* a = static_cast<const std::byte*>(arguments.inputs[0]);
    const auto* b = static_cast<const std::byte*>(arguments.inputs[1]);
    float* c = static_cast<float*>(arguments.outputs[0]);
    const int64_t bytes = shape_.in_bfloat16 ? 2 : 4;  // Of an element.
    const auto count = static_cast<int64_t>(factors_.size());
    for (int64_t i = count * chunk / chunks_; i < count * (chunk + 1) / chunks_;
         ++i) {
      products_[chunk].Run(a + bytes * factors_[i].a * shape_.m * shape_.k,
                           b + bytes * factors_[i].b * shape_.k * shape_.n,
                           c + i * shape_.m * shape_.n, arguments.scratch);
    }
  }

 private:
  MatMulShape shape_;
  std::vector<Factors> factors_;
  int chunks_;
  // One for each chunk, as in MatMulKernel.
  mutable std::vector<BandProduct> products_;
};

// A product over no terms, or of no elements: oneDNN refuses the shapes.
class EmptyMatMulKernel : public PlainKernel {
 public:
  EmptyMatMulKernel(const MatMulShape& shape, Scales scales)
      : shape_(shape),
        elements_(shape.m * shape.n),
        addend_(static_cast<float>(scales.addend)) {}
  Region region(int) const override { return {0, shape_.m, 0, shape_.n}; }
  void Run(int, const KernelArguments& arguments) const override {
    auto* const c = static_cast<float*>(arguments.outputs[0]);
    for (int64_t i = 0; i < elements_; ++i) {
      c[i] = addend_ == 0
                 ? 0
                 : addend_ * static_cast<const float*>(arguments.inputs[2])[i];
    }
  }

 private:
  MatMulShape shape_;
  int64_t elements_;
  float addend_;
};

}  // namespace

bool IsBFloat16(absl::Span<const TensorType> inputs) {
  return inputs[0].dtype == DType::kBFloat16 &&
         inputs[1].dtype == DType::kBFloat16;
}

absl::Status CanMultiply(absl::Span<const TensorType> inputs) {
  if (!IsBFloat16(inputs)) return absl::OkStatus();
  // The sets of instructions that have these have their bits.
  constexpr auto kNeeded =
      static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  const auto found = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  if ((found & kNeeded) == kNeeded) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "products of bfloat16 need a processor with the instructions "
      "AVX512_BF16, which this one lacks");
}

bool IsCutByTerms(const MatMulShape& shape) {
  // Of few rows, so that parts are small beside the weights; and of weights whose
  // gradient is cut by rows.
  constexpr int64_t kTermsOfRow = 4;
  return TileProduct::Suits(shape) && !shape.transpose_a &&
         !shape.transpose_b && shape.k >= kTermsOfRow * shape.m &&
         shape.k >= shape.n && CountBands(shape, shape.k) > 1;
}

std::unique_ptr<Kernel> MakeMatMulKernel(const MatMulShape& shape,
                                         Scales scales, Cut cut) {
  if (shape.m == 0 || shape.k == 0 || shape.n == 0) {
    return std::make_unique<EmptyMatMulKernel>(shape, scales);
  }
  return Made([&]() -> std::unique_ptr<Kernel> {
    if (shape.bytes && LanesOfTiles() == 0) {
      return std::make_unique<ConvertingKernel>(shape, scales, cut);
    }
    return std::make_unique<MatMulKernel>(shape, scales, cut);
  });
}

std::unique_ptr<Kernel> MakeBatchMatMulKernel(const MatMulShape& shape,
                                              std::vector<Factors> factors) {
  if (factors.empty() || shape.m == 0 || shape.k == 0 || shape.n == 0) {
    MatMulShape all = shape;
    all.m *= static_cast<int64_t>(factors.size());
    return std::make_unique<EmptyMatMulKernel>(all, Scales{});
  }
  return Made([&] {
    return std::make_unique<BatchMatMulKernel>(shape, std::move(factors));
  });
}

}  // namespace tape::onednn
