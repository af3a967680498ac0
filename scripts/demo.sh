#!/usr/bin/env bash
# Shows Airlock's main job end to end: ./x demo [--keep]
# An MCP client connects over HTTP and runs one program, which finds a tool of a real MCP server and calls it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

# How long the server may take to answer, and its upstream to list its tools, in tenths of a second.
READY_WITHIN=300
keep=false
case ${1:-} in '') ;; --keep) keep=true ;; *) die "\`./x demo\` knows only --keep" ;; esac

server=''
place=$(mktemp -d)
finish() {
  [ -z "$server" ] || { kill -TERM "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
  [ -z "$place" ] || rm -rf "$place"
}
trap finish EXIT

scripts/setup.sh
choose_features
note "the first build takes some minutes on 2 cores, later ones seconds"
step "build" cargo build --locked "${FEATURES[@]}"
airlock=$CARGO_TARGET_DIR/debug/airlock

configure() {
  local command=$airlock args='"__demo-upstream"'
  local everything=$CACHE/everything/node_modules/@modelcontextprotocol/server-everything/dist/index.js
  if has node && [ -s "$everything" ]; then
    command=$(command -v node) args="\"$everything\", \"stdio\""
    note "upstream: $EVERYTHING"
  else
    note "upstream: Airlock's own demonstration server, because Node or the public one is missing"
  fi
  # What is not listed here waits for a person, as the profile `auto` says of whatever is not known to read only.
  cat >"$place/policy.yaml" <<'YAML'
version: "1"
tools:
  everything.get-sum: { rules: [{ name: sums are harmless, action: allow }] }
  everything.add: { rules: [{ name: sums are harmless, action: allow }] }
YAML
  cat >"$place/airlock.toml" <<TOML
[server]
listen = "127.0.0.1:0"
[store]
url = "sqlite://airlock.db"
[policy]
files = ["policy.yaml"]
[upstreams.everything]
kind = "mcp"
command = "$command"
args = [$args]
TOML
}

# Waits until a command succeeds, and shows the log if it never does or the server ends.
await() {
  local what=$1; shift
  for _ in $(seq $READY_WITHIN); do
    if "$@" >/dev/null 2>&1; then return; fi
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  cat "$place/log" >&2
  die "$what did not come up; the log is above"
}

has_tools() { "$airlock" tools list --limit 1 --json --config "$place/airlock.toml" | grep -q '"path"'; }

start() {
  "$airlock" serve --config "$place/airlock.toml" >/dev/null 2>"$place/log" &
  server=$!
  await "the server" test -s "$place/airlock.db.instance.json"
  await "the upstream" has_tools
  url=$(sed -n 's/.*"url": *"\([^"]*\)".*/\1/p' "$place/airlock.db.instance.json")
  note "Airlock answers at $url (process $server)"
  grep -o 'programs run on `local-deno`.*' "$place/log" | sed 's/^/    /' || true
}

show() {
  say "the program"
  sed 's/^/    /' scripts/demo.ts
  say "an MCP client connects to $url/mcp and calls \`execute\` with it"
  "$airlock" __mcp-call "$url/mcp" execute --code-file scripts/demo.ts | tee "$place/answer"
  say "the record that stays: airlock tasks get …"
  "$airlock" tasks get "$(sed -n 's/^taskId: //p' "$place/answer")" --config "$place/airlock.toml" 2>&1
}

connect() {
  say "connect your own client"
  sed "s#http://127.0.0.1:7411#$1#g" scripts/connect.txt
  note "\`airlock\` is $airlock; \`cargo install --path .\` puts it on your PATH"
}

say "start"
configure
start
show
if $keep; then
  connect "$url"
  say "the server keeps running (process $server); its files are in $place. Stop it with: kill $server"
  server='' place=''
else
  connect "http://127.0.0.1:7411"
  say "stop"
  kill -TERM "$server"
  wait "$server" || die "the server did not stop cleanly" "$(cat "$place/log")"
  server=''
  note "stopped cleanly; the demonstration's files are gone"
fi
