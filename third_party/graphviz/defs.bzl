"""Where Graphviz's headers lie: some include others without their folder."""

GRAPHVIZ_COPTS = ["-isystem/usr/include/graphviz"]
