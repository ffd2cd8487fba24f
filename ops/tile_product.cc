// Matrix products by tiles (tile_product.h): over the rows of a, strip by strip;
// within a strip, over panels of columns of b. A block of b's terms stays in the
// second-level cache, a strip's in the first.
#include "ops/tile_product.h"

#include <algorithm>

#include "ops/vector.h"

namespace tape {
namespace {

int64_t CeilingOf(int64_t x, int64_t y) { return (x + y - 1) / y; }

// A tile of r rows and v vectors loads r + v times for r v multiplications, so it
// is better square; with few rows it needs many vectors, lest each multiplication
// wait for the last.
int MostVectors(int64_t rows) {
  constexpr int64_t kRows = 4;
  int vectors = 1;
  while (MostRowsOfTile(vectors + 1) >= std::min(rows, kRows)) ++vectors;
  return vectors;
}

}  // namespace

bool TileProduct::Suits(const onednn::MatMulShape& shape) {
  if (LanesOfTiles() == 0 || shape.in_bfloat16 || shape.n == 1) return false;
  // A larger b takes longer to transpose than is won.
  constexpr int64_t kMostTransposed = 4096;
  if (shape.transpose_b) return shape.k * shape.n <= kMostTransposed;
  // As many vectors of AVX-512, or of AVX2, as are faster than oneDNN's products.
  return shape.n <= (LanesOfTiles() == 16 ? 256 : 48);
}

TileProduct::TileProduct(const onednn::MatMulShape& shape, int64_t rows,
                         int64_t columns, int64_t width, onednn::Scales scales)
    : shape_(shape),
      rows_(rows),
      columns_(columns),
      width_(width),
      scales_(scales) {
  // Panels of about as many vectors each, and tiles of about as many rows.
  const int64_t vectors = CeilingOf(columns, LanesOfTiles());
  const int64_t panels = CeilingOf(vectors, MostVectors(rows));
  const auto vectors_of_panel = static_cast<int>(CeilingOf(vectors, panels));
  tiles_ = CeilingOf(rows, MostRowsOfTile(vectors_of_panel));
  const auto rows_of_tile = static_cast<int>(CeilingOf(rows, tiles_));
  for (int64_t i = 0; i < panels; ++i) {
    const int64_t begin = vectors * i / panels * LanesOfTiles();
    const int64_t end =
        std::min(columns, vectors * (i + 1) / panels * LanesOfTiles());
    const TileShape tile = {rows_of_tile, static_cast<int>(end - begin),
                            shape.transpose_a};
    TileShape fewer = tile;
    --fewer.rows;
    panels_.push_back(
        {begin, TileCodeFor(tile),
         tiles_ * rows_of_tile == rows ? nullptr : TileCodeFor(fewer)});
  }
}

size_t TileProduct::scratch_bytes() const {
  return shape_.transpose_b ? sizeof(float) * shape_.k * columns_ : 0;
}

void TileProduct::Run(const float* a, const float* b, float* c,
                      std::byte* scratch) const {
  int64_t b_width = shape_.n;
  if (shape_.transpose_b) {
    auto* const transposed = reinterpret_cast<float*>(scratch);
    vector::TransposeWords(reinterpret_cast<const uint32_t*>(b), shape_.k,
                           shape_.k, columns_,
                           reinterpret_cast<uint32_t*>(transposed), columns_);
    b = transposed;
    b_width = columns_;
  }
  const int64_t a_width = shape_.transpose_a ? shape_.m : shape_.k;
  const int64_t a_row = shape_.transpose_a ? 1 : a_width;
  const int64_t a_term = shape_.transpose_a ? a_width : 1;
  const int64_t blocks = CeilingOf(shape_.k, kMostTerms);
  const int64_t rows_of_tile = CeilingOf(rows_, tiles_);
  const int64_t whole_tiles = rows_ - tiles_ * (rows_of_tile - 1);
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t term = shape_.k * block / blocks;
    const int64_t terms = shape_.k * (block + 1) / blocks - term;
    int64_t row = 0;
    for (int64_t tile = 0; tile < tiles_; ++tile) {
      const bool is_whole = tile < whole_tiles;
      for (const Panel& panel : panels_) {
        const TileArguments arguments = {
            .a = a + row * a_row + term * a_term,
            .b = b + term * b_width + panel.column,
            .c = c + row * width_ + panel.column,
            .terms = terms,
            .a_step = a_width * static_cast<int64_t>(sizeof(float)),
            .b_step = b_width * static_cast<int64_t>(sizeof(float)),
            .c_step = width_ * static_cast<int64_t>(sizeof(float)),
            .product = static_cast<float>(scales_.product),
            .addend = block == 0 ? static_cast<float>(scales_.addend) : 1};
        (is_whole ? panel.code : panel.code_of_fewer)(&arguments);
      }
      row += is_whole ? rows_of_tile : rows_of_tile - 1;
    }
  }
}

}  // namespace tape
