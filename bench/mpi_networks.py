#!/usr/bin/python3
"""Trains on MPI ranks that a slow network joins, and prints their time beside what mpi_model.py predicts.

  bazel build -c opt //bench:mpi_bench //bench:libslow_messages.so //models:train_mpi
  bench/mpi_networks.py [--ranks=2,4] [--links=none,1000,100,latency] [--epochs=4]

Needs root, Open MPI, and Debian's iproute2, which third_party/install.sh does not install. Each rank is in a network
namespace with a hostname and an address of its own; veth links join them to a bridge, and MPI has TCP alone. --links: the
rate of each link in Mbit/s, by a token bucket filter (tc-tbf) in both directions; "none"; or "latency": no limit, and
each message is sent 1 ms late (libslow_messages.so). Open MPI sends up to 4 MiB at once (btl_tcp_eager_limit):
by default the receiver's consent to a long message waits in the socket behind the receiver's own long message, and the two
directions often take turns.

Each run trains fashion_mlp in batches of 512, cut into 4 shards, on one thread a rank. The script compares its
model.safetensors with that of one process byte by byte. "epoch" is the training seconds of the fastest epoch. The model's
constants: the step of one process, whose passes are divided among the ranks; alpha and kappa of all-reduces between two ranks
over links without a limit, to which 1 ms is added with "latency"; gamma and the serial part from mpi_bench. Beta is
the nominal rate without headers. Of more ranks than cores, each has a part of one core.
"""

import argparse
import csv
import filecmp
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from mpi_model import FLOAT_BYTES, PAYLOAD, Network, Processor, buckets_of, kappa_of, least, step_seconds
from rounds import FOLDER, Program, fail, print_versions

BENCH = os.path.join(FOLDER, 'mpi_bench')
TRAIN = os.path.join(os.path.dirname(FOLDER), 'models', 'train_mpi')
SLOW = os.path.join(FOLDER, 'libslow_messages.so')
BATCH, SHARDS, SIZES = 512, 4, [784, 256, 128, 10]
STEPS = -(-60000 // BATCH)  # Of an epoch.
MESSAGE_BYTES = SIZES[0] * SIZES[1] * FLOAT_BYTES  # The largest gradient.
STEP = (f'sizes={",".join(map(str, SIZES))} optimizer=adam activation=relu order=drawn learning_rate=0.001 l2=0')
NAMES, BRIDGE, SUBNET = 'tape-rank', 'tape-bridge', '10.231.7'
LATENCY_SECONDS = 1e-3
MOST_RANKS = SHARDS
EAGER_BYTES = 4 << 20


def burst_bytes(mbits):
    """The token bucket's size: with less than 2 ms of data, a link of 1 Gbit/s has half its rate."""
    return max(64 * 1024, round(mbits * 1e6 / 8 * 2e-3))


def call(command):
    result = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    if result.returncode != 0:
        fail(f'{command}: {result.stderr.strip()}')


class Networks:
    """Namespaces joined by a bridge, while a "with" block lasts; `mbits`: the links' rate, 0: none."""

    def __init__(self, ranks, mbits):
        self.ranks, self.mbits = ranks, mbits
        self.folder = tempfile.mkdtemp()

    def __enter__(self):
        self.remove()
        call(f'ip link add {BRIDGE} type bridge')
        call(f'ip link set {BRIDGE} up')
        for rank in range(self.ranks):
            name, outside = f'{NAMES}{rank}', f'tape-veth{rank}'
            call(f'ip netns add {name}')
            call(f'ip link add {outside} type veth peer name eth0 netns {name}')
            call(f'ip link set {outside} master {BRIDGE} up')
            call(f'ip -n {name} addr add {SUBNET}.{rank + 1}/24 dev eth0')
            call(f'ip -n {name} link set eth0 up')
            call(f'ip -n {name} link set lo up')
            # bbr paces by the rates that it has seen, which are too low after passes without messages.
            call(f'ip netns exec {name} sysctl -qw net.ipv4.tcp_congestion_control=reno')
            if self.mbits:
                call(f'tc -n {name} qdisc add dev eth0 root tbf rate {self.mbits}mbit burst {burst_bytes(self.mbits)} limit 16mb')
                call(f'tc qdisc add dev {outside} root tbf rate {self.mbits}mbit burst {burst_bytes(self.mbits)} limit 16mb')
        # What mpirun calls in place of ssh: HOST COMMAND….
        self.agent = os.path.join(self.folder, 'agent')
        with open(self.agent, 'w', encoding='utf-8') as file:
            file.write(f'#!/bin/sh\nname={NAMES}$((${{1##*.}} - 1)); shift\n'
                       'exec ip netns exec $name unshare --uts sh -c "hostname $name; $*"\n')
        os.chmod(self.agent, 0o755)
        return self

    def __exit__(self, *_):
        self.remove()
        shutil.rmtree(self.folder)

    @staticmethod
    def remove():
        found = subprocess.run(['ip', 'netns'], capture_output=True, text=True, check=False).stdout.split()
        # The links first: those of a namespace end some time after it.
        for link in [*(f'tape-veth{rank}' for rank in range(MOST_RANKS)), BRIDGE]:
            subprocess.run(['ip', 'link', 'del', link], capture_output=True, check=False)
        for name in found:
            if name.startswith(NAMES):
                call(f'ip netns del {name}')

    def command(self, *program, slow=False):
        """The command line of a program on all ranks."""
        hosts = ','.join(f'{SUBNET}.{rank + 1}:1' for rank in range(self.ranks))
        flags = ['-n', str(self.ranks), '--host', hosts, '--bind-to', 'none', '--mca', 'plm_rsh_agent', self.agent,
                 '--mca', 'btl', 'tcp,self', '--mca', 'btl_tcp_if_include', 'eth0', '--mca', 'oob_tcp_if_include', 'eth0',
                 '--mca', 'btl_tcp_eager_limit', str(EAGER_BYTES), '--mca', 'mpi_yield_when_idle', '1']
        if slow:
            flags += ['-x', f'LD_PRELOAD={SLOW}', '-x', f'SLOW_MESSAGES_US={LATENCY_SECONDS * 1e6:.0f}']
        first = f'{NAMES}0'
        return ['/usr/sbin/ip', 'netns', 'exec', first, 'unshare', '--uts', 'sh', '-c', f'hostname {first}; exec "$@"', 'sh',
                '/usr/bin/mpirun', *flags, *program]


def train(command, folder, epochs):
    """Trains and returns the training seconds of each epoch."""
    result = subprocess.run([*command, TRAIN, '--experiment=fashion_mlp', f'--batch_size={BATCH}', f'--shards={SHARDS}',
                             '--threads=1', f'--epochs={epochs}', '--nohtml_report', f'--run_dir={folder}'],
                            capture_output=True, text=True, check=False)
    if result.returncode != 0:
        fail(f'train_mpi: {result.stderr.strip()}')
    with open(os.path.join(folder, 'metrics.csv'), encoding='utf-8') as file:
        return [float(row['seconds']) for row in csv.DictReader(file) if row['split'] == 'train']


class Model:
    """mpi_model.py's prediction of an epoch, with the constants of this machine."""

    def __init__(self, epoch_alone):
        """`epoch_alone`: seconds of an epoch of one process of one thread."""
        self.step_alone = epoch_alone / STEPS
        alone = Program(BENCH, 'serve')
        print_versions({'mpi_bench': alone})
        self.gamma = least(alone, f'add bytes={MESSAGE_BYTES}', 200) / MESSAGE_BYTES
        self.serial = least(alone, f'step threads=1 shards=1 batch=1 {STEP}', 20)
        alone.end()
        with Networks(2, 0) as networks:
            pair = Program(*networks.command(BENCH, 'serve'))
            self.alpha = least(pair, 'all_reduce bytes=4', 200)
            self.kappa = kappa_of(least(pair, f'all_reduce bytes={MESSAGE_BYTES}', 200), MESSAGE_BYTES, self.alpha, self.gamma)
            pair.end()
        print(f'alpha {self.alpha * 1e6:.1f} us, kappa {self.kappa * 1e9:.3f} ns/B, gamma {self.gamma * 1e9:.3f} ns/B, '
              f'a step of one process {self.step_alone * 1e6:.0f} us, its serial part {self.serial * 1e6:.0f} us\n')

    def epoch(self, ranks, link):
        network = Network(self.alpha + (LATENCY_SECONDS if link == 'latency' else 0), 0)
        if link not in ('none', 'latency'):
            network = Network(self.alpha, 8 / (float(link) * 1e6 * PAYLOAD), burst_bytes(float(link)))
        of_a_core = max(1, ranks / len(os.sched_getaffinity(0)))
        processor = Processor(self.gamma * of_a_core, 0, self.kappa * of_a_core)
        # Besides gradients: the loss, and what the model has answered to each rank's rows.
        buckets = [*buckets_of(SIZES), (BATCH // ranks, 1.0)]
        passes = (self.step_alone - self.serial) / ranks * of_a_core
        return STEPS * step_seconds(ranks, buckets, passes, self.serial * of_a_core, network, processor)


def main():
    # So that the namespaces are taken away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--ranks', default='2,4', help='numbers of ranks, powers of two up to 4 (2,4)')
    parser.add_argument('--links', default='none,1000,100,latency',
                        help='rates in Mbit/s, none or latency (none,1000,100,latency)')
    parser.add_argument('--epochs', type=int, default=4, help='epochs of each run (4)')
    arguments = parser.parse_args()
    for path in (BENCH, TRAIN, SLOW):
        if not os.path.exists(path):
            fail(f'expected a program, found no "{path}": see --help for what to build')
    if os.geteuid() != 0 or not shutil.which('tc'):
        fail('expected to be root, with ip and tc of iproute2 installed')
    os.environ.update({'OMPI_ALLOW_RUN_AS_ROOT': '1', 'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM': '1'})
    all_ranks = [int(ranks) for ranks in arguments.ranks.split(',')]
    with tempfile.TemporaryDirectory() as folder:
        expected = os.path.join(folder, 'one')
        model = Model(min(train([], expected, arguments.epochs)))
        print('| ranks | link | same bits | epoch, s | model, s | epoch / model |\n' + '|---' * 6 + '|')
        wrong = False
        for ranks in all_ranks:
            for link in arguments.links.split(','):
                with Networks(ranks, 0 if link in ('none', 'latency') else int(link)) as networks:
                    found = os.path.join(folder, f'{ranks}-{link}')
                    seconds = min(train(networks.command(slow=link == 'latency'), found, arguments.epochs))
                same = filecmp.cmp(os.path.join(expected, 'model.safetensors'), os.path.join(found, 'model.safetensors'),
                                   shallow=False)
                wrong |= not same
                predicted = model.epoch(ranks, link)
                what = {'none': 'no limit', 'latency': '1 ms a message'}.get(link, f'{link} Mbit/s')
                print(f'| {ranks} | {what} | {"yes" if same else "NO"} | {seconds:.2f} | {predicted:.2f} | '
                      f'{seconds / predicted:.2f} |', flush=True)
        if wrong:
            sys.exit(1)


if __name__ == '__main__':
    main()
