// The state of a run as JSON (framework/train/training_state.h).
#include "framework/train/training_state.h"

#include <cmath>
#include <limits>
#include <string>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tape {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// One in which no member has its default.
TrainingState Odd() {
  TrainingState state;
  state.step = 123456789012;
  state.epoch = 7;
  state.pass = {.samples = 96,
                .weight = 3,
                .loss = 0.1 + 0.2,
                .accuracy = 1e-310,
                .reports = {kInfinity, -0.0},
                .metrics = {0.25, 1e300},
                .seconds = 1.5,
                .learning_rate = 0.01};
  state.batches = {.epoch = 7,
                   .samples = 96,
                   .random = std::numeric_limits<uint64_t>::max()};
  state.losses = {.recent = {0.1f, 3e-45f},
                  .first = 2.3f,
                  .beginning = {2.3f, 0.1f},
                  .bad = 4,
                  .bad_in_a_row = 2};
  state.early_stopping = {.best = 0.7, .failures = 3};
  state.stopped_early = true;
  const EpochResult epoch = {
      .train = {.epoch = 6,
                .split = "train",
                .loss = kNotMeasured,
                .accuracy = 1.0 / 3,
                .learning_rate = -kInfinity,
                .seconds = 0.25,
                .reports = {{"penalty", 5e300}, {"penalty", 1}}},
      .validation = EpochMetrics{.epoch = 6, .split = "validation"},
      .test = {.epoch = 6, .split = "test", .loss = 2}};
  state.kept = epoch;
  state.history = {epoch, {.train = {.epoch = 7}}};
  state.confusion = ConfusionMatrix(2);
  EXPECT_TRUE(state.confusion.Add(1, 0, 42).ok());
  state.not_good = {40, 50};
  state.seconds = 10;
  state.training_seconds = 9;
  state.training_samples = 8;
  return state;
}

TEST(TrainingStateTest, ComesBackToTheBit) {
  const std::string text = ToJson(Odd());
  const absl::StatusOr<TrainingState> read = TrainingStateFromJson(text);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ToJson(*read), text);

  EXPECT_EQ(read->step, 123456789012);
  EXPECT_EQ(read->epoch, 7);
  EXPECT_EQ(read->pass.loss, 0.1 + 0.2);
  EXPECT_EQ(read->pass.accuracy, 1e-310);
  EXPECT_THAT(read->pass.reports, ElementsAre(kInfinity, 0));
  EXPECT_THAT(read->pass.metrics, ElementsAre(0.25, 1e300));
  EXPECT_TRUE(std::signbit(read->pass.reports[1]));
  EXPECT_EQ(read->batches.random, std::numeric_limits<uint64_t>::max());
  EXPECT_THAT(read->losses.recent, ElementsAre(0.1f, 3e-45f));
  EXPECT_EQ(read->losses.bad_in_a_row, 2);
  EXPECT_EQ(read->early_stopping.best, 0.7);
  EXPECT_TRUE(read->stopped_early);
  ASSERT_EQ(read->history.size(), 2u);
  EXPECT_TRUE(std::isnan(read->history[0].train.loss));
  EXPECT_EQ(read->history[0].train.learning_rate, -kInfinity);
  EXPECT_EQ(read->history[0].train.reports[0].name, "penalty");
  EXPECT_EQ(read->history[0].train.reports[0].value, 5e300);
  ASSERT_TRUE(read->history[0].validation.has_value());
  EXPECT_EQ(read->history[0].validation->split, "validation");
  EXPECT_FALSE(read->history[1].validation.has_value());
  EXPECT_EQ(read->kept.test.loss, 2);
  EXPECT_EQ(read->confusion.classes(), 2);
  EXPECT_EQ(read->confusion.count(1, 0), 42);
  EXPECT_EQ(read->training_samples, 8);
  EXPECT_THAT(read->losses.beginning, ElementsAre(2.3f, 0.1f));
  EXPECT_THAT(read->not_good, ElementsAre(40, 50));
}

TEST(TrainingStateTest, IsReadFromEarlierVersions) {
  const std::string text = absl::StrReplaceAll(
      ToJson(Odd()),
      {{"\"not_good\":[40,50],", ""},
       {"\"beginning\":[2.299999952316284,0.10000000149011612],", ""}});
  EXPECT_THAT(text, Not(HasSubstr("not_good")));
  EXPECT_THAT(text, Not(HasSubstr("beginning")));
  const absl::StatusOr<TrainingState> read = TrainingStateFromJson(text);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->losses.first, 2.3f);
  EXPECT_TRUE(read->losses.beginning.empty());
  EXPECT_TRUE(read->not_good.empty());
}

TEST(TrainingStateTest, HasAllItsMembers) {
  const std::string metrics =
      R"({"epoch":0,"split":"","loss":"nan","accuracy":"nan",)"
      R"("learning_rate":"nan","seconds":"nan","reports":[]})";
  EXPECT_EQ(
      ToJson(TrainingState()),
      R"({"step":0,"epoch":1,"pass":{"samples":0,"weight":0.0,"loss":0.0,)"
      R"("accuracy":0.0,"reports":[],"metrics":[],"seconds":0.0,)"
      R"("learning_rate":"nan"},)"
      R"("batches":{"epoch":0,"samples":0,"random":0},)"
      R"("losses":{"recent":[],"first":0.0,"beginning":[],"bad":0,)"
      R"("bad_in_a_row":0},)"
      R"("early_stopping":{"best":null,"failures":0},)"
      R"("stopped_early":false,"history":[],"kept":{"train":)" +
          metrics + R"(,"validation":null,"test":)" + metrics +
          R"(},"confusion":[[0]],"not_good":[],"seconds":0.0,)"
          R"("training_seconds":0.0,)"
          R"("training_samples":0})");
}

TEST(TrainingStateTest, RefusesWhatIsNoState) {
  const std::string text = ToJson(Odd());
  for (const char* other : {"", "[]", "7", "{", "{}"}) {
    EXPECT_FALSE(TrainingStateFromJson(other).ok()) << other;
  }
  const auto error = [&](const char* from, const char* to) {
    const std::string changed = absl::StrReplaceAll(text, {{from, to}});
    EXPECT_NE(changed, text);
    const absl::Status status = TrainingStateFromJson(changed).status();
    EXPECT_FALSE(status.ok()) << to;
    return std::string(status.message());
  };
  EXPECT_THAT(error("\"step\":", "\"stop\":"),
              HasSubstr("expected \"step\" of the state of a run, found no"));
  EXPECT_THAT(error("\"step\":", "\"step\":-"), HasSubstr("another kind"));
  EXPECT_THAT(error("\"stopped_early\":true", "\"stopped_early\":1"),
              HasSubstr("\"stopped_early\""));
  EXPECT_THAT(error("\"-inf\"", "\"low\""), HasSubstr("\"history\""));
  EXPECT_THAT(error("[42,0]", "[42]"), HasSubstr("\"confusion\""));
  EXPECT_THAT(error("[42,0]", "[42,0,0]"), HasSubstr("\"confusion\""));
  EXPECT_THAT(error("\"epoch\":7", "\"epoch\":2147483648"),
              HasSubstr("\"epoch\""));
  EXPECT_THAT(error("\"failures\":3", "\"failures\":4294967296"),
              HasSubstr("\"early_stopping\""));
}

}  // namespace
}  // namespace tape
