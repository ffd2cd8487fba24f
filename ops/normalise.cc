// Normalisation by mean and variance (ops.h), composed of other ops. Tested by
// tests/op_test.cc through the sample table, and by tests/normalise_test.cc.
#include <cmath>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/ops.h"
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
  Channels(Var x, int channel_axis)
      : axis(*ResolveAxis(channel_axis, x.shape().rank())) {
    absl::InlinedVector<int64_t, 4> dims = {x.shape()[axis]};
    dims.resize(x.shape().rank() - axis, 1);
    beside = Shape(dims);
    for (int i = 0; i < x.shape().rank(); ++i) {
      if (i != axis) others.push_back(i);
    }
  }
  // A number for each channel, so that it broadcasts to x's shape.
  Var Beside(Var vector) const { return Reshape(vector, beside); }

  int axis;
  Shape beside;
  std::vector<int> others;  // All axes but that of the channels.
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
  std::vector<int> axes;
  for (int back = scale.shape().rank(); back > 0; --back) axes.push_back(-back);
  const Var from_mean = x - Mean(x, axes, Axes::kKeep);
  return Normalised(from_mean, Mean(Square(from_mean), axes, Axes::kKeep),
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
  const bool reduces = !channels.others.empty();
  const auto mean_of = [&](Var values) {
    // No axes at all would mean all of them.
    return reduces ? Mean(values, channels.others, Axes::kKeep) : values;
  };
  const Var mean = mean_of(x);
  const Var from_mean = x - mean;
  const Var variance = mean_of(Square(from_mean));
  const auto decayed = [&](Var old, Var now) {
    return Assignment{old, options.decay * old +
                               (1 - options.decay) * Reshape(now, old.shape())};
  };
  return {.y = Normalised(from_mean, variance, options.epsilon,
                          channels.Beside(scale), channels.Beside(shift)),
          .assignments = {decayed(running.mean, mean),
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
