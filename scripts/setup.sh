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

# In this order: in place already, RUSTY_V8_ARCHIVE, shared/v8 beside the checkout, upstream's release, a build from source.
v8_library() {
  local place version
  place=$(v8_place) version=$(locked v8)
  if [ -s "$place" ]; then
    note "V8 $version: in place ($place)"
  elif [ -n "${RUSTY_V8_ARCHIVE:-}" ]; then
    [ -s "$RUSTY_V8_ARCHIVE" ] || die "RUSTY_V8_ARCHIVE names \`$RUSTY_V8_ARCHIVE\`, which is not there"
    note "V8 $version: RUSTY_V8_ARCHIVE ($RUSTY_V8_ARCHIVE)"
  elif [ -s "../shared/v8/$(v8_file)" ] && bash ../shared/v8/install.sh && [ -s "$place" ]; then
    note "V8 $version: from shared/v8 beside the checkout"
  elif curl -fsIL --connect-timeout 5 --max-time 15 "$(v8_url)" >/dev/null 2>&1; then
    note "V8 $version: cargo will download upstream's release"
  elif [ -t 0 ] && [ -t 1 ] && ask "V8 $version is not here and upstream's release cannot be reached. Compile it now? About 75 minutes on 2 cores."; then
    scripts/build-v8.sh
  else
    die "the V8 library $version is not here, and upstream's release cannot be reached" \
      "Any of these will do, then run this again:" \
      "  - copy $(v8_file) of $(v8_url) here by other means and set RUSTY_V8_ARCHIVE to its path" \
      "  - compile it from the crate's source, about 75 minutes on 2 cores: ./x v8 build"
  fi
}

ask() {
  local answer
  read -r -p "$1 [y/N] " answer
  [[ $answer = [yY]* ]]
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
v8_library
everything
