#!/usr/bin/env bash
# Makes all packages and installs each from its file where nothing of this checkout is seen: scripts/package-test.sh [--binary FILE] [STEP…]
# Steps: same npm wheel tarball deb service container v8; all without a name. What misses a tool is skipped and named, in CI it is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

binary=()
if [ "${1:-}" = --binary ]; then binary=(--binary "$(realpath "${2:?--binary needs a file}")"); shift 2; fi
steps=("$@")
[ $# -gt 0 ] || steps=(same npm wheel tarball deb service container v8)

place=$(mktemp -d)
packages=$place/packages root=$place/root
finish() {
  # Files of other users and of mounts that went with their namespace: only root has them.
  rm -rf "$place"
}
trap finish EXIT

# clean COMMAND…: runs it with an empty home and the environment of a fresh login. What leads to the registries stays.
clean() {
  local name network=()
  for name in http_proxy https_proxy no_proxy SSL_CERT_FILE NODE_EXTRA_CA_CERTS PIP_CERT PIP_INDEX_URL npm_config_registry; do
    [ -z "${!name:-}" ] || network+=("$name=${!name}")
  done
  env -i HOME="$home" PATH="$(dirname "$(command -v node || command -v python3)"):/usr/local/bin:/usr/bin:/bin" LANG=C.UTF-8 \
    npm_config_update_notifier=false PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 "${network[@]}" "$@"
}

# fresh NAME: an empty folder to work in, an empty home, and a program whose result is 42.
fresh() {
  folder=$place/$1 home=$place/$1-home
  mkdir -p "$folder" "$home"
  cd "$folder"
  cat >program.ts <<<'const six: number = 6; return six * 7;'
  cat >throws.ts <<<'throw new Error("no");'
}

# gives EXPECTED COMMAND…: fails unless that is the last line the command prints.
gives() {
  local expected=$1 given; shift
  given=$("$@" 2>"$place/said") || die "\`$*\` failed (exit $?)" "$(cat "$place/said")"
  [ "$(tail -n 1 <<<"$given")" = "$expected" ] || die "\`$*\` gave \`$given\` instead of \`$expected\`"
  note "${*##*/}: $expected"
}

# exits CODE COMMAND…
exits() {
  local expected=$1 code=0; shift
  "$@" >/dev/null 2>"$place/said" || code=$?
  [ "$code" = "$expected" ] || die "\`$*\` ended with $code instead of $expected" "$(cat "$place/said")"
  note "exit $code: ${*##*/}"
}

# without WHAT REMEDY: what cannot be done here is said, and in CI that is a failure.
without() {
  [ -z "${CI:-}" ] || die "$1" "  $2"
  note "skipped: $1: $2"
  return 1
}

# needs COMMAND PACKAGE: whether the command is there.
needs() { has "$1" || without "\`$1\` is missing" "apt-get install $2"; }

needs_root() { [ "$(id -u)" = 0 ] || without "only root can make another root folder" "sudo -E $0"; }

make_packages() { (umask "$1" && TZ=$2 scripts/package.sh "${binary[@]}" --out "$3"); }

with_v8() { grep -A 1 '"airlock:engine"' "$packages"/*.cdx.json | grep -q '"v8"'; }

test_same() {
  make_packages 077 Asia/Tokyo "$place/again" >/dev/null
  diff "$packages/SHA256SUMS" "$place/again/SHA256SUMS" || die "the same binary gave other packages"
  note "two runs, the same bytes"
  (cd "$packages" && sha256sum --check --quiet SHA256SUMS)
}

test_npm() {
  needs npm npm || return 0
  fresh npm
  clean npm install --no-audit --no-fund --loglevel=error "$packages"/*.tgz >/dev/null
  gives "airlock $version" clean npx airlock --version
  gives 42 clean npx airlock run program.ts
  exits 1 clean npx airlock run throws.ts
  clean "$python" "$top/packaging/npm/test.py" node_modules/.bin/airlock
  rm -r node_modules/@*
  exits 1 clean npx airlock --version
  grep -q 'npm install @' "$place/said" || die "the launcher does not say which package is missing" "$(cat "$place/said")"
}

test_wheel() {
  python3 -c 'import venv, ensurepip' 2>/dev/null || without "Python's venv is missing" "apt-get install python3-venv" || return 0
  fresh wheel
  clean "$python" -m venv environment
  clean environment/bin/pip install --quiet "$packages"/*.whl
  clean environment/bin/pip check >/dev/null
  gives "airlock $version" clean environment/bin/airlock --version
  gives 42 clean environment/bin/airlock run program.ts
  clean environment/bin/pip uninstall --quiet --yes "$(basename "$packages"/*.whl | cut -d- -f1)"
  [ ! -e environment/bin/airlock ] || die "the program is still there after pip uninstall"
}

test_tarball() {
  fresh tarball
  (cd "$packages" && sha256sum --ignore-missing --check --quiet SHA256SUMS)
  tar xzf "$packages"/airlock-*-linux-gnu.tar.gz --strip-components=1
  gives "airlock $version" clean ./airlock --version
  for file in LICENSE README.md THIRD-PARTY.txt docs/configuration.md examples/airlock.toml; do
    [ -s "$file" ] || die "the tarball has no $file"
  done
  # Without V8 the engine is a package of npm or PyPI, which a tarball does not bring.
  if with_v8; then gives 42 clean ./airlock run program.ts; fi
  python3 - "$packages"/*.cdx.json <<'PYTHON'
import json, sys
bill = json.load(open(sys.argv[1]))
refs = {part["bom-ref"] for part in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
assert bill["bomFormat"] == "CycloneDX" and len(refs) == len(bill["components"]) + 1 > 100, "a component is missing or twice"
assert all(part.get("licenses") for part in bill["components"]), "a component has no licence"
assert refs == {edge["ref"] for edge in bill["dependencies"]}, "the graph is not that of the components"
assert any(part["name"] == "sqlite" for part in bill["components"]), "SQLite is missing"
print(f"    bill of materials: {len(refs)} components")
PYTHON
}

# base: a minimal Debian of this machine's release in $root, made once and kept.
base() {
  local suite mirror kept
  suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
  kept=$CACHE/debootstrap-$suite-$(dpkg --print-architecture).tar
  if [ ! -s "$kept" ]; then
    mirror=$(apt-cache policy adduser | grep -om1 'http[^ ]*')
    note "debootstrap $suite, once"
    debootstrap --variant=minbase --include=adduser,ca-certificates,systemd-sysv "$suite" "$place/base" "$mirror" >"$place/said" \
      || die "debootstrap failed" "$(tail "$place/said")"
    mkdir -p "$CACHE"
    tar --create --directory="$place/base" --one-file-system --exclude='./var/cache/apt/archives/*.deb' . >"$kept.tmp"
    mv "$kept.tmp" "$kept"
    rm -rf "$place/base"
  fi
  rm -rf "$root"
  mkdir "$root"
  tar --extract --directory="$root" --file="$kept"
}

# inside COMMAND…: runs it in $root, with processes and mounts of its own, which end with it.
inside() {
  unshare --mount --pid --fork --mount-proc="$root/proc" \
    env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}

# The files in $root, but for what dpkg and adduser keep for themselves and what a test brought.
listing() {
  (cd "$root" && find . ! -path './proc/*' ! -path './run/*' ! -path './tmp/*' ! -path './root/*' ! -path './var/log/*' \
    ! -path './var/lib/dpkg/*' ! -path './etc/*-' | sort)
}

test_deb() {
  needs_root && needs debootstrap debootstrap && needs unshare util-linux && needs dpkg-deb dpkg || return 0
  with_v8 || { note "there is no .deb without V8"; return 0; }
  fresh deb
  base
  cp program.ts "$root/root/"
  local before
  before=$(listing)
  cp "$packages"/*.deb "$root/root/airlock.deb"
  inside dpkg --install /root/airlock.deb >/dev/null
  gives "airlock $version" inside airlock --version
  gives 42 inside airlock run /root/program.ts
  inside dpkg --purge airlock >/dev/null 2>&1
  diff <(echo "$before") <(listing) || die "the package left the above after purge"
  if inside getent passwd airlock >/dev/null; then die "the user is still there, without anything that belongs to it"; fi
  note "purge leaves nothing behind"

  # As the service runs: its user, its configuration, its state folder, which systemd would make.
  inside dpkg --install /root/airlock.deb >/dev/null
  inside dpkg --install /root/airlock.deb >/dev/null
  inside install --directory --owner=airlock --group=airlock --mode=700 /var/lib/airlock
  cp program.ts "$root/tmp/"
  gives 42 inside runuser -u airlock -- airlock run /tmp/program.ts --config /etc/airlock/airlock.toml
  [ -s "$root/var/lib/airlock/airlock.db" ] || die "the record is not in /var/lib/airlock"
  verify_unit
  inside dpkg --purge airlock >/dev/null 2>&1
  diff <(echo "$before") <(listing | grep -v '^\./var/lib/airlock') || die "the package left the above after purge"
  [ -s "$root/var/lib/airlock/airlock.db" ] || die "the record did not survive the purge"
  inside getent passwd airlock >/dev/null || die "the record has lost its user"
  note "purge leaves the record, and nothing else"
}

verify_unit() {
  needs systemd-analyze systemd || return 0
  # The one thing that cannot be verified from outside of $root is where the program lies.
  sed "s#/usr/bin/airlock#$root/usr/bin/airlock#" "$root/usr/lib/systemd/system/airlock.service" >"$place/airlock.service"
  systemd-analyze verify "$place/airlock.service" >"$place/said" 2>&1 || die "the unit is not valid" "$(cat "$place/said")"
  [ ! -s "$place/said" ] || die "the unit has faults" "$(cat "$place/said")"
  note "the unit is valid"
}

# Boots the Debian with its own systemd: whether the hardening of the unit leaves the workers what they need shows only there.
test_service() {
  needs_root && needs debootstrap debootstrap && needs systemd-nspawn systemd-container || return 0
  with_v8 || { note "there is no .deb without V8"; return 0; }
  fresh service
  base
  cp program.ts "$packages"/*.deb "$root/root/"
  inside sh -c 'dpkg --install /root/*.deb' >/dev/null
  [ "$(inside systemctl is-enabled airlock || true)" = disabled ] || die "the service must not be enabled by its installation"
  inside systemctl --quiet enable airlock
  cat >"$root/root/check" <<'SH'
owner() { command=$1; shift; runuser -u airlock -- airlock "$command" "$@" --config /etc/airlock/airlock.toml; }
for _ in $(seq 60); do [ ! -s /var/lib/airlock/airlock.db.instance.json ] || break; sleep 1; done
{ owner doctor; owner run - </root/program.ts; systemctl restart airlock; systemctl is-active airlock; systemctl stop airlock
  systemctl show --property=Result airlock; } >/root/said 2>&1
journalctl --unit=airlock >/root/log 2>&1
systemctl poweroff
SH
  printf '[Service]\nType=oneshot\nExecStart=sh /root/check\n[Install]\nWantedBy=multi-user.target\n' >"$root/etc/systemd/system/check.service"
  inside systemctl --quiet enable check
  # The container's own filter knows neither landlock nor memory keys; without a network of its own it would take the host's port.
  timeout 300 systemd-nspawn --quiet --boot --directory="$root" --register=no --keep-unit --private-network --machine=airlock-test \
    --system-call-filter='@pkey landlock_create_ruleset landlock_add_rule landlock_restrict_self' </dev/null >"$place/boot" 2>&1 || true
  [ -s "$root/root/log" ] || die "the system did not come up" "$(tail -30 "$place/boot")"
  local line
  for line in 'airlock [^ ]* runs at http://127.0.0.1:7411' '^42$' '^active$' '^Result=success$'; do
    grep -q -e "$line" "$root/root/said" || die "the service does not work: \`$line\` is missing" "$(cat "$root/root/said" "$root/root/log")"
  done
  note "the service starts, runs a program, restarts and stops"
}

test_container() {
  needs_root && needs debootstrap debootstrap && needs buildah buildah || return 0
  with_v8 || { note "there is no container without V8"; return 0; }
  fresh container
  base
  local container engine=(buildah --root "$place/storage" --runroot "$place/run" --storage-driver vfs)
  export BUILDAH_ISOLATION=chroot
  # The base image cannot be had everywhere; the same Debian from its packages stands in for it.
  container=$("${engine[@]}" from scratch)
  "${engine[@]}" add --quiet "$container" "$root" / >/dev/null
  "${engine[@]}" commit --quiet --rm "$container" "$(sed -n 's#^FROM #localhost/#p' "$packages/Containerfile")" >/dev/null
  (cd "$packages" && "${engine[@]}" build --pull=never --format docker --quiet --tag airlock-test --file Containerfile . >"$place/said" 2>&1) \
    || die "the container cannot be built" "$(tail -30 "$place/said")"
  container=$("${engine[@]}" from --pull=never airlock-test)
  "${engine[@]}" copy --quiet "$container" program.ts /tmp/program.ts >/dev/null
  contained() { "${engine[@]}" run "$container" -- "$@"; }
  gives "airlock $version" contained airlock --version
  gives airlock contained id --user --name
  gives 42 contained airlock run /tmp/program.ts
  exits 0 contained airlock doctor
  "${engine[@]}" rm --all >/dev/null
}

# The V8 packages hold what they were given, under its hash; how the library is used is not their matter.
test_v8() {
  needs npm npm || return 0
  fresh v8
  local archive
  archive=$(cd "$top" && v8_place)
  if [ ! -s "$archive" ]; then
    export RUSTY_V8_ARCHIVE=$folder/archive
    head -c 100000 /dev/urandom >"$RUSTY_V8_ARCHIVE"
    archive=$RUSTY_V8_ARCHIVE
  fi
  "$top/scripts/package.sh" v8 --out "$folder/out"
  mkdir unpacked
  (cd unpacked && clean npm pack --silent "$folder"/out/*.tgz >/dev/null && tar xzf ./*.tgz)
  clean "$python" -m pip install --quiet --no-deps --target installed "$folder"/out/*.whl
  local library
  for library in unpacked/package/*.a.gz installed/*/*.a.gz; do
    cmp "$library" "$archive" || die "$library is not the archive"
    (cd "$(dirname "$library")" && sha256sum --check --quiet ./*.sha256)
    note "${library%/*}: the same archive, its hash is right"
  done
}

top=$PWD
# Not the name: what stands first on the PATH here may be a wrapper that needs this home.
python=$(python3 -c 'import sys; print(sys.executable)')
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
for name in "${steps[@]}"; do
  declare -F "test_$name" >/dev/null || die "there is no step \`$name\`"
done
step "packages" make_packages 022 UTC "$packages"
for name in "${steps[@]}"; do
  cd "$top"
  say "test: $name"
  "test_$name"
done
say "all packages are well"
