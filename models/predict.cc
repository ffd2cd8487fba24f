// predict: takes images for classes, by a model that train left in its run
// directory; see --help. Tested by tests/models/predict_program_test.cc.
#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "framework/core/text.h"
#include "framework/data/images.h"
#include "framework/io/files.h"
#include "models/predictor.h"
#include "models/program.h"
#include "nlohmann/json.hpp"

ABSL_FLAG(std::string, checkpoint, "",
          "the model: a safetensors file that train wrote, a model or a "
          "checkpoint; or a run directory, whose model it then is, or else its "
          "newest checkpoint that is sound");
ABSL_FLAG(std::string, images, "",
          "what to predict: an IDX file, plain or gzipped; a CSV file with a "
          "row of grey levels for each image, perhaps after a label, which is "
          "passed over, and perhaps below a header; a greyscale PNG file; or a "
          "folder of these");
ABSL_FLAG(int, top, 1,
          "how many classes to print for each image, the likeliest first; by "
          "default 1");
ABSL_FLAG(bool, json, false, "print a line of JSON for each image");
ABSL_FLAG(std::optional<int>, threads, std::nullopt,
          "how many threads to use; by default all processors");

namespace tape {
namespace {

constexpr char kUsage[] =
    "Prints a line for each image: its name, or its index from 0 on, and the "
    "class it\nis taken for with its probability.\n\n"
    "  predict --checkpoint=RUN_DIR --images=DIR       a folder of PNG images\n"
    "  predict --checkpoint=FILE --images=FILE --top=3 --json\n\n"
    "Of a run directory, stderr says which of its files was read. Exits with "
    "0\n"
    "if all images are printed, else with 1, after an error on stderr: an "
    "image\n"
    "that cannot be read; a model that is damaged, or of no use.";

constexpr ShownFlag kFlags[] = {{"checkpoint", "FILE"},
                                {"images", "PATH"},
                                {"top", "K"},
                                {"json", ""},
                                {"threads", "N"}};

// As lines: "00017.png  9 0.9812  7 0.0151".
void PrintText(const Images& images, const Predictions& predictions, int top) {
  // Names of files may hold anything.
  std::vector<std::string> names;
  size_t width = 0;
  for (const std::string& name : images.names) {
    names.push_back(Printable(name));
    width = std::max(width, names.back().size());
  }
  for (int64_t i = 0; i < predictions.size(); ++i) {
    absl::PrintF("%-*s", width, names[i]);
    for (const auto& [label, probability] : predictions.Top(i, top)) {
      absl::PrintF("  %d %.4f", label, probability);
    }
    absl::PrintF("\n");
  }
}

// As lines:
//   {"image":"00017.png","class":9,"probability":0.98,
//    "top":[{"class":9,"probability":0.98},…]}      ("top" if asked for)
void PrintJson(const Images& images, const Predictions& predictions, int top) {
  using Json = nlohmann::ordered_json;
  for (int64_t i = 0; i < predictions.size(); ++i) {
    Json classes = Json::array();
    for (const auto& [label, probability] : predictions.Top(i, top)) {
      classes.push_back({{"class", label}, {"probability", probability}});
    }
    // JSON has no bytes that are not UTF-8, and names must stay apart.
    const std::string& name = images.names[i];
    Json line = {{"image", IsUtf8(name) ? name : Printable(name)}};
    line.update(classes[0]);
    if (top > 1) line["top"] = classes;
    absl::PrintF("%s\n", line.dump());
  }
}

absl::Status Main(int argc, char** argv) {
  if (absl::Status status = ParseFlags(argc, argv, kUsage, kFlags);
      !status.ok()) {
    return status;
  }
  const std::string checkpoint = absl::GetFlag(FLAGS_checkpoint);
  if (checkpoint.empty()) {
    return WrongFlag("checkpoint", "a model's file or a run directory", "none");
  }
  const std::string path = absl::GetFlag(FLAGS_images);
  if (path.empty()) {
    return WrongFlag("images", "a file or folder of images", "none");
  }
  const absl::StatusOr<int> threads =
      ThreadsFromFlag(absl::GetFlag(FLAGS_threads));
  if (!threads.ok()) return threads.status();

  absl::StatusOr<Predictor> model =
      Predictor::Load(checkpoint, {.threads = *threads});
  if (!model.ok()) return model.status();
  const int top = absl::GetFlag(FLAGS_top);
  if (top < 1 || top > model->classes()) {
    return WrongFlag("top", absl::StrCat("1 to ", model->classes()),
                     absl::StrCat(top));
  }
  const absl::StatusOr<Images> images = ReadImages(path);
  if (!images.ok()) return images.status();
  if (images->rows > 0 && model->rows() > 0 && images->rows != model->rows()) {
    return WrongData(path,
                     absl::StrCat("images of ", model->rows(), " rows, as ",
                                  model->experiment().name, " was trained on"),
                     absl::StrCat(images->rows));
  }
  const absl::StatusOr<Predictions> predictions =
      model->Predict(images->pixels);
  if (!predictions.ok()) {
    // What the model cannot do names its own file.
    if (!absl::IsInvalidArgument(predictions.status())) {
      return predictions.status();
    }
    return absl::Status(
        predictions.status().code(),
        absl::StrCat(path, ": ", predictions.status().message()));
  }
  for (const absl::Status& status : model->skipped_checkpoints()) {
    absl::FPrintF(stderr, "passed over: %s\n", Printable(status.message()));
  }
  // Of a folder, or if there is more to say of it, the file that was read.
  if (model->path() != checkpoint || !model->notes().empty()) {
    const std::string notes = absl::StrJoin(model->notes(), "; ");
    absl::FPrintF(stderr, "model: %s%s%s\n", Printable(model->path()),
                  notes.empty() ? "" : ", ", notes);
  }
  if (absl::GetFlag(FLAGS_json)) {
    PrintJson(*images, *predictions, top);
  } else {
    PrintText(*images, *predictions, top);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  return tape::ExitCode([&] { return tape::Main(argc, argv); });
}
