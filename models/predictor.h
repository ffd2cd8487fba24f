// A trained model, from the file that a run left, that takes images for
// classes:
//
//   absl::StatusOr<ImagePredictor> model = ImagePredictor::Load("run/model.safetensors");
//   absl::StatusOr<Images> images = ReadImages("digits.png");
//   absl::StatusOr<Predictions> found = model->Predict(images->pixels);
//
// (with a look at each status). Tested by tests/models/predictor_test.cc.
#ifndef TAPE_MODELS_PREDICTOR_H_
#define TAPE_MODELS_PREDICTOR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/core/graph.h"
#include "framework/core/tensor.h"
#include "framework/runtime/plan.h"
#include "framework/train/trainer.h"
#include "models/experiment.h"
#include "models/model_file.h"

namespace tape {

struct ClassProbability {
  int label;
  float probability;
};

// Of n images.
struct Predictions {
  Tensor classes;        // int32 [n]: what each is taken for.
  Tensor probabilities;  // float32 [n, classes]: of each class; sums are 1.

  int64_t size() const { return classes.shape()[0]; }
  // What image `i` is taken for, and then the next classes in the order of
  // their probabilities, of equal ones the lower first: `count` in all, at most
  // as many as there are. Of an image that is not there it is a misuse
  // (misuse.h), and gives none.
  std::vector<ClassProbability> Top(int64_t i, int count,
                                    Loc loc = Loc::Current()) const;
};

struct ImagePredictorOptions {
  int threads = 0;  // As CompileOptions::threads.
};

// For one thread.
class ImagePredictor {
 public:
  // The model of a safetensors file, be it a run's model or a checkpoint: its
  // metadata's "experiment", "variant" and "pixels" say what to declare
  // (run_record.h), and its arrays bear the names of the parameters. A
  // checkpoint's weights are those of its last step. Of a run's folder, its
  // model.safetensors; if there is none yet, the newest checkpoint that is
  // sound: path() and notes() tell. Products are of the run's precision, where
  // the processor has it.
  //
  // Errors, all of which name the file: those of ReadSafetensors; kNotFound if
  // a folder has neither, or the experiment is unknown; kInvalidArgument if a
  // parameter is missing, or of another shape or type than the model's;
  // kFailedPrecondition if a parameter is not finite, or if the model scores an
  // image by the other images of its batch.
  static absl::StatusOr<ImagePredictor> Load(
      const std::string& path, ImagePredictorOptions options = {});
  // The same of a file that has been read.
  static absl::StatusOr<ImagePredictor> Make(
      ModelFile file, ImagePredictorOptions options = {});

  // Of uint8 [n, pixels], grey levels 0 to 255 as the model was trained on.
  // kInvalidArgument if they are of another type or number of pixels;
  // kFailedPrecondition if a probability is not finite: the model is useless.
  absl::StatusOr<Predictions> Predict(const Tensor& images);

  const Experiment& experiment() const { return *experiment_; }
  // The file that was read.
  const std::string& path() const { return path_; }
  // What a user should know of the choice of that file, a line each: that the
  // run has not finished, or has gone on since; that the precision is another.
  const std::vector<std::string>& notes() const { return notes_; }
  // Why newer checkpoints than that were not.
  const std::vector<absl::Status>& skipped_checkpoints() const {
    return skipped_checkpoints_;
  }
  int64_t pixels() const;  // Of an image.
  // Of pixels in an image; 0 if the model's file does not tell.
  int64_t rows() const { return rows_; }
  int classes() const;

 private:
  ImagePredictor(std::unique_ptr<Graph> graph, const Classifier& model,
                 Var probabilities, Plan plan)
      : graph_(std::move(graph)),
        model_(model),
        probabilities_(probabilities),
        plan_(std::move(plan)) {}

  const Experiment* experiment_ = nullptr;
  std::string path_;
  std::vector<std::string> notes_;
  std::vector<absl::Status> skipped_checkpoints_;
  std::unique_ptr<Graph> graph_;
  Classifier model_;
  int64_t rows_ = 0;
  Var probabilities_;
  Plan plan_;
};

}  // namespace tape

#endif  // TAPE_MODELS_PREDICTOR_H_
