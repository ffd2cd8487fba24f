// Matrix products by tiles (tile_product.h): over the rows of c, strip by strip and
// tile by tile; within a tile, over panels of columns. A block of b's terms stays in
// the second-level cache, the rows of op(a) in the first.
#include "ops/tile_product.h"

#include <algorithm>
#include <utility>

#include "ops/vector.h"

namespace tape {
namespace {

// A tile of r rows and v vectors loads r + v times for r v multiplications, so it
// is better square; with few rows it needs many vectors, lest each multiplication
// wait for the last.
int MostVectors(int64_t rows) {
  constexpr int64_t kRows = 4;
  int vectors = 1;
  while (MostRowsOfTile(vectors + 1) >= std::min(rows, kRows)) ++vectors;
  return vectors;
}

int64_t CeilingOf(int64_t x, int64_t y) { return (x + y - 1) / y; }

constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));
// Of a transposed a of bytes, so many columns at most become floats at once, in whole
// cache lines: four of them, put five apart, as a power of two would use but a part
// of the cache.
constexpr int64_t kLine = 16, kPackedColumns = 4 * kLine,
                  kPackedWidth = 5 * kLine;

}  // namespace

bool TileProduct::Suits(const onednn::MatMulShape& shape) {
  if (LanesOfTiles() == 0 || shape.in_bfloat16) return false;
  // Transposing a larger b takes longer than tiles save.
  constexpr int64_t kMostTransposed = 4096;
  if (shape.transpose_b) return shape.k * shape.n <= kMostTransposed;
  // As many vectors of AVX-512, or of AVX2, as are faster than oneDNN's products.
  if (LanesOfTiles() == 16) return shape.n <= 256;
  return shape.n > 1 && shape.n <= 48 && !(shape.transpose_a && shape.k >= 256);
}

TileProduct::TileProduct(const onednn::MatMulShape& shape, int64_t rows,
                         int64_t columns, int64_t width, onednn::Scales scales)
    : shape_(shape),
      rows_(rows),
      columns_(columns),
      width_(width),
      scales_(scales) {
  // Panels of about as many vectors each.
  const int64_t vectors = CeilingOf(columns, LanesOfTiles());
  const int64_t panels = CeilingOf(vectors, MostVectors(rows));
  tile_rows_ = MostRowsOfTile(static_cast<int>(CeilingOf(vectors, panels)));
  strips_ = !shape.bytes ? 1
                         : CeilingOf(rows, shape.transpose_a ? kPackedColumns
                                                             : tile_rows_);
  for (int64_t i = 0; i < panels; ++i) {
    const int64_t begin = vectors * i / panels * LanesOfTiles();
    const int64_t end =
        std::min(columns, vectors * (i + 1) / panels * LanesOfTiles());
    Panel& panel = panels_.emplace_back();
    panel.column = begin;
    panel.code.resize(tile_rows_ + 1);
    for (int64_t strip = 0; strip < strips_; ++strip) {
      const int64_t strip_rows = StripBegin(strip + 1) - StripBegin(strip);
      const int64_t tiles = CeilingOf(strip_rows, tile_rows_);
      for (const int64_t rows_of_tile :
           {strip_rows / tiles, CeilingOf(strip_rows, tiles)}) {
        TileCode& code = panel.code[rows_of_tile];
        if (code != nullptr) continue;
        code = TileCodeFor({static_cast<int>(rows_of_tile),
                            static_cast<int>(end - begin), shape.transpose_a});
      }
    }
  }
}

size_t TileProduct::scratch_bytes() const {
  int64_t floats = shape_.transpose_b ? shape_.k * columns_ : 0;
  const int64_t terms = std::min(shape_.k, kMostTerms);
  if (shape_.bytes) {
    floats += terms * (shape_.transpose_a ? kPackedWidth : tile_rows_);
  }
  return kFloatBytes * floats;
}

int64_t TileProduct::StripBegin(int64_t strip) const {
  const int64_t unit = shape_.bytes && shape_.transpose_a ? kLine : 1;
  return std::min(rows_, CeilingOf(rows_, unit) * strip / strips_ * unit);
}

void TileProduct::Run(const void* a, const float* b, float* c,
                      std::byte* scratch) const {
  auto* packed = reinterpret_cast<float*>(scratch);
  int64_t b_width = shape_.n;
  if (shape_.transpose_b) {
    vector::TransposeWords(reinterpret_cast<const uint32_t*>(b), shape_.k,
                           shape_.k, columns_,
                           reinterpret_cast<uint32_t*>(packed), columns_);
    b = packed;
    b_width = columns_;
    packed += shape_.k * columns_;
  }
  TileArguments arguments = {};
  arguments.b_step = b_width * kFloatBytes;
  arguments.c_step = width_ * kFloatBytes;
  arguments.product = static_cast<float>(scales_.product);
  arguments.addend = static_cast<float>(scales_.addend);
  const int64_t blocks = CeilingOf(shape_.k, kMostTerms);
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t term = shape_.k * block / blocks;
    arguments.terms = shape_.k * (block + 1) / blocks - term;
    arguments.b = b + term * b_width;
    for (int64_t strip = 0; strip < strips_; ++strip) {
      const int64_t row = StripBegin(strip);
      arguments.c = c + row * width_;
      RunStrip(PartOf(a, strip, term, arguments.terms, packed), arguments,
               StripBegin(strip + 1) - row);
    }
    arguments.addend = 1;
  }
}

TileProduct::Part TileProduct::PartOf(const void* a, int64_t strip,
                                      int64_t term, int64_t terms,
                                      float* packed) const {
  const int64_t row = StripBegin(strip);
  const int64_t width = shape_.StepOfA();
  const int64_t at =
      shape_.transpose_a ? term * width + row : row * width + term;
  if (!shape_.bytes) {
    return {static_cast<const float*>(a) + at, width * kFloatBytes};
  }
  // Rows and columns of a as it is stored.
  int64_t rows = StripBegin(strip + 1) - row, columns = terms;
  int64_t packed_width = columns;
  if (shape_.transpose_a) {
    std::swap(rows, columns);
    packed_width = kPackedWidth;
  }
  vector::ScaleBytes(static_cast<const uint8_t*>(a) + at, width, rows, columns,
                     shape_.byte_scale, packed, packed_width);
  return {packed, packed_width * kFloatBytes};
}

// Tiles of about as many rows each. `arguments`: of the strip's first row and first
// column.
void TileProduct::RunStrip(const Part& part, TileArguments arguments,
                           int64_t rows) const {
  const int64_t tiles = CeilingOf(rows, tile_rows_);
  const float* const b = arguments.b;
  float* const c = arguments.c;
  arguments.a_step = part.step;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t row = rows * tile / tiles;
    const int64_t tile_rows = rows * (tile + 1) / tiles - row;
    arguments.a =
        part.a + (shape_.transpose_a ? row : row * part.step / kFloatBytes);
    for (const Panel& panel : panels_) {
      arguments.b = b + panel.column;
      arguments.c = c + row * width_ + panel.column;
      panel.code[tile_rows](&arguments);
    }
  }
}

}  // namespace tape
