#!/usr/bin/env bash
# Builds Airlock without V8 and lets it run a program, as on a machine where the V8 library cannot be had.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

cargo build --locked --no-default-features --features intake --bin airlock
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
echo 'const { n }: { n: number } = { n: 41 }; console.log("ran"); return n + 1' >"$place/program.ts"
if has_deno; then
  answer=$(XDG_DATA_HOME=$place "$CARGO_TARGET_DIR/debug/airlock" run "$place/program.ts" --json)
  [[ $answer == *'"runtimeId": "local-deno"'* && $answer == *'"result": 42'* ]] || die "it did not run as it should" "$answer"
  note "a program ran on local-deno"
else
  note "built; set-up could not get Deno, so nothing was run with it"
fi
