"""What Tape depends on, for a WORKSPACE: Debian's packages (install.sh) as repositories; Bazel fetches nothing."""

load("//third_party:absl_libs.bzl", "absl_libs")

def _bundled_repository_impl(ctx):
    folder = ctx.path(Label("//third_party:repositories.bzl")).dirname.get_child(ctx.attr.folder)
    for entry in folder.readdir():
        ctx.symlink(entry, entry.basename)

_bundled_repository = repository_rule(
    implementation = _bundled_repository_impl,
    doc = "A folder of third_party as a repository, from whichever workspace it is asked for.",
    attrs = {"folder": attr.string(doc = "The folder's name.", mandatory = True)},
    local = True,
)

# Each under the name and labels that its own documentation uses.
_LIBRARIES = {
    "com_github_google_benchmark": "benchmark",
    "com_github_google_highway": "highway",
    "com_google_absl": "absl",
    "com_google_googletest": "googletest",
    "graphviz": "graphviz",
    "isal": "isal",
    "libcsv": "libcsv",
    "libpng": "libpng",
    "librsvg": "librsvg",
    "libtorch": "libtorch",
    "libturbojpeg": "libturbojpeg",
    "libxml2": "libxml2",
    "libzip": "libzip",
    "mpi": "mpi",
    "nlohmann_json": "nlohmann_json",
    "onednn": "onednn",
    "xbyak": "xbyak",
    "zlib": "zlib",
}

# Bazel 4's own rules ask for these by name; unless defined, Bazel would go to the network for them. Debian's rules_cc
# does not load in Debian's Bazel, and every cc_test names the coverage reporter, used or not.
_RULES = {
    "remote_coverage_tools": "coverage",
    "rules_cc": "rules_cc",
}
_DEBIANS = {
    "bazel_skylib": "/usr/share/bazel/tools/skylib",
    "platforms": "/usr/share/bazel/tools/platforms",
    "rules_java": "/usr/share/bazel/rules/java",
    "rules_proto": "/usr/share/bazel/rules/proto",
}

def tape_dependencies():
    """Declares what Tape depends on, except what the workspace has declared before under the same name."""
    for name, path in _DEBIANS.items():
        if not native.existing_rule(name):
            native.local_repository(name = name, path = path)
    for name, folder in dict(_LIBRARIES, **_RULES).items():
        if not native.existing_rule(name):
            _bundled_repository(name = name, folder = folder)
    if not native.existing_rule("absl_libs"):
        absl_libs(name = "absl_libs")
