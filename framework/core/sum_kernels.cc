// The vector code behind AddN and the reductions, compiled once for each
// instruction set and chosen at run time by Highway. Tested by tests/ops/op_test.cc
// through the sample table, and by tests/ops/sums_test.cc.
#include "framework/core/sum_kernels.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "framework/core/sum_stage.h"
#include "framework/core/tensor.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/core/sum_kernels.cc"
// In this order: foreach_target.h includes this file again for each target.
// clang-format off
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "framework/core/float_sums-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tape::HWY_NAMESPACE {

void AddFloats(const BlockArguments& block) {
  const Floats d;
  const size_t lanes = hn::Lanes(d);
  float* const out = static_cast<float*>(block.output);
  const auto term = [&](size_t input) {
    return static_cast<const float*>(block.inputs[input]);
  };
  size_t i = 0;
  for (; i + lanes <= block.count; i += lanes) {
    FloatVector sum = hn::LoadU(d, term(0) + i);
    for (size_t input = 1; input < block.inputs.size(); ++input) {
      sum = hn::Add(sum, hn::LoadU(d, term(input) + i));
    }
    hn::StoreU(sum, d, out + i);
  }
  for (; i < block.count; ++i) {
    float sum = term(0)[i];
    for (size_t input = 1; input < block.inputs.size(); ++input) {
      sum += term(input)[i];
    }
    out[i] = sum;
  }
}

// ---- Sums of vectors: load(0) + … + load(count - 1), lane by lane ----

// Vectors that are `step` numbers apart.
struct WholeVectors {
  HWY_INLINE FloatVector operator()(int64_t i) const {
    return hn::LoadU(Floats(), x + i * step);
  }
  HWY_INLINE DoubleSums InDouble(int64_t i) const {
    return LoadDoubles(x + i * step);
  }
  const float* x;
  int64_t step;
};

// The same of their first `lanes` lanes alone.
struct PartialVectors {
  HWY_INLINE FloatVector operator()(int64_t i) const {
    return LoadSome(x + i * step, lanes, 0);
  }
  HWY_INLINE DoubleSums InDouble(int64_t i) const {
    return tape::HWY_NAMESPACE::InDouble((*this)(i));
  }
  const float* x;
  int64_t step;
  int64_t lanes;
};

template <int count, class Load>
HWY_INLINE FloatVector SumTree(int64_t first, Load load) {
  if constexpr (count == 1) {
    return load(first);
  } else {
    return hn::Add(SumTree<count / 2>(first, load),
                   SumTree<count / 2>(first + count / 2, load));
  }
}

// Calls f(first, size) for trees of 8 terms, and of 4, 2 and 1 at the end: of a
// power of two of equal numbers no tree rounds.
template <class F>
HWY_INLINE void ForTrees(int64_t count, F f) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) f(i, std::integral_constant<int, 8>());
  if ((count & 4) != 0) f(i, std::integral_constant<int, 4>());
  if ((count & 2) != 0) {
    f(i + (count & 4), std::integral_constant<int, 2>());
  }
  if ((count & 1) != 0) f(count - 1, std::integral_constant<int, 1>());
}

template <class Load>
HWY_INLINE DoubleSums SumInTrees(int64_t count, Load load) {
  DoubleSums sums;
  ForTrees(count, [&](int64_t first, auto size)
                      HWY_ATTR { sums.Add(SumTree<size>(first, load)); });
  return sums;
}

template <class Load>
HWY_INLINE DoubleSums SumInDouble(int64_t count, Load load) {
  DoubleSums sums;
  for (int64_t i = 0; i < count; ++i) sums.Add(load(i));
  return sums;
}

template <class Load>
HWY_INLINE DoubleSums SumSquares(int64_t count, Load load) {
  // Four running sums, so that the additions need not wait for each other.
  DoubleSums even, odd;
  const auto add = [](const DoubleSums& x, DoubleSums& sums)
                       HWY_ATTR { sums.AddProduct(x, x); };
  int64_t i = 0;
  for (; i + 2 <= count; i += 2) {
    add(load.InDouble(i), even);
    add(load.InDouble(i + 1), odd);
  }
  if (i < count) add(load.InDouble(i), even);
  even.Add(odd);
  return even;
}

// The largest magnitude.
template <class Load>
HWY_INLINE DoubleSums LargestOf(int64_t count, Load load) {
  FloatVector even = hn::Zero(Floats()), odd = even;
  const auto larger = [](FloatVector v, FloatVector most) HWY_ATTR {
    const FloatVector magnitude = hn::Abs(v);
    return hn::IfThenElse(hn::Gt(magnitude, most), magnitude, most);
  };
  int64_t i = 0;
  for (; i + 2 <= count; i += 2) {
    even = larger(load(i), even);
    odd = larger(load(i + 1), odd);
  }
  if (i < count) even = larger(load(i), even);
  DoubleSums sums;
  sums.Add(larger(odd, even));
  return sums;
}

HWY_INLINE bool AreFinite(const DoubleSums& sums) {
  const Doubles d;
  return hn::AllTrue(
      d, hn::And(hn::IsFinite(sums.lower), hn::IsFinite(sums.upper)));
}

// What is added up of the terms.
enum class Terms { kPlain, kSquares, kLargest };
constexpr Terms TermsOf(SumForm form) {
  switch (form) {
    case SumForm::kMeanSquare:
    case SumForm::kNorm:
    case SumForm::kNormParts:
      return Terms::kSquares;
    case SumForm::kScale:
      return Terms::kLargest;
    default:
      return Terms::kPlain;
  }
}

template <Terms terms, class Load>
HWY_INLINE DoubleSums SumOf(int64_t count, Load load) {
  if constexpr (terms == Terms::kSquares) return SumSquares(count, load);
  if constexpr (terms == Terms::kLargest) return LargestOf(count, load);
  return SumInTrees(count, load);
}

// ---- Rows and columns ----

template <Terms terms>
HWY_INLINE double RowSum(const float* x, int64_t count) {
  // What is shorter costs less without vectors.
  constexpr int64_t kShort = 8;
  if (terms != Terms::kLargest && count <= kShort) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) {
      const double term = x[i];
      sum += terms == Terms::kSquares ? term * term : term;
    }
    return sum;
  }
  const int64_t lanes = hn::Lanes(Floats());
  const int64_t whole = count / lanes, rest = count % lanes;
  const WholeVectors load = {x, lanes};
  const PartialVectors load_rest = {x + whole * lanes, 0, rest};
  DoubleSums sums = SumOf<terms>(whole, load);
  if constexpr (terms == Terms::kLargest) {
    HWY_ALIGN double most[2 * hn::MaxLanes(Doubles())];
    const auto largest = [&most](const DoubleSums& of) HWY_ATTR {
      hn::Store(of.lower, Doubles(), most);
      hn::Store(of.upper, Doubles(), most + hn::Lanes(Doubles()));
      return *std::max_element(most, most + 2 * hn::Lanes(Doubles()));
    };
    const double of_whole = largest(sums);
    return rest == 0 ? of_whole
                     : std::max(of_whole, largest(SumOf<terms>(1, load_rest)));
  }
  if (rest > 0) sums.Add(SumOf<terms>(1, load_rest));
  double total = sums.Total();
  if (terms == Terms::kPlain && !std::isfinite(total)) {
    sums = SumInDouble(whole, load);
    if (rest > 0) sums.Add(load_rest(0));
    total = sums.Total();
  }
  return total;
}

// The sums of a vector of columns.
template <Terms terms, class Load>
HWY_INLINE DoubleSums ColumnSums(int64_t rows, Load load) {
  const DoubleSums sums = SumOf<terms>(rows, load);
  if (terms == Terms::kPlain && !AreFinite(sums)) {
    return SumInDouble(rows, load);
  }
  return sums;
}

// Vectors of columns that are gone through at once: so many lie side by side in
// memory, which is then read in longer runs.
constexpr int kVectorsAtOnce = 4;

// Adds to `sums` the plain sums of kVectorsAtOnce vectors of columns, each as
// ColumnSums has it.
HWY_INLINE void SeveralColumnSums(int64_t rows, const float* x, int64_t step,
                                  DoubleSums* sums) {
  const int64_t lanes = hn::Lanes(Floats());
  ForTrees(rows, [&](int64_t first, auto size) HWY_ATTR {
    for (int v = 0; v < kVectorsAtOnce; ++v) {
      const WholeVectors load = {x + v * lanes, step};
      sums[v].Add(SumTree<size>(first, load));
    }
  });
  for (int v = 0; v < kVectorsAtOnce; ++v) {
    if (AreFinite(sums[v])) continue;
    sums[v] = SumInDouble(rows, WholeVectors{x + v * lanes, step});
  }
}

// Writes the sums, or what is made of them, of `used` columns from `index` on.
template <SumForm form>
HWY_INLINE void WriteColumns(const StagePart& part, int64_t index, int64_t used,
                             DoubleSums sums) {
  const Doubles d;
  const int64_t half = hn::Lanes(d);
  if (part.sums == nullptr && used == 2 * half &&
      (form == SumForm::kSum || form == SumForm::kMean ||
       form == SumForm::kMeanSquare)) {
    if (form != SumForm::kSum) {
      const auto divisor = hn::Set(d, static_cast<double>(*part.divisor));
      sums.lower = hn::Div(sums.lower, divisor);
      sums.upper = hn::Div(sums.upper, divisor);
    }
    hn::StoreU(sums.Rounded(), Floats(), part.out + index);
    return;
  }
  HWY_ALIGN double each[2 * hn::MaxLanes(d)];
  hn::Store(sums.lower, d, each);
  hn::Store(sums.upper, d, each + half);
  for (int64_t i = 0; i < used; ++i) {
    if (part.sums != nullptr) {
      part.sums[index + i] = each[i];
    } else {
      WriteFinished(form, part, index + i, each[i]);
    }
  }
}

template <SumForm form>
void RunPart(const StagePart& part) {
  constexpr Terms terms = TermsOf(form);
  const int64_t lanes = hn::Lanes(Floats());
  const auto [outer, reduced, inner] = part.stage;
  for (int64_t o = part.outer_begin; o < part.outer_end; ++o) {
    const float* const block = part.in + o * reduced * inner;
    if (inner == 1) {
      const double sum = RowSum<terms>(block, reduced);
      if (part.sums != nullptr) {
        part.sums[o] = sum;
      } else {
        WriteFinished(form, part, o, sum);
      }
      continue;
    }
    int64_t c = part.inner_begin;
    if constexpr (terms == Terms::kPlain) {
      for (; c + kVectorsAtOnce * lanes <= part.inner_end;
           c += kVectorsAtOnce * lanes) {
        DoubleSums sums[kVectorsAtOnce];
        SeveralColumnSums(reduced, block + c, inner, sums);
        for (int v = 0; v < kVectorsAtOnce; ++v) {
          WriteColumns<form>(part, o * inner + c + v * lanes, lanes, sums[v]);
        }
      }
    }
    for (; c + lanes <= part.inner_end; c += lanes) {
      const WholeVectors load = {block + c, inner};
      WriteColumns<form>(part, o * inner + c, lanes,
                         ColumnSums<terms>(reduced, load));
    }
    if (const int64_t rest = part.inner_end - c; rest > 0) {
      const PartialVectors load = {block + c, inner, rest};
      WriteColumns<form>(part, o * inner + c, rest,
                         ColumnSums<terms>(reduced, load));
    }
  }
}

void RunStagePart(const StagePart& part) {
  switch (part.form) {
    case SumForm::kSum:
      return RunPart<SumForm::kSum>(part);
    case SumForm::kMean:
      return RunPart<SumForm::kMean>(part);
    case SumForm::kMeanParts:
      return RunPart<SumForm::kMeanParts>(part);
    case SumForm::kMeanSquare:
      return RunPart<SumForm::kMeanSquare>(part);
    case SumForm::kNorm:
      return RunPart<SumForm::kNorm>(part);
    case SumForm::kNormParts:
      return RunPart<SumForm::kNormParts>(part);
    case SumForm::kScale:
      return RunPart<SumForm::kScale>(part);
  }
}

double TotalOfLanes(const double* lanes) {
  const Doubles d;
  return DoubleSums(hn::LoadU(d, lanes), hn::LoadU(d, lanes + hn::Lanes(d)))
      .Total();
}

// Of several pieces, so that the additions need not wait for each other.
template <int pieces>
HWY_INLINE void SumSquaresOfPieces(const float* x, int64_t count,
                                   double* sums) {
  const int64_t lanes = hn::Lanes(Floats());
  DoubleSums each[pieces];
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (int p = 0; p < pieces; ++p) {
      const DoubleSums v = LoadDoubles(x + p * kPieceElements + i);
      each[p].AddProduct(v, v);
    }
  }
  for (int p = 0; p < pieces; ++p) {
    if (i < count) {
      const DoubleSums v = InDouble(
          LoadSome(x + p * kPieceElements + i, count - i, /*padding=*/0));
      each[p].AddProduct(v, v);
    }
    sums[p] = each[p].Total();
  }
}
void SumSquaresOfPieces(const float* x, int64_t count, double* sums) {
  for (; count >= 2 * kPieceElements;
       x += 2 * kPieceElements, count -= 2 * kPieceElements, sums += 2) {
    SumSquaresOfPieces<2>(x, kPieceElements, sums);
  }
  for (; count > 0; x += kPieceElements, count -= kPieceElements) {
    SumSquaresOfPieces<1>(x, std::min(count, kPieceElements), sums++);
  }
}

template <Terms terms>
void SumPiecesOf(const float* x, int64_t count, double* sums) {
  for (; count > 0; x += kPieceElements, count -= kPieceElements) {
    *sums++ = RowSum<terms>(x, std::min(count, kPieceElements));
  }
}

void SumPieces(SumForm form, const float* x, int64_t count, double* sums) {
  switch (TermsOf(form)) {
    case Terms::kPlain:
      return SumPiecesOf<Terms::kPlain>(x, count, sums);
    case Terms::kSquares:
      return SumSquaresOfPieces(x, count, sums);
    case Terms::kLargest:
      return SumPiecesOf<Terms::kLargest>(x, count, sums);
  }
}

// A later stage, from sums to sums.
template <class Join>
HWY_INLINE void JoinSums(const ReductionStage& stage, const double* in,
                         double* out, double none, Join join) {
  const Doubles d;
  const int64_t lanes = hn::Lanes(d), inner = stage.inner;
  for (int64_t o = 0; o < stage.outer; ++o, out += inner) {
    std::fill_n(out, inner, none);
    for (int64_t r = 0; r < stage.reduced; ++r, in += inner) {
      int64_t c = 0;
      for (; c + lanes <= inner; c += lanes) {
        hn::StoreU(join(hn::LoadU(d, out + c), hn::LoadU(d, in + c)), d,
                   out + c);
      }
      const hn::CappedTag<double, 1> one;
      for (; c < inner; ++c) {
        hn::StoreU(join(hn::LoadU(one, out + c), hn::LoadU(one, in + c)), one,
                   out + c);
      }
    }
  }
}

void RunLaterStage(SumForm form, const ReductionStage& stage, const double* in,
                   double* out) {
  if (form == SumForm::kScale) {
    JoinSums(stage, in, out, 0,
             [](auto a, auto b) HWY_ATTR { return hn::Max(a, b); });
  } else {
    JoinSums(stage, in, out, 0,
             [](auto a, auto b) HWY_ATTR { return hn::Add(a, b); });
  }
}

}  // namespace tape::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tape {
namespace {

HWY_EXPORT(AddFloats);
HWY_EXPORT(RunStagePart);
HWY_EXPORT(SumPieces);
HWY_EXPORT(TotalOfLanes);
HWY_EXPORT(RunLaterStage);

// Numbers read by one chunk: some 20 µs of work, which pays for a fork and
// join.
constexpr int64_t kChunkElements = 64 * 1024;
// Columns of one chunk come in whole cache lines.
constexpr int64_t kColumnStep = 16;

// The axes of `from`, neighbours of a kind merged, as stages that reduce one
// axis each, the last axes first.
std::vector<ReductionStage> PlanStages(const Shape& from, const Shape& to) {
  struct Run {
    int64_t size;
    bool reduced;
  };
  std::vector<Run> runs;
  for (int axis = 0; axis < from.rank(); ++axis) {
    const int to_axis = axis - (from.rank() - to.rank());
    const bool reduced = to_axis < 0 || to[to_axis] != from[axis];
    if (!runs.empty() && runs.back().reduced == reduced) {
      runs.back().size *= from[axis];
    } else {
      runs.push_back({from[axis], reduced});
    }
  }
  std::vector<ReductionStage> stages;
  int64_t inner = 1;
  for (size_t i = runs.size(); i-- > 0;) {
    if (!runs[i].reduced) {
      inner *= runs[i].size;
      continue;
    }
    int64_t outer = 1;
    for (size_t j = 0; j < i; ++j) outer *= runs[j].size;
    stages.push_back({outer, runs[i].size, inner});
  }
  // Nothing to sum over: a copy.
  if (stages.empty()) stages.push_back({1, 1, inner});
  return stages;
}

class ReductionKernel : public PlainKernel {
 public:
  // `to`: the shape of the sums. `divisors`: how many numbers the second input
  // has, 0 if there is none.
  ReductionKernel(SumForm form, const Shape& from, const Shape& to,
                  int64_t divisors)
      : form_(form),
        divisors_(divisors),
        sums_(to.elements()),
        stages_(PlanStages(from, to)) {
    const ReductionStage& stage = stages_[0];
    const int64_t elements = stage.outer * stage.reduced * stage.inner;
    if (stages_.size() == 1 && elements > 0) {
      by_rows_ = stage.outer > 1;
      const int64_t length =
          by_rows_ ? stage.outer
                   : (stage.inner + kColumnStep - 1) / kColumnStep;
      const int64_t wanted = (elements + kChunkElements - 1) / kChunkElements;
      chunks_ =
          static_cast<int>(std::min<int64_t>({length, wanted, kMostChunks}));
      chunk_length_ = (length + chunks_ - 1) / chunks_;
    }
    // Several stages leave their sums in the scratch memory, one after the
    // other.
    for (const ReductionStage& each : stages_) {
      if (stages_.size() > 1) scratch_bytes_ += SumBytes(each);
    }
  }

  int chunks() const override { return chunks_; }
  size_t scratch_bytes() const override { return scratch_bytes_; }

  void Run(int chunk, const KernelArguments& arguments) const override {
    const ReductionStage& stage = stages_[0];
    StagePart part = {.form = form_,
                      .stage = stage,
                      .outer_begin = 0,
                      .outer_end = stage.outer,
                      .inner_begin = 0,
                      .inner_end = stage.inner,
                      .in = static_cast<const float*>(arguments.inputs[0]),
                      .sums = nullptr,
                      .out = static_cast<float*>(arguments.outputs[0]),
                      .divisor = divisors_ == 0 ? nullptr
                                                : static_cast<const float*>(
                                                      arguments.inputs[1]),
                      .one_divisor = divisors_ == 1};
    if (stages_.size() == 1) {
      if (chunks_ > 1 && by_rows_) {
        part.outer_begin = std::min(stage.outer, chunk * chunk_length_);
        part.outer_end =
            std::min(stage.outer, part.outer_begin + chunk_length_);
      } else if (chunks_ > 1) {
        part.inner_begin =
            std::min(stage.inner, chunk * chunk_length_ * kColumnStep);
        part.inner_end = std::min(
            stage.inner, part.inner_begin + chunk_length_ * kColumnStep);
      }
      HWY_DYNAMIC_DISPATCH(RunStagePart)(part);
      return;
    }
    std::byte* scratch = arguments.scratch;
    part.sums = reinterpret_cast<double*>(scratch);
    HWY_DYNAMIC_DISPATCH(RunStagePart)(part);
    const double* sums = part.sums;
    for (size_t i = 1; i < stages_.size(); ++i) {
      scratch += SumBytes(stages_[i - 1]);
      double* const joined = reinterpret_cast<double*>(scratch);
      HWY_DYNAMIC_DISPATCH(RunLaterStage)(form_, stages_[i], sums, joined);
      sums = joined;
    }
    for (int64_t i = 0; i < sums_; ++i) WriteFinished(form_, part, i, sums[i]);
  }

 private:
  static size_t SumBytes(const ReductionStage& stage) {
    return RoundUpToAlignment(stage.outer * stage.inner * sizeof(double));
  }

  SumForm form_;
  int64_t divisors_;
  int64_t sums_;
  std::vector<ReductionStage> stages_;
  bool by_rows_ = false;
  int chunks_ = 1;
  int64_t chunk_length_ = 0;  // In rows, or in steps of columns.
  size_t scratch_bytes_ = 0;
};

// Of more than kPieceElements numbers, one sum.
class PiecesKernel : public PlainKernel {
 public:
  PiecesKernel(SumForm form, int64_t elements, bool has_divisor)
      : form_(form),
        elements_(elements),
        pieces_((elements + kPieceElements - 1) / kPieceElements),
        has_divisor_(has_divisor) {}

  size_t scratch_bytes() const override { return pieces_ * sizeof(double); }

  void Run(int, const KernelArguments& arguments) const override {
    auto* const sums = reinterpret_cast<double*>(arguments.scratch);
    SumPieces(form_, static_cast<const float*>(arguments.inputs[0]), elements_,
              sums);
    WriteTotal(
        form_, sums, pieces_,
        has_divisor_ ? static_cast<const float*>(arguments.inputs[1]) : nullptr,
        static_cast<float*>(arguments.outputs[0]));
  }

 private:
  SumForm form_;
  int64_t elements_, pieces_;
  bool has_divisor_;
};

}  // namespace

void SumPieces(SumForm form, const float* x, int64_t count, double* sums) {
  HWY_DYNAMIC_DISPATCH(SumPieces)(form, x, count, sums);
}

double TotalOfLanes(const double* lanes) {
  return HWY_DYNAMIC_DISPATCH(TotalOfLanes)(lanes);
}

void WriteTotal(SumForm form, const double* sums, int64_t pieces,
                const float* divisor, float* out) {
  double total = 0;
  for (int64_t i = 0; i < pieces; ++i) {
    total =
        form == SumForm::kScale ? std::max(total, sums[i]) : total + sums[i];
  }
  StagePart part = {};
  part.out = out;
  part.divisor = divisor;
  WriteFinished(form, part, 0, total);
}

void AddFloats(const BlockArguments& block) {
  HWY_DYNAMIC_DISPATCH(AddFloats)(block);
}

template <SumForm form>
std::unique_ptr<Kernel> MakeSumKernel(const KernelSpec& spec) {
  const Shape& from = spec.inputs[0].shape;
  Shape to = spec.output.shape;
  if (HasParts(form)) {
    to = Shape(to.dims().first(to.rank() - 1));
  }
  if (to.elements() == 1 && from.elements() > kPieceElements) {
    return std::make_unique<PiecesKernel>(form, from.elements(),
                                          spec.inputs.size() > 1);
  }
  return std::make_unique<ReductionKernel>(
      form, from, to,
      spec.inputs.size() > 1 ? spec.inputs[1].shape.elements() : 0);
}

template std::unique_ptr<Kernel> MakeSumKernel<SumForm::kSum>(
    const KernelSpec&);
template std::unique_ptr<Kernel> MakeSumKernel<SumForm::kMean>(
    const KernelSpec&);
template std::unique_ptr<Kernel> MakeSumKernel<SumForm::kMeanParts>(
    const KernelSpec&);
template std::unique_ptr<Kernel> MakeSumKernel<SumForm::kMeanSquare>(
    const KernelSpec&);
template std::unique_ptr<Kernel> MakeSumKernel<SumForm::kNorm>(
    const KernelSpec&);
template std::unique_ptr<Kernel> MakeSumKernel<SumForm::kNormParts>(
    const KernelSpec&);
template std::unique_ptr<Kernel> MakeSumKernel<SumForm::kScale>(
    const KernelSpec&);

}  // namespace tape
#endif  // HWY_ONCE
