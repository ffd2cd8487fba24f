#!/usr/bin/python3
"""Prints a table of training steps: ours, their matrix products alone, and libtorch's, timed side by side in one run.

  bazel build -c opt //bench:step_bench //bench:libtorch_step //bench:libsgemm_by_onednn.so
  bench/compare.py [--rounds=3] [--filter=b64]

Microseconds a step: the best of the rounds, and of 1 and 2 threads. Without libtorch_step, which needs Debian's
libtorch-dev, its columns are left out.
"""

import argparse
import json
import math
import os
import subprocess

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'bazel-bin', 'bench')
SGEMM = os.path.join(FOLDER, 'libsgemm_by_onednn.so')

# Column: program, benchmark, what is preloaded.
COLUMNS = {
    'step': ('step_bench', 'TrainStep', ''),
    'products': ('step_bench', 'GemmFloor', ''),
    'libtorch, oneDNN': ('libtorch_step', 'LibtorchStep', SGEMM),
    'libtorch, BLAS': ('libtorch_step', 'LibtorchStep', ''),
}


def times(column, pattern):
    """{config: microseconds, the better of 1 and 2 threads}"""
    program, benchmark, preload = COLUMNS[column]
    environment = {**os.environ, 'LD_PRELOAD': preload} if preload else os.environ
    output = subprocess.run(
        [os.path.join(FOLDER, program), f'--benchmark_filter={benchmark}/.*{pattern}', '--benchmark_format=json',
         '--benchmark_min_time=0.2'],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    best = {}
    for run in json.loads(output)['benchmarks']:
        config = run['name'].split('/', 1)[1].rsplit('/', 1)[0]
        best[config] = min(best.get(config, math.inf), run['real_time'])
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--filter', default='', help='regular expression that the config must have')
    arguments = parser.parse_args()
    columns = [c for c in COLUMNS if os.path.exists(os.path.join(FOLDER, COLUMNS[c][0]))]
    best = {column: {} for column in columns}
    for _ in range(arguments.rounds):
        for column in columns:
            for config, time in times(column, arguments.filter).items():
                best[column][config] = min(best[column].get(config, math.inf), time)
    others = [column for column in columns if column != 'step']
    print('| config | ' + ' | '.join(f'{column}, µs' for column in columns) +
          ' | step / products | ' + ' | '.join(f'{column} / step' for column in others[1:]) + ' |')
    print('|---' * (len(columns) + len(others) + 1) + '|')
    ratios = {column: [] for column in others}
    for config, step in best['step'].items():
        for column in others:
            ratios[column].append(best[column][config] / step)
        cells = [config] + [f'{best[column][config]:.1f}' for column in columns]
        cells += [f'{1 / ratios["products"][-1]:.2f}'] + [f'{ratios[column][-1]:.2f}' for column in others[1:]]
        print('| ' + ' | '.join(cells) + ' |')
    means = {column: math.exp(sum(map(math.log, r)) / len(r)) for column, r in ratios.items()}
    print('| geometric mean |' + ' |' * len(columns) + f' {1 / means["products"]:.2f} | ' +
          ' | '.join(f'{means[column]:.2f}' for column in others[1:]) + ' |')


if __name__ == '__main__':
    main()
