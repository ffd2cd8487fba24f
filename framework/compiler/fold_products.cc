// FoldIntoProducts (passes.h): finds the linear nodes that follow a product and
// makes one node of them all. Tested by tests/compiler/passes_test.cc.
//
// The value of a linear elementwise node is a sum of earlier nodes, each times
// a number: its *form*. w - 0.1 (g + 0.02 w) has the form 0.998 w - 0.1 g.
// Forms of up to two terms are enough here; a node with more stands for itself.
//
// A form must give what the nodes give for infinities and NaN too. So it has no
// factor of 0, which times inf is NaN, nor one that float32 has not as a normal
// number; and the terms of one node are put together only where their factors
// have one sign: inf - 0.5 inf is NaN. A variable is excepted from the latter
// (passes.h).
#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "framework/compiler/passes.h"
#include "framework/core/check.h"

namespace tape {
namespace {

using Form = std::map<int, double>;  // From node to its factor.
constexpr size_t kMaxTerms = 2;
// A node of more inputs stands for itself: each input's factor takes time in
// proportion to their number.
constexpr size_t kMaxInputs = 8;

// Whether the node, whose inputs are Fills where `constant` says so, is linear
// in the others together.
bool IsLinear(const Node& node, const std::vector<bool>& constant) {
  const auto is_variable = [&](size_t i) { return !constant[i]; };
  switch (node.op->traits.linearity) {
    case Linearity::kNone:
      return false;
    case Linearity::kLinear:  // Homogeneous: a + 3 is not.
      return std::find(constant.begin(), constant.end(), true) ==
             constant.end();
    case Linearity::kLinearInFirst:
      return is_variable(0) &&
             std::all_of(constant.begin() + 1, constant.end(),
                         [](bool is_constant) { return is_constant; });
    case Linearity::kBilinear:
      return is_variable(0) != is_variable(1);
  }
  TAPE_CHECK(false);
}

// Whether a product with `factor` is of its operand alone: 0, infinities and
// NaN make numbers that no operand has, and float32 has no denormal factors.
bool IsFactor(double factor) {
  return std::isnormal(static_cast<float>(factor));
}

// Adds factor * node `id` to `form`. False if the terms that are put together
// give something else than the two by themselves.
bool AddTerm(const Program& program, int id, double factor, Form& form) {
  if (!IsFactor(factor)) return false;
  const auto [term, is_new] = form.emplace(id, factor);
  if (is_new) return true;
  const bool cancels = (term->second < 0) != (factor < 0);
  if (cancels && program[id].variable == kNone) return false;
  term->second += factor;
  return IsFactor(term->second);
}

// The form of node `id`, from those of the nodes before it.
Form FormOf(const Program& program, int id, const std::vector<Form>& forms) {
  const Form itself = {{id, 1}};
  const Node& node = program[id];
  if (node.type.dtype != DType::kFloat32 || node.inputs.size() > kMaxInputs) {
    return itself;
  }
  std::vector<bool> constant;
  std::vector<double> values;
  for (int input : node.inputs) {
    const Node& from = program[input];
    constant.push_back(from.op->traits.uniform);
    values.push_back(
        constant.back() ? AsInRun(from.type.dtype, from.attributes.value) : 0);
    if (!constant.back() && !(from.type == node.type)) return itself;
  }
  if (node.inputs.empty() || !IsLinear(node, constant)) return itself;
  Form form;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (constant[i]) continue;
    values[i] = 1;
    const double factor = ReferenceOfOne(node, values);
    values[i] = 0;
    for (const auto& [term, term_factor] : forms[node.inputs[i]]) {
      if (!AddTerm(program, term, factor * term_factor, form)) return itself;
    }
  }
  return form.size() <= kMaxTerms ? form : itself;
}

// For each node, the one that reads it; kNone if there is not exactly one, or
// its value is wanted outside.
std::vector<int> OnlyReaders(const Program& program) {
  constexpr int kNobody = -2;
  std::vector<int> reader(program.size(), kNobody);
  for (int id = 0; id < program.size(); ++id) {
    for (int input : program[id].inputs) {
      const bool is_first = reader[input] == kNobody || reader[input] == id;
      reader[input] = is_first ? id : kNone;
    }
  }
  for (int fetch : program.fetches) reader[fetch] = kNone;
  for (const Program::Update& update : program.updates) {
    reader[update.value] = kNone;
  }
  std::replace(reader.begin(), reader.end(), kNobody, kNone);
  return reader;
}

// For each node, whether a fused pass of its shape may read it.
std::vector<bool> ReadByPasses(const Program& program) {
  std::vector<bool> read(program.size(), false);
  for (const Node& node : program.nodes) {
    if (!node.op->traits.elementwise) continue;
    for (int input : node.inputs) {
      read[input] = read[input] || program[input].type.shape == node.type.shape;
    }
  }
  return read;
}

// alpha product + beta addend.
struct Sum {
  int node;  // That has this value.
  double alpha;
  double beta;
  int addend;
};

// The last such sum on the way of the product's value.
std::optional<Sum> SumOf(int product, const std::vector<int>& reader,
                         const std::vector<Form>& forms) {
  std::optional<Sum> sum;
  for (int id = reader[product]; id != kNone; id = reader[id]) {
    const Form& form = forms[id];
    const auto term = form.find(product);
    if (term == form.end()) break;
    if (form.size() != 2) continue;
    const auto other = term == form.begin() ? std::next(term) : form.begin();
    sum = {id, term->second, other->second, other->first};
  }
  return sum;
}

}  // namespace

Program FoldIntoProducts(Program program) {
  std::vector<Form> forms;
  for (int id = 0; id < program.size(); ++id) {
    forms.push_back(FormOf(program, id, forms));
  }
  const std::vector<int> reader = OnlyReaders(program);
  const std::vector<bool> read_by_passes = ReadByPasses(program);
  for (int id = 0; id < program.size(); ++id) {
    const OpDef* const fused_add = program[id].op->traits.fused_add;
    if (fused_add == nullptr || program[id].op->traits.side_effects) continue;
    const std::optional<Sum> sum = SumOf(id, reader, forms);
    if (!sum.has_value() || read_by_passes[sum->node]) continue;
    Node& node = program.nodes[sum->node];
    if (node.op->traits.in_place >= 0) continue;  // Another product's already.
    node.op = fused_add;
    node.attributes = program[id].attributes;
    node.attributes.alpha = sum->alpha;
    node.attributes.beta = sum->beta;
    node.inputs = program[id].inputs;
    node.inputs.push_back(sum->addend);
  }
  return program;
}

}  // namespace tape
