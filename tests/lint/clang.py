# SPDX-License-Identifier: Apache-2.0
"""clang, with our warnings, of what gcc builds: `make CC=clang` must work as well."""

import re
from concurrent.futures import ThreadPoolExecutor

import source

WARNINGS = (
    "-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wwrite-strings "
    "-Wvla -Wformat=2 -Wundef"
).split()
FINDING = re.compile(r"^\S+?:\d+:\d+: (?:warning|(?:fatal )?error): .*$", re.MULTILINE)
# Tests of what talks to KVM see arm64's structures, as the Makefile lends them.
LENT = ("-isystem", "build/uapi")


def findings(path):
    clang = source.tool("clang-14", "clang")
    lent = LENT if path.startswith("tests/") else ()
    command = [clang, *source.flags(path), *lent, *WARNINGS, "-O1", "-fsyntax-only", path]
    status, output = source.cached_run("clang", path, command)
    found = FINDING.findall(output)
    return found or ([f"{path}: clang ended with status {status}"] if status else [])


def check():
    paths = source.files(("src", "arch", "tests/unit", "tests/fake"), ".c")
    with ThreadPoolExecutor(max_workers=2) as pool:
        for found in pool.map(findings, paths):
            yield from found


source.main(check)
