// Axes in another order (ops.h). Tested by tests/ops/op_test.cc through the sample
// table, and by tests/compiler/simplify_test.cc.
#include <algorithm>
#include <numeric>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "ops/op_lists.h"
#include "ops/ops.h"
#include "ops/ranges.h"
#include "ops/rules.h"
#include "ops/vector.h"

namespace tape {
namespace {

using Permutation = absl::InlinedVector<int, 4>;

bool IsPermutation(const Permutation& axes, int rank) {
  std::vector<bool> seen(rank, false);
  for (int axis : axes) {
    if (axis < 0 || axis >= rank || seen[axis]) return false;
    seen[axis] = true;
  }
  return static_cast<int>(axes.size()) == rank;
}

// An axis of the result: so many steps in memory, of so many elements of x and
// of y.
struct Walk {
  int64_t count;
  int64_t from;
  int64_t to;
};

// Moves elements of a dtype, or runs of them.
class Mover {
 public:
  Mover(const Shape& x, const Permutation& axes, DType dtype)
      : dtype_(dtype), bytes_(static_cast<int64_t>(SizeOf(dtype))) {
    std::vector<int64_t> strides(x.rank());
    int64_t stride = 1;
    for (int axis = x.rank(); axis-- > 0; stride *= x[axis]) {
      strides[axis] = stride;
    }
    elements_ = stride;
    // Axes that stay beside each other are one.
    for (int axis : axes) {
      if (x[axis] == 1) continue;
      if (!walks_.empty() && walks_.back().from == strides[axis] * x[axis]) {
        walks_.back().count *= x[axis];
        walks_.back().from = strides[axis];
      } else {
        walks_.push_back({x[axis], strides[axis], 0});
      }
    }
    int64_t to = 1;
    for (size_t i = walks_.size(); i-- > 0; to *= walks_[i].count) {
      walks_[i].to = to;
    }
    if (walks_.empty()) return;
    // Where y's last axis is x's, whole runs of it are moved.
    if (walks_.back().from == 1) {
      const int64_t run = walks_.back().count;
      walks_.pop_back();
      for (Walk& walk : walks_) {
        walk.from /= run;
        walk.to /= run;
      }
      bytes_ *= run;
      units_ = 1;
      for (const Walk& walk : walks_) units_ *= walk.count;
      if (!walks_.empty()) {
        last_ = walks_.back();
        walks_.pop_back();
      }
      return;
    }
    // Else y's last axis and x's last one span squares.
    last_ = walks_.back();
    walks_.pop_back();
    const auto contiguous =
        std::find_if(walks_.begin(), walks_.end(),
                     [](const Walk& walk) { return walk.from == 1; });
    across_ = *contiguous;
    walks_.erase(contiguous);
    squares_ = true;
    bands_ = (across_.count + kSide - 1) / kSide;
    units_ = bands_;
    for (const Walk& walk : walks_) units_ *= walk.count;
  }

  int64_t units() const { return elements_ == 0 ? 0 : units_; }

  void Move(const std::byte* x, std::byte* y, int64_t begin,
            int64_t end) const {
    if (!squares_) return MoveRuns(x, y, begin, end);
    WithWordOf(dtype_, [&](auto word) {
      MoveSquares<decltype(word)>(x, y, begin, end);
    });
  }

 private:
  // Of squares that stay in the first-level cache, with whole cache lines of
  // either side.
  static constexpr int64_t kSide = 32;

  // Where the other axes are at step `index` of all.
  Walk At(int64_t index) const {
    Walk at = {0, 0, 0};
    for (size_t i = walks_.size(); i-- > 0; index /= walks_[i].count) {
      at.from += index % walks_[i].count * walks_[i].from;
      at.to += index % walks_[i].count * walks_[i].to;
    }
    return at;
  }

  void MoveRuns(const std::byte* x, std::byte* y, int64_t begin,
                int64_t end) const {
    while (begin < end) {
      const int64_t first = begin % last_.count;
      const int64_t count = std::min(last_.count - first, end - begin);
      const Walk at = At(begin / last_.count);
      CopyRuns(y + (at.to + first * last_.to) * bytes_, last_.to * bytes_,
               x + (at.from + first * last_.from) * bytes_, last_.from * bytes_,
               count, bytes_);
      begin += count;
    }
  }

  template <typename T>
  void MoveSquares(const std::byte* x, std::byte* y, int64_t begin,
                   int64_t end) const {
    for (int64_t unit = begin; unit < end; ++unit) {
      const Walk at = At(unit / bands_);
      const T* const from = reinterpret_cast<const T*>(x) + at.from;
      T* const to = reinterpret_cast<T*>(y) + at.to;
      const int64_t i0 = unit % bands_ * kSide;
      const int64_t i1 = std::min(across_.count, i0 + kSide);
      for (int64_t j0 = 0; j0 < last_.count; j0 += kSide) {
        const int64_t j1 = std::min(last_.count, j0 + kSide);
        if constexpr (sizeof(T) == sizeof(uint32_t)) {
          vector::TransposeWords(from + i0 + j0 * last_.from, last_.from,
                                 i1 - i0, j1 - j0, to + i0 * across_.to + j0,
                                 across_.to);
          continue;
        }
        for (int64_t i = i0; i < i1; ++i) {
          for (int64_t j = j0; j < j1; ++j) {
            to[i * across_.to + j] = from[i + j * last_.from];
          }
        }
      }
    }
  }

  DType dtype_;
  int64_t bytes_;  // Of an element, or of a run.
  int64_t elements_ = 0;
  int64_t units_ = 1;
  int64_t bands_ = 1;
  bool squares_ = false;
  std::vector<Walk> walks_;
  Walk across_ = {1, 0, 0};
  Walk last_ = {1, 0, 0};
};

}  // namespace

// ---- Transpose: y's axis i is x's axis axes[i]; dx = gy, the other way ----
constinit const OpDef kTranspose = {
    .name = "Transpose",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const Shape& shape = x[0].shape;
      if (!IsPermutation(attributes.axes, shape.rank())) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected each axis of ", shape.ToString(), " once, found axes [",
            absl::StrJoin(attributes.axes, ","), "]"));
      }
      absl::InlinedVector<int64_t, 4> dims;
      for (int axis : attributes.axes) dims.push_back(shape[axis]);
      return TensorType{x[0].dtype, Shape(dims)};
    },
    .gradient = [](absl::Span<const Var>, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      Permutation back(attributes.axes.size());
      for (size_t i = 0; i < back.size(); ++i) {
        back[attributes.axes[i]] = static_cast<int>(i);
      }
      return {Transpose(gy, back)};
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          const int rank = y.shape().rank();
          for (int64_t i = 0; i < y.elements(); ++i) {
            std::vector<int64_t> index(rank);  // Of x.
            int64_t left = i;
            for (int axis = rank; axis-- > 0; left /= y.shape()[axis]) {
              index[attributes.axes[axis]] = left % y.shape()[axis];
            }
            int64_t at = 0;
            for (int axis = 0; axis < rank; ++axis) {
              at = at * x[0].shape()[axis] + index[axis];
            }
            y.values<double>()[i] = x[0].values<double>()[at];
          }
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const Mover mover(spec.inputs[0].shape, spec.attributes.axes,
                        spec.output.dtype);
      return MakeRangesKernel(mover.units(), spec.output.bytes(),
                              [mover](const KernelArguments& arguments,
                                      int64_t begin, int64_t end) {
                                mover.Move(Read(arguments), Written(arguments),
                                           begin, end);
                              });
    },
    .rows =
        [](const RowQuery& query) {
          return query.attributes.axes[0] == 0 ? RowRole::kApart
                                               : RowRole::kMixed;
        },
    .simplify = [](const SimplifyQuery& query) -> Simplification {
      const Permutation& outer = query.attributes.axes;
      if (std::is_sorted(outer.begin(), outer.end())) {
        return {Simplification::kInput, 0};
      }
      if (query.inputs[0].op != query.op) return {};
      // y's axis i is the inner y's axis outer[i].
      Simplification simpler = {Simplification::kWithoutInput, 0,
                                query.attributes};
      for (size_t i = 0; i < outer.size(); ++i) {
        simpler.attributes->axes[i] = query.inputs[0].attributes.axes[outer[i]];
      }
      return simpler;
    },
};

Var Transpose(Var x, absl::Span<const int> axes, Loc loc) {
  Permutation order(axes.begin(), axes.end());
  const int rank = x.valid() ? x.shape().rank() : 0;
  if (axes.empty()) {
    order.resize(rank);
    std::iota(order.rbegin(), order.rend(), 0);
  }
  for (int& axis : order) {
    if (axis < 0 && axis >= -rank) axis += rank;
  }
  return Append(kTranspose, {x}, {.axes = order}, loc);
}

absl::Span<const OpDef* const> OpsOfTranspose() {
  static constexpr const OpDef* kOps[] = {&kTranspose};
  return kOps;
}

}  // namespace tape
