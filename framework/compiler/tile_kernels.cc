// Tiles (tiles.h): how large they are, and the kernels that run them and add
// up. Tested by tests/tile_test.cc.
#include "framework/compiler/tiles.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "framework/compiler/executable.h"
#include "framework/core/check.h"

namespace tape {
namespace {

// Rows of a tile: a multiple of this, and at least twice as many, so that its
// products are worth a call of oneDNN.
constexpr int64_t kRowStep = 32;
// A second-level cache as processors have it. Not the machine's own: sums over
// other tiles would have other bits.
constexpr size_t kCacheBytes = 1 << 20;
// Below this many tiles, what is saved between the ops is lost again in sums.
constexpr int64_t kFewestTiles = 16;
// What all lanes may take; their number is a power of two from 2 to 32.
constexpr size_t kLaneBytes = 8 << 20;
constexpr int kMostLanes = 32;
// Terms that are added up in float32 before their sum becomes a term of the next
// level: tiles at the first, sums of 16 tiles at the second, and so on. A sum
// over the batch is then off by the error of its tiles' own sums and, for up to
// 16^k tiles a lane, by at most 16 k roundings of sum |x|. (Sums in double would
// be off by 16, but take twice the memory, which is what limits the lanes.)
constexpr int64_t kTermsPerLevel = 16;

// A pass over a product's bands has nothing to gain where a tile is in the
// cache as a whole.
Executable::Options TileOptions(PassSet passes) {
  return {.passes = passes.Without(Pass::kFuseProducts),
          .use = Executable::Use::kTile};
}

int64_t ChooseRows(const Program& program, int64_t batch, PassSet passes) {
  // Memory between the ops is in proportion to the rows.
  const std::optional<Tiling> probe = TileBatch(program, batch, kRowStep);
  if (!probe.has_value()) return 0;
  Variables sums;
  for (int sum : probe->sums) {
    sums.Add({.name = absl::StrCat(sum),
              .tag = Tag::kState,
              .value = Tensor(probe->outer[sum].type)});
  }
  const Executable executable(probe->program, 0, TileOptions(passes), sums);
  const size_t bytes = std::max<size_t>(executable.arena_bytes(), 1);
  const int64_t rows = static_cast<int64_t>(kCacheBytes / 2 / bytes) * kRowStep;
  return std::max(rows, 2 * kRowStep);
}

}  // namespace

// One lane's sums so far, and the programs that add a tile to them.
struct Tiles::Lane {
  Lane(const Tiling& whole, const Tiling* last, PassSet passes) {
    for (int sum : whole.sums) {
      sums.Add({.name = absl::StrCat(sum),
                .tag = Tag::kState,
                .value = Tensor(whole.outer[sum].type)});
    }
    tile.emplace(whole.program, 0, TileOptions(passes), sums);
    if (last != nullptr) {
      last_tile.emplace(last->program, 0, TileOptions(passes), sums);
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
class Tiles::RunKernel : public Kernel {
 public:
  explicit RunKernel(const Tiles& tiles) : tiles_(tiles) {}

  int chunks() const override { return static_cast<int>(tiles_.lanes_.size()); }
  double flops() const override {
    return tiles_.lanes_[0]->tile->flops() / tiles_.tile_rows_ * tiles_.batch_;
  }

  void Run(int chunk, const KernelArguments& arguments) const override {
    Lane& lane = *tiles_.lanes_[chunk];
    lane.Clear();
    const int64_t lanes = chunks();
    int64_t added = 0;
    for (int64_t tile = chunk * tiles_.tiles_ / lanes;
         tile < (chunk + 1) * tiles_.tiles_ / lanes; ++tile) {
      RunTile(lane, tile * tiles_.tile_rows_, arguments);
      lane.FlushFull(++added);
    }
  }

 private:
  void RunTile(Lane& lane, int64_t row,
               const KernelArguments& arguments) const {
    const Tiling& tiling = tiles_.tiling_;
    const int64_t rows = std::min(tiles_.tile_rows_, tiles_.batch_ - row);
    absl::InlinedVector<const void*, 16> fed;
    for (size_t i = 0; i < tiling.read_by_rows.size(); ++i) {
      const auto* data = static_cast<const std::byte*>(arguments.inputs[i]);
      if (tiling.read_by_rows[i]) {
        data += row * (tiles_.read_types_[i].bytes() / tiles_.batch_);
      }
      fed.push_back(data);
    }
    Executable& executable =
        rows == tiles_.tile_rows_ ? *lane.tile : *lane.last_tile;
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

  const Tiles& tiles_;
};

// Adds up the sums of all lanes.
class Tiles::SumKernel : public Kernel {
 public:
  SumKernel(const Tiles& tiles, int number) : tiles_(tiles), number_(number) {
    elements_ = tiles.lanes_[0]->sums[number].value.elements();
  }

  int chunks() const override {
    constexpr int64_t kElementsPerChunk = 16 * 1024;
    return static_cast<int>(
        std::clamp<int64_t>(elements_ / kElementsPerChunk, 1, kMostLanes));
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
  const Tiles& tiles_;
  int number_;
  int64_t elements_;
};

// Hands on the rows of all tiles.
class Tiles::GatherKernel : public Kernel {
 public:
  explicit GatherKernel(const Tensor& rows) : rows_(rows) {}
  void Run(int, const KernelArguments& arguments) const override {
    std::memcpy(arguments.outputs[0], rows_.data(), rows_.type().bytes());
  }

 private:
  const Tensor& rows_;
};

std::unique_ptr<Tiles> Tiles::Make(const Program& program, int64_t batch,
                                   PassSet passes, Program* rest) {
  if (batch < kFewestTiles * 2 * kRowStep) return nullptr;
  int64_t rows = ChooseRows(program, batch, passes);
  if (rows == 0 || batch < kFewestTiles * rows) return nullptr;
  // Tiles of one size, as far as possible.
  const int64_t tiles = (batch + rows - 1) / rows;
  rows = ((batch + tiles - 1) / tiles + kRowStep - 1) / kRowStep * kRowStep;
  std::optional<Tiling> last;
  if (batch % rows != 0) last = TileBatch(program, batch, batch % rows);
  Tiling whole = *TileBatch(program, batch, rows);
  *rest = whole.outer;
  return std::unique_ptr<Tiles>(
      new Tiles(std::move(whole), std::move(last), batch, rows, passes));
}

Tiles::Tiles(Tiling whole, std::optional<Tiling> last, int64_t batch,
             int64_t tile_rows, PassSet passes)
    : tiling_(std::move(whole)),
      batch_(batch),
      tile_rows_(tile_rows),
      tiles_(static_cast<int>((batch + tile_rows - 1) / tile_rows)) {
  for (int id : tiling_.outer[tiling_.tiles].inputs) {
    read_types_.push_back(tiling_.outer[id].type);
  }
  for (int id : tiling_.gathered) {
    gathered_.push_back(Tensor(tiling_.outer[id].type));
  }
  const auto add_lane = [&] {
    lanes_.push_back(std::make_unique<Lane>(
        tiling_, last.has_value() ? &*last : nullptr, passes));
  };
  add_lane();
  const size_t fitting = kLaneBytes / std::max<size_t>(bytes(), 1);
  const int lanes = static_cast<int>(std::bit_floor(
      std::clamp<size_t>(fitting, 2, std::min(kMostLanes, tiles_))));
  while (static_cast<int>(lanes_.size()) < lanes) add_lane();
  const int64_t most = (tiles_ + lanes - 1) / lanes;
  for (const std::unique_ptr<Lane>& lane : lanes_) {
    for (int64_t full = kTermsPerLevel; full < most; full *= kTermsPerLevel) {
      lane->levels.emplace_back();
      for (int i = 0; i < lane->sums.size(); ++i) {
        lane->levels.back().emplace_back(lane->sums[i].value.elements());
      }
    }
  }
}

Tiles::~Tiles() = default;

std::unique_ptr<Kernel> Tiles::MakeKernel(const Program& rest, int id) const {
  const Node& node = rest[id];
  if (node.op == &kTiles) return std::make_unique<RunKernel>(*this);
  if (node.op != &kOfTiles) return nullptr;
  const int number = static_cast<int>(node.attributes.depth);
  if (node.attributes.axis == 0) {
    return std::make_unique<SumKernel>(*this, number);
  }
  return std::make_unique<GatherKernel>(gathered_[number]);
}

size_t Tiles::bytes() const {
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
    bytes += lane->tile->arena_bytes();
    if (lane->last_tile.has_value()) bytes += lane->last_tile->arena_bytes();
  }
  return bytes;
}

std::string Tiles::Dump() const {
  return absl::StrCat(tiles_, " tiles of ", tile_rows_, " rows in ",
                      lanes_.size(), " lanes, ", bytes(),
                      " bytes, each tile in ", lanes_[0]->tile->Dump());
}

}  // namespace tape
