#!/usr/bin/env bash
# Brings a machine to the point where `cargo build` works: ./x setup [--tests]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

system() {
  local missing=()
  has cc || missing+=(build-essential)
  has curl || missing+=(curl ca-certificates)
  has python3 || missing+=(python3)
  if [ "${1:-}" = --tests ]; then
    has git || missing+=(git)
    has node || missing+=(nodejs)
    has npm || missing+=(npm)
    python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
  fi
  if [ ${#missing[@]} = 0 ]; then note "system packages: nothing is missing"; else packages "${missing[@]}"; fi
}

rust() {
  local wanted have
  wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
  has cargo || die "Rust is missing" "Get Rust $wanted or later: https://rustup.rs, then run this again."
  have=$(rustc --version | cut -d' ' -f2)
  if [ "$(printf '%s\n' "$wanted" "$have" | sort -V | head -1)" != "$wanted" ]; then
    die "Rust $have is too old, $wanted or later is needed" "  rustup update stable"
  fi
  note "Rust: $have"
}

# The JavaScript engine. V8 is linked where its library can be had: in place already, RUSTY_V8_ARCHIVE, upstream's release. Elsewhere
# programs run on Deno, which the package registries carry.
engine() {
  local place version
  place=$(v8_place) version=$(locked v8)
  if [ -s "$place" ]; then
    note "V8 $version: in place ($place)"
  elif [ -n "${RUSTY_V8_ARCHIVE:-}" ]; then
    [ -s "$RUSTY_V8_ARCHIVE" ] || die "RUSTY_V8_ARCHIVE names \`$RUSTY_V8_ARCHIVE\`, which is not there"
    note "V8 $version: RUSTY_V8_ARCHIVE ($RUSTY_V8_ARCHIVE)"
  elif fetch_v8 "$place"; then
    note "V8 $version: upstream's release ($place)"
  else
    note "V8 $version: not here, and upstream's release cannot be reached; the build goes without it"
    deno || die "neither V8 $version nor Deno $(deno_version) can be had" \
      "One of these is needed, then run this again:" \
      "  - npm or pip, with a registry that can be reached: gives Deno" \
      "  - the file $(v8_file) of $(v8_url), brought here by other means, and its path in RUSTY_V8_ARCHIVE" \
      "  - the library compiled from the crate's source: ./x v8 build"
    return
  fi
  # What the tests try beside V8.
  [ "${1:-}" != --tests ] || deno || note "Deno $(deno_version) cannot be had: what runs on it is not tried"
}

fetch_v8() { # PLACE
  mkdir -p "$(dirname "$1")"
  curl -fsSL --connect-timeout 5 --retry 2 -o "$1.tmp" "$(v8_url)" 2>/dev/null && mv "$1.tmp" "$1"
}

# Deno as a package: an executable, without a script that would run at its installation.
deno() {
  local version
  version=$(deno_version)
  if has_deno; then
    note "Deno $version: in place ($DENO_HOME)"
    return
  fi
  rm -rf "$DENO_HOME"
  mkdir -p "$DENO_HOME"
  has npm || python3 -m pip --version >/dev/null 2>&1 || packages python3-pip
  note "fetching Deno $version"
  if has npm && npm install --prefix "$DENO_HOME" --ignore-scripts --no-audit --no-fund --loglevel=error "deno@$version" >/dev/null; then
    note "Deno $version: from npm"
  elif deno_from_pip "$version"; then
    note "Deno $version: from PyPI"
  else
    return 1
  fi
  echo "$version" >"$DENO_HOME/version"
}

# A wheel is an archive; of this one only the executable is wanted, so no environment is made for it.
deno_from_pip() { # VERSION
  python3 -m pip --version >/dev/null 2>&1 || return 1
  python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$DENO_HOME" "deno==$1" || return 1
  python3 - "$DENO_HOME" <<'PYTHON'
import glob, os, sys, zipfile

home = sys.argv[1]
[wheel] = glob.glob(os.path.join(home, "*.whl"))
with zipfile.ZipFile(wheel) as archive:
    [name] = [name for name in archive.namelist() if name.endswith(".data/scripts/deno")]
    os.makedirs(os.path.join(home, "bin"), exist_ok=True)
    executable = os.path.join(home, "bin", "deno")
    with open(executable, "wb") as file:
        file.write(archive.read(name))
    os.chmod(executable, 0o755)
os.remove(wheel)
PYTHON
}

# Compiled from its crate: the registries of npm and PyPI have none that reads the lock file of today.
cargo_deny() {
  if has_cargo_deny; then
    note "cargo-deny $CARGO_DENY: in place ($DENY_HOME)"
  else
    note "compiling cargo-deny $CARGO_DENY, about a minute"
    if CARGO_TARGET_DIR=$DENY_HOME/target cargo install --quiet --locked --root "$DENY_HOME" --version "$CARGO_DENY" cargo-deny; then
      rm -rf "$DENY_HOME/target"
      echo "$CARGO_DENY" >"$DENY_HOME/version"
    else
      note "cargo-deny cannot be had: the dependencies are not checked"
    fi
  fi
}

# The public server that the demonstration and some tests call; they do without where Node is missing.
everything() {
  local folder=$CACHE/everything
  if ! has node || ! has npm; then
    note "Node is missing: the demonstration uses an MCP server of Airlock's own"
  elif [ "$(cat "$folder/version" 2>/dev/null)" = "$EVERYTHING" ]; then
    note "MCP server to show: $EVERYTHING"
  else
    mkdir -p "$folder"
    note "fetching $EVERYTHING"
    if npm install --prefix "$folder" --no-audit --no-fund --loglevel=error "$EVERYTHING" >/dev/null; then
      echo "$EVERYTHING" >"$folder/version"
    else
      note "it could not be fetched: the demonstration uses an MCP server of Airlock's own"
    fi
  fi
}

say "set-up"
system "${1:-}"
rust
engine "${1:-}"
everything
if [ "${1:-}" = --tests ]; then cargo_deny; fi
