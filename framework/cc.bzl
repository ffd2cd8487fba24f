"""The C++ rules of this project: flags that its results depend on belong to its targets, whoever builds them."""

load(
    "@rules_cc//cc:defs.bzl",
    _cc_binary = "cc_binary",
    _cc_library = "cc_library",
    _cc_test = "cc_test",
)

_COPTS = [
    "-std=c++20",
    # No fused multiply-add unless the code asks for one: what a formula says is what is computed.
    "-ffp-contract=off",
] + select({
    # Highway's vectors of SVE have no size, and ours are members of structs: NEON there.
    "@platforms//cpu:aarch64": ["-DHWY_DISABLED_TARGETS=(HWY_SVE|HWY_SVE2|HWY_SVE_256|HWY_SVE2_128)"],
    "//conditions:default": [],
})

def cc_library(copts = [], **kwargs):
    """A cc_library of this project."""
    _cc_library(copts = _COPTS + copts, **kwargs)

def cc_binary(copts = [], **kwargs):
    """A cc_binary of this project."""
    _cc_binary(copts = _COPTS + copts, **kwargs)

def cc_test(copts = [], **kwargs):
    """A cc_test of this project."""
    _cc_test(copts = _COPTS + copts, **kwargs)
