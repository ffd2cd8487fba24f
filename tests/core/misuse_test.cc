// What is given, and said, where a mistake has no Status and no graph
// (framework/core/misuse.h): tensors and views that are read as what they are
// not, and values that are not there.
#include "framework/core/misuse.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

using Floats = std::vector<float>;

Loc At(int line) { return Loc{"net.cc", line}; }

// What `f` writes to stderr.
std::string Written(const std::function<void()>& f) {
  testing::internal::CaptureStderr();
  f();
  return testing::internal::GetCapturedStderr();
}

TEST(MisuseTest, IsOneLineWithTheUsersFileAndLine) {
  EXPECT_EQ(Written([] { internal::ReportMisuse(At(3), "a\nb\x1b[2J"); }),
            "net.cc:3: a\\nb\\x1b[2J\n");
}

// T of `tensor`, at line 5.
template <typename T>
void ExpectNoNumbers(const Tensor& tensor, const std::string& as) {
  const TensorView view = tensor;
  absl::Span<const T> values;
  const std::string expected =
      absl::StrCat("net.cc:5: values: the tensor is ", Name(tensor.dtype()),
                   tensor.shape().ToString(), ", and read as ", as, "\n");
  EXPECT_EQ(Written([&] { values = tensor.values<T>(At(5)); }), expected);
  ASSERT_EQ(values.size(), static_cast<size_t>(tensor.elements()));
  EXPECT_EQ(Written([&] { values = view.values<T>(At(5)); }), expected);
  ASSERT_EQ(values.size(), static_cast<size_t>(tensor.elements()));
  for (const T value : values) {
    if constexpr (std::is_same_v<T, int32_t>) {
      EXPECT_EQ(value, -1);
    } else if constexpr (std::is_same_v<T, uint8_t>) {
      EXPECT_EQ(value, 255);
    } else {
      EXPECT_TRUE(std::isnan(static_cast<double>(value)));
    }
  }
}

TEST(MisuseTest, ReadsNoNumbersAsAnotherDType) {
  const Tensor floats({2, 3}, Floats{1, 2, 3, 4, 5, 6});
  ExpectNoNumbers<int32_t>(floats, "int32");
  ExpectNoNumbers<uint8_t>(floats, "uint8");
  ExpectNoNumbers<BFloat16>(floats, "bfloat16");
  ExpectNoNumbers<double>(floats, "float64");
  const Tensor bytes({5}, std::vector<uint8_t>{1, 2, 3, 4, 5});
  ExpectNoNumbers<float>(bytes, "float32");  // Of four times the bytes.
  ExpectNoNumbers<double>(bytes, "float64");
  EXPECT_EQ(floats.values<float>()[5], 6);
}

TEST(MisuseTest, WritesNoNumbersOfAnotherDType) {
  Tensor floats({2}, Floats{1, 2});
  Written([&] {
    for (int32_t& value : floats.values<int32_t>()) value = 7;
  });
  EXPECT_EQ(floats.values<float>(), (Floats{1, 2}));
  // What was written is not what the next one reads.
  absl::Span<const int32_t> values;
  Written([&] { values = std::as_const(floats).values<int32_t>(); });
  EXPECT_EQ(values[0], -1);
}

TEST(MisuseTest, NoNumbersStayWhereTheyAre) {
  auto* const small = static_cast<const uint8_t*>(internal::NoNumbers(10));
  auto* const large =
      static_cast<const uint8_t*>(internal::NoNumbers(10000000));
  EXPECT_EQ(small[9], 255);
  EXPECT_EQ(large[9999999], 255);
  EXPECT_EQ(internal::NoNumbers(size_t{1} << 60), nullptr);
}

TEST(MisuseTest, ATensorOfAnotherNumberOfValuesIsEmpty) {
  for (size_t count : {0, 2, 100}) {
    Tensor tensor;
    EXPECT_EQ(Written([&] { tensor = Tensor({3}, Floats(count, 1), At(4)); }),
              absl::StrCat("net.cc:4: Tensor: expected 3 values, for the type "
                           "[3], found ",
                           count, "\n"));
    EXPECT_EQ(tensor.shape(), (Shape{0}));
    EXPECT_TRUE(tensor.values<float>().empty());
  }
}

TEST(MisuseTest, ATensorHasABoundShapeOfAtMostSoManyElements) {
  const std::string start =
      "net.cc:4: Tensor: expected a shape of numbers, of at most 2^40 "
      "elements, found ";
  const int64_t huge = int64_t{1} << 40;
  for (const auto& [shape, text] : std::vector<std::pair<Shape, std::string>>{
           {{kBatch, 2}, "[batch,2]"},
           {{-7}, "[-7]"},
           {{2, kNoDim}, "[2,unknown]"},
           {{huge, huge, huge},
            absl::StrCat("[", huge, ",", huge, ",", huge, "]")}}) {
    Tensor tensor;
    const TensorType type = {DType::kFloat32, shape};
    EXPECT_EQ(Written([&] { tensor = Tensor(type, At(4)); }),
              start + text + "\n");
    EXPECT_EQ(tensor.shape(), (Shape{0}));
  }
}

TEST(MisuseTest, ATensorThatWasMovedFromIsEmpty) {
  Tensor tensor({2}, Floats{1, 2}), second;
  const Tensor moved = std::move(tensor);
  EXPECT_EQ(moved.values<float>(), (Floats{1, 2}));
  EXPECT_EQ(tensor.shape(), (Shape{0}));  // NOLINT: that is what is tested.
  EXPECT_TRUE(tensor.values<float>().empty());
  tensor = moved;
  second = std::move(tensor);
  EXPECT_EQ(tensor.elements(), 0);  // NOLINT
  EXPECT_EQ(Tensor(tensor).elements(), 0);
  EXPECT_EQ(second.values<float>(), (Floats{1, 2}));
}

TEST(MisuseTest, AViewWithoutMemoryHasNoNumbers) {
  const TensorView view({DType::kFloat32, {2}}, nullptr);
  EXPECT_EQ(Written([&] {
              const auto values = view.values<float>(At(4));
              ASSERT_EQ(values.size(), 2u);
              EXPECT_TRUE(std::isnan(values[1]));
            }),
            "net.cc:4: values: a view of type [2] has no memory\n");
  EXPECT_EQ(Written([] {
              const TensorView none({DType::kFloat32, {0}}, nullptr);
              EXPECT_TRUE(none.values<float>().empty());
            }),
            "");
}

TEST(MisuseTest, AGraphHasNoValueOfWhatIsNoVariable) {
  Graph graph, other;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(1));
  const Var foreign = other.Parameter("w", {2}, Zeros());
  const std::string start = "net.cc:6: Value: expected a variable, found ";
  for (const auto& wrong : std::vector<std::pair<Var, std::string>>{
           {x, "[2] is input \"x\", net.cc:1"},
           {foreign, "a Var of another graph"},
           {Var(), "an empty Var"},
           {Var(&graph, 7), "an invalid Var"}}) {
    const Var var = wrong.first;
    const std::string& text = wrong.second;
    EXPECT_EQ(
        Written([&] {
          EXPECT_TRUE(std::isnan(graph.Value(var, At(6)).values<float>()[0]));
        }),
        start + text + "\n");
    EXPECT_EQ(
        graph.SetValue(var, Tensor(), At(6)).message(),
        absl::StrCat("net.cc:6: SetValue: expected a variable, found ", text));
  }
}

TEST(MisuseTest, SetValueTakesNoViewWithoutMemory) {
  Graph graph;
  const Var w = graph.Parameter("w", {2}, Zeros());
  EXPECT_EQ(
      graph.SetValue(w, TensorView({DType::kFloat32, {2}}, nullptr), At(6))
          .message(),
      "net.cc:6: SetValue: the value given for \"w\" has no memory");
}

TEST(MisuseTest, DoesNotFloodALog) {
  // In a process of its own, since lines are counted for a whole process.
  EXPECT_EXIT(
      {
        const Tensor tensor({1}, Floats{1});
        for (int i = 0; i < 100000; ++i) (void)tensor.values<int32_t>(At(i));
        std::exit(0);
      },
      testing::ExitedWithCode(0), "no more of these are written");
}

}  // namespace
}  // namespace tape
