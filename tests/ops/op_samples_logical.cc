// The rows of ops/logical.cc (op_samples.h).
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

// Of two operands, of which a third is 0.
void AddTwofold(SampleTable* table) {
  // Every byte but 0 holds: 2 and 1 are both true, though they share no bit.
  const std::vector<double> bytes = {0, 1, 2, 127, 128, 254, 255};
  for (const auto& [name, f] :
       std::vector<std::pair<const char*, Var (*)(Var, Var, Loc)>>{
           {"And", And}, {"Or", Or}, {"Xor", Xor}}) {
    AddBinaryRows(
        {.name = name, .f = f, .operands = {Bytes({}, 0, 3)}, .compares = true},
        table);
    table->Add({.op = name,
                .name = "bytes",
                .inputs = {Given({7, 1}, bytes, DType::kUint8),
                           Given(bytes, DType::kUint8)},
                .build = Binary(f),
                .output = Byte({7, 7}),
                .differentiated = Differentiated::kRefused});
    table->AddError(
        name, "float32", {Byte({2}), Float({2})}, Binary(f),
        absl::StrCat(name,
                     ": expected uint8, found float32 (lhs uint8[2] is input "
                     "\"x0\", x.cc:0; rhs [2] is input \"x1\", x.cc:1)"));
    table->AddError(
        name, "shapes", {Byte({2, 3}), Byte({4})}, Binary(f),
        absl::StrCat(name,
                     ": shapes [2,3] and [4] do not broadcast: axis -1 is 3 "
                     "against 4 (lhs uint8[2,3] is input \"x0\", x.cc:0; rhs "
                     "uint8[4] is input \"x1\", x.cc:1)"));
  }
}

void AddNot(SampleTable* table) {
  for (const auto& [name, input] :
       std::vector<std::pair<const char*, SampleInput>>{
           {"ordinary", Bytes({3, 5}, 0, 2)},
           {"scalar", Bytes({}, 0, 2)},
           {"empty", Bytes({0, 3})},
           {"batch", Bytes({kBatch, 3}, 0, 2)},
           {"blocks", Bytes({5, 211}, 0, 2)},
           {"chunks", Bytes({3, 100003}, 0, 2)},
           {"bytes", Given({0, 1, 2, 127, 128, 255}, DType::kUint8)}}) {
    table->Add({.op = "Not",
                .name = name,
                .inputs = {input},
                .build = Unary(Not),
                .output = Byte(input.shape),
                .differentiated = Differentiated::kRefused});
  }
  table->AddError("Not", "int32", {Int({2})}, Unary(Not),
                  "Not: expected uint8, found int32 (x int32[2] is input "
                  "\"x0\", x.cc:0)");
}

}  // namespace

void AddLogicalSamples(SampleTable* table) {
  AddTwofold(table);
  AddNot(table);
}

}  // namespace tape::samples
