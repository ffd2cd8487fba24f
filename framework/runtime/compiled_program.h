// What the pipeline (compile.cc) makes of a program for one batch size, and what
// an Executable (executable.h) runs. Data alone: the passes that make each part
// are named beside it.
#ifndef TAPE_FRAMEWORK_RUNTIME_COMPILED_PROGRAM_H_
#define TAPE_FRAMEWORK_RUNTIME_COMPILED_PROGRAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/distributed/data_parallel.h"
#include "framework/runtime/elementwise.h"
#include "framework/runtime/fed_operands.h"
#include "framework/runtime/program.h"

namespace tape {

// A kernel's run, whose second output, if it has one, OpDef::joint makes along; or a
// pass over memory (fuse.h).
struct Step {
  std::string name;  // "MatMul", or "Mul+Add+Relu" of a fused pass.
  // The nodes it reads: a kernel's operands in order, a pass's each once. Of a
  // pass over a product: first the product's operands.
  std::vector<int> inputs = {};
  std::vector<int> outputs = {};  // The nodes it makes.
  std::vector<int> nodes = {};    // Whose ops the name names, in its order.
  // Of a fused pass: operands and outputs in the order of the two lists.
  std::optional<ElementwiseCode> code = {};
  // The node of the product that the pass is over, whose value is the code's
  // last operand and none of the inputs; kNone if there is none.
  int product = kNone;
  // What it makes depends on variables alone, in a program without updates
  // (hoist_invariants.h).
  bool invariant = false;
};

// Where a value lies.
struct Place {
  enum Kind : int {
    kNowhere,   // Not a value of the plan: a Fill, or within a fused pass.
    kArena,     // `offset` bytes into the arena.
    kVariable,  // The memory of variable `index`.
    kFed,       // The memory given for input node `index`.
  };
  Kind kind = kNowhere;
  size_t offset = 0;
  int index = kNone;
};

// The layout of memory (memory_plan.h).
struct MemoryPlan {
  std::vector<Place> places;  // Of each node.
  size_t arena_bytes = 0;
  // What the arena would be if no memory were used twice.
  size_t unshared_bytes = 0;
  // Updates whose value was not made in the variable's own memory, because a
  // later step still reads the old one: copied there after the last step.
  std::vector<Program::Update> copies;
};

struct TiledBatch;

struct CompiledProgram {
  int64_t batch = 0;  // 0 if no shape has it.
  // As the passes leave it. It stands in for the declared program, whose inputs,
  // in the order in which they are fed, are these by their tape ids; and which
  // of them go to ops that may refuse their numbers.
  Program program = {};
  std::vector<int> input_tape_ids = {};
  std::vector<FedOperand> fed_operands = {};

  std::vector<Step> steps = {};  // As they run; those that are invariant first.
  MemoryPlan memory = {};
  // One thread runs all of it: a tile's program.
  bool single_threaded = false;
  // What is run tile by tile: of the batch, or of each shard of it; none if it is
  // not cut. Nodes name their number in Attributes::stream.
  std::vector<std::shared_ptr<const TiledBatch>> tiles = {};
  // Among which ranks the batch is divided.
  DataParallel parallel = {};
};

// A program cut in two (tile_batch.h): what is done tile by tile, and the rest
// of it.
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

// The tiles of a batch, ready to run.
struct TiledBatch {
  Tiling tiling;
  int64_t batch;  // Rows in all,
  int64_t rows;   // and of a tile; the last one may have fewer.
  int64_t tiles;  // How many there are.
  CompiledProgram tile;
  std::optional<CompiledProgram> last_tile;  // If it has fewer rows.
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_RUNTIME_COMPILED_PROGRAM_H_
