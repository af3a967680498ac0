#!/usr/bin/env bash
# Compiles the V8 library that deno_core links, from the source inside the `v8` crate, with the distribution's packages alone, and puts it
# where cargo looks for it: ./x v8 build [--objects N] [--work FOLDER]
# For x86_64 Linux: Debian 12 and 13, Ubuntu. About 75 minutes on 2 cores and 12 GB of disk. Every step that is done is not done again.
# --objects N stops after N compiled objects: to see whether a machine can do it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

# The oldest clang that can compile this V8, and the first one that knows every flag that V8's own clang knows.
CLANG_OLDEST=19 CLANG_KNOWS_ALL=23
# ICU's data file is left out of the `v8` crate; this crate carries the one that fits.
ICUDATA=0.77.0

work=$CACHE/v8-build objects=0
while [ $# -gt 0 ]; do
  case $1 in
    --objects) objects=${2:?--objects needs a number}; shift 2 ;;
    --work) work=${2:?--work needs a folder}; shift 2 ;;
    *) die "\`./x v8 build\` knows --objects N and --work FOLDER, not \`$1\`" ;;
  esac
done
version=$(locked v8)
src=$work/v8-$version
out=$src/out
mkdir -p "$work"
work=$(cd "$work" && pwd)

once() { # once NAME COMMAND…: does it unless it was done in this folder before
  local mark=$work/.done-$1-$version; shift
  # Not `||`: it would switch off the stop at the first error inside.
  if [ ! -e "$mark" ]; then
    "$@"
    touch "$mark"
  fi
}

needs() {
  [ "$(rustc -vV | sed -n 's/^host: //p')" = x86_64-unknown-linux-gnu ] || die "this script builds for x86_64-unknown-linux-gnu only"
  has apt-get || die "this script needs Debian's or Ubuntu's packages (apt-get)"
  [ "$(id -u)" = 0 ] && apt-get update -qq
  clang=$(apt-cache search --names-only '^clang-[0-9]+$' | sed -n 's/^clang-\([0-9]*\) .*/\1/p' | sort -n | tail -1)
  [ "${clang:-0}" -ge $CLANG_OLDEST ] || die "the newest clang here is ${clang:-none}, $CLANG_OLDEST or later is needed"
  local name missing=()
  for name in "clang-$clang" "lld-$clang" "llvm-$clang" "libclang-rt-$clang-dev" ninja-build python3; do
    dpkg -s "$name" 2>/dev/null | grep -q '^Status: install ok' || missing+=("$name")
  done
  [ ${#missing[@]} = 0 ] || packages "${missing[@]}"
  note "clang $clang, $(ninja --version | sed 's/^/ninja /')"
}

# A GN that is young enough knows `path_exists` (autumn 2025). Where the distribution's is older, the one of its development suite runs with
# the C library it was built for, beside the system's and without touching it.
find_gn() {
  local candidate
  for candidate in "${GN:-}" gn "$work/gn"; do
    if [ -n "$candidate" ] && has "$candidate" && "$candidate" help path_exists 2>/dev/null | grep -q path_exists; then
      gn=$candidate
      note "GN: $gn"
      return
    fi
  done
  borrow_gn
  gn=$work/gn
  "$gn" help path_exists >/dev/null || die "the borrowed GN does not run; set GN to one of autumn 2025 or later"
  note "GN: borrowed from the development suite"
}

borrow_gn() {
  local apt=$work/apt suite components keyring mirror options lib
  case $(. /etc/os-release && echo "${ID:-}") in
    ubuntu) suite=devel components="main universe" keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg ;;
    *) suite=sid components=main keyring=/usr/share/keyrings/debian-archive-keyring.gpg ;;
  esac
  mirror=$(apt-cache policy ninja-build | grep -om1 'http[^ ]*')
  mkdir -p "$apt"/lists/partial "$apt"/cache/archives/partial "$apt"/root
  echo "deb [signed-by=$keyring] $mirror $suite $components" >"$apt/sources.list"
  options=(-qq -oDir::Etc::sourcelist="$apt/sources.list" -oDir::Etc::sourceparts=/dev/null -oDir::State::Lists="$apt/lists"
    -oDir::Cache="$apt/cache" -oAPT::Sandbox::User="$(id -un)")
  apt-get "${options[@]}" update
  (cd "$apt" && apt-get "${options[@]}" download generate-ninja libc6 libstdc++6 libgcc-s1 && for deb in *.deb; do dpkg -x "$deb" root; done)
  lib=$apt/root/usr/lib/x86_64-linux-gnu
  printf '#!/bin/sh\nexec "%s/ld-linux-x86-64.so.2" --library-path "%s" "%s/root/usr/bin/gn" "$@"\n' "$lib" "$lib" "$apt" >"$work/gn"
  chmod +x "$work/gn"
}

unpack() { # crate, version: cargo fetches and verifies it
  local probe=$work/fetch-$1
  rm -rf "$probe"
  mkdir -p "$probe/src" && touch "$probe/src/lib.rs"
  printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2024"\n[dependencies]\n"%s" = "=%s"\n' "$1" "$2" >"$probe/Cargo.toml"
  (cd "$probe" && cargo fetch --quiet)
  tar xzf "$(find "$CARGO_HOME_DIR/registry/cache" -name "$1-$2.crate" | head -1)" -C "$work"
  rm -rf "$probe"
}

source_code() {
  unpack v8 "$version"
  unpack deno_core_icudata $ICUDATA
  mkdir -p "$src/third_party/icu/common"
  cp "$work/deno_core_icudata-$ICUDATA/src/icudtl.dat" "$src/third_party/icu/common/"
}

# V8's build files look for clang's runtime under the target's name, where distributions do not put it.
toolchain() {
  local base=$work/llvm runtime
  runtime=$base/lib/clang/$clang/lib/x86_64-unknown-linux-gnu
  mkdir -p "$runtime"
  ln -sfn "/usr/lib/llvm-$clang/bin" "$base/bin"
  cp -rn "/usr/lib/llvm-$clang/lib/clang/$clang/." "$base/lib/clang/$clang/"
  cp "$base/lib/clang/$clang/lib/linux/libclang_rt.builtins-x86_64.a" "$runtime/libclang_rt.builtins.a"
}

# As the crate's build script configures a release build with `simdutf`. Nothing in Rust inside V8: that would download a toolchain, so no
# Temporal either.
configure() {
  mkdir -p "$out"
  cat >"$out/args.gn" <<ARGS
is_debug=false
use_custom_libcxx=true
v8_enable_sandbox=false
v8_enable_pointer_compression=false
v8_enable_v8_checks=false
v8_monolithic_for_shared_library=true
rusty_v8_enable_simdutf=true
clang_base_path="$work/llvm"
clang_version="$clang"
treat_warnings_as_errors=false
enable_rust=false
enable_rust_cxx=false
v8_enable_temporal_support=false
symbol_level=0
use_glib=false
ARGS
  (cd "$src" && "$gn" --root=. --script-executable=python3 gen out >/dev/null)
  if [ "$clang" -lt $CLANG_KNOWS_ALL ]; then
    local unknown='-fdiagnostics-show-inlining-chain|-fno-lifetime-dse|-fsanitize-ignore-for-ubsan-feature=[a-z-]+'
    (cd "$out" && grep -rlE --include='*.ninja' -e "$unknown" . | xargs -r sed -i -E "s/ ($unknown)//g")
  fi
}

# Reading V8's headers is most of the work: precompiled, an object takes a third of the time.
HEADERS_BASE="api/api-inl base/logging base/platform/platform builtins/builtins-inl builtins/builtins-utils-inl codegen/assembler-inl
  codegen/macro-assembler-inl codegen/interface-descriptors-inl codegen/compiler debug/debug deoptimizer/deoptimizer execution/frames-inl
  execution/isolate-inl handles/handles-inl heap/factory-inl heap/heap-inl heap/heap-layout-inl heap/heap-visitor-inl
  heap/marking-visitor-inl heap/mutable-page init/bootstrapper interpreter/interpreter logging/counters logging/log
  numbers/conversions-inl objects/code-inl objects/js-array-buffer-inl objects/js-collection-inl objects/lookup-inl objects/objects-inl
  objects/shared-function-info-inl objects/string-inl roots/roots-inl utils/ostreams wasm/wasm-code-manager wasm/wasm-engine
  wasm/wasm-objects-inl"
HEADERS_COMPILER="compiler/access-builder compiler/backend/instruction-selector compiler/common-operator compiler/js-graph
  compiler/js-heap-broker-inl compiler/js-operator compiler/linkage compiler/node-matchers compiler/node-properties
  compiler/simplified-operator compiler/turboshaft/assembler compiler/turboshaft/phase"

includes() { printf '#include "src/%s.h"\n' "$@"; }

# The compiler's flags for a target's objects, as ninja would run it.
flags() {
  local object
  object=$(grep -oE "^build obj/v8/$1/[a-z0-9-]+\.o: cxx" "obj/v8/$1.ninja" | head -1 | sed 's/build //; s/: cxx//')
  ninja -t commands "$object" | tail -1 | sed -E 's#-MD -MF [^ ]+##; s# -c .*##; s# -fmodule-name=[^ ]+##'
}

headers() {
  local top=$PWD
  cd "$out"
  progress "generated sources" v8:run_torque v8:generate_bytecode_builtins_list
  local pch=$work/pch pair
  mkdir -p "$pch"
  # shellcheck disable=SC2086 # the lists are words
  includes $HEADERS_BASE >"$pch/base.h"
  # shellcheck disable=SC2086
  includes $HEADERS_BASE $HEADERS_COMPILER >"$pch/compiler.h"
  grep -h '^#include' gen/v8/torque-generated/src/builtins/array-some-tq-csa.cc | grep -v torque-generated >"$pch/initializers.h"
  local jobs=()
  for pair in v8_base_without_compiler:base v8_compiler:compiler torque_generated_initializers:initializers; do
    sh -c "$(flags "${pair%%:*}") -w -x c++-header '$pch/${pair##*:}.h' -o '$pch/${pair##*:}.pch'" &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do wait "$job" || die "a header could not be precompiled"; done
  for pair in v8_base_without_compiler:base v8_compiler:compiler torque_generated_initializers:initializers v8_initializers:initializers; do
    sed -i "s#^cflags_cc = #cflags_cc = -include-pch $pch/${pair##*:}.pch #" "obj/v8/${pair%%:*}.ninja"
  done
  cd "$top"
}

# progress NAME TARGET…: runs ninja and tells every half minute how far it is; what goes wrong is shown whole. Ends the script after $objects
# objects, if that many were asked for.
compiled=0
progress() {
  local name=$1 log=$work/ninja.log begin=$SECONDS told=-30 status line done_ all; shift
  local pid_file=$work/ninja.pid
  exec 3< <(NINJA_STATUS='%f %t ' sh -c 'echo $$ >"$0"; exec nice ninja "$@"' "$pid_file" -C "$out" -j"$(nproc)" "$@" 2>&1; echo "exit $?")
  status='' && : >"$log"
  while read -r line <&3; do
    echo "$line" >>"$log"
    case $line in
      "exit "*) status=${line#exit } ;;
      [0-9]*" "[0-9]*" "*)
        read -r done_ all _ <<<"$line"
        case $line in *" CXX "* | *" CC "*) compiled=$((compiled + 1)) ;; esac
        if [ $((SECONDS - told)) -ge 30 ]; then
          note "$name: $done_ of $all, $(((SECONDS - begin) / 60)) min gone, about $(((SECONDS - begin) * (all - done_) / (done_ + 1) / 60 + 1)) min to go"
          told=$SECONDS
        fi
        if [ "$objects" -gt 0 ] && [ "$compiled" -ge "$objects" ]; then
          kill -TERM "$(cat "$pid_file")"
          status=stopped
          break
        fi
        ;;
    esac
  done
  exec 3<&-
  case $status in
    0) note "$name: done in $(((SECONDS - begin) / 60)) min" ;;
    stopped) note "$name: stopped after $compiled objects, $done_ of $all steps, in $((SECONDS - begin)) s"; exit 0 ;;
    *) tail -40 "$log" >&2; die "$name failed; the whole log is $log" ;;
  esac
}

pack() {
  local place
  place=$(v8_place)
  gzip -9 <"$out/obj/librusty_v8.a" >"$work/$(v8_file)"
  mkdir -p "$(dirname "$place")"
  cp "$work/$(v8_file)" "$place.tmp" && mv "$place.tmp" "$place"
  say "V8 $version is in place: $place"
  note "$work is not needed any more"
}

say "V8 $version from source, in $work"
needs
find_gn
once source source_code
once toolchain toolchain
once configure configure
once headers headers
progress "V8" rusty_v8
pack
