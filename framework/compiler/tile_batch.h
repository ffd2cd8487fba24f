// TILE THE BATCH: where the batch is large, forward and backward are run for
// some rows of it at a time, so that what lies between the inputs and the sums
// over the batch never leaves the cache. Tested by tests/tile_test.cc.
//
// Most values of a training step have a row for each sample, and each row
// follows from the same row of other values. What comes of all rows in the end
// are sums: a weight's gradient, a loss. So the rows can be cut into tiles:
// each is run by a program of its own, with as many rows as a tile has, whose
// variables are the sums so far.
#ifndef TAPE_FRAMEWORK_COMPILER_TILE_H_
#define TAPE_FRAMEWORK_COMPILER_TILE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "framework/compiler/program.h"

namespace tape {

// The op of Tiling::tiles, and of what is made of it: attributes.depth says
// which of the sums, or, if attributes.axis is 1, of the gathered values.
// Neither has a kernel of its own: tiles.h makes them.
extern const OpDef kTiles;
extern const OpDef kOfTiles;

// A program cut in two: what is done tile by tile, and the rest of it.
struct Tiling {
  // The old program with the part in tiles replaced by a node `tiles`, which
  // reads what that part reads from outside. Nodes of what the rest needs of it
  // follow and read `tiles`.
  Program outer;
  int tiles;
  // In `outer`: the sums over all rows; and values with all rows.
  std::vector<int> sums, gathered;

  // The part in tiles. Input i is what `tiles` reads as its input i: whole, or,
  // where read_by_rows[i], its rows of the tile. Variable i is the sum
  // sums[i] so far, which the program updates; fetch i, the rows of
  // gathered[i].
  Program program;
  std::vector<bool> read_by_rows;
};

// Cuts `program`, which is bound and has been through the passes before
// FoldIntoProducts, along the axis of `batch` rows, with tiles of `tile_rows`
// of them. Nothing, if there is nothing to be cut: no input has `batch` rows,
// or rows depend on each other, as in a normalisation over the batch.
std::optional<Tiling> TileBatch(const Program& program, int64_t batch,
                                int64_t tile_rows);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_TILE_H_
