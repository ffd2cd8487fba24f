"""One of Debian's shared Abseil libraries as a target."""

def absl_library(name, libs = [], deps = []):
    """Links libabsl_<lib>.so for each of `libs`; the headers lie in /usr/include, where the compiler looks anyway."""
    native.cc_library(
        name = name,
        # Bazel's toolchain turns --as-needed off, and each Abseil library a program does not use costs it start-up time.
        linkopts = ["-Wl,--push-state,--as-needed"] +
                   ["-labsl_" + lib for lib in libs] +
                   ["-Wl,--pop-state"] if libs else [],
        visibility = ["//visibility:public"],
        deps = deps,
    )
