#!/usr/bin/env bash
# Runs the tests that run programs on Deno, in a build whose own engine is V8.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

# The files of tests/it whose tests are about what a program does; the others do not depend on what runs it.
GUESTS='^(deno|guests|intake|statuses|web|worker|worker_life|worker_limits|worker_repeat|worker_seal|worker_values)::'

export AIRLOCK_TEST_RUNTIME=local-deno
if cargo nextest --version >/dev/null 2>&1; then
  exec cargo nextest run --locked --test it -E "test(/$GUESTS/)"
fi
for name in $(sed 's/.*(\(.*\)).*/\1/; s/|/ /g' <<<"$GUESTS"); do
  cargo test --locked --test it -- "$name::"
done
