// Metrics that are no means of batches (ModelMetric, model.h): each is added up
// over all samples of a pass. Tested by tests/train/model_test.cc against
// scikit-learn's figures.
#ifndef TAPE_FRAMEWORK_TRAIN_ACCUMULATORS_H_
#define TAPE_FRAMEWORK_TRAIN_ACCUMULATORS_H_

#include <cstdint>
#include <string>

#include "framework/train/model.h"

namespace tape {

// A mean of what the graph computes of each batch: float32 or int32 of rank 0.
ModelMetric MeanOf(std::string name, Var number);

// Of float32 predictions and targets of one shape [batch, …]; each element counts.
// sqrt(mean (predicted - target)^2)
ModelMetric RootMeanSquaredError(std::string name, Var predicted, Var target);
// 1 - sum (predicted - target)^2 / sum (target - mean target)^2, the coefficient
// of determination: 1 for perfect predictions, 0 for those of the mean. Of equal
// targets 1 if all are met, else 0, as scikit-learn has it.
ModelMetric R2(std::string name, Var predicted, Var target);

// Of scores [batch, classes] and int32 labels [batch]: the fraction of samples
// whose label is among the k largest scores. Of equal scores the lower class is
// taken first.
ModelMetric TopKAccuracy(std::string name, Var scores, Var labels, int k);

// Of scores [batch] or [batch, 1], larger for class 1, and int32 labels [batch]
// of 0 and 1: the area under the ROC curve, the probability that a sample of
// class 1 has a larger score than one of class 0, ties counting half. NaN of one
// class alone. Keeps all scores.
ModelMetric AreaUnderRoc(std::string name, Var scores, Var labels);

// Of int32 predictions and labels, both [batch], of classes 0 … classes - 1: the
// mean over the classes that occur, as MakeClassificationReport has them.
enum class ClassScore { kPrecision, kRecall, kF1 };
ModelMetric MacroAverage(std::string name, ClassScore score, Var predicted,
                         Var labels, int classes);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_ACCUMULATORS_H_
