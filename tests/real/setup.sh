#!/usr/bin/env bash
# Installs the public MCP servers and clients of the slow tests below ~/.cache/airlock/real, about 2 GB: `setup.sh [servers] [clients]`, both
# without a word. Safe to run twice.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

home=${XDG_CACHE_HOME:-$HOME/.cache}/airlock/real

from_npm() { # FOLDER: its package.json, without the scripts that packages run at their installation
  local to=$home/$1
  if [ -d "$to/node_modules" ] && cmp -s "$1/package-lock.json" "$to/node_modules/.installed"; then
    return
  fi
  echo "installing the packages of $1/package.json"
  mkdir -p "$to"
  cp "$1/package.json" "$1/package-lock.json" "$to/"
  npm ci --prefix "$to" --ignore-scripts --no-audit --no-fund --loglevel=error
  cp "$1/package-lock.json" "$to/node_modules/.installed"
}

from_pypi() { # REQUIREMENTS ENVIRONMENT
  local to=$home/$2
  if [ -f "$to/.installed" ] && cmp -s "$1" "$to/.installed"; then
    return
  fi
  echo "installing the packages of $1"
  python3 -m venv --clear "$to"
  "$to/bin/pip" install --quiet --disable-pip-version-check --requirement "$1"
  cp "$1" "$to/.installed"
}

servers() {
  from_npm servers
  from_pypi servers/requirements.txt servers/venv
  from_pypi servers/requirements-sqlite.txt servers/venv-sqlite
}

clients() {
  bash ../clients/setup.sh
  from_npm clients
  from_pypi clients/requirements.txt clients/venv
}

[ $# -gt 0 ] || set -- servers clients
for part in "$@"; do
  case $part in
    servers | clients) "$part" ;;
    *) echo "there are \`servers\` and \`clients\`, not \`$part\`" >&2; exit 2 ;;
  esac
done
