// Machine code for a tile of a matrix product: a few rows of c by a few vectors of
// its columns, whose sums stay in registers while the terms go by. Tested by
// tests/ops/tile_product_test.cc.
#ifndef TAPE_OPS_TILE_CODE_H_
#define TAPE_OPS_TILE_CODE_H_

#include <compare>
#include <cstdint>

namespace tape {

// c = product a b + addend c; c is not read if `addend` is 0. Each element is the
// sum of its terms in order, each added by a fused multiply-add, whatever the tile.
struct TileArguments {
  const float* a;
  const float* b;
  float* c;
  int64_t terms;  // At least 1.
  // Bytes from a row of a to the next, or from a column if it is transposed; and
  // between rows of b and c.
  int64_t a_step, b_step, c_step;
  float product, addend;
};

struct TileShape {
  int rows, columns;  // Of c.
  bool transposed;    // a has a row for each term, not for each row of c.
  auto operator<=>(const TileShape&) const = default;
};

using TileCode = void (*)(const TileArguments* arguments);

// The code, made when it is first asked for, and kept. Throws std::runtime_error if
// the system gives no memory for code. Only where LanesOfTiles() is not 0, for
// shapes that have a row, a column, and no more rows than MostRowsOfTile.
TileCode TileCodeFor(const TileShape& shape);

// Columns of a vector, by the processor's best instructions: 16, 8, or 0 where there
// is no machine code for tiles.
int LanesOfTiles();

// How many rows a tile may have of so many vectors of columns; 0 if that is more
// vectors than it may have.
int MostRowsOfTile(int vectors);

}  // namespace tape

#endif  // TAPE_OPS_TILE_CODE_H_
