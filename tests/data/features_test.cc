// From tables to numbers (framework/data/features.h).
#include "framework/data/features.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace tape {
namespace {

using Numbers = std::vector<float>;
using Texts = std::vector<std::string>;
constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

Tabular Training() {
  return {.columns = {{.name = "id",
                       .categories = {0, 1, 2, 3},
                       .values = {"p", "q", "r", "s"}},
                      {.name = "height", .numbers = {1, 3, kMissing, 5}},
                      {.name = "constant", .numbers = {7, 7, 7, 7}},
                      {.name = "colour",
                       .categories = {1, 0, -1, 1},
                       .values = {"red", "blue"}}},
          .rows = 4};
}

Numbers Values(const absl::StatusOr<Tensor>& tensor) {
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  if (!tensor.ok()) return {};
  const auto values = tensor->values<float>();
  return {values.begin(), values.end()};
}

TEST(FeaturesTest, AreFittedOnTheTrainingRows) {
  const auto features = Features::Fit(Training(), {.most_categories = 3});
  ASSERT_TRUE(features.ok()) << features.status();
  EXPECT_EQ(features->left_out(), Texts{"id"});
  EXPECT_EQ(features->names(),
            (Texts{"height", "constant", "colour=blue", "colour=red"}));
  // Height: mean 3, filled in 3, variance (4 + 0 + 0 + 4) / 4 = 2.
  const float one = static_cast<float>(2 / std::sqrt(2.0));
  EXPECT_EQ(Values(features->Apply(Training())), (Numbers{-one, 0, 1, 0,  //
                                                          0, 0, 0, 1,     //
                                                          0, 0, 0, 0,     //
                                                          one, 0, 1, 0}));

  // Other rows, in other columns, with a colour that is not known.
  const Tabular test = {
      .columns = {{.name = "colour",
                   .categories = {0, 1},
                   .values = {"green", "red"}},
                  {.name = "constant", .numbers = {8, kMissing}},
                  {.name = "more", .numbers = {1, 2}},
                  {.name = "height", .numbers = {kMissing, 1}}},
      .rows = 2};
  EXPECT_EQ(Values(features->Apply(test)),
            (Numbers{0, 1, 0, 0, -one, 0, 0, 1}));

  // As they were kept.
  const auto again = Features::FromJson(features->ToJson());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(Values(again->Apply(test)), Values(features->Apply(test)));
}

TEST(FeaturesTest, HaveOtherScales) {
  const auto between = Features::Fit(
      Training(), {.leave_out = {"id", "colour"}, .scaling = Scaling::kMinMax});
  ASSERT_TRUE(between.ok()) << between.status();
  EXPECT_EQ(Values(between->Apply(Training())),
            (Numbers{0, 0, 0.5f, 0, 0.5f, 0, 1, 0}));
  const auto plain = Features::Fit(
      Training(), {.leave_out = {"id", "colour"}, .scaling = Scaling::kNone});
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(Values(plain->Apply(Training())),
            (Numbers{1, 7, 3, 7, 3, 7, 5, 7}));
}

TEST(FeaturesTest, MistakesNameTheColumn) {
  const auto error = [](const auto& result) {
    return std::string(result.status().message());
  };
  EXPECT_EQ(error(Features::Fit(Training(), {.leave_out = {"weight"}})),
            "expected a column \"weight\", found \"id\", \"height\", "
            "\"constant\", \"colour\"");
  EXPECT_EQ(
      error(Features::Fit(Training(), {.leave_out = {"height", "constant"},
                                       .most_categories = 1})),
      "expected a column of numbers, or of at most 1 categories, to "
      "learn from, found none in \"id\", \"height\", \"constant\", "
      "\"colour\"");
  const auto features = Features::Fit(Training());
  ASSERT_TRUE(features.ok());
  Tabular other = Training();
  other.columns[1] = {
      .name = "height", .categories = {-1, 0, 0, 0}, .values = {"tall"}};
  EXPECT_EQ(error(features->Apply(other)),
            "column \"height\", row 3: expected numbers, as the training rows "
            "had, found \"tall\"");
  other = Training();
  other.columns[3] = {.name = "colour", .numbers = {1, 2, 3, 4}};
  EXPECT_EQ(error(features->Apply(other)),
            "column \"colour\": expected categories, as the training rows had, "
            "found numbers (TabularOptions::categories)");
  other.columns.pop_back();
  EXPECT_EQ(error(features->Apply(other)),
            "expected a column \"colour\", found \"id\", \"height\", "
            "\"constant\"");
  for (const char* json : {"", "{}", "[{}]", "[{\"column\":1}]", "3"}) {
    const auto read = Features::FromJson(json);
    if (std::string(json) == "{}") continue;  // No column: refused by its use.
    EXPECT_FALSE(read.ok()) << json;
  }
}

TEST(FeaturesTest, LabelsAreClasses) {
  const auto error = [](const auto& result) {
    return std::string(result.status().message());
  };
  Tabular table = Training();
  table.columns[3].categories[2] = 0;
  const auto classes = ClassesOf(table, "colour");
  ASSERT_TRUE(classes.ok());
  EXPECT_EQ(*classes, (Texts{"blue", "red"}));
  const auto labels = EncodeLabels(table, "colour", *classes);
  ASSERT_TRUE(labels.ok()) << labels.status();
  const auto values = labels->values<int32_t>();
  EXPECT_EQ(std::vector<int32_t>(values.begin(), values.end()),
            (std::vector<int32_t>{0, 1, 1, 0}));
  EXPECT_EQ(error(EncodeLabels(Training(), "colour", *classes)),
            "column \"colour\", row 4: expected one of the classes blue, red, "
            "found nothing");
  EXPECT_EQ(error(EncodeLabels(table, "colour", {"red", "white"})),
            "column \"colour\", row 2: expected one of the classes red, white, "
            "found \"blue\"");

  // Whole numbers, by value.
  table.columns[1].numbers = {10, 2, 10, 1};
  EXPECT_EQ(*ClassesOf(table, "height"), (Texts{"1", "2", "10"}));
  table.columns[1].numbers[1] = 2.5f;
  EXPECT_EQ(error(ClassesOf(table, "height")),
            "column \"height\", row 3: expected a class, a word or a whole "
            "number, found 2.5");
}

TEST(FeaturesTest, TargetsAreNumbers) {
  const auto error = [](const auto& result) {
    return std::string(result.status().message());
  };
  EXPECT_EQ(Values(NumbersOf(Training(), "constant")), (Numbers{7, 7, 7, 7}));
  EXPECT_EQ(error(NumbersOf(Training(), "height")),
            "column \"height\", row 4: expected a number, found nothing");
  EXPECT_EQ(error(NumbersOf(Training(), "id")),
            "column \"id\": expected numbers, found \"p\"");
}

}  // namespace
}  // namespace tape
