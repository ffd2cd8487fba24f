// CONSUME: what becomes of gradients, as a chain of transformations written on
// the tape. (The design is Optax's.)
//
//   Updates updates = Chain(L2(1e-4), Adam({.learning_rate =
//   1e-3})).Apply(parameters, gradients);
//
// Each transformation takes {parameters, gradients} and leaves other gradients;
// an optimiser ends the chain by turning them into updates. They see names,
// tags and Vars, never layers. State such as a moment is a variable of the
// graph, so it is saved, inspected and differentiated through like everything
// else. Since all of it is ordinary ops, a formula stands as in the textbook,
// and the compiler makes one pass over memory of it. Tested by
// tests/transform_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_TRANSFORM_H_
#define TAPE_FRAMEWORK_TRAIN_TRANSFORM_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/core/updates.h"

namespace tape {

// What flows down a chain.
struct GradientFlow {
  Graph* graph;
  std::vector<Var> parameters;
  std::vector<Var> gradients;  // One for each parameter, of its shape.
  Updates updates;             // What the step will do to variables.
  bool ended = false;          // An optimiser has made its updates.
};

class GradientTransform {
 public:
  virtual ~GradientTransform() = default;
  // What errors call it: "Adam".
  virtual const char* name() const = 0;
  // Where it was declared, for errors.
  virtual Loc loc() const = 0;
  // Takes from and adds to the flow. A mistake is reported to flow.graph.
  virtual void Apply(GradientFlow& flow) const = 0;
};

using TransformPtr = std::unique_ptr<const GradientTransform>;

// Transformations, one after the other.
class Chain : public GradientTransform {
 public:
  template <typename... Transforms>
  explicit Chain(Transforms... transforms) {
    (transforms_.push_back(std::move(transforms)), ...);
  }

  // The updates that the chain makes of the gradients, and one more for the
  // graph's step counter (Graph::Step). Errors, kept by the graph: not as many
  // gradients as parameters; no optimiser at the end, or something after it;
  // whatever a transformation refuses.
  Updates Apply(absl::Span<const Var> parameters,
                absl::Span<const Var> gradients,
                Loc loc = Loc::Current()) const;

  const char* name() const override { return "Chain"; }
  Loc loc() const override { return Loc(); }
  void Apply(GradientFlow& flow) const override;

 private:
  std::vector<TransformPtr> transforms_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_TRANSFORM_H_
