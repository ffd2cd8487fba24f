#!/usr/bin/python3
"""A small PyTorch network whose weights go to files and come back, for tests/io/interop_test.cc.

    torch_weights.py write FOLDER   trains the network a little; writes net.npz and net.safetensors, its weights, and
                                    io.npz, inputs "x" and the "logits" it gives for them
    torch_weights.py read FOLDER    loads ours.npz and ours.safetensors into the network; writes read.npz, the logits it
                                    gives for io.npz's inputs with each

Needs Debian's python3-torch and python3-numpy. "write tests/io/golden/torch" made the files there.
"""
import json
import pathlib
import struct
import sys

import numpy as np
import torch
from torch import nn

import make_golden


def network():
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))


def write(folder):
    torch.manual_seed(1)
    net = network()
    x = torch.randn(7, 6)
    labels = torch.arange(7) % 3
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), labels).backward()
        optimizer.step()
    weights = {name: value.detach().numpy() for name, value in net.state_dict().items()}
    np.savez(folder / "net.npz", **weights)
    (folder / "net.safetensors").write_bytes(
        make_golden.safetensors({name: make_golden.of("F32", value) for name, value in weights.items()}, {"format": "pt"}))
    np.savez(folder / "io.npz", x=x.numpy(), logits=net(x).detach().numpy())


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        assert entry["dtype"] == "F32"
        arrays[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
    return arrays


def read(folder):
    x = torch.from_numpy(np.load(folder / "io.npz")["x"])
    logits = {}
    for kind, weights in {
        "npz": dict(np.load(folder / "ours.npz")),
        "safetensors": read_safetensors(folder / "ours.safetensors"),
    }.items():
        net = network()
        net.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})
        logits[kind] = net(x).detach().numpy()
    np.savez(folder / "read.npz", **logits)


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](pathlib.Path(sys.argv[2]))
