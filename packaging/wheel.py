#!/usr/bin/env python3
"""Makes a wheel from finished files, with only the standard library.

The same files and SOURCE_DATE_EPOCH give the same bytes. --script FILE goes into the environment's `bin`,
--data FILE into a folder with the name of the package. Prints the path of the wheel.
"""

import argparse
import base64
import hashlib
import os
import re
import sys
import time
import zipfile


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--name", "--version", "--platform", "--summary", "--licence", "--out"):
        parser.add_argument(name, required=True)
    parser.add_argument("--readme", help="the long description, Markdown")
    for name in ("--requires", "--licence-file", "--sbom", "--script", "--data"):
        parser.add_argument(name, action="append", default=[])
    return parser.parse_args()


def python_version(version):
    """Converts `1.2.0-rc.1`, as Cargo writes it, to Python's `1.2.0rc1`."""
    found = re.fullmatch(r"(\d+\.\d+\.\d+)(?:-(alpha|beta|rc)\.(\d+))?", version)
    if not found:
        sys.exit(f"error: `{version}` is not a version that Python knows; use 1.2.3 or 1.2.3-rc.1 (or alpha, beta)")
    number, stage, count = found.groups()
    return number + ({"alpha": "a", "beta": "b", "rc": "rc"}[stage] + count if stage else "")


def metadata(wanted, version):
    lines = [
        "Metadata-Version: 2.4", f"Name: {wanted.name}", f"Version: {version}", f"Summary: {wanted.summary}",
        f"License-Expression: {wanted.licence}",
        *(f"License-File: {os.path.basename(path)}" for path in wanted.licence_file),
        "Requires-Python: >=3.8",
        *(f"Requires-Dist: {requirement}" for requirement in wanted.requires),
    ]
    text = "\n".join(lines) + "\n"
    if wanted.readme:
        with open(wanted.readme, encoding="utf-8") as file:
            text = f"{text}Description-Content-Type: text/markdown\n\n{file.read()}"
    return text.encode()


def contents(wanted, version, stem):
    """Yields every file of the wheel except its RECORD: (name, mode, bytes)."""
    def files(paths, folder, mode=0o644):
        for path in paths:
            with open(path, "rb") as file:
                yield f"{folder}/{os.path.basename(path)}", mode, file.read()

    about = f"{stem}.dist-info"
    wheel = f"Wheel-Version: 1.0\nGenerator: airlock-packaging\nRoot-Is-Purelib: false\nTag: py3-none-{wanted.platform}\n"
    yield from files(wanted.data, stem.split("-")[0])
    yield from files(wanted.script, f"{stem}.data/scripts", 0o755)
    yield from files(wanted.licence_file, f"{about}/licenses")
    yield from files(wanted.sbom, f"{about}/sboms")
    yield f"{about}/METADATA", 0o644, metadata(wanted, version)
    yield f"{about}/WHEEL", 0o644, wheel.encode()


def main():
    wanted = arguments()
    version = python_version(wanted.version)
    stem = f"{re.sub(r'[-_.]+', '_', wanted.name).lower()}-{version}"
    path = os.path.join(wanted.out, f"{stem}-py3-none-{wanted.platform}.whl")
    # A zip cannot represent a time before 1980.
    moment = time.gmtime(max(int(os.environ["SOURCE_DATE_EPOCH"]), 315532800))[:6]
    record = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        def add(name, mode, content):
            entry = zipfile.ZipInfo(name, moment)
            entry.create_system, entry.compress_type = 3, zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, content)

        for name, mode, content in contents(wanted, version, stem):
            add(name, mode, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}\n")
        name = f"{stem}.dist-info/RECORD"
        add(name, 0o644, "".join([*record, f"{name},,\n"]).encode())
    print(path)


main()
