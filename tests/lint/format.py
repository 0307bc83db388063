# SPDX-License-Identifier: Apache-2.0
"""Every C file looks the way clang-format writes it."""

import re

import source

# Other versions disagree with this one about details.
VERSION = 14


def check():
    clang_format = source.tool(f"clang-format-{VERSION}", "clang-format", version=VERSION)
    paths = source.files(source.CODE_DIRS, ".c", ".h")
    if not paths:
        return
    _, output = source.run([clang_format, "--dry-run", "-Werror", *paths])
    seen = set()
    for line in output.splitlines():
        match = re.match(r"(\S+?):(\d+):\d+: error: code should be clang-formatted", line)
        if match and match[1] not in seen:
            seen.add(match[1])
            yield f"{match[1]}:{match[2]}: run clang-format -i on this file"
        elif not match and ": error: " in line:
            yield line


source.main(check)
