"""Where the headers of librsvg, and of what it stands on, lie: not in /usr/include itself."""

LIBRSVG_COPTS = [
    "-isystem/usr/include/" + folder
    for folder in [
        "librsvg-2.0",
        "glib-2.0",
        "gdk-pixbuf-2.0",
        "cairo",
    ]
]
