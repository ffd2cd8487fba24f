#!/usr/bin/python3
"""Prints a table of training steps: ours, their matrix products alone, plain C's and libtorch's, timed in turns within one
run.

  bazel build -c opt //bench:tape_steps //bench:c_steps //bench:libtorch_steps //bench:libsgemm_by_onednn.so
  bench/compare.py [--rounds=20] [--filter=b64] [--threads=1,2] [--before=PROGRAM] [--libtorch=PROGRAM]

Above the table: the processor, the date, and the versions of each program. Microseconds a step: the minimum of the
rounds, which take some 20 ms each and alternate between the programs, and of 1 and 2 threads, or of those that are asked
for. "floor" is the products alone, each by the faster of oneDNN's matmul primitive and its sgemm; "floats" is our step
with images that are floats from the start, as the other programs have them; "plain C" is c_steps, "by hand" and
"modules" are libtorch_steps, and "strongest" is the fastest of the three.
--before: another build of tape_steps. Without libtorch_steps, which needs Debian's libtorch-dev, its columns are left
out; --libtorch names another build of it, or a script that runs one in a chroot of a newer Debian, with its products by
oneDNN.

  bench/compare.py --scaling [--rounds=20] [--filter=width] [--before=PROGRAM]

prints how a step and its products grow with width, depth and batch.
"""

import math
import os
import time

from rounds import FOLDER, Program, at_least_one, fail, flag_parser, mean, print_versions

LIBTORCH = os.path.join(FOLDER, 'libtorch_steps')
SGEMM = os.path.join(FOLDER, 'libsgemm_by_onednn.so')


def best_of(columns, told, rounds, all_threads):
    """{column: microseconds}; columns are {column: (program, what)}."""
    best = dict.fromkeys(columns, math.inf)
    for threads in all_threads:
        for _ in range(rounds):
            for column, (program, what) in columns.items():
                best[column] = min(best[column], program.time(f'{what} threads={threads} {told}'))
                time.sleep(0.01)  # Until its threads are asleep: those of OpenMP spin for some 5 ms.
    return best


def print_table(columns, ratios, rows):
    """`ratios`: {heading: (column, column)}, the second divided by the first."""
    print('| config | ' + ' | '.join(f'{column}, µs' for column in columns) + ' | ' + ' | '.join(ratios) + ' |')
    print('|---' * (1 + len(columns) + len(ratios)) + '|')
    all_ratios = {heading: [] for heading in ratios}
    for config, best in rows:
        cells = [config] + [f'{best[column]:.1f}' for column in columns]
        for heading, (below, above) in ratios.items():
            all_ratios[heading].append(best[above] / best[below])
            cells.append(f'{all_ratios[heading][-1]:.2f}')
        print('| ' + ' | '.join(cells) + ' |', flush=True)
    print('| geometric mean |' + ' |' * len(columns) +
          ''.join(f' {mean(values):.2f} |' for values in all_ratios.values()))


def work_of(told):
    """Floating-point operations of a step's products."""
    values = dict(word.split('=') for word in told.split())
    sizes, batch = list(map(int, values['sizes'].split(','))), int(values['batch'])
    pairs = list(zip(sizes, sizes[1:]))
    return 2 * batch * sum((2 if i == 0 else 3) * a * b for i, (a, b) in enumerate(pairs))


def print_steps(arguments, ours, columns, configs):
    # Each a process of its own, as the other columns are: what one has in memory slows the next.
    columns = {'step': (ours, 'bytes'), 'floats': (Program(ours.path), 'floats'), 'floor': (Program(ours.path), 'floor'),
               **columns}
    others = [column for column in ('plain C', 'by hand', 'modules') if column in columns]
    ratios = {'step / floor': ('floor', 'step')}
    if 'before' in columns:
        ratios['before / step'] = ('step', 'before')
    for other in others:
        ratios[f'{other} / step'] = ('step', other)
    ratios['strongest / step'] = ('step', 'strongest')

    def rows():
        for config, told in configs.items():
            best = best_of(columns, told, arguments.rounds, arguments.threads)
            best['strongest'] = min(best[other] for other in others)
            yield config, best

    print_table(columns, ratios, rows())


def print_scaling(arguments, ours, columns, configs):
    columns = {'step': (ours, 'bytes'), 'floor': (Program(ours.path), 'floor'), **columns}
    varied = None
    for config, told in configs.items():
        what, size = config.split(':')
        if what != varied:
            if varied is not None:
                print()
            varied = what
            print(f'| {what} | step, µs | step, GFLOP/s | floor, GFLOP/s | step / floor in GFLOP/s |' +
                  (' before / step |' if 'before' in columns else ''))
            print('|---' * (6 if 'before' in columns else 5) + '|')
        best = best_of(columns, told, arguments.rounds, arguments.threads)
        rates = {column: work_of(told) / microseconds / 1e3 for column, microseconds in best.items()}
        print(f'| {size} | {best["step"]:.1f} | {rates["step"]:.1f} | {rates["floor"]:.1f} | '
              f'{rates["step"] / rates["floor"]:.2f} |' +
              (f' {best["before"] / best["step"]:.2f} |' if 'before' in columns else ''), flush=True)


def main():
    parser = flag_parser(__doc__, 'tape_steps', 'libtorch_steps')
    parser.add_argument('--threads', type=lambda text: [at_least_one(part) for part in text.split(',')],
                        default=[1, 2], help='numbers of threads, of which the best counts (1,2)')
    parser.add_argument('--scaling', action='store_true', help='tables of width, depth and batch, of Tape alone')
    arguments = parser.parse_args()
    ours = Program(os.path.join(FOLDER, 'tape_steps'))
    programs, columns = {'Tape': ours}, {}
    if arguments.before:
        programs['before'] = Program(arguments.before)
        columns['before'] = (programs['before'], 'bytes')
    if not arguments.scaling:
        programs['plain C'] = Program(os.path.join(FOLDER, 'c_steps'))
        columns['plain C'] = (programs['plain C'], 'plain_c')
    if not arguments.scaling and arguments.libtorch != 'none':
        is_ours = os.path.realpath(arguments.libtorch) == os.path.realpath(LIBTORCH)
        if is_ours and not os.path.exists(SGEMM):
            fail(f'expected {SGEMM}, by which libtorch has the products of oneDNN: see --help for what to build')
        programs['libtorch'] = Program(arguments.libtorch, preload=SGEMM if is_ours else '')
        columns.update({what.replace('_', ' '): (programs['libtorch'], what) for what in ('by_hand', 'modules')})
    configs = {name: told for name, told in (line.split(' ', 1) for line in ours.names())
               if (':' in name) == arguments.scaling and arguments.filter.search(name)}
    if not configs:
        fail(f'--filter: no config has "{arguments.filter.pattern}"')
    print_versions(programs)
    (print_scaling if arguments.scaling else print_steps)(arguments, ours, columns, configs)


if __name__ == '__main__':
    main()
