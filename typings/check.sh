#!/bin/sh
# Type-checks programs for Airlock: those named, or the samples here. A named `.d.ts` (as `airlock tools types` prints it) is read beside
# them. Uses `tsc` from TSC, the PATH or npm.
# Exit status: 0 fine or skipped (no Node), 1 an error in a program.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

if [ -n "${TSC:-}" ]; then
  tsc() { "$TSC" "$@"; }
elif command -v tsc >/dev/null 2>&1; then
  tsc() { command tsc "$@"; }
elif command -v npx >/dev/null 2>&1; then
  tsc() { npx --yes --package typescript@5.9 tsc "$@"; }
else
  echo "typings: skipped, there is no Node on this machine"
  exit 0
fi

[ $# -gt 0 ] || set -- "$here"/samples/*.ts
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A program's `return` is not TypeScript at the top level, so each is put into a function, as Airlock does. The function begins on
# the program's first line, so line numbers stay.
declared=""
for program in "$@"; do
  case $program in
    *.d.ts) declared="$declared, \"$(cd "$(dirname "$program")" && pwd)/$(basename "$program")\""; continue ;;
  esac
  { printf 'export default async function () { '; cat "$program"; printf '\n}\n'; } > "$work/$(basename "$program")"
done
cat > "$work/tsconfig.json" <<JSON
{ "extends": "$here/tsconfig.json", "files": ["$here/runtime.d.ts"$declared], "include": ["$work/*.ts"] }
JSON
if (cd "$work" && tsc --project tsconfig.json --pretty false); then
  echo "typings: $# programs checked"
else
  exit 1
fi
