# SPDX-License-Identifier: Apache-2.0
"""Headers stand on their own, are guarded by their own name, and every file says its licence."""

import re
import subprocess
from pathlib import Path

import source

LICENCE = "SPDX-License-Identifier: Apache-2.0"
C_LIKE = (".c", ".h", ".S", ".lds", ".ld")
SCRIPTS = (".sh", ".py", ".mk")


def check_alone(path):
    # Twice, so that the guard is tried as well.
    text = 2 * f'#include "{path.removeprefix("include/")}"\n'
    command = ["gcc", *source.C_FLAGS, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-xc", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        error = re.search(r"^.*error: .*$", done.stderr, re.MULTILINE)
        yield f"{path}: does not compile on its own: {error[0] if error else done.stderr}"


def check_guard(path):
    """CCR_ERR_H for include/ccr/err.h; for guest/rsi/x.h: RSI_X_H, GUEST_X_H or GUEST_RSI_X_H;
    for a name that begins with its place, such as tests/fake/fake_kvm.h, FAKE_KVM_H."""
    file = Path(path)
    places = [place for place in file.parts[:-1] if place != "include"]
    stem = file.stem.upper().replace("-", "_")
    text = source.without_comments(source.read(path)).strip()
    match = re.match(r"#ifndef (\w+)\n#define \1\n", text)
    own = [f"{stem}_H"] if places and stem.startswith(f"{places[-1].upper()}_") else []
    places = dict.fromkeys([*reversed(places), "_".join(places)])
    guards = [f"{place.upper()}_{stem}_H" for place in places] + own
    if not match or match[1] not in guards or not text.endswith("#endif"):
        yield f"{path}: is not guarded by {' or '.join(guards)}"


def check_licence(path):
    lines = source.read(path).split("\n")[:2] + [""]
    if path.endswith(C_LIKE):
        wanted = f"/* {LICENCE} */"
    else:
        wanted = f"# {LICENCE}"
        if lines[0].startswith("#!"):
            del lines[0]
    if lines[0] != wanted:
        yield f"{path}: does not begin with {wanted}"


def is_script(path):
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


def check():
    source.tool("gcc")
    for path in source.files(("include",), ".h"):
        yield from check_alone(path)
    for path in source.files(source.CODE_DIRS, ".h"):
        yield from check_guard(path)
    paths = source.files(source.CODE_DIRS, *C_LIKE, *SCRIPTS)
    paths += [path for path in source.files(source.CODE_DIRS, "") if is_script(path)]
    paths += [path for path in ("Makefile", ".ci/run") if Path(path).is_file()]
    for path in paths:
        yield from check_licence(path)


source.main(check)
