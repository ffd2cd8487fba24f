// Tiles as kernels (tile_kernels.h): the lanes, and the kernels that run them
// and add up. Tested by tests/compiler/tile_test.cc.
#include "framework/runtime/tile_kernels.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "framework/core/basic_ops.h"
#include "framework/core/exceptions.h"
#include "framework/runtime/dump.h"
#include "framework/runtime/executable.h"

namespace tape {
constinit const OpDef kTiles = {
    .name = "Tiles",
    .operands = {"x"},
    .variadic = true,
    .shape = TypeOfAttributes,
};
constinit const OpDef kOfTiles = {
    .name = "OfTiles",
    .operands = {"tiles"},
    .shape = TypeOfAttributes,
};

namespace {

// What all lanes may take; their number is a power of two from 2 to 32.
constexpr size_t kLaneBytes = 8 << 20;
constexpr int kMostLanes = 32;
// Terms that are added up in float32 before their sum becomes a term of the next
// level: tiles at the first, sums of 16 tiles at the second, and so on. A sum
// over the batch is then off by the error of its tiles' own sums and, for up to
// 16^k tiles a lane, by at most 16 k roundings of sum |x|. (Sums in double would
// be off by 16, but take twice the memory, which is what limits the lanes.)
constexpr int64_t kTermsPerLevel = 16;

}  // namespace

// One lane's sums so far, and the programs that add a tile to them.
struct TileKernels::Lane {
  explicit Lane(const TiledBatch& tiled) {
    for (int sum : tiled.tiling.sums) {
      sums.Add({.name = absl::StrCat(sum),
                .tag = Tag::kState,
                .value = Tensor(tiled.tiling.outer[sum].type)});
    }
    tile.emplace(tiled.tile, /*threads=*/1, sums);
    if (tiled.last_tile.has_value()) {
      last_tile.emplace(*tiled.last_tile, /*threads=*/1, sums);
    }
  }

  absl::Span<float> Level(int level, int sum) {
    if (level > 0) return absl::MakeSpan(levels[level - 1][sum]);
    return {static_cast<float*>(sums.memory(sum)),
            static_cast<size_t>(sums[sum].value.elements())};
  }
  // Adds the sums of a level to those of the next, and clears them.
  void Flush(int level) {
    for (int i = 0; i < sums.size(); ++i) {
      const absl::Span<float> from = Level(level, i), to = Level(level + 1, i);
      for (size_t k = 0; k < to.size(); ++k) to[k] += from[k];
      std::fill(from.begin(), from.end(), 0.0f);
    }
  }
  // After the tile number `added` of the lane, counted from 1.
  void FlushFull(int64_t added) {
    for (int level = 0;
         level < static_cast<int>(levels.size()) && added % kTermsPerLevel == 0;
         ++level, added /= kTermsPerLevel) {
      Flush(level);
    }
  }
  void Clear() {
    for (int level = 0; level <= static_cast<int>(levels.size()); ++level) {
      for (int i = 0; i < sums.size(); ++i) {
        const absl::Span<float> sum = Level(level, i);
        std::fill(sum.begin(), sum.end(), 0.0f);
      }
    }
  }

  Variables sums;
  // The sums of the second level, the third, ….
  std::vector<std::vector<std::vector<float>>> levels;
  std::optional<Executable> tile, last_tile;
};

// Runs the tiles of a lane.
class TileKernels::RunKernel : public Kernel {
 public:
  explicit RunKernel(const TileKernels& tiles) : tiles_(tiles) {}

  int chunks() const override { return static_cast<int>(tiles_.lanes_.size()); }
  double flops() const override {
    return tiles_.lanes_[0]->tile->flops() / tiles_.tiled_->rows *
           tiles_.tiled_->batch;
  }

  bool uses_stack_pointer() const override {
    const Lane& lane = *tiles_.lanes_[0];
    return lane.tile->uses_stack_pointer() ||
           (lane.last_tile.has_value() && lane.last_tile->uses_stack_pointer());
  }

  void Run(int chunk, const KernelArguments& arguments) const override {
    Lane& lane = *tiles_.lanes_[chunk];
    lane.Clear();
    const int64_t lanes = chunks();
    int64_t added = 0;
    const int64_t tiles = tiles_.tiled_->tiles;
    for (int64_t tile = chunk * tiles / lanes;
         tile < (chunk + 1) * tiles / lanes; ++tile) {
      RunTile(lane, tile * tiles_.tiled_->rows, arguments);
      lane.FlushFull(++added);
    }
  }

 private:
  void RunTile(Lane& lane, int64_t row,
               const KernelArguments& arguments) const {
    const TiledBatch& tiled = *tiles_.tiled_;
    const Tiling& tiling = tiled.tiling;
    const int64_t rows = std::min(tiled.rows, tiled.batch - row);
    absl::InlinedVector<const void*, 16> fed;
    for (size_t i = 0; i < tiling.read_by_rows.size(); ++i) {
      const auto* data = static_cast<const std::byte*>(arguments.inputs[i]);
      if (tiling.read_by_rows[i]) {
        data += row * (tiles_.read_types_[i].bytes() / tiled.batch);
      }
      fed.push_back(data);
    }
    Executable& executable = rows == tiled.rows ? *lane.tile : *lane.last_tile;
    executable.RunAlone(fed);
    for (size_t i = 0; i < tiling.gathered.size(); ++i) {
      const TensorView value = executable.Fetched(static_cast<int>(i));
      const size_t row_bytes = value.type().bytes() / rows;
      std::memcpy(const_cast<std::byte*>(static_cast<const std::byte*>(
                      tiles_.gathered_[i].data())) +
                      row * row_bytes,
                  value.data(), value.type().bytes());
    }
  }

  const TileKernels& tiles_;
};

// Adds up the sums of all lanes.
class TileKernels::SumKernel : public PlainKernel {
 public:
  SumKernel(const TileKernels& tiles, int number)
      : tiles_(tiles), number_(number) {
    elements_ = tiles.lanes_[0]->sums[number].value.elements();
  }

  int chunks() const override {
    constexpr int64_t kElementsPerChunk = 16 * 1024;
    return ChunksOf(elements_, kElementsPerChunk, elements_);
  }

  void Run(int chunk, const KernelArguments& arguments) const override {
    const int64_t begin = elements_ * chunk / chunks();
    const int64_t end = elements_ * (chunk + 1) / chunks();
    auto* const sum = static_cast<float*>(arguments.outputs[0]);
    // Some elements of all lanes at a time, in double.
    constexpr int64_t kSome = 256;
    for (int64_t first = begin; first < end; first += kSome) {
      const int64_t count = std::min(kSome, end - first);
      double total[kSome] = {};
      for (const std::unique_ptr<Lane>& lane : tiles_.lanes_) {
        for (int level = static_cast<int>(lane->levels.size()); level >= 0;
             --level) {
          const float* const term = lane->Level(level, number_).data() + first;
          for (int64_t i = 0; i < count; ++i) total[i] += term[i];
        }
      }
      for (int64_t i = 0; i < count; ++i) {
        sum[first + i] = static_cast<float>(total[i]);
      }
    }
  }

 private:
  const TileKernels& tiles_;
  int number_;
  int64_t elements_;
};

// Hands on the rows of all tiles.
class TileKernels::GatherKernel : public PlainKernel {
 public:
  explicit GatherKernel(const Tensor& rows) : rows_(rows) {}
  void Run(int, const KernelArguments& arguments) const override {
    std::memcpy(arguments.outputs[0], rows_.data(), rows_.type().bytes());
  }

 private:
  const Tensor& rows_;
};

TileKernels::TileKernels(std::shared_ptr<const TiledBatch> tiled)
    : tiled_(std::move(tiled)) {
  const Tiling& tiling = tiled_->tiling;
  try {
    for (int id : tiling.outer[tiling.tiles].inputs) {
      read_types_.push_back(tiling.outer[id].type);
    }
    for (int id : tiling.gathered) {
      gathered_.push_back(Tensor(tiling.outer[id].type));
    }
    MakeLanes();
  } catch (const OutOfMemory& error) {
    throw OutOfMemory(error.bytes(),
                      absl::StrCat("the ", error.bytes(), " bytes of a tile",
                                   WithBatch(tiled_->batch)));
  }
}

void TileKernels::MakeLanes() {
  const auto add_lane = [&] {
    lanes_.push_back(std::make_unique<Lane>(*tiled_));
  };
  add_lane();
  const size_t fitting = kLaneBytes / std::max<size_t>(bytes(), 1);
  const size_t lanes = std::bit_floor(std::clamp<size_t>(
      fitting, 2, std::min<size_t>(kMostLanes, tiled_->tiles)));
  while (lanes_.size() < lanes) add_lane();
  const int64_t most = (tiled_->tiles + static_cast<int64_t>(lanes) - 1) /
                       static_cast<int64_t>(lanes);
  for (const std::unique_ptr<Lane>& lane : lanes_) {
    for (int64_t full = kTermsPerLevel; full < most; full *= kTermsPerLevel) {
      lane->levels.emplace_back();
      for (int i = 0; i < lane->sums.size(); ++i) {
        lane->levels.back().emplace_back(lane->sums[i].value.elements());
      }
    }
  }
}

TileKernels::~TileKernels() = default;

std::unique_ptr<Kernel> TileKernels::Make(const Node& node) const {
  if (node.op == &kTiles) return std::make_unique<RunKernel>(*this);
  if (node.op != &kOfTiles) return nullptr;
  const int number = static_cast<int>(node.attributes.index);
  if (node.attributes.axis == 0) {
    return std::make_unique<SumKernel>(*this, number);
  }
  return std::make_unique<GatherKernel>(gathered_[number]);
}

size_t TileKernels::bytes() const {
  size_t bytes = 0;
  for (const std::unique_ptr<Lane>& lane : lanes_) {
    for (int i = 0; i < lane->sums.size(); ++i) {
      bytes += lane->sums[i].value.type().bytes();
    }
    for (const auto& level : lane->levels) {
      for (const std::vector<float>& sum : level) {
        bytes += sum.size() * sizeof(float);
      }
    }
    bytes += lane->tile->compiled().memory.arena_bytes;
    if (lane->last_tile.has_value()) {
      bytes += lane->last_tile->compiled().memory.arena_bytes;
    }
  }
  return bytes;
}

std::string TileKernels::Dump() const {
  return absl::StrCat(tiled_->tiles, " tiles of ", tiled_->rows, " rows in ",
                      lanes_.size(), " lanes, ", bytes(),
                      " bytes, each tile in ", tape::Dump(*lanes_[0]->tile));
}

}  // namespace tape
