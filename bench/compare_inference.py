#!/usr/bin/python3
"""Prints a table of forward passes: Tape's, ONNX Runtime's and libtorch's, timed in turns within one run.

  bazel build -c opt //bench:tape_inference
  bench/compare_inference.py [--rounds=20] [--batches=1,10,100,1000,10000] [--threads=1,2] [--before=PROGRAM]
                             [--onnxruntime=PROGRAM ...] [--libtorch=PROGRAM]

The network, 784-256-128-10 with ReLU, and the images are those of inference_line.h. A pass begins with floats in memory,
the same in each pass, and ends with logits in memory. Above the table: the processor, the date, and the versions of each
program. Microseconds a pass: the minimum of the rounds, which take some 20 ms each and alternate between the programs,
and of 1 and 2 threads, or of those that are asked for. "bfloat16" is Tape with products of bfloat16, where the processor
has them; "bytes" is Tape with images that are bytes.

Before a batch is timed, all programs compute its logits, once for each number of threads. An error: any that differ from
Tape's by more than 1e-3 of the largest of them; by 3e-2 with bfloat16.

--onnxruntime: onnxruntime_inference, or a script that runs it in a chroot of a newer Debian or with another release of
the library; may be given several times. --libtorch: the same of libtorch_inference, with its products by oneDNN
(sgemm_by_onednn.cc) if the script preloads that library. --before: another build of tape_inference. The columns of
programs that are not given are left out.
"""

import argparse
import math
import os
import time

from rounds import FOLDER, Program, at_least_one, fail, mean, print_versions

TOLERANCES = {'bfloat16': 3e-2}  # Of kinds of passes; else 1e-3.


class Column:
    """A kind of pass of a program."""

    def __init__(self, heading, program, kind):
        self.heading, self.program, self.kind = heading, program, kind

    def time(self, threads, batch):
        return self.program.time(f'{self.kind} threads={threads} batch={batch}')

    def logits(self, threads, batch):
        words = self.program.ask(f'logits {self.kind} threads={threads} batch={batch}').split()
        if len(words) != 10 * batch:
            fail(f'{self.program.path}: expected {10 * batch} logits of {batch} images, found {len(words)}')
        try:
            return list(map(float, words))
        except ValueError as error:
            fail(f'{self.program.path}: expected logits: {error}')


def columns_of(arguments):
    """Tape's columns, then the others'. The first has the logits that all are held to."""
    ours = Program(os.path.join(FOLDER, 'tape_inference'))
    kinds = ours.names()
    columns = [Column('float32', ours, 'floats')]
    columns += [Column(kind, ours, kind) for kind in ('bfloat16', 'bytes') if kind in kinds]
    programs = {'Tape': ours}
    if arguments.before:
        programs['before'] = Program(arguments.before)
        columns.append(Column('before', programs['before'], 'floats'))
    for path in arguments.onnxruntime + ([arguments.libtorch] if arguments.libtorch else []):
        program = Program(path)
        library = program.ask('library').split(',')[0]
        programs[library] = program
        columns.append(Column(library, program, 'floats'))
    print_versions(programs)
    return columns


def check_logits(columns, threads, batch):
    expected = columns[0].logits(threads, batch)
    largest = max(map(abs, expected))
    for column in columns:
        tolerance = TOLERANCES.get(column.kind, 1e-3) * largest
        for i, (found, logit) in enumerate(zip(column.logits(threads, batch), expected)):
            if not abs(found - logit) <= tolerance:  # Of a NaN as well.
                fail(f'{column.heading}, {threads} threads, batch {batch}: expected {logit:g} for logit {i % 10} of '
                     f'image {i // 10}, found {found:g}')


def best_of(columns, batch, rounds, all_threads):
    """Microseconds of each column."""
    best = [math.inf] * len(columns)
    for threads in all_threads:
        check_logits(columns, threads, batch)
        for _ in range(rounds):
            for i, column in enumerate(columns):
                best[i] = min(best[i], column.time(threads, batch))
                time.sleep(0.01)  # Until its threads are asleep: those of OpenMP spin for some 5 ms.
    return best


def whole_numbers(text):
    return [at_least_one(part) for part in text.split(',')]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=at_least_one, default=20, help='of each column and number of threads (20)')
    parser.add_argument('--batches', type=whole_numbers, default=[1, 10, 100, 1000, 10000],
                        help='numbers of images (1,10,100,1000,10000)')
    parser.add_argument('--threads', type=whole_numbers, default=[1, 2],
                        help='numbers of threads, of which the best counts (1,2)')
    parser.add_argument('--before', default='', help='another build of tape_inference')
    parser.add_argument('--onnxruntime', action='append', default=[], help='a program; may be given several times')
    parser.add_argument('--libtorch', default='', help='a program')
    arguments = parser.parse_args()
    columns = columns_of(arguments)
    others = columns[1:]
    print('| batch | ' + ' | '.join(f'{column.heading}, µs' for column in columns) + ' | ' +
          ' | '.join(f'{column.heading} / float32' for column in others) + ' |')
    print('|---' * (1 + len(columns) + len(others)) + '|')
    all_ratios = []
    for batch in arguments.batches:
        best = best_of(columns, batch, arguments.rounds, arguments.threads)
        ratios = [microseconds / best[0] for microseconds in best[1:]]
        all_ratios.append(ratios)
        cells = [str(batch), *(f'{microseconds:.1f}' for microseconds in best), *(f'{ratio:.2f}' for ratio in ratios)]
        print('| ' + ' | '.join(cells) + ' |', flush=True)
    print('| geometric mean |' + ' |' * len(columns) + ''.join(f' {mean(values):.2f} |' for values in zip(*all_ratios)))


if __name__ == '__main__':
    main()
