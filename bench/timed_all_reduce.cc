// TimedAllReduce (timed_all_reduce.h).
#include "bench/timed_all_reduce.h"

#include <chrono>
#include <cstddef>
#include <cstring>

#include "framework/core/tensor.h"
#include "framework/core/tensor_type.h"
#include "framework/distributed/all_reduce.h"

namespace tape {
namespace {

constexpr int64_t kElementBytes = sizeof(float);

}  // namespace

struct TimedAllReduce::Impl {
  Buffer values;
  AllReduce reduction;
};

TimedAllReduce::TimedAllReduce(Communicator& ranks, int64_t bytes,
                               bool bfloat16)
    : impl_(new Impl{Buffer(static_cast<size_t>(bytes)),
                     AllReduce(ranks, /*tag=*/0, DType::kFloat32,
                               bytes / kElementBytes, bfloat16)}) {
  std::memset(impl_->values.data(), 0, static_cast<size_t>(bytes));
}

TimedAllReduce::~TimedAllReduce() = default;

void TimedAllReduce::Run() {
  impl_->reduction.Begin(impl_->values.data());
  impl_->reduction.Wait();
}

void TimedAllReduce::RunWithWork(double microseconds, bool polls) {
  using Clock = std::chrono::steady_clock;
  constexpr double kPollEvery = 20;  // Microseconds.
  const Clock::time_point begin = Clock::now();
  impl_->reduction.Begin(impl_->values.data());
  double next = kPollEvery;
  for (double passed = 0; passed < microseconds;) {
    passed =
        std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
    if (!polls || passed < next) continue;
    impl_->reduction.Progress();
    next = passed + kPollEvery;
  }
  impl_->reduction.Wait();
}

void AddMessage(int64_t bytes, const void* from, void* to) {
  AddTo(DType::kFloat32, bytes / kElementBytes, from, to);
}

void RoundMessage(int64_t bytes, void* values) {
  RoundToBFloat16(bytes / kElementBytes, static_cast<float*>(values));
}

}  // namespace tape
