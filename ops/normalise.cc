// Normalisation by mean and variance (ops.h), composed of other ops. Tested by
// tests/op_test.cc through the sample table, and by tests/normalise_test.cc.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/ops.h"
#include "ops/reduce.h"
#include "ops/rules.h"

namespace tape {
namespace {

absl::Status ExpectFloats(absl::Span<const TensorType> x) {
  for (const TensorType& type : x) {
    if (absl::Status status = ExpectFloat32(type); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// attributes.value: epsilon.
absl::Status ExpectEpsilon(const Attributes& attributes) {
  if (attributes.value >= 0 &&
      std::isfinite(static_cast<float>(attributes.value))) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "expected a finite epsilon of at least 0, found ", attributes.value));
}

constexpr Composite kLayerNorm = {
    .name = "LayerNorm",
    .operands = {"x", "scale", "shift"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = ExpectFloats(x); !status.ok()) return status;
      if (absl::Status status = ExpectEpsilon(attributes); !status.ok()) {
        return status;
      }
      const Shape &whole = x[0].shape, &scale = x[1].shape;
      const int first = whole.rank() - scale.rank();
      if (scale.rank() < 1 || first < 0 || !(scale == x[2].shape) ||
          !(Shape(whole.dims().subspan(first)) == scale)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected scale and shift of the last axes of ", whole.ToString(),
            ", found ", scale.ToString(), " and ", x[2].shape.ToString()));
      }
      return x[0];
    }};

// Of a vector for each channel, which attributes.axis counts.
template <bool statistics>
absl::StatusOr<TensorType> ChannelsRule(absl::Span<const TensorType> x,
                                        const Attributes& attributes) {
  if (absl::Status status = ExpectFloats(x); !status.ok()) return status;
  if (absl::Status status = ExpectEpsilon(attributes); !status.ok()) {
    return status;
  }
  const double decay = attributes.alpha;
  if (!(decay >= 0 && decay <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a decay of 0 to 1, found ", decay));
  }
  const auto axis = ResolveAxis(attributes.axis, x[0].shape.rank());
  if (!axis.ok()) return axis.status();
  const Shape channels = {x[0].shape[*axis]};
  if (!(x[1].shape == channels) || !(x[2].shape == channels)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected ", statistics ? "a mean and a variance" : "scale and shift",
        " of shape ", channels.ToString(), ", found ", x[1].shape.ToString(),
        " and ", x[2].shape.ToString()));
  }
  return x[0];
}
constexpr Composite kBatchNorm = {.name = "BatchNorm",
                                  .operands = {"x", "scale", "shift"},
                                  .shape = ChannelsRule<false>};
constexpr Composite kBatchNormStatistics = {
    .name = "BatchNorm",
    .operands = {"x", "mean", "variance"},
    .shape = ChannelsRule<true>};

// (x - mean) / sqrt(variance + epsilon) scale + shift, all of which broadcast.
Var Normalised(Var from_mean, Var variance, double epsilon, Var scale,
               Var shift) {
  return from_mean * Rsqrt(variance + epsilon) * scale + shift;
}

// Where the channels of x are.
struct Channels {
  Channels(Var x, int channel_axis) {
    const Shape& shape = x.shape();
    const int axis = *ResolveAxis(channel_axis, shape.rank());
    absl::InlinedVector<int64_t, 4> last = {shape[axis]}, kept, others;
    last.resize(shape.rank() - axis, 1);
    beside = Shape(last);
    for (int i = 0; i < shape.rank(); ++i) {
      kept.push_back(i == axis ? shape[i] : 1);
      if (i != axis) others.push_back(shape[i]);
    }
    statistics = Shape(kept);
    reduced = Shape(others);
  }
  // A number for each channel, so that it broadcasts to x's shape.
  Var Beside(Var vector) const { return Reshape(vector, beside); }

  Shape beside;
  Shape statistics;  // x's shape with all other axes as 1.
  Shape reduced;     // These axes alone.
};

// False, with the mistake kept, unless all five fit.
bool FitsBatchNorm(Var x, Var scale, Var shift, RunningStatistics running,
                   const BatchNormOptions& options, Loc loc) {
  const Attributes attributes = {
      .value = options.epsilon, .alpha = options.decay, .axis = options.axis};
  return Composing(kBatchNorm, {x, scale, shift}, loc, attributes).ok() &&
         Composing(kBatchNormStatistics, {x, running.mean, running.variance},
                   loc, attributes)
             .ok();
}

}  // namespace

// ---- LayerNorm: y = (x - m) / sqrt(v + epsilon) scale + shift ----
Var LayerNorm(Var x, Var scale, Var shift, LayerNormOptions options, Loc loc) {
  const Composing norm(kLayerNorm, {x, scale, shift}, loc,
                       {.value = options.epsilon});
  if (!norm.ok()) return norm.mistake();
  const Shape& shape = x.shape();
  const int first = shape.rank() - scale.shape().rank();
  absl::InlinedVector<int64_t, 4> kept(shape.dims().begin(),
                                       shape.dims().end());
  std::fill(kept.begin() + first, kept.end(), 1);
  const Var count = ElementCount(x.graph(), scale.shape());
  const Var from_mean = CenterRows(x, first);
  return Normalised(from_mean, MeanSquare(from_mean, Shape(kept), count),
                    options.epsilon, scale, shift);
}

// ---- BatchNorm: the same, over all axes but the channels' ----
BatchNormResult BatchNorm(Var x, Var scale, Var shift,
                          RunningStatistics running, BatchNormOptions options,
                          Loc loc) {
  if (!FitsBatchNorm(x, scale, shift, running, options, loc)) {
    return {.y = x.empty() ? x : Var(x.graph(), kNone)};
  }
  const Graph::LocScope scope(x.graph(),
                              x.graph()->loc_scope().line > 0 ? Loc() : loc);
  const Channels channels(x, options.axis);
  const Var count = ElementCount(x.graph(), channels.reduced);
  const Centered centered = Center(x, channels.statistics, count);
  const Var variance =
      MeanSquare(centered.from_mean, channels.statistics, count);
  // Fewer than two elements have no variance, and what is not finite would stay
  // in the running statistics for good.
  const Shape shape = running.mean.shape();
  const Var usable = And(Greater(count, Constant(count, 1)),
                         And(IsFinite(Reshape(centered.mean, shape)),
                             IsFinite(Reshape(variance, shape))));
  const auto decayed = [&](Var old, Var now) {
    const Var next =
        options.decay * old + (1 - options.decay) * Reshape(now, old.shape());
    return Assignment{old, Select(usable, next, old)};
  };
  return {.y = Normalised(centered.from_mean, variance, options.epsilon,
                          channels.Beside(scale), channels.Beside(shift)),
          .assignments = {decayed(running.mean, centered.mean),
                          decayed(running.variance, variance)}};
}

Var BatchNormInference(Var x, Var scale, Var shift, RunningStatistics running,
                       BatchNormOptions options, Loc loc) {
  if (!FitsBatchNorm(x, scale, shift, running, options, loc)) {
    return x.empty() ? x : Var(x.graph(), kNone);
  }
  const Graph::LocScope scope(x.graph(),
                              x.graph()->loc_scope().line > 0 ? Loc() : loc);
  const Channels channels(x, options.axis);
  return Normalised(x - channels.Beside(running.mean),
                    channels.Beside(running.variance), options.epsilon,
                    channels.Beside(scale), channels.Beside(shift));
}

}  // namespace tape
