// What a plan is for. One declaration serves both: what differs between them
// stands in it in both forms (ByMode, basic_ops.h).
#ifndef TAPE_FRAMEWORK_CORE_MODE_H_
#define TAPE_FRAMEWORK_CORE_MODE_H_

namespace tape {

enum class Mode {
  kTraining,  // Dropout leaves units out, BatchNorm uses the batch's statistics.
  kInference,  // Evaluation and prediction.
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_MODE_H_
