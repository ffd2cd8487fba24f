// How a run is doing, for a person: a bar that is redrawn while an epoch runs,
// and a line of a table when it is finished.
//
//   epoch  train loss  train acc  test loss  test acc      rate  seconds  …
//       1      0.5123     82.31%     0.4411    84.12%      0.01     1.23  …
//   epoch 2/10 ━━━━━━━━━╸───────  62%  loss 0.3214  acc 88.41%  …  0:12 left
//
// The table also has the losses and accuracies of a validation split, and what
// the updates report, if these are measured. On a terminal, bar and table fit
// its width: what has no room is left out. A log file gets the whole table, and
// a plain line for each ten seconds without one.
// Tested by tests/log/progress_test.cc.
#ifndef TAPE_FRAMEWORK_LOG_PROGRESS_H_
#define TAPE_FRAMEWORK_LOG_PROGRESS_H_

#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "framework/metrics/metrics.h"

namespace tape {

// For tests, and for programs that know better. What is not set is found out.
struct ProgressOptions {
  // Seconds since some moment. Otherwise the steady clock.
  std::function<double()> clock = nullptr;
  // The terminal's columns, asked for whenever something is drawn. Otherwise
  // what the terminal says, or 80 if it does not know.
  std::function<int()> columns = nullptr;
  // Whether lines can be redrawn. Otherwise whether the file is a terminal and
  // TERM is neither empty nor "dumb".
  std::optional<bool> terminal = std::nullopt;
  // Whether the bar may use more than ASCII. Otherwise whether the first of
  // LC_ALL, LC_CTYPE and LANG that is not empty names UTF-8.
  std::optional<bool> utf8 = std::nullopt;
  // Whether the bar is coloured. Otherwise unless NO_COLOR is set and not
  // empty.
  std::optional<bool> color = std::nullopt;
};

// For one thread. Nothing here fails: what `out` does not take is lost.
class Progress {
 public:
  // A run of `epochs` epochs with `samples_per_epoch` training samples each.
  // `out` must outlive the object; null: it writes nothing.
  Progress(std::FILE* out, int epochs, int64_t samples_per_epoch,
           ProgressOptions options = {});
  // Ends the line of a bar that is still there.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // The first epoch is 1; a run that is continued may start at another, and in
  // its middle, with so many samples done. Draws the bar if a line of the table
  // has just replaced one.
  void StartEpoch(int epoch, int64_t samples_done = 0);

  // `samples` more samples of this epoch are done; loss and accuracy (a
  // fraction, 0 to 1) are means that are shown as they are, NaN as nan. Draws
  // at most ten times a second on a terminal, and otherwise once in ten
  // seconds; else it only reads the clock, and does not allocate. The time left
  // is that of the whole run, from its mean speed so far, tests included.
  void Advance(int64_t samples, double mean_loss, double mean_accuracy);

  // Replaces the bar by a line of the table, below a header if it is the first.
  // Not every epoch needs one, if there are many short ones. Epoch, rate and
  // seconds are those of the training pass, samples per second are this epoch's
  // samples of Advance over these seconds.
  //
  // The columns are those of what is measured when the header is printed:
  // epoch, losses and accuracies of all splits, the reports of the training
  // pass, the model's metrics of the others, rate, seconds, samples per second.
  // A narrow terminal gets those that fit then. The first to be left out are
  // samples per second, seconds, rate, and the reports, the last one first; epoch
  // and test accuracy never are.
  // Several reports of one name have a column each, in their order. A cell is
  // empty if its row has no such number.
  void FinishEpoch(const EpochResult& epoch);

 private:
  // Of the table.
  struct TableColumn {
    std::string title;
    int width;       // At least that of the title.
    int importance;  // The least important columns are left out first.
    std::function<std::string(const EpochResult&)> text;
  };

  int Columns() const;
  void Draw(double now);
  std::vector<TableColumn> MeasuredColumns(const EpochResult& epoch) const;
  void FitTable();
  void Write(const std::string& text);

  std::FILE* const out_;
  const int epochs_;
  const int64_t samples_per_epoch_;
  ProgressOptions options_;  // All found out, but perhaps `columns`.

  int epoch_ = 0;
  int64_t epoch_samples_ = 0;   // Done in this epoch,
  int64_t samples_before_ = 0;  // before it was continued here.
  int64_t run_samples_ = 0;     // Done since the first StartEpoch.
  double epoch_start_ = 0;      // Moments of the clock.
  double run_start_ = 0;
  double next_draw_;
  double loss_ = kNotMeasured;
  double accuracy_ = kNotMeasured;

  bool run_started_ = false;
  bool bar_is_there_ = false;
  std::vector<TableColumn> table_;  // Empty before the header is printed.
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_LOG_PROGRESS_H_
