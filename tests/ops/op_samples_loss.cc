// The rows of ops/loss.cc (op_samples.h).
#include <cmath>
#include <functional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

using Options = SoftmaxCrossEntropyOptions;

BuildSample SoftmaxLoss(Options options = {}) {
  return [options](const SampleOperands& in) {
    return SoftmaxCrossEntropy(in.x[0], in.x[1], options, in.loc);
  };
}

void AddSoftmaxRows(SampleTable* table) {
  // As of LogSoftmax (op_samples_softmax.cc).
  constexpr Tolerance kLogSoftmax = {2 * kRounding, 8 * kUlp + 8 * kRounding};
  // Logits far from 0: x - max is exact for these, or so low that its exp is 0.
  const std::vector<double> far = {1e4,    9999, 0,     -1e4, 9998.5, -1e4,
                                   -9999,  -1e4, -1e4,  -1e4, 300,    -300,
                                   299.25, 1e38, -1e38, 0,    0,      1};
  // The first row is ordinary, and must not catch anything from the others.
  const std::vector<double> not_finite = {1,     2, 3,    kInf, 0, 1,     -kInf,
                                          0,     1, kNan, 0,    1, -kInf, -kInf,
                                          -kInf, 0, kNan, kInf};
  struct Case {
    const char* name;
    SampleInput logits;
    Differentiated differentiated = Differentiated::kTwice;
  };
  const std::vector<Case> cases = {
      {"ordinary", Floats({4, 5}, -2, 2)},
      {"vector", Floats({7}, -2, 2)},
      {"rank_3", Floats({2, 3, 4}, -2, 2)},
      {"one_class", Floats({4, 1}, -2, 2)},
      {"empty", Floats({0, 5})},
      {"batch", Floats({kBatch, 3}, -2, 2)},
      {"many_classes", Floats({3, 300}, -2, 2)},
      {"sixteen_classes", Floats({3, 16}, -2, 2)},
      // More than two chunks of 16 * 1024 (RowsKernel in ops/loss.cc).
      {"chunks", Floats({4001, 10}, -2, 2), Differentiated::kCompiled},
      {"far", Given({6, 3}, far), Differentiated::kCompiled},
      {"close_and_far_from_zero",
       Given({2, 3}, {1e4, 1e4 - 0.5, 1e4 - 1, -1e4, -1e4 - 2, -1e4 - 1}),
       Differentiated::kCompiled},
      {"not_finite", Given({6, 3}, not_finite), Differentiated::kCompiled},
  };
  for (const Case& c : cases) {
    const Shape& shape = c.logits.shape;
    const Shape row_shape(shape.dims().subspan(0, shape.rank() - 1));
    const int64_t classes = shape[shape.rank() - 1];
    const auto add = [&](const char* op, const std::string& name,
                         std::vector<SampleInput> inputs, BuildSample build,
                         Shape output, Tolerance tolerance) {
      table->Add({.op = op,
                  .name = name,
                  .inputs = std::move(inputs),
                  .build = std::move(build),
                  .output = Float(std::move(output)),
                  .tolerance = tolerance,
                  .differentiated = c.differentiated});
    };
    add("SoftmaxCrossEntropy", absl::StrCat("classes_", c.name),
        {c.logits, Ints(row_shape, 0, classes)}, SoftmaxLoss(), row_shape,
        kLogSoftmax);
    // Each class weighs up to 1; their sum is rounded once for each.
    const Tolerance weighted = {
        (classes + 2) * kRounding,
        (kLogSoftmax.absolute + 8 * kRounding) * classes};
    add("SoftmaxCrossEntropy", absl::StrCat("probabilities_", c.name),
        {c.logits, Floats(shape, 0.1, 1)}, SoftmaxLoss(), row_shape, weighted);
  }
  // Labels that are computed; fed, they are refused (tests/ops/loss_test.cc).
  table->Add(
      {.op = "SoftmaxCrossEntropy",
       .name = "classes_outside",
       .inputs = {Floats({4, 3}), Given({-1, 3, 2, 2147483647}, DType::kInt32)},
       .build =
           [](const SampleOperands& in) {
             return SoftmaxCrossEntropy(in.x[0], 1 * in.x[1], {}, in.loc);
           },
       .output = Float({4}),
       .tolerance = kLogSoftmax,
       .differentiated = Differentiated::kCompiled});
  // Of masked classes, which have no mass.
  table->Add(
      {.op = "SoftmaxCrossEntropy",
       .name = "masked_classes",
       .inputs = {Given({3, 3}, {2, 0, -kInf, 0, 2e38, -3e38, -kInf, 1, 2}),
                  Given({3, 3}, {1, 0, 0, 0, 1, 0, 0, 0.25, 0.75})},
       .build = SoftmaxLoss(),
       .output = Float({3}),
       .tolerance = kLogSoftmax,
       .differentiated = Differentiated::kNotAsked,
       .values = {0.12692801104297263, 0, 0.5632616875182228}});
}

// The derivative of SoftmaxCrossEntropy is an op of its own.
void AddSoftmaxSlopeRows(SampleTable* table) {
  const auto add = [&](const char* name, SampleInput logits, SampleInput labels,
                       Options options = {},
                       Differentiated differentiated = Differentiated::kTwice) {
    const Shape shape = logits.shape;
    table->Add({.op = "SoftmaxCrossEntropySlope",
                .name = name,
                .inputs = {std::move(logits), std::move(labels)},
                .build = DerivativeNode("SoftmaxCrossEntropySlope",
                                        [options](const SampleOperands& in) {
                                          return SoftmaxCrossEntropy(
                                              in.x[0], in.x[1], options,
                                              in.loc);
                                        }),
                .output = Float(shape),
                // Two exponentials and a quotient; of probabilities, the
                // difference of two products.
                .tolerance = {8 * kRounding, 8 * kRounding},
                .differentiated = differentiated});
  };
  constexpr Differentiated kCompiled = Differentiated::kCompiled;
  add("classes", Floats({4, 5}, -2, 2), Ints({4}, 0, 5));
  add("classes_batch", Floats({kBatch, 3}, -2, 2), Ints({kBatch}, 0, 3));
  add("probabilities", Floats({4, 5}, -2, 2), Floats({4, 5}, 0.1, 1));
  add("many_classes", Floats({3, 300}, -2, 2), Ints({3}, 0, 300));
  add("empty", Floats({0, 5}), Ints({0}, 0, 5));
  add("chunks", Floats({4001, 10}, -2, 2), Ints({4001}, 0, 10), {}, kCompiled);
  add("ignored", Floats({4, 3}, -2, 2), Given({2, -1, 0, -1}, DType::kInt32),
      {.ignored_label = -1});
  add("far", Given({3, 3}, {1e4, 9999, 0, 3e38, -3e38, 0, 100, -kInf, 0}),
      Given({0, 0, 2}, DType::kInt32), {}, kCompiled);
}

void AddSoftmaxErrors(SampleTable* table) {
  const BuildSample loss = SoftmaxLoss();
  table->AddError(
      "SoftmaxCrossEntropy", "labels_of_another_batch",
      {Float({kBatch, 3}), Int({4})}, loss,
      "SoftmaxCrossEntropy: expected labels int32[batch] (classes) or "
      "[batch,3] (probabilities), found int32[4] (logits [batch,3] is input "
      "\"x0\", x.cc:0; labels int32[4] is input \"x1\", x.cc:1)");
  table->AddError(
      "SoftmaxCrossEntropy", "labels_of_another_dtype",
      {Float({4, 3}), Float({4})}, loss,
      "SoftmaxCrossEntropy: expected labels int32[4] (classes) or [4,3] "
      "(probabilities), found [4] (logits [4,3] is input \"x0\", x.cc:0; "
      "labels [4] is input \"x1\", x.cc:1)");
  table->AddError(
      "SoftmaxCrossEntropy", "of_nothing", {Float({4, 0}), Int({4})}, loss,
      "SoftmaxCrossEntropy: expected a last axis of at least one element, "
      "found shape [4,0] (logits [4,0] is input \"x0\", x.cc:0; labels "
      "int32[4] is input \"x1\", x.cc:1)");
}

// ---- Label smoothing and reductions ----

void AddSmoothedRows(SampleTable* table) {
  // Two losses of which each is off as LogSoftmax is, by weights whose sum is 1
  // and which are rounded; the uniform labels' loss is a sum of 5, rounded as
  // often.
  constexpr Tolerance kSmoothed = {8 * kRounding, 16 * kUlp + 16 * kRounding};
  const SampleInput logits = Floats({4, 5}, -2, 2), classes = Ints({4}, 0, 5),
                    probabilities = Floats({4, 5}, 0.1, 1);
  const std::vector<double> far = {1e4,  9999, 0,    -1e4, -1e4, 1e4,
                                   -1e4, 1e4,  -1e4, 0,    300,  -300};
  const auto add = [&](const std::string& name, std::vector<SampleInput> inputs,
                       Options options, Shape y, Tolerance tolerance,
                       Differentiated differentiated = Differentiated::kTwice) {
    table->Add({.op = "SoftmaxCrossEntropy",
                .name = name,
                .inputs = std::move(inputs),
                .build = SoftmaxLoss(options),
                .output = Float(std::move(y)),
                .tolerance = tolerance,
                .differentiated = differentiated});
  };
  for (const auto& [name, smoothing] :
       std::vector<std::pair<const char*, double>>{
           {"tenth", 0.1}, {"half", 0.5}, {"whole", 1}}) {
    add(absl::StrCat("smoothed_by_a_", name), {logits, classes},
        {.label_smoothing = smoothing}, {4}, kSmoothed);
    // Labels whose sum is up to 5.
    add(absl::StrCat("probabilities_smoothed_by_a_", name),
        {logits, probabilities}, {.label_smoothing = smoothing}, {4},
        {8 * kRounding, 5 * kSmoothed.absolute});
  }
  add("smoothed_batch", {Floats({kBatch, 3}), Ints({kBatch}, 0, 3)},
      {.label_smoothing = 0.1}, {kBatch}, kSmoothed);
  add("smoothed_empty", {Floats({0, 3}), Ints({0}, 0, 3)},
      {.label_smoothing = 0.1}, {0}, kSmoothed);
  // Finite, with finite gradients.
  add("ignored", {Floats({4, 3}, -2, 2), Given({2, -1, 0, -1}, DType::kInt32)},
      {.ignored_label = -1}, {4}, kSmoothed);
  add("ignored_mean",
      {Floats({4, 3}, -2, 2), Given({2, -1, 0, -1}, DType::kInt32)},
      {.label_smoothing = 0.1,
       .reduction = Reduction::kMean,
       .ignored_label = -1},
      {}, kSmoothed);
  add("smoothed_far", {Given({4, 3}, far), Ints({4}, 0, 3)},
      {.label_smoothing = 0.1}, {4}, kSmoothed, Differentiated::kCompiled);
  // A mean or sum of losses up to 6 adds their roundings.
  const Tolerance sums = {8 * kRounding, 4 * kSmoothed.absolute};
  add("mean", {logits, classes}, {.reduction = Reduction::kMean}, {}, sums);
  add("sum", {logits, classes}, {.reduction = Reduction::kSum}, {}, sums);
  add("smoothed_mean", {logits, probabilities},
      {.label_smoothing = 0.2, .reduction = Reduction::kMean}, {},
      {8 * kRounding, 5 * kSmoothed.absolute});
  add("mean_of_the_batch", {Floats({kBatch, 3}), Ints({kBatch}, 0, 3)},
      {.reduction = Reduction::kMean}, {}, sums);
  table->AddError(
      "SoftmaxCrossEntropy", "ignored_probabilities",
      {Float({4, 3}), Float({4, 3})}, SoftmaxLoss({.ignored_label = 2}),
      "SoftmaxCrossEntropy: expected int32 labels (classes) of which to ignore "
      "2, found [4,3] (logits [4,3] is input \"x0\", x.cc:0; labels [4,3] is "
      "input \"x1\", x.cc:1)");
  for (double smoothing : {-0.1, 1.5, 1.0 * kNan}) {
    table->AddError(
        "SoftmaxCrossEntropy",
        smoothing < 0   ? "smoothing_below_0"
        : smoothing > 1 ? "smoothing_above_1"
                        : "smoothing_nan",
        {Float({4, 3}), Int({4})}, SoftmaxLoss({.label_smoothing = smoothing}),
        absl::StrCat(
            "SoftmaxCrossEntropy: expected a label smoothing of 0 to 1, found ",
            smoothing,
            " (logits [4,3] is input \"x0\", x.cc:0; labels int32[4] is input "
            "\"x1\", x.cc:1)"));
  }
  table->AddError(
      "SoftmaxCrossEntropy", "smoothing_over_the_batch",
      {Float({kBatch}), Float({kBatch})}, SoftmaxLoss({.label_smoothing = 0.1}),
      "SoftmaxCrossEntropy: expected a known number of classes to smooth "
      "labels "
      "over, found batch (logits [batch] is input \"x0\", x.cc:0; labels "
      "[batch] is input \"x1\", x.cc:1)");
}

// ---- Losses of two operands of one shape ----

struct PairLoss {
  const char* name;
  std::function<Var(Var, Var, Reduction, Loc)> f;
  SampleInput first, second;  // The shapes are not looked at.
  Tolerance tolerance;
  const char* operands[2];
};

BuildSample BuildLoss(const PairLoss& loss, Reduction reduction) {
  return [f = loss.f, reduction](const SampleOperands& in) {
    return f(in.x[0], in.x[1], reduction, in.loc);
  };
}

void AddPairLoss(const PairLoss& loss, SampleTable* table) {
  const auto add = [&](std::string name, Shape x, Reduction reduction, Shape y,
                       Tolerance tolerance, Differentiated differentiated) {
    SampleInput a = loss.first, b = loss.second;
    a.shape = b.shape = x;
    table->Add({.op = loss.name,
                .name = std::move(name),
                .inputs = {a, b},
                .build = BuildLoss(loss, reduction),
                .output = Float(std::move(y)),
                .tolerance = tolerance,
                .differentiated = differentiated});
  };
  constexpr Differentiated kTwice = Differentiated::kTwice,
                           kCompiled = Differentiated::kCompiled;
  struct Case {
    const char* name;
    Shape shape;
    Differentiated differentiated = kTwice;
  };
  for (const Case& c : std::vector<Case>{{"ordinary", {3, 5}},
                                         {"scalar", {}},
                                         {"one_element", {1, 1}},
                                         {"empty", {0, 3}},
                                         {"batch", {kBatch, 3}},
                                         {"blocks", {5, 211}},
                                         {"chunks", {3, 100003}, kCompiled}}) {
    add(c.name, c.shape, Reduction::kNone, c.shape, loss.tolerance,
        c.differentiated);
  }
  // Sums of 15 losses, none negative, each off by the tolerance; the sum is
  // rounded as often.
  const Tolerance sum = {loss.tolerance.relative + 16 * kRounding,
                         15 * loss.tolerance.absolute};
  add("mean", {3, 5}, Reduction::kMean, {}, sum, kTwice);
  add("sum", {3, 5}, Reduction::kSum, {}, sum, kTwice);
  add("mean_of_the_batch", {kBatch, 2}, Reduction::kMean, {}, sum, kTwice);
  add("mean_of_nothing", {0, 3}, Reduction::kMean, {}, sum, kCompiled);
  const auto error = [&](const char* name, TensorType a, TensorType b,
                         const char* what) {
    table->AddError(
        loss.name, name, {a, b}, BuildLoss(loss, Reduction::kNone),
        absl::StrCat(loss.name, ": ", what, " (", loss.operands[0], " ",
                     a.ToString(), " is input \"x0\", x.cc:0; ",
                     loss.operands[1], " ", b.ToString(),
                     " is input \"x1\", x.cc:1)"));
  };
  // These would broadcast, to what nobody means.
  error("column_and_row", Float({3, 1}), Float({3}),
        "shapes [3,1] and [3] differ");
  error("batch", Float({kBatch, 3}), Float({4, 3}),
        "shapes [batch,3] and [4,3] differ");
  error("int32", Float({3}), Int({3}), "expected float32, found int32");
}

void AddPairLosses(SampleTable* table) {
  // tests/ops/accuracy_table.cc.
  constexpr Tolerance kSigmoid = {14 * kRounding};
  // The square of a difference, each rounded; its absolute value.
  constexpr Tolerance kSquare = {4 * kRounding}, kAbsolute = {kRounding};
  // d is off by a rounding; then three more of numbers up to 4.
  constexpr Tolerance kHuber = {8 * kRounding, 4 * kRounding};
  // A product of numbers up to 4, and a difference from 1.
  constexpr Tolerance kHinge = {2 * kRounding, 4 * kRounding};
  const auto huber = [](double delta) {
    return [delta](Var prediction, Var target, Reduction reduction, Loc loc) {
      return Huber(prediction, target, {.delta = delta, .reduction = reduction},
                   loc);
    };
  };
  const SampleInput around = Floats({}, -2, 2);
  for (const PairLoss& loss :
       std::vector<PairLoss>{{"SigmoidCrossEntropy",
                              SigmoidCrossEntropy,
                              Floats({}, -4, 4),
                              Floats({}, 0, 1),
                              kSigmoid,
                              {"logits", "labels"}},
                             {"MeanSquaredError",
                              MeanSquaredError,
                              around,
                              around,
                              kSquare,
                              {"prediction", "target"}},
                             {"MeanAbsoluteError",
                              MeanAbsoluteError,
                              around,
                              around,
                              kAbsolute,
                              {"prediction", "target"}},
                             {"Huber",
                              huber(1),
                              around,
                              around,
                              kHuber,
                              {"prediction", "target"}},
                             {"Hinge",
                              Hinge,
                              around,
                              around,
                              kHinge,
                              {"prediction", "target"}}}) {
    AddPairLoss(loss, table);
  }
  const auto add = [&](const char* op, const char* name, SampleInput a,
                       SampleInput b,
                       std::function<Var(Var, Var, Reduction, Loc)> f,
                       Tolerance tolerance, Differentiated differentiated,
                       std::vector<std::vector<double>> derivatives = {}) {
    const Shape shape = a.shape;
    table->Add({.op = op,
                .name = name,
                .inputs = {std::move(a), std::move(b)},
                .build =
                    [f](const SampleOperands& in) {
                      return f(in.x[0], in.x[1], Reduction::kNone, in.loc);
                    },
                .output = Float(shape),
                .tolerance = tolerance,
                .differentiated = differentiated,
                .derivatives = std::move(derivatives)});
  };
  constexpr Differentiated kTwice = Differentiated::kTwice,
                           kOnce = Differentiated::kOnce,
                           kCompiled = Differentiated::kCompiled;
  // Every logit with the labels 0 and 1, where small losses keep their digits,
  // and one half.
  const std::vector<double> logits = {300,        -300, 0,     -0.0, kDenormal,
                                      20,         -20,  87,    -87,  89,
                                      -kDenormal, 1e38, -1e38, 1e4,  -1e4};
  std::vector<double> z, zero(15, 0), half(15, 0.5), one(15, 1);
  for (int i = 0; i < 3; ++i) z.insert(z.end(), logits.begin(), logits.end());
  std::vector<double> p = zero;
  p.insert(p.end(), half.begin(), half.end());
  p.insert(p.end(), one.begin(), one.end());
  add("SigmoidCrossEntropy", "extremes", Given(z), Given(p),
      SigmoidCrossEntropy, {8.5 * kUlp}, kCompiled);
  add("SigmoidCrossEntropy", "not_finite",
      Given({kInf, -kInf, kInf, kNan, 1, kInf}),
      Given({0.5, 0.5, 0, 0.5, kNan, 2}), SigmoidCrossEntropy, {}, kCompiled);
  // It is smooth at 0, of which its parts are not.
  add("SigmoidCrossEntropy", "kink", Given({0, -0.0}), Given({0, 1}),
      SigmoidCrossEntropy, {8.5 * kUlp}, kTwice, {{0.5, -0.5}, {0, 0}});
  const SampleInput a =
      Given({1, 300, 0, -0.0, kDenormal, 1e19, kInf, kNan, -kInf, 1});
  const SampleInput b = Given({1, -300, -0.0, 0, 0, -1e18, 1, 1, kInf, kNan});
  add("MeanSquaredError", "extremes", a, b, MeanSquaredError, kSquare,
      Differentiated::kNotAsked);
  add("MeanAbsoluteError", "extremes", a, b, MeanAbsoluteError, kAbsolute,
      kCompiled);
  add("Huber", "extremes", a, b, huber(1), kHuber, kCompiled);
  add("Hinge", "extremes", a, b, Hinge, kHinge, Differentiated::kNotAsked);
  // Where prediction and target are equal.
  add("MeanSquaredError", "kink", Given({1, 0}), Given({1, -0.0}),
      MeanSquaredError, {}, kTwice, {{0, 0}, {0, 0}});
  add("MeanAbsoluteError", "kink", Given({1, 0, 2}), Given({1, -0.0, 1}),
      MeanAbsoluteError, {}, kOnce, {{0, 0, 1}, {0, 0, -1}});
  add("Huber", "kink", Given({1, 0}), Given({1, -0.0}), huber(1), {}, kTwice,
      {{0, 0}, {0, 0}});
  // Where it turns straight.
  add("Huber", "kink_at_delta", Given({2.5, -2.5, 4, -4, 1}),
      Given({0, 0, 0, 0, 0}), huber(2.5), {}, kOnce,
      {{2.5, -2.5, 2.5, -2.5, 1}, {-2.5, 2.5, -2.5, 2.5, -1}});
  add("Hinge", "kink", Given({1, -1, 0.5, 2}), Given({1, -1, 1, 1}), Hinge, {},
      kOnce, {{0, 0, -1, 0}, {0, 0, -0.5, 0}});
  for (double delta : {0.0, -1.0, 1.0 * kNan, 1.0 * kInf}) {
    table->AddError(
        "Huber",
        delta == 0      ? "delta_0"
        : delta < 0     ? "negative_delta"
        : delta == kInf ? "infinite_delta"
                        : "nan_delta",
        {Float({2}), Float({2})},
        [f = huber(delta)](const SampleOperands& in) {
          return f(in.x[0], in.x[1], Reduction::kNone, in.loc);
        },
        absl::StrCat("Huber: expected a finite delta above 0, found ", delta,
                     " (prediction [2] is input \"x0\", x.cc:0; target [2] "
                     "is input \"x1\", x.cc:1)"));
  }
}

// ---- KlDivergence ----

// The derivative of SigmoidCrossEntropy is an op of its own.
void AddSigmoidErrorRows(SampleTable* table) {
  for (const auto& [name, shape, differentiated] :
       std::vector<std::tuple<const char*, Shape, Differentiated>>{
           {"ordinary", {3, 5}, Differentiated::kTwice},
           {"batch", {kBatch, 3}, Differentiated::kTwice},
           {"empty", {0, 3}, Differentiated::kTwice},
           {"blocks", {5, 211}, Differentiated::kTwice},
           {"chunks", {3, 100003}, Differentiated::kCompiled}}) {
    table->Add({.op = "SigmoidError",
                .name = name,
                .inputs = {Floats(shape, -4, 4), Floats(shape, 0, 1)},
                .build = DerivativeNode("SigmoidError",
                                        [](const SampleOperands& in) {
                                          return SigmoidCrossEntropy(
                                              in.x[0], in.x[1],
                                              Reduction::kNone, in.loc);
                                        }),
                .output = Float(shape),
                .tolerance = {8 * kRounding, 8 * kRounding},
                .differentiated = differentiated});
  }
}

void AddKlDivergence(SampleTable* table) {
  const auto add = [&](const char* name, SampleInput log_q, SampleInput p,
                       Reduction reduction, Shape y, int64_t terms,
                       Differentiated differentiated = Differentiated::kTwice,
                       std::vector<std::vector<double>> derivatives = {}) {
    table->Add({.op = "KlDivergence",
                .name = name,
                .inputs = {std::move(log_q), std::move(p)},
                .build =
                    [reduction](const SampleOperands& in) {
                      return KlDivergence(in.x[0], in.x[1], reduction, in.loc);
                    },
                .output = Float(std::move(y)),
                // Log is off by 4.5 ulp of at most 4, the difference and the
                // product by roundings of as much, and each sum of them.
                .tolerance = {.absolute = terms * 4 * 8 * kUlp},
                .differentiated = differentiated,
                .derivatives = std::move(derivatives)});
  };
  constexpr Differentiated kCompiled = Differentiated::kCompiled;
  constexpr Reduction kNone = Reduction::kNone;
  const auto p = [](Shape shape) { return Floats(std::move(shape), 0.05, 1); };
  const auto q = [](Shape shape) { return Floats(std::move(shape), -3, 0); };
  add("ordinary", q({4, 5}), p({4, 5}), kNone, {4}, 5);
  add("vector", q({5}), p({5}), kNone, {}, 5);
  add("rank_3", q({2, 3, 4}), p({2, 3, 4}), kNone, {2, 3}, 4);
  add("one_class", q({4, 1}), p({4, 1}), kNone, {4}, 1);
  add("empty", q({0, 5}), p({0, 5}), kNone, {0}, 5);
  add("batch", q({kBatch, 3}), p({kBatch, 3}), kNone, {kBatch}, 3);
  add("chunks", q({40001, 10}), p({40001, 10}), kNone, {40001}, 10, kCompiled);
  add("mean", q({4, 5}), p({4, 5}), Reduction::kMean, {}, 20);
  add("sum", q({4, 5}), p({4, 5}), Reduction::kSum, {}, 20);
  // 0 ln 0 is 0, whatever the other is; a p above 0 against 0 is infinite.
  add("zeros", Given({3, 2}, {-kInf, 0, -1, 0, -kInf, 0}),
      Given({3, 2}, {0, 1, 0, 1, 0.5, 0.5}), kNone, {3}, 2, kCompiled,
      {{0, -1, 0, -1, -0.5, -0.5}, {0, 1, 0, 1, kInf, 1 + std::log(0.5)}});
  add("extremes", Given({5, 2}, {kNan, 0, -1e38, -1, -300, 300, -1, -1, 0, 0}),
      Given({5, 2}, {1, 0, 1e-30, 1, 1e-30, 1, -1, 1, kNan, kInf}), kNone, {5},
      2, kCompiled);
  const BuildSample build = [](const SampleOperands& in) {
    return KlDivergence(in.x[0], in.x[1], Reduction::kNone, in.loc);
  };
  table->AddError("KlDivergence", "shapes", {Float({2, 3}), Float({3})}, build,
                  "KlDivergence: shapes [2,3] and [3] differ "
                  "(log_probabilities [2,3] is input \"x0\", x.cc:0; labels "
                  "[3] is input \"x1\", x.cc:1)");
  table->AddError("KlDivergence", "classes", {Float({2, 3}), Int({2})}, build,
                  "KlDivergence: expected float32, found int32 "
                  "(log_probabilities [2,3] is input \"x0\", x.cc:0; labels "
                  "int32[2] is input \"x1\", x.cc:1)");
  table->AddError("KlDivergence", "scalar", {Float({}), Float({})}, build,
                  "KlDivergence: expected a last axis of at least one element, "
                  "found shape [] (log_probabilities [] is input \"x0\", "
                  "x.cc:0; labels [] is input \"x1\", x.cc:1)");
}

// ---- What the formulas give, computed apart from all this ----

void AddLossValues(SampleTable* table) {
  const auto add = [&](const char* op, const char* name, SampleInput a,
                       SampleInput b, BuildSample build, Shape y,
                       std::vector<double> values) {
    table->Add({.op = op,
                .name = name,
                .inputs = {std::move(a), std::move(b)},
                .build = std::move(build),
                .output = Float(std::move(y)),
                .tolerance = {1e-6, 1e-6},  // The rows above are exact on it.
                .differentiated = Differentiated::kCompiled,
                .values = std::move(values)});
  };
  add("MeanSquaredError", "values", Given({-2, 0.5, 3}), Given({1, 0.25, -0.5}),
      [](const SampleOperands& in) {
        return MeanSquaredError(in.x[0], in.x[1], Reduction::kMean, in.loc);
      },
      {}, {7.104166666666667});
  add("MeanSquaredError", "values_apart", Given({-2, 0.5, 3}),
      Given({1, 0.25, -0.5}),
      [](const SampleOperands& in) {
        return MeanSquaredError(in.x[0], in.x[1], Reduction::kNone, in.loc);
      },
      {3}, {9.0, 0.0625, 12.25});
  add("MeanSquaredError", "values_summed", Given({-2, 0.5, 3}),
      Given({1, 0.25, -0.5}),
      [](const SampleOperands& in) {
        return MeanSquaredError(in.x[0], in.x[1], Reduction::kSum, in.loc);
      },
      {}, {21.3125});
  add("MeanAbsoluteError", "values", Given({-2, 0.5, 3}),
      Given({1, 0.25, -0.5}),
      [](const SampleOperands& in) {
        return MeanAbsoluteError(in.x[0], in.x[1], Reduction::kNone, in.loc);
      },
      {3}, {3.0, 0.25, 3.5});
  add("Huber", "values", Given({-2, 0.5, 3}), Given({1, 0.25, -0.5}),
      [](const SampleOperands& in) {
        return Huber(in.x[0], in.x[1], {.delta = 1.5}, in.loc);
      },
      {3}, {3.375, 0.03125, 4.125});
  add("Huber", "values_summed", Given({-2, 0.5, 3}), Given({1, 0.25, -0.5}),
      [](const SampleOperands& in) {
        return Huber(in.x[0], in.x[1],
                     {.delta = 1.5, .reduction = Reduction::kSum}, in.loc);
      },
      {}, {7.53125});
  add("Hinge", "values", Given({-2, 0.5, 3}), Given({1, 0.25, -0.5}),
      [](const SampleOperands& in) {
        return Hinge(in.x[0], in.x[1], Reduction::kNone, in.loc);
      },
      {3}, {3.0, 0.875, 2.5});
  add("SigmoidCrossEntropy", "values", Given({-2, 0.5, 3}), Given({0.3, 1, 0}),
      [](const SampleOperands& in) {
        return SigmoidCrossEntropy(in.x[0], in.x[1], Reduction::kNone, in.loc);
      },
      {3}, {0.7269280110429724, 0.4740769841801067, 3.048587351573742});
  add("KlDivergence", "values", Given({2, 3}, {1, 2, 0.5, -1, 0, 3}),
      Given({2, 3}, {0.2, 0.5, 0.3, 0.6, 0, 0.4}),
      [](const SampleOperands& in) {
        return KlDivergence(in.x[0], in.x[1], Reduction::kNone, in.loc);
      },
      {2}, {-2.3796530140645737, -1.2730116670092566});
  add("SoftmaxCrossEntropy", "values", Given({2, 3}, {1, 2, 0.5, -1, 0, 3}),
      Given({2, 0}, DType::kInt32),
      [](const SampleOperands& in) {
        return SoftmaxCrossEntropy(in.x[0], in.x[1], {}, in.loc);
      },
      {2}, {1.9643687841079447, 4.065883903757429});
  add("SoftmaxCrossEntropy", "values_smoothed",
      Given({2, 3}, {1, 2, 0.5, -1, 0, 3}), Given({2, 0}, DType::kInt32),
      [](const SampleOperands& in) {
        return SoftmaxCrossEntropy(in.x[0], in.x[1], {.label_smoothing = 0.1},
                                   in.loc);
      },
      {2}, {1.897702117441278, 3.8992172370907627});
  add("SoftmaxCrossEntropy", "values_of_probabilities_smoothed",
      Given({2, 3}, {1, 2, 0.5, -1, 0, 3}), Given({2, 3}, {0, 0, 1, 1, 0, 0}),
      [](const SampleOperands& in) {
        return SoftmaxCrossEntropy(
            in.x[0], in.x[1],
            {.label_smoothing = 0.1, .reduction = Reduction::kMean}, in.loc);
      },
      {}, {2.8984596772660205});
}

}  // namespace

void AddLossSamples(SampleTable* table) {
  AddSoftmaxRows(table);
  AddSoftmaxSlopeRows(table);
  AddSoftmaxErrors(table);
  AddSmoothedRows(table);
  AddPairLosses(table);
  AddSigmoidErrorRows(table);
  AddKlDivergence(table);
  AddLossValues(table);
}

}  // namespace tape::samples
