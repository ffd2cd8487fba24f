// The slopes of a graph at a point, by differences in double: what
// CheckGradients (gradient_check.h) holds gradient rules to. Tested by
// tests/check/gradient_check_test.cc.
#ifndef TAPE_FRAMEWORK_CHECK_SLOPES_H_
#define TAPE_FRAMEWORK_CHECK_SLOPES_H_

#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/core/reference.h"

namespace tape {

// Where a graph is evaluated: numbers, in double, for what is fed, and for
// nodes that are held.
class EvaluationPoint {
 public:
  explicit EvaluationPoint(const ReferenceFeeds& feeds);

  void Feed(Var source, Tensor value) { Set(feeds_, source, std::move(value)); }
  void Hold(Var node, Tensor value) { Set(held_, node, std::move(value)); }
  void Release(Var node);
  // From here on what StopGradient stops on the way to `y` is held.
  absl::Status HoldStopped(Var y);
  bool IsFed(Var source) const;

  absl::StatusOr<std::vector<Tensor>> Evaluate(
      absl::Span<const Var> fetches) const {
    return EvaluateReference(fetches, feeds_, held_, nullptr, Loc());
  }
  absl::StatusOr<Tensor> Evaluate(Var fetch) const;

  // The batch size; 0 if nothing that is fed has it.
  int64_t Batch() const;

 private:
  static void Set(ReferenceFeeds& values, Var var, Tensor value);

  ReferenceFeeds feeds_, held_;
};

// The slopes of y at an element of x.
struct Slopes {
  double below = 0;
  double above = 0;
  double error = 0;     // Of either, as far as steps tell,
  double rounding = 0;  // and for want of digits.

  bool AreFinite() const {
    return std::isfinite(below) && std::isfinite(above);
  }
};

// Finds the slopes of the sum of weights * y by moving elements of x. All
// arguments must outlive the object, which leaves `point` as it was.
class SlopeFinder {
 public:
  SlopeFinder(Var y, const Tensor& y_here, const Tensor& weights, Var x,
              const Tensor& x_here, bool is_source, EvaluationPoint& point);
  ~SlopeFinder();

  // By one step each way.
  absl::StatusOr<Slopes> AtStep(int64_t element, double step);
  // By many steps, of which the best are found. A side is infinite if its
  // quotients grow without end, NaN if y or the element is not finite there.
  absl::StatusOr<Slopes> AtBestStep(int64_t element);

 private:
  struct Moved {
    // How far change / distance may be off for want of digits of y.
    double Rounding() const {
      return 4 * std::numeric_limits<double>::epsilon() *
             (magnitude / std::fabs(distance));
    }

    double change = 0;     // Of the sum.
    double magnitude = 0;  // Sum of |weight y|, of what depends on x.
    double distance = 0;   // Really moved: e + step is rounded. Of either sign.
  };

  // How far off what the rules give may be: terms cancel there that differences
  // do not have.
  double RoundingOfRules(int64_t element) const;
  absl::StatusOr<Moved> Move(int64_t element, double by);

  const Var y_;
  const Tensor& y_here_;
  const Tensor& weights_;
  const Var x_;
  const Tensor& x_here_;
  const bool is_source_;
  EvaluationPoint& point_;
  double magnitude_ = 0;       // Sum of |weight y|.
  std::vector<bool> depends_;  // Elements of y that an element of x has moved.
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CHECK_SLOPES_H_
