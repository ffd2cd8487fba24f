#!/usr/bin/python3
"""Prints how long Tape and libtorch by hand train a perceptron until it has a given test accuracy, process start included.

  bazel build --config=strict //bench:time_to_accuracy //bench:libtorch_time_to_accuracy //bench:libsgemm_by_onednn.so
  bench/time_to_accuracy.py [--seeds=30] [--first_seed=0] [--threads=2] [--filter=mnist] [--libtorch=PROGRAM] [--before=PROGRAM]

The protocol:

- A run is a process that reads a data set's files, trains, measures accuracy on all 10,000 test images, and ends at the
  first measurement that has the target. Its time is wall-clock time from before the process is started until its line
  "reached" has arrived: loading, reading, unpacking, compiling, training and measuring all count.
- The test accuracy is the stopping criterion, as in DAWNBench and MLPerf. It is not an estimate of accuracy on new
  images: for that the stopping step would have to be chosen on images that are held out.
- Targets: 97 % and 98 % on MNIST (plain IDX files), 89 % on Fashion-MNIST (gzipped ones).
- Each target has one setting, kTargetSettings of accuracy_run.h, which both programs use: network, batch size, optimiser,
  schedule, and the steps after which accuracy is measured. It was found by search with Tape on seeds from 1000 on.
  Seeds 0 to 29 are measured; they had no part in it.
- Weights and order are drawn from the seed, by each program's own generator: the two runs of a seed are not the same.
- The programs alternate seed by seed, with as many threads each. A first run of each, which brings files and libraries
  into the page cache, does not count. libtorch has the products of oneDNN (sgemm_by_onednn.cc).
- A run that ends without the target is a failure. It is counted as such, and its time until it gave up stays in the mean.

Seconds are the mean and standard deviation of the sample (n - 1), the smallest and the largest. --libtorch names another
build, or a script that runs one in a chroot; "none" leaves it out. --before is another build of time_to_accuracy.
"""

import argparse
import os
import statistics
import subprocess
import time

from rounds import FOLDER, at_least_one, fail, pattern

TARGETS = [('mnist', '0.97'), ('mnist', '0.98'), ('fashion', '0.89')]
LIBTORCH = os.path.join(FOLDER, 'libtorch_time_to_accuracy')
SGEMM = os.path.join(FOLDER, 'libsgemm_by_onednn.so')


class Trainer:
    """A program that trains one run."""

    def __init__(self, name, path, preload=''):
        if not os.path.exists(path):
            fail(f'expected a program, found no {path}: see --help for what to build')
        self.name, self.path = name, path
        self.environment = {**os.environ, 'LD_PRELOAD': preload} if preload else os.environ

    def run(self, data, target, seed, threads):
        """(seconds, steps, whether it reached the target)."""
        command = [self.path, f'--data={data}', f'--target={target}', f'--seed={seed}', f'--threads={threads}']
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self.environment) as process:
            line = process.stdout.readline()
            seconds = time.perf_counter() - start
        words = line.split()
        if not words or words[0] not in ('reached', 'missed'):
            fail(f'{" ".join(command)}: expected a line "reached" or "missed", found "{line.strip()}"')
        values = dict(word.split('=') for word in words[1:])
        return seconds, int(values['step']), words[0] == 'reached'


def print_row(cells):
    print('| ' + ' | '.join(cells) + ' |', flush=True)


def whole_number(text):
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'expected a whole number of at least 0, found "{text}"')
    return int(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', type=at_least_one, default=30, help='how many seeds (30)')
    parser.add_argument('--first_seed', type=whole_number, default=0, help='the first of them (0)')
    parser.add_argument('--threads', type=at_least_one, default=2, help='of each program (2)')
    parser.add_argument('--filter', type=pattern, default='', help='regular expression that "mnist 0.97" must have')
    parser.add_argument('--libtorch', default='', help='another libtorch_time_to_accuracy; "none" for none')
    parser.add_argument('--before', default='', help='another build of time_to_accuracy')
    arguments = parser.parse_args()
    targets = [(data, target) for data, target in TARGETS if arguments.filter.search(f'{data} {target}')]
    if not targets:
        fail(f'--filter: no target has "{arguments.filter.pattern}"')
    trainers = [Trainer('Tape', os.path.join(FOLDER, 'time_to_accuracy'))]
    if arguments.before:
        trainers.append(Trainer('before', arguments.before))
    libtorch = arguments.libtorch or (LIBTORCH if os.path.exists(LIBTORCH) else 'none')
    if libtorch != 'none':
        is_ours = os.path.realpath(libtorch) == os.path.realpath(LIBTORCH)
        if is_ours and not os.path.exists(SGEMM):
            fail(f'expected {SGEMM}, by which libtorch has the products of oneDNN: see --help for what to build')
        trainers.append(Trainer('libtorch by hand', libtorch, SGEMM if is_ours else ''))

    print_row(['target', 'program', 'reached', 'mean, s', 'deviation, s', 'min, s', 'max, s', 'mean steps', 'mean / Tape'])
    print('|---' * 9 + '|')
    for data, target in targets:
        runs = {trainer: [] for trainer in trainers}
        for trainer in trainers:
            trainer.run(data, target, arguments.first_seed, arguments.threads)
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            for trainer in trainers:
                runs[trainer].append(trainer.run(data, target, seed, arguments.threads))
        ours = statistics.mean(seconds for seconds, _, _ in runs[trainers[0]])
        for trainer in trainers:
            seconds, steps, reached = zip(*runs[trainer])
            mean = statistics.mean(seconds)
            deviation = statistics.stdev(seconds) if len(seconds) > 1 else 0
            print_row([f'{data} {target}', trainer.name, f'{sum(reached)} of {len(reached)}', f'{mean:.3f}',
                       f'{deviation:.3f}', f'{min(seconds):.3f}', f'{max(seconds):.3f}', f'{statistics.mean(steps):.0f}',
                       f'{mean / ours:.2f}'])


if __name__ == '__main__':
    main()
