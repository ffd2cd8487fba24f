// All-reduce sums (framework/distributed/all_reduce.h): the bits of a plain tree of
// additions, for any number of ranks and any length.
#include "framework/distributed/all_reduce.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <thread>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/random.h"
#include "framework/core/tensor_type.h"
#include "framework/distributed/local_group.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tape {
namespace {

constexpr int64_t kLengths[] = {1, 7, 64, 1000, 16384, 50001};

// The values of a rank: of both signs and many magnitudes, so that another order
// of the additions has other bits.
template <typename T>
std::vector<T> Values(int rank, int64_t length) {
  RandomStream random(17, rank);
  std::vector<T> values(length);
  for (T& value : values) {
    if constexpr (std::is_same_v<T, int32_t>) {
      // Sums of these wrap.
      value = static_cast<int32_t>(random.Below(~uint32_t{0}));
    } else {
      value = static_cast<T>(random.Normal() * std::pow(2.0, random.Below(20)));
    }
  }
  return values;
}

float RoundedOf(float value) { return static_cast<float>(BFloat16(value)); }

template <typename T>
T Sum(T a, T b, bool bfloat16) {
  if constexpr (std::is_same_v<T, int32_t>) {
    return static_cast<int32_t>(static_cast<uint32_t>(a) +
                                static_cast<uint32_t>(b));
  } else if constexpr (std::is_same_v<T, float>) {
    return bfloat16 ? RoundedOf(a + b) : a + b;
  } else {
    return a + b;
  }
}

// ((0 + 1) + (2 + 3)) + …, of the values of ranks `begin` to `end` - 1.
template <typename T>
std::vector<T> TreeSum(const std::vector<std::vector<T>>& of, size_t begin,
                       size_t end, bool bfloat16 = false) {
  if (end == begin + 1) return of[begin];
  const size_t middle = (begin + end) / 2;
  std::vector<T> sum = TreeSum(of, begin, middle, bfloat16);
  const std::vector<T> other = TreeSum(of, middle, end, bfloat16);
  for (size_t i = 0; i < sum.size(); ++i) {
    sum[i] = Sum(sum[i], other[i], bfloat16);
  }
  return sum;
}

template <typename T>
void ExpectSameBits(const std::vector<T>& found,
                    const std::vector<T>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(std::memcmp(&found[i], &expected[i], sizeof(T)), 0)
        << "element " << i << ": " << found[i] << ", " << expected[i];
  }
}

template <typename T>
void ExpectTreeSums(DType dtype, bool bfloat16 = false) {
  for (const int ranks : {1, 2, 4, 8}) {
    for (const int64_t length : kLengths) {
      SCOPED_TRACE(absl::StrCat(ranks, " ranks, ", length, " elements"));
      std::vector<std::vector<T>> of;
      for (int rank = 0; rank < ranks; ++rank) {
        of.push_back(Values<T>(rank, length));
        if constexpr (std::is_same_v<T, float>) {
          if (bfloat16) RoundToBFloat16(length, of.back().data());
        }
      }
      const std::vector<T> expected = TreeSum(of, 0, ranks, bfloat16);
      std::vector<std::vector<T>> found = of;
      LocalGroup group(ranks);
      const auto results = group.Run([&](Communicator& rank) {
        std::vector<T>& values = found[rank.rank()];
        AllReduce reduction(rank, /*tag=*/1, dtype, length, bfloat16);
        reduction.Begin(values.data());
        reduction.Wait();
        // Its memory is filled anew.
        if (values == expected) {
          values = of[rank.rank()];
          reduction.Begin(values.data());
          while (!reduction.Progress()) std::this_thread::yield();
        }
        return absl::OkStatus();
      });
      for (const absl::Status& status : results) ASSERT_TRUE(status.ok());
      for (const std::vector<T>& values : found) {
        ExpectSameBits(values, expected);
      }
    }
  }
}

TEST(AllReduceTest, SumsFloat32InTheTree) {
  ExpectTreeSums<float>(DType::kFloat32);
}
TEST(AllReduceTest, SumsFloat64InTheTree) {
  ExpectTreeSums<double>(DType::kFloat64);
}
TEST(AllReduceTest, SumsInt32WhichWraps) {
  ExpectTreeSums<int32_t>(DType::kInt32);
}
TEST(AllReduceTest, RoundsEachSumToBFloat16) {
  ExpectTreeSums<float>(DType::kFloat32, /*bfloat16=*/true);
}

// The values above tell this tree from a sum from left to right.
TEST(AllReduceTest, TheTreeIsNotASumFromLeftToRight) {
  std::vector<std::vector<float>> of;
  for (int rank = 0; rank < 8; ++rank) of.push_back(Values<float>(rank, 1000));
  std::vector<float> in_order = of[0];
  for (int rank = 1; rank < 8; ++rank) {
    for (size_t i = 0; i < in_order.size(); ++i) in_order[i] += of[rank][i];
  }
  EXPECT_NE(in_order, TreeSum(of, 0, 8));
}

TEST(AllReduceTest, AddsAnyNumberOfElements) {
  for (const int64_t length : {0, 1, 63, 64, 65, 128, 1000}) {
    const std::vector<float> from = Values<float>(1, length);
    std::vector<float> to = Values<float>(2, length), expected = to;
    for (int64_t i = 0; i < length; ++i) expected[i] += from[i];
    to.push_back(5);  // Must stay.
    AddTo(DType::kFloat32, length, from.data(), to.data());
    EXPECT_EQ(to.back(), 5);
    to.pop_back();
    ExpectSameBits(to, expected);
  }
}

TEST(AllReduceTest, RoundsToTheNearestBFloat16) {
  // Bfloat16 has 8 bits of a mantissa, the first one implied.
  std::vector<float> values = {1, 1 + 1 / 512.0F, 1 + 1 / 256.0F,
                               1 + 3 / 256.0F, -3.14159265F};
  RoundToBFloat16(static_cast<int64_t>(values.size()), values.data());
  // Ties go to the even one.
  EXPECT_THAT(values,
              testing::ElementsAre(1, 1, 1, 1 + 4 / 256.0F, -3.140625F));
}

TEST(AllReduceTest, KnowsWhatCanBeSummed) {
  EXPECT_TRUE(IsSummable(DType::kFloat32));
  EXPECT_TRUE(IsSummable(DType::kFloat64));
  EXPECT_TRUE(IsSummable(DType::kInt32));
  EXPECT_FALSE(IsSummable(DType::kUint8));
}

// Several are under way at once, as those of a backward pass; each rank waits for
// them in another order.
TEST(AllReduceTest, SeveralAreUnderWayAtOnce) {
  constexpr int kRanks = 4, kReductions = 5;
  constexpr int64_t kElements[kReductions] = {3, 20000, 1, 16384, 500};
  LocalGroup group(kRanks);
  const auto results = group.Run([&](Communicator& rank) {
    std::vector<std::vector<float>> values;
    std::vector<AllReduce> reductions;
    for (int i = 0; i < kReductions; ++i) {
      values.push_back(Values<float>(rank.rank(), kElements[i]));
      reductions.emplace_back(rank, /*tag=*/i, DType::kFloat32, kElements[i],
                              /*bfloat16=*/false);
    }
    for (int i = 0; i < kReductions; ++i) {
      reductions[i].Begin(values[i].data());
    }
    bool is_done = false;
    while (!is_done) {
      is_done = true;
      for (int i = 0; i < kReductions; ++i) {
        is_done &= reductions[(i + rank.rank()) % kReductions].Progress();
      }
      std::this_thread::yield();
    }
    for (int i = 0; i < kReductions; ++i) {
      std::vector<std::vector<float>> of;
      for (int from = 0; from < kRanks; ++from) {
        of.push_back(Values<float>(from, kElements[i]));
      }
      ExpectSameBits(values[i], TreeSum(of, 0, kRanks));
    }
    return absl::OkStatus();
  });
  for (const absl::Status& status : results) EXPECT_TRUE(status.ok()) << status;
}

int64_t BytesSent(int rank, int ranks, int64_t elements, bool bfloat16 = false,
                  DType dtype = DType::kFloat32) {
  LocalGroup group(ranks);
  return AllReduce(group.rank(rank), 0, dtype, elements, bfloat16).bytes_sent();
}

TEST(AllReduceTest, ShortMessagesGoWholeInLogarithmicRounds) {
  EXPECT_EQ(BytesSent(0, 1, 16383), 0);
  EXPECT_EQ(BytesSent(0, 2, 50000), 50000 * 4);
  EXPECT_EQ(BytesSent(0, 4, 16383), 2 * 16383 * 4);
  EXPECT_EQ(BytesSent(7, 8, 1000), 3 * 1000 * 4);
  EXPECT_EQ(BytesSent(7, 8, 1000, false, DType::kFloat64), 3 * 1000 * 8);
  EXPECT_EQ(BytesSent(7, 8, 1000, true), 3 * 1000 * 2);
}

TEST(AllReduceTest, LongMessagesBetweenFourRanksGoInParts) {
  // 2 (ranks - 1) / ranks of the elements.
  EXPECT_EQ(BytesSent(0, 4, 16384), 2 * 3 * 16384 / 4 * 4);
  EXPECT_EQ(BytesSent(3, 8, 16384), 2 * 7 * 16384 / 8 * 4);
  EXPECT_EQ(BytesSent(3, 8, 16384, true), 2 * 7 * 16384 / 8 * 2);
  // Parts are not equal; all ranks together send so much all the same.
  for (const int ranks : {4, 8, 16}) {
    int64_t all = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      all += BytesSent(rank, ranks, 50001);
    }
    EXPECT_EQ(all, int64_t{2} * (ranks - 1) * 50001 * 4);
  }
}

TEST(AllReduceTest, ARankThatDoesNotAnswerIsNamed) {
  LocalGroup group(2);
  const auto results = group.Run([](Communicator& rank) {
    if (rank.rank() == 1) return absl::OkStatus();
    rank.set_timeout_seconds(0.01);
    AllReduce reduction(rank, /*tag=*/12, DType::kFloat32, 3, false);
    float values[3] = {};
    reduction.Begin(values);
    reduction.Wait();
    return absl::OkStatus();
  });
  EXPECT_EQ(results[0],
            absl::DeadlineExceededError(
                "rank 0 of 2: expected an answer of rank 1 in all-reduce 12, "
                "found none in 0.01 s (--mpi_timeout)"));
}

}  // namespace
}  // namespace tape
