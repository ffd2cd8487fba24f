// The program gan.cc of models/examples in libtorch.
#include <torch/torch.h>

#include <cstdio>
#include <cstdlib>
#include <numbers>

constexpr int kPoints = 256, kNoise = 8, kUnits = 64;

// A perceptron with two hidden layers.
torch::nn::Sequential MakeNet(int inputs, int outputs) {
  const torch::nn::LeakyReLUOptions slope =
      torch::nn::LeakyReLUOptions().negative_slope(0.2);
  return torch::nn::Sequential(
      torch::nn::Linear(inputs, kUnits), torch::nn::LeakyReLU(slope),
      torch::nn::Linear(kUnits, kUnits), torch::nn::LeakyReLU(slope),
      torch::nn::Linear(kUnits, outputs));
}

int main(int argc, char** argv) {
  const int steps = argc > 1 ? std::atoi(argv[1]) : 4000;
  torch::manual_seed(0);
  torch::nn::Sequential generator = MakeNet(kNoise, 2),
                        discriminator = MakeNet(2, 1);
  std::vector<torch::Tensor> averages;
  for (const auto& one : generator->parameters())
    averages.push_back(one.detach().clone());
  const auto options = torch::optim::AdamOptions(1e-3).betas({0.5, 0.999});
  torch::optim::Adam of_generator(generator->parameters(), options);
  torch::optim::Adam of_discriminator(discriminator->parameters(), options);
  for (int step = 0; step < steps; ++step) {
    const auto angle = 2 * std::numbers::pi * torch::rand({kPoints, 1});
    const auto real = 2 * torch::cat({angle.cos(), angle.sin()}, 1);
    const auto fake = generator->forward(torch::randn({kPoints, kNoise}));
    of_discriminator.zero_grad();
    const auto d_loss =
        torch::softplus(-discriminator->forward(real)).mean() +
        torch::softplus(discriminator->forward(fake.detach())).mean();
    d_loss.backward();
    of_discriminator.step();
    of_generator.zero_grad();
    const auto made = generator->forward(torch::randn({kPoints, kNoise}));
    torch::softplus(-discriminator->forward(made)).mean().backward();
    of_generator.step();
    const torch::NoGradGuard no_gradients;
    for (size_t i = 0; i < averages.size(); ++i) {
      averages[i].lerp_(generator->parameters()[i], 0.01);
    }
  }

  const torch::NoGradGuard no_gradients;
  for (size_t i = 0; i < averages.size(); ++i) {
    generator->parameters()[i].copy_(averages[i]);
  }
  const auto points = generator->forward(torch::randn({kPoints, kNoise}));
  for (int i = 0; i < kPoints; ++i) {
    std::printf("%.4f,%.4f\n", points[i][0].item<float>(),
                points[i][1].item<float>());
  }
}
