// Trains on shards, or continues a training that was killed:
//
//   data_source_program RUN VALIDATION SHARD...
//
// VALIDATION and each SHARD are safetensors files with x [n,4] and y [n,1]. RUN
// gets checkpoints and model.safetensors. Run by data_source_kill_test.cc.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "framework/framework.h"
#include "framework/serving/saved_model.h"
#include "models/examples/or_exit.h"
#include "ops/ops.h"

using tape::OrExit;

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "expected RUN VALIDATION SHARD...\n");
    return 1;
  }
  const std::string folder = argv[1];
  auto held_out = OrExit(tape::ShardedSource::Open({argv[2]}));
  auto shards = OrExit(tape::ShardedSource::Open({argv + 3, argv + argc}));
  tape::Graph g;
  tape::Var x = g.Input("x", {tape::kBatch, 4});
  tape::Var y = g.Input("y", {tape::kBatch, 1});
  tape::Var h = MatMul(x, g.Parameter("w1", {4, 16}, tape::He()));
  h = Dropout(Relu(BatchNorm(h, "norm")), 0.2);
  tape::Var predicted = MatMul(h, g.Parameter("w2", {16, 1}, tape::Glorot()));
  tape::Var loss = MeanSquaredError(predicted, y);
  tape::ReduceOnPlateau plateau(
      {.rate = 0.05, .factor = 0.5, .patience = 1, .threshold = 0.5});
  const tape::Model model = {
      .graph = &g,
      .feeds = {{x, "x"}, {y, "y"}},
      .loss = loss,
      .updates = tape::Chain(tape::AverageWeights(0.9),
                             tape::Adam({.learning_rate = plateau.schedule()}))
                     .Apply(g.parameters(), Gradients(loss, g.parameters())),
      .outputs = {{"predicted", predicted}}};

  tape::CheckpointFolder checkpoints(folder, /*keep=*/2);
  tape::TrainOptions options = {.epochs = 8,
                                .batches = {.batch_size = 16, .seed = 5},
                                .evaluate_with = tape::AveragedWeights(g),
                                .threads = 1,
                                .checkpoint_every = {.steps = 7}};
  options.save = [&](auto& state) { return checkpoints.Save(g, state, {}); };
  options.after_epoch = [&](const tape::EpochResult& epoch) {
    plateau.Observe(epoch.validation->loss);
    return tape::AfterStep::kGoOn;
  };
  std::vector<absl::Status> damaged;
  OrExit(checkpoints.RemoveUnfinished());
  const auto newest = OrExit(checkpoints.Newest(damaged));
  for (const absl::Status& status : damaged) OrExit(status);
  tape::TrainingState state;
  if (newest) {
    state = OrExit(Restore(*newest, g));
    options.resume_from = &state;
    std::fprintf(stderr, "continues after step %" PRId64 "\n", state.step);
  }
  tape::Progress progress(nullptr, options.epochs, shards.size());
  const auto result =
      OrExit(Train(model,
                   tape::SourceSplits{
                       .train = &shards,
                       .window = 37,
                       .validation = OrExit(held_out.Read(0, held_out.size()))},
                   options, progress));
  OrExit(tape::SaveModel(folder + "/model.safetensors", model, {},
                         {.replace = options.evaluate_with}));
  std::printf("steps %" PRId64 ", rate %g\n", result.step,
              result.kept.train.learning_rate);
}
