// Exceptions and want of memory: whatever an op's rules, factories and kernels
// throw, and whatever does not fit into memory, comes out as one error with the
// op and its line, and the plan can be run again.
#include "framework/core/exceptions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <iterator>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "ops/ops.h"
#include "ops/tile_code.h"

namespace tape {
namespace {

using testing::HasSubstr;

absl::Status StatusOf(void (*thrower)()) {
  try {
    thrower();
  } catch (...) {
    return CaughtStatus("net.cc:5: Copy: its kernel");
  }
  return absl::OkStatus();
}

TEST(CaughtStatusTest, SaysWhatWasThrown) {
  EXPECT_EQ(StatusOf([] { throw std::runtime_error("a\nb"); }),
            absl::InternalError(
                "net.cc:5: Copy: its kernel threw an exception: a\\nb"));
  EXPECT_EQ(StatusOf([] { throw 7; }),
            absl::InternalError("net.cc:5: Copy: its kernel threw an exception "
                                "of an unknown type"));
  EXPECT_EQ(StatusOf([] { throw OutOfMemory(12); }),
            absl::ResourceExhaustedError("net.cc:5: Copy: its kernel found no "
                                         "memory for 12 bytes"));
  const absl::Status no_memory = absl::ResourceExhaustedError(
      "net.cc:5: Copy: its kernel found no memory");
  EXPECT_EQ(StatusOf([] { throw std::bad_alloc(); }), no_memory);
  EXPECT_EQ(StatusOf([] { throw std::length_error("vector"); }), no_memory);
  EXPECT_EQ(StatusOf([] { throw StatusError(absl::NotFoundError("x")); }),
            absl::NotFoundError("x"));
}

// The part of an op that throws now; empty: none does.
std::string failing;

void MayThrow(absl::string_view part) {
  if (failing == part) throw std::runtime_error("boom");
  if (failing == absl::StrCat(part, " for memory")) throw std::bad_alloc();
}

absl::StatusOr<TensorType> SameType(absl::Span<const TensorType> x,
                                    const Attributes&) {
  MayThrow("shape");
  return x[0];
}
Adjoints GradientOfCopy(absl::Span<const Var>, Var, Var gy, const Attributes&) {
  MayThrow("gradient");
  return {gy};
}
void ReferenceOfCopy(const Attributes&, absl::Span<const Tensor> x, Tensor& y) {
  MayThrow("reference");
  std::ranges::copy(x[0].values<double>(), y.values<double>().begin());
}
Simplification NothingSimpler(const SimplifyQuery&) {
  MayThrow("simplify");
  return {};
}
std::string RefusesNothing(const FeedQuery&) {
  MayThrow("refuses");
  return "";
}
absl::Status AnyMachine(absl::Span<const TensorType>) {
  MayThrow("machine");
  return absl::OkStatus();
}

size_t scratch_wanted = 0;

class CopyKernel : public Kernel {
 public:
  explicit CopyKernel(int64_t count) : count_(count) {}
  int chunks() const override { return 4; }
  size_t scratch_bytes() const override {
    MayThrow("scratch");
    return scratch_wanted;
  }
  void Run(int chunk, const KernelArguments& arguments) const override {
    MayThrow(absl::StrCat("chunk ", chunk));
    const int64_t begin = count_ * chunk / 4, end = count_ * (chunk + 1) / 4;
    std::copy_n(static_cast<const float*>(arguments.inputs[0]) + begin,
                end - begin, static_cast<float*>(arguments.outputs[0]) + begin);
  }

 private:
  int64_t count_;
};
constexpr OpDef kCopy = {
    .name = "Copy",
    .operands = {"x"},
    .shape = SameType,
    .gradient = GradientOfCopy,
    .reference = ReferenceOfCopy,
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      MayThrow("kernel");
      return std::make_unique<CopyKernel>(spec.output.shape.elements());
    },
    .rows =
        [](const RowQuery&) {
          MayThrow("rows");
          return RowRole::kApart;
        },
    .simplify = NothingSimpler,
    .refuses = RefusesNothing,
    .machine = AnyMachine,
};
constexpr OpDef kCopyEach = {
    .name = "CopyEach",
    .operands = {"x"},
    .shape = SameType,
    .gradient = GradientOfCopy,
    .reference = ReferenceOfCopy,
    .block = [](absl::Span<const DType>, DType) -> Block {
      MayThrow("block");
      return [](const BlockArguments& block) {
        MayThrow("elements");
        std::copy_n(static_cast<const float*>(block.inputs[0]), block.count,
                    static_cast<float*>(block.output));
      };
    },
    .traits = {.elementwise = true},
};

// Both ops between products, and what is computed of them.
struct Net {
  explicit Net(int64_t rows = 2000) : fed({DType::kFloat32, {rows, 64}}) {
    x = graph.Input("x", {kBatch, 64});
    w = graph.Parameter("w", {64, 64}, Glorot());
    copied = Append(kCopy, {x}, {}, {"net.cc", 5});
    each = Append(kCopyEach, {MatMul(copied, w)}, {}, {"net.cc", 6});
    loss = Mean(Square(each));
    for (float& value : fed.values<float>()) value = 0.5;
  }
  absl::StatusOr<Plan> Made(int threads, bool check_finite = false) {
    return Compile(
        graph,
        {.fetch = {loss}, .threads = threads, .check_finite = check_finite});
  }

  Tensor fed;
  Graph graph;
  Var x, w, copied, each, loss;
};

class ThrowingOpTest : public testing::Test {
 protected:
  ~ThrowingOpTest() override { failing.clear(); }
};

constexpr char kCopyAt[] = "net.cc:5: Copy: ";
constexpr char kEachAt[] = "net.cc:6: ";

TEST_F(ThrowingOpTest, ARunEndsWithAnErrorAndCanBeMadeAgain) {
  for (const int64_t rows : {2000, 40'000}) {  // The second is cut into tiles.
    for (const int threads : {1, 2, 3}) {
      for (const bool check_finite : {false, true}) {
        SCOPED_TRACE(absl::StrCat(rows, " rows, ", threads, " threads"));
        failing.clear();
        Net net(rows);
        absl::StatusOr<Plan> plan = net.Made(threads, check_finite);
        ASSERT_TRUE(plan.ok()) << plan.status();
        ASSERT_TRUE(plan->Run({{net.x, net.fed}}).ok());
        const float expected = plan->Scalar(net.loss);
        for (const char* part : {"chunk 0", "chunk 1", "chunk 3", "elements"}) {
          for (const bool memory : {false, true}) {
            failing = absl::StrCat(part, memory ? " for memory" : "");
            const absl::Status status = plan->Run({{net.x, net.fed}});
            EXPECT_EQ(status.code(), memory
                                         ? absl::StatusCode::kResourceExhausted
                                         : absl::StatusCode::kInternal)
                << status;
            EXPECT_THAT(
                std::string(status.message()),
                testing::ContainsRegex(
                    part == std::string("elements")
                        ? "^(tests/[a-z_/.:0-9]+, )?net.cc:6(, "
                          "[a-z_/.:0-9]+)?: "
                          "(MatMul\\+)?CopyEach(\\+Square(\\+PieceSums)?)?: "
                        : kCopyAt));
            EXPECT_THAT(std::string(status.message()),
                        HasSubstr(memory ? "its kernel found no memory"
                                         : "its kernel threw an exception: "
                                           "boom"));
            failing.clear();
            ASSERT_TRUE(plan->Run({{net.x, net.fed}}).ok());
            EXPECT_EQ(plan->Scalar(net.loss), expected);
          }
        }
      }
    }
  }
}

TEST_F(ThrowingOpTest, APlanIsRefusedWithAnError) {
  for (const std::string part :
       {"shape", "simplify", "rows", "kernel", "scratch", "block", "refuses"}) {
    failing.clear();
    Net net(40'000);
    absl::StatusOr<Plan> plan = net.Made(2);
    ASSERT_TRUE(plan.ok()) << plan.status();
    for (const bool memory : {false, true}) {
      failing = absl::StrCat(part, memory ? " for memory" : "");
      const absl::Status status = plan->Run({{net.x, net.fed}});
      EXPECT_FALSE(status.ok());
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr(part == "block" ? kEachAt : kCopyAt))
          << failing;
      EXPECT_THAT(
          std::string(status.message()),
          HasSubstr(memory ? "found no memory" : "threw an exception: boom"));
      failing.clear();
    }
    EXPECT_TRUE(plan->Run({{net.x, net.fed}}).ok()) << part;
  }
}

TEST_F(ThrowingOpTest, CompileReturnsAnError) {
  Graph graph;
  const Var one = Fill(&graph, {4}, 1);
  const Var copied = Append(kCopyEach, {one}, {}, {"net.cc", 7});
  for (const std::string part : {"reference", "shape"}) {
    failing = part;
    const absl::Status status = Compile(graph, {.fetch = {copied}}).status();
    EXPECT_EQ(std::string(status.message()),
              absl::StrCat("net.cc:7: CopyEach: its ", part,
                           part == "shape" ? " rule" : "",
                           " threw an exception: boom"));
  }
}

TEST_F(ThrowingOpTest, ADeclarationKeepsTheMistake) {
  Graph graph;
  const Var x = graph.Input("x", {}, DType::kFloat32, {"net.cc", 1});
  failing = "shape";
  EXPECT_FALSE(Append(kCopy, {x}, {}, {"net.cc", 2}).valid());
  failing.clear();
  const Var y = Append(kCopy, {x}, {}, {"net.cc", 3});
  failing = "gradient for memory";
  EXPECT_FALSE(Gradients(y, {x}, {}, {"net.cc", 4})[0].valid());
  const Initializer initializer(
      [](const TensorType&) -> Initializer::Next { throw 7; });
  graph.Parameter("w", {2}, initializer, Tag::kAuto, {"net.cc", 5});
  EXPECT_EQ(std::string(graph.status().message()),
            "net.cc:2: Copy: its shape rule threw an exception: boom (x [] is "
            "input \"x\", net.cc:1)\n"
            "net.cc:3: Gradients: the gradient rule of Copy found no memory "
            "(asked for at net.cc:4)\n"
            "net.cc:5: bias \"w\": its initializer threw an exception of an "
            "unknown type");
}

TEST_F(ThrowingOpTest, ChecksReturnAnError) {
  Net net(8);
  failing = "reference";
  const absl::Status reference =
      EvaluateReference({net.loss}, {{net.x, net.fed}}).status();
  EXPECT_EQ(reference.message(),
            "net.cc:5: Copy: its reference threw an exception: boom");
  EXPECT_EQ(CheckKernels({net.loss}, {{net.x, net.fed}}), reference);
  EXPECT_EQ(CheckGradients(net.loss, {net.x}, {{net.x, net.fed}}), reference);
  failing = "refuses";
  constexpr char kRefuses[] =
      "net.cc:5: Copy: its rule for fed numbers threw an exception: boom";
  EXPECT_EQ(
      EvaluateReference({net.loss}, {{net.x, net.fed}}).status().message(),
      kRefuses);
  EXPECT_EQ(CheckKernels({net.loss}, {{net.x, net.fed}}).message(), kRefuses);
  failing = "machine";
  constexpr char kMachine[] =
      "net.cc:5: Copy: its rule for machines threw an exception: boom";
  EXPECT_EQ(net.Made(1).status().message(), kMachine);
  EXPECT_EQ(CheckKernels({net.loss}, {{net.x, net.fed}}).message(), kMachine);
}

TEST_F(ThrowingOpTest, MoreScratchMemoryThanThereCanBeIsAnError) {
  for (const size_t bytes : {~size_t{0}, size_t{1} << 62, size_t{1} << 63}) {
    for (const int threads : {1, 2, 4}) {
      Net net;
      absl::StatusOr<Plan> plan = net.Made(threads);
      ASSERT_TRUE(plan.ok()) << plan.status();
      scratch_wanted = bytes;
      const absl::Status status = plan->Run({{net.x, net.fed}});
      scratch_wanted = 0;
      EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr("Run found no memory for the plan's "));
      EXPECT_TRUE(plan->Run({{net.x, net.fed}}).ok());
    }
  }
}

TEST_F(ThrowingOpTest, AnOpWithoutKernelIsAnError) {
  constexpr OpDef kNone = {
      .name = "None", .operands = {"x"}, .shape = SameType};
  constexpr OpDef kNull = {
      .name = "Null",
      .operands = {"x"},
      .shape = SameType,
      .kernel = [](const KernelSpec&) { return std::unique_ptr<Kernel>(); }};
  constexpr OpDef kNoBlock = {.name = "NoBlock",
                              .operands = {"x"},
                              .shape = SameType,
                              .traits = {.elementwise = true}};
  constexpr OpDef kNullBlock = {
      .name = "NullBlock",
      .operands = {"x"},
      .shape = SameType,
      .block = [](absl::Span<const DType>, DType) -> Block { return nullptr; },
      .traits = {.elementwise = true}};
  const auto message = [](const OpDef& op) {
    Graph graph;
    const Var x = graph.Input("x", {3});
    const Var y = Append(op, {x}, {}, {"net.cc", 8});
    return std::string(Compile(graph, {.fetch = {y}}).status().message());
  };
  EXPECT_EQ(message(kNone),
            "net.cc:8: None: the op has no kernel to be run by");
  EXPECT_EQ(message(kNull), "net.cc:8: Null: made no kernel");
  EXPECT_EQ(message(kNoBlock),
            "net.cc:8: NoBlock: the op has no block to be run by");
  EXPECT_EQ(message(kNullBlock), "net.cc:8: NullBlock: made no block");
}

TEST(OutOfMemoryTest, TensorMakeReturnsAnError) {
  EXPECT_EQ(Tensor::Make({DType::kFloat32, {2, 3}})->elements(), 6);
  const absl::Status large =
      Tensor::Make({DType::kFloat32, {int64_t{1} << 40}}).status();
  EXPECT_EQ(large.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(large.message()), HasSubstr("[1099511627776]"));
  EXPECT_THAT(std::string(large.message()),
              HasSubstr("no memory for 4398046511"));
  for (const Shape& shape :
       {Shape{kBatch, 2}, Shape{-3}, Shape{int64_t{1} << 40, 2}}) {
    EXPECT_EQ(Tensor::Make({DType::kFloat32, shape}).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(OutOfMemoryTest, ATensorThrowsWhatNamesTheBytes) {
  try {
    const Tensor tensor({DType::kFloat64, {int64_t{1} << 40}});
    FAIL() << "expected an exception";
  } catch (const std::bad_alloc& error) {
    EXPECT_THAT(error.what(), HasSubstr("no memory for 8796093022"));
  }
}

TEST(OutOfMemoryTest, AVariableIsAMistakeOfTheDeclaration) {
  Graph graph;
  graph.Parameter("w", {1 << 20, 1 << 20}, Zeros(), Tag::kAuto, {"net.cc", 1});
  EXPECT_EQ(std::string(graph.status().message()),
            "net.cc:1: weight \"w\": there is no memory for its 4398046511104 "
            "bytes, of shape [1048576,1048576]");
}

constexpr int64_t kHuge = int64_t{1} << 30;

TEST(OutOfMemoryTest, CompileNamesTheBytesAndTheLargestValues) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 784});
  const Var w = graph.Parameter("w", {784, 500}, Glorot());
  const Var y = Tanh(MatMul(x, w, {}, {"net.cc", 3}), {"net.cc", 4});
  const Var z = Sum(CumSum(y, 0, {}, {"net.cc", 5}));
  const absl::Status status =
      Compile(graph, {.fetch = {z}, .batch_sizes = {kHuge}}, {"net.cc", 9})
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()),
              testing::ContainsRegex(
                  "^net.cc:9: Compile found no memory for the plan's "
                  "[0-9]{13} bytes, with a "
                  "batch of 1073741824 samples; the largest of its values are "
                  "2147483648000 bytes of [A-Za-z]+ "
                  "\\[1073741824,500\\] \\(net.cc:[345]\\)"));
}

TEST(OutOfMemoryTest, APlanWithoutABatchSaysNothingOfOne) {
  Graph graph;
  const Var x = graph.Input("x", {1 << 20, 1});
  const Var y = Sum(CumSum(x * Transpose(x), 0, {}, {"net.cc", 2}));
  const absl::Status status =
      Compile(graph, {.fetch = {y}}, {"net.cc", 9}).status();
  EXPECT_THAT(std::string(status.message()),
              testing::ContainsRegex(
                  "^net.cc:9: Compile found no memory for the plan's "
                  "[0-9]+ bytes; the largest of its values "
                  "are 4398046511104 bytes of "));
}

TEST(OutOfMemoryTest, TilesNameTheBytesAndTheBatch) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 64});
  const Var w = graph.Parameter("w", {64, 1000}, Glorot());
  const Var y = Tanh(MatMul(x, w));
  const absl::Status status =
      Compile(graph, {.fetch = {y}, .batch_sizes = {kHuge}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()),
              testing::ContainsRegex("no memory .*, with a batch of "
                                     "1073741824 samples"));
}

TEST(OutOfMemoryTest, ARunReturnsAnErrorAndASmallerBatchRuns) {
  Graph graph;
  const Var label = graph.Input("label", {kBatch}, DType::kInt32);
  const Var hot = OneHot(label, 1 << 20, {"net.cc", 2});
  const Var y = Sum(CumSum(hot, 0));
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {y}, .threads = 2});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const Tensor many({DType::kInt32, {1'000'000}}), few({DType::kInt32, {2}});
  const absl::Status status = plan->Run({{label, many}});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("net.cc:2"));
  EXPECT_TRUE(plan->Run({{label, few}}).ok());
  EXPECT_EQ(plan->Scalar(y), 3);
}

// Sizes of which a product would overflow are refused before it is taken.
TEST(OutOfMemoryTest, ABatchOfMoreThan2To40ElementsIsRefused) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 784}, DType::kFloat32, {"net.cc", 1});
  const Var w = graph.Parameter("w", {784, 10}, Glorot());
  const Var y = Sum(MatMul(x, w, {}, {"net.cc", 2}));
  for (const int64_t batch :
       {int64_t{1} << 31, int64_t{1} << 40, int64_t{1} << 62, INT64_MAX}) {
    const absl::Status status =
        Compile(graph, {.fetch = {y}, .batch_sizes = {batch}}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("more than 2^40 elements"));
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("with a batch of ", batch, " samples")));
  }
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {y}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const float one = 0;
  EXPECT_THAT(
      plan->Run({{x, TensorView({DType::kFloat32, {INT64_MAX, 784}}, &one)}})
          .message(),
      HasSubstr("and fed"));
}

// Has the system refuse memory that may be used in all of these ways, as some do.
void ForbidMemory(unsigned ways) {
  sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ways),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ways, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program = {std::size(steps), steps};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

// Compiles the product of a matrix of eight rows and its transpose, and ends the
// process: with 0 if that is an error, which it prints.
[[noreturn]] void CompileProduct(int64_t columns, unsigned forbidden) {
  ForbidMemory(forbidden);
  Graph graph;
  const Var x = graph.Input("x", {8, columns});
  const Var y = MatMul(x, x, {.rhs = true}, {"net.cc", 9});
  const absl::Status status =
      Compile(graph, {.fetch = {y}, .threads = 1}).status();
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  _exit(status.ok() ? 1 : 0);
}

// By oneDNN: the transpose is too large for tiles.
TEST(OutOfMemoryDeathTest, NoMemoryForCodeIsAnError) {
  EXPECT_EXIT(CompileProduct(600, PROT_WRITE | PROT_EXEC),
              testing::ExitedWithCode(0),
              "net.cc:9: MatMul: its kernel .* can be written and executed");
}

TEST(OutOfMemoryDeathTest, NoMemoryForTheCodeOfTilesIsAnError) {
  if (LanesOfTiles() == 0) GTEST_SKIP() << "no machine code for tiles here";
  EXPECT_EXIT(CompileProduct(8, PROT_EXEC), testing::ExitedWithCode(0),
              "net.cc:9: MatMul: its kernel .* can be executed");
  // It is never both.
  EXPECT_EXIT(CompileProduct(8, PROT_WRITE | PROT_EXEC),
              testing::ExitedWithCode(1), "");
}

}  // namespace
}  // namespace tape
