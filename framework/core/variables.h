// Variables: the numbers that outlive a step. Parameters, optimiser state and
// constants live here, not in the graph's nodes and not in a plan, so that
// every plan compiled from a graph sees the same ones. A variable's memory stays
// where it is, since plans have its address. Tested by tests/core/graph_test.cc and
// tests/core/handles_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_VARIABLES_H_
#define TAPE_FRAMEWORK_CORE_VARIABLES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/core/tensor.h"
#include "framework/core/tensor_type.h"

namespace tape {

// What a variable is to the consumers of gradients.
enum class Tag {
  kAuto,    // At declaration: kWeight for two or more axes, else kBias.
  kWeight,  // A trained parameter that multiplies.
  kBias,    // A trained parameter that adds.
  kState,  // Not trained: a moment, a counter, a running statistic, a constant.
};

// "weight", "bias", "state".
const char* Name(Tag tag);

struct Variable {
  std::string name;  // Unique in its graph.
  Tag tag;
  Tensor value;
  // A state of the training alone, such as a moment or a step counter: no part
  // of the model (Graph::TrainingScope).
  bool of_training = false;
};

class Variables {
 public:
  // Adds one and returns its index. The name must be free.
  int Add(Variable variable);
  // The index of the variable of that name, or -1.
  int Find(absl::string_view name) const;

  int size() const { return static_cast<int>(variables_.size()); }
  // References stay valid as variables are added. An index from 0 to size() -
  // 1.
  const Variable& operator[](int index) const { return variables_[index]; }
  // The numbers of one, to be written.
  void* memory(int index) { return variables_[index].value.data(); }

  // A new value for the variable of that index, of its type.
  struct NewValue {
    int index;
    TensorView value;
  };
  // Copies them into the memory that is there, which plans hold on to. Returns
  // false, and copies nothing, while a run uses the variables.
  [[nodiscard]] bool Assign(absl::Span<const NewValue> values);

  // How many runs that write have begun. While it stays the same, so do all
  // values. Asked for during a run.
  int64_t version() const { return version_; }

  // While one lives, the variables are in use: by any number who only read, or
  // by one who writes. Runs of the process that this one was forked from do not
  // count.
  class Run {
   public:
    Run(Variables& variables, bool writes);
    ~Run();
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;
    // False if somebody else is in the way; then nothing may be done.
    bool may_begin() const { return may_begin_; }

   private:
    Variables& variables_;
    const int process_;
    const bool writes_;
    bool may_begin_;
  };

 private:
  static constexpr int kWriting = -1;

  // The runs of a process. One word, so that it is changed at once.
  struct alignas(2 * sizeof(int)) Runs {
    int process = 0;
    int count = 0;  // That read, or kWriting.
  };
  std::atomic<Runs> runs_ = Runs();
  int64_t version_ = 0;  // Written by runs that write, so by one at a time.
  std::deque<Variable> variables_;
  std::map<std::string, int, std::less<>> index_of_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_VARIABLES_H_
