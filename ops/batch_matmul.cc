// Products of many matrices at a time, and of vectors (ops.h). Tested by
// tests/ops/op_test.cc through the sample table.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/reference.h"
#include "ops/onednn.h"
#include "ops/op_lists.h"
#include "ops/ops.h"
#include "ops/rules.h"

namespace tape {
namespace {

// The axes before the last `count`.
Shape Leading(const Shape& shape, int count) {
  return Shape(shape.dims().subspan(0, shape.rank() - count));
}

// Those axes, and others after them.
Shape Joined(const Shape& leading, std::initializer_list<int64_t> last) {
  absl::InlinedVector<int64_t, 4> dims(leading.dims().begin(),
                                       leading.dims().end());
  dims.insert(dims.end(), last);
  return Shape(dims);
}

// Counted from the end.
int64_t FromEnd(const Shape& shape, int axis) {
  return shape[shape.rank() - axis];
}

// An error unless both are float32, or both bfloat16.
absl::Status ExpectFactors(absl::Span<const TensorType> x) {
  if (onednn::IsBFloat16(x)) return absl::OkStatus();
  for (const TensorType& type : x) {
    if (absl::Status status = ExpectFloat32(type); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status DimensionsDiffer(int64_t a, int64_t b) {
  return absl::InvalidArgumentError(absl::StrCat(
      "inner dimensions ", DimText(a), " and ", DimText(b), " differ"));
}

// Rows and columns of the matrices, as the product sees them.
struct Matrices {
  Matrices(const Shape& shape, bool transposed)
      : rows(FromEnd(shape, transposed ? 1 : 2)),
        columns(FromEnd(shape, transposed ? 2 : 1)),
        leading(Leading(shape, 2)) {}
  int64_t rows;
  int64_t columns;
  Shape leading;
};

// For each matrix of `leading`, in order, f(the place of its left factor, of
// its right one).
template <typename F>
void ForEachMatrix(const Shape& leading, const Matrices& a, const Matrices& b,
                   F f) {
  ForEachBroadcast(
      leading, {a.leading, b.leading},
      [&](int64_t, absl::Span<const int64_t> at) { f(at[0], at[1]); });
}

// y = the sum over `inner` of a's element (i, k) times b's (k, j).
void Multiply(const double* a, int64_t a_row, int64_t a_column, const double* b,
              int64_t b_row, int64_t b_column, double* y, int64_t rows,
              int64_t inner, int64_t columns) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j, ++y) {
      for (int64_t k = 0; k < inner; ++k) {
        *y += a[i * a_row + k * a_column] * b[k * b_row + j * b_column];
      }
    }
  }
}

onednn::Cut CutOf(const KernelSpec& spec) {
  return spec.single_threaded ? onednn::Cut::kNone : onednn::Cut::kIntoBands;
}

Var MatMulOfRows(Var lhs, Var rhs);

}  // namespace

// ---- BatchMatMul: y = a b, matrix by matrix; da = gy b^T, db = a^T gy ----
constinit const OpDef kBatchMatMul = {
    .name = "BatchMatMul",
    .operands = {"lhs", "rhs"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = ExpectFactors(x); !status.ok()) return status;
      if (x[0].shape.rank() < 2 || x[1].shape.rank() < 2) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected matrices, or batches of them, found ",
            x[0].shape.ToString(), " and ", x[1].shape.ToString()));
      }
      const Matrices a(x[0].shape, attributes.transpose_lhs);
      const Matrices b(x[1].shape, attributes.transpose_rhs);
      if (a.columns != b.rows) return DimensionsDiffer(a.columns, b.rows);
      const absl::StatusOr<Shape> leading = Broadcast(a.leading, b.leading);
      if (!leading.ok()) return leading.status();
      return TensorType{DType::kFloat32, Joined(*leading, {a.rows, b.columns})};
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      const bool at = attributes.transpose_lhs, bt = attributes.transpose_rhs;
      const Var a = Cast(x[0], DType::kFloat32);
      const Var b = Cast(x[1], DType::kFloat32);
      Adjoints adjoints = {at ? MatMul(b, gy, {.lhs = bt, .rhs = true})
                              : MatMul(gy, b, {.rhs = !bt})};
      if (b.shape().rank() == 2 && !at) {
        // Of one matrix for all rows, summed without a product of each.
        adjoints.push_back(bt ? MatMulOfRows(gy, a) : MatMulOfRows(a, gy));
      } else {
        adjoints.push_back(bt ? MatMul(gy, a, {.lhs = true, .rhs = at})
                              : MatMul(a, gy, {.lhs = !at}));
      }
      return adjoints;
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          const bool at = attributes.transpose_lhs;
          const bool bt = attributes.transpose_rhs;
          const Matrices a(x[0].shape(), at), b(x[1].shape(), bt);
          double* to = y.values<double>().data();
          ForEachMatrix(
              Leading(y.shape(), 2), a, b, [&](int64_t lhs, int64_t rhs) {
                Multiply(
                    x[0].values<double>().data() + lhs * a.rows * a.columns,
                    at ? 1 : a.columns, at ? a.rows : 1,
                    x[1].values<double>().data() + rhs * b.rows * b.columns,
                    bt ? 1 : b.columns, bt ? b.rows : 1, to, a.rows, a.columns,
                    b.columns);
                to += a.rows * b.columns;
              });
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const bool at = spec.attributes.transpose_lhs;
      const bool bt = spec.attributes.transpose_rhs;
      const Matrices a(spec.inputs[0].shape, at), b(spec.inputs[1].shape, bt);
      const Shape leading = Leading(spec.output.shape, 2);
      onednn::MatMulShape shape = {
          .m = a.rows,
          .k = a.columns,
          .n = b.columns,
          .transpose_a = at,
          .transpose_b = bt,
          .in_bfloat16 = onednn::IsBFloat16(spec.inputs)};
      if (b.leading.elements() == 1 && !at) {
        // One matrix for all rows: one product.
        shape.m *= leading.elements();
        return onednn::MakeMatMulKernel(shape, {}, CutOf(spec));
      }
      std::vector<onednn::Factors> factors;
      ForEachMatrix(leading, a, b, [&](int64_t lhs, int64_t rhs) {
        factors.push_back({lhs, rhs});
      });
      return onednn::MakeBatchMatMulKernel(shape, std::move(factors));
    },
    .rows =
        [](const RowQuery& query) {
          const Shape& y = query.output.shape;
          for (int i : {0, 1}) {
            const Shape& x = query.inputs[i].shape;
            // Rows are whole matrices; what is not in rows is for all of them.
            const bool of_rows = x.rank() == y.rank() && x[0] == y[0];
            const bool of_all = x.rank() < y.rank() || x[0] == 1;
            if (!(query.in_rows[i] ? of_rows : of_all)) return RowRole::kMixed;
          }
          return RowRole::kApart;
        },
    .simplify = SimplifyTransposed,
    .machine = onednn::CanMultiply,
    .traits = {.low_precision = {.inputs = 2, .cast = &kCast}},
};

namespace {

// ---- MatMulOfRows: y = a^T b, of all axes but the last as rows ----
// The gradient of BatchMatMul by one matrix for all rows; da = b gy^T,
// db = a gy.
constexpr OpDef kMatMulOfRows = {
    .name = "MatMulOfRows",
    .operands = {"lhs", "rhs"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes&) -> absl::StatusOr<TensorType> {
      if (absl::Status status = ExpectFactors(x); !status.ok()) return status;
      if (x[0].shape.rank() == 0 || x[1].shape.rank() == 0 ||
          !(Leading(x[0].shape, 1) == Leading(x[1].shape, 1))) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected two of as many rows, found ", x[0].shape.ToString(),
            " and ", x[1].shape.ToString()));
      }
      return TensorType{DType::kFloat32,
                        {FromEnd(x[0].shape, 1), FromEnd(x[1].shape, 1)}};
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      return {MatMul(Cast(x[1], DType::kFloat32), gy, {.rhs = true}),
              MatMul(Cast(x[0], DType::kFloat32), gy)};
    },
    .reference =
        [](const Attributes&, absl::Span<const Tensor> x, Tensor& y) {
          const int64_t m = y.shape()[0], n = y.shape()[1];
          Multiply(x[0].values<double>().data(), 1, m,
                   x[1].values<double>().data(), n, 1,
                   y.values<double>().data(), m,
                   Leading(x[0].shape(), 1).elements(), n);
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      return onednn::MakeMatMulKernel(
          {.m = spec.output.shape[0],
           .k = Leading(spec.inputs[0].shape, 1).elements(),
           .n = spec.output.shape[1],
           .transpose_a = true,
           .transpose_b = false,
           .in_bfloat16 = onednn::IsBFloat16(spec.inputs)},
          {}, CutOf(spec));
    },
    .rows =
        [](const RowQuery& query) {
          return query.in_rows[0] && query.in_rows[1] ? RowRole::kSummed
                                                      : RowRole::kMixed;
        },
    .machine = onednn::CanMultiply,
    .traits = {.low_precision = {.inputs = 2, .cast = &kCast}},
};

Var MatMulOfRows(Var lhs, Var rhs) {
  return Append(kMatMulOfRows, {lhs, rhs}, {}, Loc::Current());
}

// ---- What is composed ----

constexpr Composite kMatVec = {
    .name = "MatVec",
    .operands = {"matrix", "vector"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes&) -> absl::StatusOr<TensorType> {
      const Shape &a = x[0].shape, &b = x[1].shape;
      if (absl::Status status = ExpectFloat32(x[0]); !status.ok()) {
        return status;
      }
      if (absl::Status status = ExpectFloat32(x[1]); !status.ok()) {
        return status;
      }
      if (a.rank() < 2 || b.rank() < 1) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected a matrix and a vector, found ", a.ToString(),
                         " and ", b.ToString()));
      }
      if (FromEnd(a, 1) != FromEnd(b, 1)) {
        return DimensionsDiffer(FromEnd(a, 1), FromEnd(b, 1));
      }
      const auto leading = Broadcast(Leading(a, 2), Leading(b, 1));
      if (!leading.ok()) return leading.status();
      return TensorType{DType::kFloat32, Joined(*leading, {FromEnd(a, 2)})};
    }};

// Two vectors each; of one length if it is a Dot.
template <bool dot>
absl::StatusOr<TensorType> VectorsRule(absl::Span<const TensorType> x,
                                       const Attributes&) {
  for (const TensorType& type : x) {
    if (absl::Status status = ExpectFloat32(type); !status.ok()) return status;
  }
  const Shape &a = x[0].shape, &b = x[1].shape;
  if (a.rank() < 1 || b.rank() < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected two vectors, found ", a.ToString(), " and ", b.ToString()));
  }
  if (dot && FromEnd(a, 1) != FromEnd(b, 1)) {
    return DimensionsDiffer(FromEnd(a, 1), FromEnd(b, 1));
  }
  const auto leading = Broadcast(Leading(a, 1), Leading(b, 1));
  if (!leading.ok()) return leading.status();
  return TensorType{
      DType::kFloat32,
      dot ? *leading : Joined(*leading, {FromEnd(a, 1), FromEnd(b, 1)})};
}
constexpr Composite kDot = {
    .name = "Dot", .operands = {"a", "b"}, .shape = VectorsRule<true>};
constexpr Composite kOuter = {
    .name = "Outer", .operands = {"a", "b"}, .shape = VectorsRule<false>};

}  // namespace

Var MatVec(Var matrix, Var vector, Loc loc) {
  const CompositeScope product(kMatVec, {matrix, vector}, loc);
  if (!product.ok()) return product.mistake();
  return Squeeze(MatMul(matrix, ExpandDims(vector, -1)), {-1});
}

Var Dot(Var a, Var b, Loc loc) {
  const CompositeScope product(kDot, {a, b}, loc);
  if (!product.ok()) return product.mistake();
  return Sum(a * b, {-1});
}

Var Outer(Var a, Var b, Loc loc) {
  const CompositeScope product(kOuter, {a, b}, loc);
  if (!product.ok()) return product.mistake();
  return ExpandDims(a, -1) * ExpandDims(b, -2);
}

absl::Span<const OpDef* const> OpsOfBatchMatmul() {
  static constexpr const OpDef* kOps[] = {&kBatchMatMul, &kMatMulOfRows};
  return kOps;
}

}  // namespace tape
