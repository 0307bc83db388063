# SPDX-License-Identifier: Apache-2.0
"""cppcheck, what it is sure of and what costs or does not port; not its opinions on style."""

import re

import source

SEVERITIES = ("error", "warning", "performance", "portability")
SUPPRESSION = re.compile(r"cppcheck-suppress\w*(?P<what>\s+\w+)?(?P<reason>\s*;\s*\w\w)?")


def check():
    cppcheck = source.tool("cppcheck")
    cache = source.CACHE / "cppcheck"
    cache.mkdir(parents=True, exist_ok=True)
    paths = source.files(("src", "arch", "guest"), ".c")
    if not paths:
        return
    _, output = source.run(
        [
            cppcheck,
            "--quiet",
            "-j2",
            "--enable=warning,performance,portability",
            "--inline-suppr",
            f"--cppcheck-build-dir={cache}",
            "--template={file}:{line}: {severity}: {message} [{id}]",
            "-D_GNU_SOURCE",
            "-Iinclude",
            *paths,
        ]
    )
    for line in output.splitlines():
        # It enables some of the style family with the warnings.
        if re.match(rf"\S+:\d+: ({'|'.join(SEVERITIES)}): ", line):
            yield line
        elif line.startswith("cppcheck: error"):
            yield line

    for path in source.files(("src", "arch", "include", "guest"), ".c", ".h"):
        text = source.read(path)
        for match in SUPPRESSION.finditer(text):
            if not (match["what"] and match["reason"]):
                line = source.line_of(text, match.start())
                yield f"{path}:{line}: write cppcheck-suppress nameOfCheck ; and the reason"


source.main(check)
