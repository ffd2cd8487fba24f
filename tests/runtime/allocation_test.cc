// After the first run of a batch size a plan allocates nothing (plan.h). The
// program's malloc and its kin are replaced here by ones that count; every
// operator new of the C++ library ends in them.
//
// oneDNN's execution of a primitive allocates a small map of its arguments, and
// its dnnl_sgemm space for copies of the matrices, which its public interface
// cannot avoid. What happens inside it is counted apart, and must be the same
// for every step.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/compiler/compile.h"
#include "framework/core/gradients.h"
#include "ops/ops.h"
#include "ops/tile_code.h"
#include "tests/bfloat16_testing.h"

namespace {

std::atomic<int64_t> ours = 0;
std::atomic<int64_t> onednns = 0;
thread_local bool in_onednn = false;

void Count() { ++(in_onednn ? onednns : ours); }

}  // namespace

// ---- What is replaced ----

extern "C" {

// The GNU C library's own, under names that nobody replaces.
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);

void* malloc(size_t bytes) noexcept {
  Count();
  return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) noexcept {
  Count();
  return __libc_calloc(count, bytes);
}
void* realloc(void* memory, size_t bytes) noexcept {
  Count();
  return __libc_realloc(memory, bytes);
}
void* memalign(size_t alignment, size_t bytes) noexcept {
  Count();
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  Count();
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** memory, size_t alignment, size_t bytes) noexcept {
  Count();
  *memory = __libc_memalign(alignment, bytes);
  return *memory == nullptr ? ENOMEM : 0;
}

// Of oneDNN; dnnl.h, which would name the types, is ops/onednn.cc's alone.
int dnnl_primitive_execute(const void* primitive, void* stream, int count,
                           const void* arguments) {
  using Execute = int (*)(const void*, void*, int, const void*);
  static const auto execute =
      reinterpret_cast<Execute>(dlsym(RTLD_NEXT, "dnnl_primitive_execute"));
  in_onednn = true;
  const int status = execute(primitive, stream, count, arguments);
  in_onednn = false;
  return status;
}
int dnnl_sgemm(char transpose_a, char transpose_b, int64_t m, int64_t n,
               int64_t k, float alpha, const float* a, int64_t lda,
               const float* b, int64_t ldb, float beta, float* c, int64_t ldc) {
  using Sgemm = decltype(&dnnl_sgemm);
  static const auto sgemm =
      reinterpret_cast<Sgemm>(dlsym(RTLD_NEXT, "dnnl_sgemm"));
  in_onednn = true;
  const int status = sgemm(transpose_a, transpose_b, m, n, k, alpha, a, lda, b,
                           ldb, beta, c, ldc);
  in_onednn = false;
  return status;
}

}  // extern "C"

namespace tape {
namespace {

// How often `f` allocates.
template <typename F>
int64_t AllocationsOf(const F& f) {
  const int64_t before = ours;
  f();
  return ours - before;
}

// Keeps the compiler from leaving an allocation out.
void Use(void* memory) { asm volatile("" : : "r"(memory) : "memory"); }

struct alignas(256) Aligned {
  char bytes[256];
};

TEST(AllocationTest, CountsEveryWayToAllocate) {
  EXPECT_EQ(AllocationsOf([] { Use(nullptr); }), 0);
  EXPECT_EQ(AllocationsOf([] {
              const auto number = std::make_unique<int>();
              Use(number.get());
            }),
            1);
  EXPECT_EQ(AllocationsOf([] {
              const auto numbers = std::make_unique<int[]>(100);
              Use(numbers.get());
            }),
            1);
  EXPECT_EQ(AllocationsOf([] {
              const auto aligned = std::make_unique<Aligned>();
              Use(aligned.get());
            }),
            1);
  EXPECT_EQ(AllocationsOf([] {
              void* memory = std::malloc(10);
              Use(memory);
              memory = std::realloc(memory, 1000);
              Use(memory);
              std::free(memory);
            }),
            2);
  EXPECT_EQ(AllocationsOf([] {
              void* memory = std::calloc(10, 10);
              Use(memory);
              std::free(memory);
            }),
            1);
  EXPECT_EQ(AllocationsOf([] {
              void* memory = std::aligned_alloc(64, 128);
              Use(memory);
              std::free(memory);
            }),
            1);
  EXPECT_EQ(AllocationsOf([] {
              void* memory = nullptr;
              EXPECT_EQ(posix_memalign(&memory, 64, 128), 0);
              Use(memory);
              std::free(memory);
            }),
            1);
}

// A net of some depth, its loss and its momentum, with every kind of step: cut
// into chunks or not, in place, copied.
struct Training {
  explicit Training(int threads, Precision precision = Precision::kFloat32,
                    int64_t units = 200) {
    Var h = x;
    for (int layer = 0; layer < 2; ++layer) {
      const int64_t inputs = h.shape()[1];
      const std::string name = absl::StrCat(layer);
      const Var w = graph.Parameter("w" + name, {inputs, units}, He());
      const Var b = graph.Parameter("b" + name, {units}, Zeros());
      h = Relu(MatMul(h, w) + b);
    }
    const Var loss = Mean(SoftmaxCrossEntropy(h, label));
    CompileOptions options = {.fetch = {loss, ArgMax(h), x},
                              .updates = {},
                              .threads = threads,
                              .precision = precision};
    const std::vector<Var> parameters = graph.parameters();
    const std::vector<Var> grads = Gradients(loss, parameters);
    for (size_t i = 0; i < parameters.size(); ++i) {
      const Var m =
          graph.State(absl::StrCat("m", i), parameters[i].shape(), Zeros());
      const Var new_m = 0.9 * m + grads[i];
      options.updates.assignments.push_back({m, new_m});
      options.updates.assignments.push_back(
          {parameters[i], parameters[i] - 0.01 * new_m});
    }
    const Var a = graph.State("a", {}, Zeros());
    const Var b = graph.State("b", {}, Zeros());
    options.updates.assignments.push_back({a, b});
    options.updates.assignments.push_back({b, a});
    plan.emplace(*Compile(graph, options));
  }

  void Step(const Tensor& images, const Tensor& labels) {
    EXPECT_TRUE(plan->Run({{x, images}, {label, labels}}).ok());
  }

  Graph graph;
  Var x = graph.Input("x", {kBatch, 300});
  Var label = graph.Input("label", {kBatch}, DType::kInt32);
  std::optional<Plan> plan;
};

TEST(AllocationTest, AStepAllocatesNothingAndOneDnnAlwaysAsMuch) {
  const Tensor images(TensorType{DType::kFloat32, {128, 300}});
  const Tensor labels(TensorType{DType::kInt32, {128}});
  std::vector<std::pair<int, Precision>> ways = {{1, Precision::kFloat32},
                                                 {2, Precision::kFloat32}};
  if (HasBFloat16Products()) {
    ways.push_back({1, Precision::kBFloat16});
    ways.push_back({2, Precision::kBFloat16});
  }
  for (const auto& [threads, precision] : ways) {
    Training training(threads, precision);
    training.Step(images, labels);
    bool chunks = false;
    for (const StepCost& step : training.plan->Steps()) {
      chunks |= step.chunks > 1;
    }
    ASSERT_TRUE(chunks);
    ASSERT_NE(training.plan->Dump().find("Copy"), std::string::npos);
    int64_t before = onednns;
    training.Step(images, labels);
    const int64_t of_a_step = onednns - before;
    // Were it 0, the test would see nothing of oneDNN, or the exception made
    // for it would have become needless.
    EXPECT_GT(of_a_step, 0);
    for (int step = 0; step < 100; ++step) {
      before = onednns;
      EXPECT_EQ(AllocationsOf([&] { training.Step(images, labels); }), 0)
          << threads << " threads, step " << step;
      EXPECT_EQ(onednns - before, of_a_step);
    }
  }
}

// Where all products are made by code of our own.
TEST(AllocationTest, AStepWithoutOneDnnAllocatesNothingAtAll) {
  if (LanesOfTiles() == 0) GTEST_SKIP() << "no machine code for tiles here";
  const Tensor images(TensorType{DType::kFloat32, {128, 300}});
  const Tensor labels(TensorType{DType::kInt32, {128}});
  for (const int threads : {1, 2}) {
    Training training(threads, Precision::kFloat32, /*units=*/40);
    training.Step(images, labels);
    for (int step = 0; step < 100; ++step) {
      const int64_t before = ours + onednns;
      training.Step(images, labels);
      ASSERT_EQ(ours + onednns, before) << threads << " threads, step " << step;
    }
  }
}

TEST(AllocationTest, AStepOfASizeSeenBeforeAllocatesNothing) {
  const Tensor images(TensorType{DType::kFloat32, {128, 300}});
  const Tensor labels(TensorType{DType::kInt32, {128}});
  const Tensor few_images(TensorType{DType::kFloat32, {5, 300}});
  const Tensor few_labels(TensorType{DType::kInt32, {5}});
  Training training(2);
  training.Step(images, labels);
  EXPECT_GT(AllocationsOf([&] { training.Step(few_images, few_labels); }), 0);
  for (int step = 0; step < 10; ++step) {
    EXPECT_EQ(AllocationsOf([&] {
                training.Step(images, labels);
                training.Step(few_images, few_labels);
              }),
              0);
  }
}

}  // namespace
}  // namespace tape
