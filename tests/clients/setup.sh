#!/usr/bin/env bash
# Installs the public MCP clients that the tests drive against the server, in this folder. Safe to run twice.
# What cannot be installed for want of Node or Python is named; the tests then skip it, except in continuous integration.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

missing=0

python_client() { # FOLDER REQUIREMENTS
  local stamp="$1/.installed"
  if [ -f "$stamp" ] && cmp -s "$2" "$stamp"; then
    return
  fi
  echo "installing the clients of $2"
  python3 -m venv --clear "$1"
  "$1/bin/pip" install --quiet --disable-pip-version-check --requirement "$2"
  cp "$2" "$stamp"
}

if python3 -c 'import venv, ensurepip, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
  python_client .venv-2 requirements.txt
  python_client .venv-1 requirements-legacy.txt
else
  echo "the Python clients need Python 3.10 or newer with its venv module: apt-get install python3-venv" >&2
  missing=1
fi

if command -v npm >/dev/null && node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)'; then
  if [ ! -f node_modules/.installed ] || ! cmp -s package-lock.json node_modules/.installed; then
    echo "installing the clients of package.json"
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    cp package-lock.json node_modules/.installed
  fi
else
  echo "the TypeScript clients need Node 20 or newer with npm: apt-get install nodejs npm" >&2
  missing=1
fi

exit "$missing"
