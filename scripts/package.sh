#!/usr/bin/env bash
# Makes the packages for people who build nothing: ./x package [v8] [--binary FILE] [--out FOLDER]
# From the release build, or from --binary FILE: npm, PyPI, .deb, tarball, bill of materials, what a container is built from, SHA256SUMS.
# The same binary and commit (or SOURCE_DATE_EPOCH) give the same bytes. `v8` packs the V8 library instead, so that others need not compile it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

# The names that the packages are published under; docs/release.md says which are reserved.
NPM=airlock NPM_SCOPE=@airlock-mcp PYPI=airlock PYPI_V8=airlock-v8
MAINTAINER="The authors of Airlock <airlock@example.org>"

what=airlock binary='' out=$CARGO_TARGET_DIR/package
if [ "${1:-}" = v8 ]; then what=v8 out=$out/v8; shift; fi
while [ $# -gt 0 ]; do
  case $what$1 in
    airlock--binary) binary=$(realpath "${2:?--binary needs a file}"); shift 2 ;;
    *--out) out=${2:?--out needs a folder}; shift 2 ;;
    *) die "\`./x package\` knows --binary FILE and --out FOLDER, \`./x package v8\` only --out, not \`$1\`" ;;
  esac
done

# What is packed has the same modes, times and order whoever packs it and where.
umask 022
export LC_ALL=C TZ=UTC
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)} || die "this is no git checkout: set SOURCE_DATE_EPOCH to the time of the sources"
export SOURCE_DATE_EPOCH
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
description=$(sed -n 's/^description = "\(.*\)"$/\1/p' Cargo.toml)
mkdir -p "$out"
out=$(realpath "$out")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
made=()

# made NAME: a file of the output folder that is finished.
made() { made+=("$1"); note "$1"; }

# archive FILE FOLDER NAME: packs FOLDER/NAME.
archive() {
  tar --create --directory="$2" --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
    --mode=u=rwX,go=rX "$3" | gzip --no-name >"$1"
}

# fill TEMPLATE NAME=VALUE…: replaces each @NAME@.
fill() {
  local text pair
  text=$(<"$1"); shift
  for pair in "NAME=$NPM" "SCOPE=$NPM_SCOPE" "VERSION=$version" "DESCRIPTION=$description" "$@"; do
    text=${text//"@${pair%%=*}@"/"${pair#*=}"}
  done
  printf '%s\n' "$text"
}

# npm_package JSON FILE…: the archive that npm makes of package.json and files; FILE is `path` or `path=name in the package`.
npm_package() {
  local folder=$work/npm/package json=$1 file name; shift
  rm -rf "$folder"
  for file in "$@"; do
    name=${file#*=}
    [ "$name" != "$file" ] || name=$(basename "$file")
    install -D --mode="$([[ $name = bin/* ]] && echo 755 || echo 644)" "${file%%=*}" "$folder/$name"
  done
  printf '%s\n' "$json" >"$folder/package.json"
  name=$(sed -n 's/^ *"name": "@\{0,1\}\(.*\)",$/\1/p' <<<"$json")
  name=${name//\//-}-$version.tgz
  archive "$out/$name" "$work/npm" package
  made "$name"
}

wheel() {
  local path
  path=$(python3 packaging/wheel.py --out "$out" --version "$version" "$@")
  made "$(basename "$path")"
}

build() {
  scripts/setup.sh
  choose_features
  step "build" cargo build --locked --release "${FEATURES[@]}"
  binary=$CARGO_TARGET_DIR/release/airlock
}

# Learns what the binary is, and refuses one that is not of this version.
look_at_binary() {
  [ -f "$binary" ] || die "there is no binary \`$binary\`"
  local about said
  about=$(python3 packaging/binary.py "$binary") || exit 1
  # Sets MACHINE, DEB_ARCH, NPM_ARCH, GLIBC, DEPENDS and ENGINE.
  eval "$about"
  target=$MACHINE-unknown-linux-gnu
  if [ "$MACHINE" = "$(uname -m)" ]; then
    said=$("$binary" --version)
    [ "$said" = "airlock $version" ] || die "\`$binary\` says \`$said\`, Cargo.toml says $version"
  fi
  note "$binary: $target, glibc $GLIBC, engine $ENGINE"
}

contents() {
  local flags=()
  [ "$ENGINE" = v8 ] || flags=(--no-default-features --features intake)
  python3 packaging/sbom.py --target "$target" --binary "$binary" --engine "$ENGINE" \
    --sbom "$out/airlock-$version-$target.cdx.json" --notices "$work/THIRD-PARTY.txt" -- "${flags[@]}"
  made "airlock-$version-$target.cdx.json"
}

npm_packages() {
  # Of the very version whose hash Airlock knows; the same in both registries.
  local engine=''
  [ "$ENGINE" = v8 ] || engine="\"@deno/linux-$NPM_ARCH-glibc\": \"$(deno_version)\""
  npm_package "$(fill packaging/npm/main.json)" packaging/npm/launcher.js=bin/airlock.js LICENSE README.md
  npm_package "$(fill packaging/npm/platform.json "ARCH=$NPM_ARCH" "GLIBC=$GLIBC" "ENGINE=$engine")" \
    "$binary=bin/airlock" LICENSE "$work/THIRD-PARTY.txt"
}

python_package() {
  local requires=()
  [ "$ENGINE" = v8 ] || requires=(--requires "deno==$(deno_version)")
  install "$binary" "$work/airlock"
  wheel --name "$PYPI" --platform "manylinux_${GLIBC/./_}_$MACHINE" --summary "$description" --licence Apache-2.0 \
    --readme README.md --licence-file LICENSE --licence-file "$work/THIRD-PARTY.txt" --script "$work/airlock" \
    --sbom "$out/airlock-$version-$target.cdx.json" "${requires[@]}"
}

debian_package() {
  # `1.2.0-rc.1` comes before `1.2.0` only when it is written so.
  local root=$work/deb deb_version=${version/-/\~} script
  local doc=$root/usr/share/doc/airlock
  install -D --mode=755 "$binary" "$root/usr/bin/airlock"
  install -D --mode=644 packaging/debian/airlock.service "$root/usr/lib/systemd/system/airlock.service"
  install -D --mode=644 packaging/debian/airlock.toml "$root/etc/airlock/airlock.toml"
  install -D --mode=644 --target-directory="$doc" packaging/debian/copyright README.md CHANGELOG.md
  cp -r docs examples "$doc/"
  gzip --no-name <"$work/THIRD-PARTY.txt" >"$doc/THIRD-PARTY.txt.gz"
  mkdir "$root/DEBIAN"
  (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
  fill packaging/debian/control "ARCH=$DEB_ARCH" "SIZE=$(du --apparent-size -sk "$root" | cut -f1)" "DEPENDS=$DEPENDS" \
    "MAINTAINER=$MAINTAINER" "VERSION=$deb_version" >"$root/DEBIAN/control"
  echo /etc/airlock/airlock.toml >"$root/DEBIAN/conffiles"
  for script in postinst prerm postrm; do install --mode=755 "packaging/debian/$script" "$root/DEBIAN/$script"; done
  chmod -R u=rwX,go=rX "$root"
  find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
  # A twentieth of the time that xz takes, and every Debian whose glibc the binary can use (12 and later) reads it.
  dpkg-deb --build --root-owner-group -Zzstd -z9 "$root" "$out/airlock_${deb_version}_$DEB_ARCH.deb" >/dev/null
  made "airlock_${deb_version}_$DEB_ARCH.deb"
  fill packaging/Containerfile "VERSION=$deb_version" >"$out/Containerfile"
  made Containerfile
}

tarball() {
  local name=airlock-$version-$target
  mkdir -p "$work/tarball/$name"
  install --mode=755 "$binary" "$work/tarball/$name/airlock"
  cp -r LICENSE README.md CHANGELOG.md docs examples "$work/THIRD-PARTY.txt" "$work/tarball/$name/"
  archive "$out/$name.tar.gz" "$work/tarball" "$name"
  made "$name.tar.gz"
}

package_airlock() {
  has readelf || packages binutils
  [ -n "$binary" ] || build
  say "packages of airlock $version, in $out"
  look_at_binary
  contents
  npm_packages
  python_package
  tarball
  if [ "$ENGINE" = deno ]; then
    note "no .deb and no container: this build needs Deno, which Debian does not have"
  elif has dpkg-deb; then
    debian_package
  else
    die "dpkg-deb is missing" "It makes the .deb: install the package dpkg and run this again."
  fi
}

# The static library that the crate `v8` links, as it is, under the crate's version: its hash must stay the one that scripts/setup.sh knows.
package_v8() {
  local file place machine
  file=$(v8_file) place=$(v8_place) version=$(locked v8)
  [ -s "$place" ] || place=${RUSTY_V8_ARCHIVE:-$place}
  [ -s "$place" ] || die "the V8 library $version is neither at $place nor named by RUSTY_V8_ARCHIVE" \
    "./x setup brings it, \`./x v8 build\` compiles it."
  machine=$(rustc -vV | sed -n 's/^host: \(.*\)-unknown-linux-gnu$/\1/p')
  case $machine in x86_64) NPM_ARCH=x64 ;; aarch64) NPM_ARCH=arm64 ;; *) die "there are no packages for \`$file\`" ;; esac
  say "packages of the V8 library $version, in $out"
  install --mode=644 "$place" "$work/$file"
  (cd "$work" && sha256sum "$file" | tee "$file.sha256" | sed 's/^/    /')
  npm_package "$(fill packaging/npm/v8.json "ARCH=$NPM_ARCH")" "$work/$file" "$work/$file.sha256" packaging/v8/LICENSE
  # A static library asks for no glibc until it is linked: the oldest tag of the kind that PyPI takes.
  wheel --name "$PYPI_V8" --platform "manylinux_2_17_$machine" --summary "The static V8 library that Airlock links" \
    --licence BSD-3-Clause --licence-file packaging/v8/LICENSE --data "$work/$file" --data "$work/$file.sha256"
}

has python3 || packages python3
"package_$what"
(cd "$out" && sha256sum -- "${made[@]}") >"$work/sums"
install --mode=644 "$work/sums" "$out/SHA256SUMS"
note "SHA256SUMS"
