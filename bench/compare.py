#!/usr/bin/python3
"""Prints a table of training steps: ours, their matrix products alone, and libtorch's, timed side by side in one run.

  bazel build -c opt //bench:step_bench //bench:libtorch_step //bench:libsgemm_by_onednn.so
  bench/compare.py [--rounds=3] [--filter=b64]

Microseconds a step: the best of the rounds, and of 1 and 2 threads. Without libtorch_step, which needs Debian's
libtorch-dev, its columns are left out.

  bazel build -c opt //bench:scaling_bench
  bench/compare.py --scaling [--rounds=3] [--filter=width]

prints the tables of bench/README.md: how a step and its products grow with width, depth and batch.
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

SCALING = {
    'step': ('scaling_bench', 'TrainStep', ''),
    'products': ('scaling_bench', 'GemmFloor', ''),
}


def timed(source, pattern):
    """{config: run}, a run being Google Benchmark's record, the faster one of 1 and 2 threads; real_time in microseconds"""
    program, benchmark, preload = source
    environment = {**os.environ, 'LD_PRELOAD': preload} if preload else os.environ
    output = subprocess.run(
        [os.path.join(FOLDER, program), f'--benchmark_filter={benchmark}/.*{pattern}', '--benchmark_format=json',
         '--benchmark_min_time=0.2'],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    best = {}
    for run in json.loads(output)['benchmarks']:
        keep(best, run['name'].split('/', 1)[1].split('/threads:')[0], run)
    return best


def keep(best, config, run):
    if config not in best or run['real_time'] < best[config]['real_time']:
        best[config] = run


def best_of_rounds(sources, rounds, pattern):
    """{column: {config: run}}"""
    best = {column: {} for column in sources}
    for _ in range(rounds):
        for column, source in sources.items():
            for config, run in timed(source, pattern).items():
                keep(best[column], config, run)
    return best


def print_steps(rounds, pattern):
    sources = {c: s for c, s in COLUMNS.items() if os.path.exists(os.path.join(FOLDER, s[0]))}
    columns = list(sources)
    best = {column: {config: run['real_time'] for config, run in runs.items()}
            for column, runs in best_of_rounds(sources, rounds, pattern).items()}
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


def print_scaling(rounds, pattern):
    best = best_of_rounds(SCALING, rounds, pattern)
    varied = None
    for config, step in best['step'].items():
        what, size = config.split(':')
        if what != varied:
            varied = what
            print(f'\n| {what} | step, µs | step, GFLOP/s | products, GFLOP/s | step / products in GFLOP/s |')
            print('|---' * 5 + '|')
        rates = [run['FLOP/s'] / 1e9 for run in (step, best['products'][config])]
        print(f'| {size} | {step["real_time"]:.1f} | {rates[0]:.1f} | {rates[1]:.1f} | {rates[0] / rates[1]:.2f} |')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--filter', default='', help='regular expression that the config must have')
    parser.add_argument('--scaling', action='store_true', help='the tables of scaling_bench')
    arguments = parser.parse_args()
    (print_scaling if arguments.scaling else print_steps)(arguments.rounds, arguments.filter)


if __name__ == '__main__':
    main()
