// libtorch_ops [ROWS COLUMNS]: the ops of tape_ops.cc by libtorch, on one thread,
// each by the form that writes to a tensor made once, for compare_ops.py
// (rounds.h).
#include <torch/torch.h>
#include <torch/version.h>

#include <string>
#include <vector>

#include "bench/rounds.h"

namespace {

tape::TimedCalls Calls(tape::MatrixSize size) {
  at::set_num_threads(1);
  const int64_t rows = size.rows, columns = size.columns;
  const auto floats = [=](double low, double high) {
    return at::rand({rows, columns}) * (high - low) + low;
  };
  const at::Tensor x = floats(-1, 1), b = floats(-1, 1), gy = floats(-1, 1);
  const at::Tensor positive = floats(0.1, 2), row = at::rand({columns}) * 2 - 1;
  const at::Tensor labels = at::randint(columns, {rows}, at::kLong);
  const at::Tensor indices = at::randint(rows, {rows}, at::kLong);
  const at::Tensor condition = at::randint(2, {rows, columns}, at::kLong) == 1;
  const at::Tensor exponential = at::exp(x);
  const auto empty = [] { return at::empty({0}); };
  at::Tensor y = at::empty({rows, columns});
  tape::TimedCalls calls;
  const auto add = [&](const std::string& name, auto call) {
    at::Tensor out = empty(), other = empty();
    calls[name] = [=]() mutable { call(out, other); };
  };
#define ADD(name, ...)                                \
  add(name, [=](at::Tensor& out, at::Tensor& other) { \
    (void)other;                                      \
    __VA_ARGS__;                                      \
  })
  ADD("relu", at::clamp_min_out(out, x, 0));
  ADD("sigmoid", at::sigmoid_out(out, x));
  ADD("tanh", at::tanh_out(out, x));
  ADD("gelu", at::gelu_out(out, x));
  ADD("silu", at::silu_out(out, x));
  ADD("softplus", at::softplus_out(out, x));
  ADD("softmax", at::_softmax_out(out, x, 1, false));
  ADD("log_softmax", at::_log_softmax_out(out, x, 1, false));
  ADD("layer_norm", at::native_layer_norm(x, {columns}, row, row, 1e-5));
  // Each with its value.
  ADD("gradient/relu", at::clamp_min_out(other, x, 0),
      at::threshold_backward_out(out, gy, x, 0));
  ADD("gradient/sigmoid", at::sigmoid_out(other, x),
      at::sigmoid_backward_out(out, gy, other));
  ADD("gradient/tanh", at::tanh_out(other, x),
      at::tanh_backward_out(out, gy, other));
  ADD("gradient/gelu", at::gelu_out(other, x),
      at::gelu_backward_out(out, gy, x));
  ADD("gradient/silu", at::silu_out(other, x),
      at::silu_backward_out(out, gy, x));
  ADD("gradient/softplus", at::softplus_out(other, x),
      at::softplus_backward_out(out, gy, x, 1, 20));
  ADD("gradient/softmax", at::_softmax_out(other, x, 1, false),
      at::_softmax_backward_data_out(out, gy, other, 1, at::kFloat));
  ADD("gradient/log_softmax", at::_log_softmax_out(other, x, 1, false),
      at::_log_softmax_backward_data_out(out, gy, other, 1, at::kFloat));
  ADD("gradient/layer_norm", {
    const auto made = at::native_layer_norm(x, {columns}, row, row, 1e-5);
    at::native_layer_norm_backward(gy, x, {columns}, std::get<1>(made),
                                   std::get<2>(made), row, row,
                                   {true, false, false});
  });
  ADD("add", at::add_out(out, x, b));
  ADD("add_row", at::add_out(out, x, row));
  ADD("mul", at::mul_out(out, x, b));
  ADD("div", at::div_out(out, x, positive));
  ADD("abs", at::abs_out(out, x));
  ADD("sqrt", at::sqrt_out(out, positive));
  ADD("rsqrt", at::rsqrt_out(out, positive));
  ADD("exp", at::exp_out(out, x));
  ADD("log", at::log_out(out, positive));
  ADD("sin", at::sin_out(out, x));
  ADD("erf", at::erf_out(out, x));
  ADD("pow", at::pow_out(out, positive, b));
  ADD("pow_3", at::pow_out(out, x, 3));
  ADD("clip", at::clamp_out(out, x, -0.5, 0.5));
  ADD("maximum", at::maximum_out(out, x, b));
  ADD("sum", at::sum_out(out, x, at::IntArrayRef({0, 1})));
  ADD("sum_rows", at::sum_out(out, x, at::IntArrayRef({1})));
  ADD("sum_columns", at::sum_out(out, x, at::IntArrayRef({0})));
  ADD("max_rows", at::amax_out(out, x, at::IntArrayRef({1})));
  ADD("max_columns", at::amax_out(out, x, at::IntArrayRef({0})));
  ADD("variance_rows", at::var_out(out, x, at::IntArrayRef({1}), false));
  ADD("norm", at::linalg_vector_norm_out(out, x));
  ADD("norm_rows", at::linalg_vector_norm_out(out, x, 2, at::IntArrayRef({1})));
  ADD("logsumexp_rows", at::logsumexp_out(out, x, at::IntArrayRef({1})));
  ADD("cumsum_rows", at::cumsum_out(out, x, 1));
  ADD("cumsum_columns", at::cumsum_out(out, x, 0));
  ADD("concat_rows", at::cat_out(out, {x, b}, 0));
  ADD("gather_rows", at::index_select_out(out, x, 0, indices));
#undef ADD
  const auto typed = [&](const std::string& name, at::Tensor out, auto call) {
    calls[name] = [=]() mutable { call(out); };
  };
  typed("greater", at::empty({0}, at::kBool),
        [=](at::Tensor& out) { at::gt_out(out, x, b); });
  typed("select", empty(), [=](at::Tensor&) { at::where(condition, x, b); });
  typed("argmax_rows", at::empty({0}, at::kLong),
        [=](at::Tensor& out) { at::argmax_out(out, x, 1); });
  typed("transpose", at::empty({columns, rows}),
        [=](at::Tensor& out) { out.copy_(x.t()); });
  typed("top_8", at::empty({0}, at::kLong), [=](at::Tensor& out) {
    static at::Tensor values = at::empty({0});
    at::topk_out(values, out, x, 8, 1);
  });
  typed("mean_squared_error", at::empty({}),
        [=](at::Tensor& out) { at::mse_loss_out(out, x, b); });
  typed("cross_entropy", empty(), [=](at::Tensor&) {
    at::cross_entropy_loss(x, labels, {}, at::Reduction::None);
  });
  return calls;
}

}  // namespace

int main(int argc, char** argv) {
  const at::NoGradGuard no_gradients;
  tape::ServeRounds("libtorch " TORCH_VERSION,
                    Calls(tape::SizeFrom(argc, argv)));
}
