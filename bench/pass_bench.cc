// pass_bench: elementwise passes alone, on one thread: as machine code, by their
// ops' blocks (framework/runtime/elementwise.h), and as a loop of intrinsics that
// does the same operations, for the best instruction set of the processor or, with
// the argument avx2, for AVX2.
//
//   bazel run -c opt //bench:pass_bench [-- avx2]
//
// Microseconds a pass: the minimum of 30 rounds of some 20 ms (rounds.h), which
// take turns.
#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/rounds.h"
#include "framework/core/tensor.h"
#include "framework/runtime/elementwise.h"
#include "ops/vector.h"

namespace tape {
namespace {

constexpr float kBeta1 = 0.9f, kBeta2 = 0.999f, kEpsilon = 1e-7f, kRate = 1e-3f;

// What Adam and momentum work on; m and v are Adam's moments.
struct Arrays {
  explicit Arrays(int64_t count)
      : parameter(count, 1), gradient(count, 0.5f), m(count), v(count) {}

  std::vector<float> parameter, gradient, m, v;
  float correction1 = 1.5f, correction2 = 1.2f;
};

// ---- By hand ----

#define TAPE_ADAM(name, isa, bits, V)                                    \
  __attribute__((target(isa))) void name(Arrays& of) {                   \
    const int64_t count = of.parameter.size();                           \
    const V b1 = _mm##bits##_set1_ps(kBeta1);                            \
    const V c1 = _mm##bits##_set1_ps(1 - kBeta1);                        \
    const V b2 = _mm##bits##_set1_ps(kBeta2);                            \
    const V c2 = _mm##bits##_set1_ps(1 - kBeta2);                        \
    const V k1 = _mm##bits##_set1_ps(of.correction1);                    \
    const V k2 = _mm##bits##_set1_ps(of.correction2);                    \
    const V epsilon = _mm##bits##_set1_ps(kEpsilon);                     \
    const V rate = _mm##bits##_set1_ps(kRate);                           \
    constexpr int kLanes = sizeof(V) / sizeof(float);                    \
    for (int64_t i = 0; i + kLanes <= count; i += kLanes) {              \
      const V g = _mm##bits##_loadu_ps(&of.gradient[i]);                 \
      const V m = _mm##bits##_add_ps(                                    \
          _mm##bits##_mul_ps(b1, _mm##bits##_loadu_ps(&of.m[i])),        \
          _mm##bits##_mul_ps(c1, g));                                    \
      const V v = _mm##bits##_add_ps(                                    \
          _mm##bits##_mul_ps(b2, _mm##bits##_loadu_ps(&of.v[i])),        \
          _mm##bits##_mul_ps(c2, _mm##bits##_mul_ps(g, g)));             \
      const V root = _mm##bits##_sqrt_ps(_mm##bits##_mul_ps(v, k2));     \
      const V u = _mm##bits##_div_ps(_mm##bits##_mul_ps(m, k1),          \
                                     _mm##bits##_add_ps(root, epsilon)); \
      const V p = _mm##bits##_loadu_ps(&of.parameter[i]);                \
      _mm##bits##_storeu_ps(&of.m[i], m);                                \
      _mm##bits##_storeu_ps(&of.v[i], v);                                \
      _mm##bits##_storeu_ps(                                             \
          &of.parameter[i],                                              \
          _mm##bits##_sub_ps(p, _mm##bits##_mul_ps(rate, u)));           \
    }                                                                    \
  }
TAPE_ADAM(AdamAvx512, "avx512f", 512, __m512)
TAPE_ADAM(AdamAvx2, "avx2", 256, __m256)

#define TAPE_MOMENTUM(name, isa, bits, V)                         \
  __attribute__((target(isa))) void name(Arrays& of) {            \
    const int64_t count = of.parameter.size();                    \
    const V b1 = _mm##bits##_set1_ps(kBeta1);                     \
    const V rate = _mm##bits##_set1_ps(kRate);                    \
    constexpr int kLanes = sizeof(V) / sizeof(float);             \
    for (int64_t i = 0; i + kLanes <= count; i += kLanes) {       \
      const V m = _mm##bits##_add_ps(                             \
          _mm##bits##_mul_ps(b1, _mm##bits##_loadu_ps(&of.m[i])), \
          _mm##bits##_loadu_ps(&of.gradient[i]));                 \
      const V p = _mm##bits##_loadu_ps(&of.parameter[i]);         \
      _mm##bits##_storeu_ps(&of.m[i], m);                         \
      _mm##bits##_storeu_ps(                                      \
          &of.parameter[i],                                       \
          _mm##bits##_sub_ps(p, _mm##bits##_mul_ps(rate, m)));    \
    }                                                             \
  }
TAPE_MOMENTUM(MomentumAvx512, "avx512f", 512, __m512)
TAPE_MOMENTUM(MomentumAvx2, "avx2", 256, __m256)

// ---- As passes ----

// Code over `count` floats, to which instructions are appended.
struct CodeOf {
  CodeOf(int64_t count, int arrays, int scalars,
         const std::vector<double>& constants) {
    code.shape = {count};
    for (int i = 0; i < arrays; ++i) {
      code.operands.push_back({DType::kFloat32, {count}});
    }
    for (int i = 0; i < scalars; ++i) {
      code.operands.push_back({DType::kFloat32, {}});
    }
    for (const double constant : constants) {
      code.constants.push_back({DType::kFloat32, constant});
    }
  }
  int Add(Block block, std::vector<int> inputs) {
    code.instructions.push_back(
        {block, {}, std::move(inputs), DType::kFloat32});
    return code.FirstResult() + static_cast<int>(code.instructions.size()) - 1;
  }

  ElementwiseCode code;
};

// Of parameter, m, v, gradient and the two corrections: m, v, parameter.
ElementwiseCode AdamCode(int64_t count) {
  CodeOf of(count, 4, 2,
            {kBeta1, 1 - kBeta1, kBeta2, 1 - kBeta2, kEpsilon, kRate});
  const int m = of.Add(vector::AddFloat, {of.Add(vector::MulFloat, {6, 1}),
                                          of.Add(vector::MulFloat, {7, 3})});
  const int v =
      of.Add(vector::AddFloat,
             {of.Add(vector::MulFloat, {8, 2}),
              of.Add(vector::MulFloat, {9, of.Add(vector::SquareFloat, {3})})});
  const int root =
      of.Add(vector::SqrtFloat, {of.Add(vector::MulFloat, {v, 5})});
  const int u = of.Add(
      vector::DivFloat,
      {of.Add(vector::MulFloat, {m, 4}), of.Add(vector::AddFloat, {root, 10})});
  const int p =
      of.Add(vector::SubFloat, {0, of.Add(vector::MulFloat, {11, u})});
  of.code.outputs = {m, v, p};
  return of.code;
}

// Of parameter, m and gradient: m, parameter.
ElementwiseCode MomentumCode(int64_t count) {
  CodeOf of(count, 3, 0, {kBeta1, kRate});
  const int m = of.Add(vector::AddFloat, {of.Add(vector::MulFloat, {3, 1}), 2});
  const int p = of.Add(vector::SubFloat, {0, of.Add(vector::MulFloat, {4, m})});
  of.code.outputs = {m, p};
  return of.code;
}

std::function<void()> CallOf(const ElementwiseCode& code,
                             ElementwiseEngine engine,
                             std::vector<const void*> inputs,
                             std::vector<void*> outputs) {
  const std::shared_ptr<Kernel> kernel = MakeElementwiseKernel(code, engine);
  const auto scratch = std::make_shared<Buffer>(kernel->scratch_bytes());
  return [=] {
    for (int chunk = 0; chunk < kernel->chunks(); ++chunk) {
      kernel->Run(chunk, {.inputs = inputs.data(),
                          .outputs = outputs.data(),
                          .scratch = scratch->data()});
    }
  };
}

void Print(const char* name, int64_t count,
           const std::vector<std::function<void()>>& calls) {
  std::vector<double> best(calls.size(),
                           std::numeric_limits<double>::infinity());
  for (int round = 0; round < 30; ++round) {
    for (size_t i = 0; i < calls.size(); ++i) {
      best[i] = std::min(best[i], TimeRound(calls[i]));
    }
  }
  std::printf("| %s, %lld | %.1f | %.1f | %.1f | %.2f |\n", name,
              static_cast<long long>(count), best[0], best[1], best[2],
              best[0] / best[2]);
}

void Main(ElementwiseEngine engine) {
  const bool wide = engine == ElementwiseEngine::kAvx512;
  std::printf(
      "| pass | machine code, us | blocks, us | by hand, us | "
      "machine code / by hand |\n|---|---|---|---|---|\n");
  for (const int64_t count : {10'000, 100'000, 1'000'000}) {
    Arrays of(count);
    const auto call = [&](ElementwiseEngine by) {
      return CallOf(AdamCode(count), by,
                    {of.parameter.data(), of.m.data(), of.v.data(),
                     of.gradient.data(), &of.correction1, &of.correction2},
                    {of.m.data(), of.v.data(), of.parameter.data()});
    };
    Print("Adam", count, {call(engine), call(ElementwiseEngine::kBlocks), [&] {
                            wide ? AdamAvx512(of) : AdamAvx2(of);
                          }});
  }
  for (const int64_t count : {10'000, 100'000, 1'000'000}) {
    Arrays of(count);
    const auto call = [&](ElementwiseEngine by) {
      return CallOf(MomentumCode(count), by,
                    {of.parameter.data(), of.m.data(), of.gradient.data()},
                    {of.m.data(), of.parameter.data()});
    };
    Print("momentum", count,
          {call(engine), call(ElementwiseEngine::kBlocks),
           [&] { wide ? MomentumAvx512(of) : MomentumAvx2(of); }});
  }
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  using tape::ElementwiseEngine;
  const ElementwiseEngine best = tape::BestElementwiseEngine();
  if (best == ElementwiseEngine::kBlocks)
    return 1;  // There is nothing to time.
  tape::Main(argc > 1 && std::string(argv[1]) == "avx2"
                 ? ElementwiseEngine::kAvx2
                 : best);
}
