// Matrix products (ops.h), on oneDNN (onednn.h). Tested by tests/ops/op_test.cc
// through the sample table.
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/onednn.h"
#include "ops/op_lists.h"
#include "ops/ops.h"
#include "ops/rules.h"
#include "ops/tile_product.h"

namespace tape {

// The product of a matrix that is a transpose reads it as it lies.
Simplification SimplifyTransposed(const SimplifyQuery& query) {
  for (int i : {0, 1}) {
    const auto& input = query.inputs[i];
    if (input.op != &kTranspose) continue;
    // Of the last two axes, and no others?
    const auto& axes = input.attributes.axes;
    const int rank = static_cast<int>(axes.size());
    bool last_two = rank >= 2;
    for (int axis = 0; axis < rank; ++axis) {
      const int other = axis < rank - 2 ? axis : 2 * rank - 3 - axis;
      last_two = last_two && axes[axis] == other;
    }
    if (!last_two) continue;
    Simplification simpler = {Simplification::kWithoutInput, i,
                              query.attributes};
    bool& flag = i == 0 ? simpler.attributes->transpose_lhs
                        : simpler.attributes->transpose_rhs;
    flag = !flag;
    return simpler;
  }
  return {};
}

namespace {

// Rows and columns of an operand as the product sees it.
struct Matrix {
  int64_t rows;
  int64_t columns;
};

Matrix Seen(const TensorType& type, bool transposed) {
  const Shape& shape = type.shape;
  return transposed ? Matrix{shape[1], shape[0]} : Matrix{shape[0], shape[1]};
}

// Of two matrices of numbers that can be multiplied.
absl::StatusOr<TensorType> TypeOfMatrices(absl::Span<const TensorType> x,
                                          const Attributes& attributes) {
  if (x[0].shape.rank() != 2 || x[1].shape.rank() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected two matrices, found ", x[0].shape.ToString(),
                     " and ", x[1].shape.ToString()));
  }
  const Matrix a = Seen(x[0], attributes.transpose_lhs);
  const Matrix b = Seen(x[1], attributes.transpose_rhs);
  if (a.columns != b.rows) {
    return absl::InvalidArgumentError(absl::StrCat("inner dimensions ",
                                                   DimText(a.columns), " and ",
                                                   DimText(b.rows), " differ"));
  }
  return TensorType{DType::kFloat32, {a.rows, b.columns}};
}

absl::StatusOr<TensorType> ProductType(absl::Span<const TensorType> x,
                                       const Attributes& attributes) {
  for (const TensorType& type : x.subspan(onednn::IsBFloat16(x) ? 2 : 0)) {
    if (absl::Status status = ExpectFloat32(type); !status.ok()) return status;
  }
  return TypeOfMatrices(x, attributes);
}

// The same with an addend.
template <ShapeRule product>
absl::StatusOr<TensorType> SumType(absl::Span<const TensorType> x,
                                   const Attributes& attributes) {
  absl::StatusOr<TensorType> type = product(x, attributes);
  if (type.ok() && !(*type == x[2])) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected an addend of the product's shape ", type->shape.ToString(),
        ", found ", x[2].shape.ToString()));
  }
  return type;
}

// a^T gy and gy b^T, with what is transposed already taken into account.
Adjoints ProductAdjoints(Var a, Var b, Var gy, const Attributes& attributes) {
  const bool at = attributes.transpose_lhs, bt = attributes.transpose_rhs;
  a = Cast(a, DType::kFloat32);
  b = Cast(b, DType::kFloat32);
  return {at ? MatMul(b, gy, {.lhs = bt, .rhs = true})
             : MatMul(gy, b, {.lhs = false, .rhs = !bt}),
          bt ? MatMul(gy, a, {.lhs = true, .rhs = at})
             : MatMul(a, gy, {.lhs = !at, .rhs = false})};
}

// y = a b, where y arrives zeroed.
void ProductReference(const Attributes& attributes, absl::Span<const Tensor> x,
                      Tensor& y) {
  // Element (row, column) of an operand, as the product sees it.
  const auto reader = [](const Tensor& matrix, bool transposed) {
    const int64_t width = matrix.shape()[1];
    return [data = matrix.values<double>().data(),
            row_step = transposed ? 1 : width,
            column_step = transposed ? width : 1](int64_t row, int64_t column) {
      return data[row * row_step + column * column_step];
    };
  };
  const auto a = reader(x[0], attributes.transpose_lhs);
  const auto b = reader(x[1], attributes.transpose_rhs);
  const int64_t rows = y.shape()[0], columns = y.shape()[1];
  const int64_t inner = Seen(x[0].type(), attributes.transpose_lhs).columns;
  double* element = y.values<double>().data();
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j, ++element) {
      for (int64_t k = 0; k < inner; ++k) *element += a(i, k) * b(k, j);
    }
  }
}

onednn::MatMulShape ShapeOf(absl::Span<const TensorType> x,
                            const Attributes& attributes) {
  const Matrix a = Seen(x[0], attributes.transpose_lhs);
  const Matrix b = Seen(x[1], attributes.transpose_rhs);
  return {.m = a.rows,
          .k = a.columns,
          .n = b.columns,
          .transpose_a = attributes.transpose_lhs,
          .transpose_b = attributes.transpose_rhs,
          .in_bfloat16 = onednn::IsBFloat16(x),
          .bytes = x[0].dtype == DType::kUint8,
          .byte_scale = static_cast<float>(attributes.value)};
}

std::unique_ptr<Kernel> MakeProductKernel(const KernelSpec& spec,
                                          onednn::Scales scales) {
  return onednn::MakeMatMulKernel(ShapeOf(spec.inputs, spec.attributes), scales,
                                  spec.single_threaded ? onednn::Cut::kNone
                                  : spec.into_scratch
                                      ? onednn::Cut::kIntoScratch
                                      : onednn::Cut::kIntoBands);
}

// y = alpha y + beta x[2]
void AddReference(const Attributes& attributes, absl::Span<const Tensor> x,
                  Tensor& y) {
  for (int64_t i = 0; i < y.elements(); ++i) {
    double& element = y.values<double>()[i];
    element *= attributes.alpha;
    if (attributes.beta != 0) {
      element += attributes.beta * x[2].values<double>()[i];
    }
  }
}

std::unique_ptr<Kernel> MakeSumKernel(const KernelSpec& spec) {
  return MakeProductKernel(
      spec, {.product = spec.attributes.alpha, .addend = spec.attributes.beta});
}

bool ByRegions(const Attributes& attributes, absl::Span<const TensorType> x,
               const TensorType&) {
  return !onednn::IsCutByTerms(ShapeOf(x, attributes));
}

RowRole RolesOfProduct(const RowQuery& query) {
  const bool lhs = query.in_rows[0], rhs = query.in_rows[1];
  if (!query.attributes.transpose_lhs) {
    return lhs && !rhs ? RowRole::kApart : RowRole::kMixed;
  }
  return lhs && rhs && !query.attributes.transpose_rhs ? RowRole::kSummed
                                                       : RowRole::kMixed;
}

// ---- MatMulOfBytes, MatMulAddOfBytes: the same of a = value x, x uint8, in programs
// alone (compiler/read_bytes.cc), where gradients have been made ----

absl::StatusOr<TensorType> ProductOfBytesType(absl::Span<const TensorType> x,
                                              const Attributes& attributes) {
  if (x[0].dtype != DType::kUint8) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected uint8, found ", x[0].ToString()));
  }
  for (const TensorType& type : x.subspan(1)) {
    if (absl::Status status = ExpectFloat32(type); !status.ok()) return status;
  }
  return TypeOfMatrices(x, attributes);
}

void ProductOfBytesReference(const Attributes& attributes,
                             absl::Span<const Tensor> x, Tensor& y) {
  ProductReference(attributes, x, y);
  for (double& element : y.values<double>()) element *= attributes.value;
}

constexpr OpDef kMatMulAddOfBytes = {
    .name = "MatMulAddOfBytes",
    .operands = {"lhs", "rhs", "addend"},
    .shape = SumType<ProductOfBytesType>,
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          ProductOfBytesReference(attributes, x, y);
          AddReference(attributes, x, y);
        },
    .kernel = MakeSumKernel,
    .traits = {.in_place = 2},
};

constexpr OpDef kMatMulOfBytes = {
    .name = "MatMulOfBytes",
    .operands = {"lhs", "rhs"},
    .shape = ProductOfBytesType,
    .reference = ProductOfBytesReference,
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      return MakeProductKernel(spec, {});
    },
    .rows = RolesOfProduct,
    .by_regions = ByRegions,
    .traits = {.regions = true, .fused_add = &kMatMulAddOfBytes},
};

// oneDNN's products would need all of the bytes as floats for each of their bands.
bool IsMadeByTiles(absl::Span<const TensorType> x,
                   const Attributes& attributes) {
  return TileProduct::Suits(ShapeOf(x, attributes));
}

constexpr OfBytes kProductOfBytes = {&kMatMulOfBytes, IsMadeByTiles};
constexpr OfBytes kSumOfBytes = {&kMatMulAddOfBytes, IsMadeByTiles};

// ---- MatMulAdd: y = alpha a b + beta c; da, db as MatMul's times alpha, ----
// dc = beta gy
constexpr OpDef kMatMulAdd = {
    .name = "MatMulAdd",
    .operands = {"lhs", "rhs", "addend"},
    .shape = SumType<ProductType>,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      Adjoints adjoints =
          ProductAdjoints(x[0], x[1], attributes.alpha * gy, attributes);
      adjoints.push_back(attributes.beta * gy);
      return adjoints;
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          ProductReference(attributes, x, y);
          AddReference(attributes, x, y);
        },
    .kernel = MakeSumKernel,
    .simplify = SimplifyTransposed,
    .machine = onednn::CanMultiply,
    .traits = {.in_place = 2,
               .low_precision = {.inputs = 2, .cast = &kCast},
               .of_bytes = &kSumOfBytes},
};

// ---- MatMul: y = a b; da = gy b^T, db = a^T gy ----
constexpr OpDef kMatMul = {
    .name = "MatMul",
    .operands = {"lhs", "rhs"},
    .shape = ProductType,
    .gradient =
        [](absl::Span<const Var> x, Var, Var gy, const Attributes& attributes) {
          return ProductAdjoints(x[0], x[1], gy, attributes);
        },
    .reference = ProductReference,
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      return MakeProductKernel(spec, {});
    },
    .rows = RolesOfProduct,
    .simplify = SimplifyTransposed,
    .machine = onednn::CanMultiply,
    .by_regions = ByRegions,
    .traits = {.regions = true,
               .fused_add = &kMatMulAdd,
               .low_precision = {.inputs = 2, .cast = &kCast},
               .of_bytes = &kProductOfBytes},
};

}  // namespace

Var MatMul(Var lhs, Var rhs, Transposes transposes, Loc loc) {
  const auto is_batch = [](Var x) { return x.valid() && x.shape().rank() > 2; };
  return Append(
      is_batch(lhs) || is_batch(rhs) ? kBatchMatMul : kMatMul, {lhs, rhs},
      {.transpose_lhs = transposes.lhs, .transpose_rhs = transposes.rhs}, loc);
}

Var MatMulAdd(Var lhs, Var rhs, Var addend, MatMulAddOptions options, Loc loc) {
  return Append(kMatMulAdd, {lhs, rhs, addend},
                {.alpha = options.alpha,
                 .beta = options.beta,
                 .transpose_lhs = options.transposes.lhs,
                 .transpose_rhs = options.transposes.rhs},
                loc);
}

absl::Span<const OpDef* const> OpsOfMatmul() {
  static constexpr const OpDef* kOps[] = {&kMatMulAddOfBytes, &kMatMulOfBytes,
                                          &kMatMulAdd, &kMatMul};
  return kOps;
}

}  // namespace tape
