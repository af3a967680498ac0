#!/usr/bin/env python3
"""Writes the bill of materials of the binary (CycloneDX 1.6) and the licences of the libraries in it.

Usage: sbom.py --target TRIPLE --binary FILE --engine v8|deno --sbom FILE --notices FILE [-- CARGO-FLAG…]
Pass the flags that the binary was built with. Compiles nothing. The same sources and SOURCE_DATE_EPOCH give
the same bytes.
"""

import argparse
import datetime
import hashlib
import json
import os
import re
import subprocess
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LICENCE_FILE = re.compile(r"(licen[sc]e|copying|notice|copyright|unlicense)", re.IGNORECASE)
# Libraries in other languages that a crate contains: crate, library, header with its version, licence.
BROUGHT = [
    ("v8", "v8", "v8/include/v8-version.h", "BSD-3-Clause"),
    ("libsqlite3-sys", "sqlite", "sqlite3/sqlite3.h", "blessing"),
]


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, capture_output=True, text=True, cwd=ROOT).stdout


def linked(target, flags):
    """Returns the linked packages and what each needs: {(name, version): {(name, version), …}}.

    The first package is the program.

    `cargo tree` resolves features as the build does; `cargo metadata` would count those of tests and build scripts too.
    """
    tree = cargo("tree", "--locked", "--target", target, "--edges", "normal,no-proc-macro", "--prefix", "depth", *flags)
    needs, above = {}, []
    for line in tree.splitlines():
        found = re.match(r"(\d+)(\S+) v(\S+)", line)
        if not found:
            continue
        depth, package = int(found[1]), (found[2], found[3])
        needs.setdefault(package, set())
        if depth:
            needs[above[depth - 1]].add(package)
        above[depth:] = [package]
    return needs


def checksums():
    """Returns the hash of each package's archive, from Cargo.lock."""
    with open(os.path.join(ROOT, "Cargo.lock"), encoding="utf-8") as file:
        blocks = file.read().split("[[package]]")[1:]
    values = [dict(re.findall(r'^(name|version|checksum) = "(.*)"$', block, re.MULTILINE)) for block in blocks]
    return {(value["name"], value["version"]): value["checksum"] for value in values if "checksum" in value}


def library_version(folder, header):
    with open(os.path.join(folder, header), encoding="utf-8") as file:
        text = file.read()
    numbers = re.findall(r"^#define V8_(?:MAJOR_VERSION|MINOR_VERSION|BUILD_NUMBER|PATCH_LEVEL) (\d+)", text, re.MULTILINE)
    return ".".join(numbers) or re.search(r'^#define SQLITE_VERSION +"(.*)"', text, re.MULTILINE).group(1)


def licence(package):
    """Returns the SPDX expression, or the title of the licence file that the package names instead."""
    if package["license"]:
        # Old packages write `MIT/Apache-2.0`.
        return re.sub(r"\s*/\s*|\s+OR\s+", " OR ", package["license"])
    with open(os.path.join(os.path.dirname(package["manifest_path"]), package["license_file"]), encoding="utf-8") as file:
        return file.readline().strip()


def component(name, version, purl, licences, **more):
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "licenses": [licences], **more}


def of_crate(package, purl, digest):
    licences = {"expression": licence(package)} if package["license"] else {"license": {"name": licence(package)}}
    return component(package["name"], package["version"], purl, licences, hashes=[{"alg": "SHA-256", "content": digest}])


def bill(wanted, needs, packages):
    moment = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    program = next(iter(needs))
    sums = checksums()
    purls = {(name, version): f"pkg:cargo/{name}@{version}" for name, version in needs}
    purls[program] = f"pkg:generic/{program[0]}@{program[1]}"
    components, edges = [], {purls[package]: {purls[need] for need in needs[package]} for package in needs}
    for package in needs:
        if package != program:
            components.append(of_crate(packages[package], purls[package], sums[package]))
        for crate, name, header, expression in BROUGHT:
            if package[0] == crate:
                version = library_version(os.path.dirname(packages[package]["manifest_path"]), header)
                purl = f"pkg:generic/{name}@{version}"
                components.append(component(name, version, purl, {"expression": expression}))
                edges[purls[package]].add(purl)
                edges[purl] = set()
    with open(wanted.binary, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    about = of_crate(packages[program], purls[program], digest)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {
            "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {**about, "type": "application"},
            "properties": [{"name": "airlock:target", "value": wanted.target}, {"name": "airlock:engine", "value": wanted.engine}],
        },
        "components": sorted(components, key=lambda entry: entry["bom-ref"]),
        "dependencies": [{"ref": ref, "dependsOn": sorted(edges[ref])} for ref in sorted(edges)],
    }


def notices(wanted, needs, packages):
    """Returns the licence texts of all libraries, each once, under the names of the libraries it covers."""
    texts, silent = {}, []
    for package in sorted(needs):
        if package == next(iter(needs)):
            continue
        folder = os.path.dirname(packages[package]["manifest_path"])
        files = sorted(name for name in os.listdir(folder) if LICENCE_FILE.match(name) and os.path.isfile(os.path.join(folder, name)))
        title = f"{package[0]} {package[1]} ({licence(packages[package])})"
        for name in files:
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                texts.setdefault(file.read().strip(), []).append(title)
        if not files:
            silent.append("  ".join([title, *packages[package]["authors"]]))
    if wanted.engine == "v8":
        with open(os.path.join(ROOT, "packaging/v8/LICENSE"), encoding="utf-8") as file:
            texts[file.read().strip()] = ["V8 and the libraries in it"]
    rule = "=" * 78
    parts = ["The program contains these libraries. Each text applies to the libraries named above it."]
    parts += ["\n".join([rule, *dict.fromkeys(titles), rule, "", text]) for text, titles in texts.items()]
    parts.append("\n".join([rule, "These libraries have no text of their own; the licence in brackets applies:", *silent, rule]))
    return "\n\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--target", "--binary", "--engine", "--sbom", "--notices"):
        parser.add_argument(name, required=True)
    parser.add_argument("flags", nargs="*")
    wanted = parser.parse_args()
    needs = linked(wanted.target, wanted.flags)
    known = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", wanted.target, *wanted.flags))
    packages = {(package["name"], package["version"]): package for package in known["packages"]}
    with open(wanted.sbom, "w", encoding="utf-8") as file:
        json.dump(bill(wanted, needs, packages), file, indent=2)
        file.write("\n")
    with open(wanted.notices, "w", encoding="utf-8") as file:
        file.write(notices(wanted, needs, packages))


main()
