// Products by tiles (ops/tile_product.h) against the sums of fused multiply-adds that
// they stand for, bit for bit: all rests of rows, columns and terms, both
// transposes, scales, and bands of wider matrices.
#include "ops/tile_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/random.h"
#include "ops/onednn.h"

namespace tape {
namespace {

using onednn::MatMulShape;
using onednn::Scales;

// Uniform on [-1, 1).
std::vector<float> Random(int64_t count, uint64_t stream) {
  RandomStream random(1, stream);
  std::vector<float> numbers(count);
  for (float& x : numbers) x = static_cast<float>(2 * random.Uniform() - 1);
  return numbers;
}

// Element (row, column) of c, as tile_product.h says that it is made.
float Element(const MatMulShape& shape, const Scales& scales,
              const std::vector<float>& a, const std::vector<float>& b,
              float before, int64_t row, int64_t column) {
  const int64_t blocks =
      (shape.k + TileProduct::kMostTerms - 1) / TileProduct::kMostTerms;
  const auto product = static_cast<float>(scales.product);
  auto addend = static_cast<float>(scales.addend);
  float c = before;
  for (int64_t block = 0; block < blocks; ++block) {
    float sum = 0;
    for (int64_t k = shape.k * block / blocks;
         k < shape.k * (block + 1) / blocks; ++k) {
      sum = std::fma(
          a[shape.transpose_a ? k * shape.m + row : row * shape.k + k],
          b[shape.transpose_b ? column * shape.k + k : k * shape.n + column],
          sum);
    }
    c = addend == 0 ? sum * product : std::fma(c, addend, sum * product);
    addend = 1;
  }
  return c;
}

// The band of `rows` by `columns` from (row, column) on, alone in memory that ends
// where the band does.
void ExpectBand(const MatMulShape& shape, const Scales& scales, int64_t row,
                int64_t rows, int64_t column, int64_t columns) {
  SCOPED_TRACE(absl::StrCat(
      "m ", shape.m, " k ", shape.k, " n ", shape.n, " transposes ",
      shape.transpose_a, shape.transpose_b, " scales ", scales.product, ", ",
      scales.addend, " band ", row, "+", rows, ", ", column, "+", columns));
  const std::vector<float> a = Random(shape.m * shape.k, 1);
  const std::vector<float> b = Random(shape.k * shape.n, 2);
  std::vector<float> c = Random(rows * shape.n, 3);
  // What is not the band's own, and what is not read.
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  for (int64_t i = 0; i < rows * shape.n; ++i) {
    const bool inside = i % shape.n >= column && i % shape.n < column + columns;
    if (!inside || scales.addend == 0) c[i] = kNaN;
  }
  const std::vector<float> before = c;
  const TileProduct product(shape, rows, columns, shape.n, scales);
  std::vector<std::byte> scratch(product.scratch_bytes());
  product.Run(a.data() + row * (shape.transpose_a ? 1 : shape.k),
              b.data() + column * (shape.transpose_b ? shape.k : 1),
              c.data() + column, scratch.data());
  int wrong = 0;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < shape.n; ++j) {
      const int64_t at = i * shape.n + j;
      if (j < column || j >= column + columns) {
        wrong += !std::isnan(c[at]);
      } else {
        wrong += c[at] != Element(shape, scales, a, b, before[at], row + i, j);
      }
    }
  }
  EXPECT_EQ(wrong, 0);
}

class TileProductTest : public testing::Test {
 protected:
  void SetUp() override {
    if (LanesOfTiles() == 0) GTEST_SKIP() << "no machine code for tiles here";
  }
};

TEST_F(TileProductTest, IsMadeOfTheSameOperationsForAllSizes) {
  for (int64_t n = 1; n <= 34; ++n) {
    for (int64_t m : {1, 2, 3, 5, 14, 29}) {
      for (bool transpose_a : {false, true}) {
        ExpectBand({m, 1 + (m * n) % 7, n, transpose_a, false}, {}, 0, m, 0, n);
      }
    }
  }
  for (int64_t n : {40, 100, 129, 250, 256}) {
    for (bool transpose_a : {false, true}) {
      for (bool transpose_b : {false, true}) {
        ExpectBand({37, 20, n, transpose_a, transpose_b}, {}, 0, 37, 0, n);
      }
    }
  }
}

TEST_F(TileProductTest, AddsBlocksOfTermsInOrder) {
  for (int64_t k : {511, 512, 513, 1024, 1500}) {
    for (bool transpose_a : {false, true}) {
      ExpectBand({9, k, 21, transpose_a, false}, {}, 0, 9, 0, 21);
      ExpectBand({9, k, 21, transpose_a, false},
                 {.product = 0.3, .addend = -0.7}, 0, 9, 0, 21);
    }
  }
}

TEST_F(TileProductTest, ScalesAndAdds) {
  for (const Scales& scales : {Scales{.product = 2},
                               {.product = -0.1, .addend = 0.998},
                               {.product = 1, .addend = 1},
                               {.product = 3, .addend = -0.0}}) {
    for (int64_t n : {3, 8, 10, 16, 24, 41}) {
      ExpectBand({6, 11, n, true, false}, scales, 0, 6, 0, n);
    }
  }
}

TEST_F(TileProductTest, MakesBandsOfWiderMatrices) {
  for (bool transpose_a : {false, true}) {
    for (bool transpose_b : {false, true}) {
      const MatMulShape shape = {50, 13, 90, transpose_a, transpose_b};
      ExpectBand(shape, {}, 16, 20, 0, 90);
      ExpectBand(shape, {.product = 0.5, .addend = 2}, 16, 20, 32, 58);
      ExpectBand(shape, {}, 0, 50, 16, 17);
    }
  }
}

}  // namespace
}  // namespace tape
