// What ops along one axis share (extremum.cc, index.cc, scan.cc, slice.cc,
// softmax.cc): a tensor seen as lines along that axis.
#ifndef TAPE_OPS_LINES_H_
#define TAPE_OPS_LINES_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/core/kernel.h"

namespace tape {

// `outer` times `inner` lines of `length` elements, which are `inner` apart.
struct Lines {
  int64_t outer = 1;
  int64_t length = 1;
  int64_t inner = 1;
  int64_t count() const { return outer * inner; }
};

// Of a bound shape, along an axis that it has, counted from the back if
// negative.
Lines Along(const Shape& shape, int axis);

// The shape with that axis as 1.
Shape WithAxisOne(const Shape& shape, int axis);

// x (float32) summed along an axis, which is kept as 1.
Var SumAlong(Var x, int axis);

// An error unless `type` is float32 and has the axis.
absl::Status ExpectAxis(const TensorType& type, int axis);
// And unless there is at least one element along it.
absl::Status ExpectElements(const TensorType& type, int axis);

// The rule of rows (OpDef::rows) for what works along attributes.axis: rows are
// apart unless that is the axis of rows.
RowRole RowsOfLines(const RowQuery& query);

// Some neighbouring lines: the first starts at element `begin` of the tensor,
// line `line` of all; the next one `line_step` elements further on; the
// elements of each are `step` apart.
struct Piece {
  int64_t begin;
  int64_t line;
  int64_t count;
  int64_t line_step;
  int64_t step;
  int64_t length;
};

// Runs f(attributes, arguments, piece) on all lines, in pieces. What has one
// element a line has it at `line`.
template <auto f>
class LinesKernel : public PlainKernel {
 public:
  LinesKernel(const KernelSpec& spec, const Shape& shape)
      : attributes_(spec.attributes),
        lines_(Along(shape, spec.attributes.axis)) {
    // Some 10 µs of exponentials.
    constexpr int64_t kElementsPerChunk = 16 * 1024;
    const int64_t count = lines_.count();
    const int64_t most =
        ChunksOf(count * lines_.length, kElementsPerChunk, count);
    chunk_lines_ = std::max<int64_t>(1, (count + most - 1) / most);
    // Lines that lie side by side come in whole cache lines and vectors.
    constexpr int64_t kSideBySide = 16;
    if (lines_.inner > 1) {
      chunk_lines_ =
          (chunk_lines_ + kSideBySide - 1) / kSideBySide * kSideBySide;
    }
    chunks_ = std::max<int64_t>(1, (count + chunk_lines_ - 1) / chunk_lines_);
  }
  int chunks() const override { return static_cast<int>(chunks_); }
  void Run(int chunk, const KernelArguments& arguments) const override {
    int64_t line = std::min(lines_.count(), chunk * chunk_lines_);
    const int64_t end = std::min(lines_.count(), line + chunk_lines_);
    if (lines_.inner == 1) {
      if (line == end) return;
      f(attributes_, arguments,
        Piece{line * lines_.length, line, end - line, lines_.length, 1,
              lines_.length});
      return;
    }
    while (line < end) {
      const int64_t outer = line / lines_.inner, inner = line % lines_.inner;
      const int64_t some = std::min(end - line, lines_.inner - inner);
      f(attributes_, arguments,
        Piece{outer * lines_.length * lines_.inner + inner, line, some, 1,
              lines_.inner, lines_.length});
      line += some;
    }
  }

 private:
  Attributes attributes_;
  Lines lines_;
  int64_t chunk_lines_;
  int64_t chunks_;
};

// The kernel of a map from lines to lines: lines that lie one after another, or
// side by side.
template <typename T>
using RowMap = void (*)(const float*, int64_t, int64_t, T*);
template <typename T>
using ColumnMap = void (*)(const float*, int64_t, int64_t, int64_t, T*);
// `reduces`: whether it makes one element of a line. T: the output's type.
template <typename T, RowMap<T> rows, ColumnMap<T> columns, bool reduces>
void RunLines(const Attributes&, const KernelArguments& arguments,
              const Piece& piece) {
  const float* const x =
      static_cast<const float*>(arguments.inputs[0]) + piece.begin;
  T* const y = static_cast<T*>(arguments.outputs[0]) +
               (reduces ? piece.line : piece.begin);
  if (piece.step == 1) {
    rows(x, piece.count, piece.length, y);
  } else {
    columns(x, piece.length, piece.step, piece.count, y);
  }
}

// The KernelMaker of f along the first input's lines.
template <auto f>
std::unique_ptr<Kernel> MakeLinesKernel(const KernelSpec& spec) {
  return std::make_unique<LinesKernel<f>>(spec, spec.inputs[0].shape);
}

// The reference of what makes of one line of each input a line of the output,
// of one element or as many: f(attributes, lines of the inputs, line of the
// output).
using ReferenceLine = std::vector<double>;
template <auto f>
void LineReference(const Attributes& attributes, absl::Span<const Tensor> x,
                   Tensor& y) {
  const Lines in = Along(x[0].shape(), attributes.axis);
  for (int64_t line = 0; line < in.count(); ++line) {
    // Element i of this line, in a tensor with `length` of them.
    const auto at = [&](const Tensor& tensor, int64_t i) {
      const Lines lines = Along(tensor.shape(), attributes.axis);
      return (line / in.inner * lines.length + i) * in.inner + line % in.inner;
    };
    std::vector<ReferenceLine> from;
    for (const Tensor& tensor : x) {
      from.emplace_back();
      const int64_t length = Along(tensor.shape(), attributes.axis).length;
      for (int64_t i = 0; i < length; ++i) {
        from.back().push_back(tensor.values<double>()[at(tensor, i)]);
      }
    }
    ReferenceLine to(Along(y.shape(), attributes.axis).length);
    f(attributes, absl::MakeConstSpan(from), to);
    for (size_t i = 0; i < to.size(); ++i) y.values<double>()[at(y, i)] = to[i];
  }
}

}  // namespace tape

#endif  // TAPE_OPS_LINES_H_
