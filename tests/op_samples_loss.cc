// The rows of ops/loss.cc (op_samples.h).
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"
#include "tests/op_samples_internal.h"

namespace tape::samples {
namespace {

void AddSoftmaxRows(SampleTable* table) {
  // Of a row of n: exp is off by 1 ulp, by another 2 at its worst because its
  // operand x - max is rounded (|x - max| < 4 here), the sum by n roundings at
  // worst and by 3 for numbers drawn here, the quotient by two.
  constexpr Tolerance kSoftmax = {8 * kUlp};
  // x - max - ln sum: the roundings of numbers up to 8, and the relative error
  // of the sum above, which ln makes absolute.
  constexpr Tolerance kLogSoftmax = {.absolute = 8 * kUlp + 8 * kRounding};
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
    add("Softmax", c.name, {c.logits}, Unary(Softmax), shape, kSoftmax);
    // Log-probabilities may themselves be large.
    const Tolerance log_tolerance = {2 * kRounding, kLogSoftmax.absolute};
    add("LogSoftmax", c.name, {c.logits}, Unary(LogSoftmax), shape,
        log_tolerance);
    add("SoftmaxCrossEntropy", absl::StrCat("classes_", c.name),
        {c.logits, Ints(row_shape, 0, classes)}, Binary(SoftmaxCrossEntropy),
        row_shape, log_tolerance);
    // Each class weighs up to 1; their sum is rounded once for each.
    const Tolerance weighted = {
        (classes + 2) * kRounding,
        (log_tolerance.absolute + 8 * kRounding) * classes};
    add("SoftmaxCrossEntropy", absl::StrCat("probabilities_", c.name),
        {c.logits, Floats(shape, 0.1, 1)}, Binary(SoftmaxCrossEntropy),
        row_shape, weighted);
  }
  table->Add(
      {.op = "SoftmaxCrossEntropy",
       .name = "classes_outside",
       .inputs = {Floats({4, 3}), Given({-1, 3, 2, 2147483647}, DType::kInt32)},
       .build = Binary(SoftmaxCrossEntropy),
       .output = Float({4}),
       .tolerance = kLogSoftmax,
       .differentiated = Differentiated::kCompiled});
}

void AddSoftmaxErrors(SampleTable* table) {
  const std::vector<std::pair<const char*, BuildSample>> softmaxes = {
      {"Softmax", Unary(Softmax)}, {"LogSoftmax", Unary(LogSoftmax)}};
  for (const auto& [op, build] : softmaxes) {
    table->AddError(
        op, "int32", {Int({2, 3})}, build,
        absl::StrCat(op,
                     ": expected float32, found int32 (x int32[2,3] is input "
                     "\"x0\", x.cc:0)"));
    table->AddError(
        op, "scalar", {Float({})}, build,
        absl::StrCat(op,
                     ": expected a last axis of at least one element, found "
                     "shape [] (x [] is input \"x0\", x.cc:0)"));
    table->AddError(
        op, "of_nothing", {Float({2, 0})}, build,
        absl::StrCat(op,
                     ": expected a last axis of at least one element, found "
                     "shape [2,0] (x [2,0] is input \"x0\", x.cc:0)"));
  }
  const BuildSample loss = Binary(SoftmaxCrossEntropy);
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

}  // namespace

void AddLossSamples(SampleTable* table) {
  AddSoftmaxRows(table);
  AddSoftmaxErrors(table);
}

}  // namespace tape::samples
