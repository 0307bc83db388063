# SPDX-License-Identifier: Apache-2.0
"""Shell scripts pass shellcheck."""

import re

import source


def is_shell_script(path):
    if path.endswith(".sh"):
        return True
    with open(path, "rb") as file:
        return re.match(rb"#!\s*(?:\S*/)?(?:env )?(?:ba|da)?sh\b", file.readline()) is not None


def check():
    shellcheck = source.tool("shellcheck")
    paths = [path for path in source.walk() if is_shell_script(path)]
    if not paths:
        return
    _, output = source.run([shellcheck, "-x", "--source-path=SCRIPTDIR", "--format=gcc", *paths])
    yield from output.splitlines()


source.main(check)
