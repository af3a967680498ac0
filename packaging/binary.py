#!/usr/bin/env python3
"""Prints what a package needs to know about the binary.

Reads it from the file itself, never from the machine that built it. Usage: binary.py FILE. Prints shell
assignments: MACHINE, DEB_ARCH, NPM_ARCH, GLIBC, DEPENDS, ENGINE. Needs readelf (binutils).
"""

import mmap
import os
import re
import shlex
import subprocess
import sys

# By readelf's name of the machine: its name in target triples and wheel tags, Debian's name, Node's name.
MACHINES = {
    "Advanced Micro Devices X86-64": ("x86_64", "amd64", "x64"),
    "AArch64": ("aarch64", "arm64", "arm64"),
}
# Libraries of every glibc system, with their Debian package. A manylinux wheel may link all of them.
LIBRARIES = {
    "libc.so.6": "libc6", "libm.so.6": "libc6", "libdl.so.2": "libc6", "libpthread.so.0": "libc6", "librt.so.1": "libc6",
    "ld-linux-x86-64.so.2": "libc6", "ld-linux-aarch64.so.1": "libc6", "libgcc_s.so.1": "libgcc-s1",
}
# A message in every build of V8: the binary contains it if and only if it contains the engine.
V8_MARK = b"Fatal JavaScript invalid size error"


def readelf(*arguments):
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(["readelf", "-W", *arguments], check=True, capture_output=True, text=True, env=environment).stdout


def glibc(path):
    """Returns the oldest glibc with every symbol version that the file needs, as (major, minor)."""
    versions = readelf("--version-info", path)
    found = [tuple(map(int, number.split(".")))[:2] for number in re.findall(r"\bGLIBC_(\d+\.\d+(?:\.\d+)?)\b", versions)]
    # The symbol version for packed relocations has a name without a number.
    found += [(2, 36)] if "GLIBC_ABI_DT_RELR" in versions else []
    if not found:
        sys.exit(f"error: `{path}` needs no version of glibc; only binaries linked to glibc can be packaged")
    return max(found)


def main():
    path = sys.argv[1]
    header = re.search(r"Machine:\s*(.*)", readelf("--file-header", path)).group(1)
    if header not in MACHINES:
        sys.exit(f"error: `{path}` is for {header}; packages are made for {' and '.join(MACHINES)}")
    machine, deb, npm = MACHINES[header]
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("--dynamic", path))
    foreign = [library for library in needed if library not in LIBRARIES]
    if foreign:
        sys.exit(f"error: `{path}` needs {', '.join(foreign)}, which not every system has")
    major, minor = glibc(path)
    depends = sorted({LIBRARIES[library] for library in needed})
    depends = [f"libc6 (>= {major}.{minor})" if package == "libc6" else package for package in depends]
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        engine = "v8" if text.find(V8_MARK) >= 0 else "deno"
    values = {
        "MACHINE": machine, "DEB_ARCH": deb, "NPM_ARCH": npm, "GLIBC": f"{major}.{minor}",
        "DEPENDS": ", ".join(depends), "ENGINE": engine,
    }
    for name, value in values.items():
        print(f"{name}={shlex.quote(value)}")


main()
