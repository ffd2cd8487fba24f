"""What compare.py and compare_ops.py share: the programs that they time in turns (rounds.h), and their arguments."""

import argparse
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
            fail(f'expected a program, found no {path}: see --help for what to build')
        self.path = path
        environment = {**os.environ, 'LD_PRELOAD': preload} if preload else os.environ
        self.process = subprocess.Popen([path, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL if quiet else None, text=True, env=environment)

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

    def time(self, line):
        answer = float(self.ask(line))
        return answer if answer > 0 else fail(f'{self.path} does not know "{line}"')


def mean(ratios):
    """The geometric mean."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


# ---- Types of arguments ----


def at_least_one(text):
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'expected a whole number of at least 1, found "{text}"')
    return int(text)


def pattern(text):
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f'expected a regular expression, found "{text}": {error}')
