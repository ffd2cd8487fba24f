// Schedules: a number for each step, such as a learning rate or a regulariser's
// strength, as a program on the tape.
//
// Below, t is the number of updates made before the step (0 at the first), as
// float32: exact up to 2^24, and at most 2^31, where step counters stay. All
// refuse, through whoever uses them and at its
// line, a rate that is negative or not finite, a number of steps below 1 (0
// where a phase may be left out), and what their comment names. Tested by
// tests/optim/schedule_test.cc.
#ifndef TAPE_FRAMEWORK_OPTIM_SCHEDULE_H_
#define TAPE_FRAMEWORK_OPTIM_SCHEDULE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "framework/core/graph.h"

namespace tape {

class Schedule {
 public:
  // From t, float32 of rank 0, to the value: float32 of rank 0.
  using Function = std::function<Var(Var t)>;

  // The same number, at least 0, at every step.
  Schedule(double constant);  // NOLINT: a rate may be given as a number.
  // `error` tells of a bad argument, if there is one. So is no function.
  explicit Schedule(Function function, std::string error = "");

  // Empty, or what is wrong with the arguments. Whoever takes a schedule names
  // what it is for: error("learning_rate").
  const std::string& error() const { return error_; }
  std::string error(absl::string_view what) const {
    return error_.empty() ? "" : absl::StrCat(what, ": ", error_);
  }
  // The value for a given t. A function that throws, or gives anything but a
  // float32 of rank 0 of the graph of t, is a mistake that the graph keeps.
  Var At(Var t, Loc loc = Loc::Current()) const;
  // The value at a step that is counted in int32 (Updates::step).
  Var AtStep(Var step, Loc loc = Loc::Current()) const;

 private:
  Function function_;
  std::string error_;
};

// What a variable holds, float32 of rank 0, such as a State whose value is set
// between steps by Graph::SetValue.
Schedule FromVariable(Var variable);
// rate / (1 + decay t). Refused unless decay >= 0.
Schedule InverseTimeDecay(double rate, double decay);
// rate factor^(t / steps). Refused unless factor is in (0, 1].
Schedule ExponentialDecay(double rate, double factor, int64_t steps);
// rate factor^floor(t / steps). Refused unless factor is in (0, 1].
Schedule StepDecay(double rate, double factor, int64_t steps);
// first; from step `from` of each piece on, its rate. Refused unless the
// pieces' steps rise.
struct Piece {
  int64_t from;
  double rate;
};
Schedule Piecewise(double first, std::vector<Piece> pieces);
// end + (rate - end) (1 - t / steps)^power until step `steps`, then end.
// Refused unless power > 0.
Schedule PolynomialDecay(double rate, double end, int64_t steps, double power);
// From rate in a straight line to 0 at step `steps`: PolynomialDecay of
// power 1.
Schedule LinearDecay(double rate, int64_t steps);
// end + (rate - end) (1 + cos(pi t / steps)) / 2 until step `steps`, then end.
// Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm
// restarts", ICLR 2017, formula 5, without restarts.
Schedule CosineDecay(double rate, double end, int64_t steps);
// The same, started anew every `steps` steps.
Schedule CosineRestarts(double rate, double end, int64_t steps);
// For the first `steps` steps v (t + 1) / (steps + 1), where v is what `then`
// starts with; then `then`, its t counted from there. So the first step is not
// wasted on a rate of 0.
Schedule Warmup(int64_t steps, Schedule then);
// From peak / 25 by a half cosine to peak at step 0.3 steps, from there by
// another to peak / 25e4 at step `steps`, and that from there on. Smith and
// Topin, "Super-convergence", 2018, in the form and with the constants of
// fast.ai and PyTorch.
Schedule OneCycle(double peak, int64_t steps);

// A rate that falls when a metric has stopped improving, driven from the host:
//
//   ReduceOnPlateau plateau({.rate = 0.1});
//   … Sgd({.learning_rate = plateau.schedule()}) …
//   plateau.Observe(validation_loss);   // After each epoch.
//
// All that it knows are variables of the graph, so a checkpoint keeps it: the
// rate, the best metric and the observations without improvement are the States
// "plateau/rate", "plateau/best" and "plateau/failures", or "plateau/rate/2" and
// so on for further ones. Metrics are compared as float32, those beyond it as the
// largest. For one graph, which must outlive calls of Observe; its schedule is
// refused in another.
class ReduceOnPlateau {
 public:
  struct Options {
    double rate;
    double factor = 0.1;  // In (0, 1).
    int patience = 10;    // Observations without improvement that are let pass;
                          // one more, and the rate falls.
    double threshold = 1e-4;  // An improvement is a metric below (1 -
                              // threshold) times the best.
    double min_rate = 0;
  };
  explicit ReduceOnPlateau(Options options);

  Schedule schedule() const;
  // Takes note of a metric, the smaller the better; a NaN is no improvement.
  // Returns the rate from now on. Before the schedule has been used there is
  // nothing to drive: takes note of nothing, and returns the first rate.
  // While a plan of the graph runs it is a misuse (misuse.h), and the metric is
  // lost.
  double Observe(double metric, Loc loc = Loc::Current());

 private:
  struct Declared;
  // Shared with the schedule, which is copied into the chain.
  std::shared_ptr<Declared> declared_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_OPTIM_SCHEDULE_H_
