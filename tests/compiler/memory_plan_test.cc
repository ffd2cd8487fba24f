// The layout of memory (framework/compiler/memory_plan.h). Each plan is run by
// hand on a memory that knows whose numbers each byte holds, so a step that
// would find another value's numbers in its operand is seen, whatever the
// reason; the programs are a training step, small ones made for a rule each,
// and random ones, which are also compared with the references.
#include "framework/compiler/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/compiler/compile.h"
#include "framework/compiler/hoist_invariants.h"
#include "framework/compiler/passes.h"
#include "framework/core/basic_ops.h"
#include "framework/core/gradients.h"
#include "framework/core/random.h"
#include "framework/core/reference.h"
#include "ops/ops.h"
#include "tests/compiler/steps_testing.h"

namespace tape {
namespace {

struct Planned {
  Program program;
  std::vector<Step> steps;
  MemoryPlan memory;
};

Planned PlanOf(const Graph& graph, const std::vector<Var>& fetches,
               const std::vector<Assignment>& assignments = {},
               Fusing fusing = Fusing::kElementwise) {
  EXPECT_TRUE(graph.status().ok()) << graph.status();
  Planned planned;
  planned.program = Materialize(Prune(ShareCommonSubexpressions(
      FoldConstants(Bind(Extract(graph, fetches, assignments), 4)))));
  planned.steps =
      HoistInvariants(planned.program, StepsOf(planned.program, fusing));
  planned.memory = PlanMemory(planned.program, planned.steps);
  VerifyMemory(planned.program, planned.memory);
  return planned;
}

// Memory by what it holds. The arena and each variable are apart.
class Memory {
 public:
  explicit Memory(const Planned& planned) : planned_(planned) {}

  // What happens to the node's numbers.
  void Write(int id) {
    const Place& place = planned_.memory.places[id];
    ASSERT_NE(place.kind, Place::kNowhere);
    ASSERT_NE(place.kind, Place::kFed) << "an input is not ours to change";
    WriteTo(place, id);
  }
  void WriteTo(const Place& place, int id) {
    const size_t bytes = Bytes(id);
    if (place.kind == Place::kArena) {
      EXPECT_EQ(place.offset % kAlignment, 0u);
      EXPECT_LE(place.offset + bytes, planned_.memory.arena_bytes);
    }
    for (size_t i = 0; i < bytes; ++i) holder_[Key(place, i)] = id;
  }
  // Whether the place of node `id` holds its numbers.
  bool Holds(int id) const {
    const int storage = planned_.program.StorageOf(id);
    const Place& place = planned_.memory.places[id];
    if (place.kind == Place::kFed) return true;
    return PlaceHolds(place, storage);
  }
  bool PlaceHolds(const Place& place, int id) const {
    for (size_t i = 0; i < Bytes(id); ++i) {
      const auto found = holder_.find(Key(place, i));
      if (found == holder_.end() || found->second != id) return false;
    }
    return true;
  }

 private:
  using Byte = std::pair<int, size_t>;  // Variable (-1: the arena), place.
  static Byte Key(const Place& place, size_t i) {
    return place.kind == Place::kVariable ? Byte{place.index, i}
                                          : Byte{-1, place.offset + i};
  }
  size_t Bytes(int id) const { return planned_.program[id].type.bytes(); }

  const Planned& planned_;
  std::map<Byte, int> holder_;
};

bool SamePlace(const Place& a, const Place& b) {
  return a.kind == b.kind && a.offset == b.offset && a.index == b.index;
}

// Whether an instruction after the one that makes output k reads operand p.
bool ReadsLater(const ElementwiseCode& code, size_t k, size_t p) {
  const int maker = code.outputs[k] - code.FirstResult();
  for (size_t i = maker + 1; i < code.instructions.size(); ++i) {
    const auto& inputs = code.instructions[i].inputs;
    if (std::count(inputs.begin(), inputs.end(), p) > 0) return true;
  }
  return false;
}

// Runs the steps on a Memory, and those that are not invariant once more.
void ExpectSound(const Planned& planned) {
  const Program& program = planned.program;
  const MemoryPlan& plan = planned.memory;
  Memory memory(planned);
  for (int id = 0; id < program.size(); ++id) {
    if (program[id].variable != kNone) memory.Write(id);
  }
  std::vector<Step> steps = planned.steps;
  if (program.updates.empty()) {
    std::copy_if(planned.steps.begin(), planned.steps.end(),
                 std::back_inserter(steps),
                 [](const Step& step) { return !step.invariant; });
  }
  for (const Step& step : steps) {
    for (int input : step.inputs) {
      EXPECT_TRUE(memory.Holds(input)) << step.name << " reads %" << input;
    }
    for (size_t k = 0; k < step.outputs.size(); ++k) {
      memory.Write(step.outputs[k]);
      // Whatever of the operands that has changed must be the whole of one that
      // is not needed any more.
      for (size_t p = 0; p < step.inputs.size(); ++p) {
        const int input = step.inputs[p];
        if (memory.Holds(input)) continue;
        if (!step.code.has_value()) {
          EXPECT_EQ(program[step.outputs[0]].op->traits.in_place,
                    static_cast<int>(p))
              << step.name << " is in place";
          continue;
        }
        const size_t of_product =
            step.product == kNone ? 0 : program[step.product].inputs.size();
        ASSERT_GE(p, of_product) << step.name << " writes over a factor";
        bool over_it = false;
        for (size_t j = 0; j <= k; ++j) {
          if (!SamePlace(plan.places[step.outputs[j]], plan.places[input])) {
            continue;
          }
          over_it = true;
          EXPECT_FALSE(ReadsLater(*step.code, j, p - of_product)) << step.name;
          EXPECT_EQ(program[input].type.bytes(),
                    program[step.outputs[j]].type.bytes());
        }
        EXPECT_TRUE(over_it) << step.name << " overlaps %" << input;
      }
    }
    for (int output : step.outputs) {
      EXPECT_TRUE(memory.Holds(output)) << step.name << " makes %" << output;
    }
  }
  for (const Program::Update& copy : plan.copies) {
    EXPECT_TRUE(memory.Holds(copy.value)) << "copied too late";
    memory.WriteTo({.kind = Place::kVariable, .index = copy.variable},
                   program.StorageOf(copy.value));
  }
  for (int fetch : program.fetches) {
    EXPECT_TRUE(memory.Holds(fetch)) << "fetched %" << fetch;
  }
  for (const Program::Update& update : program.updates) {
    EXPECT_TRUE(
        memory.PlaceHolds({.kind = Place::kVariable, .index = update.variable},
                          program.StorageOf(update.value)))
        << "variable " << update.variable;
  }
  EXPECT_LE(plan.arena_bytes, plan.unshared_bytes);
}

// A layer of a training step by hand: w - 0.1 dw and its momentum.
std::vector<Assignment> Momentum(Graph& graph, Var loss) {
  std::vector<Assignment> assignments;
  const std::vector<Var> parameters = graph.parameters();
  const std::vector<Var> grads = Gradients(loss, parameters);
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Var m =
        graph.State(absl::StrCat("m", i), parameters[i].shape(), Zeros());
    const Var new_m = 0.9 * m + grads[i];
    assignments.push_back({parameters[i], parameters[i] - 0.1 * new_m});
    assignments.push_back({m, new_m});
  }
  return assignments;
}

TEST(MemoryPlanTest, IsSoundForATrainingStep) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 12});
  const Var label = graph.Input("label", {kBatch}, DType::kInt32);
  Var h = x;
  for (int layer = 0; layer < 3; ++layer) {
    const int64_t in = h.shape()[1], out = 10 - 2 * layer;
    h = Tanh(MatMul(h, graph.Parameter(absl::StrCat("w", layer), {in, out},
                                       Glorot())) +
             graph.Parameter(absl::StrCat("b", layer), {out}, Zeros()));
  }
  const Var loss = Mean(SoftmaxCrossEntropy(h, label));
  const Planned planned =
      PlanOf(graph, {loss, h, ArgMax(h), graph.parameters()[0]},
             Momentum(graph, loss));
  ExpectSound(planned);
  EXPECT_LT(planned.memory.arena_bytes, planned.memory.unshared_bytes);
}

TEST(MemoryPlanTest, SharesTheMemoryOfValuesThatAreDead) {
  Graph graph;
  const Var x = graph.Input("x", {16, 16});  // 1 KiB.
  Var y = x;
  for (int i = 0; i < 8; ++i) y = MatMul(y, x);
  const Planned planned = PlanOf(graph, {y});
  ExpectSound(planned);
  // A product cannot be made over its operand, so two are alive at a time.
  EXPECT_EQ(planned.memory.unshared_bytes, 8u * 1024);
  EXPECT_EQ(planned.memory.arena_bytes, 2u * 1024);
}

TEST(MemoryPlanTest, GivesASmallValueTheSmallestPlaceThatFits) {
  Graph graph;
  const Var x = graph.Input("x", {16, 16});
  const Var small = graph.Input("small", {16, 4});
  const Var a = MatMul(x, x);                        // 1024 bytes.
  const Var kept = MatMul(x, small, {.lhs = true});  // 256 bytes for good.
  const Var b = MatMul(x, small);                    // 256 bytes.
  const Var c = MatMul(a, b);  // 256 bytes; now a and b are dead.
  const Var d = MatMul(x, c);  // 256 bytes: in b's place.
  const Var e = MatMul(x, x, {.rhs = true});  // 1024 bytes: in a's place.
  const Planned planned = PlanOf(graph, {MatMul(e, d), kept});
  ExpectSound(planned);
  EXPECT_EQ(planned.memory.arena_bytes, 1024u + 3 * 256);
}

TEST(MemoryPlanTest, MakesAResultOverAnOperandThatDiesWithIt) {
  Graph graph;
  const Var x = graph.Input("x", {16, 16});
  const Var product = MatMul(x, x);
  const Planned planned = PlanOf(graph, {Relu(product)});
  ExpectSound(planned);
  EXPECT_EQ(planned.memory.arena_bytes, 1024u);
  EXPECT_EQ(planned.memory.unshared_bytes, 2048u);
}

TEST(MemoryPlanTest, MakesNoResultOverAnOperandThatThePassReadsAfterIt) {
  Graph graph;
  const Var x = graph.Input("x", {16, 16});
  const Var a = Softmax(x), b = LogSoftmax(x);
  // The first output comes before the last read of a, the pass's first operand,
  // by the very next op, but after that of b.
  const Var negative = -a;
  const Var first = b * 2;
  const Var second = first + a + negative;
  const Planned planned = PlanOf(graph, {first, second});
  ExpectSound(planned);
  const auto& places = planned.memory.places;
  const Program& program = planned.program;
  EXPECT_TRUE(SamePlace(places[program.fetches[0]], places[b.id()]));
  EXPECT_TRUE(SamePlace(places[program.fetches[1]], places[a.id()]));
  EXPECT_EQ(planned.memory.arena_bytes, 2048u);
}

TEST(MemoryPlanTest, KeepsAnOperandThatIsStillNeeded) {
  Graph graph;
  const Var x = graph.Input("x", {16, 16});
  const Var product = MatMul(x, x);
  const Planned fetched = PlanOf(graph, {Relu(product), product});
  ExpectSound(fetched);
  EXPECT_EQ(fetched.memory.arena_bytes, 2048u);
  const Planned viewed =
      PlanOf(graph, {Relu(product), Reshape(product, {256})});
  ExpectSound(viewed);
  EXPECT_EQ(viewed.memory.arena_bytes, 2048u);
}

TEST(MemoryPlanTest, PutsNoSourceFillOrInnerValueIntoTheArena) {
  Graph graph;
  const Var x = graph.Input("x", {16});
  const Var w = graph.Parameter("w", {16}, Zeros());
  const Planned planned = PlanOf(graph, {Exp(x * w + 1)});
  const MemoryPlan& plan = planned.memory;
  EXPECT_EQ(plan.unshared_bytes, 64u);
  EXPECT_EQ(plan.places[0].kind, Place::kFed);
  EXPECT_EQ(plan.places[0].index, 0);
  EXPECT_EQ(plan.places[1].kind, Place::kVariable);
  EXPECT_EQ(plan.places[1].index, 0);
  EXPECT_EQ(plan.places[2].kind, Place::kNowhere);  // The product.
  EXPECT_EQ(plan.places[planned.program.fetches[0]].kind, Place::kArena);
}

TEST(MemoryPlanTest, PutsAViewWhereItsSourceIs) {
  Graph graph;
  const Var x = graph.Input("x", {4, 4});
  const Var product = MatMul(x, x);
  const Planned planned = PlanOf(graph, {Reshape(product, {16}), product});
  const MemoryPlan& plan = planned.memory;
  EXPECT_TRUE(SamePlace(plan.places[planned.program.fetches[0]],
                        plan.places[planned.program.fetches[1]]));
  EXPECT_EQ(plan.arena_bytes, 64u);
}

TEST(MemoryPlanTest, MakesANewValueInItsVariable) {
  Graph graph;
  const Var x = graph.Input("x", {4, 4});
  const Var w = graph.Parameter("w", {4, 4}, Zeros());
  const Var pass = w - MatMul(x, w);  // A pass over its own operand.
  const Planned planned = PlanOf(graph, {}, {{w, pass}});
  ExpectSound(planned);
  EXPECT_TRUE(planned.memory.copies.empty());
  EXPECT_EQ(planned.memory.arena_bytes, 64u);  // The product alone.
}

TEST(MemoryPlanTest, WritesNoPassOverWhatItsProductReads) {
  Graph graph;
  const Var x = graph.Input("x", {4, 4});
  const Var b = graph.Input("b", {4});
  const Var dying = Exp(x);
  const Planned planned =
      PlanOf(graph, {Relu(MatMul(dying, x) + b)}, {}, Fusing::kProductsToo);
  ExpectSound(planned);
  ASSERT_EQ(planned.steps.size(), 2u);
  EXPECT_FALSE(SamePlace(planned.memory.places[planned.steps[0].outputs[0]],
                         planned.memory.places[planned.steps[1].outputs[0]]));
}

TEST(MemoryPlanTest, WritesAPassOverAProductOverAnotherOperand) {
  Graph graph;
  const Var x = graph.Input("x", {4, 4});
  const Var y = graph.Input("y", {4, 4});
  const Var w = graph.Parameter("w", {4, 4}, Zeros());
  const Var g = MatMul(x, y);
  const Planned planned =
      PlanOf(graph, {}, {{w, w - Square(g)}}, Fusing::kProductsToo);
  ExpectSound(planned);
  EXPECT_EQ(planned.steps.size(), 1u);
  EXPECT_TRUE(planned.memory.copies.empty());
  EXPECT_EQ(planned.memory.arena_bytes, 0u);
}

TEST(MemoryPlanTest, MakesAProductAndItsAddendInTheAddendsMemory) {
  Graph graph;
  const Var x = graph.Input("x", {4, 4});
  const Var w = graph.Parameter("w", {4, 4}, Zeros());
  const Planned planned = PlanOf(graph, {}, {{w, MatMulAdd(x, x, w)}});
  ExpectSound(planned);
  EXPECT_TRUE(planned.memory.copies.empty());
  // Not if it is a factor, too.
  EXPECT_EQ(PlanOf(graph, {}, {{w, MatMulAdd(x, w, w)}}).memory.copies.size(),
            1u);
}

TEST(MemoryPlanTest, CopiesANewValueThatAKernelMakesOfTheOld) {
  Graph graph;
  const Var w = graph.Parameter("w", {4, 4}, Zeros());
  const Planned planned = PlanOf(graph, {}, {{w, MatMul(w, w)}});
  ExpectSound(planned);
  EXPECT_EQ(planned.memory.copies.size(), 1u);
}

TEST(MemoryPlanTest, CopiesANewValueIfALaterStepReadsTheOld) {
  Graph graph;
  const Var w = graph.Parameter("w", {4, 4}, Zeros());
  const Var new_w = w + 1;
  const Planned planned = PlanOf(graph, {MatMul(new_w, w)}, {{w, new_w}});
  ExpectSound(planned);
  EXPECT_EQ(planned.memory.copies.size(), 1u);
}

TEST(MemoryPlanTest, SwapsVariablesWithOneCopy) {
  Graph graph;
  const Var a = graph.State("a", {4}, Zeros());
  const Var b = graph.State("b", {4}, Zeros());
  const Planned planned = PlanOf(graph, {}, {{a, b}, {b, a}});
  ExpectSound(planned);
  EXPECT_EQ(planned.memory.copies.size(), 1u);
}

TEST(MemoryPlanTest, GivesOneValueToTwoVariables) {
  Graph graph;
  const Var a = graph.State("a", {4}, Zeros());
  const Var b = graph.State("b", {4}, Zeros());
  const Var value = Exp(a) + b;
  ExpectSound(PlanOf(graph, {value}, {{a, value}, {b, value}}));
}

TEST(MemoryPlanTest, KeepsTheOldValueThatIsFetched) {
  Graph graph;
  const Var w = graph.Parameter("w", {4}, Zeros());
  ExpectSound(PlanOf(graph, {w}, {{w, w + 1}}));
}

TEST(MemoryPlanTest, KeepsWhatInvariantStepsMakeForOthers) {
  Graph graph;
  const Var x = graph.Input("x", {16, 16});
  const Var w = graph.Parameter("w", {16, 16}, Zeros());
  const Var kept = Softmax(LogSoftmax(w));
  const Var y = MatMul(x, kept);
  const Planned planned = PlanOf(graph, {MatMul(MatMul(y, y), y)});
  ExpectSound(planned);
  EXPECT_TRUE(planned.steps[1].invariant);
  // What invariant steps make for one another dies: its place is y's.
  EXPECT_EQ(planned.memory.arena_bytes, 4u * 1024);
}

TEST(MemoryPlanTest, PlansForValuesWithoutElements) {
  Graph graph;
  const Var x = graph.Input("x", {0, 4});
  ExpectSound(PlanOf(graph, {MatMul(x, x, {.lhs = true}), Exp(x), -x}));
}

// A random program: nodes of five shapes, fetches and assignments. Its numbers
// stay whole and small, since Sign follows wherever they could grow, so that
// float32 and the references' double agree exactly.
struct RandomProgram {
  explicit RandomProgram(uint64_t seed) : random(7, seed) {
    nodes.push_back(graph.Input("x", {kBatch, 4}));
    for (const Shape& shape : {Shape{4, 4}, {4, 4}, {1, 4}, {4}, {}}) {
      const std::string name = absl::StrCat("v", nodes.size());
      variables.push_back(graph.State(name, shape, Uniform(-2, 2)));
      nodes.push_back(Sign(variables.back()));
      nodes.push_back(variables.back());
      Tensor whole(variables.back().type());
      for (float& number : whole.values<float>()) {
        number = static_cast<float>(random.Below(5)) - 2;
      }
      EXPECT_TRUE(graph.SetValue(variables.back(), whole).ok());
    }
    for (int i = 3 + random.Below(25); i-- > 0;) nodes.push_back(Next());
    for (int i = random.Below(4); i-- > 0;) fetches.push_back(Any());
    for (Var variable : variables) {
      const Var value = Any();
      if (random.Below(3) > 0 && value.shape() == variable.shape()) {
        assignments.push_back({variable, value});
      }
    }
  }

  Var Any() { return nodes[random.Below(nodes.size())]; }
  Var Next() {
    const Var a = Any();
    Var b = Any();
    // The batch goes with neither 4.
    if (!Broadcast(a.shape(), b.shape()).ok()) b = variables[3];
    switch (random.Below(10)) {
      case 0:
        return Sign(MatMul(Square4(a), Square4(b)));
      case 1:
        return Sign(SumTo(Square4(a), {1, 4}));
      case 2:
        return Sign(Sum(a));
      case 3:
        return Reshape(Reshape(Square4(a), {16}), {4, 4});
      case 4:
        return Relu(a);
      case 5:
        return Cast(Equal(a, b), DType::kFloat32);
      case 6:
        return Sign(a * b + 1);
      case 7:
        return Sign(AddN({a, a, a}));
      case 8:
        return Neg(a);
      default:
        return Sign(a - b);
    }
  }
  // x summed or stretched to [4,4].
  Var Square4(Var x) {
    if (x.shape().rank() == 2 && x.shape()[0] == kBatch) return nodes[1];
    return BroadcastTo(x, {4, 4});
  }

  Graph graph;
  RandomStream random;
  std::vector<Var> variables;
  std::vector<Var> nodes;
  std::vector<Var> fetches;
  std::vector<Assignment> assignments;
};

TEST(MemoryPlanTest, IsSoundForRandomPrograms) {
  for (int seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    const RandomProgram program(seed);
    ExpectSound(PlanOf(program.graph, program.fetches, program.assignments));
  }
}

TEST(MemoryPlanTest, LetsRandomProgramsComputeWhatTheReferencesDo) {
  for (int seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    RandomProgram program(seed);
    const Tensor x({4, 4}, std::vector<float>{1, -2, 0, 1, 2, 1, -1, 0,  //
                                              0, 1, 1, -1, 2, 0, -2, 1});
    std::vector<Var> results = program.fetches;
    for (const Assignment& assignment : program.assignments) {
      results.push_back(assignment.value);
    }
    if (results.empty()) continue;
    const auto expected = EvaluateReference(results, {{program.nodes[0], x}});
    ASSERT_TRUE(expected.ok()) << expected.status();
    auto plan =
        Compile(program.graph, {.fetch = program.fetches,
                                .updates = {.assignments = program.assignments},
                                .threads = 1,
                                .batch_sizes = {4}});
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_TRUE(plan->Run({{program.nodes[0], x}}).ok());
    if (program.assignments.empty()) {
      ASSERT_TRUE(plan->Run({{program.nodes[0], x}}).ok());
    }
    for (size_t i = 0; i < results.size(); ++i) {
      const size_t fetches = program.fetches.size();
      const Tensor got = ToFloat64(
          i < fetches ? plan->Value(results[i])
                      : TensorView(program.graph.Value(
                            program.assignments[i - fetches].variable)));
      EXPECT_EQ(got.values<double>(), (*expected)[i].values<double>())
          << "result " << i << " of\n"
          << plan->Dump();
    }
  }
}

TEST(VerifyDeathTest, AbortsOnPlacesBeyondTheArena) {
  Graph graph;
  const Var x = graph.Input("x", {4, 4});
  Planned planned = PlanOf(graph, {Exp(x)});
  planned.memory.arena_bytes -= 1;
  EXPECT_DEATH(VerifyMemory(planned.program, planned.memory), "arena_bytes");
  planned.memory.places.pop_back();
  EXPECT_DEATH(VerifyMemory(planned.program, planned.memory), "places.size");
}

}  // namespace
}  // namespace tape
