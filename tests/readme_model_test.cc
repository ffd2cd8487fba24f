// The README's model of one's own is trained and predicts.
#include <gtest/gtest.h>

#include <vector>

#include "framework/framework.h"
#include "ops/ops.h"

namespace {

// Prices that follow from the first of 13 features.
tape::DataTable Prices(int samples) {
  std::vector<float> features, prices;
  for (int i = 0; i < samples; ++i) {
    for (int k = 0; k < 13; ++k) {
      features.push_back(static_cast<float>((i * (k + 1)) % 11) / 11);
    }
    prices.push_back(3 * features[features.size() - 13] + 1);
  }
  return {.columns = {{"features", tape::Tensor({samples, 13}, features)},
                      {"price", tape::Tensor({samples, 1}, prices)}}};
}

// The README's lines, as a program's; 0 if all is as it should be.
int Program() {
  const tape::DataTable train = Prices(500), test = Prices(100);
  tape::DataTable others = Prices(7);
  others.columns.pop_back();
  tape::Progress progress(nullptr, 20, train.size());
#include "tests/readme_model.inc"
  const double before = result->history.front().test.reports[0].value;
  EXPECT_EQ(result->kept.test.reports[0].name, "rmse");
  EXPECT_LT(result->kept.test.reports[0].value, before / 2);
  if (!prices.ok()) return tape::Fail(prices.status());
  EXPECT_EQ(prices->Find("price")->shape(), tape::Shape({7, 1}));
  return 0;
}

TEST(ReadmeModelTest, ItsModelLearnsAndPredicts) { EXPECT_EQ(Program(), 0); }

}  // namespace
