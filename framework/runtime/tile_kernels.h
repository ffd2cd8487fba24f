// The nodes that stand for a batch in tiles (tile_batch.h cuts it), and their
// kernels: they run the tiles' programs, add up and gather. Tested by
// tests/compiler/tile_test.cc.
#ifndef TAPE_FRAMEWORK_RUNTIME_TILE_KERNELS_H_
#define TAPE_FRAMEWORK_RUNTIME_TILE_KERNELS_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "framework/core/kernel.h"
#include "framework/core/op.h"
#include "framework/core/tensor.h"
#include "framework/runtime/compiled_program.h"

namespace tape {

// The op of Tiling::tiles, and of what is made of it, by the Tiling number
// attributes.stream of the program: attributes.index says
// which of the sums, or, if attributes.axis is 1, of the gathered values.
// Neither has a kernel of its own: TileKernels makes them.
extern const OpDef kTiles;
extern const OpDef kOfTiles;

// Tiles are dealt out to *lanes*, each with sums and memory of its own, which
// run their tiles one after the other. How many there are follows from the
// shapes alone, so that the same bits come out for any number of threads.
class TileKernels {
 public:
  // Throws a StatusError (exceptions.h) if there is no memory.
  explicit TileKernels(std::shared_ptr<const TiledBatch> tiled);
  ~TileKernels();

  // The kernel of a node of the outer program that is made of tiles, which this
  // object must outlive; null if it is not.
  std::unique_ptr<Kernel> Make(const Node& node) const;

  size_t bytes() const;
  // As Plan::Dump.
  std::string Dump() const;

 private:
  struct Lane;
  class RunKernel;
  class SumKernel;
  class GatherKernel;
  void MakeLanes();

  const std::shared_ptr<const TiledBatch> tiled_;
  std::vector<TensorType> read_types_;  // Of what the tiles read.
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<Tensor> gathered_;  // All rows of Tiling::gathered.
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_RUNTIME_TILE_KERNELS_H_
