// How a run is doing, for a person: a bar that is redrawn while an epoch runs,
// and a line of a table when it is finished.
//
//   epoch  train loss  train acc  test loss  test acc      rate  seconds  …
//       1      0.5123     82.31%     0.4411    84.12%      0.01     1.23  …
//   epoch 2/10 ━━━━━━━━━╸───────  62%  loss 0.3214  acc 88.41%  …  0:12 left
//
// On a terminal the bar fits its width: parts that do not fit are left out. A
// log file gets the table, and a plain line for each ten seconds without one.
// Tested by tests/progress_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_PROGRESS_H_
#define TAPE_FRAMEWORK_TRAIN_PROGRESS_H_

#include <array>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>

#include "framework/train/metrics.h"

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
  // `out` must outlive the object.
  Progress(std::FILE* out, int epochs, int64_t samples_per_epoch,
           ProgressOptions options = {});
  // Ends the line of a bar that is still there.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // The first epoch is 1; a run that is continued may start at another.
  void StartEpoch(int epoch);

  // `samples` more samples of this epoch are done; loss and accuracy (a
  // fraction, 0 to 1) are means that are shown as they are, NaN as nan. Draws
  // at most ten times a second on a terminal, and otherwise once in ten
  // seconds; else it only reads the clock, and does not allocate. The time left
  // is that of the whole run, from its mean speed so far, tests included.
  void Advance(int64_t samples, double mean_loss, double mean_accuracy);

  // Replaces the bar by a line of the table, below a header if it is the first.
  // Epoch, rate and seconds are those of `train`, samples per second are the
  // samples of Advance over these seconds. A narrow terminal gets fewer
  // columns: those that fitted when the header was printed.
  void FinishEpoch(const EpochMetrics& train, const EpochMetrics& test);

 private:
  static constexpr int kTableColumns = 8;
  using TableRow = std::array<std::string, kTableColumns>;

  int Columns() const;
  void Draw(double now);
  std::string TableLine(const TableRow& cells) const;
  void ChooseTableColumns();
  void Write(const std::string& text);

  std::FILE* const out_;
  const int epochs_;
  const int64_t samples_per_epoch_;
  ProgressOptions options_;  // All found out, but perhaps `columns`.

  int epoch_ = 0;
  int64_t epoch_samples_ = 0;  // Done in this epoch.
  int64_t run_samples_ = 0;    // Done since the first StartEpoch.
  double epoch_start_ = 0;     // Moments of the clock.
  double run_start_ = 0;
  double next_draw_;
  double loss_ = kNotMeasured;
  double accuracy_ = kNotMeasured;

  bool run_started_ = false;
  bool bar_is_there_ = false;
  bool header_is_printed_ = false;
  std::array<bool, kTableColumns> shown_;  // Columns of the table.
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_PROGRESS_H_
