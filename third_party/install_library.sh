#!/bin/bash
# Installs Tape for programs that are not built by Bazel:
#
#   third_party/install_library.sh PREFIX
#
# PREFIX/include/tape         the public headers, as "framework/framework.h" and "ops/ops.h"
# PREFIX/lib/libtape.a        static, and
# PREFIX/lib/libtape.so.0.8   shared, which exports what is in the namespace tape alone
# PREFIX/lib/cmake/tape       for find_package(tape), which brings tape::tape
# PREFIX/lib/pkgconfig        for `pkg-config --cflags --libs tape`
#
# With DESTDIR=FOLDER everything goes below that folder, for packages. Needs what install.sh installs.
set -euo pipefail
umask 022

die() { echo "install_library: error: $*" >&2; exit 1; }

[ $# = 1 ] || die "expected PREFIX, a folder, found $# arguments"
case $1 in
  '' | -* | *[[:space:]]*) die "expected a folder without spaces in its name, found '$1'" ;;
esac
prefix=$(realpath -m "$1")
destination=${DESTDIR:-}
to=${destination:+$(realpath -m "$destination")}$prefix
mkdir -p "$to" && [ -w "$to" ] || die "expected a folder that can be written to, found $to"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=$(sed -n 's/^inline constexpr char kVersion\[\] = "\(.*\)";$/\1/p' framework/core/version.h)

# What users include; what these include goes with them.
public=(
  framework/framework.h framework/core/version.h framework/data/features.h framework/data/image_tree.h framework/data/tabular.h
  framework/io/npz.h framework/serving/predictor.h framework/serving/saved_model.h ops/ops.h
)
targets=(//framework //framework/data:image_tree //framework/data:tabular //framework/io:npz //framework/serving //ops)

# Of Abseil, what the public headers use; and all that the library itself is linked with.
absl=(absl_inlined_vector absl_span absl_status absl_statusor absl_str_format absl_strings)
private=(-ldnnl -lgomp -lhwy -lpng -lturbojpeg -lcsv -lzip -lisal -lz -lpthread -ldl)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ---- The libraries ----
# -fPIC for all, so that one archive makes both; in a folder of their own, where nothing older lies.
flags=(--compilation_mode=opt --force_pic --platform_suffix=-library --symlink_prefix=/)
expression=$(IFS=+; echo "${targets[*]}")
found=$(bazel query "kind('cc_library', deps($expression)) intersect //..." </dev/null)
mapfile -t libraries < <(LC_ALL=C sort <<<"$found")
bazel build "${flags[@]}" "${libraries[@]}" </dev/null
bin=$(bazel info "${flags[@]}" bazel-bin </dev/null)
{
  echo "CREATE libtape.a"
  for library in "${libraries[@]}"; do
    package=${library%:*}
    for archive in "$bin/${package#//}/lib${library##*:}".{a,pic.a,lo,pic.lo}; do # None of what is headers alone.
      [ ! -e "$archive" ] || { echo "ADDLIB $archive"; break; }
    done
  done
  echo SAVE
  echo END
} >"$work/script"
(cd "$work" && ar -M <script)

cat >"$work/exports" <<'EXPORTS'
{
  global: _ZN4tape*; _ZNK4tape*; _ZTIN4tape*; _ZTSN4tape*; _ZTTN4tape*; _ZTVN4tape*;
  local: *;
};
EXPORTS
g++ -shared -o "$work/libtape.so.$version" -Wl,-soname,"libtape.so.$version" -Wl,--version-script="$work/exports" \
  -Wl,--whole-archive "$work/libtape.a" -Wl,--no-whole-archive -Wl,--no-undefined -Wl,--as-needed \
  $(pkg-config --libs "${absl[@]}" absl_cleanup absl_time) "${private[@]}"

# ---- The headers ----
headers=$(g++ -std=c++20 -I. -MM "${public[@]}" | tr -s ' \\' '\n\n' | grep -E '^(framework|ops)/' | LC_ALL=C sort -u)

# ---- All of it, at its place ----
mkdir -p "$to/include/tape" "$to/lib/cmake/tape" "$to/lib/pkgconfig"
for header in $headers; do
  mkdir -p "$to/include/tape/${header%/*}"
  install -m 644 "$header" "$to/include/tape/$header"
done
install -m 644 "$work/libtape.a" "$to/lib/libtape.a"
install -m 755 "$work/libtape.so.$version" "$to/lib/libtape.so.$version"
ln -sf "libtape.so.$version" "$to/lib/libtape.so"

cat >"$to/lib/pkgconfig/tape.pc" <<PC
prefix=$prefix
libdir=\${prefix}/lib
includedir=\${prefix}/include/tape

Name: tape
Description: Neural networks on the CPU, as a tape of tensor operations
Version: $version
Requires: ${absl[*]}
Requires.private: absl_cleanup absl_time
Cflags: -I\${includedir}
Libs: -L\${libdir} -ltape
Libs.private: ${private[*]}
PC

cat >"$to/lib/cmake/tape/tape-config.cmake" <<'CMAKE'
# find_package(tape) brings tape::tape, the shared library.
include(CMakeFindDependencyMacro)
find_dependency(absl)
get_filename_component(_tape_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET tape::tape)
  add_library(tape::tape SHARED IMPORTED)
  set_target_properties(tape::tape PROPERTIES
    IMPORTED_LOCATION "${_tape_prefix}/lib/libtape.so"
    INTERFACE_INCLUDE_DIRECTORIES "${_tape_prefix}/include/tape"
    INTERFACE_COMPILE_FEATURES cxx_std_20
    INTERFACE_LINK_LIBRARIES "absl::inlined_vector;absl::span;absl::status;absl::statusor;absl::str_format;absl::strings")
endif()
unset(_tape_prefix)
CMAKE
cat >"$to/lib/cmake/tape/tape-config-version.cmake" <<CMAKE
set(PACKAGE_VERSION $version)
# Below 1.0 each release may change the interface (CHANGELOG.md).
if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
  set(PACKAGE_VERSION_EXACT TRUE)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
else()
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
endif()
CMAKE
echo "install_library: Tape $version, $(echo "$headers" | wc -l) headers, in $to"
