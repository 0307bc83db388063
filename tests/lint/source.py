# SPDX-License-Identifier: Apache-2.0
"""What the checks share: the project's files, C without its comments, tools and their results."""

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

CODE_DIRS = ("src", "arch", "include", "guest", "tests")
CACHE = Path("build/lint")
# Results of the linters, by the hash of all that went into them: several work trees may share them.
RESULTS = Path(os.environ.get("LINT_RESULTS", CACHE / "results"))
# Inputs and expected outputs of tests are what they are.
DATA_DIRS = ("tests/unit/golden/", "tests/fuzz/corpus/")

MAX_REASONS = 30

C_FLAGS = ("-std=gnu17", "-D_GNU_SOURCE", "-Iinclude")
# On other machines arm64's KVM structures come with the cross compiler's headers.
KVM_FLAGS = ("-isystem", "/usr/aarch64-linux-gnu/include")
KVM_DIRS = ("src/kvm/", "arch/arm64/kvm/")


class Skip(Exception):
    """This machine lacks what the check needs."""


def main(check):
    """Run a check, a generator of reasons, in the project named by the command line."""
    if len(sys.argv) > 1:
        os.chdir(sys.argv[1])
    try:
        reasons = list(check())
    except Skip as skip:
        print(skip)
        sys.exit(77)
    for reason in reasons[:MAX_REASONS]:
        print(reason)
    if len(reasons) > MAX_REASONS:
        print(f"... and {len(reasons) - MAX_REASONS} more")
    sys.exit(1 if reasons else 0)


def walk(top="."):
    """All files of the project below a directory, relative to it, in a fixed order."""
    for place, dirs, names in os.walk(top):
        dirs[:] = sorted(set(dirs) - {".git", "build", "__pycache__"})
        # In a linked work tree .git is a file.
        for name in sorted(set(names) - {".git"}):
            path = os.path.normpath(os.path.join(place, name))
            if path == ".git":  # of a work tree that shares another's repository
                continue
            if not path.startswith(DATA_DIRS) and os.path.isfile(path):
                yield path


def files(dirs, *suffixes):
    """Files below dirs whose names end in one of the suffixes."""
    return [path for top in dirs for path in walk(top) if Path(path).suffix in suffixes]


def read(path):
    return Path(path).read_text(encoding="utf-8", errors="replace")


_TOKEN = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""", re.DOTALL | re.VERBOSE
)


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def without_comments(text):
    """The same text with comments blanked: every character keeps its place."""
    return _TOKEN.sub(lambda m: _blank(m[0]) if m[0].startswith("/") else m[0], text)


def code_only(text):
    """The same text with comments and the contents of literals blanked."""

    def blank(match):
        token = match[0]
        return _blank(token) if token[0] == "/" else token[0] + _blank(token[1:-1]) + token[-1]

    return _TOKEN.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)


@functools.cache
def includes(path):
    """(line, name, whether in quotes) of each #include."""
    text = without_comments(read(path))
    return [
        (line_of(text, match.start()), match[2], match[1] == '"')
        for match in _INCLUDE.finditer(text)
    ]


def resolve(path, name):
    """The project's file that #include "name" in path means; None if there is none."""
    for candidate in (Path(path).parent / name, Path("include") / name):
        if candidate.is_file():
            return os.path.normpath(candidate)
    return None


def with_dependencies(path):
    """path and every header of the project that it includes, however deep."""
    found, todo = set(), [path]
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found.add(path)
        for _, name, quoted in includes(path):
            header = resolve(path, name) if quoted else None
            if header:
                todo.append(header)
    return sorted(found)


def flags(path):
    return [*C_FLAGS, *(KVM_FLAGS if path.startswith(KVM_DIRS) else ())]


def tool(*names, version=None):
    """The first of these programs that exists and, if asked for, says it is of that version."""
    for name in names:
        if not shutil.which(name):
            continue
        if version is None or re.search(rf"version {version}\b", tool_version(name)):
            return name
    wanted = names[-1] + (f" {version}" if version else "")
    raise Skip(f"{wanted} is not installed")


@functools.cache
def tool_version(name):
    return subprocess.run([name, "--version"], capture_output=True, text=True).stdout


def run(command):
    """(exit status, output) of a command."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def cached_run(kind, path, command, extra=(), suffix=None):
    """run(command), or what it said when its version and all it read were the same.

    With a suffix the command makes a file; "{}" in the command stands for where. Its path is a
    third result, and that file exists if the status is 0.
    """
    RESULTS.joinpath(kind).mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(repr([command, tool_version(command[0])]).encode())
    for name in [*extra, *with_dependencies(path)]:
        digest.update(f"\0{name}\0".encode() + Path(name).read_bytes())
    key = RESULTS / kind / digest.hexdigest()

    note = Path(f"{key}.json")
    product = Path(f"{key}{suffix}")
    try:
        last = json.loads(note.read_text())
        if not suffix or last["status"] or product.is_file():
            return (last["status"], last["output"], product)[: 3 if suffix else 2]
    except (OSError, ValueError, KeyError):
        pass

    # Others may check the same tree at this moment: what they see is old or new, never half.
    mine = f".{os.getpid()}.tmp"
    made = Path(f"{product}{mine}")
    status, output = run([part.replace("{}", str(made)) for part in command])
    if suffix and made.is_file():
        made.replace(product)
    new = Path(f"{note}{mine}")
    new.write_text(json.dumps({"status": status, "output": output}))
    new.replace(note)
    return (status, output, product)[: 3 if suffix else 2]
