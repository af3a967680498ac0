#!/usr/bin/env python3
"""Rewrites the ninja files of a configured V8 build so that many sources are compiled as one ("units").

    v8-unity.py OUT --pch FOLDER              plan the units and rewrite the ninja files under OUT
    v8-unity.py OUT --pch FOLDER --headers    which precompiled headers are to be made: file, name of the list, an object with the right flags
    v8-unity.py OUT --pch FOLDER --failed LOG take apart the units that ninja's LOG says could not be compiled; exit 1 if there are none

FOLDER is where precompiled headers are, each with the list of what it read (.d): what is not there, or older than what it read, is not used.

Reading headers is most of the work of compiling V8, and a unit reads them once. With it goes the optimisation of whatever is not in the
library: Torque, the builtins' generators and mksnapshot run once or twice while V8 is built, so they are compiled at -O0. What is in the
library is compiled with the flags it had.

Every run starts from the ninja files as GN wrote them (kept in OUT/unity/ninja), makes the same plan from the same sources, and writes only
what changed: it can be interrupted and run again at any time, and ninja repeats nothing for it. If GN runs again, so must this.
"""

import argparse
import hashlib
import json
import os
import re
import sys

LIBRARY = "obj/librusty_v8.a"
SCRIPT = os.path.abspath(__file__)
MARK = "# Rewritten by v8-unity.py.\n"

# Sources in one unit. 16 keep a compiler under about 1 GB of memory and still leave work for every core.
SIZE = 16
SIZES = {
    "torque_generated_definitions": 250,  # most are empty but for their headers
    "torque_generated_initializers": 62,  # at -O0
    "v8_initializers": 24,  # at -O0
    "absl": 30,
}

# A macro that one source leaves to the next with another meaning must not pass in silence.
CAUTION = "  cflags_cc = ${cflags_cc} -Werror=macro-redefined\n"

# How what runs only at build time is compiled, where it is not -O0: Torque has a minute of work to do at that, ten seconds of it at -O1.
LEVELS = {"torque_base": "-O1"}

# Targets whose sources stay as they are.
WHOLE = {
    "libc++": "each source prepares the headers in its own way, and the library expects one object for each",
    "libc++abi": "as libc++",
    "libhwy": "its sources include themselves once for each instruction set",
    "icuuc_private": "sources define macros that change how they read a header, and read it again in a neighbour's way: of 30 units 9 fail",
    "icui18n": "as icuuc_private; and a source takes 0.6 s, so there is little to win",
}

# Sources that cannot be in a unit, by the end of their path. What declares the same name twice is found by `names` below without being
# listed; these break a neighbour in ways that only the compiler sees.
ALONE = {
    # They say `using namespace compiler::turboshaft` inside of v8::internal: after it, plain names of the next source mean two things; and
    # Turboshaft's assembler and CodeStubAssembler have macros of one name.
    "builtins/builtins-number-tsa.cc",
    "builtins/builtins-string-tsa.cc",
    "interpreter/interpreter-generator-tsa.cc",
    # Specialises templates of its header, which is too late once a neighbour has used them.
    "codegen/code-stub-assembler.cc",
    # Both include a header of the crate that has no guard.
    "src/binding.cc",
    "src/crdtp_binding.cc",
    # Says VirtualAddressSpace and means v8's; after a neighbour's headers that is v8::base's.
    "base/sanitizer/lsan-virtual-address-space.cc",
}

# So many units that fail have another reason than that they are units. (The driver lets ninja go on for 20 failures.)
MANY = 16

# Targets whose sources start from a precompiled header, and the name of its list.
PRECOMPILED = {
    "v8_base_without_compiler": "base",
    "v8_compiler": "compiler",
    "torque_generated_initializers": "initializers",
    "v8_initializers": "initializers",
}


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def write(path, text):
    """Only if it is another text: a new time of change would make ninja compile it again."""
    if os.path.exists(path) and read(path) == text:
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".tmp", path)


def as_gn_wrote_them():
    """The texts of all ninja files by path, without what this script did to them."""
    texts = {}
    for folder, _, files in os.walk("."):
        if folder.startswith("./unity"):
            continue
        for name in files:
            if not name.endswith(".ninja"):
                continue
            path = os.path.relpath(os.path.join(folder, name))
            text = read(path)
            kept = os.path.join("unity/ninja", path)
            if text.startswith(MARK):
                text = read(kept)
            texts[path] = text
    return texts


class Source:
    """One object of a target, as its ninja file describes it."""

    def __init__(self, file, object, path, rest):
        self.file, self.object, self.path, self.rest = file, object, path, rest


class Graph:
    BUILD = re.compile(r"^build ((?:[^:\n$]|\$.)+): (\S+)((?:[^\n$]|\$.|\$\n)*)$", re.M)

    def __init__(self, texts):
        self.inputs, self.sources, self.flags = {}, {}, {}
        for file, text in texts.items():
            for outputs, rule, rest in self.BUILD.findall(text):
                inputs = [word for word in rest.replace("$\n", " ").split() if word not in ("|", "||")]
                for output in outputs.split():
                    self.inputs[output] = inputs
                if rule.split("_")[-1] == "cxx" and inputs:
                    after = rest.strip().split(" ", 1)
                    source = Source(file, outputs, after[0], after[1] if len(after) > 1 else "")
                    self.sources.setdefault(file, []).append(source)
            if file in self.sources:
                self.flags[file] = dict(re.findall(r"^(\w+) = ?(.*)$", text, re.M))

    def needed(self, output):
        seen, todo = set(), [output]
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += self.inputs.get(name, [])
        return seen


# What stands where a name might.
NOT_NAMES = {"alignas", "const", "constexpr", "decltype", "noexcept", "requires", "static_assert", "void"}

TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<raw>[^(\s]*)\(.*?\)(?P=raw)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|^[ \t]*\#(?:\\\n|[^\n])*|\w+|::|\S', re.M | re.S
)


def names(text):
    """What a source declares at the level of its namespaces: (names that only it sees, names that all see, macros that it leaves defined
    or takes away).

    It reads declarations as they are usually written and does not understand C++: a name too many costs a place in a unit, and two things of
    one name that were missed are an error of the compiler. Only two functions of one name and different parameters would meet in silence, as
    overloads; so it is names that count, not signatures.
    """
    own, shared, macros = set(), set(), set()
    scopes, words, depth, previous = [], [], 0, ""  # a scope: "hidden" or "open" namespace, "enum", or "body"

    def declared(end):
        declaration = [word for word in words if word]
        hidden = "hidden" in scopes or "static" in declaration
        while declaration and declaration[0] == "template":
            level = 0
            for n, word in enumerate(declaration):
                level += (word == "<") - (word == ">")
                if word == ">" and level == 0:
                    break
            declaration = declaration[n + 1 :]
        if not declaration or declaration[0] in ("friend", "static_assert", "public", "private", "using") and "=" not in declaration:
            return
        while declaration[0].isupper() and declaration[1:2] == ["("] and ")" in declaration[:-2]:
            # A macro of its own, without a semicolon: what it defines is its first argument, if anything.
            shared.add(declaration[2])
            declaration = declaration[declaration.index(")") + 1 :]
        first, name, qualified = declaration[0], None, False
        kind = next((word for word in declaration[:3] if word in ("class", "struct", "union", "enum")), None)
        if first == "using":
            name, hidden = declaration[1], True
        elif first == "typedef":
            name = next((word for word in reversed(declaration) if word.isidentifier()), None)
        elif kind and end == "{" and "(" not in declaration:
            if "=" in declaration:
                return
            head = declaration[declaration.index(kind) + 1 :]
            for n, word in enumerate(head):
                if word in (":", "final", "<"):
                    head = head[:n]
                    break
            if head and head[-1].isidentifier() and "::" not in head:
                name, hidden = head[-1], True  # two types of one name never fit into one source, seen or not
        elif kind and end == ";" and "=" not in declaration and len(declaration) < 4:
            return
        else:
            stop = next((n for n, word in enumerate(declaration) if word in ("(", "=", "[")), len(declaration))
            before = declaration[:stop]
            if stop < len(declaration) and declaration[stop] == "(" and before and before[-1].isupper():
                # A macro that defines what its first argument names.
                name = declaration[stop + 1] if stop + 1 < len(declaration) else None
            elif before:
                name, qualified = before[-1], "::" in before[-2:-1] or "operator" in before
            if stop == len(declaration) or declaration[stop] != "(":
                hidden = hidden or ("const" in before or "constexpr" in before) and "inline" not in before and "extern" not in before
        if name and name.isidentifier() and name not in NOT_NAMES and not qualified:
            (own if hidden else shared).add(name)

    for match in TOKEN.finditer(text):
        word = match[0]
        if word.startswith(("//", "/*")):
            continue
        if word.lstrip()[0] == "#":
            directive = re.match(r"\s*#\s*(define|undef)\s+(\w+)", word)
            if directive:
                if directive[1] == "undef" and directive[2] in macros:
                    macros.remove(directive[2])
                else:
                    macros.add(directive[2])
            continue
        if word[0] in "\"'" or word.startswith('R"'):
            word = '""'
        body = bool(scopes) and scopes[-1] in ("body", "enum")
        if body:
            if scopes[-1] == "enum" and previous in ("{", ",") and word.isidentifier():
                (own if "hidden" in scopes else shared).add(word)
            if word == "{":
                scopes.append("body")
            elif word == "}":
                scopes.pop()
                # At the start of a line it ends all of them: with `#if` and `#else` one may have been opened twice.
                while scopes and scopes[-1] in ("body", "enum") and text[match.start() - 1] == "\n":
                    scopes.pop()
                if not scopes or scopes[-1] not in ("body", "enum"):
                    words = []
        elif word == "(":
            depth += 1
            words.append(word if depth == 1 else "")
        elif word == ")":
            depth = max(depth - 1, 0)
            words.append("" if depth else word)
        elif word == "{":
            if depth:
                scopes.append("body")
                depth = 0
            elif "namespace" in words:
                named = [w for w in words[words.index("namespace") + 1 :] if w.isidentifier()]
                scopes.append("open" if named else "hidden")
                words = []
            elif words[:2] == ["extern", '""'] and len(words) == 2:
                scopes.append("open")
                words = []
            else:
                declared("{")
                scopes.append("enum" if "enum" in words[:3] and "class" not in words[:3] else "body")
        elif word == "}":
            if scopes:
                scopes.pop()
            words, depth = [], 0
        elif word == ";" and not depth:
            declared(";")
            words = []
        elif depth < 2:
            words.append(word)
        previous = word
    return own, shared, macros


class Names:
    """`names` of a source that GN found in place, remembered in a file for this version of the script; nothing of generated ones: they may not
    be there yet."""

    KEPT = "unity/names.json"

    def __init__(self):
        self.version = hashlib.sha256(read(SCRIPT).encode()).hexdigest()
        kept = json.loads(read(self.KEPT)) if os.path.exists(self.KEPT) else {}
        self.kept = kept.get("names") if kept.get("version") == self.version else {}
        self.now = {}

    def of(self, path):
        if path.startswith("gen/") or "/gen/" in path:
            return (set(),) * 3
        stamp = os.stat(path).st_mtime_ns
        entry = self.kept.get(path)
        if not entry or entry[0] != stamp:
            entry = [stamp, *(sorted(part) for part in names(read(path)))]
        self.now[path] = entry
        return tuple(set(part) for part in entry[1:])

    def keep(self):
        write(self.KEPT, json.dumps({"version": self.version, "names": self.now}))


class Unit:
    """Sources of which no two declare a name that one of them keeps to itself. One that leaves macros behind comes last, and only one does: so
    nobody reads his neighbour's macros."""

    def __init__(self):
        self.sources, self.last, self.own, self.shared = [], [], set(), set()

    def fits(self, own, shared, macros):
        return not (own & (self.own | self.shared) or shared & self.own or macros and self.last)

    def add(self, source, own, shared, macros):
        (self.last if macros else self.sources).append(source)
        self.own |= own
        self.shared |= shared

    def all(self):
        return self.sources + self.last


def family(graph, source):
    """Which sources may share a unit with this one: those of its target, and of v8_base only those of its folder too, since V8's folders are
    written by different people. Abseil has a target for every few sources; there it is those with the same flags."""
    target = graph.flags[source.file].get("label_name")
    if "/abseil-cpp/" in source.file:
        return "absl", tuple(sorted((k, v) for k, v in graph.flags[source.file].items() if k in ("defines", "include_dirs", "cflags", "cflags_cc"))), source.rest
    folder = os.path.dirname(source.path) if target == "v8_base_without_compiler" else ""
    return target, source.file, folder, source.rest


def plan(graph, needed):
    families, names_ = {}, Names()
    for file in sorted(graph.sources):
        for source in graph.sources[file]:
            if source.object in needed:
                families.setdefault(family(graph, source), []).append(source)
    units = []
    for (target, *_), sources in families.items():
        if target in WHOLE:
            continue
        size, open_ = SIZES.get(target, SIZE), []
        for source in sources:
            if any(source.path.endswith("/" + end) for end in ALONE):
                continue
            found = names_.of(source.path)
            unit = next((unit for unit in open_ if len(unit.all()) < size and unit.fits(*found)), None)
            if not unit:
                unit = Unit()
                open_.append(unit)
            unit.add(source, *found)
        units += [unit.all() for unit in open_ if len(unit.all()) > 1]
    names_.keep()
    return units


def included(path):
    """How a unit names a source: through the two folders that every target searches, so that __FILE__ is what it was."""
    for prefix in ("../", "gen/"):
        if path.startswith(prefix):
            return path[len(prefix) :]
    return os.path.abspath(path)


def unit_source(folder, name):
    return f"gen/unity/{folder.replace('/', '_')}-{name}.cc"


def header_of(graph, file, pch):
    """The precompiled header of a target: one for all targets that want the list, in each of the toolchains."""
    name = PRECOMPILED.get(graph.flags.get(file, {}).get("label_name"))
    toolchain = file.split("obj/")[0].rstrip("/") or "target"
    return name and os.path.join(pch, toolchain, name + ".pch")


def usable(header):
    """Torque and other generators may have written a header again; clang does not take a precompiled one that is older than what it read."""
    if not os.path.exists(header) or not os.path.exists(header + ".d"):
        return False
    made = os.stat(header).st_mtime_ns
    parts = read(header + ".d").split(":", 1)[1].replace("\\\n", " ").split()
    return all(os.path.exists(part) and os.stat(part).st_mtime_ns <= made for part in parts)


def headers(pch):
    graph = Graph(as_gn_wrote_them())
    needed, seen = graph.needed(LIBRARY), set()
    now = Graph({file: read(file) for file in graph.sources}).sources
    for file in sorted(graph.sources):
        header = header_of(graph, file, pch)
        if header and header not in seen and any(source.object in needed for source in graph.sources[file]):
            seen.add(header)
            if not usable(header):
                print(header, os.path.basename(header)[: -len(".pch")], now[file][0].object)


def rewrite(pch):
    texts = as_gn_wrote_them()
    graph = Graph(texts)
    if LIBRARY not in graph.inputs:
        sys.exit(f"nothing here makes {LIBRARY}: run this in a folder that GN configured")
    needed, shipped = graph.needed(LIBRARY), set(graph.inputs[LIBRARY])
    apart = set(read("unity/apart").split()) if os.path.exists("unity/apart") else set()
    new, moved, count, made = dict(texts), {}, {}, 0
    for sources in plan(graph, needed):
        first = sources[0]
        flags = graph.flags[first.file]
        label, folder = flags["label_name"], flags["target_out_dir"]
        number = count[first.file] = count.get(first.file, -1) + 1
        name = f"{label}-unit-{number}"
        source = unit_source(folder, name)
        if apart.intersection(source.path for source in sources):
            continue
        write(source, "".join(f'#include "{included(source.path)}"\n' for source in sources))
        object = f"{folder}/{label}/{name}.o"
        for one in sources:
            moved[one.object] = object
            new[one.file] = re.sub(
                rf"^build {re.escape(one.object)}: (\w+) [^\n]*\n(?:  [^\n]*\n)*",
                lambda m: f"build {object}: {m[1]} {source} {one.rest}\n  source_file_part = {name}.cc\n  source_name_part = {name}\n{CAUTION}" if one is first else "",
                new[one.file],
                flags=re.M,
            )
        made += 1

    def renamed(match):
        """One build statement: the units in place of their sources, each once."""
        seen, words = set(), []
        for word in match[0].split(" "):
            word = moved.get(word, word)
            if word.endswith(".o") and word in seen:
                continue
            seen.add(word)
            words.append(word)
        return " ".join(words)

    at_build_time = 0
    for file in sorted(texts):
        text = re.sub(r"^build (?:[^\n$]|\$.|\$\n)*$", renamed, new[file], flags=re.M)
        objects = [source.object for source in graph.sources.get(file, ()) if source.object in needed]
        if objects and not shipped.intersection(objects):
            text = re.sub(r" -O[123s](?= |$)", " " + LEVELS.get(graph.flags[file].get("label_name"), "-O0"), text, flags=re.M)
            text = text.replace(" -D_FORTIFY_SOURCE=2", "")  # the C library warns of it at -O0
            at_build_time += len(objects)
        header = header_of(graph, file, pch)
        if objects and header and usable(header):
            text = re.sub(r"^cflags_cc =", f"cflags_cc = -include-pch {header}", text, flags=re.M)
        if text != texts[file]:
            write(os.path.join("unity/ninja", file), texts[file])
            text = MARK + text
        write(file, text)
    total = sum(source.object in needed for sources in graph.sources.values() for source in sources)
    print(f"{total} sources, {len(moved)} of them in {made} units; {at_build_time} run only at build time")


def failed(log):
    """Remembers the sources of the units that failed, so that the next plan leaves them alone."""
    apart = set(read("unity/apart").split()) if os.path.exists("unity/apart") else set()
    before = len(apart)
    units = set(re.findall(r"^FAILED: (?:.* )?(\S+-unit-\d+)\.o", read(log), re.M))
    if len(units) > MANY:
        sys.exit(f"{len(units)} units failed: more than what comes of being units")
    for unit in units:
        source = unit_source(*unit.rsplit("/", 2)[::2])
        print(f"taken apart: {source}")
        for end in re.findall(r'"(.*)"', read(source)):
            apart.add(next(path for path in ("../" + end, "gen/" + end, end) if os.path.exists(path)))
    if len(apart) == before:
        sys.exit(1)
    write("unity/apart", "\n".join(sorted(apart)) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--pch", metavar="FOLDER", required=True)
    parser.add_argument("--headers", action="store_true")
    parser.add_argument("--failed", metavar="LOG")
    options = parser.parse_args()
    pch, log = (path and os.path.abspath(path) for path in (options.pch, options.failed))
    os.chdir(options.out)
    if log:
        failed(log)
    elif options.headers:
        headers(pch)
    else:
        rewrite(pch)


if __name__ == "__main__":
    main()
