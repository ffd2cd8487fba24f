#!/usr/bin/python3
"""Makes the golden files of this folder: what other programs write, for tests/io/safetensors_test.cc and tests/io/npz_test.cc.

Needs numpy. The safetensors files are put together by hand, by the rules of the reference implementation: Debian has no
package of it.

    tests/io/golden/make_golden.py
"""
import io
import json
import pathlib
import struct
import zipfile

import numpy as np

FOLDER = pathlib.Path(__file__).parent
# The reference's types that we read, in its order: the least aligned first.
CODES = ["BOOL", "U8", "I8", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "F64", "I64", "U64"]


def safetensors(arrays, metadata=None):
    """The bytes of a file of `arrays`: name -> (code, shape, bytes)."""
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, (code, shape, payload) in sorted(arrays.items(), key=lambda item: (-CODES.index(item[1][0]), item[0])):
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [len(data), len(data) + len(payload)]}
        data += payload
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def of(code, array):
    return code, list(array.shape), array.tobytes()


def types():
    floats = [[0.0, -0.0, 1.5], [np.inf, -np.inf, 65504.0]]
    return {
        "bool": of("BOOL", np.array([True, False])),
        "uint8": of("U8", np.array([0, 255], "u1")),
        "float16": of("F16", np.array(floats, "<f2")),
        # 1.5 and -2, as the upper halves of float32.
        "bfloat16": of("BF16", np.array([0x3FC0, 0xC000], "<u2")),
        "int32": of("I32", np.array([-(2**31), 2**31 - 1], "<i4")),
        "float32": of("F32", np.array(floats, "<f4")),
        "float64": of("F64", np.array(floats, "<f8")),
        "int64": of("I64", np.array([-(2**63), 2**63 - 1], "<i8")),
        "int8": of("I8", np.array([-128, 127], "i1")),
        "int16": of("I16", np.array([-(2**15), 2**15 - 1], "<i2")),
        "uint16": of("U16", np.array([0, 2**16 - 1], "<u2")),
        "uint32": of("U32", np.array([1, 2**31 - 1], "<u4")),
        "uint64": of("U64", np.array([2, 2**31 - 1], "<u8")),
        "no elements": ("F32", [0, 3], b""),
        'rank 0, \u00fc, "quoted"\n': ("F32", [], struct.pack("<f", 0.1)),
    }


def npz_arrays():
    """Each type, in each byte order and order of elements."""
    matrix = np.arange(6).reshape(2, 3)
    cube = np.arange(24).reshape(2, 3, 4)
    codes = ["i4", "i8", "f2", "f4", "f8", "i2", "u2", "u4", "u8"]
    arrays = {f"{code}{order}": matrix.astype(order + code) for code in codes for order in "<>"}
    return arrays | {
        "b1": matrix % 2 == 1,
        "u1": matrix.astype("u1"),
        "i1": matrix.astype("i1"),
        "fortran": np.asfortranarray(matrix.astype("<f4")),
        "fortran cube": np.asfortranarray(cube.astype(">f8")),
        "none": np.zeros((0, 3), "<f4"),
        "scalar": np.array(0.5, "<f4"),
        "layer1/w": np.array([1.5], "<f4"),
    }


def npy(array, version):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


def main():
    np.savez(FOLDER / "stored.npz", **npz_arrays())
    np.savez_compressed(FOLDER / "deflated.npz", **npz_arrays())
    with zipfile.ZipFile(FOLDER / "versions.npz", "w") as archive:
        for major in (1, 2, 3):
            member = zipfile.ZipInfo(f"v{major}.npy")  # Of 1980.
            archive.writestr(member, npy(np.array([major], "<i4"), (major, 0)))
    (FOLDER / "types.safetensors").write_bytes(safetensors(types(), {"format": "pt"}))
    # Its header, as it happens, needs no padding.
    (FOLDER / "plain.safetensors").write_bytes(
        safetensors({"bbb": of("F32", np.array([1, 2], "<f4")), "a": of("I32", np.array([[3]], "<i4"))}))


if __name__ == "__main__":
    main()
