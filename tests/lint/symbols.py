# SPDX-License-Identifier: Apache-2.0
"""What object files say: names, mutable state, and who can end the program."""

import re
from pathlib import Path

import rules
import source


def compile_object(path):
    """(object, reasons). Without PIC, a const table of pointers is read-only data, as it will be
    once the loader is done; so what nm shows as data is mutable."""
    command = ["gcc", "-c", "-O1", "-w", "-fno-pic", *source.flags(path), "-o", "{}", path]
    status, output, target = source.cached_run("obj", path, command, suffix=".o")
    if not status:
        return target, []
    errors = re.findall(r"^\S+:\d+:\d+: (?:fatal )?error: .*$", output, re.MULTILINE)
    return None, errors or [f"{path}: gcc ended with status {status}"]


def prefixes_of(path):
    file = Path(path)
    yield file.stem + "_"
    yield file.parent.name + "_"
    for place, prefixes in rules.SYMBOL_PREFIXES.items():
        if path.startswith(place):
            yield from prefixes


def check_object(path, target):
    prefixes = tuple(prefixes_of(path))
    _, output = source.run(["nm", "--format=posix", str(target)])
    for line in output.splitlines():
        name, kind, *_ = line.split()
        if kind == "U":
            if name in rules.ENDING_SYMBOLS and path not in rules.ENDING_USERS:
                yield f"{path}: uses {name}, which only main and the log may"
            continue
        if kind.isupper() and not name.startswith(prefixes):
            yield f"{path}: {name} has none of the prefixes {', '.join(prefixes)}"
        if kind.lower() in "bdcsg" and path not in rules.MUTABLE_STATE_USERS:
            yield f"{path}: {name} is mutable state of the whole program; pass it instead"


def check():
    source.tool("gcc")
    source.tool("nm")
    for path in source.files(("src", "arch"), ".c"):
        target, errors = compile_object(path)
        yield from errors
        if target:
            yield from check_object(path, target)


source.main(check)
