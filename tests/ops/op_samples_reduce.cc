// The rows of ops/reduce.cc, and of all reductions over any axes
// (op_samples.h).
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

void AddReductionRows(SampleTable* table) {
  struct Case {
    const char* name;
    Shape x;
    std::vector<int> axes;
    Shape y;
    int terms;  // Of one sum; what a Mean divides by.
  };
  const std::vector<Case> cases = {
      {"all", {2, 3, 4}, {}, {}, 24},
      {"first_axis", {2, 3, 4}, {0}, {3, 4}, 2},
      {"last_axis", {2, 3, 4}, {-1}, {2, 3}, 4},
      {"negative_axes", {2, 3, 4}, {-1, -3}, {3}, 8},
      {"of_a_scalar", {}, {}, {}, 1},
      {"batch", {kBatch, 3}, {0}, {3}, kSampleBatch},
      {"batch_and_rows", {kBatch, 3}, {}, {}, 3 * kSampleBatch},
      {"batch_kept", {kBatch, 3}, {1}, {kBatch}, 3},
      {"empty_result", {0, 3}, {1}, {0}, 3},
  };
  for (const Case& c : cases) {
    table->Add({.op = "Sum",
                .name = c.name,
                .inputs = {Whole(c.x)},
                .build =
                    [axes = c.axes](const SampleOperands& in) {
                      return Sum(in.x[0], axes, Axes::kDrop, in.loc);
                    },
                .output = Float(c.y)});
    // The sum is exact, the quotient rounded correctly.
    table->Add({.op = "Mean",
                .name = c.name,
                .inputs = {Whole(c.x)},
                .build =
                    [axes = c.axes](const SampleOperands& in) {
                      return Mean(in.x[0], axes, Axes::kDrop, in.loc);
                    },
                .output = Float(c.y)});
  }
  // Over nothing: a sum is 0, a mean 0 / 0.
  for (const bool mean : {false, true}) {
    table->Add({.op = mean ? "Mean" : "Sum",
                .name = "over_nothing",
                .inputs = {Floats({0, 3})},
                .build =
                    [mean](const SampleOperands& in) {
                      return (mean ? Mean : Sum)(in.x[0], {0}, Axes::kDrop,
                                                 in.loc);
                    },
                .output = Float({3}),
                .differentiated = Differentiated::kCompiled});
  }
}

void AddReductionErrors(SampleTable* table) {
  for (const bool mean : {false, true}) {
    const char* const op = mean ? "Mean" : "Sum";
    const auto over = [mean](std::vector<int> axes) -> BuildSample {
      return [mean, axes](const SampleOperands& in) {
        return (mean ? Mean : Sum)(in.x[0], axes, Axes::kDrop, in.loc);
      };
    };
    table->AddError(
        op, "axis", {Float({2, 3})}, over({2}),
        absl::StrCat(op,
                     ": axis 2 does not exist in a tensor of rank 2 (x [2,3] "
                     "is input \"x0\", x.cc:0)"));
    table->AddError(
        op, "axis_twice", {Float({2, 3})}, over({1, -1}),
        absl::StrCat(op,
                     ": axis -1 is given twice (x [2,3] is input \"x0\", "
                     "x.cc:0)"));
    table->AddError(
        op, "int32", {Int({2, 3})}, over({}),
        absl::StrCat(op,
                     ": expected float32, found int32 (x int32[2,3] is input "
                     "\"x0\", x.cc:0)"));
  }
}

// ---- Variance and Norm, and what all of them have of axes ----

using Reduces = std::function<Var(const SampleOperands& in,
                                  absl::Span<const int> axes, Axes reduced)>;

// The rows of a reduction over any axes, of operands drawn like `drawn`. The
// tolerance is that of a sum of one term, and of each term more.
struct ReductionOp {
  const char* name;
  std::string rows;  // What the names of the rows begin with.
  Reduces reduce;
  SampleInput drawn;
  Tolerance first = kExact;
  double each = 0;
};

void AddAxesRows(const ReductionOp& op, SampleTable* table) {
  struct Case {
    const char* name;
    Shape x;
    std::vector<int> axes;
    Shape dropped;
    Shape kept;
    int terms;
  };
  for (const Case& c : std::vector<Case>{
           {"all", {2, 3, 4}, {}, {}, {1, 1, 1}, 24},
           {"first_axis", {2, 3, 4}, {0}, {3, 4}, {1, 3, 4}, 2},
           {"middle_axis", {2, 3, 4}, {1}, {2, 4}, {2, 1, 4}, 3},
           {"last_axis", {2, 3, 4}, {-1}, {2, 3}, {2, 3, 1}, 4},
           {"negative_axes", {2, 3, 4}, {-1, -3}, {3}, {1, 3, 1}, 8},
           {"wide", {3, 5, 97}, {1}, {3, 97}, {3, 1, 97}, 5},
           {"of_a_scalar", {}, {}, {}, {}, 1},
           {"one_element", {1, 1}, {0}, {1}, {1, 1}, 1},
           {"batch", {kBatch, 3}, {0}, {3}, {1, 3}, kSampleBatch},
           {"batch_kept", {kBatch, 3}, {1}, {kBatch}, {kBatch, 1}, 3},
           {"empty_result", {0, 3}, {1}, {0}, {0, 1}, 3}}) {
    for (const Axes reduced : {Axes::kDrop, Axes::kKeep}) {
      const bool keeps = reduced == Axes::kKeep;
      SampleInput input = op.drawn;
      input.shape = c.x;
      table->Add({.op = op.name,
                  .name = absl::StrCat(op.rows, keeps ? "kept_" : "", c.name),
                  .inputs = {input},
                  .build =
                      [reduce = op.reduce, axes = c.axes,
                       reduced](const SampleOperands& in) {
                        return reduce(in, axes, reduced);
                      },
                  .output = Float(keeps ? c.kept : c.dropped),
                  .tolerance = {op.first.relative + c.terms * op.each,
                                op.first.absolute}});
    }
  }
}

void AddAxesErrors(const ReductionOp& op, SampleTable* table) {
  const auto over = [&](std::vector<int> axes) -> BuildSample {
    return [reduce = op.reduce, axes](const SampleOperands& in) {
      return reduce(in, axes, Axes::kDrop);
    };
  };
  table->AddError(
      op.name, "axis", {Float({2, 3})}, over({2}),
      absl::StrCat(op.name,
                   ": axis 2 does not exist in a tensor of rank 2 (x [2,3] is "
                   "input \"x0\", x.cc:0)"));
  table->AddError(op.name, "axis_twice", {Float({2, 3})}, over({1, -1}),
                  absl::StrCat(op.name,
                               ": axis -1 is given twice (x [2,3] is input "
                               "\"x0\", x.cc:0)"));
  table->AddError(
      op.name, "int32", {Int({2, 3})}, over({}),
      absl::StrCat(op.name,
                   ": expected float32, found int32 (x int32[2,3] is input "
                   "\"x0\", x.cc:0)"));
}

// Of a function of ops.h.
Reduces Of(Var (*f)(Var, absl::Span<const int>, Axes, Loc)) {
  return [f](const SampleOperands& in, absl::Span<const int> axes,
             Axes reduced) { return f(in.x[0], axes, reduced, in.loc); };
}
Reduces Variances(double correction) {
  return [correction](const SampleOperands& in, absl::Span<const int> axes,
                      Axes reduced) {
    return Variance(in.x[0], axes,
                    {.correction = correction, .reduced = reduced}, in.loc);
  };
}
Reduces Norms(double order) {
  return [order](const SampleOperands& in, absl::Span<const int> axes,
                 Axes reduced) {
    return Norm(in.x[0], axes, {.order = order, .reduced = reduced}, in.loc);
  };
}

void AddReductions(SampleTable* table) {
  const SampleInput whole = Whole({}), positive = Floats({}, 0.5, 2);
  // A difference, its square and their quotient are rounded, and each sum once
  // a term. That the mean is rounded counts in the square of the rounding only,
  // for the differences have the sum 0.
  constexpr Tolerance kVariance = {5 * kRounding, 1e-12};
  // Of these exp is off by 1.5 ulp and by 4 more, because its operand of at
  // most 1.5 is rounded; the log of the sum by that and by 4.5 of its own,
  // below 8; then the sum of both is rounded. Over several axes, as many times.
  constexpr Tolerance kLogSumExp = {.absolute = 3 * 14 * kUlp};
  for (const ReductionOp& op : std::vector<ReductionOp>{
           {"Max", "", Of(Max), Floats({})},
           {"Min", "", Of(Min), Floats({})},
           {"Prod", "", Of(Prod), positive, {0, 0}, kRounding},
           {"LogSumExp", "", Of(LogSumExp), positive, kLogSumExp},
           {"Variance", "", Variances(0), whole, kVariance, kRounding},
           {"Norm", "", Norms(2), whole},
           {"Norm", "order_1_", Norms(1), NotZero({}), {}, kRounding},
           {"Norm", "order_inf_", Norms(kInf), NotZero({})}}) {
    AddAxesRows(op, table);
    if (op.rows.empty()) AddAxesErrors(op, table);
  }
  AddAxesRows({"Sum", "any_", Of(Sum), whole}, table);
  AddAxesRows({"Mean", "any_", Of(Mean), whole}, table);
}

// What the formulas give, computed apart from all this.
void AddReductionValues(SampleTable* table) {
  const auto add = [&](const char* op, const char* name, Reduces reduce,
                       std::vector<int> axes, Shape y,
                       std::vector<double> values) {
    table->Add({.op = op,
                .name = name,
                .inputs = {Given({2, 3}, {1, -2, 4, 3, 0.5, -1})},
                .build =
                    [reduce, axes](const SampleOperands& in) {
                      return reduce(in, axes, Axes::kDrop);
                    },
                .output = Float(std::move(y)),
                .tolerance = {1e-6, 1e-6},  // The rows above are exact on it.
                .values = std::move(values)});
  };
  add("Variance", "values", Variances(0), {1}, {2}, {6.0, 2.722222222222222});
  add("Variance", "values_corrected", Variances(1), {}, {},
      {5.241666666666666});
  add("Norm", "values", Norms(2), {0}, {3},
      {3.1622776601683795, 2.0615528128088303, 4.123105625617661});
  add("Norm", "order_1_values", Norms(1), {1}, {2}, {7.0, 4.5});
  add("Norm", "order_inf_values", Norms(kInf), {1}, {2}, {4.0, 3.0});
  add("Max", "values", Of(Max), {0}, {3}, {3.0, 0.5, 4.0});
  add("Max", "values_of_all", Of(Max), {}, {}, {4.0});
  add("Min", "values", Of(Min), {1}, {2}, {-2.0, -1.0});
  add("Min", "values_of_all", Of(Min), {}, {}, {-2.0});
  add("Prod", "values", Of(Prod), {1}, {2}, {-8.0, -1.5});
  add("Prod", "values_of_all", Of(Prod), {}, {}, {12.0});
  add("LogSumExp", "values", Of(LogSumExp), {0}, {3},
      {3.1269280110429727, 0.5788897342925498, 4.006715348489118});
  add("LogSumExp", "values_of_all", Of(LogSumExp), {}, {}, {4.376434839435808});
}

void AddVarianceAndNorm(SampleTable* table) {
  const auto add = [&](const char* op, const char* name, SampleInput input,
                       Reduces reduce, Shape y, Tolerance tolerance,
                       Differentiated differentiated,
                       std::vector<std::vector<double>> derivatives = {}) {
    table->Add({.op = op,
                .name = name,
                .inputs = {std::move(input)},
                .build =
                    [reduce](const SampleOperands& in) {
                      return reduce(in, {1}, Axes::kDrop);
                    },
                .output = Float(std::move(y)),
                .tolerance = tolerance,
                .differentiated = differentiated,
                .derivatives = std::move(derivatives)});
  };
  constexpr Differentiated kTwice = Differentiated::kTwice,
                           kCompiled = Differentiated::kCompiled,
                           kNotAsked = Differentiated::kNotAsked;
  const Tolerance seven = {12 * kRounding, 1e-12};
  add("Variance", "corrected", Floats({4, 7}), Variances(1), {4}, seven,
      kTwice);
  // Far from 0: the mean's digits are not the variance's.
  add("Variance", "far_from_zero",
      Given({2, 4}, {1e4 + 1, 1e4 - 1, 1e4 + 3, 1e4 - 3, -1e6, -1e6 - 2,
                     -1e6 + 2, -1e6}),
      Variances(0), {2}, seven, kCompiled);
  // One element has no spread, and none to be corrected: 0 / 0.
  add("Variance", "of_one", Floats({3, 1}), Variances(0), {3}, {}, kTwice);
  add("Variance", "of_one_corrected", Floats({3, 1}), Variances(1), {3}, {},
      kNotAsked);
  add("Variance", "over_nothing", Floats({3, 0}), Variances(0), {3}, {},
      kCompiled);
  const std::vector<double> extremes = {300,  -300, 0,    -0.0, kDenormal, 1,
                                        kInf, 1,    kNan, 1,    -kInf,     2};
  add("Variance", "extremes", Given({6, 2}, extremes), Variances(0), {6}, seven,
      kCompiled);
  table->AddError(
      "Variance", "negative_correction", {Float({2})},
      [](const SampleOperands& in) {
        return Variance(in.x[0], {}, {.correction = -1}, in.loc);
      },
      "Variance: expected a finite correction of at least 0, found -1 (x [2] "
      "is input \"x0\", x.cc:0)");

  add("Norm", "chunks", Whole({3, 100003}), Norms(2), {3}, {2 * kRounding},
      kCompiled);
  // Large and small beyond what squares are in float32; infinities and NaN.
  add("Norm", "extremes",
      Given({6, 2}, {3e37, -4e37, 3e-37, 4e-37, kInf, 1, kNan, 1, -kInf, kInf,
                     300, -400}),
      Norms(2), {6}, {2 * kRounding}, kNotAsked);
  add("Norm", "order_1_extremes",
      Given({3, 2}, {1e38, -1e38, -kInf, 1, kNan, kInf}), Norms(1), {3}, {},
      kCompiled);
  // At 0 there is no NaN, nor of its neighbours, and no second derivative.
  add("Norm", "kink", Given({3, 2}, {0, 0, -4, 0, 0, -0.0}), Norms(2), {3},
      {2 * kRounding}, kNotAsked, {{0, 0, -1, 0, 0, 0}});
  add("Norm", "order_1_kink", Given({1, 3}, {0, -2, 2}), Norms(1), {1}, {},
      Differentiated::kOnce, {{0, -1, 1}});
  add("Norm", "over_nothing", Floats({3, 0}), Norms(2), {3}, {}, kCompiled);
  table->AddError(
      "Norm", "order", {Float({2})},
      [](const SampleOperands& in) {
        return Norm(in.x[0], {}, {.order = 3}, in.loc);
      },
      "Norm: expected order 1, 2 or infinity, found 3 (x [2] is input \"x0\", "
      "x.cc:0)");
}

// ---- What these are made of ----

void AddSumFunctions(SampleTable* table) {
  const auto add = [&](const char* op, const char* name, SampleInput input,
                       Shape y, BuildSample build,
                       Differentiated differentiated = Differentiated::kTwice) {
    table->Add({.op = op,
                .name = name,
                .inputs = {std::move(input)},
                .build = std::move(build),
                .output = Float(std::move(y)),
                .tolerance = {16 * kRounding, 1e-6},
                .differentiated = differentiated});
  };
  const auto over = [](Reduces reduce, std::vector<int> axes) -> BuildSample {
    return [reduce, axes](const SampleOperands& in) {
      return reduce(in, axes, Axes::kDrop);
    };
  };
  for (const auto& [op, reduce] : std::vector<std::pair<const char*, Reduces>>{
           {"MeanTo", Of(Mean)},
           {"MeanParts", Variances(0)},
           {"CenterRows", Variances(0)},
           {"MeanSquareTo", Variances(1)},
           {"NormTo", Norms(2)}}) {
    // Of these two each is what Variance is made of along one axis.
    const bool of_rows = op == std::string("CenterRows");
    if (op != std::string("MeanParts")) {
      add(op, "rows", Floats({5, 67}, 3, 4), {5}, over(reduce, {1}));
      add(op, "short_rows", Floats({5, 7}, 3, 4), {5}, over(reduce, {1}));
      add(op, "all", Floats({5, 7}, 3, 4), {}, over(reduce, {}));
    }
    if (of_rows) continue;
    add(op, "columns", Floats({67, 5}, 3, 4), {5}, over(reduce, {0}));
    add(op, "both", Floats({7, 3, 19}, 3, 4), {3}, over(reduce, {0, 2}));
    add(op, "batch", Floats({kBatch, 3}, 3, 4), {3}, over(reduce, {0}));
    add(op, "wide", Floats({30, 3001}, 3, 4), {3001}, over(reduce, {0}),
        Differentiated::kCompiled);
  }
  const auto scales = [](std::vector<int> axes) -> BuildSample {
    return [axes](const SampleOperands& in) {
      return NormScale(in.x[0], axes, in.loc);
    };
  };
  add("ScaleTo", "all", Given({2, 2}, {1, -3, 0, 1.5}), {}, scales({}));
  add("ScaleTo", "columns", Given({2, 3}, {1.25, 3, -0.3, 0.5, 0, 0}), {1, 3},
      scales({0}));
  add("ScaleTo", "long", Floats({3, 1003}), {3, 1}, scales({1}),
      Differentiated::kCompiled);
  add("ScaleTo", "extremes",
      Given({6, 2},
            {0, 0, kDenormal, 0, 3.4e38, 1, kInf, 1, kNan, 4, -1e-37, 0}),
      {6, 1}, scales({1}), Differentiated::kCompiled);
  // Of a norm the scale and the ratio.
  const auto parts = [](std::vector<int> axes) -> BuildSample {
    return [axes](const SampleOperands& in) {
      const ScaledNorm norm = NormWithScale(in.x[0], axes, in.loc);
      const Shape line = {1, norm.scale.shape().elements()};
      return Concat({Reshape(norm.scale, line), Reshape(norm.ratio, line)}, 0);
    };
  };
  // (Its element is no more than the scale, which for differences must stay.)
  add("NormParts", "all", Given({2, 2}, {1, -3, 0, 1.5}), {2, 1}, parts({}));
  add("NormParts", "columns", Given({2, 3}, {1.25, 3, -0.3, 0.5, 0, 0.2}),
      {2, 3}, parts({0}));
  add("NormParts", "long", Floats({3, 1003}), {2, 3}, parts({1}),
      Differentiated::kCompiled);
  add("NormParts", "extremes",
      Given({7, 2}, {0, 0, kDenormal, 0, 3.4e38, 3.4e38, kInf, 1, kNan, 4,
                     1e-37, 0, 0x1p-126, 0}),
      {2, 7}, parts({1}), Differentiated::kNotAsked);
  // One scale for all of x, or for each column.
  add("NormTo", "over_scale", Given({2, 3}, {1.25, 3, -0.3, 0.5, 0, 0.25}), {},
      [](const SampleOperands& in) {
        return NormOverScale(in.x[0], NormScale(in.x[0]), in.loc);
      });
  add("NormTo", "over_scales", Given({2, 3}, {1.25, 3, -0.3, 0.5, 0, 0.25}),
      {1, 3}, [](const SampleOperands& in) {
        return NormOverScale(in.x[0], NormScale(in.x[0], {0}), in.loc);
      });
}

void AddElementCountRows(SampleTable* table) {
  for (const auto& [name, shape] : std::vector<std::pair<const char*, Shape>>{
           {"ordinary", {3, 5}}, {"scalar", {}}, {"empty", {3, 0}}}) {
    table->Add({.op = "ElementCount",
                .name = name,
                .inputs = {},
                .build =
                    [shape = shape](const SampleOperands& in) {
                      return ElementCount(in.graph, shape, in.loc);
                    },
                .output = Float({})});
  }
  table->Add(
      {.op = "ElementCount",
       .name = "batch",
       .inputs = {Floats({kBatch})},
       .build =
           [](const SampleOperands& in) {
             return Mul(in.x[0], ElementCount(in.graph, {kBatch, 3}, in.loc));
           },
       .output = Float({kBatch})});
}

void AddElementCountErrors(SampleTable* table) {
  table->AddError(
      "ElementCount", "negative", {},
      [](const SampleOperands& in) {
        return ElementCount(in.graph, {3, -5}, in.loc);
      },
      "ElementCount: expected dimensions of at least 0, or kBatch, found "
      "[3,-5]");
}

}  // namespace

void AddReduceSamples(SampleTable* table) {
  AddReductionRows(table);
  AddReductionErrors(table);
  AddReductions(table);
  AddReductionValues(table);
  AddVarianceAndNorm(table);
  AddSumFunctions(table);
  AddElementCountRows(table);
  AddElementCountErrors(table);
}

}  // namespace tape::samples
