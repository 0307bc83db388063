# SPDX-License-Identifier: Apache-2.0
"""clang-tidy with the families listed in .clang-tidy."""

import re
from concurrent.futures import ThreadPoolExecutor

import source

SUPPRESSION = re.compile(r"NOLINT\w*(?P<what>\([\w.,* -]+\))?(?P<reason>:\s*\w\w)?")


def findings(path):
    command = [
        source.tool("clang-tidy-14", "clang-tidy"),
        "--quiet",
        path,
        "--",
        *source.flags(path),
    ]
    status, output = source.cached_run("tidy", path, command, extra=[".clang-tidy"])
    if not status:
        return []
    found = re.findall(r"^\S+:\d+:\d+: (?:warning|error): .*$", output, re.MULTILINE)
    return found or [f"{path}: clang-tidy ended with status {status}"]


def check():
    paths = source.files(("src", "arch"), ".c")
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = pool.map(findings, paths)
    here = source.Path.cwd()
    # A header's findings come once for each file that includes it.
    yield from dict.fromkeys(
        line.removeprefix(f"{here}/") for lines in found for line in lines
    )

    for path in source.files(("src", "arch", "include"), ".c", ".h"):
        text = source.read(path)
        for match in SUPPRESSION.finditer(text):
            if not (match["what"] and match["reason"]):
                line = source.line_of(text, match.start())
                yield f"{path}:{line}: write NOLINT(name-of-check): and the reason"


source.main(check)
