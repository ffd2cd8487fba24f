#!/usr/bin/python3
"""Prints a table of ops beside libtorch's, on one thread, of a float32 matrix, timed in turns within one run.

  bazel build -c opt //bench:tape_ops //bench:libtorch_ops
  bench/compare_ops.py [--rounds=20] [--size=1000x256] [--filter=rows] [--before=PROGRAM] [--libtorch=PROGRAM]

Above the table: the processor, the date, and the versions of each program. Microseconds a call: the minimum of the
rounds, which take some 20 ms each and alternate between the programs. With --before, another build of tape_ops, ours has
a column of its own for that. Without libtorch_ops, which needs Debian's libtorch-dev, its columns are left out;
--libtorch names another build of it, or a script that runs one in a chroot of a newer Debian. libtorch's forms are those
that write to a tensor made once, where it has them.
"""

import math
import os
import re

from rounds import FOLDER, Program, fail, flag_parser, mean, print_versions


def main():
    parser = flag_parser(__doc__, 'tape_ops', 'libtorch_ops')
    parser.add_argument('--size', default='1000x256', help='rows x columns')
    arguments = parser.parse_args()
    if not re.fullmatch('[0-9]+x[0-9]+', arguments.size):
        fail(f'--size: expected rows x columns, such as 1000x256, found "{arguments.size}"')
    paths = {'Tape': os.path.join(FOLDER, 'tape_ops')}
    if arguments.before:
        paths['before'] = arguments.before
    if arguments.libtorch != 'none':
        paths['libtorch'] = arguments.libtorch
    # (libtorch warns at each call of some ops.)
    programs = {column: Program(path, *arguments.size.split('x'), quiet=column == 'libtorch')
                for column, path in paths.items()}
    shared = set.intersection(*(set(program.names()) for program in programs.values()))
    names = sorted(name for name in shared if arguments.filter.search(name))
    if not names:
        fail(f'--filter: no op has "{arguments.filter.pattern}"')
    print_versions(programs)
    best = {column: dict.fromkeys(names, math.inf) for column in programs}
    for _ in range(arguments.rounds):
        for name in names:
            for column, program in programs.items():
                best[column][name] = min(best[column][name], program.time(name))
    others = [column for column in programs if column != 'Tape']
    print('| op | ' + ' | '.join(f'{column}, µs' for column in programs) + ''.join(f' | {c} / Tape' for c in others) + ' |')
    print('|---|' + '---|' * (len(programs) + len(others)))
    ratios = {column: [] for column in others}
    for name in names:
        times = [best[column][name] for column in programs]
        for column in others:
            ratios[column].append(best[column][name] / best['Tape'][name])
        print(f'| {name} | ' + ' | '.join(f'{time:.1f}' for time in times) +
              ''.join(f' | {ratios[c][-1]:.2f}' for c in others) + ' |')
    print('| geometric mean | ' + ' | '.join('' for _ in programs) + ''.join(f' | {mean(ratios[c]):.2f}' for c in others) +
          ' |')


if __name__ == '__main__':
    main()
