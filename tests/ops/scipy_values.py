"""Writes scipy_values.json: [x, f(x)] of functions whose tails are hard.

Run once, by Debian 12's python3-scipy 1.10.1 and python3-mpmath:
    /usr/bin/python3 tests/ops/scipy_values.py > tests/ops/scipy_values.json
SciPy gives erf, erfc, expm1, log1p and expit; where a formula of these loses
digits (the slope of GELU, GELU by tanh) mpmath's 50 digits are used instead.
"""
import json

import mpmath
import numpy as np
from scipy import special

mpmath.mp.dps = 50
POINTS = [float(np.float32(x)) for x in (
    -13, -12, -10, -8, -6, -5.5, -5, -4, -3, -2, -1, -0.5, -0.1, -1e-3, -1e-10,
    1e-10, 1e-3, 0.1, 0.5, 1, 2, 3, 5, 8, 12, 20)]


def gelu_slope(x):
  x = mpmath.mpf(x)
  return float(mpmath.ncdf(x) + x * mpmath.npdf(x))


def gelu_tanh(x):
  x = mpmath.mpf(x)
  w = mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf('0.044715') * x**3)
  return float(x / (1 + mpmath.exp(-2 * w)))


FUNCTIONS = {
    'gelu': lambda x: x / 2 * special.erfc(-x / np.sqrt(2)),
    'gelu_slope': gelu_slope,
    'gelu_tanh': gelu_tanh,
    'sigmoid': special.expit,
    'silu': lambda x: x * special.expit(x),
    'softplus': lambda x: max(x, 0) + special.log1p(np.exp(-abs(x))),
    'erf': special.erf,
    'expm1': special.expm1,
    'log1p': lambda x: special.log1p(x) if x > -1 else None,
}

values = {}
for name, f in FUNCTIONS.items():
  points = POINTS
  if name == 'log1p':
    points = [x for x in POINTS if x > -1] + [
        float(np.float32(x)) for x in (-0.9, -0.99, -0.999999, 1e-5, 1e5, 1e10)]
  values[name] = [[x, float(f(x))] for x in points]
print(json.dumps(values, indent=1))
