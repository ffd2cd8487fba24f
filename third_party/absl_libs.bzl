"""Which of Abseil's libraries to link: its releases cut them differently, and pkg-config knows how."""

_MODULES = [
    "absl_any_invocable",
    "absl_cleanup",
    "absl_flags",
    "absl_flags_parse",
    "absl_flags_reflection",
    "absl_flags_usage",
    "absl_inlined_vector",
    "absl_span",
    "absl_status",
    "absl_statusor",
    "absl_str_format",
    "absl_strings",
    "absl_time",
]

def _absl_libs_impl(ctx):
    libs = {}
    for module in _MODULES:
        found = ctx.execute(["pkg-config", "--libs", module])
        if found.return_code != 0:
            fail("pkg-config --libs %s: %s (third_party/install.sh installs it)" % (module, found.stderr.strip()))
        libs[module] = [flag for flag in found.stdout.strip().split(" ") if flag.startswith("-l")]
    ctx.file("BUILD.bazel")
    ctx.file("libs.bzl", "\"\"\"Of each module of pkg-config, the libraries to link.\"\"\"\n\nLIBS = %r\n" % libs)

absl_libs = repository_rule(
    implementation = _absl_libs_impl,
    doc = "A repository whose //:libs.bzl has LIBS: the linker's -l flags for each module.",
    environ = [
        "PATH",
        "PKG_CONFIG_PATH",
    ],
    local = True,
)
