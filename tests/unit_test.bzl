"""Tests of the framework."""

load("//framework:cc.bzl", "cc_test")

# What nearly every test includes.
_COMMON = [
    "//framework/core",
    "@com_google_absl//absl/status",
    "@com_google_absl//absl/status:statusor",
    "@com_google_absl//absl/strings",
    "@com_google_absl//absl/strings:str_format",
    "@com_google_absl//absl/types:span",
    "@com_google_googletest//:gtest_main",
]

def unit_test(name, srcs = None, size = "small", deps = [], **kwargs):
    """A test of NAME.cc, unless `srcs` are given, that depends on `deps` beside what nearly every test includes."""
    cc_test(
        name = name,
        size = size,
        srcs = srcs or [name + ".cc"],
        deps = deps + [label for label in _COMMON if label not in deps],
        **kwargs
    )
