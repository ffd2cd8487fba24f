// That headers may be included in any order: the two other files of this
// program, made by tests/BUILD.bazel, include all of them, and compile. (A
// function hides an enum or a struct of its name: whoever declares a variable of
// that type then depends on which header came first.)
#include <gtest/gtest.h>

#include "framework/framework.h"
#include "ops/ops.h"

// How many headers each includes.
int headers_forward();
int headers_backward();

namespace tape {
namespace {

TEST(HeaderOrderTest, EachHeaderMayComeBeforeEachOther) {
  EXPECT_EQ(headers_forward(), headers_backward());
  EXPECT_GT(headers_forward(), 80);
}

TEST(HeaderOrderTest, TheEarlierNameOfTheSplitsIsUnderstood) {
  EarlyStoppingOptions options = {.split = Split::kTest};
  EXPECT_EQ(options.split, DataSplit::kTest);
  options.split = tape::Split::kValidation;
  EXPECT_EQ(options.split, DataSplit::kValidation);
}

}  // namespace
}  // namespace tape
