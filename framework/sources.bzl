"""The files of a folder, for tests that read them."""

def source_groups():
    """Declares "headers", which may be included in any order, and "sources", what the guided tour may name."""
    native.filegroup(
        name = "headers",
        testonly = True,
        srcs = native.glob(
            ["*.h"],
            exclude = ["*-inl.h"],
        ),
        visibility = ["//tests:__pkg__"],
    )
    native.filegroup(
        name = "sources",
        testonly = True,
        srcs = native.glob([
            "*.cc",
            "*.h",
        ]),
        visibility = ["//tests:__pkg__"],
    )
