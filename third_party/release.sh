#!/bin/bash
# Makes the source archive of a release, with its checksum:
#
#   third_party/release.sh FOLDER
#
# FOLDER/tape-0.8.tar.gz and FOLDER/tape-0.8.tar.gz.sha256, of the commit that the tag v0.8 names, which must be this one.
# The version is that of framework/core/version.h, and CHANGELOG.md must have a section of it with its date. The same
# commit gives the same bytes.
set -euo pipefail

die() { echo "release: error: $*" >&2; exit 1; }

[ $# = 1 ] || die "expected FOLDER, found $# arguments"
[ -d "$1" ] && [ -w "$1" ] || die "expected a folder that can be written to, found '$1'"
to=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=$(sed -n 's/^inline constexpr char kVersion\[\] = "\(.*\)";$/\1/p' framework/core/version.h)
[ -n "$version" ] || die 'framework/core/version.h: expected kVersion, found none'
grep -q "^    version = \"$version\",$" MODULE.bazel || die "MODULE.bazel: expected version $version, found another"
[ -z "$(git status --porcelain)" ] || die "expected a clean tree, found changes: $(git status --porcelain | head -n 1)"
grep -qE "^## ${version//./\\.} \([0-9]{4}-[0-9]{2}-[0-9]{2}\)$" CHANGELOG.md ||
  die "CHANGELOG.md: expected a heading '## $version (YYYY-MM-DD)', found none"
tagged=$(git rev-parse --quiet --verify "v$version^{commit}") || die "expected a tag v$version, found none"
[ "$tagged" = "$(git rev-parse HEAD)" ] || die "expected v$version to name this commit, found ${tagged:0:12}"

name=tape-$version
archive=$name.tar.gz
[ ! -e "$to/$archive" ] || die "$to/$archive is there already"
work=$(mktemp -d "$to/.release.XXXXXX")
trap 'rm -rf "$work"' EXIT
git archive --format=tar --prefix="$name/" HEAD | gzip --no-name --best >"$work/$archive"
(cd "$work" && sha256sum "$archive" >"$archive.sha256")
mv "$work/$archive.sha256" "$work/$archive" "$to"
echo "release: $to/$archive, sha256 $(cut -d' ' -f1 "$to/$archive.sha256")"
