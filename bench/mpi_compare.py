#!/usr/bin/python3
"""Prints a table of training steps: one process of two threads, and two MPI ranks of one thread, timed in turns.

  bazel build -c opt //bench:mpi_bench
  bench/mpi_compare.py [--rounds=20] [--filter=b1000] [--bind=none,core]

Microseconds a step, the minimum of the rounds, which take some 20 ms each; programs that are not timed sleep. The process
does not cut the batch, as without MPI; the ranks have a shard each. "ranks / process" is the ratio of the minima.
--bind: mpirun's --bind-to, a column for each.
"""

import argparse
import math
import os
import tempfile
import time

from rounds import FOLDER, Program, at_least_one, fail, mean, pattern, print_versions

BENCH = os.path.join(FOLDER, 'mpi_bench')
ROOT = {'OMPI_ALLOW_RUN_AS_ROOT': '1', 'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM': '1'}


def ranks_of(count, folder, *flags):
    """mpi_bench as `count` ranks; `flags` are mpirun's. Their shared memory is in `folder`: Open MPI names it by mpirun's
    process id, which an mpirun in another container with the same /dev/shm may have too."""
    os.environ.update(ROOT)
    return Program('/usr/bin/mpirun', '-n', str(count), '--mca', 'btl_vader_backing_directory', folder, *flags, BENCH, 'serve')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=at_least_one, default=20, help='rounds of each figure (20)')
    parser.add_argument('--filter', type=pattern, default='', help='regular expression that names of rows must contain')
    parser.add_argument('--bind', default='none,core', help='where mpirun puts the ranks (none,core)')
    arguments = parser.parse_args()
    process = Program(BENCH, 'serve')
    with tempfile.TemporaryDirectory(dir='/dev/shm') as folder:
        ranks = {bind: ranks_of(2, folder, '--bind-to', bind) for bind in arguments.bind.split(',')}
        compare(arguments, process, ranks)
        for program in ranks.values():
            program.end()


def compare(arguments, process, ranks):
    configs = dict(line.split(' ', 1) for line in process.names() if arguments.filter.search(line.split(' ')[0]))
    if not configs:
        fail(f'--filter: no config has "{arguments.filter.pattern}"')
    print_versions({'mpi_bench': process})
    print('| config | process, µs | ' + ' | '.join(f'ranks, bound to {bind}, µs | ranks / process' for bind in ranks) + ' |')
    print('|---' * (2 + 2 * len(ranks)) + '|')
    ratios = {bind: [] for bind in ranks}
    for name, told in configs.items():
        alone, best = math.inf, dict.fromkeys(ranks, math.inf)
        for _ in range(arguments.rounds):
            alone = min(alone, process.time(f'step threads=2 shards=1 {told}'))
            time.sleep(0.01)  # Until its threads are asleep: those of OpenMP spin for some 5 ms.
            for bind, program in ranks.items():
                best[bind] = min(best[bind], program.time(f'step threads=1 shards=2 {told}'))
                time.sleep(0.01)
        cells = [name, f'{alone:.1f}']
        for bind, microseconds in best.items():
            ratios[bind].append(microseconds / alone)
            cells += [f'{microseconds:.1f}', f'{microseconds / alone:.2f}']
        print('| ' + ' | '.join(cells) + ' |', flush=True)
    print('| geometric mean | | ' + ' | | '.join(f'{mean(values):.2f}' for values in ratios.values()) + ' |')


if __name__ == '__main__':
    main()
