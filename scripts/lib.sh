# What the scripts share. Sourced, from the top of the repository.

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/airlock
# Outside of the tree, so that a fresh clone is quick the second time.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
CARGO_HOME_DIR=${CARGO_HOME:-$HOME/.cargo}
# The public server of the demonstration, of a version that is known to work.
EVERYTHING=@modelcontextprotocol/server-everything@2026.8.31

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'; else bold='' dim='' red='' plain=''; fi

say() { printf '%s==> %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '    %s\n' "$*"; }
die() { printf '%serror:%s %s\n' "$red" "$plain" "$1" >&2; [ $# -lt 2 ] || printf '%s\n' "${@:2}" >&2; exit 1; }

# step NAME COMMAND…: says what runs, and how long it took.
step() {
  local name=$1 begin=$SECONDS; shift
  say "$name ${dim}$*${plain}"
  "$@" || die "\`$*\` failed (exit $?)"
  note "done in $((SECONDS - begin)) s"
}

has() { command -v "$1" >/dev/null 2>&1; }

# packages NAME…: installs Debian packages when it may, else names the command.
packages() {
  if ! has apt-get; then
    die "these are missing: $*" "This script installs them with apt only; install what your system calls them and run it again."
  elif [ "$(id -u)" = 0 ]; then
    step "system packages: $*" apt_install "$@"
  else
    die "these are missing: $*" "Install them and run this again:" "  sudo apt-get install -y $*"
  fi
}

apt_install() {
  local wait=-oDPkg::Lock::Timeout=300
  apt-get "$wait" update -qq && DEBIAN_FRONTEND=noninteractive apt-get "$wait" install -y -qq --no-install-recommends "$@" >/dev/null
}

# locked CRATE: the version of a crate in Cargo.lock.
locked() { sed -n "/^name = \"$1\"\$/{n;s/^version = \"\(.*\)\"\$/\1/p;q}" Cargo.lock; }

# The V8 library: where the build script of its crate looks before it downloads, and what it would download.
v8_file() { echo "librusty_v8_simdutf_release_$(rustc -vV | sed -n 's/^host: //p').a.gz"; }
v8_url() { echo "https://github.com/denoland/rusty_v8/releases/download/v$(locked v8)/$(v8_file)"; }
v8_place() { echo "$CARGO_HOME_DIR/.rusty_v8/$(v8_url | sed 's/[^A-Za-z0-9]/_/g')"; }

# Whether V8 can be linked here. What it is answered decides how everything is built: FEATURES are cargo's arguments for that.
has_v8() { [ -s "$(v8_place)" ] || [ -s "${RUSTY_V8_ARCHIVE:-}" ]; }
choose_features() { if has_v8; then FEATURES=(); else FEATURES=(--no-default-features --features intake); fi; }

# What checks the dependencies: licences, sources, duplicates, advisories.
CARGO_DENY=0.20.2
DENY_HOME=$CACHE/cargo-deny
has_cargo_deny() { [ -x "$DENY_HOME/bin/cargo-deny" ] && [ "$(cat "$DENY_HOME/version" 2>/dev/null)" = "$CARGO_DENY" ]; }

# The second engine, from npm or PyPI, where the product looks for it.
DENO_HOME=$CACHE/deno
deno_version() { sed -n 's/^pub const VERSION: &str = "\(.*\)";$/\1/p' src/sandbox/deno.rs; }
has_deno() { [ "$(cat "$DENO_HOME/version" 2>/dev/null)" = "$(deno_version)" ]; }
