// Ranks that are threads (framework/distributed/local_group.h), and what every
// Communicator does on top of exchanges: gathers, waits and ends.
#include "framework/distributed/communicator.h"

#include <cstdint>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/exceptions.h"
#include "framework/distributed/local_group.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tape {
namespace {

using ::testing::ElementsAre;

// Runs `run` on so many ranks, all of which must return OK.
void RunRanks(int ranks,
              const std::function<absl::Status(Communicator& rank)>& run) {
  LocalGroup group(ranks);
  for (const absl::Status& status : group.Run(run)) {
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(SelfCommunicatorTest, IsRankZeroOfOne) {
  Communicator& self = SelfCommunicator();
  EXPECT_EQ(self.rank(), 0);
  EXPECT_EQ(self.size(), 1);
  EXPECT_THAT(self.AllGather("text"), ElementsAre("text"));
  EXPECT_EQ(self.Broadcast("text"), "text");
}

TEST(LocalGroupTest, RanksAreNumbered) {
  LocalGroup group(3);
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(group.rank(rank).rank(), rank);
    EXPECT_EQ(group.rank(rank).size(), 3);
  }
}

TEST(LocalGroupTest, AnExchangeSwapsMessages) {
  for (const size_t length : {0, 1, 1000, 100000}) {
    SCOPED_TRACE(length);
    RunRanks(2, [&](Communicator& rank) {
      const int peer = 1 - rank.rank();
      std::vector<int32_t> sent(length), received(length, -1), expected(length);
      std::iota(sent.begin(), sent.end(), 1000 * rank.rank());
      std::iota(expected.begin(), expected.end(), 1000 * peer);
      const size_t bytes = length * sizeof(int32_t);
      rank.Complete({.peer = peer,
                     .tag = 5,
                     .send = sent.data(),
                     .send_bytes = bytes,
                     .receive = received.data(),
                     .receive_bytes = bytes});
      EXPECT_EQ(received, expected);
      return absl::OkStatus();
    });
  }
}

TEST(LocalGroupTest, MessagesMayDifferInLength) {
  RunRanks(2, [](Communicator& rank) {
    const std::string texts[] = {"short", "a longer message"};
    const std::string& sent = texts[rank.rank()];
    std::string received(texts[1 - rank.rank()].size(), ' ');
    rank.Complete({.peer = 1 - rank.rank(),
                   .send = sent.data(),
                   .send_bytes = sent.size(),
                   .receive = received.data(),
                   .receive_bytes = received.size()});
    EXPECT_EQ(received, texts[1 - rank.rank()]);
    return absl::OkStatus();
  });
}

// Tags keep exchanges apart that the ranks begin and complete in different
// orders; those of one tag keep their order.
TEST(LocalGroupTest, SeveralExchangesAreUnderWayAtOnce) {
  constexpr int kExchanges = 6, kTags = 3;
  RunRanks(2, [](Communicator& rank) {
    std::vector<int> sent(kExchanges), received(kExchanges, -1);
    std::vector<int> tickets(kExchanges);
    const bool reverses = rank.rank() == 1;
    for (int i = 0; i < kExchanges; ++i) {
      // The tags in the other order, the two of each tag in the same.
      const int tag = reverses ? kTags - 1 - i % kTags : i % kTags;
      const int number = i / kTags * kTags + tag;
      sent[number] = 10 * rank.rank() + number;
      tickets[number] = rank.Begin({.peer = 1 - rank.rank(),
                                    .tag = tag,
                                    .send = &sent[number],
                                    .send_bytes = sizeof(int),
                                    .receive = &received[number],
                                    .receive_bytes = sizeof(int)});
    }
    for (const int ticket : tickets) {
      rank.WaitFor([&] { return rank.IsDone(ticket); }, "an exchange",
                   1 - rank.rank());
    }
    for (int number = 0; number < kExchanges; ++number) {
      EXPECT_EQ(received[number], 10 * (1 - rank.rank()) + number);
    }
    return absl::OkStatus();
  });
}

TEST(CommunicatorTest, GathersTheTextsOfAnyNumberOfRanks) {
  for (const int ranks : {1, 2, 3, 4, 8}) {
    SCOPED_TRACE(absl::StrCat(ranks, " ranks"));
    const auto text = [](int rank) {
      // Rank 2's is empty, others differ in length.
      return rank == 2 ? "" : std::string(100 * rank + 1, 'a' + rank);
    };
    std::vector<std::string> expected;
    for (int rank = 0; rank < ranks; ++rank) expected.push_back(text(rank));
    RunRanks(ranks, [&](Communicator& rank) {
      EXPECT_EQ(rank.AllGather(text(rank.rank())), expected);
      // And again: nothing is left over.
      EXPECT_EQ(rank.AllGather(text(rank.rank())), expected);
      return absl::OkStatus();
    });
  }
}

TEST(CommunicatorTest, BroadcastsTheTextOfRankZero) {
  for (const int ranks : {1, 2, 3, 8}) {
    SCOPED_TRACE(absl::StrCat(ranks, " ranks"));
    const std::string bytes("of\0rank 0", 9);
    RunRanks(ranks, [&](Communicator& rank) {
      EXPECT_EQ(rank.Broadcast(rank.rank() == 0 ? bytes : "mine"), bytes);
      return absl::OkStatus();
    });
  }
}

TEST(CommunicatorTest, APeerThatDoesNotAnswerIsNamed) {
  LocalGroup group(4);
  const std::vector<absl::Status> results = group.Run([](Communicator& rank) {
    rank.set_timeout_seconds(rank.rank() == 1 ? 0.01 : 1e6);
    // The others do not even begin.
    if (rank.rank() == 1) rank.Complete({.peer = 3});
    return absl::OkStatus();
  });
  EXPECT_EQ(results[1],
            absl::DeadlineExceededError(
                "rank 1 of 4: expected an answer of rank 3 in an exchange, "
                "found none in 0.01 s (--mpi_timeout)"));
  for (const int rank : {0, 2, 3}) EXPECT_TRUE(results[rank].ok());
}

// Rank 2 waits for rank 3, and rank 0 for rank 2: all name rank 3.
TEST(CommunicatorTest, RanksThatWaitForWaitingRanksNameTheSilentOne) {
  LocalGroup group(4);
  const std::vector<absl::Status> results = group.Run([](Communicator& rank) {
    // How long the ranks may take to begin.
    rank.set_timeout_seconds(2);
    if (rank.rank() == 3) return absl::OkStatus();
    absl::Status status;
    try {
      rank.AllGather("text");
    } catch (...) {
      status = CaughtStatus("AllGather");
    }
    EXPECT_EQ(
        status,
        absl::DeadlineExceededError(absl::StrCat(
            "rank ", rank.rank(),
            " of 4: expected an answer of rank 3 in an exchange of texts, "
            "found none in 2 s (--mpi_timeout)")));
    return absl::OkStatus();
  });
  for (const absl::Status& status : results) EXPECT_TRUE(status.ok()) << status;
}

TEST(CommunicatorTest, WaitingNamesTheWork) {
  LocalGroup group(2);
  group.rank(0).set_timeout_seconds(0.01);
  try {
    group.rank(0).WaitFor([] { return false; }, "all-reduce 7", 1);
    ADD_FAILURE() << "expected an exception, found none";
  } catch (const StatusError& error) {
    EXPECT_STREQ(error.what(),
                 "rank 0 of 2: expected an answer of rank 1 in all-reduce 7, "
                 "found none in 0.01 s (--mpi_timeout)");
  }
}

TEST(LocalGroupTest, AnErrorOfOneRankEndsTheOthers) {
  LocalGroup group(4);
  const std::vector<absl::Status> results = group.Run([](Communicator& rank) {
    rank.set_timeout_seconds(1e6);
    if (rank.rank() == 2) return absl::DataLossError("a bad disk");
    // Wait for rank 2, or for one that waits for it.
    rank.AllGather("text");
    ADD_FAILURE() << "rank " << rank.rank() << " goes on";
    return absl::OkStatus();
  });
  EXPECT_EQ(results[2], absl::DataLossError("a bad disk"));
  for (const int rank : {0, 1, 3}) {
    EXPECT_EQ(results[rank], absl::DataLossError("rank 2: a bad disk"));
  }
}

TEST(LocalGroupTest, AnExceptionOfOneRankEndsTheOthers) {
  LocalGroup group(2);
  const std::vector<absl::Status> results = group.Run([](Communicator& rank) {
    rank.set_timeout_seconds(1e6);
    if (rank.rank() == 0) throw StatusError(absl::InternalError("thrown"));
    rank.Complete({.peer = 0});
    ADD_FAILURE() << "rank 1 goes on";
    return absl::OkStatus();
  });
  EXPECT_EQ(results[0], absl::InternalError("thrown"));
  EXPECT_EQ(results[1], absl::InternalError("rank 0: thrown"));
}

TEST(CommunicatorTest, KeepsVotesAndTheirCount) {
  LocalGroup group(1);
  Communicator& rank = group.rank(0);
  EXPECT_THAT(rank.votes(), ElementsAre(0, 0));
  rank.Vote(kBallotSave, true);
  EXPECT_THAT(rank.votes(), ElementsAre(0, 1));
  rank.Vote(kBallotSave, false);
  EXPECT_THAT(rank.votes(), ElementsAre(0, 0));
  EXPECT_EQ(rank.Votes(kBallotStop), 0);
  rank.set_counted({3, 0});
  EXPECT_EQ(rank.Votes(kBallotStop), 3);
  EXPECT_EQ(rank.Votes(kBallotSave), 0);
}

}  // namespace
}  // namespace tape
