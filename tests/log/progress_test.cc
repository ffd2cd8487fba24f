// The bar and the table of framework/log/progress.h, letter by letter, with a
// clock and a terminal of the test's own; and once on a pseudo-terminal.
#include "framework/log/progress.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "tests/allocation_testing.h"

namespace tape {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A file with what was written to it.
class Output {
 public:
  Output() : file_(std::tmpfile()) {}
  ~Output() { std::fclose(file_); }

  std::FILE* file() { return file_; }

  // What was written since the last call.
  std::string Take() {
    std::string text;
    std::fseek(file_, read_, SEEK_SET);
    for (int c; (c = std::fgetc(file_)) != EOF;) text.push_back(c);
    read_ += static_cast<long>(text.size());
    std::fseek(file_, 0, SEEK_END);
    return text;
  }

 private:
  std::FILE* const file_;
  long read_ = 0;
};

// Columns of one line of UTF-8: bytes that do not continue a character.
int Width(absl::string_view line) {
  int width = 0;
  for (unsigned char byte : line) width += (byte & 0xc0) != 0x80;
  return width;
}

// As wide as the 1100 of 1100 epochs.
std::string Padded(int epoch) {
  return absl::StrCat(absl::Dec(epoch, absl::kSpacePad4));
}

class ProgressTest : public testing::Test {
 protected:
  // Terminals of the tests are as plain as possible: ASCII would hide the bar's
  // halves, colours would hide the rest.
  ProgressOptions Terminal(int columns) {
    columns_ = columns;
    return {.clock = [this] { return now_; },
            .columns = [this] { return columns_; },
            .terminal = true,
            .utf8 = true,
            .color = false};
  }
  ProgressOptions Log() {  // Its lines are as long as they want to be.
    return {.clock = [this] { return now_; },
            .columns = [] { return 20; },
            .terminal = false};
  }

  // The bar after 62% of epoch 3 of 10, at the same speed from the beginning.
  std::string Bar(ProgressOptions options) {
    Progress progress(output_.file(), 10, 60000, std::move(options));
    now_ += 1;
    progress.StartEpoch(3);
    output_.Take();
    now_ += 0.25;
    progress.Advance(37200, 0.32144, 0.88414);
    return output_.Take();
  }

  double now_ = 1000;
  int columns_ = 80;
  Output output_;
};

const EpochMetrics kTrain = {.epoch = 1,
                             .split = "train",
                             .loss = 0.51234,
                             .accuracy = 0.82314,
                             .learning_rate = 0.01,
                             .seconds = 1.2345};
const EpochMetrics kTest = {.epoch = 1,
                            .split = "test",
                            .loss = 0.44106,
                            .accuracy = 0.84121,
                            .learning_rate = 0.01,
                            .seconds = 0.2};
const EpochResult kEpoch = {.train = kTrain, .test = kTest};

// kEpoch with a validation split …
EpochResult WithValidation() {
  EpochResult epoch = kEpoch;
  epoch.validation = {
      .epoch = 1, .split = "validation", .loss = 0.47295, .accuracy = 0.83333};
  return epoch;
}
// … and with reports too.
EpochResult WithEverything() {
  EpochResult epoch = WithValidation();
  epoch.train.reports = {{"penalty", 0.00012}, {"skipped_steps", 3}};
  return epoch;
}

// 40 columns minus the last one; the other widths likewise.
TEST_F(ProgressTest, FortyColumnsShowTheBarAndTheLoss) {
  EXPECT_EQ(Bar(Terminal(40)),
            "\repoch  3/10 ━━━━━╸───  62%  loss 0.3214\x1b[K");
}

TEST_F(ProgressTest, EightyColumnsShowEverything) {
  EXPECT_EQ(Bar(Terminal(80)),
            "\repoch  3/10 ━━━━━━────  62%  loss 0.3214  acc 88.41%"
            "  149k samples/s  0:03 left\x1b[K");
}

TEST_F(ProgressTest, WideTerminalsGetABarOfFortyCells) {
  EXPECT_EQ(Bar(Terminal(200)),
            "\repoch  3/10 ━━━━━━━━━━━━━━━━━━━━━━━━╸───────────────  62%"
            "  loss 0.3214  acc 88.41%  149k samples/s  0:03 left\x1b[K");
}

TEST_F(ProgressTest, PartsAreLeftOutInOrder) {
  std::vector<std::string> seen;
  for (int columns = 0; columns <= 200; ++columns) {
    const std::string bar = Bar(Terminal(columns));
    ASSERT_TRUE(absl::StartsWith(bar, "\r"));
    ASSERT_TRUE(absl::EndsWith(bar, "\x1b[K"));
    const std::string line = bar.substr(1, bar.size() - 4);
    EXPECT_LT(Width(line), std::max(columns, 1)) << line;
    std::string parts = absl::StrContains(line, "━") ? "bar " : "";
    for (const char* part : {"%", "loss", "acc", "samples/s", "left"}) {
      if (absl::StrContains(line, part)) absl::StrAppend(&parts, part, " ");
    }
    if (seen.empty() || seen.back() != parts) seen.push_back(parts);
  }
  EXPECT_EQ(seen, (std::vector<std::string>{
                      "",
                      "% ",
                      "bar % ",
                      "bar % loss ",
                      "bar % loss left ",
                      "bar % loss acc left ",
                      "bar % loss acc samples/s left ",
                  }));
}

TEST_F(ProgressTest, TheWidthIsAskedForAgain) {
  Progress progress(output_.file(), 1, 100, Terminal(80));
  progress.StartEpoch(1);
  EXPECT_EQ(Width(output_.Take()), 1 + 9 + 1 + 40 + 5 + 3);
  now_ += 1;
  columns_ = 40;
  progress.Advance(50, 0.5, 0.5);
  EXPECT_EQ(output_.Take(), "\repoch 1/1 ━━━━━╸─────  50%  loss 0.5000\x1b[K");
}

TEST_F(ProgressTest, OtherLocalesGetAnAsciiBar) {
  ProgressOptions options = Terminal(40);
  options.utf8 = false;
  EXPECT_EQ(Bar(options), "\repoch  3/10 #####-...  62%  loss 0.3214\x1b[K");
}

TEST_F(ProgressTest, ColoursTakeNoColumns) {
  ProgressOptions options = Terminal(40);
  options.color = true;
  EXPECT_EQ(Bar(options),
            "\repoch  3/10 \x1b[32m━━━━━╸\x1b[90m───\x1b[0m  62%"
            "  loss 0.3214\x1b[K");
}

TEST_F(ProgressTest, TheBarIsThereBeforeTheFirstBatchAndFullAfterTheLast) {
  Progress progress(output_.file(), 1, 100, Terminal(40));
  progress.StartEpoch(1);
  EXPECT_EQ(output_.Take(), "\repoch 1/1 ────────────────────────   0%\x1b[K");
  now_ += 1;
  progress.Advance(99, kNan, kNan);
  EXPECT_EQ(output_.Take(), "\repoch 1/1 ━━━━━━━━━━━━━╸  99%  loss nan\x1b[K");
  now_ += 1;
  progress.Advance(1, kNan, kNan);
  EXPECT_EQ(output_.Take(), "\repoch 1/1 ━━━━━━━━━━━━━━ 100%  loss nan\x1b[K");
  now_ += 1;
  progress.Advance(50, 12345.0, 1);  // More than was said: still full.
  EXPECT_EQ(output_.Take(), "\repoch 1/1 ━━━━━━━━━ 100%  loss 1.23e+04\x1b[K");
}

TEST_F(ProgressTest, DrawsAtMostTenTimesASecond) {
  Progress progress(output_.file(), 1, 1000000, Terminal(80));
  int draws = 0;
  progress.StartEpoch(1);
  for (int i = 0; i < 10000; ++i) {  // Ten seconds.
    now_ += 0.001;
    progress.Advance(1, 0.5, 0.5);
    draws += output_.Take().empty() ? 0 : 1;
  }
  EXPECT_GE(draws, 98);
  EXPECT_LE(draws, 100);
}

TEST_F(ProgressTest, AdvanceDoesNotAllocateUnlessItDraws) {
  Progress progress(output_.file(), 1, 1000000, Terminal(80));
  progress.StartEpoch(1);
  now_ += 0.05;
  const int64_t before = AllocationCount();
  for (int i = 0; i < 1000; ++i) progress.Advance(1, 0.5, 0.5);
  EXPECT_EQ(AllocationCount(), before);
  now_ += 0.06;
  progress.Advance(1, 0.5, 0.5);
  EXPECT_GT(AllocationCount(), before);
}

TEST_F(ProgressTest, TimeLeftIsThatOfTheWholeRunWithItsTests) {
  Progress progress(output_.file(), 3, 100, Terminal(200));
  progress.StartEpoch(1);
  now_ += 10;
  progress.Advance(50, 0.5, 0.5);
  // 50 samples took 10 s, 250 are left.
  EXPECT_TRUE(absl::StrContains(output_.Take(), "  5.00 samples/s  0:50 left"));
  now_ += 10;
  progress.Advance(50, 0.5, 0.5);
  now_ += 20;  // The test.
  progress.FinishEpoch(kEpoch);
  progress.StartEpoch(2);
  // 100 samples took 40 s, 200 are left.
  EXPECT_TRUE(absl::EndsWith(output_.Take(), "   0%  1:20 left\x1b[K"));
  now_ += 10;
  progress.Advance(50, 0.5, 0.5);
  // 150 samples took 50 s, 150 are left.
  EXPECT_TRUE(absl::StrContains(output_.Take(), "  5.00 samples/s  0:50 left"));
}

TEST_F(ProgressTest, AContinuedRunCountsWhatItDidItself) {
  Progress progress(output_.file(), 10, 100, Terminal(200));
  progress.StartEpoch(10);
  now_ += 10;
  progress.Advance(50, 0.5, 0.5);
  EXPECT_TRUE(absl::StrContains(output_.Take(), "  0:10 left"));
}

TEST_F(ProgressTest, SpeedsAndTimesHaveUnits) {
  struct Case {
    int64_t samples;  // Done in a second …
    int64_t all;      // … of so many.
    std::string text;
  };
  for (const Case& c : std::vector<Case>{
           {1, 100, "  1.00 samples/s  1:39 left"},
           {1, 3661, "  1.00 samples/s  1:01:00 left"},
           {1, 359999, "  1.00 samples/s  99:59:58 left"},
           {1, 864001, "  1.00 samples/s  10d left"},
           {10, 20, "  10.0 samples/s  0:01 left"},
           {999, 1998, "  999 samples/s  0:01 left"},
           {1000, 2000, "  1.00k samples/s  0:01 left"},
           {9994, 9994, "  9.99k samples/s  0:00 left"},
           {9996, 9996, "  10.0k samples/s  0:00 left"},
           {99949, 99949, "  99.9k samples/s  0:00 left"},
           {99951, 99951, "  100k samples/s  0:00 left"},
           {999600, 999600, "  1.00M samples/s  0:00 left"},
           {2000000000, 2000000000, "  2.00G samples/s  0:00 left"},
           {5000000000000, 5000000000000, "  5000G samples/s  0:00 left"}}) {
    Progress progress(output_.file(), 1, c.all, Terminal(200));
    progress.StartEpoch(1);
    now_ += 1;
    output_.Take();
    progress.Advance(c.samples, 0.5, 0.5);
    EXPECT_TRUE(
        absl::EndsWith(output_.Take(), absl::StrCat("%", c.text, "\x1b[K")))
        << c.text;
  }
}

TEST_F(ProgressTest, TheTableReplacesTheBar) {
  {
    Progress progress(output_.file(), 2, 60000, Terminal(80));
    progress.StartEpoch(1);
    output_.Take();
    progress.Advance(60000, 0.5, 0.5);
    progress.FinishEpoch(kEpoch);
    EXPECT_EQ(output_.Take(),
              "\r\x1b[K"
              "epoch  train loss  train acc  test loss  test acc      rate"
              "  seconds  samples/s\n"
              "    1      0.5123     82.31%     0.4411    84.12%      0.01"
              "     1.23      48.6k\n");
    // The bar is back at once, though it was drawn at this very moment.
    progress.StartEpoch(2);
    EXPECT_TRUE(absl::StartsWith(output_.Take(), "\repoch 2/2 ──"));
    // There is no second header.
    const EpochResult second = {.train = {.epoch = 2,
                                          .split = "train",
                                          .loss = kNan,
                                          .accuracy = 1,
                                          .learning_rate = 0.000012345,
                                          .seconds = 12345.6},
                                .test = {.epoch = 2,
                                         .split = "test",
                                         .loss = -kNan,
                                         .accuracy = kNan,
                                         .seconds = kNan}};
    const std::string line =
        "    2         nan    100.00%        nan       nan  1.23e-05"
        "    12346       0.00\n";
    progress.FinishEpoch(second);
    EXPECT_EQ(output_.Take(), absl::StrCat("\r\x1b[K", line));
    // No bar was drawn since: none is erased.
    progress.FinishEpoch(second);
    EXPECT_EQ(output_.Take(), line);
  }
  EXPECT_EQ(output_.Take(), "");  // Nor was there a bar to end.
}

TEST_F(ProgressTest, NarrowTerminalsGetFewerColumnsOfTheTable) {
  Progress progress(output_.file(), 2, 60000, Terminal(40));
  progress.FinishEpoch(kEpoch);
  columns_ = 80;  // Too late: the header stands.
  progress.FinishEpoch(kEpoch);
  EXPECT_EQ(output_.Take(),
            "epoch  train loss  test loss  test acc\n"
            "    1      0.5123     0.4411    84.12%\n"
            "    1      0.5123     0.4411    84.12%\n");
  for (columns_ = 40; columns_ < 100; ++columns_) {
    Progress(output_.file(), 2, 60000, Terminal(columns_)).FinishEpoch(kEpoch);
    for (absl::string_view line : absl::StrSplit(output_.Take(), '\n')) {
      EXPECT_LT(Width(line), columns_) << line;
    }
  }
}

TEST_F(ProgressTest, NamesOfReportsAreOneLineAndCommandNoTerminal) {
  Progress progress(output_.file(), 4, 60000, Log());
  progress.StartEpoch(1);
  progress.Advance(60000, 0.5, 0.5);
  EpochResult epoch = kEpoch;
  epoch.train.reports = {{"a\n\x1b[31m", 5}};
  progress.FinishEpoch(epoch);
  const std::string text = output_.Take();
  EXPECT_TRUE(absl::StrContains(text, "  a\\n\\x1b[31m  ")) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
}

TEST_F(ProgressTest, WhatElseIsMeasuredHasItsColumns) {
  Progress progress(output_.file(), 4, 60000, Log());
  progress.StartEpoch(1);
  progress.Advance(60000, 0.5, 0.5);
  progress.FinishEpoch(WithEverything());
  // By name, in whatever order. What the header lacks has no cell, and what the
  // row lacks an empty one.
  EpochResult epoch = WithValidation();
  epoch.train.reports = {{"late", 5}, {"skipped_steps", kNan}, {"penalty", 2}};
  progress.FinishEpoch(epoch);
  epoch.validation->loss = -kNan;
  epoch.validation->accuracy = kNan;
  epoch.train.reports = {{"skipped_steps", -1234567}};
  progress.FinishEpoch(epoch);
  progress.FinishEpoch(kEpoch);
  EXPECT_EQ(output_.Take(),
            "epoch  train loss  train acc  valid loss  valid acc  test loss"
            "  test acc    penalty  skipped_steps      rate  seconds  samples/s"
            "\n"
            "    1      0.5123     82.31%      0.4729     83.33%     0.4411"
            "    84.12%   1.20e-04         3.0000      0.01     1.23      48.6k"
            "\n"
            "    1      0.5123     82.31%      0.4729     83.33%     0.4411"
            "    84.12%     2.0000            nan      0.01     1.23      48.6k"
            "\n"
            "    1      0.5123     82.31%         nan        nan     0.4411"
            "    84.12%                 -1.23e+06      0.01     1.23      48.6k"
            "\n"
            "    1      0.5123     82.31%                            0.4411"
            "    84.12%                                0.01     1.23      48.6k"
            "\n");
}

// The zeros of two groups of parameters, for example.
TEST_F(ProgressTest, ReportsOfOneNameHaveAColumnEach) {
  EpochResult epoch = kEpoch;
  epoch.train.reports = {{"zeros", 0.5}, {"cost", 7}, {"zeros", 0.25}};
  Progress(output_.file(), 1, 60000, Log()).FinishEpoch(epoch);
  EXPECT_EQ(output_.Take(),
            "epoch  train loss  train acc  test loss  test acc      zeros"
            "       cost      zeros      rate  seconds  samples/s\n"
            "    1      0.5123     82.31%     0.4411    84.12%     0.5000"
            "     7.0000     0.2500      0.01     1.23       0.00\n");
}

TEST_F(ProgressTest, ColumnsOfTheTableAreLeftOutInOrder) {
  std::vector<std::string> seen;
  for (int columns = 200; columns >= 0; --columns) {
    Progress(output_.file(), 2, 60000, Terminal(columns))
        .FinishEpoch(WithEverything());
    const std::vector<std::string> lines = absl::StrSplit(output_.Take(), '\n');
    ASSERT_EQ(lines.size(), 3u);  // The last is empty.
    EXPECT_EQ(lines[0].size(), lines[1].size());
    EXPECT_LT(Width(lines[0]), std::max(columns, 16)) << lines[0];
    const std::string titles = absl::StrJoin(
        absl::StrSplit(lines[0], absl::ByString("  "), absl::SkipWhitespace()),
        ",", [](std::string* out, absl::string_view title) {
          absl::StrAppend(out, absl::StripAsciiWhitespace(title));
        });
    if (seen.empty() || seen.back() != titles) seen.push_back(titles);
  }
  EXPECT_EQ(
      seen,
      (std::vector<std::string>{
          "epoch,train loss,train acc,valid loss,valid acc,test loss,test acc,"
          "penalty,skipped_steps,rate,seconds,samples/s",
          "epoch,train loss,train acc,valid loss,valid acc,test loss,test acc,"
          "penalty,skipped_steps,rate,seconds",
          "epoch,train loss,train acc,valid loss,valid acc,test loss,test acc,"
          "penalty,skipped_steps,rate",
          "epoch,train loss,train acc,valid loss,valid acc,test loss,test acc,"
          "penalty,skipped_steps",
          "epoch,train loss,train acc,valid loss,valid acc,test loss,test acc,"
          "penalty",
          "epoch,train loss,train acc,valid loss,valid acc,test loss,test acc",
          "epoch,train loss,valid loss,valid acc,test loss,test acc",
          "epoch,train loss,valid acc,test loss,test acc",
          "epoch,train loss,valid acc,test acc",
          "epoch,valid acc,test acc",
          "epoch,test acc",
      }));
}

TEST_F(ProgressTest, EightyColumnsHaveRoomForAValidationSplitOrAReport) {
  Progress(output_.file(), 2, 60000, Terminal(80))
      .FinishEpoch(WithValidation());
  EXPECT_EQ(output_.Take(),
            "epoch  train loss  train acc  valid loss  valid acc  test loss"
            "  test acc\n"
            "    1      0.5123     82.31%      0.4729     83.33%     0.4411"
            "    84.12%\n");
  EpochResult epoch = kEpoch;
  epoch.train.reports = {{"cost", 12.5}};
  Progress(output_.file(), 2, 60000, Terminal(80)).FinishEpoch(epoch);
  EXPECT_EQ(output_.Take(),
            "epoch  train loss  train acc  test loss  test acc       cost"
            "      rate  seconds\n"
            "    1      0.5123     82.31%     0.4411    84.12%    12.5000"
            "      0.01     1.23\n");
}

// 60 ms for the one batch of an epoch, and 20 ms for the tests after each tenth
// epoch, which gets its line.
TEST_F(ProgressTest, ManyShortEpochsNeedNotHaveALineEach) {
  constexpr int kEpochs = 1100;
  constexpr int kSamples = 6000;
  int draws = 0;
  {
    Progress progress(output_.file(), kEpochs, kSamples, Terminal(80));
    for (int i = 1; i <= kEpochs; ++i) {
      progress.StartEpoch(i);
      const std::string at_start = output_.Take();
      now_ += 0.06;
      progress.Advance(kSamples, 0.32144, 0.88414);
      const std::string at_end = output_.Take();
      // Each bar is drawn over the one that is there.
      for (const std::string& bar : {at_start, at_end}) {
        if (bar.empty()) continue;
        ++draws;
        EXPECT_TRUE(absl::StartsWith(bar, absl::StrCat("\repoch ", Padded(i))));
        EXPECT_FALSE(absl::StrContains(bar, "\n")) << bar;
      }
      // It is missing only until the next epoch starts.
      EXPECT_TRUE(i % 10 != 1 || !at_start.empty()) << i;
      // The speed is that of this epoch, but the time left that of all, of
      // which ten take 0.62 s.
      if (i == 504) {
        EXPECT_TRUE(absl::StrContains(at_end, " 100%  loss 0.3214")) << at_end;
        EXPECT_TRUE(absl::EndsWith(at_end, "  100k samples/s  0:37 left\x1b[K"))
            << at_end;
      }
      if (i % 10 != 0) continue;
      now_ += 0.02;
      EpochResult epoch = kEpoch;
      epoch.train.epoch = i;
      epoch.train.seconds = 0.06;
      progress.FinishEpoch(epoch);
      const std::string titles =
          "epoch  train loss  train acc  test loss  test acc      rate"
          "  seconds  samples/s\n";
      EXPECT_EQ(output_.Take(),
                absl::StrCat("\r\x1b[K", i == 10 ? titles : "", " ", Padded(i),
                             "      0.5123     82.31%     0.4411    84.12%"
                             "      0.01     0.06       100k\n"));
    }
  }
  EXPECT_EQ(output_.Take(), "");  // No bar is left to end.
  // Of ten epochs, when the first starts and after every other batch: not more
  // than ten a second, and one for each line.
  EXPECT_EQ(draws, kEpochs / 10 * 6);
}

TEST_F(ProgressTest, ABarThatIsLeftIsEndedByANewline) {
  {
    Progress progress(output_.file(), 1, 100, Terminal(80));
    progress.StartEpoch(1);
    EXPECT_NE(output_.Take(), "");
  }
  EXPECT_EQ(output_.Take(), "\n");
}

TEST_F(ProgressTest, ALogHasTheTableAndALineInTenSeconds) {
  {
    Progress progress(output_.file(), 10, 250, Log());
    progress.StartEpoch(1);
    for (int i = 0; i < 250; ++i) {  // 25 seconds.
      now_ += 0.1;
      progress.Advance(1, 0.32144, 0.88414);
    }
    progress.FinishEpoch(kEpoch);
    progress.StartEpoch(2);
    now_ += 9.9;  // Since the line of the table.
    progress.Advance(1, 0.5, 0.5);
  }
  // The clock's tenths do not add up exactly: a line may come a step later.
  const std::string text =
      absl::StrReplaceAll(output_.Take(), {{"  40%", "  P"}, {"  80%", "  P"}});
  EXPECT_EQ(text,
            "epoch  1/10  P  loss 0.3214  acc 88.41%  10.0 samples/s"
            "  4:00 left\n"
            "epoch  1/10  P  loss 0.3214  acc 88.41%  10.0 samples/s"
            "  3:50 left\n"
            "epoch  train loss  train acc  test loss  test acc      rate"
            "  seconds  samples/s\n"
            "    1      0.5123     82.31%     0.4411    84.12%      0.01"
            "     1.23        203\n");
}

TEST_F(ProgressTest, NothingToDoIsNoMistake) {
  Progress progress(output_.file(), 0, 0, Terminal(60));
  progress.StartEpoch(1);
  EXPECT_EQ(output_.Take(),
            "\repoch 1/0 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 100%\x1b[K");
}

// A terminal that is there for the program, and a file to read what it shows.
class PseudoTerminal {
 public:
  explicit PseudoTerminal(int columns) {
    main_ = posix_openpt(O_RDWR | O_NOCTTY);
    if (main_ < 0 || grantpt(main_) != 0 || unlockpt(main_) != 0) return;
    const int other = open(ptsname(main_), O_RDWR | O_NOCTTY);
    if (other < 0) return;
    winsize size{};
    size.ws_col = columns;
    ioctl(other, TIOCSWINSZ, &size);
    fcntl(main_, F_SETFL, O_NONBLOCK);
    file_ = fdopen(other, "w");
  }
  ~PseudoTerminal() {
    if (file_ != nullptr) std::fclose(file_);
    if (main_ >= 0) close(main_);
  }

  std::FILE* file() { return file_; }

  std::string Take() {
    std::string text(10000, '\0');
    const ssize_t size = read(main_, text.data(), text.size());
    text.resize(size < 0 ? 0 : size);
    return text;
  }

 private:
  int main_ = -1;
  std::FILE* file_ = nullptr;
};

class ProgressEnvironmentTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "NO_COLOR"}) unsetenv(name);
    setenv("TERM", "xterm-256color", 1);
    setenv("LANG", "en_GB.UTF-8", 1);
  }

  // What a terminal of this size shows of an epoch's beginning.
  std::string Shown(int columns) {
    PseudoTerminal terminal(columns);
    if (terminal.file() == nullptr) return "no pseudo-terminal";
    Progress progress(terminal.file(), 1, 100);
    progress.StartEpoch(1);
    return terminal.Take();
  }
  static bool HasTerminals() { return PseudoTerminal(80).file() != nullptr; }
};

TEST_F(ProgressEnvironmentTest, ATerminalIsFoundOutWithItsWidth) {
  ASSERT_TRUE(HasTerminals()) << "there are no pseudo-terminals here";
  EXPECT_EQ(Shown(30),
            "\repoch 1/1 \x1b[32m\x1b[90m──────────────\x1b[0m   0%\x1b[K");
  // A terminal that does not know its width is taken for a usual one, which
  // has more room than the largest bar needs.
  EXPECT_EQ(Shown(0), Shown(80));
}

TEST_F(ProgressEnvironmentTest, NoColorIsHeeded) {
  ASSERT_TRUE(HasTerminals()) << "there are no pseudo-terminals here";
  setenv("NO_COLOR", "1", 1);
  EXPECT_EQ(Shown(30), "\repoch 1/1 ──────────────   0%\x1b[K");
  setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(absl::StrContains(Shown(30), "\x1b[32m"));
}

TEST_F(ProgressEnvironmentTest, TheFirstVariableOfTheLocaleThatIsSetCounts) {
  ASSERT_TRUE(HasTerminals()) << "there are no pseudo-terminals here";
  setenv("NO_COLOR", "1", 1);
  const std::string utf8 = "\repoch 1/1 ──────────────   0%\x1b[K";
  const std::string ascii = "\repoch 1/1 ..............   0%\x1b[K";
  setenv("LANG", "C.utf8", 1);
  EXPECT_EQ(Shown(30), utf8);
  setenv("LC_CTYPE", "C", 1);
  EXPECT_EQ(Shown(30), ascii);
  setenv("LC_ALL", "de_DE.UTF-8", 1);
  EXPECT_EQ(Shown(30), utf8);
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) unsetenv(name);
  EXPECT_EQ(Shown(30), ascii);
}

TEST_F(ProgressEnvironmentTest, ADumbTerminalIsALog) {
  ASSERT_TRUE(HasTerminals()) << "there are no pseudo-terminals here";
  setenv("TERM", "dumb", 1);
  EXPECT_EQ(Shown(80), "");
  unsetenv("TERM");
  EXPECT_EQ(Shown(80), "");
}

TEST_F(ProgressEnvironmentTest, AFileIsALog) {
  Output output;
  {
    Progress progress(output.file(), 1, 100);
    progress.StartEpoch(1);
    for (int i = 0; i < 100; ++i) progress.Advance(1, 0.5, 0.5);
    EXPECT_EQ(output.Take(), "");
    progress.FinishEpoch(kEpoch);
  }
  const std::string text = output.Take();
  EXPECT_FALSE(absl::StrContains(text, "\r") ||
               absl::StrContains(text, "\x1b"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

}  // namespace
}  // namespace tape
