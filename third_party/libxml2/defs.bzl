"""Where the headers of libxml2 lie: not in /usr/include itself."""

LIBXML2_COPTS = ["-isystem/usr/include/libxml2"]
