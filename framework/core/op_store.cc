// OpStore (op_store.h). Tested by tests/core/handles_test.cc.
#include "framework/core/op_store.h"

#include <link.h>

#include <cstdint>
#include <utility>

#include "absl/strings/string_view.h"

namespace tape {
namespace {

// Whether `address` is within what the loader has mapped of the program and its
// libraries: their constants and static variables, not the stack or the heap.
bool IsStatic(const void* address) {
  struct Search {
    uintptr_t address;
    bool found;
  };
  Search search = {reinterpret_cast<uintptr_t>(address), false};
  const auto look = [](dl_phdr_info* object, size_t, void* data) {
    auto* const search = static_cast<Search*>(data);
    for (int i = 0; i < object->dlpi_phnum; ++i) {
      const auto& segment = object->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD) continue;
      const uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
      if (search->address - begin < segment.p_memsz) search->found = true;
    }
    return search->found ? 1 : 0;
  };
  dl_iterate_phdr(look, &search);
  return search.found;
}

}  // namespace

const char* OpStore::KeepText(const char* text) {
  if (text == nullptr || IsStatic(text)) return text;
  for (const std::string& kept : texts_) {
    if (kept == text) return kept.c_str();
  }
  return texts_.emplace_back(text).c_str();
}

const OpDef& OpStore::Keep(const OpDef& op) {
  if (lasting_.contains(&op)) return op;
  if (IsStatic(&op)) {
    lasting_.insert(&op);
    return op;
  }
  for (const OpDef& copy : copies_) {
    if (&copy == &op) return op;
  }
  OpDef copy = op;
  copy.name = KeepText(op.name);
  for (const char*& operand : copy.operands) operand = KeepText(operand);
  // Ops that it names only make it faster: those that may go are left out.
  if (!IsStatic(op.traits.fused_add)) copy.traits.fused_add = nullptr;
  if (!IsStatic(op.traits.low_precision.cast)) copy.traits.low_precision = {};
  if (!IsStatic(op.traits.of_bytes)) copy.traits.of_bytes = nullptr;
  for (const OpDef& kept : copies_) {
    if (kept == copy) return kept;
  }
  return copies_.emplace_back(copy);
}

}  // namespace tape
