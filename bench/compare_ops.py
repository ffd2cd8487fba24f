#!/usr/bin/python3
"""Prints a table of ops beside libtorch's, on one thread, of a float32 matrix, timed in turns within one run.

  bazel build -c opt //bench:tape_ops //bench:libtorch_ops
  bench/compare_ops.py [--rounds=20] [--size=1000x256] [--filter=rows] [--before=PROGRAM] [--libtorch=PROGRAM]

Microseconds a call: the minimum of the rounds, which take some 20 ms each and alternate between the programs. With
--before, another build of tape_ops, ours has a column of its own for that. Without libtorch_ops, which needs Debian's
libtorch-dev, its columns are left out; --libtorch names another build of it, or a script that runs one in a chroot of a
newer Debian. libtorch's forms are those that write to a tensor made once, where it has them.
"""

import argparse
import math
import os
import re
import subprocess

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'bazel-bin', 'bench')


class Program:
    """A program that answers names by a round's microseconds (rounds.h)."""

    def __init__(self, path, size):
        self.process = subprocess.Popen([path] + size.split('x'), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.best = {}

    def ask(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()

    def names(self):
        self.ask('list')
        return list(iter(lambda: self.process.stdout.readline().strip(), ''))

    def time(self, name):
        self.ask(name)
        self.best[name] = min(self.best.get(name, math.inf), float(self.process.stdout.readline()))


def mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--size', default='1000x256', help='rows x columns')
    parser.add_argument('--filter', default='')
    parser.add_argument('--before', default='')
    parser.add_argument('--libtorch', default=os.path.join(FOLDER, 'libtorch_ops'))
    arguments = parser.parse_args()
    paths = {'Tape': os.path.join(FOLDER, 'tape_ops')}
    if arguments.before:
        paths['before'] = arguments.before
    if os.path.exists(arguments.libtorch):
        paths['libtorch'] = arguments.libtorch
    programs = {column: Program(path, arguments.size) for column, path in paths.items()}
    shared = set.intersection(*(set(program.names()) for program in programs.values()))
    names = sorted(name for name in shared if re.search(arguments.filter, name))
    for _ in range(arguments.rounds):
        for name in names:
            for program in programs.values():
                program.time(name)
    others = [column for column in programs if column != 'Tape']
    print('| op | ' + ' | '.join(f'{column}, µs' for column in programs) + ''.join(f' | {c} / Tape' for c in others) + ' |')
    print('|---|' + '---|' * (len(programs) + len(others)))
    ratios = {column: [] for column in others}
    for name in names:
        times = [program.best[name] for program in programs.values()]
        for column in others:
            ratios[column].append(programs[column].best[name] / programs['Tape'].best[name])
        print(f'| {name} | ' + ' | '.join(f'{time:.1f}' for time in times) +
              ''.join(f' | {ratios[c][-1]:.2f}' for c in others) + ' |')
    print('| geometric mean | ' + ' | '.join('' for _ in programs) + ''.join(f' | {mean(ratios[c]):.2f}' for c in others) +
          ' |')


if __name__ == '__main__':
    main()
