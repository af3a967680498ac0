#!/usr/bin/env bash
# Compiles the V8 library that deno_core links, from the source inside the `v8` crate, with the distribution's packages alone, and puts it
# where cargo looks for it: ./x v8 build [--objects N] [--target ARCH] [--to FILE] [--work FOLDER]
# For x86_64 and aarch64 Linux: Debian 12 and 13, Ubuntu. About 25 minutes on 2 cores (33 minutes of their time) and 2 GB of disk; many sources
# are compiled as one, see v8-unity.py. Every step that is done is not done again: started again, it goes on where it was stopped.
# --objects N stops after N compiled objects of the target: to see whether a machine can do it.
# --target aarch64 compiles for that machine on an x86_64 one: about twice the work, since mksnapshot, which runs here, is all of V8 as well.
# --to FILE puts the library there and leaves the one that cargo uses alone; RUSTY_V8_ARCHIVE=FILE tells cargo of it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

# The oldest clang that can compile this V8, and the first one that knows every flag that V8's own clang knows.
CLANG_OLDEST=19 CLANG_KNOWS_ALL=23
# ICU's data file is left out of the `v8` crate; this crate carries the one that fits.
ICUDATA=0.77.0

host=$(rustc -vV | sed -n 's/^host: //p')
work=$CACHE/v8-build objects=0 arch=${host%%-*} to=''
while [ $# -gt 0 ]; do
  case $1 in
    --objects) objects=${2:?--objects needs a number}; shift 2 ;;
    --target) arch=${2:?--target needs x86_64 or aarch64}; shift 2 ;;
    --to) to=${2:?--to needs a file}; shift 2 ;;
    --work) work=${2:?--work needs a folder}; shift 2 ;;
    *) die "\`./x v8 build\` knows --objects N, --target ARCH, --to FILE and --work FOLDER, not \`$1\`" ;;
  esac
done
# A machine has three names: Rust's and clang's, Debian's for cross-compilation, and GN's.
case $arch in
  x86_64) cpu=x64 ;;
  aarch64) cpu=arm64 ;;
  *) die "this script builds V8 for x86_64 and aarch64, not for \`$arch\`" ;;
esac
triple=$arch-unknown-linux-gnu
case $host in
  "$triple") cross='' ;;
  x86_64-unknown-linux-gnu) cross=yes ;;
  *) die "this script builds on x86_64-unknown-linux-gnu for it and for aarch64, and on aarch64-unknown-linux-gnu for it; this is $host" ;;
esac
version=$(locked v8)
mkdir -p "$work"
work=$(cd "$work" && pwd)
src=$work/v8-$version
out=$src/out${cross:+-$arch}
pch=$work/pch-$arch
# The file's name and the place of it are those of lib.sh, for the target.
file=$(v8_file) place=$(v8_place)
file=${file/$host/$triple} place=${place/${host//-/_}/${triple//-/_}}
[ -z "$to" ] || place=$to

once() { # once NAME COMMAND…: does it unless it was done in this folder before
  local mark=$work/.done-$1-$version; shift
  # Not `||`: it would switch off the stop at the first error inside.
  if [ ! -e "$mark" ]; then
    "$@"
    touch "$mark"
  fi
}

needs() {
  has apt-get || die "this script needs Debian's or Ubuntu's packages (apt-get)"
  [ "$(id -u)" = 0 ] && apt-get update -qq
  clang=$(apt-cache search --names-only '^clang-[0-9]+$' | sed -n 's/^clang-\([0-9]*\) .*/\1/p' | sort -n | tail -1)
  [ "${clang:-0}" -ge $CLANG_OLDEST ] || die "the newest clang here is ${clang:-none}, $CLANG_OLDEST or later is needed"
  local name missing=()
  # Only the headers of the other machine's C library: the compiler is clang, the C++ library is in V8's source, and nothing is linked for it.
  for name in "clang-$clang" "lld-$clang" "llvm-$clang" "libclang-rt-$clang-dev" ninja-build python3 ${cross:+libc6-dev-$cpu-cross}; do
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
  local apt=$work/apt suite components keyring mirror options lib loader
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
  case $host in aarch64-*) loader=ld-linux-aarch64.so.1 ;; *) loader=ld-linux-x86-64.so.2 ;; esac
  lib=$apt/root/usr/lib/${host%%-*}-linux-gnu
  printf '#!/bin/sh\nexec "%s/%s" --library-path "%s" "%s/root/usr/bin/gn" "$@"\n' "$lib" "$loader" "$lib" "$apt" >"$work/gn"
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
  local base=$work/llvm machine=${host%%-*} runtime
  runtime=$base/lib/clang/$clang/lib
  mkdir -p "$runtime/$host" "$runtime/$triple"
  ln -sfn "/usr/lib/llvm-$clang/bin" "$base/bin"
  cp -rn "/usr/lib/llvm-$clang/lib/clang/$clang/." "$base/lib/clang/$clang/"
  cp "$runtime/linux/libclang_rt.builtins-$machine.a" "$runtime/$host/libclang_rt.builtins.a"
  [ -z "$cross" ] || sysroots
}

# What cross-compilation needs besides: where the headers of the other machine's C library are. V8's build files look for a download of a whole
# system, under this name; the package has only headers and libraries, in a folder of its own. What runs here takes this system.
sysroots() {
  local there=$work/sysroots/debian_bullseye_$cpu-sysroot
  mkdir -p "$there/usr"
  ln -sfn "/usr/$arch-linux-gnu/include" "$there/usr/include"
  ln -sfn "/usr/$arch-linux-gnu/lib" "$there/usr/lib"
  ln -sfn / "$work/sysroots/debian_bullseye_amd64-sysroot"
  # The other machine's runtime has to be there and is never read: the library is an archive, not linked.
  "$work/llvm/bin/llvm-ar" rc "$work/llvm/lib/clang/$clang/lib/$triple/libclang_rt.builtins.a"
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
target_cpu="$cpu"
v8_target_cpu="$cpu"
ARGS
  [ -z "$cross" ] || printf 'use_sysroot=true\ntarget_sysroot_dir="%s/sysroots"\n' "$work" >>"$out/args.gn"
  (cd "$src" && "$gn" --root=. --script-executable=python3 gen "$out" >/dev/null)
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

# written FILE: what comes in becomes FILE, unless FILE says the same: then its time stays what it was.
written() { cat >"$1.tmp" && if cmp -s "$1.tmp" "$1"; then rm "$1.tmp"; else mv "$1.tmp" "$1"; fi; }

unity() { python3 scripts/v8-unity.py "$out" --pch "$pch" "$@"; }

# The headers that targets want, with the flags of the target: clang takes a precompiled header only for the flags it was made with.
headers() {
  local file list object line flags jobs=() job
  mkdir -p "$pch"
  # shellcheck disable=SC2086 # the lists are words
  includes $HEADERS_BASE | written "$pch/base.h"
  # shellcheck disable=SC2086
  includes $HEADERS_BASE $HEADERS_COMPILER | written "$pch/compiler.h"
  grep -h '^#include' "$(find "$out" -name array-some-tq-csa.cc | head -1)" | grep -v torque-generated | written "$pch/initializers.h"
  while read -r file list object; do
    line=$(ninja -C "$out" -t commands "$object" | tail -1)
    flags=$(sed -E 's# -MM?D -MF [^ ]+##; s# -c .*##; s# -fmodule-name=[^ ]+##; s# -include-pch [^ ]+##; s# -Werror=[^ ]+##' <<<"$line")
    mkdir -p "$(dirname "$file")"
    # In place when it is whole: what is there is used.
    (cd "$out" && sh -c "$flags -w -MD -MF '$file.d' -x c++-header '$pch/$list.h' -o '$file.tmp'" && mv "$file.tmp" "$file") &
    jobs+=($!)
    [ ${#jobs[@]} -lt "$(nproc)" ] || { wait "${jobs[0]}" || die "a header could not be precompiled"; jobs=("${jobs[@]:1}"); }
  done < <(unity --headers)
  for job in "${jobs[@]}"; do wait "$job" || die "a header could not be precompiled"; done
}

# progress NAME TARGET…: runs ninja and tells every half minute how far it is; what goes wrong is shown whole. A unit that cannot be compiled
# is taken apart and its sources are compiled one by one: another V8 or another compiler costs minutes, not the build. Ends the script after
# $objects objects of the target, if that many were asked for.
compiled=0
progress() {
  local name=$1 log=$work/ninja.log begin=$SECONDS told=-30 status line done_ all; shift
  local pid_file=$work/ninja.pid
  exec 3< <(NINJA_STATUS='%f %t ' sh -c 'echo $$ >"$0"; exec nice ninja "$@"' "$pid_file" -C "$out" -j"$(nproc)" -k 20 "$@" 2>&1; echo "exit $?")
  status='' && : >"$log"
  while read -r line <&3; do
    echo "$line" >>"$log"
    case $line in
      "exit "*) status=${line#exit } ;;
      [0-9]*" "[0-9]*" "*)
        read -r done_ all _ <<<"$line"
        case $line in *" CXX obj/"* | *" CC obj/"*) compiled=$((compiled + 1)) ;; esac
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
    *)
      if unity --failed "$log"; then
        mv "$log" "$log.apart"
        note "why: $log.apart"
        unity >/dev/null
        progress "$name" "$@"
        return
      fi
      tail -40 "$log" >&2
      die "$name failed; the whole log is $log"
      ;;
  esac
}

pack() {
  gzip -9 <"$out/obj/librusty_v8.a" >"$work/$file"
  mkdir -p "$(dirname "$place")"
  cp "$work/$file" "$place.tmp" && mv "$place.tmp" "$place"
  say "V8 $version for $triple is in place: $place"
  note "$work is not needed any more"
}

say "V8 $version from source for $triple, in $work"
needs
find_gn
once source source_code
once "toolchain-$arch" toolchain
once "configure-$arch" configure
units=$(unity)
note "$units"
# Sources that V8 generates: for the library, and in cross-compilation for what runs here too.
generated=(phony/v8/run_torque phony/v8/generate_bytecode_builtins_list)
[ -z "$cross" ] || generated+=("${generated[@]/#/clang_x64_v8_$cpu/}")
progress "generated sources" "${generated[@]}"
headers
unity >/dev/null
progress "V8" rusty_v8
pack
