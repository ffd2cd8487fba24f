"""What compare.py and compare_ops.py share: the programs that they time in turns (rounds.h), the account of versions above
their tables, and flags."""

import argparse
import datetime
import math
import os
import re
import subprocess
import sys

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'bazel-bin', 'bench')


def fail(message):
    sys.exit(f'{os.path.basename(sys.argv[0])}: error: {message}')


class Program:
    """A program that answers a line by a round's microseconds; `quiet`: without what it says on stderr."""

    def __init__(self, path, *arguments, preload='', quiet=False):
        if not os.path.exists(path):
            fail(f'expected a program, found no "{path}": see --help for what to build')
        self.path = path
        environment = {**os.environ, 'LD_PRELOAD': preload} if preload else os.environ
        try:
            self.process = subprocess.Popen([path, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.DEVNULL if quiet else None, text=True, env=environment)
        except OSError as error:
            fail(f'expected a program, found {path}: {error.strerror}')

    def ask(self, line):
        """The first line of the answer."""
        try:
            self.process.stdin.write(line + '\n')
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ''
        return answer.strip() if answer else fail(f'{self.path} ended without an answer to "{line}"')

    def names(self):
        """The lines that it lists."""
        first = self.ask('list')
        return [first, *iter(lambda: self.process.stdout.readline().strip(), '')]

    def versions(self):
        """The versions of its system, compiler and libraries."""
        answer = self.ask('versions')
        return answer if answer != '-1' else 'unknown (a build without the line "versions")'

    def time(self, line):
        answer = self.ask(line)
        try:
            microseconds = float(answer)
        except ValueError:
            fail(f'{self.path}: expected microseconds, found "{answer}"')
        return microseconds if microseconds > 0 else fail(f'{self.path} does not know "{line}"')

    def end(self):
        """Closes the program's input and waits until it has ended."""
        self.process.stdin.close()
        self.process.wait()


# ---- The account of versions ----

VECTORS = {'avx512f': 'AVX-512', 'avx2': 'AVX2', 'avx': 'AVX', 'sse4_1': 'SSE4', 'ssse3': 'SSSE3'}  # Best first.


def processor():
    """The processor's name, its best vector instructions, and the number of cores that programs may use."""
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        facts = dict(re.findall(r'^(model name|flags)\s*: (.*)$', file.read(), re.MULTILINE))
    flags = facts.get('flags', '').split()
    vectors = next((name for flag, name in VECTORS.items() if flag in flags), 'vector instructions unknown')
    return f'{facts.get("model name", "processor unknown")}, {vectors}, {len(os.sched_getaffinity(0))} cores'


def print_versions(programs):
    """Prints the processor, the date, and the versions of `programs`, {name: Program}."""
    versions = [f'- {name}: {program.versions()}' for name, program in programs.items()]
    print(f'{processor()}, {datetime.date.today()}', '', *versions, '', sep='\n', flush=True)


def mean(ratios):
    """The geometric mean."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


# ---- Flags ----


def flag_parser(description, ours, libtorch):
    """A parser of the flags of both drivers; `ours` and `libtorch` are the names of their programs."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=at_least_one, default=20, help='rounds of each figure (20)')
    parser.add_argument('--filter', type=pattern, default='', help='regular expression that names of rows must contain')
    parser.add_argument('--before', default='', help=f'another build of {ours}')
    path = os.path.join(FOLDER, libtorch)
    parser.add_argument('--libtorch', default=path if os.path.exists(path) else 'none',
                        help=f'another build of {libtorch}; "none" for none')
    return parser


def at_least_one(text):
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'expected a whole number of at least 1, found "{text}"')
    return int(text)


def pattern(text):
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f'expected a regular expression, found "{text}": {error}')
