// TileBatch (tile_batch.h): which nodes are in rows, which sum over them, the
// two programs made of that, and how large tiles are. Tested by
// tests/compiler/tile_test.cc.
#include "framework/compiler/tile_batch.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "framework/compiler/row_roles.h"
#include "framework/core/basic_ops.h"
#include "framework/runtime/tile_kernels.h"

namespace tape {
namespace {

// Where a node's value belongs.
enum class Part {
  kBefore,  // Does not depend on rows: outside, before the tiles.
  kRows,    // Has rows: in the tiles.
  kSum,     // Sums over rows: in the tiles, then outside.
  kAfter,   // Depends on a sum: outside, after the tiles.
};

// The part of each node, if the rows of the inputs of that shard are cut; empty if
// the program cannot be cut.
std::vector<Part> Parts(const Program& program, int64_t batch, int64_t shard) {
  std::vector<Part> parts(program.size(), Part::kBefore);
  std::vector<bool> in_rows(program.size(), false);
  for (int id = 0; id < program.size(); ++id) {
    const Node& node = program[id];
    if (node.op->traits.source) {
      in_rows[id] = node.variable == kNone && node.attributes.index == shard &&
                    HasRows(node.type, batch);
      continue;
    }
    bool reads_rows = false, reads_after = false;
    for (int input : node.inputs) {
      reads_rows |= in_rows[input];
      reads_after |= parts[input] == Part::kSum || parts[input] == Part::kAfter;
    }
    if (!reads_rows) {
      parts[id] = reads_after ? Part::kAfter : Part::kBefore;
      continue;
    }
    const RowRole role = RoleOf(program, id, in_rows, batch);
    if (role == RowRole::kGathered) {
      parts[id] = Part::kAfter;
      continue;
    }
    // What mixes rows, or brings a sum back to them, would need a second pass
    // over all tiles.
    if (role == RowRole::kMixed || reads_after) return {};
    parts[id] = role == RowRole::kApart ? Part::kRows : Part::kSum;
    in_rows[id] = role == RowRole::kApart;
  }
  return parts;
}

// Builds the two programs of a Tiling.
class Cutter {
 public:
  Cutter(const Program& program, std::vector<Part> parts, int64_t batch,
         int64_t tile_rows, int number)
      : old_(program),
        parts_(std::move(parts)),
        batch_(batch),
        tile_rows_(tile_rows),
        number_(number),
        outer_id_(program.size(), kNone),
        inner_id_(program.size(), kNone) {}

  Tiling Cut() {
    // The outer program, in the order: before the tiles, tiles, after them.
    for (int id = 0; id < old_.size(); ++id) {
      if (parts_[id] == Part::kBefore) AddOuter(id);
    }
    for (int id = 0; id < old_.size(); ++id) {
      if (InTiles(id)) AddInner(id);
    }
    AddTiles();
    AddResults();
    for (int id = 0; id < old_.size(); ++id) {
      if (parts_[id] == Part::kAfter) AddOuter(id);
    }
    for (int fetch : old_.fetches) {
      tiling_.outer.fetches.push_back(outer_id_[fetch]);
    }
    for (const Program::Update& update : old_.updates) {
      tiling_.outer.updates.push_back(
          {update.variable, outer_id_[update.value]});
    }
    return std::move(tiling_);
  }

 private:
  bool InTiles(int id) const {
    return parts_[id] == Part::kRows || parts_[id] == Part::kSum;
  }

  static int Add(Program& program, Node node, int tape_id) {
    program.nodes.push_back(std::move(node));
    program.tape_ids.push_back(tape_id);
    return program.size() - 1;
  }

  void AddOuter(int id) {
    Node node = old_[id];
    for (int& input : node.inputs) input = outer_id_[input];
    outer_id_[id] = Add(tiling_.outer, std::move(node), old_.tape_ids[id]);
  }

  void AddInner(int id) {
    Node node = old_[id];
    for (int& input : node.inputs) input = InnerInput(input, id);
    if (parts_[id] == Part::kRows) SetRows(tile_rows_, node);
    inner_id_[id] = Add(tiling_.program, std::move(node), kNone);
  }

  // The inner node for input `id` of old node `reader`.
  int InnerInput(int id, int reader) {
    if (InTiles(id)) return inner_id_[id];
    const Node& node = old_[id];
    // What is fed by rows; and, for an elementwise op, any value of its shape.
    const bool by_rows = HasRows(node.type, batch_) &&
                         ((node.op->traits.source && node.variable == kNone) ||
                          ReadsByRows(old_[reader], node.type, batch_));
    const auto [found, is_new] =
        outside_.try_emplace(std::pair(id, by_rows), tiling_.program.size());
    if (!is_new) return found->second;
    Node inner = {.op = &kInput, .name = node.name, .loc = node.loc};
    inner.type = node.type;
    if (by_rows) SetRows(tile_rows_, inner);
    if (node.op->traits.uniform) {
      inner.op = node.op;
      inner.attributes = node.attributes;
    } else {
      reads_.push_back(id);
      tiling_.read_by_rows.push_back(by_rows);
    }
    inner.attributes.dtype = inner.type.dtype;
    inner.attributes.shape = inner.type.shape;
    // An Executable knows its inputs by their tape ids.
    return Add(tiling_.program, std::move(inner), tiling_.program.size());
  }

  void AddTiles() {
    Node node = {.op = &kTiles};
    node.attributes.stream = number_;
    node.attributes.dtype = DType::kInt32;
    node.type = {DType::kInt32, {}};
    for (int id : reads_) node.inputs.push_back(outer_id_[id]);
    tiling_.tiles = Add(tiling_.outer, std::move(node), kNone);
  }

  // What is needed outside of what the tiles make.
  void AddResults() {
    std::vector<bool> needed(old_.size(), false);
    for (int id = 0; id < old_.size(); ++id) {
      if (InTiles(id)) continue;
      for (int input : old_[id].inputs) needed[input] = true;
    }
    for (int fetch : old_.fetches) needed[fetch] = true;
    for (const Program::Update& update : old_.updates) {
      needed[update.value] = true;
    }
    for (int id = 0; id < old_.size(); ++id) {
      if (!needed[id] || !InTiles(id)) continue;
      Node node = {.op = &kOfTiles, .inputs = {tiling_.tiles}};
      node.type = old_[id].type;
      node.attributes.dtype = node.type.dtype;
      node.attributes.shape = node.type.shape;
      node.attributes.stream = number_;
      node.loc = old_[id].loc;
      outer_id_[id] = Add(tiling_.outer, std::move(node), old_.tape_ids[id]);
      Attributes& attributes = tiling_.outer.nodes[outer_id_[id]].attributes;
      attributes.axis = parts_[id] == Part::kRows ? 1 : 0;
      attributes.index = static_cast<int64_t>(
          attributes.axis == 1 ? tiling_.gathered.size() : tiling_.sums.size());
      if (parts_[id] == Part::kRows) {
        tiling_.gathered.push_back(outer_id_[id]);
        tiling_.program.fetches.push_back(inner_id_[id]);
      } else {
        AddSum(id);
      }
    }
  }

  void AddSum(int id) {
    const int number = static_cast<int>(tiling_.sums.size());
    tiling_.sums.push_back(outer_id_[id]);
    Program& program = tiling_.program;
    Node so_far = {.op = &kVariable, .variable = number};
    so_far.type = old_[id].type;
    so_far.attributes.shape = so_far.type.shape;
    Node sum = {.op = &kAddN};
    sum.type = so_far.type;
    // Which FoldIntoProducts makes part of a product.
    sum.inputs = {inner_id_[id], Add(program, std::move(so_far), kNone)};
    program.updates.push_back({number, Add(program, std::move(sum), kNone)});
  }

  const Program& old_;
  const std::vector<Part> parts_;
  const int64_t batch_, tile_rows_;
  const int number_;  // Of the Tiling, among those of its program.
  Tiling tiling_;
  std::vector<int> outer_id_, inner_id_;  // Of each old node.
  // What the tiles read from outside, whole or by rows, as inner nodes.
  std::map<std::pair<int, bool>, int> outside_;
  std::vector<int> reads_;  // The old nodes of these, Fills left out.
};

}  // namespace

std::optional<Tiling> CutIntoTiles(const Program& program, int64_t batch,
                                   int64_t tile_rows, TilesOf of) {
  const std::vector<Part> parts = Parts(program, batch, of.shard);
  if (std::find(parts.begin(), parts.end(), Part::kRows) == parts.end()) {
    return std::nullopt;
  }
  return Cutter(program, parts, batch, tile_rows, of.number).Cut();
}

namespace {

// Rows of a tile: a multiple of this, and at least twice as many, so that its
// products are worth a call of oneDNN.
constexpr int64_t kRowStep = 32;
// A second-level cache as processors have it. Not the machine's own: sums over
// other tiles would have other bits.
constexpr size_t kCacheBytes = 1 << 20;
// Below this many tiles, what is saved between the ops is lost again in sums.
constexpr int64_t kFewestTiles = 16;

// How many rows a tile should have; 0 if the program cannot be cut.
int64_t ChooseRows(const Program& program, int64_t batch, TilesOf of,
                   const TileCompiler& compile) {
  // Memory between the ops is in proportion to the rows.
  const std::optional<Tiling> probe =
      CutIntoTiles(program, batch, kRowStep, of);
  if (!probe.has_value()) return 0;
  const size_t bytes =
      std::max<size_t>(compile(probe->program).memory.arena_bytes, 1);
  const auto fitting = static_cast<int64_t>(kCacheBytes / 2 / bytes) * kRowStep;
  // A tile reads and writes the sums over the batch so far: no more of them than of
  // what lies between its ops, or it would save nothing.
  size_t sums = 0;
  for (int sum : probe->sums) sums += probe->outer[sum].type.bytes();
  const auto worthwhile =
      static_cast<int64_t>((sums + bytes - 1) / bytes) * kRowStep;
  return std::max({fitting, worthwhile, 2 * kRowStep});
}

}  // namespace

std::shared_ptr<const TiledBatch> TileBatch(const Program& program,
                                            int64_t batch, TilesOf of,
                                            const TileCompiler& compile) {
  if (batch < kFewestTiles * 2 * kRowStep) return nullptr;
  int64_t rows = ChooseRows(program, batch, of, compile);
  if (rows == 0 || batch < kFewestTiles * rows) return nullptr;
  // Tiles of one size, as far as possible.
  const int64_t tiles = (batch + rows - 1) / rows;
  rows = ((batch + tiles - 1) / tiles + kRowStep - 1) / kRowStep * kRowStep;
  auto tiled = std::make_shared<TiledBatch>(
      TiledBatch{.tiling = *CutIntoTiles(program, batch, rows, of),
                 .batch = batch,
                 .rows = rows,
                 .tiles = (batch + rows - 1) / rows,
                 .tile = {},
                 .last_tile = std::nullopt});
  tiled->tile = compile(tiled->tiling.program);
  if (batch % rows != 0) {
    tiled->last_tile =
        compile(CutIntoTiles(program, batch, batch % rows, of)->program);
  }
  return tiled;
}

}  // namespace tape
