// What is kept of a run beside its numbers (models/run_record.h).
#include "models/run_record.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tape {
namespace {

using ::testing::HasSubstr;

Dataset Samples(std::vector<int32_t> labels) {
  const auto size = static_cast<int64_t>(labels.size());
  return {.images = Tensor(TensorType{DType::kUint8, {size, 4}}),
          .labels = Tensor({size}, labels),
          .classes = 10};
}

RunSettings OddRun() {
  RunSettings run = {.experiment = *FindExperiment("mnist_h100", "as_written"),
                     .settings = (*FindExperiment("mnist_h100"))->defaults,
                     .seed = 18446744073709551615u};
  run.settings.learning_rate = 0.1 + 0.2;
  run.settings.l1 = 1e-7;
  run.settings.l2 = 1.0 / 3;
  run.settings.proximal_l1 = 5;
  run.settings.validation = 0.25;
  run.settings.stratification = Stratification::kByLabel;
  run.settings.train.epochs = 7;
  run.settings.train.batches.batch_size = 12345678901;
  run.settings.train.precision = Precision::kBFloat16;
  run.goes_back = true;
  run.settings.train.on_divergence = OnDivergence::kStop;
  run.returns = 3;
  return run;
}

TEST(RunRecordTest, ComesBackToTheBit) {
  const DataSplits data = {.train = Samples({1, 2}), .test = Samples({3})};
  const Metadata record = RunRecord(OddRun(), data);
  const absl::StatusOr<RunSettings> run = RunOfRecord(record, "a file");
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(RunRecord(*run, data), record);
  EXPECT_EQ(run->experiment->name, "mnist_h100");
  EXPECT_EQ(run->experiment->variant, "as_written");
  EXPECT_EQ(run->seed, 18446744073709551615u);
  EXPECT_EQ(run->settings.train.batches.seed, run->seed);
  EXPECT_EQ(run->settings.learning_rate, 0.1 + 0.2);
  EXPECT_EQ(run->settings.l1, 1e-7);
  EXPECT_EQ(run->settings.l2, 1.0 / 3);
  EXPECT_EQ(run->settings.proximal_l1, 5);
  EXPECT_EQ(run->settings.validation, 0.25);
  EXPECT_EQ(run->settings.train.epochs, 7);
  EXPECT_EQ(run->settings.stratification, Stratification::kByLabel);
  EXPECT_EQ(run->settings.train.batches.batch_size, 12345678901);
  EXPECT_EQ(run->settings.train.precision, Precision::kBFloat16);
  EXPECT_TRUE(run->goes_back);
  EXPECT_EQ(run->settings.train.on_divergence, OnDivergence::kStop);
  EXPECT_EQ(run->now().learning_rate, (0.1 + 0.2) / 8);
}

TEST(RunRecordTest, HasANameForEachWayOutOfADivergence) {
  RunSettings run = OddRun();
  for (const char* name : {"stop", "skip", "go_back", "go_on"}) {
    ASSERT_TRUE(SetOnDivergence(name, run));
    EXPECT_STREQ(NameOfOnDivergence(run), name);
  }
  EXPECT_FALSE(SetOnDivergence("panic", run));
  EXPECT_STREQ(NameOfOnDivergence(run), "go_on");
}

TEST(RunRecordTest, TellsDataApart) {
  const DataSplits data = {.train = Samples({1, 2}), .test = Samples({3})};
  const Metadata record = RunRecord(OddRun(), data);
  EXPECT_EQ(ValueOf(record, "pixels"), "4");
  EXPECT_THAT(std::string(ValueOf(record, "train_data")),
              testing::StartsWith("2 samples, CRC-32C "));
  EXPECT_EQ(ValueOf(record, "validation_data"), "");
  DataSplits other = data;
  other.train.labels.values<int32_t>()[1] = 3;
  EXPECT_NE(ValueOf(RunRecord(OddRun(), other), "train_data"),
            ValueOf(record, "train_data"));
  other = data;
  other.train.images.values<uint8_t>()[7] = 1;
  EXPECT_NE(ValueOf(RunRecord(OddRun(), other), "train_data"),
            ValueOf(record, "train_data"));
  EXPECT_EQ(ValueOf(RunRecord(OddRun(), other), "test_data"),
            ValueOf(record, "test_data"));
  other = {.train = data.train, .test = Samples({4})};
  EXPECT_NE(ValueOf(RunRecord(OddRun(), other), "test_data"),
            ValueOf(record, "test_data"));
  EXPECT_EQ(ValueOf(RunRecord(OddRun(), other), "train_data"),
            ValueOf(record, "train_data"));
  other.validation = Samples({1});
  EXPECT_NE(ValueOf(RunRecord(OddRun(), other), "validation_data"), "");
}

TEST(RunRecordTest, RefusesWhatIsNoRecord) {
  const Metadata record = RunRecord(
      OddRun(), DataSplits{.train = Samples({1}), .test = Samples({3})});
  const auto error = [&](const std::string& key, const std::string& value) {
    Metadata changed = record;
    for (auto& [name, text] : changed) {
      if (name == key) text = value;
    }
    return std::string(RunOfRecord(changed, "a file").status().message());
  };
  EXPECT_THAT(error("experiment", "fashion_nlp"),
              HasSubstr("a file: there is no experiment \"fashion_nlp\""));
  EXPECT_THAT(error("variant", "better"), HasSubstr("no variant \"better\""));
  EXPECT_THAT(error("epochs", "7x"),
              HasSubstr("a file: expected a number for \"epochs\", found "
                        "\"7x\""));
  EXPECT_THAT(error("seed", "-1"), HasSubstr("\"seed\""));
  EXPECT_THAT(error("l2", ""), HasSubstr("\"l2\""));
  EXPECT_THAT(error("on_divergence", "panic"), HasSubstr("\"panic\""));
  EXPECT_FALSE(RunOfRecord({}, "a file").ok());
}

}  // namespace
}  // namespace tape
