// What ranks do together before they train (framework/train/ranks.h). The texts of
// ranks that disagree: tests/distributed/train_test.cc.
#include "framework/train/ranks.h"

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "framework/distributed/local_group.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tape {
namespace {

TEST(CheckRanksAgreeTest, NamesTheFirstRankAndTheFirstDifference) {
  LocalGroup group(4);
  const auto statuses = group.Run([](Communicator& rank) {
    rank.set_timeout_seconds(1e6);
    return CheckRanksAgree(
        rank, {{"the version", "1.0"},
               {"the seed", rank.rank() >= 2 ? "2" : "1"},
               {"the data", rank.rank() == 3 ? "some" : "others"}});
  });
  EXPECT_EQ(statuses[0],
            absl::FailedPreconditionError(
                "rank 2: expected the seed 1, as on rank 0, found 2"));
  for (const int rank : {1, 2, 3}) {
    EXPECT_EQ(
        statuses[rank],
        absl::FailedPreconditionError(
            "rank 0: rank 2: expected the seed 1, as on rank 0, found 2"));
  }
}

TEST(CheckRanksAgreeTest, NamesBothThingsWhereTheListsDiffer) {
  LocalGroup group(2);
  const auto statuses = group.Run([](Communicator& rank) {
    rank.set_timeout_seconds(1e6);
    Identity identity = {{"the seed", "1"}};
    if (rank.rank() == 0) identity.push_back({"the shards", "8"});
    identity.push_back({"the rate", "0.1"});
    return CheckRanksAgree(rank, identity);
  });
  EXPECT_EQ(statuses[0], absl::FailedPreconditionError(
                             "rank 1: expected the shards 8, as on rank 0, "
                             "found the rate 0.1"));
}

TEST(CheckRanksAgreeTest, IsOkIfTheyDo) {
  for (const int ranks : {1, 2, 8}) {
    LocalGroup group(ranks);
    for (const absl::Status& status : group.Run([](Communicator& rank) {
           return CheckRanksAgree(rank, {{"a name", "tab\tand\nline"}});
         })) {
      EXPECT_TRUE(status.ok()) << status;
    }
  }
}

TEST(ErrorOfAnyTest, RankZeroHasTheErrorOfTheFirstRank) {
  LocalGroup group(4);
  std::vector<absl::Status> found(4);
  group.Run([&](Communicator& rank) {
    found[rank.rank()] = ErrorOfAny(
        rank, rank.rank() < 2
                  ? absl::OkStatus()
                  : absl::NotFoundError(absl::StrCat("no file ", rank.rank())));
    return absl::OkStatus();
  });
  EXPECT_EQ(found[0], absl::InvalidArgumentError("rank 2: no file 2"));
  for (const int rank : {1, 2, 3}) {
    EXPECT_TRUE(absl::IsCancelled(found[rank])) << found[rank];
  }
}

TEST(ErrorOfAnyTest, RankZeroKeepsItsOwnError) {
  LocalGroup group(2);
  std::vector<absl::Status> found(2);
  group.Run([&](Communicator& rank) {
    found[rank.rank()] = ErrorOfAny(
        rank, absl::NotFoundError(absl::StrCat("no file ", rank.rank())));
    return absl::OkStatus();
  });
  EXPECT_EQ(found[0], absl::NotFoundError("no file 0"));
  EXPECT_TRUE(absl::IsCancelled(found[1])) << found[1];
}

TEST(ErrorOfAnyTest, IsOkIfAllAre) {
  LocalGroup group(4);
  for (const absl::Status& status : group.Run([&](Communicator& rank) {
         return ErrorOfAny(rank, absl::OkStatus());
       })) {
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(OnRankZeroTest, TheOthersDoNotRead) {
  LocalGroup group(4);
  const auto statuses = group.Run([](Communicator& rank) {
    const auto found =
        OnRankZero(rank, [&]() -> absl::StatusOr<std::optional<Checkpoint>> {
          EXPECT_EQ(rank.rank(), 0);
          return std::optional<Checkpoint>();
        });
    EXPECT_FALSE(found.ok() && found->has_value());
    return found.status();
  });
  for (const absl::Status& status : statuses)
    EXPECT_TRUE(status.ok()) << status;
}

TEST(OnRankZeroTest, AnErrorOfRankZeroIsItsOwn) {
  LocalGroup group(2);
  std::vector<absl::Status> found(2);
  group.Run([&](Communicator& rank) {
    found[rank.rank()] =
        OnRankZero(rank, []() -> absl::StatusOr<std::optional<Checkpoint>> {
          return absl::DataLossError("damaged");
        }).status();
    return absl::OkStatus();
  });
  EXPECT_EQ(found[0], absl::DataLossError("damaged"));
  EXPECT_TRUE(absl::IsCancelled(found[1])) << found[1];
}

}  // namespace
}  // namespace tape
