// CONSUME: what becomes of gradients, as a chain of transformations written on
// the tape. (The design is Optax's.)
//
//   Updates updates =
//       Chain(ClipByGlobalNorm(1), Only(IsWeight, L2(5e-4)), Adam())
//           .Apply(parameters, gradients);
//
// Each transformation takes {parameters, gradients} and leaves other gradients;
// an optimiser consumes the parameters that reach it and turns their gradients
// into updates. Transformations see names, tags and Vars, never
// layers. State such as a moment is a variable of the graph, so it is saved,
// inspected and differentiated through like everything else. Since all of it is
// ordinary ops, a formula stands as in the textbook, and the compiler makes one
// pass over memory of it.
//
// What there is: regularizer.h (penalties, decays, projections), clip.h,
// wrappers.h (selections, accumulation, skipping, averages, noise),
// optimizer.h, and for rates and strengths schedule.h. To add one, derive from
// GradientTransform, inside this repository or outside. Tested by
// tests/optim/transform_test.cc.
#ifndef TAPE_FRAMEWORK_OPTIM_TRANSFORM_H_
#define TAPE_FRAMEWORK_OPTIM_TRANSFORM_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/core/initializer.h"
#include "framework/core/updates.h"

namespace tape {

struct GradientFlow;

// A function that an optimiser applies to the new value it has computed for a
// parameter, such as a projection or weight decay. Takes the old value, the new
// value and the learning rate; returns the value to assign. May add to the
// flow's updates.
using Adjustment = std::function<Var(Var old_value, Var new_value, Var rate,
                                     Updates& updates)>;

// One parameter on its way through a chain.
struct ParameterGradient {
  Var parameter;
  Var gradient;  // Of the parameter's shape.
  std::vector<Adjustment> adjustments = {};
};

// What flows down a chain.
struct GradientFlow {
  Graph* graph;
  // In order of declaration. An optimiser takes away those it has made updates
  // of.
  std::vector<ParameterGradient> trained;
  // What the step will do to variables. updates.step is there from the start.
  Updates updates;
  // How many parameters are trained by updates that updates.step counts.
  size_t counted = 0;
  // uint8 of rank 0: whether this run of the plan makes an update of these
  // parameters, and so counts as a step. Empty: always.
  Var counts = Var();
  // Of parts of these parameters that are updated in some runs only, and so
  // have step counters of their own (ApplyIf): how many parameters there are,
  // and whether a run updates any of them.
  size_t counted_apart = 0;
  Var counts_apart = Var();

  // A variable of a transformation, named after the parameter:
  // "<parameter>/<name>" or, if that is taken, "<parameter>/<name>/2" and so
  // on; float32 of its shape.
  Var StateOf(Var parameter, absl::string_view name, Loc loc,
              const Initializer& initializer = Zeros()) const;
};

class GradientTransform {
 public:
  // `name` is what errors call it: "Adam". `loc` is where the user declared it.
  GradientTransform(std::string name, Loc loc)
      : name_(std::move(name)), loc_(loc) {}
  virtual ~GradientTransform() = default;

  // Takes from and adds to the flow. A mistake is reported to flow.graph; so is
  // what it throws, by the chain that it stands in.
  virtual void Apply(GradientFlow& flow) const = 0;

  const std::string& name() const { return name_; }
  const Loc& loc() const { return loc_; }

 protected:
  // Keeps a mistake of this transformation.
  void ReportError(const GradientFlow& flow, absl::string_view message) const {
    flow.graph->ReportError(loc_, name_, message);
  }

 private:
  std::string name_;
  Loc loc_;
};

using TransformPtr = std::unique_ptr<const GradientTransform>;

// Runs `transform`, which must take all parameters of the flow, and lets its
// assignments happen only in runs where `condition` (uint8 of rank 0) holds.
// The steps that the transform sees count these runs alone: where the chain
// updates other parameters in other runs, by a counter of their own, the State
// "step/2" and so on. `by` is named, with its line, if a parameter is left.
void ApplyIf(Var condition, const GradientTransform& transform,
             const GradientTransform& by, GradientFlow& flow);

// `name`, or the first of "name/2", "name/3", … that no variable has.
std::string FreeName(const Graph& graph, absl::string_view name);

// Adds assignments to updates that were made by a chain, such as those of
// BatchNorm: made in all runs but those that SkipIfNotFinite leaves out.
void AddAssignments(absl::Span<const Assignment> assignments, Updates& updates,
                    Loc loc = Loc::Current());

// A transformation from its name and what it does: for those that need no class
// of their own.
TransformPtr MakeTransform(std::string name, Loc loc,
                           std::function<void(GradientFlow&)> apply);
// One that only refuses, with `error`; or, if that is empty, does `apply`.
TransformPtr MakeTransform(std::string name, Loc loc, std::string error,
                           std::function<void(GradientFlow&)> apply);

// Transformations, one after the other. A chain may stand in a chain.
class Chain : public GradientTransform {
 public:
  // In errors it stands where its first link does.
  template <typename... Transforms>
  explicit Chain(TransformPtr first, Transforms... others)
      : GradientTransform("Chain", first != nullptr ? first->loc() : Loc()) {
    transforms_.push_back(std::move(first));
    (transforms_.push_back(std::move(others)), ...);
  }

  // The updates that the chain makes of the gradients, and one more for a
  // counter of its own, Updates::step: the State "step", or "step/2" and so on
  // for further chains of the graph. It counts the runs that make an update,
  // and stays at the largest int32. Errors, kept by the graph: not as many
  // gradients as parameters, or of another shape; a Var that is empty or of
  // another graph; a parameter that is no variable; a link that is null; a
  // parameter that no optimiser takes; something after the optimiser that took the last;
  // whatever a transformation refuses, or a selector, schedule, adjustment or
  // other function given to it throws.
  Updates Apply(absl::Span<const Var> parameters,
                absl::Span<const Var> gradients,
                Loc loc = Loc::Current()) const;

  // The same of all parameters of the loss's graph and their gradients by it, a
  // float32 of rank 0. Errors besides: those of Gradients.
  Updates Minimize(Var loss, Loc loc = Loc::Current()) const;

  void Apply(GradientFlow& flow) const override;

 private:
  std::vector<TransformPtr> transforms_;
};

// Which parameters a transformation is for.
using Selector = std::function<bool(const Graph& graph, Var parameter)>;

bool IsWeight(const Graph& graph, Var parameter);  // Tag kWeight.
bool IsBias(const Graph& graph, Var parameter);    // Tag kBias.
// The name matches `pattern`, in which * stands for any characters: "layer1/*".
Selector NameMatches(std::string pattern);
Selector AnyOf(std::vector<Var> parameters);
Selector Not(Selector selector);

// `transform`, for the selected parameters alone. With an optimiser, these are
// done and later transformations see the others only: Only(IsBias,
// Sgd({.learning_rate = 0.1})), Adam() trains biases by SGD and the rest by
// Adam. Refused if no parameter that reaches it is selected.
TransformPtr Only(Selector selector, TransformPtr transform,
                  Loc loc = Loc::Current());

// The selected parameters stay as they are. Refused if no parameter that
// reaches it is selected.
TransformPtr Freeze(Selector selector, Loc loc = Loc::Current());

}  // namespace tape

#endif  // TAPE_FRAMEWORK_OPTIM_TRANSFORM_H_
