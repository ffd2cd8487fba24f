"""Makes trajectories.json: where optimisers must take the parameters.

Each trajectory holds the parameters of one small network while one optimiser
trains it for 1001 updates, recorded after 0, 100, ..., 1000 updates. A C++ test
runs Tape's optimisers on the same problem and compares. To make the file anew,
which is needed only when a trajectory is added or changed:

  apt-get install --no-install-recommends python3-torch python3-numpy
  /usr/bin/python3 tests/optim/trajectories.py

The file was made with Debian 12's PyTorch 1.13.1 and NumPy 1.24.2. Nothing is
random; another machine's mathematical library may change last digits.

The problem: a 4-5-3 network h = tanh(x w1 + b1), logits = h w2 + b2, its loss
the mean softmax cross-entropy over 8 samples, all of them in each update. Its
numbers are rounded to float32, stored in the file, and then used as float64,
so that a float32 program starts from the same numbers.

Each optimiser's formula is written below in NumPy, as a function: w is one
parameter tensor, g its gradient, s its state (empty at first), t the number of
the update, from 1, and lr the learning rate at that update. Where PyTorch has
the optimiser, the trajectory is PyTorch's, and the script checks that the
formula gives the same one; where it does not, the trajectory is the formula's.

The script also runs every variant in float32, and prints how far that strays:
settings are chosen such that it does so by less than 1e-4 of the largest
parameter, hence a float32 program can be held to that. The settings are not
recommendations: epsilons, for instance, are large, for tests to notice a
misplaced one.
"""

import json
import pathlib

import numpy as np
import torch

UPDATES = 1001
RECORD_EVERY = 100
NAMES = ("w1", "b1", "w2", "b2")
# How far PyTorch and the formulas may be apart, both in float64.
FORMULA_TOLERANCE = 1e-9
# How far float32 may stray from float64.
FLOAT32_TOLERANCE = 1e-4
# Lion follows the sign of c: where an element of c comes as close to 0 as
# rounding errors are, float32 may take the other sign, and stray by two rates.
# Its settings (a small rate, with which c crosses 0 seldom and quickly; found
# by trying a grid of them) keep all elements farther than this from 0 in all
# updates. Float32 computes c, which is up to 0.1 large, to some 1e-8.
LION_CLEARANCE = 5e-6


# The problem.


def make_problem():
  """The problem's numbers, as float32."""
  i8, j4 = np.ogrid[:8, :4]
  i4, j5 = np.ogrid[:4, :5]
  i5, j3 = np.ogrid[:5, :3]
  numbers = {
      "x": np.sin(1 + 3 * i8 + 7 * j4),
      "w1": 0.5 * np.sin(0.3 + 1.7 * i4 + 2.9 * j5),
      "b1": 0.1 * np.cos(np.arange(5)),
      "w2": 0.5 * np.cos(0.7 + 2.3 * i5 + 1.1 * j3),
      "b2": 0.1 * np.sin(1 + np.arange(3)),
  }
  problem = {name: array.astype(np.float32) for name, array in numbers.items()}
  problem["labels"] = np.array([(i * i + i // 3) % 3 for i in range(8)])
  return problem


def torch_loss(problem, parameters):
  w1, b1, w2, b2 = parameters
  x = torch.tensor(problem["x"], dtype=w1.dtype)
  logits = torch.tanh(x @ w1 + b1) @ w2 + b2
  return torch.nn.functional.cross_entropy(
      logits, torch.tensor(problem["labels"]))


def numpy_loss_and_gradients(problem, parameters):
  w1, b1, w2, b2 = parameters
  x = problem["x"].astype(w1.dtype)
  labels = problem["labels"]
  rows = np.arange(len(labels))
  h = np.tanh(x @ w1 + b1)
  logits = h @ w2 + b2
  logits -= logits.max(axis=1, keepdims=True)
  log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
  d_logits = np.exp(log_p)
  d_logits[rows, labels] -= 1
  d_logits /= len(labels)
  d_before_tanh = (d_logits @ w2.T) * (1 - h * h)
  gradients = (x.T @ d_before_tanh, d_before_tanh.sum(axis=0),
               h.T @ d_logits, d_logits.sum(axis=0))
  return -log_p[rows, labels].mean(), gradients


# The formulas. A state begins as zeros unless a formula says otherwise.


def sgd(w, g, s, t, lr, weight_decay=0.0):
  # torch.optim.SGD without momentum:
  #   g = g + weight_decay w
  #   w = w - lr g
  return w - lr * (g + weight_decay * w)


def momentum(w, g, s, t, lr, momentum, weight_decay=0.0, nesterov=False):
  # torch.optim.SGD with momentum (dampening 0):
  #   g = g + weight_decay w
  #   v = momentum v + g       (v = g at the first update: the same, from 0)
  #   w = w - lr v                              without nesterov
  #   w = w - lr (g + momentum v)               with nesterov
  # The rate stands outside v: a change of it acts at once on all of v.
  g = g + weight_decay * w
  v = s["v"] = momentum * s.get("v", 0.0) + g
  return w - lr * (g + momentum * v if nesterov else v)


def classical_momentum(w, g, s, t, lr, momentum):
  # Polyak's momentum as Sutskever et al., "On the importance of initialization
  # and momentum in deep learning", ICML 2013, equations 1 and 2, have it:
  #   v = momentum v - lr g
  #   w = w + v
  # The rate stands inside v: a change of it acts on new gradients only. The
  # same as PyTorch's form while the rate is constant.
  v = s["v"] = momentum * s.get("v", 0.0) - lr * g
  return w + v


def adagrad(w, g, s, t, lr, eps, lr_decay=0.0, initial_accumulator_value=0.0):
  # torch.optim.Adagrad:
  #   a = a + g^2               from initial_accumulator_value, by default 0
  #   w = w - lr / (1 + (t - 1) lr_decay) g / (sqrt(a) + eps)
  a = s["a"] = s.get("a", initial_accumulator_value) + g * g
  return w - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(a) + eps)


def rmsprop(w, g, s, t, lr, alpha, eps, momentum=0.0, centered=False):
  # torch.optim.RMSprop:
  #   a = alpha a + (1 - alpha) g^2
  #   m = alpha m + (1 - alpha) g               if centered
  #   d = sqrt(a) + eps, or sqrt(a - m^2) + eps if centered
  #   w = w - lr g / d                          without momentum
  #   v = momentum v + g / d,  w = w - lr v     with momentum
  # No correction of bias. PyTorch 1.13 does not keep a - m^2, which rounding
  # can make negative, from being so.
  a = s["a"] = alpha * s.get("a", 0.0) + (1 - alpha) * g * g
  if centered:
    m = s["m"] = alpha * s.get("m", 0.0) + (1 - alpha) * g
    a = a - m * m
  v = s["v"] = momentum * s.get("v", 0.0) + g / (np.sqrt(a) + eps)
  return w - lr * v


def adadelta(w, g, s, t, lr, rho, eps):
  # torch.optim.Adadelta:
  #   a = rho a + (1 - rho) g^2
  #   u = sqrt(d + eps) / sqrt(a + eps) g       eps inside both roots
  #   d = rho d + (1 - rho) u^2                 after u; without lr
  #   w = w - lr u
  a = s["a"] = rho * s.get("a", 0.0) + (1 - rho) * g * g
  d = s.get("d", 0.0)
  u = np.sqrt(d + eps) / np.sqrt(a + eps) * g
  s["d"] = rho * d + (1 - rho) * u * u
  return w - lr * u


def adam(w, g, s, t, lr, betas, eps, weight_decay=0.0, amsgrad=False):
  # torch.optim.Adam:
  #   g = g + weight_decay w
  #   m = beta1 m + (1 - beta1) g
  #   v = beta2 v + (1 - beta2) g^2
  #   w = w - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
  # With amsgrad, the largest v so far, element by element and before the
  # correction of its bias, stands in v's place in the last line:
  #   V = max(V, v)
  g = g + weight_decay * w
  beta1, beta2 = betas
  m = s["m"] = beta1 * s.get("m", 0.0) + (1 - beta1) * g
  v = s["v"] = beta2 * s.get("v", 0.0) + (1 - beta2) * g * g
  if amsgrad:
    v = s["V"] = np.maximum(s.get("V", 0.0), v)
  root = np.sqrt(v) / (1 - beta2**t)**0.5
  return w - lr / (1 - beta1**t) * m / (root + eps)


def adamw(w, g, s, t, lr, betas, eps, weight_decay):
  # torch.optim.AdamW:
  #   w = w - lr weight_decay w
  #   then as Adam without weight_decay; g is of w before the decay
  return adam(w - lr * weight_decay * w, g, s, t, lr, betas, eps)


def nadam(w, g, s, t, lr, betas, eps, momentum_decay):
  # torch.optim.NAdam, as documented:
  #   mu(t) = beta1 (1 - 0.96^(t momentum_decay) / 2)
  #   p = p mu(t)                               from 1
  #   m = beta1 m + (1 - beta1) g               beta1 here, not mu(t)
  #   v = beta2 v + (1 - beta2) g^2
  #   n = (1 - mu(t)) / (1 - p) g + mu(t+1) / (1 - p mu(t+1)) m
  #   w = w - lr n / (sqrt(v / (1 - beta2^t)) + eps)
  # Only with foreach=True does PyTorch 1.13 do so. Its default implementation
  # has 1 - p mu(t) mu(t+1) in n, which counts mu(t) twice: an error, corrected
  # in 2.0 (github.com/pytorch/pytorch/pull/92699).
  beta1, beta2 = betas
  mu, mu_next = (beta1 * (1 - 0.5 * 0.96**(k * momentum_decay))
                 for k in (t, t + 1))
  p = s["p"] = s.get("p", 1.0) * mu
  m = s["m"] = beta1 * s.get("m", 0.0) + (1 - beta1) * g
  v = s["v"] = beta2 * s.get("v", 0.0) + (1 - beta2) * g * g
  n = (1 - mu) / (1 - p) * g + mu_next / (1 - p * mu_next) * m
  return w - lr * n / (np.sqrt(v / (1 - beta2**t)) + eps)


def lion(w, g, s, t, lr, betas, weight_decay):
  # Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023,
  # algorithm 2:
  #   c = beta1 m + (1 - beta1) g
  #   w = w - lr (sign(c) + weight_decay w)     w before the update in both
  #   m = beta2 m + (1 - beta2) g
  # s["closest"] is how close to 0 an element of c came: see
  # LION_CLEARANCE.
  beta1, beta2 = betas
  m = s.get("m", 0.0)
  c = beta1 * m + (1 - beta1) * g
  s["m"] = beta2 * m + (1 - beta2) * g
  s["closest"] = min(s.get("closest", np.inf), np.abs(c).min())
  return w - lr * (np.sign(c) + weight_decay * w)


def lamb(w, g, s, t, lr, betas, eps, weight_decay):
  # You et al., "Large batch optimization for deep learning: training BERT in 76
  # minutes", ICLR 2020, algorithm 2, with phi the identity:
  #   m = beta1 m + (1 - beta1) g
  #   v = beta2 v + (1 - beta2) g^2
  #   u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay w
  #   r = |w| / |u|, or 1 where either is 0     Euclidean norms, by tensor
  #   w = w - lr r u
  beta1, beta2 = betas
  m = s["m"] = beta1 * s.get("m", 0.0) + (1 - beta1) * g
  v = s["v"] = beta2 * s.get("v", 0.0) + (1 - beta2) * g * g
  u = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps)
  u = u + weight_decay * w
  w_norm, u_norm = np.linalg.norm(w), np.linalg.norm(u)
  ratio = w_norm / u_norm if w_norm > 0 and u_norm > 0 else 1.0
  return w - lr * ratio * u


# The variants: name, source, formula, settings. Where the source is numpy, the
# formula makes the trajectory. The setting inverse_time_decay is no
# optimiser's, but the rate's: see rate_at().

MOMENTUM_DECAY = {"lr": 0.2, "momentum": 0.9, "inverse_time_decay": 0.02}

VARIANTS = [
    ("sgd", "torch.optim.SGD", sgd, {"lr": 0.2}),
    ("sgd_weight_decay", "torch.optim.SGD", sgd,
     {"lr": 0.2, "weight_decay": 0.01}),
    ("momentum", "torch.optim.SGD", momentum, {"lr": 0.03, "momentum": 0.8}),
    ("momentum_weight_decay", "torch.optim.SGD", momentum,
     {"lr": 0.03, "momentum": 0.8, "weight_decay": 0.01}),
    ("nesterov", "torch.optim.SGD", momentum,
     {"lr": 0.03, "momentum": 0.8, "nesterov": True}),
    ("momentum_inverse_time_decay", "torch.optim.SGD", momentum,
     MOMENTUM_DECAY),
    ("classical_momentum_inverse_time_decay", "numpy: Sutskever et al. 2013",
     classical_momentum, MOMENTUM_DECAY),
    ("adagrad", "torch.optim.Adagrad", adagrad, {"lr": 0.03, "eps": 0.01}),
    ("adagrad_lr_decay", "torch.optim.Adagrad", adagrad,
     {"lr": 0.05, "eps": 0.01, "lr_decay": 0.01}),
    ("adagrad_initial_accumulator", "torch.optim.Adagrad", adagrad,
     {"lr": 0.05, "eps": 0.01, "initial_accumulator_value": 0.1}),
    ("rmsprop", "torch.optim.RMSprop", rmsprop,
     {"lr": 0.001, "alpha": 0.95, "eps": 0.01}),
    ("rmsprop_centered", "torch.optim.RMSprop", rmsprop,
     {"lr": 0.002, "alpha": 0.995, "eps": 0.02, "centered": True}),
    ("rmsprop_momentum", "torch.optim.RMSprop", rmsprop,
     {"lr": 0.0003, "alpha": 0.95, "eps": 0.01, "momentum": 0.8}),
    ("adadelta", "torch.optim.Adadelta", adadelta,
     {"lr": 0.3, "rho": 0.95, "eps": 1e-5}),
    ("adam", "torch.optim.Adam", adam,
     {"lr": 0.002, "betas": (0.8, 0.98), "eps": 0.001}),
    ("adam_weight_decay", "torch.optim.Adam", adam,
     {"lr": 0.002, "betas": (0.8, 0.98), "eps": 0.001, "weight_decay": 0.01}),
    ("amsgrad", "torch.optim.Adam", adam,
     {"lr": 0.002, "betas": (0.8, 0.98), "eps": 0.001, "amsgrad": True}),
    ("adamw", "torch.optim.AdamW", adamw,
     {"lr": 0.005, "betas": (0.8, 0.98), "eps": 0.001, "weight_decay": 0.5}),
    ("nadam", "torch.optim.NAdam", nadam,
     {"lr": 0.005, "betas": (0.95, 0.98), "eps": 0.001,
      "momentum_decay": 0.004}),
    # With 0.004 a mu one update early or late would not be noticed.
    ("nadam_momentum_decay", "torch.optim.NAdam", nadam,
     {"lr": 0.01, "betas": (0.95, 0.98), "eps": 0.05, "momentum_decay": 0.5}),
    # See LION_CLEARANCE.
    ("lion", "numpy: Chen et al. 2023", lion,
     {"lr": 0.00015, "betas": (0.8, 0.99), "weight_decay": 0.3}),
    ("lamb", "numpy: You et al. 2020", lamb,
     {"lr": 0.002, "betas": (0.8, 0.98), "eps": 0.001, "weight_decay": 0.1}),
]


# Running them.


def rate_at(t, lr, inverse_time_decay=0.0):
  """The learning rate at update t, from 1."""
  return lr / (1 + inverse_time_decay * (t - 1))


def split_settings(settings):
  """The optimiser's settings without the rate's, and the rate's."""
  rate = {k: settings[k] for k in ("lr", "inverse_time_decay") if k in settings}
  return {k: v for k, v in settings.items() if k not in rate}, rate


def flat(parameters):
  return np.concatenate([np.ravel(p) for p in parameters])


def run_torch(problem, source, settings, dtype):
  """PyTorch's records of the parameters, and the first and last loss."""
  torch.set_default_dtype(dtype)  # Of NAdam's product of mu, too.
  parameters = [torch.tensor(problem[name], dtype=dtype, requires_grad=True)
                for name in NAMES]
  constants, rate = split_settings(settings)
  optimizer_class = getattr(torch.optim, source.rsplit(".", 1)[1])
  # See nadam() for why not always False.
  foreach = optimizer_class is torch.optim.NAdam
  optimizer = optimizer_class(
      parameters, lr=rate["lr"], foreach=foreach, **constants)
  records, losses = [], []
  for t in range(1, UPDATES + 1):
    if (t - 1) % RECORD_EVERY == 0:
      records.append(flat([p.detach().numpy() for p in parameters]))
    optimizer.param_groups[0]["lr"] = rate_at(t, **rate)
    optimizer.zero_grad()
    loss = torch_loss(problem, parameters)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
  return np.array(records), losses


def run_formula(problem, formula, settings, dtype):
  """The same of a formula, and the states at the end."""
  parameters = [problem[name].astype(dtype) for name in NAMES]
  states = [{} for _ in NAMES]
  constants, rate = split_settings(settings)
  records, losses = [], []
  for t in range(1, UPDATES + 1):
    if (t - 1) % RECORD_EVERY == 0:
      records.append(flat(parameters))
    loss, gradients = numpy_loss_and_gradients(problem, parameters)
    parameters = [formula(w, g, s, t, rate_at(t, **rate), **constants)
                  for w, g, s in zip(parameters, gradients, states)]
    assert all(w.dtype == dtype for w in parameters)
    losses.append(loss)
  return np.array(records), losses, states


def rounded_settings(settings):
  """Settings rounded to float32, as a float32 program may hold them."""
  def rounded(value):
    if isinstance(value, tuple):
      return tuple(rounded(v) for v in value)
    return float(np.float32(value)) if isinstance(value, float) else value
  return {k: rounded(v) for k, v in settings.items()}


def deviation(records, expected):
  """The largest, over the records, of max |difference| / max |expected|."""
  # np.max because, unlike max, it lets no NaN pass.
  return np.max([np.abs(r - e).max() / np.abs(e).max()
                 for r, e in zip(records.astype(np.float64), expected)])


# Writing the file: one array a line.


def number(value):
  return f"{value:.10g}"


def array_line(values):
  return "[" + ", ".join(number(v) for v in values) + "]"


def lines(values, indent):
  """An array of arrays, or of numbers."""
  if np.ndim(values) == 1:
    return array_line(values)
  rows = (",\n" + " " * indent).join(array_line(row) for row in values)
  return "[\n" + " " * indent + rows + "]"


def to_json(problem, trajectories):
  fields = [f'    "{name}": {lines(problem[name], 6)}'
            for name in ("x", "labels") + NAMES]
  entries = []
  for name, source, settings, records in trajectories:
    steps = [k * RECORD_EVERY for k in range(len(records))]
    entries.append(
        f'    {{"name": "{name}", "source": "{source}",\n'
        f'     "settings": {json.dumps(settings)},\n'
        f'     "steps": {array_line(steps)},\n'
        f'     "parameters": {lines(records, 6)}}}')
  return ('{\n  "problem": {\n' + ",\n".join(fields) + "},\n"
          '  "trajectories": [\n' + ",\n".join(entries) + "]\n}\n")


def main():
  torch.set_num_threads(1)
  problem = make_problem()
  trajectories = []
  print("Loss at first and last; how far float32 strays, PyTorch's and the\n"
        "formula's with rounded settings; how far apart PyTorch and formula:")
  for name, source, formula, settings in VARIANTS:
    records, losses, states = run_formula(
        problem, formula, settings, np.float64)
    records32, _, _ = run_formula(
        problem, formula, rounded_settings(settings), np.float32)
    torch_stray = apart = 0.0
    if source.startswith("torch"):
      formula_records = records
      records, losses = run_torch(problem, source, settings, torch.float64)
      apart = deviation(formula_records, records)
      torch_stray = deviation(
          run_torch(problem, source, settings, torch.float32)[0], records)
    stray = deviation(records32, records)
    print(f"{name:38} {losses[0]:.3f} {losses[-1]:.3f}  "
          f"{torch_stray:.1e} {stray:.1e}  {apart:.1e}")
    assert apart < FORMULA_TOLERANCE, name
    assert stray < FLOAT32_TOLERANCE, name
    assert torch_stray < FLOAT32_TOLERANCE, name
    if formula is lion:
      assert min(s["closest"] for s in states) > LION_CLEARANCE
    trajectories.append((name, source, settings, records))
  path = pathlib.Path(__file__).with_suffix(".json")
  path.write_text(to_json(problem, trajectories))


if __name__ == "__main__":
  main()
