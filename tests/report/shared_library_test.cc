// Shared libraries opened when they are first needed
// (framework/report/shared_library.h).
#include "framework/report/shared_library.h"

#include <sys/resource.h>

#include <cstdint>
#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/models/program_testing.h"

namespace tape {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(SharedLibraryTest, FindsFunctionsByNameAndType) {
  struct Library {
    SharedLibrary library{"libz.so.1", "zlib1g"};
    const char* (*version)() = library.Find<const char* (*)()>("zlibVersion");
  } zlib;
  ASSERT_TRUE(zlib.library.status().ok()) << zlib.library.status();
  EXPECT_EQ(zlib.version()[0], '1');
}

TEST(SharedLibraryTest, FindsWhatTheLibraryItselfNeeds) {
  SharedLibrary library("libpng16.so.16", "libpng16-16");
  EXPECT_NE(library.Find<void (*)()>("deflate"), nullptr);  // zlib's.
  EXPECT_TRUE(library.status().ok()) << library.status();
}

TEST(SharedLibraryTest, OpensNothingWithoutTheMemoryForIt) {
  constexpr uint64_t kMuch = uint64_t{1} << 62;
  EXPECT_TRUE(SharedLibrary("libz.so.1", "zlib1g", kMuch).status().ok());
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  rlimit limit = before;
  limit.rlim_cur = kMuch;
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  SharedLibrary library("libz.so.1", "zlib1g", kMuch);
  setrlimit(RLIMIT_AS, &before);
  EXPECT_EQ(library.Find<void (*)()>("deflate"), nullptr);
  EXPECT_EQ(library.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(library.status().message(),
              AllOf(HasSubstr("libz.so.1: expected to need at most the "),
                    HasSubstr("bytes of memory")));
}

TEST(SharedLibraryTest, SaysWhichPackageHasAMissingLibrary) {
  SharedLibrary library("libtape-has-none.so.7", "libtape7");
  EXPECT_EQ(library.Find<void (*)()>("f"), nullptr);
  EXPECT_EQ(library.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(
      library.status().message(),
      AllOf(HasSubstr("libtape-has-none.so.7: expected the library of Debian's "
                      "package libtape7, found none"),
            HasSubstr("cannot open shared object file")));
}

TEST(SharedLibraryTest, SaysWhichFunctionIsMissing) {
  SharedLibrary library("libz.so.1", "zlib1g");
  EXPECT_EQ(library.Find<void (*)()>("inflateTheSecond"), nullptr);
  EXPECT_EQ(library.Find<void (*)()>("another"), nullptr);
  EXPECT_EQ(library.status().message(),
            "libz.so.1: expected the function inflateTheSecond of Debian's "
            "package zlib1g, found none");
}

// A program that the loader is asked about lists what it links, and does not
// run.
TEST(SharedLibraryTest, TrainLinksNoneOfThePicturesLibraries) {
  ASSERT_EQ(setenv("LD_TRACE_LOADED_OBJECTS", "1", 1), 0);
  const Outcome outcome = RunProgram("models/train", {});
  unsetenv("LD_TRACE_LOADED_OBJECTS");
  EXPECT_THAT(outcome.out, HasSubstr("libdnnl.so"));
  for (const char* library :
       {"librsvg", "libgvc", "libcgraph", "libcairo", "libglib"}) {
    EXPECT_THAT(outcome.out, Not(HasSubstr(library)));
  }
}

}  // namespace
}  // namespace tape
