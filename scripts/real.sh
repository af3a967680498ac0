#!/usr/bin/env bash
# Tries Airlock with what other people publish: ./x real [servers] [clients] [documents [ARGUMENTS]]; servers and clients without a word.
# Fetches packages from npm and PyPI (about 2 GB, documents 1 GB), and is not part of ./x test.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh
choose_features

ignored() { # MODULE
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked "${FEATURES[@]}" --test it --run-ignored only --no-fail-fast -E "test(/^real::$1::/)"
  else
    cargo test --locked "${FEATURES[@]}" --test it -- --ignored "real::$1::"
  fi
}

documents() {
  step "build" cargo build --locked --release "${FEATURES[@]}"
  step "real documents" node benches/real/run.mjs --binary "$CARGO_TARGET_DIR/release/airlock" "$@"
}

[ $# -gt 0 ] || set -- servers clients
while [ $# -gt 0 ]; do
  case $1 in
    servers | clients)
      step "packages of the $1" bash tests/real/setup.sh "$1"
      step "real $1" ignored "$1"
      shift
      ;;
    documents) shift; documents "$@"; exit ;;
    *) die "\`$1\` is not one of these: servers, clients, documents" ;;
  esac
done
