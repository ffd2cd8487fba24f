// The numbers of a graph, for tests that two of them are the same to the bit.
#ifndef TAPE_TESTS_TRAIN_VARIABLE_BYTES_H_
#define TAPE_TESTS_TRAIN_VARIABLE_BYTES_H_

#include <string>

#include "framework/core/graph.h"
#include "framework/core/tensor.h"

namespace tape {

// The bytes of all variables, in the order of their declaration.
inline std::string VariableBytes(const Graph& graph) {
  std::string bytes;
  for (int i = 0; i < graph.variables().size(); ++i) {
    const Tensor& value = graph.variables()[i].value;
    bytes.append(static_cast<const char*>(value.data()), value.type().bytes());
  }
  return bytes;
}

}  // namespace tape

#endif  // TAPE_TESTS_TRAIN_VARIABLE_BYTES_H_
