# SPDX-License-Identifier: Apache-2.0
"""Shell scripts pass shellcheck; boot tests, one shell for all, have no two functions of a name."""

import re

import source


def is_shell_script(path):
    if path.endswith(".sh"):
        return True
    with open(path, "rb") as file:
        return re.match(rb"#!\s*(?:\S*/)?(?:env )?(?:ba|da)?sh\b", file.readline()) is not None


def defined_twice(paths):
    seen = {}
    for path in paths:
        for number, line in enumerate(source.read(path).splitlines(), 1):
            name = re.match(r"(\w+)\(\) ", line)
            if not name:
                continue
            if name[1] in seen:
                yield f"{path}:{number}: {name[1]}() is defined in {seen[name[1]]} too"
            seen[name[1]] = path


def check():
    shellcheck = source.tool("shellcheck")
    paths = [path for path in source.walk() if is_shell_script(path)]
    if not paths:
        return
    yield from defined_twice(path for path in paths if path.startswith("tests/boot/"))
    _, output = source.run([shellcheck, "-x", "--source-path=SCRIPTDIR", "--format=gcc", *paths])
    yield from output.splitlines()


source.main(check)
