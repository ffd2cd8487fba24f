#!/bin/bash
# Builds a Debian package of the library as install_library.sh installs it:
#
#   third_party/build_deb.sh FOLDER
#
# writes FOLDER/libtape-dev_VERSION_ARCHITECTURE.deb, for the release of Debian on which it is built.
set -euo pipefail
umask 022

die() { echo "build_deb: error: $*" >&2; exit 1; }

[ $# = 1 ] && [ -d "$1" ] || die "expected a folder to write the package to, found ${*:-none}"
folder=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

DESTDIR=$stage ./install_library.sh /usr
version=$(sed -n 's/^Version: //p' "$stage/usr/lib/pkgconfig/tape.pc")
architecture=$(dpkg --print-architecture)
# The packages of the libraries that it is linked with, whose names change with their interfaces.
multiarch=$(gcc -print-multiarch)
runtime=$(objdump -p "$stage/usr/lib/libtape.so" | awk '$1 == "NEEDED" { print $2 }' |
  xargs -I NAME dpkg -S "*/$multiarch/NAME" |
  sed 's/:.*//' | LC_ALL=C sort -u | paste -sd, | sed 's/,/, /g')
[ -n "$runtime" ] || die 'found no package of a library that libtape.so needs'
mkdir -p "$stage/DEBIAN" "$stage/usr/share/doc/libtape-dev"
install -m 644 ../LICENSE "$stage/usr/share/doc/libtape-dev/copyright"
cat >"$stage/DEBIAN/control" <<CONTROL
Package: libtape-dev
Version: $version
Architecture: $architecture
Section: libdevel
Priority: optional
Maintainer: The Tape authors <tape@localhost>
Installed-Size: $(du -sk "$stage/usr" | cut -f1)
Depends: $runtime, libabsl-dev, libcsv-dev, libdnnl-dev, libhwy-dev, libisal-dev, libpng-dev, libturbojpeg0-dev, libzip-dev, zlib1g-dev, g++ (>= 4:12)
Recommends: graphviz, pkgconf, librsvg2-2
Description: neural networks on the CPU, as a tape of tensor operations
 Headers, static and shared library, and the files for CMake and pkg-config.
CONTROL
chmod 755 "$stage"
dpkg-deb --root-owner-group --build "$stage" "$folder/libtape-dev_${version}_$architecture.deb"
