// The program autoencoder.cc of models/examples in libtorch. FOLDER has images
// as IDX files without compression, the only form that libtorch reads.
#include <torch/torch.h>

#include <cstdio>
#include <cstdlib>
#include <string>

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s FOLDER CODES ENCODER\n", *argv);
    return 2;
  }
  using torch::data::datasets::MNIST;
  const auto train = MNIST(argv[1], MNIST::Mode::kTrain).images().flatten(1);
  const auto test = MNIST(argv[1], MNIST::Mode::kTest).images().flatten(1);
  const int64_t codes = std::atoi(argv[2]), pixels = train.size(1);

  torch::nn::Sequential encoder(torch::nn::Linear(pixels, 128),
                                torch::nn::ReLU(),
                                torch::nn::Linear(128, codes));
  torch::nn::Sequential decoder(torch::nn::Linear(codes, 128),
                                torch::nn::ReLU(),
                                torch::nn::Linear(128, pixels));
  std::vector<torch::Tensor> parameters = encoder->parameters();
  for (const auto& one : decoder->parameters()) parameters.push_back(one);
  torch::optim::Adam optimizer(parameters, torch::optim::AdamOptions(2e-3));
  double rmse = 0;
  for (int epoch = 1; epoch <= 3; ++epoch) {
    double sum = 0;
    for (const torch::Tensor& samples :
         torch::randperm(train.size(0)).split(128)) {
      const auto x = train.index_select(0, samples);
      optimizer.zero_grad();
      const auto loss = torch::nn::functional::binary_cross_entropy_with_logits(
          decoder->forward(encoder->forward(x)), x);
      loss.backward();
      optimizer.step();
      sum += loss.item<double>() * samples.size(0);
    }
    const torch::NoGradGuard no_gradients;
    const auto found = decoder->forward(encoder->forward(test)).sigmoid();
    rmse = torch::mse_loss(found, test).sqrt().item<double>();
    std::fprintf(stderr, "%d %.4f %.4f\n", epoch, sum / train.size(0), rmse);
  }
  torch::save(encoder, argv[3]);
  std::printf("test rmse %.4f\n", rmse);
}
