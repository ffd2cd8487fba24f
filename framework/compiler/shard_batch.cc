// ShardBatch (shard_batch.h): which nodes have rows, and the program that one rank
// runs. Tested by tests/compiler/shard_batch_test.cc and
// tests/distributed/plan_test.cc.
#include "framework/compiler/shard_batch.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "framework/compiler/row_roles.h"
#include "framework/distributed/all_reduce.h"
#include "framework/runtime/shard_kernels.h"

namespace tape {
namespace {

// A value of so many bytes has an all-reduce of its own; smaller ones share one
// until they have as many together.
constexpr size_t kBucketBytes = 64 * 1024;
// DataParallel::bfloat16_sums is of these.
constexpr int64_t kFewestBFloat16Elements = 16 * 1024;

class Sharder {
 public:
  Sharder(const Program& program, int64_t batch, const DataParallel& parallel)
      : old_(program),
        batch_(batch),
        parallel_(parallel),
        parts_(program.size(), Part::kWhole),
        stages_(program.size(), 0),
        whole_(program.size(), kNone),
        gathered_(program.size(), kNone),
        sums_(program.size()) {
    const int first = parallel.first_shard();
    for (int i = 0; i < parallel.shards_per_rank(); ++i) {
      const RowRange rows = RowsOfShard(batch, parallel.shards, first + i);
      // The shards without rows are the last ones.
      if (rows.size() > 0) shards_.push_back({first + i + 1, rows, {}, {}});
    }
    for (Shard& shard : shards_) shard.new_id.assign(program.size(), kNone);
  }

  Program Run() {
    FindParts();
    FindStages();
    AddStages();
    for (int fetch : old_.fetches) new_.fetches.push_back(Whole(fetch));
    for (const Program::Update& update : old_.updates) {
      new_.updates.push_back({update.variable, Whole(update.value)});
    }
    // Every rank ends every all-reduce.
    for (size_t b = 0; b < buckets_.size(); ++b) End(b);
    return std::move(new_);
  }

 private:
  enum class Part {
    kWhole,  // Each rank has the whole value.
    kRows,   // Each shard has rows of it.
    kSum,    // Each shard has a term of it.
  };
  // One of this rank's shards.
  struct Shard {
    int64_t number;  // From 1.
    RowRange rows;
    std::vector<int> new_id;    // Of old nodes with rows, or sums of them.
    std::map<int, int> slices;  // Of new whole values, this shard's rows.
  };
  // An all-reduce.
  struct Bucket {
    int begin = kNone;  // The new nodes.
    int end = kNone;
  };
  // Where the sum of an old node over all shards is.
  struct Sum {
    int bucket = kNone;
    bool has_bucket_alone = false;
    int64_t offset = 0;  // Otherwise; in elements.
  };

  void FindParts() {
    std::vector<bool> in_rows(old_.size(), false);
    for (int id = 0; id < old_.size(); ++id) {
      const Node& node = old_[id];
      const bool reads_rows =
          std::any_of(node.inputs.begin(), node.inputs.end(),
                      [&](int input) { return in_rows[input]; });
      if (reads_rows) {
        parts_[id] = PartOf(id, in_rows);
      } else if (HasRows(node.type, batch_) &&
                 (node.op->traits.positional ||
                  (node.op->traits.source && node.variable == kNone))) {
        parts_[id] = Part::kRows;
      }
      in_rows[id] = parts_[id] == Part::kRows;
    }
  }

  Part PartOf(int id, const std::vector<bool>& in_rows) const {
    switch (RoleOf(old_, id, in_rows, batch_)) {
      case RowRole::kApart:
        return Part::kRows;
      case RowRole::kSummed:
        return IsSummable(old_[id].type.dtype) ? Part::kSum : Part::kWhole;
      case RowRole::kMixed:
      case RowRole::kGathered:
        return Part::kWhole;
    }
    return Part::kWhole;
  }

  // The stage of a node is how many all-reduces or gatherings lie one after the
  // other before it. Whole values that no rows depend on have the last one.
  void FindStages() {
    for (int id = 0; id < old_.size(); ++id) {
      for (int input : old_[id].inputs) {
        const bool is_local =
            parts_[input] == Part::kWhole ||
            (parts_[input] == Part::kRows && parts_[id] != Part::kWhole);
        stages_[id] =
            std::max(stages_[id], stages_[input] + (is_local ? 0 : 1));
      }
    }
    std::vector<bool> feeds_rows(old_.size(), false);
    int last = 0;
    for (int id = old_.size(); id-- > 0;) {
      if (parts_[id] != Part::kWhole) feeds_rows[id] = true;
      if (!feeds_rows[id]) continue;
      last = std::max(last, stages_[id]);
      for (int input : old_[id].inputs) feeds_rows[input] = true;
    }
    nodes_of_stage_.resize(last + 2);
    for (int id = 0; id < old_.size(); ++id) {
      nodes_of_stage_[feeds_rows[id] ? stages_[id] : last + 1].push_back(id);
    }
  }

  void AddStages() {
    for (const std::vector<int>& nodes : nodes_of_stage_) {
      // What is fetched is gathered while sums travel, before what waits for them.
      if (&nodes == &nodes_of_stage_.back()) {
        for (int fetch : old_.fetches) {
          if (parts_[fetch] == Part::kRows) Whole(fetch);
        }
      }
      for (int id : nodes) {
        if (parts_[id] == Part::kWhole) AddWhole(id);
      }
      // A rank without rows ends the all-reduces that shards read where the others
      // do: ranks that wait in another order wait for each other.
      for (int id : nodes) {
        if (parts_[id] == Part::kWhole) continue;
        for (int input : old_[id].inputs) {
          if (parts_[input] == Part::kSum) Whole(input);
        }
      }
      for (size_t s = 0; s < shards_.size(); ++s) {
        for (int id : nodes) {
          if (parts_[id] == Part::kWhole) continue;
          AddOfShard(id, shards_[s]);
          if (parts_[id] == Part::kSum && s + 1 == shards_.size()) AddSum(id);
        }
      }
      if (shards_.empty()) {
        for (int id : nodes) {
          if (parts_[id] == Part::kSum) AddSum(id);
        }
      }
      for (auto& [dtype, values] : small_) Reduce(dtype, values);
    }
    // The votes of a step that sums nothing small.
    std::vector<int> none;
    if (!has_votes_ && !old_.updates.empty()) {
      AddBucket(DType::kFloat32, none, Shape({kBallots}), /*votes=*/true);
    }
  }

  int Add(Node node, int tape_id = kNone) {
    new_.nodes.push_back(std::move(node));
    new_.tape_ids.push_back(tape_id);
    return new_.size() - 1;
  }

  // A node of the pass's own.
  static Node Make(const OpDef& op, const TensorType& type) {
    Node node = {.op = &op};
    node.type = type;
    node.attributes.dtype = type.dtype;
    node.attributes.shape = type.shape;
    return node;
  }

  void AddWhole(int id) {
    Node node = old_[id];
    for (int& input : node.inputs) input = Whole(input);
    whole_[id] = Add(std::move(node), old_.tape_ids[id]);
  }

  void AddOfShard(int id, Shard& shard) {
    Node node = old_[id];
    for (int& input : node.inputs) {
      input = parts_[input] == Part::kRows ? shard.new_id[input]
                                           : Read(input, old_[id], shard);
    }
    if (parts_[id] == Part::kRows) {
      SetRows(shard.rows.size(), node);
      if (node.op->traits.source) {
        node.attributes.begin = shard.rows.begin;
        node.attributes.index = shard.number;
      } else if (node.op->traits.positional) {
        const int64_t row_elements = old_[id].type.shape.elements() / batch_;
        node.attributes.begin += shard.rows.begin * row_elements;
      }
    }
    const int tape_id =
        node.op->traits.source ? old_.tape_ids[id] : static_cast<int>(kNone);
    shard.new_id[id] = Add(std::move(node), tape_id);
  }

  // What `reader`, which makes rows or sums of them, reads of a value that is
  // there as a whole: all of it, or the shard's rows.
  int Read(int id, const Node& reader, Shard& shard) {
    const int whole = Whole(id);
    if (!ReadsByRows(reader, old_[id].type, batch_)) return whole;
    const auto [found, is_new] = shard.slices.try_emplace(whole, kNone);
    if (!is_new) return found->second;
    Node node;
    if (old_[id].op->traits.uniform) {
      node = old_[id];
    } else {
      node = Make(kRowsOf, old_[id].type);
      node.inputs = {whole};
      node.attributes.begin = shard.rows.begin;
      node.loc = old_[id].loc;
    }
    SetRows(shard.rows.size(), node);
    return found->second = Add(std::move(node));
  }

  // The whole value of an old node, on every rank.
  int Whole(int id) {
    switch (parts_[id]) {
      case Part::kWhole:
        return whole_[id];
      case Part::kRows:
        return gathered_[id] != kNone ? gathered_[id] : Gather(id);
      case Part::kSum:
        break;
    }
    if (whole_[id] != kNone) return whole_[id];
    const Sum& sum = sums_[id];
    const int end = End(sum.bucket);
    if (sum.has_bucket_alone) return whole_[id] = end;
    Node part = Make(kReducedPart, old_[id].type);
    part.inputs = {end};
    part.attributes.begin = sum.offset;
    part.loc = old_[id].loc;
    return whole_[id] = Add(std::move(part), old_.tape_ids[id]);
  }

  int Gather(int id) {
    Node node = Make(kGatherRows, old_[id].type);
    for (const Shard& shard : shards_) node.inputs.push_back(shard.new_id[id]);
    node.attributes.index = next_tag_++;
    node.loc = old_[id].loc;
    return gathered_[id] = AddInOrder(std::move(node), old_.tape_ids[id]);
  }

  // Adds a node that talks to other ranks, after the one before: whatever else a
  // rank has to do, all ranks talk in the same order.
  int AddInOrder(Node node, int tape_id = kNone) {
    if (last_ != kNone && std::find(node.inputs.begin(), node.inputs.end(),
                                    last_) == node.inputs.end()) {
      node.inputs.push_back(last_);
      node.attributes.transpose_rhs = true;
    }
    return last_ = Add(std::move(node), tape_id);
  }

  int End(size_t bucket) {
    Bucket& of = buckets_[bucket];
    if (of.end != kNone) return of.end;
    const Node& begin = new_[of.begin];
    Node node = {.op = &kEndAllReduce,
                 .inputs = {of.begin},
                 .attributes = begin.attributes,
                 .type = begin.type,
                 .loc = begin.loc};
    node.attributes.transpose_rhs = false;
    return of.end = AddInOrder(std::move(node));
  }

  // A sum whose terms are there.
  void AddSum(int id) {
    const TensorType& type = old_[id].type;
    if (type.bytes() >= kBucketBytes) {
      sums_[id] = {.bucket = static_cast<int>(buckets_.size()),
                   .has_bucket_alone = true};
      AddBucket(type.dtype, {&id, 1}, type.shape, /*votes=*/false);
      return;
    }
    std::vector<int>& values = small_[type.dtype];
    values.push_back(id);
    size_t bytes = 0;
    for (int value : values) bytes += old_[value].type.bytes();
    if (bytes >= kBucketBytes) Reduce(type.dtype, values);
  }

  // Begins the all-reduce of values that share one.
  void Reduce(DType dtype, std::vector<int>& values) {
    if (values.empty()) return;
    int64_t elements = 0;
    for (int id : values) {
      sums_[id] = {.bucket = static_cast<int>(buckets_.size()),
                   .offset = elements};
      elements += old_[id].type.shape.elements();
    }
    const bool votes =
        dtype == DType::kFloat32 && !has_votes_ && !old_.updates.empty();
    AddBucket(dtype, values, Shape({elements + (votes ? kBallots : 0)}), votes);
    values.clear();
  }

  void AddBucket(DType dtype, absl::Span<const int> values, const Shape& shape,
                 bool votes) {
    Node sum = Make(kSumShards, {dtype, shape});
    for (int id : values) {
      for (const Shard& shard : shards_) sum.inputs.push_back(shard.new_id[id]);
    }
    sum.attributes.depth = static_cast<int64_t>(values.size());
    sum.attributes.transpose_lhs = votes;
    const bool rounds = parallel_.bfloat16_sums && dtype == DType::kFloat32 &&
                        !votes && shape.elements() >= kFewestBFloat16Elements;
    sum.attributes.value = rounds ? 1 : 0;
    if (!values.empty()) sum.loc = old_[values[0]].loc;
    has_votes_ |= votes;
    Node begin = Make(kBeginAllReduce, sum.type);
    begin.attributes = sum.attributes;
    begin.attributes.index = next_tag_++;
    begin.loc = sum.loc;
    begin.inputs = {Add(std::move(sum))};
    buckets_.push_back({.begin = AddInOrder(std::move(begin))});
  }

  const Program& old_;
  const int64_t batch_;
  const DataParallel& parallel_;
  std::vector<Shard> shards_;  // Of this rank, those with rows.
  std::vector<Part> parts_;    // Of each old node.
  std::vector<int> stages_;
  std::vector<std::vector<int>> nodes_of_stage_;

  Program new_;
  std::vector<int> whole_, gathered_;  // New nodes.
  std::vector<Sum> sums_;
  std::vector<Bucket> buckets_;
  std::map<DType, std::vector<int>> small_;  // Old sums without a bucket yet.
  bool has_votes_ = false;
  int next_tag_ = 0;
  int last_ = kNone;  // The new node that talks to other ranks last.
};

}  // namespace

Program ShardBatch(Program program, int64_t batch,
                   const DataParallel& parallel) {
  if (parallel.shards == 1) return program;
  return Sharder(program, batch, parallel).Run();
}

}  // namespace tape
