// The ops of sums in pieces (sums_in_pieces.h).
#include "framework/core/sums_in_pieces.h"

#include <algorithm>
#include <memory>

namespace tape {
namespace {

int64_t PiecesOf(const Shape& shape) {
  return (shape.elements() + kPieceElements - 1) / kPieceElements;
}

class PieceSumsKernel : public PlainKernel {
 public:
  PieceSumsKernel(SumForm form, const Shape& shape)
      : form_(form),
        elements_(shape.elements()),
        // Some 20 us of work each, which pays for a fork and join.
        chunks_(ChunksOf(elements_, 64 * 1024, PiecesOf(shape))),
        chunk_pieces_((PiecesOf(shape) + chunks_ - 1) / chunks_) {}

  int chunks() const override { return chunks_; }

  void Run(int chunk, const KernelArguments& arguments) const override {
    const int64_t first = chunk * chunk_pieces_;
    const int64_t begin = std::min(elements_, first * kPieceElements);
    const int64_t end =
        std::min(elements_, begin + chunk_pieces_ * kPieceElements);
    SumPieces(form_, static_cast<const float*>(arguments.inputs[0]) + begin,
              end - begin, static_cast<double*>(arguments.outputs[0]) + first);
  }

 private:
  SumForm form_;
  int64_t elements_;
  int chunks_;
  int64_t chunk_pieces_;
};

class TotalKernel : public PlainKernel {
 public:
  TotalKernel(SumForm form, const KernelSpec& spec)
      : form_(form),
        pieces_(spec.inputs[0].shape.elements()),
        has_divisor_(spec.inputs.size() > 1) {}

  void Run(int, const KernelArguments& arguments) const override {
    WriteTotal(
        form_, static_cast<const double*>(arguments.inputs[0]), pieces_,
        has_divisor_ ? static_cast<const float*>(arguments.inputs[1]) : nullptr,
        static_cast<float*>(arguments.outputs[0]));
  }

 private:
  SumForm form_;
  int64_t pieces_;
  bool has_divisor_;
};

// ---- y[p] = the sum over piece p of x, x^2, or the largest |x| in it ----
// `lane`: what is done to each element before, if machine code may make the
// sum.
template <SumForm form, LaneOp lane = LaneOp::kNone>
constexpr OpDef MakePieces(const char* name) {
  return {
      .name = name,
      .operands = {"x"},
      .shape = [](absl::Span<const TensorType> x,
                  const Attributes&) -> absl::StatusOr<TensorType> {
        return TensorType{DType::kFloat64, {PiecesOf(x[0].shape)}};
      },
      .block = [](absl::Span<const DType>, DType) -> Block {
        return {[](const BlockArguments& piece) {
                  SumPieces(form, static_cast<const float*>(piece.inputs[0]),
                            static_cast<int64_t>(piece.count),
                            static_cast<double*>(piece.output));
                },
                lane};
      },
      .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
        return std::make_unique<PieceSumsKernel>(form, spec.inputs[0].shape);
      },
      .traits = {.piecewise = true}};
}
constexpr OpDef kPieceSums = MakePieces<SumForm::kSum>("PieceSums");
constexpr OpDef kPieceSquares =
    MakePieces<SumForm::kMeanSquare, LaneOp::kSquare>("PieceSquares");
constexpr OpDef kPieceMaxima = MakePieces<SumForm::kScale>("PieceMaxima");

// ---- y = the sum, mean, norm, … of all elements, from the sums of their pieces ----
template <SumForm form>
constexpr OpDef MakeTotal(const char* name, const char* divisor = nullptr) {
  return {
      .name = name,
      .operands = {"sums", divisor},
      .shape = [](absl::Span<const TensorType>,
                  const Attributes& attributes) -> absl::StatusOr<TensorType> {
        return TensorType{DType::kFloat32, attributes.shape};
      },
      .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
        return std::make_unique<TotalKernel>(form, spec);
      }};
}
constexpr OpDef kTotal = MakeTotal<SumForm::kSum>("Total");
constexpr OpDef kMean = MakeTotal<SumForm::kMean>("Mean", "count");
constexpr OpDef kMeanParts =
    MakeTotal<SumForm::kMeanParts>("MeanParts", "count");
constexpr OpDef kMeanSquare =
    MakeTotal<SumForm::kMeanSquare>("MeanSquare", "count");
constexpr OpDef kNorm = MakeTotal<SumForm::kNorm>("Norm", "unit");
constexpr OpDef kNormParts = MakeTotal<SumForm::kNormParts>("NormParts");
constexpr OpDef kScale = MakeTotal<SumForm::kScale>("Scale");

}  // namespace

constinit const SumInPieces kSumsInPieces[kSumForms] = {
    {&kPieceSums, &kTotal, 1},     {&kPieceSums, &kMean, 1},
    {&kPieceSums, &kMeanParts, 2}, {&kPieceSquares, &kMeanSquare, 1},
    {&kPieceSquares, &kNorm, 1},   {&kPieceSquares, &kNormParts, 2},
    {&kPieceMaxima, &kScale, 1}};

}  // namespace tape
