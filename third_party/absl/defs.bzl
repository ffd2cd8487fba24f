"""One of Debian's shared Abseil libraries as a target."""

load("@absl_libs//:libs.bzl", "LIBS")

def absl_library(name, module, deps = []):
    """Links what pkg-config says of `module`; the headers lie in /usr/include, where the compiler looks anyway."""
    native.cc_library(
        name = name,
        # Bazel's toolchain turns --as-needed off, and each Abseil library a program does not use costs it start-up time.
        linkopts = ["-Wl,--push-state,--as-needed"] + LIBS[module] + ["-Wl,--pop-state"] if LIBS[module] else [],
        visibility = ["//visibility:public"],
        deps = deps,
    )
