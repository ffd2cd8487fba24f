// TILE THE BATCH: where the batch is large, forward and backward are run for
// some rows of it at a time, so that what lies between the inputs and the sums
// over the batch never leaves the cache. tile_kernels.h runs what this pass
// makes. Tested by tests/compiler/tile_test.cc.
//
// Most values of a training step have a row for each sample, and each row
// follows from the same row of other values. What comes of all rows in the end
// are sums: a weight's gradient, a loss. So the rows can be cut into tiles:
// each is run by a program of its own, with as many rows as a tile has, whose
// variables are the sums so far.
#ifndef TAPE_FRAMEWORK_COMPILER_TILE_BATCH_H_
#define TAPE_FRAMEWORK_COMPILER_TILE_BATCH_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "framework/runtime/compiled_program.h"
#include "framework/runtime/program.h"

namespace tape {

// Which rows of a program are cut into tiles.
struct TilesOf {
  // Those of the inputs with this Attributes::index: of the whole batch, or of a
  // shard of it (shard_batch.h).
  int64_t shard = 0;
  int number = 0;  // Of the Tiling, among those of its program.
};

// Cuts `program`, which is bound and has been through the passes before
// FoldIntoProducts, along the axis of `batch` rows, with tiles of `tile_rows`
// of them. Nothing, if there is nothing to be cut: no input has `batch` rows,
// or rows depend on each other, as in a normalisation over the batch.
std::optional<Tiling> CutIntoTiles(const Program& program, int64_t batch,
                                   int64_t tile_rows, TilesOf of = {});

// Makes of a tile's program what an Executable runs.
using TileCompiler = std::function<CompiledProgram(const Program& program)>;

// The tiles of `program`, if its batch is large enough for them to pay; else
// null. A tile has so many rows that what lies between its ops stays in a
// second-level cache of 1 MiB, whatever the machine's is: sums over other tiles
// would have other bits.
std::shared_ptr<const TiledBatch> TileBatch(const Program& program,
                                            int64_t batch, TilesOf of,
                                            const TileCompiler& compile);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_TILE_BATCH_H_
