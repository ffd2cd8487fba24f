// The tape (framework/core/graph.h, variables.h): what is declared, how
// mistakes are kept and worded, and what is printed. Most mistakes are made "at
// xor.cc", a Loc given by hand; that a line is captured is tested apart.
#include "framework/core/graph.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/basic_ops.h"
#include "framework/core/gradients.h"
#include "ops/ops.h"

namespace tape {
namespace {

Loc At(int line) { return Loc{"xor.cc", line}; }
Loc Here(int line) { return Loc{__FILE__, line}; }

std::string Errors(const Graph& graph) {
  return std::string(graph.status().message());
}

// Whether no mistake is kept: EXPECT_EQ(Errors(graph), "") would do, but so
// would a mistake without a message.
bool IsFine(const Graph& graph) { return graph.status().ok(); }

// ---- Declarations ----

TEST(GraphTest, StartsEmptyAndFine) {
  Graph graph;
  EXPECT_EQ(graph.size(), 0);
  EXPECT_EQ(graph.Dump(), "");
  EXPECT_TRUE(graph.parameters().empty());
  EXPECT_TRUE(IsFine(graph));
}

TEST(GraphTest, GivesEachDeclarationItsTypeAndName) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 3}, DType::kUint8);
  const Var w = graph.Parameter("w", {3, 2}, Zeros());
  const Var s = graph.State("s", {2}, Zeros(), DType::kInt32);
  EXPECT_EQ(x.type().ToString(), "uint8[batch,3]");
  EXPECT_EQ(w.type().ToString(), "[3,2]");
  EXPECT_EQ(s.dtype(), DType::kInt32);
  EXPECT_EQ(s.shape(), (Shape{2}));
  EXPECT_EQ(graph.NameOf(x), "x");
  EXPECT_EQ(graph.NameOf(w), "w");
  EXPECT_EQ(graph.NameOf(Relu(w)), "");
  EXPECT_TRUE(IsFine(graph));
}

TEST(GraphTest, AppendsEachNodeAfterItsInputs) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Var y = Relu(x);
  EXPECT_EQ(x.id(), 0);
  EXPECT_EQ(y.id(), 1);
  EXPECT_EQ(graph.size(), 2);
  EXPECT_EQ(graph.node(y).inputs[0], x.id());
  EXPECT_EQ(y, Var(&graph, 1));
  EXPECT_FALSE(x == y);
}

TEST(GraphTest, TagsParametersByTheirRankUnlessTold) {
  Graph graph;
  const Var weight = graph.Parameter("weight", {3, 2}, Zeros());
  const Var bias = graph.Parameter("bias", {2}, Zeros());
  const Var scale = graph.Parameter("scale", {2}, Zeros(), Tag::kWeight);
  const Var state = graph.State("state", {2, 2}, Zeros());
  EXPECT_EQ(graph.TagOf(weight), Tag::kWeight);
  EXPECT_EQ(graph.TagOf(bias), Tag::kBias);
  EXPECT_EQ(graph.TagOf(scale), Tag::kWeight);
  EXPECT_EQ(graph.TagOf(state), Tag::kState);
  EXPECT_STREQ(Name(Tag::kWeight), "weight");
  EXPECT_STREQ(Name(Tag::kBias), "bias");
  EXPECT_STREQ(Name(Tag::kState), "state");
}

TEST(GraphTest, ListsParametersInOrderOfDeclarationWithoutState) {
  Graph graph;
  const Var b = graph.Parameter("b", {2}, Zeros());
  graph.State("s", {2}, Zeros());
  graph.Input("x", {2});
  const Var a = graph.Parameter("a", {2}, Zeros());
  EXPECT_EQ(graph.parameters(), (std::vector<Var>{b, a}));
}

TEST(GraphTest, SetsTheValueOfAVariableInPlace) {
  Graph graph;
  const Var w = graph.Parameter("w", {2}, Constant(1));
  const void* const memory = graph.Value(w).data();
  ASSERT_TRUE(graph.SetValue(w, Tensor({2}, std::vector<float>{5, 6})).ok());
  EXPECT_EQ(graph.Value(w).data(), memory);
  EXPECT_EQ(graph.Value(w).values<float>(), (std::vector<float>{5, 6}));
}

TEST(GraphTest, RefusesAValueOfAnotherType) {
  Graph graph;
  const Var w = graph.Parameter("w", {2}, Constant(1));
  EXPECT_EQ(graph.SetValue(w, Tensor({3}, std::vector<float>{1, 2, 3}), At(7)),
            absl::InvalidArgumentError(
                "xor.cc:7: SetValue: \"w\" has the type [2], the "
                "value given [3]"));
  EXPECT_EQ(graph.SetValue(w, Tensor({2}, std::vector<int32_t>{1, 2}), At(8)),
            absl::InvalidArgumentError(
                "xor.cc:8: SetValue: \"w\" has the type [2], the "
                "value given int32[2]"));
  EXPECT_EQ(graph.Value(w).values<float>(), (std::vector<float>{1, 1}));
}

TEST(VariablesTest, FindsAVariableByItsName) {
  Graph graph;
  graph.Parameter("w", {2}, Zeros());
  graph.State("s", {2}, Constant(3));
  EXPECT_EQ(graph.variables().size(), 2);
  EXPECT_EQ(graph.variables().Find("w"), 0);
  EXPECT_EQ(graph.variables().Find("s"), 1);
  EXPECT_EQ(graph.variables().Find("t"), -1);
  EXPECT_EQ(graph.variables()[1].value.values<float>()[0], 3);
}

// ---- Mistakes in declarations of inputs and variables ----

TEST(VariablesTest, RunsOfItsParentAreNoneOfAForkedChild) {
  for (const bool parent_writes : {false, true}) {
    Variables variables;
    const Variables::Run run(variables, parent_writes);
    ASSERT_TRUE(run.may_begin());
    const pid_t child = fork();
    if (child == 0) {
      int mistakes = 0;
      {
        const Variables::Run reads(variables, /*writes=*/false);
        const Variables::Run writes(variables, /*writes=*/true);
        mistakes += !reads.may_begin() + writes.may_begin();
      }
      mistakes += !Variables::Run(variables, /*writes=*/true).may_begin();
      mistakes += !Variables::Run(variables, /*writes=*/true).may_begin();
      _exit(mistakes);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    EXPECT_FALSE(Variables::Run(variables, /*writes=*/true).may_begin());
    EXPECT_EQ(Variables::Run(variables, /*writes=*/false).may_begin(),
              !parent_writes);
  }
}

TEST(GraphErrorTest, RefusesNamesThatFilesHaveForThemselves) {
  constexpr char kExpected[] =
      "\": expected a name that files can hold, neither \"__metadata__\" nor "
      "one that begins with \"@\"";
  for (const std::string name :
       {"@", "@state", "@order", "@best/w", "__metadata__"}) {
    Graph graph;
    EXPECT_FALSE(
        graph.Parameter(name, {2}, Zeros(), Tag::kAuto, {"net.cc", 5}).valid());
    graph.State(name, {}, Zeros(), DType::kInt32, {"net.cc", 6});
    EXPECT_EQ(graph.status(), absl::InvalidArgumentError(absl::StrCat(
                                  "net.cc:5: bias \"", name, kExpected,
                                  "\nnet.cc:6: state \"", name, kExpected)));
  }
  Graph graph;
  graph.Parameter("w@", {}, Zeros());
  graph.Input("@x", {});  // No file holds inputs.
  EXPECT_TRUE(graph.status().ok());
}

TEST(GraphErrorTest, RefusesATakenNameAndSaysWhere) {
  Graph graph;
  graph.Input("x", {2}, DType::kFloat32, At(1));
  EXPECT_FALSE(graph.Parameter("x", {2}, Zeros(), Tag::kAuto, At(2)).valid());
  EXPECT_EQ(Errors(graph),
            "xor.cc:2: Variable \"x\": expected a name of its own, found it "
            "taken at xor.cc:1");
}

TEST(GraphErrorTest, RefusesAnEmptyName) {
  Graph graph;
  EXPECT_FALSE(graph.Input("", {2}, DType::kFloat32, At(1)).valid());
  EXPECT_EQ(Errors(graph),
            "xor.cc:1: Input \"\": expected a name, found an empty one");
}

TEST(GraphErrorTest, RefusesANegativeDimension) {
  Graph graph;
  graph.Input("x", {2, -3}, DType::kFloat32, At(1));
  graph.Parameter("w", {-7}, Zeros(), Tag::kAuto, At(2));
  EXPECT_EQ(Errors(graph),
            "xor.cc:1: Input \"x\": expected dimensions of at least 0, or "
            "kBatch, and at most 2^40 elements, found [2,-3]\n"
            "xor.cc:2: Variable \"w\": expected dimensions of at least 0, or "
            "kBatch, and at most 2^40 elements, found [-7]");
}

TEST(GraphErrorTest, RefusesFloat64) {
  Graph graph;
  graph.Input("x", {2}, DType::kFloat64, At(1));
  EXPECT_EQ(Errors(graph),
            "xor.cc:1: Input \"x\": expected a dtype that nodes have, found "
            "float64");
}

TEST(GraphErrorTest, RefusesAVariableOfTheBatchSize) {
  Graph graph;
  graph.Parameter("w", {kBatch, 2}, Zeros(), Tag::kAuto, At(1));
  EXPECT_EQ(Errors(graph),
            "xor.cc:1: weight \"w\": a variable cannot have the batch "
            "dimension, found shape [batch,2]");
}

TEST(GraphErrorTest, RefusesAParameterTaggedState) {
  Graph graph;
  graph.Parameter("w", {2}, Zeros(), Tag::kState, At(1));
  EXPECT_EQ(Errors(graph),
            "xor.cc:1: parameter \"w\": expected a tag weight or bias, found "
            "state: declare it by State");
}

TEST(GraphErrorTest, RefusesAStateOfUint8OrBFloat16) {
  Graph graph;
  graph.State("s", {2}, Zeros(), DType::kUint8, At(1));
  graph.State("t", {2}, Zeros(), DType::kBFloat16, At(2));
  EXPECT_EQ(Errors(graph),
            "xor.cc:1: state \"s\": expected float32 or int32, found uint8\n"
            "xor.cc:2: state \"t\": expected float32 or int32, found bfloat16");
}

TEST(GraphErrorTest, KeepsWhatAnInitializerRefuses) {
  Graph graph;
  EXPECT_FALSE(
      graph.Parameter("b", {2}, Normal(0, -1), Tag::kAuto, At(1)).valid());
  EXPECT_EQ(Errors(graph),
            "xor.cc:1: bias \"b\": Normal: expected a finite mean and a finite "
            "standard deviation of at least 0, found 0 and -1");
  EXPECT_TRUE(graph.parameters().empty());
}

TEST(GraphErrorTest, RefusesWhatNoMachineHasRoomFor) {
  const int64_t huge = int64_t{1} << 31;
  Graph graph;
  graph.Parameter("w", {huge, huge}, Zeros(), Tag::kAuto, At(1));
  const Var a = graph.Input("a", {huge, 1}, DType::kFloat32, At(2));
  const Var b = graph.Input("b", {1, huge}, DType::kFloat32, At(3));
  MatMul(a, b, {}, At(4));
  graph.State("s", {int64_t{1} << 40}, Zeros(), DType::kFloat32, At(5));
  EXPECT_EQ(Errors(graph),
            "xor.cc:1: Variable \"w\": expected dimensions of at least 0, or "
            "kBatch, and at most 2^40 elements, found [2147483648,2147483648]\n"
            "xor.cc:4: MatMul: the result would have shape "
            "[2147483648,2147483648], more than 2^40 elements\n"
            "xor.cc:5: state \"s\": there is no memory for its 4398046511104 "
            "bytes, of shape [1099511627776]");
}

TEST(GraphTest, NodesBearTheLineOfTheirScope) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(1));
  {
    const Graph::LocScope scope(&graph, At(7));
    EXPECT_EQ(graph.node(Tanh(x, At(2))).loc.line, 7);
    const Graph::LocScope nothing(&graph, Loc());
    EXPECT_EQ(graph.node(Tanh(x, At(3))).loc.line, 7);
  }
  EXPECT_EQ(graph.node(Tanh(x, At(4))).loc.line, 4);
}

// ---- Mistakes in ops ----

TEST(GraphErrorTest, NamesBothOperandsAndTheirOrigin) {
  Graph graph;
  const Var x = graph.Input("x", {4, 8}, DType::kFloat32, At(10));
  const Var w2 = graph.Parameter("w2", {9, 1}, Zeros(), Tag::kAuto, At(11));
  const Var y = MatMul(Tanh(x, At(12)), w2, {}, At(12));
  EXPECT_FALSE(y.valid());
  EXPECT_FALSE(y.empty());
  EXPECT_EQ(graph.status(),
            absl::InvalidArgumentError(
                "xor.cc:12: MatMul: inner dimensions 8 and 9 differ (lhs [4,8] "
                "from Tanh at xor.cc:12; rhs [9,1] is parameter \"w2\", "
                "xor.cc:11)"));
}

TEST(GraphErrorTest, DescribesEachKindOfNode) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch}, DType::kInt32, At(1));
  const Var w = graph.Parameter("w", {2}, Zeros(), Tag::kAuto, At(2));
  const Var s = graph.State("s", {3}, Zeros(), DType::kFloat32, At(3));
  const Var y = Exp(s, At(4));
  EXPECT_EQ(graph.Describe(x.id()), "int32[batch] is input \"x\", xor.cc:1");
  EXPECT_EQ(graph.Describe(w.id()), "[2] is parameter \"w\", xor.cc:2");
  EXPECT_EQ(graph.Describe(s.id()), "[3] is state \"s\", xor.cc:3");
  EXPECT_EQ(graph.Describe(y.id()), "[3] from Exp at xor.cc:4");
}

TEST(GraphErrorTest, StaysQuietAboutWhatFollowsAMistake) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(1));
  const Var y = graph.Input("y", {3}, DType::kFloat32, At(2));
  const Var wrong = Add(x, y, At(3));
  EXPECT_FALSE(Relu(wrong).valid());
  EXPECT_FALSE((2 * wrong + x).valid());
  EXPECT_FALSE(Mean(wrong).valid());
  EXPECT_FALSE(AddN({x, wrong}).valid());
  EXPECT_FALSE(Gradients(wrong, {x})[0].valid());
  EXPECT_EQ(Errors(graph),
            "xor.cc:3: Add: shapes [2] and [3] do not broadcast: axis -1 is 2 "
            "against 3 (lhs [2] is input \"x\", xor.cc:1; rhs [3] is input "
            "\"y\", xor.cc:2)");
}

TEST(GraphErrorTest, ReportsIndependentMistakesALineEach) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kInt32, At(1));
  Relu(x, At(2));
  Exp(x, At(3));
  EXPECT_EQ(Errors(graph),
            "xor.cc:2: Relu: expected float32, found int32 (x int32[2] is "
            "input \"x\", xor.cc:1)\n"
            "xor.cc:3: Exp: expected float32, found int32 (x int32[2] is input "
            "\"x\", xor.cc:1)");
}

TEST(GraphErrorTest, CountsWhatExceedsTwentyMistakes) {
  Graph graph;
  for (int i = 1; i <= 23; ++i) graph.ReportError(At(i), "Op", "wrong");
  std::string expected;
  for (int i = 1; i <= 20; ++i) {
    absl::StrAppend(&expected, "xor.cc:", i, ": Op: wrong\n");
  }
  EXPECT_EQ(Errors(graph), expected + "and 3 more");
}

TEST(GraphErrorTest, RefusesAVarOfAnotherGraph) {
  Graph graph, other;
  const Var x = graph.Input("x", {2});
  const Var y = other.Input("y", {2});
  EXPECT_FALSE(Add(x, y, At(1)).valid());
  EXPECT_EQ(Errors(graph), "xor.cc:1: Add: operand rhs is of another graph");
  EXPECT_TRUE(IsFine(other));
}

TEST(GraphErrorTest, RefusesAnEmptyVarBesideAnother) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  EXPECT_FALSE(Add(Var(), x, At(1)).valid());
  AddN({x, Var()}, At(2));
  EXPECT_EQ(Errors(graph),
            "xor.cc:1: Add: operand lhs is an empty Var\n"
            "xor.cc:2: AddN: operand x is an empty Var");
}

TEST(GraphErrorTest, MakesAnEmptyVarOfEmptyVars) {
  EXPECT_TRUE(Add(Var(), Var()).empty());
  EXPECT_TRUE((1 + Var()).empty());
  EXPECT_TRUE(AddN({}).empty());
  EXPECT_TRUE(Sum(Var()).empty());
}

// ---- Lines ----

TEST(LocTest, PrintsFileAndLine) {
  EXPECT_EQ(At(12).ToString(), "xor.cc:12");
  EXPECT_EQ(Loc::Current().ToString(), Here(__LINE__).ToString());
}

TEST(GraphErrorTest, NamesTheLineOfEachDeclaration) {
  Graph graph;
  graph.Input("", {});
  const int input = __LINE__ - 1;
  graph.Parameter("", {}, Zeros());
  const int parameter = __LINE__ - 1;
  graph.State("", {}, Zeros());
  const int state = __LINE__ - 1;
  const std::string rest = "\": expected a name, found an empty one";
  EXPECT_EQ(Errors(graph),
            absl::StrCat(Here(input).ToString(), ": Input \"", rest, "\n",
                         Here(parameter).ToString(), ": Variable \"", rest,
                         "\n", Here(state).ToString(), ": Variable \"", rest));
}

TEST(GraphTest, RemembersTheLineOnWhichAnOpOrOperatorStands) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const auto line = [&](Var var) { return graph.node(var).loc.line; };
  EXPECT_EQ(line(x), __LINE__ - 2);
  EXPECT_EQ(line(Relu(x)), __LINE__);
  EXPECT_EQ(line(x + x), __LINE__);
  EXPECT_EQ(line(x - x), __LINE__);
  EXPECT_EQ(line(x * x), __LINE__);
  EXPECT_EQ(line(x / x), __LINE__);
  EXPECT_EQ(line(-x), __LINE__);
  EXPECT_EQ(line(2 * x), __LINE__);
  EXPECT_EQ(line(x + 2), __LINE__);
  EXPECT_STREQ(graph.node(x * x).loc.file, __FILE__);
}

// ---- Dump ----

TEST(GraphErrorTest, ANameThatNoFileCanHoldIsAMistakeOfTheDeclaration) {
  for (int kind = 0; kind < 3; ++kind) {
    Graph graph;
    const Loc loc = {"net.cc", 7};
    const Var var =
        kind == 0   ? graph.Input("a\xff", {2}, DType::kFloat32, loc)
        : kind == 1 ? graph.Parameter("a\xff", {2}, Zeros(), Tag::kAuto, loc)
                    : graph.State("a\xff", {2}, Zeros(), DType::kFloat32, loc);
    EXPECT_FALSE(var.valid());
    const std::string message(graph.status().message());
    EXPECT_EQ(message,
              absl::StrCat("net.cc:7: ", kind == 0 ? "Input" : "Variable",
                           " \"a\\xff\": expected a name in UTF-8, which files "
                           "can hold"));
  }
}

TEST(GraphTest, NamesInADumpStayOneLineAndCommandNoTerminal) {
  Graph graph;
  graph.Input("a\nb\033[2J", {2}, DType::kFloat32, {"net.cc", 1});
  EXPECT_EQ(graph.Dump(), "%0 = Input(\"a\\nb\\x1b[2J\") [2]  # net.cc:1\n");
  EXPECT_EQ(graph.Graphviz().find('\033'), std::string::npos);
}

TEST(GraphTest, DumpsALineANode) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 4}, DType::kFloat32, At(1));
  const Var w = graph.Parameter("w", {3, 4}, Zeros(), Tag::kAuto, At(2));
  const Var n = graph.Input("n", {kBatch}, DType::kInt32, At(3));
  const Var product = MatMul(x, w, {.rhs = true}, At(4));
  const Var loss = Sum(LeakyRelu(product, 0.01, At(5)), {}, Axes::kDrop, At(6));
  OneHot(n, 3, At(7));
  Fill(&graph, {2}, 0, DType::kInt32, At(8));
  Gradients(loss, {w}, {}, At(9));
  ASSERT_TRUE(IsFine(graph)) << Errors(graph);
  EXPECT_EQ(graph.Dump(),
            R"(%0 = Input("x") [batch,4]  # xor.cc:1
%1 = Variable("w") [3,4]  # xor.cc:2
%2 = Input("n") int32[batch]  # xor.cc:3
%3 = MatMul(%0, %1; transpose_rhs) [batch,3]  # xor.cc:4
%4 = LeakyRelu(%3; value=0.01) [batch,3]  # xor.cc:5
%5 = SumTo(%4; shape=[1,1]) [1,1]  # xor.cc:6
%6 = Reshape(%5) []  # xor.cc:6
%7 = OneHot(%2; depth=3) [batch,3]  # xor.cc:7
%8 = Fill(dtype=int32, shape=[2]) int32[2]  # xor.cc:8
%9 = Fill(value=1) [] gradient of %6  # xor.cc:9
%10 = Reshape(%9; shape=[1,1]) [1,1] gradient of %6  # xor.cc:6
%11 = BroadcastTo(%10; shape=[batch,3]) [batch,3] gradient of %5  # xor.cc:6
%12 = LeakyReluGradient(%11, %4; value=0.01) [batch,3] gradient of %4  # xor.cc:5
%13 = MatMul(%12, %1) [batch,4] gradient of %3  # xor.cc:4
%14 = MatMul(%12, %0; transpose_lhs) [3,4] gradient of %3  # xor.cc:4
)");
}

TEST(AttributesTest, PrintsTheFieldsThatDifferFromTheirDefaults) {
  EXPECT_EQ(Attributes().ToString(), "");
  const Attributes all = {.value = 0.5,
                          .depth = 3,
                          .axis = -1,
                          .transpose_lhs = true,
                          .transpose_rhs = true,
                          .dtype = DType::kInt32,
                          .shape = {kBatch, 2}};
  EXPECT_EQ(all.ToString(),
            "value=0.5, depth=3, axis=-1, transpose_lhs, transpose_rhs, "
            "dtype=int32, shape=[batch,2]");
  EXPECT_FALSE(all == Attributes());
  EXPECT_TRUE(all == Attributes(all));
}

}  // namespace
}  // namespace tape
