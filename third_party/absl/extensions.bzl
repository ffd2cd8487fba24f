"""For MODULE.bazel; Bazel 4, which knows no extensions, does not load it."""

load("//:absl_libs.bzl", "absl_libs")

def _system_impl(_ctx):
    absl_libs(name = "absl_libs")

system = module_extension(implementation = _system_impl)
