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
  const std::string number =
      R"({"column":"a","fill":0,"shift":0,"scale":1,"categories":[],)"
      R"("has_numbers":true})";
  EXPECT_TRUE(Features::FromJson("[" + number + "]").ok());
  for (const std::string& json :
       {std::string(), std::string("{}"), std::string("[]"),
        std::string("null"), std::string("[{}]"),
        std::string(R"([{"column":1}])"), "[" + number + "," + number + "]",
        std::string(R"([{"column":"a","fill":0,"shift":0,"scale":0,)"
                    R"("categories":[],"has_numbers":true}])"),
        std::string(R"([{"column":"a","fill":0,"shift":0,"scale":1,)"
                    R"("categories":["y","x"],"has_numbers":false}])")}) {
    const auto read = Features::FromJson(json);
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << json;
  }
}

TEST(FeaturesTest, ColumnsMayBeMissingAltogether) {
  const Tabular table = {
      .columns = {{.name = "zip", .categories = {-1, -1}, .values = {}},
                  {.name = "b", .numbers = {1, 3}}},
      .rows = 2};
  const auto features = Features::Fit(table);
  ASSERT_TRUE(features.ok()) << features.status();
  EXPECT_EQ(features->left_out(), Texts{"zip"});
  EXPECT_EQ(Values(features->Apply(table)), (Numbers{-1, 1}));
  // Numbers at training, all missing among categories later.
  Tabular later = table;
  later.columns[1] = {.name = "b", .categories = {-1, -1}};
  EXPECT_EQ(Values(features->Apply(later)), (Numbers{0, 0}));
}

TEST(FeaturesTest, TablesThatDoNotAgreeWithThemselvesAreRefused) {
  Tabular table = Training();
  table.rows = 5;
  const std::string expected =
      "column \"id\": expected a cell for each of 5 rows, found 4";
  EXPECT_EQ(Features::Fit(table).status().message(), expected);
  EXPECT_EQ(NumbersOf(table, "height").status().message(), expected);
  EXPECT_EQ(EncodeLabels(table, "colour", {"red"}).status().message(),
            expected);
  EXPECT_EQ(ClassesOf(table, "colour").status().message(), expected);
  table = Training();
  table.columns[3].categories[0] = 2;
  EXPECT_EQ(Features::Fit(table).status().message(),
            "column \"colour\": expected categories below 2, found 2");
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
            "number below 2^53, found 2.5");
  table.columns[1].numbers = {-0.0, 0, 1, 0x1p53};
  EXPECT_EQ(error(ClassesOf(table, "height")),
            "column \"height\", row 5: expected a class, a word or a whole "
            "number below 2^53, found 9007199254740992");
  table.columns[1].numbers[3] = 1;
  const auto signed_zero = ClassesOf(table, "height");
  ASSERT_TRUE(signed_zero.ok());
  EXPECT_EQ(*signed_zero, (Texts{"0", "1"}));
  EXPECT_TRUE(EncodeLabels(table, "height", *signed_zero).ok());
}

TEST(FeaturesTest, TargetsAreNumbers) {
  const auto error = [](const auto& result) {
    return std::string(result.status().message());
  };
  EXPECT_EQ(Values(NumbersOf(Training(), "constant")), (Numbers{7, 7, 7, 7}));
  EXPECT_EQ(error(NumbersOf(Training(), "height")),
            "column \"height\", row 4: expected a number, found nothing");
  EXPECT_EQ(error(NumbersOf(Training(), "id")),
            "column \"id\", row 2: expected numbers, found \"p\"");
}

}  // namespace
}  // namespace tape
