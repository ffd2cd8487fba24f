// UninterruptedScope (framework/core/uninterrupted.h), and that plans train to
// the same bits whatever signals, cancellations and changes of the process's
// user come meanwhile.
#include "framework/core/uninterrupted.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <ctime>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "framework/framework.h"
#include "framework/optim/optimizer.h"
#include "framework/optim/transform.h"
#include "ops/ops.h"

namespace tape {
namespace {

std::atomic<int> handled = 0;

// Counts in `handled` how often a signal comes, while it lives.
class HandlerScope {
 public:
  explicit HandlerScope(int signal) : signal_(signal) {
    handled = 0;
    struct sigaction action = {};
    action.sa_handler = [](int) { ++handled; };
    sigaction(signal, &action, &before_);
  }
  ~HandlerScope() { sigaction(signal_, &before_, nullptr); }

 private:
  int signal_;
  struct sigaction before_;
};

// Sends the process a signal each millisecond, while it lives.
class TimerScope {
 public:
  explicit TimerScope(int signal) {
    sigevent event = {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = signal;
    timer_create(CLOCK_MONOTONIC, &event, &timer_);
    constexpr timespec kMillisecond = {.tv_sec = 0, .tv_nsec = 1'000'000};
    const itimerspec every = {kMillisecond, kMillisecond};
    timer_settime(timer_, 0, &every, nullptr);
  }
  ~TimerScope() { timer_delete(timer_); }

 private:
  timer_t timer_;
};

// A small training whose steps are products for the most part.
class Training {
 public:
  // Of 300 units by oneDNN, of 40 by code of our own.
  explicit Training(int threads, int64_t units = 300) : units_(units) {
    const Var x = graph_.Input("x", {kBatch, 784});
    w_ = graph_.Parameter("w", {784, units}, Glorot());
    const Var v = graph_.Parameter("v", {units, 64}, Glorot());
    const Var loss = Mean(Square(MatMul(Tanh(MatMul(x, w_)), v) - 1));
    const Updates updates = Chain(Sgd({.learning_rate = 0.1}))
                                .Apply({w_, v}, Gradients(loss, {w_, v}));
    plan_.emplace(*Compile(
        graph_, {.fetch = {loss}, .updates = updates, .threads = threads}));
    x_ = x;
    for (size_t i = 0; i < images_.values<float>().size(); ++i) {
      images_.values<float>()[i] = static_cast<float>(i * 7919 % 1009) / 1009;
    }
  }
  void Step() {
    ASSERT_TRUE(plan_->Run({{x_, images_}}).ok());
    ++steps_;
  }
  int steps() const { return steps_; }
  std::vector<float> Weights() const {
    const auto values = graph_.Value(w_).values<float>();
    return {values.begin(), values.end()};
  }
  // What the weights are after as many steps that nothing interrupts.
  std::vector<float> Expected() const {
    Training other(1, units_);
    while (other.steps_ < steps_) other.Step();
    return other.Weights();
  }

 private:
  int64_t units_;
  Graph graph_;
  Var x_, w_;
  std::optional<Plan> plan_;
  Tensor images_ = Tensor({DType::kFloat32, {100, 784}});
  std::atomic<int> steps_ = 0;
};

SignalMask Mask() {
  SignalMask mask = 0;
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &mask, sizeof(mask));
  return mask;
}

TEST(UninterruptedScopeTest, PutsHandlersOffToItsEnd) {
  const HandlerScope handler(SIGUSR1);
  {
    const UninterruptedScope outer;
    const UninterruptedScope inner;
    raise(SIGUSR1);
    EXPECT_EQ(handled, 0);
  }
  EXPECT_EQ(handled, 1);
}

TEST(UninterruptedScopeTest, BlocksTheCLibrarysOwnSignalsToo) {
  const SignalMask before = Mask();
  {
    const UninterruptedScope scope;
    const SignalMask added = Mask() & ~before;
    for (const int signal : {SIGINT, SIGPROF, SIGCHLD, 32, 33, 64}) {
      EXPECT_TRUE(added >> (signal - 1) & 1) << signal;
    }
  }
  EXPECT_EQ(Mask(), before);
}

TEST(UninterruptedScopeDeathTest, LetsAThreadsOwnFaultsThrough) {
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) {
    EXPECT_EXIT(
        {
          std::signal(signal, [](int) { _exit(7); });
          const UninterruptedScope scope;
          raise(signal);
        },
        testing::ExitedWithCode(7), "")
        << signal;
  }
}

TEST(UninterruptedScopeTest, DisablesCancellation) {
  int state;
  {
    const UninterruptedScope outer;
    { const UninterruptedScope inner; }
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    EXPECT_EQ(state, PTHREAD_CANCEL_DISABLE);
  }
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
  EXPECT_EQ(state, PTHREAD_CANCEL_ENABLE);
}

TEST(PlanTest, TrainsToTheSameBitsUnderASignalEachMillisecond) {
  for (const auto& [threads, units] :
       {std::pair(1, 300), {2, 300}, {1, 40}, {2, 40}}) {
    for (const int signal : {SIGPROF, SIGALRM, SIGRTMAX}) {
      Training training(threads, units);
      {
        const HandlerScope handler(signal);
        const TimerScope timer(signal);
        while (handled < 100) training.Step();
      }
      EXPECT_EQ(training.Weights(), training.Expected())
          << threads << " threads, " << units << " units, signal " << signal;
    }
  }
}

// Compile runs kernels, to have their code at hand.
TEST(PlanTest, IsMadeUnderASignalEachMillisecond) {
  const HandlerScope handler(SIGPROF);
  const TimerScope timer(SIGPROF);
  while (handled < 100) Training(2).Step();
}

// Copies its input, cancels the thread that runs it, and gives it a point to
// end at, such as printing is.
class CancelKernel : public Kernel {
 public:
  void Run(int, const KernelArguments& arguments) const override {
    pthread_cancel(pthread_self());
    pthread_testcancel();
    *static_cast<float*>(arguments.outputs[0]) =
        *static_cast<const float*>(arguments.inputs[0]);
  }
};
constexpr OpDef kCancel = {
    .name = "Cancel",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x, const Attributes&)
        -> absl::StatusOr<TensorType> { return x[0]; },
    .kernel = [](const KernelSpec&) -> std::unique_ptr<Kernel> {
      return std::make_unique<CancelKernel>();
    },
};

TEST(PlanTest, EndsARunWhoseThreadIsCancelled) {
  Graph graph;
  const Var x = graph.Input("x", {});
  const Var y = Append(kCancel, {x}, {}, Loc::Current());
  for (const bool check_finite : {false, true}) {
    struct Run {
      absl::StatusOr<Plan> plan = absl::UnknownError("");
      Var x, y;
      float result = 0;
    } run = {.x = x, .y = y};
    const auto start = [](void* argument) -> void* {
      Run& run = *static_cast<Run*>(argument);
      const Tensor two(Shape(), std::vector<float>{2});
      if (run.plan->Run({{run.x, two}}).ok()) {
        run.result = run.plan->Scalar(run.y);
      }
      pthread_testcancel();
      return nullptr;
    };
    // In a thread of its own: Compile runs kernels too.
    std::thread([&] {
      run.plan = Compile(graph, {.fetch = {y}, .check_finite = check_finite});
    }).join();
    ASSERT_TRUE(run.plan.ok()) << run.plan.status();
    pthread_t thread;
    ASSERT_EQ(pthread_create(&thread, nullptr, start, &run), 0);
    void* result;
    pthread_join(thread, &result);
    EXPECT_EQ(result, PTHREAD_CANCELED);
    EXPECT_EQ(run.result, 2);
  }
}

// What an op's kernel finds of the signal mask: 1 if SIGPROF waits.
template <typename Base>
class MaskKernel : public Base {
 public:
  void Run(int, const KernelArguments& arguments) const override {
    const bool waits = (Mask() >> (SIGPROF - 1) & 1) != 0;
    *static_cast<float*>(arguments.outputs[0]) = waits ? 1 : 0;
  }
};
template <typename Base>
constexpr OpDef kMask = {
    .name = "Mask",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x, const Attributes&)
        -> absl::StatusOr<TensorType> { return x[0]; },
    .kernel = [](const KernelSpec&) -> std::unique_ptr<Kernel> {
      return std::make_unique<MaskKernel<Base>>();
    },
};

TEST(PlanTest, LetsHandlersInWhereAllKernelsArePlain) {
  for (const bool plain : {false, true}) {
    Graph graph;
    const Var x = graph.Input("x", {});
    const Var y = Append(plain ? kMask<PlainKernel> : kMask<Kernel>, {x}, {},
                         Loc::Current());
    auto plan = Compile(graph, {.fetch = {y}, .threads = 1});
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_TRUE(plan->Run({{x, Tensor(TensorType{})}}).ok());
    EXPECT_EQ(plan->Scalar(y), plain ? 0 : 1);
  }
}

// For which the C library signals every thread, and waits for it.
TEST(PlanTest, LetsAnotherThreadChangeTheProcesssUser) {
  for (const int threads : {1, 2}) {
    Training training(threads);
    std::atomic<bool> done = false;
    std::thread other([&] {
      for (int i = 0; i < 300; ++i) EXPECT_EQ(setresgid(-1, -1, -1), 0);
      done = true;
    });
    while (!done) training.Step();
    other.join();
    EXPECT_EQ(setresgid(-1, -1, -1), 0);  // While the team sleeps.
    EXPECT_EQ(training.Weights(), training.Expected()) << threads;
  }
}

}  // namespace
}  // namespace tape
