// The converter of data sets as a user meets it: run as a process, on
// Fashion-MNIST at full size, with wrong flags, and where it cannot write.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "framework/core/tensor.h"
#include "framework/data/dataset.h"
#include "framework/io/idx.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/models/program_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr char kProgram[] = "models/convert_dataset";
constexpr char kFashionMnist[] = "/usr/share/datasets/fashion-mnist";

class ConvertDatasetTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Path(absl::string_view name) const {
    return absl::StrCat(folder_, "/", name);
  }
  static std::vector<std::string> Flags(const std::string& from,
                                        const std::string& to,
                                        absl::string_view form) {
    return {"--from=" + from, "--to=" + to, absl::StrCat("--form=", form)};
  }
  // The names in the test's folder.
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }
  // Writes a data set of 20 images as labelled CSV, ten that compress well and
  // then ten that do not. Returns its folder.
  std::string SmallDataset(int64_t pixels) const {
    std::vector<uint8_t> greys(20 * pixels, 7);
    std::minstd_rand random;
    std::generate(greys.begin() + 10 * pixels, greys.end(), random);
    Dataset dataset = {.images = Tensor({20, pixels}, greys), .classes = 10};
    std::vector<int32_t> labels;
    for (int i = 0; i < 20; ++i) labels.push_back(i % 10);
    dataset.labels = Tensor({20}, labels);
    fs::create_directories(Path("small"));
    EXPECT_TRUE(WriteDatasetFolder({.train = dataset, .test = dataset},
                                   DatasetForm::kLabelledCsv, Path("small"))
                    .ok());
    return Path("small");
  }

  const std::string folder_ = fs::path(testing::TempDir()) / "convert";
};

void ExpectSame(const Dataset& found, const Dataset& expected) {
  EXPECT_EQ(found.images.type(), expected.images.type());
  // Not EXPECT_EQ, which would print all of it.
  EXPECT_TRUE(found.images.values<uint8_t>() ==
              expected.images.values<uint8_t>());
  EXPECT_TRUE(found.labels.values<int32_t>() ==
              expected.labels.values<int32_t>());
  EXPECT_EQ(found.classes, expected.classes);
}

// Where 60,000 files cost little: in memory, if there is room for them. (A disk
// that others write to takes minutes to remove them.)
std::string FolderForManyFiles() {
  constexpr char kMemory[] = "/dev/shm";
  std::error_code error;
  const fs::space_info space = fs::space(kMemory, error);
  const bool fits = !error && space.available > 2'000'000'000;
  std::string path = (fits ? kMemory : testing::TempDir()) +
                     std::string("/tape_convert_dataset_XXXXXX");
  EXPECT_NE(mkdtemp(path.data()), nullptr);
  return path;
}

TEST_F(ConvertDatasetTest, KeepsEveryByteOfFashionMnistThroughAllForms) {
  const absl::StatusOr<DataSplits> original = ReadMnistFolder(kFashionMnist);
  ASSERT_TRUE(original.ok()) << original.status();
  const std::string folder = FolderForManyFiles();
  const absl::Cleanup remove = [&] { fs::remove_all(folder); };
  std::string from = kFashionMnist;
  std::string from_form = "idx";
  for (const std::string form : {"csv", "png", "labelled_csv", "idx"}) {
    SCOPED_TRACE(form);
    const std::string to = absl::StrCat(folder, "/", form);
    const Outcome outcome = RunProgram(kProgram, Flags(from, to, form));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    const std::string rates =
        ", [0-9.]+ MB in [0-9.]+ s \\([0-9.]+ MB/s, [0-9]+ images/s\\)";
    EXPECT_THAT(outcome.out,
                MatchesRegex(absl::StrCat(
                    "60000 training and 10000 test images of 784 pixels: read "
                    "as ",
                    from_form, rates, "; written as ", form, rates, "\n")));
    const absl::StatusOr<FoundDataset> found = FindDataset(to);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(NameOf(found->form), form);
    const absl::StatusOr<DataSplits> splits = ReadDatasetFolder(to);
    ASSERT_TRUE(splits.ok()) << splits.status();
    ExpectSame(splits->train, original->train);
    ExpectSame(splits->test, original->test);
    from = to;
    from_form = form;
  }
}

TEST_F(ConvertDatasetTest, CountsSamplesAndBytes) {
  const std::string from = SmallDataset(784);
  // Only a data set's own files count.
  std::ofstream(from + "/notes.txt") << std::string(1000000, 'x');
  const Outcome outcome = RunProgram(kProgram, Flags(from, Path("to"), "idx"));
  EXPECT_THAT(outcome.out, HasSubstr("20 training and 20 test images of 784 "
                                     "pixels: read as labelled_csv, 0.1 MB "));
  EXPECT_THAT(outcome.out, HasSubstr("written as idx, 0.0 MB "));
}

TEST_F(ConvertDatasetTest, HelpNamesEveryFlagAndForm) {
  const Outcome outcome = RunProgram(kProgram, {"--help"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* part : {"--from=DIR", "--to=DIR", "--form=FORM",
                           "idx: ", "csv: ", "labelled_csv: ", "png: "}) {
    EXPECT_THAT(outcome.out, HasSubstr(part));
  }
}

TEST_F(ConvertDatasetTest, PathsAreMeantFromWhereBazelRunWasCalled) {
  SmallDataset(4);
  setenv("BUILD_WORKING_DIRECTORY", folder_.c_str(), 1);
  const Outcome outcome = RunProgram(kProgram, Flags("small", "here/", "png"));
  unsetenv("BUILD_WORKING_DIRECTORY");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(fs::exists(Path("here/train/9/00009.png")));
}

TEST_F(ConvertDatasetTest, RefusesWrongFlags) {
  const std::string from = SmallDataset(4), to = Path("to");
  fs::create_symlink("nowhere", from + "/link");
  const auto expect = [](const std::vector<std::string>& flags,
                         const std::string& message) {
    ExpectOneLineOfError(RunProgram(kProgram, flags), {message});
  };
  expect({"--to=" + to, "--form=idx"},
         "--from: expected a folder to read, found none");
  expect({"--from=" + from, "--form=idx"},
         "--to: expected a folder to write, found none");
  expect({"--from=" + from, "--to=" + to},
         "--form: expected idx or csv or labelled_csv or png, found \"\"");
  expect(Flags(from, to, "gif"),
         "--form: expected idx or csv or labelled_csv or png, found \"gif\"");
  for (const std::string taken : {"", "/", "/mnist_test.csv", "/link"}) {
    expect(Flags(from, from + taken, "idx"),
           absl::StrCat("--to: expected a new folder, found ", from, taken,
                        ", which is there already"));
  }
  expect(Flags(from, from + "/mnist_test.csv/to", "idx"),
         "cannot make the folder: Not a directory");
  expect(Flags(Path("none"), to, "idx"),
         Path("none") + ": expected a data set as idx (");
  std::vector<std::string> flags = Flags(from, to, "idx");
  flags.push_back("word");
  expect(flags, "expected flags only, found \"word\"");
  EXPECT_EQ(Names(), std::vector<std::string>{"small"});
}

TEST_F(ConvertDatasetTest, LeavesNothingIfTheDataAreWrong) {
  const std::string from = SmallDataset(4);
  std::ofstream(from + "/mnist_test.csv") << "label,1x1\n7,shoe\n";
  ExpectOneLineOfError(
      RunProgram(kProgram, Flags(from, Path("to"), "idx")),
      {from + "/mnist_test.csv: row 2, column 2: ", "found \"shoe\""});
  EXPECT_EQ(Names(), std::vector<std::string>{"small"});
}

// Of as many pixels as a square.
TEST_F(ConvertDatasetTest, KeepsRowsAndColumnsOrRefusesThem) {
  const std::string from = Path("oblong");
  fs::create_directories(from);
  std::vector<uint8_t> labels(20);
  for (int i = 0; i < 20; ++i) labels[i] = i % 10;
  for (absl::string_view split : {"/train", "/t10k"}) {
    const std::string prefix = absl::StrCat(from, split);
    EXPECT_TRUE(WriteIdx(prefix + "-images-idx3-ubyte", {20, 4, 9},
                         std::vector<uint8_t>(720))
                    .ok());
    EXPECT_TRUE(WriteIdx(prefix + "-labels-idx1-ubyte", {20}, labels).ok());
  }
  for (const char* form : {"csv", "labelled_csv"}) {
    ExpectOneLineOfError(RunProgram(kProgram, Flags(from, Path("to"), form)),
                         {"expected square images", "found 4 x 9"});
    EXPECT_EQ(Names(), std::vector<std::string>{"oblong"});
  }
  const Outcome png = RunProgram(kProgram, Flags(from, Path("png"), "png"));
  EXPECT_EQ(png.exit_code, 0) << png.err;
  const Outcome idx =
      RunProgram(kProgram, Flags(Path("png"), Path("to"), "idx"));
  EXPECT_EQ(idx.exit_code, 0) << idx.err;
  const auto images = ReadIdx(Path("to/train-images-idx3-ubyte"));
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_EQ(images->shape, Shape({20, 4, 9}));
}

TEST_F(ConvertDatasetTest, LeavesNothingIfAFileCannotBeWritten) {
  const std::string from = SmallDataset(100 * 100);
  const auto expect = [&](const char* form, const char* file) {
    ExpectOneLineOfError(RunProgram(kProgram, Flags(from, Path("to"), form),
                                    {.max_file_bytes = 6000}),
                         {file, "cannot write the file: File too large"});
    EXPECT_EQ(Names(), std::vector<std::string>{"small"});
  };
  expect("idx", "/train-images-idx3-ubyte");
  expect("csv", "/trainData.csv");
  expect("labelled_csv", "/mnist_train.csv");
  expect("png", "/train/0/00010.png");  // Ten files are there already.
}

TEST_F(ConvertDatasetTest, LeavesNothingIfMemoryEnds) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers take terabytes of addresses";
#endif
  const std::string from = SmallDataset(500 * 500);
  ASSERT_EQ(RunProgram(kProgram, Flags(from, Path("idx"), "idx")).exit_code, 0);
  for (const char* form : {"labelled_csv", "csv", "png", "idx"}) {
    int converted = 0, refused = 0;
    for (rlim_t megabytes = 10; converted < 2; megabytes += 2) {
      ASSERT_LT(megabytes, 300) << "expected some memory to be enough";
      const Outcome outcome =
          RunProgram(kProgram, Flags(Path("idx"), Path("to"), form),
                     {.max_memory_bytes = megabytes << 20});
      SCOPED_TRACE(absl::StrCat(form, ", ", megabytes, " MB: ", outcome.err));
      if (outcome.exit_code == 127) continue;  // Too little to be loaded.
      if (outcome.exit_code == 0) {
        ++converted;
        fs::remove_all(Path("to"));
      } else {
        ++refused;
        EXPECT_EQ(outcome.exit_code, 1);
        EXPECT_THAT(outcome.err, HasSubstr("memory"));
      }
      EXPECT_THAT(Names(), testing::UnorderedElementsAre("small", "idx"));
    }
    EXPECT_GT(refused, 0);
  }
}

TEST_F(ConvertDatasetTest, SaysThatItCannotMakeTheFolder) {
  const std::string from = SmallDataset(4);
  ExpectOneLineOfError(
      RunProgram(kProgram, Flags(from, Path("no/such/parent/idx"), "idx")),
      {absl::StrCat("--to: ", Path("no/such/parent/idx"),
                    ": cannot make the folder: No such file")});
}

}  // namespace
}  // namespace tape
