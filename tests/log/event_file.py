"""Makes event_file.golden: the event file that event_file_test.cc expects.

Its messages are protoc's, from the fields that TensorFlow's event.proto and
summary.proto give their scalars; its checksums are made bit by bit. To make the
file anew, which is needed only when its events are changed:

  apt-get install --no-install-recommends protobuf-compiler
  /usr/bin/python3 tests/log/event_file.py

The file was made with Debian 12's protoc 3.21.12.
"""

import pathlib
import struct
import subprocess
import tempfile

PROTO = """
syntax = "proto3";
package tensorflow;
message Summary {
  message Value {
    string tag = 1;
    oneof value { float simple_value = 2; }
  }
  repeated Value value = 1;
}
message Event {
  double wall_time = 1;
  int64 step = 2;
  oneof what {
    string file_version = 3;
    Summary summary = 5;
  }
}
"""

# Wall time, step and scalars of each epoch.
EPOCHS = [
    (1700000000.25, 1, [
        ("loss/train", "0.1"), ("accuracy/train", "0.5"),
        ("seconds/train", "2"), ("loss/validation", "inf"),
        ("accuracy/validation", "0.25"), ("seconds/validation", "0.5"),
        ("loss/test", "nan"), ("accuracy/test", "1"), ("seconds/test", "0.25"),
        ("learning_rate", "0.01"), ("zeros", "0.5"), ("zeros_2", "0.75")]),
    (1700000003.5, 300, [
        ("loss/train", "-inf"), ("accuracy/train", "0"), ("loss/test", "1e-45"),
        ("accuracy/test", "nan")]),
]


def masked_crc32c(data):
  crc = 0xFFFFFFFF
  for byte in data:
    crc ^= byte
    for _ in range(8):
      crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
  crc ^= 0xFFFFFFFF
  masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
  return struct.pack("<I", masked)


def record(event):
  with tempfile.TemporaryDirectory() as folder:
    (pathlib.Path(folder) / "event.proto").write_text(PROTO)
    data = subprocess.run(
        ["protoc", "--proto_path=" + folder, "--encode=tensorflow.Event",
         "event.proto"],
        input=event.encode(), capture_output=True, check=True).stdout
  length = struct.pack("<Q", len(data))
  return length + masked_crc32c(length) + data + masked_crc32c(data)


def main():
  golden = record(
      f'wall_time: {EPOCHS[0][0]} file_version: "brain.Event:2"')
  for wall_time, step, scalars in EPOCHS:
    values = " ".join(f'value {{ tag: "{tag}" simple_value: {value} }}'
                      for tag, value in scalars)
    golden += record(
        f"wall_time: {wall_time} step: {step} summary {{ {values} }}")
  pathlib.Path(__file__).with_suffix(".golden").write_bytes(golden)


main()
