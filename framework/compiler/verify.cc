// The verifier (verify.h).
#include "framework/compiler/verify.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/check.h"
#include "framework/core/exceptions.h"
#include "framework/core/memory.h"

namespace tape {

void Verify(const Program& program, absl::string_view after) {
  TAPE_CHECK_EQ(program.nodes.size(), program.tape_ids.size());
  for (int id = 0; id < program.size(); ++id) {
    for (int input : program[id].inputs) {
      TAPE_CHECK_LE(0, input);
      TAPE_CHECK_LT(input, id);
    }
  }
  for (int fetch : program.fetches) TAPE_CHECK_LT(fetch, program.size());
  for (const Program::Update& update : program.updates) {
    TAPE_CHECK_LT(update.value, program.size());
  }
  const absl::Status types = CheckTypes(
      program, after.empty() ? "" : absl::StrCat(", after the pass ", after));
  if (!types.ok()) throw StatusError(absl::InternalError(types.message()));
}

void VerifyGroups(const Program& program, const std::vector<Group>& groups) {
  std::vector<int> times(program.size(), 0);
  for (const Group& group : groups) {
    for (int id : group.nodes) ++times[id];
    for (int id : group.sums) ++times[id];
    if (group.product != kNone) ++times[group.product];
  }
  for (int id = 0; id < program.size(); ++id) {
    TAPE_CHECK_EQ(times[id], IsComputed(program[id]) ? 1 : 0);
  }
}

void VerifySteps(const Program& program, const std::vector<Step>& steps) {
  const std::vector<int> storages = program.Storages();
  std::vector<bool> is_there(program.size(), false);
  for (int id = 0; id < program.size(); ++id) {
    is_there[id] = program[id].op->traits.source;
  }
  for (const Step& step : steps) {
    for (int input : step.inputs) TAPE_CHECK(is_there[storages[input]]);
    for (int output : step.outputs) is_there[output] = true;
  }
  for (int fetch : program.fetches) TAPE_CHECK(is_there[storages[fetch]]);
  for (const Program::Update& update : program.updates) {
    TAPE_CHECK(is_there[storages[update.value]]);
  }
}

void VerifyMemory(const Program& program, const MemoryPlan& memory) {
  TAPE_CHECK_EQ(memory.places.size(), program.nodes.size());
  for (int id = 0; id < program.size(); ++id) {
    const Place& place = memory.places[id];
    if (place.kind != Place::kArena) continue;
    TAPE_CHECK_EQ(place.offset % kAlignment, size_t{0});
    TAPE_CHECK_LE(place.offset + static_cast<size_t>(program[id].type.bytes()),
                  memory.arena_bytes);
  }
}

}  // namespace tape
