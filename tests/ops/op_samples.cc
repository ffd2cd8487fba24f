// The sample table (op_samples.h): its families put together, and what makes
// operands of rows. Used by tests/ops/op_test.cc and bench/op_bench.cc.
#include "tests/ops/op_samples.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "framework/core/check.h"
#include "framework/core/random.h"
#include "tests/ops/op_samples_internal.h"

namespace tape {
namespace {

const samples::SampleTable& Table() {
  static const auto* const table = [] {  // Never destroyed.
    auto* const table = new samples::SampleTable;
    samples::AddElementwiseSamples(table);
    samples::AddActivationSamples(table);
    samples::AddPowerSamples(table);
    samples::AddCompareSamples(table);
    samples::AddLogicalSamples(table);
    samples::AddMatMulSamples(table);
    samples::AddBatchMatMulSamples(table);
    samples::AddReduceSamples(table);
    samples::AddExtremumSamples(table);
    samples::AddScanSamples(table);
    samples::AddSoftmaxSamples(table);
    samples::AddLayoutSamples(table);
    samples::AddTransposeSamples(table);
    samples::AddSliceSamples(table);
    samples::AddIndexSamples(table);
    samples::AddRandomSamples(table);
    samples::AddNormaliseSamples(table);
    samples::AddLossSamples(table);
    samples::AddCoreSamples(table);
    samples::AddCalculusSamples(table);
    return table;
  }();
  return *table;
}

template <typename T>
Tensor Rounded(const TensorType& type, const std::vector<double>& values) {
  Tensor tensor(type);
  TAPE_CHECK_EQ(tensor.elements(), static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    tensor.values<T>()[i] = static_cast<T>(values[i]);
  }
  return tensor;
}

}  // namespace

const std::vector<OpSample>& OpSamples() { return Table().samples; }

const std::vector<OpErrorSample>& OpErrorSamples() { return Table().errors; }

Loc OperandLoc(int index) { return {"x.cc", index}; }

Tensor SampleValues(const OpSample& sample, int index, int64_t batch) {
  const SampleInput& input = sample.inputs[index];
  const TensorType type = {input.dtype, input.shape.Bind(batch)};
  std::vector<double> values = input.values;
  if (values.empty()) {
    values.resize(type.shape.elements());
    RandomStream random(
        /*seed=*/0, StreamOf(absl::StrCat(sample.op, "/", sample.name, index)));
    for (double& value : values) {
      value = input.low + (input.high - input.low) * random.Uniform();
      if (input.draw == Draw::kIntegers) value = std::floor(value);
      if (input.draw == Draw::kEitherSign && random.Below(2) == 0) {
        value = -value;
      }
    }
  }
  switch (input.dtype) {
    case DType::kInt32:
      return Rounded<int32_t>(type, values);
    case DType::kUint8:
      return Rounded<uint8_t>(type, values);
    case DType::kBFloat16:
      return Rounded<BFloat16>(type, values);
    default:
      return Rounded<float>(type, values);
  }
}

SampleOperands DeclareOperands(Graph* graph, const OpSample& sample) {
  SampleOperands operands = {.graph = graph, .x = {}, .loc = kSampleLoc};
  for (size_t i = 0; i < sample.inputs.size(); ++i) {
    const SampleInput& input = sample.inputs[i];
    operands.x.push_back(graph->Input(absl::StrCat("x", i), input.shape,
                                      input.dtype, OperandLoc(i)));
  }
  return operands;
}

}  // namespace tape
