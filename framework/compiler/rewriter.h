// What passes over a program that walk it from the front have in common. Tested
// through them, by tests/compiler/passes_test.cc and tests/compiler/simplify_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_REWRITER_H_
#define TAPE_FRAMEWORK_COMPILER_REWRITER_H_

#include <utility>
#include <vector>

#include "framework/runtime/program.h"

namespace tape {

// Builds a rewritten program while walking the old one from the front.
class Rewriter {
 public:
  explicit Rewriter(Program old)
      : old_(std::move(old)), new_id_(old_.size(), kNone) {
    new_.nodes.reserve(old_.size());
    new_.tape_ids.reserve(old_.size());
  }

  const Program& old() const { return old_; }
  // The new program, as far as it is made.
  const Program& so_far() const { return new_; }
  // The new node that stands for old node `id`.
  int New(int id) const { return new_id_[id]; }
  const Node& NewNode(int id) const { return new_.nodes[new_id_[id]]; }

  // The old node with its inputs renumbered.
  Node Renumbered(int id) const {
    Node node = old_[id];
    for (int& input : node.inputs) input = New(input);
    return node;
  }
  int Add(Node node, int tape_id) {
    new_.nodes.push_back(std::move(node));
    new_.tape_ids.push_back(tape_id);
    return new_.size() - 1;
  }
  void Keep(int id) { new_id_[id] = Add(Renumbered(id), old_.tape_ids[id]); }
  void Replace(int id, int new_id) { new_id_[id] = new_id; }

  // The new program, with the old one's fetches and updates.
  Program Finish() {
    for (int fetch : old_.fetches) new_.fetches.push_back(New(fetch));
    for (const Program::Update& update : old_.updates) {
      new_.updates.push_back({update.variable, New(update.value)});
    }
    return std::move(new_);
  }

 private:
  Program old_;
  Program new_;
  std::vector<int> new_id_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_REWRITER_H_
