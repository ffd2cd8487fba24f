// The tiles of a batch at run time: what a Tiling (tile.h) is as kernels.
// Tested by tests/tile_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_TILES_H_
#define TAPE_FRAMEWORK_COMPILER_TILES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/compiler/pass_set.h"
#include "framework/compiler/program.h"
#include "framework/compiler/tile.h"
#include "framework/core/kernel.h"
#include "framework/core/tensor.h"
#include "framework/core/variables.h"

namespace tape {

class Executable;

// Tiles are dealt out to *lanes*, each with sums and memory of its own, which
// run their tiles one after the other. How many there are follows from the
// shapes alone, so that the same bits come out for any number of threads.
class Tiles {
 public:
  // The tiles of `program`, if it has a batch that is large enough for them to
  // pay. `rest` becomes the rest of the program.
  static std::unique_ptr<Tiles> Make(const Program& program, int64_t batch,
                                     PassSet passes, Program* rest);
  ~Tiles();

  // The kernel of a node of the rest that is made of tiles; null if it is not.
  std::unique_ptr<Kernel> MakeKernel(const Program& rest, int id) const;

  size_t bytes() const;
  std::string Dump() const;

 private:
  // The programs of a whole tile and, if the batch does not end with one, of
  // the last tile.
  Tiles(Tiling whole, std::optional<Tiling> last, int64_t batch,
        int64_t tile_rows, PassSet passes);
  struct Lane;
  class RunKernel;
  class SumKernel;
  class GatherKernel;

  Tiling tiling_;
  int64_t batch_, tile_rows_;
  int tiles_;
  std::vector<TensorType> read_types_;  // Of what the tiles read.
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<Tensor> gathered_;  // All rows of Tiling::gathered.
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_TILES_H_
