// What is known of a tensor before it has numbers
// (framework/core/tensor_type.h: dtypes, shapes, broadcasting, axes), and the
// numbers themselves (framework/core/tensor.h).
#include "framework/core/tensor_type.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/core/tensor.h"

namespace tape {
namespace {

std::string BroadcastText(const Shape& a, const Shape& b) {
  const absl::StatusOr<Shape> both = Broadcast(a, b);
  return both.ok() ? both->ToString() : std::string(both.status().message());
}

std::string AxisText(int axis, int rank) {
  const absl::StatusOr<int> resolved = ResolveAxis(axis, rank);
  return resolved.ok() ? std::to_string(*resolved)
                       : std::string(resolved.status().message());
}

bool IsAligned(const void* data) {
  return reinterpret_cast<uintptr_t>(data) % kAlignment == 0;
}

TEST(DTypeTest, HasTheNameAndSizeOfItsNumbers) {
  EXPECT_STREQ(Name(DType::kFloat32), "float32");
  EXPECT_STREQ(Name(DType::kInt32), "int32");
  EXPECT_STREQ(Name(DType::kUint8), "uint8");
  EXPECT_STREQ(Name(DType::kBFloat16), "bfloat16");
  EXPECT_STREQ(Name(DType::kFloat64), "float64");
  EXPECT_EQ(SizeOf(DType::kFloat32), sizeof(float));
  EXPECT_EQ(SizeOf(DType::kInt32), sizeof(int32_t));
  EXPECT_EQ(SizeOf(DType::kUint8), sizeof(uint8_t));
  EXPECT_EQ(SizeOf(DType::kBFloat16), sizeof(BFloat16));
  EXPECT_EQ(SizeOf(DType::kFloat64), sizeof(double));
}

TEST(DTypeTest, IsKnownOfEachCppType) {
  EXPECT_EQ(kDTypeOf<float>, DType::kFloat32);
  EXPECT_EQ(kDTypeOf<int32_t>, DType::kInt32);
  EXPECT_EQ(kDTypeOf<uint8_t>, DType::kUint8);
  EXPECT_EQ(kDTypeOf<BFloat16>, DType::kBFloat16);
  EXPECT_EQ(kDTypeOf<double>, DType::kFloat64);
}

TEST(DTypeTest, HoldsTheNumbersOfItsRange) {
  EXPECT_TRUE(CanHold(DType::kInt32, -2147483648.0));
  EXPECT_TRUE(CanHold(DType::kInt32, 2147483647));
  EXPECT_FALSE(CanHold(DType::kInt32, 2147483648.0));
  EXPECT_FALSE(CanHold(DType::kInt32, 0.5));
  EXPECT_FALSE(CanHold(DType::kInt32, std::nan("")));
  EXPECT_TRUE(CanHold(DType::kUint8, 255));
  EXPECT_FALSE(CanHold(DType::kUint8, 256));
  EXPECT_FALSE(CanHold(DType::kUint8, -1));
  EXPECT_TRUE(CanHold(DType::kFloat32, 0.1));  // Rounded.
  EXPECT_TRUE(CanHold(DType::kFloat32, std::nan("")));
}

TEST(ShapeTest, ListsDimensionsOutermostFirst) {
  const Shape shape = {2, 3, 5};
  EXPECT_EQ(shape.rank(), 3);
  EXPECT_EQ(shape[0], 2);
  EXPECT_EQ(shape[2], 5);
  EXPECT_EQ(shape.elements(), 30);
  EXPECT_EQ(shape.dims(), (std::vector<int64_t>{2, 3, 5}));
  EXPECT_EQ(Shape(std::vector<int64_t>{2, 3, 5}), shape);
}

TEST(ShapeTest, HasOneElementAtRankZero) {
  EXPECT_EQ(Shape().rank(), 0);
  EXPECT_EQ(Shape().elements(), 1);
  EXPECT_TRUE(Shape().is_bound());
}

TEST(ShapeTest, HasNoElementsIfADimensionIsZero) {
  EXPECT_EQ((Shape{4, 0, 3}).elements(), 0);
}

TEST(ShapeTest, DiffersFromAnotherRankOrDimension) {
  EXPECT_TRUE((Shape{2, 3}) == (Shape{2, 3}));
  EXPECT_FALSE((Shape{2, 3}) == (Shape{3, 2}));
  EXPECT_FALSE((Shape{2}) == (Shape{2, 1}));
}

TEST(ShapeTest, IsBoundWhenEveryDimensionIsANumber) {
  EXPECT_TRUE((Shape{0, 3}).is_bound());
  EXPECT_FALSE((Shape{kBatch, 3}).is_bound());
}

TEST(ShapeTest, IsValidWhenEveryDimensionIsANumberOrTheBatch) {
  EXPECT_TRUE((Shape{kBatch, 0}).is_valid());
  EXPECT_FALSE((Shape{3, -2}).is_valid());
}

TEST(ShapeTest, BindsEveryBatchDimension) {
  EXPECT_EQ((Shape{kBatch, 3, kBatch}).Bind(7), (Shape{7, 3, 7}));
  EXPECT_EQ((Shape{kBatch, 3}).Bind(0), (Shape{0, 3}));
  EXPECT_EQ((Shape{2, 3}).Bind(7), (Shape{2, 3}));
}

TEST(ShapeTest, PrintsTheBatchByName) {
  EXPECT_EQ((Shape{kBatch, 784}).ToString(), "[batch,784]");
  EXPECT_EQ(Shape().ToString(), "[]");
  EXPECT_EQ(DimText(784), "784");
  EXPECT_EQ(DimText(kBatch), "batch");
}

TEST(ShapeTest, HasNoElementsBeforeItIsBound) {
  EXPECT_EQ((Shape{kBatch, 3}).elements(), 0);
  EXPECT_EQ((Shape{3, kNoDim}).elements(), 0);
  EXPECT_EQ((TensorType{DType::kFloat32, {kBatch, 3}}).bytes(), 0u);
}

TEST(ShapeTest, CountsNoMoreElementsThanFitInAnInteger) {
  constexpr int64_t kMost = int64_t{1} << 56;
  constexpr int64_t kHuge = int64_t{1} << 62;
  EXPECT_EQ((Shape{kHuge, kHuge, kHuge}).elements(), kMost);
  EXPECT_EQ((Shape{kHuge, 4}).elements(), kMost);
  EXPECT_EQ((Shape{kHuge, kHuge, 0}).elements(), 0);
  EXPECT_EQ((TensorType{DType::kFloat64, {kHuge, 2}}).bytes(), size_t{1} << 59);
}

TEST(ShapeTest, HasNoDimensionOfAnAxisThatIsNotThere) {
  const Shape shape = {2, kBatch};
  EXPECT_EQ(shape[1], kBatch);
  for (int axis : {-2147483647 - 1, -1, 2, 3, 2147483647}) {
    EXPECT_EQ(shape[axis], kNoDim) << axis;
  }
  EXPECT_FALSE((Shape{shape[7]}).is_valid());
  EXPECT_FALSE((Shape{shape[7]}).is_bound());
  EXPECT_EQ((Shape{3, shape[7]}).ToString(), "[3,unknown]");
}

TEST(DTypeTest, ANumberThatIsNoneHasNoName) {
  const auto none = static_cast<DType>(77);
  EXPECT_STREQ(Name(none), "unknown");
  EXPECT_EQ(SizeOf(none), 0u);
  EXPECT_FALSE(IsForNodes(none));
  EXPECT_FALSE(IsForNodes(DType::kFloat64));
  EXPECT_TRUE(IsForNodes(DType::kBFloat16));
}

TEST(BroadcastTest, StretchesOnesAndMissingAxesFromTheLast) {
  EXPECT_EQ(BroadcastText({4, 3}, {4, 3}), "[4,3]");
  EXPECT_EQ(BroadcastText({4, 3}, {3}), "[4,3]");
  EXPECT_EQ(BroadcastText({3}, {4, 3}), "[4,3]");
  EXPECT_EQ(BroadcastText({4, 1}, {1, 3}), "[4,3]");
  EXPECT_EQ(BroadcastText({}, {4, 3}), "[4,3]");
  EXPECT_EQ(BroadcastText({}, {}), "[]");
  EXPECT_EQ(BroadcastText({8, 1, 6, 1}, {7, 1, 5}), "[8,7,6,5]");
}

TEST(BroadcastTest, StretchesOneToZero) {
  EXPECT_EQ(BroadcastText({1, 3}, {0, 3}), "[0,3]");
  EXPECT_EQ(BroadcastText({0}, {2}),
            "shapes [0] and [2] do not broadcast: axis -1 is 0 against 2");
}

TEST(BroadcastTest, TakesTheBatchForEqualOnlyToItself) {
  EXPECT_EQ(BroadcastText({kBatch, 3}, {kBatch, 1}), "[batch,3]");
  EXPECT_EQ(BroadcastText({kBatch, 3}, {1, 3}), "[batch,3]");
  EXPECT_EQ(BroadcastText({kBatch, 3}, {4, 3}),
            "shapes [batch,3] and [4,3] do not broadcast: "
            "axis -2 is batch against 4");
}

TEST(BroadcastTest, NamesTheFirstAxisFromTheLastThatFitsNeitherWay) {
  EXPECT_EQ(BroadcastText({5, 4, 3}, {6, 9, 3}),
            "shapes [5,4,3] and [6,9,3] do not broadcast: "
            "axis -2 is 4 against 9");
  EXPECT_EQ(BroadcastText({8}, {4, 9}),
            "shapes [8] and [4,9] do not broadcast: axis -1 is 8 against 9");
}

TEST(BroadcastTest, StretchesToExactlyAShape) {
  EXPECT_TRUE(BroadcastsTo({3}, {4, 3}));
  EXPECT_TRUE(BroadcastsTo({4, 3}, {4, 3}));
  EXPECT_TRUE(BroadcastsTo({}, {kBatch}));
  EXPECT_FALSE(BroadcastsTo({4, 3}, {3}));  // Both would be [4,3].
  EXPECT_FALSE(BroadcastsTo({4, 3}, {1, 3}));
  EXPECT_FALSE(BroadcastsTo({2}, {3}));
}

TEST(ResolveAxisTest, CountsFromTheEndIfNegative) {
  EXPECT_EQ(AxisText(0, 3), "0");
  EXPECT_EQ(AxisText(2, 3), "2");
  EXPECT_EQ(AxisText(-1, 3), "2");
  EXPECT_EQ(AxisText(-3, 3), "0");
}

TEST(ResolveAxisTest, NamesTheAxisAndTheRank) {
  EXPECT_EQ(AxisText(3, 3), "axis 3 does not exist in a tensor of rank 3");
  EXPECT_EQ(AxisText(-4, 3), "axis -4 does not exist in a tensor of rank 3");
  EXPECT_EQ(AxisText(0, 0), "axis 0 does not exist in a tensor of rank 0");
}

TEST(TensorTypeTest, CountsTheBytesOfTheWholeTensor) {
  EXPECT_EQ((TensorType{DType::kFloat32, {4, 3}}).bytes(), 48u);
  EXPECT_EQ((TensorType{DType::kUint8, {4, 3}}).bytes(), 12u);
  EXPECT_EQ((TensorType{DType::kFloat64, {}}).bytes(), 8u);
}

TEST(TensorTypeTest, PrintsEveryDTypeButFloat32) {
  EXPECT_EQ((TensorType{DType::kFloat32, {4, 8}}).ToString(), "[4,8]");
  EXPECT_EQ((TensorType{DType::kInt32, {4}}).ToString(), "int32[4]");
  EXPECT_EQ((TensorType{DType::kUint8, {}}).ToString(), "uint8[]");
}

TEST(TensorTypeTest, DiffersInShapeOrDType) {
  const TensorType type = {DType::kInt32, {4}};
  EXPECT_TRUE(type == (TensorType{DType::kInt32, {4}}));
  EXPECT_FALSE(type == (TensorType{DType::kFloat32, {4}}));
  EXPECT_FALSE(type == (TensorType{DType::kInt32, {5}}));
}

TEST(TensorTest, StartsAllZeroAndAligned) {
  for (int64_t elements : {0, 1, 15, 16, 17, 1000}) {
    const Tensor tensor(TensorType{DType::kFloat32, {elements}});
    ASSERT_NE(tensor.data(), nullptr);
    EXPECT_TRUE(IsAligned(tensor.data())) << elements;
    EXPECT_EQ(tensor.elements(), elements);
    for (float x : tensor.values<float>()) EXPECT_EQ(x, 0);
  }
}

TEST(TensorTest, IsAFloat32OfRankZeroByDefault) {
  EXPECT_EQ(Tensor().type().ToString(), "[]");
  EXPECT_EQ(Tensor().values<float>()[0], 0);
}

TEST(TensorTest, HoldsGivenValuesInRowMajorOrder) {
  const Tensor tensor({2, 3}, std::vector<int32_t>{1, 2, 3, 4, 5, 6});
  EXPECT_EQ(tensor.dtype(), DType::kInt32);
  EXPECT_EQ(tensor.shape(), (Shape{2, 3}));
  EXPECT_EQ(tensor.values<int32_t>()[3], 4);  // Row 1, column 0.
}

TEST(TensorTest, CopiesItsNumbers) {
  Tensor original({2}, std::vector<float>{1, 2});
  const Tensor copy = original;
  Tensor assigned;
  assigned = original;
  original.values<float>()[0] = 9;
  EXPECT_EQ(copy.values<float>()[0], 1);
  EXPECT_EQ(copy.values<float>()[1], 2);
  EXPECT_EQ(assigned.values<float>()[0], 1);
  EXPECT_EQ(assigned.shape(), (Shape{2}));
}

TEST(TensorTest, MovesWithoutCopying) {
  Tensor original({2}, std::vector<float>{1, 2});
  const void* const data = original.data();
  const Tensor moved = std::move(original);
  EXPECT_EQ(moved.data(), data);
  EXPECT_EQ(moved.values<float>()[1], 2);
}

TEST(TensorViewTest, BorrowsATensor) {
  Tensor tensor({2}, std::vector<uint8_t>{1, 2});
  const TensorView view = tensor;
  tensor.values<uint8_t>()[1] = 7;
  EXPECT_EQ(view.data(), tensor.data());
  EXPECT_EQ(view.type(), tensor.type());
  EXPECT_EQ(view.values<uint8_t>()[1], 7);
}

TEST(TensorViewTest, BorrowsMemoryOfAnyOwner) {
  const std::vector<float> owner = {1, 2, 3, 4};
  const TensorView view({DType::kFloat32, {2, 2}}, owner.data());
  EXPECT_EQ(view.dtype(), DType::kFloat32);
  EXPECT_EQ(view.shape(), (Shape{2, 2}));
  EXPECT_EQ(view.values<float>()[3], 4);
}

TEST(AlignmentTest, RoundsUpToWholeCacheLines) {
  EXPECT_EQ(RoundUpToAlignment(0), 0u);
  EXPECT_EQ(RoundUpToAlignment(1), 64u);
  EXPECT_EQ(RoundUpToAlignment(64), 64u);
  EXPECT_EQ(RoundUpToAlignment(65), 128u);
}

}  // namespace
}  // namespace tape
