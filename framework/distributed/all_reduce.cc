// AllReduce (all_reduce.h). Tested by tests/distributed/all_reduce_test.cc.
#include "framework/distributed/all_reduce.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tape {
namespace {

// From so many elements on, and between at least four ranks, halving sends less.
constexpr int64_t kLong = 16 * 1024;

template <typename T>
void AddValues(int64_t elements, const T* from, T* to) {
  // A known count, which compilers make vector code of.
  constexpr int64_t kSome = 64;
  int64_t i = 0;
  for (; i + kSome <= elements; i += kSome) {
    for (int64_t j = 0; j < kSome; ++j) to[i + j] += from[i + j];
  }
  for (; i < elements; ++i) to[i] += from[i];
}

}  // namespace

bool IsSummable(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 ||
         dtype == DType::kInt32;
}

void AddTo(DType dtype, int64_t elements, const void* from, void* to) {
  switch (dtype) {
    case DType::kFloat32:
      return AddValues(elements, static_cast<const float*>(from),
                       static_cast<float*>(to));
    case DType::kFloat64:
      return AddValues(elements, static_cast<const double*>(from),
                       static_cast<double*>(to));
    default:
      // int32 sums wrap.
      return AddValues(elements, static_cast<const uint32_t*>(from),
                       static_cast<uint32_t*>(to));
  }
}

void RoundToBFloat16(int64_t elements, float* values) {
  for (int64_t i = 0; i < elements; ++i) {
    values[i] = static_cast<float>(BFloat16(values[i]));
  }
}

AllReduce::AllReduce(Communicator& communicator, int tag, DType dtype,
                     int64_t elements, bool bfloat16)
    : communicator_(communicator),
      tag_(tag),
      dtype_(dtype),
      bfloat16_(bfloat16),
      wire_bytes_(bfloat16 ? sizeof(BFloat16) : SizeOf(dtype)) {
  const int ranks = communicator.size(), rank = communicator.rank();
  if (ranks < 4 || elements < kLong) {
    for (int distance = 1; distance < ranks; distance *= 2) {
      rounds_.push_back({.peer = rank ^ distance,
                         .send = {0, elements},
                         .receive = {0, elements},
                         .adds = true});
    }
  } else {
    // Halving: a pair shares a range, and each keeps the sum of one half.
    Range mine = {0, elements};
    for (int distance = 1; distance < ranks; distance *= 2) {
      const int64_t middle = mine.begin + mine.size() / 2;
      Range kept = {mine.begin, middle}, given = {middle, mine.end};
      if ((rank & distance) != 0) std::swap(kept, given);
      rounds_.push_back({.peer = rank ^ distance,
                         .send = given,
                         .receive = kept,
                         .adds = true});
      mine = kept;
    }
    // Doubling: the same pairs, the last one first, give each other what the
    // other one has given away.
    for (size_t r = rounds_.size(); r-- > 0;) {
      const Round& halved = rounds_[r];
      rounds_.push_back({.peer = halved.peer,
                         .send = halved.receive,
                         .receive = halved.send,
                         .adds = false});
    }
  }
  int64_t most_received = 0, most_sent = 0;
  for (const Round& round : rounds_) {
    if (round.adds || bfloat16_) {
      most_received = std::max(most_received, round.receive.size());
    }
    most_sent = std::max(most_sent, round.send.size());
  }
  received_ = Buffer(static_cast<size_t>(most_received) * wire_bytes_);
  if (bfloat16_) sent_ = Buffer(static_cast<size_t>(most_sent) * wire_bytes_);
  round_ = rounds_.size();
}

int64_t AllReduce::bytes_sent() const {
  int64_t bytes = 0;
  for (const Round& round : rounds_) {
    bytes += round.send.size() * static_cast<int64_t>(wire_bytes_);
  }
  return bytes;
}

void AllReduce::Begin(void* values) {
  values_ = static_cast<std::byte*>(values);
  round_ = 0;
  if (!rounds_.empty()) Post();
}

void AllReduce::Post() {
  const Round& round = rounds_[round_];
  const size_t size = SizeOf(dtype_);
  const std::byte* send =
      values_ + static_cast<size_t>(round.send.begin) * size;
  std::byte* receive =
      values_ + static_cast<size_t>(round.receive.begin) * size;
  if (round.adds || bfloat16_) receive = received_.data();
  if (bfloat16_) {
    const auto* const floats = reinterpret_cast<const float*>(send);
    auto* const packed = reinterpret_cast<BFloat16*>(sent_.data());
    for (int64_t i = 0; i < round.send.size(); ++i) {
      packed[i] = BFloat16(floats[i]);
    }
    send = sent_.data();
  }
  ticket_ = communicator_.Begin(
      {.peer = round.peer,
       .tag = tag_,
       .send = send,
       .send_bytes = static_cast<size_t>(round.send.size()) * wire_bytes_,
       .receive = receive,
       .receive_bytes =
           static_cast<size_t>(round.receive.size()) * wire_bytes_});
}

// Takes in what has been received.
void AllReduce::Finish(const Round& round) {
  std::byte* const to =
      values_ + static_cast<size_t>(round.receive.begin) * SizeOf(dtype_);
  if (!bfloat16_) {
    if (round.adds) {
      AddTo(dtype_, round.receive.size(), received_.data(), to);
    }
    return;
  }
  auto* const floats = reinterpret_cast<float*>(to);
  const auto* const packed =
      reinterpret_cast<const BFloat16*>(received_.data());
  for (int64_t i = 0; i < round.receive.size(); ++i) {
    const auto value = static_cast<float>(packed[i]);
    floats[i] =
        round.adds ? static_cast<float>(BFloat16(floats[i] + value)) : value;
  }
}

bool AllReduce::Progress() {
  while (round_ < rounds_.size()) {
    if (!communicator_.IsDone(ticket_)) return false;
    Finish(rounds_[round_]);
    if (++round_ < rounds_.size()) Post();
  }
  return true;
}

void AllReduce::Wait(const std::function<void()>& meanwhile) {
  while (round_ < rounds_.size()) {
    const size_t round = round_;
    communicator_.WaitFor(
        [&] {
          if (meanwhile) meanwhile();
          return Progress() || round_ > round;
        },
        absl::StrCat("all-reduce ", tag_), rounds_[round].peer);
  }
}

}  // namespace tape
