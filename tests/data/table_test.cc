// Named columns (framework/data/table.h), and batches of them.
#include "framework/data/table.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/data/batches.h"

namespace tape {
namespace {

DataTable Counting(int samples) {
  std::vector<float> x;
  std::vector<int32_t> y;
  std::vector<uint8_t> z;
  for (int i = 0; i < samples; ++i) {
    for (int k = 0; k < 6; ++k) x.push_back(10.0f * i + k);
    y.push_back(i);
    z.push_back(static_cast<uint8_t>(i));
  }
  return {.columns = {{"x", Tensor({samples, 2, 3}, x)},
                      {"y", Tensor({samples}, y)},
                      {"z", Tensor({samples, 1}, z)}}};
}

TEST(DataTableTest, ColumnsHaveNames) {
  const DataTable table = Counting(3);
  EXPECT_EQ(table.size(), 3);
  EXPECT_EQ(table.Find("y"), &table.columns[1].values);
  EXPECT_EQ(table.Find("w"), nullptr);
  EXPECT_EQ(DataTable().size(), 0);
  EXPECT_TRUE(CheckDataTable(table).ok());
  EXPECT_TRUE(CheckDataTable(DataTable()).ok());
}

TEST(DataTableTest, BatchesKeepASamplesColumnsTogether) {
  const DataTable table = Counting(10);
  for (Order order : {Order::kFixed, Order::kShuffled, Order::kSampled}) {
    Batches batches(table, {.batch_size = 4, .order = order});
    ASSERT_TRUE(batches.status().ok()) << batches.status();
    std::vector<int> sizes;
    while (const std::optional<Batch> batch = batches.Next()) {
      sizes.push_back(static_cast<int>(batch->size));
      ASSERT_EQ(batch->columns.size(), 3u);
      EXPECT_EQ(batch->columns[0].shape(), Shape({batch->size, 2, 3}));
      const auto x = batch->columns[0].values<float>();
      const auto y = batch->columns[1].values<int32_t>();
      const auto z = batch->columns[2].values<uint8_t>();
      for (int64_t i = 0; i < batch->size; ++i) {
        for (int k = 0; k < 6; ++k) EXPECT_EQ(x[6 * i + k], 10.0f * y[i] + k);
        EXPECT_EQ(z[i], y[i]);
      }
    }
    EXPECT_EQ(sizes, order == Order::kSampled ? std::vector<int>({4, 4})
                                              : std::vector<int>({4, 4, 2}));
  }
}

TEST(DataTableTest, MistakesNameTheColumn) {
  struct Case {
    DataTable table;
    std::string expected;
  };
  const Tensor three({3}, std::vector<float>{1, 2, 3});
  const Tensor two({2}, std::vector<float>{1, 2});
  const Tensor one({}, std::vector<float>{1});
  const std::vector<Case> cases = {
      {{.columns = {{"", three}}}, "expected a name of a column, found none"},
      {{.columns = {{"x", three}, {"x", three}}},
       "column \"x\" is there twice"},
      {{.columns = {{"x", three}, {"y", two}}},
       "column \"y\": expected 3 samples, as column \"x\" has, found 2"},
      {{.columns = {{"x", one}}},
       "column \"x\": expected an axis of samples, found a single number"},
      {{.columns = {{"x", Tensor(TensorType{DType::kFloat64, {3}})}}},
       "column \"x\": expected a dtype of inputs, found float64"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(CheckDataTable(c.table).message(), c.expected);
    EXPECT_EQ(Batches(c.table, {}).status().message(), c.expected);
  }
}

TEST(DataTableTest, AChangedTableEndsItsBatches) {
  DataTable table = Counting(4);
  Batches batches(table, {.batch_size = 2});
  ASSERT_TRUE(batches.Next().has_value());
  table.columns[1].values = Tensor({3}, std::vector<int32_t>{1, 2, 3});
  EXPECT_FALSE(batches.Next().has_value());
  EXPECT_EQ(batches.status().message(),
            "expected the data set that the batches were made of, x [4,2,3] "
            "and y int32[4] and z uint8[4,1], found it changed to [4,2,3] and "
            "int32[3] and uint8[4,1]");
}

TEST(DataTableTest, AColumnThatHasGoneEndsTheBatches) {
  for (const size_t left : {0, 2}) {
    DataTable table = Counting(4);
    Batches batches(table, {.batch_size = 2});
    ASSERT_TRUE(batches.Next().has_value());
    table.columns.resize(left);
    EXPECT_FALSE(batches.Next().has_value());
    EXPECT_EQ(batches.status().code(), absl::StatusCode::kFailedPrecondition);
  }
  // Or lies elsewhere.
  DataTable table = Counting(4);
  Batches batches(table, {.batch_size = 2});
  table.columns.reserve(100);
  ASSERT_TRUE(batches.Next().has_value());
}

}  // namespace
}  // namespace tape
