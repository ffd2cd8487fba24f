#!/usr/bin/python3
"""Predicts what a training step costs on 2 to 1024 MPI ranks of one thread.

  bazel build -c opt //bench:mpi_bench
  bench/mpi_model.py [--constants=FILE.json] [--save=FILE.json] [--links=10,100,100rdma] [--wire_us=2]

Measures the constants on this machine, or reads them from a file that --save has written, and prints tables: samples/s and
efficiency, which is the rate of R ranks by R times the rate of one. Of the documents' networks (configs.h) each with its
batch divided among the ranks ("strong scaling") and with its batch on each rank ("weak scaling"), and of a perceptron of
100 million parameters with some rows a rank, with sums of float32 and of bfloat16.

A message of n bytes takes alpha + n beta (Hockney, "The communication challenge for MPP", 1994). The processor moves it
between memory and sockets in n kappa, unless the adapter does, and adds it in n gamma. Of R ranks (Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
2005; framework/distributed/all_reduce.h) an all-reduce of n bytes takes

  recursive doubling, if R < 4 or there are fewer than 16,384 elements:  log2(R) (alpha + n (beta + kappa + gamma))
  halving and doubling:  2 log2(R) alpha + (R - 1) / R n (2 beta + 2 kappa + gamma)

Sums of bfloat16 travel in n / 2 bytes; rounding costs delta for each byte of float32 that a rank sends or receives.

A step is simulated on one rank; all are alike. Its work is the measured step of one rank with as many rows, in one thread:
first the passes, which take their time by floating-point operations (2 m k n for each product), then the serial part, which
begins when all sums are there: what a step of one row takes, as updates do. The all-reduce of a gradient of at least 64 KiB
begins when the backward pass has made it, smaller ones travel together (framework/compiler/shard_batch.h). The link serves
messages one after the other in both directions; moving and adding delay the passes.

Alpha is the software's, measured between two processes by TCP through the loopback device, and --wire_us, assumed for cables
and switches; kappa is what is left of an all-reduce of 1 MiB between the same two. Beta is the link's nominal rate without the
headers of TCP and Ethernet: 1448 of 1514 bytes. Not modelled: ranks that wait for a slower one, congestion of switches, memory
shared by ranks of one machine."""

import argparse
import dataclasses
import heapq
import json
import math
import os
import sys

from rounds import FOLDER, Program

BENCH = os.path.join(FOLDER, 'mpi_bench')
TCP = ('--mca', 'btl', 'tcp,self', '--mca', 'btl_tcp_if_include', 'lo')
BUCKET_BYTES, LONG_ELEMENTS = 64 * 1024, 16 * 1024  # shard_batch.cc, all_reduce.cc.
FLOAT_BYTES, VOTES = 4, 2
PAYLOAD = 1448 / 1514
RANKS = [2**power for power in range(1, 11)]
LARGE = {'sizes': '784,6880,6880,6880,10', 'batch': '64', 'optimizer': 'sgd', 'activation': 'relu', 'order': 'drawn',
         'learning_rate': '0.01', 'l2': '0'}
LARGE_ROWS = (64, 512)


# ---- The model ----


@dataclasses.dataclass
class Network:
    alpha: float  # Seconds a message.
    beta: float  # Seconds a byte.
    burst: float = 0  # Bytes that pass at once on a link that was idle long enough (a token bucket).


@dataclasses.dataclass
class Processor:
    gamma: float  # Seconds a byte that is added.
    delta: float  # Seconds a byte of float32 that is rounded.
    kappa: float = 0  # Seconds a byte that is sent and as many that are received.


def rounds_of(ranks, elements, bfloat16):
    """The exchanges of an all-reduce: bytes on the wire, bytes of float32 that are added."""
    wire = 2 if bfloat16 else FLOAT_BYTES
    if ranks < 4 or elements < LONG_ELEMENTS:
        return [(elements * wire, elements * FLOAT_BYTES)] * int(math.log2(ranks))
    halves, left = [], elements
    for _ in range(int(math.log2(ranks))):
        left /= 2
        halves.append((left * wire, left * FLOAT_BYTES))
    return halves + [(sent, 0) for sent, _ in reversed(halves)]


def buckets_of(sizes, others=1):
    """(elements, share of the passes before it begins) of each all-reduce; `others` are sums besides gradients."""
    pairs = list(zip(sizes, sizes[1:]))
    total = sum((2 if i == 0 else 3) * a * b for i, (a, b) in enumerate(pairs))
    done = sum(a * b for a, b in pairs)  # Forward.
    buckets, small = [], others
    for i, (inputs, units) in reversed(list(enumerate(pairs))):
        done += inputs * units  # The weights' gradient; then the input's.
        for elements in (units, inputs * units):
            if elements * FLOAT_BYTES >= BUCKET_BYTES:
                buckets.append((elements, done / total))
                continue
            small += elements
            if small * FLOAT_BYTES >= BUCKET_BYTES:
                buckets.append((small, done / total))
                small = 0
        done += inputs * units if i > 0 else 0
    return buckets + [(small + VOTES, 1.0)]


def step_seconds(ranks, buckets, passes, serial, network, processor, bfloat16=False):
    """Seconds of a step. `passes`, `serial`: one rank's work."""
    if ranks == 1:
        return passes + serial
    link_free = -math.inf
    last = extra = 0.0
    events, all_rounds = [], []  # Events: (time, all-reduce, round).
    for number, (elements, share) in enumerate(buckets):
        rounded = bfloat16 and elements >= LONG_ELEMENTS and number + 1 < len(buckets)
        all_rounds.append((rounds_of(ranks, elements, rounded), rounded))
        events.append((passes * share, number, 0))
    heapq.heapify(events)
    while events:
        time, number, at = heapq.heappop(events)
        rounds, rounded = all_rounds[number]
        wire, added = rounds[at]
        if at == 0:
            time += extra  # The passes are late.
        link_free = max(time - network.burst * network.beta, link_free) + wire * network.beta
        # Rounded are the values that are sent, and those that are received.
        work = wire * processor.kappa + added * processor.gamma + (2 * 2 * wire * processor.delta if rounded else 0)
        extra += work
        done = max(time, link_free) + network.alpha + work
        last = max(last, done)
        if at + 1 < len(rounds):
            heapq.heappush(events, (done, number, at + 1))
    return max(passes + extra, last) + serial


# ---- Constants ----


def least(program, line, rounds):
    return min(program.time(line) for _ in range(rounds)) * 1e-6


def kappa_of(seconds, size, alpha, gamma):
    """Kappa of an all-reduce of `size` bytes between two ranks over a link without a limit."""
    return max(0, (seconds - alpha) / size - gamma)


def tcp_ranks():
    os.environ.update({'OMPI_ALLOW_RUN_AS_ROOT': '1', 'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM': '1'})
    return Program('/usr/bin/mpirun', '-n', '2', '--bind-to', 'none', *TCP, BENCH, 'serve')


def line_of(told, **changed):
    values = {**dict(word.split('=', 1) for word in told.split()), **{key: str(value) for key, value in changed.items()}}
    return 'step threads=1 ' + ' '.join(f'{key}={value}' for key, value in values.items())


def measure(rounds):
    """The constants, in seconds: those of messages and adding, and {config: {rows: seconds}}."""
    rank, pair = Program(BENCH, 'serve'), tcp_ranks()
    megabyte = 2**20
    constants = {
        'versions': rank.versions(),
        'alpha': least(pair, 'all_reduce bytes=4', 5 * rounds),
        'tcp_megabyte': least(pair, f'all_reduce bytes={megabyte}', 5 * rounds),
        'gamma': least(rank, f'add bytes={megabyte}', 5 * rounds) / megabyte,
        'delta': least(rank, f'round bytes={megabyte}', 5 * rounds) / megabyte,
        'steps': {},
    }
    constants['kappa'] = kappa_of(constants['tcp_megabyte'], megabyte, constants['alpha'], constants['gamma'])
    pair.end()
    configs = dict(line.split(' ', 1) for line in rank.names())
    configs['100M'] = ' '.join(f'{key}={value}' for key, value in LARGE.items())
    for name, told in configs.items():
        batch = int(dict(word.split('=', 1) for word in told.split())['batch'])
        if name == '100M':
            all_rows = {1, *LARGE_ROWS}
        else:
            all_rows = {batch, *(-(-batch // ranks) for ranks in RANKS)}
        seconds = {}
        for rows in sorted(all_rows):
            # Long steps are rounds of several by themselves.
            once = rank.time(line_of(told, batch=rows)) * 1e-6
            more = rounds if once < 0.1 else max(1, rounds // 5)
            seconds[rows] = min(once, least(rank, line_of(told, batch=rows), more))
        constants['steps'][name] = {'told': told, 'seconds': seconds}
        print(f'measured {name}', file=sys.stderr, flush=True)
    return constants


class Step:
    """A config's step, as it was measured."""

    def __init__(self, told, seconds):
        values = dict(word.split('=', 1) for word in told.split())
        self.sizes = [int(size) for size in values['sizes'].split(',')]
        self.batch = int(values['batch'])
        self.seconds = {int(rows): value for rows, value in seconds.items()}
        self.serial = self.seconds[min(self.seconds)]
        self.buckets = buckets_of(self.sizes)

    def predict(self, ranks, rows, network, processor, bfloat16=False):
        total = self.seconds[rows]
        serial = min(self.serial, total)
        return step_seconds(ranks, self.buckets, total - serial, serial, network, processor, bfloat16)


# ---- Tables ----


def print_table(title, rows):
    print(f'\n{title}\n')
    print('| | ' + ' | '.join(map(str, RANKS)) + ' |')
    print('|---' * (1 + len(RANKS)) + '|')
    for name, cells in rows:
        print(f'| {name} | ' + ' | '.join(cells) + ' |')


def cell(samples, seconds, alone):
    """`alone`: samples a second on one rank, of R of them."""
    rate = samples / seconds
    text = f'{rate / 1e6:.2f}M' if rate >= 1e6 else f'{rate / 1e3:.1f}k' if rate >= 1e3 else f'{rate:.0f}'
    return f'{text}, {100 * rate / alone:.0f}%'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--constants', default='', help='JSON file of constants; by default they are measured')
    parser.add_argument('--save', default='', help='JSON file to write the constants to')
    parser.add_argument('--rounds', type=int, default=20, help='rounds of each measurement, of which the least counts (20)')
    parser.add_argument('--links', default='10,100,100rdma',
                        help='rates in Gbit/s; with "rdma", adapters move data: kappa is 0 (10,100,100rdma)')
    parser.add_argument('--wire_us', type=float, default=2, help='latency of cables and switches, microseconds (2)')
    arguments = parser.parse_args()
    if arguments.constants:
        with open(arguments.constants, encoding='utf-8') as file:
            constants = json.load(file)
    else:
        constants = measure(arguments.rounds)
    if arguments.save:
        with open(arguments.save, 'w', encoding='utf-8') as file:
            json.dump(constants, file, indent=1)
    steps = {name: Step(step['told'], step['seconds']) for name, step in constants['steps'].items()}
    print(f'{constants["versions"]}\nalpha {constants["alpha"] * 1e6:.1f} us + {arguments.wire_us:g} us, '
          f'kappa {constants["kappa"] * 1e9:.3f} ns/B, '
          f'gamma {constants["gamma"] * 1e9:.3f} ns/B, delta {constants["delta"] * 1e9:.3f} ns/B')
    documents = {name: step for name, step in steps.items() if name != '100M'}
    for link in arguments.links.split(','):
        gbits = float(link.removesuffix('rdma'))
        processor = Processor(constants['gamma'], constants['delta'], 0 if link.endswith('rdma') else constants['kappa'])
        name_of_link = f'{gbits:g} Gbit/s' + (', moved by the adapter' if link.endswith('rdma') else '')
        network = Network(constants['alpha'] + arguments.wire_us * 1e-6, 8 / (gbits * 1e9 * PAYLOAD))
        strong, weak, large = [], [], []
        for name, step in documents.items():
            one = step.batch / step.seconds[step.batch]
            strong.append((name, [
                cell(step.batch, step.predict(ranks, -(-step.batch // ranks), network, processor), ranks * one)
                if ranks <= step.batch else '' for ranks in RANKS]))
            weak.append((name, [
                cell(ranks * step.batch, step.predict(ranks, step.batch, network, processor), ranks * one)
                for ranks in RANKS]))
        for rows in LARGE_ROWS:
            one = rows / steps['100M'].seconds[rows]
            for bfloat16 in (False, True):
                large.append((f'{rows} rows, {"bfloat16" if bfloat16 else "float32"} sums', [
                    cell(ranks * rows, steps['100M'].predict(ranks, rows, network, processor, bfloat16), ranks * one)
                    for ranks in RANKS]))
        print_table(f'{name_of_link}, the batch divided among the ranks: samples/s, efficiency', strong)
        print_table(f'{name_of_link}, the batch on each rank', weak)
        print_table(f'{name_of_link}, {LARGE["sizes"].replace(",", "-")} (100 million parameters), by rows on each rank',
                    large)


if __name__ == '__main__':
    main()
